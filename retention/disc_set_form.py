"""A disc set as a matter: long-term footage that goes on discs in two copies, from the plan until all discs are in their place.

What a person types in is the plan; that an image was made, a disc burnt or read back is entered by the program that measured it
(:mod:`retention.disc_work`), in the person's name. The set's state follows its discs: it is *verified* when every disc of every
copy was read back good, *registered* when each has place and keeper, and *wanting* when one was damaged or lost.

Source: RULES R11, R12; docs/formats/disc.md.
"""

from __future__ import annotations

from typing import Any, Final

from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from discs.media import KINDS, medium_kind
from discs.plan import Plan, SourceFile, make_plan
from evidence.clock import to_text
from evidence.ids import MatterId, RecordingId
from evidence.model import Action, RecordingState
from matters.form import Act, Choice, Column, Field, FieldKind, Form, LinkRole, State, Tone, plain_number
from matters.turn import NewLink, Turn
from retention import disc_terms as terms

#: Room on every disc for each recording's proof of custody, and for the verifier and the checkpoint.
PROOF_BYTES: Final = 24 << 10
COMMON_BYTES: Final = 512 << 10


def source_of(row: RecordingRow) -> SourceFile:
    """A recording as a file for a disc; its order is that of its start, else of its arrival."""
    began = row.started_at or row.acquired_at or row.discovered_at
    facts = {
        "recording": row.id, "kind": row.kind.value, "sm3": row.sm3.hex if row.sm3 else "",
        "started_at": to_text(row.started_at) if row.started_at else "",
        "started_source": row.started_source, "duration_ms": str(row.duration_ms or ""),
        "device": row.device, "officer_code": row.officer_code,
    }  # fmt: skip
    return SourceFile(
        key=row.id, sha256=row.sha256.hex if row.sha256 else "", size_bytes=row.size_bytes, untrusted_name=row.name,
        order=to_text(began), facts={name: text for name, text in facts.items() if text},
    )  # fmt: skip


def plan_of(rows: list[RecordingRow], *, medium: str) -> Plan:
    """The plan of a set: always the same for the same recordings and medium."""
    common = COMMON_BYTES + PROOF_BYTES * len(rows)
    return make_plan([source_of(row) for row in rows], sectors=medium_kind(medium).sectors, common_bytes=common)


# --- guards and effects -----------------------------------------------------------------------------------------------
def _must_be_footage_for_discs(turn: Turn) -> None:
    """Sealed, not being cleared, in no other set, and long-term unless the set is that of a case (R8: no copies at will)."""
    of_case = bool(turn.links(terms.OF_CASE))
    replaced = {link.target for link in turn.links(terms.REPLACES)}
    wanted = [RecordingId(link.target) for link in turn.links(terms.FOOTAGE)]
    # Locked in one order: two sets that are planned at once, or a clearing, wait for each other.
    rules = {recording: turn.uow.rules.lock(recording) for recording in sorted(wanted)}
    others = turn.uow.matters.linked_to_each(wanted, kinds=(terms.DISC_SET,))
    for recording in wanted:
        row, said = turn.uow.recordings.get(recording), rules[recording]
        if row.state not in (RecordingState.STORED, RecordingState.RELEASED) or not row.sealed:
            turn.refuse("{name} is not sealed yet", todo="Wait until it is stored and sealed.", name=recording)
        if said.disposing_at is not None:
            turn.refuse("{name} is being cleared or was", name=recording)
        date = turn.uow.rules.date_of(recording)
        standing = date.state if date is not None else ""
        if not (
            of_case or said.long_term or said.complaint or said.obstruction or said.sensitive or standing == "permanent"
        ):
            turn.refuse(
                "{name} is not for long-term preservation",
                todo="Set its class or flag first (R11), or name the case the set belongs to.", name=recording,
            )  # fmt: skip
        for other in others.get(recording, ()):
            closed = other.state in (terms.WITHDRAWN, terms.MIGRATED)
            if other.id not in replaced | {turn.matter} and not closed:
                turn.refuse("{name} is in the disc set {number} already", name=recording, number=other.number)


