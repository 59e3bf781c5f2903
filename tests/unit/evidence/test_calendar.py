"""Months, days and hours in the bureau's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.calendar import add_months, after_days, after_hours, after_months, end_of, local_date, start_of
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError

MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BUREAU_ZONE)


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        ("2026-08-31", 6, "2027-02-28"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2026-08-28", 6, "2027-02-28"),
        ("2026-05-31", 1, "2026-06-30"),
        ("2026-12-31", 12, "2027-12-31"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-11-27", 14, "2028-01-27"),
    ],
)
def test_r10_a_month_ends_on_the_same_number_or_on_its_last_day(day: str, months: int, last: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(last)


def test_r10_31_august_and_six_months_end_with_february_in_the_bureaus_zone() -> None:
    assert after_months(local("2026-08-31T10:00"), 6) == datetime(2027, 2, 28, 16, tzinfo=UTC)
    assert after_months(local("2027-08-31T23:59"), 6) == datetime(2028, 2, 29, 16, tzinfo=UTC)
    assert after_months(datetime(2026, 8, 31, 16, 30, tzinfo=UTC), 6) == local("2027-03-02T00:00"), "1 September here"


def test_a_day_is_counted_from_the_next_and_ends_at_midnight_an_hour_from_the_event() -> None:
    assert after_days(local("2026-09-03T23:59"), 30) == local("2026-10-04T00:00")
    assert after_hours(local("2026-09-30T18:20"), 24) == local("2026-10-01T18:20"), "holidays are not left out"


def test_a_moment_without_a_zone_has_no_date_and_no_period_leaves_the_calendar() -> None:
    with pytest.raises(InvalidInputError):
        local_date(datetime(2026, 11, 27))
    with pytest.raises(InvalidInputError):
        add_months(date(9999, 12, 1), 6)
    with pytest.raises(InvalidInputError):
        add_months(date(1, 1, 1), -6)


@given(begins=MOMENTS, months=st.integers(1, 600))
def test_r10_a_longer_period_never_ends_earlier_and_no_month_is_shorter_than_its_days(begins, months) -> None:
    ends = after_months(begins, months)
    assert ends > begins + timedelta(days=months * 28 - 1)
    assert after_months(begins, months + 1) > ends
    assert after_months(begins + timedelta(hours=3), months) >= ends


@given(day=st.dates(date(1980, 1, 1), date(2090, 1, 1)))
def test_a_day_ends_where_the_next_begins_also_in_the_years_of_summer_time(day: date) -> None:
    assert end_of(day) == start_of(day + timedelta(days=1))
    assert local_date(start_of(day)) == day
    assert local_date(end_of(day) - timedelta(milliseconds=1)) == day
