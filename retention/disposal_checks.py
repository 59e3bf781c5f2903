"""Why a recording may not be cleared now. Asked anew at every step, in the transaction that acts on the answer.

Two looks that do not rest on each other: the decision (:mod:`retention.decide`, longest claim wins), and the bare facts below
(flags, links, holds on the bytes). Either may refuse. A criterion this module does not know (a hold by time and place) is asked
through :data:`Protects`. Whatever cannot be read refuses.

Source: RULES R10, R11, R13, R22 to R27; docs/invariants.md 5 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from catalogue.records import RecordingRow
from catalogue.rules import RulesRow
from evidence.calendar import local_date
from evidence.clock import TimeReading
from evidence.digest import SHA256, Digest
from evidence.errors import EvidenceError
from evidence.events import RecordingArchived
from evidence.ids import RecordingId
from evidence.model import RecordingState
from retention.decide import Decision, Now, Standing, decide
from retention.disposal_list import moment
from retention.facts import MEANINGS, Meaning, above, items_of, matters_of, now_of, schedules_of
from retention.holds import held
from retention.schedule import DisposalMode, Schedules

#: Kind of the matter that stops all clearing while it is open.
STOP: Final = "clearing-stop"
#: Days of its notice that the service saw go by, of a batch (with its identity): how many, and the last one.
LIVED: Final = "clearing-days:"
#: By a clock nobody disciplines a notice is over only after so many of them, however far that clock jumps.
LIVED_DAYS_MIN: Final = 7
#: Kind of the matter that lets the service clear by itself.
DETERMINATION: Final = "clearing-determination"
IN_FORCE: Final = "in-force"
#: Something else that protects a recording: why, as a code, or nothing. Asked in the acting transaction.
Protects = Callable[[UnitOfWork, RecordingRow], str]


def _held(uow: UnitOfWork, row: RecordingRow) -> str:
    """A hold that names or describes it. Until the transaction ends nobody places one by description."""
    return "held" if held(uow, row.id) else ""


#: What else is asked in the acting transaction, besides what the decision and the bare facts know.
PROTECTS: Final[tuple[Protects, ...]] = (_held,)

_HAD: Final = frozenset({RecordingState.STORED, RecordingState.RELEASED, RecordingState.DUPLICATE})
_FILED: Final = frozenset({"case", "working-material"})  # it stood in a case once, if in none any more
_NEUTRAL: Final = frozenset({Meaning.NOTHING, Meaning.REBASE, Meaning.BATCH})  # of batches the decision tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What is asked, with the facts of one moment.

    Attributes:
        uow: The acting transaction.
        now: The time, and whether it is believed.
        schedules: Every version of the schedule.
        protects: What else protects.
        synchronised: The clock is disciplined; one that is not may have jumped by days and is believed all the same.
    """

    uow: UnitOfWork
    now: Now
    schedules: Schedules
    protects: Sequence[Protects] = PROTECTS
    synchronised: bool = True

    @classmethod
    def of(cls, uow: UnitOfWork, reading: TimeReading, protects: Sequence[Protects] = PROTECTS) -> Judge:
        """As of this moment.

        Raises:
            InvalidInputError: A stored schedule cannot be read: nothing may be decided.
        """
        return cls(
            uow=uow,
            now=now_of(uow, reading),
            schedules=schedules_of(uow),
            protects=protects,
            synchronised=reading.trusted,
        )

    def decision(self, row: RecordingRow) -> Decision:
        """What the rules say of a recording now."""
        return decide(items_of(self.uow, [row])[row.id], self.schedules, self.now)

    def obstacle(
        self, row: RecordingRow, *, batch: MatterRow | None = None, named: frozenset[str] | None = None
    ) -> str:
        """Why a recording may not be cleared, as a stable code; empty when nothing stands against it.

        Args:
            row: As it stands.
            batch: The batch it is listed in; None while it is only proposed.
            named: Categories of the determination it would be cleared by; None where persons decide.
        """
        if not self.now.believed:
            return "clock-not-believed"
        try:
            decision = self.decision(row)
            return (
                self._decided(decision, row, batch)
                or self._bare(row)
                or (self._unattended(row, named) if named is not None else "")
                or next((why for one in self.protects if (why := one(self.uow, row))), "")
            )
        except EvidenceError as error:
            if error.fatal:
                raise
            return "not-known"

    def _decided(self, decision: Decision, row: RecordingRow, batch: MatterRow | None) -> str:
        if decision.unclassified:
            return "unclassified"
        wanted = Standing.ELIGIBLE if batch is None else Standing.IN_BATCH
        if decision.standing is not wanted:
            return decision.standing.value
        item = items_of(self.uow, [row])[row.id]
        if batch is not None and (item.batch is None or item.batch.subject != batch.number):
            return Standing.IN_BATCH.value
        return ""

    def _bare(self, row: RecordingRow) -> str:  # noqa: PLR0911 - one answer a fact
        rules = self.uow.rules.of(row.id)
        if rules.disposing_at is not None:
            return Standing.GONE.value
        said = [rules, *(self.uow.rules.of(one.id) for one in above(self.uow, row))]
        if any(_flagged(one) for one in said):
            return "flagged"
        if not any(one.category for one in said):
            return "unclassified"
        if row.state not in _HAD or row.sha256 is None:
            return "not-stored"
        if any(self.uow.references.holds(one) for one in _digests(row)):
            return "held"
        for matter in self._linked(row):
            meaning = MEANINGS.get(matter.kind, Meaning.PROCEDURE)
            if matter.closed_at is None and meaning not in _NEUTRAL:
                return f"linked-{meaning.value}"
        return ""

    def _unattended(self, row: RecordingRow, named: frozenset[str]) -> str:  # noqa: PLR0911 - one answer a fact
        """What keeps footage from being cleared without a person who looked at it."""
        if self.schedules.current.mode is not DisposalMode.AUTOMATIC:
            return "mode-is-review"
        family = [row, *above(self.uow, row)]
        said = [self.uow.rules.of(one.id) for one in family]
        categories = {one.category for one in said if one.category}
        if not categories or not categories <= named:
            return "category-not-named"
        if any(one.important for one in family):
            return "marked"
        if any(one.case_number for one in family):
            return "case-number"
        if any(was_filed(self.uow, one.id) for one in family):
            return "linked-case"
        for matter in self._linked(row):
            meaning = MEANINGS.get(matter.kind, Meaning.PROCEDURE)
            if meaning in (Meaning.CASE, Meaning.PROCEDURE):
                return f"linked-{meaning.value}"
        return ""

    def _linked(self, row: RecordingRow) -> list[MatterRow]:
        """Matters that concern it, what it is a side file of, or a case of either."""
        return matters_of(self.uow, row)


