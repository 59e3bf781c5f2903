"""Whether a copy that could not be read lacks its key rather than its bytes: the ciphertext may be as good as ever."""

from __future__ import annotations

import contextlib

from evidence.digest import SHA256, Digest
from evidence.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    MasterKeyUnavailableError,
)
from evidence.ports import BlobStore
from storage.stores import inner_of

#: The kind of finding: bytes are there that nobody can open.
KEY_MISSING = "key-missing"


def key_trouble(store: BlobStore, sha256: Digest, kept_key: str, error: EvidenceError) -> EvidenceError:
    """The same error, or one that tells of the key where the key is what is missing.

    Args:
        store: Where the copy was looked for.
        sha256: The plain bytes.
        kept_key: The copy's key as its entry states it (of the ciphertext where it was encrypted); empty where unknown.
        error: What reading it ended in.
    """
    if isinstance(error, BlobNotFoundError):
        kept = kept_key.rpartition("/")[2]
        if kept in ("", sha256.hex):
            return error
        with contextlib.suppress(EvidenceError):
            if inner_of(store).exists(Digest(SHA256, kept)):
                return KeyUnavailableError(
                    f"the ciphertext of {sha256} is there, and no key of it is kept anywhere",
                    kept="The ciphertext is untouched.",
                    todo="Bring the keys beside the stores back from a copy of them (docs/runbooks/lost-key.md).",
                )
        return error
    if isinstance(error, IntegrityError) and not isinstance(error, DigestMismatchError):
        find = getattr(getattr(store, "ring", None), "find", None)
        if find is not None:
            try:
                find(sha256, everywhere=True)
            except IntegrityError as conflict:
                return KeyUnavailableError(conflict.what, kept=conflict.kept, todo=conflict.todo)
            except EvidenceError:
                return error
    return error


def kind_of_key_trouble(error: EvidenceError) -> str:
    """The kind of finding where a key is the trouble; empty where it is not.

    A master key that is not at hand proves nothing about any copy: nothing was examined.
    """
    if isinstance(error, MasterKeyUnavailableError):
        return "not-examined"
    return KEY_MISSING if isinstance(error, KeyUnavailableError) else ""
