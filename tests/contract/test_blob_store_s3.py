"""What only a bucket can do wrong, and what the S3 store does about it. Against a real server."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import socket
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    StoreCredentialsError,
    StoreError,
    StoreUnavailableError,
)
from storage import s3_resume, s3_upload
from storage.s3_client import S3Settings
from support import seaweed

CLOCK = SystemClock()


def now():
    return CLOCK.now().wall


@pytest.fixture
def store(make_store):
    store = make_store(seaweed.shared().settings())
    store.ensure_bucket()
    assert store.probe().protected
    return store


def put(store, data=b"evidence", **extra):
    digest = sha256_of(data)
    return digest, store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data), **extra)


def own_bucket(**changes) -> S3Settings:
    return seaweed.shared().settings(bucket=f"own-{secrets.token_hex(6)}", **changes)


def test_a_delete_marker_hides_nothing_from_the_store(store):
    digest, receipt = put(store, retain_until=now() + timedelta(days=1))
    store._client.delete_object(
        Bucket=store._settings.bucket, Key=receipt.key
    )  # allowed by every server, even on locks
    assert store.exists(digest)
    store.verify(digest, digest)
    with store.open(digest) as stream:
        assert stream.read() == b"evidence"
    assert list(store.list()) == [digest]
    assert store.stat(digest).version == receipt.version


def test_removal_takes_every_version_and_marker(store):
    digest, receipt = put(store)
    bucket = {"Bucket": store._settings.bucket, "Key": receipt.key}
    store._client.put_object(Body=b"another", **bucket)
    store._client.delete_object(**bucket)
    store.delete(digest, now=now())
    listed = store._client.list_object_versions(Bucket=store._settings.bucket, Prefix=receipt.key)
    assert not listed.get("Versions")
    assert not listed.get("DeleteMarkers")


def test_the_server_itself_refuses_to_remove_a_locked_version(store):
    digest, receipt = put(store, retain_until=now() + timedelta(days=1))
    with pytest.raises(BlobLockedError):
        store._versions.remove(digest, receipt.version)
    store.set_hold(digest, reference="case")
    with pytest.raises(BlobLockedError):
        store._versions.remove(digest, receipt.version)


@pytest.mark.parametrize("size", [100, (5 << 20) + 100])
@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
def test_a_lock_the_server_drops_silently_is_put_on_again(store, size, operation):
    def drop_lock(params, **_):
        for name in [name for name in params["headers"] if name.lower().startswith("x-amz-object-lock")]:
            del params["headers"][name]

    store._client.meta.events.register(f"before-call.s3.{operation}", drop_lock)
    until = now() + timedelta(days=1)
    digest, _ = put(store, os.urandom(size), retain_until=until)
    assert store.stat(digest).retain_until >= until
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=until)


def test_a_blob_without_a_date_gets_the_first_retention(make_store):
    plain = make_store(seaweed.shared().settings())
    plain.ensure_bucket()
    store = make_store(replace(plain._settings, first_retention_days=3))
    digest, _ = put(store)
    assert store.stat(digest).retain_until >= now() + timedelta(days=2, hours=23)
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now() + timedelta(days=9))


def test_a_bucket_of_ours_locks_even_what_asks_for_nothing(make_store):
    settings = own_bucket(mode="GOVERNANCE", first_retention_days=1)
    store = make_store(settings)
    store.ensure_bucket()
    store.ensure_bucket()
    answer = store._client.put_object(Bucket=settings.bucket, Key="plain", Body=b"x")
    head = store._client.head_object(Bucket=settings.bucket, Key="plain", VersionId=answer["VersionId"])
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert store.probe().protected


def test_a_bucket_without_lock_is_never_called_protected(make_store):
    settings = own_bucket()
    store = make_store(settings)
    store._client.create_bucket(Bucket=settings.bucket)
    report = store.probe()
    assert not report.protected
    assert report.checks["bucket-lock"] is False
    assert store.properties.protection == "none"


def test_a_plain_bucket_keeps_no_evidence(make_store):
    settings = own_bucket()
    store = make_store(settings)
    store._client.create_bucket(Bucket=settings.bucket)
    with pytest.raises(StoreError, match="keeps no versions"):
        put(store)


def test_an_existing_plain_bucket_is_brought_into_shape(make_store):
    settings = own_bucket()
    store = make_store(settings)
    store._client.create_bucket(Bucket=settings.bucket)
    store.ensure_bucket()
    assert store.probe().protected


def test_a_store_is_unprotected_until_it_was_probed(make_store):
    store = make_store(seaweed.shared().settings())
    store.ensure_bucket()
    assert store.properties.protection == "none"
    assert store.probe().protected
    assert store.properties.protection == "object-lock"


def test_probes_of_the_past_are_removed_once_their_lock_lapsed(store, monkeypatch):
    monkeypatch.setattr("storage.s3_bucket._PROBE_LOCK", timedelta(seconds=4))
    settings = store._settings

    def probes():
        listed = store._client.list_object_versions(Bucket=settings.bucket, Prefix=f"{settings.prefix}.probe/")
        return [item["Key"] for item in listed.get("Versions", [])]

    store.probe()
    before = probes()
    assert before
    store.probe()
    assert len(probes()) <= len(before) + 2  # the held one of the first run is gone, the locked ones wait


def test_a_probe_leaves_nothing_that_the_default_retention_keeps(make_store, monkeypatch):
    monkeypatch.setattr("storage.s3_bucket._PROBE_LOCK", timedelta(seconds=4))
    settings = own_bucket(first_retention_days=30)
    store = make_store(settings)
    store.ensure_bucket()
    assert store.probe().protected
    first = {item["Key"] for item in store._client.list_object_versions(Bucket=settings.bucket)["Versions"]}
    time.sleep(5.5)
    assert store.probe().protected
    second = {item["Key"] for item in store._client.list_object_versions(Bucket=settings.bucket)["Versions"]}
    assert first
    assert not first & second


@pytest.mark.parametrize("ignored", ["x-amz-object-lock-legal-hold", "x-amz-object-lock-retain-until-date"])
def test_a_server_that_keeps_no_locks_is_not_protected_even_for_an_account_that_may_remove_nothing(store, ignored):
    def drop(params, **_):
        for name in [name for name in params["headers"] if name.lower() == ignored]:
            del params["headers"][name]
        if ignored.endswith("date"):
            params["headers"].pop("x-amz-object-lock-mode", None)

    class Refused:
        status_code = 403

    def refuse(**_):
        return Refused(), {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    events = store._client.meta.events
    events.register("before-call.s3.PutObject", drop)
    events.register("before-call.s3.DeleteObject", refuse)
    events.register("before-call.s3.PutObjectRetention", refuse)
    report = store.probe()
    assert not report.protected
    assert store.properties.protection == "none"


def test_set_up_never_weakens_a_default_retention_that_stands(make_store):
    settings = own_bucket(first_retention_days=90)
    store = make_store(settings)
    store.ensure_bucket()
    for changes in ({"first_retention_days": 0}, {"first_retention_days": 7}, {"mode": "GOVERNANCE"}):
        make_store(replace(settings, **changes)).ensure_bucket()
        answer = store._client.get_object_lock_configuration(Bucket=settings.bucket)["ObjectLockConfiguration"]
        assert answer["Rule"]["DefaultRetention"] == {"Mode": "COMPLIANCE", "Days": 90}
    make_store(replace(settings, first_retention_days=120)).ensure_bucket()
    answer = store._client.get_object_lock_configuration(Bucket=settings.bucket)["ObjectLockConfiguration"]
    assert answer["Rule"]["DefaultRetention"]["Days"] == 120


@pytest.mark.parametrize("act", ["list", "delete"])
def test_a_listing_that_the_server_cuts_short_is_an_error(store, act):
    digest, _ = put(store)

    def cut(parsed, **_):
        parsed["IsTruncated"] = True
        for marker in ("NextKeyMarker", "NextVersionIdMarker"):
            parsed.pop(marker, None)

    store._client.meta.events.register("after-call.s3.ListObjectVersions", cut)
    with pytest.raises(StoreUnavailableError):
        list(store.list()) if act == "list" else store.delete(digest, now=now())


def test_a_hold_behind_an_empty_page_still_holds(store):
    digest, receipt = put(store)
    store.set_hold(digest, reference="case")
    store._versions.set_flag(digest, receipt.version, hold=False)  # the reference alone holds now
    calls = []

    def empty_first_page(parsed, **_):
        calls.append(parsed)
        if len(calls) % 2:
            parsed["Contents"], parsed["IsTruncated"], parsed["NextContinuationToken"] = [], True, "next"

    def from_the_start(params, **_):
        return {name: value for name, value in params.items() if name != "ContinuationToken"}

    store._client.meta.events.register("after-call.s3.ListObjectsV2", empty_first_page)
    store._client.meta.events.register("provide-client-params.s3.ListObjectsV2", from_the_start)
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now())
    assert len(calls) == 2


def test_a_blob_that_stood_without_a_lock_gets_the_first_retention_when_it_is_put_again(make_store):
    plain = make_store(seaweed.shared().settings())
    plain.ensure_bucket()
    digest, receipt = put(plain)  # as a crash between write and lock leaves it on a server that drops locks
    assert plain.stat(digest).retain_until is None
    store = make_store(replace(plain._settings, first_retention_days=3))
    assert not put(store)[1].created
    locked = store.stat(digest).retain_until
    assert locked >= now() + timedelta(days=2, hours=23)
    put(store)
    assert store.stat(digest).retain_until == locked  # a lock in force is not moved by another put
    assert store.stat(digest).version == receipt.version


def test_a_lock_that_has_lapsed_protects_nothing_and_is_not_called_a_lock(store):
    digest, _ = put(store, retain_until=now() + timedelta(seconds=2))
    assert store.stat(digest).protection == "object-lock"
    time.sleep(3.5)
    assert store.stat(digest).protection == "none"
    store.set_hold(digest, reference="case")
    assert store.stat(digest).protection == "object-lock"


@pytest.mark.parametrize("days_left", [0, 2])
def test_a_verify_changes_no_lock_because_the_renewal_alone_knows_the_lawful_date(make_store, days_left):
    plain = make_store(seaweed.shared().settings())
    plain.ensure_bucket()
    digest, _ = put(plain, retain_until=now() + timedelta(days=days_left) if days_left else None)
    before = plain.stat(digest).retain_until
    store = make_store(replace(plain._settings, first_retention_days=30))
    store.verify(digest, digest)
    assert store.stat(digest).retain_until == before


def test_r13_two_holds_survive_a_crash_at_each_step_and_the_last_release_frees(store, monkeypatch):
    digest, _ = put(store)
    store.set_hold(digest, reference="case 1")

    def crash(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:  # between the reference and the flag
        patch.setattr(store._versions, "set_flag", crash)
        with pytest.raises(RuntimeError):
            store.set_hold(digest, reference="case 2")
    store.release_hold(digest, reference="case 1")
    assert store.stat(digest).hold, "the second reference stands although its flag was never set by it"
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now())
    with monkeypatch.context() as patch:  # between taking the reference away and the flag
        patch.setattr(store._versions, "set_flag", crash)
        with pytest.raises(RuntimeError):
            store.release_hold(digest, reference="case 2")
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now())
    store.release_hold(digest, reference="case 2")
    assert not store.stat(digest).hold
    store.delete(digest, now=now())
    assert not store.exists(digest)


def test_an_object_somebody_else_uploaded_in_other_parts_is_compared_by_its_bytes(store):
    data = os.urandom((12 << 20) + 5)
    digest = sha256_of(data)
    target = s3_upload.Target(store._client, store._settings.bucket, store._versions.key(digest))
    parts = iter([data[: 6 << 20], data[6 << 20 :]])
    s3_upload.put_parts(target, parts, options={}, completion={})
    assert not put(store, data)[1].created


def test_an_upload_whose_completion_was_answered_twice_is_stored(store):
    data = os.urandom((5 << 20) + 100)

    def lose_the_answer(params, **_):
        client = store._client
        client.meta.events.unregister("before-call.s3.CompleteMultipartUpload", lose_the_answer)
        upload = uploads_of(store)[0]
        which = {"Bucket": store._settings.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        sums = [s3_upload.b64(hashlib.sha256(part).digest()) for part in (data[: 5 << 20], data[5 << 20 :])]
        parts = [
            {"PartNumber": each["PartNumber"], "ETag": each["ETag"], "ChecksumSHA256": checksum}
            for each, checksum in zip(client.list_parts(**which)["Parts"], sums, strict=True)
        ]
        client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **which)

        class Gone:
            status_code = 404

        return Gone(), {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}

    store._client.meta.events.register("before-call.s3.CompleteMultipartUpload", lose_the_answer)
    digest, receipt = put(store, data)
    assert receipt.size_bytes == len(data)
    store.verify(digest, digest)


def uploads_of(store):
    settings = store._settings
    return store._client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get("Uploads", [])


def test_a_server_that_stores_other_bytes_is_told_apart_from_a_wrong_source(store, monkeypatch):
    real = store._versions.look
    monkeypatch.setattr(store._versions, "look", lambda *which: replace(real(*which), size_bytes=7))
    with pytest.raises(BlobConflictError, match="other bytes than were sent"):
        put(store)


def test_an_upload_that_crashed_is_swept_when_it_is_old(store):
    settings = store._settings
    key = store._versions.key(sha256_of(b"never completed"))
    store._client.create_multipart_upload(Bucket=settings.bucket, Key=key)
    sweep = (store._client, settings.bucket, f"{settings.prefix}objects/")
    assert s3_resume.abort_stale(*sweep, now=now(), older_than=timedelta(days=2)) == 0
    assert s3_resume.abort_stale(*sweep, now=now() + timedelta(days=3), older_than=timedelta(days=2)) == 1
    assert not store._client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get("Uploads")


def test_a_damaged_object_is_repaired_and_the_damaged_version_is_kept_under_its_lock(store):
    until = now() + timedelta(days=1)
    digest, receipt = put(store, retain_until=until)
    store.set_hold(digest, reference="case")
    bucket = {"Bucket": store._settings.bucket, "Key": receipt.key}
    bad = store._client.put_object(Body=b"evidencE", **bucket)["VersionId"]
    with pytest.raises(DigestMismatchError):
        store.verify(digest, digest)
    assert store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).created
    store.verify(digest, digest)
    assert store._client.get_object(VersionId=bad, **bucket)["Body"].read() == b"evidencE"
    assert not store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).created


def test_a_damaged_object_whose_lock_has_lapsed_is_repaired(store):
    digest, receipt = put(store, retain_until=now() + timedelta(seconds=2))
    time.sleep(3.5)
    lapsed = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": now() + timedelta(seconds=1)}
    store._client.put_object(Bucket=store._settings.bucket, Key=receipt.key, Body=b"evidencE", **lapsed)
    time.sleep(2.5)
    assert store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).created
    store.verify(digest, digest)


def test_a_repaired_object_stands_under_the_holds_that_were_ordered(store):
    digest, receipt = put(store)
    store.set_hold(digest, reference="case")
    store._versions.set_flag(digest, receipt.version, hold=False)
    store._versions.remove(digest, receipt.version)  # lost below every lock
    assert not store.exists(digest)
    assert store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).created
    assert store.stat(digest).hold


def test_the_last_release_frees_every_version_and_nothing_goes_while_one_is_locked(store):
    digest, receipt = put(store)
    store.set_hold(digest, reference="case")
    bucket = {"Bucket": store._settings.bucket, "Key": receipt.key}
    store._client.put_object(Body=b"evidencE", **bucket)
    sound = store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).version
    store.release_hold(digest, reference="case")
    store._versions.set_flag(digest, receipt.version, hold=True)
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now())
    assert store.stat(digest).version == sound  # not one version was removed
    store._versions.set_flag(digest, receipt.version, hold=False)
    store.delete(digest, now=now())
    assert not store.exists(digest)


def test_a_missing_object_is_repaired(store):
    digest = sha256_of(b"evidence")
    assert store.repair(io.BytesIO(b"evidence"), sha256=digest, size_bytes=8).created
    store.verify(digest, digest)


def test_a_hold_whose_flag_was_lost_still_forbids_removal(store):
    digest, receipt = put(store)
    store.set_hold(digest, reference="case")
    store._versions.set_flag(digest, receipt.version, hold=False)  # as if we had crashed before the flag
    with pytest.raises(BlobLockedError):
        store.delete(digest, now=now())
    store.set_hold(digest, reference="case")
    assert store.stat(digest).hold


def test_a_release_that_crashed_before_the_flag_is_finished_by_the_next(store):
    digest, _ = put(store)
    store.set_hold(digest, reference="case")
    store._holds.remove(digest, "case")
    assert store.stat(digest).hold
    store.release_hold(digest, reference="case")
    assert not store.stat(digest).hold


def test_a_hold_somebody_else_set_is_not_lifted_by_an_unknown_reference(store):
    digest, receipt = put(store)
    store._versions.set_flag(digest, receipt.version, hold=True)
    store.release_hold(digest, reference="case")
    assert store.stat(digest).hold


def test_a_server_that_is_not_there_is_unavailable_not_empty(make_store):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = replace(seaweed.shared().settings(), endpoint=f"http://127.0.0.1:{port}", connect_timeout_s=1.0)
    store = make_store(settings)
    digest = sha256_of(b"evidence")
    for call in (lambda: store.exists(digest), lambda: put(store), lambda: list(store.list()), store.probe):
        with pytest.raises(StoreUnavailableError):
            call()


def test_a_server_with_a_strange_certificate_is_not_spoken_to(make_store):
    store = make_store(replace(seaweed.shared().settings(tls=True), ca=None))
    with pytest.raises(StoreUnavailableError):
        put(store)


def test_wrong_keys_are_refused_and_never_shown(make_store):
    settings = replace(seaweed.shared().settings(), secret="not-the-secret-key")
    store = make_store(settings)
    with pytest.raises(StoreCredentialsError) as refused:
        put(store)
    assert "not-the-secret-key" not in refused.value.diagnostics() + repr(settings) + repr(store.properties)


def test_a_bucket_that_is_missing_is_unavailable_for_writing(make_store):
    store = make_store(own_bucket())
    with pytest.raises(StoreError):
        put(store)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "ftp://store"},
        {"endpoint": "https://"},
        {"domain": ""},
        {"mode": "none"},
        {"prefix": "/x"},
        {"prefix": "x"},
        {"prefix": "../"},
        {"bucket": ""},
        {"first_retention_days": -1},
        {"part_bytes": 1 << 20},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes):
    values = {"endpoint": "https://localhost", "bucket": "b", "access": "a", "secret": "s", "domain": "d", **changes}
    with pytest.raises(ConfigError):
        S3Settings(**values)


@pytest.mark.parametrize(
    "host", ["LOCALHOST", "localhost.", "s3.localhost", "127.0.0.2", "[::1]", "0.0.0.0", os.uname().nodename]
)
def test_an_endpoint_on_this_machine_must_state_its_failure_domain(host):
    with pytest.raises(ConfigError, match="on this machine"):
        S3Settings(f"https://{host}:9000", "b", "a", "s")
    assert S3Settings(f"https://{host}:9000", "b", "a", "s", domain="d").failure_domain == "d"


def test_a_clock_that_is_far_off_is_told_and_tried_again(store):
    class Refused:
        status_code = 403

    def refuse(**_):
        return Refused(), {"Error": {"Code": "RequestTimeTooSkewed"}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    store._client.meta.events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(StoreUnavailableError, match="clock"):
        put(store)


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "s3.example.org"])
def test_another_machine_states_its_failure_domain_by_its_name(host):
    assert S3Settings(f"https://{host}", "b", "a", "s").failure_domain == f"s3:{host.strip('[]')}"


def test_a_remote_endpoint_is_its_own_failure_domain():
    assert S3Settings("https://s3.example.org:9000", "b", "a", "s").failure_domain == "s3:s3.example.org"


@pytest.mark.crash
def test_bit_rot_below_the_server_and_its_death_end_in_our_errors(make_store):
    server, process = seaweed.start()
    store = make_store(server.settings(read_timeout_s=1.0))
    store.ensure_bucket()
    data = os.urandom(1 << 20)
    digest, _ = put(store, data)
    flipped = 0
    for volume in (server.folder / "data").glob("*.dat"):
        content = volume.read_bytes()
        place = content.find(data[1000:1032])
        if place >= 0:
            with volume.open("r+b") as file:
                file.seek(place)
                file.write(bytes([content[place] ^ 1]))
            flipped += 1
    assert flipped
    with pytest.raises(EvidenceError) as found:
        store.verify(digest, digest)
    assert isinstance(found.value, DigestMismatchError | StoreError)
    process.kill()
    process.wait()
    with pytest.raises(StoreUnavailableError):
        store.exists(digest)
