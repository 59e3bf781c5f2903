"""The fixation record (固定): electronic records fixed in writing and confirmed by signature before the case closes.

Draft -> printed -> signed. While it is a draft its words and its list can change; what is printed is frozen (its list has a
digest), and a change makes a draft of it again. It is signed when the scan of the signed paper is on file.

Source: RULES R16 (S4 rec. 9, 11); docs/cases.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cases.dossier_parts import CASE, FOOTAGE, OFFICERS_LEAST, order_of
from cases.fixation_gate import KIND, SIGNED, fixed_in
from catalogue.matters import LinkRow
from evidence import canonical
from evidence.clock import from_text, to_text
from evidence.errors import NotFoundError
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, RecordingKind
from matters.form import Act, Choice, Column, Field, FieldKind, Form, LinkRole, State, Tone, plain_number
from matters.turn import NewLink, Turn
from matters.values import MISSING, NOT_THAT_KIND, OUT_OF_RANGE, FormError

MAKER: Final = "maker"
OFFICER: Final = "officer"
SCAN: Final = "fixation-scan"
#: One record: its printed list stays readable, and signable at one table.
RECORDINGS_MAX: Final = 200

METHODS: Final = (
    Choice(code="copy", word="Copied from the recorder by the docking station, read back and compared"),
    Choice(code="import", word="Taken over from another medium, read back and compared"),
    Choice(code="excerpt", word="Excerpt of a longer recording"),
    Choice(code="transcript", word="Words written down from sound"),
)
OUTCOMES: Final = (
    Choice(code="no-objection", word="Signed by the party, no objection"),
    Choice(code="objection", word="Signed by the party with objections"),
    Choice(code="refused", word="The party refuses to sign"),
    Choice(code="unreachable", word="The party cannot be reached"),
    Choice(code="no-known-party", word="No party is known"),
    Choice(code="after-closing", word="The footage came after the case was closed"),
)
#: Outcomes that need a word of why.
_EXPLAINED: Final = frozenset({"objection", "refused", "unreachable", "no-known-party", "after-closing"})
CONTENT_COLUMNS: Final = (
    Choice(code="number", word="No."),
    Choice(code="summary", word="What is seen and heard"),
    Choice(code="proves", word="What it proves"),
    Choice(code="words", word="Words spoken"),
)


# --- guards -----------------------------------------------------------------------------------------------------------
def of_one_case(turn: Turn) -> None:
    """The record belongs to one case; without a choice it lists everything of it that no record fixes yet."""
    [link] = turn.links(CASE)
    case = turn.uow.matters.get(MatterId(link.target))
    if case.kind != CASE:
        raise NotFoundError(f"{case.number} is no case")
    in_case = {row.target: row for row in turn.uow.matters.links(case.id, role=FOOTAGE)}
    given = [one for one in turn.asked.links if one.role == FOOTAGE]
    known = {one.agent for one in turn.uow.matters.persons(case.id)} | {case.opened_by}
    if turn.before is None and not given and turn.agent in known:  # anybody else names recordings they may know of
        fixed = fixed_in(turn.uow, case.id)
        given = [NewLink(role=FOOTAGE, target=one) for one in in_case if one not in fixed]
    strange = [one.target for one in given if one.target not in in_case]
    if strange:
        turn.refuse(
            "{recording} is not in case {case}", todo="Put the footage into the case first.", recording=strange[0],
            case=case.number,
        )  # fmt: skip
    placed = [
        NewLink(
            role=FOOTAGE, target=one.target, facts={"order": str(order_of(in_case[one.target]))}, words=one.words
        )
        for one in given
    ]  # fmt: skip
    turn.asked.links[:] = [*(one for one in turn.asked.links if one.role != FOOTAGE), *placed]
    listed = turn.links(FOOTAGE)
    if not listed:
        raise FormError({FOOTAGE: MISSING})
    if len(listed) > RECORDINGS_MAX:
        turn.refuse("a record lists at most {most} recordings", todo="Make several records.", most=RECORDINGS_MAX)


def officers_differ(turn: Turn) -> None:
    """At least two officers on site sign."""
    if turn.value("first_officer") == turn.value("second_officer"):
        raise FormError({"second_officer": NOT_THAT_KIND})
    named = {turn.value("first_officer"), turn.value("second_officer")}
    turn.asked.no_longer.extend((OFFICER, one) for one in turn.holders(OFFICER) if one not in named)


def witness_told(turn: Turn) -> None:
    """A witness is invited where there is one; else it is told why there is none."""
    wanted = {"present": "witness_name", "none": "no_witness_why"}[turn.value("witness")]
    if not turn.value(wanted):
        raise FormError({wanted: MISSING})


def contents_numbered(turn: Turn) -> None:
    """Every row of contents names a recording of the list by its number."""
    count = len(turn.links(FOOTAGE))
    for row in turn.value("contents") or []:
        if not (row.get("number", "").isdigit() and 1 <= int(row["number"]) <= count):
            raise FormError({"contents": OUT_OF_RANGE})


def ready_to_print(turn: Turn) -> None:
    """Everything that the paper must state is there; the list is frozen by its digest.

    Raises:
        PolicyUnmetError: A recording was not stored yet, or words of a sound recording are missing.
    """
    told = {int(row["number"]): row for row in turn.value("contents") or []}
    files = []
    for number, link in enumerate(listed(turn.links(FOOTAGE)), 1):
        row = turn.uow.recordings.get(RecordingId(link.target))
        own = turn.uow.recordings.get(row.duplicate_of) if row.duplicate_of is not None else row
        if own.sha256 is None or own.stored_at is None:
            turn.refuse("recording {number} is not stored yet", todo="Wait until it is.", number=number)
        if row.kind is RecordingKind.AUDIO and not told.get(number, {}).get("words"):
            turn.refuse(
                "the words of sound recording {number} are not written down", todo="Add them under contents.",
                number=number,
            )  # fmt: skip
        files.append({"recording": str(row.id), "sha256": own.sha256.hex, "size_bytes": own.size_bytes})
    turn.asked.facts["list_sha256"] = hashlib.sha256(canonical.dumps(files)).hexdigest()
    turn.asked.facts["files"] = len(files)
    turn.asked.facts["printed_at"] = to_text(turn.now.wall)


def outcome_explained(turn: Turn) -> None:
    """A refusal, an objection or an absent party is noted with its reason, before two officers (R16)."""
    if turn.value("outcome") in _EXPLAINED and not turn.value("outcome_why"):
        raise FormError({"outcome_why": MISSING})
    if len(turn.holders(OFFICER)) < OFFICERS_LEAST:
        turn.refuse("two officers sign a record", todo="Name the second officer.")


def scan_is_of_this_print(turn: Turn) -> None:
    """What was signed is what was printed last: a scan from before a change proves nothing about it."""
    printed_at = from_text(turn.value("printed_at"))
    if all(one.filed_at < printed_at for one in turn.uow.matters.documents(turn.matter, role=SCAN)):
        turn.refuse(
            "the scan was filed before the record was printed anew", todo="Have the new print signed and file its scan."
        )


def listed(links: Iterable[LinkRow]) -> list[LinkRow]:
    """Links of footage in the order of the printed list."""
    return sorted(links, key=lambda row: (order_of(row), row.target))


# --- the form ---------------------------------------------------------------------------------------------------------
_FIELDS: Final = (
    Field(name="object", word="What is fixed", personal=True, required=True),
    Field(name="method", word="How it was made", kind=FieldKind.CHOICE, choices=METHODS, required=True),
    Field(name="process", word="Course of making", kind=FieldKind.WORDS, personal=True),
    Field(name="made_at", word="Time of making", kind=FieldKind.MOMENT, required=True),
    Field(name="place", word="Place", personal=True, required=True),
    Field(name="proves", word="What it proves", kind=FieldKind.WORDS, personal=True, required=True),
    Field(
        name="contents", word="Contents by number", kind=FieldKind.TABLE, personal=True, columns=CONTENT_COLUMNS,
        most=RECORDINGS_MAX, hint="Words spoken are needed for sound recordings.",
    ),
    Field(name="first_officer", word="First officer", kind=FieldKind.AGENT, part=OFFICER, required=True),
    Field(name="second_officer", word="Second officer", kind=FieldKind.AGENT, part=OFFICER, required=True),
    Field(
        name="witness", word="Witness", kind=FieldKind.CHOICE, required=True,
        choices=(Choice(code="present", word="Invited and present"), Choice(code="none", word="None")),
    ),
    Field(name="witness_name", word="Name of the witness", personal=True),
    Field(name="no_witness_why", word="Why there is none", personal=True),
)  # fmt: skip
_FOOTAGE_LINK: Final = LinkRole(role=FOOTAGE, word="Footage", targets=("rec",))

FORM: Final = Form(
    kind=KIND, word="Fixation record", words="Fixation records", number=plain_number("GD"), see=Action.CASE_SEE,
    group="Cases", title="object",
    states=(
        State(code="draft", word="Draft record", tone=Tone.WARN),
        State(code="printed", word="Printed, to be signed", tone=Tone.WARN),
        State(code=SIGNED, word="Signed and filed", tone=Tone.GOOD, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
    ),
    persons={MAKER: "Maker", OFFICER: "Officer"},
    documents={SCAN: "Scan of the signed record", "photo": "Photograph of the signing"},
    opening=Act(
        name="draft", word="Make a fixation record", after="draft", action=Action.CASE_EDIT, role=MAKER, fields=_FIELDS,
        links=(
            LinkRole(role=CASE, word="Case", targets=("mat",), kinds=("case", "working-material"), least=1, most=1),
            _FOOTAGE_LINK,
        ),
        guards=(of_one_case, officers_differ, witness_told, contents_numbered),
    ),
    acts=(
        Act(
            name="edit", word="Change the draft", before=("draft", "printed"), after="draft", action=Action.CASE_EDIT,
            fields=tuple(
                Field(
                    name=one.name, word=one.word, kind=one.kind, personal=one.personal, choices=one.choices,
                    columns=one.columns, hint=one.hint, most=one.most, part=one.part,
                )
                for one in _FIELDS
            ),
            links=(_FOOTAGE_LINK,), guards=(of_one_case, officers_differ, witness_told, contents_numbered),
        ),
        Act(
            name="print", word="Print for signature", before=("draft",), after="printed", action=Action.CASE_EDIT,
            guards=(ready_to_print,),
        ),
        Act(
            name="sign", word="Enter the signatures", before=("printed",), after=SIGNED, action=Action.CASE_EDIT,
            documents=(SCAN,),
            fields=(
                Field(name="outcome", word="Outcome", kind=FieldKind.CHOICE, choices=OUTCOMES, required=True),
                Field(name="outcome_why", word="Objection or reason", kind=FieldKind.WORDS, personal=True),
                Field(name="signed_on", word="Day of signing", kind=FieldKind.DATE, required=True),
            ),
            guards=(outcome_explained, scan_is_of_this_print),
        ),
        Act(
            name="withdraw", word="Withdraw", before=("draft", "printed"), after="withdrawn", action=Action.CASE_EDIT,
            only=(MAKER, OFFICER),
            fields=(Field(name="withdrawn_why", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
    ),
    computed=(
        Field(name="list_sha256", word="Digest of the list", kind=FieldKind.DIGEST),
        Field(name="files", word="Recordings listed", kind=FieldKind.NUMBER),
        Field(name="printed_at", word="Printed", kind=FieldKind.MOMENT),
    ),
    register=(
        Column(word="Number", name="number"), Column(word="What is fixed", name="object"),
        Column(word="Case", name=f"links:{CASE}"), Column(word="Recordings listed", name="files"),
        Column(word="How it was made", name="method"), Column(word="Time of making", name="made_at"),
        Column(word="Maker", name=f"person:{MAKER}"), Column(word="Officer", name=f"person:{OFFICER}"),
        Column(word="Witness", name="witness"), Column(word="Outcome", name="outcome"),
        Column(word="Day of signing", name="signed_on"), Column(word="Digest of the list", name="list_sha256"),
        Column(word="State", name="state"),
    ),
)  # fmt: skip
