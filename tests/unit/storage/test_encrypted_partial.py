"""A recording that grows encrypted: gone on with at whole chunks, never under a used nonce, adopted with its key."""

from __future__ import annotations

import hashlib
import io
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.digest import sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobNotFoundError,
    DigestMismatchError,
    SourceChangedError,
    StoreError,
    StoreFullError,
)
from storage import chunked, encrypted_partial
from storage.chunked import Header
from storage.encrypted import EncryptedStore
from storage.encrypted_partial import key_path, read_partial_key
from storage.encrypted_primary import EncryptedPrimary
from support.keys import key_ring
from support.stores import SUITE, ManualClock, local_store

CHUNK = 4096


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK_BYTES", CHUNK)


@pytest.fixture
def store(tmp_path):
    clock = ManualClock()
    inner = local_store(tmp_path / "primary", clock=clock)
    return EncryptedPrimary(inner, key_ring([inner], clock=clock), suite=SUITE)


def begin(store, keep=0, **more):
    return store.open_partial("rec", keep_bytes=keep, floor_bytes=0, **more)


def grow(partial, data: bytes, step: int = 1500) -> None:
    for start in range(0, len(data), step):
        partial.write(memoryview(data[start : start + step]))


def path(store):
    return store.partial_path("rec")


def staging(store):
    return sorted(file.name for file in (store.inner.root / "staging").iterdir())


def whole(store, data: bytes):
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
        assert partial.size_bytes == len(data)
    return store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 17])
@pytest.mark.parametrize("step", [700, CHUNK, 3 * CHUNK + 1])
def test_what_grew_is_what_is_read_and_what_put_would_have_made(store, size, step):
    data = os.urandom(size)
    with begin(store) as partial:
        grow(partial, data, step)
        partial.finish()
        partial.finish()
    digest = sha256_of(data)
    receipt = store.adopt(path(store), sha256=digest, size_bytes=size)
    assert (receipt.created, receipt.sha256, receipt.size_bytes) == (True, digest, size)
    store.verify(digest, digest)
    with store.open(digest) as stream:
        assert stream.read() == data
    assert staging(store) == []
    assert not store.put(io.BytesIO(data), sha256=digest, size_bytes=size).created


def test_no_plain_byte_reaches_the_disk_and_the_key_is_there_first(store):
    with begin(store) as partial:
        assert read_partial_key(path(store)) is not None
        grow(partial, b"the officer said" * 2000)
        partial.secure()
        for file in store.inner.root.rglob("*"):
            assert not file.is_file() or b"the officer said" not in file.read_bytes()
    assert key_path(path(store)).stat().st_mode & 0o777 == 0o600


@given(size=st.integers(0, 6 * CHUNK), stop=st.integers(0, 6 * CHUNK), keep=st.integers(0, 7 * CHUNK))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_gone_on_with_after_a_stop_at_any_byte(store, size, stop, keep):
    data = hashlib.shake_256(size.to_bytes(4, "big")).digest(size)
    stop = min(stop, size)
    with begin(store) as partial:
        grow(partial, data[:stop])
        certain = partial.secure()
        assert certain == max(0, stop - 1) // CHUNK * CHUNK
    keep = min(keep, certain)
    with begin(store, keep) as partial:
        assert partial.size_bytes == keep // CHUNK * CHUNK
        hasher = hashlib.sha256()
        partial.feed([hasher])
        assert hasher.hexdigest() == sha256_of(data[: partial.size_bytes]).hex
        overlap = min(partial.size_bytes, 5000)
        assert partial.tail(overlap) == data[partial.size_bytes - overlap : partial.size_bytes]
        grow(partial, data[partial.size_bytes :])
        partial.finish()
    digest = sha256_of(data)
    store.adopt(path(store), sha256=digest, size_bytes=size)
    store.verify(digest, digest)
    store.delete(digest, now=ManualClock().wall)


@pytest.mark.parametrize("lost", [0, 1, 5000, CHUNK + 16, 2 * CHUNK])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_tail_that_never_reached_the_medium_is_written_again(store, lost, zeros):
    """A power cut leaves a shorter file, or blocks of zeros; what was known to be durable stands."""
    data = os.urandom(6 * CHUNK)
    with begin(store) as partial:
        grow(partial, data)
    length = path(store).stat().st_size
    os.truncate(path(store), length - lost)
    if zeros:
        os.truncate(path(store), length)
    with begin(store, 2 * CHUNK) as partial:
        assert partial.size_bytes == 2 * CHUNK
        partial.feed([])
        grow(partial, data[2 * CHUNK :])
        partial.finish()
    digest = sha256_of(data)
    store.adopt(path(store), sha256=digest, size_bytes=len(data))
    store.verify(digest, digest)


