"""Exception record (未录说明): why something that had to be recorded was not, or was broken off (R7).

It explains *missing* footage, never a late hand-in: there is no excuse for lateness (R4). One of four reasons, with its
basis; the unit head looks at it and either files it or returns it. Who reports it never reviews it.

Source: RULES R7 (art. 16); docs/duty-records.md.
"""

from __future__ import annotations

from typing import Final

from evidence.clock import from_text
from evidence.model import Action
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
    Choice,
    Column,
    Field,
    FieldKind,
    Form,
    LinkRole,
    State,
    Tone,
    plain_number,
)
from matters.turn import Turn

KIND: Final = "exception"
FILED: Final = "filed"
#: The four reasons of article 16, as codes.
REASONS: Final = (
    Choice(code="privacy", word="Privacy or a trade secret"),
    Choice(code="nature", word="Weather or another natural cause"),
    Choice(code="obstruction", word="Obstruction"),
    Choice(code="force-majeure", word="Other force majeure"),
)


def _span_is_over(turn: Turn) -> None:
    begins, ends = from_text(turn.value("from")), from_text(turn.value("to"))
    if ends <= begins:
        turn.refuse("it ends before it begins", todo="Correct the times.")
    if ends > turn.now.wall:
        turn.refuse("it ends in the future", todo="Report it when it is over.")


def _own_or_on_behalf(turn: Turn) -> None:
    """An officer reports for themselves; the station may enter it for somebody."""
    if "officer" not in turn.asked.facts and turn.agent is not None and turn.before is None:
        turn.asked.facts["officer"] = turn.agent
        turn.asked.persons.append(("officer", turn.agent))


_FIELDS: Final = (
    Field(name="title", word="Activity", personal=True, required=True),
    Field(name="officer", word="Officer", kind=FieldKind.AGENT, part="officer", hint="Empty: yourself"),
    Field(name="from", word="Not recorded from", kind=FieldKind.MOMENT, required=True),
    Field(name="to", word="Not recorded until", kind=FieldKind.MOMENT, required=True),
    Field(name="place", word="Place", personal=True, required=True),
    Field(name="steps", word="What should have been recorded", kind=FieldKind.WORDS, personal=True, required=True),
    Field(name="reason", word="Reason", kind=FieldKind.CHOICE, choices=REASONS, required=True),
    Field(
        name="basis",
        word="Basis and course",
        kind=FieldKind.WORDS,
        personal=True,
        required=True,
        hint="What happened, on which provision it rests, and what was said into the recorder where it was broken off",
    ),
    Field(name="remedy", word="What was done instead", kind=FieldKind.WORDS, personal=True),
    Field(name="witness", word="Witness", personal=True),
)
_LINKS: Final = (
    LinkRole(role="case", word="Case", targets=("mat",), kinds=("case", "working-material")),
    LinkRole(role="recorder", word="Recorder", targets=("dev",), most=1),
    LinkRole(role="footage", word="Footage before and after", targets=("rec",)),
)  # fmt: skip

FORM: Final = Form(
    kind=KIND, word="Exception record", words="Exception records", number=plain_number("WL"),
    states=(
        State(code="reported", word="Waits for the unit head", tone=Tone.WARN),
        State(code="returned", word="Returned", tone=Tone.BAD),
        State(code=FILED, word="Reviewed and filed", tone=Tone.GOOD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={PROPOSER: "Reported by", APPROVER: "Reviewed by", "officer": "Officer"},
    documents={"proof": "Proof", "signed": "Signed record"},
    opening=Act(
        name="report", word="Report", after="reported", action=Action.EXCEPTION_FILE, role=PROPOSER, fields=_FIELDS,
        links=_LINKS, guards=(_own_or_on_behalf, _span_is_over),
    ),
    acts=(
        Act(
            name="review", word="Agree and file", before=("reported",), after=FILED, action=Action.EXCEPTION_REVIEW,
            role=APPROVER, never=(PROPOSER, "officer"), frozen=True,
            fields=(Field(name="review", word="Remark", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="return", word="Return", before=("reported",), after="returned", action=Action.EXCEPTION_REVIEW,
            never=(PROPOSER, "officer"),
            fields=(Field(name="objection", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="amend", word="Correct and report again", before=("returned",), after="reported",
            action=Action.EXCEPTION_FILE, only=(PROPOSER, "officer"), fields=_FIELDS, links=_LINKS, guards=(_span_is_over,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("reported", "returned"), after="withdrawn",
            action=Action.EXCEPTION_FILE, only=(PROPOSER, "officer"),
            fields=(Field(name="withdrawn", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", group="Duty",
    register=(
        Column(word="Number", name="number"), Column(word="Activity", name="title"),
        Column(word="Officer", name="person:officer"),
        Column(word="Not recorded from", name="from"), Column(word="Not recorded until", name="to"),
        Column(word="Place", name="place"), Column(word="Reason", name="reason"), Column(word="Basis and course", name="basis"),
        Column(word="What was done instead", name="remedy"), Column(word="Reported", name="opened_at"),
        Column(word="Reported by", name=f"person:{PROPOSER}"), Column(word="Reviewed by", name=f"person:{APPROVER}"),
        Column(word="State", name="state"), Column(word="Closed", name="closed_at"),
    ),
)  # fmt: skip
