"""Case packages as matters: what left the house, when, for whom and what for, with the digests that identify it (R19).

A package is entered before its first byte is written and again when it is whole; one that was cut off stays "being made" and is
continued or given up. Persons order one through :class:`cases.packages.CasePackages`, never by filling in the form alone.

Source: RULES R17, R19, R21; docs/formats/package.md.
"""

from __future__ import annotations

from typing import Final

from cases.access_parts import purpose_field
from evidence.model import Action
from matters.form import (
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

KIND: Final = "package"
MAKING, MADE = "making", "made"
#: Acts of the service.
FINISH: Final = "finish"
#: Links: the case, the footage whose originals are in it, the treatments whose copies are in it.
CASE: Final = "case"
FOOTAGE: Final = "footage"
TREATMENT: Final = "treatment"
MAKER: Final = "maker"

_DIGESTS: Final = (
    Field(name="manifest_sha256", word="Digest of the manifest", kind=FieldKind.DIGEST, required=True),
    Field(name="list_sha256", word="Digest of the checking list", kind=FieldKind.DIGEST, required=True),
    Field(name="files", word="Files", kind=FieldKind.NUMBER, required=True),
    Field(name="size_bytes", word="Size in bytes", kind=FieldKind.NUMBER, required=True),
)
_WHY: Final = Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)

FORM: Final = Form(
    kind=KIND, word="Package of a case", words="Packages of cases", number=plain_number("DB"),
    states=(
        State(code=MAKING, word="Being made", tone=Tone.WARN),
        State(code=MADE, word="Made", tone=Tone.GOOD),
        State(code="handed-over", word="Handed over", tone=Tone.GOOD, final=True),
        State(code="destroyed", word="Copy destroyed", final=True),
        State(code="given-up", word="Given up", final=True),
    ),
    persons={MAKER: "Made by"},
    documents={"receipt-scan": "Signed receipt"},
    opening=Act(
        name="order", word="Make a package", after=MAKING, action=Action.CASE_EXPORT, role=MAKER, hidden=True,
        fields=(
            Field(name="title", word="Title", personal=True, required=True),
            Field(
                name="form", word="For whom", kind=FieldKind.CHOICE, required=True,
                choices=(
                    Choice(code="full", word="With originals, for a proceeding"),
                    Choice(code="publication", word="For publication, treated copies only"),
                ),
            ),
            purpose_field(),
            Field(name="recipient", word="Recipient", personal=True, required=True),
            Field(name="authority", word="Authority", personal=True),
            Field(name="place", word="Written to", personal=True, required=True, most=1000),
        ),
        links=(
            LinkRole(role=CASE, word="Case", targets=("mat",), kinds=("case", "working-material"), least=1, most=1),
            LinkRole(role=FOOTAGE, word="Footage"),
            LinkRole(role=TREATMENT, word="Treated copies", targets=("mat",), kinds=("treatment",)),
        ),
    ),
    acts=(
        Act(
            name=FINISH, word="Written and read back", before=(MAKING,), after=MADE, action=Action.CASE_EXPORT,
            fields=_DIGESTS, hidden=True,
        ),
        Act(
            name="give-up", word="Give up", before=(MAKING,), after="given-up", action=Action.CASE_EXPORT, fields=(_WHY,),
        ),
        Act(
            name="hand-over", word="Hand over", before=(MADE,), after="handed-over", action=Action.CASE_EXPORT,
            fields=(
                Field(name="received_by", word="Received by", personal=True, required=True),
                Field(name="received_at", word="Received at", kind=FieldKind.MOMENT, required=True),
                Field(name="medium", word="Medium and its number", personal=True),
                Field(name="copies", word="Copies", kind=FieldKind.NUMBER, least=1, most=1000),
            ),
        ),
        Act(
            name="destroy", word="The copy was destroyed", before=(MADE,), after="destroyed", action=Action.CASE_EXPORT,
            fields=(_WHY,),
        ),
    ),
    see=Action.REGISTER_SEE, title="title", group="Use of footage",
    register=(
        Column(word="Number", name="number"), Column(word="Case", name=f"links:{CASE}"), Column(word="Title", name="title"),
        Column(word="For whom", name="form"), Column(word="Purpose", name="purpose"), Column(word="Recipient", name="recipient"),
        Column(word="Authority", name="authority"), Column(word="Made by", name=f"person:{MAKER}"),
        Column(word="Made", name="opened_at"), Column(word="Files", name="files"),
        Column(word="Size in bytes", name="size_bytes"),
        Column(word="Digest of the manifest", name="manifest_sha256"), Column(word="Received by", name="received_by"),
        Column(word="Received at", name="received_at"), Column(word="State", name="state"),
    ),
)  # fmt: skip
