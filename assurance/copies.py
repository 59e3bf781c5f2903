"""Copies of bytes that are kept already: a sound one is read from its medium, a new one is made from it and read back, and said.

Used by whatever makes copies after a recording was stored: catching up, repair. Bytes that do not match their digest never leave
their store: the source is compared while it is read, and the receiving store compares what it is given.

Source: docs/invariants.md 2, 3; docs/formats/store.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from assurance.findings import FindingBook
from catalogue import Catalogue, UnitOfWork
from catalogue.records import BlobRow
from evidence.clock import Clock, TimeReading, to_text
from evidence.digest import SHA256, Digest
from evidence.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    StoreError,
    StoreUnavailableError,
)
from evidence.events import CopyMade
from evidence.ids import RecordingId
from evidence.lock_dates import NO_DATE, LockPolicy, believed_now, lock_until
from evidence.model import Copy
from evidence.ports import BlobStore, CustodyRecorder
from storage.reading import CHUNK_BYTES
from storage.stores import inner_of

#: How a copy was found. Bad, missing and unreadable ones are made good from another; nothing is known of an absent one.
GOOD: Final = "good"
BAD: Final = "bad"
MISSING: Final = "missing"
UNREADABLE: Final = "unreadable"
ABSENT: Final = "absent"
#: For so long nobody removes bytes of which a copy is being made, and longer by what it takes at the slowest line.
_CLAIMED: Final = timedelta(hours=6)
_SLOWEST_BYTES_S: Final = 64 << 10


def _nobody() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingParts:
    """What keeping works with.

    Attributes:
        catalogue: Where rows and entries are committed together.
        recorder: Signs entries.
        clock: The time.
        stores: Every store of the home, the primary first; each speaks of plain bytes.
        wake_sealer: Called after every commit that added an entry.
        old: Tells which stores were moved away from: they are read and mended, but get nothing new.
        cold: The store that gets copies of long-term footage only; empty where there is none.
        locks: How far locks reach.
    """

    catalogue: Catalogue
    recorder: CustodyRecorder
    clock: Clock
    stores: Sequence[BlobStore]
    wake_sealer: Callable[[], None] = _nobody
    old: Callable[[], Collection[str]] = frozenset
    cold: str = ""
    locks: LockPolicy = LockPolicy()

    @property
    def book(self) -> FindingBook:
        """Raises and closes findings."""
        return FindingBook(self.catalogue, recorder=self.recorder, clock=self.clock)

    @property
    def taking(self) -> list[BlobStore]:
        """Stores that are to have a copy of everything."""
        aside = {*self.old(), self.cold}
        return [store for store in self.stores if store.properties.name not in aside]

    def store(self, name: str) -> BlobStore | None:
        """The store of that name; None where this home has none (any more)."""
        return next((store for store in self.stores if store.properties.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLook:
    """How one copy was found when it was read from its medium.

    Attributes:
        store: Where it lies.
        outcome: ``good``, ``bad`` (other bytes), ``missing``, ``unreadable`` (the medium gives nothing), ``absent`` (its store
            does not answer: nothing is known of the copy).
        found: Digest that was read (``sha256:<hex>``), empty where none was.
        detail: What happened, in words.
    """

    store: str
    outcome: str
    found: str = ""
    detail: str = ""

    @property
    def damaged(self) -> bool:
        """Whether this copy has to be made again."""
        return self.outcome in {BAD, MISSING, UNREADABLE}


def claim_until(parts: KeepingParts, size_bytes: int) -> datetime:
    """Until when bytes of that size are claimed while a copy of them is made, now."""
    return parts.clock.now().wall + _CLAIMED + timedelta(seconds=size_bytes // _SLOWEST_BYTES_S)


def look(store: BlobStore | None, name: str, sha256: Digest) -> CopyLook:
    """Read one copy from its medium. A medium that fails is asked twice: one hiccup is no loss.

    Raises:
        EvidenceError: A fatal one only.
    """
    if store is None:
        return CopyLook(store=name, outcome=ABSENT, detail=f"no store is called {name} here")
    found = _read(store, name, sha256)
    return _read(store, name, sha256) if found.outcome in {UNREADABLE, ABSENT} else found


def _read(store: BlobStore, name: str, sha256: Digest) -> CopyLook:
    try:
        store.verify(sha256, sha256)
    except DigestMismatchError as error:
        return CopyLook(store=name, outcome=BAD, found=error.found or _there(store, sha256), detail=error.what)
    except EvidenceError as error:
        if error.fatal:
            raise
        return CopyLook(store=name, outcome=outcome_of(error), detail=error.what)
    return CopyLook(store=name, outcome=GOOD, found=str(sha256))


def _there(store: BlobStore, sha256: Digest) -> str:
    """Digest of what lies in the place of an object whose plain bytes cannot be read (its ciphertext); empty if nothing can."""
    hasher = hashlib.sha256()
    try:
        kept_as = Digest(SHA256, store.stat(sha256).key.rpartition("/")[2])
        with inner_of(store).open(kept_as) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                hasher.update(chunk)
    except EvidenceError:
        return ""
    return f"{SHA256}:{hasher.hexdigest()}"


def outcome_of(error: EvidenceError) -> str:
    """What the error that a read ended in says of the copy."""
    match error:
        case BlobNotFoundError():
            return MISSING
        case IntegrityError():
            return BAD
        case StoreUnavailableError():
            return ABSENT
        case StoreError():
            return UNREADABLE
        case _:
            return ABSENT  # a key that cannot be opened, a database that does not answer: nothing is known of the copy


@contextlib.contextmanager
def from_medium(store: BlobStore, blob: BlobRow) -> Iterator[BinaryIO]:
    """The bytes of a copy as its medium gives them, compared while they are read.

    Raises:
        DigestMismatchError: At the end of the stream, when they are not the blob. BlobNotFoundError, StoreError.
    """
    reading_back = getattr(store, "reading_back", None)
    if reading_back is None:  # a bucket: what it delivers is compared by the store that receives it
        stream: BinaryIO = store.open(blob.sha256)
    else:
        stream = io.BufferedReader(reading_back(blob.sha256, blob.blake3 or blob.sha256), CHUNK_BYTES)
    with stream:
        yield stream


def first_lock(parts: KeepingParts, sha256: Digest) -> datetime:
    """Until when a copy that is made now is locked at first, as the renewal would have it: never past the lawful due date.

    Returns:
        A date to come; ``NO_DATE`` while our clock is not believed, and for footage that is past its date (``ingest.locking``).
    """
    with parts.catalogue.read() as uow:
        now = believed_now(parts.clock.now(), uow.clock_marks.highest())
        facts = uow.copy_locks.facts_of([sha256])[sha256]
    return NO_DATE if now is None else lock_until(facts, now, parts.locks).until or NO_DATE


def carry_holds(parts: KeepingParts, store: BlobStore, sha256: Digest) -> None:
    """Hold a copy that was made now as the catalogue says; a hold that stands there already is set again, which is harmless.

    Raises:
        StoreError: The store does not take a hold.
    """
    with parts.catalogue.read() as uow:
        holds = uow.references.holds(sha256)
    for reference in holds:
        store.set_hold(sha256, reference=reference)


def copy_facts(store: BlobStore, sha256: Digest, at: TimeReading) -> Copy:
    """The facts of a copy that has just been read back and matched."""
    properties = store.properties
    stat = store.stat(sha256)
    return Copy(
        store=properties.name, domain=properties.domain, key=stat.key, version=stat.version, read_back_at=at.wall
    )  # fmt: skip


def say_copy(
    parts: KeepingParts, uow: UnitOfWork, blob: BlobRow, copy: Copy, *, reason: str, at: TimeReading, actor: str = ""
) -> None:
    """Say in the running transaction that a copy was made and read back.

    Its row, and an entry for each recording that it serves; one entry for bytes that belong to documents only.
    """
    uow.blobs.put_copy(blob.sha256, copy)
    fact = {
        "store": copy.store, "domain": copy.domain, "key": copy.key, "version": copy.version,
        "read_back_at": to_text(copy.read_back_at) if copy.read_back_at else "",
    }  # fmt: skip
    served: dict[str, str] = {}
    for recording in uow.blobs.recordings_of(blob):
        own = uow.recordings.get(recording).sha256
        served[recording] = own.hex if own is not None else ""
    for recording_or_none, sha256 in (served or {"": ""}).items():  # a document belongs to no recording
        event = CopyMade(
            actor=actor, recording=recording_or_none, sha256=sha256, blob_sha256=blob.sha256.hex, copies=[fact],
            reason=reason, at=to_text(at.wall),
        )  # fmt: skip
        parts.recorder.record(uow.outbox, event, at=at)
    uow.after_commit(parts.wake_sealer)


def bytes_of(uow: UnitOfWork, recording: RecordingId) -> list[BlobRow]:
    """Every blob a recording holds: its own bytes, its manifest, its derivatives."""
    row = uow.recordings.get(recording)
    digests = [row.sha256, Digest(SHA256, row.manifest_sha256) if row.manifest_sha256 else None]
    digests += [derivative.sha256 for derivative in uow.derivatives.of(recording)]
    blobs = [uow.blobs.get(digest) for digest in dict.fromkeys(digests) if digest is not None]
    return [blob for blob in blobs if blob is not None]
