"""A blob store in an S3 bucket with Object Lock. Versions are the unit: written once, locked, removed by version only.

- ``put`` sends our own checksums with every request, refuses to write over a key, looks at the written version and repairs a
  lock the server dropped (some drop it silently on multipart uploads).
- A delete marker that somebody puts over a blob hides it from listings, not from this store: it finds the version below.
- Legal holds are counted by small reference objects under ``holds/``; the bucket's legal-hold flag is set while one stands.
- The store calls itself ``object-lock`` only after :meth:`S3Store.probe` proved that removal is refused.

It does not defend against the server's operator, who is below every lock: that is why copies lie in several domains.

Source: S3 API, Object Lock; docs/formats/store.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from evidence.clock import Clock
from evidence.digest import Digest, DigestSuite
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    DigestMismatchError,
    StoreError,
    StoreNotKeptError,
    StoreUnavailableError,
)
from evidence.model import BlobStat, PutReceipt, StoreProperties
from evidence.transfer import Progress
from storage import layout, s3_bucket, s3_check, s3_resume, s3_upload
from storage.locks import check_reference
from storage.reading import CHUNK_BYTES, StreamRange, check_size, checked_chunks, checked_range
from storage.s3_bucket import ProbeReport
from storage.s3_check import StoreCheck
from storage.s3_claims import UploadClaims
from storage.s3_client import RACED, S3Settings, code_of, connect, pages, s3_errors
from storage.s3_holds import HoldReferences
from storage.s3_log import S3Log
from storage.s3_versions import PART_BYTES, S3Versions, Version, whole_second
from storage.tree import check_name

_GUARDS = 64
_STALE_UPLOAD = timedelta(days=2)
#: How long a probe's outcome is believed.
_PROVED_FOR, _UNPROVED_FOR = timedelta(days=1), timedelta(hours=1)


class S3Store:
    """Implements BlobStore on a bucket (make one with :meth:`ensure_bucket`). Sends nothing before the first call.

    Args:
        settings: Endpoint, bucket and lock mode.
        name: The store's name.
        suite: Digest algorithms for checks.
        clock: Read for first retention dates and hold records.
        claims: File through which the processes that write to this bucket and prefix tell each other what they are
            uploading, so that only what nobody works at is gone on with; None: this object is the only writer.
    """

    def __init__(
        self, settings: S3Settings, *, name: str, suite: DigestSuite, clock: Clock, claims: Path | None = None
    ) -> None:
        self._name = check_name(name)
        self._settings = settings
        self._suite = suite
        self._clock = clock
        self._client = connect(settings)
        self._versions = S3Versions(self._client, settings)
        self._holds = HoldReferences(self._client, settings, clock=clock)
        self._claims = UploadClaims(claims)
        #: The copy of the published log beside the blobs.
        self.log = S3Log(settings, name=name)
        self._protected = False
        self._probe_again: datetime | None = None
        self._guards = [threading.Lock() for _ in range(_GUARDS)]

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self.log.close()

    @property
    def properties(self) -> StoreProperties:
        """What this store is; ``none`` until the probe has passed in this process."""
        settings = self._settings
        return StoreProperties(
            name=self._name,
            kind="s3",
            domain=settings.failure_domain,
            location=f"{settings.endpoint}/{settings.bucket}/{settings.prefix}",
            protection="object-lock" if self._protected else "none",
            versions=True,
        )

    @property
    def settings(self) -> S3Settings:
        """How to reach the bucket, for what lies beside its objects."""
        return self._settings

    # --- the bucket -------------------------------------------------------------------------------------------------
    def has_bucket(self) -> bool:
        """Whether the bucket exists; StoreUnavailableError when the server does not tell."""
        return s3_bucket.has_bucket(self._client, self._settings)

    def ensure_bucket(self) -> None:
        """Make the bucket with versions, Object Lock and default retention, or bring an existing one into that shape."""
        s3_bucket.ensure_bucket(self._client, self._settings)

    def probe(self) -> ProbeReport:
        """Prove that the bucket refuses removal; ``properties`` tells the outcome from then on. Sweeps stale uploads.

        Raises:
            StoreUnavailableError: The server does not answer; what was proved before in this process stands, and without such
                a proof the store counts as unprotected.
        """
        self._probe_again = None
        now = self._clock.now().wall
        report = s3_bucket.probe(self._client, self._settings, now=now)
        self._protected = report.protected
        s3_resume.abort_stale(
            self._client,
            self._settings.bucket,
            f"{self._settings.prefix}{layout.BLOBS}/",
            now=now,
            older_than=_STALE_UPLOAD,
        )
        self._probe_again = now + (_PROVED_FOR if report.protected else _UNPROVED_FOR)
        return report

    def probe_is_due(self) -> bool:
        """Whether nothing was proved yet (the bucket was away), or the last outcome is a day old, an unprotected one an hour."""
        return self._probe_again is None or self._clock.now().wall >= self._probe_again

    def check(self) -> list[StoreCheck]:
        """What is right and wrong with bucket, account and settings, item by item; leaves only probe objects. Never raises."""
        checks, protected = s3_check.check_bucket(self._client, self._settings, clock=self._clock)
        self._protected = protected if protected is not None else self._protected
        return checks

    # --- writing ----------------------------------------------------------------------------------------------------
    def put(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Store the stream's bytes under lock; the written version was looked at on return (``verify`` reads it back).

        Args:
            source: Read once, to its end.
            sha256: What the bytes must be.
            size_bytes: How many there must be.
            retain_until: Locked until then (whole seconds, rounded up); None: the first retention of the settings.

        Raises:
            DigestMismatchError: Other bytes; nothing was left behind.
            BlobConflictError: Other bytes stand under this digest; not touched.
            StoreUnavailableError: The server does not answer. StoreError: it refuses, or a lock is not in force.
        """
        check_size(size_bytes)
        with self._guard(sha256):
            found = self._versions.find(sha256)
            if found is not None:
                return self._put_again(source, found, sha256, size_bytes, retain_until)
            try:
                with s3_errors("write a blob"):
                    return self._write(source, sha256, size_bytes, self._first_date(retain_until), only_new=True)
            except _RacedError as error:
                # Somebody else completed the same key between our look and our write; the stream was proved above.
                found = self._versions.find(sha256)
                if found is None:  # or ended our upload without completing one
                    raise StoreUnavailableError(
                        f"somebody else ended the upload of {sha256}, and nothing stands there",
                        todo="It is tried again.",
                    ) from error
                self._compare(found, sha256, size_bytes, checksum=None)
                return self._receipt(sha256, self._keep_again(sha256, found, retain_until), created=False)

    def _write(
        self, source: BinaryIO, sha256: Digest, size_bytes: int, until: datetime | None, *, only_new: bool
    ) -> PutReceipt:
        part_bytes = s3_upload.part_bytes_for(size_bytes, self._settings.part_bytes)
        chunks = checked_chunks(source, sha256=sha256, size_bytes=size_bytes, suite=self._suite, chunk_bytes=part_bytes)
        target = s3_upload.Target(self._client, self._settings.bucket, self._versions.key(sha256))
        options: dict[str, Any] = {"Metadata": {PART_BYTES: str(part_bytes)}}
        if self._settings.storage_class:  # of a cold store (``storage.cold``)
            options["StorageClass"] = self._settings.storage_class
        if until is not None:
            options |= {"ObjectLockMode": self._settings.mode, "ObjectLockRetainUntilDate": until}
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if only_new else {}
        try:
            if size_bytes <= part_bytes:
                uploaded = s3_upload.put_whole(target, b"".join(chunks), options={**options, **condition})
            else:
                # Goes on with an upload that was broken off, unless another writer may be working at it.
                with self._claims.claim(sha256) as alone:
                    earlier = s3_resume.find_unfinished(target, size_bytes, part_bytes) if alone else None
                    uploaded = s3_upload.put_parts(
                        target, chunks, options=options, completion=condition, unfinished=earlier
                    )
        except ClientError as error:
            if only_new and code_of(error) in RACED:
                raise _RacedError(f"{sha256} appeared meanwhile") from error
            raise
        version = self._look_at_written(sha256, uploaded.version)
        if version.id in {"", "null"}:
            raise StoreError(f"bucket {self._settings.bucket} keeps no versions", todo="Run the bucket's set-up.")
        self._check_written(version, sha256, size_bytes, uploaded.checksum)
        if until is not None:
            version = self._keep_until(sha256, version, until)
        return self._receipt(sha256, version, created=True)

    def _look_at_written(self, sha256: Digest, version: str) -> Version:
        """The version that a server says it wrote; StoreNotKeptError when it has none."""
        found = None
        with contextlib.suppress(BlobNotFoundError):
            found = self._versions.look(sha256, version) if version else self._versions.find(sha256)
        if found is None:
            raise StoreNotKeptError(
                f"store {self._name} acknowledged {sha256} and does not have it",
                kept="It does not count as stored there.",
                todo="It is tried again; have the server examined if this is told again.",
            )
        return found

    def _check_written(self, version: Version, sha256: Digest, size_bytes: int, checksum: str) -> None:
        stated = version.checksum.partition("-")[0]
        if version.size_bytes != size_bytes or (stated and stated != checksum.partition("-")[0]):
            raise BlobConflictError(
                f"the server stored other bytes than were sent as {sha256}",
                kept="The other copies are not touched.",
                todo="Repair the stored blob, and have the server examined.",
            )

    def _put_again(
        self, source: BinaryIO, found: Version, sha256: Digest, size_bytes: int, retain_until: datetime | None
    ) -> PutReceipt:
        part_bytes = found.part_bytes or self._settings.part_bytes
        chunks = checked_chunks(source, sha256=sha256, size_bytes=size_bytes, suite=self._suite, chunk_bytes=part_bytes)
        parts = [hashlib.sha256(chunk).digest() for chunk in chunks]
        checksum: str | None = s3_upload.b64(bytes.fromhex(sha256.hex))
        if (
            "-" in found.checksum
        ):  # over parts; of an upload that was not ours we do not know their size, and read it instead
            checksum = s3_upload.composite(parts) if found.part_bytes else None
        self._compare(found, sha256, size_bytes, checksum=checksum)
        return self._receipt(sha256, self._keep_again(sha256, found, retain_until), created=False)

    def _compare(self, found: Version, sha256: Digest, size_bytes: int, *, checksum: str | None) -> None:
        """Whether the stored version is the stated blob: by the server's checksum where it keeps one, else by reading."""
        conflict = BlobConflictError(
            f"other bytes stand under {sha256} in store {self._name}",
            kept="Nothing was overwritten.",
            todo="Verify and repair the stored blob.",
        )
        if found.size_bytes != size_bytes:
            raise conflict
        if checksum is not None and found.checksum:
            if found.checksum != checksum:
                raise conflict
            return
        try:
            self._read_and_compare(sha256, sha256, found, None)
        except DigestMismatchError as error:
            raise conflict from error

    def repair(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put good bytes over a damaged or missing blob as a new version; the damaged version is kept under its lock.

        The new version has the date of the one it replaces; where none is in force, ``retain_until`` as in :meth:`put`.

        Returns:
            ``created`` False when the blob was sound and nothing was changed.

        Raises:
            DigestMismatchError: The source is not the stated blob; nothing was changed.
        """
        check_size(size_bytes)
        with self._guard(sha256):
            found = self._versions.find(sha256)
            if found is not None:
                with contextlib.suppress(DigestMismatchError, StoreError):
                    self._read_and_compare(sha256, sha256, found, None)
                    return self._receipt(sha256, found, created=False)
            # What was ordered about the blob holds for the new version; a date that has passed would be refused.
            ordered = found.retain_until if found is not None else None
            in_force = ordered is not None and ordered > self._clock.now().wall
            until = ordered if in_force else self._first_date(retain_until)
            with s3_errors("repair a blob"):
                receipt = self._write(source, sha256, size_bytes, until, only_new=False)
            if (found is not None and found.hold) or self._holds.any(sha256):
                self._versions.set_flag(sha256, receipt.version, hold=True)
            return receipt

    # --- reading ----------------------------------------------------------------------------------------------------
    def open(self, sha256: Digest, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """Open a range as a forward-only stream. Raises BlobNotFoundError; InvalidInputError for a range outside."""
        found = self._require(sha256)
        length = checked_range(found.size_bytes, offset, length)
        if length == 0:
            return io.BytesIO()
        pull, release = self._versions.stream(sha256, found, f"bytes={offset}-{offset + length - 1}", length)
        return io.BufferedReader(StreamRange(pull, length=length, release=release), CHUNK_BYTES)

    def stat(self, sha256: Digest) -> BlobStat:
        """Size, version and the lock the server states for it."""
        found = self._require(sha256)
        locked = found.hold or (found.retain_until is not None and found.retain_until > self._clock.now().wall)
        return BlobStat(
            key=self._versions.key(sha256),
            size_bytes=found.size_bytes,
            version=found.id,
            protection="object-lock" if self._protected and locked else "none",
            retain_until=found.retain_until,
            hold=found.hold,
            bytes_at=f"{self.properties.location}#{self._versions.key(sha256)}#{found.id}",
        )

    def lock_of(self, sha256: Digest) -> Version:
        """The newest version as the server states it in one HEAD request: mode, date, hold. BlobNotFoundError without one."""
        return self._require(sha256)

    def exists(self, sha256: Digest) -> bool:
        """Whether a version exists; StoreUnavailableError when the server does not answer."""
        return self._versions.find(sha256) is not None

    def verify(self, sha256: Digest, expected: Digest, *, progress: Progress | None = None) -> None:
        """Fetch every byte of the version from the server and compare. Changes nothing, no lock either.

        Raises:
            DigestMismatchError: Other bytes. BlobNotFoundError: none. StoreError: the server cannot give them all.
        """
        found = self._require(sha256)
        self._read_and_compare(sha256, expected, found, progress)

    def _read_and_compare(self, sha256: Digest, expected: Digest, found: Version, progress: Progress | None) -> None:
        hasher = self._suite.new(expected.algorithm)
        done = 0
        if found.size_bytes:
            pull, release = self._versions.stream(sha256, found, f"bytes=0-{found.size_bytes - 1}", found.size_bytes)
            try:
                while done < found.size_bytes:
                    data = pull(CHUNK_BYTES)
                    if not data:
                        raise StoreError(f"the server's stream ended after {done} of {found.size_bytes} bytes")
                    hasher.update(data)
                    done += len(data)
                    if progress is not None:
                        progress(done)
            finally:
                release()
        if hasher.hexdigest() != expected.hex:
            raise DigestMismatchError(
                f"{self._versions.key(sha256)} version {found.id} in store {self._name} is not {expected}",
                todo="Repair it from another copy; the damaged version is kept.",
                found=f"{expected.algorithm}:{hasher.hexdigest()}",
            )

    def list(self) -> Iterator[Digest]:
        """Every blob in ascending order of digest, also those somebody hid under a delete marker."""
        prefix = f"{self._settings.prefix}{layout.BLOBS}/"
        last = None
        with s3_errors("list blobs"):
            for page in pages(self._client, "list_object_versions", Bucket=self._settings.bucket, Prefix=prefix):
                for item in page.get("Versions", []):
                    digest = layout.digest_of_key(item["Key"].removeprefix(self._settings.prefix))
                    if digest is not None and digest != last:
                        yield digest
                        last = digest

    # --- locks ------------------------------------------------------------------------------------------------------
    def extend_retention(self, sha256: Digest, until: datetime) -> None:
        """Move the earliest removal date later (whole seconds, rounded up); an earlier date is ignored."""
        with self._guard(sha256):
            self._keep_until(sha256, self._require(sha256), whole_second(until))

    def set_hold(self, sha256: Digest, *, reference: str) -> None:
        """Add a named hold (the reference must carry no personal data). In force on return."""
        check_reference(reference)
        with self._guard(sha256):
            found = self._require(sha256)
            # Reference first: if we crash before the flag, the removal below still refuses because of the reference.
            self._holds.add(sha256, reference)
            self._versions.set_flag(sha256, found.id, hold=True)

    def release_hold(self, sha256: Digest, *, reference: str) -> None:
        """Take one named hold away; the flag goes with the last one. An unknown reference is already away."""
        check_reference(reference)
        with self._guard(sha256):
            newest = self._require(sha256)
            if not self._holds.was_ever_set(sha256, reference):
                return
            # If we crash between the two, the blob is still flagged and the release can be repeated.
            self._holds.remove(sha256, reference)
            if self._holds.any(sha256):
                return
            for version in self._versions.all(sha256):  # a damaged version that was replaced is flagged, too
                if version.hold:
                    self._versions.set_flag(sha256, version.id, hold=False)
            if self._holds.any(sha256):  # another process added one meanwhile
                self._versions.set_flag(sha256, newest.id, hold=True)

    def delete(self, sha256: Digest, *, now: datetime) -> None:
        """Remove every version and marker of the blob and verify its absence.

        Raises:
            BlobLockedError: A hold stands, the date has not passed by ``now`` and by the store's own clock, or the server
                refuses. BlobNotFoundError: there is none.
        """
        with self._guard(sha256):
            self._require(sha256)
            today = min(now, self._clock.now().wall)
            # All versions are asked before any is removed: else the sound one could go and a damaged, still locked one stay.
            kept = any(
                version.hold or (version.retain_until is not None and today < version.retain_until)
                for version in self._versions.all(sha256)
            )
            if kept or self._holds.any(sha256):
                raise BlobLockedError(f"{sha256} is under retention or hold in store {self._name}")
            for version in self._versions.version_ids(sha256, markers=True):
                self._versions.remove(sha256, version)
            if self._versions.version_ids(sha256, markers=True):
                raise StoreError(f"{sha256} is still there after its removal")

    # --- inside -----------------------------------------------------------------------------------------------------
    def _guard(self, sha256: Digest) -> threading.Lock:
        return self._guards[int(sha256.hex[:2], 16) % _GUARDS]

    def _keep_until(self, sha256: Digest, found: Version, until: datetime) -> Version:
        if until <= self._clock.now().wall:
            return found  # a date that has passed keeps nothing, and servers refuse it
        return self._versions.lock_until(sha256, found, until)

    def _keep_again(self, sha256: Digest, found: Version, retain_until: datetime | None) -> Version:
        """The lock of a blob that stood already: a crash may have left it without one, and its date may have passed."""
        until = self._first_date(retain_until)
        if retain_until is None and found.retain_until is not None and found.retain_until > self._clock.now().wall:
            return found
        return found if until is None else self._keep_until(sha256, found, until)

    def _first_date(self, retain_until: datetime | None) -> datetime | None:
        now = self._clock.now().wall
        if retain_until is None:
            days = self._settings.first_retention_days
            return whole_second(now + timedelta(days=days)) if days else None
        until = whole_second(retain_until)
        return until if until > now else None

    def _require(self, sha256: Digest) -> Version:
        found = self._versions.find(sha256)
        if found is None:
            raise BlobNotFoundError(f"{sha256} is not in store {self._name}")
        return found

    def _receipt(self, sha256: Digest, version: Version, *, created: bool) -> PutReceipt:
        return PutReceipt(
            key=self._versions.key(sha256),
            version=version.id,
            sha256=sha256,
            size_bytes=version.size_bytes,
            created=created,
        )


class _RacedError(StoreError):
    """The key appeared between our look and our write."""
