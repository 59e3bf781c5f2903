"""Supervised viewing by a party (R18): prepared, consented to, and shown while an officer is present.

Only the named supervisor can start it, after somebody's identity has been checked; starting opens a grant to watch for the
supervisor alone, for the hours that were consented to, and finishing ends it. The party never has an account. What was shown,
what the party said and the signed record (or why there is no signature, before a second officer) close it.

Source: RULES R18 (S2-main 3(3)5; art. 10), R17; docs/use-of-footage.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cases.access_grant import EXPIRE, end_grants, open_grant
from cases.access_parts import (
    FOOTAGE,
    footage_is_known,
    footage_is_listed,
    footage_links,
    period_is_sound,
    recordings_of,
    require_competent,
)
from evidence.clock import from_text
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
    State,
    Tone,
    plain_number,
)
from matters.turn import Turn
from matters.values import OUT_OF_RANGE, FormError

KIND: Final = "supervised-viewing"
RUNNING: Final = "running"
LAPSE: Final = "lapse"
SUPERVISOR: Final = "supervisor"
_HOURS_MAX: Final = 12
_STANDING: Final = (
    Choice(code="party", word="Party"),
    Choice(code="agent", word="Agent or lawyer of the party"),
    Choice(code="concerned", word="Somebody else concerned"),
)


def _competent(turn: Turn) -> None:
    if turn.agent is None:
        turn.refuse("only a person consents")
    if from_text(turn.value(use_grants.ENDS)) <= turn.now.wall:
        turn.refuse("the time for this viewing is over", todo="Prepare it anew.")
    for concerned in {*turn.holders(PROPOSER), *turn.holders(SUPERVISOR)}:
        require_competent(turn, turn.agent, concerned, recordings_of(turn.links(FOOTAGE)))


def _can_start(turn: Turn) -> None:
    if from_text(turn.value(use_grants.ENDS)) <= turn.now.wall:
        turn.refuse("the time for this viewing is over", todo="Prepare it anew.")


def _start(turn: Turn) -> None:
    [supervisor] = turn.holders(SUPERVISOR)
    approvers = turn.holders(APPROVER)
    ends = min(turn.now.wall + timedelta(hours=turn.value("hours")), from_text(turn.value(use_grants.ENDS)))
    open_grant(
        turn, holder=supervisor, approver=approvers[0] if approvers else None, rights=("view",), begins=turn.now.wall,
        ends=ends, footage=recordings_of(turn.links(FOOTAGE)),
    )  # fmt: skip


def _finish(turn: Turn) -> None:
    end_grants(turn, EXPIRE)


def _another_officer(turn: Turn) -> None:
    if turn.value("second_officer") in turn.holders(SUPERVISOR):
        raise FormError({"second_officer": OUT_OF_RANGE})


def _deadline(turn: Turn) -> datetime | None:
    return None if turn.value("shown") else from_text(turn.value(use_grants.ENDS))


SUPERVISED: Final = Form(
    kind=KIND, word="Supervised viewing", words="Supervised viewings", number=plain_number("JDCK"), see=Action.REGISTER_SEE,
    title="subject", group="Use of footage",
    states=(
        State(code="prepared", word="Prepared", tone=Tone.WARN),
        State(code="approved", word="Approved", tone=Tone.WARN),
        State(code=RUNNING, word="Being shown", tone=Tone.WARN),
        State(code="shown", word="Shown, record open", tone=Tone.WARN),
        State(code="filed", word="Filed", tone=Tone.GOOD, final=True),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
        State(code="lapsed", word="Not held", final=True),
    ),
    persons={
        PROPOSER: "Prepared by", SUPERVISOR: "Supervising officer", APPROVER: "Leader in charge", "refuser": "Refused by",
        "second": "Second officer",
    },
    documents={"signature": "Record signed by the party", "authority": "Document it rests on"},
    signed_by={SUPERVISOR: "Supervising officer", "second": "Second officer", "party": "Party"},
    opening=Act(
        name="prepare", word="Prepare a supervised viewing", after="prepared", action=Action.ACCESS_ASK, role=PROPOSER,
        fields=(
            Field(name="subject", word="Subject", required=True, personal=True),
            Field(name="party", word="Party", required=True, personal=True),
            Field(name="standing", word="Who they are", kind=FieldKind.CHOICE, required=True, choices=_STANDING),
            Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),
            Field(name=SUPERVISOR, word="Supervising officer", kind=FieldKind.AGENT, required=True, part=SUPERVISOR),
            Field(name="place", word="Place", required=True, personal=True),
            Field(name="planned", word="Planned for", kind=FieldKind.MOMENT),
            Field(name="hours", word="Longest time in hours", kind=FieldKind.NUMBER, required=True, least=1, most=_HOURS_MAX),
            Field(name=use_grants.ENDS, word="To be held until", kind=FieldKind.MOMENT, required=True),
        ),
        links=footage_links(), guards=(period_is_sound, footage_is_listed),
    ),
    acts=(
        Act(
            name="approve", word="Approve", before=("prepared",), after="approved", action=Action.ACCESS_APPROVE,
            role=APPROVER, never=(PROPOSER, SUPERVISOR), frozen=True, guards=(footage_is_known, _competent),
            fields=(Field(name="opinion", word="Opinion of the leader", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse", word="Refuse", before=("prepared",), after="refused", action=Action.ACCESS_APPROVE, role="refuser",
            never=(PROPOSER, SUPERVISOR),
            fields=(Field(name="refusal", word="Why it is refused", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("prepared", "approved"), after="withdrawn", action=Action.ACCESS_ASK,
            only=(PROPOSER,),
        ),
        Act(
            name="start", word="Start the viewing", before=("approved",), after=RUNNING, action=Action.ACCESS_ASK,
            only=(SUPERVISOR,), guards=(_can_start,), effects=(_start,),
            fields=(
                Field(name="identity_by", word="Identity checked by", kind=FieldKind.AGENT, required=True),
                Field(
                    name="identity", word="Identity checked with", required=True, personal=True,
                    hint="Which paper, and its last four characters.",
                ),
            ),
        ),
        Act(
            name="finish", word="End the viewing", before=(RUNNING,), after="shown", action=Action.ACCESS_ASK,
            only=(SUPERVISOR,), effects=(_finish,),
            fields=(
                Field(name="shown", word="What was shown", kind=FieldKind.WORDS, required=True, personal=True),
                Field(name="remarks", word="What the party said", kind=FieldKind.WORDS, personal=True),
            ),
        ),
        Act(
            name="file", word="File the signed record", before=("shown",), after="filed", action=Action.ACCESS_ASK,
            only=(SUPERVISOR, PROPOSER), documents=("signature",),
        ),
        Act(
            name="file-unsigned", word="File without a signature", before=("shown",), after="filed", action=Action.ACCESS_ASK,
            only=(SUPERVISOR,), guards=(_another_officer,),
            fields=(
                Field(name="unsigned", word="Why it is not signed", kind=FieldKind.WORDS, required=True, personal=True),
                Field(name="second_officer", word="Second officer", kind=FieldKind.AGENT, required=True, part="second"),
            ),
        ),
        Act(
            name=LAPSE, word="Not held", before=("prepared", "approved"), after="lapsed", action=Action.ACCESS_ASK,
            hidden=True,
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Date", name="opened_at"), Column(word="Unit", name="unit"),
        Column(word="Party", name="party"), Column(word="Who they are", name="standing"),
        Column(word="Identity checked with", name="identity"), Column(word="Footage", name=f"links:{FOOTAGE}"),
        Column(word="Place", name="place"), Column(word="Supervising officer", name=f"person:{SUPERVISOR}"),
        Column(word="Leader in charge", name=f"person:{APPROVER}"), Column(word="What was shown", name="shown"),
        Column(word="What the party said", name="remarks"), Column(word="Record signed by the party", name="documents:signature"),
        Column(word="Why it is not signed", name="unsigned"), Column(word="State", name="state"),
    ),
    deadline=_deadline,
)  # fmt: skip
