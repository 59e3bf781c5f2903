"""Copies of some bytes in every store, each read back from its medium. Used for recordings, manifests and derivatives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from catalogue import UnitOfWork
from evidence.clock import to_text
from evidence.digest import Digest
from evidence.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    StoreError,
    StoreUnavailableError,
)
from evidence.model import Copy
from evidence.ports import BlobStore
from ingest.claims import claim
from ingest.parts import Parts, raise_finding

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Spread:
    """Where some bytes are.

    Attributes:
        copies: Copies that were read back and matched.
        failed: Store name -> why it has none; it catches up (assurance.catch_up), the bytes are safe in the others.
    """

    copies: list[Copy] = field(default_factory=list)
    failed: dict[str, EvidenceError] = field(default_factory=dict)


def spread(
    parts: Parts,
    sha256: Digest,
    *,
    size_bytes: int,
    read_back: Digest,
    source: Callable[[], BinaryIO],
    stores: tuple[BlobStore, ...],
    beside: str = "",
    retain_until: datetime | None = None,
) -> Spread:
    """Put the bytes into every store and read each copy back. One file (or object) under two stores is one copy.

    Args:
        parts: The parts of intake.
        sha256: Key of the bytes.
        size_bytes: Their number.
        read_back: What a read-back must give (BLAKE3 of the first pass, else SHA-256).
        source: Opens the bytes, once per store that lacks them.
        stores: Where to.
        beside: Which very bytes (``BlobStat.bytes_at``) are counted already.
        retain_until: First lock of every copy (``ingest.locking``).

    Returns:
        Copies that are durable and read back, and the stores that failed. A fatal error is raised.

    Raises:
        BytesGoError: The same bytes are being removed right now.
    """
    if not beside:  # else they are claimed already
        claim(parts, sha256)
    done = Spread()
    counted = {beside}
    resting = _resting(parts, stores)
    domains = [parts.stores.primary.properties.domain] if beside else []
    for store in sorted(stores, key=lambda one: one.properties.name in resting):
        name = store.properties.name
        if name in resting and enough(parts, [*domains, *(copy.domain for copy in done.copies)]):
            done.failed[name] = StoreUnavailableError(f"store {name} did not answer and is asked again later")
            continue
        try:
            _one(
                parts,
                store,
                sha256,
                size_bytes=size_bytes,
                read_back=read_back,
                source=source,
                retain_until=retain_until,
            )
            if store.stat(sha256).bytes_at in counted:
                _make_its_own(store, sha256, size_bytes=size_bytes, read_back=read_back, source=source)
            if (bytes_at := store.stat(sha256).bytes_at) in counted:
                raise StoreError(f"store {name} has no copy of its own: its file is the one that another store counts")
            counted.add(bytes_at)
            done.copies.append(read_back_copy(parts, store, sha256))
            if name in resting:
                with parts.catalogue.begin() as uow:
                    uow.store_states.worked(name, parts.clock.now().wall)
        except (StoreError, DigestMismatchError) as error:
            if error.fatal:
                raise
            _log.warning("store %s has no copy of %s: %s", name, sha256, error.what)
            done.failed[name] = error
            if isinstance(error, StoreError):  # a hint for who catches up; what lacks is told by the copies themselves
                with parts.catalogue.begin() as uow:
                    uow.store_states.failed(name, parts.clock.now().wall, code=error.code, error=error.what)
    return done


def enough(parts: Parts, domains: Sequence[str]) -> bool:
    """Whether copies in these failure domains (one for each copy) suffice for a recording to count as stored.

    That many copies as are configured, in as many domains as are required, both as far as the configured stores allow.
    """
    taking = parts.stores.taking
    reachable = len({store.properties.domain for store in taking})
    return (
        bool(domains)
        and len(domains) >= min(parts.settings.copies, len(taking))
        and len(set(domains)) >= min(parts.settings.domains_required, reachable)
    )


def given_up(parts: Parts) -> frozenset[str]:
    """Stores whose copies count for nothing because copies were moved away from them, also by another process just now."""
    with parts.catalogue.read() as uow:
        return parts.stores.old | uow.moves.old()


def _resting(parts: Parts, stores: Sequence[BlobStore]) -> set[str]:
    """Stores that failed and are not due to be asked again: they are asked last, and only while copies are still too few."""
    now = parts.clock.now().wall
    with parts.catalogue.read() as uow:
        states = [uow.store_states.of(store.properties.name) for store in stores]
    return {state.store for state in states if state.rests(now)}


def _one(
    parts: Parts,
    store: BlobStore,
    sha256: Digest,
    *,
    size_bytes: int,
    read_back: Digest,
    source: Callable[[], BinaryIO],
    retain_until: datetime | None,
) -> None:
    if not store.exists(sha256):
        with source() as stream:
            store.put(stream, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
    elif retain_until is not None:
        store.extend_retention(sha256, retain_until)
    try:
        store.verify(sha256, read_back)
    except (DigestMismatchError, StoreError) as error:
        if error.fatal or isinstance(error, StoreUnavailableError):
            raise
        _refuse_if_held(parts, store, sha256, error)
        with source() as stream:
            store.repair(stream, sha256=sha256, size_bytes=size_bytes)
        store.verify(sha256, read_back)


def _make_its_own(
    store: BlobStore, sha256: Digest, *, size_bytes: int, read_back: Digest, source: Callable[[], BinaryIO]
) -> None:
    """Give a store a file of its own where it has another name of one that is counted already."""
    _log.warning(
        "store %s has only another name of a counted copy of %s; it gets its own", store.properties.name, sha256
    )
    with source() as stream:
        store.repair(stream, sha256=sha256, size_bytes=size_bytes)
    store.verify(sha256, read_back)


def read_back_copy(parts: Parts, store: BlobStore, sha256: Digest) -> Copy:
    """The facts of a copy that has just been read back and matched."""
    stat = store.stat(sha256)
    properties = store.properties
    return Copy(
        store=properties.name,
        domain=properties.domain,
        key=stat.key,
        version=stat.version,
        read_back_at=parts.clock.now().wall,
    )


def _refuse_if_held(parts: Parts, store: BlobStore, sha256: Digest, error: EvidenceError) -> None:
    """A copy that does not read back (or cannot be read) may be made again if nobody was ever told of it.

    A copy that an entry names is evidence of tampering or decay: the error is raised, and the repair, which keeps what is
    there, makes it good. A person is told either way.
    """
    name = store.properties.name
    with parts.catalogue.begin() as uow:
        held = uow.blobs.get(sha256) is not None
        if held:
            say_bad(parts, uow, sha256, name, error)
        else:
            raise_finding(parts, uow, "read-back-failed", store=name, detail=error.what, at=parts.clock.now())
    if held:
        raise error


def say_bad(parts: Parts, uow: UnitOfWork, sha256: Digest, store: str, error: EvidenceError) -> None:
    """Say in the running transaction that a kept copy was found bad: for the auditor, and for the repair, which looks for it."""
    at = parts.clock.now()
    kind = "copy-missing" if isinstance(error, BlobNotFoundError) else "copy-bad"
    blob = uow.blobs.get(sha256)
    uow.blobs.mark_bad(sha256, store, at.wall, kind)
    for recording in list(uow.blobs.recordings_of(blob)) if blob is not None else []:
        raise_finding(parts, uow, kind, recording=recording, store=store, detail=error.what, at=at)


def hold(
    uow: UnitOfWork, sha256: Digest, *, size_bytes: int, blake3: Digest | None, holder: str, copies: list[Copy]
) -> None:
    """Say in the running transaction who needs the bytes and where they are."""
    uow.blobs.add_holder(sha256, size_bytes, blake3, holder)
    for copy in copies:
        uow.blobs.put_copy(sha256, copy)


def as_facts(copies: list[Copy]) -> list[dict[str, str]]:
    """The form of copies in an entry."""
    return [
        {
            "store": copy.store,
            "domain": copy.domain,
            "key": copy.key,
            "version": copy.version,
            "read_back_at": to_text(copy.read_back_at) if copy.read_back_at else "",
        }
        for copy in copies
    ]
