"""How many days are left: robust against outliers, unknown where too little was measured, never of an old disk's size."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import NamedTuple

import pytest

from assurance import Level
from assurance.health_facts import HealthParts
from assurance.health_of_space import space
from assurance.space import Forecast, SpaceParts, Trend, forecast, rooms, sample_space
from assurance.verify import CopyPolicy
from catalogue.space import SpaceSample
from evidence.clock import from_text, utc_from_ms
from support.assured_home import AssuredHome
from support.recorders import gb_name

GB = 10**9
START = from_text("2026-10-01T00:30:00.000Z")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def hourly(days: int, free) -> list[SpaceSample]:
    return [
        SpaceSample(store="primary", at=START + timedelta(hours=hour), total_bytes=1000 * GB, free_bytes=free(hour))
        for hour in range(days * 24)
    ]


def test_a_store_that_fills_evenly_is_full_when_it_is_full() -> None:
    told = forecast(hourly(20, lambda hour: 700 * GB - hour * GB), floor_bytes=20 * GB)
    assert (told.trend, told.days) == (Trend.FILLING, (700 - 479 - 20) // 24)
    assert told.bytes_day == pytest.approx(24 * GB, rel=0.01)


def test_one_day_on_which_a_disk_was_cleaned_does_not_hide_that_it_fills() -> None:
    samples = hourly(20, lambda hour: (700 - hour + (100 if hour == 250 else 0)) * GB)
    assert forecast(samples, floor_bytes=20 * GB).days == (700 - 479 - 20) // 24


@pytest.mark.parametrize("days", [0, 1, 3])
def test_too_few_days_are_unknown(days: int) -> None:
    assert forecast(hourly(days, lambda hour: 700 * GB - hour * GB), floor_bytes=0) == Forecast(trend=Trend.UNKNOWN)


@pytest.mark.parametrize("free", [lambda _: 700 * GB, lambda hour: (300 + hour) * GB, lambda hour: 700 * GB - hour])
def test_a_store_that_does_not_fill_has_no_date(free) -> None:
    assert forecast(hourly(20, free), floor_bytes=0) == Forecast(trend=Trend.STEADY)


def test_at_the_floor_no_day_is_left() -> None:
    assert forecast(hourly(20, lambda hour: 500 * GB - hour * GB), floor_bytes=30 * GB).days == 0


class Disks:
    """Every disk of a home, as the kernel would tell it."""

    def __init__(self) -> None:
        self.total, self.free = 1000 * GB, 900 * GB

    def usage(self, _path: str) -> Usage:
        return Usage(self.total, self.total - self.free, self.free)


def parts(home: AssuredHome, **capacities: int) -> SpaceParts:
    return SpaceParts(
        catalogue=home.catalogue, stores=home.stores.all, clock=home.clock, floor_bytes=20 * GB, capacities=capacities
    )


def tile(home: AssuredHome) -> dict[str, tuple[Level, str]]:
    looked = HealthParts(
        catalogue=home.catalogue, stores=home.stores.all, published=home.published, verifier=home.sealer.verifier,
        clock=home.clock, policy=CopyPolicy(copies=2, domains=1), floor_bytes=20 * GB,
    )  # fmt: skip
    return {check.subject: (check.level, check.reason) for check in space(looked)}


def go_on(home: AssuredHome, disks: Disks, *, days: int, gb_per_day: int) -> None:
    for _ in range(days * 4):
        home.clock.unix_ms += 6 * 3_600_000
        disks.free -= gb_per_day * GB // 4
        with home.catalogue.begin() as uow:
            uow.clock_marks.raise_to(utc_from_ms(home.clock.unix_ms))
        sample_space(parts(home))


def test_the_tile_goes_from_unknown_to_warning_to_alarm_and_a_larger_disk_begins_anew(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = Disks()
    monkeypatch.setattr(shutil, "disk_usage", disks.usage)
    sample_space(parts(home))
    assert tile(home)["primary"] == (Level.UNKNOWN, "forecast-unknown")
    go_on(home, disks, days=10, gb_per_day=10)
    assert tile(home)["primary"] == (Level.OK, "room-for-long")
    go_on(home, disks, days=28, gb_per_day=22)
    assert tile(home)["primary"] == (Level.WARN, "full-soon")
    go_on(home, disks, days=7, gb_per_day=22)
    assert tile(home)["primary"] == (Level.BAD, "full-very-soon")
    disks.total, disks.free = 3000 * GB, 2000 * GB
    sample_space(parts(home))
    assert tile(home)["primary"] == (Level.UNKNOWN, "forecast-unknown")
    (first, second) = rooms(parts(home))
    assert (first.free_bytes, first.total_bytes, second.store) == (2000 * GB, 3000 * GB, "second")


def test_samples_are_an_hour_apart_and_none_is_taken_by_a_clock_that_is_not_believed(home: AssuredHome) -> None:
    for _ in range(3):
        sample_space(parts(home))
    with home.catalogue.begin() as uow:
        assert len(uow.space_samples.since("primary", START)) == 1
        uow.clock_marks.raise_to(utc_from_ms(home.clock.unix_ms) + timedelta(days=1))
    assert sample_space(parts(home)) == 0


def test_what_a_bucket_holds_comes_from_the_catalogue_and_its_capacity_from_the_settings(home: AssuredHome) -> None:
    (row,) = home.ingest({f"DCIM/{gb_name()}": b"x" * 5000})
    with home.catalogue.read() as uow:
        used = uow.copy_locks.size_of("second")
        assert used > row.size_bytes
    bucket = home.stores.named("second")

    class Bucket:
        properties = type(bucket.properties)(
            name="second", kind="s3", domain="", location="", protection="none", versions=True
        )

    looked = SpaceParts(
        catalogue=home.catalogue, stores=[Bucket()], clock=home.clock, floor_bytes=20 * GB, capacities={"second": 10**6}
    )
    (room,) = rooms(looked)
    assert (room.used_bytes, room.total_bytes, room.free_bytes) == (used, 10**6, 10**6 - used)
    (untold,) = rooms(SpaceParts(**{name: getattr(looked, name) for name in looked.__slots__} | {"capacities": {}}))
    assert (untold.used_bytes, untold.free_bytes, untold.forecast.trend) == (used, None, Trend.UNKNOWN)
