"""How the scrub reads: one reader per disk, at a rate, and no longer than the service lives."""

from __future__ import annotations

import io
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from assurance.fixity_reading import (
    PacedReader,
    StoppedError,
    answers,
    behind_everything_else,
    by_disk,
    digest_to_compare,
)
from evidence.digest import BLAKE3, SHA256, Digest
from storage.local import LocalStore
from support.stores import SUITE, local_store


class On(LocalStore):
    """A store that says on which disks it lies."""

    disks = ""

    @property
    def properties(self):
        return replace(super().properties, domain=self.disks)


def store_on(root: Path, name: str, disks: str) -> On:
    LocalStore.create(root / name, name)
    store = On(root / name, name=name, suite=SUITE, clock=local_store(root / f"x{name}")._clock, protect="mode-only")
    store.disks = disks
    return store


def test_stores_that_share_a_disk_share_a_reader(tmp_path: Path) -> None:
    stores = [
        store_on(tmp_path, name, disks)
        for name, disks in (("a", "disk:sda"), ("b", "disk:sdb"), ("c", "disk:sdc+disk:sda"), ("d", "s3:far"))
    ]
    assert [[one.properties.name for one in group] for group in by_disk(stores)] == [["b"], ["a", "c"], ["d"]]
    joined = [*stores, store_on(tmp_path, "e", "disk:sdb+disk:sdc")]
    assert sorted(sorted(one.properties.name for one in group) for group in by_disk(joined)) == [
        ["a", "b", "c", "e"],
        ["d"],
    ]


def kept(tmp_path: Path, size_bytes: int) -> tuple[LocalStore, Digest]:
    data = os.urandom(size_bytes)
    store = local_store(tmp_path / "store")
    sha256 = SUITE.compute(SHA256, [data])
    store.put(io.BytesIO(data), sha256=sha256, size_bytes=size_bytes)
    return store, sha256


def test_a_copy_is_read_at_its_rate(tmp_path: Path) -> None:
    store, sha256 = kept(tmp_path, 16 << 20)
    reader = PacedReader(lambda: False)
    begin = time.monotonic()
    assert reader.read(store, sha256, expected=sha256, rate_bytes_s=16 << 20).error is None
    paced_s = time.monotonic() - begin
    assert paced_s >= 0.7  # the last second is waited for before the next copy, never slept off after this one
    assert reader.read(store, sha256, expected=sha256, rate_bytes_s=0).error is None


def test_a_service_that_ends_waits_for_no_copy(tmp_path: Path) -> None:
    store, sha256 = kept(tmp_path, 16 << 20)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    begin = time.monotonic()
    with pytest.raises(StoppedError):
        PacedReader(stop.is_set).read(store, sha256, expected=sha256, rate_bytes_s=1 << 20)
    assert time.monotonic() - begin < 5


def test_which_digest_a_round_compares() -> None:
    sha256, other = Digest(SHA256, "ab" * 32), Digest(BLAKE3, "cd" * 32)
    assert [digest_to_compare(n, sha256, other).algorithm for n in (1, 2, 3, 4, 5)] == [
        SHA256, BLAKE3, BLAKE3, BLAKE3, SHA256,
    ]  # fmt: skip
    assert digest_to_compare(2, sha256, None) == sha256


def test_a_store_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    store, _ = kept(tmp_path, 10)
    assert answers(store)
    assert not answers(None)
    (tmp_path / "store").rename(tmp_path / "gone")
    assert not answers(store)


def test_reads_go_behind_those_of_others_or_it_is_refused_quietly() -> None:
    thread = threading.Thread(target=behind_everything_else)
    thread.start()
    thread.join()
