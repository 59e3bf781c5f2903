"""Findings: what an auditor must look at, raised once while it is open, entered, and closed by a person.

Source: RULES R6, R8; docs/invariants.md 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from assurance.report import Finding, Severity
from catalogue import Catalogue
from catalogue.records import FindingRow
from evidence.clock import Clock, to_text, unix_ms
from evidence.errors import InvalidInputError
from evidence.events import FindingRaised
from evidence.ids import FindingId, RecordingId
from evidence.limits import TEXT_CHARS_MAX
from evidence.ports import CustodyRecorder

#: So many findings of one run are raised one by one; a home that is broken everywhere says so in its report.
_RAISED_MAX = 1_000


class FindingBook:
    """Raises findings with their entries.

    Args:
        catalogue: Where they stand.
        recorder: Signs the entries.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, recorder: CustodyRecorder, clock: Clock) -> None:
        self._catalogue = catalogue
        self._recorder = recorder
        self._clock = clock
        #: Recordings known to have been told of as late: spares each sweep a look into the log for all of them.
        self.late: set[RecordingId] = set()

    def raise_one(
        self, kind: str, *, recording: RecordingId | None = None, store: str = "", detail: str = "", actor: str = ""
    ) -> bool:
        """Raise one finding unless the same is open. Row and entry are one transaction; tells whether it is new."""
        now = self._clock.now()
        finding = FindingId.new(unix_ms(now.wall))
        detail = detail[:TEXT_CHARS_MAX]
        row = FindingRow(
            id=finding, kind=kind, recording=recording, store=store, detail=detail, raised_at=now.wall
        )  # fmt: skip
        with self._catalogue.begin() as uow:
            new = uow.findings.raise_(row)
            if new:
                event = FindingRaised(
                    actor=actor, finding=finding, kind=kind, recording=recording or "", store=store,
                    at=to_text(now.wall), detail=detail or None,
                )  # fmt: skip
                self._recorder.record(uow.outbox, event, at=now)
        return new

    def raise_all(self, findings: Iterable[Finding], *, actor: str = "") -> int:
        """Raise what a verification found (notes are left out); returns how many are new."""
        new = 0
        grave = (finding for finding in findings if finding.severity is not Severity.NOTE)
        for finding in islice(grave, _RAISED_MAX):
            new += self.raise_one(
                finding.kind, recording=_recording(finding.recording), store=finding.store, detail=finding.detail,
                actor=actor,
            )  # fmt: skip
        return new


def _recording(text: str) -> RecordingId | None:
    try:
        return RecordingId(text) if text else None
    except InvalidInputError:
        return None
