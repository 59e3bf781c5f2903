"""Bytes of footage with HTTP ranges: one viewing may ask for hundreds, each bounded, none from a cache we do not control.

We serve single ranges; a header that asks for several, or that we do not understand, is ignored and the whole is sent, as the
standard allows.

Source: RFC 9110 section 14.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from evidence.digest import Digest
from evidence.errors import AccessDeniedError
from evidence.ports import BlobStore

_RANGE: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")
_CHUNK_BYTES: Final = 256 << 10
#: A stream is authorised again after so many bytes or seconds, whichever comes first.
_ASKED_BYTES: Final = 4 << 20
_ASKED_S: Final = 5.0


def _wanted(header: str | None, size_bytes: int) -> tuple[int, int] | str | None:
    """First and last byte wanted; None for the whole file; a word when it cannot be satisfied."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size_bytes)
        return (size_bytes - length, size_bytes - 1) if length else "unsatisfiable"
    first = int(match[1])
    last = min(int(match[2]), size_bytes - 1) if match[2] else size_bytes - 1
    if match[2] and int(match[2]) < first:
        return None  # an invalid range is ignored
    return (first, last) if first < size_bytes else "unsatisfiable"


def _chunks(file: BinaryIO, length: int, still: Callable[[], None] | None = None) -> Iterator[bytes]:
    """The bytes; ``still`` is asked again on the way: when it refuses, the stream breaks off.

    Browsers ask for "everything from here" and read it while they play: without that a player would be fed for hours after the
    consent was revoked.
    """
    with file:
        left, asked_at, since = length, time.monotonic(), 0
        while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
            if still is not None and (since >= _ASKED_BYTES or time.monotonic() - asked_at >= _ASKED_S):
                try:
                    still()
                except AccessDeniedError:  # entered by who refused
                    return
                asked_at, since = time.monotonic(), 0
            left -= len(chunk)
            since += len(chunk)
            yield chunk


def stream(
    request: Request, blobs: BlobStore, *, sha256: Digest, size_bytes: int, media_type: str,
    still: Callable[[], None] | None = None,
) -> Response:  # fmt: skip
    """Answer with the blob's bytes: 200, 206 for a range, 416 outside of them.

    ``still`` raises AccessDeniedError when the reader may not have more of them; it is asked while they are sent.

    Raises:
        BlobNotFoundError: No store has the bytes.
        StoreUnavailableError: No store that should have them answers.
    """
    tag = f'"{sha256.hex}"'
    headers = {"accept-ranges": "bytes", "etag": tag, "content-disposition": "inline"}
    conditional = request.headers.get("if-range")
    header = request.headers.get("range") if conditional in (None, tag) else None
    wanted = _wanted(header, size_bytes)
    if isinstance(wanted, str):
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{size_bytes}"})
    first, last = wanted if wanted is not None else (0, size_bytes - 1)
    length = last - first + 1
    if request.method == "HEAD" or length <= 0:
        if length > 0:
            blobs.open(sha256, offset=first, length=1).close()  # what is not there to be read is not said to be
        return Response(status_code=200, headers={**headers, "content-length": str(size_bytes)}, media_type=media_type)
    file = blobs.open(sha256, offset=first, length=length)
    if wanted is not None:
        headers["content-range"] = f"bytes {first}-{last}/{size_bytes}"
    headers["content-length"] = str(length)
    return StreamingResponse(
        _chunks(file, length, still),
        status_code=206 if wanted is not None else 200,
        media_type=media_type,
        headers=headers,
    )


def whole(blobs: BlobStore, *, sha256: Digest, size_bytes: int, headers: Mapping[str, str]) -> Response:
    """The blob as a file to be saved, whole: a browser shows nothing of it and asks for no ranges.

    Raises:
        BlobNotFoundError: No store has the bytes.
        StoreUnavailableError: No store that should have them answers.
    """
    file = blobs.open(sha256, offset=0, length=size_bytes)
    told = {**headers, "content-length": str(size_bytes)}
    return StreamingResponse(_chunks(file, size_bytes), media_type="application/octet-stream", headers=told)
