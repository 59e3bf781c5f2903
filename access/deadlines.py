"""Hand-in of one recording against its deadline, as screens show it (R4). Late stays late: no excuse exists."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from catalogue.records import RecordingRow
from evidence.model import RecordingState

#: A recording whose deadline is nearer than this is shown as due soon.
DUE_SOON: Final = timedelta(hours=4)
#: R17: what nobody archived with a case is archived this long after accession.
ARCHIVED_AFTER: Final = timedelta(hours=24)


class HandIn(StrEnum):
    """Where a recording stands against its 24 hours."""

    ON_TIME = "on_time"
    DUE_SOON = "due_soon"
    LATE = "late"
    UNKNOWN = "unknown"


def hand_in(row: RecordingRow, now: datetime) -> HandIn:
    """Judge by the moment it was stored here; ``unknown`` where no deadline could be told."""
    if row.state is RecordingState.DUPLICATE or row.deadline_at is None:
        return HandIn.UNKNOWN
    if row.stored_at is not None:
        return HandIn.ON_TIME if row.stored_at <= row.deadline_at else HandIn.LATE
    if now > row.deadline_at:
        return HandIn.LATE
    return HandIn.DUE_SOON if row.deadline_at - now < DUE_SOON else HandIn.ON_TIME


def is_archived(row: RecordingRow, now: datetime) -> bool:
    """Whether use needs consent (R17): 24 hours after accession, until filing with a case moves the moment earlier."""
    return row.stored_at is not None and now - row.stored_at >= ARCHIVED_AFTER
