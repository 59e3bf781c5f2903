"""Statistics of a span of time by department (R20): hand-in, backlog, exceptions, damage, use, clearing. Counts only.

What happened in the span is counted by the moment it happened; what stands now (backlog, kept, unclassified) is told as of now,
whatever the span. Figures are narrowed to the departments somebody's roles reach; what belongs to no department is told only
to who sees everything.

Source: RULES R20; docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from catalogue import Catalogue, UnitOfWork
from catalogue.statistics import Counted
from evidence.calendar import add_months, end_of, local_date, start_of
from evidence.clock import Clock
from evidence.errors import InvalidInputError
from evidence.ids import UnitId
from evidence.model import Action, Actor, Visibility
from evidence.ports import Authoriser

#: A longer span is asked for in parts.
MONTHS_MAX: Final = 60
_SERIES_MAX: Final = 24


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    BYTES = "bytes"
    DURATION = "duration"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A column: stable code, words, what it counts, the group it stands under. ``now``: as of now, not of the span."""

    code: str
    word: str
    group: str
    unit: Unit = Unit.COUNT
    now: bool = False


FIGURES: Final = (
    Figure(code="received", word="Recordings received", group="Hand-in"),
    Figure(code="received_bytes", word="Size", group="Hand-in", unit=Unit.BYTES),
    Figure(code="received_ms", word="Length", group="Hand-in", unit=Unit.DURATION),
    Figure(code="in_time", word="In time", group="Hand-in"),
    Figure(code="late", word="Late", group="Hand-in"),
    Figure(code="no_deadline", word="No deadline known", group="Hand-in"),
    Figure(code="timeliness", word="In time (%)", group="Hand-in", unit=Unit.PERCENT),
    Figure(code="marked", word="Device marks", group="Hand-in"),
    Figure(code="waiting", word="Not stored yet", group="Backlog", now=True),
    Figure(code="overdue", word="Overdue", group="Backlog", now=True),
    Figure(code="kept", word="In stock", group="Stock", now=True),
    Figure(code="kept_bytes", word="Size", group="Stock", unit=Unit.BYTES, now=True),
    Figure(code="unclassified", word="Not classified", group="Stock", now=True),
    Figure(code="long_term", word="Long-term preservation", group="Stock", now=True),
    Figure(code="activities", word="Enforcement activities", group="Duty"),
    Figure(code="activities_missing", word="Activities whose footage is missing", group="Duty"),
    Figure(code="exceptions", word="Exception records", group="Duty"),
    Figure(code="exceptions_filed", word="Exception records filed", group="Duty"),
    Figure(code="damage", word="Damage tickets", group="Duty"),
    Figure(code="damage_late", word="Damage tickets later than 24 hours", group="Duty"),
    Figure(code="inspections", word="Findings of inspections", group="Duty"),
    Figure(code="requests", word="Requests for use", group="Use"),
    Figure(code="requests_refused", word="Requests refused", group="Use"),
    Figure(code="uses", word="Uses under a grant", group="Use"),
    Figure(code="holds", word="Holds", group="Clearing"),
    Figure(code="cleared", word="Cleared", group="Clearing"),
    Figure(code="cleared_bytes", word="Size", group="Clearing", unit=Unit.BYTES),
)
#: Figure -> kind of matter, and the states that count (none: all).
_MATTERS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "activities": ("activity", frozenset()),
    "exceptions": ("exception", frozenset()),
    "exceptions_filed": ("exception", frozenset({"filed"})),
    "damage": ("damage-ticket", frozenset()),
    "inspections": ("inspection-finding", frozenset()),
    "requests": ("access-request", frozenset()),
    "requests_refused": ("access-request", frozenset({"refused"})),
    "holds": ("hold", frozenset()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFigures:
    """The figures of one department; ``unit`` None for what belongs to none, or for the sum."""

    unit: UnitId | None
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month's part of the span, for the picture over time; ``day`` is its first day within the span."""

    day: date
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Statistics of a span.

    Attributes:
        first: First day.
        last: Last day.
        units: By department, those with most received first.
        total: Over all of them.
        months: Over time; empty where the span has more than two years of months.
        as_of: When it was counted.
    """

    first: date
    last: date
    units: Sequence[UnitFigures]
    total: UnitFigures
    months: Sequence[Month]
    as_of: datetime


class StatisticsDesk:
    """Statistics for who may see them.

    Args:
        catalogue: Where the facts stand.
        authoriser: Asked at every call.
        clock: Injected time.
    """

    def __init__(self, catalogue: Catalogue, *, authoriser: Authoriser, clock: Clock) -> None:
        self._catalogue = catalogue
        self._authoriser = authoriser
        self._clock = clock

    def report(self, actor: Actor, *, first: date | None = None, last: date | None = None) -> Report:
        """The figures of a span of days, both included; the present month where none is named.

        Raises:
            AccessDeniedError: Not theirs to see (entered).
            InvalidInputError: The span ends before it begins, or is too long.
        """
        self._authoriser.require(actor, Action.STATISTICS_SEE)
        seen = self._authoriser.visibility(actor, Action.STATISTICS_SEE)
        now = self._clock.now().wall
        last = last or local_date(now)
        first = first or last.replace(day=1)
        if last < first or last > add_months(first, MONTHS_MAX):
            raise InvalidInputError(
                f"{first} to {last} is no span of at most {MONTHS_MAX} months", todo="Give the first and the last day."
            )
        with self._catalogue.read() as uow:
            counted = _counted(uow, start_of(first), end_of(last), seen, now)
            months = [
                Month(day=begin, figures=_of_month(uow, begin, end, seen)) for begin, end in _months(first, last)
            ]  # fmt: skip
        units = [UnitFigures(unit=unit, figures=_finished(figures)) for unit, figures in counted.items()]
        units.sort(key=lambda one: (-one.figures["received"], str(one.unit or "")))
        total: dict[str, int] = {}
        for figures in counted.values():
            for name, number in figures.items():
                total[name] = total.get(name, 0) + number
        return Report(
            first=first, last=last, units=units, total=UnitFigures(unit=None, figures=_finished(total)), months=months,
            as_of=now,
        )  # fmt: skip


def _finished(figures: Mapping[str, int]) -> dict[str, int]:
    """Every figure, also those that are nothing, and the share of what was in time."""
    whole = {one.code: figures.get(one.code, 0) for one in FIGURES}
    judged = whole["in_time"] + whole["late"]
    # Rounded down: 100 % says that nothing at all was late.
    whole["timeliness"] = whole["in_time"] * 100 // judged if judged else -1
    return whole


def _counted(uow: UnitOfWork, begins: datetime, ends: datetime, seen: Visibility, now: datetime) -> Counted:
    rows = uow.statistics
    counted: Counted = {}
    for part in (
        rows.received(begins, ends, seen), rows.backlog(now, seen), rows.kept(seen), rows.cleared(begins, ends, seen),
        rows.uses(begins, ends, seen),
    ):  # fmt: skip
        for unit, figures in part.items():
            counted.setdefault(unit, {}).update(figures)
    kinds = {kind for kind, _states in _MATTERS.values()}
    for (unit, kind, state), number in rows.matters(kinds, begins, ends, seen).items():
        for figure, (of, states) in _MATTERS.items():
            if of == kind and (not states or state in states):
                here = counted.setdefault(unit, {})
                here[figure] = here.get(figure, 0) + number
    for figure, kind, wanted in (
        ("activities_missing", "activity", "missing"),
        ("damage_late", "damage-ticket", "late"),
    ):
        for (unit, what), number in rows.facts(kind, begins, ends, seen, _judged).items():
            if what == wanted:
                counted.setdefault(unit, {})[figure] = number
    return counted


def _judged(facts: Any) -> str:
    if "in_time" in facts:
        return "in-time" if facts["in_time"] else "late"
    return str(facts.get("verdict") or "")


def _of_month(uow: UnitOfWork, begin: date, end: date, seen: Visibility) -> dict[str, int]:
    begins, ends = start_of(begin), end_of(end)
    total = {"received": 0, "in_time": 0, "late": 0, "received_bytes": 0, "cleared": 0}
    for part in (uow.statistics.received(begins, ends, seen), uow.statistics.cleared(begins, ends, seen)):
        for figures in part.values():
            for name in total:
                total[name] += figures.get(name, 0)
    return total


def _months(first: date, last: date) -> list[tuple[date, date]]:
    """First and last day of each month of the span; none where there would be too many to show."""
    found = []
    begin = first
    while begin <= last:
        following = add_months(begin.replace(day=1), 1)
        found.append((begin, min(last, following - timedelta(days=1))))
        begin = following
    return found if len(found) <= _SERIES_MAX else []
