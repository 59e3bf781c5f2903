"""Clearing as persons see it: how it stands, what a reviewer looks at, proposing, stopping and going on.

A reviewer sees of each item what a decision needs: its poster, why it is due, cases and holds it ever had, and warnings where
something else of the same officer and time suggests that it may be asked for (R10). Nothing here decides.

Source: RULES R10, R23; docs/disposal.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import LinkRow, MatterFilter, MatterRow
from catalogue.records import RecordingRow
from evidence.clock import Clock
from evidence.digest import Digest
from evidence.errors import NotFoundError, StateConflictError
from evidence.ids import MatterId, RecordingId, UnitId
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.looking import MatterView
from retention.decide import Decision
from retention.disposal_checks import STOP, Judge, NotNow, determinations, not_now, stopped_by
from retention.disposal_duty import waits_of
from retention.disposal_forms import EXECUTING, NOTICE
from retention.disposal_list import BATCH, ITEM, LEFT
from retention.disposal_proposals import propose
from retention.facts import MEANINGS, Meaning, matters_of, rows_of
from retention.holds import holds_of_each

#: Items on one page of a review.
PAGE: Final = 24
#: So long around a recording something else of its officer is a warning.
_NEAR: Final = timedelta(days=30)
_WARNINGS_MAX: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingStatus:
    """How clearing stands in this home.

    Attributes:
        mode: ``review`` or ``automatic``.
        schedule: Number of the schedule in force.
        notice_days: Days of notice.
        clock_believed: Without it nothing is due and nothing goes.
        stop: The stop that stands.
        determinations: Those that hold now.
        batches: How many stand in each state, of those the asker may know.
    """

    mode: str
    schedule: str
    notice_days: int
    clock_believed: bool
    stop: MatterRow | None
    determinations: Sequence[MatterRow]
    batches: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One line of a list as a reviewer sees it.

    Attributes:
        link: The line.
        row: The recording, None where the reader may not know of it.
        decision: What the rules say now.
        matters: Cases, procedures and holds it has or had, as far as the reader may know of them.
        hidden: How many more there are.
        warnings: Matters of the same officer around its time.
        holds_standing: Holds that stand now.
        waits: What it waited for at the last try.
        until: Until when, where there is a date.
        poster: It has one.
    """

    link: LinkRow
    row: RecordingRow | None
    decision: Decision | None = None
    matters: Sequence[MatterRow] = ()
    hidden: int = 0
    warnings: Sequence[MatterRow] = ()
    holds_standing: int = 0
    waits: str = ""
    until: str = ""
    poster: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A page of a batch's list.

    Attributes:
        items: The lines.
        total: Of the whole list.
        left: What was left out, with why.
        not_now: Why the whole batch does not go on now.
        waits: What the whole batch waited for at the last try.
        cleared: How many of the list have their tombstone.
    """

    items: Sequence[ReviewItem]
    total: int
    left: Sequence[LinkRow]
    not_now: Sequence[NotNow] = ()
    waits: str = ""
    cleared: int = 0


class Seeing(Authoriser, Protocol):
    """An authoriser that enters what was seen."""

    def allowed(
        self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "", sha256: str = ""
    ) -> object:
        """Decide and enter; raises AccessDeniedError."""
        ...


@dataclass(slots=True)
class _Known:
    matters: list[MatterRow] = field(default_factory=list)
    hidden: int = 0


class ClearingDesk:
    """Clearing for persons. Thread-safe.

    Args:
        catalogue: Where it stands.
        desk: Opens matters and acts on them; tells who may know of which.
        authoriser: Asked at every act; enters looks at pictures.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, desk: MatterDesk, authoriser: Seeing, clock: Clock) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._authoriser = self._gate = authoriser
        self._clock = clock

    def status(self, actor: Actor) -> ClearingStatus:
        """How clearing stands.

        Raises:
            AccessDeniedError: Not theirs to see (entered).
        """
        self._authoriser.require(actor, Action.DISPOSAL_SEE, detail="clearing")
        with self._catalogue.read() as uow:
            judge = Judge.of(uow, self._clock.now())
            stop, orders = stopped_by(uow), determinations(uow, judge.now)
        counted = self._desk.counts(actor, MatterFilter(kinds=(BATCH,)))
        current = judge.schedules.current
        return ClearingStatus(
            mode=current.mode.value, schedule=current.number, notice_days=current.notice_days,
            clock_believed=judge.now.believed, stop=stop, determinations=orders,
            batches={state: number for (_kind, state), number in counted.items()},
        )  # fmt: skip

    def propose(
        self, actor: Actor, *, unit: UnitId | None = None, recordings: Sequence[RecordingId] = (), note: str = ""
    ) -> MatterRow:
        """Propose a batch; :func:`retention.disposal_proposals.propose`."""
        return propose(
            self._catalogue, self._desk, self._authoriser, self._clock, actor, unit=unit, recordings=recordings, note=note
        )  # fmt: skip

    def stop(self, actor: Actor, reason: str) -> MatterRow:
        """Stop all clearing before the next item. Raises as :meth:`MatterDesk.open`; PolicyUnmetError where a stop stands."""
        return self._desk.open(actor, STOP, {"reason": reason})

    def go_on(self, actor: Actor, looked_at: str) -> MatterRow:
        """Let clearing go on; never who stopped it.

        Raises:
            StateConflictError: It is not stopped. AccessDeniedError: No right, or the same person (entered).
        """
        self._authoriser.require(actor, Action.DISPOSAL_SEE, detail="clearing go-on")
        with self._catalogue.read() as uow:
            stop = stopped_by(uow)
        if stop is None:
            raise StateConflictError("clearing is not stopped")
        return self._desk.act(actor, stop.id, "go-on", {"looked_at": looked_at})

    def review(self, actor: Actor, view: MatterView, *, after: int = 0) -> Review:
        """A page of a batch's list, as this reader may see it.

        Args:
            actor: Who looks.
            view: The batch as they see it (:meth:`MatterDesk.view`).
            after: So many lines before this page.
        """
        links = sorted((one for one in view.links if one.role == ITEM), key=lambda one: one.target)
        page = links[after : after + PAGE]
        left = sorted((one for one in view.links if one.role == LEFT), key=lambda one: one.target)
        with self._catalogue.read() as uow:
            judge = Judge.of(uow, self._clock.now())
            waits = waits_of(uow, view.row.id)
            wanted = [RecordingId(one.target) for one in page]
            rows = {row.id: row for row in rows_of(uow, wanted)}
            allowed = self._allowed(actor, [rows[one] for one in wanted if one in rows])
            items = [
                self._item(judge, actor, link, rows[RecordingId(link.target)], told=waits.get(link.target, {}))
                if RecordingId(link.target) in allowed
                else ReviewItem(link=link, row=None)
                for link in page
            ]
            rules = uow.rules.of_each([RecordingId(one.target) for one in links])
            reasons = not_now(judge, view.row) if view.row.state in (NOTICE, EXECUTING) else []
        return Review(
            items=items, total=len(links), left=left, not_now=reasons, waits=str(waits.get("", {}).get("why", "")),
            cleared=sum(1 for one in rules.values() if one.disposed_at is not None),
        )  # fmt: skip

    def poster(self, actor: Actor, matter: MatterId, recording: RecordingId) -> tuple[Digest, str]:
        """The picture of a listed recording, for who reviews or approves the batch: its digest and media type. Entered.

        What is decided on has to be seen, though the rest of the footage is not shown by this right.

        Raises:
            NotFoundError: It is not in the list, or has no picture. AccessDeniedError: Not theirs to decide on (entered).
        """
        view = self._desk.view(actor, matter)
        listed = view.row.kind == BATCH and any(one.role == ITEM and one.target == recording for one in view.links)
        if not listed:
            raise NotFoundError("there is no such recording in this list")
        with self._catalogue.read() as uow:
            row = uow.recordings.get(recording)
            made = [one for one in uow.derivatives.of(recording) if one.kind == "poster"]
        scope = ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)
        decides = self._authoriser.decide(actor, Action.DISPOSAL_APPROVE, scope).allowed
        action = Action.DISPOSAL_APPROVE if decides else Action.DISPOSAL_PROPOSE
        sha256 = row.sha256.hex if row.sha256 is not None else ""
        self._gate.allowed(actor, action, scope, detail=f"poster in {view.row.number}", sha256=sha256)
        if not made:
            raise NotFoundError("no picture was made of this recording")
        return made[-1].sha256, made[-1].media_type

    def _allowed(self, actor: Actor, rows: Sequence[RecordingRow]) -> set[RecordingId]:
        scopes = [ObjectScope(unit=row.unit, officer=row.officer, recording=row.id) for row in rows]
        decided = self._authoriser.decide_each(actor, Action.RECORDING_LIST, scopes)
        return {row.id for row, decision in zip(rows, decided, strict=True) if decision.allowed}

    def _item(
        self, judge: Judge, actor: Actor, link: LinkRow, row: RecordingRow, *, told: dict[str, str]
    ) -> ReviewItem:
        uow = judge.uow
        concerned = [one for one in matters_of(uow, row) if one.kind != BATCH and _tells(one)]
        known = self._known(actor, concerned)
        return ReviewItem(
            link=link, row=row, decision=judge.decision(row), matters=known.matters, hidden=known.hidden,
            warnings=self._known(actor, _near(uow, row, {one.id for one in concerned})).matters[:_WARNINGS_MAX],
            holds_standing=len(holds_of_each(uow, [row.id])[row.id].standing), waits=told.get("why", ""),
            until=told.get("until", ""), poster=any(one.kind == "poster" for one in uow.derivatives.of(row.id)),
        )  # fmt: skip

    def _known(self, actor: Actor, matters: Sequence[MatterRow]) -> _Known:
        seen = self._desk.known(actor, [one.id for one in matters])
        return _Known(
            [seen[one.id] for one in matters if one.id in seen], sum(1 for one in matters if one.id not in seen)
        )


def _tells(row: MatterRow) -> bool:
    """Cases, procedures and holds say something about whether footage may still be asked for."""
    return row.kind == "hold" or MEANINGS.get(row.kind, Meaning.PROCEDURE) in (Meaning.CASE, Meaning.PROCEDURE)


def _near(uow: UnitOfWork, row: RecordingRow, known: set[MatterId]) -> list[MatterRow]:
    """Cases, procedures and holds that somebody with a part in them recorded this around: a decision or complaint may match."""
    at: datetime | None = row.started_at or row.acquired_at
    if row.officer is None or at is None:
        return []
    found = uow.matters.find(
        MatterFilter(person=row.officer, opened_from=at - _NEAR, opened_to=at + _NEAR), limit=50
    )  # fmt: skip
    return [one for one in found if one.id not in known and _tells(one)]
