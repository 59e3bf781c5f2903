"""The scrub: every copy of every store is read from its medium again and again, the one that was looked at longest ago first.

- A round goes through all copies there were when it began; it ends when each of them was looked at since, or when its period is
  over and only copies are left whose store does not answer. The next one begins at once.
- What a copy gave is one transaction: the time in the catalogue, an entry ``fixity.checked``, a finding when it was bad. Several
  copies share a transaction. What was read and not yet entered when the process dies is read again; nothing else is remembered.
- A bad copy is repaired from a good one at once (:mod:`assurance.repair`).
- A store that is away has no bad copies: it is told of, its copies stay the oldest, and it is asked again with the next slice.
- Disks are read side by side, one reader each, at a pace that ends the round within the period (:mod:`assurance.fixity_pace`),
  behind other readers, and around the page cache. Recorders and a busy machine go first as long as the period is not at risk.

Source: docs/runbooks/fixity.md; docs/formats/store.md; docs/invariants.md 7.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from assurance import fixity_pace
from assurance.copies import ABSENT, UNREADABLE, KeepingParts, outcome_of
from assurance.copy_checks import kind_of
from assurance.fixity_entries import Outcomes, Slice
from assurance.fixity_pace import Plan
from assurance.fixity_reading import (
    PacedReader,
    StoppedError,
    answers,
    behind_everything_else,
    by_disk,
    digest_to_compare,
    load_per_core,
)
from catalogue.fixity import DueCopy, RoundRow
from evidence.clock import to_text
from evidence.errors import EvidenceError, NotFoundError, StateConflictError
from evidence.events import FixityRound
from evidence.ids import RecordingId
from evidence.lock_dates import believed_now
from evidence.ports import BlobStore
from evidence.time_line import TOLERANCE

_log = logging.getLogger(__name__)

#: Where the scrub says what it did last; no evidence.
STATE: Final = "fixity.state"
SLICE_S: Final = 50.0
#: What a failed read is that examined nothing.
NOT_EXAMINED: Final = "not-examined"
#: Copies taken from the catalogue at once.
_TAKEN: Final = 64
#: A transfer whose progress was told within this time is going on.
_TRANSFER_SEEN: Final = timedelta(seconds=30)
_ASK_AGAIN_S: Final = 5.0
#: Why the scrub waits.
FOR_RECORDERS: Final = "recorders"
FOR_LOAD: Final = "load"
FOR_CLOCK: Final = "clock"
#: Copies whose look was dated ahead that are put right in one transaction.
_FORGOTTEN: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityPolicy:
    """How the scrub works.

    Attributes:
        period: In which every copy is looked at.
        cap_bytes_s: Bytes per second and store, at most; 0 for no bound.
        load_per_core_max: The scrub waits while the machine's load of one minute, per processor, is above; 0 never waits for it.
    """

    period: timedelta = timedelta(days=30)
    cap_bytes_s: int = 0
    load_per_core_max: float = 1.5


@dataclass(slots=True, kw_only=True)
class _Lane:
    """One disk's thread: what it reads with, what it found, and which copies it had in its hands already."""

    number: RoundRow
    outcomes: Outcomes
    reader: PacedReader
    until_s: float = float("inf")
    had: set[tuple[str, str]] = field(default_factory=set)

    def fresh(self, copies: Sequence[DueCopy]) -> list[DueCopy]:
        """Those it has not had: a copy that is being removed stays due, and is looked at once."""
        return [copy for copy in copies if (copy.store, copy.sha256.hex) not in self.had]


