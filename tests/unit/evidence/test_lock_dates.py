"""Six calendar months in the bureau's time zone, steps below a cap, never beyond the lawful date (R10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.clock import BUREAU_ZONE, TimeReading
from evidence.lock_dates import (
    LOOK_WITHIN,
    LockDate,
    LockFacts,
    LockPolicy,
    believed_now,
    due_at,
    lock_until,
    look_again_at,
    needs_renewal,
)

POLICY = LockPolicy()
DAY = timedelta(days=1)
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BUREAU_ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("accession", "due"),
    [
        ("2026-08-31T10:00", "2027-03-01T00:00"),  # February has no 31st: its last day, to its end
        ("2027-08-31T10:00", "2028-03-01T00:00"),  # a leap year
        ("2026-08-28T23:59", "2027-03-01T00:00"),
        ("2026-09-01T00:30", "2027-03-02T00:00"),  # still 31 August in UTC
        ("2026-05-26T22:00", "2026-11-27T00:00"),
        ("2026-12-31T00:00", "2027-07-01T00:00"),
    ],
)
def test_r10_six_months_end_with_the_day_of_the_same_number(accession: str, due: str) -> None:
    assert due_at(local(accession)) == local(due)


def test_r10_the_period_begins_with_the_later_of_end_and_accession_and_a_mad_end_is_not_believed() -> None:
    came = local("2026-05-26T22:00")
    assert due_at(came, came - 40 * DAY) == due_at(came)
    assert due_at(came, came + timedelta(hours=3)) == due_at(came + timedelta(hours=3))
    assert due_at(came, came + 4_000 * DAY) == due_at(came), "a recorder's clock in 2037 prolongs nothing"


@given(came=MOMENTS, passed=st.integers(0, 400), cap=st.integers(14, 3650))
def test_r10_ordinary_footage_is_never_locked_beyond_its_date_nor_beyond_the_cap(came, passed, cap) -> None:
    now, policy = came + passed * DAY, LockPolicy(cap=cap * DAY)
    wanted = lock_until([LockFacts(accession=came)], now, policy)
    due = due_at(came)
    assert due >= came + 181 * DAY
    if now >= due:
        assert wanted == LockDate(until=None, last=True)
    else:
        assert wanted.until == min(due, now + policy.cap)
        assert wanted.last == (due <= now + policy.cap)


@pytest.mark.parametrize(
    "endless",
    [
        LockFacts(accession=None),
        LockFacts(accession=local("2020-01-01T00:00"), long_term=True),
        LockFacts(accession=local("2020-01-01T00:00"), held=True),
    ],
)
def test_r11_what_is_kept_without_an_end_rolls_on_and_holds_the_bytes_of_others(endless: LockFacts) -> None:
    now = local("2026-11-26T12:00")
    old = LockFacts(accession=local("2021-01-01T00:00"))
    assert lock_until([old], now, POLICY).until is None
    assert lock_until([old, endless], now, POLICY) == LockDate(until=now + POLICY.cap, last=False)


def test_shared_bytes_have_the_latest_date_of_all_who_need_them() -> None:
    now = local("2026-11-26T12:00")
    first, second = (LockFacts(accession=local(f"2026-0{month}-10T00:00")) for month in (6, 7))
    assert first.accession is not None and second.accession is not None  # noqa: PT018 - both only for the type checker
    assert lock_until([second, first], now, POLICY).until == due_at(second.accession)
    assert lock_until([], now, POLICY) == LockDate(until=None, last=True)


def test_a_date_is_moved_when_half_of_the_cap_is_over_or_the_last_one_can_be_given() -> None:
    now = local("2026-11-26T12:00")
    rolling = LockDate(until=now + 90 * DAY, last=False)
    assert needs_renewal(None, rolling, now, POLICY)
    assert needs_renewal(now + 44 * DAY, rolling, now, POLICY)
    assert not needs_renewal(now + 46 * DAY, rolling, now, POLICY)
    last = LockDate(until=now + 80 * DAY, last=True)
    assert needs_renewal(now + 60 * DAY, last, now, POLICY)
    assert not needs_renewal(now + 80 * DAY, last, now, POLICY)
    assert not needs_renewal(None, LockDate(until=None, last=True), now, POLICY)


@given(left=st.integers(-100, 400))
def test_no_copy_is_left_alone_for_more_than_a_week_nor_looked_at_all_the_time(left: int) -> None:
    now = local("2026-11-26T12:00")
    at = look_again_at(now + left * DAY, now, POLICY)
    assert now + timedelta(hours=1) <= at <= now + LOOK_WITHIN


def test_p09_a_clock_that_contradicts_what_was_seen_tells_no_time() -> None:
    seen = local("2026-11-26T12:00")
    assert believed_now(TimeReading(seen + DAY, 0, "unsynchronised", -1), seen) == seen + DAY
    assert believed_now(TimeReading(seen - DAY, 0, "synchronised", 5), seen) is None
    assert believed_now(TimeReading(seen + 400 * DAY, 0, "unsynchronised", -1), seen) is None


def test_r10_r19_a_longer_class_or_a_case_moves_the_lawful_date_and_none_shortens_it() -> None:
    now, came = local("2026-11-26T12:00"), local("2026-05-01T10:00")
    ordinary, decided = local("2026-11-02T00:00"), local("2028-05-02T00:00")
    assert lock_until([LockFacts(accession=came)], now, POLICY) == LockDate(until=None, last=True), ordinary
    longer = LockFacts(accession=came, due_at=decided)
    assert lock_until([longer], now, POLICY) == LockDate(until=now + POLICY.cap, last=False)
    near = LockFacts(accession=came, due_at=now + 10 * DAY)
    assert lock_until([near], now, POLICY) == LockDate(until=now + 10 * DAY, last=True), "never past the lawful date"
    shorter = LockFacts(accession=now, due_at=now + 10 * DAY)
    assert lock_until([shorter], now + 170 * DAY, POLICY).until == due_at(now)
