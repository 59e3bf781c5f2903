"""The determination that lets the service clear by itself, and the stop that anybody responsible can pull.

A determination (清除认定) names categories, rests on a document with its number and signatory, whose signed scan is on file, is
confirmed by another person, and holds for a year at most; without a renewal the service clears nothing by itself any more.

A stop halts all clearing of the house before the next item. Only another person lets it go on.

Source: RULES R10; docs/disposal.md.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from catalogue.matters import MatterFilter
from evidence.calendar import end_of, local_date
from evidence.ids import MatterId
from evidence.model import Action
from evidence.time_line import Belief, judge
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
from matters.values import MISSING, NOT_THAT_KIND, OUT_OF_RANGE, FormError
from retention.disposal_checks import DETERMINATION, IN_FORCE, STOP
from retention.facts import schedules_of
from retention.periods import Term

#: Longest time a determination holds: a year, first and last day included.
YEAR_DAYS_MAX: Final = 366
#: So long before its end a renewal is reminded of.
REMIND_DAYS: Final = 30
DRAFTED, ENDED, RENEWED, REFUSED = "drafted", "ended", "renewed", "refused"
RUN_OUT: Final = "run-out"
RENEW: Final = "renew"
SCAN: Final = "signed-scan"
STOPPED, GOING_ON = "stopped", "going-on"
#: Part of who pulled a stop.
STOPPER: Final = "stopper"


def _must_be_sound(turn: Turn) -> None:
    """Dates in order and a year at most, categories of the schedule in force that have a period."""
    begins, ends = _day(turn.value("valid_from")), _day(turn.value("valid_until"))
    if begins is None or ends is None:
        raise FormError({"valid_from" if begins is None else "valid_until": MISSING})
    if not begins <= ends or (ends - begins).days + 1 > YEAR_DAYS_MAX:
        raise FormError({"valid_until": OUT_OF_RANGE})
    known = schedules_of(turn.uow).current.rows
    listed: Any = turn.value("categories") or []
    rows = []
    for one in listed:
        code = str(one.get("category", "")).strip()
        if code not in known or known[code].keeps.term is not Term.MONTHS:
            raise FormError({"categories": NOT_THAT_KIND})
        rows.append({"category": code})
    if not rows:
        raise FormError({"categories": MISSING})
    turn.asked.facts["categories"] = rows


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def _must_be_believed(turn: Turn) -> None:
    if judge(turn.now, turn.uow.clock_marks.highest()) is not Belief.BELIEVED:
        turn.refuse("the clock contradicts what this home has seen: no determination comes into force by it")
    ends = _day(turn.value("valid_until"))
    if ends is None or ends < local_date(turn.now.wall):
        turn.refuse("its last day is over already")


def _renew(turn: Turn) -> None:
    """The one it renews steps back."""
    renewed = turn.row.facts.get("renews")
    if renewed:
        row = turn.uow.matters.get(MatterId(renewed))
        if row.kind == DETERMINATION and row.state == IN_FORCE:
            turn.also_act(row.id, RENEW)


def _renews_one(turn: Turn) -> None:
    renewed = turn.value("renews")
    if renewed and turn.uow.matters.get(MatterId(renewed)).kind != DETERMINATION:
        raise FormError({"renews": NOT_THAT_KIND})


def _must_be_over(turn: Turn) -> None:
    ends = _day(turn.value("valid_until"))
    if ends is not None and local_date(turn.now.wall) <= ends:
        turn.refuse("it still holds")


def _ends(turn: Turn) -> datetime | None:
    ends = _day(turn.value("valid_until"))
    if (turn.act.after or turn.row.state) != IN_FORCE or ends is None:
        return None
    return end_of(ends - timedelta(days=REMIND_DAYS))


_FIELDS: Final = (
    Field(name="document_number", word="Document number", required=True, personal=True),
    Field(name="signatory", word="Signatory", required=True, personal=True),
    Field(
        name="categories", word="Categories", kind=FieldKind.TABLE, required=True, most=200,
        columns=(Choice(code="category", word="Category"),),
        hint="Codes of the schedule in force that are kept for a number of months.",
    ),
    Field(name="valid_from", word="Valid from", kind=FieldKind.DATE, required=True),
    Field(name="valid_until", word="Valid until", kind=FieldKind.DATE, required=True, hint="A year at most."),
    Field(
        name="grounds", word="Why these categories have no preservation value", kind=FieldKind.WORDS, required=True,
        personal=True,
    ),
    Field(name="renews", word="Renews the determination", kind=FieldKind.MATTER),
)  # fmt: skip

DETERMINATION_FORM: Final = Form(
    kind=DETERMINATION,
    word="Determination of clearing",
    words="Determinations of clearing",
    number=plain_number("QCRD"),
    states=(
        State(code=DRAFTED, word="Drafted", tone=Tone.WARN),
        State(code=IN_FORCE, word="In force", tone=Tone.GOOD),
        State(code=ENDED, word="Ended", final=True),
        State(code=RENEWED, word="Renewed by another", final=True),
        State(code=REFUSED, word="Refused", tone=Tone.BAD, final=True),
    ),
    opening=Act(
        name="draft", word="Draft a determination", after=DRAFTED, action=Action.DISPOSAL_PROPOSE, role=PROPOSER,
        guards=(_must_be_sound, _renews_one),
        fields=_FIELDS,
    ),
    acts=(
        Act(
            name="change", word="Change", before=(DRAFTED,), action=Action.DISPOSAL_PROPOSE, role=PROPOSER,
            fields=_FIELDS, guards=(_must_be_sound, _renews_one),
        ),
        Act(
            name="confirm", word="Confirm against the signed document", before=(DRAFTED,), after=IN_FORCE,
            action=Action.DISPOSAL_APPROVE, role=APPROVER, never=(PROPOSER,), frozen=True, documents=(SCAN,),
            guards=(_must_be_sound, _must_be_believed), effects=(_renew,),
        ),
        Act(
            name="refuse", word="Refuse", before=(DRAFTED,), after=REFUSED, action=Action.DISPOSAL_APPROVE,
            fields=(Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name="end", word="End it now", before=(IN_FORCE,), after=ENDED, action=Action.DISPOSAL_STOP,
            fields=(Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name=RUN_OUT, word="Its last day is over", before=(IN_FORCE,), after=ENDED, action=Action.DISPOSAL_STOP,
            hidden=True, guards=(_must_be_over,),
        ),
        Act(
            name=RENEW, word="Renewed by another", before=(IN_FORCE,), after=RENEWED, action=Action.DISPOSAL_APPROVE,
            hidden=True,
        ),
    ),
    see=Action.DISPOSAL_SEE,
    persons={PROPOSER: "Drafted by", APPROVER: "Confirmed by"},
    documents={SCAN: "Signed document (scan)"},
    title="document_number",
    register=(
        Column(word="Number", name="number"),
        Column(word="Document number", name="document_number"),
        Column(word="Signatory", name="signatory"),
        Column(word="State", name="state"),
        Column(word="Valid from", name="valid_from"),
        Column(word="Valid until", name="valid_until"),
        Column(word="Drafted by", name=f"person:{PROPOSER}"),
        Column(word="Confirmed by", name=f"person:{APPROVER}"),
    ),
    deadline=_ends,
    group="Retention",
)  # fmt: skip


# --- the stop ---------------------------------------------------------------------------------------------------------
def _only_one(turn: Turn) -> None:
    found = turn.uow.matters.find(MatterFilter(kinds=(STOP,), open=True), limit=1)
    if found:
        turn.refuse("clearing is stopped already ({number})", number=found[0].number)


STOP_FORM: Final = Form(
    kind=STOP,
    word="Stop of clearing",
    words="Stops of clearing",
    number=plain_number("QCTZ"),
    states=(
        State(code=STOPPED, word="Clearing is stopped", tone=Tone.BAD),
        State(code=GOING_ON, word="Clearing goes on", tone=Tone.GOOD, final=True),
    ),
    opening=Act(
        name="stop", word="Stop all clearing", after=STOPPED, action=Action.DISPOSAL_STOP, role=STOPPER,
        fields=(Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),),
        guards=(_only_one,),
    ),
    acts=(
        Act(
            name="go-on", word="Let clearing go on", before=(STOPPED,), after=GOING_ON, action=Action.DISPOSAL_STOP,
            role=APPROVER, never=(STOPPER,),
            fields=(
                Field(
                    name="looked_at", word="What was looked at, and why clearing may go on", kind=FieldKind.WORDS,
                    required=True, personal=True,
                ),
            ),
        ),
    ),
    see=Action.DISPOSAL_SEE,
    persons={STOPPER: "Stopped by", APPROVER: "Let go on by"},
    title="reason",
    register=(
        Column(word="Number", name="number"),
        Column(word="State", name="state"),
        Column(word="Stopped", name="opened_at"),
        Column(word="Stopped by", name=f"person:{STOPPER}"),
        Column(word="Went on", name="closed_at"),
        Column(word="Let go on by", name=f"person:{APPROVER}"),
    ),
    group="Retention",
)  # fmt: skip