def test_other_bytes_where_some_were_before_are_never_written_under_that_key(store):
    """The recorder's file changed behind what was trusted: a nonce must not serve for both."""
    data = os.urandom(6 * CHUNK)
    with begin(store) as partial:
        grow(partial, data)
    before, key = path(store).read_bytes(), read_partial_key(path(store))
    other = data[: 3 * CHUNK] + os.urandom(3 * CHUNK)
    with begin(store, 2 * CHUNK) as partial:
        with pytest.raises(SourceChangedError):
            grow(partial, other[2 * CHUNK :])
        assert path(store).read_bytes() == before
        partial.restart()
        assert partial.size_bytes == 0
        grow(partial, other)
        partial.finish()
    assert read_partial_key(path(store)).wrapped != key.wrapped
    store.adopt(path(store), sha256=sha256_of(other), size_bytes=len(other))
    store.verify(sha256_of(other), sha256_of(other))


def test_a_last_chunk_that_differs_begins_again_at_the_next_opening_also_without_a_restart(store):
    data = os.urandom(2 * CHUNK + 100)
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
    with begin(store, 2 * CHUNK) as partial:
        grow(partial, os.urandom(100))
        with pytest.raises(SourceChangedError):
            partial.finish()
    with begin(store, 2 * CHUNK) as partial:
        assert partial.size_bytes == 0


def test_a_finished_partial_that_is_read_again_is_the_same(store):
    data = os.urandom(2 * CHUNK + 100)
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
        with pytest.raises(StoreError):
            partial.write(memoryview(b"more"))
        assert partial.secure() == 2 * CHUNK
    first = path(store).read_bytes()
    with begin(store, 2 * CHUNK) as partial:
        grow(partial, data[2 * CHUNK :])
        partial.finish()
    assert path(store).read_bytes() == first


def test_a_shorter_file_than_before_leaves_nothing_behind_its_end(store):
    data = os.urandom(6 * CHUNK + 5)
    with begin(store) as partial:
        grow(partial, data)
    # Ends inside of what was written: its last chunk has another mark, so it begins again under a new key.
    with begin(store, 2 * CHUNK) as partial:
        grow(partial, data[2 * CHUNK : 3 * CHUNK])
        with pytest.raises(SourceChangedError):
            partial.finish()
    with begin(store, 2 * CHUNK) as partial:
        grow(partial, data[: 3 * CHUNK])
        partial.finish()
    store.adopt(path(store), sha256=sha256_of(data[: 3 * CHUNK]), size_bytes=3 * CHUNK)


def test_a_changed_chunk_among_the_trusted_ones_means_reading_again(store):
    data = os.urandom(4 * CHUNK + 1)
    with begin(store) as partial:
        grow(partial, data)
    text = bytearray(path(store).read_bytes())
    text[5000] ^= 1
    path(store).write_bytes(text)
    with begin(store, 4 * CHUNK) as partial, pytest.raises(SourceChangedError):
        partial.feed([hashlib.sha256()])


@pytest.mark.parametrize("damage", ["missing", "malformed", "foreign"])
def test_a_partial_without_a_usable_key_begins_again(store, damage):
    with begin(store) as partial:
        grow(partial, os.urandom(3 * CHUNK))
    key = key_path(path(store))
    if damage == "missing":
        key.unlink()
    elif damage == "malformed":
        key.write_bytes(b"{}")
    else:
        text = key.read_text("ascii")
        key.write_text(text.replace('"wrapped":"', '"wrapped":"AAAA')[: len(text) + 4].replace('=="}', '"}'), "ascii")
    with begin(store, 2 * CHUNK) as partial:
        assert partial.size_bytes == 0
        assert path(store).stat().st_size == chunked.HEADER_BYTES


def test_progress_is_made_durable_from_time_to_time_in_whole_chunks(store, monkeypatch):
    monkeypatch.setattr(encrypted_partial, "SECURE_EVERY_BYTES", 2 * CHUNK)
    monkeypatch.setattr(encrypted_partial, "WRITE_BEHIND_BYTES", CHUNK)
    seen = []
    with begin(store, secured=seen.append) as partial:
        grow(partial, os.urandom(7 * CHUNK + 5))
    assert seen == [2 * CHUNK, 4 * CHUNK, 6 * CHUNK]


def test_the_floor_stops_it(store):
    with begin(store) as partial:
        partial.require_room(100)
        with pytest.raises(StoreFullError):
            partial.require_room(1 << 60)


