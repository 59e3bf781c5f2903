"""The index of data keys: one live key for an object, destroyed ones never come back, on every engine and in the tests' own."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from catalogue import Catalogue
from catalogue.key_index import CatalogueKeyIndex
from evidence.data_keys import KeyRecord
from evidence.digest import sha256_of
from evidence.errors import IntegrityError
from storage.encrypted import EncryptedStore
from support.keys import MemoryIndex, key_ring
from support.stores import START, SUITE, local_store


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def index(request):
    if request.param == "memory":
        yield MemoryIndex()
        return
    catalogue = Catalogue.open(
        request.getfixturevalue(f"{'sqlite' if request.param == 'sqlite' else 'postgres'}_url"), migrate=True
    )
    yield CatalogueKeyIndex(catalogue)
    catalogue.close()


def record(name: bytes = b"object", key: bytes = b"key") -> KeyRecord:
    return KeyRecord(
        sha256=sha256_of(name),
        cipher_sha256=sha256_of(name + key),
        cipher_size_bytes=5_000_000_000,
        epoch="2026-03",
        header=bytes(64),
        wrapped=key.ljust(40, b"\xff"),
        wrapped_sha256=sha256_of(key).hex,
        mac=bytes(32),
        made_at=START,
    )


def test_a_record_is_found_as_it_was_put(index):
    assert index.find(record().sha256) is None
    index.add(record())
    index.add(record())
    assert index.find(record().sha256) == record()


def test_another_live_key_is_refused_and_changes_nothing(index):
    index.add(record())
    for other in (
        record(key=b"other"),
        replace(record(), epoch="2026-04"),
        replace(record(), cipher_sha256=sha256_of(b"x")),
    ):
        with pytest.raises(IntegrityError):
            index.add(other)
    assert index.find(record().sha256) == record()


def test_a_destroyed_key_stays_destroyed_and_its_digest_is_kept(index):
    gone = record().without_key(START + timedelta(days=1))
    index.add(record())
    index.add(gone)
    assert index.find(record().sha256) == gone
    index.add(record())
    index.add(gone.without_key(START + timedelta(days=2)))
    assert index.find(record().sha256) == gone


def test_a_new_key_follows_a_destroyed_one_and_the_old_tombstone_harms_it_not(index):
    gone, new = record().without_key(START), record(key=b"new")
    index.add(gone)
    index.add(new)
    index.add(gone)
    assert index.find(new.sha256) == new


def test_all_of_them_come_in_ascending_order(index):
    made = [record(str(number).encode()) for number in range(20)]
    for one in made:
        index.add(one)
    assert list(index.all()) == sorted(made, key=lambda one: one.sha256)


def test_pages_are_gone_through_to_the_end(sqlite_url, monkeypatch):
    monkeypatch.setattr("catalogue.blob_keys._PAGE", 3)
    catalogue = Catalogue.open(sqlite_url, migrate=True)
    with catalogue.begin() as uow:
        for number in range(7):
            uow.blob_keys.add(record(str(number).encode()))
        uow.blob_keys.add(record(b"3").without_key(START))
    with catalogue.read() as uow:
        assert (uow.blob_keys.count(), uow.blob_keys.count(destroyed=True)) == (6, 1)
        assert [len(uow.blob_keys.page(None, limit)) for limit in (3, 100)] == [3, 7]
    assert len(list(CatalogueKeyIndex(catalogue).all())) == 7
    catalogue.close()


def test_a_store_finds_its_keys_in_the_catalogue_and_makes_it_again_from_its_places(index, tmp_path):
    inner = local_store(tmp_path / "primary")
    store = EncryptedStore(inner, key_ring([inner], index=index), suite=SUITE)
    digest = sha256_of(b"evidence")
    store.put(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8)
    found = index.find(digest)
    assert found.cipher_sha256 == next(inner.list())
    fresh = key_ring([inner], index=MemoryIndex())
    assert fresh.rebuild_index() == 1
    assert fresh.find(digest) == found
    with EncryptedStore(inner, key_ring([inner], index=index), suite=SUITE).open(digest) as stream:
        assert stream.read() == b"evidence"
    store.ring.destroy(digest)
    assert index.find(digest).destroyed
