"""What is due is put into batches: by the service, regularly, and on a person's wish.

For persons to review: once a week, a batch for each department. In mode ``automatic``: every day, what a determination that holds
names. What a person took out of a batch is not proposed again by the service for three months; persons may do so at any time.

Nothing is proposed by a clock that is not believed, and nothing while clearing is stopped.

Source: RULES R10; docs/disposal.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from catalogue.rules import RulesRow
from evidence.calendar import local_date
from evidence.clock import Clock
from evidence.errors import PolicyUnmetError
from evidence.ids import RecordingId, UnitId
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser
from matters.desk import MatterDesk
from matters.looking import present_unit
from matters.turn import Asked, NewLink
from retention.disposal_batch import BY_DETERMINATION, list_group
from retention.disposal_checks import PROTECTS, Judge, Protects, determinations, named_in, stopped_by
from retention.disposal_forms import APPROVE_BY_DETERMINATION, RESTORED
from retention.disposal_list import BATCH, ITEM, ITEMS_MAX, LEFT, group_of
from retention.facts import rows_of
from retention.schedule import DisposalMode

#: Where the last round stands: no evidence.
ROUND: Final = "clearing-round"
#: For so long the service does not propose again what a person took out.
DEFERRED: Final = timedelta(days=90)
_PAGE: Final = 200
#: Department and determination (empty where persons decide) -> recordings.
_Buckets = dict[tuple[UnitId | None, str], list[RecordingId]]


class Proposals:
    """Makes batches of what is due.

    Args:
        catalogue: Where it is found.
        desk: Opens them.
        clock: Injected time.
        protects: What else protects a recording.
    """

    def __init__(
        self, catalogue: Catalogue, *, desk: MatterDesk, clock: Clock, protects: Sequence[Protects] = PROTECTS
    ) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._clock = clock
        self._protects = protects
        self._after: tuple[datetime, RecordingId] | None = None

    def run(self, *, until: float, ticks: Callable[[], float]) -> int:
        """A slice of the day's round; returns how many batches were made. Goes on where it left off."""
        with self._catalogue.read() as uow:
            judge = Judge.of(uow, self._clock.now(), self._protects)
            if not judge.now.believed or stopped_by(uow) is not None:
                return 0
            today = local_date(judge.now.at)
            day, week = today.isoformat(), "-".join(map(str, today.isocalendar()[:2]))
            stand = _stand(uow)
            orders = determinations(uow, judge.now) if judge.schedules.current.mode is DisposalMode.AUTOMATIC else []
        if stand.get("day") == day:
            return 0
        weekly = stand.get("week") != week
        buckets: _Buckets = {}
        made = 0
        while True:
            page = self._page(buckets, orders, weekly=weekly)
            made += self._open(buckets, least=ITEMS_MAX)
            if not page or ticks() > until:
                break
        made += self._open(buckets, least=1)
        if not page:
            self._after = None
            with self._catalogue.begin() as uow:
                uow.settings.put(ROUND, json.dumps({"day": day, "week": week}))
        return made

    def _page(self, buckets: _Buckets, orders: Sequence[MatterRow], *, weekly: bool) -> bool:
        """Look through a page of what is due; False at its end."""
        with self._catalogue.read() as uow:
            judge = Judge.of(uow, self._clock.now(), self._protects)
            dates = uow.rules.due(before=judge.now.at, limit=_PAGE, after=self._after)
            if not dates:
                return False
            wanted = [one.recording for one in dates]
            rules = uow.rules.of_each(wanted)
            listed = {one for found in buckets.values() for one in found}
            for row in rows_of(uow, wanted):
                if row.id in listed or not _worth_a_look(row, rules[row.id]):
                    continue
                group = group_of(uow, row.id)
                if _was_taken_out(uow, group, since=judge.now.at - DEFERRED):
                    continue
                order = _order_for(judge, group, orders)
                if not order and (not weekly or list_group(judge, group)[1] is not None):
                    continue
                keeper = uow.recordings.get(group[0])
                buckets.setdefault((keeper.unit, order), []).extend(group)
                listed.update(group)
            last = dates[-1]
        self._after = (last.due_at, last.recording) if last.due_at is not None else None
        return self._after is not None

    def _open(self, buckets: _Buckets, *, least: int) -> int:
        made = 0
        for (unit, order), found in buckets.items():
            while len(found) >= least and found:
                part = found[:ITEMS_MAX]
                del found[:ITEMS_MAX]
                made += self._open_one(unit, order, part)
        return made

    def _open_one(self, unit: UnitId | None, order: str, recordings: Sequence[RecordingId]) -> int:
        links = [NewLink(role=ITEM, target=one) for one in recordings]
        facts = {BY_DETERMINATION: order} if order else {}
        try:
            with self._catalogue.begin() as uow:
                row = self._desk.open_within(uow, BATCH, Asked(facts=facts, links=links), unit=unit)
                if order:
                    self._desk.act_within(uow, row.id, APPROVE_BY_DETERMINATION)
        except PolicyUnmetError:  # something changed meanwhile: the next round looks again
            return 0
        return 1


