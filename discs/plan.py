"""Which file goes on which disc: in time order, never a file split, room kept for what every disc carries of the whole set.

Pure. Filling discs tighter by shuffling files saves at most one disc and loses the order in which a case is read, so the order
stays. What is kept free is an estimate on the safe side; the image is measured again before a byte is written.

Source: R12; docs/formats/disc.md "Plan".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from discs.media import SECTOR_BYTES, kinds_that_hold, sectors_of
from discs.names import disc_name
from evidence.errors import DiscPlanError, InvalidInputError

FOLDERS: Final = ("音像", "文书")
#: Directories, path tables, the verifier page, the end of the track.
_FIXED_BYTES: Final = 4 << 20
#: A file's lines in both lists and both pages, on every disc.
_LISTED_BYTES: Final = 4096
#: A file's directory records and check sum, on its own disc.
_ENTERED_BYTES: Final = 2048
FILES_MAX: Final = 100_000
#: More in one folder and reading and writing it become slow everywhere: larger sets get folders below.
_FOLDER_FILES_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that shall go on a disc.

    Attributes:
        key: The caller's identity of it, unique in the set.
        sha256: Digest of its bytes, hexadecimal.
        size_bytes: Their number.
        untrusted_name: Its original name.
        order: Text by which the set is ordered (start time in UTC).
        folder: One of :data:`FOLDERS`.
        facts: What the manifest tells about it besides (text by word).
    """

    key: str
    sha256: str
    size_bytes: int
    untrusted_name: str
    order: str
    folder: str = FOLDERS[0]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file with its place: the disc (from 1) and the path there, unique in the whole set."""

    source: SourceFile
    disc: int
    path: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A file that no disc of the planned kind can carry, and the kinds that could."""

    source: SourceFile
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The set.

    Attributes:
        sectors: Capacity of one medium as planned with.
        discs: How many discs.
        files: Every placed file, in order.
        too_large: What fits on no such disc; a plan with any of these cannot be made as it is.
    """

    sectors: int
    discs: int
    files: tuple[PlacedFile, ...]
    too_large: tuple[TooLarge, ...] = ()

    def on(self, disc: int) -> tuple[PlacedFile, ...]:
        """The files of one disc."""
        return tuple(placed for placed in self.files if placed.disc == disc)

    def require_whole(self) -> None:
        """Return when every file has its place.

        Raises:
            DiscPlanError: One has not, or there is no file; says what can be done.
        """
        if self.too_large:
            first = self.too_large[0]
            kinds = ", ".join(first.kinds)
            way = f"Use {kinds}" if kinds else "No optical disc holds it: hand the original over on a hard disk"
            raise DiscPlanError(
                f"{len(self.too_large)} file(s) are larger than this kind of disc, the first is"
                f" {first.source.untrusted_name[:80]} with {first.source.size_bytes:,} bytes; an original is never split",
                kept="Nothing was planned; the stores keep the footage.",
                todo=f"{way}, or take the file out of the set.",
            )
        if not self.files:
            raise DiscPlanError("there is nothing to lay on a disc", todo="Choose recordings.")


def reserve_bytes(files: int, common_bytes: int) -> int:
    """Room that every disc keeps for what it carries of the whole set."""
    return _FIXED_BYTES + _LISTED_BYTES * files + common_bytes


def make_plan(files: Sequence[SourceFile], *, sectors: int, common_bytes: int = 0) -> Plan:
    """Lay files on as few discs as their order allows.

    Args:
        files: In any order.
        sectors: Capacity of one medium.
        common_bytes: Size of what goes on every disc besides (proofs, the verifier).

    Raises:
        InvalidInputError: A file twice, an unknown folder, or more files than a set may have.
        DiscPlanError: The capacity does not even hold what every disc must carry.
    """
    if len(files) > FILES_MAX:
        raise InvalidInputError(f"a disc set has at most {FILES_MAX:,} files", todo="Make several sets.")
    if len({one.key for one in files}) != len(files):
        raise InvalidInputError("a file is in the set twice")
    if any(one.folder not in FOLDERS or one.size_bytes < 0 for one in files):
        raise InvalidInputError("a file has an unknown folder or no size")
    room = sectors - sectors_of(reserve_bytes(len(files), common_bytes))
    if room <= 0:
        raise DiscPlanError(
            f"the lists of {len(files):,} files and their proofs fill a disc of {sectors * SECTOR_BYTES:,} bytes",
            todo="Use a larger kind of disc or make several sets.",
        )
    placed, large, disc, used = [], [], 1, 0
    digits = len(str(len(files)))
    for number, one in enumerate(sorted(files, key=lambda file: (file.order, file.key)), 1):
        needs = sectors_of(one.size_bytes + _ENTERED_BYTES)
        if needs > room:
            whole = needs + (sectors - room)
            large.append(TooLarge(one, tuple(kind.name for kind in kinds_that_hold(whole))))
            continue
        if used + needs > room:
            disc, used = disc + 1, 0
        used += needs
        below = f"{(number - 1) // _FOLDER_FILES_MAX:03d}/" if len(files) > _FOLDER_FILES_MAX else ""
        path = f"{one.folder}/{below}{disc_name(number, one.untrusted_name, digits=digits)}"
        placed.append(PlacedFile(one, disc, path))
    return Plan(sectors, disc if placed else 0, tuple(placed), tuple(large))
