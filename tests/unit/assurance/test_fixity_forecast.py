"""Pace and forecast of the scrub: arithmetic on numbers and times, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assurance import fixity_forecast, fixity_pace
from assurance.fixity_pace import FLOOR_BYTES_S, Plan, Throttle

START = datetime(2026, 3, 1, tzinfo=UTC)
TB = 10**12
DAY = timedelta(days=1)


def plan(done: float = 0, *, total: int = 30 * TB, cap: int = 0, period: timedelta = 30 * DAY) -> Plan:
    return Plan(started_at=START, period=period, total_bytes=total, done_bytes=int(done), cap_bytes_s=cap)


def test_a_round_is_planned_to_end_after_four_fifths_of_its_period() -> None:
    one = plan()
    assert (one.goal_at, one.due_at) == (START + 24 * DAY, START + 30 * DAY)
    assert fixity_pace.due_bytes(one, START) == 0
    assert fixity_pace.due_bytes(one, START + 12 * DAY) == 15 * TB
    assert fixity_pace.due_bytes(plan(16 * TB), START + 12 * DAY) == 0
    assert fixity_pace.due_bytes(one, START + 99 * DAY) == 30 * TB


def test_speed_is_what_the_period_asks_for_with_room_to_spare() -> None:
    steady = 30 * TB / (24 * 86_400)
    assert fixity_pace.rate_bytes_s(plan(), START) == pytest.approx(steady * 1.25, rel=0.01)
    assert fixity_pace.rate_bytes_s(plan(total=10**9), START) == FLOOR_BYTES_S
    assert fixity_pace.rate_bytes_s(plan(total=10**9), START, file_bytes=9 * 10**9) == 200_000_000


def test_the_operators_bound_holds_always() -> None:
    for now in (START, START + 29 * DAY, START + 40 * DAY):
        assert fixity_pace.rate_bytes_s(plan(cap=5_000_000), now, file_bytes=TB) == 5_000_000


def test_after_its_period_the_scrub_reads_as_fast_as_it_goes() -> None:
    assert fixity_pace.rate_bytes_s(plan(), START + 31 * DAY) == 0


def test_a_day_without_reading_is_caught_up_evenly_not_in_a_burst() -> None:
    behind = plan(9 * TB)
    now = START + 9 * DAY  # the line is at 11.25 TB: 1.8 days behind
    assert fixity_pace.lag(behind, now).total_seconds() == pytest.approx(1.8 * 86_400)
    assert fixity_pace.rate_bytes_s(behind, now) == pytest.approx(21 * TB / (15 * 86_400) * 1.25, rel=0.01)


def test_waiting_for_recorders_ends_before_the_period_is_at_risk() -> None:
    assert fixity_pace.may_wait(plan(), START + 3 * DAY)
    assert not fixity_pace.may_wait(plan(), START + 3 * DAY + timedelta(minutes=1))
    assert fixity_pace.may_wait(plan(30 * TB), START + 29 * DAY)


def test_a_store_on_its_line_is_forecast_to_end_with_the_line() -> None:
    assert fixity_forecast.of_store(plan(15 * TB), START + 12 * DAY) == START + 24 * DAY
    assert fixity_forecast.of_store(plan(), START + timedelta(minutes=4)) == START + 24 * DAY
    assert fixity_forecast.of_store(plan(30 * TB), START + 12 * DAY) == START + 12 * DAY


def test_a_store_behind_its_line_ends_as_its_own_speed_says() -> None:
    now = START + 12 * DAY
    assert fixity_forecast.of_store(plan(10 * TB), now) == now + 24 * DAY
    assert fixity_forecast.of_store(plan(), now) is None
    assert fixity_forecast.of_store(plan(1), now) is None  # in ten thousand million years


def test_the_round_ends_with_its_slowest_store_and_says_whether_in_time() -> None:
    now, due = START + 12 * DAY, START + 30 * DAY
    good = fixity_forecast.of_round([plan(15 * TB), plan(30 * TB)], now, due_at=due)
    assert (good.ends_at, good.in_time) == (START + 24 * DAY, True)
    late = fixity_forecast.of_round([plan(15 * TB), plan(10 * TB)], now, due_at=due)
    assert (late.ends_at, late.in_time) == (now + 24 * DAY, False)
    away = fixity_forecast.of_round([plan(15 * TB), plan(14 * TB)], now, due_at=due, away=True)
    assert (away.ends_at, away.in_time) == (None, None)
    over = fixity_forecast.of_round([plan(29 * TB)], START + 31 * DAY, due_at=due)
    assert over.in_time is False


def test_a_throttle_keeps_to_its_rate_and_saves_nothing_up() -> None:
    throttle = Throttle(now_s=0.0)
    assert throttle.pause_s(10, rate_bytes_s=10, now_s=0.0) == pytest.approx(1.0)
    assert throttle.pause_s(10, rate_bytes_s=10, now_s=1.0) == pytest.approx(1.0)
    assert throttle.pause_s(10, rate_bytes_s=0, now_s=1.0) == 0.0
    later = throttle.pause_s(100, rate_bytes_s=10, now_s=1000.0)
    assert later == pytest.approx(9.0)  # a second of grace, not a thousand


@given(
    done=st.integers(0, 2 * 10**13), total=st.integers(0, 10**13), days=st.floats(-5, 400), cap=st.integers(0, 10**10),
    period=st.integers(1, 365), file=st.integers(0, 10**12),
)  # fmt: skip
def test_no_numbers_break_it(done: int, total: int, days: float, cap: int, period: int, file: int) -> None:
    one = plan(done, total=total, cap=cap, period=period * DAY)
    now = START + timedelta(days=days)
    assert fixity_pace.due_bytes(one, now) >= 0
    assert fixity_pace.lag(one, now) >= timedelta(0)
    rate = fixity_pace.rate_bytes_s(one, now, file_bytes=file)
    assert rate >= 0
    assert not cap or 0 < rate <= cap
    forecast = fixity_forecast.of_round([one], now, due_at=one.due_at)
    assert forecast.in_time is not True or (forecast.ends_at is not None and forecast.ends_at <= forecast.due_at)


@given(hours=st.lists(st.booleans(), min_size=720, max_size=720))
def test_whatever_hours_the_machine_is_busy_the_period_is_met(hours: list[bool]) -> None:
    """The scrub as it goes hour by hour, on disks that give ten times what a round needs."""
    one = plan(total=3 * TB)
    disk_bytes_s = 10 * 3 * TB / (24 * 86_400)
    for hour, busy in enumerate(hours):
        now = START + timedelta(hours=hour)
        if one.left_bytes == 0:
            break
        if busy and fixity_pace.may_wait(one, now):
            continue
        rate = fixity_pace.rate_bytes_s(one, now) or disk_bytes_s
        read = min(fixity_pace.due_bytes(one, now), int(min(rate, disk_bytes_s) * 3600))
        one = plan(one.done_bytes + read, total=one.total_bytes)
    assert one.left_bytes == 0
