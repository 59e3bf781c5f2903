"""Until when a recording is kept, why, and what is due: what pages, API and command line ask. Changes nothing.

The answer is decided from the facts at the moment of asking, never read from a stored state: what a person is told is true or
says that it is not known (promise 7). Matters the asker may not know of (a confidential procedure, R23) keep the recording all
the same; they are told as a reason without number and kind.

Source: RULES R10, R11, R23; docs/invariants.md 7, 9, 10; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from catalogue import Catalogue, UnitOfWork
from catalogue.holds import HOLD
from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from evidence.calendar import local_date
from evidence.clock import Clock, unix_ms, utc_from_ms
from evidence.errors import InvalidInputError
from evidence.ids import RecordingId, UnitId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser
from matters.form import Forms
from matters.looking import has_part, is_kept_from
from matters.writing import folded_of
from retention.decide import Decision, Reason, Why, decide
from retention.facts import items_of, matters_of, now_of, rows_of, schedules_of
from retention.schedule import Schedule

_TICK: Final = timedelta(milliseconds=1)
#: Milliseconds of any date a calendar has.
_MS_DIGITS: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """Where one recording stands.

    Attributes:
        recording: Its row.
        decision: State, date and reasons, as far as the asker may know them.
        schedule: The version in force.
        as_of: When it was decided.
        clock_believed: Whether anything may be called over now.
    """

    recording: RecordingRow
    decision: Decision
    schedule: Schedule
    as_of: datetime
    clock_believed: bool

    @property
    def last_day(self) -> date | None:
        """The last day it is kept, in the bureau's calendar; None while there is no date."""
        due = self.decision.due_at
        return None if due is None else local_date(due - _TICK)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueList:
    """Recordings whose period is over, the longest ago first.

    Attributes:
        items: A page of them; what became stale since it was dated and is not due any more is left out.
        after: Where the next page begins; None at the end.
        as_of: When it was made.
        clock_believed: False: the list is empty because nothing can be called over.
    """

    items: Sequence[RetentionView]
    after: tuple[datetime, RecordingId] | None
    as_of: datetime
    clock_believed: bool

    @property
    def cursor(self) -> str:
        """``after`` as one text; empty at the end. :func:`cursor_from` reads it."""
        return "" if self.after is None else f"{unix_ms(self.after[0])}.{self.after[1]}"


def cursor_from(untrusted: str) -> tuple[datetime, RecordingId] | None:
    """Read :attr:`DueList.cursor`.

    Raises:
        InvalidInputError: No page gave it out.
    """
    if not untrusted:
        return None
    moment, _, recording = untrusted.partition(".")
    if not (moment.isascii() and moment.isdecimal() and len(moment) <= _MS_DIGITS):
        raise InvalidInputError("no page gave out this cursor", todo="Begin with the first page.")
    return utc_from_ms(int(moment)), RecordingId(recording)


