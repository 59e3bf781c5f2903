"""A copy of the published log in a bucket, under ``<prefix>log/public/``: so that a bucket holds proofs beside its blobs.

Every write is a version of its own, acknowledged by the server with our checksums; what stood before stays readable under the
bucket's default retention. Partial tiles are left where they are: locked versions could not go anyway, and nobody refers to
them. Requests are given up after seconds, not minutes: the sealer waits for them, and tries again in its next cycle.

Source: evidence.log_place; C2SP tlog-tiles; docs/formats/log.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from botocore.exceptions import ClientError

from evidence.errors import NotFoundError, StoreError, StoreUnavailableError
from storage.s3_client import NOT_FOUND, S3Settings, code_of, connect, s3_errors
from storage.s3_upload import Target, put_whole

LOG: Final = "log/public/"
_CONNECT_S: Final = 3.0
_READ_S: Final = 10.0
_ATTEMPTS: Final = 2
_AT_ONCE: Final = 8


class S3Log:
    """Implements ``evidence.log_place.LogPlace``. Thread-safe; nothing is kept between calls.

    Args:
        settings: The store's settings; its bucket must have been made.
        name: The store's name, for messages.
    """

    remote = True

    def __init__(self, settings: S3Settings, *, name: str) -> None:
        quick = replace(
            settings,
            connect_timeout_s=min(settings.connect_timeout_s, _CONNECT_S),
            read_timeout_s=min(settings.read_timeout_s, _READ_S),
            attempts=min(settings.attempts, _ATTEMPTS),
        )
        self._settings = quick
        self._name = name
        self._client = connect(quick)

    def __str__(self) -> str:
        """Store and folder, for messages."""
        return f"{self._name}:{LOG}"

    @property
    def domain(self) -> str:
        """Failure domain of the bucket."""
        return self._settings.failure_domain

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def create(self) -> None:
        """Nothing to make: a bucket has no folders."""

    def identity(self) -> Hashable:
        """One bucket is one place."""
        return self._settings.endpoint, self._settings.bucket, self._settings.prefix

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """The newest bytes of one file, from the server; NotFoundError when it is not there (or hidden by a marker)."""
        with _unavailable(f"read {path} of the published log"):
            try:
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=self._key(path))
            except ClientError as error:
                if code_of(error) in NOT_FOUND:
                    raise NotFoundError(f"{path} is missing from the published log in {self._name}") from error
                raise
            body = answer["Body"]
            try:
                return body.read(limit_bytes + 1)
            finally:
                body.close()

    def publish(self, path: str, data: bytes) -> None:
        """Write one file as a new version; acknowledged by the server on return."""
        with _unavailable(f"publish {path}"):
            put_whole(Target(self._client, self._settings.bucket, self._key(path)), data, options={})

    def publish_many(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Write several files, eight at once; all acknowledged on return."""
        if len(files) < 2:
            for path, data in files:
                self.publish(path, data)
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="s3-log") as pool:
            for done in [pool.submit(self.publish, path, data) for path, data in files]:
                done.result()

    def remove_partials(self, folder: str) -> None:
        """Leave them."""

    def remove_temporary(self, folders: Sequence[str]) -> None:
        """There are none: a request either made a version or did not."""

    def _key(self, path: str) -> str:
        return f"{self._settings.prefix}{LOG}{path}"


@contextlib.contextmanager
def _unavailable(what: str) -> Iterator[None]:
    """Also a refusal (lost rights, no bucket) means that this copy lags: the log goes on, nothing counts as published."""
    try:
        with s3_errors(what):
            yield
    except StoreUnavailableError:
        raise
    except StoreError as error:
        raise StoreUnavailableError(error.what, todo=error.todo) from error
