"""Request for use (调用申请): asked by whoever needs archived footage, checked by another, consented to by the leader in charge.

The approver signs a frozen view: exactly these recordings, this kind of use, this period. They may narrow kind and period.
Consent opens the grant in the same transaction. Nobody consents to their own request, and a leader's own request is decided at a
higher level (:func:`cases.access_parts.require_competent`).

Source: RULES R17 (art. 13); docs/use-of-footage.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cases.access_grant import open_grant
from cases.access_parts import (
    CASE,
    FOOTAGE,
    footage_is_known,
    footage_is_listed,
    footage_links,
    period_fields,
    period_is_sound,
    purpose_field,
    recordings_of,
    require_competent,
    rights_field,
)
from catalogue.matters import MatterRow
from evidence.clock import from_text
from evidence.model import Action
from matters import use_grants
from matters.form import (
    APPROVER,
    PROPOSER,
    Act,
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

KIND: Final = "access-request"
#: States that wait for a decision.
ASKED, CHECKED = "asked", "checked"
APPROVED: Final = "approved"
#: Act of the service: nobody decided before the period asked for was over.
LAPSE: Final = "lapse"
GRANTED_RIGHTS: Final = "granted_rights"
GRANTED_ENDS: Final = "granted_ends"
_WAITING: Final = (ASKED, CHECKED)


def terms_of(row: MatterRow) -> Mapping[str, Any]:
    """What was granted: what the approver narrowed, else what was asked for."""
    facts = row.facts
    return {
        use_grants.RIGHTS: facts.get(GRANTED_RIGHTS) or facts[use_grants.RIGHTS],
        use_grants.ENDS: facts.get(GRANTED_ENDS) or facts[use_grants.ENDS],
    }


def _narrower(turn: Turn) -> None:
    """An approver may grant less than was asked for, never more."""
    rights, ends = turn.value(GRANTED_RIGHTS), turn.value(GRANTED_ENDS)
    if rights and not set(rights) <= set(turn.value(use_grants.RIGHTS)):
        raise FormError({GRANTED_RIGHTS: OUT_OF_RANGE})
    asked_ends = from_text(turn.value(use_grants.ENDS))
    if ends and not turn.now.wall < from_text(ends) <= asked_ends:
        raise FormError({GRANTED_ENDS: OUT_OF_RANGE})
    if asked_ends <= turn.now.wall:
        turn.refuse("the period asked for is over", todo="Ask for use anew.")


def _competent(turn: Turn) -> None:
    [requester] = turn.holders(PROPOSER)
    if turn.agent is None:
        turn.refuse("only a person consents")
    require_competent(turn, turn.agent, requester, recordings_of(turn.links(FOOTAGE)))


def _grant(turn: Turn) -> None:
    [requester] = turn.holders(PROPOSER)
    terms = terms_of(turn.row)
    begins = turn.value(use_grants.BEGINS)
    open_grant(
        turn, holder=requester, approver=turn.agent, rights=terms[use_grants.RIGHTS],
        begins=max(turn.now.wall, from_text(begins)) if begins else turn.now.wall, ends=from_text(terms[use_grants.ENDS]),
        uses_most=turn.value(use_grants.USES_MOST) or 0, footage=recordings_of(turn.links(FOOTAGE)),
    )  # fmt: skip


def _deadline(turn: Turn) -> datetime:
    return from_text(turn.value(use_grants.ENDS))


REQUEST: Final = Form(
    kind=KIND, word="Request for use", words="Requests for use", number=plain_number("DY"), see=Action.REGISTER_SEE,
    title="subject", group="Use of footage",
    states=(
        State(code=ASKED, word="Asked for", tone=Tone.WARN),
        State(code=CHECKED, word="Checked", tone=Tone.WARN),
        State(code=APPROVED, word="Approved", tone=Tone.GOOD, final=True),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
        State(code="lapsed", word="Lapsed undecided", final=True),
    ),
    persons={PROPOSER: "Applicant", "handler": "Checked by", APPROVER: "Leader in charge", "refuser": "Refused by"},
    documents={"authority": "Document it rests on", "signed": "Signed request"},
    signed_by={PROPOSER: "Applicant", "handler": "Checked by", APPROVER: "Leader in charge"},
    opening=Act(
        name="ask", word="Ask for use", after=ASKED, action=Action.ACCESS_ASK, role=PROPOSER,
        fields=(
            Field(name="subject", word="Subject", required=True, personal=True),
            purpose_field(),
            Field(name="reason", word="Reason", kind=FieldKind.WORDS, required=True, personal=True),
            Field(name="authority", word="Number of the document it rests on", personal=True),
            rights_field(),
            Field(
                name="extent", word="Which part of it", kind=FieldKind.WORDS, personal=True,
                hint="For example from which to which time.",
            ),
            *period_fields(),
            Field(
                name=use_grants.USES_MOST, word="Uses at most", kind=FieldKind.NUMBER, most=10_000,
                hint="Empty: without bound. Each opening of a recording and each copy is a use.",
            ),
            Field(name="copies", word="Number of copies", kind=FieldKind.NUMBER, most=1_000),
            Field(name="medium", word="Medium and its number", personal=True),
        ),
        links=footage_links(), guards=(period_is_sound, footage_is_listed),
    ),
    acts=(
        Act(
            name="change-list", word="Change the list", before=_WAITING, after=ASKED, action=Action.ACCESS_ASK,
            only=(PROPOSER,), links=footage_links(), guards=(footage_is_listed,),
        ),
        Act(
            name="check", word="Check", before=_WAITING, after=CHECKED, action=Action.REGISTER_SEE, role="handler",
            never=(PROPOSER,), links=footage_links(), guards=(footage_is_listed,),
            fields=(
                Field(name="check_opinion", word="Opinion of the check", kind=FieldKind.WORDS, required=True, personal=True),
            ),
        ),
        Act(
            name="approve", word="Approve", before=_WAITING, after=APPROVED, action=Action.ACCESS_APPROVE, role=APPROVER,
            never=(PROPOSER,), frozen=True,
            fields=(
                Field(name="opinion", word="Opinion of the leader", kind=FieldKind.WORDS, personal=True),
                rights_field(GRANTED_RIGHTS, word="Granted kind of use", required=False),
                Field(
                    name=GRANTED_ENDS, word="Granted until", kind=FieldKind.MOMENT, hint="Empty: as long as asked for."
                ),
            ),
            guards=(footage_is_known, _narrower, _competent), effects=(_grant,),
        ),
        Act(
            name="refuse", word="Refuse", before=_WAITING, after="refused", action=Action.ACCESS_APPROVE, role="refuser",
            never=(PROPOSER,),
            fields=(Field(name="refusal", word="Why it is refused", kind=FieldKind.WORDS, required=True, personal=True),),
        ),
        Act(
            name="withdraw", word="Withdraw", before=_WAITING, after="withdrawn", action=Action.ACCESS_ASK, only=(PROPOSER,)
        ),
        Act(name=LAPSE, word="Lapse", before=_WAITING, after="lapsed", action=Action.ACCESS_APPROVE, hidden=True),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Applicant", name=f"person:{PROPOSER}"),
        Column(word="Unit", name="unit"), Column(word="Date", name="opened_at"), Column(word="Purpose", name="purpose"),
        Column(word="Subject", name="subject"), Column(word="Document it rests on", name="authority"),
        Column(word="Footage", name=f"links:{FOOTAGE}"), Column(word="Case", name=f"links:{CASE}"),
        Column(word="Kind of use", name=use_grants.RIGHTS), Column(word="Use until", name=use_grants.ENDS),
        Column(word="Checked by", name="person:handler"), Column(word="Leader in charge", name=f"person:{APPROVER}"),
        Column(word="Opinion of the leader", name="opinion"), Column(word="Why it is refused", name="refusal"),
        Column(word="Medium and its number", name="medium"), Column(word="Number of copies", name="copies"),
        Column(word="State", name="state"),
    ),
    deadline=_deadline,
)  # fmt: skip
