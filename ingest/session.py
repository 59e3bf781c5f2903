"""The offload service: everything a person or the dock can ask of intake.

One service per home. It opens a docked recorder as its only reader, makes sure the ledger knows it, reads what is new, and
hands every recording to the secure job, which copies and seals it while the next one is still being read; what it shows is
looked at by a job of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from catalogue.records import DeviceRow, RecordingRow
from chain_of_custody import NoteVerifier
from devices import file_names
from devices.registry import DriverRegistry
from devices.session import Leases, recorder_key
from evidence.clock import unix_ms
from evidence.errors import (
    DeviceBusyError,
    EvidenceError,
    InvalidInputError,
    JobError,
    PolicyUnmetError,
    StoreFullError,
)
from evidence.ids import AgentId, DeviceId, RecordingId, UnitId
from evidence.log_place import LogPlace
from evidence.model import Action, Actor, ClearingMode, ObjectScope, RecordingState
from evidence.ports import Authoriser, DeviceSession, DockedDevice, JobEngine
from ingest import clock_watch, ledger, reconcile
from ingest.describe import ensure_described
from ingest.discover import ParseName, has_news
from ingest.docking import DockingRun, OffloadResult
from ingest.parts import Parts, raise_finding
from ingest.progress import OnProgress
from ingest.release import ClearResult, Log, Releaser
from ingest.slots import DockOutcome, Slots
from ingest.states import UNREAD
from ingest.store import ensure_stored

_log = logging.getLogger(__name__)

SECURE_QUEUE = "secure"
SECURE_JOB = "secure"
#: A queue of its own: an hour of footage takes long to look through, and nobody's second copy waits for that.
DESCRIBE_QUEUE = "describe"
DESCRIBE_JOB = "describe"
OFFLOAD_JOB = "offload"
CLEAR_JOB = "clear"
RECONCILE_JOB = "reconcile"
#: How long a folder that was read by hand stays on the board.
_LATELY_S = 600


def secure_key(recording: RecordingId) -> str:
    """Key of a recording's secure job."""
    return f"{SECURE_JOB}:{recording}"


def recording_keys(recording: RecordingId) -> set[str]:
    """Keys of all jobs that bring a recording to its end."""
    return {secure_key(recording), f"{DESCRIBE_JOB}:{recording}"}


def dock_key(job: str, docked: DockedDevice) -> str:
    """Key of a docked recorder's job: one at a time per slot."""
    return f"{job}:{docked.driver}:{docked.slot}".replace("#", "%23")


