"""What the sealer refuses at start: restored backups, other logs' directories, two sealers, altered rows and tiles."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from chain_of_custody import durable_files
from chain_of_custody.fsck import verify_published
from chain_of_custody.log import Sealer
from evidence.errors import (
    ConfigError,
    CustodyError,
    DigestMismatchError,
    EntryInvalidError,
    EvidenceError,
    LogLockedError,
    LogRollbackError,
    SignatureInvalidError,
    SplitViewError,
    StoreUnavailableError,
)
from support.custody import ORIGIN, CustodyLog, fixed_key


@pytest.fixture
def log(tmp_path: Path) -> CustodyLog:
    log = CustodyLog(tmp_path)
    with_sealer = log.sealer()
    with_sealer.open_log(log.recorder)
    log.record_many(300)
    with_sealer.seal_once()
    with_sealer.close()
    return log


def test_a_restored_backup_of_the_database_is_refused(log: CustodyLog) -> None:
    backup = log.transactions.snapshot()
    log.record_many(2)
    with log.sealer() as sealer:
        sealer.seal_once()
    log.transactions.restore(backup)
    before = {path: path.read_bytes() for path in log.root.rglob("*") if path.is_file()}
    with pytest.raises(LogRollbackError, match="has published"):
        log.sealer().start_up()
    assert {path: path.read_bytes() for path in log.root.rglob("*") if path.is_file()} == before


def test_a_restored_backup_that_grew_other_entries_of_the_same_number_is_refused(log: CustodyLog) -> None:
    backup = log.transactions.snapshot()
    log.record_many(2)
    with log.sealer() as sealer:
        sealer.seal_once()
    good = log.root / "good"
    shutil.copytree(log.root / "log", good / "log")
    shutil.rmtree(log.root / "log")
    shutil.rmtree(log.root / "replica0")
    log.transactions.restore(backup)
    log.record_many(2)
    for directory in log.published:
        directory.mkdir(parents=True)
    with log.sealer() as sealer:
        sealer.seal_once()
    shutil.rmtree(log.root / "log")
    shutil.copytree(good / "log", log.root / "log")
    with pytest.raises(LogRollbackError, match="disagree"):
        log.sealer().start_up()


def test_a_replica_ahead_of_the_database_is_refused_too(log: CustodyLog) -> None:
    backup = log.transactions.snapshot()
    older = log.root / "older"
    shutil.copytree(log.primary, older)
    log.record_many(1)
    with log.sealer() as sealer:
        sealer.seal_once()
    shutil.rmtree(log.primary)
    older.rename(log.primary)
    log.transactions.restore(backup)
    with pytest.raises(LogRollbackError):
        log.sealer().start_up()


def test_a_size_that_falls_while_running_stops_the_sealer(log: CustodyLog) -> None:
    backup = log.transactions.snapshot()
    with log.sealer() as sealer:
        log.record_many(1)
        sealer.seal_once()
        log.transactions.restore(backup)
        with pytest.raises(LogRollbackError) as caught:
            sealer.seal_once()
    assert caught.value.fatal


def test_directories_that_lag_are_brought_up_at_start(log: CustodyLog) -> None:
    lagging = log.root / "lagging"
    shutil.copytree(log.primary, lagging)
    log.record_many(700)
    with log.sealer() as sealer:
        sealer.seal_once()
    for directory in log.published:
        shutil.rmtree(directory)
        shutil.copytree(lagging, directory)
    with log.sealer():
        pass
    for directory in log.published:
        assert verify_published(directory, log.vkey).findings == []


def test_what_an_interrupted_write_left_is_swept_wherever_it_can_stand(log: CustodyLog) -> None:
    left = ["", "tile/0", "tile/0/001.p", "tile/entries", "tile/entries/001.p", "tile/1/000.p"]
    for directory in log.published:
        for folder in left:
            (directory / folder / ".000.0123456789abcdef.tmp").write_bytes(b"half")
    with log.sealer():
        pass
    for directory in log.published:
        assert not list(directory.rglob(".*.tmp"))
        assert verify_published(directory, log.vkey).findings == []


@pytest.mark.parametrize("position", [0, 1], ids=["primary", "replica"])
def test_a_disk_that_goes_away_under_the_checkpoint_is_not_counted(
    log: CustodyLog, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mount point stands there, empty: what is written then lies on another disk."""
    disk, publish = log.published[position], durable_files.publish

    def unmounted_before(target: Path, data: bytes) -> None:
        if target.parent == disk:
            disk.rename(log.root / "unmounted")
            disk.mkdir()
        publish(target, data)

    with log.sealer() as sealer:
        log.record_many(1)
        with monkeypatch.context() as patch:
            patch.setattr(durable_files, "publish", unmounted_before)
            with pytest.raises(StoreUnavailableError):
                sealer.seal_once()
    head = log.transactions.state.head
    assert (head.size, head.published_size) == (304, 303)


