"""Classes of keeping as they are written, and which versions of the schedule bind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from evidence.errors import InvalidInputError
from retention.periods import FOLLOWS_CASE, LONG_TERM, UNTIL_REVIEWED, RetentionClass, Term, months, parse_class
from retention.schedule import DEFAULT, DisposalMode, Schedule, Schedules, class_rows, schedule_from_json

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def version(number: int, begins: datetime, **rest) -> Schedule:
    return Schedule(version=number, number=f"S-{number}", authority="a document", in_force_from=begins, **rest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("6个月", months(6)),
        ("不少于6个月", months(6)),
        ("六个月", months(6)),
        ("十二个月", months(12)),
        ("2年", months(24)),
        ("二年", months(24)),
        ("十年", months(120)),
        ("半年", months(6)),
        ("3 years", months(36)),
        ("24 months", months(24)),
        ("months:24", months(24)),
        ("永久", LONG_TERM),
        ("长期保存", LONG_TERM),
        ("Long-Term", LONG_TERM),
        ("同案卷保留期限", FOLLOWS_CASE),
        ("待鉴定", UNTIL_REVIEWED),
    ],
)
def test_r10_a_period_is_read_as_bureaus_write_it(text: str, found: RetentionClass) -> None:
    assert parse_class(text) == found
    assert parse_class(found.text()) == found


@pytest.mark.parametrize(
    "text", ["", "3个月", "90天", "0年", "months:5", "forever and a day", "半个月", "十十年", "9999年"]
)
def test_r10_a_period_below_six_months_or_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_class(text)


def test_r10_classes_have_an_order_and_months_belong_to_months() -> None:
    order = [months(6), months(24), FOLLOWS_CASE, UNTIL_REVIEWED, LONG_TERM]
    assert sorted([order[4], *order[:4]], key=lambda one: one.length) == order
    with pytest.raises(InvalidInputError):
        RetentionClass(Term.LONG_TERM, 6)


def test_r10_a_schedule_survives_being_stored_and_its_digest_is_over_what_it_says() -> None:
    rows = class_rows(
        [{"category": "traffic", "keeps": "2年", "title": "交通"}, {"category": "market", "keeps": "同案卷"}]
    )
    one = version(3, T0, rows=rows, mode=DisposalMode.AUTOMATIC, notice_days=7)
    assert schedule_from_json(one.to_json()) == one
    assert one.digest() == version(4, T0 + DAY, rows=rows, mode=DisposalMode.AUTOMATIC, notice_days=7).digest()
    assert one.digest() != version(3, T0, rows=rows).digest()


@pytest.mark.parametrize(
    "wrong",
    [{"ordinary_months": 5}, {"notice_days": 6}, {"cool_off_days": -1}, {"litigation_months": -6}, {"authority": " "}],
)
def test_r10_no_schedule_is_laxer_than_the_rules(wrong: dict) -> None:
    with pytest.raises(InvalidInputError):
        Schedule(**{"version": 1, "number": "S-1", "authority": "a", "in_force_from": T0} | wrong)


@pytest.mark.parametrize(
    "rows",
    [
        [{"category": "", "keeps": "2年"}],
        [{"category": "a", "keeps": "2年"}, {"category": "a", "keeps": "3年"}],
        [{"category": "a", "keeps": "3个月"}],
    ],
)
def test_r10_rows_that_are_none_are_refused(rows: list) -> None:
    with pytest.raises(InvalidInputError, match="row"):
        class_rows(rows)


@pytest.mark.parametrize(
    "broken", [{}, {"version": "x"}, DEFAULT.to_json() | {"rows": 5}, DEFAULT.to_json() | {"mode": "y"}]
)
def test_a_stored_schedule_that_is_none_is_refused(broken: dict) -> None:
    with pytest.raises(InvalidInputError):
        schedule_from_json(broken)


def test_r10_what_was_judged_under_a_version_stays_bound_to_it() -> None:
    one, two = version(1, T0), version(2, T0 + 30 * DAY)
    all_of_them = Schedules((DEFAULT, one, two))
    assert all_of_them.since(None) == (DEFAULT, one, two)
    assert all_of_them.since(T0 - DAY) == (DEFAULT, one, two)
    assert all_of_them.since(T0) == (one, two)
    assert all_of_them.since(T0 + 30 * DAY) == (two,)
    assert all_of_them.since(T0 - DAY, not_before=2) == (two,)
    assert all_of_them.current == two
    with pytest.raises(InvalidInputError):
        Schedules((one, DEFAULT))
