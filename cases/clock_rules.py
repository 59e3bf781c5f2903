"""The numbers of statutory clocks, as a bureau has them: versions that one person proposes and another approves.

What comes with the program are the numbers of the documents on which RULES R22 to R27 rest. A bureau with others proposes
rows (procedure, clock, count, unit, roll, extension, source); they count for clocks that start after the approval, never for
those that run already.

Source: RULES R22 to R27; docs/procedures.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from cases.clocks import ClockRule
from catalogue import UnitOfWork
from catalogue.matters import MatterFilter
from evidence.errors import InvalidInputError
from evidence.model import Action
from evidence.working_days import Roll, Span, TimeUnit
from matters.form import APPROVER, PROPOSER, Act, Choice, Column, Field, FieldKind, Form, State, Tone, plain_number
from matters.turn import Turn

KIND: Final = "clock-rules"
PROPOSED, IN_FORCE, SUPERSEDED, REFUSED = "proposed", "in-force", "superseded", "refused"
COLUMNS: Final = ("procedure", "clock", "count", "unit", "roll", "extension", "source")
COLUMN_WORDS: Final = ("Procedure", "Deadline", "Number", "Unit of time", "Rest days", "Extension", "Source document")
#: Every clock a bureau may set, by procedure; filled by :mod:`cases.procedures`.
Known = Mapping[str, Sequence[ClockRule]]


def rules_in_force(uow: UnitOfWork, procedure: str, defaults: Sequence[ClockRule]) -> list[ClockRule]:
    """The clocks of a procedure with the numbers of the version in force.

    Raises:
        InvalidInputError: A stored row cannot be read.
    """
    rows: list[Mapping[str, str]] = []
    for version in uow.matters.find(MatterFilter(kinds=(KIND,), states=(IN_FORCE,)), limit=1):
        rows = [row for row in version.facts.get("rows") or () if row.get("procedure") == procedure]
    by_code = {row["clock"]: row for row in rows}
    return [_changed(rule, by_code[rule.code]) if rule.code in by_code else rule for rule in defaults]


def _changed(rule: ClockRule, row: Mapping[str, Any]) -> ClockRule:
    try:
        span = Span(
            count=int(row["count"]), unit=TimeUnit(row["unit"]), roll=Roll(row.get("roll") or Roll.NONE.value)
        )  # fmt: skip
        extension = int(row.get("extension") or 0)
    except (KeyError, ValueError) as error:
        raise InvalidInputError(
            f"the row of {row.get('procedure')}/{row.get('clock')} cannot be read: {error}",
            todo=f"Columns: {', '.join(COLUMNS)}; units: {', '.join(TimeUnit)}; roll: {', '.join(Roll)}.",
        ) from error
    if extension < -1 or not str(row.get("source") or "").strip():
        raise InvalidInputError(
            f"the row of {rule.code} names no document, or an extension below -1",
            todo="Name the document and article each number rests on.",
        )
    return replace(
        rule, count=span.count, unit=span.unit, roll=span.roll, extend_most=extension, source=str(row["source"]).strip()
    )


def clock_rules_form(known: Known) -> Form:
    """The form of these versions, over the clocks there are."""

    def must_be_known(turn: Turn) -> None:
        seen: set[tuple[str, str]] = set()
        for row in turn.value("rows") or ():
            place = (row.get("procedure", ""), row.get("clock", ""))
            rule = next((one for one in known.get(place[0], ()) if one.code == place[1]), None)
            if rule is None or place in seen:
                raise InvalidInputError(
                    f"there is no clock {place[1][:64]!r} of {place[0][:64]!r}, or it stands there twice",
                    kept="Nothing was entered.", todo="Take the codes from the list of clocks.",
                )  # fmt: skip
            seen.add(place)
            _changed(rule, row)

    def take_place(turn: Turn) -> None:
        for row in turn.uow.matters.find(MatterFilter(kinds=(KIND,), states=(IN_FORCE,)), limit=1000):
            if row.id != turn.matter:
                turn.also_act(row.id, "supersede")

    return Form(
        kind=KIND, word="Numbers of deadlines", words="Numbers of deadlines", number=plain_number("SX"),
        states=(
            State(code=PROPOSED, word="Proposed", tone=Tone.WARN),
            State(code=IN_FORCE, word="In force", tone=Tone.GOOD),
            State(code=SUPERSEDED, word="Superseded", final=True),
            State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
        ),
        opening=Act(
            name="open", word="Propose numbers", after=PROPOSED, action=Action.CALENDAR_MANAGE, role=PROPOSER,
            fields=(
                Field(
                    name="rows", word="Rows", kind=FieldKind.TABLE, required=True,
                    columns=tuple(Choice(code=code, word=word) for code, word in zip(COLUMNS, COLUMN_WORDS, strict=True)),
                    hint="procedure, clock, count, unit (hour, day, working-day, month), roll (none, next-working-day), "
                    "extension (0 none, -1 without bound), source",
                ),
            ),
            guards=(must_be_known,),
        ),
        acts=(
            Act(
                name="approve", word="Approve", before=(PROPOSED,), after=IN_FORCE, action=Action.SCHEDULE_APPROVE,
                role=APPROVER, never=(PROPOSER,), frozen=True, guards=(must_be_known,), effects=(take_place,),
            ),
            Act(
                name="refuse", word="Refuse", before=(PROPOSED,), after=REFUSED, action=Action.SCHEDULE_APPROVE,
                never=(PROPOSER,),
                fields=(Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),),
            ),
            Act(
                name="supersede", word="Step back", before=(IN_FORCE,), after=SUPERSEDED,
                action=Action.SCHEDULE_APPROVE, hidden=True,
            ),
        ),
        see=Action.SCHEDULE_SEE,
        persons={PROPOSER: "Proposed by", APPROVER: "Approved by"},
        documents={"basis": "The document it rests on"},
        title="number",
        register=(
            Column(word="Number", name="number"), Column(word="State", name="state"), Column(word="Rows", name="rows"),
            Column(word="Proposed by", name=f"person:{PROPOSER}"), Column(word="Approved by", name=f"person:{APPROVER}"),
        ),
        group="Procedures",
    )  # fmt: skip
