"""Delegation (授权代理): a leader who is away lets somebody decide for them: certain acts, a department, from when until when.

The leader themselves proposes it; whoever manages roles approves it, because it gives rights; neither the leader nor the stand-in
does. It counts while it is valid and not a moment longer (:mod:`matters.delegations`, read by the gate at every act), gives never
more than the leader holds themselves at that moment, and every entry says for whom it was done.

Source: RULES R17; docs/use-of-footage.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cases.access_parts import PERIOD_MAX
from evidence.clock import from_text
from evidence.ids import AgentId
from evidence.model import Action
from matters import delegations
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
from matters.values import OUT_OF_RANGE, FormError

#: Act of the service.
EXPIRE: Final = "expire"
#: Acts that can be delegated, as a leader names them; each is one of ``people.standing_in.DELEGABLE`` (a test compares).
ACTS: Final = (
    Choice(code=Action.RECORDING_LIST.value, word="List recordings"),
    Choice(code=Action.RECORDING_SHOW.value, word="Open pages of recordings, without their footage"),
    Choice(code=Action.ACCESS_APPROVE.value, word="Consent to use of footage"),
    Choice(code=Action.REGISTER_SEE.value, word="See registers and requests"),
    Choice(code=Action.FLAG_LIFT.value, word="Lift flags"),
    Choice(code=Action.HOLD_SEE.value, word="See holds"),
    Choice(code=Action.HOLD_PLACE.value, word="Place holds"),
    Choice(code=Action.HOLD_RELEASE.value, word="Release holds"),
    Choice(code=Action.DISPOSAL_SEE.value, word="See clearing batches"),
    Choice(code=Action.DISPOSAL_APPROVE.value, word="Approve clearing"),
    Choice(code=Action.DISPOSAL_STOP.value, word="Stop clearing"),
    Choice(code=Action.SCHEDULE_APPROVE.value, word="Approve schedules"),
    Choice(code=Action.CASE_SEE.value, word="See cases"),
    Choice(code=Action.CASE_CLOSE.value, word="Close cases"),
    Choice(code=Action.CASE_EXPORT.value, word="Export cases"),
    Choice(code=Action.EXCEPTION_REVIEW.value, word="Review exception records"),
    Choice(code=Action.PROCEDURE_SEE.value, word="See procedures"),
    Choice(code=Action.PROCEDURE_DECIDE.value, word="Decide procedures"),
    Choice(code=Action.DISC_LEND.value, word="Lend discs and dossiers"),
)


def _sound(turn: Turn) -> None:
    """In the leader's own name, for a time that is not over yet, and to somebody else."""
    agent = turn.agent
    if agent is None:
        turn.refuse("only a person lets somebody stand in for them")
    turn.asked.facts[delegations.PRINCIPAL] = agent
    turn.asked.persons.append(("principal", agent))
    if turn.value(delegations.DELEGATE) == agent:
        raise FormError({delegations.DELEGATE: OUT_OF_RANGE})
    begins, ends = from_text(turn.value(delegations.BEGINS)), from_text(turn.value(delegations.ENDS))
    if not max(begins, turn.now.wall) < ends <= max(begins, turn.now.wall) + PERIOD_MAX:
        raise FormError({delegations.ENDS: OUT_OF_RANGE})


def _still_wanted(turn: Turn) -> None:
    """What is approved is not over, and both are still here."""
    if from_text(turn.value(delegations.ENDS)) <= turn.now.wall:
        turn.refuse("the time of this delegation is over")
    for name in (delegations.PRINCIPAL, delegations.DELEGATE):
        if not turn.uow.people.agent(AgentId(turn.value(name))).active:
            turn.refuse("one of the two is not active any more")


def _deadline(turn: Turn) -> datetime:
    return from_text(turn.value(delegations.ENDS))


_WHY: Final = Field(name="ended_because", word="Why it is ended", kind=FieldKind.WORDS, required=True, personal=True)

DELEGATION: Final = Form(
    kind=delegations.KIND, word="Delegation", words="Delegations", number=plain_number("SQ"), see=Action.PEOPLE_LIST,
    title="reason", group="Use of footage",
    states=(
        State(code="proposed", word="Proposed", tone=Tone.WARN),
        State(code=delegations.VALID, word="Valid", tone=Tone.GOOD),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
        State(code="revoked", word="Revoked", tone=Tone.BAD, final=True),
        State(code="ended", word="Ended", final=True),
    ),
    persons={
        PROPOSER: "Proposed by", "principal": "Absent leader", "delegate": "Stands in", APPROVER: "Approved by",
    },
    documents={"authority": "Document it rests on"},
    signed_by={"principal": "Absent leader", "delegate": "Stands in", APPROVER: "Approved by"},
    opening=Act(
        name="propose", word="Let somebody stand in", after="proposed", action=Action.ACCESS_APPROVE, role=PROPOSER,
        fields=(
            Field(
                name=delegations.DELEGATE, word="Stands in", kind=FieldKind.AGENT, required=True, part="delegate"
            ),
            Field(name=delegations.ACTS, word="For which acts", kind=FieldKind.CHOICES, required=True, choices=ACTS),
            Field(
                name=delegations.UNIT, word="For which unit", kind=FieldKind.UNIT,
                hint="Empty: for every unit the absent leader answers for.",
            ),
            Field(name=delegations.BEGINS, word="From", kind=FieldKind.MOMENT, required=True),
            Field(name=delegations.ENDS, word="Until", kind=FieldKind.MOMENT, required=True),
            Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),
        ),
        guards=(_sound,),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=("proposed",), after=delegations.VALID, action=Action.PEOPLE_MANAGE,
            role=APPROVER, never=(PROPOSER, "principal", "delegate"), frozen=True, guards=(_still_wanted,),
        ),
        Act(
            name="refuse", word="Refuse", before=("proposed",), after="refused", action=Action.PEOPLE_MANAGE,
            never=(PROPOSER, "principal", "delegate"), fields=(_WHY,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("proposed",), after="withdrawn", action=Action.ACCESS_APPROVE,
            only=("principal",),
        ),
        Act(
            name="end", word="End it now", before=(delegations.VALID,), after="revoked", action=Action.ACCESS_APPROVE,
            only=("principal",), fields=(_WHY,),
        ),
        Act(
            name="revoke", word="Revoke", before=(delegations.VALID,), after="revoked", action=Action.PEOPLE_MANAGE,
            fields=(_WHY,),
        ),
        Act(
            name=EXPIRE, word="End", before=("proposed", delegations.VALID), after="ended", action=Action.PEOPLE_MANAGE,
            hidden=True,
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Absent leader", name="person:principal"),
        Column(word="Stands in", name="person:delegate"), Column(word="For which acts", name=delegations.ACTS),
        Column(word="For which unit", name=delegations.UNIT), Column(word="From", name=delegations.BEGINS),
        Column(word="Until", name=delegations.ENDS), Column(word="Approved by", name=f"person:{APPROVER}"),
        Column(word="State", name="state"), Column(word="Closed", name="closed_at"),
    ),
    deadline=_deadline,
)  # fmt: skip
