"""Drives and the medium in them: found, asked, and judged before a byte is written.

A drive is a burner (``/dev/sr0``) or, for places without one, a file that stands for a medium (``stdio:/path``). The answers
are xorriso's. A file that stands for a medium follows a medium's rules: what holds anything already is occupied for good.

Source: xorriso(1) ``-devices``, ``-toc``; docs/formats/disc.md "Drives".
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from discs import xorriso
from discs.media import SECTOR_BYTES
from evidence.durable import free_bytes
from evidence.errors import DiscDriveError, DiscMediumError, UsageError

_STDIO: Final = "stdio:"
_BURNER = re.compile(r"/dev/(?:sr\d{1,3}|scd\d{1,3}|cdrom|dvd|cdrw|dvdrw|disk/by-(?:id|path)/[\w.:+-]{1,200})")
_DEVICE = re.compile(r"^\s*\d+\s+-dev '([^']+)'\s+\S+\s*:\s*'([^']*)'\s*'([^']*)'")
_BLOCKS = re.compile(r"^Media blocks : (\d+) readable , (\d+) writable , (\d+) overall")


@dataclass(frozen=True, slots=True)
class Drive:
    """Where a disc is burnt or read: a burner's device, or the file that stands for a medium."""

    address: str

    def __post_init__(self) -> None:
        """Refuse whatever is neither a burner nor an absolute path behind ``stdio:``."""
        path = self.address.removeprefix(_STDIO)
        if self.is_file:
            if (
                not path.startswith("/")
                or any(not character.isprintable() for character in path)
                or ".." in path.split("/")
            ):
                raise UsageError(f"not a file for a disc: {self.address[:120]!r}", todo="Write stdio:/full/path.iso.")
        elif not _BURNER.fullmatch(self.address):
            raise UsageError(
                f"not a burner: {self.address[:120]!r}", todo="Write /dev/sr0 or the like, or stdio:/full/path.iso."
            )

    @property
    def is_file(self) -> bool:
        """Whether a file stands for the medium."""
        return self.address.startswith(_STDIO)

    @property
    def path(self) -> Path:
        """What is opened to read."""
        return Path(self.address.removeprefix(_STDIO))

    def require_ordinary_file(self, *, new: bool) -> None:
        """A file that stands for a medium must be an ordinary file, never a device or a link that leads to one.

        Raises:
            DiscDriveError: It is something else, its folder is not there, or (``new`` unset) there is no file.
        """
        if not self.is_file:
            return
        try:
            kind = os.lstat(self.path).st_mode
        except FileNotFoundError as error:
            if new and self.path.parent.is_dir():
                return
            what = "there is no folder for" if new else "there is no file"
            raise DiscDriveError(f"{what} {self.path}", todo="Check the path.") from error
        except OSError as error:
            raise DiscDriveError(f"cannot look at {self.path}: {os.strerror(error.errno or 0)}") from error
        if not stat.S_ISREG(kind):
            raise DiscDriveError(
                f"{self.path} is no ordinary file", kept="Nothing was written.", todo="Name a file for stdio:."
            )


@dataclass(frozen=True, slots=True)
class Medium:
    """What is in a drive.

    Attributes:
        kind: What the drive calls it (``DVD+R``, ``stdio file, overwriteable``).
        blank: Whether nothing was ever written to it.
        free_sectors: What can be written.
        product: The maker's identification of the medium, empty where the drive tells none.
        drive: Vendor and product of the drive.
    """

    kind: str
    blank: bool
    free_sectors: int
    product: str
    drive: str


@dataclass(frozen=True, slots=True)
class FoundDrive:
    """A burner of this machine."""

    address: str
    name: str


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text).strip()[:120]


def list_drives() -> tuple[FoundDrive, ...]:
    """The burners of this machine, none when there is none (or no right to use them)."""
    said = xorriso.run(["-devices", "-end"], timeout_s=120, check=False)
    found = (_DEVICE.match(line) for line in said.untrusted_results)
    return tuple(FoundDrive(_shown(one[1]), _shown(f"{one[2]} {one[3]}")) for one in found if one is not None)


def _field(lines: tuple[str, ...], name: str) -> str:
    for line in lines:
        label, colon, value = line.partition(":")
        if colon and label.strip() == name:
            return _shown(value)
    return ""


def parse_medium(untrusted_results: tuple[str, ...]) -> Medium:
    """What xorriso's table of contents says of the medium.

    Raises:
        DiscDriveError: There is none, or the answer cannot be understood.
    """
    kind, status = _field(untrusted_results, "Media current"), _field(untrusted_results, "Media status")
    if not kind or "not recognizable" in kind or "is not present" in kind or "not present" in status:
        raise DiscDriveError("there is no disc in the drive", todo="Lay in a blank disc and close the tray.")
    blocks = next((match for line in untrusted_results if (match := _BLOCKS.match(line))), None)
    return Medium(
        kind=kind,
        blank="is blank" in status,
        free_sectors=int(blocks[2]) if blocks else 0,
        product=_field(untrusted_results, "Media product"),
        drive=_field(untrusted_results, "Drive type"),
    )


def look(drive: Drive) -> Medium:
    """Ask a drive what is in it; changes nothing.

    Raises:
        DiscDriveError: No such drive, no rights, or no disc.
    """
    drive.require_ordinary_file(new=True)
    if drive.is_file:
        size = drive.path.stat().st_size if drive.path.exists() else 0
        return Medium("stdio file", size == 0, free_bytes(drive.path.parent) // SECTOR_BYTES, "", "stdio")
    return parse_medium(xorriso.run(["-outdev", drive.address, "-toc", "-end"], timeout_s=300).untrusted_results)


def require_blank(medium: Medium, *, sectors: int, capacity_sectors: int | None = None) -> None:
    """Return when an image of that length can be burnt.

    Args:
        medium: What is in the drive.
        sectors: Length of the image.
        capacity_sectors: What the kind of medium holds, where a file stands for it.

    Raises:
        DiscMediumError: It holds something already, or is too small. Nothing was written.
    """
    if not medium.blank:
        raise DiscMediumError(
            f"the disc is not blank ({medium.kind})",
            kept="Nothing was written to it.",
            todo="Lay in a new disc; discs are closed after burning and nothing is ever added to one.",
        )
    free = medium.free_sectors if capacity_sectors is None else min(medium.free_sectors, capacity_sectors)
    if free < sectors:
        raise DiscMediumError(
            f"the disc holds {free:,} sectors, the image has {sectors:,}",
            kept="Nothing was written to it.",
            todo="Lay in a larger disc.",
        )
