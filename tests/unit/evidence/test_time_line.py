"""Which readings of the clock are believed, and how a wrong mark is outlived (promise 9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evidence.clock import TimeReading
from evidence.time_line import Belief, Trial, judge, prolong

MARK = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DAY_NS = 86_400 * 10**9


def reading(wall: datetime, *, source: str = "unsynchronised", ran_ns: int = 0) -> TimeReading:
    return TimeReading(wall, ran_ns, source, -1)


@pytest.mark.parametrize(
    ("ahead", "source", "belief"),
    [
        (timedelta(0), "unsynchronised", Belief.BELIEVED),
        (timedelta(minutes=-5), "unsynchronised", Belief.BELIEVED),
        (timedelta(minutes=-6), "synchronised", Belief.WENT_BACK),
        (timedelta(days=-2000), "unsynchronised", Belief.WENT_BACK),
        (timedelta(days=31), "unsynchronised", Belief.BELIEVED),
        (timedelta(days=32), "unsynchronised", Belief.JUMPED),
        (timedelta(days=400), "synchronised", Belief.BELIEVED),
    ],
)
def test_r04_a_reading_that_contradicts_what_was_seen_is_not_believed(
    ahead: timedelta, source: str, belief: Belief
) -> None:
    assert judge(reading(MARK + ahead, source=source), MARK) is belief


def test_a_new_home_believes_its_first_reading() -> None:
    assert judge(reading(MARK), None) is Belief.BELIEVED


def test_a_time_that_goes_on_evenly_for_a_day_is_believed() -> None:
    trial = prolong(None, reading(MARK))
    for hour in range(1, 25):
        assert not trial.passed
        trial = prolong(trial, reading(MARK + timedelta(hours=hour), ran_ns=hour * DAY_NS // 24))
    assert trial.passed


def test_a_clock_that_is_set_again_and_again_is_never_believed() -> None:
    trial = prolong(None, reading(MARK))
    for day in range(1, 9):  # a day on the clock, a second on the machine
        trial = prolong(trial, reading(MARK + timedelta(days=day), ran_ns=day * 10**9))
    assert trial == Trial(MARK + timedelta(days=8), 8 * 10**9, 0)


def test_a_day_between_two_looks_is_no_day_of_running() -> None:
    assert prolong(Trial(MARK, 0, 0), reading(MARK + timedelta(days=30), ran_ns=30 * DAY_NS)).lasted_ns == DAY_NS // 24


def test_years_between_two_looks_are_another_jump_whatever_the_machine_says_of_itself() -> None:
    later = reading(MARK + timedelta(days=4000), ran_ns=4000 * DAY_NS)
    assert prolong(Trial(MARK, 0, DAY_NS - 1), later).lasted_ns == 0


def test_a_machine_that_is_off_at_night_gets_there_too() -> None:
    trial = None
    for day in range(4):
        for hour in range(9):
            wall = MARK + timedelta(days=day, hours=hour)
            trial = prolong(trial, reading(wall, ran_ns=hour * DAY_NS // 24 + 7))
    assert trial is not None
    assert trial.passed


def test_another_jump_begins_the_trial_anew() -> None:
    trial = Trial(MARK, 5, DAY_NS - 1)
    assert prolong(trial, reading(MARK + timedelta(days=90), ran_ns=0)).lasted_ns == 0
    assert prolong(trial, reading(MARK - timedelta(days=90), ran_ns=0)).lasted_ns == 0
