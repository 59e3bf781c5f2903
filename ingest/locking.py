"""The first lock of what intake stores. Later dates are the renewal's (``assurance.renewal``), by the same rule."""

from __future__ import annotations

from datetime import datetime

from catalogue.copy_locks import facts_of_recording
from catalogue.records import RecordingRow
from evidence.lock_dates import NO_DATE, believed_now, lock_until
from ingest.parts import Parts


def first_date(parts: Parts, row: RecordingRow) -> datetime:
    """Until when copies of a recording, its manifest and its derivatives are locked at first.

    Returns:
        A date to come; ``NO_DATE`` while our clock is not believed (the bucket's default then is the lock, and the renewal gives
        a date as soon as the clock is believed), and for footage that is past its date.
    """
    with parts.catalogue.read() as uow:
        mark = uow.clock_marks.highest()
    now = believed_now(parts.clock.now(), mark)
    if now is None:
        return NO_DATE
    facts = facts_of_recording(
        acquired_at=row.acquired_at,
        deadline_at=row.deadline_at,
        ended_at=row.ended_at,
        started_source=row.started_source,
        important=row.important,
    )
    return lock_until([facts], now, parts.settings.locks).until or NO_DATE
