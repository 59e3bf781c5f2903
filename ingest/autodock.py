"""The dock by itself: what is plugged in is read, once per docking, and cleared afterwards where the bureau set that.

The scan is the truth; hot-plug events only make it look sooner. One docking is read once. After a failure it is tried again
with growing pauses; an unknown recorder waits until a person registered it. Sources that stay docked (drop folders) are
looked at for news, and so is a recorder with files that were still being written or that have to be read again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass

from devices.registry import DriverRegistry
from devices.session import STREAMS_PER_HUB, hub_of
from evidence.clock import Clock
from evidence.errors import DeviceBusyError, DeviceError, EvidenceError, Retry
from evidence.model import ClearingMode
from evidence.ports import DockedDevice, JobEngine
from ingest.session import CLEAR_JOB, OFFLOAD_JOB, OffloadService, dock_key
from ingest.slots import DockOutcome

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_PAUSE_FIRST_S = 15
_PAUSE_MAX_S = 900
#: Drivers whose sources never leave: they are looked at for news this often.
_LASTING = frozenset({"watch_folder"})
_NEWS_EVERY_S = 15
#: A recorder that was still writing is looked at again this often, as long as it stays docked.
_WRITING_EVERY_S = 600


@dataclass(slots=True)
class _Slot:
    """What is remembered of one docked recorder until it leaves."""

    docked: DockedDevice
    failures: int = 0
    judged: DockOutcome | None = None
    next_look_ns: int = 0
    again: int = 0
    clearings: int = 0
    next_clear_ns: int = 0


class AutoDock:
    """Watches the docks of this station.

    Args:
        service: Takes footage in.
        registry: Tells what is docked.
        jobs: Tells what is under way.
        clock: Pauses are measured with its monotonic reading.
        streams_per_hub: Recorders of one hub that are read at the same time.
    """

    def __init__(
        self,
        service: OffloadService,
        *,
        registry: DriverRegistry,
        jobs: JobEngine,
        clock: Clock,
        streams_per_hub: int = STREAMS_PER_HUB,
    ) -> None:
        self._service = service
        self._registry = registry
        self._jobs = jobs
        self._clock = clock
        self._streams_per_hub = streams_per_hub
        self._slots: dict[tuple[str, str], _Slot] = {}
        self._hint = threading.Event()

    def hint(self) -> None:
        """Something was plugged in or out: look now."""
        self._hint.set()

    def docked(self) -> list[DockedDevice]:
        """What the last look found."""
        return [slot.docked for slot in list(self._slots.values())]

    def run(self, stop: threading.Event, *, interval_s: float = 2.0) -> None:
        """Look every ``interval_s`` seconds, sooner on a hint, until ``stop`` is set."""
        while not stop.is_set():
            try:
                self.step()
            except EvidenceError as error:  # the next look decides again
                _log.warning("the docks could not be looked after: %s", error.diagnostics())
            self._hint.wait(interval_s)
            self._hint.clear()

    def step(self) -> None:
        """Look once and ask for what is to be done."""
        survey = self._registry.survey()
        docked = {(one.driver, one.slot): one for one in survey.docked}
        for key in list(self._slots):
            # A driver that cannot tell says nothing about its recorders: they are not gone.
            if key not in docked and key[0] not in survey.failed:
                self._service.forget(self._slots.pop(key).docked)
        live = self._jobs.live_keys()
        streams = Counter(hub_of(one.slot) for one in docked.values() if _under_way(one, live))
        for key, one in docked.items():
            slot = self._slots.setdefault(key, _Slot(one))
            if slot.docked != one:  # another address in the same slot is another docking
                self._service.forget(slot.docked)
                slot = self._slots[key] = _Slot(one)
            if _under_way(one, live) or streams[hub_of(one.slot)] >= self._streams_per_hub:
                continue
            if self._look(slot):
                streams[hub_of(one.slot)] += 1

    def _look(self, slot: _Slot) -> bool:
        """Ask for work on one slot that is idle; tells whether a stream of its hub is taken by it."""
        now_ns = self._clock.now().monotonic_ns
        outcome = self._service.outcome(slot.docked)
        if outcome is None:
            self._service.request_offload(slot.docked)
            return True
        if outcome is not slot.judged:
            self._judge(slot, outcome)
        if now_ns >= slot.next_look_ns and (outcome.error or self._has_more(slot, outcome, now_ns)):
            self._service.request_offload(slot.docked)
            return True
        return not outcome.error and self._clear(slot, outcome, now_ns)

    @staticmethod
    def _judge(slot: _Slot, outcome: DockOutcome) -> None:
        slot.judged = outcome
        slot.failures = slot.failures + 1 if outcome.error else 0
        pause_s = min(_PAUSE_FIRST_S * 2 ** max(0, slot.failures - 1), _PAUSE_MAX_S) if outcome.error else 0
        if outcome.error and outcome.retry is Retry.NEVER:
            pause_s = _PAUSE_MAX_S
        slot.next_look_ns = outcome.at_monotonic_ns + pause_s * _NS

    def _has_more(self, slot: _Slot, outcome: DockOutcome, now_ns: int) -> bool:
        """Whether a recorder that was read without trouble is to be read again while it stays docked."""
        slot.next_look_ns = now_ns + _NEWS_EVERY_S * _NS
        if slot.docked.driver in _LASTING:
            try:
                return self._service.has_news(slot.docked)
            except DeviceBusyError:
                return False
            except DeviceError as error:  # the offload meets the same trouble and tells it at the dock
                _log.info("the folder in %s could not be looked at: %s", slot.docked.slot, error.what)
                return True
        if outcome.waiting and now_ns >= outcome.at_monotonic_ns + _WRITING_EVERY_S * _NS:
            return True
        if self._service.was_left_unread(outcome):
            slot.again += 1
            slot.next_look_ns = now_ns + min(_PAUSE_FIRST_S * 2**slot.again, _PAUSE_MAX_S) * _NS
            return True
        return False

    def _clear(self, slot: _Slot, outcome: DockOutcome, now_ns: int) -> bool:
        if slot.docked.driver in _LASTING or now_ns < slot.next_clear_ns or not self._is_to_be_cleared(outcome):
            return False
        # What stays on the recorder for a reason is asked for ever more seldom, not in a loop.
        slot.clearings += 1
        slot.next_clear_ns = now_ns + min(_PAUSE_FIRST_S * 2**slot.clearings, _PAUSE_MAX_S) * _NS
        self._service.request_clearing(slot.docked)
        return True

    def _is_to_be_cleared(self, outcome: DockOutcome) -> bool:
        if self._service.parts.settings.clearing is not ClearingMode.AUTOMATIC or outcome.device is None:
            return False
        return not self._service.has_unfinished(outcome.device) and self._service.has_to_clear(outcome.device)


def _under_way(docked: DockedDevice, live: set[str]) -> bool:
    return bool(live & {dock_key(OFFLOAD_JOB, docked), dock_key(CLEAR_JOB, docked)})