class Scrub:
    """Looks at copies, a slice at a time (:meth:`tick`) or at once for a person (:meth:`run`).

    Args:
        parts: Catalogue, recorder, clock, stores.
        policy: Period, bounds.
        stop: Whether the service ends: reading then stops at the next chunk, and nothing is lost but that reading.
        load: The machine's load per processor.
    """

    def __init__(
        self, parts: KeepingParts, policy: FixityPolicy, *, stop: Callable[[], bool] = lambda: False,
        load: Callable[[], float] = load_per_core,
    ) -> None:  # fmt: skip
        self._parts = parts
        self._policy = policy
        self._stop = stop
        self._load = load
        self._away: set[str] = set()
        self._halted = threading.Event()

    def _stopping(self) -> bool:
        return self._halted.is_set() or self._stop()

    # --- the duty -----------------------------------------------------------------------------------------------------
    def tick(self, *, slice_s: float = SLICE_S) -> Slice:
        """One slice of the round that goes on; begins one when none does, and ends one that is done.

        Args:
            slice_s: No copy is begun after so many seconds; the one that is being read then is read to its end.
        """
        if not self._believes_the_clock():
            nothing = Slice(waited_for=FOR_CLOCK)
            self._tell(nothing)
            return nothing
        number = self.current()
        if number is None:
            return Slice()
        plans = self.plans(number)
        done = Slice(number=number.number)
        until_s = time.monotonic() + slice_s
        groups = by_disk([store for store in self._parts.stores if store.properties.name in plans])
        if groups:
            with ThreadPoolExecutor(max_workers=len(groups), thread_name_prefix="scrub") as pool:
                for part in list(pool.map(lambda group: self._group(group, number, plans, until_s), groups)):
                    done.add(part)
        done.away |= plans.keys() - {store.properties.name for store in self._parts.stores}
        if not self._stop():
            done.round_ended = self._end(number, done.away)
        self._tell(done)
        return done

    def _believes_the_clock(self) -> bool:
        """Whether looks can be dated, and the pace be told; what an earlier wrong clock dated ahead is forgotten then."""
        catalogue, reading = self._parts.catalogue, self._parts.clock.now()
        with catalogue.read() as uow:
            if believed_now(reading, uow.clock_marks.highest()) is None:
                return False
            latest = reading.wall + TOLERANCE
            ahead = [name for name in uow.fixity.stores() if uow.fixity.looked_ahead(name, now=latest)]
        for name in ahead:
            with catalogue.begin() as uow:
                count = uow.fixity.forget_ahead(name, now=latest, limit=_FORGOTTEN)
            _log.warning("store %s: %d copies were dated ahead by a wrong clock; they are looked at anew", name, count)
        return True

    def current(self) -> RoundRow | None:
        """The round that goes on, begun now when none does; None when there is no copy of anything.

        One that a wrong clock began, later than now, is ended: nothing would be due in it for years.
        """
        now = self._parts.clock.now()
        with self._parts.catalogue.read() as uow:
            row, stores = uow.fixity.current(), uow.fixity.ages()
        if row is not None and row.started_at > now.wall + TOLERANCE:
            self._enter_end(row)
            row = None
        if row is not None or not stores:
            return row
        with self._parts.catalogue.read() as uow:
            counted = uow.fixity.count_all()
        try:
            with self._parts.catalogue.begin() as uow:
                row = uow.fixity.begin(now.wall, counted)
                self._parts.recorder.record(uow.outbox, _round_event(row, "started", to_text(now.wall)), at=now)
                uow.after_commit(self._parts.wake_sealer)
        except StateConflictError:  # another process began it
            with self._parts.catalogue.read() as uow:
                return uow.fixity.current()
        return row

    def plans(self, number: RoundRow) -> dict[str, Plan]:
        """For each store with copies, or of this home, how much of the round is done there; one that was given up is out."""
        ours = {store.properties.name for store in self._parts.stores}
        with self._parts.catalogue.read() as uow:
            parts = {part.store: part for part in uow.fixity.parts(number.number)}
            names = {age.store for age in uow.fixity.ages()} | (parts.keys() & ours)
        return {
            name: Plan(
                started_at=number.started_at, period=self._policy.period, cap_bytes_s=self._policy.cap_bytes_s,
                total_bytes=parts[name].size_bytes if name in parts else 0,
                done_bytes=parts[name].done_bytes if name in parts else 0,
            )
            for name in sorted(names)
        }  # fmt: skip

    def _group(self, group: Sequence[BlobStore], number: RoundRow, plans: dict[str, Plan], until_s: float) -> Slice:
        """The stores of one disk, in turn, the one furthest behind its line first."""
        behind_everything_else()
        lane = self._lane(number, until_s=until_s)
        waiting = {store.properties.name: store for store in group}
        try:
            while waiting and time.monotonic() < until_s:
                now = self._parts.clock.now().wall
                name = max(waiting, key=lambda one: fixity_pace.lag(plans[one], now))
                if why := self._keeps_waiting(plans[name], now):
                    lane.outcomes.done.waited_for = why
                    waiting.pop(name)
                    continue
                read_bytes = self._some(waiting[name], plans[name], lane)
                if read_bytes is None:
                    waiting.pop(name)
                    continue
                plans[name] = _advanced(plans[name], read_bytes)
        except StoppedError:
            _log.debug("the scrub stops with the service")
        lane.outcomes.flush()
        return lane.outcomes.done

    def _lane(self, number: RoundRow, *, until_s: float = float("inf"), actor: str = "") -> _Lane:
        outcomes = Outcomes(self._parts, number.number, number.started_at, actor=actor)
        return _Lane(number=number, outcomes=outcomes, reader=PacedReader(self._stopping), until_s=until_s)

    def _some(self, store: BlobStore, plan: Plan, lane: _Lane) -> int | None:
        """Copies of one store until the line, the next look at the machine or the end of the slice; None: no more now."""
        with self._parts.catalogue.read() as uow:
            due = uow.fixity.due(store.properties.name, before=lane.number.started_at, limit=_TAKEN)
        copies = lane.fresh(due)
        if not copies:
            return None
        read_bytes = 0
        look_again_s = min(lane.until_s, time.monotonic() + _ASK_AGAIN_S)
        for copy in copies:
            now = self._parts.clock.now().wall
            here = _advanced(plan, read_bytes)
            if here.left_bytes and not fixity_pace.due_bytes(here, now):
                return None  # on the line
            if time.monotonic() >= look_again_s:
                break
            rate = fixity_pace.rate_bytes_s(here, now, file_bytes=copy.size_bytes)
            if not self._one(store, copy, lane, rate):
                return None
            read_bytes += copy.size_bytes
        lane.outcomes.flush()
        return read_bytes

    @staticmethod
    def _one(store: BlobStore, copy: DueCopy, lane: _Lane, rate_bytes_s: int) -> bool:
        """Look at one copy; False when its store is away."""
        lane.had.add((copy.store, copy.sha256.hex))
        expected = digest_to_compare(lane.number.number, copy.sha256, copy.blake3)
        found = lane.reader.read(store, copy.sha256, expected=expected, rate_bytes_s=rate_bytes_s)
        if found.error is not None and outcome_of(found.error) in {ABSENT, UNREADABLE} and answers(store):
            # It answers, only not for this copy: asked once more, for one hiccup is no loss; then told as what it is.
            found = lane.reader.read(store, copy.sha256, expected=expected, rate_bytes_s=rate_bytes_s)
        if found.error is not None:
            if found.error.fatal:
                raise found.error
            there = answers(store)
            if not there or _nothing_known(found.error):
                _log.debug("nothing is known of the copy of %s in %s: %s", copy.sha256, copy.store, found.error.what)
                lane.outcomes.done.away.add(copy.store)
                # A store that is away, or a master key, fails for every copy; another trouble may be this one's alone.
                return there and kind_of(found.error) != NOT_EXAMINED
        lane.outcomes.take(copy, found.error, found.loose)
        return True

    def _keeps_waiting(self, plan: Plan, now: datetime) -> str:
        """Why the scrub lets others go first; empty when it goes on."""
        if not fixity_pace.may_wait(plan, now):
            return ""
        if self._policy.load_per_core_max and self._load() > self._policy.load_per_core_max:
            return FOR_LOAD
        with self._parts.catalogue.read() as uow:
            running = any(now - row.updated_at < _TRANSFER_SEEN for row in uow.progress.all())
        return FOR_RECORDERS if running else ""

    def _end(self, number: RoundRow, away: set[str]) -> bool:
        """End the round when every copy was looked at; when its period is over, those of stores that are away do not count."""
        now = self._parts.clock.now()
        with self._parts.catalogue.read() as uow:
            left = {
                age.store
                for age in uow.fixity.ages()
                if age.unlooked or (age.oldest_at is not None and age.oldest_at < number.started_at)
            }
        if left and not (now.wall >= number.started_at + self._policy.period and left <= away):
            return False
        return self._enter_end(number)

    def _enter_end(self, number: RoundRow) -> bool:
        now = self._parts.clock.now()
        try:
            with self._parts.catalogue.begin() as uow:
                row = uow.fixity.end(number.number, now.wall)
                self._parts.recorder.record(uow.outbox, _round_event(row, "ended", to_text(now.wall)), at=now)
                uow.after_commit(self._parts.wake_sealer)
        except NotFoundError:  # another process ended it
            return False
        _log.info("round %d of the scrub ended: %d good, %d bad of %d", row.number, row.good, row.bad, row.copies)
        return True

    def _tell(self, done: Slice) -> None:
        """Say what the slice did, for the status and the tile; and once in the journal when a store goes or comes back."""
        for name in sorted(done.away - self._away):
            _log.warning("store %s does not answer: its copies are looked at when it does", name)
        for name in sorted(self._away - done.away):
            _log.info("store %s answers again", name)
        self._away = set(done.away)
        told = {
            "at": to_text(self._parts.clock.now().wall), "away": sorted(done.away), "waited_for": done.waited_for,
            "size_bytes": done.size_bytes,
        }  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            uow.settings.put(STATE, json.dumps(told, separators=(",", ":")))

    # --- by hand ------------------------------------------------------------------------------------------------------
    def run(
        self, *, stores: Sequence[str] = (), recording: RecordingId | None = None, limit_bytes: int = 0, actor: str = "",
        progress: Callable[[int, int], None] | None = None,
    ) -> Slice:  # fmt: skip
        """Look at copies now, without waiting for anything; each counts for the round that goes on.

        Args:
            stores: Only these; empty for all.
            recording: Only its copies (of its bytes, its manifest, its derivatives), whenever they were looked at; else every
                copy, the oldest look first.
            limit_bytes: Begin no copy after so many bytes of each disk; 0 for no bound.
            actor: Identity of the person who asked.
            progress: Told of copies and bytes that were looked at.

        Raises:
            NotFoundError: No such store or recording.
        """
        known = {store.properties.name for store in self._parts.stores}
        for name in stores:
            if name not in known:
                raise NotFoundError(f"no store is called {name[:64]!r}")
        if recording is not None:
            with self._parts.catalogue.read() as uow:
                uow.recordings.get(recording)
        number = self.current()
        if number is None:
            return Slice()
        chosen = [store for store in self._parts.stores if not stores or store.properties.name in stores]
        total = _Progress(progress)
        done = Slice(number=number.number)
        wanted = _Wanted(begun_at=self._parts.clock.now().wall, recording=recording, limit_bytes=limit_bytes)
        with ThreadPoolExecutor(max_workers=max(1, len(chosen)), thread_name_prefix="scrub") as pool:
            work = [
                pool.submit(self._group_now, group, self._lane(number, actor=actor), wanted, total)
                for group in by_disk(chosen)
            ]
            try:
                for one in work:
                    done.add(one.result())
            except BaseException:  # also a person's Ctrl-C: nobody waits for what is still to be read
                self._halted.set()
                raise
        done.round_ended = self._end(number, done.away)
        return done

    def _group_now(self, group: Sequence[BlobStore], lane: _Lane, wanted: _Wanted, total: _Progress) -> Slice:
        read_bytes = 0
        try:
            for store in group:
                for copy in self._queue(store, lane, wanted):
                    if wanted.limit_bytes and read_bytes >= wanted.limit_bytes:
                        break
                    if not self._one(store, copy, lane, self._policy.cap_bytes_s):
                        break
                    read_bytes += copy.size_bytes
                    total.add(copy.size_bytes)
        except StoppedError:
            _log.debug("the run stops")
        lane.outcomes.flush()
        return lane.outcomes.done

    def _queue(self, store: BlobStore, lane: _Lane, wanted: _Wanted) -> Iterator[DueCopy]:
        """Copies of one store in the order of the work, each once."""
        name = store.properties.name
        if wanted.recording is not None:
            with self._parts.catalogue.read() as uow:
                mine = uow.fixity.of_recording(wanted.recording)
            yield from (copy for copy in mine if copy.store == name)
            return
        while True:
            lane.outcomes.flush()  # what was looked at leaves the head of the queue only once it is entered
            with self._parts.catalogue.read() as uow:
                copies = lane.fresh(uow.fixity.due(name, before=wanted.begun_at, limit=_TAKEN))
            if not copies:
                return
            yield from copies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a run by hand is to look at."""

    begun_at: datetime
    recording: RecordingId | None
    limit_bytes: int


def _nothing_known(error: EvidenceError) -> bool:
    """Whether it says nothing about this copy nor any other: a master key that is not at hand, a database that fails."""
    kind = kind_of(error)
    return kind == NOT_EXAMINED or (outcome_of(error) == ABSENT and kind == "copy-damaged")


class _Progress:
    """Counts over several threads."""

    def __init__(self, told: Callable[[int, int], None] | None) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._copies = self._bytes = 0

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._copies += 1
            self._bytes += size_bytes
            if self._told is not None:
                self._told(self._copies, self._bytes)


def _advanced(plan: Plan, read_bytes: int) -> Plan:
    return replace(plan, done_bytes=plan.done_bytes + read_bytes)


def _round_event(row: RoundRow, state: str, at: str) -> FixityRound:
    return FixityRound(
        round=row.number, state=state, copies=row.copies, good=row.good, bad=row.bad, size_bytes=str(row.size_bytes),
        at=at,
    )  # fmt: skip
