"""What an encrypting store lets nobody do: read without the key, exchange objects, reuse a nonce, leave a key without need."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
from collections import defaultdict

import pytest

from evidence.digest import Digest, sha256_of
from evidence.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    StoreFullError,
)
from storage import chunked, key_records, sealing
from storage.chunked import ChunkCipher
from storage.encrypted import EncryptedStore
from storage.encrypted_primary import EncryptedPrimary
from storage.master_keys import MemoryMaster
from storage.stores import ensure_key
from support.keys import key_ring
from support.stores import SUITE, ManualClock, local_store

MIB = 1 << 20


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def stores(tmp_path, clock):
    return [local_store(tmp_path / name, name, clock=clock) for name in ("primary", "second")]


@pytest.fixture
def ring(stores, clock):
    return key_ring(stores, clock=clock)


@pytest.fixture
def store(stores, ring):
    return EncryptedPrimary(stores[0], ring, suite=SUITE)


@pytest.fixture
def second(stores, ring):
    return EncryptedStore(stores[1], ring, suite=SUITE)


def put(store, data: bytes) -> Digest:
    digest = sha256_of(data)
    store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    return digest


def cipher_path(store, digest):
    return store.inner.locate(store.ring.find(digest).cipher_sha256)


def overwrite(path, data: bytes) -> None:
    path.chmod(0o640)
    path.write_bytes(data)


def read(store, digest, **where) -> bytes:
    with store.open(digest, **where) as stream:
        return stream.read()


@pytest.fixture
def nonces(monkeypatch):
    """Every nonce that is used under every key, with the plaintexts it was used for."""
    used = defaultdict(set)
    seal = ChunkCipher.seal

    def noted(self, index, plain, *, last):
        key = (id(self._cipher), self.header, index, last)
        used[(self.header, index, last)].add(bytes(plain))
        assert key
        return seal(self, index, plain, last=last)

    monkeypatch.setattr(chunked.ChunkCipher, "seal", noted)
    return used


# --- nothing in plain, one ciphertext ---------------------------------------------------------------------------------
def test_no_plain_byte_lies_in_the_store_and_its_files_are_named_by_themselves(store, stores):
    data = b"the officer said: " * 100_000
    digest = put(store, data)
    for file in stores[0].root.rglob("*"):
        if file.is_file():
            assert b"the officer said" not in file.read_bytes()
            if "objects/sha256" in str(file):
                assert sha256_of(file.read_bytes()).hex == file.name != digest.hex


def test_all_copies_are_one_ciphertext_however_they_are_made(store, second, stores, clock):
    data = os.urandom(9 * MIB + 5)
    digest = put(store, data)
    put(second, data)
    assert cipher_path(store, digest).read_bytes() == cipher_path(second, digest).read_bytes()
    assert cipher_path(store, digest).stat().st_ino != cipher_path(second, digest).stat().st_ino


@pytest.mark.parametrize("how", ["open", "reading_back", "plain"])
def test_a_copy_from_an_encrypted_store_hands_its_ciphertext_on(store, second, how, nonces):
    data = os.urandom(3 * MIB + 77)
    digest = put(store, data)
    nonces.clear()
    if how == "open":
        source = store.open(digest)
    elif how == "reading_back":
        back = store.reading_back(digest, SUITE.compute("blake3", [data]))
        source = io.BufferedReader(back, MIB)
    else:
        source = io.BytesIO(data)
    with source:
        second.put(source, sha256=digest, size_bytes=len(data))
        if how == "reading_back":
            assert back.matched
    assert read(second, digest) == data
    second.verify(digest, digest)
    assert bool(nonces) == (how == "plain")


def test_a_read_back_that_does_not_match_hands_nothing_on(store, second):
    data = os.urandom(2 * MIB)
    digest = put(store, data)
    path = cipher_path(store, digest)
    text = bytearray(path.read_bytes())
    text[-20] ^= 1
    overwrite(path, bytes(text))
    back = store.reading_back(digest, digest)
    with pytest.raises(DigestMismatchError):
        second.put(io.BufferedReader(back, MIB), sha256=digest, size_bytes=len(data))
    assert not back.matched
    back.close()
    assert not second.exists(digest)
    wrong = store.reading_back(digest, sha256_of(b"other"))
    with pytest.raises(DigestMismatchError):
        wrong.readall()


# --- a nonce never serves for other bytes -----------------------------------------------------------------------------
@pytest.mark.parametrize("size", [100, 9 * MIB])
def test_a_wrong_source_is_never_encrypted_under_the_objects_key(store, second, nonces, size, stores):
    data = os.urandom(size)
    digest = put(store, data)
    used = ring_header(store, digest)
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    for target in (store, second):
        for act in (target.put, target.repair):
            with pytest.raises(DigestMismatchError):
                act(io.BytesIO(wrong), sha256=digest, size_bytes=size)
    put(second, data)
    assert {header for header, _, _ in nonces if header.to_bytes() == used}
    for (header, index, last), plains in nonces.items():
        assert len(plains) == 1, (header, index, last)
        if header.to_bytes() == used:
            assert plains <= {data[i : i + MIB] for i in range(0, size, MIB)}
    for inner in stores:
        assert list((inner.root / "staging").iterdir()) == []


def ring_header(store, digest):
    return store.ring.find(digest).header


def test_a_source_that_turns_out_wrong_leaves_no_key(store, stores):
    stated = sha256_of(b"something else")
    for size in (10, 9 * MIB):
        with pytest.raises(DigestMismatchError):
            store.put(io.BytesIO(os.urandom(size)), sha256=stated, size_bytes=size)
    assert store.ring.find(stated, everywhere=True) is None
    assert not (stores[0].root / "keyring/objects").exists()


def test_no_room_leaves_a_key_that_harms_nobody_and_serves_the_next_try(tmp_path, clock):
    full = local_store(tmp_path / "full", clock=clock, free_floor_bytes=1 << 60)
    ring = key_ring([full], clock=clock)
    store = EncryptedStore(full, ring, suite=SUITE)
    with pytest.raises(StoreFullError):
        put(store, b"evidence")
    first = ring.find(sha256_of(b"evidence"))
    assert not store.exists(first.sha256)
    assert list(store.list()) == []
    again = EncryptedStore(
        type(full)(full.root, name="primary", suite=SUITE, clock=clock, free_floor_bytes=0), ring, suite=SUITE
    )
    put(again, b"evidence")
    assert ring.find(first.sha256) == first


# --- exchanged, cut off, changed --------------------------------------------------------------------------------------
def test_two_objects_exchanged_in_the_store_are_both_refused(store):
    one, two = put(store, os.urandom(MIB + 9)), put(store, os.urandom(MIB + 9))
    paths = [cipher_path(store, digest) for digest in (one, two)]
    texts = [path.read_bytes() for path in paths]
    overwrite(paths[0], texts[1])
    overwrite(paths[1], texts[0])
    for digest in (one, two):
        with pytest.raises(DigestMismatchError):
            store.verify(digest, digest)
        for offset in (0, MIB + 1):
            with pytest.raises(DigestMismatchError):
                read(store, digest, offset=offset)


def test_key_records_exchanged_are_both_refused(store, clock, stores):
    """The header's chunks would open, and give the other object's bytes."""
    one, two = put(store, b"a" * 100), put(store, b"b" * 100)
    records = [store.ring.find(digest) for digest in (one, two)]
    paths = [stores[0].root / "keyring" / key_records.record_path(digest) for digest in (one, two)]
    texts = [key_records.canonical.loads(key_records.record_text(record)) for record in records]
    for path, mine, other in ((paths[0], 0, 1), (paths[1], 1, 0)):
        path.write_bytes(key_records.canonical.dumps(texts[other] | {"sha256": texts[mine]["sha256"]}))
    fresh = EncryptedStore(stores[0], key_ring(stores, clock=clock), suite=SUITE)
    for digest in (one, two):
        with pytest.raises(BlobNotFoundError):
            read(fresh, digest)
    forged = key_records.parse_record(paths[0].read_bytes())
    with pytest.raises(IntegrityError):
        store.ring.key_of(forged)


@pytest.mark.parametrize("cut", [1, 16, 17, 1000, MIB, MIB + 16])
def test_a_cut_off_object_is_refused_in_every_range_that_needs_what_is_missing(store, cut):
    data = os.urandom(2 * MIB + 1000)
    digest = put(store, data)
    path = cipher_path(store, digest)
    overwrite(path, path.read_bytes()[:-cut])
    with pytest.raises(DigestMismatchError):
        store.verify(digest, digest)
    with pytest.raises(DigestMismatchError):
        read(store, digest, offset=2 * MIB + 1)
    assert read(store, digest, length=10) == data[:10]
    assert store.stat(digest).size_bytes < len(data)


def test_bytes_added_behind_the_end_are_found(store):
    digest = put(store, b"evidence")
    path = cipher_path(store, digest)
    overwrite(path, path.read_bytes() + b"more")
    with pytest.raises(DigestMismatchError):
        store.verify(digest, digest)


@pytest.mark.parametrize("offset", [0, 20, 63, 64, 70, MIB, MIB + 100, 2 * MIB + 90])
def test_a_flipped_bit_anywhere_is_found_and_the_other_chunks_stay_readable(store, offset):
    data = os.urandom(2 * MIB + 100)
    digest = put(store, data)
    path = cipher_path(store, digest)
    text = bytearray(path.read_bytes())
    text[offset] ^= 4
    overwrite(path, bytes(text))
    with pytest.raises(DigestMismatchError):
        store.verify(digest, digest)
    with pytest.raises(DigestMismatchError):
        read(store, digest)
    chunk = max(0, offset - 64) // (MIB + 16)
    other = 1 if chunk == 0 else 0
    assert read(store, digest, offset=other * MIB, length=50) == data[other * MIB : other * MIB + 50]


# --- the end of a key -------------------------------------------------------------------------------------------------
def test_a_destroyed_key_makes_every_copy_unreadable_one_from_a_backup_of_the_store_too(
    store, second, stores, clock, tmp_path
):
    data = os.urandom(MIB + 3)
    digest = put(store, data)
    put(second, data)
    backup = tmp_path / "backup"
    shutil.copytree(stores[0].root, backup)
    wrapped = store.ring.find(digest).wrapped_sha256
    assert store.ring.destroy(digest) == wrapped
    for one in (store, second):
        assert not one.exists(digest)
        for act in (lambda one=one: read(one, digest), lambda one=one: one.verify(digest, digest)):
            with pytest.raises(KeyUnavailableError, match="destroyed"):
                act()
        with pytest.raises(KeyUnavailableError):
            one.stat(digest)
    cipher = store.ring.find(digest).cipher_sha256
    assert cipher in set(store.list())  # nobody can read it: it is told as what it is
    # The whole folder comes back from its backup, with the old record in it: the tombstones beside the other store win.
    shutil.rmtree(stores[0].root)
    shutil.copytree(backup, stores[0].root)
    fresh_ring = key_ring(stores, clock=clock)
    fresh_ring.rebuild_index()
    fresh = EncryptedStore(stores[0], fresh_ring, suite=SUITE)
    with pytest.raises(KeyUnavailableError):
        read(fresh, digest)
    assert fresh_ring.sync("primary").removed == 1
    fresh.delete(digest, now=clock.wall)
    with pytest.raises(BlobNotFoundError):
        read(fresh, digest)
    with pytest.raises(BlobNotFoundError):
        fresh.delete(digest, now=clock.wall)


def test_another_master_is_told_clearly_and_nothing_is_taken_for_missing(store, stores, clock):
    digest = put(store, b"evidence")
    for index in (store.ring.index, None):
        foreign = key_ring(stores, clock=clock, index=index, master=MemoryMaster(bytes(32), kind="file"))
        other = EncryptedStore(stores[0], foreign, suite=SUITE)
        for act in (
            lambda o=other: read(o, digest),
            lambda o=other: o.verify(digest, digest),
            lambda o=other: put(o, b"new"),
        ):
            with pytest.raises(KeyUnavailableError):
                act()


def test_a_home_that_lost_its_catalogue_reads_everything_with_keys_and_master(store, stores, clock):
    data = os.urandom(MIB + 1)
    digest = put(store, data)
    later = EncryptedStore(stores[0], key_ring(stores, clock=clock), suite=SUITE)
    assert read(later, digest) == data
    assert list(later.list()) == [digest]


# --- from before encryption -------------------------------------------------------------------------------------------
def test_an_object_from_before_encryption_is_kept_as_it_is(store, stores, ring, second, clock):
    data = b"from before"
    digest = sha256_of(data)
    stores[0].put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    assert store.exists(digest)
    assert read(store, digest) == data
    assert read(store, digest, offset=5, length=3) == data[5:8]
    store.verify(digest, digest)
    assert store.reading_back(digest, digest).readall() == data
    assert store.locate(digest) == stores[0].locate(digest)
    assert not store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data)).created
    assert ring.find(digest) is None
    with store.open(digest) as source:
        second.put(source, sha256=digest, size_bytes=len(data))  # a new copy elsewhere is encrypted
    assert ring.find(digest) is not None
    assert (read(store, digest), read(second, digest)) == (data, data)
    assert digest in set(store.list())
    store.set_hold(digest, reference="case")
    assert stores[0].stat(digest).hold
    store.release_hold(digest, reference="case")
    store.delete(digest, now=clock.wall)
    assert not stores[0].exists(digest)


def test_where_encryption_was_turned_off_again_new_objects_are_plain_and_old_ones_stay(store, stores, ring):
    sealed = put(store, b"sealed before")
    off = EncryptedPrimary(stores[0], ring, suite=SUITE, encrypt_new=False)
    plain = put(off, b"plain now")
    assert stores[0].exists(plain)
    assert ring.find(plain) is None
    assert (read(off, sealed), read(off, plain)) == (b"sealed before", b"plain now")
    assert not put_again(off, b"sealed before").created
    assert not stores[0].exists(sealed)


def put_again(store, data):
    return store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data))


def test_the_list_tells_plain_digests_plain_objects_and_ciphertext_without_a_key(store, stores, ring, clock):
    digests = {put(store, os.urandom(30)) for _ in range(5)}
    old = sha256_of(b"old")
    stores[0].put(io.BytesIO(b"old"), sha256=old, size_bytes=3)
    lost = EncryptedStore(stores[0], key_ring(stores[1:], clock=clock), suite=SUITE, beside=("second",))
    unknown = lost.ring.find(put(lost, b"nobody knows my key")).cipher_sha256
    listed = list(store.list())
    assert listed == sorted({*digests, old, unknown})


# --- plain files ------------------------------------------------------------------------------------------------------
def test_a_plain_file_lies_in_memory_and_is_gone_afterwards(store):
    data = os.urandom(2 * MIB + 1)
    digest = put(store, data)
    with store.plain_file(digest) as path:
        assert path.read_bytes() == data
        assert path.stat().st_mode & 0o777 == 0o400
        assert str(path).startswith("/dev/shm/")
        EncryptedPrimary(store.inner, store.ring, suite=SUITE)  # another one sweeps, and leaves what is in use
        assert path.exists()
    assert not path.parent.exists()
    with pytest.raises(BlobNotFoundError), store.plain_file(sha256_of(b"none")):
        pass


def test_a_place_that_a_thief_could_read_gets_no_plain_file(store, stores, ring, tmp_path, monkeypatch):
    from evidence.errors import StoreError
    from storage import encrypted_primary

    digest = put(store, b"evidence")
    open_disk = EncryptedPrimary(stores[0], ring, suite=SUITE, plain_scratch=tmp_path)
    with pytest.raises(StoreError, match="does not protect"), open_disk.plain_file(digest):
        pass
    monkeypatch.setattr(encrypted_primary, "_SCRATCH_FLOOR_BYTES", 1 << 60)
    with pytest.raises(StoreError, match="no room"), store.plain_file(digest):
        pass
    assert list(tmp_path.glob("liuhen-plain*")) == []


def test_plain_files_of_a_killed_process_are_swept(store, tmp_path):
    from storage.encrypted_primary import _SCRATCH_NAME

    left = tmp_path / f"{_SCRATCH_NAME}dead"
    left.mkdir()
    (left / "plain").write_bytes(b"the officer said")
    EncryptedPrimary(store.inner, store.ring, suite=SUITE, plain_scratch=tmp_path)
    assert not left.exists()


def test_a_staged_object_lies_in_the_given_folder_without_a_name(store, second, tmp_path, monkeypatch):
    seen = []
    made = sealing.tempfile.TemporaryFile

    def noted(*args, **kwargs):
        seen.append(kwargs["dir"])
        return made(*args, **kwargs)

    monkeypatch.setattr(sealing.tempfile, "TemporaryFile", noted)
    put(store, os.urandom(9 * MIB))
    put(store, os.urandom(MIB))
    assert seen == [store.inner.root / "staging"]


def test_promise_1_a_key_that_is_not_beside_its_copy_is_laid_there_or_the_copy_does_not_count(store, second, stores):
    data = os.urandom(MIB)
    digest = put(store, data)
    put(second, data)
    place = second.ring.place("second")
    path = key_records.record_path(digest)
    ensure_key(second, digest)
    place.remove(path)
    ensure_key(second, digest)
    assert place.read(path) == second.ring.place("primary").read(path)
    place.remove(path)
    (stores[1].root / "keyring").rename(stores[1].root / "lost")
    (stores[1].root / "keyring").write_bytes(b"no folder")
    with pytest.raises(EvidenceError):
        ensure_key(second, digest)


def test_what_a_killed_process_left_goes_also_where_other_folders_are_in_use(store, tmp_path):
    scratch = tmp_path / "scratch"
    for name in ("liuhen-plain-a", "liuhen-plain-b", "liuhen-plain-c"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "plain").write_bytes(b"footage")
    used = os.open(scratch / next(iter(os.listdir(scratch))), os.O_RDONLY)  # noqa: PTH208 - in the order of the file system
    try:
        fcntl.flock(used, fcntl.LOCK_EX)
        EncryptedPrimary(store.inner, store.ring, suite=SUITE, plain_scratch=scratch)
        assert len(list(scratch.iterdir())) == 1
    finally:
        os.close(used)
