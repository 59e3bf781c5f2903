"""What the scrub found, entered: times, entries and findings in one transaction, several copies at once; then the repair."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from assurance import copies
from assurance.copies import KeepingParts
from assurance.copy_checks import kind_of
from assurance.repair import COPY_BAD, repair_blob
from catalogue import UnitOfWork
from catalogue.fixity import DueCopy, Looked
from catalogue.references import REMOVING
from evidence.clock import to_text
from evidence.errors import EvidenceError, InvalidInputError, NotFoundError
from evidence.events import Event, FixityChecked
from evidence.ids import RecordingId

_log = logging.getLogger(__name__)

GOOD: Final = "good"
#: The finding of a file that could be changed in its place; the copy itself is good.
FILE_OPEN: Final = "file-open"
#: Outcomes entered at once, and how long they may wait for it.
_FLUSH_COUNT: Final = 200
_FLUSH_S: Final = 2.0


@dataclass(slots=True)
class Slice:
    """What one slice of work, or one run by hand, did.

    Attributes:
        number: The round it worked for; 0 where there is nothing to look at.
        good: Copies that matched.
        bad: Copies that did not, by kind of finding.
        size_bytes: Bytes that were read and entered.
        repaired: Copies that were made good again.
        away: Stores that did not answer.
        waited_for: Why less was read than was due; empty when nothing kept it.
        round_ended: Whether the round ended with it.
    """

    number: int = 0
    good: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    repaired: int = 0
    away: set[str] = field(default_factory=set)
    waited_for: str = ""
    round_ended: bool = False

    def add(self, other: Slice) -> None:
        """Take in what another thread did."""
        self.good += other.good
        for kind, count in other.bad.items():
            self.bad[kind] = self.bad.get(kind, 0) + count
        self.size_bytes += other.size_bytes
        self.repaired += other.repaired
        self.away |= other.away
        self.waited_for = self.waited_for or other.waited_for


class Outcomes:
    """Enters what one thread found, several outcomes in a transaction; bad copies are repaired after it."""

    def __init__(self, parts: KeepingParts, number: int, started_at: datetime, *, actor: str = "") -> None:
        self._parts = parts
        self._number = number
        self._started_at = started_at
        self._actor = actor
        self._waiting: list[tuple[DueCopy, EvidenceError | None, str]] = []
        self._since_s = time.monotonic()
        self.done = Slice(number=number)

    def take(self, copy: DueCopy, error: EvidenceError | None, loose: str) -> None:
        """One copy; bad ones are entered at once."""
        self._waiting.append((copy, error, loose))
        if error is not None or len(self._waiting) >= _FLUSH_COUNT or time.monotonic() - self._since_s > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Enter what waits. Durable on return; what is bad is repaired where a good copy is."""
        taken, self._waiting, self._since_s = self._waiting, [], time.monotonic()
        if not taken:
            return
        with self._parts.catalogue.begin() as uow:
            entered = self._enter(uow, taken)
        damaged = []
        for copy, error in entered:
            self.done.size_bytes += copy.size_bytes
            if error is None:
                self.done.good += 1
                continue
            kind = kind_of(error)
            self.done.bad[kind] = self.done.bad.get(kind, 0) + 1
            damaged.append(copy)
            _log.error("store %s: the copy of %s is bad (%s): %s", copy.store, copy.sha256, kind, error.what)
        for copy in damaged:
            self._repair(copy)

    def _enter(
        self, uow: UnitOfWork, taken: Sequence[tuple[DueCopy, EvidenceError | None, str]]
    ) -> list[tuple[DueCopy, EvidenceError | None]]:
        """Rows, findings and entries of one transaction; copies that were lawfully removed meanwhile say nothing."""
        now = self._parts.clock.now()
        entered: list[tuple[DueCopy, EvidenceError | None]] = []
        events: list[Event] = []
        found: list[tuple[DueCopy, str, str]] = []
        for copy, error, loose in taken:
            if error is not None and _goes(uow, copy):
                continue
            looked = Looked(
                sha256=copy.sha256, store=copy.store, size_bytes=copy.size_bytes, outcome=_finding_of(error)
            )  # fmt: skip
            if not uow.fixity.looked(looked, at=now.wall, number=self._number, started_at=self._started_at):
                continue
            entered.append((copy, error))
            events.append(self._event(copy, GOOD if error is None else kind_of(error), to_text(now.wall)))
            found += [(copy, kind, detail) for kind, detail in _findings(copy, error, loose)]
        for copy, kind, detail in found:  # every row first, then the signer's lock: as a repair takes them
            self._parts.book.raise_in(
                uow, kind, recording=_recording(copy), store=copy.store, detail=detail, actor=self._actor
            )  # fmt: skip
        self._parts.recorder.record_many(uow.outbox, events, at=now)
        uow.after_commit(self._parts.wake_sealer)
        return entered

    def _event(self, copy: DueCopy, outcome: str, at: str) -> FixityChecked:
        own = copy.sha256.hex == copy.recording_sha256
        return FixityChecked(
            actor=self._actor, recording=copy.recording, sha256=copy.recording_sha256, store=copy.store,
            outcome=f"{copy.part}-{outcome}", at=at,
            blob_sha256="" if own else copy.sha256.hex, round=self._number,
        )  # fmt: skip

    def _repair(self, copy: DueCopy) -> None:
        """Make a bad copy good; what the repair read of the other copies is entered as well."""
        with self._parts.catalogue.read() as uow:
            others = [one for one in uow.fixity.of_blob(copy.sha256) if one.store != copy.store]
        try:
            repair = repair_blob(self._parts, copy.sha256, actor=self._actor)
        except NotFoundError:  # released meanwhile
            return
        except EvidenceError as error:
            if error.fatal:
                raise
            _log.error("the copy of %s in %s was not repaired now: %s", copy.sha256, copy.store, error.diagnostics())
            return
        self.done.repaired += len(repair.repaired)
        looks = {one.store: one for one in repair.looks}
        for other in others:
            if other.store in looks and looks[other.store].outcome in _OUTCOMES:
                self._enter_other(other, _OUTCOMES[looks[other.store].outcome])

    def _enter_other(self, copy: DueCopy, outcome: str) -> None:
        """One look of a repair, which has written its time and its finding already."""
        first = copy.checked_at is None or copy.checked_at < self._started_at
        now = self._parts.clock.now()
        looked = Looked(
            sha256=copy.sha256, store=copy.store, size_bytes=copy.size_bytes, outcome="" if outcome == GOOD else outcome
        )  # fmt: skip
        with self._parts.catalogue.begin() as uow:
            number = self._number if first else 0
            if not uow.fixity.looked(looked, at=now.wall, number=number, started_at=self._started_at, noted=True):
                return
            self._parts.recorder.record(uow.outbox, self._event(copy, outcome, to_text(now.wall)), at=now)
            uow.after_commit(self._parts.wake_sealer)
        if first and outcome == GOOD:
            self.done.good += 1
        elif first:
            self.done.bad[outcome] = self.done.bad.get(outcome, 0) + 1
        self.done.size_bytes += copy.size_bytes


#: What a repair says of a copy, as an entry says it.
_OUTCOMES: Final = {
    copies.GOOD: GOOD, copies.BAD: "copy-damaged", copies.UNREADABLE: "copy-damaged", copies.MISSING: "copy-missing",
}  # fmt: skip


def _goes(uow: UnitOfWork, copy: DueCopy) -> bool:
    removal = uow.references.removal(copy.sha256)
    return removal is not None and removal.state == REMOVING


def _finding_of(error: EvidenceError | None) -> str:
    """The kind of finding: as the repair calls it, so that one damage is one finding."""
    if error is None:
        return ""
    kind = kind_of(error)
    return COPY_BAD if kind == "copy-damaged" else kind


def _findings(copy: DueCopy, error: EvidenceError | None, loose: str) -> list[tuple[str, str]]:
    found = []
    if error is not None:
        found.append((_finding_of(error), f"{copy.part} {copy.sha256}: {error}"))
    if loose:
        found.append((FILE_OPEN, f"{copy.part} {copy.sha256}: {loose}"))
    return found


def _recording(copy: DueCopy) -> RecordingId | None:
    try:
        return RecordingId(copy.recording) if copy.recording else None
    except InvalidInputError:
        return None
