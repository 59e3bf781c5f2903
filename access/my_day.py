"""The officer's question, judged: where is each recording, and may they go home? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from access.deadlines import hand_in
from access.views import DayItem, DayState, DayVerdict
from catalogue.records import OffloadRow, RecordingRow
from evidence.model import OffloadState, RecordingState


def day_state(row: RecordingRow, offload: OffloadRow | None) -> DayState:
    """Where a recording is. ``in`` is said only when a published checkpoint covers it.

    A transfer is running only while its docking is open: after a crash the row may still say ``acquiring``, and then the
    recorder must be docked again.
    """
    if row.state is RecordingState.DUPLICATE:
        return DayState.DUPLICATE
    if row.state in (RecordingState.STORED, RecordingState.RELEASED):
        return DayState.IN if row.sealed else DayState.SEALING
    if row.state is RecordingState.ACQUIRED:
        return DayState.STORING
    running = offload is not None and offload.state is OffloadState.OPEN
    if row.state is RecordingState.ACQUIRING and running:
        return DayState.TRANSFERRING
    return DayState.ON_DEVICE


def day_item(row: RecordingRow, offload: OffloadRow | None, now: datetime) -> DayItem:
    """One line of the officer's day."""
    return DayItem(
        row=row, state=day_state(row, offload), hand_in=hand_in(row, now), quarantined=bool(row.quarantine_reason)
    )


def verdict_of(items: Sequence[DayItem], waiting: Sequence[str]) -> DayVerdict:
    """All in only when something is known, everything known is sealed, and nothing is still being written.

    A quarantined recording is in: it is sealed and kept like any other, and a person looks at it.
    """
    if waiting or any(item.state not in (DayState.IN, DayState.DUPLICATE) for item in items):
        return DayVerdict.NOT_ALL
    return DayVerdict.ALL_IN if items else DayVerdict.NOTHING_KNOWN
