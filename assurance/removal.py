"""Bytes go: the mechanism behind every removal of stored bytes. It decides nothing about evidence; it refuses.

1. Every store is asked what it keeps (outside of any transaction).
2. One short transaction locks the bytes and looks again: no other holder, no hold, nobody who brings the same bytes in, no date
   in any store, the clock believed, the brake. Then the intention is written down and the rows go: the point of no return. A
   hold, a holder or an arrival that was there before wins; one that comes after is refused and told to come again.
3. Every store removes its copy and is looked at again. No database lock is held meanwhile. A store that is away, or still
   keeps its copy, leaves the removal open: it is done when the last copy is gone, never before.
4. The data key is destroyed, then one transaction enters ``bytes.released`` and forgets the intention.

Crash before 2: nothing happened. After it: :meth:`Remover.go_on` carries on with the same steps, which may all be repeated.
A removal is carried out by one process per home (the service, or a command that has the home's lock).

Not here: who may order a removal and why. A recording and its manifest go only where a clearing of them was committed
(:mod:`assurance.removal_guards`, :mod:`assurance.clearing`); else these are derivatives that were made anew and left-overs of
work that crashed.

Source: docs/invariants.md 5; DESIGN "storage".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from assurance.references import facts_of, require_believed
from assurance.removal_guards import require_ordered
from catalogue import Catalogue, UnitOfWork
from catalogue.records import BlobRow
from catalogue.references import REMOVING, WAITING, BytesGoError, RemovalRow
from evidence.clock import Clock, TimeReading, to_text
from evidence.digest import Digest
from evidence.errors import (
    BlobLockedError,
    BlobNotFoundError,
    EvidenceError,
    IntegrityError,
    NotFoundError,
    StateConflictError,
)
from evidence.events import BytesReleased
from evidence.ids import RecordingId
from evidence.model import Copy
from evidence.ports import BlobStore, CustodyRecorder
from evidence.time_line import Belief, judge
from storage.stores import StoreSet

#: The holder of bytes that no row names: left by work that crashed.
ORPHAN: Final = "orphan"
#: What ends within this time after its point of no return was counted with it.
_AT_ONCE: Final = timedelta(minutes=1)
#: One thread at a time carries out the removal of some bytes: a slow one must not meet what was stored anew meanwhile.
_CARRYING = tuple(threading.Lock() for _ in range(64))


class Allowance(Protocol):
    """The brake."""

    def require_released(self, uow: UnitOfWork) -> None:
        """Raises while the brake is pulled."""
        ...

    def allow(self, uow: UnitOfWork, *, objects: int, size_bytes: int, now: datetime) -> None:
        """Count a removal; raises while the brake is pulled or the day's allowance is used up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalParts:
    """What removals work with.

    Attributes:
        catalogue: Where intention and outcome stand.
        recorder: Signs entries.
        stores: Every store is emptied of the bytes.
        clock: Injected time.
        brake: Bounds what goes in a day.
        guards: Asked inside of the transaction with the point of no return: they raise to refuse. Without any other wish what
            nobody ordered is refused.
        woken: Called after a commit that added an entry.
    """

    catalogue: Catalogue
    recorder: CustodyRecorder
    stores: StoreSet
    clock: Clock
    brake: Allowance
    guards: Sequence[Callable[[UnitOfWork, Digest, str], None]] = (require_ordered,)
    woken: Callable[[], None] = field(default=lambda: None)


class Outcome(StrEnum):
    """How a release ended for now."""

    SHARED = "shared"
    """Others need the bytes: only this holder is gone."""
    REMOVED = "removed"
    """Gone from every store, looked for in vain, entered."""
    WAITING = "waiting"
    """Not before a date, or not until every store can be asked; everything is as it was."""
    REMOVING = "removing"
    """Past the point of no return; a store still has its copy, or is away. The regular duty goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What became of the bytes; ``until`` is a date they wait for, ``why`` what they wait for, in words."""

    outcome: Outcome
    until: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class _Looked:
    """What the stores say of some bytes."""

    copies: list[Copy] = field(default_factory=list)
    size_bytes: int = 0
    until: datetime | None = None
    held_in: str = ""
    unknown: str = ""