class OffloadService:
    """Takes footage in and, where allowed, clears recorders. Thread-safe.

    Args:
        parts: Catalogue, custody recorder, stores, digests, clock, settings.
        registry: Drivers.
        leases: One reader per recorder, a bound per hub.
        jobs: Engine for what need not wait (declared by :meth:`declare_jobs`).
        authoriser: The gate every act passes.
        service: The program itself, as the actor of what the dock does alone.
        published: Where the published log lies, the primary directory first.
        verifier: The log's verifier key.
        parse_name: The file-name table.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        registry: DriverRegistry,
        leases: Leases,
        jobs: JobEngine,
        authoriser: Authoriser,
        service: Actor,
        published: Sequence[Path | LogPlace],
        verifier: NoteVerifier,
        parse_name: ParseName = file_names.parse,
    ) -> None:
        self.parts = parts
        self._registry = registry
        self._leases = leases
        self._jobs = jobs
        self._authoriser = authoriser
        self._service = service
        self._releaser = Releaser(parts, Log(tuple(published), verifier))
        self._parse = parse_name
        self._slots = Slots()

    # --- jobs ---------------------------------------------------------------------------------------------------------
    @property
    def dock_queue(self) -> str:
        """Queue of this station's docks: only the machine that the recorders hang on may take from it."""
        return f"dock.{self.parts.settings.station}"

    def declare_jobs(self) -> None:
        """Declare queues and jobs; call it once before the engine starts."""
        self._jobs.declare_queue(SECURE_QUEUE, concurrency=self.parts.settings.secure_concurrency)
        self._jobs.declare_queue(DESCRIBE_QUEUE, concurrency=self.parts.settings.secure_concurrency)
        self._jobs.declare_queue(self.dock_queue, concurrency=self.parts.settings.offload_concurrency)
        self._jobs.register(SECURE_JOB, self._secure_job)
        self._jobs.register(DESCRIBE_JOB, self._describe_job)
        self._jobs.register(RECONCILE_JOB, self._reconcile_job)
        self._jobs.register(OFFLOAD_JOB, self._offload_job)
        self._jobs.register(CLEAR_JOB, self._clear_job)

    def start_up(self) -> None:
        """Close what a dead process left open. Call it before the engine starts and while nothing reads a recorder."""
        reconcile.close_dead(self.parts)

    def request_offload(self, docked: DockedDevice) -> None:
        """Ask for an offload by the service itself; does nothing while one of this slot is under way."""
        self._request(OFFLOAD_JOB, docked)

    def request_clearing(self, docked: DockedDevice) -> None:
        """Ask for automatic clearing by the service itself."""
        self._request(CLEAR_JOB, docked)

    def outcome(self, docked: DockedDevice) -> DockOutcome | None:
        """How the last attempt on this slot ended; None when there was none since the start or :meth:`forget`."""
        return self._slots.outcome(docked)

    def read_lately(self) -> list[DockedDevice]:
        """What this process reads now or has read in the last minutes, docked or given by hand."""
        return self._slots.read_lately(since_ns=self.parts.clock.now().monotonic_ns - _LATELY_S * 1_000_000_000)

    def is_being_read(self, docked: DockedDevice) -> bool:
        """Whether this process reads that slot right now."""
        return self._slots.is_being_read(docked)

    def forget(self, docked: DockedDevice) -> None:
        """The recorder left its slot: the next one there is a new docking."""
        self._slots.forget(docked)

    # --- acts ---------------------------------------------------------------------------------------------------------
    def offload(
        self, docked: DockedDevice, actor: Actor, *, register: bool = False, on_progress: OnProgress | None = None
    ) -> OffloadResult:
        """Read everything new from a docked recorder; returns when it has been read or reading stopped.

        Args:
            docked: From ``registry.scan()`` or a driver's ``docked_at``.
            actor: Who asks.
            register: Also enter an unknown recorder in the ledger (needs that right).
            on_progress: Called at most twice a second.

        Returns:
            What came in. Each acquired recording has its secure job enqueued; ``secure`` may also be called directly.

        Raises:
            AccessDeniedError: Not allowed.
            DeviceNotRegisteredError: Unknown recorder; nothing was read, the refusal is entered.
            DeviceBusyError: It is being read, or another docked recorder has its serial (a finding is raised).
            DeviceError: It could not be opened.
        """
        self._authoriser.require(actor, Action.OFFLOAD_RUN, detail=docked.slot)
        with self._opened(docked) as session:
            status = session.status(self.parts.clock.now())
            device = self._device(session, actor, register=register)
            self._authoriser.require(actor, Action.OFFLOAD_RUN, ObjectScope(unit=device.unit), detail=docked.slot)
            run = DockingRun(
                self.parts,
                session,
                docked,
                device,
                actor=actor,
                parse=self._parse,
                acquired=self._enqueue_secure,
                on_progress=on_progress,
            )
            times_left = self._slots.times_left(docked)
            with self._slots.reading(docked):
                result = run.run(status)
                # Kept before it stops being read: the board shows the one or the other at every moment.
                self._slots.keep(docked, self._outcome_of(result), times_left=times_left)
            return result

    def register_device(
        self,
        docked: DockedDevice,
        actor: Actor,
        *,
        unit: UnitId | None = None,
        officer: AgentId | None = None,
        label: str = "",
    ) -> DeviceRow:
        """Enter a docked recorder in the ledger.

        Raises:
            AccessDeniedError: Not allowed. DeviceError: it could not be opened.
            StateConflictError: It was retired.
        """
        self._authoriser.require(actor, Action.DEVICE_REGISTER, ObjectScope(unit=unit, officer=officer))
        with self._opened(docked) as session:
            row = ledger.register(self.parts, session.identity, actor, unit=unit, officer=officer, label=label)
        self.forget(docked)
        return row

    def secure(self, recording: RecordingId) -> RecordingRow:
        """Store and describe one recording. Idempotent: every step asks what is left to do.

        Raises:
            StoreError: Too few stores took their copy; nothing is lost, the step is repeated.
            MediaError: It is stored and sealed; describing it failed and is repeated.
        """
        ensure_stored(self.parts, recording)
        return ensure_described(self.parts, recording)

    def clear_recorder(
        self,
        docked: DockedDevice,
        actor: Actor,
        *,
        recordings: Sequence[RecordingId] | None = None,
        mode: ClearingMode = ClearingMode.MANUAL,
    ) -> ClearResult:
        """Remove from a docked recorder what is safe here (promise 1); everything is checked again first.

        Args:
            docked: The recorder.
            actor: Who asks.
            recordings: Only these; None means everything of this recorder that is safe.
            mode: ``manual`` or ``automatic``, as it is entered.

        Raises:
            PolicyUnmetError: Clearing is switched off.
            ClockWentBackError, ClockJumpedError: Our clock is not believed: clearing waits.
            AccessDeniedError, DeviceError: As for an offload.
        """
        self._authoriser.require(actor, Action.DEVICE_RELEASE, detail=docked.slot)
        allowed = self.parts.settings.clearing
        if allowed is ClearingMode.NEVER or mode is ClearingMode.NEVER:
            raise PolicyUnmetError("clearing of recorders is switched off", todo="An administrator can set `clearing`.")
        if mode is ClearingMode.AUTOMATIC and allowed is not ClearingMode.AUTOMATIC:
            raise PolicyUnmetError("recorders are cleared only on request", todo="An administrator can set `clearing`.")
        clock_watch.require_believed(self.parts)
        with self._opened(docked) as session:
            device = self._device(session, actor, register=False)
            self._authoriser.require(actor, Action.DEVICE_RELEASE, ObjectScope(unit=device.unit), detail=docked.slot)
            last = self.outcome(docked)
            return self._releaser.clear(
                session,
                device,
                actor=actor,
                mode=mode,
                offload=last.offload if last else None,
                only=None if recordings is None else frozenset(recordings),
            )

    def has_news(self, docked: DockedDevice) -> bool:
        """Whether a source that stays docked (a drop folder) lists a file that is not held yet. Reads no footage."""
        with self._opened(docked) as session:
            device = ledger.known(self.parts, session.identity)
            if device is None:
                return False
            news, held = has_news(self.parts, device, session, self._parse, held=self._slots.held(docked))
        self._slots.remember_held(docked, held)
        return news

    def was_left_unread(self, outcome: DockOutcome) -> bool:
        """Whether a recording of that docking is to be read again: our first copy of it did not survive until it was stored."""
        if outcome.device is None:
            return False
        with self.parts.catalogue.read() as uow:
            unread = uow.recordings.of_device(outcome.device, states=UNREAD)
        return any(row.offload == outcome.offload for row in unread)

    def has_unfinished(self, device: DeviceId) -> bool:
        """Whether footage of this recorder is acquired and not yet stored."""
        with self.parts.catalogue.read() as uow:
            return bool(uow.recordings.of_device(device, states={RecordingState.ACQUIRED}))

    def has_to_clear(self, device: DeviceId) -> bool:
        """Whether automatic clearing would find something still on this recorder: all of it sealed, some of it unflagged.

        What only waits for its seal is waited for: cleared without it, the recorder would be looked at again much later.
        """
        with self.parts.catalogue.read() as uow:
            rows = uow.recordings.of_device(device, states={RecordingState.STORED, RecordingState.DUPLICATE})
        left = [row for row in rows if row.released_at is None]
        if any(row.state is RecordingState.STORED and not row.sealed for row in left):
            return False
        return any(not row.quarantine_reason for row in left)

    # --- the parts of an act ------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _opened(self, docked: DockedDevice) -> Iterator[DeviceSession]:
        """A session that is the only reader of its slot and of its serial (promise 1 rests on knowing the recorder)."""
        with self._leases.slot(docked.slot):
            session = self._registry.open(docked)
            try:
                self._refuse_twins(session, docked)
                with self._leases.recorder(session.identity, slot=docked.slot):
                    yield session
            finally:
                session.close()

    def _refuse_twins(self, session: DeviceSession, docked: DockedDevice) -> None:
        """Two docked recorders with one serial: nobody can tell whose footage is whose; a person must look."""
        key = recorder_key(session.identity)
        other = self._slots.first_seen(key, docked)
        if other.slot == docked.slot:
            return
        survey = self._registry.survey()
        if other not in survey.docked and other.driver not in survey.failed:  # the same recorder, moved to another slot
            self._slots.moved(key, docked)
            return
        with self.parts.catalogue.begin() as uow:
            detail = f"{session.identity.serial}: {other.slot}, {docked.slot}"
            raise_finding(self.parts, uow, "duplicate-serial", detail=detail, at=self.parts.clock.now())
        raise DeviceBusyError(
            f"the recorder in slot {other.slot} has the same serial",
            kept="Nothing was read from this one.",
            todo="Undock one of the two and have a person look at both.",
        )

    def _device(self, session: DeviceSession, actor: Actor, *, register: bool) -> DeviceRow:
        device = ledger.known(self.parts, session.identity)
        if device is not None:
            return device
        if not register:
            raise ledger.refuse(self.parts, session.identity, actor)
        self._authoriser.require(actor, Action.DEVICE_REGISTER)
        return ledger.register(self.parts, session.identity, actor)

    def _enqueue_secure(self, row: RecordingRow) -> None:
        try:
            enqueue_secure(self._jobs, row)
        except JobError as error:  # the reconciler finds it within a minute
            _log.warning("the secure job of %s was not enqueued: %s", row.id, error.what)

    def _request(self, job: str, docked: DockedDevice) -> None:
        argument = json.dumps([docked.driver, docked.slot, docked.address])
        self._jobs.enqueue(job, argument, queue=self.dock_queue, key=dock_key(job, docked), priority=1)

    def _secure_job(self, argument: str) -> None:
        row = ensure_stored(self.parts, RecordingId(argument))
        if row.state is RecordingState.STORED and not row.described:
            # Before this job ends, so that a recording on its way always has a job. Lost, the reconciler asks again.
            enqueue_describe(self._jobs, row)

    def _describe_job(self, argument: str) -> None:
        ensure_described(self.parts, RecordingId(argument))

    def _reconcile_job(self, _argument: str) -> None:
        live = self._jobs.live_keys()
        for row in reconcile.unfinished(self.parts):
            if not live.isdisjoint(recording_keys(row.id)):
                continue
            if row.state is RecordingState.ACQUIRED:
                enqueue_secure(self._jobs, row)
            else:
                enqueue_describe(self._jobs, row)
        reconcile.sweep_partials(self.parts)

    def _offload_job(self, argument: str) -> None:
        docked = _docked(argument)
        times_left = self._slots.times_left(docked)
        try:
            self.offload(docked, self._service)
        except EvidenceError as error:
            self._slots.keep(docked, self._failed(error), times_left=times_left)
            raise
        except Exception:  # a fault of ours: it must show at the dock and be paused, not be tried in a loop
            broke = self._failed(EvidenceError("the docking broke"))
            self._slots.keep(docked, broke, times_left=times_left)
            raise

    def _clear_job(self, argument: str) -> None:
        docked = _docked(argument)
        times_left, before = self._slots.times_left(docked), self.outcome(docked)
        try:
            self.clear_recorder(docked, self._service, mode=ClearingMode.AUTOMATIC)
        finally:
            if before is not None:  # whether it could be cleared or not takes nothing from what was read and sealed
                now_ns = self.parts.clock.now().monotonic_ns
                self._slots.keep(docked, replace(before, at_monotonic_ns=now_ns), times_left=times_left)

    def _failed(self, error: EvidenceError) -> DockOutcome:
        full = error.stores if isinstance(error, StoreFullError) else ()
        return DockOutcome(self.parts.clock.now().monotonic_ns, error.code, error.retry, full=full)

    def _outcome_of(self, result: OffloadResult) -> DockOutcome:
        ended = self._failed(result.error) if result.error else DockOutcome(self.parts.clock.now().monotonic_ns)
        return replace(ended, device=result.device, offload=result.offload, waiting=bool(result.waiting))


def enqueue_secure(jobs: JobEngine, row: RecordingRow) -> None:
    """Ask for a recording's secure job; the earliest deadline runs first."""
    jobs.enqueue(SECURE_JOB, row.id, queue=SECURE_QUEUE, key=secure_key(row.id), priority=_urgency(row))


def enqueue_describe(jobs: JobEngine, row: RecordingRow) -> None:
    """Ask for the description of a stored recording; the earliest deadline runs first."""
    key = f"{DESCRIBE_JOB}:{row.id}"
    jobs.enqueue(DESCRIBE_JOB, row.id, queue=DESCRIBE_QUEUE, key=key, priority=_urgency(row))


def _urgency(row: RecordingRow) -> int:
    return max(1, unix_ms(row.deadline_at or row.discovered_at) // 60_000)


def _docked(argument: str) -> DockedDevice:
    try:
        driver, slot, address = json.loads(argument)
    except (ValueError, TypeError) as error:
        raise InvalidInputError("not a docked recorder") from error
    return DockedDevice(str(driver), str(slot), str(address))
