"""Kinds of matters for tests of the interfaces: one with every kind of field, links, documents, two persons and few eyes."""

from __future__ import annotations

from datetime import datetime, timedelta

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

#: What only the keeper of a secret may read.
SECRET = "不可外泄之事"


def _not_friday(turn: Turn) -> None:
    if turn.value("day") == "friday":
        turn.refuse("Not on {day}.", todo="Ask on another day.", day="Friday")


def _due(turn: Turn) -> datetime | None:
    return turn.now.wall + timedelta(hours=24) if turn.act.after == "asked" or turn.act.name == "add" else None


DEMO = Form(
    kind="demo", word="Demo request", words="Demo requests", number=plain_number("YS"), see=Action.REGISTER_SEE,
    group="Demonstration", deadline=_due,
    states=(
        State(code="asked", word="Asked"), State(code="agreed", word="Agreed", tone=Tone.GOOD, final=True),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
    ),
    persons={PROPOSER: "Asks", APPROVER: "Agrees", "keeper": "Keeps the secret"},
    documents={"letter": "Letter", "signed-scan": "Signed scan"},
    opening=Act(
        name="ask", word="Ask", after="asked", action=Action.ACCESS_ASK, role=PROPOSER, guards=(_not_friday,),
        fields=(
            Field(name="title", word="Title", required=True, personal=True, hint="One line."),
            Field(name="story", word="Story", kind=FieldKind.WORDS, personal=True),
            Field(name="count", word="Copies", kind=FieldKind.NUMBER, least=1, most=9),
            Field(name="urgent", word="Urgent", kind=FieldKind.FLAG),
            Field(name="day", word="Day", kind=FieldKind.CHOICE, choices=(
                Choice(code="monday", word="Monday"), Choice(code="friday", word="Friday"),
            )),
            Field(name="rights", word="Rights", kind=FieldKind.CHOICES, choices=(
                Choice(code="view", word="View"), Choice(code="copy", word="Copy"),
            )),
            Field(name="on", word="On", kind=FieldKind.DATE),
            Field(name="until", word="Until", kind=FieldKind.MOMENT),
            Field(name="keeper", word="Keeper", kind=FieldKind.AGENT, part="keeper"),
            Field(name="office", word="Office", kind=FieldKind.UNIT),
            Field(name="recorder", word="Recorder", kind=FieldKind.DEVICE),
            Field(name="first", word="First recording", kind=FieldKind.RECORDING),
            Field(name="other", word="Earlier request", kind=FieldKind.MATTER),
            Field(name="digest", word="Digest", kind=FieldKind.DIGEST),
            Field(name="list", word="List", kind=FieldKind.TABLE, columns=(
                Choice(code="what", word="What"), Choice(code="why", word="Why"),
            )),
            Field(name="secret", word="Secret", personal=True, seen_by=("keeper",)),
        ),
        links=(LinkRole(role="footage", word="Footage"),),
    ),
    acts=(
        Act(
            name="agree", word="Agree", before=("asked",), after="agreed", action=Action.ACCESS_APPROVE, role=APPROVER,
            never=(PROPOSER,), frozen=True, documents=("letter",),
        ),
        Act(
            name="refuse", word="Refuse", before=("asked",), after="refused", action=Action.ACCESS_APPROVE, role=APPROVER,
            never=(PROPOSER,), fields=(Field(name="reason", word="Reason", personal=True, required=True),),
        ),
        Act(
            name="add", word="Add recordings", before=("asked",), action=Action.ACCESS_ASK, only=(PROPOSER,),
            fields=(Field(name="title", word="Title", required=True, personal=True),),
            links=(LinkRole(role="footage", word="Footage"),),
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"), Column(word="State", name="state"),
        Column(word="Copies", name="count"), Column(word="On", name="on"), Column(word="Until", name="until"),
        Column(word="Asks", name="person:proposer"), Column(word="Footage", name="links:footage"),
        Column(word="Letter", name="documents:letter"), Column(word="Secret", name="secret"),
        Column(word="Unit", name="unit"), Column(word="Opened", name="opened_at"), Column(word="Deadline", name="due_at"),
    ),
)  # fmt: skip
