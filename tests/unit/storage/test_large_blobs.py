"""Blobs that are large enough to be digested beside their writing keep every promise of small ones."""

from __future__ import annotations

import io
import os
from pathlib import Path

import blake3
import pytest

from evidence.clock import SystemClock
from evidence.digest import DigestSuite, sha256_of
from evidence.errors import DigestMismatchError
from storage.local import LocalStore

SIZE = (9 << 20) + 17


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    LocalStore.create(tmp_path / "store", "primary")
    return LocalStore(
        tmp_path / "store",
        name="primary",
        suite=DigestSuite({"blake3": blake3.blake3}),
        clock=SystemClock(),
        free_floor_bytes=0,
        protect="mode-only",
    )


def test_a_large_blob_reads_back(store: LocalStore) -> None:
    data = os.urandom(SIZE)
    store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=SIZE)
    store.verify(sha256_of(data), sha256_of(data))
    with store.open(sha256_of(data)) as stream:
        assert stream.read() == data


@pytest.mark.parametrize("position", [0, SIZE // 2, SIZE - 1])
def test_one_other_byte_anywhere_in_a_large_stream_leaves_nothing_behind(store: LocalStore, position: int) -> None:
    data = os.urandom(SIZE)
    wrong = bytearray(data)
    wrong[position] ^= 1
    with pytest.raises(DigestMismatchError):
        store.put(io.BytesIO(wrong), sha256=sha256_of(data), size_bytes=SIZE)
    assert list(store.list()) == []
    assert [path for path in store.root.rglob("*") if path.is_file() and path.stat().st_size >= SIZE] == []


@pytest.mark.parametrize("given", [SIZE - 1, SIZE + 1])
def test_a_large_stream_of_another_length_is_refused(store: LocalStore, given: int) -> None:
    data = os.urandom(SIZE)
    with pytest.raises(DigestMismatchError):
        store.put(io.BytesIO((data + b"more")[:given]), sha256=sha256_of(data), size_bytes=SIZE)
    assert list(store.list()) == []
