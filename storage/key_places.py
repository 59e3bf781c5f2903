"""Where wrapped keys lie beside a store: small files in a folder or a bucket, so that the loss of the home loses no footage.

    keyring/epochs/2026-11/<master>.json        a month's key, wrapped by that master
    keyring/objects/ab/<64 hex digits>.json     the record of one object's data key
    keyring/gone/ab/<64 hex digits>.<wrapped>.json   the key with that digest was destroyed

Everything is written once and read back; nothing is replaced. Unlike objects these files can be removed: a key that must go has
to go. So they carry no immutable attribute, and in a bucket only a governance lock of seconds.

Source: docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from evidence.clock import Clock
from evidence.durable import drop_cache, fsync_file, link_open, write_all
from evidence.errors import BlobConflictError, ConfigError, InvalidInputError, StoreError
from evidence.ports import BlobStore
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.s3_client import DENIED, NOT_FOUND, RACED, code_of, connect, pages, s3_errors
from storage.s3_upload import Target, put_whole
from storage.s3_versions import whole_second
from storage.tree import os_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FOLDER: Final = "keyring"
RECORD_BYTES_MAX: Final = 4096
_PATH = re.compile(r"(?:[a-z0-9-]+/)*[a-z0-9-]+(?:\.[a-z0-9]+)*")
#: A bucket's default retention would hold a key for weeks; an explicit lock this short goes before it. Long enough for clocks
#: that are not quite the same.
_LOCK = timedelta(seconds=60)
_CONNECT_S: Final = 3.0
_READ_S: Final = 10.0
_ATTEMPTS: Final = 2


#: Laid beside the keys, so that somebody who has only the store and the master key can read it.
SPEC: Final = """\
KEYS OF AN ENCRYPTED LIUHEN STORE, FORMAT 1
===========================================
Objects under objects/sha256 that have a record here are ciphertext, named by the SHA-256 of the ciphertext.

objects/ab/<SHA-256 of the plain object>.json   "cipher_sha256" names the ciphertext. "wrapped" is the object's data key.
epochs/<month>/<master>.json                    "wrapped" is the key of a month.
gone/...                                        the data key with that digest was destroyed on purpose.

Binary values are base64. Wrapping is AES Key Wrap (RFC 3394): the master key wraps the keys of months, the key of the month in
"epoch" wraps the data key. The master key (32 bytes) is not here. <master> is the beginning of the SHA-256 (hexadecimal) of what
the master key wraps of SHA-256("liuhen master key check value").

A ciphertext is a header of 64 bytes: "liuhen_sealed_1" and a line feed (16 bytes), chunk size (4, big-endian), object id (16),
nonce prefix (7), zeros (21); then chunks of AES-256-GCM: up to "chunk size" plain bytes each, followed by the tag (16 bytes).
Key: the data key. Nonce: the nonce prefix, the number of the chunk from 0 on (4, big-endian), one byte that is 1 for the last
chunk and 0 for the others. Associated data: the header. An empty object has one empty chunk.
"""


class KeyPlace(Protocol):
    """Small files beside a store. Paths are ours (lower case, digits, hyphens); files are at most ``RECORD_BYTES_MAX``."""

    @property
    def name(self) -> str:
        """Name of the store it lies beside."""
        ...

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when there is none. StoreUnavailableError when the place does not answer."""
        ...

    def write_new(self, path: str, data: bytes) -> None:
        """Write a file once; durable and read back on return. The same bytes again are fine.

        Raises:
            BlobConflictError: Other bytes stand there; they were not touched. StoreError: it could not be written.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file in every version and verify its absence; absent already is fine. Durable on return."""
        ...

    def paths(self, under: str) -> Iterator[str]:
        """Paths of all files below a folder, ascending."""
        ...


def place_beside(store: BlobStore, *, clock: Clock) -> KeyPlace:
    """The place for keys beside a store; ConfigError for a kind that has none."""
    if isinstance(store, LocalStore):
        return LocalKeyPlace(store)
    if isinstance(store, S3Store):
        return BucketKeyPlace(store, clock=clock)
    raise ConfigError(f"no keys can be kept beside store {store.properties.name}")


