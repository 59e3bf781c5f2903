"""The scan for what is due, beside very many dates that are not: it must touch only what is due.

The rows of dates are all there; of the recordings those that are due, which are the only ones the scan asks for.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

from measure import Result, Sizes, forget, timed

from catalogue import Catalogue
from catalogue.records import DeviceRow, OffloadRow, RecordingRow
from evidence.canonical import dumps
from evidence.clock import SystemClock, unix_ms
from evidence.digest import sha256_of
from evidence.ids import DeviceId, OffloadId, RecordingId
from evidence.model import DeviceState, OffloadState, RecordingKind, RecordingState, SourceKey, Visibility
from retention.recompute import Recompute
from retention.schedule_matter import SWEEP

#: As many as a bureau of 500 recorders has due on a day.
DUE = 2_000
_PAGE = 500
_BULK = 50_000
_WHY = dumps(
    [{"at": "2027-05-26T16:00:00.000Z", "decisive": True, "detail": "months:6", "version": 0, "why": "ordinary"}]
).decode()


def scan(place: Path, sizes: Sizes) -> list[Result]:
    """All pages of what is due, from the page cache and from the medium, and what an idle minute costs."""
    database = place / "dates.db"
    for left in place.glob("dates.db*"):
        left.unlink()
    catalogue = Catalogue.open(f"sqlite:///{database}", migrate=True)
    try:
        now = SystemClock().now().wall
        _recordings(catalogue, now)
        _dates(database, sizes.dates, now)
        found: list[int] = []
        first = _after(database, lambda: found.append(_pages(catalogue, now)))
        warm = min(timed(lambda: found.append(_pages(catalogue, now))) for _ in range(sizes.runs))
        duty = Recompute(catalogue, clock=SystemClock())
        idle = min(timed(duty.run) for _ in range(sizes.runs))
    finally:
        catalogue.close()
    if set(found) != {DUE}:
        raise SystemExit(f"the scan found {found}, not {DUE}")
    size = database.stat().st_size >> 20
    for left in place.glob("dates.db*"):
        left.unlink()
    note = f"{DUE} due among {sizes.dates:,} dates, {size} MiB"
    return [
        Result("retention", "scan for what is due, pages from the medium", first, unit="s", goal=1.0, at_least=False, note=note),
        Result("retention", "scan for what is due, again", warm, unit="s", goal=1.0, at_least=False, note=note),
        Result("retention", "a minute in which nothing changed", idle * 1000, unit="ms", note=note),
    ]  # fmt: skip


def _pages(catalogue: Catalogue, now: datetime) -> int:
    count, after = 0, None
    with catalogue.read() as uow:
        while page := uow.rules.due(before=now, limit=_PAGE, after=after, seen=Visibility(everything=True)):
            count += len(page)
            last = page[-1]
            if last.due_at is None:
                break
            after = (last.due_at, last.recording)
    return count


def _after(database: Path, action) -> float:
    forget(database)
    return timed(action)


def _recordings(catalogue: Catalogue, now: datetime) -> None:
    at = unix_ms(now)
    device, offload = DeviceId.new(at), OffloadId.new(at)
    with catalogue.begin() as uow:
        uow.devices.add(
            DeviceRow(
                id=device, state=DeviceState.REGISTERED, driver="mass_storage", kind="recorder", serial="1",
                serial_source="usb", first_seen_at=now, last_seen_at=now,
            )
        )  # fmt: skip
        uow.offloads.add(
            OffloadRow(
                id=offload, device=device, state=OffloadState.COMPLETE, driver="mass_storage", slot="1", address="",
                started_at=now,
            )
        )  # fmt: skip
        for number in range(DUE):
            uow.recordings.add(
                RecordingRow(
                    id=_identity(number), device=device, offload=offload, state=RecordingState.STORED,
                    kind=RecordingKind.VIDEO, pattern="", name=f"{number}.mp4",
                    source=SourceKey("", f"/{number}.mp4", 1, ""), size_bytes=1, discovered_at=now,
                )
            )  # fmt: skip
        uow.settings.put(SWEEP, json.dumps(["0", None]))


def _identity(number: int) -> RecordingId:
    """In the order of time, as real ones are."""
    tail = sha256_of(str(number).encode()).hex[:16]
    return RecordingId(f"rec_{1_700_000_000_000 + number:012x}7{tail[:3]}8{tail[1:16]}")


def _dates(database: Path, count: int, now: datetime) -> None:
    """Straight into the table: what is measured is the reading."""
    base, minute = unix_ms(now), 60_000
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = OFF")
        for start in range(0, count, _BULK):
            rows = (
                (
                    _identity(number), "held" if number >= DUE and number % 50 == 0 else "keep",
                    None if number >= DUE and number % 50 == 0 else base + (number - DUE) * minute, "", _WHY, "default",
                    base, 0,
                )
                for number in range(start, min(count, start + _BULK))
            )  # fmt: skip
            connection.executemany("INSERT INTO rule_dates VALUES (?,?,?,?,?,?,?,?)", rows)
            connection.commit()
        connection.execute("ANALYZE")
