"""The deadline sweep (R4): footage that is not here 24 hours after its end is a finding, once. Late stays late.

Run every minute. Recordings that came in late are told as well. A finding that a person closed is not raised again: the log
remembers that it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from assurance.findings import FindingBook
from catalogue import Catalogue, UnitOfWork
from catalogue.records import RecordingFilter, RecordingRow
from evidence.clock import Clock
from evidence.events import FindingRaised
from evidence.ids import RecordingId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import Visibility

LATE: Final = "late"


def sweep_deadlines(catalogue: Catalogue, *, book: FindingBook, clock: Clock) -> int:
    """Raise a finding for every recording that is overdue or came in late and was never told of.

    A clock behind the latest time this home has seen makes nothing late: the sweep waits (promise 9).

    Returns:
        How many are new.
    """
    now = clock.now().wall
    with catalogue.read() as uow:
        mark = uow.clock_marks.highest()
    if mark is not None and now < mark:
        return 0
    fresh = [row.id for row in _late(catalogue, now)]
    return sum(book.raise_one(LATE, recording=recording) for recording in fresh)


def _late(catalogue: Catalogue, now: datetime) -> Iterator[RecordingRow]:
    """Late recordings not told of before, newest first, up to the first page of which all were told of."""
    cursor = ""
    while True:
        with catalogue.read() as uow:
            told = {one.recording for one in uow.findings.open() if one.kind == LATE}
            page = uow.recordings.search(
                RecordingFilter(late=True), Visibility(everything=True), cursor=cursor, limit=PAGE_ROWS_MAX, now=now
            )
            fresh = [row for row in page.rows if row.id not in told and not _told_before(uow, row.id)]
        yield from fresh
        cursor = page.cursor
        if not fresh or not cursor:
            return


def _told_before(uow: UnitOfWork, recording: RecordingId) -> bool:
    return any(
        one.event_type == FindingRaised.TYPE and one.public.get("kind") == LATE for one in uow.timeline(recording)
    )
