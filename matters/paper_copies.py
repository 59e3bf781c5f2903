"""Copies of a document in every store, each read back from its medium, as intake makes those of recordings.

The bytes are claimed before the first look at a store, so that no removal races. A store that is away or full gets its copy by
catching up (``assurance.catch_up``), which derives what lacks from the catalogue.

Crash: bytes without a row; filing again finds and reads them back, and what nobody files again is a left-over that the duty about
left-overs collects (``assurance.strays``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from catalogue import Catalogue
from evidence.clock import Clock
from evidence.digest import Digest
from evidence.errors import DigestMismatchError, EvidenceError, StoreError, StoreUnavailableError
from evidence.lock_dates import NO_DATE, LockPolicy, believed_now
from evidence.model import Copy
from evidence.ports import BlobStore
from storage.stores import StoreSet

_log = logging.getLogger(__name__)
#: Longer than any upload of a document; every try begins with a claim of its own.
_CLAIMED_FOR: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepParts:
    """What keeping a document's bytes works with.

    Attributes:
        catalogue: Claims, and how stores answered.
        stores: Every taking store gets a copy.
        clock: Injected time.
        copies: Copies that must have been read back before a document counts as filed, as far as there are stores.
        domains: Failure domains over which they must spread, as far as the stores do.
        locks: How far locks reach.
    """

    catalogue: Catalogue
    stores: StoreSet
    clock: Clock
    copies: int = 2
    domains: int = 1
    locks: LockPolicy = field(default_factory=LockPolicy)


@dataclass(slots=True)
class Kept:
    """Copies that were read back and matched, and the stores that have none yet, with why."""

    copies: list[Copy] = field(default_factory=list)
    failed: dict[str, EvidenceError] = field(default_factory=dict)


def keep(parts: KeepParts, sha256: Digest, *, size_bytes: int, source: Callable[[], BinaryIO]) -> Kept:
    """Put the bytes into every store and read each copy back. Durable on return; no row is written.

    Raises:
        BytesGoError: The same bytes are being removed right now.
        StoreError: Too few stores took their copy: nothing counts as filed.
    """
    with parts.catalogue.begin() as uow:
        uow.references.claim(sha256, until=parts.clock.now().wall + _CLAIMED_FOR)
    kept, counted = Kept(), set[str]()
    for store in parts.stores.taking:
        name = store.properties.name
        try:
            _one(parts, store, sha256, size_bytes=size_bytes, source=source)
            stat = store.stat(sha256)
            if stat.bytes_at in counted:
                raise StoreError(f"store {name} has no copy of its own: its file is the one that another store counts")
            counted.add(stat.bytes_at)
        except (StoreError, DigestMismatchError) as error:
            if error.fatal:
                raise
            _log.warning("store %s has no copy of document %s: %s", name, sha256, error.what)
            kept.failed[name] = error
            if isinstance(error, StoreError):
                with parts.catalogue.begin() as uow:
                    uow.store_states.failed(name, parts.clock.now().wall, code=error.code, error=error.what)
            continue
        kept.copies.append(
            Copy(
                store=name, domain=store.properties.domain, key=stat.key, version=stat.version,
                read_back_at=parts.clock.now().wall,
            )
        )  # fmt: skip
    _require_enough(parts, kept)
    return kept


def _require_enough(parts: KeepParts, kept: Kept) -> None:
    taking: Sequence[BlobStore] = parts.stores.taking
    reachable = len({store.properties.domain for store in taking})
    domains = {copy.domain for copy in kept.copies}
    if len(kept.copies) < min(parts.copies, len(taking)) or len(domains) < min(parts.domains, reachable):
        why = next(iter(kept.failed.values()), None)
        raise StoreError(
            f"only {len(kept.copies)} stores took the document" + (f": {why.what}" if why is not None else ""),
            kept="Nothing was filed; the document is where you have it.",
            todo="File it again when the stores answer (see the page of stores).",
        )  # fmt: skip


def _one(
    parts: KeepParts, store: BlobStore, sha256: Digest, *, size_bytes: int, source: Callable[[], BinaryIO]
) -> None:
    locked = _first_lock(parts)
    if not store.exists(sha256):
        with source() as stream:
            store.put(stream, sha256=sha256, size_bytes=size_bytes, retain_until=locked)
    else:
        store.extend_retention(sha256, locked)
    try:
        store.verify(sha256, sha256)
    except (DigestMismatchError, StoreError) as error:
        if error.fatal or isinstance(error, StoreUnavailableError):
            raise
        with parts.catalogue.begin() as uow:
            held = uow.blobs.mark_bad(sha256, store.properties.name, parts.clock.now().wall, "copy-bad")
        if held:  # somebody's copy is bad: the repair keeps what is there and mends it
            raise
        with source() as stream:
            store.repair(stream, sha256=sha256, size_bytes=size_bytes)
        store.verify(sha256, sha256)


def _first_lock(parts: KeepParts) -> datetime:
    """Documents are kept without an end: their lock is renewed for as long as anybody holds them."""
    with parts.catalogue.read() as uow:
        now = believed_now(parts.clock.now(), uow.clock_marks.highest())
    return NO_DATE if now is None else now + parts.locks.cap
