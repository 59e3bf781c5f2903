"""Assurance for persons: the authorised, entered face of this room. API and command line go through it (promise 10)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from assurance.copy_checks import kind_of, read_copy
from assurance.disclosures import DisclosureArchive
from assurance.findings import FindingBook
from assurance.health import Health, health
from assurance.health_facts import HealthParts
from assurance.projection import Projection, project, timeline_events
from assurance.report import Finding, VerifyProgress, VerifyReport
from assurance.verify import CopyPolicy, verify_home
from catalogue import Catalogue, UnitOfWork
from catalogue.records import FindingRow, RecordingRow
from evidence.clock import Clock, to_text
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError, InvalidInputError, NotFoundError, SignerMismatchError, StateConflictError
from evidence.events import AccessAllowed, FixityChecked
from evidence.ids import FindingId, RecordingId
from evidence.log_place import LogPlace
from evidence.model import Action, Actor, ObjectScope
from evidence.ports import Authoriser, BlobStore, CustodyRecorder

GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCheck:
    """Result for one copy. ``outcome`` is ``good`` or a kind of finding; ``part`` is ``recording`` or ``manifest``."""

    store: str
    part: str
    outcome: str
    checked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditorParts:
    """What the auditor works on."""

    catalogue: Catalogue
    authoriser: Authoriser
    recorder: CustodyRecorder
    clock: Clock
    stores: Sequence[BlobStore]
    published: Sequence[Path | LogPlace]
    vkey: str
    policy: CopyPolicy
    disclosures: DisclosureArchive | None = None


#: Why a finding was closed that a person closed.
LOOKED_AT: Final = "looked-at"


class Auditor:
    """Verification on request, findings and health, for an identified actor.

    Args:
        parts: Catalogue, gate, stores, log.
    """

    def __init__(self, parts: AuditorParts) -> None:
        self._parts = parts
        self.book = FindingBook(parts.catalogue, recorder=parts.recorder, clock=parts.clock)

    def verify(
        self, actor: Actor, *, progress: VerifyProgress | None = None, raise_findings: bool = True
    ) -> VerifyReport:
        """Examine the whole home and enter that it was done, by whom and with which verdict.

        With ``raise_findings`` everything found becomes a finding too. A report that a damaged database takes no entry of is
        returned all the same, and then never says good.

        Raises:
            AccessDeniedError: Not allowed (entered).
        """
        self._parts.authoriser.require(actor, Action.VERIFY_RUN)
        report = verify_home(
            self._parts.catalogue, stores=self._parts.stores, published=self._parts.published, vkey=self._parts.vkey,
            clock=self._parts.clock, disclosures=self._parts.disclosures, policy=self._parts.policy, progress=progress,
        )  # fmt: skip
        try:
            self._enter(actor, Action.VERIFY_RUN, f"{report.verdict}: {len(report.findings)} findings")
            if raise_findings:
                self.book.raise_all(report.findings, actor=actor.agent)
                self.book.close_over(report, actor=actor.agent)
        except EvidenceError as error:
            if error.fatal:
                raise
            untold = [
                Finding(kind="not-examined", detail=f"this verification could not be entered in the log: {error}")
            ]
            if isinstance(error, SignerMismatchError):
                untold.append(Finding(kind="signer-differs", detail=error.what))
            return replace(report, findings=(*report.findings, *untold))
        return report

    def verify_one(self, actor: Actor, recording: RecordingId) -> list[CopyCheck]:
        """Read every copy of one recording and of its manifest from its medium, now; each result is an entry.

        Raises:
            NotFoundError: Unknown recording. AccessDeniedError: not allowed (entered).
            StateConflictError: It is not stored yet: there is nothing to check.
        """
        parts = self._parts
        with parts.catalogue.read() as uow:
            row = uow.recordings.get(recording)
        scope = ObjectScope(unit=row.unit, officer=row.officer, recording=row.id)
        parts.authoriser.require(actor, Action.RECORDING_VERIFY, scope)
        kept = self._keeper(row)
        if kept.sha256 is None or kept.stored_at is None:
            raise StateConflictError(f"{recording} is not stored yet", kept="Its bytes so far are kept.")
        stated = self._stated(kept)
        checks = self._compare(actor, kept, stated)
        checks += self._check_copies(actor, kept, kept.sha256, stated, part="recording")
        if kept.manifest_sha256:
            checks += self._check_copies(actor, kept, Digest(SHA256, kept.manifest_sha256), stated, part="manifest")
        return checks

    def findings(self, actor: Actor) -> list[FindingRow]:
        """Open findings within the actor's visibility."""
        parts = self._parts
        parts.authoriser.require(actor, Action.FINDING_LIST)
        seen = parts.authoriser.visibility(actor, Action.FINDING_LIST)
        with parts.catalogue.read() as uow:
            rows = uow.findings.open()
            if seen.everything:
                return rows
            units = {row.id: self._unit_of(uow, row.recording) for row in rows if row.recording}
        return [row for row in rows if units.get(row.id, "") in seen.units]

    def close_finding(self, actor: Actor, finding: FindingId, *, reason: str) -> None:
        """Close a finding with a reason; who and why is entered in the same transaction.

        It says that a person has looked, not that anything is mended: what is still so is found again.

        Raises:
            InvalidInputError: No reason. NotFoundError: no such open finding.
            AccessDeniedError: Closing needs the right to run verifications.
        """
        parts = self._parts
        parts.authoriser.require(actor, Action.VERIFY_RUN, detail=f"close {finding}")
        if not reason.strip():
            raise InvalidInputError(
                "closing a finding needs a reason", todo="Say what was looked at and what was done."
            )
        now = parts.clock.now()
        with parts.catalogue.begin() as uow:
            row = uow.findings.take_open(finding)
            self.book.close_in(
                uow, row.kind, recording=row.recording, store=row.store, reason=LOOKED_AT, actor=actor.agent
            )  # fmt: skip
            event = AccessAllowed(
                actor=actor.agent, action="finding.close", via=actor.via, at=to_text(now.wall),
                address=actor.address or None, detail=f"{finding}: {reason}",
            )  # fmt: skip
            parts.recorder.record(uow.outbox, event, at=now)

    def health(self, actor: Actor, parts: HealthParts) -> Health:
        """The facts of the system page; AccessDeniedError when they are not for this actor."""
        self._parts.authoriser.require(actor, Action.SYSTEM_HEALTH)
        return health(parts)

    # --- inside -------------------------------------------------------------------------------------------------------
    @staticmethod
    def _unit_of(uow: UnitOfWork, recording: RecordingId) -> str:
        """Empty also for a recording that is gone: then only who sees everything sees the finding."""
        try:
            return uow.recordings.get(recording).unit or ""
        except NotFoundError:
            return ""

    def _keeper(self, row: RecordingRow) -> RecordingRow:
        """The recording that keeps the bytes: itself, or for a duplicate the one it joined."""
        if row.duplicate_of is None:
            return row
        with self._parts.catalogue.read() as uow:
            return uow.recordings.get(row.duplicate_of)

    def _stated(self, row: RecordingRow) -> Projection | None:
        """What the log says of a recording; None when its entries cannot be read (a whole verification tells why)."""
        try:
            with self._parts.catalogue.read() as uow:
                return project(timeline_events(uow.timeline(row.id)))
        except EvidenceError as error:
            if error.fatal:
                raise
            return None

    def _compare(self, actor: Actor, row: RecordingRow, stated: Projection | None) -> list[CopyCheck]:
        """Good copies of other bytes than those that were sealed prove nothing: the digests must be the log's."""
        if stated is not None and (stated.row.sha256, stated.row.manifest_sha256) == (row.sha256, row.manifest_sha256):
            return []
        kind, detail = "catalogue-differs", "its digests are not what the log says"
        self.book.raise_one(kind, recording=row.id, detail=detail, actor=actor.agent)
        return [CopyCheck(store="", part="recording", outcome=kind, checked_at=self._parts.clock.now().wall)]

    def _check_copies(
        self, actor: Actor, row: RecordingRow, sha256: Digest, stated: Projection | None, *, part: str
    ) -> list[CopyCheck]:
        """Every copy that the catalogue knows or the log states."""
        parts = self._parts
        by_name = {store.properties.name: store for store in parts.stores}
        with parts.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        known = {copy.store for copy in blob.copies} if blob is not None else set()
        told = [fact.copies for fact in stated.blobs if fact.sha256 == sha256] if stated is not None else []
        names = sorted(known | {copy.store for copies in told for copy in copies})
        if not names:
            raise NotFoundError(f"no copy of the {part} of {row.id} is known", todo="Run `liuhen verify`.")
        checks = []
        for name in names:
            checks.append(self._check_copy(actor, row, sha256, name, by_name.get(name), part=part))
            if name not in known:
                kind, detail = "blob-unrecorded", f"{part}: a copy has no row"
                self.book.raise_one(kind, recording=row.id, store=name, detail=detail, actor=actor.agent)
                checks.append(replace(checks[-1], outcome=kind))
        return checks

    def _check_copy(
        self, actor: Actor, row: RecordingRow, sha256: Digest, name: str, store: BlobStore | None, *, part: str
    ) -> CopyCheck:
        parts = self._parts
        error = read_copy(store, sha256)
        outcome = GOOD if error is None else kind_of(error)
        now = parts.clock.now()
        event = FixityChecked(
            actor=actor.agent, recording=row.id, sha256=row.sha256.hex if row.sha256 else "", store=name,
            outcome=f"{part}-{outcome}", at=to_text(now.wall),
        )  # fmt: skip
        with parts.catalogue.begin() as uow:
            if error is None:
                with contextlib.suppress(NotFoundError):  # a copy without a row is told by the caller
                    uow.blobs.mark_checked(sha256, name, now.wall)
            parts.recorder.record(uow.outbox, event, at=now)
        if error is not None:
            self.book.raise_one(outcome, recording=row.id, store=name, detail=f"{part}: {error}", actor=actor.agent)
        return CopyCheck(store=name, part=part, outcome=outcome, checked_at=now.wall)

    def _enter(self, actor: Actor, action: Action, detail: str) -> None:
        now = self._parts.clock.now()
        event = AccessAllowed(
            actor=actor.agent, action=action, via=actor.via, at=to_text(now.wall), address=actor.address or None,
            detail=detail,
        )  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            self._parts.recorder.record(uow.outbox, event, at=now)
