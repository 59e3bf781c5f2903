"""Versions of blobs in a bucket, one request each: find, look, lock, read, remove. Nothing here decides anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evidence.digest import Digest
from evidence.errors import BlobLockedError, StoreError
from storage import layout
from storage.s3_client import DENIED, NOT_FOUND, LockMode, S3Settings, code_of, pages, s3_errors, without_reason

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef

#: Metadata of every blob: the part size it was uploaded with, so that its composite checksum can be computed again.
PART_BYTES = "part-bytes"
_PART_BYTES_MAX = 128 << 20


@dataclass(frozen=True, slots=True)
class Version:
    """What the server says of one version."""

    id: str
    size_bytes: int
    mode: str
    retain_until: datetime | None
    hold: bool
    checksum: str
    part_bytes: int


class S3Versions:
    """Requests about the versions of one bucket's blobs.

    Args:
        client: The store's client.
        settings: Bucket, prefix and lock mode.
    """

    def __init__(self, client: S3Client, settings: S3Settings) -> None:
        self._client = client
        self._settings = settings

    def key(self, sha256: Digest) -> str:
        """Full key in the bucket, with the prefix."""
        return f"{self._settings.prefix}{layout.blob_key(sha256)}"

    def find(self, sha256: Digest) -> Version | None:
        """The newest version, also below a delete marker; None when there is none."""
        with s3_errors("look for a blob"):
            try:
                return self._head(sha256)
            except ClientError as error:
                if code_of(error) not in NOT_FOUND:
                    raise
        versions = self.version_ids(sha256, markers=False)
        return self.look(sha256, versions[0]) if versions else None

    def look(self, sha256: Digest, version: str) -> Version:
        """What the server says of one version; BlobNotFoundError when it has none."""
        with s3_errors("look at a blob"):
            return self._head(sha256, version)

    def _head(self, sha256: Digest, version: str = "") -> Version:
        which: dict[str, Any] = {"Bucket": self._settings.bucket, "Key": self.key(sha256)}
        if version:
            which["VersionId"] = version
        try:
            return _version(self._client.head_object(ChecksumMode="ENABLED", **which))
        except ClientError as error:
            if without_reason(error):
                self._client.get_object(Range="bytes=0-0", **which)["Body"].close()  # raises the reason
            raise

    def version_ids(self, sha256: Digest, *, markers: bool) -> list[str]:
        """Versions of the blob, newest first; then its delete markers when asked for."""
        key = self.key(sha256)
        found: list[str] = []
        with s3_errors("list a blob's versions"):
            for page in pages(self._client, "list_object_versions", Bucket=self._settings.bucket, Prefix=key):
                found += [item["VersionId"] for item in page.get("Versions", []) if item["Key"] == key]
                if markers:
                    found += [item["VersionId"] for item in page.get("DeleteMarkers", []) if item["Key"] == key]
        return found

    def all(self, sha256: Digest) -> list[Version]:
        """What the server says of every version, newest first."""
        return [self.look(sha256, version) for version in self.version_ids(sha256, markers=False)]

    def lock_until(self, sha256: Digest, found: Version, until: datetime) -> Version:
        """Lock a version until a whole second still to come; an earlier one than in force is ignored. Looked at on return."""
        if found.retain_until is not None and found.retain_until >= until:
            return found
        mode: LockMode = "COMPLIANCE" if found.mode == "COMPLIANCE" else self._settings.mode
        with s3_errors("set the retention"):
            self._client.put_object_retention(
                Bucket=self._settings.bucket,
                Key=self.key(sha256),
                VersionId=found.id,
                Retention={"Mode": mode, "RetainUntilDate": until},
            )
        now_stated = self.look(sha256, found.id)
        if now_stated.retain_until is None or now_stated.retain_until < until or now_stated.mode != mode:
            raise StoreError(f"the server accepted a retention for {sha256} but does not keep it")
        return now_stated

    def set_flag(self, sha256: Digest, version: str, *, hold: bool) -> None:
        """Switch the legal hold of a version. Looked at on return."""
        with s3_errors("set the legal hold"):
            self._client.put_object_legal_hold(
                Bucket=self._settings.bucket,
                Key=self.key(sha256),
                VersionId=version,
                LegalHold={"Status": "ON" if hold else "OFF"},
            )
        if self.look(sha256, version).hold is not hold:
            raise StoreError(f"the server accepted a hold change for {sha256} but does not keep it")

    def remove(self, sha256: Digest, version: str) -> None:
        """Remove one version for good; BlobLockedError when the server refuses."""
        with s3_errors("remove a blob"):
            try:
                self._client.delete_object(Bucket=self._settings.bucket, Key=self.key(sha256), VersionId=version)
            except ClientError as error:
                if code_of(error) in DENIED:
                    raise BlobLockedError(f"the server refuses to remove version {version} of {sha256}") from error
                raise

    def stream(
        self, sha256: Digest, found: Version, byte_range: str, length: int
    ) -> tuple[Callable[[int], bytes], Callable[[], None]]:
        """Open a byte range of a version: a function that reads on, and one that gives the connection back."""
        with s3_errors("open a blob"):
            answer = self._client.get_object(
                Bucket=self._settings.bucket, Key=self.key(sha256), VersionId=found.id, Range=byte_range
            )
        body = answer["Body"]
        if answer["ContentLength"] != length:
            body.close()
            raise StoreError(f"the server sends {answer['ContentLength']} of {length} bytes")

        def pull(size: int) -> bytes:
            with s3_errors("read a blob"):
                return body.read(size)

        return pull, body.close


def whole_second(moment: datetime) -> datetime:
    """S3 dates have whole seconds: up, so that the lock never ends early."""
    moment = moment.astimezone(UTC)
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _version(answer: HeadObjectOutputTypeDef) -> Version:
    part_bytes = answer.get("Metadata", {}).get(PART_BYTES, "")
    return Version(
        id=answer.get("VersionId", ""),
        size_bytes=answer["ContentLength"],
        mode=answer.get("ObjectLockMode", ""),
        retain_until=_utc(answer.get("ObjectLockRetainUntilDate")),
        hold=answer.get("ObjectLockLegalHoldStatus") == "ON",
        checksum=answer.get("ChecksumSHA256", ""),
        part_bytes=_bounded(part_bytes),
    )


def _bounded(untrusted: str) -> int:
    """A part size from metadata; 0 for one that this service never uses (it would be read into memory)."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}", untrusted):
        return 0
    return int(untrusted) if int(untrusted) <= _PART_BYTES_MAX else 0
