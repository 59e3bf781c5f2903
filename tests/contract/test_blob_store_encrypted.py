"""The contract of every blob store, kept by stores that encrypt: over a folder, a bucket, several, and several of them."""

from __future__ import annotations

import pytest
from contract.test_blob_store import (
    BlobStoreContract,
    Kit,
    corrupt_file,
    corrupt_object,
    staging_is_empty,
    uploads_under_way,
)

from evidence.clock import SystemClock
from storage.encrypted import EncryptedStore
from storage.encrypted_primary import EncryptedPrimary
from storage.replicated import Replicated
from storage.s3 import S3Store
from support import seaweed
from support.keys import key_ring
from support.stores import SUITE, ManualClock, local_store, unprotect_tree


class EncryptedContract(BlobStoreContract):
    """What changes: the ciphertext has a name of its own."""

    def name_of(self, kit, digest):
        return cipher_of(kit.store, digest)


def cipher_of(store, digest):
    ring = store.ring if hasattr(store, "ring") else store.stores[0].ring
    return ring.find(digest).cipher_sha256


def bucket(clock):
    store = S3Store(seaweed.shared().settings(), name="bucket", suite=SUITE, clock=clock)
    store.ensure_bucket()
    assert store.probe().protected
    return store


class TestEncryptedLocalStore(EncryptedContract):
    """Over a folder."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = ManualClock()
        inner = local_store(tmp_path / "primary", clock=clock)
        yield Kit(EncryptedStore(inner, key_ring([inner], clock=clock), suite=SUITE), clock)
        unprotect_tree(tmp_path)

    def corrupt(self, kit, digest):
        corrupt_file(kit.store.inner.locate(cipher_of(kit.store, digest)))

    def leftovers(self, kit):
        return not staging_is_empty(kit.store.inner.root)


@pytest.mark.root
class TestEncryptedPrimary(TestEncryptedLocalStore):
    """Over the primary, with files that are immutable to everybody."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = ManualClock()
        inner = local_store(tmp_path / "primary", clock=clock, protect="auto")
        yield Kit(EncryptedPrimary(inner, key_ring([inner], clock=clock), suite=SUITE), clock)
        unprotect_tree(tmp_path)


class TestEncryptedBucket(EncryptedContract):
    """Over a bucket on a real server."""

    @pytest.fixture
    def kit(self):
        clock = SystemClock()
        inner = bucket(clock)
        yield Kit(EncryptedStore(inner, key_ring([inner], clock=clock), suite=SUITE), clock)
        inner.close()

    def corrupt(self, kit, digest):
        corrupt_object(kit.store.inner, cipher_of(kit.store, digest))

    def leftovers(self, kit):
        return uploads_under_way(kit.store.inner)


class TestEncryptedOverSeveral(EncryptedContract):
    """One that encrypts over two folders as one store."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = ManualClock()
        stores = [local_store(tmp_path / name, name, clock=clock) for name in ("primary", "second")]
        ring = key_ring(stores, clock=clock)
        return Kit(EncryptedStore(Replicated(stores, quorum=2), ring, suite=SUITE), clock)

    def corrupt(self, kit, digest):
        corrupt_file(kit.store.inner.stores[1].locate(cipher_of(kit.store, digest)))

    def leftovers(self, kit):
        return not all(staging_is_empty(store.root) for store in kit.store.inner.stores)


class TestSeveralThatEncrypt(EncryptedContract):
    """A folder and a bucket as one store, both under one ring."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = SystemClock()
        inner = [local_store(tmp_path / "primary", clock=clock), bucket(clock)]
        ring = key_ring(inner, clock=clock)
        yield Kit(Replicated([EncryptedStore(store, ring, suite=SUITE) for store in inner], quorum=2), clock)
        inner[1].close()

    def corrupt(self, kit, digest):
        corrupt_object(kit.store.stores[1].inner, cipher_of(kit.store, digest))

    def leftovers(self, kit):
        return not staging_is_empty(kit.store.stores[0].inner.root) or uploads_under_way(kit.store.stores[1].inner)


del BlobStoreContract  # it is inherited here, not run by itself