# --- adopted ----------------------------------------------------------------------------------------------------------
def test_adopting_is_refused_for_what_is_not_finished_or_has_another_size(store):
    data = os.urandom(2 * CHUNK + 3)
    with begin(store) as partial:
        grow(partial, data)
        partial.secure()
    with pytest.raises(DigestMismatchError):
        store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
    with pytest.raises(DigestMismatchError):
        store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data) - 1)
    assert path(store).exists()
    assert store.ring.find(sha256_of(data)) is None
    with pytest.raises(BlobNotFoundError):
        store.adopt(store.partial_path("none"), sha256=sha256_of(data), size_bytes=len(data))


@pytest.mark.parametrize("step", ["settle", "adopt", "drop"])
def test_adopting_is_finished_after_a_crash_at_every_step(store, step, monkeypatch):
    class Crash(BaseException):
        pass

    def crash(*_args, **_kwargs):
        raise Crash

    data = os.urandom(2 * CHUNK + 3)
    digest = sha256_of(data)
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
    with monkeypatch.context() as faults:
        if step == "settle":
            faults.setattr(store.ring.index, "add", crash)
        elif step == "adopt":
            faults.setattr(store.inner, "adopt", crash)
        else:
            faults.setattr(store, "_drop_key", crash)
        with pytest.raises(Crash):
            store.adopt(path(store), sha256=digest, size_bytes=len(data))
    again = EncryptedPrimary(store.inner, key_ring([store.inner]), suite=SUITE)
    receipt = again.adopt(path(store), sha256=digest, size_bytes=len(data))
    assert receipt.sha256 == digest
    again.verify(digest, digest)
    assert staging(store) == []
    assert list(again.list()) == [digest]
    assert not again.adopt(path(store), sha256=digest, size_bytes=len(data)).created


def test_a_second_recording_with_the_same_bytes_joins_the_first_ones_ciphertext(store):
    data = os.urandom(3 * CHUNK + 3)
    assert whole(store, data).created
    record = store.ring.find(sha256_of(data))
    assert not whole(store, data).created
    assert store.ring.find(sha256_of(data)) == record
    assert staging(store) == []


def test_a_second_recording_whose_digest_is_a_lie_is_refused_and_stays(store):
    data = os.urandom(CHUNK + 3)
    whole(store, data)
    with begin(store) as partial:
        grow(partial, os.urandom(CHUNK + 3))
        partial.finish()
    with pytest.raises(DigestMismatchError):
        store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    assert path(store).exists()
    store.verify(sha256_of(data), sha256_of(data))


def test_damaged_bytes_in_its_place_are_a_conflict_and_the_partial_stays(store):
    data = os.urandom(CHUNK + 3)
    whole(store, data)
    place = store.inner.locate(store.ring.find(sha256_of(data)).cipher_sha256)
    place.chmod(0o640)
    place.write_bytes(bytes(len(place.read_bytes())))
    with begin(store) as partial:
        grow(partial, data)
        partial.finish()
    with pytest.raises(BlobConflictError):
        store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    assert path(store).exists()


def test_a_partial_from_before_encryption_is_encrypted_when_it_is_adopted(store):
    data = os.urandom(CHUNK + 3)
    with store.inner.open_partial("rec", keep_bytes=0, floor_bytes=0) as partial:
        partial.write(memoryview(data))
        partial.secure()
    receipt = store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    assert receipt.created
    assert not store.inner.exists(sha256_of(data))
    store.verify(sha256_of(data), sha256_of(data))
    assert staging(store) == []


def test_where_encryption_is_off_new_partials_are_plain_and_sealed_ones_go_on(store):
    off = EncryptedPrimary(store.inner, store.ring, suite=SUITE, encrypt_new=False)
    data = os.urandom(4 * CHUNK + 3)
    with begin(store) as partial:
        grow(partial, data)
        certain = partial.secure()
    with begin(off, certain) as partial:
        assert partial.size_bytes == certain
        grow(partial, data[certain:])
        partial.finish()
    off.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    assert not store.inner.exists(sha256_of(data))
    with begin(store) as partial:
        grow(partial, data)
    with begin(off) as partial:
        grow(partial, data[1:])
        partial.finish()
    off.adopt(path(store), sha256=sha256_of(data[1:]), size_bytes=len(data) - 1)
    assert store.inner.exists(sha256_of(data[1:]))
    assert staging(store) == []


