"""The image of one disc: written under a working name, read back whole, and only then given its name and its record.

An image exists when its record does. Crash: without the record whatever is there is a left-over and the disc begins again;
the record is published last, after the image's bytes are durable and every file in it was read back from the medium and had
its digest. The same files, list and time give the same bytes (xorriso 1.5.4): the image is deterministic.

Source: R12; docs/formats/disc.md "Image"; xorrisofs(1).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from discs import pages, recovery, xorriso
from discs.laid import LaidFile, image_sectors, read_layout
from discs.manifest import MANIFEST_PATH, SUMS_PATH, DiscManifest
from discs.media import SECTOR_BYTES
from discs.readback import ReadBack, read_back
from evidence import canonical
from evidence.clock import from_text
from evidence.digest import Digest, sha256_of
from evidence.durable import free_bytes, fsync_dir, fsync_file, link_new, make_dirs, publish_new
from evidence.errors import (
    DigestMismatchError,
    DiscDamagedError,
    DiscError,
    DiscMediumError,
    DiscPlanError,
    EvidenceError,
    StoreFullError,
)

SCHEMA: Final = "urn:liuhen:disc-image:1"
_RECORD_BYTES_MAX: Final = 256 << 20
#: Blu-ray writes 32 sectors at a time (DVD 16): an image of whole clusters leaves a burner nothing to fill up.
_CLUSTER_BYTES: Final = 32 * SECTOR_BYTES

#: What is done (``writing``, ``error-correction``, ``reading``, ``burning``), how many sectors, of how many.
Told = Callable[[str, int, int], None]


def untold(_phase: str, _done: int, _whole: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscImage:
    """An image that was made and read back.

    Attributes:
        disc: Number in the set, from 1.
        discs: How many the set has.
        sectors: Length.
        sha256: Digest of the whole image, hexadecimal.
        manifest_sha256: Digest of the set's list.
        volume: Volume identifier.
        error_correction: Whether the image carries RS03.
        files: Where its files lie.
        digests: Digest of each file by path.
        blocks: Digest of each block, to place damage.
    """

    disc: int
    discs: int
    sectors: int
    sha256: str
    manifest_sha256: str
    volume: str
    error_correction: bool
    files: tuple[LaidFile, ...]
    digests: Mapping[str, str]
    blocks: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The canonical record kept beside the image."""
        return canonical.dumps({
            "image": SCHEMA, "disc": self.disc, "discs": self.discs, "sectors": self.sectors, "sha256": self.sha256,
            "manifest_sha256": self.manifest_sha256, "volume": self.volume, "error_correction": self.error_correction,
            "files": [
                {"path": one.path, "size_bytes": one.size_bytes, "extents": one.extents, "sha256": self.digests[one.path]}
                for one in self.files
            ],
            "blocks": self.blocks,
        })  # fmt: skip


