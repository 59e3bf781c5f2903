"""Technical treatment (技术处理) of footage for publication: a treated copy, looked at and approved by a second person (R21).

The copy is filed with the matter (made with whatever program covers faces, plates, rooms and voices). Who filed or asked for it
never approves it, and bytes that are an original or a viewing copy of one are no treated copy, whatever they are called.

Source: RULES R21 (S2-main 2(1)4, by analogy); docs/formats/package.md.
"""

from __future__ import annotations

from typing import Final

from evidence.ids import RecordingId
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

KIND: Final = "treatment"
APPROVED: Final = "approved"
#: Role of the treated copy, and of the link to what it was made of.
TREATED: Final = "treated-media"
FOOTAGE: Final = "footage"
#: What was covered, as codes.
COVERED: Final = (
    Choice(code="faces", word="Faces"),
    Choice(code="plates", word="Number plates"),
    Choice(code="regions", word="Regions of the picture"),
    Choice(code="sound", word="Sound"),
    Choice(code="names", word="Names and documents"),
    Choice(code="nothing", word="Nothing had to be covered"),
)


def _is_no_original(turn: Turn) -> None:
    """R21: never the original, nor a viewing copy that shows the same."""
    uow = turn.uow
    filed = uow.matters.documents(turn.matter, role=TREATED)
    linked = [RecordingId(link.target) for link in turn.links(FOOTAGE)]
    own = {str(row.sha256) for recording in linked for row in uow.derivatives.of(recording)}
    for document in filed:
        known = uow.recordings.kept_with(document.sha256)
        if known or str(document.sha256) in own:
            turn.refuse(
                "the copy that was filed is the untreated footage itself",
                todo="File a copy in which faces, plates, rooms and voices were covered.",
            )


def _filers_do_not_approve(turn: Turn) -> None:
    filers = {document.filed_by for document in turn.uow.matters.documents(turn.matter, role=TREATED)}
    if turn.agent in filers:
        turn.refuse("who filed the treated copy does not approve it", todo="Let somebody else look at it.")


_WHY: Final = Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)

FORM: Final = Form(
    kind=KIND, word="Technical treatment", words="Technical treatments", number=plain_number("JS"),
    states=(
        State(code="proposed", word="Waits for approval", tone=Tone.WARN),
        State(code=APPROVED, word="Approved", tone=Tone.GOOD),
        State(code="refused", word="Refused", tone=Tone.BAD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={PROPOSER: "Treated by", APPROVER: "Approved by"},
    documents={TREATED: "Treated copy", "note": "Other document"},
    opening=Act(
        name="open", word="Bring in a treated copy", after="proposed", action=Action.ACCESS_ASK, role=PROPOSER,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(name="covered", word="What was covered", kind=FieldKind.CHOICES, choices=COVERED, required=True),
            Field(name="how", word="How it was treated", kind=FieldKind.WORDS, personal=True, required=True),
            Field(name="occasion", word="Where it is to be published", personal=True, required=True),
        ),
        links=(
            LinkRole(role=FOOTAGE, word="Footage", needs=Action.RECORDING_SHOW, least=1, most=1),
            LinkRole(role="case", word="Case", targets=("mat",), kinds=("case", "working-material"), most=1),
        ),
    ),
    acts=(
        Act(
            name="approve", word="Looked at in full: approve", before=("proposed",), after=APPROVED,
            action=Action.ACCESS_APPROVE, role=APPROVER, never=(PROPOSER,), frozen=True, documents=(TREATED,),
            guards=(_is_no_original, _filers_do_not_approve),
        ),
        Act(
            name="refuse", word="Refuse", before=("proposed",), after="refused", action=Action.ACCESS_APPROVE,
            never=(PROPOSER,), fields=(_WHY,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("proposed",), after="withdrawn", action=Action.ACCESS_ASK,
            only=(PROPOSER,), fields=(_WHY,),
        ),
        Act(
            name="revoke", word="Take the approval back", before=(APPROVED,), after="withdrawn",
            action=Action.ACCESS_APPROVE, fields=(_WHY,),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", group="Use of footage",
    register=(
        Column(word="Number", name="number"), Column(word="Title", name="title"),
        Column(word="Footage", name=f"links:{FOOTAGE}"), Column(word="What was covered", name="covered"),
        Column(word="Where it is to be published", name="occasion"), Column(word="Treated by", name=f"person:{PROPOSER}"),
        Column(word="Approved by", name=f"person:{APPROVER}"), Column(word="State", name="state"),
        Column(word="Closed", name="closed_at"),
    ),
)  # fmt: skip
