"""Hold references of blobs in a bucket: one small object each, so that holds can be counted.

A bucket's legal hold is one flag per version and knows no reasons. A reference stands while its object is the newest one
under its key; releasing puts a delete marker over it, so the history stays readable.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from evidence import canonical
from evidence.clock import Clock, to_text
from evidence.digest import Digest
from storage import layout
from storage.s3_client import S3Settings, pages, s3_errors
from storage.s3_upload import Target, put_whole

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class HoldReferences:
    """Adds, removes and counts references. The caller serialises calls per blob.

    Args:
        client: The store's client.
        settings: Bucket and prefix.
        clock: Read for the time written into a reference.
    """

    def __init__(self, client: S3Client, settings: S3Settings, *, clock: Clock) -> None:
        self._client = client
        self._bucket = settings.bucket
        self._prefix = settings.prefix
        self._clock = clock

    def _folder(self, sha256: Digest) -> str:
        return f"{self._prefix}{layout.hold_prefix(sha256)}"

    def _key(self, sha256: Digest, reference: str) -> str:
        return f"{self._folder(sha256)}{hashlib.sha256(reference.encode('utf-8')).hexdigest()}.json"

    def add(self, sha256: Digest, reference: str) -> None:
        """Write the reference (again is harmless: one more version of the same object)."""
        at = to_text(self._clock.now().wall)
        body = canonical.dumps({"at": at, "kind": "hold", "reference": reference, "sha256": sha256.hex})
        with s3_errors("write a hold reference"):
            put_whole(Target(self._client, self._bucket, self._key(sha256, reference)), body, options={})

    def remove(self, sha256: Digest, reference: str) -> None:
        """Put a delete marker over the reference."""
        with s3_errors("release a hold reference"):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(sha256, reference))

    def was_ever_set(self, sha256: Digest, reference: str) -> bool:
        """Whether the reference stands or stood: a release that crashed half-way is finished, a stranger's is not ours."""
        with s3_errors("look for a hold reference"):
            return self._found("list_object_versions", "Versions", self._key(sha256, reference))

    def any(self, sha256: Digest) -> bool:
        """Whether any reference stands."""
        with s3_errors("count hold references"):
            return self._found("list_objects_v2", "Contents", self._folder(sha256))

    def _found(self, operation: str, kind: str, prefix: str) -> bool:
        # To the last page: a server may send an empty one and go on (behind many delete markers).
        return any(page.get(kind) for page in pages(self._client, operation, Bucket=self._bucket, Prefix=prefix))