def parse_record(untrusted: bytes) -> DiscImage:
    """Read a record of an image.

    Raises:
        DiscError: It is not one.
    """
    try:
        body: dict[str, Any] = canonical.loads(untrusted[: _RECORD_BYTES_MAX + 1])
        if body.pop("image") != SCHEMA:
            raise DiscError("not the record of a disc image")
        files = body.pop("files")
        laid = tuple(
            LaidFile(one["path"], one["size_bytes"], tuple((int(start), int(count)) for start, count in one["extents"]))
            for one in files
        )
        digests = {one["path"]: Digest("sha256", one["sha256"]).hex for one in files}
        Digest("sha256", body["sha256"])
        return DiscImage(**{**body, "blocks": tuple(body["blocks"])}, files=laid, digests=digests)
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise DiscError(f"the record of a disc image is damaged: {error}", todo="Make the image again.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscContent:
    """What one disc shall hold.

    Attributes:
        manifest: The list of the whole set.
        disc: Number of this disc, from 1.
        files: Local file by path on the disc; everything that the list puts on this disc.
    """

    manifest: DiscManifest
    disc: int
    files: Mapping[str, Path]


def image_path(folder: Path, disc: int) -> Path:
    """Where the image of a disc lies."""
    return folder / f"disc-{disc:03d}.iso"


def record_path(folder: Path, disc: int) -> Path:
    """Where its record lies."""
    return folder / f"disc-{disc:03d}.json"


def made_image(folder: Path, disc: int) -> DiscImage | None:
    """The image that is there with its record and its full length; None when it must be made (again).

    Raises:
        DiscError: The record is damaged.
    """
    record, image = record_path(folder, disc), image_path(folder, disc)
    try:
        made = parse_record(record.read_bytes())
        return made if image.stat().st_size == made.sectors * SECTOR_BYTES else None
    except FileNotFoundError:
        return None


def volume_id(number: str, disc: int) -> str:
    """A name that ISO 9660 and Joliet both carry: letters and digits of the set's number, and the disc."""
    kept = "".join(re.findall(r"[A-Z0-9]", number.upper()))[-9:]
    return f"LH{kept}_{disc:03d}"


def _generated(content: DiscContent) -> dict[str, bytes]:
    manifest, disc = content.manifest, content.disc
    made = {
        MANIFEST_PATH: manifest.to_bytes(),
        SUMS_PATH: manifest.sums(),
        pages.README_PATH: pages.readme(manifest, disc),
        pages.VERIFY_PATH: pages.verify_page(manifest, disc),
        pages.OWN_PATH: canonical.dumps({
            "disc": disc, "discs": manifest.discs, "set": manifest.facts.number,
            "manifest_sha256": manifest.digest().hex,
        }),
    }  # fmt: skip
    made[pages.OWN_SUMS_PATH] = "".join(
        f"{sha256_of(made[path]).hex}  {path}\n" for path in sorted(made)
    ).encode("utf-8")  # fmt: skip
    return made


def _require_complete(content: DiscContent) -> None:
    listed = {one.path for one in content.manifest.on(content.disc)}
    if listed != set(content.files):
        wrong = sorted(listed ^ set(content.files))
        raise DiscPlanError(f"list and files of the disc differ: {wrong[0][:80]} and {len(wrong) - 1} more")


def _graft(path: str, local: Path) -> str:
    text = str(local)
    if "\n" in text or "\r" in text:
        raise DiscError("the path of a file holds a line break")
    return "=".join(part.replace("\\", "\\\\").replace("=", "\\=") for part in (f"/{path}", text)) + "\n"


def _command(content: DiscContent, volume: str, *more: str) -> list[str]:
    moment = from_text(content.manifest.facts.produced_at).strftime("%Y%m%d%H%M%S00")
    return [
        "-md5", "on", "-as", "mkisofs", "-r", "-J", "-joliet-long", "-iso-level", "3", "-V", volume,
        "-A", "LIUHEN", f"--modification-date={moment}", "--set_all_file_dates", moment, "-no-pad",
        "-graft-points", "-path-list", "list", *more,
    ]  # fmt: skip


def _lay_out(making: Path, content: DiscContent) -> dict[str, str]:
    """Write the pages and xorriso's list; the digests that every path of the disc must have."""
    made = _generated(content)
    lines, digests = [], {}
    for number, (path, data) in enumerate(sorted(made.items())):
        local = making / f"page-{number}"
        local.write_bytes(data)
        lines.append(_graft(path, local))
        digests[path] = sha256_of(data).hex
    for one in content.manifest.on(content.disc):
        lines.append(_graft(one.path, content.files[one.path]))
        digests[one.path] = one.sha256
    (making / "list").write_text("".join(lines), "utf-8")
    return digests


def _write(making: Path, content: DiscContent, volume: str, *, sectors_max: int, told: Told) -> Path:
    part = making / "image"
    sized = xorriso.run(_command(content, volume, "-print-size", "-o", part.name), timeout_s=600, cwd=making)
    sizes = [int(line) for line in sized.untrusted_results if line.strip().isdigit()]
    if not sizes:
        raise DiscError("xorriso does not tell the size of the image")
    sectors = -(-sizes[-1] * SECTOR_BYTES // _CLUSTER_BYTES) * (_CLUSTER_BYTES // SECTOR_BYTES)
    if sectors > sectors_max:
        raise DiscMediumError(
            f"the image needs {sectors:,} sectors, the disc has {sectors_max:,}",
            kept="Nothing was written.",
            todo="Plan the set for a larger kind of disc.",
        )
    if free_bytes(making) < sectors * SECTOR_BYTES + (64 << 20):
        raise StoreFullError("no space left for a disc image", todo="Free space in the disc folder.")
    part.unlink(missing_ok=True)
    told("writing", 0, sectors)
    xorriso.run(
        _command(content, volume, "-o", part.name),
        timeout_s=1800 + sectors / 256, cwd=making, on_sectors=lambda done: told("writing", min(done, sectors), sectors),
    )  # fmt: skip
    told("writing", sectors, sectors)
    return part


def _durable(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fsync_file(fd)
    finally:
        os.close(fd)


def _read_made(part: Path, digests: Mapping[str, str], told: Told) -> tuple[tuple[LaidFile, ...], ReadBack]:
    """Read the image from its medium; everything in it must be what the list says."""
    sectors, length = image_sectors(part), part.stat().st_size
    if length % SECTOR_BYTES or length < sectors * SECTOR_BYTES:
        raise DiscError("the image has not its full length", kept="It was not kept.", todo="Make it again.")
    files = read_layout(part, sectors=sectors)
    found = read_back(
        part, sectors=length // SECTOR_BYTES, files=files, expected=digests, keep_blocks=True,
        told=lambda done, whole: told("reading", done, whole),
    )  # fmt: skip
    if found.unreadable or any(one.path not in digests for one in found.files):
        raise DiscDamagedError("the image cannot be read back as it was written", todo="Make it again.")
    if found.damaged:
        one = found.damaged[0]
        raise DigestMismatchError(
            f"{one.path} in the image is not what the list says ({one.outcome})",
            kept="The image was not kept; the stores keep the footage.",
            todo="Run `liuhen verify`; make the image again.",
            found=one.sha256,
        )
    return files, found


def _sweep(folder: Path, disc: int) -> None:
    shutil.rmtree(folder / f"disc-{disc:03d}.making", ignore_errors=True)
    image_path(folder, disc).unlink(missing_ok=True)
    record_path(folder, disc).unlink(missing_ok=True)


def forget_image(folder: Path, disc: int) -> None:
    """Remove an image and whatever a crash left of it: the record first, so that a half image is never taken for a whole one."""
    record_path(folder, disc).unlink(missing_ok=True)
    if folder.is_dir():
        fsync_dir(folder)
        _sweep(folder, disc)
        fsync_dir(folder)


def make_image(
    folder: Path, content: DiscContent, *, sectors_max: int, error_correction: bool = False, told: Told = untold
) -> DiscImage:
    """Make the image of one disc, or return the one that is already there for the same list.

    Args:
        folder: Where image and record lie; a protected place, for an image holds footage in clear.
        content: What it holds.
        sectors_max: Capacity of the medium.
        error_correction: Add RS03 where the image leaves room for it (DiscMediumError where it does not).
        told: Progress.

    Raises:
        DiscMediumError: It does not fit. DigestMismatchError: a file is not what the list says. StoreFullError: no space.
        DiscError: xorriso or dvdisaster failed. In every case nothing is left that looks like an image.
    """
    _require_complete(content)
    disc = content.disc
    there = made_image(folder, disc)
    making = folder / f"disc-{disc:03d}.making"
    if there is not None and there.manifest_sha256 == content.manifest.digest().hex:
        shutil.rmtree(making, ignore_errors=True)  # a crash after the record leaves it
        return there
    make_dirs(folder)
    forget_image(folder, disc)
    making.mkdir(0o700)
    volume = volume_id(content.manifest.facts.number, disc)
    try:
        digests = _lay_out(making, content)
        part = _write(making, content, volume, sectors_max=sectors_max, told=told)
        if error_correction:
            _add_correction(part, sectors_max, told)
        else:
            os.truncate(part, -(-part.stat().st_size // _CLUSTER_BYTES) * _CLUSTER_BYTES)
        _durable(part)
        files, found = _read_made(part, digests, told)
        part.chmod(0o440)
        image = DiscImage(
            disc=disc, discs=content.manifest.discs, sectors=found.sectors, sha256=found.sha256,
            manifest_sha256=content.manifest.digest().hex, volume=volume, error_correction=error_correction,
            files=files, digests=digests, blocks=found.blocks,
        )  # fmt: skip
        told("naming", 0, 1)
        link_new(part, image_path(folder, disc))
        told("naming", 1, 1)
        publish_new(record_path(folder, disc), image.to_bytes())
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return image


def _add_correction(part: Path, sectors_max: int, told: Told) -> None:
    if not recovery.fits(part.stat().st_size, medium_sectors=sectors_max):
        raise DiscMediumError(
            "the image leaves no room for error correction on this disc",
            kept="Nothing was written.",
            todo="Make it without error correction, or plan the set for a larger kind of disc.",
        )
    told("error-correction", 0, 1)
    recovery.augment(part, medium_sectors=sectors_max)
    told("error-correction", 1, 1)


def check_image(folder: Path, image: DiscImage, *, told: Told = untold) -> ReadBack:
    """Read the image again from its medium before it is burnt.

    Raises:
        DiscDamagedError: It is no longer what was made.
    """
    found = read_back(
        image_path(folder, image.disc), sectors=image.sectors, files=image.files, expected=image.digests,
        blocks=image.blocks, told=lambda done, whole: told("reading", done, whole),
    )  # fmt: skip
    if found.sha256 != image.sha256:
        raise DiscDamagedError(
            "the image is no longer what was made", kept="The stores keep the footage.", todo="Make the image again."
        )
    return found
