"""Cases and working material: the dossiers that footage is sorted into.

A case gets the next number of its year when it is opened (eight digits: year and serial) and its archive number, likewise, when
it is closed for the first time. It is closed by somebody who does not handle it, and only when its electronic evidence is fixed
(R16). Working material is sorted footage that belongs to no case.

Source: RULES R13, R14, R15, R16, R17, R19; docs/cases.md.
"""

from __future__ import annotations

from typing import Final

from cases import dossier_parts as parts
from cases.dossier_parts import CASE, FOOTAGE, HANDLER, MAIN_VOLUME, OFFICER, SECOND_VOLUME, WORKING
from cases.fixation_gate import require_fixed
from evidence.clock import BUREAU_ZONE
from evidence.model import Action
from matters.fold import NUMBERS
from matters.form import Act, Choice, Column, Field, FieldKind, Form, LinkRole, State, Tone, plain_number
from matters.turn import Turn
from matters.values import MISSING, FormError

_KINDS: Final = (
    Choice(code="ordinary", word="Ordinary penalty"),
    Choice(code="summary", word="Summary penalty"),
    Choice(code="measure", word="Coercive measure"),
    Choice(code="licence", word="Licence"),
    Choice(code="inspection", word="Administrative inspection"),
    Choice(code="other", word="Other enforcement"),
)
_SOURCES: Final = (
    Choice(code="inspection", word="Found on inspection"),
    Choice(code="complaint", word="Complaint or report"),
    Choice(code="transferred", word="Transferred by another authority"),
    Choice(code="assigned", word="Assigned from above"),
    Choice(code="other", word="Other"),
)
#: What a record must tell before its case is closed (R15).
NEEDED: Final = ("title", "cause", "happened_at", "place", "course", "result")
_OPEN: Final = ("open",)
_SHUT: Final = ("closed",)
_EXTRA: Final = (
    Field(name="procedure", word="Kind of enforcement", kind=FieldKind.CHOICE, choices=_KINDS),
    Field(name="source", word="Origin of the case", kind=FieldKind.CHOICE, choices=_SOURCES),
    Field(name="filed_on", word="Day of approval to open it", kind=FieldKind.DATE),
)  # fmt: skip
#: What was corrected at last: the field by its word, what stood there, what stands there now.
_CORRECTION: Final = Field(
    name="correction", word="Corrected", kind=FieldKind.TABLE, personal=True,
    choices=tuple(
        Choice(code=one.name, word=one.word) for one in (*parts.record_fields(), *_EXTRA, *parts.period_fields())
    ),
    columns=(
        Choice(code="field", word="Field"), Choice(code="before", word="Before"), Choice(code="after", word="After"),
    ),
)  # fmt: skip
_WHY: Final = Field(
    name="why", word="Why it is corrected", kind=FieldKind.WORDS, personal=True,
    hint="Needed where something that stands there is changed.",
)  # fmt: skip


def case_number(year: int, serial: int) -> str:
    """``20260001``: the year and the serial of the case in it."""
    return f"{year}{serial:04d}"


# --- guards -----------------------------------------------------------------------------------------------------------
def parties_told(turn: Turn) -> None:
    """Who is affected is named, or nobody is known; both at once cannot be."""
    if turn.value("parties") and turn.value("no_party"):
        raise FormError({"no_party": "not-that-kind"})


def record_complete(turn: Turn) -> None:
    """R15: the record covers time, place, persons, cause, course and result."""
    missing = {name: MISSING for name in NEEDED if not turn.value(name)}
    if not turn.value("parties") and not turn.value("no_party"):
        missing["parties"] = MISSING
    if missing:
        turn.refuse(
            "the record does not tell yet: {missing}",
            todo="Complete the record, then close the case.",
            missing=", ".join(missing),
        )


