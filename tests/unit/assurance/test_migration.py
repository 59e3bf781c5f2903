"""Copies move from one store to another: nothing is lost on the way, whatever happens in the middle."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.brake import BY_PERSON
from assurance.copies import KeepingParts
from assurance.migration import LEFT, REMOVED, Migration, MoveParts
from assurance.verify import CopyPolicy
from catalogue import Catalogue
from catalogue.records import RecordingRow
from catalogue.store_moves import COPYING, ENDED, FINISHING, STOPPED, SWITCHED
from evidence.errors import (
    ConfigError,
    NotFoundError,
    PolicyUnmetError,
    StateConflictError,
    StoreError,
    StoreFullError,
)
from storage.layout import blob_key
from storage.stores import StoreSet
from support.kept_bytes import KeptBytes
from support.stores import local_store


class Moving:
    """Three stores, the third of which came later."""

    def __init__(self, root: Path, catalogue: Catalogue, *, copies: int = 2) -> None:
        self.kept = KeptBytes(root, catalogue)
        self.rows = [self.kept.recording(b"footage %d" % n * 999, name=f"{n}.mp4") for n in range(5)]
        self.third = local_store(root / "third", "third", clock=self.kept.clock)
        self.stores = StoreSet(self.kept.primary, [self.kept.second, self.third])
        self.copies = copies
        self.move = self.restarted()

    def restarted(self) -> Migration:
        """As another process has it."""
        keeping = KeepingParts(
            catalogue=self.kept.catalogue, recorder=self.kept.recorder, clock=self.kept.clock, stores=self.stores.all
        )
        policy = CopyPolicy(copies=self.copies, domains=2)
        self.parts = MoveParts(keeping=keeping, stores=self.stores, policy=policy, brake=self.kept.brake)
        return Migration(self.parts)

    def stores_of(self, row: RecordingRow) -> list[str]:
        with self.kept.catalogue.read() as uow:
            blob = uow.blobs.get(row.sha256)
        return [copy.store for copy in blob.copies]

    def state(self) -> str:
        return self.move.status().move.state


@pytest.fixture
def moving(catalogue: Catalogue, tmp_path: Path) -> Moving:
    return Moving(tmp_path, catalogue)


def test_a_whole_move_copies_switches_and_gives_up_and_everything_is_entered(moving: Moving) -> None:
    moving.move.begin("second", "third", actor="")
    assert moving.move.status().left == 5
    assert moving.move.work() == 0
    assert all(moving.stores_of(row) == ["primary", "second", "third"] for row in moving.rows)
    made = moving.kept.told("copy.made")
    assert {one["recording"] for one in made} == {row.id for row in moving.rows}
    assert {one["reason"] for one in made} == {"migration"}
    assert moving.move.status().next_step == "switch"

    moving.move.switch()
    assert moving.stores.old == {"second"}
    assert [store.properties.name for store in moving.stores.taking] == ["primary", "third"]
    assert moving.move.status().next_step == "finish"

    moving.move.finish(remove=False)
    assert moving.move.work() == 0
    assert all(moving.stores_of(row) == ["primary", "third"] for row in moving.rows)
    assert all(moving.kept.second.exists(row.sha256) for row in moving.rows)  # the bytes stay
    assert {one["reason"] for one in moving.kept.told("copy.removed")} == {LEFT}
    assert [one["state"] for one in moving.kept.told("store.moved")] == ["begun", "switched", "ended"]
    assert moving.state() == ENDED
    assert moving.stores.old == {"second"}


def test_the_bytes_of_the_old_store_go_when_that_was_ordered_and_dates_are_kept(moving: Moving) -> None:
    late = moving.rows[2]
    moving.kept.second.extend_retention(late.sha256, moving.kept.clock.now().wall + timedelta(days=3))
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    moving.move.finish(remove=True)
    assert moving.move.work() == 1
    assert "until" in moving.move.status().trouble
    assert [moving.kept.second.exists(row.sha256) for row in moving.rows] == [False, False, True, False, False]
    assert {one["reason"] for one in moving.kept.told("copy.removed")} == {REMOVED}
    # What was ordered holds for the new copy, too.
    assert moving.third.stat(late.sha256).retain_until >= moving.kept.second.stat(late.sha256).retain_until
    moving.kept.later(days=4)
    assert moving.move.work() == 0
    assert not moving.kept.second.exists(late.sha256)
    assert moving.state() == ENDED


def test_a_held_copy_is_not_removed(moving: Moving) -> None:
    moving.kept.remover.place_hold(moving.rows[0].sha256, "complaint-3")
    moving.move.begin("second", "third")
    moving.move.work()
    assert moving.third.stat(moving.rows[0].sha256).hold
    moving.move.switch()
    moving.move.finish(remove=True)
    assert moving.move.work() == 1
    assert moving.kept.second.exists(moving.rows[0].sha256)
    assert moving.state() == FINISHING


def test_steps_in_the_wrong_order_are_refused_with_words(moving: Moving) -> None:
    with pytest.raises(NotFoundError):
        moving.move.switch()
    with pytest.raises(NotFoundError):
        moving.move.begin("second", "nowhere")
    with pytest.raises(StateConflictError):
        moving.move.begin("second", "second")
    moving.move.begin("second", "third")
    with pytest.raises(StateConflictError, match="already move"):
        moving.move.begin("primary", "third")
    with pytest.raises(StateConflictError, match="not in third yet"):
        moving.move.switch()
    with pytest.raises(StateConflictError, match="not switched"):
        moving.move.finish(remove=False)
    moving.move.work()
    moving.move.switch()
    with pytest.raises(StateConflictError, match="switched already"):
        moving.move.switch()
    moving.move.finish(remove=False)
    with pytest.raises(StateConflictError, match="given up already"):
        moving.move.stop()
    moving.move.work()
    with pytest.raises(StateConflictError, match="moved away from"):
        moving.move.begin("third", "second")


def test_the_first_store_is_switched_only_after_another_one_is_first(moving: Moving) -> None:
    moving.move.begin("primary", "third")
    moving.move.work()
    assert moving.move.status().next_step == "change-first-store"
    with pytest.raises(StateConflictError, match="first store"):
        moving.move.switch()
    # The operator puts the new store first in config.toml and starts again.
    moving.stores = StoreSet(moving.third, [moving.kept.second, moving.kept.primary])
    moving.move = moving.restarted()
    moving.move.switch()
    moving.move.finish(remove=False)
    assert moving.move.work() == 0
    assert all(moving.stores_of(row) == ["second", "third"] for row in moving.rows)
    # Back in the first place, the old store would take in what nobody counts: refused.
    wrong = StoreSet(moving.kept.primary, [moving.kept.second, moving.third])
    with pytest.raises(ConfigError, match="moved away from"):
        wrong.retire({"primary"})


def test_a_switch_that_would_leave_too_few_stores_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    moving = Moving(tmp_path, catalogue, copies=3)
    moving.move.begin("second", "third")
    moving.move.work()
    with pytest.raises(PolicyUnmetError, match="without second"):
        moving.move.switch()
    assert moving.state() == COPYING


def test_a_killed_move_goes_on_where_it_was_and_makes_no_copy_twice(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    real, calls = moving.third.put, []

    def killed(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            real(*args, **kwargs)  # the bytes lie there, nobody was told
            raise Killed
        return real(*args, **kwargs)

    moving.move.begin("second", "third")
    with monkeypatch.context() as patch:
        patch.setattr(moving.third, "put", killed)
        with pytest.raises(Killed):
            moving.move.work()
    moving.move = moving.restarted()
    assert moving.move.status().left == 3
    assert moving.move.work() == 0
    assert len(moving.kept.told("copy.made")) == 5


def test_a_kill_between_a_removal_and_its_entry_is_made_good(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    moving.move.finish(remove=True)
    real = moving.kept.second.delete

    def killed(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moving.kept.second, "delete", killed)
        with pytest.raises(Killed):
            moving.move.work()
    moving.move = moving.restarted()
    assert moving.move.work() == 0
    assert len(moving.kept.told("copy.removed")) == 5


def damage(root: Path, row: RecordingRow) -> None:
    path = root / blob_key(row.sha256)
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)


def test_a_bad_source_copy_is_taken_from_another_store_told_and_repaired(moving: Moving, tmp_path: Path) -> None:
    bad = moving.rows[3]
    damage(tmp_path / "second", bad)
    moving.move.begin("second", "third")
    assert moving.move.work() == 0
    moving.third.verify(bad.sha256, bad.sha256)
    moving.kept.second.verify(bad.sha256, bad.sha256)
    kinds = {(one["kind"], one["store"]) for one in moving.kept.told("finding.raised")}
    assert ("copy-bad", "second") in kinds


def test_a_copy_that_went_bad_elsewhere_keeps_the_old_one_until_it_is_good(moving: Moving, tmp_path: Path) -> None:
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    bad = moving.rows[1]
    damage(tmp_path / "third", bad)
    moving.move.finish(remove=False)
    assert moving.move.work() == 0  # repaired from a good one, read again, then given up
    moving.third.verify(bad.sha256, bad.sha256)
    assert ("copy-bad", "third") in {(one["kind"], one["store"]) for one in moving.kept.told("finding.raised")}


def test_a_full_target_stops_the_slice_says_so_and_goes_on_when_there_is_room(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = moving.third.put, []

    def full(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) > 2:
            raise StoreFullError("store third has no room")
        return real(*args, **kwargs)

    moving.move.begin("second", "third")
    with monkeypatch.context() as patch:
        patch.setattr(moving.third, "put", full)
        assert moving.move.work() == 3
        assert len(calls) == 3  # one refusal is enough
    assert "no room" in moving.move.status().trouble
    assert moving.move.work() == 0
    assert moving.move.status().trouble == ""


def test_a_stopped_move_keeps_its_copies_and_the_source_counts_again(moving: Moving) -> None:
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    moving.move.stop()
    assert moving.stores.old == frozenset()
    assert moving.state() == STOPPED
    assert all(moving.stores_of(row) == ["primary", "second", "third"] for row in moving.rows)
    assert moving.move.work() == 0
    moving.move.begin("second", "third")  # and may begin anew
    assert moving.state() == COPYING


def test_the_state_is_known_to_a_process_that_starts_later(moving: Moving) -> None:
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    later = Migration(replace(moving.parts, stores=StoreSet(moving.kept.primary, [moving.kept.second, moving.third])))
    assert later.status().move.state == SWITCHED
    assert later.work() == 0
    assert later._parts.stores.old == {"second"}


def test_progress_and_forecast_are_told(moving: Moving) -> None:
    seen: list[tuple[int, ...]] = []
    moving.move.begin("second", "third")
    moving.move.work(progress=lambda *now: seen.append(now))
    assert [one[:2] for one in seen] == [(n, 5) for n in range(1, 6)]
    assert seen[-1][2] == seen[-1][3] == moving.move.status().size_bytes
    assert moving.move.status().seconds_left == 0


def test_what_cannot_be_moved_keeps_nothing_waiting_even_in_slices_of_one_blob(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = set(sorted(row.sha256 for row in moving.rows)[:2])
    real = moving.third.put

    def put(stream: object, *, sha256: object, **kwargs: object) -> object:
        if sha256 in bad:
            raise StoreError("its sectors do not answer")
        return real(stream, sha256=sha256, **kwargs)

    monkeypatch.setattr(moving.third, "put", put)
    moving.move.begin("second", "third")
    ticks = iter(range(10_000))
    monkeypatch.setattr("assurance.migration.time.monotonic", lambda: float(next(ticks)))
    for _ in range(6):
        left = moving.move.work(for_s=2.5)
    assert left == len(bad)


def test_a_pulled_brake_ends_the_slice_at_once_and_every_copy_stays(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    moving.move.finish(remove=True)
    moving.kept.brake.pull(cause=BY_PERSON, agent=moving.kept.bureau.officer, detail="look first")
    read: list[object] = []
    real = moving.third.verify
    monkeypatch.setattr(moving.third, "verify", lambda *args, **kwargs: (read.append(args), real(*args, **kwargs)))
    assert moving.move.work() == 5
    assert len(read) == 1
    assert "stopped" in moving.move.status().trouble
    assert all(moving.kept.second.exists(row.sha256) for row in moving.rows)


def test_copies_that_wait_for_a_date_are_not_read_again_and_again(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in moving.rows:
        moving.kept.second.extend_retention(row.sha256, moving.kept.clock.now().wall + timedelta(days=3))
    moving.move.begin("second", "third")
    moving.move.work()
    moving.move.switch()
    moving.move.finish(remove=True)
    read: list[object] = []
    monkeypatch.setattr(moving.third, "verify", lambda *args, **_: read.append(args))
    assert moving.move.work() == 5
    assert read == []
    assert "until" in moving.move.status().trouble
