"""A wrong clock removes nothing that has a date, also where the store came from another machine."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from evidence.clock import TimeReading
from evidence.digest import SHA256, Digest
from evidence.errors import BlobLockedError, ClockJumpedError, ClockWentBackError, IntegrityError
from storage.clock_mark import NAME
from storage.local import LocalStore
from support.stores import START, SUITE, local_store

DATA = b"footage"
SHA = Digest(SHA256, hashlib.sha256(DATA).hexdigest())


class Wrist:
    """A clock that is set by hand, with or without a time service behind it; it also ran for a while."""

    def __init__(self, wall: datetime = START, source: str = "free") -> None:
        self.wall, self.source, self.ran_ns = wall, source, 0

    def now(self) -> TimeReading:
        return TimeReading(self.wall, self.ran_ns, self.source, 0)

    def run(self, step: timedelta) -> None:
        self.wall += step
        self.ran_ns += int(step.total_seconds() * 10**9)


def kept(root: Path, clock: Wrist, *, days: int = 30) -> LocalStore:
    store = local_store(root, clock=clock)
    store.put(io.BytesIO(DATA), sha256=SHA, size_bytes=len(DATA), retain_until=clock.wall + timedelta(days=days))
    return store


def on_another_machine(root: Path, clock: Wrist) -> LocalStore:
    return LocalStore(root, name="primary", suite=SUITE, clock=clock, free_floor_bytes=0, protect="mode-only")


def test_a_clock_far_ahead_makes_no_date_pass(tmp_path: Path) -> None:
    kept(tmp_path, Wrist())
    ahead = Wrist(START + timedelta(days=3650))
    store = on_another_machine(tmp_path, ahead)
    with pytest.raises(ClockJumpedError):
        store.delete(SHA, now=ahead.wall)
    with pytest.raises(ClockJumpedError):  # nor at the second try
        store.delete(SHA, now=ahead.wall)
    assert store.exists(SHA)


def test_a_clock_far_ahead_that_a_time_service_stands_behind_is_believed(tmp_path: Path) -> None:
    kept(tmp_path, Wrist())
    later = Wrist(START + timedelta(days=400), source="synchronised")
    store = on_another_machine(tmp_path, later)
    store.delete(SHA, now=later.wall)
    assert not store.exists(SHA)


def test_a_clock_behind_what_the_store_has_seen_removes_nothing(tmp_path: Path) -> None:
    clock = Wrist()
    store = kept(tmp_path, clock, days=1)
    clock.run(timedelta(days=20))
    store.set_hold(SHA, reference="h")  # the store sees the time
    store.release_hold(SHA, reference="h")
    back = Wrist(START + timedelta(days=5))
    with pytest.raises(ClockWentBackError):
        on_another_machine(tmp_path, back).delete(SHA, now=back.wall)
    store.delete(SHA, now=clock.wall)


def test_a_time_that_goes_on_evenly_for_a_day_is_believed(tmp_path: Path) -> None:
    kept(tmp_path, Wrist())
    clock = Wrist(START + timedelta(days=100))
    store = on_another_machine(tmp_path, clock)
    for _ in range(25):
        with pytest.raises(ClockJumpedError):
            store.delete(SHA, now=clock.wall)
        clock.run(timedelta(hours=1))
        if clock.ran_ns >= 24 * 3600 * 10**9:
            break
    store.delete(SHA, now=clock.wall)
    assert not store.exists(SHA)


def test_the_date_itself_still_counts(tmp_path: Path) -> None:
    clock = Wrist()
    store = kept(tmp_path, clock)
    clock.run(timedelta(days=10))
    with pytest.raises(BlobLockedError):
        store.delete(SHA, now=clock.wall)


def test_bytes_without_a_date_go_by_any_clock(tmp_path: Path) -> None:
    store = local_store(tmp_path, clock=Wrist())
    store.put(io.BytesIO(DATA), sha256=SHA, size_bytes=len(DATA))
    ahead = Wrist(START + timedelta(days=3650))
    on_another_machine(tmp_path, ahead).delete(SHA, now=ahead.wall)
    assert not store.exists(SHA)


def test_a_mark_that_was_tampered_with_removes_nothing(tmp_path: Path) -> None:
    clock = Wrist()
    store = kept(tmp_path, clock, days=1)
    (tmp_path / NAME).write_text("{}")
    clock.run(timedelta(days=2))
    with pytest.raises(IntegrityError, match="clock mark"):
        store.delete(SHA, now=clock.wall)
    store.verify(SHA, SHA)
