"""Backups in a bucket: a prefix of their own, with or without versions and Object Lock.

Implements ``assurance.backup_places.BackupPlace``. Default retention of the bucket applies to what is written; what it refuses to
remove is told as locked.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from botocore.exceptions import ClientError

from evidence.errors import BlobLockedError, BlobNotFoundError, NotFoundError
from storage.s3_client import DENIED, S3Settings, code_of, connect, pages, s3_errors
from storage.s3_upload import Target, put_whole


class BucketPlace:
    """A prefix of a bucket, with or without versions and Object Lock.

    Args:
        settings: Where and with which keys; retention and mode are not used: what locks a bucket has by default apply.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._client = connect(settings)

    @property
    def text(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self._settings.bucket}/{self._settings.prefix}".rstrip("/")

    def domains(self) -> frozenset[str]:
        """The stated one."""
        return frozenset({self._settings.failure_domain})

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing: a home makes one backup at a time, and homes do not share a prefix."""
        yield

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """From the server."""
        try:
            with s3_errors(f"read {path} of the backup"):
                body = self._client.get_object(Bucket=self._settings.bucket, Key=self._key(path))["Body"]
                try:
                    return body.read(limit_bytes + 1)
                finally:
                    body.close()
        except BlobNotFoundError as error:
            raise NotFoundError(f"{path} is missing in {self.text}") from error

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """One request each, with the checksums of its body."""
        with s3_errors("write the backup"):
            for path, data in files:
                put_whole(Target(self._client, self._settings.bucket, self._key(path)), data, options={})

    def paths(self, folder: str) -> Iterator[str]:
        """Keys that are not hidden by a delete marker."""
        prefix = f"{self._key(folder)}/"
        with s3_errors("list the backup"):
            for page in pages(self._client, "list_objects_v2", Bucket=self._settings.bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    yield item["Key"].removeprefix(self._settings.prefix)

    def remove(self, path: str) -> None:
        """Every version by its identity; hiding one below a delete marker would free nothing."""
        bucket, key = self._settings.bucket, self._key(path)
        with s3_errors("remove a part of an old backup"):
            found = [
                item["VersionId"]
                for page in pages(self._client, "list_object_versions", Bucket=bucket, Prefix=key)
                for item in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
                if item["Key"] == key
            ]
            for version in found:
                try:
                    self._client.delete_object(Bucket=bucket, Key=key, VersionId=version)
                except ClientError as error:
                    if code_of(error) in DENIED:
                        raise BlobLockedError(f"the server refuses to remove {path}") from error
                    raise
        with contextlib.suppress(NotFoundError):
            self.read(path, limit_bytes=0)
            raise BlobLockedError(f"the server did not remove {path}")

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _key(self, path: str) -> str:
        return f"{self._settings.prefix}{path}"
