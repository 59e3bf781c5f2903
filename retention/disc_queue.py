"""What waits for a disc, on which discs a recording is, and which discs are to be looked at. Changes nothing.

A recording is *on a disc* only by discs whose full read-back was good; whatever else there is, is told as what it is.

Source: RULES R11, R12; docs/invariants.md 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from evidence.clock import Clock, from_text
from evidence.ids import RecordingId
from evidence.model import Action, Actor
from evidence.ports import Authoriser
from retention import disc_terms as terms
from retention.disc_set_form import discs_of

_DUE_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisc:
    """One disc that a recording is on.

    Attributes:
        owner: The set.
        disc: The disc.
        copy: Letter of the copy.
        counts: Its read-back was good and it is still there.
        verified_at: When it was last read back.
    """

    owner: MatterRow
    disc: MatterRow
    copy: str
    counts: bool
    verified_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscStanding:
    """Where a recording stands with discs: the set it is planned for or on, and its discs in that set.

    ``long_term``: it is to be on discs (R11), whether it is or not.
    """

    owner: MatterRow | None
    discs: Sequence[OnDisc]
    long_term: bool = False

    @property
    def copies(self) -> int:
        """How many discs count."""
        return len({one.copy for one in self.discs if one.counts})


def _is_long_term(uow: UnitOfWork, recording: RecordingId) -> bool:
    said, date = uow.rules.of(recording), uow.rules.date_of(recording)
    flagged = said.long_term or said.complaint or said.obstruction or said.sensitive
    return flagged or (date is not None and date.state == "permanent")


def standing_of(uow: UnitOfWork, recording: RecordingId) -> DiscStanding:
    """The newest set that is not closed, and the recording's discs in it."""
    long_term = _is_long_term(uow, recording)
    sets = [
        row for row in uow.matters.linked_to(recording, kinds=(terms.DISC_SET,))
        if row.state not in (terms.WITHDRAWN, terms.MIGRATED)
    ]  # fmt: skip
    if not sets:
        return DiscStanding(owner=None, discs=(), long_term=long_term)
    owner = max(sets, key=lambda row: (row.state in (terms.REGISTERED, terms.VERIFIED), str(row.id)))
    (link,) = [one for one in uow.matters.links(owner.id, role=terms.FOOTAGE) if one.target == recording]
    wanted = int(link.facts.get("disc", "0"))
    discs = [
        OnDisc(
            owner=owner, disc=one, copy=str(one.facts.get("copy", "")), counts=one.state in terms.GOOD,
            verified_at=from_text(str(one.facts["read_at"])) if one.facts.get("read_at") else None,
        )
        for one in discs_of(uow, owner.id)
        if one.facts.get("disc") == wanted and one.state != terms.SPOILT
    ]  # fmt: skip
    return DiscStanding(owner=owner, discs=discs, long_term=long_term)


def discs_due(uow: UnitOfWork, now: datetime) -> list[MatterRow]:
    """Discs whose yearly look or whose return is due."""
    return [row for row in uow.matters.due(before=now, limit=_DUE_MAX) if row.kind == terms.DISC]


class DiscDesk:
    """What pages, API and command line ask about discs.

    Args:
        catalogue: Sets, discs and recordings.
        authoriser: Asked before anything is told.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, authoriser: Authoriser, clock: Clock) -> None:
        self._catalogue = catalogue
        self._authoriser = authoriser
        self._clock = clock

    def waiting(self, actor: Actor, *, after: RecordingId | None = None, limit: int = 50) -> list[RecordingRow]:
        """Long-term recordings in no disc set that this person may know of, oldest first.

        Raises:
            AccessDeniedError: Not theirs to see (entered).
        """
        self._authoriser.require(actor, Action.DISC_SEE, detail="waiting")
        seen = self._authoriser.visibility(actor, Action.RECORDING_LIST)
        with self._catalogue.read() as uow:
            found = uow.disc_queue.waiting(
                kind=terms.DISC_SET, role=terms.FOOTAGE, closed=(terms.WITHDRAWN, terms.MIGRATED), seen=seen, after=after,
                limit=limit,
            )  # fmt: skip
            return [uow.recordings.get(recording) for recording in found]

    def standing(self, recording: RecordingId) -> DiscStanding:
        """Where a recording stands with discs; whoever asks was let through to the recording before."""
        with self._catalogue.read() as uow:
            return standing_of(uow, recording)

    def due(self, actor: Actor) -> list[MatterRow]:
        """Discs to be looked at or to come back that this person may know of; AccessDeniedError as :meth:`waiting`."""
        self._authoriser.require(actor, Action.DISC_SEE, detail="due")
        seen = self._authoriser.visibility(actor, Action.DISC_SEE)
        with self._catalogue.read() as uow:
            return [
                row for row in discs_due(uow, self._clock.now().wall)
                if seen.everything or row.unit in seen.units
                or actor.agent in {row.opened_by, *(one.agent for one in uow.matters.persons(row.id))}
            ]  # fmt: skip
