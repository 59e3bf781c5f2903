"""Checking a disc: against what was burnt, or years later from nothing but itself.

With the image's record every sector is compared and damage is placed to a megabyte within its file. Without it the disc's own
list is taken: whether that list is the right one tells its digest, which stands on the label and in the custody log.

Source: R12; docs/formats/disc.md "Read-back".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from discs import pages
from discs.drive import Drive
from discs.image import DiscImage, Told, untold
from discs.laid import LaidFile, image_sectors, read_layout
from discs.manifest import MANIFEST_BYTES_MAX, MANIFEST_PATH, SUMS_PATH, DiscManifest, parse
from discs.media import SECTOR_BYTES
from discs.readback import FileCheck, Outcome, ReadBack, read_back
from evidence import canonical
from evidence.digest import sha256_of
from evidence.errors import DiscDamagedError, EvidenceError, ManifestInvalidError

_SMALL_BYTES_MAX: Final = 64 << 10
_OWN_SUMS_LINES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class DiscCheck:
    """What a full read of a disc found.

    Attributes:
        good: Every sector and every file as it was burnt.
        read: The read-back.
        expected_sha256: Digest of the image as burnt; empty when the disc was judged by itself.
    """

    good: bool
    read: ReadBack
    expected_sha256: str = ""

    @property
    def damaged(self) -> tuple[FileCheck, ...]:
        """Files that are not good."""
        return self.read.damaged


def check_disc(
    drive: Drive, image: DiscImage, *, told: Told = untold, sink: Callable[[bytes], None] | None = None
) -> DiscCheck:
    """Read every sector of a disc and compare with the image it was burnt from. Changes nothing.

    ``good`` means the digest of the whole is the image's; damage outside of any file (directories, error correction) makes it
    not good with no file damaged.

    Raises:
        DiscDriveError: No drive or no disc.
    """
    drive.require_ordinary_file(new=False)
    found = read_back(
        drive.path, sectors=image.sectors, files=image.files, expected=image.digests, blocks=image.blocks, sink=sink,
        told=lambda done, whole: told("reading", done, whole),
    )  # fmt: skip
    return DiscCheck(found.sha256 == image.sha256 and not found.unreadable, found, image.sha256)


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What a disc says of itself and whether it keeps it.

    Attributes:
        good: Every file that the disc's list puts on it is there and has its digest, and so have its pages.
        disc: Which disc of the set it says it is.
        manifest: Its list.
        manifest_sha256: Digest of the list: compare it with the label.
        read: The read-back.
    """

    good: bool
    disc: int
    manifest: DiscManifest
    manifest_sha256: str
    read: ReadBack


def _small(source: Path, files: dict[str, LaidFile], path: str, *, bytes_max: int) -> bytes:
    laid = files.get(path)
    if laid is None:
        raise DiscDamagedError(f"the disc has no {path}", todo="Is this one of our discs? Else use the other copy.")
    if laid.size_bytes > bytes_max:
        raise DiscDamagedError(f"{path} on the disc is larger than any we write", todo="Use the other copy.")
    out = bytearray()
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for start, count in laid.extents:
            out += os.pread(fd, count * SECTOR_BYTES, start * SECTOR_BYTES)
    except OSError as error:
        text = f"{path} on the disc cannot be read: {os.strerror(error.errno or 0)}"
        raise DiscDamagedError(text, todo="Use the other copy and make this one again.") from error
    finally:
        os.close(fd)
    return bytes(out[: laid.size_bytes])


def _own(untrusted: bytes, manifest: DiscManifest, manifest_sha256: str) -> int:
    try:
        own = canonical.loads(untrusted)
        disc, stated = own["disc"], own["manifest_sha256"]
    except (EvidenceError, KeyError, TypeError) as error:
        raise DiscDamagedError("the disc does not tell which of the set it is", todo="Use the other copy.") from error
    if type(disc) is not int or not 1 <= disc <= manifest.discs or stated != manifest_sha256:
        raise DiscDamagedError("the disc's list is not the one it was made with", todo="Use the other copy.")
    return disc


def _page_digests(untrusted: bytes) -> dict[str, str]:
    digests = {}
    for line in untrusted.decode("utf-8", "replace").splitlines()[:_OWN_SUMS_LINES_MAX]:
        digest, _, path = line.partition("  ")
        if path in pages.PAGES:
            digests[path] = digest
    return digests


def check_by_itself(drive: Drive, *, told: Told = untold) -> SelfCheck:
    """Judge a disc from its own list alone: needs no database, no record, no image.

    Raises:
        DiscDriveError: No drive or no disc.
        DiscDamagedError: Directory or list cannot be read, so nothing can be said of the files.
    """
    drive.require_ordinary_file(new=False)
    source = drive.path
    sectors = image_sectors(source)
    laid = read_layout(source, sectors=sectors)
    files = {one.path: one for one in laid}
    listed = _small(source, files, MANIFEST_PATH, bytes_max=MANIFEST_BYTES_MAX)
    try:
        manifest = parse(listed)
    except ManifestInvalidError as error:
        raise DiscDamagedError(f"the disc's list is damaged: {error.what}", todo="Use the other copy.") from error
    manifest_sha256 = sha256_of(listed).hex
    disc = _own(_small(source, files, pages.OWN_PATH, bytes_max=_SMALL_BYTES_MAX), manifest, manifest_sha256)
    sums = _small(source, files, pages.OWN_SUMS_PATH, bytes_max=_SMALL_BYTES_MAX)
    expected = {one.path: one.sha256 for one in manifest.on(disc)}
    expected |= dict.fromkeys((*pages.PAGES[:2], SUMS_PATH), "") | _page_digests(sums)
    expected[pages.OWN_SUMS_PATH] = sha256_of(sums).hex
    found = read_back(
        source, sectors=sectors, files=laid, expected=expected, told=lambda done, whole: told("reading", done, whole)
    )
    sizes = {one.path: one.size_bytes for one in manifest.on(disc)}
    wrong = any(
        one.path in sizes and one.outcome is Outcome.GOOD and one.size_bytes != sizes[one.path] for one in found.files
    )
    good = not (found.damaged or found.unreadable or wrong)
    return SelfCheck(good, disc, manifest, manifest_sha256, found)
