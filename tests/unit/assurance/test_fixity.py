"""The scrub on real stores: oldest first, every outcome entered, damage found and repaired, nothing lost by a stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.copies import KeepingParts
from assurance.fixity import FOR_CLOCK, FOR_LOAD, FOR_RECORDERS, STATE, FixityPolicy, Scrub
from catalogue.records import ProgressRow, RecordingRow
from evidence.digest import Digest
from evidence.errors import (
    BlobNotFoundError,
    CatalogueError,
    EvidenceError,
    IntegrityError,
    MasterKeyUnavailableError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from evidence.ids import OffloadId, RecordingId
from storage.layout import blob_key
from support.assured_home import AssuredHome
from support.recorders import gb_name


def scrub(home: AssuredHome, *, load: Callable[[], float] = lambda: 0.0, **policy: object) -> Scrub:
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=list(home.stores)
    )  # fmt: skip
    return Scrub(parts, FixityPolicy(**policy), load=load)  # type: ignore[arg-type]


def later(home: AssuredHome, **span: float) -> None:
    home.clock.unix_ms += int(timedelta(**span) / timedelta(milliseconds=1))


def taken(home: AssuredHome, count: int = 2, size: int = 1000) -> list[RecordingRow]:
    return home.ingest({f"DCIM/{gb_name(counter=n)}": bytes([n]) * size for n in range(1, count + 1)})


def file_of(home: AssuredHome, store: str, sha256: Digest) -> Path:
    return home.root / "stores" / store / blob_key(sha256)


def rot(path: Path) -> None:
    """One bit, in the file itself, as a disk does it: nothing else about the file changes."""
    mode = path.stat().st_mode
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path.chmod(mode)


def verdict(home: AssuredHome) -> str:
    home.seal()
    return home.verify().verdict


def kinds(home: AssuredHome) -> set[tuple[str, str]]:
    with home.catalogue.read() as uow:
        return {(one.kind, one.store) for one in uow.findings.open()}


def test_a_round_looks_at_every_copy_of_every_store_and_enters_each_outcome(home: AssuredHome) -> None:
    rows = taken(home)
    later(home, minutes=5)
    one = scrub(home)
    number = one.current()
    assert number is not None
    assert (number.number, number.copies) == (1, 8)
    later(home, days=25)
    done = one.tick()
    assert (done.good, done.bad, done.round_ended, done.away) == (8, {}, True, set())
    checked = [entry for entry in home.entries("fixity.checked") if entry["round"] == 1]
    assert sorted((entry["store"], entry["outcome"]) for entry in checked) == sorted(
        (store, f"{part}-good") for store in ("primary", "second") for part in ("recording", "manifest") for _ in rows
    )
    own = {row.sha256.hex for row in rows}
    assert {entry["blob_sha256"] in ({""} if entry["outcome"].startswith("recording") else own) for entry in checked} == {
        True, False,
    }  # fmt: skip
    rounds = home.entries("fixity.round")
    assert [(entry["state"], entry["copies"], entry["good"], entry["bad"]) for entry in rounds] == [
        ("started", 8, 0, 0), ("ended", 8, 8, 0),
    ]  # fmt: skip
    assert verdict(home) == "good"


def test_a_copy_never_looked_at_comes_first_and_then_the_oldest_look(home: AssuredHome) -> None:
    rows = taken(home, 3)
    with home.catalogue.engine.begin() as connection:
        for age, row in enumerate(rows):
            connection.exec_driver_sql(
                "UPDATE blob_copies SET checked_at = ? WHERE sha256 = ?", (1_000_000 - age, row.sha256.hex)
            )
        connection.exec_driver_sql(
            "UPDATE blob_copies SET checked_at = NULL WHERE sha256 = ?", (rows[0].manifest_sha256,)
        )
    with home.catalogue.read() as uow:
        order = [copy.sha256.hex for copy in uow.fixity.due("second", before=None, limit=4)]
    assert order == [rows[0].manifest_sha256, *(row.sha256.hex for row in reversed(rows))]


def test_bit_rot_is_a_finding_repaired_from_the_good_copy_and_entered(home: AssuredHome) -> None:
    (row,) = taken(home, 1)
    rot(file_of(home, "second", row.sha256))
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    later(home, days=25)
    done = one.tick()
    assert (done.bad, done.repaired, done.good) == ({"copy-damaged": 1}, 1, 3)
    assert home.stores.named("second").verify(row.sha256, row.sha256) is None
    bad = [entry for entry in home.entries("fixity.checked") if entry["outcome"] == "recording-copy-damaged"]
    assert [(entry["store"], entry["round"]) for entry in bad] == [("second", 1)]
    assert ("copy-bad", "second") not in kinds(home)
    assert ("copy-repaired", "second") in kinds(home)
    assert verdict(home) == "good"


def test_a_missing_copy_is_a_finding_and_made_again(home: AssuredHome) -> None:
    (row,) = taken(home, 1)
    file_of(home, "primary", row.sha256).unlink()
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    later(home, days=25)
    assert one.tick().bad == {"copy-missing": 1}
    assert home.stores.primary.verify(row.sha256, row.sha256) is None
    assert verdict(home) == "good"


def test_damage_in_both_copies_stays_a_finding_and_nothing_is_touched(home: AssuredHome) -> None:
    (row,) = taken(home, 1)
    for store in ("primary", "second"):
        rot(file_of(home, store, row.sha256))
    before = [file_of(home, store, row.sha256).read_bytes() for store in ("primary", "second")]
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    later(home, days=25)
    done = one.tick()
    assert (sum(done.bad.values()), done.repaired, done.round_ended) == (2, 0, True)
    bad = [entry["store"] for entry in home.entries("fixity.checked") if entry["outcome"] == "recording-copy-damaged"]
    assert sorted(bad) == ["primary", "second"]
    assert [entry["bad"] for entry in home.entries("fixity.round")] == [0, 2]
    assert {("copy-bad", "primary"), ("copy-bad", "second"), ("all-copies-bad", "")} <= kinds(home)
    assert [file_of(home, store, row.sha256).read_bytes() for store in ("primary", "second")] == before
    assert verdict(home) == "tampered"


def test_a_store_that_is_away_is_no_damage_is_told_and_looked_at_when_it_is_back(home: AssuredHome) -> None:
    taken(home, 2)
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    later(home, days=25)
    root, aside = home.root / "stores/second", home.root / "stores/away"
    root.rename(aside)
    try:
        done = one.tick()
        assert (done.good, done.bad, done.away, done.round_ended) == (4, {}, {"second"}, False)
        assert kinds(home) == set()
        with home.catalogue.read() as uow:
            assert '"away":["second"]' in (uow.settings.get(STATE) or "")
    finally:
        aside.rename(root)
    done = one.tick()
    assert (done.good, done.away, done.round_ended) == (4, set(), True)
    assert verdict(home) == "good"


def test_a_round_does_not_wait_for_ever_for_a_store_that_is_away(home: AssuredHome) -> None:
    taken(home, 1)
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    root, aside = home.root / "stores/second", home.root / "stores/away"
    root.rename(aside)
    later(home, days=25)
    assert not one.tick().round_ended
    later(home, days=6)
    assert one.tick().round_ended
    later(home, minutes=1)
    assert one.tick().number == 2
    aside.rename(root)
    with home.catalogue.read() as uow:
        assert uow.fixity.age("second").oldest_at < uow.fixity.age("primary").oldest_at
    assert verdict(home) == "good"


def test_a_store_that_was_given_up_during_a_round_is_not_told_as_away(home: AssuredHome) -> None:
    taken(home, 1)
    later(home, minutes=5)
    scrub(home).current()
    with home.catalogue.begin() as uow:
        for copy in uow.fixity.due("second", before=None, limit=100):
            assert uow.references.drop_copy(copy.sha256, "second")
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock,
        stores=[store for store in home.stores if store.properties.name == "primary"],
    )  # fmt: skip
    later(home, days=25)
    done = Scrub(parts, FixityPolicy(), load=lambda: 0.0).tick()
    assert (done.bad, done.away, done.round_ended) == ({}, set(), True)


def test_what_was_not_entered_when_the_process_died_is_read_again_and_nothing_else(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(home, 3)
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    later(home, days=25)
    stop = iter([False] * 9 + [True] * 1000)
    cut = Scrub(one._parts, FixityPolicy(), stop=lambda: next(stop), load=lambda: 0.0)
    first = cut.tick()
    assert 0 < first.good < 12
    assert not first.round_ended
    with home.catalogue.read() as uow:
        number = uow.fixity.current()
    assert number is not None
    assert number.good == first.good
    again = scrub(home).tick()
    assert (again.number, again.good, again.round_ended) == (1, 12 - first.good, True)
    assert len(home.entries("fixity.checked")) == 12
    assert verdict(home) == "good"


def test_the_scrub_lets_recorders_and_a_busy_machine_go_first_but_never_past_its_period(home: AssuredHome) -> None:
    (row,) = taken(home, 1)
    later(home, minutes=5)
    busy = scrub(home, load=lambda: 9.0)
    busy.current()
    later(home, days=2)
    assert (busy.tick().waited_for, busy.tick().good) == (FOR_LOAD, 0)
    with home.catalogue.begin() as uow:
        offload = uow.recordings.get(row.id).offload
        uow.progress.put(
            ProgressRow(
                offload=OffloadId(offload), recording=row.id, stage="acquire", bytes_done=1, bytes_total=2, files_done=0,
                files_total=1, rate_bytes_s=1, updated_at=home.clock.now().wall,
            )
        )  # fmt: skip
    assert scrub(home).tick().waited_for == FOR_RECORDERS
    later(home, days=2)  # three days behind the line are the patience of a 30 day period
    done = busy.tick()
    assert (done.waited_for, done.good) == ("", 2)


def test_a_round_is_spread_over_its_period(home: AssuredHome) -> None:
    taken(home, 4, size=2000)
    later(home, minutes=5)
    one = scrub(home)
    one.current()
    seen = []
    for _ in range(6):
        later(home, days=4)
        seen.append(one.tick().good)
    assert sum(seen) == 16
    assert max(seen) <= 8
    assert seen[0] > 0


def test_the_first_and_every_fourth_round_compare_sha256(home: AssuredHome, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = taken(home, 1)
    compared: list[str] = []
    second = home.stores.named("second")
    real = type(second).verify

    def verify(store, sha256, expected, *, progress=None):
        if sha256 == row.sha256 and store.properties.name == "second":
            compared.append(expected.algorithm)
        real(store, sha256, expected, progress=progress)

    monkeypatch.setattr(type(second), "verify", verify)
    for _ in range(5):
        later(home, minutes=5)
        one = scrub(home)
        one.current()
        later(home, days=25)
        assert one.tick().round_ended
    assert compared == ["sha256", "blake3", "blake3", "blake3", "sha256"]


def test_by_hand_everything_is_looked_at_now_whatever_the_plan_says(home: AssuredHome) -> None:
    rows = taken(home, 2)
    later(home, minutes=5)
    one = scrub(home, load=lambda: 99.0)
    told: list[tuple[int, int]] = []
    done = one.run(
        progress=lambda copies, size_bytes: told.append((copies, size_bytes)), actor=home.administrator.agent
    )
    assert (done.good, done.round_ended, told[-1][0]) == (8, True, 8)
    assert {entry["actor"] for entry in home.entries("fixity.checked")} == {home.administrator.agent}
    later(home, minutes=5)
    assert one.run(stores=["second"]).good == 4
    assert one.run(recording=rows[0].id).good == 4
    assert one.run(stores=["primary"], recording=rows[1].id).good == 2
    assert one.run(stores=["primary"], limit_bytes=1).good == 1
    with pytest.raises(NotFoundError):
        one.run(stores=["nowhere"])
    with pytest.raises(NotFoundError):
        one.run(recording=RecordingId.new(1))
    assert verdict(home) == "good"


def test_a_home_without_footage_has_no_round(home: AssuredHome) -> None:
    assert scrub(home).tick().number == 0
    assert home.entries("fixity.round") == []


def test_a_copy_that_is_removed_lawfully_while_it_is_read_is_no_loss(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = taken(home, 1)
    later(home, minutes=5)
    second = home.stores.named("second")
    real = type(second).verify

    def verify(store, sha256, expected, *, progress=None):
        if sha256 == row.sha256 and store.properties.name == "second":
            with home.catalogue.begin() as uow:
                uow.references.drop_copy(sha256, "second")
            raise BlobNotFoundError("gone")
        real(store, sha256, expected, progress=progress)

    monkeypatch.setattr(type(second), "verify", verify)
    done = scrub(home).run()
    assert (done.good, done.bad) == (3, {})
    assert kinds(home) == set()


def test_reading_does_not_fill_the_page_cache(home: AssuredHome) -> None:
    (row,) = home.ingest({f"DCIM/{gb_name(counter=1)}": os.urandom(8 << 20)})
    later(home, minutes=5)
    assert scrub(home).run(recording=row.id).good == 4
    path = file_of(home, "second", row.sha256)
    assert cached_bytes(path) < 1 << 20


def cached_bytes(path: Path) -> int:
    """How much of a file lies in the page cache: mincore(2)."""
    import ctypes
    import mmap

    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED) as mapped:
        libc = ctypes.CDLL(None, use_errno=True)
        address = libc.mmap
        address.restype = ctypes.c_void_p
        address.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        start = address(None, size, 1, 1, file.fileno(), 0)
        pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
        vector = (ctypes.c_ubyte * pages)()
        assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), vector) == 0
        libc.munmap(ctypes.c_void_p(start), ctypes.c_size_t(size))
        assert len(mapped) == size
    return sum(one & 1 for one in vector) * mmap.PAGESIZE


@pytest.mark.parametrize(
    ("error", "bad", "away"),
    [
        (StoreError("input/output error"), {"copy-damaged": 1}, set()),
        (StoreUnavailableError("no answer for this one"), {"store-unavailable": 1}, set()),
        (IntegrityError("lock record 3 does not follow"), {"lock-record": 1}, set()),
        (MasterKeyUnavailableError("no master key"), {}, {"second"}),
        (CatalogueError("the database refused"), {}, {"second"}),
    ],
)
def test_an_error_of_one_copy_keeps_no_other_from_being_looked_at_and_nothing_known_is_no_damage(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch, error: EvidenceError, bad: dict[str, int], away: set[str]
) -> None:
    (row,) = taken(home, 1)
    later(home, minutes=5)
    second = home.stores.named("second")
    real = type(second).verify
    asked: list[str] = []

    def verify(store, sha256, expected, *, progress=None):
        if store.properties.name == "second" and sha256 == row.sha256:
            asked.append(sha256.hex)
            raise error
        real(store, sha256, expected, progress=progress)

    monkeypatch.setattr(type(second), "verify", verify)
    done = scrub(home).run(stores=["second"])
    assert (done.bad, done.away) == (bad, away)
    if not isinstance(error, IntegrityError):
        assert len(asked) >= 2  # one hiccup is no loss
    if bad:
        assert done.good >= 1
        assert {store for _, store in kinds(home)} <= {"second"}
    else:
        assert kinds(home) == set()


def test_a_medium_that_fails_once_has_lost_nothing(home: AssuredHome, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(home, 1)
    later(home, minutes=5)
    second = home.stores.named("second")
    real = type(second).verify
    failures = iter([StoreError("input/output error")])

    def verify(store, sha256, expected, *, progress=None):
        if store.properties.name == "second" and (error := next(failures, None)):
            raise error
        real(store, sha256, expected, progress=progress)

    monkeypatch.setattr(type(second), "verify", verify)
    done = scrub(home).run()
    assert (done.good, done.bad) == (4, {})
    assert kinds(home) == set()


def test_p09_looks_and_rounds_that_a_wrong_clock_dated_ahead_are_put_right(home: AssuredHome) -> None:
    taken(home, 2)
    far = home.clock.now().wall + timedelta(days=9_000)
    with home.catalogue.begin() as uow:
        uow.fixity.begin(far, uow.fixity.count_all())
    with home.catalogue.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE blob_copies SET checked_at = ?", (int(far.timestamp() * 1000),))
    one = scrub(home)
    number = one.current()
    assert number is not None
    assert (number.number, number.started_at < far) == (2, True)
    later(home, days=25)
    done = one.tick()
    assert (done.number, done.good, done.round_ended) == (2, 8, True)
    assert [entry["state"] for entry in home.entries("fixity.round")] == ["ended", "started", "ended"]


def test_p09_nothing_is_dated_or_paced_while_the_clock_is_not_believed(home: AssuredHome) -> None:
    taken(home, 1)
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(home.clock.now().wall + timedelta(days=2))
    assert scrub(home).tick().waited_for == FOR_CLOCK
    assert (home.entries("fixity.round"), home.entries("fixity.checked")) == ([], [])
    later(home, days=2)
    assert scrub(home).tick().number == 1


def test_a_copy_of_which_nothing_can_be_known_does_not_end_the_round_for_the_others(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = taken(home, 3)
    later(home, minutes=5)
    with home.catalogue.begin() as uow:
        assert uow.fixity.forget_ahead("second", now=home.clock.now().wall, limit=10) == 0
    with home.catalogue.engine.begin() as connection:  # the first in the queue
        connection.exec_driver_sql("UPDATE blob_copies SET checked_at = 1 WHERE sha256 = ?", (rows[0].sha256.hex,))
    second = home.stores.named("second")
    real = type(second).verify

    def verify(store, sha256, expected, *, progress=None):
        if store.properties.name == "second" and sha256 == rows[0].sha256:
            raise CatalogueError("its key's row cannot be read")
        real(store, sha256, expected, progress=progress)

    monkeypatch.setattr(type(second), "verify", verify)
    one = scrub(home)
    one.current()
    later(home, days=25)
    done = one.tick()
    assert (done.good, done.bad, done.away, done.round_ended) == (11, {}, {"second"}, False)
