"""The contract of every blob store. One suite, inherited by each implementation: a store that fails one line is not a store."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.clock import SystemClock
from evidence.digest import Digest, sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    DigestMismatchError,
    InvalidInputError,
    LimitExceededError,
    StoreError,
)
from evidence.limits import RECORDING_BYTES_MAX
from storage.replicated import Replicated
from storage.s3 import S3Store
from support import seaweed
from support.stores import SUITE, ManualClock, local_store, unprotect_tree

PART_BYTES = 5 << 20
ABSENT = sha256_of(b"was never stored")


class Kit:
    """A store under test with what the suite needs around it."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock

    @property
    def now(self):
        return self.clock.now().wall

    def pass_time(self, step: timedelta) -> None:
        """Let the store's clock pass: a manual one is moved, a server's is waited for."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(step)
        else:
            time.sleep(step.total_seconds() + 1.1)  # S3 locks end on whole seconds

    def put(self, data: bytes, **extra):
        digest = sha256_of(data)
        return digest, self.store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data), **extra)


class Trickle(io.RawIOBase):
    """A raw, forward-only source that gives a few bytes at a time, and may break."""

    def __init__(self, data: bytes, *, breaks_at: int | None = None):
        super().__init__()
        self.rest = io.BytesIO(data)
        self.breaks_at = breaks_at

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.breaks_at is not None and self.rest.tell() >= self.breaks_at:
            raise OSError(5, "Input/output error")
        return self.rest.readinto(memoryview(buffer)[:70_001])


def corrupt_file(path: Path) -> None:
    """Flip one bit in the middle of a stored file, as a dying disk does."""
    unprotect_tree(path.parent)
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def corrupt_object(store: S3Store, digest: Digest) -> None:
    """Put flipped bytes over a stored object, as somebody with the bucket's keys could."""
    with store.open(digest) as stream:
        data = bytearray(stream.read())
    data[len(data) // 2] ^= 0x10
    store._client.put_object(Bucket=store._settings.bucket, Key=store.stat(digest).key, Body=bytes(data))


def staging_is_empty(root: Path) -> bool:
    return not list((root / "staging").iterdir())


def uploads_under_way(store: S3Store) -> list:
    settings = store._settings
    return store._client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get("Uploads", [])


class BlobStoreContract:
    """What evidence.ports.BlobStore promises."""

    @pytest.fixture
    def kit(self, tmp_path):
        raise NotImplementedError  # every store under test brings its own

    def corrupt(self, kit, digest):
        raise NotImplementedError

    def leftovers(self, kit):
        raise NotImplementedError

    def name_of(self, kit, digest):
        """The digest under which the store keeps its bytes."""
        return digest

    # --- put and open -----------------------------------------------------------------------------------------------
    @pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
    def test_what_was_put_is_what_is_opened(self, kit, size):
        data = os.urandom(size)
        digest, receipt = kit.put(data)
        assert receipt.created
        assert (receipt.sha256, receipt.size_bytes) == (digest, size)
        with kit.store.open(digest) as stream:
            assert stream.read() == data
        stat = kit.store.stat(digest)
        assert (stat.key, stat.size_bytes, stat.version) == (receipt.key, size, receipt.version)
        assert self.name_of(kit, digest).hex in receipt.key
        kit.store.verify(digest, digest)

    def test_a_blob_larger_than_one_part_is_whole(self, kit):
        data = os.urandom(2 * PART_BYTES + 12_345)
        digest, receipt = kit.put(data)
        assert receipt.created
        kit.store.verify(digest, SUITE.compute("blake3", [data]))
        with kit.store.open(digest, offset=PART_BYTES - 10, length=20) as stream:
            assert stream.read() == data[PART_BYTES - 10 : PART_BYTES + 10]
        assert not kit.put(data)[1].created

    def test_the_same_bytes_again_are_accepted_and_nothing_is_made(self, kit):
        digest, first = kit.put(b"evidence")
        _, second = kit.put(b"evidence")
        assert first.created
        assert not second.created
        assert second.version == first.version
        assert list(kit.store.list()) == [digest]

    @pytest.mark.parametrize("size", [100, PART_BYTES + 100])
    def test_a_wrong_digest_leaves_nothing_behind(self, kit, size):
        stated = sha256_of(b"something else")
        with pytest.raises(DigestMismatchError):
            kit.store.put(io.BytesIO(os.urandom(size)), sha256=stated, size_bytes=size)
        assert not kit.store.exists(stated)
        assert list(kit.store.list()) == []
        assert not self.leftovers(kit)

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_a_stream_of_another_length_is_refused(self, kit, difference):
        data = os.urandom(1000)
        with pytest.raises(DigestMismatchError):
            kit.store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data) + difference)
        assert not kit.store.exists(sha256_of(data))
        assert not self.leftovers(kit)

    def test_a_wrong_stream_for_a_stored_blob_is_still_refused(self, kit):
        digest, _ = kit.put(b"evidence")
        with pytest.raises(DigestMismatchError):
            kit.store.put(io.BytesIO(b"evidencE"), sha256=digest, size_bytes=8)
        kit.store.verify(digest, digest)

    def test_a_source_that_gives_few_bytes_at_a_time_is_read_whole(self, kit):
        data = os.urandom(PART_BYTES + 300_000)
        digest = sha256_of(data)
        kit.store.put(Trickle(data), sha256=digest, size_bytes=len(data))
        kit.store.verify(digest, digest)

    def test_a_source_that_breaks_leaves_nothing_behind(self, kit):
        data = os.urandom(PART_BYTES + 300_000)
        with pytest.raises(StoreError):
            kit.store.put(Trickle(data, breaks_at=PART_BYTES), sha256=sha256_of(data), size_bytes=len(data))
        assert not kit.store.exists(sha256_of(data))
        assert not self.leftovers(kit)

    def test_eight_writers_of_the_same_bytes_make_one_blob(self, kit):
        data = os.urandom(200_000)
        ready = threading.Barrier(8)

        def write(_):
            ready.wait()
            return kit.put(data)[1]

        with ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(write, range(8)))
        # Over several stores, each store is made its copy by exactly one writer, which need not be the same one everywhere.
        makers = sum(receipt.created for receipt in receipts)
        whole = getattr(kit.store, "inner", kit.store)
        copies = len(whole.stores) if isinstance(whole, Replicated) else 1
        assert 1 <= makers <= copies
        assert len({receipt.version for receipt in receipts}) == 1
        kit.store.verify(sha256_of(data), sha256_of(data))

    def test_ranges_are_exact_and_never_short(self, kit):
        data = os.urandom(5000)
        digest, _ = kit.put(data)
        for offset, length in [(0, 1), (4999, 1), (100, 0), (17, 4000), (5000, 0)]:
            with kit.store.open(digest, offset=offset, length=length) as stream:
                assert stream.read() == data[offset : offset + length]
        with kit.store.open(digest, offset=4000) as stream:
            assert stream.read() == data[4000:]
        for offset, length in [(0, 5001), (5001, None), (-1, 2), (4999, 2), (0, -1)]:
            with pytest.raises(InvalidInputError):
                kit.store.open(digest, offset=offset, length=length)

    def test_impossible_sizes_and_other_digests_are_refused(self, kit):
        with pytest.raises(InvalidInputError):
            kit.store.put(io.BytesIO(), sha256=ABSENT, size_bytes=-1)
        with pytest.raises(LimitExceededError):
            kit.store.put(io.BytesIO(), sha256=ABSENT, size_bytes=RECORDING_BYTES_MAX + 1)
        for call in (kit.store.exists, kit.store.stat, kit.store.open):
            with pytest.raises(InvalidInputError):
                call(Digest("sm3", "0" * 64))

    def test_what_is_not_there_is_said_to_be_missing(self, kit):
        assert not kit.store.exists(ABSENT)
        for call in (
            lambda: kit.store.open(ABSENT),
            lambda: kit.store.stat(ABSENT),
            lambda: kit.store.verify(ABSENT, ABSENT),
            lambda: kit.store.delete(ABSENT, now=kit.now),
            lambda: kit.store.extend_retention(ABSENT, kit.now),
            lambda: kit.store.set_hold(ABSENT, reference="case"),
            lambda: kit.store.release_hold(ABSENT, reference="case"),
        ):
            with pytest.raises(BlobNotFoundError):
                call()

    def test_the_list_has_every_blob_once_in_order(self, kit):
        digests = {kit.put(os.urandom(20))[0] for _ in range(9)}
        assert list(kit.store.list()) == sorted(digests)

    def test_properties_tell_what_the_store_is(self, kit):
        properties = kit.store.properties
        assert properties.name
        assert properties.domain
        assert properties.protection in {"immutable", "mode-only", "object-lock"}

    # --- fixity -----------------------------------------------------------------------------------------------------
    @pytest.mark.parametrize("algorithm", ["sha256", "sm3", "blake3"])
    def test_a_sound_blob_verifies_by_every_algorithm(self, kit, algorithm):
        data = os.urandom(3 << 20)
        digest, _ = kit.put(data)
        seen: list[int] = []
        kit.store.verify(digest, SUITE.compute(algorithm, [data]), progress=seen.append)
        assert seen[-1] == len(data)

    def test_another_expected_digest_does_not_verify(self, kit):
        digest, _ = kit.put(b"evidence")
        with pytest.raises(DigestMismatchError):
            kit.store.verify(digest, sha256_of(b"other"))

    def test_a_flipped_bit_is_found_and_never_overwritten_by_a_put(self, kit):
        data = os.urandom(100_000)
        digest, _ = kit.put(data)
        self.corrupt(kit, digest)
        with pytest.raises(DigestMismatchError):
            kit.store.verify(digest, SUITE.compute("blake3", [data]))
        with pytest.raises(BlobConflictError):
            kit.put(data)
        with pytest.raises(DigestMismatchError):
            kit.store.verify(digest, digest)

    def test_a_damaged_copy_is_made_good_under_what_was_ordered_and_a_wrong_source_makes_nothing(self, kit):
        data = os.urandom(300_000)
        digest, _ = kit.put(data)
        kit.store.set_hold(digest, reference="case:1")
        self.corrupt(kit, digest)
        with pytest.raises(DigestMismatchError):
            kit.store.repair(io.BytesIO(data[:-1] + b"?"), sha256=digest, size_bytes=len(data))
        with pytest.raises(DigestMismatchError):
            kit.store.verify(digest, digest)
        assert kit.store.repair(io.BytesIO(data), sha256=digest, size_bytes=len(data)).created
        kit.store.verify(digest, digest)
        assert kit.store.stat(digest).hold
        assert not kit.store.repair(Trickle(data), sha256=digest, size_bytes=len(data)).created
        with pytest.raises(BlobLockedError):
            kit.store.delete(digest, now=kit.now)

    def test_a_missing_copy_is_made_by_a_repair(self, kit):
        data = os.urandom(70_000)
        digest = sha256_of(data)
        assert kit.store.repair(io.BytesIO(data), sha256=digest, size_bytes=len(data)).created
        kit.store.verify(digest, digest)

    def test_r10_a_repair_dates_what_has_no_date_and_shortens_none(self, kit):
        data, until = os.urandom(5_000), kit.now + timedelta(seconds=60)
        digest = sha256_of(data)
        kit.store.repair(io.BytesIO(data), sha256=digest, size_bytes=len(data), retain_until=until)
        assert until <= kit.store.stat(digest).retain_until < until + timedelta(seconds=2)
        stands = kit.store.stat(digest).retain_until
        self.corrupt(kit, digest)
        assert kit.store.repair(
            io.BytesIO(data), sha256=digest, size_bytes=len(data), retain_until=until + timedelta(seconds=60)
        ).created
        assert kit.store.stat(digest).retain_until >= stands

    # --- retention and hold -----------------------------------------------------------------------------------------
    def test_r10_a_retained_blob_is_not_removed_before_its_date(self, kit):
        until = kit.now + timedelta(seconds=2)
        digest, _ = kit.put(b"evidence", retain_until=until)
        assert kit.store.stat(digest).retain_until >= until
        with pytest.raises(BlobLockedError):
            kit.store.delete(digest, now=kit.now)
        with pytest.raises(BlobLockedError):  # a caller whose clock runs ahead does not make it due
            kit.store.delete(digest, now=kit.now + timedelta(days=365))
        kit.store.verify(digest, digest)
        kit.pass_time(timedelta(seconds=2))
        kit.store.delete(digest, now=kit.now)
        assert not kit.store.exists(digest)

    def test_retention_only_ever_moves_later(self, kit):
        far = kit.now + timedelta(days=30)
        digest, _ = kit.put(b"evidence", retain_until=far)
        kit.store.extend_retention(digest, kit.now + timedelta(days=1))
        assert kit.store.stat(digest).retain_until >= far
        kit.put(b"evidence", retain_until=kit.now + timedelta(days=60))
        assert kit.store.stat(digest).retain_until >= far + timedelta(days=29)
        kit.store.extend_retention(digest, kit.now + timedelta(days=90))
        assert kit.store.stat(digest).retain_until >= far + timedelta(days=59)

    def test_a_blob_without_retention_has_none(self, kit):
        digest, _ = kit.put(b"evidence")
        stat = kit.store.stat(digest)
        assert (stat.retain_until, stat.hold) == (None, False)

    def test_r13_any_hold_holds_until_the_last_one_is_released(self, kit):
        digest, _ = kit.put(b"evidence")
        kit.store.set_hold(digest, reference="case-1")
        kit.store.set_hold(digest, reference="case-2")
        kit.store.set_hold(digest, reference="case-2")
        kit.store.release_hold(digest, reference="case-1")
        kit.store.release_hold(digest, reference="unknown")
        assert kit.store.stat(digest).hold
        with pytest.raises(BlobLockedError):
            kit.store.delete(digest, now=kit.now)
        kit.store.release_hold(digest, reference="case-2")
        assert not kit.store.stat(digest).hold
        kit.store.delete(digest, now=kit.now)
        assert not kit.store.exists(digest)

    def test_a_hold_can_come_back_after_its_release(self, kit):
        digest, _ = kit.put(b"evidence")
        kit.store.set_hold(digest, reference="case")
        kit.store.release_hold(digest, reference="case")
        kit.store.set_hold(digest, reference="case")
        with pytest.raises(BlobLockedError):
            kit.store.delete(digest, now=kit.now)

    @pytest.mark.parametrize("reference", ["", "x" * 201, "line\nbreak"])
    def test_a_hold_needs_a_printable_reference(self, kit, reference):
        digest, _ = kit.put(b"evidence")
        with pytest.raises(InvalidInputError):
            kit.store.set_hold(digest, reference=reference)
        assert not kit.store.stat(digest).hold

    def test_a_removed_blob_is_gone_and_may_come_again(self, kit):
        digest, _ = kit.put(b"evidence")
        kit.store.delete(digest, now=kit.now)
        assert not kit.store.exists(digest)
        assert list(kit.store.list()) == []
        with pytest.raises(BlobNotFoundError):
            kit.store.delete(digest, now=kit.now)
        assert kit.put(b"evidence")[1].created
        kit.store.verify(digest, digest)