class RetentionDesk:
    """Answers about dates of keeping. Thread-safe.

    Args:
        catalogue: Where the facts stand.
        authoriser: Asked at every call.
        clock: Injected time.
        forms: The kinds of matters, for who may know of which.
    """

    def __init__(self, catalogue: Catalogue, *, authoriser: Authoriser, clock: Clock, forms: Forms) -> None:
        self._catalogue = catalogue
        self._authoriser = authoriser
        self._clock = clock
        self._forms = forms

    def show(self, actor: Actor, recording: RecordingId) -> RetentionView:
        """Where one recording stands and why.

        Raises:
            NotFoundError: Unknown. AccessDeniedError: Not theirs to see (entered).
        """
        with self._catalogue.read() as uow:
            row = uow.recordings.get(recording)
        scope = ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)
        self._authoriser.require(actor, Action.RECORDING_SHOW, scope, detail="retention")
        with self._catalogue.read() as uow:
            [view] = self._views(uow, rows_of(uow, [recording]))
            known = self._known(uow, actor, row, view.decision.reasons)
        return replace(view, decision=_masked(view.decision, known))

    def due(
        self,
        actor: Actor,
        *,
        unit: UnitId | None = None,
        after: tuple[datetime, RecordingId] | None = None,
        limit: int = 50,
    ) -> DueList:
        """A page of what is due and may be known of.

        Args:
            actor: Who asks.
            unit: Only recordings of this department.
            after: Where the page before ended.
            limit: Most rows; at most ``PAGE_ROWS_MAX``.

        Raises:
            AccessDeniedError: No right to see what is to be cleared (entered).
        """
        limit = max(1, min(limit, PAGE_ROWS_MAX))
        self._authoriser.require(actor, Action.DISPOSAL_SEE, detail="due")
        visibility = self._authoriser.visibility(actor, Action.DISPOSAL_SEE)
        with self._catalogue.read() as uow:
            reading = self._clock.now()
            now = now_of(uow, reading)
            if not now.believed:
                return DueList(items=(), after=None, as_of=now.at, clock_believed=False)
            found = uow.rules.due(before=now.at + _TICK, limit=limit, after=after, seen=visibility, unit=unit)
            order = {row.recording: place for place, row in enumerate(found)}
            views = self._views(uow, rows_of(uow, list(order)))
        still = [one for one in views if one.decision.due_at is not None and one.decision.due_at <= now.at]
        still.sort(key=lambda one: order[one.recording.id])
        last = found[-1] if len(found) == limit else None
        following = (last.due_at, last.recording) if last is not None and last.due_at is not None else None
        return DueList(items=still, after=following, as_of=now.at, clock_believed=True)

    def _views(self, uow: UnitOfWork, rows: Sequence[RecordingRow]) -> list[RetentionView]:
        now = now_of(uow, self._clock.now())
        schedules = schedules_of(uow)
        items = items_of(uow, rows)
        return [
            RetentionView(
                recording=row,
                decision=decide(items[row.id], schedules, now),
                schedule=schedules.current,
                as_of=now.at,
                clock_believed=now.believed,
            )
            for row in rows
        ]

    def _known(self, uow: UnitOfWork, actor: Actor, row: RecordingRow, reasons: Iterable[Reason]) -> frozenset[str]:
        """Numbers of matters among the reasons that this person may know of."""
        linked = {one.number: one for one in matters_of(uow, row)}
        for one in reasons:
            if one.why is Why.HOLD and (hold := uow.matters.by_number(HOLD, one.subject)) is not None:
                linked[hold.number] = hold
        return frozenset(number for number, one in linked.items() if self._may_know(uow, actor, one))

    def _may_know(self, uow: UnitOfWork, actor: Actor, matter: MatterRow) -> bool:
        if matter.kind not in self._forms or not self._authoriser.offered(actor):
            return False
        folded = folded_of(uow, matter)
        if is_kept_from(
            folded, self._forms.of(matter.kind), actor.agent
        ):  # whom a complaint is about reads no number here
            return False
        if has_part(folded, actor.agent):
            return True
        scope = ObjectScope(unit=matter.unit, officer=matter.opened_by)
        return self._authoriser.decide(actor, self._forms.of(matter.kind).see, scope).allowed


#: Reasons that name a matter.
_OF_MATTERS: Final = frozenset(
    {
        Why.HOLD,
        Why.PROCEDURE,
        Why.CASE_OPEN,
        Why.CASE_ARCHIVE,
        Why.CASE_PERMANENT,
        Why.CASE_WITHOUT_PERIOD,
        Why.LITIGATION,
        Why.KEPT_BY_DETERMINATION,
        Why.IN_BATCH,
        Why.GONE,
    }
)
#: Of these the kind or period says something of the matter, too.
_TELLING: Final = frozenset({Why.HOLD, Why.PROCEDURE})


def _masked(decision: Decision, known: frozenset[str]) -> Decision:
    def told(one: Reason) -> Reason:
        if one.why not in _OF_MATTERS or not one.subject or one.subject in known:
            return one
        return replace(one, subject="", detail="" if one.why in _TELLING else one.detail)

    return replace(decision, reasons=tuple(told(one) for one in decision.reasons))
