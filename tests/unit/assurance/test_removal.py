"""Bytes go when nobody needs them, from everywhere, once; and what refuses, refuses before anything is gone."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.brake import BY_PERSON, BrakeLimits
from assurance.removal import Outcome
from catalogue import Catalogue
from catalogue.references import REMOVING, WAITING, BytesGoError
from evidence.errors import (
    BlobLockedError,
    BrakePulledError,
    ClockWentBackError,
    NotFoundError,
    StateConflictError,
    StoreUnavailableError,
)
from evidence.model import RecordingState
from support.catalogue_rows import add_recording
from support.kept_bytes import KeptBytes

POSTER = b"a poster" * 999


@pytest.fixture
def kept(catalogue: Catalogue, tmp_path: Path) -> KeptBytes:
    return KeptBytes(tmp_path, catalogue)


def test_the_last_holder_takes_the_bytes_out_of_every_store_and_it_is_entered(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    holder = kept.derivative(row, POSTER)
    sha256 = kept.put(POSTER)[0]

    assert kept.remover.release(sha256, holder, reason="made-anew").outcome is Outcome.REMOVED

    assert kept.in_stores(sha256) == []
    assert kept.held(sha256) is None
    (entry,) = kept.told("bytes.released")
    assert (entry["holder"], entry["removed"], entry["recording"], entry["reason"]) == (
        holder,
        True,
        row.id,
        "made-anew",
    )
    assert [copy["store"] for copy in entry["copies"]] == ["primary", "second"]
    with kept.catalogue.read() as uow:
        assert uow.references.removals() == []
        assert uow.derivatives.of(row.id) == []
    assert row.sha256 is not None
    assert kept.held(row.sha256) == (f"recording:{row.id}",)


def test_a_holder_that_is_not_the_last_only_goes_itself(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    first, second = kept.derivative(row, POSTER), kept.derivative(row, POSTER)
    sha256 = kept.put(POSTER)[0]

    assert kept.remover.release(sha256, first, reason="made-anew").outcome is Outcome.SHARED

    assert kept.held(sha256) == (second,)
    assert kept.in_stores(sha256) == ["primary", "second"]
    (entry,) = kept.told("bytes.released")
    assert (entry["removed"], entry["copies"]) == (False, [])


def test_who_holds_nothing_cannot_let_go(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    with pytest.raises(NotFoundError):
        kept.remover.release(row.sha256, "derivative:x", reason="made-anew")
    assert kept.in_stores(row.sha256) == ["primary", "second"]


def test_a_duplicate_needs_the_bytes_of_the_recording_it_joined(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    twin = add_recording(
        kept.catalogue, kept.bureau, state=RecordingState.DUPLICATE, duplicate_of=row.id, sha256=row.sha256
    )
    with pytest.raises(StateConflictError, match="duplicates"):
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    done = kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared", together=[f"recording:{twin.id}"])
    assert done.outcome is Outcome.REMOVED


@pytest.mark.parametrize("where", ["catalogue", "store"])
def test_a_hold_refuses(kept: KeptBytes, where: str) -> None:
    row = kept.recording(b"footage")
    if where == "catalogue":
        assert kept.remover.place_hold(row.sha256, "hold-7") == []
    else:
        kept.second.set_hold(row.sha256, reference="hold-7")
    with pytest.raises(BlobLockedError, match="hold"):
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    assert kept.in_stores(row.sha256) == ["primary", "second"]
    if where == "catalogue":
        assert kept.primary.stat(row.sha256).hold
        assert kept.remover.lift_hold(row.sha256, "hold-7") == []
        assert kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared").outcome is Outcome.REMOVED


def test_the_latest_date_of_all_stores_is_waited_for_and_the_duty_ends_it(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    soon, late = (kept.clock.now().wall + timedelta(days=days) for days in (1, 5))
    kept.primary.extend_retention(row.sha256, soon)
    kept.second.extend_retention(row.sha256, late)

    done = kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")

    assert done.outcome is Outcome.WAITING
    assert done.until is not None
    assert abs(done.until - late) < timedelta(seconds=1)
    assert kept.held(row.sha256) == (f"recording:{row.id}",)
    with kept.catalogue.read() as uow:  # nobody moves the date later meanwhile
        assert uow.copy_locks.due("second", kept.clock.now().wall + timedelta(days=99), 10) == []
    kept.later(days=2)
    assert kept.remover.go_on() == 0
    assert kept.in_stores(row.sha256) == ["primary", "second"]
    kept.later(days=4)
    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []
    assert kept.told("bytes.released")[0]["reason"] == "cleared"


def test_a_hold_that_comes_while_a_date_is_waited_for_wins(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    kept.primary.extend_retention(row.sha256, kept.clock.now().wall + timedelta(days=1))
    assert kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared").outcome is Outcome.WAITING
    kept.remover.place_hold(row.sha256, "complaint-9")
    kept.later(days=2)
    assert kept.remover.go_on() == 0
    assert kept.in_stores(row.sha256) == ["primary", "second"]
    with kept.catalogue.read() as uow:
        assert "hold" in uow.references.removal(row.sha256).error


def test_a_store_that_is_away_before_is_waited_for_and_nothing_is_touched(
    kept: KeptBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = kept.recording(b"footage")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(kept.second, "stat", away)
        done = kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    assert done.outcome is Outcome.WAITING
    assert "second" in done.why
    assert kept.in_stores(row.sha256) == ["primary", "second"]
    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []


def test_a_store_that_goes_away_after_the_point_of_no_return_leaves_it_open_until_it_is_back(
    kept: KeptBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = kept.recording(b"footage")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(kept.second, "delete", away)
        done = kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
        assert kept.remover.go_on() == 0
    assert done.outcome is Outcome.REMOVING
    assert kept.in_stores(row.sha256) == ["second"]
    assert kept.told("bytes.released") == []
    # Too late for a hold, for another holder, and for new bytes: they come again when it is done.
    with pytest.raises(BytesGoError):
        kept.remover.place_hold(row.sha256, "too-late")
    with pytest.raises(BytesGoError), kept.catalogue.begin() as uow:
        uow.blobs.add_holder(row.sha256, 7, None, "recording:another")
    with pytest.raises(BytesGoError), kept.catalogue.begin() as uow:
        uow.references.claim(row.sha256, until=kept.clock.now().wall + timedelta(hours=1))

    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []
    with kept.catalogue.begin() as uow:
        uow.references.claim(row.sha256, until=kept.clock.now().wall + timedelta(hours=1))
        uow.blobs.add_holder(row.sha256, 7, None, "recording:another")


def test_a_process_that_died_after_the_point_of_no_return_is_finished_by_the_next(
    kept: KeptBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = kept.recording(b"footage")

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(kept.second, "delete", killed)
        with pytest.raises(Killed):
            kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    with kept.catalogue.read() as uow:
        assert [one.state for one in uow.references.removals()] == [REMOVING]
    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []
    assert len(kept.told("bytes.released")) == 1


def test_bytes_that_somebody_brings_in_stay(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    with kept.catalogue.begin() as uow:
        uow.references.claim(row.sha256, until=kept.clock.now().wall + timedelta(hours=1))
    with pytest.raises(StateConflictError, match="brought in"):
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    kept.later(hours=2)
    incoming = add_recording(
        kept.catalogue, kept.bureau, state=RecordingState.ACQUIRED, sha256=row.sha256, name="b.mp4"
    )
    with pytest.raises(StateConflictError, match="brought in"):
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    assert incoming.state is RecordingState.ACQUIRED
    assert kept.in_stores(row.sha256) == ["primary", "second"]


def test_nothing_goes_by_a_clock_that_is_not_believed(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    with kept.catalogue.begin() as uow:
        uow.clock_marks.raise_to(kept.clock.now().wall + timedelta(days=1))
    with pytest.raises(ClockWentBackError):
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    assert kept.in_stores(row.sha256) == ["primary", "second"]


def test_the_brake_bounds_what_goes(catalogue: Catalogue, tmp_path: Path) -> None:
    kept = KeptBytes(tmp_path, catalogue, limits=BrakeLimits(objects=2, size_bytes=1 << 40))
    rows = [kept.recording(b"footage %d" % number, name=f"{number}.mp4") for number in range(3)]
    for row in rows[:2]:
        kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    with pytest.raises(BrakePulledError):
        kept.remover.release(rows[2].sha256, f"recording:{rows[2].id}", reason="cleared")
    assert kept.in_stores(rows[2].sha256) == ["primary", "second"]


def test_a_pulled_brake_keeps_what_waited_for_its_date(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    kept.primary.extend_retention(row.sha256, kept.clock.now().wall + timedelta(days=1))
    kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    kept.brake.pull(cause=BY_PERSON, agent=kept.bureau.officer, detail="look first")
    kept.later(days=2)
    assert kept.remover.go_on() == 0
    with kept.catalogue.read() as uow:
        assert uow.references.removal(row.sha256).state == WAITING
    assert kept.in_stores(row.sha256) == ["primary", "second"]


@pytest.mark.parametrize("what", ["hold", "holder", "claim"])
def test_of_a_removal_and_what_would_keep_the_bytes_exactly_one_wins(kept: KeptBytes, what: str) -> None:
    """Real threads, many rounds: never both, never neither, and never bytes that are gone under somebody who has them."""
    wins = {"kept": 0, "removed": 0}
    for number in range(24):
        row = kept.recording(b"footage %d" % number, name=f"{number}.mp4")
        sha256, holder = row.sha256, f"recording:{row.id}"
        start = threading.Barrier(2)
        answers: dict[str, object] = {}

        def keep(sha256=sha256, start=start, answers=answers, size_bytes=row.size_bytes) -> None:
            start.wait()
            try:
                if what == "hold":
                    with kept.catalogue.begin() as uow:
                        if uow.blobs.get(sha256) is None:
                            raise BytesGoError("gone")
                        uow.references.add_hold(sha256, "race", kept.clock.now().wall)
                elif what == "holder":
                    with kept.catalogue.begin() as uow:
                        uow.references.require_staying(sha256)
                        if uow.blobs.get(sha256) is None:
                            raise BytesGoError("gone")
                        uow.blobs.add_holder(sha256, size_bytes, None, "recording:other")
                else:
                    with kept.catalogue.begin() as uow:
                        uow.references.claim(sha256, until=kept.clock.now().wall + timedelta(hours=1))
                        answers["there"] = uow.blobs.get(sha256) is not None
                answers["keep"] = True
            except BytesGoError:
                answers["keep"] = False

        def remove(sha256=sha256, holder=holder, start=start, answers=answers) -> None:
            start.wait()
            try:
                answers["remove"] = kept.remover.release(sha256, holder, reason="cleared").outcome
            except (BlobLockedError, StateConflictError):
                answers["remove"] = None

        threads = [threading.Thread(target=work) for work in (keep, remove)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        removed = answers["remove"] is Outcome.REMOVED
        if what == "claim":
            # A claim that came after the removal had ended is good: the bytes are then not there and are stored anew.
            assert not (removed and answers["keep"] and answers["there"])
        else:
            assert removed is not answers["keep"], answers
        assert (kept.in_stores(sha256) == []) is removed
        wins["removed" if removed else "kept"] += 1
    assert sum(wins.values()) == 24


def test_promise_5_a_left_over_that_waits_is_footage_again_once_a_recording_brought_it_in(
    kept: KeptBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store was away when the left-over was to go; before it came back, a recorder gave the same bytes."""
    sha256, copies = kept.put(b"read again from the recorder")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(kept.second, "stat", away)
        assert kept.remover.release_stray(sha256, reason="left-over").outcome is Outcome.WAITING
    row = kept.recording(b"read again from the recorder")
    assert row.sha256 == sha256
    assert copies

    kept.remover.go_on()

    assert kept.in_stores(sha256) == ["primary", "second"]
    assert kept.held(sha256) == (f"recording:{row.id}",)
    with kept.catalogue.read() as uow:
        assert uow.references.removals() == []
    assert kept.told("bytes.released") == []


