"""Data keys of encrypted objects: what is kept of each, wrapped, and the index in which they are found.

Every encrypted object has a key of its own. What is kept of it is a :class:`KeyRecord`: the key wrapped by the epoch key of its
month, and all that is needed to make the very same ciphertext again. A record whose ``wrapped`` is None tells of a key that was
destroyed on purpose: nobody can read the object any more, in any copy, in any old backup of the store.

Source: docs/formats/store.md section "Encrypted objects"; docs/adr/0009-encryption.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from evidence.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of one data key.

    Attributes:
        sha256: The plain object.
        cipher_sha256: The ciphertext as it lies in stores, under this name.
        cipher_size_bytes: Its length.
        epoch: Month of the key that wraps this one (``2026-11``).
        header: The first 64 bytes of the ciphertext; object id and nonces come from them.
        wrapped: The data key, wrapped (RFC 3394, 40 bytes); None once it was destroyed.
        wrapped_sha256: SHA-256 (hex) of ``wrapped``; stays when the key is gone.
        mac: Proves, by the data key itself, that all of this belongs together.
        made_at: When, to the millisecond.
        destroyed_at: When the key was destroyed; None while it is there.
    """

    sha256: Digest
    cipher_sha256: Digest
    cipher_size_bytes: int
    epoch: str
    header: bytes
    wrapped: bytes | None
    wrapped_sha256: str
    mac: bytes
    made_at: datetime
    destroyed_at: datetime | None = None

    @property
    def destroyed(self) -> bool:
        """Whether the key is gone for good."""
        return self.wrapped is None

    def without_key(self, at: datetime) -> KeyRecord:
        """What stays of this record when its key was destroyed at ``at``."""
        return replace(self, wrapped=None, destroyed_at=at)


class KeyIndex(Protocol):
    """Where records are looked up (the catalogue). It can be made again from the places beside the stores.

    Every method is a transaction of its own, durable on return; none may be called inside of another write transaction of the
    same thread.
    """

    def find(self, sha256: Digest) -> KeyRecord | None:
        """The record of a plain object, also one whose key is gone."""
        ...

    def add(self, record: KeyRecord) -> None:
        """Take a record in; the same again changes nothing. A live one takes the place of a destroyed one with another key.

        A destroyed one takes the place of the live one with the same key. Where the index says ``destroyed``, the same key is
        never taken in again: nothing is changed.

        Raises:
            IntegrityError: Another live key is known for these bytes; nothing was changed.
        """
        ...

    def all(self) -> Iterator[KeyRecord]:
        """Every record, ascending by the plain digest."""
        ...
