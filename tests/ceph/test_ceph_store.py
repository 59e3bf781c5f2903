"""The bucket's contract on Ceph's RADOS Gateway (Debian's 16.2), over http and https: what it drops is found out and made up.

Not part of the default run: ``make test-ceph`` installs the server and runs this. What this release cannot do stands in
docs/formats/store.md, and here as an expectation: a newer one that can does better, and then this file says so.
"""

from __future__ import annotations

import io
import os
import secrets
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from contract.test_blob_store import Kit, S3Kit

from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import BlobLockedError, StoreUnavailableError
from storage.s3 import S3Store
from storage.s3_bucket import TOLD
from support import ceph
from support.stores import SUITE

pytestmark = pytest.mark.ceph
CLOCK = SystemClock()
PART = 5 << 20


def opened(**changes) -> S3Store:
    return S3Store(ceph.shared().settings(**changes), name="bucket", suite=SUITE, clock=CLOCK)


class CephKit(S3Kit):
    @pytest.fixture
    def kit(self):
        store = opened(tls=self.tls)
        store.ensure_bucket()
        assert store.probe().protected
        yield Kit(store, CLOCK)
        store.close()


class TestCephStore(CephKit):
    """Over http."""


class TestCephStoreOverTls(CephKit):
    """Over https, where this server refuses bodies whose checksum comes as a trailer."""

    tls = True


@pytest.fixture(params=[False, True], ids=["http", "https"])
def store(request):
    store = opened(tls=request.param, bucket=f"own-{secrets.token_hex(6)}", first_retention_days=1)
    store.ensure_bucket()
    yield store
    store.close()


def put(store: S3Store, data: bytes, **extra):
    return store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data), **extra)


def test_the_probe_passes_and_tells_what_this_server_does_not_do(store):
    report = store.probe()
    assert report.protected
    lacking = {name for name, passed in report.checks.items() if not passed}
    assert lacking <= TOLD
    # 16.2 drops lock headers on uploads in parts, ignores SHA-256 checksums, and conditions in buckets with versions; and
    # these keys are an administrator's.
    assert lacking == {
        "multipart-keeps-lock", "wrong-sha256-refused", "checksums-are-kept", "create-only-put", "create-only-multipart",
        "bypass-is-refused",
    }  # fmt: skip


def test_the_check_finds_nothing_wrong(store):
    levels = {check.name: check.level for check in store.check()}
    assert "bad" not in levels.values()
    assert "unknown" not in levels.values()


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_an_object_in_parts_is_locked_to_its_date_although_the_server_drops_the_headers(mode):
    store = opened(mode=mode, bucket=f"own-{secrets.token_hex(6)}", first_retention_days=0)
    store.ensure_bucket()
    until = CLOCK.now().wall + timedelta(days=2)
    data = os.urandom(PART + 1000)
    receipt = put(store, data, retain_until=until)
    lock = store.lock_of(sha256_of(data))
    assert (lock.mode, lock.id) == (mode, receipt.version)
    assert lock.retain_until >= until
    with pytest.raises(BlobLockedError):
        store._versions.remove(sha256_of(data), receipt.version)
    store.close()


def test_an_upload_that_was_broken_off_is_gone_on_with_by_the_md5_of_its_parts(store):
    data = os.urandom(PART * 2 + 1000)
    digest = sha256_of(data)
    sent = []

    def lose(params, **_):
        sent.append(params)
        if len(sent) > 2:
            raise EndpointConnectionError(endpoint_url="gone")

    store._client.meta.events.register("before-call.s3.UploadPart", lose)
    with pytest.raises(StoreUnavailableError):
        put(store, data)
    sent.clear()
    assert put(store, data).created
    assert len(sent) == 1
    store.verify(digest, digest)
    assert store.lock_of(digest).retain_until > CLOCK.now().wall + timedelta(hours=23)
    assert not put(store, data).created
