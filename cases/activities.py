"""Enforcement activities: what had to be recorded, and whether it was (R3, R25).

An activity says when, where and by whom something was done and whether it had to be recorded whole. From that follow the
expected
recordings; the completeness report compares them with what came in and with filed exceptions. The report is entered with
the act
that makes it, so an auditor sees what was known when.

Source: RULES R3, R4, R25; docs/inspection.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from cases.completeness import Completeness, Explained, OfOfficer, Recorded, Span, completeness
from cases.exceptions import FILED
from cases.exceptions import KIND as EXCEPTION
from catalogue import UnitOfWork
from catalogue.matters import MatterFilter, MatterRow
from evidence.calendar import after_hours
from evidence.clock import from_text, to_text
from evidence.ids import AgentId
from evidence.model import Action, RecordingKind
from matters.form import (
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    Guard,
    LinkRole,
    State,
    Tone,
    plain_number,
)
from matters.turn import Turn

KIND: Final = "activity"
#: Hours after the end within which everything is to be handed in (R4).
HAND_IN_HOURS: Final = 24
_MEDIA: Final = frozenset({RecordingKind.VIDEO, RecordingKind.AUDIO})
DUTY: Final = (
    Choice(code="whole", word="The whole process"),
    Choice(code="circumstances", word="By circumstances"),
    Choice(code="not-needed", word="Not needed: writing is enough"),
)


def report_of(uow: UnitOfWork, row: MatterRow) -> Completeness:
    """The completeness of an activity as the catalogue knows it now."""
    span = Span(begins=from_text(row.facts["from"]), ends=from_text(row.facts["to"]))
    officers = [one.agent for one in uow.matters.persons(row.id) if one.role == "officer"]
    recorded = [
        Recorded(
            recording=one.id, officer=one.officer or "", device=one.device, begins=one.started_at, ends=one.ended_at,
            counter=one.counter, media=one.kind in _MEDIA,
        )
        for one in uow.recordings.overlapping(officers, span.begins, span.ends)
    ] if officers else []  # fmt: skip
    return completeness(span, officers, recorded, list(_explained(uow, officers, span)))


def _explained(uow: UnitOfWork, officers: list[AgentId], span: Span) -> list[Explained]:
    found = []
    for officer in officers:
        wanted = MatterFilter(kinds=(EXCEPTION,), states=(FILED,), person=officer)
        for row in uow.matters.find(wanted, limit=1_000):
            covers = Span(begins=from_text(row.facts["from"]), ends=from_text(row.facts["to"]))
            if row.facts.get("officer") == officer and covers.begins < span.ends and covers.ends > span.begins:
                found.append(Explained(number=row.number, officer=officer, span=covers))
    return found


def told(report: Completeness) -> dict[str, Any]:
    """The report as public facts of the activity."""
    return {"verdict": report.verdict.value, "parts": [row for one in report.officers for row in _rows(one)]}


def _rows(part: OfOfficer) -> list[dict[str, str]]:
    summary = {
        "officer": part.officer, "what": "covered", "recordings": str(len(part.recordings)), "seconds": str(part.covered),
    }  # fmt: skip
    return [
        summary,
        *({"officer": part.officer, "what": "missing", **_times(one)} for one in part.missing),
        *({"officer": part.officer, "what": "explained", "by": number, **_times(one)} for number, one in part.explained),
        *({"officer": part.officer, "what": "unknown", "recording": one} for one in part.unknown),
        *(
            {"officer": part.officer, "what": "counter", "recorder": device, "first": str(first), "last": str(last)}
            for device, first, last in part.counters
        ),
    ]  # fmt: skip


def _times(span: Span) -> dict[str, str]:
    return {"from": to_text(span.begins), "to": to_text(span.ends), "seconds": str(span.seconds)}


# --- the form -----------------------------------------------------------------------------------------------------------
def _times_fit(turn: Turn) -> None:
    if from_text(turn.value("to")) <= from_text(turn.value("from")):
        turn.refuse("it ends before it begins", todo="Correct the times.")


def _report(turn: Turn) -> None:
    """Compare, and enter what came of it."""
    if from_text(turn.value("to")) > turn.now.wall:
        turn.refuse("the activity is not over yet", todo="Report when it is.")
    turn.asked.facts.update(told(report_of(turn.uow, turn.row)))


def _nothing_unexplained(turn: Turn) -> None:
    if turn.asked.facts.get("verdict") == "missing" and turn.value("duty") == "whole" and not turn.value("unexplained"):
        turn.refuse(
            "footage that had to be made is missing without an exception",
            todo="Hand in what is missing, have the exception filed, or enter what is known of it: a finding follows.",
        )


def _due(turn: Turn) -> datetime | None:
    return after_hours(from_text(turn.value("to")), HAND_IN_HOURS)


_FIELDS: Final = (
    Field(name="title", word="Activity", personal=True, required=True),
    Field(name="from", word="Began", kind=FieldKind.MOMENT, required=True),
    Field(name="to", word="Ended", kind=FieldKind.MOMENT, required=True),
    Field(name="place", word="Place", personal=True),
    Field(name="duty", word="To be recorded", kind=FieldKind.CHOICE, choices=DUTY, required=True),
    Field(
        name="duty_basis",
        word="Why",
        kind=FieldKind.WORDS,
        personal=True,
        hint="Item of the list, or which step",
    ),
    Field(name="coercive", word="Coercive measures were taken", kind=FieldKind.FLAG),
    Field(name="told_beforehand", word="The party was told beforehand", kind=FieldKind.FLAG),
)
_GUARDS: Final[tuple[Guard, ...]] = (_times_fit,)

FORM: Final = Form(
    kind=KIND, word="Enforcement activity", words="Enforcement activities", number=plain_number("HD"),
    states=(
        State(code="entered", word="Footage to be handed in", tone=Tone.WARN),
        State(code="closed", word="Closed", tone=Tone.GOOD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={PROPOSER: "Entered by", "officer": "Officer"},
    documents={"record": "Record of the activity", "signed": "Signed report"},
    opening=Act(
        name="enter", word="Enter an activity", after="entered", action=Action.CASE_EDIT, role=PROPOSER,
        fields=(
            *_FIELDS, Field(name="officer", word="Officer", kind=FieldKind.AGENT, required=True, part="officer"),
            Field(name="second", word="Second officer", kind=FieldKind.AGENT, part="officer"),
        ),
        links=(LinkRole(role="case", word="Case", targets=("mat",), kinds=("case", "working-material")),), guards=_GUARDS,
    ),
    acts=(
        Act(
            name="add-officer", word="Add an officer", before=("entered",), action=Action.CASE_EDIT,
            fields=(Field(name="further", word="Officer", kind=FieldKind.AGENT, required=True, part="officer"),),
        ),
        Act(name="correct", word="Correct", before=("entered",), action=Action.CASE_EDIT, fields=_FIELDS, guards=_GUARDS),
        Act(name="compare", word="Compare with what came in", before=("entered",), action=Action.CASE_EDIT, guards=(_report,)),
        Act(
            name="close", word="Report and close", before=("entered",), after="closed", action=Action.CASE_EDIT,
            fields=(
                Field(name="unexplained", word="What is known of missing footage", kind=FieldKind.WORDS, personal=True),
            ),
            guards=(_report, _nothing_unexplained),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("entered",), after="withdrawn", action=Action.CASE_EDIT,
            fields=(Field(name="withdrawn", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.CASE_SEE, title="title", deadline=_due, group="Inspection",
    computed=(
        Field(
            name="verdict", word="Completeness", kind=FieldKind.CHOICE,
            choices=(
                Choice(code="whole", word="Whole"), Choice(code="explained", word="Missing parts are explained"),
                Choice(code="missing", word="Footage is missing"), Choice(code="unknown", word="Cannot be told"),
            ),
        ),
        Field(
            name="parts", word="Report", kind=FieldKind.TABLE,
            columns=(
                Choice(code="officer", word="Officer"), Choice(code="what", word="What"), Choice(code="from", word="From"),
                Choice(code="to", word="To"), Choice(code="seconds", word="Seconds"),
                Choice(code="recordings", word="Recordings"), Choice(code="by", word="Exception record"),
                Choice(code="recording", word="Recording"), Choice(code="recorder", word="Recorder"),
                Choice(code="first", word="First missing number"), Choice(code="last", word="Last missing number"),
            ),
            choices=(
                Choice(code="covered", word="Recorded"), Choice(code="missing", word="Missing"),
                Choice(code="explained", word="Explained"), Choice(code="unknown", word="Cannot be told"),
                Choice(code="counter", word="Numbers missing in the counter"),
            ),
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Activity", name="title"), Column(word="Began", name="from"),
        Column(word="Ended", name="to"), Column(word="Place", name="place"), Column(word="Officer", name="person:officer"),
        Column(word="To be recorded", name="duty"), Column(word="The party was told beforehand", name="told_beforehand"),
        Column(word="Completeness", name="verdict"), Column(word="Case", name="links:case"), Column(word="State", name="state"),
    ),
)  # fmt: skip
