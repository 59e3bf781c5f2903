"""Every commit point of the sealer, each failed and each applied but reported failed; then recovery and a full walk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_of_custody import durable_files
from chain_of_custody.checkpoint import NoteVerifier, open_checkpoint
from chain_of_custody.fsck import verify_published
from evidence.errors import CatalogueError, EvidenceError, NotDurableError, StoreError, StoreFullError
from support.custody import CustodyLog
from support.memory_outbox import MemoryOutbox, MemoryTransactions

POINTS = ["head", "primary tiles", "primary checkpoint", "replica tiles", "replica checkpoint", "mark"]
ERRORS = {
    "head": [CatalogueError],
    "mark": [CatalogueError],
    "primary tiles": [StoreError, StoreFullError, NotDurableError, OSError],
    "primary checkpoint": [StoreError, StoreFullError, NotDurableError, OSError],
    "replica tiles": [StoreError, StoreFullError, NotDurableError, OSError],
    "replica checkpoint": [StoreError, StoreFullError, NotDurableError, OSError],
}
CASES = [(point, error, applied) for point in POINTS for error in ERRORS[point] for applied in (False, True)]


class Fault:
    """One commit point that fails once."""

    def __init__(self, point: str, error: type[Exception], *, applied: bool) -> None:
        self.point, self.error, self.applied = point, error, applied
        self.armed = False
        self.hits = 0

    def around(self, point: str, act) -> None:
        if not self.armed or point != self.point:
            act()
            return
        self.armed = False
        self.hits += 1
        if self.applied:
            act()
        raise self.error("injected")


class FaultyTransactions(MemoryTransactions):
    """Commits fail at the named points."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault

    @contextlib.contextmanager
    def __call__(self) -> Iterator[MemoryOutbox]:
        outbox = MemoryOutbox(self.state.twin())
        before = self.state.head
        yield outbox
        after = outbox.state.head
        point = "other"
        if after != before and before is not None:
            point = "head" if after.size != before.size else "mark"
        self.fault.around(point, lambda: setattr(self, "state", outbox.state))


def _inject(monkeypatch: pytest.MonkeyPatch, log: CustodyLog, fault: Fault) -> None:
    def place(path: Path) -> str:
        return "primary" if path.is_relative_to(log.primary) else "replica"

    publish, publish_many = durable_files.publish, durable_files.publish_many

    def faulty_publish(target: Path, data: bytes) -> None:
        fault.around(f"{place(target)} checkpoint", lambda: publish(target, data))

    def faulty_publish_many(files) -> None:
        if not files:
            return
        fault.around(f"{place(files[0][0])} tiles", lambda: publish_many(files))

    monkeypatch.setattr(durable_files, "publish", faulty_publish)
    monkeypatch.setattr(durable_files, "publish_many", faulty_publish_many)


def _size(directory: Path, verifier: NoteVerifier) -> int:
    return open_checkpoint((directory / "checkpoint").read_bytes(), verifier).size


class Watch:
    """Sizes never fall, and nothing counts as published before every directory has it."""

    def __init__(self, log: CustodyLog) -> None:
        self.log = log
        self.verifier = log.sealer().verifier
        self.sizes = [0] * len(log.published)

    def look(self) -> None:
        now = [_size(directory, self.verifier) for directory in self.log.published]
        assert all(a <= b for a, b in zip(self.sizes, now, strict=True)), "a published size fell"
        self.sizes = now
        head = self.log.transactions.state.head
        assert head is not None
        assert head.published_size <= min(now), "counted as published before every directory had it"
        assert max(now) <= head.size, "published more than the database knows"


@pytest.mark.parametrize(("point", "error", "applied"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("restart", [False, True], ids=["goes on", "starts anew"])
@pytest.mark.parametrize("count", [5, 300], ids=["partial tile", "full tile"])
def test_every_failed_commit_point_is_recovered_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, error: type[Exception], applied: bool, restart: bool,
    count: int,
) -> None:  # fmt: skip
    fault = Fault(point, error, applied=applied)
    log = CustodyLog(tmp_path, transactions=FaultyTransactions(fault))
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    watch = Watch(log)
    watch.look()
    log.record_many(count)
    _inject(monkeypatch, log, fault)
    fault.armed = True
    with pytest.raises(EvidenceError) as caught:
        sealer.seal_once()
    assert fault.hits == 1
    watch.look()
    log.record_many(3)
    if restart or caught.value.fatal:
        sealer.close()
        sealer = log.sealer()
        sealer.start_up()
        watch.look()
    while sealer.seal_once():
        watch.look()
    sealer.seal_once()
    sealer.close()
    watch.look()
    head = log.transactions.state.head
    assert head is not None
    assert head.size == head.published_size == 3 + count + 3
    for directory in log.published:
        report = verify_published(directory, log.vkey)
        assert report.findings == []
        assert report.entries == head.size
        assert not list(directory.rglob(".*.tmp"))


def test_a_lagging_replica_is_never_counted_and_catches_up_over_many_tiles(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path, replicas=2)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    watch = Watch(log)
    away = tmp_path / "away"
    log.published[1].rename(away)
    for count in (1, 255, 256, 513):
        log.record_many(count)
        with pytest.raises(StoreError, match="lags"):
            sealer.seal_once()
        assert log.transactions.state.head.published_size == 3
    assert _size(log.published[2], sealer.verifier) == log.transactions.state.head.size, "the third copy goes on"
    assert not log.published[1].exists(), "a missing disk is never replaced by a new directory"
    away.rename(log.published[1])
    assert sealer.seal_once() == 0
    watch.look()
    assert log.transactions.state.head.published_size == 3 + 1 + 255 + 256 + 513
    assert verify_published(log.published[1], log.vkey).findings == []
    sealer.close()


def test_an_older_replica_that_comes_back_is_brought_up_from_what_it_holds(tmp_path: Path) -> None:
    import shutil

    log = CustodyLog(tmp_path)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    log.record_many(300)
    sealer.seal_once()
    shutil.copytree(log.published[1], tmp_path / "old")
    log.record_many(600)
    sealer.seal_once()
    shutil.rmtree(log.published[1])
    (tmp_path / "old").rename(log.published[1])
    log.record_many(2)
    sealer.seal_once()
    sealer.close()
    assert verify_published(log.published[1], log.vkey).findings == []


def test_a_primary_without_space_keeps_the_entries_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CustodyLog(tmp_path)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    log.record_many(4)

    def full(files) -> None:
        raise StoreFullError("no space left on the store")

    with monkeypatch.context() as patch:
        patch.setattr(durable_files, "publish_many", full)
        for _ in range(3):
            with pytest.raises(StoreFullError):
                sealer.seal_once()
    assert log.transactions.state.head.published_size == 3
    sealer.seal_once()
    assert log.transactions.state.head.published_size == 7
    sealer.close()
