"""The contract of places for keys: a folder and a bucket on a real server."""

from __future__ import annotations

import io

import pytest

from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import BlobConflictError, InvalidInputError, KeyUnavailableError
from storage import key_records
from storage.encrypted import EncryptedStore
from storage.key_places import FOLDER, place_beside
from storage.s3 import S3Store
from support import seaweed
from support.keys import key_ring
from support.stores import SUITE, local_store

CLOCK = SystemClock()


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        yield local_store(tmp_path / "primary", clock=CLOCK)
        return
    # A default retention of weeks, as a bureau's bucket has it: keys must be able to go all the same.
    bucket = S3Store(seaweed.shared().settings(), name="bucket", suite=SUITE, clock=CLOCK)
    bucket.ensure_bucket()
    yield bucket
    bucket.close()


@pytest.fixture
def place(store):
    return place_beside(store, clock=CLOCK)


def test_a_file_is_written_once_and_given_back(place, store):
    assert place.name == store.properties.name
    assert place.read("objects/ab/x.json") is None
    place.write_new("objects/ab/x.json", b"key")
    place.write_new("objects/ab/x.json", b"key")
    assert place.read("objects/ab/x.json") == b"key"
    with pytest.raises(BlobConflictError):
        place.write_new("objects/ab/x.json", b"other")
    assert place.read("objects/ab/x.json") == b"key"


def test_a_removed_file_is_gone_in_every_version_and_may_come_again(place):
    place.write_new("objects/ab/x.json", b"key")
    place.remove("objects/ab/x.json")
    assert place.read("objects/ab/x.json") is None
    assert list(place.paths("objects")) == []
    place.remove("objects/ab/x.json")
    place.write_new("objects/ab/x.json", b"another")
    assert place.read("objects/ab/x.json") == b"another"


def test_all_files_below_a_folder_come_in_ascending_order(place):
    paths = ["objects/aa/1.json", "objects/ab/0.json", "objects/ab/1.json"]
    for path in [*reversed(paths), "gone/ab/1.0.json", "epochs/2026-03/m.json"]:
        place.write_new(path, path.encode())
    assert list(place.paths("objects")) == paths
    assert list(place.paths("none")) == []


def test_foreign_paths_are_refused(place):
    for path in ("../x", "/x", "", "a//b", "UPPER", "a/../b", "a/.b"):
        for act in (place.read, place.remove, lambda p: place.write_new(p, b"")):
            with pytest.raises(InvalidInputError):
                act(path)


def test_keys_are_no_objects_and_a_destroyed_one_leaves_nothing_but_its_tombstone(store, place):
    ring = key_ring([store], clock=CLOCK)
    sealed = EncryptedStore(store, ring, suite=SUITE)
    digest = sha256_of(b"evidence")
    sealed.put(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8)
    record = ring.find(digest)
    assert list(store.list()) == [record.cipher_sha256]
    assert place.read(key_records.record_path(digest)) == key_records.record_text(record)
    ring.destroy(digest)
    assert place.read(key_records.record_path(digest)) is None
    assert list(place.paths("objects")) == []
    assert len(list(place.paths("gone"))) == 1
    with pytest.raises(KeyUnavailableError):
        sealed.open(digest)


def test_a_key_hidden_under_a_delete_marker_is_found():
    bucket = S3Store(seaweed.shared().settings(), name="bucket", suite=SUITE, clock=CLOCK)
    bucket.ensure_bucket()
    place = place_beside(bucket, clock=CLOCK)
    place.write_new("objects/ab/x.json", b"key")
    settings = bucket.settings
    key = f"{settings.prefix}{FOLDER}/objects/ab/x.json"
    place._client.delete_object(Bucket=settings.bucket, Key=key)
    assert place.read("objects/ab/x.json") == b"key"
    assert list(place.paths("objects")) == ["objects/ab/x.json"]
    place.remove("objects/ab/x.json")
    assert place.read("objects/ab/x.json") is None
    bucket.close()
