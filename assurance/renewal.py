"""Renewing the locks of copies, so that none lapses while footage is to be kept. Nothing is ever unlocked or removed here.

Every copy is looked at within a week of the last look, one that just came at once: what date its bytes are to have is computed
from what is known of them now; only where that is later than the lock that is known, and half of the lock is over, the store is
asked. What it says afterwards is what is remembered: a store that accepts a date and does not keep it is a failure.

A store whose bytes are to be removed because it is given up is left alone: its locks would never lapse else.

A clock that contradicts what this home has seen renews nothing (promise 9); the alarm about a stalled renewal comes by itself.

Crash: a date may have been moved in the store and not be remembered; the next look finds it there, and asks for nothing.

Source: RULES R10, R11, R13; docs/formats/store.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from assurance.findings import FindingBook
from catalogue import Catalogue
from catalogue.copy_locks import CopyLockRow
from evidence.clock import Clock, to_text
from evidence.digest import Digest
from evidence.errors import EvidenceError, StoreError, StoreUnavailableError
from evidence.events import LocksRenewed
from evidence.lock_dates import (
    LOOK_WITHIN,
    LockFacts,
    LockPolicy,
    believed_now,
    lock_until,
    look_again_at,
    needs_renewal,
)
from evidence.ports import BlobStore, CustodyRecorder

_log = logging.getLogger(__name__)
NOT_RENEWED: Final = "lock-not-renewed"
#: Copies between two commits: what a crash makes look again.
BATCH: Final = 200
_HURRIED: Final = 5_000
#: One slice of the duty.
SLICE: Final = timedelta(seconds=45)
#: A copy whose lock could not be moved is tried again after this time; the others are not kept waiting.
_AGAIN: Final = timedelta(hours=1)
#: After so many copies about which a store does not answer it counts as away. Not after one: some servers show a bad object so.
_SILENT_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalParts:
    """What the duty works with."""

    catalogue: Catalogue
    recorder: CustodyRecorder
    clock: Clock
    stores: Sequence[BlobStore]
    policy: LockPolicy


@dataclass(slots=True)
class Renewed:
    """What one slice did in one store; ``complete``: nothing is due any more."""

    renewed: int = 0
    failed: int = 0
    looked: int = 0
    complete: bool = False
    soonest: datetime | None = None


@dataclass(slots=True)
class _Batch:
    rows: list[CopyLockRow] = field(default_factory=list)
    renewed: int = 0
    failures: list[tuple[Digest, EvidenceError]] = field(default_factory=list)
    away: EvidenceError | None = None

    def failed(self, row: CopyLockRow, error: EvidenceError, now: datetime) -> None:
        """One copy's lock could not be moved; it is tried again, and keeps no other waiting."""
        self.failures.append((row.sha256, error))
        self.rows.append(_row(row, row.until, now, now + _AGAIN, last=row.last))


def renew_locks(parts: RenewalParts, *, book: FindingBook, slice_: timedelta = SLICE) -> dict[str, Renewed]:
    """Do a slice of the work in every store.

    Args:
        parts: The home's parts.
        book: Where what could not be renewed is told, once per store while it is open.
        slice_: Time for all stores together; shared between those that still have work.

    Returns:
        Per store what was done; nothing while the clock is not believed.
    """
    with parts.catalogue.read() as uow:
        mark, emptied = uow.clock_marks.highest(), uow.moves.emptied()
    if believed_now(parts.clock.now(), mark) is None:
        _log.warning("no lock is renewed: the clock is not believed")
        return {}
    _put_right(parts)
    stores = [store for store in parts.stores if store.properties.name not in emptied]
    share_s = slice_.total_seconds() / max(1, len(stores))
    return {store.properties.name: _renew_store(parts, store, book, share_s) for store in stores}


def _put_right(parts: RenewalParts) -> None:
    """Copies that a wrong clock put off for years are looked at now."""
    now = parts.clock.now().wall
    beyond = now + LOOK_WITHIN + timedelta(days=1)
    for store in parts.stores:
        name = store.properties.name
        with parts.catalogue.read() as uow:
            far = uow.copy_locks.put_off(name, beyond=beyond)
        if far:
            with parts.catalogue.begin() as uow:
                uow.copy_locks.hurry(name, beyond=beyond, now=now, limit=_HURRIED)