def _stand(uow: UnitOfWork) -> dict[str, str]:
    try:
        found = json.loads(uow.settings.get(ROUND) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _worth_a_look(row: RecordingRow, rules: RulesRow) -> bool:
    """Whether it may be listed at all: a look that costs nothing, for thousands that nobody classified."""
    if rules.disposing_at is not None or rules.complaint or rules.obstruction or rules.sensitive or rules.long_term:
        return False
    return bool(rules.category) or row.attached_to is not None


def _was_taken_out(uow: UnitOfWork, group: Sequence[RecordingId], *, since: datetime) -> bool:
    """Whether a person took it out of a batch lately, or kept the whole batch after all."""
    grounds = {"needed", "complaint", "case", "unsure", "other"}
    for recording in group:
        for batch in uow.matters.linked_to(recording, kinds=(BATCH,)):
            if batch.state == RESTORED and batch.closed_at is not None and batch.closed_at > since:
                return True
            for link in uow.matters.links(batch.id, role=LEFT):
                if link.target == recording and link.since > since and link.facts.get("why") in grounds:
                    return True
    return False


def _order_for(judge: Judge, group: Sequence[RecordingId], orders: Sequence[MatterRow]) -> str:
    """The determination by which the group may be cleared without a person looking; empty for none."""
    for order in orders:
        if list_group(judge, group, named=named_in(order))[1] is None:
            return order.id
    return ""


# --- on a person's wish -----------------------------------------------------------------------------------------------
def propose(
    catalogue: Catalogue, desk: MatterDesk, authoriser: Authoriser, clock: Clock, actor: Actor, *,
    unit: UnitId | None = None, recordings: Sequence[RecordingId] = (), note: str = "",
) -> MatterRow:  # fmt: skip
    """Propose a batch: of these recordings, or of all that is due in a department and may be listed.

    Args:
        catalogue: Where it is found.
        desk: Opens the batch.
        authoriser: Asked at every act.
        clock: Injected time.
        actor: Who proposes.
        unit: The department; None for the actor's own.
        recordings: What is named; empty for all that is due.
        note: What the proposer says of it.

    Raises:
        AccessDeniedError: No right (entered). PolicyUnmetError: Nothing is due, or what is named may not be listed.
    """
    if unit is None:
        with catalogue.read() as uow:
            unit = present_unit(uow, actor.agent, clock.now().wall)
    scope = ObjectScope(unit=unit, officer=actor.agent)
    authoriser.require(actor, Action.DISPOSAL_PROPOSE, scope, detail=f"{BATCH}.propose")
    if not recordings:
        with catalogue.read() as uow:
            recordings = list(_due_in(uow, Judge.of(uow, clock.now()), unit))
        if not recordings:
            raise PolicyUnmetError("nothing is due in this department that may be listed", kept="Nothing was entered.")
    links = [NewLink(role=ITEM, target=one) for one in recordings]
    return desk.open(actor, BATCH, {"note": note} if note else {}, unit=unit, links=links)


def _due_in(uow: UnitOfWork, judge: Judge, unit: UnitId | None) -> Iterator[RecordingId]:
    after: tuple[datetime, RecordingId] | None = None
    seen: set[RecordingId] = set()
    while len(seen) < ITEMS_MAX and judge.now.believed:
        dates = uow.rules.due(before=judge.now.at, limit=_PAGE, after=after)
        for row in rows_of(uow, [one.recording for one in dates]):
            if row.unit != unit or row.id in seen:
                continue
            group = group_of(uow, row.id)
            if len(seen) + len(group) <= ITEMS_MAX and list_group(judge, group)[1] is None:
                seen.update(group)
                yield from group
        if len(dates) < _PAGE or dates[-1].due_at is None:
            return
        after = (dates[-1].due_at, dates[-1].recording)
