"""Where backups lie: a folder on another disk, or a bucket. Small files by path, written whole, read back, listed, removed.

A folder that is not there, and a bucket that does not answer, are ``store-unavailable``: nothing is made in their place, because
an empty mount point is not the disk that belongs there.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from botocore.exceptions import ClientError

from evidence import durable
from evidence.disks import disks_below
from evidence.errors import (
    BlobLockedError,
    BlobNotFoundError,
    HomeLockedError,
    NotDurableError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from storage.s3_client import DENIED, S3Settings, code_of, connect, pages, s3_errors
from storage.s3_upload import Target, put_whole

LOCK: Final = "backup.lock"
_TEMPORARY: Final = ".tmp"
_MODE: Final = 0o600


class BackupPlace(Protocol):
    """One target. Every method raises StoreUnavailableError when it does not answer."""

    @property
    def text(self) -> str:
        """How people name it: a path, or ``s3://bucket/prefix``."""
        ...

    def domains(self) -> frozenset[str]:
        """What would take it along when it dies (``evidence.disks``); a bucket's stated domain."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine from changing it; HomeLockedError when another one does."""
        ...

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """The bytes of one file from its medium; NotFoundError when it is not there, one byte more when it is larger."""
        ...

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Write files whole, replacing those that stand there; durable on return. StoreFullError: no room."""
        ...

    def paths(self, folder: str) -> Iterator[str]:
        """Every file below a folder, in no order."""
        ...

    def remove(self, path: str) -> None:
        """Remove one file and look at its absence; BlobLockedError when the medium refuses."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class FolderPlace:
    """A folder of this machine.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def text(self) -> str:
        """The path."""
        return str(self._root)

    def domains(self) -> frozenset[str]:
        """The disks below it."""
        self._require()
        return frozenset(disks_below(self._root))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A lock file."""
        self._require()
        try:
            with durable.exclusive_lock(self._root / LOCK):
                yield
        except HomeLockedError as error:
            raise HomeLockedError("another process writes a backup there", todo="Wait until it has ended.") from error

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """From the medium rather than from the page cache."""
        self._require()
        data = bytearray()
        try:
            for part in durable.read_from_medium(self._root / path):
                data += part
                if len(data) > limit_bytes:
                    return bytes(data[: limit_bytes + 1])
        except FileNotFoundError as error:
            raise NotFoundError(f"{path} is missing in {self._root}") from error
        except OSError as error:
            raise StoreError(f"cannot read {path} in {self._root}: {os.strerror(error.errno or 0)}") from error
        return bytes(data)

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Temporary names, fsync, rename, fsync of the folders."""
        self._require()
        try:
            durable.publish_many([(self._root / path, data) for path, data in files], mode=_MODE)
        except (
            NotDurableError
        ) as error:  # of this disk nothing else depends: the service goes on, the next backup writes anew
            raise StoreUnavailableError(
                f"the disk below {self._root} failed: {error.what}", kept="Earlier backups were not touched.",
                todo="Use another disk for backups.",
            ) from error  # fmt: skip

    def paths(self, folder: str) -> Iterator[str]:
        """Files; what a crash left under a temporary name is removed on the way."""
        self._require()
        for at, _, names in os.walk(self._root / folder):
            for name in names:
                path = Path(at, name)
                if name.endswith(_TEMPORARY):
                    with contextlib.suppress(OSError):
                        path.unlink()
                    continue
                yield path.relative_to(self._root).as_posix()

    def remove(self, path: str) -> None:
        """Unlink, and make it durable."""
        self._require()
        target = self._root / path
        try:
            target.unlink(missing_ok=True)
        except PermissionError as error:
            raise BlobLockedError(f"{path} in {self._root} may not be removed") from error
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {os.strerror(error.errno or 0)}") from error
        if target.parent.is_dir():
            durable.fsync_dir(target.parent)

    def close(self) -> None:
        """Nothing."""

    def _require(self) -> None:
        if not self._root.is_dir():
            raise StoreUnavailableError(
                f"the folder for backups {self._root} is not there", todo="Mount its disk, or make the folder."
            )


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