def was_filed(uow: UnitOfWork, recording: RecordingId) -> bool:
    """Whether its timeline says that it stood in a case, if in none any more."""
    return any(
        one.event_type == RecordingArchived.TYPE and one.public.get("reason") in _FILED
        for one in uow.timeline(recording)
    )


def _flagged(rules: RulesRow) -> bool:
    return rules.complaint or rules.obstruction or rules.sensitive or rules.long_term


def _digests(row: RecordingRow) -> list[Digest]:
    found = [row.sha256] if row.sha256 is not None else []
    return [*found, Digest(SHA256, row.manifest_sha256)] if row.manifest_sha256 else found


# --- what lets a whole batch go or not --------------------------------------------------------------------------------
def stopped_by(uow: UnitOfWork) -> MatterRow | None:
    """The stop that stands, if any: nothing is cleared anywhere while one does."""
    found = uow.matters.find(MatterFilter(kinds=(STOP,), open=True), limit=1)
    return found[0] if found else None


def determinations(uow: UnitOfWork, now: Now) -> list[MatterRow]:
    """Those that hold today; none when the clock is not believed."""
    if not now.believed:
        return []
    found = uow.matters.find(MatterFilter(kinds=(DETERMINATION,), states=(IN_FORCE,)), limit=1000)
    return [row for row in found if holds_on(row.facts, local_date(now.at).isoformat())]


def holds_on(facts: Mapping[str, object], day: str) -> bool:
    """Whether a determination holds on a day of the bureau (ISO text)."""
    begins, ends = facts.get("valid_from"), facts.get("valid_until")
    return isinstance(begins, str) and isinstance(ends, str) and begins <= day <= ends


def named_in(row: MatterRow) -> frozenset[str]:
    """The categories a determination names."""
    listed = row.facts.get("categories")
    rows = listed if isinstance(listed, list) else []
    return frozenset(str(one.get("category", "")) for one in rows if isinstance(one, dict)) - {""}


def determination_of(uow: UnitOfWork, batch: MatterRow, now: Now) -> MatterRow | None:
    """The determination an automatic batch rests on, while it holds; None when it does not (any more)."""
    identity = str(batch.facts.get("determination", ""))
    return next((row for row in determinations(uow, now) if row.id == identity), None)


def lived_days(uow: UnitOfWork, batch: MatterRow) -> int:
    """On how many days of the bureau the service was there while this batch had its notice (no evidence: a count)."""
    days, _, _last = (uow.settings.get(LIVED + batch.id) or "0 ").partition(" ")
    return int(days) if days.isdigit() else 0


def live_a_day(uow: UnitOfWork, batch: MatterRow, day: str) -> None:
    """Count a day (ISO text) once; one that a clock set back shows again is no new one."""
    _days, _, last = (uow.settings.get(LIVED + batch.id) or "0 ").partition(" ")
    if day > last:
        uow.settings.put(LIVED + batch.id, f"{lived_days(uow, batch) + 1} {day}")


@dataclass(frozen=True, slots=True)
class NotNow:
    """Why a batch does not go on now: a stable code, with a word of detail."""

    code: str
    detail: str = ""


def not_now(judge: Judge, batch: MatterRow) -> list[NotNow]:
    """Everything that keeps a whole batch from being cleared at this moment; empty when nothing does.

    The brake is asked by who removes bytes.
    """
    uow, found = judge.uow, []
    if not judge.now.believed:
        found.append(NotNow("clock-not-believed"))
    if (stop := stopped_by(uow)) is not None:
        found.append(NotNow("stopped", stop.number))
    text = str(batch.facts.get("notice_until", ""))
    until = moment(text)
    if until is None or judge.now.at < until:
        found.append(NotNow("notice", text))
    elif not judge.synchronised and (days := lived_days(uow, batch)) < LIVED_DAYS_MIN:
        found.append(NotNow("notice-not-lived", f"{days}/{LIVED_DAYS_MIN}"))
    if batch.facts.get("mode") == DisposalMode.AUTOMATIC.value:
        if judge.schedules.current.mode is not DisposalMode.AUTOMATIC:
            found.append(NotNow("mode-is-review", judge.schedules.current.number))
        if determination_of(uow, batch, judge.now) is None:
            found.append(NotNow("no-determination"))
    return found
