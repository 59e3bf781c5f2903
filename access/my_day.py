"""The officer's question, judged: where is each recording, and may they go home? Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime

from access.deadlines import HandIn, hand_in
from access.views import DayItem, DayState, DayVerdict
from catalogue.records import FindingRow, OffloadRow, RecordingRow
from devices import file_names
from evidence.clock import BUREAU_ZONE
from evidence.ids import DeviceId
from evidence.model import OffloadState, ParsedName, RecordingState


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


def day_item(
    row: RecordingRow,
    offload: OffloadRow | None,
    now: datetime,
    *,
    twin: RecordingRow | None,
    damage: Sequence[FindingRow],
) -> DayItem:
    """One line of the officer's day; ``twin`` keeps the bytes of a duplicate and was handed in for it."""
    return DayItem(
        row=row, state=day_state(row, offload), hand_in=hand_in(twin or row, now),
        quarantined=bool(row.quarantine_reason), damage=tuple(damage),
    )  # fmt: skip


def waiting_of(dockings: Iterable[OffloadRow], *, day: date, own: Collection[DeviceId], officer_code: str) -> list[str]:
    """Files of a day that were still being written when their recorder was docked last and are (or may be) the officer's.

    Args:
        dockings: In any order; the latest of each recorder counts.
        day: The calendar day of the bureau. A name counts on the day it tells where the recorder's clock was read and can be
            true; else, for the recorder may be days off, on the day of its docking as well.
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
        if _concerns(file_names.parse(name), docking, day, own=own, officer_code=officer_code)
    )


def _concerns(
    parsed: ParsedName, docking: OffloadRow, day: date, *, own: Collection[DeviceId], officer_code: str
) -> bool:
    theirs = docking.device in own or bool(officer_code and parsed.officer_code == officer_code)
    days = set() if parsed.local_time is None else {parsed.local_time.date()}
    if not days or not (docking.clock_known and docking.clock_plausible):
        days.add(docking.started_at.astimezone(BUREAU_ZONE).date())
    return theirs and day in days


def verdict_of(items: Sequence[DayItem], waiting: Sequence[str]) -> DayVerdict:
    """All in only when something is known, everything known is sealed and sound, and nothing is still being written.

    A quarantined recording is in: it is sealed and kept like any other, and a person looks at it.
    """
    if waiting or any(item.state not in (DayState.IN, DayState.DUPLICATE) for item in items):
        return DayVerdict.NOT_ALL
    if any(item.damage for item in items):
        return DayVerdict.DAMAGED
    if any(item.hand_in is HandIn.LATE for item in items):
        return DayVerdict.ALL_IN_LATE
    return DayVerdict.ALL_IN if items else DayVerdict.NOTHING_KNOWN
