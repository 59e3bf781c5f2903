"""Burning: an image onto one blank medium in one closed session, by the same program for burners and for files.

Burning proves nothing; :mod:`discs.check` reads the disc afterwards. Crash or power cut: a write-once disc is spoilt and a file
that stands for one is occupied; either way it is not blank any more, so it is refused next time and a new one is taken.

Source: R12; xorriso(1) ``-as cdrecord``: ``-dao`` without ``-multi`` closes, ``padsize=0`` adds nothing; docs/formats/disc.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from discs import xorriso
from discs.drive import Drive, Medium, look, require_blank
from discs.image import DiscImage, Told, image_path, untold
from discs.media import SECTOR_BYTES
from evidence.durable import fsync_dir, fsync_file
from evidence.errors import DiscError, DiscMediumError


@dataclass(frozen=True, slots=True)
class Burnt:
    """What was burnt: the image onto the medium as it was found before."""

    sectors: int
    medium: Medium


def dry_check(drive: Drive, image: DiscImage, *, capacity_sectors: int | None = None) -> Medium:
    """Everything that can be told without writing: the drive answers, the medium is blank and large enough.

    Raises:
        DiscDriveError: No drive or no disc. DiscMediumError: not blank or too small.
    """
    medium = look(drive)
    require_blank(medium, sectors=image.sectors, capacity_sectors=capacity_sectors)
    return medium


def reload_tray(drive: Drive) -> None:
    """Take the tray out and in, so that the next read comes from the disc and not from the drive's memory.

    A drive that cannot draw its tray in again (a laptop's) says so; then a person does it before the read-back.
    """
    if not drive.is_file:
        xorriso.run(["-outdev", drive.address, "-eject", "all", "-end"], timeout_s=120, check=False)
        xorriso.run(["-indev", drive.address, "-toc", "-end"], timeout_s=300)


def burn(
    folder: Path, image: DiscImage, drive: Drive, *, capacity_sectors: int | None = None, told: Told = untold
) -> Burnt:
    """Burn an image and close the disc. Returns when the drive (or the file system) says that everything is on it.

    Raises:
        DiscDriveError: No drive or no disc. DiscMediumError: not blank or too small; nothing was written.
        DiscError: It failed while burning: the disc is spoilt.
    """
    source = image_path(folder, image.disc)
    if not source.is_file() or source.stat().st_size != image.sectors * SECTOR_BYTES:
        raise DiscError("the image is not there", kept="The stores keep the footage.", todo="Make the image again.")
    medium = dry_check(drive, image, capacity_sectors=capacity_sectors)
    told("burning", 0, image.sectors)
    arguments = ["-as", "cdrecord", f"dev={drive.address}", "-v", "-dao", "padsize=0", str(source)]
    try:
        xorriso.run(
            arguments, timeout_s=7200 + image.sectors / 128,
            on_sectors=lambda done: told("burning", min(done, image.sectors), image.sectors),
        )  # fmt: skip
    except DiscMediumError:
        raise
    except DiscError as error:
        raise DiscError(
            f"burning failed, the disc is spoilt: {error.what}",
            kept="The image and the stores keep the footage.",
            todo="Mark the disc as spoilt and burn a new one.",
        ) from error
    if drive.is_file:
        fd = os.open(drive.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fsync_file(fd)
        finally:
            os.close(fd)
        fsync_dir(drive.path.parent)
    else:
        reload_tray(drive)
    told("burning", image.sectors, image.sectors)
    return Burnt(image.sectors, medium)
