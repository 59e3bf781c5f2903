"""Working days as published, and what is said where nothing is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.calendar import end_of
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError
from evidence.working_days import CalendarYear, Roll, Span, TimeUnit, WorkingDays, deadline, published, read_years

NOTHING = WorkingDays({})
HEAD = ("date", "kind", "name", "source")
NEXT = [
    ("日期", "类别", "名称", "依据"),
    ("2026-12-31", "休", "元旦", "a notice of the test"),
    (date(2027, 1, 1), "rest", "元旦", "a notice of the test"),
    (datetime(2027, 1, 9), "班", "元旦", "a notice of the test"),
    ("2027/10/01", "放假", "国庆节", "a notice of the test"),
    ("", None, "", ""),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BUREAU_ZONE)


def wd(count: int) -> Span:
    return Span(count=count, unit=TimeUnit.WORKING_DAY)


def test_every_day_of_the_published_years_is_what_another_table_says() -> None:
    table = published()
    day, end = date(2021, 1, 1), date(2026, 10, 10)
    while day <= end:
        assert table.is_working(day) == chinese_calendar.is_workday(day), day
        day += timedelta(days=1)
    assert sorted(table.years) == [2021, 2022, 2023, 2024, 2025, 2026]
    assert all("国办发明电" in year.source for year in table.years.values())


@pytest.mark.parametrize(
    ("begins", "count", "last"),
    [("2026-09-30", 3, "2026-10-10"), ("2026-02-13", 3, "2026-02-25"), ("2026-04-28", 7, "2026-05-11")],
)
def test_r22_r23_working_days_leave_holidays_out_and_count_moved_days(begins: str, count: int, last: str) -> None:
    found = deadline(at(f"{begins}T15:00"), wd(count), published())
    assert found.last_day == date.fromisoformat(last)
    assert found.at == end_of(found.last_day)
    assert not found.provisional


def test_r25_a_last_day_of_rest_moves_to_the_next_working_day_only_where_a_rule_says_so() -> None:
    begins = at("2026-09-03T09:00")
    plain = deadline(begins, Span(count=30, unit=TimeUnit.DAY), published())
    moved = deadline(begins, Span(count=30, unit=TimeUnit.DAY, roll=Roll.NEXT_WORKING_DAY), published())
    assert (plain.last_day, moved.last_day) == (date(2026, 10, 3), date(2026, 10, 8))
    assert deadline(begins, Span(count=1, unit=TimeUnit.MONTH), published()).last_day == date(2026, 10, 3)


def test_r04_r05_hours_are_elapsed_hours() -> None:
    span = Span(count=24, unit=TimeUnit.HOUR, roll=Roll.NEXT_WORKING_DAY)
    assert deadline(at("2026-09-30T18:20"), span, published()).at == at("2026-10-01T18:20")
    assert not deadline(at("2031-09-30T18:20"), span, NOTHING).provisional


def test_a_year_that_is_not_published_is_said_and_computed_anew_when_it_is() -> None:
    begins = at("2026-12-29T10:00")
    before = deadline(begins, wd(3), published())
    assert before.provisional
    assert before.unpublished == (2027,)
    assert before.last_day == date(2027, 1, 1)
    table = published().with_year(read_years(NEXT)[0])
    after = deadline(begins, wd(8), table)
    assert not after.provisional
    # 30 December works, 31 and 1 January rest, then 4 to 9 January (a moved Saturday).
    assert after.last_day == date(2027, 1, 11)
    assert deadline(begins, wd(2), published()).unpublished == (2027,), "the last days of a December may be moved"
    assert not deadline(at("2026-12-20T10:00"), wd(4), published()).provisional


def test_days_that_are_not_asked_about_make_nothing_provisional() -> None:
    assert not deadline(at("2027-03-03T10:00"), Span(count=7, unit=TimeUnit.DAY), published()).provisional
    rolled = Span(count=7, unit=TimeUnit.DAY, roll=Roll.NEXT_WORKING_DAY)
    assert deadline(at("2027-03-03T10:00"), rolled, published()).provisional


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "lacks the column"),
        ([HEAD], "no days"),
        ([HEAD, ("2027-01-01", "party", "", "n")], "row 2"),
        ([HEAD, ("1 January", "rest", "", "n")], "no date"),
        ([HEAD, ("2027-01-01", "rest", "", "")], "no document"),
        ([HEAD, ("2027-01-01", "rest", "", "n")], "lacks 1 January or 1 October"),
        ([HEAD, ("2027-01-01", "rest", "", "n"), ("2027-01-01", "rest", "", "n")], "twice"),
        (
            [HEAD, ("2027-01-04", "work", "", "n"), ("2027-01-01", "rest", "", "n"), ("2027-10-01", "rest", "", "n")],
            "weekday",
        ),
        ([HEAD, ("2026-05-01", "rest", "", "n"), ("2027-01-01", "rest", "", "n")], "does not belong"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_row(rows, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_years(rows)


def test_a_year_needs_a_document_and_a_period_a_length() -> None:
    with pytest.raises(InvalidInputError):
        CalendarYear(year=2027, rest=frozenset(), work=frozenset(), source=" ")
    for count in (0, -3, 100_000):
        with pytest.raises(InvalidInputError):
            Span(count=count, unit=TimeUnit.DAY)


@given(
    begins=st.datetimes(datetime(2015, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    count=st.integers(1, 120),
    unit=st.sampled_from([TimeUnit.DAY, TimeUnit.WORKING_DAY, TimeUnit.MONTH]),
    roll=st.sampled_from(Roll),
)
def test_a_longer_period_never_ends_earlier_and_rolling_never_shortens(begins, count, unit, roll) -> None:
    table = published()
    here = deadline(begins, Span(count=count, unit=unit, roll=roll), table)
    assert deadline(begins, Span(count=count + 1, unit=unit, roll=roll), table).at >= here.at
    assert here.at >= deadline(begins, Span(count=count, unit=unit), table).at
    assert here.at > begins
    if unit is TimeUnit.WORKING_DAY or roll is Roll.NEXT_WORKING_DAY:
        assert table.is_working(here.last_day)
