"""What is docked, for the people at the station: one card per slot, true at the moment it is told.

A card says "may be unplugged" only when everything this docking listed is sealed here, whichever docking brought it; a stale
progress row, a failed attempt or a file that is still being written is "unknown", never "yes". Unplugging is never dangerous
to footage (reading resumes at the byte), but "yes" is a promise that nothing is left to do.

Source: RULES R2; docs/invariants.md 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from catalogue import UnitOfWork
from catalogue.records import DeviceRow, OffloadRow, ProgressRow, RecordingRow
from evidence.errors import DeviceNotRegisteredError, EvidenceError, NotFoundError
from evidence.events import RecordingDuplicate, RecordingStored
from evidence.ids import AgentId, RecordingId, UnitId
from evidence.model import Action, Actor, ClearingMode, OffloadState, RecordingState, Visibility
from evidence.ports import Authoriser, DockedDevice
from ingest.release import ClearResult
from ingest.session import OffloadService
from ingest.slots import DockOutcome

#: Progress older than this is not shown as running (invariants: order of reads).
PROGRESS_STALE: Final = timedelta(seconds=10)
#: Entries looked at to find out what is not sealed yet; more than this and every card waits.
_UNSEALED_MAX: Final = 512
_SAYS_KEPT: Final = frozenset({RecordingStored.TYPE, RecordingDuplicate.TYPE})
_DONE: Final = frozenset({RecordingState.STORED, RecordingState.RELEASED, RecordingState.DUPLICATE})


@dataclass(frozen=True, slots=True)
class _Unsealed:
    """What is stored here and not covered by a published checkpoint yet.

    Attributes:
        recordings: Stored recordings, and duplicates of kept ones.
        devices: The recorders they came from.
        too_many: There are more than were looked at: nothing can be called sealed without asking further.
    """

    recordings: frozenset[str]
    devices: frozenset[str]
    too_many: bool

    def is_sealed(self, row: RecordingRow) -> bool:
        """Whether a recording is sealed; a duplicate is when the entry that says whose bytes it has is."""
        if row.state is RecordingState.DUPLICATE:
            return not self.too_many and row.id not in self.recordings
        return row.sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class DockCard:
    """One slot.

    Attributes:
        docked: Where and which driver.
        state: ``seen``, ``unregistered``, ``offloading``, ``securing``, ``sealed``, ``interrupted``, ``failed``, ``unknown``.
        device: Its row, once it is known which recorder this is.
        offload: Its latest docking.
        progress: Running transfer, only while it is fresh.
        outcome: How the last attempt ended.
        officer_name: To whom it is issued.
        sealed: Recordings this docking brought that are sealed.
        total: Recordings this docking brought.
        may_unplug: ``yes``, ``no``, ``unknown``.
    """

    docked: DockedDevice
    state: str
    device: DeviceRow | None = None
    offload: OffloadRow | None = None
    progress: ProgressRow | None = None
    outcome: DockOutcome | None = None
    officer_name: str = ""
    sealed: int = 0
    total: int = 0
    may_unplug: str = "unknown"


class DockBoard:
    """The docks of this station as people see and use them.

    Args:
        offloads: The offload service.
        docked: Tells what the last scan found.
        authoriser: The gate every act passes.
        hint: Asks the dock to look again now.
    """

    def __init__(
        self,
        offloads: OffloadService,
        *,
        docked: Callable[[], Sequence[DockedDevice]],
        authoriser: Authoriser,
        hint: Callable[[], None],
    ) -> None:
        self._offloads = offloads
        self._docked = docked
        self._authoriser = authoriser
        self._hint = hint

    def cards(self, actor: Actor) -> list[DockCard]:
        """Every docked recorder the actor may know of, by slot.

        Raises:
            AccessDeniedError: The actor may not see the docks.
        """
        self._authoriser.require(actor, Action.OFFLOAD_LIST)
        seen = self._authoriser.visibility(actor, Action.OFFLOAD_LIST)
        with self._offloads.parts.catalogue.read() as uow:
            unsealed = _unsealed(uow)
            cards = [self._card(uow, one, unsealed) for one in self._present()]
        if seen.everything:
            return cards
        return [card for card in cards if card.device is None or _may_see(seen, card.device)]

    def find(self, actor: Actor, slot: str) -> DockedDevice:
        """The docked recorder of a slot; NotFoundError when nothing is docked there."""
        self._authoriser.require(actor, Action.OFFLOAD_LIST)
        for one in self._present():
            if one.slot == slot:
                return one
        raise NotFoundError(f"nothing is docked in slot {slot[:80]}")

    def register(
        self, actor: Actor, slot: str, *, label: str = "", unit: UnitId | None = None, officer: AgentId | None = None
    ) -> DeviceRow:
        """Enter the recorder of a slot in the ledger; the dock reads it next."""
        row = self._offloads.register_device(self.find(actor, slot), actor, unit=unit, officer=officer, label=label)
        self._hint()
        return row

    def retry(self, actor: Actor, slot: str) -> None:
        """Try a slot again now instead of after its pause."""
        self._authoriser.require(actor, Action.OFFLOAD_RUN, detail=slot)
        self._offloads.forget(self.find(actor, slot))
        self._hint()

    def clear(self, actor: Actor, slot: str) -> ClearResult:
        """Remove from the recorder of a slot what is sealed here; everything is checked again first (promise 1).

        Raises:
            PolicyUnmetError: Clearing is switched off.
            AccessDeniedError, DeviceError, ClockWentBackError, ClockJumpedError: As for ``OffloadService.clear_recorder``.
        """
        return self._offloads.clear_recorder(self.find(actor, slot), actor, mode=ClearingMode.MANUAL)

    def _present(self) -> list[DockedDevice]:
        """What is docked, and what somebody has read by hand just now, by slot."""
        docked = {(one.driver, one.slot): one for one in [*self._offloads.read_lately(), *self._docked()]}
        return [docked[key] for key in sorted(docked)]

    # --- one card -----------------------------------------------------------------------------------------------------
    def _card(self, uow: UnitOfWork, docked: DockedDevice, unsealed: _Unsealed) -> DockCard:
        outcome = self._offloads.outcome(docked)
        reading = _open_at(uow, docked) if self._offloads.is_being_read(docked) else None
        offload = reading or _ended_at(uow, outcome)
        if offload is None:
            state = "seen" if outcome is None else _failure(outcome)
            return DockCard(docked=docked, state=state, outcome=outcome)
        device = uow.devices.get(offload.device)
        rows = uow.recordings.of_offload(offload.id)
        if reading is not None:
            state, may_unplug = "offloading", "no"
        else:
            state, may_unplug = self._judge(uow, offload, rows, unsealed, outcome)
        return DockCard(
            docked=docked, state=state, device=device, offload=offload, outcome=None if reading else outcome,
            may_unplug=may_unplug, progress=self._fresh(uow, offload), officer_name=_name(uow, device.officer),
            sealed=sum(unsealed.is_sealed(row) for row in rows), total=len(rows),
        )  # fmt: skip

    @staticmethod
    def _judge(
        uow: UnitOfWork,
        offload: OffloadRow,
        rows: Sequence[RecordingRow],
        unsealed: _Unsealed,
        outcome: DockOutcome | None,
    ) -> tuple[str, str]:
        if outcome is not None and outcome.error:
            return _failure(outcome), "unknown"
        if offload.state is not OffloadState.COMPLETE:
            return "interrupted", "unknown"
        # What an earlier docking brought is on the recorder as well, and may still lack its second copy or its seal.
        earlier = uow.recordings.of_device(offload.device, states={RecordingState.ACQUIRED})
        if earlier or unsealed.too_many or offload.device in unsealed.devices:
            return "securing", "no"
        if not all(row.state in _DONE and unsealed.is_sealed(row) for row in rows):
            return "securing", "no"
        return "sealed", "unknown" if offload.waiting else "yes"

    def _fresh(self, uow: UnitOfWork, offload: OffloadRow) -> ProgressRow | None:
        progress = uow.progress.of(offload.id)
        now = self._offloads.parts.clock.now().wall
        return progress if progress is not None and now - progress.updated_at < PROGRESS_STALE else None


def _may_see(seen: Visibility, device: DeviceRow) -> bool:
    return device.unit in seen.units or (seen.officer is not None and device.officer == seen.officer)


def _open_at(uow: UnitOfWork, docked: DockedDevice) -> OffloadRow | None:
    """The docking that reads this slot now."""
    running = [row for row in uow.offloads.open() if (row.driver, row.slot) == (docked.driver, docked.slot)]
    return max(running, key=lambda row: row.started_at, default=None)


def _ended_at(uow: UnitOfWork, outcome: DockOutcome | None) -> OffloadRow | None:
    """The docking that ended in this slot since the recorder was put in."""
    return None if outcome is None or outcome.offload is None else uow.offloads.get(outcome.offload)


def _unsealed(uow: UnitOfWork) -> _Unsealed:
    head = uow.outbox.head()
    entries = list(uow.outbox.unsequenced(_UNSEALED_MAX))
    if head is not None:
        entries += uow.outbox.rows(head.published_size, min(head.size, head.published_size + _UNSEALED_MAX))
    recordings = frozenset(entry.recording for entry in entries if entry.event_type in _SAYS_KEPT)
    devices = frozenset(uow.recordings.get(RecordingId(recording)).device for recording in recordings)
    return _Unsealed(recordings, devices, head is None or len(entries) >= _UNSEALED_MAX)


def _failure(outcome: DockOutcome) -> str:
    return "unregistered" if outcome.error == DeviceNotRegisteredError.code else "failed"


def _name(uow: UnitOfWork, agent: AgentId | None) -> str:
    if agent is None:
        return ""
    try:
        return uow.people.agent(agent).name
    except EvidenceError:
        return ""
