"""The calendar of working days as this home knows it: the years that came with the program, and those that were brought in.

A year is a matter (kind ``calendar-year``): its days with the State Council's notice they rest on, brought in by one person and
approved by another. A later approval of the same year takes the place of the earlier one. Every room that counts working days
reads them here.

Source: Civil Code article 203; RULES R22 to R27; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalogue import UnitOfWork
from catalogue.matters import MatterFilter
from evidence.errors import InvalidInputError
from evidence.model import Action
from evidence.working_days import COLUMNS, CalendarYear, WorkingDays, published, read_years
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    State,
    Tone,
    plain_number,
)
from matters.turn import Turn

KIND: Final = "calendar-year"
#: Version of the calendar: counts the years that were approved. Who keeps provisional deadlines compares it.
VERSION: Final = "calendar.version"
PROPOSED, IN_FORCE, SUPERSEDED, REFUSED = "proposed", "in-force", "superseded", "refused"
_YEAR_MIN: Final = 2004
_YEAR_MAX: Final = 2199


def working_days(uow: UnitOfWork) -> WorkingDays:
    """Every year that is known.

    Raises:
        InvalidInputError: A stored year cannot be read.
    """
    table = published()
    for row in uow.matters.find(MatterFilter(kinds=(KIND,), states=(IN_FORCE,)), limit=1000):
        table = table.with_year(_year(row.facts))
    return table


def calendar_version(uow: UnitOfWork) -> int:
    """Grows with every year that is approved."""
    text = uow.settings.get(VERSION) or "0"
    return int(text) if text.isdecimal() else 0


def _year(facts: Mapping[str, Any]) -> CalendarYear:
    days: Sequence[Mapping[str, str]] = facts.get("days") or ()
    table = [COLUMNS, *([day.get(name, "") for name in COLUMNS] for day in days)]
    years = read_years(table)
    if len(years) != 1:
        raise InvalidInputError(
            f"the days belong to {len(years)} notices", todo="Bring in one notice at a time; name it alike in each row."
        )
    if years[0].year != facts.get("year"):
        raise InvalidInputError(f"the days are those of {years[0].year}, not of {facts.get('year')}")
    return years[0]


def _must_be_a_year(turn: Turn) -> None:
    year = _year({"days": turn.value("days"), "year": turn.value("year")})
    turn.asked.facts["days"] = [
        {
            "date": day.isoformat(),
            "kind": "rest" if day in year.rest else "work",
            "name": year.names.get(day, ""),
            "source": year.source,
        }
        for day in sorted(year.rest | year.work)
    ]


def _take_place(turn: Turn) -> None:
    for row in turn.uow.matters.find(MatterFilter(kinds=(KIND,), states=(IN_FORCE,)), limit=1000):
        if row.id != turn.matter and row.facts.get("year") == turn.row.facts.get("year"):
            turn.also_act(row.id, "supersede")
    turn.uow.settings.put(VERSION, str(calendar_version(turn.uow) + 1))


FORM: Final = Form(
    kind=KIND,
    word="Calendar of working days",
    words="Calendars of working days",
    number=plain_number("RL"),
    states=(
        State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
        State(code=IN_FORCE, word="In force", tone=Tone.GOOD),
        State(code=SUPERSEDED, word="Superseded", final=True),
        State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
    ),
    opening=Act(
        name="open", word="Bring in a year", after=PROPOSED, action=Action.CALENDAR_MANAGE, role=PROPOSER,
        fields=(
            Field(name="year", word="Year", kind=FieldKind.NUMBER, required=True, least=_YEAR_MIN, most=_YEAR_MAX),
            Field(
                name="days", word="Days", kind=FieldKind.TABLE, required=True, most=366,
                hint="Every day of rest and every moved working day of the State Council's notice; kind: 休 or 班.",
                columns=(
                    Choice(code="date", word="Date"), Choice(code="kind", word="Rest or work"),
                    Choice(code="name", word="Holiday"), Choice(code="source", word="Notice"),
                ),
            ),
        ),
        guards=(_must_be_a_year,),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=(PROPOSED,), after=IN_FORCE, action=Action.SCHEDULE_APPROVE,
            role=APPROVER, never=(PROPOSER,), frozen=True, effects=(_take_place,),
        ),
        Act(
            name="refuse", word="Refuse", before=(PROPOSED,), after=REFUSED, action=Action.SCHEDULE_APPROVE,
            never=(PROPOSER,),
            fields=(Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="supersede", word="Step back", before=(IN_FORCE,), after=SUPERSEDED, action=Action.SCHEDULE_APPROVE,
            hidden=True,
        ),
    ),
    see=Action.SCHEDULE_SEE,
    persons={PROPOSER: "Proposed by", APPROVER: "Approved by"},
    documents={"notice": "The notice"},
    register=(
        Column(word="Number", name="number"),
        Column(word="Year", name="year"),
        Column(word="State", name="state"),
        Column(word="Days", name="days"),
        Column(word="Proposed by", name=f"person:{PROPOSER}"),
        Column(word="Approved by", name=f"person:{APPROVER}"),
    ),
    title="year",
    group="Retention",
)  # fmt: skip
