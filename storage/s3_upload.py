"""Writing one object: every request carries the checksums of its body, and a key is never written over.

A small blob is proved to be the stated one before its only request; a big one goes up in parts while it is checked, and is
only completed after the last byte was. Nothing becomes visible before.

Broken off (network, server, a killed process): the parts that arrived stay with the server, and the next try goes on with them
(``storage.s3_resume``). Only a source that turned out to be wrong, or an upload that can never be completed, is aborted; what
nobody comes back to is swept after two days.

Source: S3 API PutObject, UploadPart, CompleteMultipartUpload; checksums SHA256 (composite for multipart).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import math
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evidence.errors import EvidenceError, StoreUnavailableError
from storage.s3_client import passes_by_itself, s3_errors
from storage.s3_resume import Target, Unfinished

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["Target", "Uploaded", "b64", "composite", "md5", "part_bytes_for", "put_parts", "put_whole"]

_PARTS_MAX = 9_000
_PARTS_AT_ONCE = 4
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload left: the version, and the checksum a server that keeps checksums must now state."""

    version: str
    checksum: str


def b64(data: bytes) -> str:
    """Base64 as S3 headers want it."""
    return base64.b64encode(data).decode("ascii")


def md5(data: bytes) -> str:
    """Content-MD5 of a body: transport only, the one check that every S3 server makes."""
    return b64(hashlib.md5(data, usedforsecurity=False).digest())


def part_bytes_for(size_bytes: int, smallest: int) -> int:
    """Part size with which a blob of that size stays under the limit of 10,000 parts."""
    return max(smallest, math.ceil(size_bytes / _PARTS_MAX / _MIB) * _MIB)


def composite(part_digests: list[bytes]) -> str:
    """The checksum S3 states for a multipart object: SHA-256 over the parts' SHA-256, and their number."""
    return f"{b64(hashlib.sha256(b''.join(part_digests)).digest())}-{len(part_digests)}"


def put_whole(target: Target, data: bytes, *, options: Mapping[str, Any]) -> Uploaded:
    """Write an object in one request. ClientError (412) when the options forbid replacing and the key exists."""
    checksum = b64(hashlib.sha256(data).digest())
    answer = target.client.put_object(
        Bucket=target.bucket,
        Key=target.key,
        Body=data,
        ContentLength=len(data),
        ContentMD5=md5(data),
        ChecksumSHA256=checksum,
        **options,
    )
    return Uploaded(answer.get("VersionId", ""), checksum)


def put_parts(
    target: Target,
    chunks: Iterator[bytes],
    *,
    options: Mapping[str, Any],
    completion: Mapping[str, Any],
    unfinished: Unfinished | None = None,
) -> Uploaded:
    """Write an object in parts, one per chunk; nothing becomes visible before the last chunk has come.

    Args:
        target: Where to.
        chunks: All of one size except the last; memory holds at most five of them. An error of theirs (wrong bytes, a source
            that cannot be read) aborts the upload; trouble with a server, also the source's, leaves its parts for the next try.
        options: Lock and metadata, for the start of the upload.
        completion: Conditions for its end.
        unfinished: Go on with this one; its parts that are ours are not sent again.
    """
    upload = _Upload(target, unfinished or _begun(target, options))
    try:
        parts, digests = upload.send_all(chunks)
        return upload.complete(parts, digests, completion)
    except EvidenceError as error:  # of the source; server and network raise others here
        if not isinstance(error, StoreUnavailableError):
            upload.abort()
        raise


def _begun(target: Target, options: Mapping[str, Any]) -> Unfinished:
    answer = target.client.create_multipart_upload(
        Bucket=target.bucket, Key=target.key, ChecksumAlgorithm="SHA256", **options
    )
    return Unfinished(answer["UploadId"])


class _Upload:
    """One upload under way."""

    def __init__(self, target: Target, state: Unfinished) -> None:
        self._client = target.client
        self._state = state
        self._which: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key, "UploadId": state.id}

    def send_all(self, chunks: Iterator[bytes]) -> tuple[list[CompletedPartTypeDef], list[bytes]]:
        """Every chunk is a part of the upload on return: the parts in order, and their digests."""
        done: list[tuple[CompletedPartTypeDef, bytes]] = []
        with ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="s3-part") as pool:
            under_way: deque[Future[tuple[CompletedPartTypeDef, bytes]]] = deque()
            for number, chunk in enumerate(chunks, start=1):
                if len(under_way) == _PARTS_AT_ONCE:
                    done.append(under_way.popleft().result())
                under_way.append(pool.submit(self._send, number, chunk))
            done.extend(part.result() for part in under_way)
        return [part for part, _ in done], [digest for _, digest in done]

    def _send(self, number: int, data: bytes) -> tuple[CompletedPartTypeDef, bytes]:
        digest = hashlib.sha256(data).digest()
        checksum = b64(digest)
        etag = self._state.holds(number, data, checksum=checksum)
        if not etag:
            answer = self._client.upload_part(
                PartNumber=number,
                Body=data,
                ContentLength=len(data),
                ContentMD5=md5(data),
                ChecksumSHA256=checksum,
                **self._which,
            )
            etag = answer["ETag"]
        return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}, digest

    def complete(
        self, parts: list[CompletedPartTypeDef], digests: list[bytes], completion: Mapping[str, Any]
    ) -> Uploaded:
        """Make the object of the parts."""
        try:
            answer = self._client.complete_multipart_upload(
                MultipartUpload={"Parts": parts}, **self._which, **completion
            )
        except ClientError as error:
            if not passes_by_itself(error):
                self.abort()  # as it is it can never be completed (or the object stands); the next try begins anew
            raise
        return Uploaded(answer.get("VersionId", ""), composite(digests))

    def abort(self) -> None:
        """Give the parts up, as far as the server lets us; the sweep does it later otherwise."""
        with contextlib.suppress(EvidenceError), s3_errors("abort an upload"):
            self._client.abort_multipart_upload(**self._which)
