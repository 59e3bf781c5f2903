"""From an acquired partial to a stored recording: copies, read-backs, manifest, and the entry that says so.

The order is the promise (invariant 2): bytes durable in every store -> each copy read back from its medium (what the first
one's medium gives is what the others get) -> manifest durable and read back likewise -> one transaction with entry, state and
copies. Nothing is said before it is true.

Crash, at any point: the step is run again. Adopting finds the blob where the partial was; putting finds the copy; a manifest
is the same bytes again; the transaction happened or it did not.

Bytes that were lawfully cleared before and come again are stored like any others, marked for a person and told of.

Also here: bytes that are kept already (important-mark twins, a file seen under two names) become names of the kept recording.
The spare bytes are dropped only after the kept copies were read back again.
"""

from __future__ import annotations

import contextlib
import io
import threading
from typing import BinaryIO

from catalogue import UnitOfWork
from catalogue.records import NameRow, RecordingRow
from evidence.clock import to_text
from evidence.digest import Digest, sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    ManifestInvalidError,
    StateConflictError,
    StoreError,
    StoreUnavailableError,
)
from evidence.events import RecordingDuplicate, RecordingStored
from evidence.ids import RecordingId
from evidence.model import RecordingState
from ingest import manifests
from ingest.acquire import say_interrupted
from ingest.claims import claim
from ingest.copies import Spread, as_facts, enough, given_up, hold, read_back_copy, say_bad, spread
from ingest.locking import first_date
from ingest.parts import Parts, quarantine, raise_finding
from ingest.states import HANDED_IN
from storage.reading import CHUNK_BYTES, ReadBack

_KEPT = frozenset({RecordingState.STORED, RecordingState.RELEASED})
#: Why a recording waits for a person, and the finding: its bytes were lawfully cleared before, and somebody docked them again.
CAME_BACK = "came-back-after-clearing"
#: One thread at a time per bytes (by digest): twins must not both become the kept one.
_LOCKS = tuple(threading.Lock() for _ in range(64))


def ensure_stored(parts: Parts, recording: RecordingId) -> RecordingRow:
    """Bring an acquired recording to ``stored`` (or ``duplicate``). Idempotent; does nothing in any other state.

    Returns:
        The row as it is now. ``stored`` means: every copy in its entry was read back and matched.

    Raises:
        StoreError: Too few stores took their copy; the row stays ``acquired`` and the step can be repeated.
        DigestMismatchError: A kept recording's copy does not read back; nothing was dropped, a finding is raised.
    """
    row = _get(parts, recording)
    if row.state in HANDED_IN:
        # If we crashed after the commit of a duplicate and before its bytes were dropped, they are dropped now.
        parts.stores.primary.discard_partial(parts.partial(row.id))
        return row
    if row.state is not RecordingState.ACQUIRED or row.sha256 is None:
        return row
    with _LOCKS[int(row.sha256.hex[:2], 16) % len(_LOCKS)]:
        row = _get(parts, recording)
        kept = _kept_before(parts, row) if row.size_bytes else None
        if row.state is not RecordingState.ACQUIRED:
            return row
        return _store(parts, row) if kept is None else _join(parts, row, kept)


def _get(parts: Parts, recording: RecordingId) -> RecordingRow:
    with parts.catalogue.read() as uow:
        return uow.recordings.get(recording)


def _kept_before(parts: Parts, row: RecordingRow) -> RecordingRow | None:
    """The stored recording with these very bytes. Empty files are all alike and say nothing of each other."""
    if row.sha256 is None:
        return None
    with parts.catalogue.read() as uow:
        return next(
            (kept for kept in uow.recordings.kept_with(row.sha256) if kept.id != row.id and _keeps(uow, kept)), None
        )


def _keeps(uow: UnitOfWork, row: RecordingRow) -> bool:
    """Whether a recording still has its bytes: those that were lawfully removed, or go, and come back are stored anew."""
    return (
        row.state in _KEPT and row.sha256 is not None and uow.references.holds_bytes(row.sha256, f"recording:{row.id}")
        and uow.rules.of(row.id).disposing_at is None
    )  # fmt: skip


def _cleared_before(uow: UnitOfWork, row: RecordingRow) -> RecordingId | None:
    """A recording with these very bytes that was lawfully cleared, or is being cleared. Empty files say nothing of each other."""
    if not row.size_bytes or row.sha256 is None:
        return None
    for kept in uow.recordings.kept_with(row.sha256):
        if kept.id != row.id and uow.rules.of(kept.id).disposing_at is not None:
            return kept.id
    return None