def test_promise_5_who_lets_go_of_shared_bytes_does_not_call_off_anothers_removal(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    kept.primary.extend_retention(row.sha256, kept.clock.now().wall + timedelta(days=1))
    first = f"recording:{row.id}"
    assert kept.remover.release(row.sha256, first, reason="cleared").outcome is Outcome.WAITING
    second = kept.derivative(row, b"footage")
    assert kept.remover.release(row.sha256, second, reason="made-anew").outcome is Outcome.SHARED
    with kept.catalogue.read() as uow:
        assert [one.holder for one in uow.references.removals()] == [first]
    kept.later(days=2)
    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []


def test_promise_3_a_manifest_does_not_go_before_its_recording(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    sha256, copies = kept.put(b"its manifest")
    with kept.catalogue.begin() as uow:
        uow.blobs.add_holder(sha256, 12, None, f"manifest:{row.id}")
        for copy in copies:
            uow.blobs.put_copy(sha256, copy)
    with pytest.raises(StateConflictError, match="manifest"):
        kept.remover.release(sha256, f"manifest:{row.id}", reason="cleared")
    assert kept.in_stores(sha256) == ["primary", "second"]
    kept.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    assert kept.remover.release(sha256, f"manifest:{row.id}", reason="cleared").outcome is Outcome.REMOVED


def test_promise_9_a_clock_that_is_not_believed_ends_no_claim(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    now = kept.clock.now().wall
    with kept.catalogue.begin() as uow:
        uow.references.claim(row.sha256, until=now + timedelta(hours=1))
        uow.clock_marks.raise_to(now + timedelta(days=2))
    kept.later(days=1)
    kept.remover.go_on()
    with kept.catalogue.read() as uow:
        assert uow.references.claimed_until(row.sha256, now=now) is not None


def test_duplicates_that_go_in_the_same_act_are_remembered_while_a_date_is_waited_for(kept: KeptBytes) -> None:
    row = kept.recording(b"footage")
    twin = add_recording(
        kept.catalogue, kept.bureau, state=RecordingState.DUPLICATE, duplicate_of=row.id, sha256=row.sha256
    )
    kept.primary.extend_retention(row.sha256, kept.clock.now().wall + timedelta(days=1))
    holder, together = f"recording:{row.id}", [f"recording:{twin.id}"]
    assert kept.remover.release(row.sha256, holder, reason="cleared", together=together).outcome is Outcome.WAITING
    kept.later(days=2)
    assert kept.remover.go_on() == 1
    assert kept.in_stores(row.sha256) == []