def _must_fit(turn: Turn) -> None:
    rows = [turn.uow.recordings.get(RecordingId(link.target)) for link in turn.links(terms.FOOTAGE)]
    plan = plan_of(rows, medium=str(turn.value("medium")))
    plan.require_whole()
    discs = {placed.source.key: placed.disc for placed in plan.files}
    turn.asked.links[:] = [
        NewLink(
            role=link.role, target=link.target, key=link.key, facts={"disc": str(discs[link.target])}, words=link.words
        )
        if link.role == terms.FOOTAGE
        else link
        for link in turn.asked.links
    ]
    turn.asked.facts.setdefault("copies", 2)
    turn.asked.facts["discs"] = plan.discs
    turn.asked.facts["files"] = len(plan.files)
    turn.asked.facts["bytes"] = sum(placed.source.size_bytes for placed in plan.files)


def _must_replace_a_set(turn: Turn) -> None:
    for link in turn.links(terms.REPLACES):
        other = turn.uow.matters.get(MatterId(link.target))
        if other.kind != terms.DISC_SET or other.state not in (terms.VERIFIED, terms.REGISTERED, terms.WANTING):
            turn.refuse("{number} is no disc set that can be replaced", number=other.number)


def _old_set_is_migrated(turn: Turn) -> None:
    """A set that takes another's place is complete: the old one and its discs are done with."""
    for link in turn.links(terms.REPLACES):
        turn.also_act(MatterId(link.target), terms.MIGRATE)


def _discs_are_migrated(turn: Turn) -> None:
    for disc in discs_of(turn.uow, turn.matter):
        if disc.closed_at is None and disc.state in (terms.VERIFIED, terms.REGISTERED, terms.DAMAGED):
            turn.also_act(disc.id, terms.MIGRATE)


def _no_disc_was_burnt(turn: Turn) -> None:
    if any(disc.state != terms.SPOILT for disc in discs_of(turn.uow, turn.matter)):
        turn.refuse("discs of this set were burnt", todo="Keep it; a new set can take its place.")


def discs_of(uow: Any, matter: MatterId) -> list[MatterRow]:
    """The discs of a set, in the order in which they were begun."""
    return sorted(uow.matters.linked_to(matter, kinds=(terms.DISC,)), key=lambda row: str(row.id))


_MEDIA: Final = tuple(Choice(code=kind.name, word=kind.title) for kind in KINDS)
_WHY: Final = Field(name="why", word="Reason", kind=FieldKind.WORDS, personal=True, required=True)
_HIDDEN: Final = Action.DISC_MAKE


def _follow(state: str, word: str) -> Act:
    return Act(
        name=terms.FOLLOWS[state], word=word, before=terms.MADE, after=state, action=_HIDDEN, hidden=True,
        effects=(_old_set_is_migrated,) if state == terms.REGISTERED else (),
    )  # fmt: skip


