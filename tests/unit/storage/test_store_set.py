"""The stores of a home: names, failure domains, and several stores that act as one."""

from __future__ import annotations

import io
import os
from datetime import timedelta

import pytest

from evidence.digest import sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    ConfigError,
    DigestMismatchError,
    IntegrityError,
    InvalidInputError,
    NotDurableError,
    NotFoundError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.model import Copy
from storage.replicated import Replicated
from storage.stores import StoreSet
from support.stores import START, ManualClock, local_store

DATA = os.urandom(3 << 20)
DIGEST = sha256_of(DATA)


class OneWay(io.RawIOBase):
    """A source that can be read once."""

    def __init__(self, data):
        super().__init__()
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.rest.readinto(buffer)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def stores(tmp_path, clock):
    return [local_store(tmp_path / name, name, clock=clock) for name in ("primary", "second", "third")]


def put(store, data=DATA, source=io.BytesIO, **extra):
    return store.put(source(data), sha256=sha256_of(data), size_bytes=len(data), **extra)


def unmount(store):
    store.root.rename(store.root.with_name(f"{store.root.name}-away"))


def mount(store):
    store.root.with_name(f"{store.root.name}-away").rename(store.root)


def damage(store, digest=DIGEST):
    path = store.locate(digest)
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


# --- StoreSet ---------------------------------------------------------------------------------------------------------
def test_stores_are_found_by_name_with_the_primary_first(stores):
    all_stores = StoreSet(stores[0], stores[1:])
    assert all_stores.names == ("primary", "second", "third")
    assert list(all_stores) == list(all_stores.all) == stores
    assert all_stores.local == tuple(stores)
    assert all_stores.named("second") is stores[1]
    assert "third" in all_stores
    assert len(all_stores) == 3
    with pytest.raises(NotFoundError):
        all_stores.named("fourth")


def test_two_stores_of_one_name_are_refused(stores):
    with pytest.raises(ConfigError):
        StoreSet(stores[0], [stores[1], stores[1]])


def test_two_stores_on_one_disk_are_one_failure_domain(stores):
    all_stores = StoreSet(stores[0], stores[1:])
    copies = [all_stores.copy(store, put(store), read_back_at=START) for store in stores]
    assert len(all_stores.domains(copies)) == 1
    assert all_stores.all_domains() == {stores[0].properties.domain}
    assert copies[1].store == "second"
    assert copies[1].key == stores[1].stat(DIGEST).key


def test_a_domain_is_what_it_is_now_and_unknown_stores_do_not_count(stores):
    all_stores = StoreSet(stores[0], stores[1:])
    copies = [Copy("primary", "disk:old-1", "k"), Copy("second", "disk:old-2", "k"), Copy("sold", "disk:other", "k")]
    assert all_stores.domains(copies) == {stores[0].properties.domain}


# --- Replicated -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("quorum", [0, 4])
def test_a_quorum_fits_the_number_of_stores(stores, quorum):
    with pytest.raises(ConfigError):
        Replicated(stores, quorum=quorum)


def test_one_store_is_no_replication(stores):
    with pytest.raises(ConfigError):
        Replicated(stores[:1], quorum=1)
    with pytest.raises(ConfigError):
        Replicated([stores[0], stores[0]], quorum=1)


@pytest.mark.parametrize("source", [io.BytesIO, OneWay])
def test_every_store_gets_the_blob_from_any_kind_of_source(stores, source):
    put(Replicated(stores, quorum=3), source=source)
    for store in stores:
        store.verify(DIGEST, DIGEST)


def test_a_source_is_read_from_where_it_stands(stores):
    source = io.BytesIO(b"header" + DATA)
    source.seek(6)
    Replicated(stores, quorum=3).put(source, sha256=DIGEST, size_bytes=len(DATA))
    stores[2].verify(DIGEST, DIGEST)


