"""Moments of one recording: hand-in against its deadline (R4; late stays late: no excuse exists) and archiving (R17)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from catalogue.records import RecordingRow
from catalogue.rules import RulesRow
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


def archived_at(row: RecordingRow, rules: RulesRow) -> datetime | None:
    """From when on its use needs consent (R17); None while it is not stored. The one place where this is decided.

    It is the moment in which its case was filed or it was sorted as working material, at the latest 24 hours after accession.
    """
    by_time = row.stored_at + ARCHIVED_AFTER if row.stored_at is not None else None
    return min((moment for moment in (by_time, rules.archived_at) if moment is not None), default=None)


def is_archived(row: RecordingRow, rules: RulesRow, now: datetime) -> bool:
    """Whether use needs consent by now (R17)."""
    moment = archived_at(row, rules)
    return moment is not None and moment <= now
