"""Verification for the interfaces: one recording now, the whole home in the background, health and findings.

The check of the whole home reads every stored byte, so it runs on a thread of its own, one at a time; the interfaces ask how it
stands. How it ended is kept over restarts, together with checks of the command line (``api.verification``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from api.verification import GOOD, TAMPERED, UNKNOWN, LastVerification, Verification, of_report
from assurance.auditor import Auditor, CopyCheck
from assurance.health import Health
from assurance.health_facts import HealthParts
from catalogue.records import FindingRow
from evidence.clock import Clock
from evidence.errors import EvidenceError, StateConflictError
from evidence.ids import FindingId, RecordingId
from evidence.model import Action, Actor
from evidence.ports import Authoriser

__all__ = ["Checks", "RecordingCheck", "Verification"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCheck:
    """Every copy of one recording and of its manifest, read just now."""

    verdict: str
    checks: list[CopyCheck]
    at: datetime


class Checks:
    """What people can have checked.

    Args:
        auditor: Does it, authorised and entered.
        authoriser: Asked before a background check begins.
        clock: Injected time.
        health_parts: What health looks at now (a function: the engine may start later).
        kept: The newest ended check of the whole home, whoever ran it.
    """

    def __init__(
        self,
        auditor: Auditor,
        *,
        authoriser: Authoriser,
        clock: Clock,
        health_parts: Callable[[], HealthParts],
        kept: LastVerification,
    ) -> None:
        self._auditor = auditor
        self._authoriser = authoriser
        self._clock = clock
        self._health_parts = health_parts
        self._kept = kept
        self._guard = threading.Lock()
        #: The check that runs, or one whose end could not be kept.
        self._here: Verification | None = None

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

    def close_finding(self, actor: Actor, finding: FindingId, *, reason: str) -> None:
        """Say that a person has looked at a finding; raises as the auditor does."""
        self._auditor.close_finding(actor, finding, reason=reason)

    def health(self, actor: Actor) -> Health:
        """The facts of the system page."""
        return self._auditor.health(actor, self._health_parts())

    def last_verification(self) -> Verification | None:
        """How the check of the whole home that runs here stands, else how the newest one ended; None when none ever did."""
        with self._guard:
            here = self._here
        if here is not None and here.running:
            return here
        kept = self._kept.get()
        return here if kept is None or (here is not None and here.at > kept.at) else kept

    def start_verification(self, actor: Actor) -> None:
        """Begin a check of the whole home.

        Raises:
            AccessDeniedError: Not allowed. StateConflictError: one is running.
        """
        self._authoriser.require(actor, Action.VERIFY_RUN)
        with self._guard:
            if self._here is not None and self._here.running:
                raise StateConflictError("a verification is running", todo="Wait for it to end.")
            since = self._kept.begin()
            self._here = Verification(running=True, verdict=UNKNOWN, at=self._clock.now().wall)
        threading.Thread(target=self._verify, args=(actor, since), name="verify", daemon=True).start()

    def _verify(self, actor: Actor, since: str) -> None:
        here: Verification | None
        ended = here = self._ended(actor)
        try:
            self._kept.keep(ended, since=since)
            here = None
        except EvidenceError as error:  # shown here as long as this process runs
            _log.warning("verification_not_kept", code=error.code, what=error.what)
        finally:
            with self._guard:
                self._here = here

    def _ended(self, actor: Actor) -> Verification:
        try:
            report = self._auditor.verify(actor, progress=self._note)
        except EvidenceError as error:
            _log.warning("verification_failed", code=error.code, what=error.what)
            return Verification(
                running=False, verdict=UNKNOWN, at=self._clock.now().wall, error=error.what, code=error.code
            )
        except Exception:  # whatever it was: a check that died must not be told as running for ever
            _log.exception("verification_broke")
            return Verification(running=False, verdict=UNKNOWN, at=self._clock.now().wall, code=EvidenceError.code)
        return of_report(report, at=self._clock.now().wall)

    def _note(self, step: str, done: int, total: int) -> None:
        with self._guard:
            if self._here is not None:
                self._here = replace(self._here, step=step, done=done, total=total)
