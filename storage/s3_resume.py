"""Uploads that were broken off: which one to go on with, and which of its parts need not be sent again.

A part counts only when the server states its SHA-256 and it is ours, or, from a server that keeps none, when its ETag is the MD5
of our bytes. A part without either (an encrypted one has another ETag) is sent again. The finished object is looked at and read
back like any other, so a server that is wrong about a part is found out.

Source: S3 API ListMultipartUploads, ListParts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from storage.s3_client import code_of, pages, s3_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')
_GONE = frozenset({"NoSuchUpload", "404"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes."""

    client: S3Client
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Part:
    """What the server says of one part."""

    etag: str
    size_bytes: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload to go on with, and its parts by number."""

    id: str
    parts: Mapping[int, Part] = field(default_factory=dict)

    def holds(self, number: int, data: bytes, *, checksum: str) -> str:
        """ETag of the part when it is proved to be these very bytes, else nothing.

        Args:
            number: Number of the part, from 1.
            data: What it must be.
            checksum: Their SHA-256 in Base64.
        """
        part = self.parts.get(number)
        if part is None or part.size_bytes != len(data):
            return ""
        if part.checksum:
            return part.etag if part.checksum == checksum else ""
        stated = _MD5.fullmatch(part.etag)
        ours = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return part.etag if stated is not None and stated[1] == ours else ""


def find_unfinished(target: Target, size_bytes: int, part_bytes: int) -> Unfinished | None:
    """The upload under this key with the most parts of this very size; None when there is none worth going on with.

    One whose parts have another size (of other settings, or somebody else's) is left to the sweep: a finished object must have
    parts of the size that its metadata states. Inside ``s3_errors``.
    """
    best: Unfinished | None = None
    for upload in _uploads(target.client, target.bucket, target.key):
        if upload["Key"] != target.key:
            continue
        parts = {part["PartNumber"]: _part(part) for part in _parts(target, upload["UploadId"])}
        fitting = all(
            part.size_bytes == min(part_bytes, size_bytes - (number - 1) * part_bytes) for number, part in parts.items()
        )
        if parts and fitting and (best is None or len(parts) > len(best.parts)):
            best = Unfinished(upload["UploadId"], parts)
    return best


def abort_stale(client: S3Client, bucket: str, prefix: str, *, now: datetime, older_than: timedelta) -> int:
    """Abort uploads under the prefix that nobody has begun or gone on with for so long; returns how many."""
    aborted = 0
    with s3_errors("sweep unfinished uploads"):
        for upload in list(_uploads(client, bucket, prefix)):
            if now - upload["Initiated"] <= older_than:
                continue
            target = Target(client, bucket, upload["Key"])
            if any(now - part["LastModified"] <= older_than for part in _parts(target, upload["UploadId"])):
                continue  # a slow one that is still under way
            try:
                client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            except ClientError as error:
                if code_of(error) not in _GONE:
                    raise
            aborted += 1
    return aborted


def _uploads(client: S3Client, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
    for page in pages(client, "list_multipart_uploads", Bucket=bucket, Prefix=prefix):
        yield from page.get("Uploads", [])


def _parts(target: Target, upload: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    which = {"Bucket": target.bucket, "Key": target.key, "UploadId": upload}
    try:
        for page in pages(target.client, "list_parts", **which):
            found += page.get("Parts", [])
    except ClientError as error:
        if code_of(error) not in _GONE:
            raise
        return []  # completed or aborted since it was listed
    return found


def _part(stated: Mapping[str, Any]) -> Part:
    return Part(stated.get("ETag", ""), stated.get("Size", -1), stated.get("ChecksumSHA256", ""))
