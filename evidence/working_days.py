"""Working days, from the published table of each year, and deadlines counted by them. Pure.

Which days the State Council moves is published each autumn for the year that follows; nobody can compute it. A table holds what
was published, with the document it rests on. A deadline that reaches days no table tells is counted by Monday to Friday and says
so (:attr:`Deadline.provisional`, 暂估): it is computed anew when the year has been brought in, and is never shown as certain.

The last days of a December are provisional until the next year is published, too: New Year's holiday may begin in them.

Source: Civil Code article 203; RULES R22 to R27; docs/retention.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from evidence.calendar import add_months, after_hours, end_of, local_date
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError

#: From this day of December on, the next year's notice may say something else.
_NEW_YEAR_FROM: Final = 25
_ONE_DAY: Final = timedelta(days=1)
_FRIDAY: Final = 4
#: No deadline is longer; a count beyond it is a mistake in its row.
_COUNT_MAX: Final = 3660
COLUMNS: Final = ("date", "kind", "name", "source")
_KINDS: Final = {
    "rest": "rest",
    "work": "work",
    "休": "rest",
    "放假": "rest",
    "休息": "rest",
    "班": "work",
    "上班": "work",
}
_HEADINGS: Final = {"日期": "date", "类别": "kind", "名称": "name", "依据": "source", "文号": "source"}


class TimeUnit(StrEnum):
    """What a statutory period is counted in."""

    HOUR = "hour"
    DAY = "day"
    WORKING_DAY = "working-day"
    MONTH = "month"


class Roll(StrEnum):
    """What becomes of a last day on which nobody works."""

    NONE = "none"
    NEXT_WORKING_DAY = "next-working-day"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarYear:
    """What was published for one year.

    Attributes:
        year: The year it is about; its New Year's holiday may begin in the December before.
        rest: Days of rest it names (days on a weekend may be among them).
        work: Days of a weekend on which work is done.
        source: The document, as it is cited.
        names: What each day is called, where the table says so.
    """

    year: int
    rest: frozenset[date]
    work: frozenset[date]
    source: str
    names: Mapping[date, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise InvalidInputError(f"the calendar of {self.year} names no document", todo="Give the notice's number.")
        if both := self.rest & self.work:
            raise InvalidInputError(f"{min(both)} is named both as a day of rest and as a working day")
        for day in sorted(self.rest | self.work):
            if day.year != self.year and not (day.year == self.year - 1 and day.month == 12):
                raise InvalidInputError(f"{day} does not belong to the calendar of {self.year}")
        for day in sorted(self.work):
            if day.weekday() <= _FRIDAY:
                raise InvalidInputError(f"{day} is a weekday: a moved working day lies on a weekend")
        if date(self.year, 1, 1) not in self.rest or date(self.year, 10, 1) not in self.rest:
            raise InvalidInputError(
                f"the calendar of {self.year} lacks 1 January or 1 October",
                todo="Bring in the whole notice, from New Year to the National Day.",
            )


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The published years, and what they make of a day.

    Attributes:
        years: By year. A later version of a year takes the place of the earlier one.
    """

    years: Mapping[int, CalendarYear]

    def with_year(self, year: CalendarYear) -> WorkingDays:
        """The same with one year brought in (or brought in anew)."""
        return WorkingDays({**self.years, year.year: year})

    def is_known(self, day: date) -> bool:
        """Whether what is told of this day rests on what was published."""
        if day.year not in self.years:
            return False
        return not (day.month == 12 and day.day >= _NEW_YEAR_FROM) or day.year + 1 in self.years

    def is_working(self, day: date) -> bool:
        """Whether work is done on that day; Monday to Friday where nothing is published."""
        for year in (day.year, day.year + 1):
            if (table := self.years.get(year)) is not None:
                if day in table.rest:
                    return False
                if day in table.work:
                    return True
        return day.weekday() <= _FRIDAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A statutory period: ``count`` units.

    Attributes:
        count: How many, at least one.
        unit: Of what.
        roll: What becomes of a last day of rest. Hours are never moved; working days end on one by themselves.
    """

    count: int
    unit: TimeUnit
    roll: Roll = Roll.NONE

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _COUNT_MAX:
            raise InvalidInputError(f"a period of {self.count} is none", todo=f"Between 1 and {_COUNT_MAX}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When something must be done.

    Attributes:
        at: The first moment (UTC) at which it is late.
        last_day: The last day on which it is in time, in the bureau's calendar.
        provisional: Days were counted that no published table tells (暂估).
        unpublished: Years whose table was missing, in order.
    """

    at: datetime
    last_day: date
    provisional: bool = False
    unpublished: tuple[int, ...] = ()


