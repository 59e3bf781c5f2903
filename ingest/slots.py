"""What this process knows of the slots of its docks: how the last attempt ended, who is read now, which recorder sits where.

None of it is evidence and none of it outlives the process: after a restart every docked recorder is simply looked at again.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from evidence.errors import Retry
from evidence.ids import DeviceId, OffloadId
from evidence.model import SourceKey
from evidence.ports import DockedDevice

Slot = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DockOutcome:
    """How the last attempt on a slot ended: for the dock wall and for deciding when to try again.

    Attributes:
        at_monotonic_ns: When it ended.
        error: Code of what went wrong; empty after a success.
        retry: What to do about that.
        device: The recorder, once known.
        offload: The docking, where there was one.
        waiting: Whether files were left that are still being written.
        full: Stores whose lack of room stopped it.
    """

    at_monotonic_ns: int
    error: str = ""
    retry: Retry = Retry.NEVER
    device: DeviceId | None = None
    offload: OffloadId | None = None
    waiting: bool = False
    full: tuple[str, ...] = ()


def _slot(docked: DockedDevice) -> Slot:
    return docked.driver, docked.slot


class Slots:
    """The memory of one station's docks. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading: set[Slot] = set()
        self._read: dict[Slot, DockedDevice] = {}
        self._outcomes: dict[Slot, DockOutcome] = {}
        self._seen: dict[str, DockedDevice] = {}
        self._left: Counter[Slot] = Counter()
        self._held: dict[Slot, frozenset[SourceKey]] = {}

    # --- how the last attempt ended -----------------------------------------------------------------------------------
    def outcome(self, docked: DockedDevice) -> DockOutcome | None:
        """How the last attempt on this slot ended; None when there was none since the start or :meth:`forget`."""
        with self._lock:
            return self._outcomes.get(_slot(docked))

    def times_left(self, docked: DockedDevice) -> int:
        """How often a recorder has left this slot: what a job finds out about one that left is not told of the next."""
        with self._lock:
            return self._left[_slot(docked)]

    def keep(self, docked: DockedDevice, outcome: DockOutcome, *, times_left: int) -> None:
        """Remember how an attempt ended, unless the recorder left its slot since ``times_left`` was read."""
        with self._lock:
            if self._left[_slot(docked)] == times_left:
                self._outcomes[_slot(docked)] = outcome

    def forget(self, docked: DockedDevice) -> None:
        """The recorder left its slot: the next one there is a new docking."""
        with self._lock:
            self._left[_slot(docked)] += 1
            self._outcomes.pop(_slot(docked), None)
            self._held.pop(_slot(docked), None)
            self._read.pop(_slot(docked), None)
            self._seen = {key: where for key, where in self._seen.items() if where.slot != docked.slot}

    # --- who is read now ----------------------------------------------------------------------------------------------
    def is_being_read(self, docked: DockedDevice) -> bool:
        """Whether this process reads that slot right now."""
        with self._lock:
            return _slot(docked) in self._reading

    @contextlib.contextmanager
    def reading(self, docked: DockedDevice) -> Iterator[None]:
        """Say so for as long as the block runs."""
        with self._lock:
            self._reading.add(_slot(docked))
            self._read[_slot(docked)] = docked
        try:
            yield
        finally:
            with self._lock:
                self._reading.discard(_slot(docked))

    def read_lately(self, *, since_ns: int) -> list[DockedDevice]:
        """What is being read, or was read to an outcome since then (monotonic), whoever asked for it."""
        with self._lock:
            ended = {slot for slot, outcome in self._outcomes.items() if outcome.at_monotonic_ns >= since_ns}
            return [docked for slot, docked in self._read.items() if slot in self._reading or slot in ended]

    # --- which recorder sits where ------------------------------------------------------------------------------------
    def first_seen(self, recorder: str, docked: DockedDevice) -> DockedDevice:
        """Where a recorder of this key was seen first; here, when nowhere yet."""
        with self._lock:
            return self._seen.setdefault(recorder, docked)

    def moved(self, recorder: str, docked: DockedDevice) -> None:
        """It is here from now on."""
        with self._lock:
            self._seen[recorder] = docked

    # --- sources that stay docked -------------------------------------------------------------------------------------
    def held(self, docked: DockedDevice) -> frozenset[SourceKey]:
        """What the looks for news so far found held already."""
        with self._lock:
            return self._held.get(_slot(docked), frozenset())

    def remember_held(self, docked: DockedDevice, held: frozenset[SourceKey]) -> None:
        """What the last look for news found held already."""
        with self._lock:
            self._held[_slot(docked)] = held