def describe(place: KeyPlace) -> None:
    """Lay the description beside the keys, where none is (an older one stays)."""
    if place.read("spec.txt") is None:
        place.write_new("spec.txt", SPEC.encode("ascii"))


class LocalKeyPlace:
    """Keys in the folder of a local store. Every step is taken from open directories, as for objects.

    Args:
        store: The store itself, not one that encrypts into it.
    """

    def __init__(self, store: LocalStore) -> None:
        self._tree = store.store_tree

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._tree.name

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when there is none."""
        folders, name = _split(path)
        self._tree.require()
        with os_errors("read a key"):
            try:
                with self._tree.folder(folders) as folder:
                    return _read_file(name, folder)
            except FileNotFoundError:
                return None

    def write_new(self, path: str, data: bytes) -> None:
        """Write a file once; durable and read back from its medium on return.

        Crash: before the link nothing is there, after it the file is whole.
        """
        folders, name = _split(path)
        self._tree.require()
        with os_errors("write a key"), self._tree.scratch() as file, self._tree.made_folder(folders) as folder:
            os.fchmod(file.fd, 0o600)
            write_all(file.fd, data)
            fsync_file(file.fd)
            link_open(file.fd, name, directory=folder)
            file.drop_name()
            _require_same(_read_file(name, folder), data, self.name, path)

    def remove(self, path: str) -> None:
        """Overwrite and remove a file, and verify its absence. Durable on return.

        Overwriting reaches hard links of a backup, too, and a disk's old blocks where the file system writes in place.
        """
        folders, name = _split(path)
        self._tree.require()
        with os_errors("remove a key"):
            try:
                with self._tree.folder(folders) as folder:
                    _overwrite(name, folder)
                    os.unlink(name, dir_fd=folder)
                    fsync_file(folder)
            except FileNotFoundError:
                return
        if self.read(path) is not None:
            raise StoreError(f"a key is still there after its removal from store {self.name}")

    def paths(self, under: str) -> Iterator[str]:
        """Paths of all files below a folder, ascending."""
        folders = _split(f"{under}/x")[0]
        self._tree.require()
        with os_errors("list keys"):
            for names in self._walk(folders):
                yield "/".join(names[1:])
        self._tree.require()  # a disk that vanished half-way must not look like a short list

    def _walk(self, folders: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        try:
            with self._tree.folder(folders) as folder:
                entries = sorted(os.listdir(folder))  # noqa: PTH208 - listed through the open descriptor
                below = {
                    name
                    for name in entries
                    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
                }
        except FileNotFoundError:
            return
        for name in entries:
            if not _PATH.fullmatch(name):
                continue  # not written by us
            if name in below:
                yield from self._walk((*folders, name))
            else:
                yield (*folders, name)


class BucketKeyPlace:
    """Keys in a bucket, under ``<prefix>keyring/``.

    Args:
        store: The bucket's store, not one that encrypts into it.
        clock: Read for the date of the short lock.
    """

    def __init__(self, store: S3Store, *, clock: Clock) -> None:
        self._name = store.properties.name
        # Given up after seconds: whoever waits for a key waits at a page, or holds up an offload.
        quick = min(store.settings.connect_timeout_s, _CONNECT_S)
        self._settings = replace(store.settings, connect_timeout_s=quick, read_timeout_s=_READ_S, attempts=_ATTEMPTS)
        self._client: S3Client = connect(self._settings)
        self._clock = clock

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._name

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def read(self, path: str) -> bytes | None:
        """A file's bytes, also of one that somebody hid under a delete marker; None when there is none."""
        key = self._key(path)
        with s3_errors("read a key"):
            try:
                return self._get(key, {})
            except ClientError as error:
                if code_of(error) not in NOT_FOUND:
                    raise
            versions = self._versions(key, markers=False)
            return self._get(key, {"VersionId": versions[0]}) if versions else None

    def _get(self, key: str, which: dict[str, str]) -> bytes:
        answer = self._client.get_object(Bucket=self._settings.bucket, Key=key, **which)  # type: ignore[arg-type]  # a version, or nothing
        body = answer["Body"]
        try:
            return body.read(RECORD_BYTES_MAX + 1)
        finally:
            body.close()

    def write_new(self, path: str, data: bytes) -> None:
        """Write an object once, and ask the server for it again."""
        standing = self.read(path)
        if standing is None:
            options: dict[str, Any] = {
                "IfNoneMatch": "*",
                "ObjectLockMode": "GOVERNANCE",
                "ObjectLockRetainUntilDate": whole_second(self._clock.now().wall + _LOCK),
            }
            with s3_errors("write a key"):
                try:
                    put_whole(Target(self._client, self._settings.bucket, self._key(path)), data, options=options)
                except ClientError as error:
                    if code_of(error) not in RACED:
                        raise
            standing = self.read(path)
        _require_same(standing, data, self._name, path)

    def remove(self, path: str) -> None:
        """Remove every version and marker, and verify their absence.

        Raises:
            StoreError: The server still refuses; a version written in the last minute is locked. Call again later.
        """
        key = self._key(path)
        with s3_errors("remove a key"):
            for version in self._versions(key, markers=True):
                self._remove(key, version)
            if self._versions(key, markers=True):
                raise StoreError(f"a key is still there after its removal from store {self._name}")

    def _remove(self, key: str, version: str) -> None:
        try:
            self._client.delete_object(
                Bucket=self._settings.bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
            )
        except ClientError as error:
            if code_of(error) not in DENIED:
                raise
            # An account may lack the right to go before a lock that has not lapsed, and then needs none for one that has.
            self._client.delete_object(Bucket=self._settings.bucket, Key=key, VersionId=version)

    def paths(self, under: str) -> Iterator[str]:
        """Paths of all files below a folder, ascending, also those hidden under a delete marker."""
        _split(f"{under}/x")
        root, last = f"{self._settings.prefix}{FOLDER}/", None
        with s3_errors("list keys"):
            for page in pages(
                self._client, "list_object_versions", Bucket=self._settings.bucket, Prefix=f"{root}{under}/"
            ):
                for item in page.get("Versions", []):
                    path = item["Key"].removeprefix(root)
                    if path != last and _PATH.fullmatch(path):
                        yield path
                        last = path

    def _versions(self, key: str, *, markers: bool) -> list[str]:
        found: list[str] = []
        for page in pages(self._client, "list_object_versions", Bucket=self._settings.bucket, Prefix=key):
            found += [item["VersionId"] for item in page.get("Versions", []) if item["Key"] == key]
            if markers:
                found += [item["VersionId"] for item in page.get("DeleteMarkers", []) if item["Key"] == key]
        return found

    def _key(self, path: str) -> str:
        _split(path)
        return f"{self._settings.prefix}{FOLDER}/{path}"


def _split(path: str) -> tuple[tuple[str, ...], str]:
    """Folders from the store's root, and the file's name. InvalidInputError for anything but a path of ours."""
    if not _PATH.fullmatch(path):
        raise InvalidInputError(f"not a path of a key: {path[:120]!r}")
    *folders, name = path.split("/")
    return (FOLDER, *folders), name


def _require_same(standing: bytes | None, data: bytes, name: str, path: str) -> None:
    if standing is None:
        raise StoreError(f"store {name} took a key and does not give it back", todo="Have the store examined.")
    if standing != data:
        raise BlobConflictError(
            f"other bytes stand in store {name} as {FOLDER}/{path}", kept="Nothing was overwritten.",
            todo="Compare the key records of all stores.",
        )  # fmt: skip


def _read_file(name: str, folder: int) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        drop_cache(fd)  # what is read back shall come from the medium
        return os.read(fd, RECORD_BYTES_MAX + 1)
    finally:
        os.close(fd)


def _overwrite(name: str, folder: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        os.pwrite(fd, bytes(min(os.fstat(fd).st_size, RECORD_BYTES_MAX)), 0)
        fsync_file(fd)
    finally:
        os.close(fd)