# --- the ordinary way -------------------------------------------------------------------------------------------------
def _store(parts: Parts, row: RecordingRow) -> RecordingRow:
    sha256, read_back = _digests(row)
    claim(parts, sha256)
    try:
        _adopt(parts, row, sha256)
        copies = _copy_everywhere(parts, row, sha256, read_back)
    except (BlobNotFoundError, DigestMismatchError) as error:
        return _read_again(parts, row, error)
    _require_enough(parts, copies)
    with parts.catalogue.read() as uow:
        manifest = manifests.build(uow, row)
    manifest_copies = spread(
        parts,
        sha256_of(manifest),
        size_bytes=len(manifest),
        read_back=sha256_of(manifest),
        source=lambda: io.BytesIO(manifest),
        stores=parts.stores.taking,
        retain_until=first_date(parts, row),
    )
    _require_enough(parts, manifest_copies)
    return _say_stored(
        parts,
        row,
        copies,
        manifest=sha256_of(manifest),
        manifest_bytes=len(manifest),
        manifest_copies=manifest_copies,
    )


def _copy_everywhere(parts: Parts, row: RecordingRow, sha256: Digest, read_back: Digest) -> Spread:
    """Read the first copy back, and let the other stores have what its medium gave: one pass instead of two.

    Raises:
        DigestMismatchError, BlobNotFoundError: The first copy is no good; the others have taken nothing from it.
    """
    primary = parts.stores.primary
    passes: list[ReadBack] = []

    def from_medium() -> BinaryIO:
        passes.append(primary.reading_back(sha256, read_back))
        return io.BufferedReader(passes[-1], CHUNK_BYTES)

    copies = spread(
        parts,
        sha256,
        size_bytes=row.size_bytes,
        read_back=read_back,
        source=from_medium,
        stores=parts.stores.others,
        beside=primary.stat(sha256).bytes_at,
        retain_until=(locked := first_date(parts, row)),
    )
    if not any(read.matched for read in passes):  # no store needed the bytes, or none read them to their end
        primary.verify(sha256, read_back)
    primary.extend_retention(sha256, locked)  # only now: bytes that do not read back must be able to go
    copies.copies.insert(0, read_back_copy(parts, primary, sha256))
    return copies


def _adopt(parts: Parts, row: RecordingRow, sha256: Digest) -> None:
    primary, partial = parts.stores.primary, parts.partial(row.id)
    try:
        primary.adopt(partial, sha256=sha256, size_bytes=row.size_bytes)
    except BlobConflictError as error:
        # Damaged bytes stand under our digest. Nobody's: they go, ours come. Somebody's: a person must look, ours wait.
        if _is_held(parts, sha256) or not _gone(parts, sha256):
            with parts.catalogue.begin() as uow:
                say_bad(parts, uow, sha256, primary.properties.name, error)
            raise
        primary.adopt(partial, sha256=sha256, size_bytes=row.size_bytes)


def _gone(parts: Parts, sha256: Digest) -> bool:
    """Remove bytes that nobody was ever told of; False where they are locked already (a crash just before they were told of)."""
    try:
        parts.stores.primary.delete(sha256, now=parts.clock.now().wall)
    except BlobLockedError:
        return False
    return True


def _is_held(parts: Parts, sha256: Digest) -> bool:
    with parts.catalogue.read() as uow:
        return uow.blobs.get(sha256) is not None


def _digests(row: RecordingRow) -> tuple[Digest, Digest]:
    if row.sha256 is None:
        raise ManifestInvalidError(f"{row.id} has no digest")
    return row.sha256, row.blake3 or row.sha256


def _require_enough(parts: Parts, done: Spread) -> None:
    if not enough(parts, [copy.domain for copy in done.copies]):
        raise next(iter(done.failed.values()), StoreError("no store took a copy"))


def _say_stored(
    parts: Parts,
    row: RecordingRow,
    copies: Spread,
    *,
    manifest: Digest,
    manifest_bytes: int,
    manifest_copies: Spread,
) -> RecordingRow:
    sha256, _ = _digests(row)
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        now = uow.recordings.lock(row.id)
        if now.state is not RecordingState.ACQUIRED:  # another process was faster; its entry stands
            return now
        if row.size_bytes and any(_keeps(uow, kept) for kept in uow.recordings.kept_with(sha256)):
            raise StateConflictError(f"the bytes of {row.id} were stored meanwhile; it joins them at the next run")
        hold(
            uow,
            sha256,
            size_bytes=row.size_bytes,
            blake3=row.blake3,
            holder=f"recording:{row.id}",
            copies=copies.copies,
        )
        hold(
            uow, manifest, size_bytes=manifest_bytes, blake3=None, holder=f"manifest:{row.id}",
            copies=manifest_copies.copies,
        )  # fmt: skip
        event = RecordingStored(
            recording=row.id,
            sha256=sha256.hex,
            size_bytes=row.size_bytes,
            manifest_sha256=manifest.hex,
            copies=as_facts(copies.copies),
            manifest_copies=as_facts(manifest_copies.copies),
            at=to_text(at.wall),
        )
        entry = parts.enter(uow, event, at=at)
        for store, error in {**copies.failed, **manifest_copies.failed}.items():
            raise_finding(parts, uow, "copy-behind", recording=row.id, store=store, detail=error.what, at=at)
        if cleared := _cleared_before(
            uow, now
        ):  # kept safe and marked: what it means is a person's to judge (promise 5)
            detail = f"the same bytes were lawfully cleared as {cleared}"
            quarantine(parts, uow, now, CAME_BACK, detail=detail, at=at)
            raise_finding(parts, uow, CAME_BACK, recording=row.id, detail=detail, at=at)
        return uow.recordings.change_state(
            row.id,
            expect={RecordingState.ACQUIRED},
            to=RecordingState.STORED,
            stored_at=at.wall,
            stored_entry=entry,
            manifest_sha256=manifest.hex,
        )


