"""Entry afterwards from a paper approval (补录): consent given on paper, entered with its scan, confirmed by a second person.

It stands in the register marked as what it is. One person enters it, another compares it with the scan; neither is the applicant
nor the leader who signed. Where the period on the paper is still running, confirming opens the grant; then the leader must be one
who could consent here too. A paper whose period is over is only registered: it makes nothing lawful afterwards and opens nothing.

Source: RULES R17; docs/use-of-footage.md.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from cases.access_grant import open_grant
from cases.access_parts import (
    FOOTAGE,
    PERIOD_MAX,
    footage_is_known,
    footage_is_listed,
    footage_links,
    purpose_field,
    recordings_of,
    require_competent,
    rights_field,
)
from evidence.calendar import local_date
from evidence.clock import from_text
from evidence.model import Action
from matters import use_grants
from matters.form import APPROVER, PROPOSER, Act, Column, Field, FieldKind, Form, State, Tone, plain_number
from matters.turn import Turn
from matters.values import OUT_OF_RANGE, FormError

KIND: Final = "access-paper"
ENTERED: Final = "entered"
REQUESTER: Final = "requester"
SIGNATORY: Final = "signatory"


def _plausible(turn: Turn) -> None:
    """Three different persons, a paper of the past, a period that is one."""
    persons = [turn.value(REQUESTER), turn.value(SIGNATORY), turn.agent]
    for name in (REQUESTER, SIGNATORY):
        if persons.count(turn.value(name)) > 1:
            raise FormError({name: OUT_OF_RANGE})
    if date.fromisoformat(turn.value("paper_date")) > local_date(turn.now.wall):
        raise FormError({"paper_date": OUT_OF_RANGE})
    begins, ends = from_text(turn.value(use_grants.BEGINS)), from_text(turn.value(use_grants.ENDS))
    if not begins < ends <= begins + PERIOD_MAX:
        raise FormError({use_grants.ENDS: OUT_OF_RANGE})


def _running(turn: Turn) -> bool:
    return from_text(turn.value(use_grants.ENDS)) > use_grants.latest(turn.uow, turn.now.wall)


def _competent(turn: Turn) -> None:
    if _running(turn):
        [requester], [signatory] = turn.holders(REQUESTER), turn.holders(SIGNATORY)
        require_competent(turn, signatory, requester, recordings_of(turn.links(FOOTAGE)))


def _grant(turn: Turn) -> None:
    if not _running(turn):
        return
    [requester], [signatory] = turn.holders(REQUESTER), turn.holders(SIGNATORY)
    open_grant(
        turn, holder=requester, approver=signatory, rights=turn.value(use_grants.RIGHTS),
        begins=max(turn.now.wall, from_text(turn.value(use_grants.BEGINS))), ends=from_text(turn.value(use_grants.ENDS)),
        uses_most=turn.value(use_grants.USES_MOST) or 0, footage=recordings_of(turn.links(FOOTAGE)),
    )  # fmt: skip


PAPER: Final = Form(
    kind=KIND, word="Paper approval entered afterwards", words="Paper approvals entered afterwards",
    number=plain_number("BL"), see=Action.REGISTER_SEE, title="subject", group="Use of footage",
    states=(
        State(code=ENTERED, word="Entered, not confirmed", tone=Tone.WARN),
        State(code="confirmed", word="Entered afterwards, confirmed", tone=Tone.GOOD, final=True),
        State(code="rejected", word="Not as on the paper", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={
        PROPOSER: "Entered by", REQUESTER: "Applicant", SIGNATORY: "Signed on paper", APPROVER: "Compared by",
        "refuser": "Refused by",
    },
    documents={"scan": "Scan of the paper"},
    opening=Act(
        name="enter", word="Enter a paper approval", after=ENTERED, action=Action.REGISTER_ENTER, role=PROPOSER,
        fields=(
            Field(name="subject", word="Subject", required=True, personal=True),
            Field(name="paper_number", word="Number of the paper", required=True, personal=True),
            Field(name="paper_date", word="Date of the paper", kind=FieldKind.DATE, required=True),
            Field(name=REQUESTER, word="Applicant", kind=FieldKind.AGENT, required=True, part=REQUESTER),
            Field(name=SIGNATORY, word="Signed on paper", kind=FieldKind.AGENT, required=True, part=SIGNATORY),
            purpose_field(),
            Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),
            rights_field(),
            Field(name="extent", word="Which part of it", kind=FieldKind.WORDS, personal=True),
            Field(name=use_grants.BEGINS, word="Use from", kind=FieldKind.MOMENT, required=True),
            Field(name=use_grants.ENDS, word="Use until", kind=FieldKind.MOMENT, required=True),
            Field(name=use_grants.USES_MOST, word="Uses at most", kind=FieldKind.NUMBER, most=10_000),
            Field(name="copies", word="Number of copies", kind=FieldKind.NUMBER, most=1_000),
            Field(name="medium", word="Medium and its number", personal=True),
            Field(name="used", word="What was done with it already", kind=FieldKind.WORDS, personal=True),
        ),
        links=footage_links(), guards=(_plausible, footage_is_listed),
    ),
    acts=(
        Act(
            name="confirm", word="Confirm", before=(ENTERED,), after="confirmed", action=Action.REGISTER_SEE, role=APPROVER,
            never=(PROPOSER, REQUESTER, SIGNATORY), frozen=True, documents=("scan",),
            guards=(footage_is_known, _competent), effects=(_grant,),
        ),
        Act(
            name="reject", word="Reject", before=(ENTERED,), after="rejected", action=Action.REGISTER_SEE, role="refuser",
            never=(PROPOSER, REQUESTER),
            fields=(Field(name="refusal", word="What differs", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=(ENTERED,), after="withdrawn", action=Action.REGISTER_ENTER,
            only=(PROPOSER,),
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Number of the paper", name="paper_number"),
        Column(word="Date of the paper", name="paper_date"), Column(word="Applicant", name=f"person:{REQUESTER}"),
        Column(word="Signed on paper", name=f"person:{SIGNATORY}"), Column(word="Purpose", name="purpose"),
        Column(word="Footage", name=f"links:{FOOTAGE}"), Column(word="Kind of use", name=use_grants.RIGHTS),
        Column(word="Use until", name=use_grants.ENDS), Column(word="Entered by", name=f"person:{PROPOSER}"),
        Column(word="Compared by", name=f"person:{APPROVER}"), Column(word="Scan of the paper", name="documents:scan"),
        Column(word="State", name="state"),
    ),
)  # fmt: skip