def test_what_failed_is_told_and_the_quorum_decides(stores):
    unmount(stores[1])
    two = Replicated(stores, quorum=2)
    outcomes = two.put_all(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    assert isinstance(outcomes["second"], StoreUnavailableError)
    assert outcomes["third"].created
    assert not put(two).created
    with pytest.raises(StoreUnavailableError, match="second"):
        put(Replicated(stores, quorum=3))
    mount(stores[1])
    assert put(two).created
    assert all(store.exists(DIGEST) for store in stores)


def test_a_full_store_is_named_with_its_kind(tmp_path, stores):
    full = local_store(tmp_path / "full", "full", free_floor_bytes=1 << 60)
    with pytest.raises(StoreFullError, match="full:"):
        put(Replicated([stores[0], full], quorum=2))


def test_a_one_way_source_is_not_invented_when_the_first_store_fails(stores):
    unmount(stores[0])
    with pytest.raises(StoreError):
        put(Replicated(stores, quorum=1), source=OneWay)
    assert not stores[1].exists(DIGEST)
    assert put(Replicated(stores, quorum=1)).created


def test_a_wrong_source_reaches_no_store(stores):
    with pytest.raises(DigestMismatchError):
        Replicated(stores, quorum=1).put(io.BytesIO(b"x" * len(DATA)), sha256=DIGEST, size_bytes=len(DATA))
    assert not any(store.exists(DIGEST) for store in stores)


def test_a_fatal_error_is_not_outvoted(stores, monkeypatch):
    def fail(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotDurableError):
        put(Replicated(stores, quorum=1))


def test_reading_falls_back_to_the_next_store(stores):
    whole = Replicated(stores, quorum=3)
    put(whole)
    unmount(stores[0])
    with whole.open(DIGEST, offset=100, length=1000) as stream:
        assert stream.read() == DATA[100:1100]
    assert whole.exists(DIGEST)


def test_reading_goes_on_in_the_next_store_when_one_fails_half_way(stores):
    whole = Replicated(stores, quorum=3)
    put(whole)
    with whole.open(DIGEST, offset=7) as stream:
        start = stream.read(10)
        path = stores[0].locate(DIGEST)
        path.chmod(0o640)
        os.truncate(path, 1 << 20)
        assert start + stream.read() == DATA[7:]


@pytest.mark.parametrize("bad", [0, 1])
@pytest.mark.parametrize("size", [1 << 20, len(DATA) + 5])
def test_a_copy_of_another_size_never_makes_a_read_short_or_long(stores, bad, size):
    whole = Replicated(stores, quorum=3)
    put(whole)
    path = stores[bad].locate(DIGEST)
    path.chmod(0o640)
    os.truncate(path, size)
    with whole.open(DIGEST) as stream:
        assert stream.read() == DATA
    with whole.open(DIGEST, offset=2 << 20) as stream:
        assert stream.read() == DATA[2 << 20 :]


def test_a_range_beyond_the_end_of_a_copy_that_was_cut_off_comes_from_another(stores):
    whole = Replicated(stores, quorum=3)
    put(whole)
    path = stores[0].locate(DIGEST)
    path.chmod(0o640)
    os.truncate(path, 1 << 20)
    with whole.open(DIGEST, offset=2 << 20, length=100) as stream:
        assert stream.read() == DATA[2 << 20 : (2 << 20) + 100]


def test_copies_of_other_sizes_of_which_none_is_sound_are_not_read(stores):
    whole = Replicated(stores[:2], quorum=2)
    put(whole)
    for number, store in enumerate(whole.stores):
        path = store.locate(DIGEST)
        path.chmod(0o640)
        os.truncate(path, 1000 + number)
    with pytest.raises(DigestMismatchError, match=r"primary.*second"):
        whole.open(DIGEST)


def test_reading_fails_when_no_store_is_left(stores):
    whole = Replicated(stores, quorum=3)
    put(whole)
    with whole.open(DIGEST) as stream:
        stream.read(10)
        for store in stores:
            path = store.locate(DIGEST)
            path.chmod(0o640)
            os.truncate(path, 1 << 20)
        with pytest.raises(StoreError, match="third"):
            stream.read()


def test_verify_looks_at_every_copy_and_names_the_bad_one(stores):
    whole = Replicated(stores, quorum=1)
    put(whole)
    whole.verify(DIGEST, DIGEST)
    damage(stores[1])
    with pytest.raises(DigestMismatchError, match="second"):
        whole.verify(DIGEST, DIGEST)
    stores[2].delete(DIGEST, now=START)
    with pytest.raises(DigestMismatchError, match=r"second.*third"):  # damage outranks loss
        whole.verify(DIGEST, DIGEST)


def test_a_missing_copy_does_not_verify(stores):
    whole = Replicated(stores, quorum=1)
    put(whole)
    stores[2].delete(DIGEST, now=START)
    with pytest.raises(BlobNotFoundError, match="third"):
        whole.verify(DIGEST, DIGEST)


def test_damage_in_one_store_is_a_conflict_when_the_quorum_needs_it(stores):
    put(Replicated(stores, quorum=3))
    damage(stores[1])
    assert not put(Replicated(stores, quorum=2)).created
    with pytest.raises(BlobConflictError, match="second"):
        put(Replicated(stores, quorum=3))


def test_existence_that_cannot_be_told_is_not_absence(stores):
    whole = Replicated(stores, quorum=1)
    assert not whole.exists(DIGEST)
    unmount(stores[1])
    with pytest.raises(StoreUnavailableError, match="second"):
        whole.exists(DIGEST)


def test_the_list_is_the_union(stores):
    digests = []
    for number, store in enumerate([*stores, stores[0]]):
        put(store, b"%d" % number)
        digests.append(sha256_of(b"%d" % number))
    put(stores[1], b"0")
    assert list(Replicated(stores, quorum=1).list()) == sorted(digests)


def test_whoever_repairs_is_told_of_copies_that_fail_while_they_are_read_and_of_no_others(stores):
    told = []
    whole = Replicated(stores, quorum=3, on_bad_copy=told.append)
    put(whole)
    with whole.open(DIGEST) as stream:
        assert stream.read() == DATA
    unmount(stores[0])  # nothing is known of its copy
    with whole.open(DIGEST, offset=3, length=9) as stream:
        assert stream.read() == DATA[3:12]
    mount(stores[0])
    with pytest.raises(InvalidInputError):  # nobody has such a range: the copies are not to blame
        whole.open(DIGEST, offset=0, length=len(DATA) + 1)
    assert told == []
    path = stores[0].locate(DIGEST)
    path.chmod(0o640)
    with whole.open(DIGEST, offset=0, length=len(DATA)) as stream:  # short half-way
        assert stream.read(10) == DATA[:10]
        os.truncate(path, 1 << 20)
        assert stream.read() == DATA[10:]
    assert told == [DIGEST]
    with whole.open(DIGEST, offset=2 << 20, length=100) as stream:  # short from the start
        assert stream.read() == DATA[2 << 20 :][:100]
    path.unlink()
    with whole.open(DIGEST, offset=0, length=5) as stream:  # gone
        assert stream.read() == DATA[:5]
    assert told == [DIGEST] * 3


def test_one_store_that_holds_keeps_every_copy(stores, clock):
    whole = Replicated(stores, quorum=3)
    put(whole)
    stores[2].set_hold(DIGEST, reference="case")
    assert whole.stat(DIGEST).hold
    with pytest.raises(BlobLockedError, match="third"):
        whole.delete(DIGEST, now=clock.wall)
    assert all(store.exists(DIGEST) for store in stores)
    stores[2].release_hold(DIGEST, reference="case")
    stores[1].extend_retention(DIGEST, START + timedelta(days=1))
    assert whole.stat(DIGEST).retain_until == START + timedelta(days=1)
    with pytest.raises(BlobLockedError, match="second"):
        whole.delete(DIGEST, now=clock.wall)
    clock.advance(timedelta(days=2))
    whole.delete(DIGEST, now=clock.wall)
    assert not any(store.exists(DIGEST) for store in stores)


def test_nothing_is_removed_while_a_store_cannot_tell(stores):
    whole = Replicated(stores, quorum=1)
    put(whole)
    unmount(stores[2])
    with pytest.raises(StoreUnavailableError):
        whole.delete(DIGEST, now=START)
    assert stores[0].exists(DIGEST)


def test_a_removal_that_stopped_half_way_is_finished(stores):
    whole = Replicated(stores, quorum=1)
    put(whole)
    stores[0].delete(DIGEST, now=START)
    whole.delete(DIGEST, now=START)
    assert not whole.exists(DIGEST)
    with pytest.raises(BlobNotFoundError):
        whole.delete(DIGEST, now=START)


def test_tampered_locks_in_one_store_are_not_hidden_by_the_others(stores):
    whole = Replicated(stores, quorum=1)
    put(whole, retain_until=START + timedelta(days=1))
    record = next((stores[1].root / "locks").rglob("000000.json"))
    record.chmod(0o640)
    record.write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="second"):
        whole.stat(DIGEST)
    with pytest.raises(IntegrityError):
        whole.delete(DIGEST, now=START + timedelta(days=2))


def test_a_hold_below_the_quorum_is_an_error(stores):
    put(Replicated(stores, quorum=3))
    unmount(stores[0])
    with pytest.raises(StoreUnavailableError, match="primary"):
        Replicated(stores, quorum=3).set_hold(DIGEST, reference="case")
    Replicated(stores, quorum=2).set_hold(DIGEST, reference="case")
    assert stores[1].stat(DIGEST).hold


def test_several_stores_are_only_as_protected_as_the_weakest(stores):
    properties = Replicated(stores, quorum=2, name="all").properties
    assert (properties.name, properties.kind, properties.protection) == ("all", "replicated", "mode-only")
    assert properties.domain == stores[0].properties.domain
