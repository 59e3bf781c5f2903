"""Kinds of optical media and how much each holds, for planning without a drive; a drive that is there is asked instead.

Counts are 2048-byte sectors. Recordable Blu-ray is counted as formatted with spare areas, which is the smaller figure, and
DVD without a sign as DVD+R, the smaller of the two: a plan made from the table fits whichever brand is bought.

Source: R12; ECMA-267/349/364 (DVD), measured and published figures in docs/formats/disc.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evidence.errors import UsageError

SECTOR_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class MediumKind:
    """One kind of medium.

    Attributes:
        name: Stable word for settings, commands and the register.
        sectors: What fits, in 2048-byte sectors.
        title: What is printed on its box.
    """

    name: str
    sectors: int
    title: str


KINDS: Final = (
    MediumKind("cd-r", 359_844, "CD-R 80"),
    MediumKind("dvd+r", 2_295_104, "DVD+R 4.7 GB"),
    MediumKind("dvd-r", 2_298_496, "DVD-R 4.7 GB"),
    MediumKind("dvd+r-dl", 4_173_824, "DVD+R DL 8.5 GB"),
    MediumKind("bd-r", 11_826_176, "BD-R 25 GB"),
    MediumKind("bd-r-dl", 23_652_352, "BD-R DL 50 GB"),
)


def medium_kind(name: str) -> MediumKind:
    """The kind of that name.

    Raises:
        UsageError: There is none.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise UsageError(f"unknown kind of disc {name[:40]!r}", todo=f"Known: {', '.join(kind.name for kind in KINDS)}.")


def kinds_that_hold(sectors: int) -> tuple[MediumKind, ...]:
    """Every kind that holds so many sectors, the smallest first."""
    return tuple(sorted((kind for kind in KINDS if kind.sectors >= sectors), key=lambda kind: kind.sectors))


def sectors_of(size_bytes: int) -> int:
    """Sectors that a file of that size takes."""
    return -(-size_bytes // SECTOR_BYTES)