def test_an_emptied_directory_is_written_again_from_the_database(log: CustodyLog) -> None:
    for directory in log.published:
        shutil.rmtree(directory)
        directory.mkdir()
    with log.sealer():
        pass
    for directory in log.published:
        assert verify_published(directory, log.vkey).findings == []


def test_a_missing_primary_is_not_made_anew(log: CustodyLog) -> None:
    shutil.rmtree(log.primary)
    with pytest.raises(StoreUnavailableError):
        log.sealer().start_up()
    assert not log.primary.exists()


def test_a_missing_replica_does_not_keep_the_service_from_starting(log: CustodyLog) -> None:
    shutil.rmtree(log.published[1])
    with log.sealer() as sealer, pytest.raises(StoreUnavailableError):
        sealer.seal_once()
    assert not log.published[1].exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENODEV])
def test_a_replica_on_a_failing_disk_holds_up_the_mark_and_nothing_else(
    log: CustodyLog, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    look = Path.stat

    def failing(path: Path, **more: bool) -> os.stat_result:
        if path.is_relative_to(log.published[1]):
            raise OSError(number, "injected")
        return look(path, **more)

    with log.sealer() as sealer:
        log.record_many(2)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", failing)
            with pytest.raises(StoreUnavailableError, match="lags"):
                sealer.seal_once()
        head = log.transactions.state.head
        assert (head.size, head.published_size) == (305, 303)
        sealer.seal_once()
    assert log.transactions.state.head.published_size == 305


def test_a_second_sealer_is_refused_while_the_first_runs(log: CustodyLog) -> None:
    with log.sealer(), pytest.raises(LogLockedError):
        log.sealer().start_up()
    with log.sealer():
        pass


def test_a_sealer_that_lost_its_head_to_another_stops(log: CustodyLog) -> None:
    with log.sealer() as sealer:
        other = CustodyLog(log.root / "elsewhere", transactions=log.transactions, counter=log.counter)
        for directory in other.published:
            shutil.copytree(log.primary, directory)
        twin = other.sealer()
        twin.start_up()
        log.record_many(3)
        twin.seal_once()
        twin.close()
        log.record_many(1)
        assert sealer.seal_once() == 0, "first it takes over the other's head"
        assert sealer.seal_once() == 1
    assert verify_published(log.primary, log.vkey).findings == []


def test_a_log_that_was_never_opened_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="never opened"):
        CustodyLog(tmp_path).sealer().start_up()


