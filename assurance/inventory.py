"""The daily inventory: what each store really holds, against what the catalogue says, and against the day before.

Fixity asks whether copies are good; it needs weeks. An inventory asks whether they are there at all; it reads no bytes and needs
minutes, so a store that loses objects, whoever took them, is noticed within a day, and removals stop at once.

- *Missing*: the catalogue states a copy, the store lacks it. A finding for each recording; the copy counts as bad and is made
  again by the repair. Asked twice: what was stored while the list was read, or removed lawfully since, is not missing.
- *Unknown*: the store has bytes that nobody refers to. A note in the count; a verification names them one by one.
- *Drop*: fewer objects than the day before, by more than a bound and more than was removed on purpose. A finding, and the brake.

The list is sorted outside of memory, and compared with the catalogue page by page: a million objects take no more memory than a
thousand. A store that breaks off its list gives no inventory, never a short one.

Source: docs/runbooks/fixity.md, docs/runbooks/brake.md.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Final

from assurance.brake import BY_INVENTORY, Brake
from assurance.copies import KeepingParts
from assurance.repair import COPY_MISSING
from catalogue import UnitOfWork
from catalogue.inventories import Expected, InventoryRow
from evidence.clock import TimeReading, to_text
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError
from evidence.events import InventoryTaken
from evidence.ids import RecordingId
from evidence.lock_dates import believed_now
from evidence.ports import BlobStore

_log = logging.getLogger(__name__)

DROP: Final = "inventory-drop"
GOOD: Final = "good"
MISSING: Final = "missing"
DROPPED: Final = "drop"
EVERY: Final = timedelta(hours=24)
#: After one that found copies missing, once what it found is mended: there may be more than one inventory looks at.
AGAIN: Final = timedelta(hours=1)
_LATELY: Final = timedelta(days=31)
#: Digests sorted in memory at once.
_SORTED: Final = 65_536
_DIGEST_BYTES: Final = 32
_PAGE: Final = 2_000
#: Missing copies that are told one by one; all are counted, and those that were looked at once more are marked.
_TOLD_MAX: Final = 1_000
_TOLD_AT_ONCE: Final = 100
_MARKED_AT_ONCE: Final = 1_000
#: Missing and unknown objects that are looked at once more, one by one; beyond, all count.
_ASKED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy:
    """From when on a smaller number of objects is a finding: the larger of a number and a share of the day before."""

    objects: int = 10
    percent: float = 1.0

    def bound(self, before: int) -> int:
        """Objects that may be fewer than ``before`` without anybody being told."""
        return max(self.objects, int(before * self.percent / 100))


@dataclass(slots=True)
class _Count:
    """What one comparison gave."""

    objects: int = 0
    size_bytes: int = 0
    missing: list[Expected] = field(default_factory=list)
    missing_more: int = 0
    unknown: list[Digest] = field(default_factory=list)
    unknown_more: int = 0
    hasher: hashlib._Hash = field(default_factory=hashlib.sha256)


class Inventory:
    """Takes inventories.

    Args:
        parts: Catalogue, recorder, clock, stores.
        brake: Pulled when a store lost objects.
        policy: When that is.
    """

    def __init__(self, parts: KeepingParts, *, brake: Brake, policy: DropPolicy | None = None) -> None:
        self._parts = parts
        self._brake = brake
        self._policy = policy or DropPolicy()

    def tick(self) -> list[InventoryRow]:
        """Take what is due: a store whose last inventory is a day old, or found missing what is mended now.

        A store that does not answer is asked again next time.
        """
        with self._parts.catalogue.read() as uow:
            now = believed_now(self._parts.clock.now(), uow.clock_marks.highest())
        if now is None:
            _log.warning("no inventory is taken: the clock is not believed")
            return []
        taken = []
        for store in self._parts.stores:
            name = store.properties.name
            with self._parts.catalogue.read() as uow:
                newest = uow.inventories.newest(name)
                mended = newest is not None and newest.missing > 0 and uow.store_states.bad_in(name) == 0
            # A time that lies ahead was written by a clock that was wrong then: it puts nothing off.
            if newest is not None and timedelta(0) <= now - newest.at < (AGAIN if mended else EVERY):
                continue
            try:
                taken.append(self.take(store))
            except EvidenceError as error:
                if error.fatal:
                    raise
                _log.warning("no inventory of store %s now: %s: %s", name, error.code, error.what)
        return taken

    def take(self, store: BlobStore, *, actor: str = "") -> InventoryRow:
        """Count one store and compare. Row, entry, finding and brake are one transaction, durable on return.

        Args:
            store: The store.
            actor: Identity of the person who asked.

        Raises:
            StoreError: The store does not answer, or broke off its list; nothing was written.
        """
        begun = self._parts.clock.now()
        name = store.properties.name
        with tempfile.TemporaryFile() as file:
            listed = _Sorted(file)
            listed.fill(store.list())
            count = self._compare(name, listed, begun.wall)
        missing = [one for one in count.missing if self._is_missing(store, one)]
        lacking = len(missing) + count.missing_more
        unknown = count.unknown_more + sum(self._is_unknown(store, digest) for digest in count.unknown)
        row = InventoryRow(
            store=name, at=begun.wall, objects=count.objects, size_bytes=count.size_bytes,
            digest=count.hasher.hexdigest(), missing=lacking, unknown=unknown,
        )  # fmt: skip
        self._tell_missing(name, missing)  # before the row: killed in between, the next tick tells it again
        row = self._enter(row, begun, actor)
        if unknown:
            _log.warning("store %s holds %d objects that nobody refers to; `liuhen verify` names them", name, unknown)
        return row

    # --- comparing ----------------------------------------------------------------------------------------------------
    def _compare(self, store: str, listed: _Sorted, begun: datetime) -> _Count:
        """Walk two ascending lists side by side: what the store told, and what the catalogue states now."""
        count = _Count()
        expected = self._expected(store)
        row = next(expected, None)
        for digest in listed:
            count.objects += 1
            count.hasher.update(f"{digest.hex}\n".encode())
            while row is not None and row.sha256.hex < digest.hex:
                _note_missing(count, row, begun)
                row = next(expected, None)
            if row is not None and row.sha256 == digest:
                count.size_bytes += row.size_bytes
                row = next(expected, None)
            elif len(count.unknown) < _ASKED_MAX:
                count.unknown.append(digest)
            else:
                count.unknown_more += 1
        while row is not None:
            _note_missing(count, row, begun)
            row = next(expected, None)
        return count

    def _expected(self, store: str) -> Iterator[Expected]:
        after: Digest | None = None
        while True:
            with self._parts.catalogue.read() as uow:
                page = uow.inventories.expected_page(store, after=after, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].sha256

    def _is_missing(self, store: BlobStore, one: Expected) -> bool:
        """Asked again: it may have come, or have been removed lawfully, since the list was read."""
        if store.exists(one.sha256):
            return False
        with self._parts.catalogue.read() as uow:
            return uow.fixity.still_there(one.sha256, store.properties.name)

    def _is_unknown(self, store: BlobStore, digest: Digest) -> bool:
        """Whether nobody refers to it, now that the list is read: neither a row, nor somebody who is bringing it in."""
        now = self._parts.clock.now().wall
        with self._parts.catalogue.read() as uow:
            if uow.references.named_by_rows(digest) or uow.references.claimed_until(digest, now=now) is not None:
                return False
        return store.exists(digest)

    # --- entering -----------------------------------------------------------------------------------------------------
    def _enter(self, row: InventoryRow, begun: TimeReading, actor: str) -> InventoryRow:
        now = self._parts.clock.now()
        with self._parts.catalogue.begin() as uow:
            fewer, bound = self._fewer(uow, row)
            outcome = DROPPED if fewer > bound else MISSING if row.missing else GOOD
            row = InventoryRow(
                store=row.store, at=begun.wall, objects=row.objects, size_bytes=row.size_bytes, digest=row.digest,
                missing=row.missing, unknown=row.unknown, outcome=outcome,
            )  # fmt: skip
            detail = (
                f"store {row.store} holds {fewer} objects fewer than the day before, beyond what was removed on purpose"
            )
            if outcome == DROPPED:  # the brake's lock before the signer's, as whoever removes takes them
                self._brake.pull_in(uow, cause=BY_INVENTORY, detail=detail)
                self._parts.book.raise_in(uow, DROP, store=row.store, detail=detail, actor=actor)
                uow.after_commit(lambda: _log.error("%s", detail))
            uow.inventories.add(row)
            event = InventoryTaken(
                actor=actor, store=row.store, objects=row.objects, size_bytes=str(row.size_bytes), digest=row.digest,
                missing=row.missing, unknown=row.unknown, outcome=outcome, at=to_text(begun.wall),
            )  # fmt: skip
            self._parts.recorder.record(uow.outbox, event, at=now)
            uow.after_commit(self._parts.wake_sealer)
        return row

    def _fewer(self, uow: UnitOfWork, row: InventoryRow) -> tuple[int, int]:
        """How many objects are gone without a reason, and how many may be."""
        before = uow.inventories.newest(row.store)
        if before is None or row.store in uow.moves.old():  # a store that is being given up is emptied
            return 0, 0
        # Of a count that is dated ahead nobody knows when it was: everything that was removed lately counts.
        since = before.at if before.at <= row.at else row.at - _LATELY
        gone = before.objects - row.objects - uow.brakes.all_since(since)
        return max(0, gone), self._policy.bound(before.objects)

    def _tell_missing(self, store: str, missing: Sequence[Expected]) -> None:
        """The copies count as bad, which leads the repair to them; findings for the recordings of the first of them."""
        for start in range(0, min(len(missing), _TOLD_MAX), _TOLD_AT_ONCE):
            now = self._parts.clock.now().wall
            with self._parts.catalogue.begin() as uow:
                for one in missing[start : min(start + _TOLD_AT_ONCE, _TOLD_MAX)]:
                    self._tell(uow, store, one, now)
                uow.after_commit(self._parts.wake_sealer)
        for start in range(_TOLD_MAX, len(missing), _MARKED_AT_ONCE):
            now = self._parts.clock.now().wall
            with self._parts.catalogue.begin() as uow:
                for one in missing[start : start + _MARKED_AT_ONCE]:
                    uow.blobs.mark_bad(one.sha256, store, now, COPY_MISSING)
        if missing:
            _log.error("store %s lacks %d copies that the catalogue states", store, len(missing))

    def _tell(self, uow: UnitOfWork, store: str, one: Expected, now: datetime) -> None:
        blob = uow.blobs.get(one.sha256)
        if blob is None or not uow.blobs.mark_bad(one.sha256, store, now, COPY_MISSING):
            return
        concerned: dict[RecordingId | None, str] = dict(uow.blobs.recordings_of(blob).items()) or {None: "bytes"}
        for recording, part in concerned.items():
            detail = f"{part} {one.sha256}: the store's list does not have it"
            self._parts.book.raise_in(uow, COPY_MISSING, recording=recording, store=store, detail=detail)


def _note_missing(count: _Count, row: Expected, begun: datetime) -> None:
    """What was read back after the list began is younger than the list."""
    if row.read_back_at is not None and row.read_back_at >= begun:
        return
    if len(count.missing) < _ASKED_MAX:
        count.missing.append(row)
    else:
        count.missing_more += 1


class _Sorted:
    """Digests in ascending order, each once, sorted in a file: a store may list them in any order.

    Args:
        file: A temporary file, read and written by this object only.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._runs: list[tuple[int, int]] = []

    def fill(self, digests: Iterator[Digest]) -> None:
        """Take them all."""
        run: list[bytes] = []
        for digest in digests:
            run.append(bytes.fromhex(digest.hex))
            if len(run) == _SORTED:
                self._spill(run)
                run = []
        self._spill(run)

    def _spill(self, run: list[bytes]) -> None:
        if run:
            run.sort()
            begin = self._file.seek(0, 2)
            self._file.write(b"".join(run))
            self._runs.append((begin, len(run)))

    def __iter__(self) -> Iterator[Digest]:
        last = b""
        for one in heapq.merge(*(self._read(begin, count) for begin, count in self._runs)):
            if one != last:
                yield Digest(SHA256, one.hex())
                last = one

    def _read(self, begin: int, count: int, *, at_once: int = 1_024) -> Iterator[bytes]:
        for start in range(0, count, at_once):
            self._file.seek(begin + start * _DIGEST_BYTES)
            part = self._file.read(min(at_once, count - start) * _DIGEST_BYTES)
            for offset in range(0, len(part), _DIGEST_BYTES):
                yield part[offset : offset + _DIGEST_BYTES]