def deadline(begins: datetime, span: Span, table: WorkingDays, zone: ZoneInfo = BUREAU_ZONE) -> Deadline:
    """The deadline of a period that begins with an event.

    Args:
        begins: The event, an aware moment.
        span: How long.
        table: The published years.
        zone: The bureau's zone.

    Raises:
        InvalidInputError: The moment has no zone, or the end lies outside every calendar.
    """
    first = local_date(begins, zone)
    if span.unit is TimeUnit.HOUR:
        at = after_hours(begins, span.count)
        return Deadline(at=at, last_day=local_date(at, zone))
    asked: list[date] = []
    try:
        if span.unit is TimeUnit.WORKING_DAY:
            last = _working_days_on(first, span.count, table, asked)
        else:
            last = add_months(first, span.count) if span.unit is TimeUnit.MONTH else first + timedelta(span.count)
            if span.roll is Roll.NEXT_WORKING_DAY:
                last = _rolled(last, table, asked)
        at = end_of(last, zone)
    except OverflowError as error:
        raise InvalidInputError(f"a period that begins on {first} lies outside every calendar") from error
    missing = sorted({_missing_year(day, table) for day in asked if not table.is_known(day)})
    return Deadline(at=at, last_day=last, provisional=bool(missing), unpublished=tuple(missing))


def _missing_year(day: date, table: WorkingDays) -> int:
    return day.year if day.year not in table.years else day.year + 1


def _working_days_on(first: date, count: int, table: WorkingDays, asked: list[date]) -> date:
    day = first
    while count:
        day += _ONE_DAY
        asked.append(day)
        count -= table.is_working(day)
    return day


def _rolled(day: date, table: WorkingDays, asked: list[date]) -> date:
    asked.append(day)
    while not table.is_working(day):
        day += _ONE_DAY
        asked.append(day)
    return day


# --- tables from outside ----------------------------------------------------------------------------------------------
def read_years(untrusted: Iterable[Sequence[object]]) -> list[CalendarYear]:
    """The years of a table of rows: a heading, then one row for each moved day.

    Columns are found by their heading (``date``, ``kind``, ``name``, ``source``, or 日期, 类别, 名称, 依据), in any order.
    ``kind`` is ``rest`` or ``work`` (休, 班). A row of a December whose source names the next year belongs to that year, because
    all rows of one source are one notice.

    Raises:
        InvalidInputError: A row or the table is not of this form; the message names the row.
    """
    rows = iter(untrusted)
    heading = [_HEADINGS.get(name, name) for name in (str(cell or "").strip().lower() for cell in next(rows, ()))]
    if missing := [name for name in COLUMNS if name not in heading]:
        raise InvalidInputError(f"the table lacks the column {missing[0]}", todo=f"Columns: {', '.join(COLUMNS)}.")
    notices: dict[str, list[tuple[date, str, str]]] = {}
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(heading, row, strict=False))
        if not any(str(cell or "").strip() for cell in cells.values()):
            continue
        kind = _KINDS.get(str(cells.get("kind") or "").strip().lower())
        if kind is None:
            raise InvalidInputError(f"row {number}: {cells.get('kind')!r} is neither rest nor work")
        source = str(cells.get("source") or "").strip()
        if not source:
            raise InvalidInputError(f"row {number} names no document", todo="Give the notice's number in each row.")
        entry = (_day(cells.get("date"), number), kind, str(cells.get("name") or "").strip())
        notices.setdefault(source, []).append(entry)
    if not notices:
        raise InvalidInputError("the table has no days")
    return sorted((_year_of(source, days) for source, days in notices.items()), key=lambda one: one.year)


def _year_of(source: str, days: list[tuple[date, str, str]]) -> CalendarYear:
    if len({day for day, _, _ in days}) != len(days):
        raise InvalidInputError(f"the notice {source} names a day twice")
    year = max(day.year for day, _, _ in days)
    return CalendarYear(
        year=year,
        rest=frozenset(day for day, kind, _ in days if kind == "rest"),
        work=frozenset(day for day, kind, _ in days if kind == "work"),
        source=source,
        names={day: name for day, _, name in days if name},
    )


def _day(untrusted: object, row: int) -> date:
    if isinstance(untrusted, datetime):
        return untrusted.date()
    if isinstance(untrusted, date):
        return untrusted
    try:
        return date.fromisoformat(str(untrusted or "").strip().replace("/", "-"))
    except ValueError as error:
        raise InvalidInputError(f"row {row}: {untrusted!r} is no date", todo="Write 2027-01-01.") from error


@cache
def published() -> WorkingDays:
    """The years that were published when this version was made (``evidence/working_years.csv``)."""
    text = resources.files("evidence").joinpath("working_years.csv").read_text(encoding="utf-8")
    return WorkingDays({one.year: one for one in read_years(csv.reader(io.StringIO(text)))})
