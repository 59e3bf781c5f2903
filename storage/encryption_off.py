"""Stores of a home that encrypted and does so no more: what is encrypted stays so and is read, what is new goes in plain.

An object that has a live key keeps it: more copies of it, and repaired ones, are the same ciphertext as before. So one object
never lies in plain in one store and encrypted in another.

Source: docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from evidence.digest import Digest
from evidence.model import PutReceipt
from evidence.ports import GrowingPartial
from storage.encrypted import EncryptedStore
from storage.encrypted_partial import read_partial_key
from storage.encrypted_primary import EncryptedPrimary


class DecryptingStore(EncryptedStore):
    """Reads what is encrypted, encrypts nothing new. Arguments as of ``EncryptedStore``."""

    def _give(
        self,
        source: BinaryIO,
        sha256: Digest,
        size_bytes: int,
        act: Callable[[BinaryIO, Digest, int], PutReceipt],
    ) -> PutReceipt:
        if _has_key(self, sha256):
            return super()._give(source, sha256, size_bytes, act)
        return act(source, sha256, size_bytes)


class DecryptingPrimary(EncryptedPrimary):
    """As :class:`DecryptingStore`, for the store on whose disk recordings are acquired. Arguments as of ``EncryptedPrimary``.

    A partial that began encrypted goes on encrypted; a new one is plain.
    """

    def _give(
        self,
        source: BinaryIO,
        sha256: Digest,
        size_bytes: int,
        act: Callable[[BinaryIO, Digest, int], PutReceipt],
    ) -> PutReceipt:
        if _has_key(self, sha256):
            return super()._give(source, sha256, size_bytes, act)
        return act(source, sha256, size_bytes)

    def open_partial(  # type: ignore[override]  # a plain partial or a sealed one: callers know their common form
        self, name: str, *, keep_bytes: int, floor_bytes: int, secured: Callable[[int], None] = lambda _bytes: None
    ) -> GrowingPartial:
        """Open a named partial for writing; raises what ``LocalStore.open_partial`` and ``EncryptedPrimary.open_partial`` do."""
        if read_partial_key(self.partial_path(name)) is not None:
            return super().open_partial(name, keep_bytes=keep_bytes, floor_bytes=floor_bytes, secured=secured)
        return self.inner.open_partial(name, keep_bytes=keep_bytes, floor_bytes=floor_bytes, secured=secured)

    def adopt(
        self, partial: Path, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Give a finished partial its place in the store; as ``EncryptedPrimary.adopt``, but a plain one stays plain."""
        sealed = partial.exists() and read_partial_key(partial) is not None
        if sealed or _has_key(self, sha256):
            return super().adopt(partial, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
        return self.inner.adopt(partial, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)


def _has_key(store: EncryptedStore, sha256: Digest) -> bool:
    record = store.ring.find(sha256, everywhere=True)
    return record is not None and not record.destroyed
