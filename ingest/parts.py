"""What every stage of intake works with, put together once by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catalogue import Catalogue, UnitOfWork
from catalogue.records import FindingRow, RecordingRow
from evidence.clock import Clock, TimeReading, to_text, unix_ms
from evidence.digest import DigestSuite
from evidence.events import Event, FindingRaised, RecordingQuarantined
from evidence.ids import EntryId, FindingId, RecordingId
from evidence.ports import CustodyRecorder
from ingest.settings import IngestSettings
from storage.stores import StoreSet


def _nobody() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of intake.

    Attributes:
        catalogue: Where rows and entries are committed together.
        recorder: Signs entries.
        stores: Primary store (partials grow there) and the others.
        suite: Digest algorithms.
        clock: The time.
        settings: What the bureau set.
        scratch: Directory for temporary files of descriptions (HOME/cache, or a protected place where footage is encrypted).
        ready_scratch: Called before anything is laid there; raises StoreError when plain files may not lie there.
        wake_sealer: Called after every commit that added an entry.
    """

    catalogue: Catalogue
    recorder: CustodyRecorder
    stores: StoreSet
    suite: DigestSuite
    clock: Clock
    settings: IngestSettings
    scratch: Path
    ready_scratch: Callable[[], None] = _nobody
    wake_sealer: Callable[[], None] = _nobody

    def enter(self, uow: UnitOfWork, event: Event, *, at: TimeReading) -> EntryId:
        """Add an entry to the running transaction; the sealer is woken once it is durable."""
        uow.after_commit(self.wake_sealer)
        return self.recorder.record(uow.outbox, event, at=at)

    def partial(self, recording: RecordingId) -> Path:
        """Where the bytes of a recording grow."""
        return self.stores.primary.partial_path(recording)


def quarantine(
    parts: Parts, uow: UnitOfWork, row: RecordingRow, reason: str, *, detail: str = "", at: TimeReading
) -> RecordingRow:
    """Flag a recording for a person, with its entry. The first reason stays on the row, every reason is entered once.

    Args:
        parts: The parts of intake.
        uow: The running transaction.
        row: The recording as it is in this transaction.
        reason: Stable code (``empty``, ``size-differs``, ``unknown-name``, ``damaged`` ...).
        detail: What was found, for the person; personal.
        at: Reading of the clock.
    """
    if row.quarantine_reason == reason:
        return row
    sha256 = row.sha256.hex if row.sha256 else ""
    event = RecordingQuarantined(
        recording=row.id, sha256=sha256, reason=reason, at=to_text(at.wall), detail=detail or None
    )
    parts.enter(uow, event, at=at)
    if not row.quarantine_reason:
        uow.recordings.update(row.id, quarantine_reason=reason, quarantine_detail=detail)
    return uow.recordings.get(row.id)


def raise_finding(
    parts: Parts,
    uow: UnitOfWork,
    kind: str,
    *,
    recording: RecordingId | None = None,
    store: str = "",
    detail: str = "",
    at: TimeReading,
) -> None:
    """Put something before an auditor, once while it is open, with its entry.

    Args:
        parts: The parts of intake.
        uow: The running transaction.
        kind: Stable code.
        recording: The recording concerned.
        store: The store concerned.
        detail: What was found; personal.
        at: Reading of the clock.
    """
    finding = FindingId.new(unix_ms(at.wall))
    row = FindingRow(id=finding, kind=kind, recording=recording, store=store, detail=detail, raised_at=at.wall)
    if uow.findings.raise_(row):
        event = FindingRaised(
            finding=finding,
            kind=kind,
            store=store,
            recording=recording or "",
            at=to_text(at.wall),
            detail=detail or None,
        )
        parts.enter(uow, event, at=at)