DISC_SET_FORM: Final = Form(
    kind=terms.DISC_SET,
    word="Disc set",
    words="Disc sets",
    number=plain_number("GP"),
    states=(
        State(code=terms.PLANNED, word="Planned", tone=Tone.WARN),
        State(code=terms.BUILT, word="Images made", tone=Tone.WARN),
        State(code=terms.BURNT, word="Burnt, not read back yet", tone=Tone.WARN),
        State(code=terms.VERIFIED, word="Read back, not registered yet", tone=Tone.WARN),
        State(code=terms.REGISTERED, word="Registered in two copies", tone=Tone.GOOD),
        State(code=terms.WANTING, word="A copy is wanting", tone=Tone.BAD),
        State(code=terms.MIGRATED, word="Replaced by a new set", final=True),
        State(code=terms.WITHDRAWN, word="Withdrawn", final=True),
    ),
    opening=Act(
        name="open", word="Plan a disc set", after=terms.PLANNED, action=Action.DISC_MAKE, role=terms.PRODUCER,
        fields=(
            Field(name="title", word="Case or activity", personal=True, required=True),
            Field(name="case_number", word="Number of the case or activity", personal=True, required=True),
            Field(name="medium", word="Kind of disc", kind=FieldKind.CHOICE, choices=_MEDIA, required=True),
            Field(name="copies", word="Copies", kind=FieldKind.NUMBER, least=2, most=3, hint="Two at the least (R12)."),
            Field(name="ground", word="Ground of long-term preservation", kind=FieldKind.WORDS, personal=True),
            Field(
                name="error_correction", word="Add error correction", kind=FieldKind.FLAG,
                hint="Where the image leaves room for it; two copies come first.",
            ),
        ),
        links=(
            LinkRole(role=terms.FOOTAGE, word="Recordings", needs=Action.RECORDING_SHOW, least=1),
            LinkRole(role=terms.OF_CASE, word="Case", targets=("mat",), kinds=("case", "working-material", "activity"), most=1),
            LinkRole(role=terms.REPLACES, word="Takes the place of", targets=("mat",), kinds=("disc-set",), most=1),
        ),
        guards=(_must_replace_a_set, _must_be_footage_for_discs, _must_fit),
    ),
    acts=(
        Act(
            name=terms.LIST, word="Make the list", before=(terms.PLANNED, *terms.MADE), action=_HIDDEN, hidden=True,
            fields=(
                Field(name="discs", word="Discs", kind=FieldKind.NUMBER),
                Field(name="files", word="Recordings", kind=FieldKind.NUMBER),
                Field(name="bytes", word="Bytes", kind=FieldKind.NUMBER),
                Field(name="manifest_sha256", word="Digest of the list", kind=FieldKind.DIGEST),
                Field(name="bundle_sha256", word="Digest of list and proofs", kind=FieldKind.DIGEST),
                Field(name="produced_at", word="Production time", kind=FieldKind.MOMENT),
                Field(name="producer", word="Producer", personal=True),
                Field(name="unit_name", word="Producing unit", personal=True),
            ),
        ),
        Act(
            name=terms.BUILD, word="Make the images", before=(terms.PLANNED, *terms.MADE), after=terms.BUILT,
            action=_HIDDEN, hidden=True, fields=(Field(name="images", word="Images", kind=FieldKind.TABLE),),
        ),
        _follow(terms.BURNT, "All discs burnt"),
        _follow(terms.VERIFIED, "All discs read back"),
        _follow(terms.REGISTERED, "All discs registered"),
        _follow(terms.WANTING, "A copy is wanting"),
        Act(
            name=terms.MIGRATE, word="Replace by a new set", after=terms.MIGRATED, action=_HIDDEN, hidden=True,
            before=(terms.VERIFIED, terms.REGISTERED, terms.WANTING), effects=(_discs_are_migrated,),
        ),
        Act(
            name="withdraw", word="Withdraw", before=(terms.PLANNED, terms.BUILT), after=terms.WITHDRAWN,
            action=Action.DISC_MAKE, fields=(_WHY,), guards=(_no_disc_was_burnt,),
        ),
    ),
    see=Action.DISC_SEE,
    persons={terms.PRODUCER: "Producer"},
    documents={terms.BUNDLE: "List of the set", terms.RECORD: "Record of an image"},
    made=(terms.BUNDLE, terms.RECORD),
    register=(
        Column(word="Number", name="number"), Column(word="State", name="state"),
        Column(word="Case or activity", name="title"), Column(word="Number of the case or activity", name="case_number"),
        Column(word="Producing unit", name="unit_name"), Column(word="Producer", name="producer"),
        Column(word="Production time", name="produced_at"), Column(word="Kind of disc", name="medium"),
        Column(word="Discs", name="discs"), Column(word="Recordings", name="files"), Column(word="Bytes", name="bytes"),
        Column(word="Digest of the list", name="manifest_sha256"),
    ),
    group="Discs",
)  # fmt: skip
