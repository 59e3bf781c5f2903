"""What is docked, for the people at the station: one card per slot, true at the moment it is told.

A card says "may be unplugged" only when everything this docking listed is sealed here; a stale progress row or a failed
attempt is "unknown", never "yes". Unplugging is never dangerous to footage (reading resumes at the byte), but "yes" is a
promise that nothing is left to do.

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
from evidence.ids import AgentId, UnitId
from evidence.model import Action, Actor, OffloadState, RecordingState
from evidence.ports import Authoriser, DockedDevice
from ingest.session import DockOutcome, OffloadService

#: Progress older than this is not shown as running (invariants: order of reads).
PROGRESS_STALE: Final = timedelta(seconds=10)
_DONE: Final = frozenset({RecordingState.STORED, RecordingState.RELEASED, RecordingState.DUPLICATE})


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
        sealed: Recordings of this docking that are sealed.
        total: Recordings of this docking.
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
            cards = [self._card(uow, one) for one in sorted(self._docked(), key=lambda one: (one.driver, one.slot))]
        if seen.everything:
            return cards
        return [
            card for card in cards
            if card.device is None or card.device.unit in seen.units or card.device.officer == seen.officer
        ]  # fmt: skip

    def find(self, actor: Actor, slot: str) -> DockedDevice:
        """The docked recorder of a slot; NotFoundError when nothing is docked there."""
        self._authoriser.require(actor, Action.OFFLOAD_LIST)
        for one in self._docked():
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

    # --- one card -----------------------------------------------------------------------------------------------------
    def _card(self, uow: UnitOfWork, docked: DockedDevice) -> DockCard:
        outcome = self._offloads.outcome(docked)
        offload = _offload_at(uow, docked, outcome)
        if offload is None:
            state = "seen" if outcome is None else _failure(outcome)
            return DockCard(
                docked=docked, state=state, outcome=outcome,
                may_unplug="yes" if state == "unregistered" else "unknown",
            )  # fmt: skip
        device = uow.devices.get(offload.device)
        rows = uow.recordings.of_offload(offload.id)
        state, may_unplug = self._judge(offload, rows, outcome)
        return DockCard(
            docked=docked, state=state, device=device, offload=offload, outcome=outcome, may_unplug=may_unplug,
            progress=self._fresh(uow, offload), officer_name=_name(uow, device.officer),
            sealed=sum(1 for row in rows if row.sealed or row.state is RecordingState.DUPLICATE), total=len(rows),
        )  # fmt: skip

    def _judge(self, offload: OffloadRow, rows: Sequence[RecordingRow], outcome: DockOutcome | None) -> tuple[str, str]:
        if offload.state is OffloadState.OPEN:
            return "offloading", "no"
        if outcome is not None and outcome.error:
            return _failure(outcome), "unknown"
        if offload.state is not OffloadState.COMPLETE:
            return "interrupted", "unknown"
        if all(row.state in _DONE and (row.sealed or row.state is RecordingState.DUPLICATE) for row in rows):
            return "sealed", "yes"
        return "securing", "no"

    def _fresh(self, uow: UnitOfWork, offload: OffloadRow) -> ProgressRow | None:
        progress = uow.progress.of(offload.id)
        now = self._offloads.parts.clock.now().wall
        return progress if progress is not None and now - progress.updated_at < PROGRESS_STALE else None


def _offload_at(uow: UnitOfWork, docked: DockedDevice, outcome: DockOutcome | None) -> OffloadRow | None:
    """The docking this slot is in: the one that ended here since the recorder was put in, else one that is still open."""
    if outcome is not None and outcome.offload is not None:
        return uow.offloads.get(outcome.offload)
    running = [row for row in uow.offloads.open() if (row.driver, row.slot) == (docked.driver, docked.slot)]
    return max(running, key=lambda row: row.started_at, default=None)


def _failure(outcome: DockOutcome) -> str:
    return "unregistered" if outcome.error == DeviceNotRegisteredError.code else "failed"


def _name(uow: UnitOfWork, agent: AgentId | None) -> str:
    if agent is None:
        return ""
    try:
        return uow.people.agent(agent).name
    except EvidenceError:
        return ""
