"""Dates of keeping, computed anew where something changed. The dates are no evidence: they follow from what is.

Whatever concerns a recording marks it stale in its own transaction; a slice takes what is stale, decides, and writes. After a
schedule came into force (and in a home that never did it: a new version of the program, a rebuilt catalogue) a sweep goes once
through all recordings, in slices; where it stands is in the catalogue. Nothing looks at all rows regularly: what is due is found
by the index over the dates (``uow.rules.due``).

Where a date moved, the copies' locks are looked at anew, because their lawful date is that one.

Crash: a slice was written or was not; the next one goes on.

Source: RULES R10, R11; docs/retention.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from catalogue import Catalogue, UnitOfWork
from catalogue.matters import MatterFilter
from catalogue.records import RecordingRow
from catalogue.rules import DateRow
from evidence.calendar import local_date
from evidence.clock import Clock, TimeReading
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError
from evidence.ids import RecordingId
from matters.desk import MatterDesk
from retention.decide import Decision, Standing, decide
from retention.facts import items_of, now_of, rows_of, schedules_of
from retention.schedule import Schedules
from retention.schedule_matter import APPROVED, ENTER, SCHEDULE, SWEEP, schedule_of

#: Recordings in one transaction: what others wait for meanwhile.
BATCH: Final = 200
_SLICE_S: Final = 40.0
_TICK: Final = timedelta(milliseconds=1)
#: Of a decision that time alone changes, the state that is stored: whether it is over is asked of the clock, never of a row.
_STORED: Final = {
    Standing.UNCLASSIFIED_DUE: Standing.KEEP,
    Standing.ELIGIBLE: Standing.KEEP,
    Standing.IN_BATCH: Standing.KEEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What a slice did: recordings looked at, dates that moved, and whether anything is left."""

    looked: int
    moved: int
    complete: bool


class Recompute:
    """The duty.

    Args:
        catalogue: Where facts and dates stand.
        clock: Injected time.
        desk: Brings an approved schedule into force when its day has come.
        slice_s: How long one run may take.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        clock: Clock,
        desk: MatterDesk | None = None,
        slice_s: float = _SLICE_S,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._desk = desk
        self._slice_s = slice_s
        self._ticks = ticks

    def run(self) -> Recomputed:
        """A slice: schedules whose day has come, what is stale, then the sweep."""
        self._enter_schedules()
        until = self._ticks() + self._slice_s
        looked = moved = 0
        for step in (self._stale, self._sweep):
            while True:
                found = step()
                if found is None:
                    break
                looked, moved = looked + found[0], moved + found[1]
                if self._ticks() > until:
                    return Recomputed(looked=looked, moved=moved, complete=False)
        return Recomputed(looked=looked, moved=moved, complete=True)

    def _enter_schedules(self) -> None:
        if self._desk is None:
            return
        with self._catalogue.read() as uow:
            reading = self._clock.now()
            believed = now_of(uow, reading).believed
            waiting = uow.matters.find(MatterFilter(kinds=(SCHEDULE,), states=(APPROVED,)), limit=1000)
        for row in reversed(waiting):
            if believed and schedule_of(row).in_force_from <= reading.wall:
                self._desk.act_as_service(row.id, ENTER)

    def _stale(self) -> tuple[int, int] | None:
        with self._catalogue.read() as uow:  # an idle service takes no lock
            if not uow.rules.stale(limit=1):
                return None
        with self._catalogue.begin() as uow:
            wanted = uow.rules.stale(limit=BATCH)
            aside = [row.id for row in uow.recordings.attached_each(wanted)]
            keepers = [row.duplicate_of for row in rows_of(uow, wanted) if row.duplicate_of is not None]
            return len(wanted), refresh(uow, {*wanted, *aside, *keepers}, schedules_of(uow), self._clock.now())

    def _sweep(self) -> tuple[int, int] | None:
        with self._catalogue.read() as uow:
            if _position(uow.settings.get(SWEEP), str(schedules_of(uow).current.version)) is None:
                return None
        with self._catalogue.begin() as uow:
            schedules = schedules_of(uow)
            goal = str(schedules.current.version)
            after = _position(uow.settings.get(SWEEP), goal)
            found = uow.recordings.kept_ids_after(RecordingId(after) if after else None, limit=BATCH)
            uow.settings.put(SWEEP, json.dumps([goal, found[-1] if found else None]))
            return len(found), refresh(uow, found, schedules, self._clock.now())


def _position(text: str | None, goal: str) -> str | None:
    """After which recording the sweep goes on: empty from the beginning, None when it has been done."""
    try:
        version, after = json.loads(text or "null")
    except (ValueError, TypeError):
        return ""
    if version != goal:
        return ""
    return after if after is None or isinstance(after, str) else ""


def refresh(uow: UnitOfWork, recordings: Collection[RecordingId], schedules: Schedules, reading: TimeReading) -> int:
    """Decide on these recordings and write their dates; tells how many moved. In the caller's transaction.

    The dates' rows are locked before anything is read: who changes a fact meanwhile marks them stale after this commit.
    """
    before = uow.rules.dates_of(recordings)
    uow.rules.mark_stale(recordings)
    now = now_of(uow, reading)
    rows = rows_of(uow, recordings)
    items = items_of(uow, rows)
    dates = {row.id: date_row(row.id, decide(items[row.id], schedules, now), schedules, reading) for row in rows}
    uow.rules.put_dates(list(dates.values()))
    moved = [row for row in rows if _moved(before.get(row.id), dates[row.id])]
    for row in moved:
        _look_at_locks(uow, row)
    return len(moved)


def _moved(was: DateRow | None, now: DateRow) -> bool:
    return was is None or (was.state, was.due_at) != (now.state, now.due_at)


def date_row(recording: RecordingId, decision: Decision, schedules: Schedules, reading: TimeReading) -> DateRow:
    """What is stored of a decision: what time alone does not change, and the reasons it rests on."""
    due = decision.due_at
    return DateRow(
        recording=recording,
        state=_STORED.get(decision.standing, decision.standing).value,
        due_at=due,
        last_day="" if due is None else local_date(due - _TICK).isoformat(),
        why=[one.to_json() for one in decision.decisive],
        schedule=schedules.current.number,
        computed_at=reading.wall,
    )


def _look_at_locks(uow: UnitOfWork, row: RecordingRow) -> None:
    if row.sha256 is not None:
        uow.copy_locks.look_again(row.sha256)
    try:
        if row.manifest_sha256:
            uow.copy_locks.look_again(Digest(SHA256, row.manifest_sha256))
    except EvidenceError:  # a row that somebody edited into nonsense: verify says so
        return
