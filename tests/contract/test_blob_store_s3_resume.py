"""Uploads that were broken off, and several writers of the same bytes: nothing is sent twice, nothing is believed."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import StoreError, StoreUnavailableError
from storage import s3_resume, s3_upload
from storage.s3 import S3Store
from storage.s3_claims import UploadClaims
from support import seaweed
from support.stores import SUITE

CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]


def now():
    return CLOCK.now().wall


@pytest.fixture
def store(make_store):
    store = make_store(seaweed.shared().settings())
    store.ensure_bucket()
    return store


def uploads_of(store):
    settings = store._settings
    return store._client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get("Uploads", [])


BIG = os.urandom((5 << 20) * 3 + 77)  # four parts
BIG_DIGEST = sha256_of(BIG)


def count_parts(store):
    sent = []
    store._client.meta.events.register("before-call.s3.UploadPart", lambda params, **_: sent.append(params["url_path"]))
    return sent


def broken_off(store, data=BIG, *, after_parts):
    """An upload that lost its network after so many parts."""
    digest = sha256_of(data)
    sent = []

    def lose(params, **_):
        sent.append(params)
        if len(sent) > after_parts:
            raise EndpointConnectionError(endpoint_url="gone")

    store._client.meta.events.register("before-call.s3.UploadPart", lose)
    with pytest.raises(StoreUnavailableError):
        store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    store._client.meta.events.unregister("before-call.s3.UploadPart", lose)
    assert not store.exists(digest)
    (upload,) = uploads_of(store)
    return upload


def parts_of(store, upload):
    which = {"Bucket": store._settings.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
    return store._client.list_parts(**which).get("Parts", [])


@pytest.mark.parametrize("another_process", [False, True])
def test_an_upload_that_was_broken_off_is_gone_on_with(make_store, store, tmp_path, another_process):
    upload = broken_off(store, after_parts=2)
    there = len(parts_of(store, upload))
    assert there >= 1
    again = store
    if another_process:  # after a restart nothing is remembered: the server is asked
        again = S3Store(store._settings, name="bucket", suite=SUITE, clock=CLOCK, claims=tmp_path / "claims")
    sent = count_parts(again)
    receipt = again.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG))
    assert receipt.created
    assert len(sent) == 4 - there
    assert uploads_of(store) == []
    again.verify(BIG_DIGEST, BIG_DIGEST)
    assert not again.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG)).created  # its checksum is known again


def test_a_part_with_other_bytes_is_sent_again(store):
    upload = broken_off(store, after_parts=3)
    which = {"Bucket": store._settings.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
    other = bytes(5 << 20)
    checksum = s3_upload.b64(hashlib.sha256(other).digest())
    store._client.upload_part(PartNumber=1, Body=other, ChecksumSHA256=checksum, **which)
    store.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG))
    store.verify(BIG_DIGEST, BIG_DIGEST)


@pytest.mark.parametrize(
    ("etag", "checksum", "counts"),
    [
        ('"{md5}"', "", True),
        ('"{md5}"', "{sha256}", True),
        ('"anything"', "{sha256}", True),
        ('"{md5}"', "b3RoZXI=", False),
        ('"anything"', "", False),
        ("", "", False),
        ('"{md5}-1"', "", False),
    ],
)
def test_a_part_is_only_trusted_by_its_sha256_or_its_md5(etag, checksum, counts):
    data = b"part"
    sha256 = s3_upload.b64(hashlib.sha256(data).digest())
    known = {"md5": hashlib.md5(data).hexdigest(), "sha256": sha256}
    part = s3_resume.Part(etag.format(**known), len(data), checksum.format(**known))
    unfinished = s3_resume.Unfinished("upload", {1: part})
    assert bool(unfinished.holds(1, data, checksum=sha256)) is counts
    assert not unfinished.holds(2, data, checksum=sha256)
    assert not s3_resume.Unfinished("upload", {1: replace(part, size_bytes=5)}).holds(1, data, checksum=sha256)


def test_an_upload_in_parts_of_another_size_is_not_gone_on_with(make_store, store):
    broken_off(store, after_parts=2)
    other = make_store(replace(store._settings, part_bytes=6 << 20))
    sent = count_parts(other)
    other.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG))
    assert len(sent) == 3
    other.verify(BIG_DIGEST, BIG_DIGEST)
    assert not other.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG)).created


def test_an_upload_that_another_writer_works_at_is_left_to_them(store, tmp_path):
    broken_off(store, after_parts=2)
    claims = tmp_path / "run" / "claims"
    with UploadClaims(claims).claim(BIG_DIGEST) as alone:
        assert alone
        second = S3Store(store._settings, name="bucket", suite=SUITE, clock=CLOCK, claims=claims)
        sent = count_parts(second)
        assert second.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG)).created
        assert len(sent) == 4
        assert len(uploads_of(store)) == 1
    with UploadClaims(claims).claim(BIG_DIGEST) as alone:
        assert alone
    second.close()


def test_a_claim_ends_with_the_process_that_held_it(tmp_path):
    claims = tmp_path / "claims"
    code = (
        "import sys, pathlib; from storage.s3_claims import UploadClaims; from evidence.digest import sha256_of\n"
        "with UploadClaims(pathlib.Path(sys.argv[1])).claim(sha256_of(b'x')) as alone:\n"
        "    print(alone, flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, claims], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    with process:
        assert process.stdout.readline() == "True\n"
        with UploadClaims(claims).claim(sha256_of(b"x")) as alone:
            assert not alone
        with UploadClaims(claims).claim(sha256_of(b"y")) as alone:
            assert alone
        process.kill()
    with UploadClaims(claims).claim(sha256_of(b"x")) as alone:
        assert alone


def test_writers_of_the_same_bytes_in_several_processes_all_end_with_a_sound_locked_object(store, tmp_path):
    broken_off(store, after_parts=2)
    claims = tmp_path / "claims"
    stores = [S3Store(store._settings, name="bucket", suite=SUITE, clock=CLOCK, claims=claims) for _ in range(4)]
    until = now() + timedelta(days=1)

    def write(one):
        return one.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG), retain_until=until)

    with ThreadPoolExecutor(len(stores)) as pool:
        receipts = list(pool.map(write, stores))
    # A server that looks and writes in two steps may let more than one through: each is a version of the same bytes.
    versions = store._versions.all(BIG_DIGEST)
    assert 1 <= sum(receipt.created for receipt in receipts) == len(versions)
    assert {receipt.version for receipt in receipts} <= {version.id for version in versions}
    assert all(version.size_bytes == len(BIG) and version.retain_until >= until for version in versions)
    for version in versions:
        store._read_and_compare(BIG_DIGEST, BIG_DIGEST, version, None)
    for one in stores:
        one.close()


def test_an_upload_that_can_never_be_completed_is_given_up(store):
    upload = broken_off(store, after_parts=3)

    def refuse(**_):
        return Refusal(400), {"Error": {"Code": "InvalidPart"}, "ResponseMetadata": {"HTTPStatusCode": 400}}

    store._client.meta.events.register("before-call.s3.CompleteMultipartUpload", refuse)
    with pytest.raises(StoreError, match="InvalidPart"):
        store.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG))
    store._client.meta.events.unregister("before-call.s3.CompleteMultipartUpload", refuse)
    assert upload["UploadId"] not in [each["UploadId"] for each in uploads_of(store)]
    assert store.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG)).created


def test_an_upload_that_somebody_ends_in_the_middle_is_tried_again(store):
    def end(params, **_):
        for upload in uploads_of(store):
            store._client.abort_multipart_upload(
                Bucket=store._settings.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    store._client.meta.events.register("before-call.s3.CompleteMultipartUpload", end)
    with pytest.raises(StoreUnavailableError, match="somebody else ended"):
        store.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG))
    store._client.meta.events.unregister("before-call.s3.CompleteMultipartUpload", end)
    assert store.put(io.BytesIO(BIG), sha256=BIG_DIGEST, size_bytes=len(BIG)).created


def test_a_slow_upload_that_is_still_gone_on_with_is_not_swept(store):
    upload = broken_off(store, after_parts=2)
    sweep = (store._client, store._settings.bucket, f"{store._settings.prefix}objects/")
    began = upload["Initiated"]
    time.sleep(1.1)
    which = {"Bucket": store._settings.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
    store._client.upload_part(PartNumber=4, Body=b"late", **which)
    late = max(part["LastModified"] for part in parts_of(store, upload))
    assert late > began
    limit = timedelta(days=2)
    assert s3_resume.abort_stale(*sweep, now=late + limit, older_than=limit) == 0
    assert s3_resume.abort_stale(*sweep, now=late + limit + timedelta(seconds=1), older_than=limit) == 1


class Refusal:
    def __init__(self, status_code):
        self.status_code = status_code
