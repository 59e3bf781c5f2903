"""Completeness of an activity's footage: what covers it, what is missing, what explains it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.completeness import Explained, Recorded, Span, Verdict, completeness

T0 = datetime.fromisoformat("2026-11-02T10:00:00+08:00")
HOUR = Span(begins=T0, ends=T0 + timedelta(hours=1))


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def clip(
    begins: float | None, ends: float | None, *, officer: str = "a", counter: int | None = None, **more
) -> Recorded:
    return Recorded(
        recording=f"r{begins}", officer=officer, device="d", begins=None if begins is None else at(begins),
        ends=None if ends is None else at(ends), counter=counter, **more,
    )  # fmt: skip


def why(begins: float, ends: float) -> Explained:
    return Explained(number="WL1", officer="a", span=Span(begins=at(begins), ends=at(ends)))


@pytest.mark.parametrize(
    ("recorded", "explained", "verdict", "missing"),
    [
        ([clip(-5, 65)], [], Verdict.WHOLE, []),
        ([clip(0, 30), clip(30.5, 60)], [], Verdict.WHOLE, []),
        ([clip(0, 30), clip(35, 60)], [], Verdict.MISSING, [(30, 35)]),
        ([clip(0, 30), clip(35, 60)], [why(29, 36)], Verdict.EXPLAINED, []),
        ([clip(0, 30), clip(40, 60)], [why(30, 35)], Verdict.MISSING, [(35, 40)]),
        ([], [], Verdict.MISSING, [(0, 60)]),
        ([], [why(0, 60)], Verdict.EXPLAINED, []),
        ([clip(0, 60, media=False)], [], Verdict.MISSING, [(0, 60)]),
        ([clip(0, 60), clip(10, None)], [], Verdict.UNKNOWN, []),
        ([clip(0, 20), clip(10, 60)], [], Verdict.WHOLE, []),
    ],
)
def test_r25_what_is_missing_is_told_to_the_minute(recorded, explained, verdict, missing) -> None:
    report = completeness(HOUR, ["a"], recorded, explained)
    assert report.verdict is verdict
    assert [(one.begins, one.ends) for one in report.officers[0].missing] == [(at(a), at(b)) for a, b in missing]


def test_r08_missing_numbers_of_a_recorder_are_told_even_where_times_fit() -> None:
    report = completeness(HOUR, ["a"], [clip(0, 30, counter=7), clip(30, 60, counter=10)], [])
    assert (report.verdict, report.officers[0].counters) == (Verdict.MISSING, (("d", 8, 9),))
    reset = completeness(HOUR, ["a"], [clip(0, 30, counter=9999), clip(30, 60, counter=1)], [])
    assert reset.verdict is Verdict.WHOLE


def test_r03_every_officer_has_to_have_recorded() -> None:
    report = completeness(HOUR, ["a", "b"], [clip(0, 60)], [])
    assert report.verdict is Verdict.MISSING
    assert [part.covered for part in report.officers] == [3600, 0]
    assert completeness(HOUR, [], [], []).verdict is Verdict.UNKNOWN


@given(
    st.lists(st.tuples(st.integers(-30, 90), st.integers(1, 40)), max_size=8),
    st.lists(st.tuples(st.integers(-30, 90), st.integers(1, 40)), max_size=4),
)
def test_covered_and_missing_never_overlap_and_more_footage_never_makes_it_worse(clips, reasons) -> None:
    recorded = [clip(begin, begin + length) for begin, length in clips]
    explained = [why(begin, begin + length) for begin, length in reasons]
    part = completeness(HOUR, ["a"], recorded, explained).officers[0]
    lost = sum(one.seconds for one in part.missing)
    assert 0 <= part.covered <= HOUR.seconds
    assert part.covered + lost <= HOUR.seconds
    for gap in part.missing:
        assert all(one.ends <= gap.begins or one.begins >= gap.ends for one in recorded)
    more = completeness(HOUR, ["a"], [*recorded, clip(10, 20)], explained).officers[0]
    assert sum(one.seconds for one in more.missing) <= lost
