"""A store that lacks copies gets them by itself, from sound ones only, and everything that was open about it closes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.brake import Brake
from assurance.catch_up import CatchUp
from assurance.copies import KeepingParts, claim_until
from assurance.healing import Healing
from assurance.removal import RemovalParts, Remover
from assurance.repair import repair_blob
from catalogue.records import RecordingRow
from catalogue.store_states import FIRST_WAIT, StoreStateRow
from evidence.digest import SHA256, Digest
from evidence.errors import KeyUnavailableError, NotDurableError, StateConflictError, StoreFullError
from evidence.lock_dates import due_at
from ingest.store import ensure_stored
from storage.layout import blob_key
from storage.stores import StoreSet
from support.assured_home import AssuredHome, make_home
from support.recorders import gb_name
from support.stores import local_store

FOOTAGE = bytes(range(256)) * 40


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    """Three stores, two copies asked for."""
    made = make_home(tmp_path / "home", more_stores=("third",))
    yield made
    made.close()


def parts_of(home: AssuredHome) -> KeepingParts:
    return KeepingParts(catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all)


def duties(home: AssuredHome) -> tuple[CatchUp, Healing]:
    healing = Healing(parts_of(home))
    return CatchUp(parts_of(home), hint=healing.hint), healing


@contextlib.contextmanager
def away(home: AssuredHome, store: str) -> Iterator[None]:
    root = home.root / "stores" / store
    root.rename(home.root / f"{store}-away")
    yield
    (home.root / f"{store}-away").rename(root)


def take_in(home: AssuredHome, *numbers: int) -> list[RecordingRow]:
    media = {f"DCIM/{gb_name(counter=number)}": FOOTAGE + bytes([number]) for number in numbers}
    return home.ingest(media, card=f"card{numbers[0]}")


def path_of(home: AssuredHome, store: str, sha256: Digest) -> Path:
    return home.root / "stores" / store / blob_key(sha256)


def lose(home: AssuredHome, *stores: str) -> None:
    """These stores never got anything."""
    with home.catalogue.begin() as uow:
        for blob in list(uow.blobs.all()):
            for store in stores:
                uow.references.drop_copy(blob.sha256, store)
                path_of(home, store, blob.sha256).unlink()


def state_of(home: AssuredHome, store: str) -> StoreStateRow:
    with home.catalogue.read() as uow:
        return uow.store_states.of(store)


def kinds(home: AssuredHome) -> list[tuple[str, str]]:
    with home.catalogue.read() as uow:
        return sorted((one.kind, one.store) for one in uow.findings.open())


def later(home: AssuredHome, span: timedelta) -> None:
    home.clock.unix_ms += int(span / timedelta(milliseconds=1))


def test_a_store_that_was_away_gets_recordings_and_manifests_and_its_findings_close(home: AssuredHome) -> None:
    with away(home, "third"):
        rows = take_in(home, 1, 2)
        assert [row.state for row in rows] == ["stored", "stored"]
        assert kinds(home) == [("copy-behind", "third")] * 2
        catch_up, _ = duties(home)
        assert catch_up.run() == 0
        state = state_of(home, "third")
        assert (state.behind_objects, state.error_code, state.tries >= 1) == (4, "store-unavailable", True)
        assert None not in {state.failing_since, state.next_try_at}
    later(home, FIRST_WAIT * 2)
    assert catch_up.run() == 4
    assert (kinds(home), catch_up.run()) == ([], 0)
    state = state_of(home, "third")
    assert (state.failing_since, state.next_try_at, state.tries, state.behind_objects) == (None, None, 0, 0)
    assert (state.objects, state.error_code) == (4, "store-unavailable")
    made = home.entries("copy.made")
    assert {one["reason"] for one in made} == {"catch-up"}
    assert sorted(one["recording"] for one in made) == sorted([row.id for row in rows] * 2)
    assert [one["reason"] for one in home.entries("finding.closed")] == ["caught-up"] * 2
    for row in rows:
        assert path_of(home, "third", row.sha256).exists()
    report = home.verify(copies=3)
    assert (report.verdict, report.copies) == ("good", 12)


def test_a_bad_copy_is_never_propagated_and_is_repaired(home: AssuredHome) -> None:
    with away(home, "third"):
        (row,) = take_in(home, 1)
    path = path_of(home, "primary", row.sha256)
    path.chmod(0o640)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    later(home, FIRST_WAIT * 2)
    catch_up, healing = duties(home)
    assert catch_up.run() == 2  # from the second store
    assert path_of(home, "third", row.sha256).read_bytes() == path_of(home, "second", row.sha256).read_bytes()
    (done,) = healing.run()  # reading the primary's copy gave the hint
    assert done.repaired == ["primary"]
    assert kinds(home) == [("copy-repaired", "primary")]
    assert home.verify(copies=3).verdict == "good"


def test_bytes_that_a_crash_left_without_a_row_are_only_read_back(home: AssuredHome) -> None:
    with away(home, "third"):
        (row,) = take_in(home, 1)
    third = home.stores.named("third")
    with path_of(home, "primary", row.sha256).open("rb") as stream:
        third.put(stream, sha256=row.sha256, size_bytes=row.size_bytes)
    # and one that is cut off, as after a power loss on a disk that lied
    manifest = Digest(SHA256, row.manifest_sha256)
    cut = path_of(home, "third", manifest)
    cut.parent.mkdir(parents=True, exist_ok=True)
    cut.write_bytes(b"{")
    later(home, FIRST_WAIT * 2)
    catch_up, _ = duties(home)
    assert catch_up.run() == 2
    assert (home.root / "stores/third/damaged" / f"{manifest.hex}.0").exists()
    assert home.verify(copies=3).verdict == "good"


def test_a_store_that_refuses_is_asked_ever_more_seldom_and_the_others_go_on(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away(home, "third"):
        take_in(home, 1)

    def full(*_args: object, **_kwargs: object) -> None:
        raise StoreFullError("injected")

    third = home.stores.named("third")
    monkeypatch.setattr(third, "put", full)
    catch_up, _ = duties(home)
    waits = []
    for _ in range(4):
        later(home, timedelta(hours=1))
        assert catch_up.run() == 0
        state = state_of(home, "third")
        assert state.next_try_at is not None
        waits.append(state.next_try_at - state.failed_at)
    assert (waits, len(set(waits))) == (sorted(waits), 4)
    assert state.error_code == "store-full"
    assert (catch_up.run(), state_of(home, "third").tries) == (0, state.tries)  # not before its next try
    take_in(home, 2)  # the quorum is met without it
    monkeypatch.undo()
    later(home, timedelta(hours=1))
    assert catch_up.run() > 0
    assert (state_of(home, "third").tries, kinds(home)) == (0, [])


def test_a_new_store_gets_everything(home: AssuredHome) -> None:
    take_in(home, 1)
    fourth = local_store(home.root / "stores/fourth", "fourth", clock=home.clock)
    parts = parts_of(home)
    wide = KeepingParts(
        catalogue=parts.catalogue, recorder=parts.recorder, clock=parts.clock,
        stores=StoreSet(home.stores.primary, [*home.stores.others, fourth]).all,
    )  # fmt: skip
    assert CatchUp(wide, hint=lambda _sha256: None).run() == 2
    assert len(list(fourth.list())) == 2


def test_a_failed_fsync_while_catching_up_is_fatal(home: AssuredHome, monkeypatch: pytest.MonkeyPatch) -> None:
    with away(home, "third"):
        take_in(home, 1)

    def broken(*_args: object, **_kwargs: object) -> None:
        raise NotDurableError("injected")

    monkeypatch.setattr(home.stores.named("third"), "put", broken)
    later(home, FIRST_WAIT * 2)
    catch_up, _ = duties(home)
    with pytest.raises(NotDurableError):
        catch_up.run()
    monkeypatch.undo()
    assert duties(home)[0].run() == 2  # after the restart
    assert home.verify(copies=3).verdict == "good"


def test_fewer_than_the_quorum_stay_acquired_and_go_on_by_themselves(home: AssuredHome) -> None:
    with away(home, "third"), away(home, "second"):
        root = home.root / "card1"
        with contextlib.suppress(Exception):
            take_in(home, 1)
        assert root.exists()
        with home.catalogue.read() as uow:
            (identity,) = uow.recordings.all_ids()
            assert uow.recordings.get(identity).state == "acquired"
    assert ensure_stored(home.intake.parts, identity).state == "stored"
    home.seal()
    assert home.verify(copies=2).verdict == "good"


def test_bytes_whose_key_does_not_open_hold_up_neither_the_others_nor_the_next_store(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = take_in(home, 1, 2, 3)
    lose(home, "second", "third")
    bad = min(row.sha256 for row in rows)
    second = home.stores.named("second")
    real = second.exists

    def exists(sha256: Digest) -> bool:
        if sha256 == bad:
            raise KeyUnavailableError("two keys stand for it")
        return real(sha256)

    monkeypatch.setattr(second, "exists", exists)
    later(home, timedelta(hours=1))
    duties(home)[0].run()
    with home.catalogue.read() as uow:
        assert [one.sha256 for one in uow.store_states.lacking("second", limit=99)] == [bad]
        assert uow.store_states.lacking("third", limit=99) == []


def test_promise_5_bytes_of_which_a_copy_is_on_its_way_do_not_go_however_slow_the_line(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away(home, "third"):
        (row,) = take_in(home, 1)
    brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    remover = Remover(
        RemovalParts(
            catalogue=home.catalogue,
            recorder=home.recorder,
            stores=home.stores,
            clock=home.clock,
            brake=brake,
            guards=(),
        )
    )
    third = home.stores.named("third")
    real, refused = third.put, []

    def put(stream: object, *, sha256: Digest, **kwargs: object) -> object:
        if sha256 == row.sha256:
            with pytest.raises(StateConflictError, match="brought in"):
                remover.release(sha256, f"recording:{row.id}", reason="cleared")
            refused.append(sha256)
        return real(stream, sha256=sha256, **kwargs)

    monkeypatch.setattr(third, "put", put)
    later(home, timedelta(hours=1))
    duties(home)[0].run()
    assert refused == [row.sha256]
    now = home.clock.now().wall
    assert claim_until(parts_of(home), 4 << 30) > now + timedelta(hours=20)
    assert all(store.exists(row.sha256) for store in home.stores)


def test_a_slow_store_takes_its_share_of_a_slice_and_no_more(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(home, *range(1, 7))
    lose(home, "second", "third")
    later(home, timedelta(hours=1))
    passed = [0.0]
    second = home.stores.named("second")
    real = second.put

    def slow(*args: object, **kwargs: object) -> object:
        passed[0] += 10.0
        return real(*args, **kwargs)

    monkeypatch.setattr(second, "put", slow)
    CatchUp(parts_of(home), hint=lambda _: None, at_once=1, elapsed_s=lambda: passed[0]).run()
    with home.catalogue.read() as uow:
        assert len(uow.store_states.lacking("second", limit=99)) > 0
        assert uow.store_states.lacking("third", limit=99) == []


def test_r10_a_copy_that_comes_later_is_locked_up_to_the_lawful_date_and_held_as_the_others(home: AssuredHome) -> None:
    with away(home, "third"):
        (row,) = take_in(home, 1)
    due = due_at(row.acquired_at)
    home.clock.unix_ms = int((due - timedelta(days=10)).timestamp() * 1000)
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(home.clock.now().wall)
    catch_up, _ = duties(home)
    assert catch_up.run() == 2
    assert home.stores.named("third").stat(row.sha256).retain_until == due
    with away(home, "third"):
        (held,) = take_in(home, 2)
        with home.catalogue.begin() as uow:
            uow.references.add_hold(held.sha256, "case-1", home.clock.now().wall)
    later(home, FIRST_WAIT * 2)
    assert catch_up.run() == 2
    assert home.stores.named("third").stat(held.sha256).hold
    assert not home.stores.named("third").stat(row.sha256).hold


def test_r10_a_repaired_copy_that_was_missing_is_locked_and_held_again(home: AssuredHome) -> None:
    (row,) = take_in(home, 1)
    with home.catalogue.begin() as uow:
        uow.references.add_hold(row.sha256, "case-1", home.clock.now().wall)
    store = home.root / "stores/second"
    for path in (path_of(home, "second", row.sha256), *store.glob(f"locks/*/{row.sha256.hex}/*.json")):
        path.unlink()  # a disk whose tree was made good without its lock records
    assert repair_blob(parts_of(home), row.sha256).repaired == ["second"]
    stat = home.stores.named("second").stat(row.sha256)
    assert (stat.hold, stat.retain_until is not None) == (True, True)
    assert stat.retain_until <= home.clock.now().wall + timedelta(days=90, minutes=1)


def test_p09_a_next_try_that_a_wrong_clock_wrote_keeps_no_store_waiting_for_years(home: AssuredHome) -> None:
    with away(home, "third"):
        take_in(home, 1)
    with home.catalogue.engine.begin() as connection:
        far = home.clock.unix_ms + int(timedelta(days=9_000) / timedelta(milliseconds=1))
        connection.exec_driver_sql("UPDATE store_states SET next_try_at = ? WHERE store = 'third'", (far,))
    catch_up, _ = duties(home)
    assert catch_up.run() == 2
