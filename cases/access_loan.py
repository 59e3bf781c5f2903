"""Borrowing of dossiers (借阅, R19): for what, until when, how many copies; consented to, handed out, returned whole.

Discs have a loan of their own on each disc (``retention/disc_form.py``); a dossier lent together with its discs links them.

Source: RULES R19 (S4 rec. 13); docs/use-of-footage.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cases.access_parts import period_fields, period_is_sound, purpose_field, require_competent
from evidence.clock import from_text, to_text
from evidence.model import Action
from matters import use_grants
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

KIND: Final = "loan"
LENT: Final = "lent"
LAPSE: Final = "lapse"
_CONDITION: Final = (
    Choice(code="whole", word="Whole and undamaged"),
    Choice(code="damaged", word="Damaged"),
    Choice(code="incomplete", word="Parts are missing"),
)


def _competent(turn: Turn) -> None:
    [borrower] = turn.holders(PROPOSER)
    if turn.agent is None:
        turn.refuse("only a person consents")
    require_competent(turn, turn.agent, borrower, ())


def _not_lent(turn: Turn) -> None:
    """One thing is with one borrower."""
    for link in turn.links("item"):
        for other in turn.uow.matters.linked_to(link.target, kinds=(KIND,), open_only=True):
            if other.id != turn.matter and other.state == LENT:
                turn.refuse("it is lent already ({number})", todo="Wait for its return.", number=other.number)


def _handed_out(turn: Turn) -> None:
    turn.asked.facts["handed_out_at"] = to_text(turn.now.wall)


def _returned(turn: Turn) -> None:
    turn.asked.facts["returned_at"] = to_text(turn.now.wall)
    if turn.now.wall > from_text(turn.value(use_grants.ENDS)):
        turn.asked.facts["returned_late"] = True  # late stays late


def _deadline(turn: Turn) -> datetime:
    return from_text(turn.value(use_grants.ENDS))


LOAN: Final = Form(
    kind=KIND, word="Loan of a dossier", words="Loans of dossiers", number=plain_number("JY"), see=Action.REGISTER_SEE,
    title="subject", group="Use of footage",
    states=(
        State(code="asked", word="Asked for", tone=Tone.WARN),
        State(code="approved", word="Approved", tone=Tone.WARN),
        State(code=LENT, word="Lent", tone=Tone.WARN),
        State(code="returned", word="Handed back", tone=Tone.GOOD, final=True),
        State(code="lost", word="Lost", tone=Tone.BAD, final=True),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
        State(code="lapsed", word="Lapsed undecided", final=True),
    ),
    persons={
        PROPOSER: "Borrower", APPROVER: "Leader in charge", "lender": "Handed out by", "taker": "Taken back by",
        "refuser": "Refused by",
    },
    documents={"receipt": "Signed receipt", "authority": "Document it rests on"},
    signed_by={PROPOSER: "Borrower", APPROVER: "Leader in charge", "lender": "Handed out by", "taker": "Taken back by"},
    opening=Act(
        name="ask", word="Ask to borrow", after="asked", action=Action.ACCESS_ASK, role=PROPOSER,
        fields=(
            Field(name="subject", word="Subject", required=True, personal=True),
            purpose_field(),
            Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),
            *period_fields(),
            Field(name="copies", word="Number of copies", kind=FieldKind.NUMBER, most=1_000),
        ),
        links=(
            LinkRole(role="item", word="Dossier", targets=("mat",), kinds=("case", "working-material"), least=1),
            LinkRole(role="disc", word="Discs that go with it", targets=("mat",), kinds=("disc", "disc-set")),
        ),
        guards=(period_is_sound,),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=("asked",), after="approved", action=Action.ACCESS_APPROVE, role=APPROVER,
            never=(PROPOSER,), frozen=True, guards=(_competent,),
            fields=(Field(name="opinion", word="Opinion of the leader", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Refuse", before=("asked",), after="refused", action=Action.ACCESS_APPROVE, role="refuser",
            never=(PROPOSER,),
            fields=(Field(name="refusal", word="Why it is refused", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("asked", "approved"), after="withdrawn", action=Action.ACCESS_ASK,
            only=(PROPOSER,),
        ),
        Act(
            name="hand-out", word="Hand out", before=("approved",), after=LENT, action=Action.DISC_LEND, role="lender",
            never=(PROPOSER,), guards=(_not_lent, _handed_out),
            fields=(Field(name="pages", word="Pages and discs handed out", personal=True),),
        ),
        Act(
            name="return", word="Take back", before=(LENT,), after="returned", action=Action.DISC_LEND, role="taker",
            never=(PROPOSER,), guards=(_returned,),
            fields=(
                Field(name="condition", word="Condition", kind=FieldKind.CHOICE, required=True, choices=_CONDITION),
                Field(name="condition_words", word="What is damaged or missing", kind=FieldKind.WORDS, personal=True),
            ),
        ),
        Act(
            name="lose", word="Enter as lost", before=(LENT,), after="lost", action=Action.DISC_LEND, never=(PROPOSER,),
            fields=(Field(name="lost_words", word="What happened", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name=LAPSE, word="Lapse", before=("asked", "approved"), after="lapsed", action=Action.ACCESS_APPROVE, hidden=True
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Borrower", name=f"person:{PROPOSER}"),
        Column(word="Date", name="opened_at"), Column(word="Purpose", name="purpose"),
        Column(word="Dossier", name="links:item"), Column(word="Discs that go with it", name="links:disc"),
        Column(word="Number of copies", name="copies"), Column(word="Leader in charge", name=f"person:{APPROVER}"),
        Column(word="Handed out by", name="person:lender"), Column(word="Use until", name=use_grants.ENDS),
        Column(word="Taken back by", name="person:taker"), Column(word="Condition", name="condition"),
        Column(word="State", name="state"), Column(word="Closed", name="closed_at"),
    ),
    deadline=_deadline,
)  # fmt: skip
