"""Writing one object: every request carries the checksums of its body, and a key is never written over.

A small blob is proved to be the stated one before its only request; a big one goes up in parts while it is checked, and is
only completed after the last byte was. Nothing becomes visible before.

Crash: parts of an upload that was not completed are no object; :func:`abort_stale` removes them later.

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
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evidence.errors import EvidenceError
from storage.s3_client import pages, s3_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

_PARTS_MAX = 9_000
_PARTS_AT_ONCE = 4
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes."""

    client: S3Client
    bucket: str
    key: str


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
    target: Target, chunks: Iterator[bytes], *, options: Mapping[str, Any], completion: Mapping[str, Any]
) -> Uploaded:
    """Write an object in parts, one per chunk; an error from ``chunks`` (a wrong digest) leaves nothing behind.

    Args:
        target: Where to.
        chunks: All of one size except the last; memory holds at most five of them.
        options: Lock and metadata, for the start of the upload.
        completion: Conditions for its end.
    """
    client, bucket, key = target.client, target.bucket, target.key
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256", **options)["UploadId"]
    digests: list[bytes] = []
    parts: list[CompletedPartTypeDef] = []

    def send(number: int, data: bytes, digest: bytes) -> CompletedPartTypeDef:
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=data,
            ContentLength=len(data),
            ContentMD5=md5(data),
            ChecksumSHA256=b64(digest),
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": b64(digest)}

    try:
        with ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="s3-part") as pool:
            under_way: deque[Future[CompletedPartTypeDef]] = deque()
            for chunk in chunks:
                digests.append(hashlib.sha256(chunk).digest())
                if len(under_way) == _PARTS_AT_ONCE:
                    parts.append(under_way.popleft().result())
                under_way.append(pool.submit(send, len(digests), chunk, digests[-1]))
            parts.extend(part.result() for part in under_way)
        answer = client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **completion
        )
    except BaseException:
        with contextlib.suppress(EvidenceError), s3_errors("abort an upload"):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise
    return Uploaded(answer.get("VersionId", ""), composite(digests))


def abort_stale(client: S3Client, bucket: str, prefix: str, *, now: datetime, older_than: timedelta) -> int:
    """Abort uploads under the prefix that were begun long ago and never completed; returns how many."""
    aborted = 0
    with s3_errors("sweep unfinished uploads"):
        for page in pages(client, "list_multipart_uploads", Bucket=bucket, Prefix=prefix):
            for upload in page.get("Uploads", []):
                if now - upload["Initiated"] > older_than:
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    aborted += 1
    return aborted
