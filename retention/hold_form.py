"""The form of a hold: what is typed in, who may place one, and who may let it go. What its acts do is :mod:`retention.holds`."""

from __future__ import annotations

from typing import Final

from catalogue.holds import HELD, HOLD, TO_RELEASE
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
from retention import holds

#: Who placed it.
PLACER: Final = "placer"
TYPES: Final = (
    Choice(code="complaint", word="Complaint or petition"),
    Choice(code="fault-tolerance", word="Fault-tolerance determination"),
    Choice(code="wrong-case", word="Review of a wrong case"),
    Choice(code="legal-review", word="Legal review of a decision"),
    Choice(code="reconsideration", word="Administrative reconsideration"),
    Choice(code="litigation", word="Litigation"),
    Choice(code="audit", word="Audit"),
    Choice(code="being-used", word="Being used"),
    Choice(code="compensation", word="State compensation"),
    Choice(code="other", word="Other"),
)
_RECORDINGS: Final = LinkRole(role=HELD, word="Recordings")
_REVIEW: Final = Field(
    name="review_on", word="To be reviewed on", kind=FieldKind.DATE, required=True,
    hint="It does not end by itself then: somebody decides.",
)  # fmt: skip
_WHY: Final = Field(
    name="release_why", word="Reason for the release", kind=FieldKind.WORDS, personal=True, required=True
)
_OPINION: Final = Field(name="opinion", word="Opinion", kind=FieldKind.WORDS, personal=True)
_OPEN: Final = (holds.STANDING, holds.RELEASE_ASKED, holds.PART_ASKED)

FORM: Final = Form(
    kind=HOLD,
    word="Hold",
    words="Holds",
    number=plain_number("ZH"),
    states=(
        State(code=holds.STANDING, word="Held", tone=Tone.GOOD),
        State(code=holds.RELEASE_ASKED, word="Held, release asked for", tone=Tone.WARN),
        State(code=holds.PART_ASKED, word="Held, release of a part asked for", tone=Tone.WARN),
        State(code=holds.OVER, word="Released", final=True),
    ),
    opening=Act(
        name="place", word="Place a hold", after=holds.STANDING, action=Action.HOLD_PLACE, role=PLACER,
        fields=(
            Field(name="type", word="Type of hold", kind=FieldKind.CHOICE, choices=TYPES, required=True),
            Field(name="title", word="Title", personal=True, required=True),
            Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),
            Field(
                name="authority", word="Document it rests on", personal=True,
                hint="Issuing office and number; file the scan afterwards.",
            ),
            _REVIEW,
            Field(
                name="since", word="Recorded from", kind=FieldKind.MOMENT,
                hint="What is described is held now and whenever it comes in.",
            ),
            Field(name="until", word="Recorded before", kind=FieldKind.MOMENT),
            Field(
                name="place", word="Place or other words", personal=True,
                hint="Words of names, departments, recorders, case numbers or dossiers.",
            ),
            Field(name="officer", word="Recorded by", kind=FieldKind.AGENT),
            Field(name="within_unit", word="Recorded in the department", kind=FieldKind.UNIT),
            Field(name="device", word="Recorded with", kind=FieldKind.DEVICE),
        ),
        links=(_RECORDINGS,), guards=(holds.require_review_to_come, holds.take_described), effects=(holds.hold_bytes,),
    ),
    acts=(
        Act(
            name="add", word="Hold more recordings", before=_OPEN, action=Action.HOLD_PLACE,
            links=(LinkRole(role=HELD, word="Recordings", least=1, stays=True),), guards=(holds.take_named,),
            effects=(holds.hold_bytes,),
        ),
        Act(
            name="move-review", word="Set another review date", before=_OPEN, action=Action.HOLD_PLACE,
            fields=(
                _REVIEW,
                Field(name="review_why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),
            ),
            guards=(holds.require_review_to_come,),
        ),
        Act(
            name="ask-release", word="Ask for release", before=(holds.STANDING,), after=holds.RELEASE_ASKED,
            action=Action.HOLD_PLACE, role=PROPOSER, fields=(_WHY,), guards=(holds.begin_asking,),
        ),
        Act(
            name="ask-part", word="Ask for release of recordings", before=(holds.STANDING,), after=holds.PART_ASKED,
            action=Action.HOLD_PLACE, role=PROPOSER, fields=(_WHY,),
            links=(LinkRole(role=TO_RELEASE, word="Recordings to release", least=1, stays=True),),
            guards=(holds.begin_asking, holds.must_be_held),
        ),
        Act(
            name="approve", word="Approve the release", before=(holds.RELEASE_ASKED,), after=holds.OVER,
            action=Action.HOLD_RELEASE, role=APPROVER, never=(PROPOSER,), frozen=True, fields=(_OPINION,),
            guards=(holds.take_rest,),
        ),
        Act(
            name="approve-part", word="Approve the release of the recordings", before=(holds.PART_ASKED,),
            after=holds.STANDING, action=Action.HOLD_RELEASE, role=APPROVER, never=(PROPOSER,), frozen=True,
            fields=(_OPINION,), guards=(holds.free_part,),
        ),
        Act(
            name="refuse", word="Refuse the release", before=(holds.RELEASE_ASKED, holds.PART_ASKED),
            after=holds.STANDING, action=Action.HOLD_RELEASE, never=(PROPOSER,), guards=(holds.forget_part,),
            fields=(Field(name="refusal", word="Reason", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="withdraw", word="Take the question back", before=(holds.RELEASE_ASKED, holds.PART_ASKED),
            after=holds.STANDING, action=Action.HOLD_PLACE, only=(PROPOSER,), guards=(holds.forget_part,),
        ),
        Act(
            name=holds.TAKE_IN, word="Recordings that fit", before=_OPEN, action=Action.HOLD_PLACE,
            links=(_RECORDINGS,), guards=(holds.take_named,), effects=(holds.hold_bytes,), hidden=True,
        ),
    ),
    see=Action.HOLD_SEE,
    persons={PLACER: "Placed by", PROPOSER: "Release asked for by", APPROVER: "Release approved by"},
    documents={"authority": "Document it rests on"},
    register=(
        Column(word="Number", name="number"),
        Column(word="Type of hold", name="type"),
        Column(word="Title", name="title"),
        Column(word="Document it rests on", name="authority"),
        Column(word="State", name="state"),
        Column(word="Placed by", name=f"person:{PLACER}"),
        Column(word="Placed at", name="opened_at"),
        Column(word="To be reviewed on", name="review_on"),
        Column(word="Recordings", name=f"links:{HELD}"),
        Column(word="Release approved by", name=f"person:{APPROVER}"),
        Column(word="Released at", name="closed_at"),
    ),
    deadline=holds.review_ends,
    group="Retention",
)  # fmt: skip
