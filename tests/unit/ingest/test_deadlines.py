"""The 24-hour deadline and the times it rests on (R4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.model import ClockOffset, ParsedName, RecordingKind
from ingest import times
from ingest.deadlines import deadline
from ingest.times import Started

SEEN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


def named(local: datetime | None) -> ParsedName:
    return ParsedName(pattern="B", kind=RecordingKind.VIDEO, local_time=local)


def clock(offset_ms: int, *, plausible: bool = True) -> ClockOffset:
    return ClockOffset("20261122T180000", offset_ms, SEEN, plausible)


def test_r04_the_deadline_is_24_elapsed_hours_after_the_trusted_end() -> None:
    begun = Started(SEEN - timedelta(hours=5), times.CORRECTED)
    assert deadline(begun, duration=timedelta(hours=1), discovered_at=SEEN) == SEEN - timedelta(hours=4) + DAY


def test_r04_before_the_length_is_known_the_start_stands_in() -> None:
    begun = Started(SEEN - timedelta(hours=5), times.UNCORRECTED)
    assert deadline(begun, duration=None, discovered_at=SEEN) == SEEN - timedelta(hours=5) + DAY


def test_r04_without_a_trusted_time_the_moment_of_discovery_counts() -> None:
    assert deadline(Started(None, times.UNTRUSTED), duration=timedelta(hours=3), discovered_at=SEEN) == SEEN + DAY


def test_r04_recorder_time_is_shanghai_time_minus_its_clock_offset() -> None:
    begun = times.started(named(datetime(2026, 11, 22, 17, 0)), clock=clock(90_000), discovered_at=SEEN)
    assert begun == Started(datetime(2026, 11, 22, 8, 58, 30, tzinfo=UTC), times.CORRECTED)


@pytest.mark.parametrize("year", [1980, 2099])
def test_r04_a_clock_in_1980_or_2099_makes_no_time_trusted_and_nobody_late(year: int) -> None:
    begun = times.started(named(datetime(year, 1, 1)), clock=clock(0, plausible=False), discovered_at=SEEN)
    assert begun == Started(None, times.UNTRUSTED)
    due = deadline(begun, duration=timedelta(minutes=5), discovered_at=SEEN)
    assert due == SEEN + DAY


@pytest.mark.parametrize(
    "local", [datetime(1980, 1, 1), datetime(2026, 11, 23), datetime(1, 1, 1), datetime(9999, 12, 31)]
)
def test_a_name_with_an_impossible_time_is_untrusted_even_if_the_clock_is_right(local: datetime) -> None:
    assert times.started(named(local), clock=clock(0), discovered_at=SEEN).source == times.UNTRUSTED


def test_a_recorder_that_does_not_tell_its_clock_is_taken_at_its_word_and_says_so() -> None:
    assert (
        times.started(named(datetime(2026, 11, 22, 17, 0)), clock=None, discovered_at=SEEN).source == times.UNCORRECTED
    )


def test_a_name_without_a_time_says_nothing() -> None:
    assert times.started(named(None), clock=clock(0), discovered_at=SEEN) == Started(None, times.UNKNOWN)


@given(
    offset_s=st.integers(-86_400, 86_400), duration_s=st.integers(0, 1_000_000), local_s=st.integers(-(10**7), 10**6)
)
def test_r04_no_clock_and_no_length_ever_moves_a_deadline_beyond_a_day_after_discovery(
    offset_s: int, duration_s: int, local_s: int
) -> None:
    local = (SEEN + timedelta(hours=8, seconds=local_s)).replace(tzinfo=None)
    begun = times.started(named(local), clock=clock(offset_s * 1000), discovered_at=SEEN)
    due = deadline(begun, duration=timedelta(seconds=duration_s), discovered_at=SEEN)
    assert due <= SEEN + DAY
    assert deadline(begun, duration=None, discovered_at=SEEN) <= due