# --- our bytes cannot be used -----------------------------------------------------------------------------------------
def _read_again(parts: Parts, row: RecordingRow, error: EvidenceError) -> RecordingRow:
    """Our first copy is gone or wrong before it was ever said to be stored: the recorder still has the file.

    The bad bytes stay in the store when anyone else holds them; a finding names them either way.
    """
    sha256, _ = _digests(row)
    reason = "bytes-lost" if isinstance(error, BlobNotFoundError) else "read-back-failed"
    with parts.catalogue.begin() as uow:
        primary = parts.stores.primary.properties.name
        raise_finding(parts, uow, reason, recording=row.id, store=primary, detail=error.what, at=parts.clock.now())
    if isinstance(error, DigestMismatchError) and not _is_held(parts, sha256):
        # If we crash after this the row is still ``acquired``: the next run finds neither partial nor blob, and comes here.
        with contextlib.suppress(BlobNotFoundError):
            _gone(parts, sha256)
    parts.stores.primary.discard_partial(parts.partial(row.id))
    return say_interrupted(parts, row, at_byte=0, reason=reason, offload=row.offload)


# --- bytes that are kept already --------------------------------------------------------------------------------------
def _join(parts: Parts, row: RecordingRow, kept: RecordingRow) -> RecordingRow:
    _require_kept_copies(parts, kept)
    with parts.catalogue.begin() as uow:
        duplicate = _say_duplicate(parts, uow, row, kept.id)
    parts.stores.primary.discard_partial(parts.partial(row.id))
    return duplicate


def _require_kept_copies(parts: Parts, kept: RecordingRow) -> None:
    sha256, read_back = _digests(kept)
    with parts.catalogue.read() as uow:
        blob = uow.blobs.get(sha256)
    good: set[str] = set()
    old = given_up(parts)
    for copy in blob.copies if blob else ():
        if copy.store in old:
            continue
        try:
            store = parts.stores.named(copy.store)
            store.verify(sha256, read_back)
            good.add(store.stat(sha256).bytes_at)  # one file under two stores is one copy
        except (DigestMismatchError, BlobNotFoundError) as error:
            with parts.catalogue.begin() as uow:
                say_bad(parts, uow, sha256, copy.store, error)
            raise
        except StoreUnavailableError:
            continue  # nothing is known of that copy: it does not count
    if len(good) < min(parts.settings.copies, len(parts.stores.taking)):
        raise StoreError(f"{kept.id} has {len(good)} copies, too few to drop the same bytes elsewhere")


def _say_duplicate(parts: Parts, uow: UnitOfWork, row: RecordingRow, kept: RecordingId) -> RecordingRow:
    at = parts.clock.now()
    first = uow.recordings.lock(kept)
    if row.sha256 is not None:
        uow.references.require_staying(row.sha256)
    if not _keeps(uow, first) or uow.recordings.lock(row.id).state is not RecordingState.ACQUIRED:
        raise StateConflictError(f"{row.id} cannot join {kept}: one of them changed meanwhile")
    uow.recordings.add_name(
        NameRow(
            recording=kept,
            name=row.name,
            path=row.source.path,
            offload=row.offload,
            seen_at=row.discovered_at,
            important=row.important,
        )
    )
    if row.important and not first.important:
        uow.recordings.update(kept, important=True)
        if first.sha256 is not None:
            uow.copy_locks.look_again(first.sha256)  # kept without an end from now on
    event = RecordingDuplicate(
        recording=row.id,
        sha256=row.sha256.hex if row.sha256 else "",
        of=kept,
        at=to_text(at.wall),
        important=row.important,
        name=row.name,
        path=row.source.path,
    )
    parts.enter(uow, event, at=at)
    return uow.recordings.change_state(
        row.id, expect={RecordingState.ACQUIRED}, to=RecordingState.DUPLICATE, duplicate_of=kept
    )
