"""Passwords: what is kept, what is refused, when the lock falls."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import InvalidInputError
from people import credentials

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_password_is_kept_only_as_an_argon2id_hash_with_its_own_salt() -> None:
    first, second = (credentials.hash_password("Correct-horse-9") for _ in range(2))
    assert first.startswith("$argon2id$")
    assert first != second
    assert "Correct-horse-9" not in first
    assert credentials.verify(first, "Correct-horse-9")
    assert not credentials.verify(first, "correct-horse-9")


def test_one_password_typed_in_two_unicode_forms_is_one_password() -> None:
    assert credentials.verify(credentials.hash_password("Caf\u00e9-1234567"), "Cafe\u0301-1234567")


def test_anything_that_is_no_hash_or_no_password_is_simply_wrong() -> None:
    good = credentials.hash_password("Correct-horse-9")
    assert not credentials.verify("nonsense", "Correct-horse-9")
    assert not credentials.verify("", "")
    assert not credentials.verify(good, "\ud800")
    assert not credentials.verify(good, "x" * 1_000_000)


def test_nobody_can_log_in_with_the_hash_for_unknown_log_ins_and_it_costs_the_same_work() -> None:
    assert not credentials.verify(credentials.NOBODY_HASH, "")
    assert not credentials.needs_rehash(credentials.NOBODY_HASH)


def test_a_hash_with_weaker_parameters_is_to_be_replaced() -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("x")
    assert credentials.needs_rehash(weak)
    assert credentials.needs_rehash("nonsense")
    assert not credentials.needs_rehash(credentials.hash_password("Correct-horse-9"))


def test_a_one_time_password_is_strong_readable_and_never_the_same() -> None:
    made = {credentials.one_time_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        credentials.require_strong(password, login="someone")
        assert not set(password) & set("0o1il")


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "Sh0rt-pw",
        "alllowercase1",
        "Aa1" * 43,
        "aaaaaaaaaaaaaaaaaaaa",
        "Aa1!Aa1!Aa1!",
        "Tab\tInside-9",
        "My-operator-9",
    ],
)
def test_a_weak_password_is_refused(weak: str) -> None:
    with pytest.raises(InvalidInputError):
        credentials.require_strong(weak, login="Operator")


@pytest.mark.parametrize(
    "strong", ["Correct-horse-9", "a long sentence of words", "执法记录仪的密码是很长的一句话没错"]
)
def test_a_strong_password_is_accepted(strong: str) -> None:
    credentials.require_strong(strong, login="operator")


@given(st.text(max_size=140))
def test_no_text_breaks_the_strength_rule(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        credentials.require_strong(text, login="operator")


def test_r18_five_failures_lock_a_log_in_for_fifteen_minutes_and_each_further_one_again() -> None:
    failed, locked = 0, None
    for _ in range(4):
        failed, locked = credentials.after_failure(failed, NOW)
        assert locked is None
    failed, locked = credentials.after_failure(failed, NOW)
    assert (failed, locked) == (5, NOW + timedelta(minutes=15))
    assert credentials.is_locked(locked, NOW + timedelta(minutes=14, seconds=59))
    assert not credentials.is_locked(locked, NOW + timedelta(minutes=15))
    assert not credentials.is_locked(None, NOW)
    later = NOW + timedelta(hours=1)
    assert credentials.after_failure(failed, later) == (6, later + timedelta(minutes=15))