class LocalKit(BlobStoreContract):
    protect = "mode-only"

    @pytest.fixture
    def kit(self, tmp_path):
        clock = ManualClock()
        yield Kit(local_store(tmp_path / "primary", clock=clock, protect=self.protect), clock)
        unprotect_tree(tmp_path)

    def corrupt(self, kit, digest):
        corrupt_file(kit.store.locate(digest))

    def leftovers(self, kit):
        return not staging_is_empty(kit.store.root)


class TestLocalStoreWithFileModes(LocalKit):
    """A local store where the kernel's flag is not used."""


@pytest.mark.root
class TestLocalStoreWithImmutableFlag(LocalKit):
    """A local store where files are immutable to everybody."""

    protect = "auto"

    def test_a_stored_file_cannot_be_changed_even_by_root(self, kit):
        digest, _ = kit.put(b"evidence", retain_until=kit.now)
        assert kit.store.properties.protection == "immutable"
        assert kit.store.stat(digest).protection == "immutable"
        path = kit.store.locate(digest)
        for attack in (
            lambda: path.write_bytes(b"forged"),
            path.unlink,
            lambda: path.chmod(0o777),
            lambda: path.rename(path.with_name("moved")),
            lambda: os.truncate(path, 0),
        ):
            with pytest.raises(PermissionError):
                attack()


