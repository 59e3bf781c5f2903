"""A bucket that cannot lose what is put into it: making one, and proving by deed that it refuses removal.

Some servers answer 200 to lock headers and keep nothing. So nothing is believed: the probe writes small objects under
retention and hold and tries to remove them. Only a bucket that refuses every attempt is called protected.

Source: S3 Object Lock; docs/formats/store.md "What a bucket must refuse".
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evidence.errors import EvidenceError, StoreError
from storage.s3_client import DENIED, LockMode, S3Settings, code_of, pages, s3_errors
from storage.s3_upload import Target, b64, md5, put_parts, put_whole

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_BODY = b"probe"
#: Longer than a slow server needs between the writes and the attempts to remove them.
_PROBE_LOCK = timedelta(seconds=60)
_REFUSALS = DENIED | {"InvalidRequest", "ObjectLocked", "InvalidArgument", "400"}
_NO_BUCKET = frozenset({"404", "NoSuchBucket", "NotFound"})
_REPLACED = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
#: Checks that are told but not asked for: the store copes without (docs/formats/store.md "What a bucket must refuse").
TOLD = frozenset({
    "wrong-sha256-refused", "checksums-are-kept", "multipart-keeps-lock", "create-only-put", "create-only-multipart",
    "bypass-is-refused",
})  # fmt: skip
_BAD_BODY = frozenset({"BadDigest", "InvalidDigest", "InvalidRequest", "XAmzContentChecksumMismatch", "400"})


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What the probe tried and whether each attempt was refused (or each setting found).

    Attributes:
        checks: Name of the check -> passed.
        protected: All checks that protection rests on passed; those in :data:`TOLD` are not among them.
    """

    checks: Mapping[str, bool]
    protected: bool


def has_bucket(client: S3Client, settings: S3Settings) -> bool:
    """Whether the bucket exists; StoreUnavailableError when the server does not tell."""
    with s3_errors("look for the bucket"):
        try:
            client.head_bucket(Bucket=settings.bucket)
        except ClientError as error:
            if code_of(error) in _NO_BUCKET:
                return False
            raise
    return True


def ensure_bucket(client: S3Client, settings: S3Settings) -> None:
    """Make the bucket, or bring an existing one into shape: versions, Object Lock, default retention.

    A default retention that somebody made longer or stricter than the settings ask for stays.

    Raises:
        StoreError: The server refuses one of them. StoreUnavailableError: it does not answer.
    """
    name = settings.bucket
    place: dict[str, Any] = {}
    if settings.region != "us-east-1":
        place = {"CreateBucketConfiguration": {"LocationConstraint": settings.region}}
    with s3_errors("make the bucket"):
        try:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, **place)
        except ClientError as error:
            if code_of(error) not in _ALREADY:
                raise
    with s3_errors("turn on versions"):
        if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with s3_errors("turn on Object Lock"):
        found = _lock_configuration(client, name)
        wanted = _stricter(found, settings)
        if wanted != found:
            client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=wanted)  # type: ignore[arg-type]  # built as S3 gave it
    if not _has_lock(client, name):
        raise StoreError(f"bucket {name} has no Object Lock", todo="Make a new bucket with Object Lock.")


def _stricter(found: Mapping[str, Any], settings: S3Settings) -> Mapping[str, Any]:
    """Object Lock with the longer period and the stronger mode of what stands and what the settings ask for."""
    stands, days = _default(found)
    mode: LockMode = "COMPLIANCE" if stands == "COMPLIANCE" else settings.mode
    if not settings.first_retention_days or (days >= settings.first_retention_days and stands == mode):
        return {**found, "ObjectLockEnabled": "Enabled"}
    retention = {"Mode": mode, "Days": max(days, settings.first_retention_days)}
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}


def _default(found: Mapping[str, Any]) -> tuple[str, int]:
    stands = found.get("Rule", {}).get("DefaultRetention", {})
    return stands.get("Mode", ""), stands.get("Days", 0) + 365 * stands.get("Years", 0)


def default_retention(client: S3Client, bucket: str) -> tuple[str, int]:
    """Mode and days of the bucket's default retention; empty and 0 where it has none. Inside ``s3_errors``."""
    return _default(_lock_configuration(client, bucket))


def _lock_configuration(client: S3Client, bucket: str) -> Mapping[str, Any]:
    try:
        answer = client.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if code_of(error) in {"ObjectLockConfigurationNotFoundError", "404", "NoSuchObjectLockConfiguration"}:
            return {}
        raise
    return answer.get("ObjectLockConfiguration", {})


def _has_lock(client: S3Client, bucket: str) -> bool:
    return _lock_configuration(client, bucket).get("ObjectLockEnabled") == "Enabled"


def probe(client: S3Client, settings: S3Settings, *, now: datetime) -> ProbeReport:
    """Try to remove and to shorten what is locked. Probe objects stay until their lock lapses; the next probe removes them.

    Raises:
        StoreUnavailableError: The server does not answer: nothing is known. StoreError: it refuses even to write.
    """
    with s3_errors("probe the bucket"):
        checks = {
            "bucket-lock": _has_lock(client, settings.bucket),
            "versions": client.get_bucket_versioning(Bucket=settings.bucket).get("Status") == "Enabled",
        }
        if all(checks.values()):
            _remove_old_probes(client, settings)
            checks |= _attempts(client, settings, now.replace(microsecond=0) + _PROBE_LOCK)
    protected = len(checks) > 2 and all(passed for name, passed in checks.items() if name not in TOLD)
    return ProbeReport(checks, protected)


