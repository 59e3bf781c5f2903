"""Verification for the interfaces: one recording now, the whole home in the background, health and findings.

The check of the whole home reads every stored byte, so it runs on a thread of its own, one at a time; the interfaces ask how it
stands. Its verdict is never cached over a restart: after one it is unknown until it was run again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from assurance.auditor import Auditor, CopyCheck
from assurance.health import Health, HealthParts
from catalogue.records import FindingRow
from evidence.clock import Clock
from evidence.errors import EvidenceError, StateConflictError
from evidence.ids import RecordingId
from evidence.model import Action, Actor
from evidence.ports import Authoriser

_log = structlog.get_logger(__name__)
GOOD, TAMPERED, UNKNOWN = "good", "tampered", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCheck:
    """Every copy of one recording and of its manifest, read just now."""

    verdict: str
    checks: list[CopyCheck]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How the last check of the whole home stands or ended."""

    running: bool
    verdict: str
    at: datetime
    step: str = ""
    done: int = 0
    total: int = 0
    entries: int = 0
    recordings: int = 0
    copies: int = 0
    findings: int = 0
    error: str = ""
    code: str = ""


class Checks:
    """What people can have checked.

    Args:
        auditor: Does it, authorised and entered.
        authoriser: Asked before a background check begins.
        clock: Injected time.
        health_parts: What health looks at now (a function: the engine may start later).
    """

    def __init__(
        self, auditor: Auditor, *, authoriser: Authoriser, clock: Clock, health_parts: Callable[[], HealthParts]
    ) -> None:
        self._auditor = auditor
        self._authoriser = authoriser
        self._clock = clock
        self._health_parts = health_parts
        self._guard = threading.Lock()
        self._last: Verification | None = None

    def verify_recording(self, actor: Actor, recording: RecordingId) -> RecordingCheck:
        """Read every copy of one recording back from its medium now."""
        checks = self._auditor.verify_one(actor, recording)
        outcomes = {check.outcome for check in checks}
        untold = outcomes <= {GOOD, "store-unavailable", "not-examined"}
        verdict = GOOD if outcomes == {GOOD} else UNKNOWN if untold else TAMPERED
        return RecordingCheck(verdict=verdict, checks=checks, at=self._clock.now().wall)

    def findings(self, actor: Actor) -> list[FindingRow]:
        """Open findings the actor may know of."""
        return self._auditor.findings(actor)

    def health(self, actor: Actor) -> Health:
        """The facts of the system page."""
        return self._auditor.health(actor, self._health_parts())

    def last_verification(self) -> Verification | None:
        """How the last check of the whole home stands; None since the start of this process."""
        with self._guard:
            return self._last

    def start_verification(self, actor: Actor) -> None:
        """Begin a check of the whole home.

        Raises:
            AccessDeniedError: Not allowed. StateConflictError: one is running.
        """
        self._authoriser.require(actor, Action.VERIFY_RUN)
        with self._guard:
            if self._last is not None and self._last.running:
                raise StateConflictError("a verification is running", todo="Wait for it to end.")
            self._last = Verification(running=True, verdict=UNKNOWN, at=self._clock.now().wall)
        threading.Thread(target=self._verify, args=(actor,), name="verify", daemon=True).start()

    def _verify(self, actor: Actor) -> None:
        try:
            report = self._auditor.verify(actor, progress=self._note)
        except EvidenceError as error:
            _log.warning("verification_failed", code=error.code, what=error.what)
            ended = Verification(
                running=False, verdict=UNKNOWN, at=self._clock.now().wall, error=error.what, code=error.code
            )
        except Exception:  # whatever it was: a check that died must not be told as running for ever
            _log.exception("verification_broke")
            ended = Verification(running=False, verdict=UNKNOWN, at=self._clock.now().wall, code=EvidenceError.code)
        else:
            ended = Verification(
                running=False, verdict=report.verdict, at=self._clock.now().wall, entries=report.entries,
                recordings=report.recordings, copies=report.copies, findings=len(report.findings),
            )  # fmt: skip
        with self._guard:
            self._last = ended

    def _note(self, step: str, done: int, total: int) -> None:
        with self._guard:
            if self._last is not None:
                self._last = replace(self._last, step=step, done=done, total=total)
