"""Where a blob lies inside any store. Keys come from digests only, so no name from outside can reach a path.

Source: docs/formats/store.md.
"""

from __future__ import annotations

import re

from evidence.digest import SHA256, Digest
from evidence.errors import InvalidInputError

MARKER = "0=liuhen_store_1"
SPEC = "spec.txt"
BLOBS = "objects/sha256"
LOCKS = "locks"
_FAN_OUT = re.compile(r"[0-9a-f]{2}")
_LOCK_FOLDER = re.compile(r"locks/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_BLOB_KEY = re.compile(r"objects/sha256/([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")


def _hex(sha256: Digest) -> str:
    if sha256.algorithm != SHA256:
        raise InvalidInputError(f"blobs are addressed by SHA-256, not {sha256.algorithm}")
    return sha256.hex


def blob_folder(sha256: Digest) -> tuple[str, ...]:
    """Folders that lead to a blob, from the root of the store; the file's name is the digest in hexadecimal."""
    digest = _hex(sha256)
    return ("objects", "sha256", digest[:2], digest[2:4])


def blob_key(sha256: Digest) -> str:
    """``objects/sha256/ab/cd/<64 hex digits>``: the key in every store."""
    return "/".join((*blob_folder(sha256), sha256.hex))


def lock_folder(sha256: Digest) -> tuple[str, ...]:
    """Folders that lead to a blob's lock records."""
    digest = _hex(sha256)
    return (LOCKS, digest[:2], digest)


def digest_of_lock_folder(untrusted: str) -> Digest | None:
    """The blob whose lock records lie in a folder; None for anything :func:`lock_folder` does not name."""
    match = _LOCK_FOLDER.fullmatch(untrusted)
    return Digest(SHA256, match[2]) if match else None


def hold_prefix(sha256: Digest) -> str:
    """Prefix of a blob's hold references in a bucket."""
    digest = _hex(sha256)
    return f"holds/{digest[:2]}/{digest}/"


def digest_of_key(untrusted: str) -> Digest | None:
    """The digest of a blob key; None for anything :func:`blob_key` does not write."""
    match = _BLOB_KEY.fullmatch(untrusted)
    return Digest(SHA256, match[3]) if match else None


def is_fan_out(name: str) -> bool:
    """Whether a folder below ``objects/sha256`` can hold blobs: two hexadecimal digits."""
    return _FAN_OUT.fullmatch(name) is not None
