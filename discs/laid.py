"""Where the files of an image lie: the extents of every file, read from the image by xorriso and checked.

A large file has several extents (ISO 9660 level 3). The answer comes from a disc that anybody may have written, so what does
not lie within the disc is refused, and a name that cannot be told is kept as such, never dropped.

Source: xorriso(1) ``-find ... -exec report_lba``; ECMA-119 6.5, 8.4.8 (volume space size).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from discs import xorriso
from discs.media import SECTOR_BYTES
from evidence.errors import DiscDamagedError, DiscDriveError, DiscError

_REPORT = re.compile(r"File data lba:\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(.*)$")
_DESCRIPTOR_SECTOR: Final = 16
_EXTENTS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class LaidFile:
    """A file of an image.

    Attributes:
        path: Path on the disc, without a leading stroke.
        size_bytes: Its length.
        extents: First sector and number of sectors of each part, in the order of the file.
    """

    path: str
    size_bytes: int
    extents: tuple[tuple[int, int], ...]

    def byte_range(self, sector: int, count: int) -> tuple[int, int] | None:
        """Which bytes of the file lie in a range of sectors (from, to), None when none do."""
        offset, first, last = 0, -1, -1
        for start, length in self.extents:
            low, high = max(start, sector), min(start + length, sector + count)
            if low < high:
                first = offset + (low - start) * SECTOR_BYTES if first < 0 else first
                last = offset + (high - start) * SECTOR_BYTES
            offset += length * SECTOR_BYTES
        return None if first < 0 or first >= self.size_bytes else (first, min(last, self.size_bytes))


def address_of(source: Path) -> str:
    """How xorriso is told of a file or a drive that is only read."""
    return f"stdio:{source}" if source.is_file() else str(source)  # a file may lie in memory, below /dev/shm


def image_sectors(source: Path) -> int:
    """Length of the file system on a disc or image, as its primary descriptor tells.

    Raises:
        DiscDriveError: It cannot be opened. DiscDamagedError: there is no readable ISO 9660 descriptor.
    """
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DiscDriveError(
            f"cannot open {source}: {os.strerror(error.errno or 0)}", todo="Check the drive and that a disc is in it."
        ) from error
    try:
        block = os.pread(fd, SECTOR_BYTES, _DESCRIPTOR_SECTOR * SECTOR_BYTES)
    except OSError as error:
        text = f"the first sectors cannot be read: {os.strerror(error.errno or 0)}"
        raise DiscDamagedError(text, todo="Use the other copy and make this one again.") from error
    finally:
        os.close(fd)
    if len(block) < SECTOR_BYTES or block[:7] != b"\x01CD001\x01":
        raise DiscDamagedError(
            "there is no ISO 9660 file system here",
            todo="Use the other copy; check that the right disc is in the drive.",
        )
    (little,), (big,) = struct.unpack("<I", block[80:84]), struct.unpack(">I", block[84:88])
    if little != big or little <= _DESCRIPTOR_SECTOR:
        raise DiscDamagedError("the file system's descriptor contradicts itself", todo="Use the other copy.")
    return int(little)


def volume_of(source: Path) -> str:
    """The volume identifier of a disc, empty where it cannot be read: tells which disc is in the drive, proves nothing."""
    try:
        with source.open("rb", buffering=0) as stream:
            stream.seek(_DESCRIPTOR_SECTOR * SECTOR_BYTES)
            block = stream.read(SECTOR_BYTES) or b""
    except OSError:
        return ""
    if block[:7] != b"\x01CD001\x01":
        return ""
    return block[40:72].decode("ascii", "replace").strip()


def _path(quoted: str) -> str:
    """Undo xorriso's shell quotes; lossless for names without quotes, and never two names alike."""
    text = quoted.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1].replace("'\"'\"'", "'")
    return text.lstrip("/")


def parse_layout(untrusted_results: Sequence[str], *, sectors: int) -> tuple[LaidFile, ...]:
    """Files from xorriso's report, in the order of their first sector.

    Raises:
        DiscDamagedError: An extent lies outside of the disc, or there are too many.
    """
    found: dict[str, tuple[int, dict[int, tuple[int, int]]]] = {}
    extents = 0
    for line in untrusted_results:
        match = _REPORT.match(line)
        if match is None:
            continue
        part, start, count, size = (int(match[group]) for group in range(1, 5))
        extents += 1
        if extents > _EXTENTS_MAX or (count and start + count > sectors):
            raise DiscDamagedError("the disc's directory names sectors that the disc does not have")
        parts = found.setdefault(_path(match[5]), (size, {}))[1]
        parts[part] = (start, count)
    files = [
        LaidFile(path, size, tuple(parts[number] for number in sorted(parts) if parts[number][1]))
        for path, (size, parts) in found.items()
    ]
    for one in files:
        if sum(count for _, count in one.extents) * SECTOR_BYTES < one.size_bytes:
            raise DiscDamagedError(f"the disc's directory gives {one.path[:80]} fewer sectors than its length")
    return tuple(sorted(files, key=lambda one: (one.extents[0] if one.extents else (0, 0), one.path)))


def read_layout(source: Path, *, sectors: int) -> tuple[LaidFile, ...]:
    """Ask xorriso where the files of a disc or image lie; nothing is mounted.

    Raises:
        DiscDamagedError: The directory cannot be read or contradicts itself. DiscDriveError: no such drive.
    """
    arguments = ["-indev", address_of(source), "-find", "/", "-type", "f", "-exec", "report_lba", "--", "-end"]
    try:
        said = xorriso.run(arguments, timeout_s=900)
    except DiscDriveError:
        raise
    except DiscError as error:
        raise DiscDamagedError(
            f"the disc's directory cannot be read: {error.what}", todo="Use the other copy and make this one again."
        ) from error
    return parse_layout(said.untrusted_results, sectors=sectors)
