"""Catching up: a store that was away, full or new gets what it lacks, and stands level with the others again.

What a store lacks is derived from the catalogue at every look: bytes that somebody holds without a copy there. Nothing is queued
apart, so nothing can be forgotten. Oldest first; a store that does not take its copies is asked again later and later, and the
others do not wait for it.

Order for one copy: read from a sound copy's medium, compared while it is read | written | read back from the new medium | one
transaction: row, ``copy.made`` for each recording, the finding that it lacked closed. Crash, at any point: bytes may lie there
without a row; the next look finds them and only reads them back.

Source: docs/invariants.md 1, 2; docs/runbooks/store-down.md.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import BinaryIO, Final

from assurance.copies import (
    ABSENT,
    KeepingParts,
    carry_holds,
    claim_until,
    copy_facts,
    first_lock,
    from_medium,
    outcome_of,
    say_copy,
)
from assurance.repair import close_settled, settled
from catalogue import UnitOfWork
from catalogue.records import BlobRow
from catalogue.references import BytesGoError
from catalogue.store_states import Lacking, StoreStateRow
from evidence.digest import SHA256, Digest
from evidence.errors import (
    CatalogueError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.ports import BlobStore
from storage.reading import CHUNK_BYTES
from storage.stores import inner_of

_log = logging.getLogger(__name__)
_AS_CATCH_UP: Final = "catch-up"
_SLICE_S: Final = 50.0
_AT_ONCE: Final = 2
_ASKED_AT_ONCE: Final = 5_000
_ASIDE_S: Final = 1800.0
#: After so many refusals in a row it is the store that fails, not the bytes.
_REFUSALS_MAX: Final = 3
#: Without any sign that something lacks, the catalogue is asked this often all the same.
_LOOK_EVERY: Final = timedelta(minutes=10)
_ASKED_EVERY: Final = timedelta(minutes=2)
_NOBODYS: Final = Digest(SHA256, "0" * 64)
#: Counting takes at most this share of the time.
_COUNT_SHARE: Final = 0.02
_COUNT_EVERY_S: Final = 60.0


class CatchUp:
    """The duty: one slice at a time, resumed from the catalogue.

    Args:
        parts: Catalogue, recorder, stores.
        hint: Told of bytes of which a copy turned out bad while it was read; a repair looks at them.
        slice_s: How long one slice works before it returns (the copy in hand is finished).
        at_once: Copies made at the same time.
        elapsed_s: A clock that only runs forward.
    """

    def __init__(
        self,
        parts: KeepingParts,
        *,
        hint: Callable[[Digest], None],
        slice_s: float = _SLICE_S,
        at_once: int = _AT_ONCE,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._hint = hint
        self._slice_s = slice_s
        self._at_once = at_once
        self._elapsed_s = elapsed_s
        self._looked: dict[str, float] = {}
        self._count_after: dict[str, float] = {}
        #: What a store was last found to lack and was not come to yet: the question costs seconds with millions of objects.
        self._waiting: dict[str, list[Lacking]] = {}
        #: Bytes that nobody could give, or that one store alone refused, until when they are left aside for the others.
        self._aside: dict[tuple[str, Digest], float] = {}

    def run(self) -> int:
        """Work for one slice; returns how many copies were made.

        Raises:
            EvidenceError: A fatal one (a failed fsync), or the database does not answer.
        """
        end = self._elapsed_s() + self._slice_s
        made = 0
        for store in self._parts.stores:
            self._look_in(store)
        due = [store for store in self._parts.taking if self._due(store.properties.name)]
        for position, store in enumerate(due):  # a slow one takes no more than its share: the others do not wait for it
            now = self._elapsed_s()
            until = now + max(0.0, end - now) / (len(due) - position)
            made += self._bring_on(store, partial(self._is_before, until))
            self._count_after.pop(store.properties.name, None)
        for store in self._parts.stores:
            self._count(store.properties.name)
        return made

    def _is_before(self, moment_s: float) -> bool:
        return self._elapsed_s() < moment_s

    def _bring_on(self, store: BlobStore, goes_on: Callable[[], bool]) -> int:
        """What one slice can do for one store; what is left waits for the next one."""
        name = store.properties.name
        waiting = self._waiting.pop(name, None) or self._ask(name)
        this = _Round(self._parts, store, self._hint, goes_on, lacking=lambda _uow: waiting)
        made = this.run(self._at_once)
        until = self._elapsed_s() + _ASIDE_S
        self._aside |= {(name, sha256): until for sha256 in this.stuck}
        self._waiting[name] = [one for one in waiting if one.sha256 not in this.tried]
        return made

    def _ask(self, name: str) -> list[Lacking]:
        now = self._elapsed_s()
        self._aside = {key: until for key, until in self._aside.items() if now < until}
        aside = {sha256 for store, sha256 in self._aside if store == name}
        with self._parts.catalogue.read() as uow:
            lacking = uow.store_states.lacking(name, limit=_ASKED_AT_ONCE + len(aside))
        return [one for one in lacking if one.sha256 not in aside]

    def _look_in(self, store: BlobStore) -> None:
        """Ask a store that nobody asked for anything lately whether it answers: no page shows an old answer as a new one."""
        now = self._parts.clock.now().wall
        with self._parts.catalogue.read() as uow:
            state = uow.store_states.of(store.properties.name)
        lately = state.ok_at is not None and abs(now - state.ok_at) < _ASKED_EVERY
        if not state.rests(now) and (state.failing_since is not None or not lately):
            look_in(self._parts, store)

    def _due(self, name: str) -> bool:
        """Whether to ask the catalogue what this store lacks: there is a sign that it does, or it was not asked for long."""
        now = self._parts.clock.now().wall
        with self._parts.catalogue.read() as uow:
            state = uow.store_states.of(name)
        if state.rests(now):
            return False
        looked = self._looked.get(name)
        signs = state.behind_objects > 0 or state.failing_since is not None or _failed_since_counted(state)
        if looked is not None and not signs and self._elapsed_s() - looked < _LOOK_EVERY.total_seconds():
            return False
        self._looked[name] = self._elapsed_s()
        return True

    def _count(self, name: str) -> None:
        """Count anew when the last figures are old, measured by how long counting takes."""
        began = self._elapsed_s()
        if began < self._count_after.get(name, began):
            return
        count_store(self._parts, name)
        took_s = self._elapsed_s() - began
        self._count_after[name] = self._elapsed_s() + max(_COUNT_EVERY_S, took_s / _COUNT_SHARE)


def look_in(parts: KeepingParts, store: BlobStore) -> None:
    """Ask a store for bytes nobody has, and note whether it answers.

    One that refused copies it lacks is not asked: an answer would not mean that it takes them. The next try to catch up tells.

    Raises:
        EvidenceError: A fatal one.
    """
    name = store.properties.name
    with parts.catalogue.read() as uow:
        state = uow.store_states.of(name)
    if state.failing_since is not None and state.behind_objects:
        return
    why: StoreError | None = None
    try:
        inner_of(store).exists(_NOBODYS)
    except StoreError as error:
        if error.fatal:
            raise
        why = error
    at = parts.clock.now().wall
    with parts.catalogue.begin() as uow:
        if why is None:
            uow.store_states.worked(name, at)
        else:
            uow.store_states.failed(name, at, code=why.code, error=why.what)


def count_store(parts: KeepingParts, name: str) -> StoreStateRow:
    """Count what the catalogue knows of a store, now, and keep it with its time."""
    at = parts.clock.now().wall
    with parts.catalogue.read() as uow:
        figures = uow.store_states.figures(name)
    with parts.catalogue.begin() as uow:
        uow.store_states.keep(name, figures, at)
        return uow.store_states.of(name)


def _failed_since_counted(state: StoreStateRow) -> bool:
    return state.failed_at is not None and (state.counted_at is None or state.failed_at >= state.counted_at)


class _Round:
    """What one slice does for one store.

    Args:
        parts: Catalogue, recorder, stores.
        target: The store.
        hint: Told of bytes whose copy elsewhere is bad.
        goes_on: Whether there is time for another copy.
        lacking: What the store lacks; everything that somebody holds, unless another rule says what it is to have.
        reason: Why the copies are made, as their entries say it.
    """

    def __init__(
        self,
        parts: KeepingParts,
        target: BlobStore,
        hint: Callable[[Digest], None],
        goes_on: Callable[[], bool],
        *,
        lacking: Callable[[UnitOfWork], list[Lacking]] | None = None,
        reason: str = _AS_CATCH_UP,
    ) -> None:
        self._lacking = lacking
        self._reason = reason
        self._parts = parts
        self._target = target
        self._name = target.properties.name
        self._hint = hint
        self._goes_on = goes_on
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._saying = threading.Lock()
        self._made = self._refusals = 0
        self._why: StoreError | None = None
        #: What was worked at, and which of it could not be brought there although the store answers.
        self.tried: set[Digest] = set()
        self.stuck: set[Digest] = set()

    def run(self, at_once: int) -> int:
        with self._parts.catalogue.read() as uow:
            lacking = (
                uow.store_states.lacking(self._name, limit=_ASKED_AT_ONCE)
                if self._lacking is None
                else self._lacking(uow)
            )
            state = uow.store_states.of(self._name)
        if not lacking:
            return 0
        with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="catch-up") as pool:
            for done in [pool.submit(self._one, lack) for lack in lacking]:
                done.result()
        self._note(state)
        return self._made

    def _note(self, before: StoreStateRow) -> None:
        at = self._parts.clock.now().wall
        with self._parts.catalogue.begin() as uow:
            if self._why is not None and (self._stopped.is_set() or self._made == 0):
                uow.store_states.failed(self._name, at, code=self._why.code, error=self._why.what)
            elif self._made and (before.failing_since is not None or before.ok_at is None or before.ok_at < at):
                uow.store_states.worked(self._name, at)

    def _one(self, lack: Lacking) -> None:
        if self._stopped.is_set() or not self._goes_on():
            return
        with self._guard:
            self.tried.add(lack.sha256)
        try:
            with self._parts.catalogue.begin() as uow:
                uow.references.claim(lack.sha256, until=claim_until(self._parts, lack.size_bytes))
                blob = uow.blobs.get(lack.sha256)
        except BytesGoError:
            return  # they are being removed
        if blob is None or not blob.holders or any(copy.store == self._name for copy in blob.copies):
            return
        try:
            made = self._copy(blob)
            if made:
                carry_holds(self._parts, self._target, blob.sha256)
                self._say(blob)
        except CatalogueError:
            raise
        except EvidenceError as error:  # also a key that does not open: it holds up neither the others nor other stores
            if error.fatal:
                self._stopped.set()
                raise
            self._refused(blob, _as_store_error(error))
            return
        if not made:
            self.stuck.add(blob.sha256)
            return
        with self._guard:
            self._made += 1
            self._refusals = 0

    def _refused(self, blob: BlobRow, error: StoreError) -> None:
        _log.warning("store %s does not catch up on %s: %s", self._name, blob.sha256, error.what)
        with self._guard:
            self._why = error
            self._refusals += 1
            if not isinstance(error, StoreUnavailableError | StoreFullError):
                self.stuck.add(blob.sha256)
            if isinstance(error, StoreUnavailableError) or self._refusals >= _REFUSALS_MAX:
                self._stopped.set()

    def _copy(self, blob: BlobRow) -> bool:
        """Bring the bytes there and read them back; False where no store gives them now.

        Raises:
            StoreError: The target does not take them.
        """
        if self._stands(blob):
            return True
        for source in self._sources(blob):
            try:
                self._give(source, blob)
            except _SourceError as error:
                _log.warning("store %s cannot give %s: %s", source.properties.name, blob.sha256, error.what)
                if error.damaged:
                    self._hint(blob.sha256)
                continue
            self._read_back(blob)
            return True
        return False

    def _give(self, source: BlobStore, blob: BlobRow) -> None:
        """Let the target have what the source's medium gives; whose fault it is when that fails is told apart."""
        act = self._target.repair if self._target.exists(blob.sha256) else self._target.put
        until = first_lock(self._parts, blob.sha256)
        reading: _Watched | None = None
        try:
            with from_medium(source, blob) as inner:
                reading = _Watched(inner)
                stream = io.BufferedReader(reading, CHUNK_BYTES)
                act(stream, sha256=blob.sha256, size_bytes=blob.size_bytes, retain_until=until)
        except EvidenceError as error:
            if error.fatal:
                raise
            if reading is None or reading.failed or isinstance(error, DigestMismatchError):
                raise _SourceError(error.what, damaged=outcome_of(error) != ABSENT) from error
            raise _as_store_error(error) from error

    def _stands(self, blob: BlobRow) -> bool:
        """Whether the bytes lie there already, sound and in a file of their own: a crash left them without a row."""
        if not self._target.exists(blob.sha256):
            return False
        try:
            self._read_back(blob)
        except StoreUnavailableError:
            raise
        except StoreError:
            return False
        return True

    def _read_back(self, blob: BlobRow) -> None:
        try:
            self._target.verify(blob.sha256, blob.blake3 or blob.sha256)
        except IntegrityError as error:
            raise _as_store_error(error) from error
        bytes_at = self._target.stat(blob.sha256).bytes_at
        for source in self._sources(blob):
            try:
                same = source.stat(blob.sha256).bytes_at == bytes_at
            except EvidenceError:
                continue
            if same:
                raise StoreError(
                    f"store {self._name} has no copy of its own: its file is that of {source.properties.name}"
                )

    def _sources(self, blob: BlobRow) -> Sequence[BlobStore]:
        stores = [self._parts.store(copy.store) for copy in blob.copies if copy.store != self._name]
        return [store for store in self._parts.stores if store in stores]

    def _say(self, blob: BlobRow) -> None:
        at = self._parts.clock.now()
        copy = copy_facts(self._target, blob.sha256, at)
        with (
            self._saying
        ):  # else the last two copies of a recording, said at once, would each take the other for lacking
            over = settled(self._parts, blob, [self._name])
            with self._parts.catalogue.begin() as uow:
                now = uow.blobs.get(blob.sha256)
                if now is None or not now.holders or any(one.store == self._name for one in now.copies):
                    return  # released, or another process was faster: its entry stands
                say_copy(self._parts, uow, now, copy, reason=self._reason, at=at)
                close_settled(self._parts, uow, over, reason="caught-up")


def copy_missing(
    parts: KeepingParts,
    target: BlobStore,
    hint: Callable[[Digest], None],
    goes_on: Callable[[], bool],
    *,
    lacking: Callable[[UnitOfWork], list[Lacking]],
    reason: str,
) -> int:
    """Give a store what a rule says it is to have and lacks, as catching up does; returns how many copies were made."""
    return _Round(parts, target, hint, goes_on, lacking=lacking, reason=reason).run(_AT_ONCE)


class _SourceError(EvidenceError):
    """A copy elsewhere cannot be read, or is not what it should be; the target is not to blame."""

    def __init__(self, what: str, *, damaged: bool) -> None:
        super().__init__(what)
        self.damaged = damaged


def _as_store_error(error: EvidenceError) -> StoreError:
    return error if isinstance(error, StoreError) else StoreError(error.what, kept=error.kept, todo=error.todo)


class _Watched(io.RawIOBase):
    """A stream that remembers whether reading it failed: the bytes' fault, not the receiver's."""

    def __init__(self, inner: BinaryIO) -> None:
        super().__init__()
        self._inner = inner
        self.failed = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        try:
            data = self._inner.read(len(buffer))
        except BaseException:
            self.failed = True
            raise
        buffer[: len(data)] = data
        return len(data)
