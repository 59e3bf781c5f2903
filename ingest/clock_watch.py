"""The home's memory of time: the latest moment it has seen, and whether the clock may be believed now (promise 9).

Looked at when a docking begins and ends, before a clearing, and every few minutes while the service runs. A clock that
contradicts what was seen is told as a finding; nothing that comes in is refused because of it.

Crash: the mark only says less than was seen. A lost trial begins anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from catalogue import UnitOfWork
from chain_of_custody import parse_entry
from evidence.clock import TimeReading, from_text, to_text
from evidence.errors import ClockJumpedError, ClockWentBackError, EvidenceError
from evidence.time_line import Belief, Trial, judge, prolong
from ingest.parts import Parts, raise_finding

_TRIAL = "clock-trial"


@dataclass(frozen=True, slots=True)
class Moment:
    """The clock as far as it can be believed.

    Attributes:
        reading: What it says.
        belief: What that is worth.
        not_before: It is certainly not earlier than this: the reading itself, or what was seen before.
    """

    reading: TimeReading
    belief: Belief
    not_before: datetime

    @property
    def believed(self) -> bool:
        """Whether deadlines may be told and recorders cleared by this reading."""
        return self.belief is Belief.BELIEVED

    @property
    def trouble(self) -> EvidenceError | None:
        """What a person is told about a clock that is not believed."""
        kept = "Footage is taken in and sealed; deadlines stay unknown, and no recorder is cleared."
        todo = "Set the clock right. A time that goes on evenly for a day is believed by itself."
        if self.belief is Belief.WENT_BACK:
            what = f"the clock says {to_text(self.reading.wall)}, this home has seen {to_text(self.not_before)}"
            return ClockWentBackError(what, kept=kept, todo=todo)
        if self.belief is Belief.JUMPED:
            what = f"the clock says {to_text(self.reading.wall)}, far beyond the latest time this home has seen"
            return ClockJumpedError(what, kept=kept, todo=todo)
        return None


def look(parts: Parts) -> Moment:
    """Read the clock, judge it, remember it; a person is told when it is not believed. Durable on return."""
    reading = parts.clock.now()
    with parts.catalogue.begin() as uow:
        mark = _mark(uow)
        belief = judge(reading, mark)
        if belief is not Belief.BELIEVED:
            trial = prolong(_parsed(uow.settings.get(_TRIAL)), reading)
            uow.settings.put(_TRIAL, _text(trial))
            if not trial.passed:
                moment = Moment(reading, belief, max(reading.wall, mark or reading.wall))
                _tell(parts, uow, moment)
                return moment
            uow.clock_marks.set_to(reading.wall)  # the mark was the wrong one
        else:
            uow.clock_marks.raise_to(reading.wall)
        if uow.settings.get(_TRIAL):
            uow.settings.put(_TRIAL, "")
    return Moment(reading, Belief.BELIEVED, reading.wall)


def require_believed(parts: Parts) -> None:
    """Return when the clock can be believed.

    Raises:
        ClockWentBackError, ClockJumpedError: It contradicts what this home has seen; a finding says so.
    """
    if trouble := look(parts).trouble:
        raise trouble


def _tell(parts: Parts, uow: UnitOfWork, moment: Moment) -> None:
    detail = moment.trouble.what if moment.trouble else ""
    if moment.belief is Belief.WENT_BACK:
        raise_finding(parts, uow, "clock-went-back", detail=detail, at=moment.reading)
    else:
        raise_finding(parts, uow, "clock-jumped", detail=detail, at=moment.reading)


def _mark(uow: UnitOfWork) -> datetime | None:
    """The latest time seen; a home without that memory (new, or rebuilt) has at least its newest sealed entry."""
    if (mark := uow.clock_marks.highest()) is not None:
        return mark
    head = uow.outbox.head()
    newest = uow.outbox.rows(head.size - 1, head.size) if head is not None and head.size else []
    return parse_entry(newest[0].envelope).at if newest else None


def _text(trial: Trial) -> str:
    return json.dumps([to_text(trial.wall), trial.monotonic_ns, trial.lasted_ns])


def _parsed(text: str | None) -> Trial | None:
    try:
        wall, monotonic_ns, lasted_ns = json.loads(text or "null")
        return Trial(from_text(wall), int(monotonic_ns), int(lasted_ns))
    except (ValueError, TypeError, EvidenceError):  # ours alone; whatever is wrong with it, the trial begins anew
        return None
