"""What every place that holds a copy of the published log must do: a folder, and a bucket behind a cable."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chain_of_custody.folder import LogFolder
from chain_of_custody.fsck import verify_published
from chain_of_custody.log import Sealer
from chain_of_custody.publish import PublishedDirectory
from chain_of_custody.tiles import CHECKPOINT_NAME, ENTRIES, path_of
from evidence.clock import SystemClock
from evidence.errors import ConfigError, DigestMismatchError, LogRollbackError, NotFoundError, StoreUnavailableError
from evidence.log_place import LogPlace
from storage.s3 import S3Store
from support import seaweed
from support.custody import ORIGIN, CustodyLog
from support.recorders import Cable
from support.stores import SUITE

LIMIT = 1 << 20


@dataclass
class Replica:
    """A place, and how it goes away and comes back."""

    place: LogPlace
    away: Callable[[], object]
    back: Callable[[], object]


def in_a_folder(root: Path) -> Iterator[Replica]:
    folder, elsewhere = root / "replica", root / "unmounted"
    place = LogFolder(folder)
    place.create()
    yield Replica(place, lambda: folder.rename(elsewhere), lambda: elsewhere.rename(folder))


def in_a_bucket(_root: Path) -> Iterator[Replica]:
    server = seaweed.shared()
    target = urlsplit(server.http)
    cable = Cable((str(target.hostname), int(target.port or 0)))
    settings = server.settings(
        endpoint=f"http://127.0.0.1:{cable.address[1]}", bucket="log-places", first_retention_days=1
    )
    store = S3Store(settings, name="bucket", suite=SUITE, clock=SystemClock())
    store.ensure_bucket()
    yield Replica(store.log, cable.cut, cable.plug)
    store.close()
    cable.close()


@pytest.fixture(params=[in_a_folder, in_a_bucket], ids=["folder", "bucket"])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replica]:
    yield from request.param(tmp_path)


class Log(CustodyLog):
    """A log with one more copy in the place under test."""

    place: LogPlace

    def sealer(self) -> Sealer:
        return Sealer(
            self.transactions, log_key=self.log_key, origin=ORIGIN, published=[self.primary, self.place],
            clock=self.clock,
        )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path, replica: Replica) -> Log:
    made = Log(tmp_path / "log")
    made.place = replica.place
    return made


def sound(log: Log) -> int:
    """Entries in the place, which verifies by itself."""
    report = verify_published(log.place, log.vkey)
    assert report.findings == []
    return report.entries


def test_what_is_published_is_read_back_and_replaced(replica: Replica) -> None:
    place = replica.place
    with pytest.raises(NotFoundError):
        place.read("tile/0/000", limit_bytes=LIMIT)
    place.publish("checkpoint", b"one")
    place.publish("checkpoint", b"two")
    place.publish_many([])
    place.publish_many([(f"tile/{number}/000", b"%d" % number) for number in range(20)])
    assert place.read("checkpoint", limit_bytes=LIMIT) == b"two"
    assert [place.read(f"tile/{number}/000", limit_bytes=9) for number in (0, 19)] == [b"0", b"19"]
    assert place.read("checkpoint", limit_bytes=1) == b"tw", "one byte more tells that there is more"
    assert place.domain


def test_a_place_that_is_away_says_so_and_holds_up_the_mark(log: Log, replica: Replica) -> None:
    with contextlib.closing(log.sealer()) as sealer:
        sealer.open_log(log.recorder)
        replica.away()
        log.record_many(300)
        with pytest.raises(StoreUnavailableError, match="lags"):
            sealer.seal_once()
        head = log.transactions.state.head
        assert head is not None
        assert (head.size, head.published_size) == (303, 3)
        with pytest.raises(StoreUnavailableError):
            PublishedDirectory(log.place, verifier=sealer.verifier).checkpoint()
        replica.back()
        assert sealer.seal_once() == 0
        assert log.transactions.state.head.published_size == 303
        assert sound(log) == 303


def test_a_service_starts_while_the_place_is_away_and_goes_on_from_what_it_holds(log: Log, replica: Replica) -> None:
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    log.record_many(260)
    sealer.seal_once()
    sealer.close()
    replica.away()
    log.record_many(5)
    with log.sealer() as sealer:
        with pytest.raises(StoreUnavailableError):
            sealer.seal_once()
        replica.back()
        log.record_many(300)
        sealer.seal_once()
        assert sound(log) == 3 + 260 + 5 + 300


def test_a_full_tile_with_other_bytes_is_never_written_over(log: Log) -> None:
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    log.place.publish(path_of(ENTRIES, 0), b"somebody else's bundle")
    log.record_many(300)
    with pytest.raises(DigestMismatchError):
        sealer.seal_once()
    sealer.close()
    assert log.place.read(path_of(ENTRIES, 0), limit_bytes=LIMIT) == b"somebody else's bundle"
    assert verify_published(log.place, log.vkey).entries == 3, "its checkpoint was left as it was"


def test_a_place_that_is_ahead_of_the_database_stops_the_start(log: Log, tmp_path: Path) -> None:
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    note = log.place.read(CHECKPOINT_NAME, limit_bytes=LIMIT)
    log.record_many(4)
    sealer.seal_once()
    later = log.place.read(CHECKPOINT_NAME, limit_bytes=LIMIT)
    sealer.close()
    assert note != later
    older = Log(tmp_path / "older")
    older.place = log.place
    older.log_key = log.log_key
    with pytest.raises(LogRollbackError):
        older.sealer().open_log(older.recorder)
    assert log.place.read(CHECKPOINT_NAME, limit_bytes=LIMIT) == later


def test_the_primary_copy_lies_on_this_machine(log: Log) -> None:
    with pytest.raises(ConfigError, match="folder of this machine"):
        Sealer(log.transactions, log_key=log.log_key, origin=ORIGIN, published=[_Elsewhere()], clock=log.clock)


class _Elsewhere:
    """Any place that is no folder."""
