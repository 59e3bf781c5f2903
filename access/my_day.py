"""The officer's question, judged: where is each recording, and may they go home? Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from access.deadlines import hand_in
from access.views import DayItem, DayState, DayVerdict
from catalogue.records import OffloadRow, RecordingRow
from devices import file_names
from evidence.ids import DeviceId
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


def waiting_of(dockings: Iterable[OffloadRow], *, own: Collection[DeviceId], officer_code: str) -> list[str]:
    """Files that were still being written when their recorder was docked last, and that are (or may be) the officer's.

    Args:
        dockings: In any order; the latest of each recorder counts.
        own: Recorders issued to the officer: whatever waits there concerns them.
        officer_code: On any other recorder a file is theirs when its name says so.
    """
    latest: dict[DeviceId, OffloadRow] = {}
    for docking in sorted(dockings, key=lambda one: (one.started_at, one.id)):
        latest[docking.device] = docking
    return sorted(
        name
        for docking in latest.values()
        for name in docking.waiting
        if docking.device in own or (officer_code and file_names.parse(name).officer_code == officer_code)
    )


def verdict_of(items: Sequence[DayItem], waiting: Sequence[str]) -> DayVerdict:
    """All in only when something is known, everything known is sealed, and nothing is still being written.

    A quarantined recording is in: it is sealed and kept like any other, and a person looks at it.
    """
    if waiting or any(item.state not in (DayState.IN, DayState.DUPLICATE) for item in items):
        return DayVerdict.NOT_ALL
    return DayVerdict.ALL_IN if items else DayVerdict.NOTHING_KNOWN
