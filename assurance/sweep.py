"""The deadline sweep (R4): footage that is not here 24 hours after its end is a finding, once. Late stays late.

Run every minute. Recordings that came in late are told as well: the finding stays open until a person closes it, whether or
not the footage has arrived since.
"""

from __future__ import annotations

from typing import Final

from assurance.findings import FindingBook
from catalogue import Catalogue
from catalogue.records import RecordingFilter
from evidence.clock import Clock
from evidence.ids import RecordingId
from evidence.model import Visibility

LATE: Final = "late"
_MARK: Final = "sweep.late.told"
_AT_ONCE: Final = 500


def sweep_deadlines(catalogue: Catalogue, *, book: FindingBook, clock: Clock) -> int:
    """Raise a finding for every recording that is overdue or came in late and was not told of before.

    The time is trusted no further than the catalogue's own mark: a clock that ran backwards makes nothing late.

    Returns:
        How many are new.
    """
    now = clock.now().wall
    with catalogue.read() as uow:
        mark = uow.clock_marks.highest()
        overdue = [row.id for row in uow.recordings.due(now)[:_AT_ONCE]] if mark is None or now >= mark else []
        told = {one.recording for one in uow.findings.open() if one.kind == LATE}
        came_late = uow.recordings.search(
            RecordingFilter(late=True), Visibility(everything=True), limit=_AT_ONCE, now=now
        ).rows
    fresh: list[RecordingId] = [
        one for one in dict.fromkeys([*overdue, *(row.id for row in came_late)]) if one not in told
    ]
    return sum(book.raise_one(LATE, recording=recording) for recording in fresh)
