"""The sealer over the real SQLite catalogue: batches, restarts, a commit that fails, several threads that record."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from catalogue import Catalogue
from chain_of_custody import EntryRecorder, Sealer
from chain_of_custody.fsck import verify_published
from evidence.errors import CatalogueError, LogRollbackError
from evidence.events import LoggedIn, LoginFailed
from support.custody import ORIGIN, TickingClock, fixed_key


class Home:
    """A catalogue, a recorder and two published directories."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalogue = Catalogue.open(f"sqlite:///{root}/app.db", migrate=True)
        self.clock = TickingClock()
        self.recorder = EntryRecorder(fixed_key("station"), station="station-1")
        self.published = [root / "log/public", root / "second/log"]

    def sealer(self) -> Sealer:
        return Sealer(
            self.catalogue.outbox_transactions(),
            log_key=fixed_key("log"),
            origin=ORIGIN,
            published=self.published,
            clock=self.clock,
        )

    def record(self, count: int) -> None:
        with self.catalogue.begin() as uow:
            for number in range(count):
                event = LoginFailed(via="web", reason="unknown", at="", login=f"login {number}")
                self.recorder.record(uow.outbox, event, at=self.clock.now())

    def check(self, size: int) -> None:
        with self.catalogue.read() as uow:
            head = uow.outbox.head()
        assert head is not None
        assert head.size == head.published_size == size
        for directory in self.published:
            report = verify_published(directory, self.sealer().verifier.text())
            assert report.findings == []
            assert report.entries == size


@pytest.fixture
def home(tmp_path: Path):
    home = Home(tmp_path)
    yield home
    home.catalogue.close()


def test_batches_and_restarts_make_one_sound_log(home: Home) -> None:
    sealer = home.sealer()
    sealer.open_log(home.recorder)
    for count in (1, 252, 1, 270):
        home.record(count)
        assert sealer.seal_once() == count
        sealer.close()
        sealer = home.sealer()
        sealer.start_up()
    sealer.close()
    home.check(527)


def test_recording_threads_never_break_the_signers_chain(home: Home) -> None:
    stop, wake = threading.Event(), threading.Event()
    with _opened(home) as sealer:
        loop = threading.Thread(target=sealer.run, args=(stop, wake))
        loop.start()
        writers = [threading.Thread(target=lambda: [home.record(5) for _ in range(8)]) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        stop.set()
        wake.set()
        loop.join()
        while sealer.seal_once():
            pass
    home.check(3 + 4 * 8 * 5)


def test_entries_of_a_transaction_that_failed_leave_no_gap(home: Home) -> None:
    with _opened(home) as sealer:
        with pytest.raises(CatalogueError):
            _record_and_fail(home)
        home.record(2)
        sealer.seal_once()
    home.check(5)


def test_a_restored_database_backup_is_refused(home: Home) -> None:
    with _opened(home) as sealer:
        home.record(1)
        sealer.seal_once()
        home.catalogue.backup(home.root / "backup.db")
        home.record(1)
        sealer.seal_once()
    home.catalogue.close()
    (home.root / "app.db").unlink()
    (home.root / "backup.db").rename(home.root / "app.db")
    home.catalogue = Catalogue.open(f"sqlite:///{home.root}/app.db")
    with pytest.raises(LogRollbackError):
        home.sealer().start_up()


def _record_and_fail(home: Home) -> None:
    with home.catalogue.begin() as uow:
        home.recorder.record(uow.outbox, LoggedIn(via="web", at=""), at=home.clock.now())
        raise CatalogueError("the business change failed")


def _opened(home: Home) -> Sealer:
    sealer = home.sealer()
    sealer.open_log(home.recorder)
    return sealer
