"""How full the stores are, and in how many days they will be: measured every hour, told by a slope that outliers do not move.

A forecast needs days of measurements; before, and where measurements are missing, it is unknown. It says what happens if the last
four weeks go on; it knows nothing of what will be disposed of or attached.

Crash: an hour's sample is missing.

Source: docs/invariants.md 7; Theil-Sen estimator.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import Final

from catalogue import Catalogue, UnitOfWork
from catalogue.space import SpaceSample
from evidence.clock import Clock
from evidence.lock_dates import believed_now
from evidence.ports import BlobStore

#: What the slope is taken over.
WINDOW: Final = timedelta(days=28)
#: Less than this many days with a measurement say nothing.
DAYS_MIN: Final = 4
#: Samples closer together than this add nothing.
_APART: Final = timedelta(minutes=50)
_KEPT: Final = timedelta(days=400)
#: A measurement older than this says nothing of today.
STALE: Final = timedelta(hours=6)
#: What was counted of a bucket within this time is what it holds.
_COUNTED: Final = timedelta(hours=1)
#: Further ahead than this nobody plans by a slope: it counts as not filling up.
_FAR: Final = 3_650
_DAY_S: Final = 86_400.0


class Trend(StrEnum):
    """Where a store is going."""

    UNKNOWN = "unknown"
    STEADY = "steady"
    FILLING = "filling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When a store reaches its floor if it goes on like this.

    Attributes:
        trend: Whether that can be told, and whether it fills up at all.
        days: Whole days left; None unless it fills up. 0 at the floor.
        bytes_day: Bytes that are taken per day; 0 unless it fills up.
    """

    trend: Trend
    days: int | None = None
    bytes_day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The room of one store; None where it cannot be told (a bucket whose capacity nobody stated)."""

    store: str
    used_bytes: int | None
    total_bytes: int | None
    free_bytes: int | None
    floor_bytes: int
    at: datetime | None
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceParts:
    """What is looked at.

    Attributes:
        catalogue: Where samples stand.
        stores: The stores.
        clock: Injected time.
        floor_bytes: What stays free on local stores.
        capacities: Stated capacity of buckets, by store.
    """

    catalogue: Catalogue
    stores: Sequence[BlobStore]
    clock: Clock
    floor_bytes: int
    capacities: Mapping[str, int]


def forecast(samples: Sequence[SpaceSample], *, floor_bytes: int) -> Forecast:
    """Tell when a store reaches its floor. Pure.

    Args:
        samples: Of the window, oldest first.
        floor_bytes: What is to stay free.
    """
    days: dict[datetime, list[SpaceSample]] = {}
    for sample in samples:
        days.setdefault(sample.at.replace(hour=0, minute=0, second=0, microsecond=0), []).append(sample)
    points = [(day.timestamp() / _DAY_S, median(one.free_bytes for one in ones)) for day, ones in sorted(days.items())]
    if len(points) < DAYS_MIN:
        return Forecast(trend=Trend.UNKNOWN)
    slope = median((b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2))
    room = max(0, samples[-1].free_bytes - floor_bytes)
    if slope >= 0 or room / -slope > _FAR:
        return Forecast(trend=Trend.STEADY)
    return Forecast(trend=Trend.FILLING, days=int(room / -slope), bytes_day=int(-slope))


def sample_space(parts: SpaceParts) -> int:
    """Measure every store once, unless that was done within the hour; tells how many were. A store that is away has no sample."""
    with parts.catalogue.read() as uow:
        mark = uow.clock_marks.highest()
    now = believed_now(parts.clock.now(), mark)
    if now is None:
        return 0
    taken = [sample for store in parts.stores if (sample := _measure(parts, store, now)) is not None]
    with parts.catalogue.begin() as uow:
        for sample in taken:
            newest = uow.space_samples.newest(sample.store)
            if newest is None or not timedelta(0) <= now - newest.at < _APART:
                uow.space_samples.add(sample)
        uow.space_samples.forget(now - _KEPT)
    return len(taken)


def rooms(parts: SpaceParts) -> list[Room]:
    """The room of every store as it is now, with its forecast."""
    now = parts.clock.now().wall
    return [_room(parts, store, now) for store in parts.stores]


def _room(parts: SpaceParts, store: BlobStore, now: datetime) -> Room:
    name, local = store.properties.name, store.properties.kind == "local"
    floor_bytes = parts.floor_bytes if local else 0
    measured = _measure(parts, store, now)
    with parts.catalogue.read() as uow:
        samples = uow.space_samples.since(name, now - WINDOW)
        used = None if local else _used(uow, name, now)
    if measured is None:
        return Room(
            store=name, used_bytes=used, total_bytes=None, free_bytes=None, floor_bytes=floor_bytes, at=None,
            forecast=Forecast(trend=Trend.UNKNOWN),
        )  # fmt: skip
    return Room(
        store=name, used_bytes=measured.total_bytes - measured.free_bytes if used is None else used,
        total_bytes=measured.total_bytes, free_bytes=measured.free_bytes, floor_bytes=floor_bytes, at=now,
        forecast=_forecast(samples, measured, floor_bytes),
    )  # fmt: skip


def _forecast(samples: Sequence[SpaceSample], measured: SpaceSample, floor_bytes: int) -> Forecast:
    """From the last time on that the store had the size it has now: a larger disk begins anew."""
    same: list[SpaceSample] = []
    for sample in reversed(samples):
        if sample.total_bytes != measured.total_bytes:
            break
        same.append(sample)
    if not same or measured.at - same[0].at > STALE:
        return Forecast(trend=Trend.UNKNOWN)
    return forecast([*reversed(same), measured], floor_bytes=floor_bytes)


def _used(uow: UnitOfWork, name: str, now: datetime) -> int:
    """Bytes of all known copies in a bucket: as they were counted lately, for counting takes seconds with a million of them."""
    counted = uow.store_states.of(name)
    if counted.counted_at is not None and timedelta(0) <= now - counted.counted_at < _COUNTED:
        return counted.size_bytes
    return uow.copy_locks.size_of(name)


def _measure(parts: SpaceParts, store: BlobStore, now: datetime) -> SpaceSample | None:
    properties = store.properties
    if properties.kind == "local":
        try:
            usage = shutil.disk_usage(properties.location)
        except OSError:
            return None
        return SpaceSample(store=properties.name, at=now, total_bytes=usage.total, free_bytes=usage.free)
    capacity = parts.capacities.get(properties.name)
    if not capacity:
        return None
    with parts.catalogue.read() as uow:
        used = _used(uow, properties.name, now)
    return SpaceSample(store=properties.name, at=now, total_bytes=capacity, free_bytes=max(0, capacity - used))
