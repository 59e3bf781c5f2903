"""Statutory clocks of a matter: what starts one, how long it runs, what meets it and who may extend it, as rows of data.

A clock that was started stands in the matter's facts with everything it was computed from (``clock_<code>``), so a later
change of the rules never moves it. A deadline that counts days no published calendar tells is marked provisional (暂估) and
is counted again when the year has been brought in (:func:`recounted`). While an appraisal runs, clocks that do not count it
stand still; when it ends they move on by as many days. Met late stays late.

Source: RULES R22 to R27; docs/procedures.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from evidence.calendar import local_date
from evidence.clock import from_text, to_text
from evidence.errors import PolicyUnmetError
from evidence.working_days import Roll, Span, TimeUnit, WorkingDays, deadline
from matters.form import Field, FieldKind
from matters.turn import Turn

_PREFIX: Final = "clock_"
#: Fact: since when an appraisal runs, empty while none does.
PAUSED: Final = "appraisal_since"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRule:
    """One clock of a procedure.

    Attributes:
        code: Stable name within the procedure.
        word: What the screen calls it.
        starts: The act that starts it (and starts it anew when it is done again).
        ends: Acts that meet it.
        count: How many units.
        unit: Of what.
        roll: What becomes of a last day of rest.
        extend_most: How many units an approved extension may add in all; 0 for none, -1 without bound.
        pausable: Whether the time of an appraisal is not counted.
        source: The document and article it rests on.
    """

    code: str
    word: str
    starts: str
    ends: Sequence[str]
    count: int
    unit: TimeUnit
    roll: Roll = Roll.NONE
    extend_most: int = 0
    pausable: bool = False
    source: str = ""

    @property
    def fact(self) -> str:
        """The field of the matter in which it stands."""
        return f"{_PREFIX}{self.code}"

    def started(self, at: datetime, table: WorkingDays) -> dict[str, Any]:
        """The clock as it stands in the facts once an act started it."""
        return _counted(
            {"since": to_text(at), "count": self.count, "unit": self.unit.value, "roll": self.roll.value, "extended": 0,
             "shift_days": 0, "met": "", "source": self.source},
            table,
        )  # fmt: skip


def _counted(clock: Mapping[str, Any], table: WorkingDays) -> dict[str, Any]:
    span = Span(
        count=clock["count"] + clock["extended"], unit=TimeUnit(clock["unit"]), roll=Roll(clock["roll"])
    )  # fmt: skip
    found = deadline(from_text(clock["since"]), span, table)
    shift = timedelta(days=clock["shift_days"])
    return {
        **clock, "due": to_text(found.at + shift), "last_day": (found.last_day + shift).isoformat(),
        "provisional": found.provisional,
    }  # fmt: skip


def clock_fields(rules: Sequence[ClockRule]) -> tuple[Field, ...]:
    """The computed fields of a form with these clocks."""
    fields = [Field(name=rule.fact, word=rule.word, kind=FieldKind.CLOCK) for rule in rules]
    if any(rule.pausable for rule in rules):
        fields.append(Field(name=PAUSED, word="Appraisal since", kind=FieldKind.MOMENT))
    return tuple(fields)


def clocks_of(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every clock that was started, by code."""
    return {
        name.removeprefix(_PREFIX): dict(value)
        for name, value in facts.items() if name.startswith(_PREFIX) and isinstance(value, dict)
    }  # fmt: skip


