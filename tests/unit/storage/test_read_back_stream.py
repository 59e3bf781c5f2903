"""A read-back that feeds another store: the stream ends only after every byte matched, and half of it proves nothing."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from evidence.digest import Digest, sha256_of
from evidence.errors import BlobNotFoundError, DigestMismatchError
from storage.local import LocalStore
from support.stores import SUITE, local_store

DATA = bytes(range(256)) * 40_000  # more than two of the chunks in which the medium is read
SHA256 = sha256_of(DATA)
BLAKE3 = SUITE.compute("blake3", [DATA])


@pytest.fixture
def store(tmp_path):
    made = local_store(tmp_path / "primary")
    made.put(io.BytesIO(DATA), sha256=SHA256, size_bytes=len(DATA))
    return made


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def change_one_bit(store: LocalStore, offset: int) -> None:
    path = store.locate(SHA256)
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
        os.fsync(file.fileno())


@pytest.mark.parametrize("expected", [SHA256, BLAKE3], ids=["sha256", "blake3"])
def test_the_stream_gives_every_byte_and_has_then_verified_the_copy(store, expected):
    with store.reading_back(SHA256, expected) as stream:
        assert b"".join(iter(lambda: stream.read(70_001), b"")) == DATA
        assert stream.matched
        assert stream.read(1) == b""


def test_a_stream_that_was_left_half_way_has_verified_nothing(store):
    with store.reading_back(SHA256, BLAKE3) as stream:
        assert stream.read(len(DATA) - 1)
        assert not stream.matched
    assert not stream.matched


@pytest.mark.parametrize("offset", [0, len(DATA) // 2, len(DATA) - 1])
def test_wrong_bytes_end_in_an_error_instead_of_an_end(store, offset):
    change_one_bit(store, offset)
    stream = store.reading_back(SHA256, BLAKE3)
    with pytest.raises(DigestMismatchError):
        stream.readall()
    assert not stream.matched
    stream.close()


def test_another_store_takes_nothing_from_a_copy_that_does_not_match(store, tmp_path):
    second = local_store(tmp_path / "second", "second")
    change_one_bit(store, 5)
    with store.reading_back(SHA256, BLAKE3) as stream, pytest.raises(DigestMismatchError):
        second.put(stream, sha256=SHA256, size_bytes=len(DATA))
    assert list(second.list()) == []
    assert list((second.root / "staging").iterdir()) == []


def test_a_copy_that_is_not_there_says_so(store):
    missing = Digest("sha256", "0" * 64)
    with store.reading_back(missing, missing) as stream, pytest.raises(BlobNotFoundError):
        stream.read(1)


def test_closing_twice_is_fine_and_leaves_no_file_open(store):
    before = open_files()
    stream = store.reading_back(SHA256, SHA256)
    stream.read(10)
    stream.close()
    stream.close()
    assert open_files() == before