def archive_number_taken(turn: Turn) -> None:
    """The archive's number, given once, in the year of closing."""
    if turn.value(parts.ARCHIVE_NUMBER):
        return
    year = turn.now.wall.astimezone(BUREAU_ZONE).year
    series = f"case-archive:{year}"
    serial = turn.uow.matters.next_number(series)
    turn.asked.facts[NUMBERS] = {series: serial}
    turn.asked.facts[parts.ARCHIVE_NUMBER] = case_number(year, serial)


def rules_locked(turn: Turn) -> None:
    """A clearing that is executed at this moment comes first, or sees that the case is open again."""
    parts.lock_rules(turn, [row.target for row in turn.links(FOOTAGE)])


def nothing_in_it(turn: Turn) -> None:
    """Only an empty case is void; whatever was filed with one stays in a case that is withdrawn."""
    if turn.links(FOOTAGE) or turn.uow.matters.documents(turn.matter):
        turn.refuse("footage or documents are filed with it", todo="Withdraw the case instead.")


# --- the forms --------------------------------------------------------------------------------------------------------
def _edit_acts(noun: str, *, before: tuple[str, ...]) -> tuple[Act, ...]:
    """What both kinds have: correcting, officers, footage, its order and its clips."""
    return (
        Act(
            name="edit", word="Complete or correct", before=before, action=Action.CASE_EDIT,
            fields=(
                *parts.record_fields(), *(_EXTRA if noun == CASE else ()), *parts.period_fields(), _WHY,
            ),
            guards=(parts.period_read, parts.corrected, parties_told),
        ),
        Act(
            name="officers", word="Change officers", before=before, action=Action.CASE_EDIT,
            fields=(
                Field(name="joins", word="Joins", kind=FieldKind.AGENT, part=OFFICER),
                Field(name="leaves", word="Leaves", kind=FieldKind.AGENT),
            ),
            guards=(parts.officers_changed,),
        ),
        Act(
            name="hand-over", word="Hand over to another handler", before=before, action=Action.CASE_CLOSE,
            fields=(
                Field(name="new_handler", word="New handler", kind=FieldKind.AGENT, part=HANDLER, required=True),
                Field(name="handed_over", word="Why", kind=FieldKind.WORDS, personal=True, required=True),
            ),
            guards=(parts.handed_over,),
        ),
        Act(
            name="link", word="Put footage in or take it out", before=before, action=Action.CASE_EDIT,
            links=parts.footage_links(), guards=(parts.footage_linked,), effects=(parts.footage_stood_here,),
            fields=(Field(name="link_why", word="Why", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="place", word="Order of the footage", before=before, action=Action.CASE_EDIT,
            fields=(
                Field(name="recording", word="Recording", kind=FieldKind.RECORDING, required=True),
                Field(name="place_number", word="Place", kind=FieldKind.NUMBER, least=1, most=20_000, required=True),
            ),
            guards=(parts.footage_placed,),
        ),
        Act(
            name="clip", word="Mark a clip", before=before, action=Action.CASE_EDIT, fields=parts.clip_fields(),
            guards=(parts.clip_marked,),
        ),
        Act(
            name="unclip", word="Take out a clip", before=before, action=Action.CASE_EDIT,
            links=(LinkRole(role=parts.CLIP, word="Clip"),), guards=(parts.only_taken_out,),
        ),
    )  # fmt: skip


_COMPUTED: Final = (
    _CORRECTION,
    Field(name="order", word="Place in the order", kind=FieldKind.NUMBER),
    Field(name="in_ms", word="From (milliseconds)", kind=FieldKind.NUMBER),
    Field(name="out_ms", word="To (milliseconds)", kind=FieldKind.NUMBER),
    Field(name=parts.ARCHIVE_NUMBER, word="Archive number"),
)

CASE_FORM: Final = Form(
    kind=CASE, word="Case", words="Cases", number=case_number, see=Action.CASE_SEE, group="Cases",
    states=(
        State(code="open", word="In hand", tone=Tone.WARN),
        State(code="closed", word="Closed", tone=Tone.GOOD, final=True),
        State(code="reopening", word="Closed, reopening asked for", tone=Tone.WARN, final=True),
        State(code="withdrawn", word="Withdrawn", final=True),
        State(code="void", word="Void", final=True),
    ),
    persons={HANDLER: "Handler", OFFICER: "Officer", "closer": "Closed by", "reopener": "Asks for reopening"},
    documents={**MAIN_VOLUME, **SECOND_VOLUME},
    opening=Act(
        name="open", word="Open a case", after="open", action=Action.CASE_EDIT, role=HANDLER,
        fields=(
            *parts.record_fields(required=("title", "cause")),
            Field(name="procedure", word="Kind of enforcement", kind=FieldKind.CHOICE, choices=_KINDS, required=True),
            Field(name="source", word="Origin of the case", kind=FieldKind.CHOICE, choices=_SOURCES),
            Field(name="filed_on", word="Day of approval to open it", kind=FieldKind.DATE),
            Field(name="second_officer", word="Second officer", kind=FieldKind.AGENT, part=OFFICER, required=True),
            *parts.period_fields(),
        ),
        links=parts.footage_links(), guards=(parts.two_officers, parties_told, parts.period_read, parts.footage_linked),
    ),
    acts=(
        *_edit_acts(CASE, before=_OPEN),
        Act(
            name="archive", word="Archive the footage", before=_OPEN, action=Action.CASE_EDIT,
            hint="From then on whoever wants to watch or copy it needs an approved request, who recorded it included.",
            guards=(rules_locked,), effects=(parts.archive_footage,),
        ),
        Act(
            name="close", word="Close the case", before=_OPEN, after="closed", action=Action.CASE_CLOSE, role="closer",
            never=(HANDLER, OFFICER), frozen=True,
            fields=(
                Field(name="closed_on", word="Day of closing", kind=FieldKind.DATE),
                *parts.period_fields(),
                Field(name="fonds", word="Fonds number", personal=True, most=32),
                Field(name="catalogue_number", word="Catalogue number", personal=True, most=32),
                Field(name="volume_number", word="Volume number", personal=True, most=32),
                Field(name="pages", word="Pages on paper", kind=FieldKind.NUMBER, most=100_000),
            ),
            guards=(
                parts.period_read, parts.period_needed, parts.require_two_officers, record_complete, require_fixed,
                rules_locked, archive_number_taken,
            ),
            effects=(parts.archive_footage,),
        ),
        Act(
            name="add-late", word="File footage that came after closing", before=_SHUT, action=Action.CASE_EDIT,
            fields=(Field(name="late_why", word="Why it came late", kind=FieldKind.WORDS, personal=True, required=True),),
            links=parts.footage_links(least=1, stays=True), guards=(rules_locked, parts.footage_linked),
            effects=(parts.archive_footage,),
        ),
        Act(
            name="ask-reopen", word="Ask for reopening", before=_SHUT, after="reopening", action=Action.CASE_EDIT,
            role="reopener",
            fields=(
                Field(name="reopen_why", word="Why it is to be reopened", kind=FieldKind.WORDS, personal=True, required=True),
                Field(name="reopen_authority", word="Document it rests on", personal=True),
            ),
        ),
        Act(
            name="reopen", word="Approve reopening", before=("reopening",), after="open", action=Action.CASE_CLOSE,
            never=("reopener",), frozen=True, guards=(rules_locked,),
            fields=(Field(name="reopen_opinion", word="Opinion", kind=FieldKind.WORDS, personal=True),),
        ),
        Act(
            name="refuse-reopen", word="Refuse reopening", before=("reopening",), after="closed", action=Action.CASE_CLOSE,
            never=("reopener",),
            fields=(Field(name="reopen_opinion", word="Opinion", kind=FieldKind.WORDS, personal=True, required=True),),
        ),
        Act(
            name="withdraw", word="Withdraw the case", before=_OPEN, after="withdrawn", action=Action.CASE_CLOSE,
            never=(HANDLER, OFFICER),
            fields=(
                Field(name="withdrawn_why", word="Why", kind=FieldKind.WORDS, personal=True, required=True),
                *parts.period_fields(),
            ),
            guards=(parts.period_read, parts.period_needed, rules_locked), effects=(parts.archive_footage,),
        ),
        Act(
            name="void", word="Number taken by mistake", before=_OPEN, after="void", action=Action.CASE_EDIT, only=(HANDLER,),
            fields=(Field(name="void_why", word="Why", kind=FieldKind.WORDS, personal=True, required=True),),
            guards=(nothing_in_it,),
        ),
    ),
    computed=_COMPUTED,
    register=(
        Column(word="Number", name="number"), Column(word="Archive number", name=parts.ARCHIVE_NUMBER),
        Column(word="Name of the case", name="title"), Column(word="Number in the bureau's own files", name="file_number"),
        Column(word="Cause of action", name="cause"), Column(word="Parties", name="parties"),
        Column(word="Time", name="happened_at"), Column(word="Place", name="place"),
        Column(word="Handler", name=f"person:{HANDLER}"),
        Column(word="Officer", name=f"person:{OFFICER}"), Column(word="Opened", name="opened_at"),
        Column(word="Closed", name="closed_at"), Column(word="Result", name="result"),
        Column(word="Archive period", name=parts.ARCHIVE_PERIOD), Column(word="Footage", name=f"links:{FOOTAGE}"),
        Column(word="State", name="state"),
    ),
)  # fmt: skip

WORKING_FORM: Final = Form(
    kind=WORKING, word="Working material", words="Working material", number=plain_number("GZ"), see=Action.CASE_SEE,
    group="Cases",
    states=(
        State(code="open", word="Being sorted", tone=Tone.WARN),
        State(code="filed", word="Filed", tone=Tone.GOOD, final=True),
    ),
    persons={HANDLER: "Handler", OFFICER: "Officer"},
    documents={**MAIN_VOLUME, **SECOND_VOLUME},
    opening=Act(
        name="open", word="Sort footage as working material", after="open", action=Action.CASE_EDIT, role=HANDLER,
        fields=(
            *parts.record_fields(required=("title",)),
            Field(name="second_officer", word="Second officer", kind=FieldKind.AGENT, part=OFFICER),
            *parts.period_fields(),
        ),
        links=parts.footage_links(), guards=(parts.two_officers, parties_told, parts.period_read, parts.footage_linked),
    ),
    acts=(
        *_edit_acts(WORKING, before=_OPEN),
        Act(
            name="file", word="File the working material", before=_OPEN, after="filed", action=Action.CASE_EDIT,
            fields=parts.period_fields(), guards=(parts.period_read, parts.period_needed, rules_locked),
            effects=(parts.archive_footage,),
        ),
        Act(
            name="reopen", word="Sort anew", before=("filed",), after="open", action=Action.CASE_CLOSE, never=(HANDLER,),
            fields=(
                Field(name="reopen_why", word="Why it is to be reopened", kind=FieldKind.WORDS, personal=True, required=True),
            ),
            guards=(rules_locked,),
        ),
    ),
    computed=_COMPUTED[:-1],
    register=(
        Column(word="Number", name="number"), Column(word="Name of the case", name="title"),
        Column(word="Cause of action", name="cause"), Column(word="Time", name="happened_at"), Column(word="Place", name="place"),
        Column(word="Handler", name=f"person:{HANDLER}"), Column(word="Opened", name="opened_at"),
        Column(word="Closed", name="closed_at"), Column(word="Archive period", name=parts.ARCHIVE_PERIOD),
        Column(word="Footage", name=f"links:{FOOTAGE}"), Column(word="State", name="state"),
    ),
)  # fmt: skip

FORMS: Final = (CASE_FORM, WORKING_FORM)