def test_keys_go_with_their_partials(store):
    with begin(store) as partial:
        grow(partial, b"x" * 100)
    assert store.partials() == [path(store)]
    store.discard_partial(path(store))
    store.discard_partial(path(store))
    assert staging(store) == []
    with begin(store):
        pass
    path(store).unlink()
    EncryptedPrimary(store.inner, store.ring, suite=SUITE)
    assert staging(store) == []


def test_an_adopted_recording_has_one_ciphertext_with_its_copy(store, tmp_path):
    second = local_store(tmp_path / "second", "second")
    ring = key_ring([store.inner, second])
    one = EncryptedPrimary(store.inner, ring, suite=SUITE)
    data = os.urandom(3 * CHUNK)
    whole(one, data)
    other = EncryptedStore(second, ring, suite=SUITE)
    back = one.reading_back(sha256_of(data), SUITE.compute("blake3", [data]))
    other.put(io.BufferedReader(back, 1 << 20), sha256=sha256_of(data), size_bytes=len(data))
    assert back.matched
    cipher = ring.find(sha256_of(data)).cipher_sha256
    assert second.locate(cipher).read_bytes() == store.inner.locate(cipher).read_bytes()
    assert Header.parse(second.locate(cipher).read_bytes()[:64]).chunk_bytes == CHUNK
    shutil.rmtree(store.inner.root)


# --- killed at every step ---------------------------------------------------------------------------------------------
_STEPS = ("fsync", "pwrite", "write", "link", "unlink", "replace", "ftruncate", "fchmod", "mkdir")


class Killed(BaseException):
    """The process ends here: what was written stays, nothing more happens."""


class _KillAt:
    """Counts every call that changes or forces something on the disk, and ends at one of them, just before it."""

    def __init__(self, monkeypatch, at: int | None):
        self.count = 0
        for name in _STEPS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), at))

    def _counted(self, call, at):
        def counted(*args, **kwargs):
            self.count += 1
            if at is not None and self.count >= at:
                raise Killed
            return call(*args, **kwargs)

        return counted


def _take_in(inner, data: bytes) -> EncryptedPrimary:
    store = EncryptedPrimary(inner, key_ring([inner]), suite=SUITE)
    store.ring.rebuild_index()
    digest = sha256_of(data)
    if store.exists(digest):
        store.adopt(path(store), sha256=digest, size_bytes=len(data))
        return store
    finished = read_partial_key(path(store)) if path(store).exists() else None
    if finished is None or finished.cipher_sha256 is None:
        with store.open_partial("rec", keep_bytes=2 * CHUNK, floor_bytes=0) as partial:
            try:
                partial.feed([])
                grow(partial, data[partial.size_bytes :])
            except SourceChangedError:
                partial.restart()
                grow(partial, data)
            partial.secure()
            partial.finish()
    store.adopt(path(store), sha256=digest, size_bytes=len(data))
    return store


def test_killed_before_every_step_no_object_lacks_its_key_and_the_next_run_finishes(tmp_path, monkeypatch):
    data = os.urandom(4 * CHUNK + 9)
    unharmed = local_store(tmp_path / "whole")
    with monkeypatch.context() as patches:
        whole_run = _KillAt(patches, None)
        _take_in(unharmed, data)
    assert whole_run.count > 30
    for at in range(1, whole_run.count + 1):
        root = tmp_path / str(at)
        inner = local_store(root)
        with monkeypatch.context() as patches:
            _KillAt(patches, at)
            with pytest.raises(Killed):
                _take_in(inner, data)
        inner = local_store(root)  # opened again, as by the next process
        left = EncryptedPrimary(inner, key_ring([inner]), suite=SUITE)
        left.ring.rebuild_index()
        for cipher in inner.list():
            assert cipher in {record.cipher_sha256 for record in left.ring.index.all()}, at
        done = _take_in(inner, data)
        done.verify(sha256_of(data), sha256_of(data))
        assert list(done.list()) == [sha256_of(data)], at
        assert staging(done) == [], at
        assert len(list(inner.list())) == 1, at
        shutil.rmtree(root)


def test_a_damaged_header_begins_the_recording_again_instead_of_spoiling_it(store):
    data = os.urandom(5 * CHUNK)
    with begin(store) as partial:
        grow(partial, data[: 4 * CHUNK])
        partial.secure()
    raw = bytearray(path(store).read_bytes())
    raw[30] ^= 1
    path(store).write_bytes(raw)
    with begin(store, keep=3 * CHUNK) as partial:
        kept = partial.size_bytes
        partial.feed([hashlib.sha256()])
        grow(partial, data[kept:])
        partial.finish()
    store.adopt(path(store), sha256=sha256_of(data), size_bytes=len(data))
    store.verify(sha256_of(data), sha256_of(data))
