"""Findings: what an auditor must look at, raised once while it is open, entered, and closed by a person or by what mended it.

Source: RULES R6, R8; docs/invariants.md 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from assurance.report import Finding, Severity, VerifyReport
from catalogue import Catalogue, UnitOfWork
from catalogue.records import FindingRow
from evidence.clock import Clock, to_text, unix_ms
from evidence.errors import InvalidInputError
from evidence.events import FindingClosed, FindingRaised
from evidence.ids import FindingId, RecordingId
from evidence.limits import TEXT_CHARS_MAX
from evidence.ports import CustodyRecorder

#: So many findings of one run are raised one by one; a home that is broken everywhere says so in its report.
_RAISED_MAX = 1_000

_AWAY: Final = "store-unavailable"
#: What a verification raises about how things stand, not about damage.
_STATES: Final = frozenset({_AWAY, "too-few-copies", "too-few-domains"})


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
        with self._catalogue.begin() as uow:
            return self.raise_in(uow, kind, recording=recording, store=store, detail=detail, actor=actor)

    def raise_in(
        self, uow: UnitOfWork, kind: str, *, recording: RecordingId | None = None, store: str = "", detail: str = "",
        actor: str = "",
    ) -> bool:  # fmt: skip
        """As :meth:`raise_one`, inside a transaction of the caller: what was found and what was done stand together."""
        now = self._clock.now()
        finding = FindingId.new(unix_ms(now.wall))
        detail = detail[:TEXT_CHARS_MAX]
        row = FindingRow(
            id=finding, kind=kind, recording=recording, store=store, detail=detail, raised_at=now.wall
        )  # fmt: skip
        new = uow.findings.raise_(row)
        if new:
            event = FindingRaised(
                actor=actor, finding=finding, kind=kind, recording=recording or "", store=store,
                at=to_text(now.wall), detail=detail or None,
            )  # fmt: skip
            self._recorder.record(uow.outbox, event, at=now)
        return new

    def close_in(
        self, uow: UnitOfWork, kind: str, *, recording: RecordingId | None = None, store: str = "", reason: str,
        actor: str = "",
    ) -> bool:  # fmt: skip
        """Close the open finding of that kind inside a transaction of the caller; tells whether there was one.

        Args:
            uow: The transaction.
            kind: Of the finding.
            recording: The recording it is about.
            store: The store it is about.
            reason: Why it needs no attention any more, a code (``repaired``, ``caught-up``, ``released``).
            actor: Who decided so; empty when the service itself saw it.
        """
        found = uow.findings.open_one(kind, recording=recording, store=store)
        if found is None:
            return False
        now = self._clock.now()
        uow.findings.close(found.id, now.wall)
        event = FindingClosed(
            actor=actor, finding=found.id, kind=kind, recording=recording or "", store=store, reason=reason,
            at=to_text(now.wall),
        )  # fmt: skip
        self._recorder.record(uow.outbox, event, at=now)
        return True

    def close_over(self, report: VerifyReport, *, actor: str = "") -> int:
        """Close findings about states that a whole verification no longer sees; returns how many.

        Only states: a store that was away, copies that were too few. Damage is closed by its repair or by a person. While a
        store does not answer nothing is known of the number of copies, and nothing about it is closed.
        """
        seen = {(one.kind, one.recording, one.store) for one in report.findings}
        away = any(one.severity is Severity.UNKNOWN for one in report.findings)
        closed = 0
        with self._catalogue.begin() as uow:
            for row in uow.findings.open():
                if row.kind not in _STATES or (away and row.kind != _AWAY):
                    continue
                if (row.kind, row.recording or "", row.store) not in seen:
                    closed += self.close_in(
                        uow, row.kind, recording=row.recording, store=row.store, reason="over", actor=actor
                    )  # fmt: skip
        return closed

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
