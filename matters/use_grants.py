"""Which grants for use (R17) are valid: what the gate asks before archived footage is watched, copied or exported.

A grant is a matter of the kind :data:`KIND` (its form is in ``cases/access_grant.py``). Here stands only what both sides must
agree upon: the names of its fields and when it counts.

Source: RULES R17.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import MatterRow
from evidence.clock import from_text
from evidence.events import AccessAllowed
from evidence.ids import AgentId, MatterId, RecordingId
from evidence.model import Action

KIND: Final = "access-grant"
#: The state in which it counts.
VALID: Final = "valid"
#: Link to what may be used.
FOOTAGE: Final = "footage"
#: Public facts.
HOLDER: Final = "holder"
RIGHTS: Final = "rights"
BEGINS: Final = "begins"
ENDS: Final = "ends"
USES_MOST: Final = "uses_most"
#: What a right allows.
ACTIONS: Final[Mapping[str, Action]] = {
    "view": Action.RECORDING_VIEW,
    "copy": Action.RECORDING_COPY,
    "export": Action.RECORDING_EXPORT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UseGrant:
    """A grant that is valid now.

    Attributes:
        id: Its identity.
        number: What people call it.
        rights: What it allows.
        ends: Until when.
        uses_most: So many uses at most; 0 without bound.
    """

    id: MatterId
    number: str
    rights: frozenset[Action]
    ends: datetime
    uses_most: int


def read(row: MatterRow, holder: AgentId, at: datetime) -> UseGrant | None:
    """The grant in a row when it is this person's and valid at a moment; None otherwise."""
    facts = row.facts
    if row.kind != KIND or row.state != VALID or facts.get(HOLDER) != holder:
        return None
    ends = from_text(facts[ENDS])
    if not from_text(facts[BEGINS]) <= at < ends:
        return None
    return UseGrant(
        id=row.id, number=row.number, rights=frozenset(ACTIONS[one] for one in facts[RIGHTS]), ends=ends,
        uses_most=int(facts.get(USES_MOST, 0)),
    )  # fmt: skip


def valid_for(
    uow: UnitOfWork, holder: AgentId, recordings: Collection[RecordingId], at: datetime
) -> dict[str, list[UseGrant]]:
    """Valid grants of a person by recording, the one that ends last first; recordings without any are left out."""
    found: dict[str, list[UseGrant]] = {}
    for recording, rows in uow.matters.linked_to_each([str(one) for one in recordings], kinds=(KIND,)).items():
        grants = [grant for row in rows if (grant := read(row, holder, at)) is not None]
        if grants:
            found[recording] = sorted(grants, key=lambda one: (one.ends, one.id), reverse=True)
    return found


def uses_of(uow: UnitOfWork, grant: MatterId) -> int:
    """How often a grant was used: uses are numbered from 1 without gaps."""
    return max(
        (
            int(entry.public.get("use", 0))
            for entry in uow.matter_timeline(grant)
            if entry.event_type == AccessAllowed.TYPE
        ),
        default=0,
    )


def latest(uow: UnitOfWork, now: datetime) -> datetime:
    """The moment by which periods of use are judged: a clock that was set back revives no grant and opens no archive."""
    mark = uow.clock_marks.highest()
    return now if mark is None else max(now, mark)
