"""One docking from start to end: condition, clock, listing, reading, and the entry that closes it.

Crash: the docking's row stays open and the recording that was being read stays ``acquiring``; ``reconcile.close_dead`` ends
both at the next start with what is certain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from catalogue.records import DeviceRow, OffloadRow, RecordingRow
from devices.session import still_growing, unlisted
from evidence.clock import to_text, unix_ms
from evidence.errors import (
    DeviceError,
    DeviceGoneError,
    EvidenceError,
    LimitExceededError,
    MediumError,
    StoreError,
    StoreFullError,
)
from evidence.events import ClockSet, OffloadEnded, OffloadStarted
from evidence.ids import DeviceId, OffloadId, RecordingId
from evidence.model import Actor, Cap, DeviceStatus, OffloadState
from evidence.ports import DeviceSession, DockedDevice
from ingest import clock_watch
from ingest.acquire import acquire
from ingest.discover import Discovery, Docking, ParseName, Pending, discover
from ingest.parts import Parts
from ingest.progress import OnProgress, Progress
from ingest.room import require_room

_log = logging.getLogger(__name__)
#: A recorder that fails this often in a row is not asked for the rest: a person should look at it.
_FAILURES_IN_A_ROW_MAX = 3
_PLACES_TOLD = 3


@dataclass(slots=True, kw_only=True)
class OffloadResult:
    """What one docking brought.

    Attributes:
        offload: Identity of the docking.
        device: The recorder.
        outcome: ``complete``, ``interrupted`` or ``failed``.
        acquired: Recordings whose last byte was read in this docking.
        known: Recordings that were here already.
        interrupted: Recordings that were begun and are not whole yet.
        duplicates: Those of ``acquired`` whose bytes were kept before.
        quarantined: Those of ``acquired`` (and too large ones) a person must look at, as far as known now.
        waiting: Names that are still being written.
        refused: What is not read: (printable path, reason). Where footage may lie there, the docking is not complete.
        error: Why it did not complete.
        clock: Why our own clock is not believed: the footage is here, and when it came is not certain.
    """

    offload: OffloadId
    device: DeviceId
    outcome: str = OffloadState.COMPLETE.value
    acquired: list[RecordingId] = field(default_factory=list)
    known: list[RecordingId] = field(default_factory=list)
    interrupted: list[RecordingId] = field(default_factory=list)
    duplicates: list[RecordingId] = field(default_factory=list)
    quarantined: list[RecordingId] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    error: EvidenceError | None = None
    clock: EvidenceError | None = None

    @property
    def recordings(self) -> list[RecordingId]:
        """Every recording of this listing that is here or on its way, in the order it was dealt with."""
        return [*self.acquired, *self.interrupted, *self.known]


class DockingRun:
    """Reads one open recorder.

    Args:
        parts: The parts of intake.
        session: The leased, open recorder.
        docked: Where it is.
        device: Its row in the ledger.
        actor: Who asked for it.
        parse: The file-name table.
        acquired: Called with every recording as soon as its bytes are here (enqueues the rest).
        on_progress: Called with every progress row.
    """

    def __init__(
        self,
        parts: Parts,
        session: DeviceSession,
        docked: DockedDevice,
        device: DeviceRow,
        *,
        actor: Actor,
        parse: ParseName,
        acquired: Callable[[RecordingRow], None],
        on_progress: OnProgress | None = None,
    ) -> None:
        self._parts = parts
        self._session = session
        self._docked = docked
        self._device = device
        self._actor = actor
        self._parse = parse
        self._acquired = acquired
        self._on_progress = on_progress

    def run(self, status: DeviceStatus) -> OffloadResult:
        """Read what is new. Returns also when the recorder or our disk stopped; raises only fatal errors.

        Args:
            status: The recorder's condition, read before anything was changed (R2).
        """
        moment = clock_watch.look(self._parts)
        offload = self._start(status)
        result = OffloadResult(offload=offload.id, device=self._device.id, clock=moment.trouble)
        progress = Progress(self._parts, offload.id, self._on_progress)
        try:
            if moment.believed:  # a recorder is never set to a time that we do not believe ourselves
                self._set_clock(offload)
            docking = Docking(self._device, offload, self._session.identity, status.clock, moment)
            found = discover(self._parts, docking, self._session, self._parse)
            self._note(result, found)
            self._read_all(result, found.pending, progress)
        except (DeviceError, StoreError) as error:
            if error.fatal:
                raise
            result.error, result.outcome = error, OffloadState.FAILED.value
        except BaseException:
            # A stop from outside (Ctrl-C, shutdown): what was read is kept; say so before leaving.
            result.outcome = OffloadState.INTERRUPTED.value
            self._end(result, progress)
            raise
        self._end(result, progress)
        return result

    # --- start --------------------------------------------------------------------------------------------------------
    def _start(self, status: DeviceStatus) -> OffloadRow:
        at = self._parts.clock.now()
        clock = status.clock
        row = OffloadRow(
            id=OffloadId.new(unix_ms(at.wall)),
            device=self._device.id,
            state=OffloadState.OPEN,
            driver=self._docked.driver,
            slot=self._docked.slot,
            address=self._docked.address,
            started_at=at.wall,
            battery_percent=status.battery_percent,
            capacity_bytes=status.capacity_bytes,
            free_bytes=status.free_bytes,
            clock_known=clock is not None,
            clock_plausible=clock is not None and clock.plausible,
            clock_offset_ms=clock.offset_ms if clock else 0,
            clock_device_text=clock.device_text if clock else "",
        )
        event = OffloadStarted(
            actor=self._actor.agent,
            offload=row.id,
            device=row.device,
            driver=row.driver,
            station=self._parts.settings.station,
            at=to_text(at.wall),
            battery_percent=-1 if row.battery_percent is None else row.battery_percent,
            capacity_bytes=-1 if row.capacity_bytes is None else row.capacity_bytes,
            free_bytes=-1 if row.free_bytes is None else row.free_bytes,
            clock_known=row.clock_known,
            clock_plausible=row.clock_plausible,
            clock_offset_ms=row.clock_offset_ms,
            clock_device_text=row.clock_device_text,
            source=row.address,
        )
        with self._parts.catalogue.begin() as uow:
            uow.offloads.add(row)
            uow.devices.update(self._device.id, last_seen_at=at.wall)
            self._parts.enter(uow, event, at=at)
        return row

    def _set_clock(self, offload: OffloadRow) -> None:
        if not self._parts.settings.set_clock or Cap.CLOCK_SET not in self._session.caps:
            return
        at = self._parts.clock.now()
        try:
            before = self._session.set_clock(at)
        except DeviceGoneError:
            raise
        except DeviceError as error:  # the footage matters more than the clock; the dock wall shows it was not set
            _log.warning("the clock of %s was not set: %s", self._device.id, error.what)
            return
        event = ClockSet(
            actor=self._actor.agent, device=self._device.id, offload=offload.id, offset_before_ms=before.offset_ms
        )
        with self._parts.catalogue.begin() as uow:
            uow.offloads.update(offload.id, clock_set=True)
            self._parts.enter(uow, event, at=at)

    # --- reading ------------------------------------------------------------------------------------------------------
    def _note(self, result: OffloadResult, found: Discovery) -> None:
        result.known, result.waiting = found.known, found.waiting
        result.quarantined = list(found.too_large)
        result.refused = [(one.path, one.reason) for one in getattr(self._session, "refused", ())]
        result.waiting += sorted(still_growing(self._session) - {*result.waiting})
        if error := self._left_out(found):
            result.error, result.outcome = error, OffloadState.INTERRUPTED.value
        with self._parts.catalogue.begin() as uow:
            uow.offloads.update(result.offload, waiting=result.waiting)

    def _left_out(self, found: Discovery) -> EvidenceError | None:
        """What keeps this docking from being complete although all that is listed can be read."""
        if hidden := unlisted(self._session):
            places = ", ".join(one.path for one in hidden[:_PLACES_TOLD])
            return MediumError(
                f"{len(hidden)} places on the recorder cannot be listed: {places}",
                kept="What could be listed was read.",
                todo="Do not clear the recorder; have a person look at it.",
            )
        if found.too_large:
            return LimitExceededError(f"{len(found.too_large)} files are larger than any recording and were not read")
        return None

    def _read_all(self, result: OffloadResult, pending: list[Pending], progress: Progress) -> None:
        progress.plan(files=len(pending), total_bytes=sum(item.row.size_bytes for item in pending))
        failures = 0
        for item in pending:
            try:
                require_room(self._parts, item.row)
            except StoreFullError as error:
                _log.warning("%s is not begun: %s", item.row.id, error.what)
                result.error, result.outcome = error, OffloadState.INTERRUPTED.value
                return
            try:
                self._read_one(result, item, progress)
                failures = 0
            except (DeviceError, StoreError) as error:
                if error.fatal:
                    raise
                _log.warning("%s stopped: %s", item.row.id, error.what)
                result.interrupted.append(item.row.id)
                result.error, result.outcome = error, OffloadState.INTERRUPTED.value
                progress.end(0)
                failures += 1
                if isinstance(error, DeviceGoneError | StoreError) or failures == _FAILURES_IN_A_ROW_MAX:
                    return

    def _read_one(self, result: OffloadResult, item: Pending, progress: Progress) -> None:
        progress.begin(item.row.id)
        row = acquire(self._parts, self._session, item.row, item.source, offload=result.offload, progress=progress)
        result.acquired.append(row.id)
        if row.quarantine_reason:
            result.quarantined.append(row.id)
        if self._kept_before(row):
            result.duplicates.append(row.id)
        progress.end(row.size_bytes)
        self._acquired(row)

    def _kept_before(self, row: RecordingRow) -> bool:
        if row.sha256 is None or row.size_bytes == 0:
            return False
        with self._parts.catalogue.read() as uow:
            return any(kept.id != row.id for kept in uow.recordings.kept_with(row.sha256))

    # --- end ----------------------------------------------------------------------------------------------------------
    def _end(self, result: OffloadResult, progress: Progress) -> None:
        at = self._parts.clock.now()
        event = OffloadEnded(
            actor=self._actor.agent,
            offload=result.offload,
            device=result.device,
            at=to_text(at.wall),
            outcome=result.outcome,
            recordings=len(result.acquired),
            waiting=len(result.waiting),
            quarantined=len(result.quarantined),
            duplicates=len(result.duplicates),
        )
        message = f"{result.error.code}: {result.error.what}" if result.error else ""
        with self._parts.catalogue.begin() as uow:
            uow.offloads.update(result.offload, state=OffloadState(result.outcome), ended_at=at.wall, message=message)
            self._parts.enter(uow, event, at=at)
        result.clock = clock_watch.look(self._parts).trouble or result.clock
        progress.clear()
