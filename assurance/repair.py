"""Repair: every copy of some bytes is read from its medium, and what is bad, missing or unreadable is made again from a good one.

Order: look at all copies | say what was found, with the digests (finding, entry) | put good bytes in the place of the bad ones,
which are set aside and kept | read the new copy back | one transaction: row, ``copy.made``, the findings closed, and a lasting
finding for the auditor. A bad copy is never read for another; where none is good nothing is touched, and a finding says so.

Crash, at any point: the finding stands or the copy is still marked; the repair is run again and finds what is left to do. Two
repairs of the same bytes take turns in one process; in two processes the second one finds a sound copy.

Source: docs/invariants.md 2, 4, 7; docs/formats/store.md "Repair"; docs/runbooks/bad-copy.md.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from assurance.copies import (
    GOOD,
    MISSING,
    CopyLook,
    KeepingParts,
    bytes_of,
    carry_holds,
    claim_until,
    copy_facts,
    first_lock,
    from_medium,
    look,
    say_copy,
)
from catalogue import UnitOfWork
from catalogue.records import BlobRow, FindingRow
from catalogue.references import BytesGoError
from evidence.clock import TimeReading
from evidence.digest import Digest
from evidence.errors import DigestMismatchError, EvidenceError, NotFoundError
from evidence.ids import RecordingId
from evidence.ports import BlobStore

_log = logging.getLogger(__name__)

COPY_BAD: Final = "copy-bad"
COPY_DAMAGED: Final = "copy-damaged"
COPY_MISSING: Final = "copy-missing"
COPY_BEHIND: Final = "copy-behind"
ALL_BAD: Final = "all-copies-bad"
REPAIRED: Final = "copy-repaired"
SOUND_AGAIN: Final = "copy-sound-again"
#: Open findings that a repair may settle.
MENDABLE: Final = frozenset({COPY_BAD, COPY_DAMAGED, COPY_MISSING, COPY_BEHIND, ALL_BAD})
_AS_REPAIR: Final = "repair"
#: One at a time per bytes in this process.
_LOCKS: Final = tuple(threading.Lock() for _ in range(64))


class Mended(StrEnum):
    """How a repair ended."""

    SOUND = "sound"
    REPAIRED = "repaired"
    WAITING = "waiting"
    LOST = "lost"


@dataclass(slots=True, kw_only=True)
class Repair:
    """What a repair found and did.

    Attributes:
        sha256: The bytes.
        looks: How every copy was found, before anything was done.
        repaired: Stores whose copy was made again and read back.
        failed: Store name -> why its copy could not be made again now; it is tried later.
    """

    sha256: Digest
    looks: Sequence[CopyLook]
    repaired: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> Mended:
        """How it ended.

        ``sound``: every copy is good. ``repaired``: every copy is good now. ``waiting``: a copy is not, or could not be looked
        at; call again. ``lost``: every copy was read and none is good; a person must act.
        """
        damaged = [one.store for one in self.looks if one.damaged]
        if self.looks and len(damaged) == len(self.looks):
            return Mended.LOST
        if any(one.outcome != GOOD and one.store not in self.repaired for one in self.looks):
            return Mended.WAITING
        return Mended.REPAIRED if self.repaired else Mended.SOUND


def repair_blob(parts: KeepingParts, sha256: Digest, *, actor: str = "") -> Repair:
    """Look at every copy that the catalogue knows of some bytes, and make good what is not. Idempotent.

    What is found is said before anything is changed: ``copy-bad`` or ``copy-missing`` with what is there and what should be,
    ``all-copies-bad`` where no copy is good. What was repaired leaves ``copy-repaired``, which a person closes; a copy that reads
    good although a finding was open leaves ``copy-sound-again``.

    Args:
        parts: Catalogue, recorder, stores.
        sha256: Which bytes.
        actor: Identity of the person who asked; empty for the service itself.

    Returns:
        What was found and done. On ``repaired`` every copy was read back from its medium and entered.

    Raises:
        NotFoundError: The catalogue knows no copy of such bytes.
        CatalogueError: The database does not answer. EvidenceError: a fatal one; the process must stop.
    """
    with _LOCKS[int(sha256.hex[:2], 16) % len(_LOCKS)]:
        with parts.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        if blob is None or not blob.copies:
            raise NotFoundError(f"no copy of {sha256} is known")
        found = Repair(sha256=sha256, looks=[look(parts.store(copy.store), copy.store, sha256) for copy in blob.copies])
        _say_found(parts, sha256, found, actor)
        if found.outcome is not Mended.LOST and _claimed(parts, blob):
            for one in found.looks:
                if one.damaged:
                    _mend(parts, blob, found, one, actor)
            _settle_read(parts, blob, [one.store for one in found.looks if one.outcome == GOOD] + found.repaired, actor)
        return found


def _claimed(parts: KeepingParts, blob: BlobRow) -> bool:
    """Whether nobody removes the bytes below our hands; False when they are going already."""
    try:
        with parts.catalogue.begin() as uow:
            uow.references.claim(blob.sha256, until=claim_until(parts, blob.size_bytes))
    except BytesGoError:
        return False
    return True


# --- saying what was found --------------------------------------------------------------------------------------------
def _say_found(parts: KeepingParts, sha256: Digest, found: Repair, actor: str) -> None:
    """Say how the copies were found. One that was removed on purpose while they were read is no loss: nothing is said of it.

    Raises:
        NotFoundError: All of them were.
    """
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        blob = uow.blobs.get(sha256)
        known = {copy.store for copy in blob.copies} if blob is not None else set()
        found.looks = [one for one in found.looks if one.store in known]
        if blob is None or not found.looks:
            raise NotFoundError(f"{sha256} was removed on purpose while its copies were read")
        recordings: dict[RecordingId | None, str] = dict(uow.blobs.recordings_of(blob).items()) or {None: "bytes"}
        for one in found.looks:
            if one.outcome == GOOD:
                _mark_good(uow, blob, one.store, at)
            elif one.damaged:
                kind = COPY_MISSING if one.outcome == MISSING else COPY_BAD
                uow.blobs.mark_bad(blob.sha256, one.store, at.wall, kind)
                for recording, part in recordings.items():
                    detail = f"{part} {_told(blob, one, found)}"
                    parts.book.raise_in(
                        uow, kind, recording=recording, store=one.store, detail=detail, actor=actor
                    )  # fmt: skip
        if found.outcome is Mended.LOST:
            for recording, part in recordings.items():
                detail = f"{part} {'; '.join(_told(blob, one, found) for one in found.looks)}"
                parts.book.raise_in(
                    uow, ALL_BAD, recording=recording, detail=f"{detail}. {_WHAT_TO_DO}", actor=actor
                )  # fmt: skip
        uow.after_commit(parts.wake_sealer)


def _mark_good(uow: UnitOfWork, blob: BlobRow, store: str, at: TimeReading) -> None:
    with contextlib.suppress(NotFoundError):  # removed on purpose meanwhile
        uow.blobs.mark_checked(blob.sha256, store, at.wall)


_WHAT_TO_DO: Final = (
    "Nothing was touched. Take no disk away and close nothing: another copy may be on a backup, a disk that was taken out, or "
    "still on the recorder. Put it back as docs/runbooks/bad-copy.md tells; the repair goes on by itself."
)


def _told(blob: BlobRow, one: CopyLook, found: Repair) -> str:
    good = ", ".join(other.store for other in found.looks if other.outcome == GOOD)
    there = f"reads {one.found} ({one.detail})" if one.found else f"is {one.outcome} ({one.detail})"
    return f"in {one.store} {there}, should be {blob.sha256}" + (f", which {good} gives" if good else "")


# --- mending ----------------------------------------------------------------------------------------------------------
def _mend(parts: KeepingParts, blob: BlobRow, found: Repair, bad: CopyLook, actor: str) -> None:
    """Make one copy again from a good one and say so; why not, where it cannot be done now."""
    target = parts.store(bad.store)
    if target is None:  # only a store that answered has a damaged copy
        return
    before = _places(target, blob)
    try:
        source, replaced = _replace(parts, blob, found, target)
        target.verify(blob.sha256, blob.sha256)
        carry_holds(parts, target, blob.sha256)
        at = parts.clock.now()
        copy = copy_facts(target, blob.sha256, at)
    except EvidenceError as error:
        if error.fatal:
            raise
        _log.warning("store %s: the copy of %s cannot be made again now: %s", bad.store, blob.sha256, error.what)
        found.failed[bad.store] = error.what
        return
    if not replaced:  # another process was faster, or the medium gave it after all
        with parts.catalogue.begin() as uow:
            _mark_good(uow, blob, bad.store, at)
        found.repaired.append(bad.store)
        return
    now_there = _places(target, blob)
    kept = sorted(before - now_there if target.properties.versions else now_there - before) or ["nothing was there"]
    detail = f"{_told(blob, bad, found)}; made again from {source} and read back; the damaged bytes: {', '.join(kept)}"
    over = settled(parts, blob, [bad.store])
    with parts.catalogue.begin() as uow:
        now = uow.blobs.get(blob.sha256)
        if now is None or not now.holders:
            return  # released meanwhile: whoever removes bytes looks at every store
        say_copy(parts, uow, now, copy, reason=_AS_REPAIR, at=at, actor=actor)
        close_settled(parts, uow, over, reason="repaired", actor=actor)
        concerned: dict[RecordingId | None, str] = dict(uow.blobs.recordings_of(now).items()) or {None: "bytes"}
        for recording, part in concerned.items():
            earlier = uow.findings.open_one(REPAIRED, recording=recording, store=bad.store)
            told = f"{part} {detail}" + (f"; before that: {earlier.detail}" if earlier else "")
            parts.book.close_in(uow, REPAIRED, recording=recording, store=bad.store, reason="told-anew", actor=actor)
            parts.book.raise_in(uow, REPAIRED, recording=recording, store=bad.store, detail=told, actor=actor)
    found.repaired.append(bad.store)


def _replace(parts: KeepingParts, blob: BlobRow, found: Repair, target: BlobStore) -> tuple[str, bool]:
    """Put good bytes in their place: which store gave them, and whether a copy had to be made.

    The target compares what it is given, and changes nothing if that is not the blob.
    """
    why: EvidenceError = NotFoundError("no good copy could be read")
    until = first_lock(parts, blob.sha256)
    for one in found.looks:
        source = parts.store(one.store)
        if one.outcome != GOOD or source is None:
            continue
        try:
            with from_medium(source, blob) as stream:
                receipt = target.repair(stream, sha256=blob.sha256, size_bytes=blob.size_bytes, retain_until=until)
        except DigestMismatchError as error:  # it was good a moment ago: the next look finds what became of it
            why = error
            continue
        return one.store, receipt.created
    raise why


def _places(store: BlobStore, blob: BlobRow) -> set[str]:
    """Where damaged bytes of this blob are kept (a store of files), or the version that is read now (a bucket), in words."""
    key = next((copy.key for copy in blob.copies if copy.store == store.properties.name), "")
    if not store.properties.versions:
        folder = Path(store.properties.location) / "damaged"
        return {f"damaged/{path.name}" for path in folder.glob(f"{key.rpartition('/')[2] or blob.sha256.hex}.*")}
    try:
        return {f"version {store.stat(blob.sha256).version} of {key}"}
    except EvidenceError:
        return set()


# --- closing what is settled ------------------------------------------------------------------------------------------
def settled(parts: KeepingParts, blob: BlobRow, good: Collection[str]) -> list[FindingRow]:
    """Open findings about copies that no longer hold, given that these bytes are good in these stores now.

    A finding speaks of a recording in a store: it is over when everything that recording has there was read since and is good,
    and nothing of it lacks there (``copy-missing``, ``copy-behind``). What was not read since is read here, in no transaction.

    Args:
        parts: Catalogue, recorder, stores.
        blob: Some bytes.
        good: Stores whose copy of them was read back just now, whatever the catalogue says of it so far.
    """
    with parts.catalogue.read() as uow:
        found = uow.findings.open_of(list(uow.blobs.recordings_of(blob)), MENDABLE)
        if any(holder.startswith("document:") for holder in blob.holders):
            found += uow.findings.open_of_documents(MENDABLE)
    return [row for row in found if (row.store in good or not row.store) and _is_over(parts, row, blob.sha256, good)]


def close_settled(
    parts: KeepingParts, uow: UnitOfWork, over: Sequence[FindingRow], *, reason: str, actor: str = ""
) -> list[FindingRow]:
    """Close findings in the running transaction, each with its entry; returns those that were still open."""
    return [
        row for row in over
        if parts.book.close_in(uow, row.kind, recording=row.recording, store=row.store, reason=reason, actor=actor)
    ]  # fmt: skip


def _settle_read(parts: KeepingParts, blob: BlobRow, good: Collection[str], actor: str) -> None:
    """Close what the look itself has settled: copies that read good although a finding is open. An auditor is told so."""
    over = settled(parts, blob, good)
    if not over:
        return
    with parts.catalogue.begin() as uow:
        for row in close_settled(parts, uow, over, reason="read-back", actor=actor):
            if row.kind in {COPY_BAD, COPY_DAMAGED, COPY_MISSING}:
                detail = f"it reads good again without a repair of ours. Before: {row.detail}"
                parts.book.raise_in(
                    uow, SOUND_AGAIN, recording=row.recording, store=row.store, detail=detail, actor=actor
                )  # fmt: skip
        uow.after_commit(parts.wake_sealer)


def _is_over(parts: KeepingParts, finding: FindingRow, sha256: Digest, good: Collection[str]) -> bool:
    """Whether all the recording has in that store (in every store, where none is named) is good now, read where needed."""
    if finding.recording is None:  # bytes of documents: each finding speaks of all of them in that store
        with parts.catalogue.read() as uow:
            return not _still_bad(uow, finding.store, sha256, good)
    with parts.catalogue.read() as uow:
        everything = [(blob, uow.blobs.checks(blob.sha256)) for blob in bytes_of(uow, finding.recording)]
    for blob, checks in everything:
        made = set(good) if blob.sha256 == sha256 else set()
        names = [name for name in {*checks, *made} if finding.store in {name, ""}]
        if not names and finding.kind in {COPY_MISSING, COPY_BEHIND}:
            return False
        unread = [name for name in names if name not in made]
        if any(checks[name].outcome for name in unread):
            return False
        if not all(_good_since(parts, blob, name, checks[name].at, finding.raised_at) for name in unread):
            return False
    return True


def _still_bad(uow: UnitOfWork, store: str, sha256: Digest, good: Collection[str]) -> bool:
    """Whether any document's copy in a store was bad when it was last read; what was read good just now counts as good."""
    own = [name for name, check in uow.blobs.checks(sha256).items() if store in {name, ""} and check.outcome]
    return any(name not in good for name in own) or uow.blobs.bad_documents(store, besides=sha256)


def _good_since(parts: KeepingParts, blob: BlobRow, name: str, checked_at: datetime | None, since: datetime) -> bool:
    if checked_at is not None and checked_at >= since:
        return True
    if look(parts.store(name), name, blob.sha256).outcome != GOOD:
        return False
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        _mark_good(uow, blob, name, at)
    return True
