"""How the last check of the whole home stands or ended, kept over restarts: by the pages' job and by the command line alike.

It is kept among the catalogue's settings: no evidence (what was found is a finding and an entry), but what people are shown.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final

from assurance.report import VerifyReport
from catalogue import Catalogue
from evidence.clock import from_text, to_text
from evidence.errors import EvidenceError

GOOD, TAMPERED, UNKNOWN = "good", "tampered", "unknown"
_SETTING: Final = "verification.last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How the last check of the whole home stands or ended. ``findings`` are those that count for the verdict."""

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


def of_report(report: VerifyReport, *, at: datetime) -> Verification:
    """What a report that was finished at ``at`` says."""
    told = report.to_json()
    return Verification(
        running=False, verdict=told["verdict"], at=at, entries=report.entries, recordings=report.recordings,
        copies=report.copies, findings=len(told["findings"]),
    )  # fmt: skip


class LastVerification:
    """The newest ended check of the whole home. Thread-safe, and true across processes.

    Args:
        catalogue: Where it is kept.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def begin(self) -> str:
        """To be called before a check begins; what it gives goes to :meth:`keep`."""
        with self._catalogue.read() as uow:
            return uow.settings.get(_SETTING) or ""

    def keep(self, ended: Verification, *, since: str) -> None:
        """Keep how a check ended. Durable on return.

        A good result never takes the place of one that was not good and came in while the check ran: it may have read what was
        changed before the change.

        Args:
            ended: The result.
            since: What :meth:`begin` gave.
        """
        text = json.dumps({**asdict(ended), "at": to_text(ended.at)})
        with self._catalogue.begin() as uow:
            present = uow.settings.get(_SETTING) or ""
            overtaken = present != since and (stands := _parsed(present)) is not None and stands.verdict != GOOD
            if not (overtaken and ended.verdict == GOOD):
                uow.settings.put(_SETTING, text)

    def get(self) -> Verification | None:
        """The newest; None when none ever ended, or what is kept cannot be read."""
        with self._catalogue.read() as uow:
            return _parsed(uow.settings.get(_SETTING) or "")


def _parsed(untrusted: str) -> Verification | None:
    try:
        told = json.loads(untrusted)
        kept = Verification(**{**told, "at": from_text(told["at"])})
        return replace(kept, running=False)
    except (ValueError, TypeError, KeyError, RecursionError, EvidenceError):
        return None
