"""Every sector of a disc or image, read once: digest of the whole, digest of every file, and where damage lies.

Reads the device itself, past the page cache. A sector that the drive gives up on is passed over and named, never taken for
zeros quietly. Because the bytes go by once, a full read-back of a disc costs what the drive needs to deliver it.

Nothing here changes anything. Source: R12; docs/formats/disc.md "Read-back".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from discs.laid import LaidFile
from discs.media import SECTOR_BYTES
from evidence.durable import drop_cache
from evidence.errors import DiscDriveError

#: One step of reading, and the grain in which an image remembers its digests (1 MiB): damage is placed that exactly.
BLOCK_SECTORS: Final = 512
_BLOCK_BYTES: Final = BLOCK_SECTORS * SECTOR_BYTES
#: Beyond so many sectors that the drive gave up on, whole blocks are passed over: each try takes seconds on a real drive.
_SINGLE_TRIES_MAX: Final = 4096
_PLACES_MAX: Final = 64

ReadAt = Callable[[int, int, int], bytes]
Told = Callable[[int, int], None]


class Outcome(StrEnum):
    """What became of a file on a disc."""

    GOOD = "good"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    #: There, with a digest of its own, but no list names it.
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file after a read-back.

    Attributes:
        path: Path on the disc.
        outcome: See :class:`Outcome`.
        size_bytes: Its length on the disc.
        sha256: Digest of what was read (with zeros for what could not be).
        places: Byte ranges (from, to) in which damage lies, as far as it can be placed.
    """

    path: str
    outcome: Outcome
    size_bytes: int = 0
    sha256: str = ""
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What a full read found.

    Attributes:
        sectors: How many were asked for.
        sha256: Digest of all of them (zeros for unreadable ones).
        unreadable: Ranges (first sector, count) that the drive gave up on.
        wrong: Ranges that read, but not as they were written (where the image's own digests were at hand).
        files: Every file.
        blocks: Digest of each block, for an image that is being made.
    """

    sectors: int
    sha256: str
    unreadable: tuple[tuple[int, int], ...]
    wrong: tuple[tuple[int, int], ...]
    files: tuple[FileCheck, ...]
    blocks: tuple[str, ...] = field(default=(), repr=False)

    @property
    def damaged(self) -> tuple[FileCheck, ...]:
        """Files that are not good (unlisted ones are not damage)."""
        return tuple(one for one in self.files if one.outcome not in {Outcome.GOOD, Outcome.UNLISTED})


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    for start, count in sorted(ranges):
        if out and start <= out[-1][0] + out[-1][1]:
            last = max(out[-1][0] + out[-1][1], start + count)
            out[-1] = (out[-1][0], last - out[-1][0])
        else:
            out.append((start, count))
    return tuple(out)


class _Reader:
    """Blocks of a device in order; what cannot be read is zeros and stands in ``unreadable``."""

    def __init__(self, fd: int, sectors: int, read_at: ReadAt) -> None:
        self._fd, self._sectors, self._read_at = fd, sectors, read_at
        self._tries = 0
        self.unreadable: list[tuple[int, int]] = []

    def _exactly(self, offset: int, length: int) -> bytes | None:
        parts, have = [], 0
        while have < length:
            try:
                part = self._read_at(self._fd, length - have, offset + have)
            except OSError:
                return None
            if not part:
                return None
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def _slowly(self, first: int, count: int) -> bytes:
        if self._tries >= _SINGLE_TRIES_MAX:
            self.unreadable.append((first, count))
            return bytes(count * SECTOR_BYTES)
        out = bytearray()
        for sector in range(first, first + count):
            one = self._exactly(sector * SECTOR_BYTES, SECTOR_BYTES)
            if one is None:
                self._tries += 1
                self.unreadable.append((sector, 1))
            out += one or bytes(SECTOR_BYTES)
        return bytes(out)

    def block(self, first: int, count: int) -> bytes:
        return self._exactly(first * SECTOR_BYTES, count * SECTOR_BYTES) or self._slowly(first, count)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        for first in range(0, self._sectors, BLOCK_SECTORS):
            count = min(BLOCK_SECTORS, self._sectors - first)
            yield first, self.block(first, count)
            drop_cache(self._fd, first * SECTOR_BYTES, count * SECTOR_BYTES)


class _Files:
    """Feeds every file's hasher from blocks that come in order of sectors."""

    def __init__(self, files: Sequence[LaidFile]) -> None:
        self.hashers = {one.path: hashlib.sha256() for one in files}
        self._left = {one.path: one.size_bytes for one in files}
        #: Files whose parts are not in ascending order cannot be digested on the way.
        self.apart = [one for one in files if list(one.extents) != sorted(one.extents)]
        apart = {one.path for one in self.apart}
        self._waiting = sorted(
            ((start, count, one.path) for one in files if one.path not in apart for start, count in one.extents),
            reverse=True,
        )
        self._open: list[tuple[int, int, str]] = []

    def feed(self, first: int, data: bytes) -> None:
        end = first + len(data) // SECTOR_BYTES
        while self._waiting and self._waiting[-1][0] < end:
            self._open.append(self._waiting.pop())
        view = memoryview(data)
        for start, count, path in self._open:
            low, high = max(start, first), min(start + count, end)
            piece = view[(low - first) * SECTOR_BYTES : (high - first) * SECTOR_BYTES][: self._left[path]]
            self.hashers[path].update(piece)
            self._left[path] -= len(piece)
        self._open = [part for part in self._open if part[0] + part[1] > end]


def _read_apart(reader: _Reader, files: _Files) -> None:
    for one in files.apart:
        left = one.size_bytes
        for start, count in one.extents:
            for first in range(start, start + count, BLOCK_SECTORS):
                data = reader.block(first, min(BLOCK_SECTORS, start + count - first))[:left]
                files.hashers[one.path].update(data)
                left -= len(data)


def _places(one: LaidFile, ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found = (one.byte_range(start, count) for start, count in ranges)
    return tuple(place for place in found if place is not None)[:_PLACES_MAX]


def _judge(
    one: LaidFile, sha256: str, expected: Mapping[str, str], unreadable: Sequence[tuple[int, int]],
    wrong: Sequence[tuple[int, int]],
) -> FileCheck:  # fmt: skip
    unread = _places(one, unreadable)
    if unread:
        return FileCheck(one.path, Outcome.UNREADABLE, one.size_bytes, sha256, unread)
    stated = expected.get(one.path)
    if stated is None:
        return FileCheck(one.path, Outcome.UNLISTED, one.size_bytes, sha256)
    if stated == sha256:
        return FileCheck(one.path, Outcome.GOOD, one.size_bytes, sha256)
    return FileCheck(one.path, Outcome.CHANGED, one.size_bytes, sha256, _places(one, wrong))


def _pread(fd: int, length: int, offset: int) -> bytes:
    return os.pread(fd, length, offset)


def read_back(
    source: Path,
    *,
    sectors: int,
    files: Sequence[LaidFile],
    expected: Mapping[str, str],
    blocks: Sequence[str] = (),
    keep_blocks: bool = False,
    sink: Callable[[bytes], None] | None = None,
    told: Told | None = None,
    read_at: ReadAt = _pread,
) -> ReadBack:
    """Read every sector from the medium and compare.

    Args:
        source: A drive or an image file.
        sectors: How many to read from the start.
        files: Where the files lie.
        expected: Digest (hexadecimal) by path; a listed path that is not among ``files`` is missing.
        blocks: Digests of the image's blocks, to place changed bytes.
        keep_blocks: Tell the digest of each block.
        sink: Receives every byte (to copy the disc while it is judged).
        told: Sectors read so far and their number, after each block; what it raises ends the reading.
        read_at: How bytes are read (descriptor, length, offset).

    Raises:
        DiscDriveError: It cannot be opened at all.
    """
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        text = f"cannot open {source}: {os.strerror(error.errno or 0)}"
        raise DiscDriveError(text, todo="Check the drive and that a disc is in it.") from error
    whole, fed, kept = hashlib.sha256(), _Files(files), []
    changed: list[tuple[int, int]] = []
    try:
        drop_cache(fd)
        reader = _Reader(fd, sectors, read_at)
        for first, data in reader.blocks():
            whole.update(data)
            fed.feed(first, data)
            if keep_blocks or blocks:
                digest = hashlib.blake2b(data, digest_size=16).hexdigest()
                kept.append(digest)
                index = first // BLOCK_SECTORS
                if blocks and (index >= len(blocks) or blocks[index] != digest):
                    changed.append((first, len(data) // SECTOR_BYTES))
            if sink is not None:
                sink(data)
            if told is not None:
                told(first + len(data) // SECTOR_BYTES, sectors)
        _read_apart(reader, fed)
    finally:
        os.close(fd)
    unreadable, wrong = _merged(reader.unreadable), _merged(changed)
    checks = [_judge(one, fed.hashers[one.path].hexdigest(), expected, unreadable, wrong) for one in files]
    there = {one.path for one in files}
    checks += [FileCheck(path, Outcome.MISSING) for path in expected if path not in there]
    return ReadBack(sectors, whole.hexdigest(), unreadable, wrong, tuple(checks), tuple(kept) if keep_blocks else ())