class TestReplicatedLocalStores(BlobStoreContract):
    """Two local stores as one."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = ManualClock()
        stores = [local_store(tmp_path / name, name, clock=clock) for name in ("primary", "second")]
        return Kit(Replicated(stores, quorum=2), clock)

    def corrupt(self, kit, digest):
        corrupt_file(kit.store.stores[1].locate(digest))

    def leftovers(self, kit):
        return not all(staging_is_empty(store.root) for store in kit.store.stores)


class S3Kit(BlobStoreContract):
    tls = False

    @pytest.fixture
    def kit(self):
        clock = SystemClock()
        store = S3Store(seaweed.shared().settings(tls=self.tls), name="bucket", suite=SUITE, clock=clock)
        store.ensure_bucket()
        assert store.probe().protected
        yield Kit(store, clock)
        store.close()

    def corrupt(self, kit, digest):
        corrupt_object(kit.store, digest)

    def leftovers(self, kit):
        return uploads_under_way(kit.store)


class TestS3Store(S3Kit):
    """A bucket on a real server."""


class TestS3StoreOverTls(S3Kit):
    """The same over TLS, where clients like to change how they send checksums."""

    tls = True


class TestReplicatedLocalAndS3(BlobStoreContract):
    """A local store and a bucket as one."""

    @pytest.fixture
    def kit(self, tmp_path):
        clock = SystemClock()
        bucket = S3Store(seaweed.shared().settings(), name="bucket", suite=SUITE, clock=clock)
        bucket.ensure_bucket()
        assert bucket.probe().protected
        yield Kit(Replicated([local_store(tmp_path / "primary", clock=clock), bucket], quorum=2), clock)
        bucket.close()

    def corrupt(self, kit, digest):
        corrupt_object(kit.store.stores[1], digest)

    def leftovers(self, kit):
        return not staging_is_empty(kit.store.stores[0].root) or uploads_under_way(kit.store.stores[1])


def test_the_key_is_the_digest_and_nothing_from_outside(tmp_path):
    store = local_store(tmp_path / "primary")
    data = b"../../etc/passwd"
    digest = sha256_of(data)
    receipt = store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    assert receipt.key == f"objects/sha256/{digest.hex[:2]}/{digest.hex[2:4]}/{hashlib.sha256(data).hexdigest()}"
