"""A wrong clock of ours: footage comes in, nothing is said to be due, nothing is cleared, and a person is told (promise 9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from evidence.clock import TimeReading, from_text
from evidence.errors import ClockJumpedError, ClockWentBackError
from evidence.model import ClearingMode, RecordingState
from ingest import clock_watch
from ingest.settings import IngestSettings
from support.home import NOON, Home, RunningClock
from support.recorders import gb_name, make_gb_tree

CLIP = b"evidence " * 5_000
SETTINGS = IngestSettings(
    station="station-1",
    clearing=ClearingMode.MANUAL,
    free_floor_bytes=0,
    domains_required=1,
    single_domain_allowed=True,
)


class Settable(RunningClock):
    """A clock that somebody sets: the monotonic one goes on."""

    source = "synchronised"

    def set(self, wall: datetime) -> None:
        self._wall = wall

    def now(self) -> TimeReading:
        reading = super().now()
        return TimeReading(reading.wall, reading.monotonic_ns, self.source, 5)


@pytest.fixture
def clock() -> Settable:
    return Settable()


@pytest.fixture
def home(tmp_path: Path, clock: Settable) -> Iterator[Home]:
    with Home(tmp_path / "home", settings=SETTINGS, clock=clock) as home:
        yield home


def card_of(root: Path, *stamps: str) -> Path:
    content = {f"DCIM/{gb_name(stamp=stamp, counter=n)}": CLIP + bytes([n]) for n, stamp in enumerate(stamps)}
    make_gb_tree(root, content)
    (root / "sn.txt").write_text("SN00017")
    return root


def test_r04_a_clock_set_back_takes_footage_in_and_makes_none_of_it_due(
    home: Home, clock: Settable, tmp_path: Path
) -> None:
    home.offload(card_of(tmp_path / "card", "20261122100000"))
    clock.set(from_text("2020-01-01T00:00:00.000Z"))
    result = home.offload(card_of(tmp_path / "card", "20261122100000", "20261122110000"))
    row = home.by_name(gb_name(stamp="20261122110000", counter=1))
    assert (result.outcome, row.state, row.sealed) == ("complete", RecordingState.STORED, True)
    assert isinstance(result.clock, ClockWentBackError)
    assert (row.deadline_at, row.started_at) == (None, from_text("2026-11-22T03:00:00.000Z"))
    assert home.findings() == ["clock-went-back"]


def test_r04_the_newest_sealed_entry_counts_where_no_mark_was_made(home: Home, clock: Settable, tmp_path: Path) -> None:
    home.seal()
    clock.set(NOON - timedelta(days=3))
    result = home.offload(card_of(tmp_path / "card", "20261122100000"))
    assert isinstance(result.clock, ClockWentBackError)
    assert home.rows()[0].deadline_at is None


def test_a_clock_that_went_back_clears_nothing(home: Home, clock: Settable, tmp_path: Path) -> None:
    card = card_of(tmp_path / "card", "20261122100000")
    home.offload(card)
    clock.set(NOON - timedelta(hours=1))
    with pytest.raises(ClockWentBackError):
        home.service.clear_recorder(home.dock(card), home.actor)
    clock.set(NOON + timedelta(hours=1))
    assert len(home.service.clear_recorder(home.dock(card), home.actor).released) == 1


def test_a_clock_that_ran_far_ahead_is_told_and_forgotten_as_soon_as_it_is_right_again(
    home: Home, clock: Settable, tmp_path: Path
) -> None:
    home.offload(card_of(tmp_path / "card", "20261122100000"))
    clock.set(from_text("2099-01-01T00:00:00.000Z"))
    clock.source = "unsynchronised"
    result = home.offload(card_of(tmp_path / "card", "20261122100000", "20261122110000"))
    assert isinstance(result.clock, ClockJumpedError)
    assert home.by_name(gb_name(stamp="20261122110000", counter=1)).deadline_at is None
    clock.set(NOON + timedelta(hours=2))
    result = home.offload(card_of(tmp_path / "card", *["20261122100000", "20261122110000", "20261122120000"]))
    assert result.clock is None
    assert home.by_name(gb_name(stamp="20261122120000", counter=2)).deadline_at == from_text("2026-11-23T04:00:00.000Z")


def test_a_mark_made_by_a_wrong_clock_that_seemed_right_does_not_last_for_ever(home: Home, clock: Settable) -> None:
    clock.set(from_text("2099-01-01T00:00:00.000Z"))  # by a time server that was wrong
    assert clock_watch.look(home.parts).believed
    clock.set(NOON)
    for _ in range(24):
        assert not clock_watch.look(home.parts).believed
        clock.advance(hours=1)
    assert clock_watch.look(home.parts).believed
    clock_watch.require_believed(home.parts)
    assert home.findings() == ["clock-went-back"]


def test_r04_a_recording_listed_by_a_wrong_clock_gets_its_deadline_when_a_right_one_reads_it(
    home: Home, clock: Settable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.offload(card_of(tmp_path / "card", "20261122100000"))
    card = card_of(tmp_path / "card", "20261122100000", "20261122110000")
    clock.set(from_text("2020-01-01T00:00:00.000Z"))
    with monkeypatch.context() as patch:
        patch.setattr("ingest.docking.DockingRun._read_all", lambda *_args: None)
        home.offload(card)
    name = gb_name(stamp="20261122110000", counter=1)
    assert (home.by_name(name).state, home.by_name(name).deadline_at) == (RecordingState.DISCOVERED, None)
    clock.set(NOON + timedelta(hours=1))
    home.offload(card)
    assert home.by_name(name).deadline_at == from_text("2026-11-23T03:00:00.000Z")
    assert home.verify().verdict.value == "good"
