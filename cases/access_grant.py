"""The grant for use: what an approval opens. It ends by its time, by revocation or when it is given back.

One that was used as often as it may be allows no further use, but lets the last viewing run on until it ends.

No person opens one by itself; the gate reads it (:mod:`matters.use_grants`), so what stands here is enforced at every byte.

Source: RULES R17.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from cases.access_parts import FOOTAGE, rights_field
from catalogue.matters import MatterRow
from evidence.clock import from_text, to_text
from evidence.ids import AgentId, RecordingId
from evidence.model import Action
from matters import use_grants
from matters.form import (
    APPROVER,
    Act,
    Column,
    Field,
    FieldKind,
    Form,
    LinkRole,
    State,
    Tone,
    plain_number,
)
from matters.turn import Asked, NewLink, Turn

#: Act of the service.
EXPIRE: Final = "expire"
REVOKE: Final = "revoke"
#: The matter that a grant rests on.
RESTS_ON: Final = "rests-on"


def open_grant(
    turn: Turn, *, holder: AgentId, approver: AgentId | None, rights: Collection[str], begins: datetime,
    ends: datetime, uses_most: int = 0, footage: Collection[RecordingId],
) -> MatterRow:  # fmt: skip
    """Open a grant in the transaction of the act that consents to it.

    Args:
        turn: The consenting act.
        holder: Who may use.
        approver: Who consented.
        rights: Codes of :data:`use_grants.ACTIONS`.
        begins: From when.
        ends: Until when.
        uses_most: So many uses at most; 0 without bound.
        footage: What may be used.
    """
    facts: dict[str, Any] = {
        use_grants.HOLDER: holder, use_grants.RIGHTS: sorted(rights, key=list(use_grants.ACTIONS).index),
        use_grants.BEGINS: to_text(begins), use_grants.ENDS: to_text(ends), "source": turn.matter,
    }  # fmt: skip
    if uses_most:
        facts[use_grants.USES_MOST] = uses_most
    links = [NewLink(role=FOOTAGE, target=one) for one in sorted(footage)]
    persons = [("holder", holder), *([(APPROVER, approver)] if approver is not None else [])]
    subject = turn.row.words.get("subject")
    asked = Asked(facts=facts, words={"subject": subject} if subject else {}, persons=persons)
    return turn.also_open(
        use_grants.KIND, asked=asked, unit=turn.row.unit, links=[NewLink(role=RESTS_ON, target=turn.matter), *links]
    )  # fmt: skip


def end_grants(turn: Turn, act: str) -> None:
    """End the grants that rest on a matter and still stand, in its transaction."""
    for row in turn.uow.matters.linked_to(turn.matter, kinds=(use_grants.KIND,), open_only=True):
        turn.also_act(row.id, act)


def _deadline(turn: Turn) -> datetime:
    return from_text(turn.value(use_grants.ENDS))


_WHY: Final = Field(
    name="revoked_because", word="Why it is revoked", kind=FieldKind.WORDS, required=True, personal=True
)

GRANT: Final = Form(
    kind=use_grants.KIND, word="Grant for use", words="Grants for use", number=plain_number("DYZ"),
    see=Action.REGISTER_SEE, title="subject", group="Use of footage",
    states=(
        State(code=use_grants.VALID, word="Valid", tone=Tone.GOOD),
        State(code="ended", word="Ended", tone=Tone.UNKNOWN, final=True),
        State(code="returned", word="Given back", tone=Tone.UNKNOWN, final=True),
        State(code="revoked", word="Revoked", tone=Tone.BAD, final=True),
    ),
    persons={"holder": "May use it", APPROVER: "Consented"},
    opening=Act(
        name="open", word="Grant", after=use_grants.VALID, action=Action.ACCESS_APPROVE, hidden=True,
        fields=(
            Field(name="subject", word="Subject", personal=True),
            Field(name=use_grants.HOLDER, word="May use it", kind=FieldKind.AGENT, required=True),
            rights_field(),
            Field(name=use_grants.BEGINS, word="Use from", kind=FieldKind.MOMENT, required=True),
            Field(name=use_grants.ENDS, word="Use until", kind=FieldKind.MOMENT, required=True),
            Field(name=use_grants.USES_MOST, word="Uses at most", kind=FieldKind.NUMBER),
            Field(name="source", word="Rests on", kind=FieldKind.MATTER, required=True),
        ),
        links=(
            LinkRole(role=FOOTAGE, word="Footage", least=1),
            LinkRole(role=RESTS_ON, word="Rests on", targets=("mat",), least=1, most=1),
        ),
    ),
    acts=(
        Act(
            name=REVOKE, word="Revoke", before=(use_grants.VALID,), after="revoked", action=Action.ACCESS_APPROVE,
            fields=(_WHY,),
        ),
        Act(
            name="give-back", word="Give back", before=(use_grants.VALID,), after="returned", action=Action.ACCESS_ASK,
            only=("holder",),
        ),
        Act(
            name=EXPIRE, word="End", before=(use_grants.VALID,), after="ended", action=Action.ACCESS_APPROVE, hidden=True
        ),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="Rests on", name="source"),
        Column(word="May use it", name="person:holder"), Column(word="Consented", name=f"person:{APPROVER}"),
        Column(word="Kind of use", name=use_grants.RIGHTS), Column(word="Use from", name=use_grants.BEGINS),
        Column(word="Use until", name=use_grants.ENDS), Column(word="Uses at most", name=use_grants.USES_MOST),
        Column(word="Footage", name=f"links:{FOOTAGE}"), Column(word="State", name="state"),
        Column(word="Closed", name="closed_at"),
    ),
    deadline=_deadline,
)  # fmt: skip