class Remover:
    """Takes bytes out of every store, or refuses.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: RemovalParts) -> None:
        self._parts = parts

    def release(
        self, sha256: Digest, holder: str, *, reason: str, actor: str = "", together: Collection[str] = ()
    ) -> Released:
        """A holder needs these bytes no more. The last one to say so takes them out of every store.

        Args:
            sha256: The bytes.
            holder: ``recording:<id>``, ``manifest:<id>`` or ``derivative:<id>`` (whose row goes, too).
            reason: Stable code, entered.
            actor: Who ordered it, empty for the service itself.
            together: Duplicates (``recording:<id>``) that are given up in the same act; without them their bytes are needed.

        Returns:
            What became of the bytes, durable on return.

        Raises:
            NotFoundError: This holder does not hold them.
            BlobLockedError: A hold stands.
            StateConflictError: The same bytes are being brought in, a duplicate needs them, or another removal runs.
            BrakePulledError, ClockWentBackError, ClockJumpedError: Nothing goes now.
            IntegrityError: A store's lock records are not sound; nothing goes.
        """
        looked = self._look(sha256)
        return self._decide(sha256, holder, looked, reason=reason, actor=actor, together=together)

    def release_stray(self, sha256: Digest, *, reason: str) -> Released:
        """Take out bytes that no row names; the caller has made sure that no entry does either. Raises like :meth:`release`."""
        looked = self._look(sha256)
        if not looked.copies and not looked.unknown:
            raise NotFoundError(f"{sha256} is in no store")
        return self._decide(sha256, ORPHAN, looked, reason=reason, actor="", together=())

    def waits(self, sha256: Digest) -> Released | None:
        """Ask every store whether these bytes could go now; what they would wait for, None for nothing. Changes nothing.

        Raises:
            BlobLockedError: A hold stands in a store. IntegrityError: A store's lock records are not sound.
        """
        looked, now = self._look(sha256), self._parts.clock.now().wall
        if looked.held_in:
            raise BlobLockedError(f"a hold on {sha256} stands in store {looked.held_in}", kept="Nothing was removed.")
        if looked.unknown:
            return Released(outcome=Outcome.WAITING, why=looked.unknown)
        if looked.until is not None and looked.until > now:
            why = f"a store keeps a copy until {to_text(looked.until)}"
            return Released(outcome=Outcome.WAITING, until=looked.until, why=why)
        return None

    def go_on(self, *, for_s: float = 60.0) -> int:
        """A slice of the regular duty: finish what is past the point of no return, try again what waited. Returns how many ended.

        What cannot be done now stays, with why.
        """
        end, done = time.monotonic() + for_s, 0
        with self._parts.catalogue.read() as uow:
            rows = uow.references.removals()
        now = self._parts.clock.now()
        for row in rows:
            if time.monotonic() > end:
                break
            if row.state == WAITING and row.until is not None and row.until > now.wall:
                continue
            try:
                done += self._again(row).outcome in (Outcome.REMOVED, Outcome.SHARED)
            except EvidenceError as error:
                if error.fatal:
                    raise
                self._note(row.sha256, error.what)
        with self._parts.catalogue.begin() as uow:
            if judge(now, uow.clock_marks.highest()) is Belief.BELIEVED:  # a wrong clock ends no claim
                uow.references.drop_claims(before=now.wall)
        return done

    # --- holds --------------------------------------------------------------------------------------------------------
    def place_hold(self, sha256: Digest, reference: str) -> list[str]:
        """Keep these bytes from every removal. Durable on return, before any store was asked.

        Returns:
            Stores that could not take the hold themselves; the catalogue's hold stands all the same.

        Raises:
            BytesGoError: Too late, they are being removed. NotFoundError: nobody holds them.
        """
        now = self._parts.clock.now()
        with self._parts.catalogue.begin() as uow:
            uow.references.require_staying(sha256)
            blob = uow.blobs.get(sha256)
            if blob is None:
                raise NotFoundError(f"nobody holds {sha256}")
            uow.references.add_hold(sha256, reference, now.wall)
        return self._each(blob, lambda store: store.set_hold(sha256, reference=reference))

    def lift_hold(self, sha256: Digest, reference: str) -> list[str]:
        """Take one hold away, in the stores first. Returns the stores that still hold; then the catalogue does, too."""
        with self._parts.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        left = self._each(blob, lambda store: store.release_hold(sha256, reference=reference)) if blob else []
        if not left:
            with self._parts.catalogue.begin() as uow:
                uow.references.drop_hold(sha256, reference)
        return left

    def _each(self, blob: BlobRow, act: Callable[[BlobStore], None]) -> list[str]:
        failed = []
        for copy in blob.copies:
            try:
                act(self._parts.stores.named(copy.store))
            except EvidenceError as error:
                if error.fatal:
                    raise
                failed.append(copy.store)
        return failed

    # --- before the point of no return --------------------------------------------------------------------------------
    def _look(self, sha256: Digest) -> _Looked:
        """Ask every store what it has and keeps."""
        looked = _Looked()
        with self._parts.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        for copy in blob.copies if blob is not None else ():
            if copy.store not in self._parts.stores:  # what it keeps cannot be asked, and its copy would stay
                looked.unknown = f"store {copy.store}, which has a copy, is not configured here"
        for store in self._parts.stores.all:
            properties = store.properties
            try:
                stat = store.stat(sha256)
            except BlobNotFoundError:
                continue
            except EvidenceError as error:
                if error.fatal or isinstance(error, IntegrityError):
                    raise
                looked.unknown = f"store {properties.name} does not tell what it keeps: {error.what}"
                continue
            looked.copies.append(
                Copy(
                    store=properties.name,
                    domain=properties.domain,
                    key=stat.key,
                    version=stat.version,
                    read_back_at=None,
                )
            )
            looked.size_bytes = max(looked.size_bytes, stat.size_bytes)
            looked.held_in = properties.name if stat.hold else looked.held_in
            if stat.retain_until is not None:
                looked.until = max(looked.until or stat.retain_until, stat.retain_until)
        return looked

    def _decide(
        self, sha256: Digest, holder: str, looked: _Looked, *, reason: str, actor: str, together: Collection[str]
    ) -> Released:
        now = self._parts.clock.now()
        with self._parts.catalogue.begin() as uow:
            refs = uow.references
            refs.lock(sha256)
            going = refs.removal(sha256)
            if going is not None and going.state == REMOVING:
                if going.holder != holder:
                    raise BytesGoError(f"{sha256} is being removed already")
                row, answer = going, None
            else:
                if holder == ORPHAN and _is_needed(uow, sha256, going):
                    return Released(outcome=Outcome.SHARED, why="a row names these bytes now")
                row, blob = self._row(uow, sha256, holder, looked, now, reason=reason, actor=actor)
                for guard in self._parts.guards:
                    guard(uow, sha256, holder)
                _require_no_twins(uow, holder, together)
                _require_no_recording(uow, holder)
                if blob is not None and len(blob.holders) > 1:
                    self._say_released(uow, row, now, removed=False)
                    refs.drop_holder(sha256, holder)
                    if going is not None and going.holder == holder:  # another holder's order stands
                        refs.drop_removal(sha256)
                    return Released(outcome=Outcome.SHARED)
                answer = self._pass(uow, replace(row, together=sorted(together)), blob, looked, now)
        if answer is not None:
            return answer
        return self._carry_out(row)

    def _row(
        self,
        uow: UnitOfWork,
        sha256: Digest,
        holder: str,
        looked: _Looked,
        now: TimeReading,
        *,
        reason: str,
        actor: str,
    ) -> tuple[RemovalRow, BlobRow | None]:
        blob = uow.blobs.get(sha256)
        if holder != ORPHAN and (blob is None or holder not in blob.holders):
            raise NotFoundError(f"{holder} does not hold {sha256}")
        copies = {copy.store: copy for copy in (*looked.copies, *(blob.copies if blob is not None else ()))}
        row = RemovalRow(
            sha256=sha256, holder=holder, reason=reason, state=WAITING, begun_at=now.wall, actor=actor,
            size_bytes=blob.size_bytes if blob is not None else looked.size_bytes,
            recording=uow.references.recording_of(holder), copies=facts_of(copies.values()),
        )  # fmt: skip
        return row, blob

    def _pass(
        self, uow: UnitOfWork, row: RemovalRow, blob: BlobRow | None, looked: _Looked, now: TimeReading
    ) -> Released | None:
        """The last look, and the point of no return; an answer when it was not passed."""
        refs, sha256 = uow.references, row.sha256
        holds = refs.holds(sha256)
        if holds or looked.held_in:
            where = f"store {looked.held_in}" if looked.held_in else "the catalogue"
            raise BlobLockedError(f"a hold on {sha256} stands in {where}", kept="Nothing was removed.")
        if refs.claimed_until(sha256, now=now.wall) is not None or refs.incoming(sha256):
            raise StateConflictError(
                f"the same bytes are being brought in: {sha256}", kept="Nothing was removed.", todo="Try again later."
            )
        require_believed(uow, now)
        until = looked.until if looked.until is not None and looked.until > now.wall else None
        if until is not None or looked.unknown:
            why = f"a store keeps a copy until {to_text(until)}" if until is not None else looked.unknown
            refs.put_removal(replace(row, until=until, error=why))
            return Released(outcome=Outcome.WAITING, until=until, why=why)
        self._parts.brake.allow(uow, objects=1, size_bytes=row.size_bytes, now=now.wall)
        refs.put_removal(replace(row, state=REMOVING))
        if blob is not None:
            refs.drop_holder(sha256, row.holder)
            refs.drop_blob(sha256)
        return None

    # --- after it -----------------------------------------------------------------------------------------------------
    def _again(self, row: RemovalRow) -> Released:
        if row.state == REMOVING:
            return self._carry_out(row)
        if row.holder == ORPHAN:
            return self.release_stray(row.sha256, reason=row.reason)
        return self.release(row.sha256, row.holder, reason=row.reason, actor=row.actor, together=row.together)

    def _carry_out(self, row: RemovalRow) -> Released:
        sha256 = row.sha256
        with _CARRYING[int(sha256.hex[:2], 16) % len(_CARRYING)]:
            with self._parts.catalogue.read() as uow:
                going = uow.references.removal(sha256)
            if going is None or going.state != REMOVING:  # another thread has ended it
                return Released(outcome=Outcome.REMOVED)
            until, troubles = self._empty_stores(going)
            key = "" if troubles else self._destroy_key(sha256, troubles)
            if troubles:
                why = "; ".join(troubles)
                with self._parts.catalogue.begin() as uow:
                    uow.references.put_removal(replace(going, until=until, error=why))
                return Released(outcome=Outcome.REMOVING, until=until, why=why)
            now = self._parts.clock.now()
            with self._parts.catalogue.begin() as uow:
                uow.references.lock(sha256)
                if (
                    now.wall - going.begun_at > _AT_ONCE
                ):  # an inventory may lie between: what leaves now is no loss to it
                    uow.brakes.count_late(now.wall, objects=1)
                self._say_released(uow, replace(going, key_sha256=key), now, removed=True)
                uow.references.drop_removal(sha256)
                uow.references.drop_stray(sha256)
        return Released(outcome=Outcome.REMOVED)

    def _empty_stores(self, row: RemovalRow) -> tuple[datetime | None, list[str]]:
        """Remove the copy in every store and look for it in vain; what could not be done, in words."""
        now, stores = self._parts.clock.now().wall, self._parts.stores
        until: datetime | None = None
        troubles = [
            f"store {copy['store']} is not configured here" for copy in row.copies if copy["store"] not in stores
        ]
        for store in stores.all:
            name = store.properties.name
            try:
                if store.exists(row.sha256):
                    store.delete(row.sha256, now=now)
                if store.exists(row.sha256):
                    troubles.append(f"store {name} still has it")
            except BlobNotFoundError:
                continue
            except BlobLockedError as error:
                date = _date_in(store, row.sha256)
                until = max(until or date, date) if date is not None else until
                troubles.append(f"store {name} keeps it: {error.what}")
            except EvidenceError as error:
                if error.fatal:
                    raise
                troubles.append(f"store {name}: {error.what}")
        return until, troubles

    def _destroy_key(self, sha256: Digest, troubles: list[str]) -> str:
        """Destroy the data key where the bytes were encrypted; the digest of what was destroyed, empty where there was none."""
        try:
            return self._parts.stores.destroy_key(sha256)
        except EvidenceError as error:
            if error.fatal:
                raise
            troubles.append(f"its data key: {error.what}")
            return ""

    def _say_released(self, uow: UnitOfWork, row: RemovalRow, now: TimeReading, *, removed: bool) -> None:
        subject = ""
        if row.recording:
            digest = uow.recordings.get(RecordingId(row.recording)).sha256
            subject = digest.hex if digest is not None else ""
        event = BytesReleased(
            actor=row.actor, recording=row.recording, sha256=subject, blob_sha256=row.sha256.hex, holder=row.holder,
            removed=removed, copies=row.copies if removed else [], key_sha256=row.key_sha256, reason=row.reason,
            at=to_text(now.wall),
        )  # fmt: skip
        uow.after_commit(self._parts.woken)
        self._parts.recorder.record(uow.outbox, event, at=now)

    def _note(self, sha256: Digest, why: str) -> None:
        with self._parts.catalogue.begin() as uow:
            uow.references.lock(sha256)
            row = uow.references.removal(sha256)
            if row is not None:
                uow.references.put_removal(replace(row, error=why))


def _date_in(store: BlobStore, sha256: Digest) -> datetime | None:
    try:
        return store.stat(sha256).retain_until
    except EvidenceError:
        return None


def _is_needed(uow: UnitOfWork, sha256: Digest, going: RemovalRow | None) -> bool:
    """Whether left-overs are none: somebody brought these bytes in since. What was to remove them is forgotten then.

    Raises:
        StateConflictError: A row names them, and nothing was to remove them.
    """
    if not uow.references.needed_by_rows(sha256):
        return False
    if going is None:
        raise StateConflictError(f"{sha256} is no left-over: a row names it")
    uow.references.drop_removal(sha256)
    uow.references.drop_stray(sha256)
    return True


def _require_no_recording(uow: UnitOfWork, holder: str) -> None:
    """A manifest tells what a recording is: it goes after the recording's bytes, never before."""
    kind, _, identity = holder.partition(":")
    if kind != "manifest":
        return
    recording = RecordingId(identity)
    sha256 = uow.recordings.get(recording).sha256
    if sha256 is not None and uow.references.holds_bytes(sha256, f"recording:{recording}"):
        raise StateConflictError(
            f"the bytes of {recording} are kept, so its manifest is",
            kept="Nothing was removed.",
            todo="Give the recording up first.",
        )


def _require_no_twins(uow: UnitOfWork, holder: str, together: Collection[str]) -> None:
    """A duplicate has no bytes of its own: while it is not given up as well, the recording that keeps them must."""
    kind, _, identity = holder.partition(":")
    if kind != "recording":
        return
    twins = [one for one in uow.references.duplicates_of(RecordingId(identity)) if f"recording:{one}" not in together]
    if twins:
        raise StateConflictError(
            f"{len(twins)} duplicates have their bytes from {identity}, the first {twins[0]}",
            kept="Nothing was removed.",
            todo="Give them up in the same act.",
        )
