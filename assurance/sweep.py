"""The deadline sweep (R4): footage that is not here 24 hours after its end is a finding, once. Late stays late.

Run every minute. Recordings that came in late are told as well. A finding that a person closed is not raised again: the log
remembers that it was, and the book remembers what the log said.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from assurance.findings import FindingBook
from catalogue import Catalogue, UnitOfWork
from catalogue.records import RecordingFilter
from evidence.clock import Clock
from evidence.errors import EntryInvalidError
from evidence.events import FindingRaised
from evidence.ids import RecordingId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import Visibility
from evidence.time_line import Belief, judge

LATE: Final = "late"


def sweep_deadlines(catalogue: Catalogue, *, book: FindingBook, clock: Clock) -> int:
    """Raise a finding for every recording that is overdue or came in late and was never told of.

    A clock that contradicts the times this home has seen makes nothing late: the sweep waits (promise 9).

    Returns:
        How many are new.
    """
    reading = clock.now()
    with catalogue.read() as uow:
        mark = uow.clock_marks.highest()
    if judge(reading, mark) is not Belief.BELIEVED:
        return 0
    now = reading.wall
    with catalogue.read() as uow:
        book.late.update(one.recording for one in uow.findings.open() if one.kind == LATE and one.recording)
    new = 0
    for recording in list(_late(catalogue, now, told=book.late)):
        new += book.raise_one(LATE, recording=recording)
        book.late.add(recording)
    return new


def _late(catalogue: Catalogue, now: datetime, *, told: set[RecordingId]) -> Iterator[RecordingId]:
    """Late recordings not told of before. Every page is looked at: what a recorder held for weeks comes in late and old."""
    cursor = ""
    while True:
        with catalogue.read() as uow:
            page = uow.recordings.search(
                RecordingFilter(late=True), Visibility(everything=True), cursor=cursor, limit=PAGE_ROWS_MAX, now=now
            )
            for row in page.rows:
                if row.id in told:
                    continue
                if _told_before(uow, row.id):
                    told.add(row.id)
                else:
                    yield row.id
        cursor = page.cursor
        if not cursor:
            return


def _told_before(uow: UnitOfWork, recording: RecordingId) -> bool:
    """Whether its timeline says so; one that cannot be read says nothing, and keeps no other recording from being told of."""
    try:
        timeline = uow.timeline(recording)
    except EntryInvalidError:
        return False
    return any(one.event_type == FindingRaised.TYPE and one.public.get("kind") == LATE for one in timeline)