def test_opening_twice_opens_once(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    for _ in range(2):
        sealer = log.sealer()
        sealer.open_log(log.recorder)
        sealer.close()
    assert log.transactions.state.head.size == log.transactions.state.head.published_size == 3


def test_opening_a_log_that_exists_makes_no_directory(log: CustodyLog) -> None:
    """A missing one is a disk that is not mounted; a new one in its place would claim a copy that does not exist."""
    shutil.rmtree(log.published[1])
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    sealer.close()
    assert not log.published[1].exists()


def test_a_directory_of_another_log_is_refused_when_a_log_is_opened(log: CustodyLog) -> None:
    fresh = CustodyLog(log.root)
    with pytest.raises(LogRollbackError):
        fresh.sealer().open_log(fresh.recorder)


def test_entries_before_the_opening_are_refused(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    log.record_many(1)
    with pytest.raises(CustodyError, match="before the log was opened"):
        log.sealer().open_log(log.recorder)
    assert log.transactions.state.head is None


def test_one_key_for_both_roles_is_refused(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    sealer = Sealer(log.transactions, log_key=log.station_key, origin=ORIGIN, published=log.published, clock=log.clock)
    with pytest.raises(ConfigError):
        sealer.open_log(log.recorder)


def test_another_log_key_is_refused(log: CustodyLog) -> None:
    sealer = Sealer(
        log.transactions, log_key=fixed_key("other"), origin=ORIGIN, published=log.published, clock=log.clock
    )
    with pytest.raises(SignatureInvalidError):
        sealer.start_up()


@pytest.mark.parametrize("note", [b"", b"rubbish", b"\xff\n\n", b"liuhen.example/log\n3\n"])
def test_a_damaged_checkpoint_is_refused_not_overwritten(log: CustodyLog, note: bytes) -> None:
    (log.primary / "checkpoint").write_bytes(note)
    with pytest.raises(EntryInvalidError):
        log.sealer().start_up()
    assert (log.primary / "checkpoint").read_bytes() == note


def test_an_altered_database_row_is_never_sealed(log: CustodyLog) -> None:
    [entry] = log.record_many(1)
    row = log.transactions.state.rows[entry]
    log.transactions.state.rows[entry] = replace(row, envelope=row.envelope.replace(b"e", b"f", 1))
    with log.sealer() as sealer, pytest.raises(DigestMismatchError):
        sealer.seal_once()
    assert log.transactions.state.head.size == 303


def test_a_rewritten_sealed_row_never_reaches_a_directory(log: CustodyLog) -> None:
    """Envelope and leaf altered together, long after sealing: the signed head does not lead there."""
    import hashlib

    entry = log.transactions.state.sequenced[10]
    row = log.transactions.state.rows[entry]
    other = row.envelope.replace(b"e", b"f", 1)
    leaf = hashlib.sha256(b"\x00" + other).digest()
    log.transactions.state.rows[entry] = replace(row, envelope=other, leaf_sha256=leaf)
    for directory in log.published:
        shutil.rmtree(directory)
        directory.mkdir()
    with pytest.raises(SplitViewError):
        log.sealer().start_up()
    assert not (log.primary / "checkpoint").exists()


def test_a_removed_sealed_row_at_the_right_edge_never_makes_a_bundle_without_it(log: CustodyLog) -> None:
    del log.transactions.state.sequenced[-1]
    log.record_many(1)
    with pytest.raises(CustodyError, match="does not give all"):
        log.sealer().start_up()
    for directory in log.published:
        assert verify_published(directory, log.vkey).findings == [], "what was published is left as it was"


def test_removed_sealed_rows_are_told_instead_of_waited_for(log: CustodyLog) -> None:
    """Without an end of its own the walk would ask for the missing full bundle for ever."""
    del log.transactions.state.sequenced[256:]
    for directory in log.published:
        shutil.rmtree(directory)
        directory.mkdir()
    with pytest.raises(CustodyError, match="does not give all"):
        log.sealer().start_up()
    assert not (log.primary / "checkpoint").exists()


def test_a_full_tile_that_was_altered_is_reported_and_not_overwritten(log: CustodyLog) -> None:
    tile = log.primary / "tile/0/000"
    tile.write_bytes(bytes(len(tile.read_bytes())))
    shutil.rmtree(log.primary / "tile/0/001.p")  # so that the right edge must be made again from the first row
    log.record_many(1)
    with pytest.raises(DigestMismatchError):
        log.sealer().start_up()
    assert tile.read_bytes() == bytes(8192)


def test_the_loop_goes_on_after_a_disk_came_back_and_tells_what_happened(log: CustodyLog) -> None:
    stop, wake, told = threading.Event(), threading.Event(), []
    back = threading.Event()
    away = log.root / "away"

    def on_error(error: EvidenceError) -> None:
        told.append(error.code)
        if not back.is_set():
            away.rename(log.published[1])
            back.set()

    with log.sealer() as sealer:
        log.published[1].rename(away)
        log.record_many(5)
        thread = threading.Thread(target=sealer.run, args=(stop, wake), kwargs={"on_error": on_error})
        thread.start()
        wake.set()
        assert back.wait(20)
        for _ in range(200):
            if log.transactions.state.head.published_size == 308:
                break
            threading.Event().wait(0.05)
        stop.set()
        wake.set()
        thread.join(20)
    assert told[0] == "store-unavailable"
    assert log.transactions.state.head.published_size == 308


def test_the_loop_ends_on_a_fatal_error(log: CustodyLog) -> None:
    with log.sealer() as sealer:
        log.transactions.state.head = None
        wake = threading.Event()
        wake.set()
        with pytest.raises(EvidenceError) as caught:
            sealer.run(threading.Event(), wake)
    assert caught.value.fatal


def test_a_lost_right_edge_is_made_again_from_the_database(log: CustodyLog) -> None:
    for directory in log.published:
        shutil.rmtree(directory / "tile/0/001.p")
        (directory / "tile/1/000.p/1").write_bytes(bytes(32))
    with log.sealer():
        pass
    for directory in log.published:
        assert verify_published(directory, log.vkey).findings == []