def _attempts(client: S3Client, settings: S3Settings, until: datetime) -> dict[str, bool]:
    bucket, mode = settings.bucket, settings.mode
    key = f"{settings.prefix}.probe/{secrets.token_hex(16)}"
    lock: dict[str, Any] = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
    locked = put_whole(Target(client, bucket, key), _BODY, options=lock)
    # Under a retention that may be bypassed, so that the hold alone can be what refuses; without a date of its own it would
    # get the bucket's default retention, which proves nothing about the hold and keeps the probe for weeks.
    governed: dict[str, Any] = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    held = put_whole(
        Target(client, bucket, f"{key}-held"), _BODY, options={**governed, "ObjectLockLegalHoldStatus": "ON"}
    )
    one: dict[str, Any] = {"Bucket": bucket, "Key": key, "VersionId": locked.version}
    other: dict[str, Any] = {"Bucket": bucket, "Key": f"{key}-held", "VersionId": held.version}
    past_body: dict[str, Any] = {"Bucket": bucket, "Key": f"{key}-bad", "Body": b"a"}
    sooner: Any = {"Mode": mode, "RetainUntilDate": until - _PROBE_LOCK / 2}
    stated, stated_hold = client.head_object(ChecksumMode="ENABLED", **one), client.head_object(**other)
    checks = {
        # An account that may remove nothing is refused everywhere: only what the server states tells that it keeps locks.
        "retention-is-kept": stated.get("ObjectLockMode") == mode and stated.get("ObjectLockRetainUntilDate") == until,
        "hold-is-kept": stated_hold.get("ObjectLockLegalHoldStatus") == "ON",
        "retention-refuses-removal": _refused(lambda: client.delete_object(**one)),
        "retention-refuses-shortening": _refused(lambda: client.put_object_retention(Retention=sooner, **one)),
        "hold-refuses-removal": _refused(lambda: client.delete_object(BypassGovernanceRetention=True, **other)),
        "wrong-md5-refused": _refused(lambda: client.put_object(ContentMD5=md5(b"b"), **past_body), codes=_BAD_BODY),
        "wrong-sha256-refused": _refused(
            lambda: client.put_object(ChecksumSHA256=b64(bytes(32)), **past_body), codes=_BAD_BODY
        ),
        "checksums-are-kept": stated.get("ChecksumSHA256", "") == locked.checksum,
        "create-only-put": _refused(
            lambda: put_whole(Target(client, bucket, key), _BODY, options={**lock, "IfNoneMatch": "*"}), codes=_REPLACED
        ),
    }
    if mode == "COMPLIANCE":
        checks["compliance-refuses-bypass"] = _refused(
            lambda: client.delete_object(BypassGovernanceRetention=True, **one)
        )
    checks |= _attempts_in_parts(client, Target(client, bucket, f"{key}-parts"), lock)
    client.put_object_legal_hold(LegalHold={"Status": "OFF"}, **other)
    # Last, because where it succeeds the object is gone: whether these very keys could remove what GOVERNANCE protects.
    checks["bypass-is-refused"] = _refused(lambda: client.delete_object(BypassGovernanceRetention=True, **other))
    return checks


def _attempts_in_parts(client: S3Client, target: Target, lock: Mapping[str, Any]) -> dict[str, bool]:
    """The same of an object in parts, locked as the store does it: asked for, looked at, and set again where it was dropped."""
    uploaded = put_parts(target, iter([_BODY]), options=lock, completion={})
    which: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key}
    which["VersionId"] = uploaded.version or client.head_object(**which)["VersionId"]
    mode, until = lock["ObjectLockMode"], lock["ObjectLockRetainUntilDate"]

    def stated() -> tuple[str, datetime | None]:
        answer = client.head_object(**which)
        return answer.get("ObjectLockMode", ""), answer.get("ObjectLockRetainUntilDate")

    kept = stated() == (mode, until)
    if not kept and not _as_long(
        stated(), until
    ):  # else the bucket's default retention has come in the place of the headers
        client.put_object_retention(Retention={"Mode": mode, "RetainUntilDate": until}, **which)
    return {
        "multipart-keeps-lock": kept,
        "multipart-is-locked": _as_long(stated(), until),
        "multipart-refuses-removal": _refused(lambda: client.delete_object(**which)),
        "create-only-multipart": _refused(
            lambda: put_parts(target, iter([_BODY]), options=lock, completion={"IfNoneMatch": "*"}), codes=_REPLACED
        ),
    }


def _as_long(stated: tuple[str, datetime | None], until: datetime) -> bool:
    return bool(stated[0]) and stated[1] is not None and stated[1] >= until


def _refused(attempt: Callable[[], object], *, codes: frozenset[str] = _REFUSALS) -> bool:
    try:
        attempt()
    except ClientError as error:
        if code_of(error) in codes:
            return True
        raise
    return False


def _remove_old_probes(client: S3Client, settings: S3Settings) -> None:
    prefix = f"{settings.prefix}.probe/"
    for page in pages(client, "list_object_versions", Bucket=settings.bucket, Prefix=prefix):
        for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            # One that is still locked is left for the next time.
            with contextlib.suppress(EvidenceError), s3_errors("remove an old probe"):
                client.delete_object(Bucket=settings.bucket, Key=item["Key"], VersionId=item["VersionId"])