def _renew_store(parts: RenewalParts, store: BlobStore, book: FindingBook, share_s: float) -> Renewed:
    name, done = store.properties.name, Renewed()
    ends_at = time.monotonic() + share_s
    failures: list[tuple[Digest, EvidenceError]] = []
    while True:
        now = parts.clock.now().wall
        with parts.catalogue.read() as uow:
            rows = uow.copy_locks.due(name, now, BATCH)
            facts = uow.copy_locks.facts_of([row.sha256 for row in rows])
        if not rows:
            done.complete = True
            break
        batch = _renew_batch(parts, store, rows, facts, now=now, ends_at=ends_at)
        _commit(parts, name, batch)
        done.looked += len(batch.rows)
        done.renewed += batch.renewed
        failures += batch.failures
        if batch.away is not None:
            failures.append((rows[0].sha256, batch.away))
            break
        if time.monotonic() >= ends_at:
            break
    done.failed = len(failures)
    _tell(parts, name, done, failures, book)
    return done


def _renew_batch(
    parts: RenewalParts, store: BlobStore, rows: Sequence[CopyLockRow], facts: dict[Digest, list[LockFacts]],
    *, now: datetime, ends_at: float,
) -> _Batch:  # fmt: skip
    batch = _Batch()
    silent: list[tuple[CopyLockRow, EvidenceError]] = []
    for row in rows:
        try:
            looked, moved = _renew_one(store, row, facts[row.sha256], now, parts.policy)
        except StoreUnavailableError as error:
            silent.append((row, error))
            if len(silent) >= _SILENT_MAX:
                break
        except EvidenceError as error:
            if error.fatal:
                raise
            batch.failed(row, error, now)
        else:
            batch.rows.append(looked)
            batch.renewed += moved
            if moved or row.until is None:  # it answers: where it did not before is that copy's own trouble
                for other, why in silent:
                    batch.failed(other, StoreError(why.what), now)
                silent.clear()
        if time.monotonic() >= ends_at:
            break
    if silent:  # nothing else will answer either; these copies wait where they are
        batch.away = silent[-1][1]
    return batch


def _renew_one(
    store: BlobStore, row: CopyLockRow, facts: list[LockFacts], now: datetime, policy: LockPolicy
) -> tuple[CopyLockRow, bool]:
    """Look at one copy; tells what is known of it now, and whether its date was moved.

    Raises:
        StoreError: The store has no such copy, does not move the date, or says it did and did not.
    """
    wanted = lock_until(facts, now, policy)
    known = row.until
    if known is None:  # a rebuilt catalogue, or a copy that just came: the store knows
        known = store.stat(row.sha256).retain_until
    moved = needs_renewal(known, wanted, now, policy)
    if moved and wanted.until is not None:
        store.extend_retention(row.sha256, wanted.until)
        known = store.stat(row.sha256).retain_until
        if known is None or known < wanted.until:
            raise StoreError(
                f"store {store.properties.name} took a lock until {to_text(wanted.until)} and does not keep it",
                todo="Have the server examined; `liuhen storage check` tries its locks.",
            )
    return _row(row, known, now, look_again_at(known, now, policy), last=wanted.last), moved


def _row(row: CopyLockRow, until: datetime | None, now: datetime, look_at: datetime, *, last: bool) -> CopyLockRow:
    return CopyLockRow(sha256=row.sha256, store=row.store, until=until, set_at=now, look_at=look_at, last=last)


def _commit(parts: RenewalParts, name: str, batch: _Batch) -> None:
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        uow.copy_locks.note(batch.rows)
        if batch.renewed:
            soonest = min((row.until for row in batch.rows if row.until and not row.last), default=None)
            event = LocksRenewed(
                store=name, renewed=batch.renewed, failed=len(batch.failures),
                soonest=to_text(soonest) if soonest else "", at=to_text(at.wall),
            )  # fmt: skip
            parts.recorder.record(uow.outbox, event, at=at)


def _tell(
    parts: RenewalParts, name: str, done: Renewed, failures: Sequence[tuple[Digest, EvidenceError]], book: FindingBook
) -> None:
    now = parts.clock.now().wall
    with parts.catalogue.read() as uow:  # counts: nobody who writes is kept waiting for it
        done.soonest = uow.copy_locks.summary(name, now).soonest
    with parts.catalogue.begin() as uow:
        if done.complete:
            uow.copy_locks.forget_gone(name, now)
            uow.copy_locks.finish(name, now)
    for sha256, error in failures[:1]:
        _log.warning("store %s: the lock of %s was not renewed: %s", name, sha256, error.what)
        if not isinstance(error, StoreUnavailableError):  # a store that is away is told elsewhere, and the stall alarms
            book.raise_one(NOT_RENEWED, store=name, detail=f"{sha256}: {error.what}")
