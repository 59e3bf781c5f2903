"""Words about discs: how a recording stands with them."""

from __future__ import annotations

from typing import Any, Final

from api.web.marks import BAD, BUSY, GOOD, WARN, Mark
from catalogue.records import RecordingRow
from retention import disc_terms as terms
from retention.disc_queue import DiscDesk, DiscStanding

ON_DISCS: Final = Mark(GOOD, "check", "On two discs, each read back")
ON_FEWER: Final = Mark(WARN, "warn", "On fewer than two discs that were read back")
WANTING: Final = Mark(BAD, "warn", "A disc is damaged or lost")
PLANNED: Final = Mark(BUSY, "clock", "Planned for a disc")
WAITING: Final = Mark(WARN, "clock", "Waiting for a disc")


def mark_of(standing: DiscStanding) -> Mark:
    """How a recording stands."""
    if standing.owner is None:
        return WAITING
    if standing.owner.state == terms.WANTING:
        return WANTING
    if standing.copies >= 2:
        return ON_DISCS
    return PLANNED if not standing.discs else ON_FEWER


def part(desk: DiscDesk, row: RecordingRow) -> dict[str, Any]:
    """What the page of one recording says of discs: nothing where it is neither long-term nor on any."""
    standing = desk.standing(row.id)
    if standing.owner is None and not standing.long_term:
        return {"discs": None}
    return {"discs": standing, "discs_mark": mark_of(standing)}