def running(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Clocks that were not met yet."""
    return {code: clock for code, clock in clocks_of(facts).items() if not clock.get("met")}


def next_due(facts: Mapping[str, Any], rules: Sequence[ClockRule]) -> datetime | None:
    """The earliest deadline that runs; clocks an appraisal holds up have none meanwhile."""
    held = {rule.code for rule in rules if rule.pausable} if facts.get(PAUSED) else set()
    return min((from_text(clock["due"]) for code, clock in running(facts).items() if code not in held), default=None)


def facts_after(turn: Turn) -> dict[str, Any]:
    """The public facts as they will be after the act."""
    before = turn.before.row.facts if turn.before is not None else {}
    return {name: value for name, value in {**before, **turn.asked.facts}.items() if value is not None}


def ticked(turn: Turn, rules: Sequence[ClockRule], table: WorkingDays) -> None:
    """Start and meet clocks by the act that is being done: what follows is entered with it."""
    for rule in rules:
        clock = clocks_of(facts_after(turn)).get(rule.code)
        if turn.act.name in rule.ends and clock is not None and not clock["met"]:
            turn.asked.facts[rule.fact] = {**clock, "met": to_text(turn.now.wall)}
        if turn.act.name == rule.starts:
            turn.asked.facts[rule.fact] = rule.started(turn.now.wall, table)


def extended(turn: Turn, rules: Sequence[ClockRule], table: WorkingDays) -> None:
    """Give one running clock more time, as far as its rule allows.

    Raises:
        PolicyUnmetError: It does not run, was overdue already, or may not be extended so far.
    """
    code, more = str(turn.value("clock")), int(turn.asked.facts["more"])
    rule = next((one for one in rules if one.code == code), None)
    clock = running(facts_after(turn)).get(code)
    if rule is None or clock is None:
        turn.refuse("this deadline does not run", todo="Choose one that runs.")
    if turn.now.wall >= from_text(clock["due"]):
        turn.refuse("this deadline has passed: late stays late", todo="Close the step and say why it was late.")
    total = clock["extended"] + more
    if rule.extend_most == 0 or 0 <= rule.extend_most < total:
        turn.refuse(
            "this deadline may be extended by {most} in all, not by {total}",
            todo="Ask for less, or finish in time.",
            most=max(rule.extend_most, 0),
            total=total,
        )
    turn.asked.facts[rule.fact] = _counted({**clock, "extended": total}, table)


def paused(turn: Turn) -> None:
    """An appraisal begins: its time is not counted."""
    if facts_after(turn).get(PAUSED):
        turn.refuse("an appraisal runs already")
    turn.asked.facts[PAUSED] = to_text(turn.now.wall)


def resumed(turn: Turn, rules: Sequence[ClockRule]) -> None:
    """An appraisal ended: clocks that do not count it move on by as many days of the bureau as it took."""
    since = facts_after(turn).get(PAUSED)
    if not since:
        turn.refuse("no appraisal runs")
    days = (local_date(turn.now.wall) - local_date(from_text(since))).days
    pausable = {rule.code: rule for rule in rules if rule.pausable}
    for code, clock in running(facts_after(turn)).items():
        if code in pausable:
            shift = timedelta(days=days)
            turn.asked.facts[pausable[code].fact] = {
                **clock, "shift_days": clock["shift_days"] + days, "due": to_text(from_text(clock["due"]) + shift),
                "last_day": (local_date(from_text(clock["due"]) - timedelta(milliseconds=1)) + shift).isoformat(),
            }  # fmt: skip
    turn.asked.facts[PAUSED] = None


def recounted(facts: Mapping[str, Any], table: WorkingDays) -> dict[str, Any]:
    """Provisional clocks that run, counted by a newer table: only those that differ, by the name of their fact."""
    found = {}
    for code, clock in running(facts).items():
        if clock.get("provisional"):
            again = _counted(clock, table)
            if again != clock:
                found[f"{_PREFIX}{code}"] = again
    return found


def require_met(turn: Turn, codes: Sequence[str]) -> None:
    """Refuse while one of these clocks still runs.

    Raises:
        PolicyUnmetError: One does.
    """
    left = sorted(set(codes) & set(running(facts_after(turn))))
    if left:
        raise PolicyUnmetError(
            f"steps with a deadline are open: {', '.join(left)}", kept="Nothing was entered.", todo="Do them first."
        )
