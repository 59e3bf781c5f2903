"""What the forms of cases and working material share: fields, documents, and the guards about officers, footage and clips.

Source: RULES R13 to R17; docs/cases.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from catalogue.matters import LinkRow
from evidence.clock import to_text
from evidence.errors import StateConflictError
from evidence.events import RecordingArchived
from evidence.ids import AgentId, RecordingId
from matters import recording_facts
from matters.form import Choice, Field, FieldKind, LinkRole
from matters.turn import NewLink, Turn
from matters.values import MISSING, NOT_THAT_KIND, OUT_OF_RANGE, FormError

CASE: Final = "case"
WORKING: Final = "working-material"
#: Kinds that sort footage: what belongs to neither waits for its officer.
DOSSIERS: Final = (CASE, WORKING)
#: Links.
FOOTAGE: Final = "footage"
CLIP: Final = "clip"
#: Parts.
HANDLER: Final = "handler"
OFFICER: Final = "officer"
#: How many officers a record takes (R16).
OFFICERS_LEAST: Final = 2
#: So many clips in one case; more is a mistake.
CLIPS_MAX: Final = 2_000
#: Public facts.
ARCHIVE_PERIOD: Final = "archive_period"
ARCHIVE_NUMBER: Final = "archive_number"

PERIODS: Final = (
    Choice(code="months:6", word="6 months"),
    Choice(code="months:24", word="2 years"),
    Choice(code="months:60", word="5 years"),
    Choice(code="months:120", word="10 years"),
    Choice(code="months:360", word="30 years"),
    Choice(code="long-term", word="Permanent"),
)
#: Documents of a case in the order of its volumes: main volume first, then the one that stays in the house.
MAIN_VOLUME: Final = {
    "filing-approval": "Approval to open the case",
    "decision": "Decision",
    "service-receipt": "Receipt of service",
    "notice": "Notice before the decision",
    "measure": "Document of a coercive measure",
    "interview": "Record of an interview",
    "scene-record": "Record made on site",
    "evidence": "Evidence",
    "electronic-evidence": "Electronic evidence",
    "identity": "Identity of the party",
    "hearing": "Statement, defence or hearing",
    "property": "Property and payment",
    "other": "Other document",
}
SECOND_VOLUME: Final = {
    "source": "Origin of the case",
    "investigation-report": "Report of the investigation",
    "review-opinion": "Opinion of the review, collective discussion",
    "closing-report": "Report of closing",
}
#: What a complete case of an ordinary penalty has on file (R15); paper is primary, so what lacks is told and does not refuse.
EXPECTED_DOCUMENTS: Final = (
    "filing-approval",
    "scene-record",
    "evidence",
    "decision",
    "service-receipt",
    "closing-report",
)
PARTY_COLUMNS: Final = (
    Choice(code="name", word="Name"),
    Choice(code="kind", word="Person or organisation"),
    Choice(code="identity", word="Identity or credit number"),
    Choice(code="representative", word="Representative"),
    Choice(code="contact", word="How to reach them"),
)


def record_fields(*, required: Sequence[str] = ()) -> tuple[Field, ...]:
    """What a record tells (R15): persons, time, place, cause, course, result; ``required`` names those that must be given."""
    fields = (
        Field(name="title", word="Name of the case", personal=True),
        Field(name="file_number", word="Number in the bureau's own files", personal=True, hint="As on the paper file."),
        Field(name="cause", word="Cause of action", personal=True),
        Field(name="parties", word="Parties", kind=FieldKind.TABLE, personal=True, columns=PARTY_COLUMNS, most=50),
        Field(name="no_party", word="No party is known", kind=FieldKind.FLAG),
        Field(name="happened_at", word="Time", kind=FieldKind.MOMENT),
        Field(name="place", word="Place", personal=True),
        Field(name="course", word="Course", kind=FieldKind.WORDS, personal=True),
        Field(name="result", word="Result", kind=FieldKind.WORDS, personal=True),
    )
    return tuple(_required(one) if one.name in required else one for one in fields)


def _required(one: Field) -> Field:
    return Field(
        name=one.name, word=one.word, kind=one.kind, personal=one.personal, columns=one.columns, hint=one.hint,
        most=one.most, required=True,
    )  # fmt: skip


def footage_links(*, least: int = 0, stays: bool = False) -> tuple[LinkRole, ...]:
    """Recordings of the dossier."""
    return (LinkRole(role=FOOTAGE, word="Footage", targets=("rec",), least=least, stays=stays),)


# --- corrections ------------------------------------------------------------------------------------------------------
def corrected(turn: Turn) -> None:
    """Only what really changes is entered, with what stood there before: old -> new, who, why (R14).

    Raises:
        FormError: Something that stood there is changed and nobody says why.
    """
    before = turn.row
    changes = []
    for values, standing in ((turn.asked.facts, before.facts), (turn.asked.words, before.words)):
        for name in [one for one in values if one != "why"]:
            if values[name] == standing.get(name) or (values[name] is False and name not in standing):
                del values[name]
            elif standing.get(name) not in (None, ""):
                changes.append({"field": name, "before": _shown(standing[name]), "after": _shown(values[name])})
    if not any(name != "why" for name in (*turn.asked.facts, *turn.asked.words)):
        turn.refuse("nothing is changed by it")
    if changes and not turn.asked.words.get("why"):
        raise FormError({"why": MISSING})
    if changes or "correction" in before.words:
        turn.asked.words["correction"] = changes or None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_shown(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(str(text) for text in value.values() if text)
    return str(value)


# --- officers ---------------------------------------------------------------------------------------------------------
def two_officers(turn: Turn) -> None:
    """A second officer is named who is not the one who opens it (R16)."""
    second = turn.value("second_officer")
    if second is not None and second == turn.agent:
        raise FormError({"second_officer": NOT_THAT_KIND})


def officers_changed(turn: Turn) -> None:
    """Somebody leaves: enough must stay."""
    leaves = turn.asked.facts.get("leaves")
    joins = turn.asked.facts.get("joins")
    if leaves is None and joins is None:
        raise FormError({"joins": MISSING})
    if leaves is not None:
        if AgentId(leaves) not in turn.holders(OFFICER):
            raise FormError({"leaves": NOT_THAT_KIND})
        turn.asked.no_longer.append((OFFICER, AgentId(leaves)))


def handed_over(turn: Turn) -> None:
    """The new handler takes the part of the old one, who stays as an officer of the case."""
    new = AgentId(turn.asked.facts["new_handler"])
    for old in turn.holders(HANDLER):
        if old == new:
            raise FormError({"new_handler": NOT_THAT_KIND})
        turn.asked.no_longer.append((HANDLER, old))
        turn.asked.persons.append((OFFICER, old))


def officers_of(turn: Turn) -> set[AgentId]:
    """Everybody who handles it."""
    return {*turn.holders(HANDLER), *turn.holders(OFFICER)}


def require_two_officers(turn: Turn) -> None:
    """R16: at least two officers stand in the record."""
    if len(officers_of(turn)) < OFFICERS_LEAST:
        turn.refuse("a record takes at least two officers", todo="Name the second officer.")


# --- footage ----------------------------------------------------------------------------------------------------------
def footage_linked(turn: Turn) -> None:
    """New footage stands behind what is there; a duplicate brings the recording that keeps its bytes; nothing that is cleared.

    The rules of each recording are locked: a clearing that is executed now comes first and is told, or sees the case.
    """
    links = [one for one in turn.asked.links if one.role == FOOTAGE]
    known = {one.target for one in turn.asked.links if one.role == FOOTAGE} | {
        row.target for row in (turn.before.links.values() if turn.before is not None else ()) if row.role == FOOTAGE
    }
    for link in list(links):
        kept = turn.uow.recordings.get(RecordingId(link.target)).duplicate_of
        if kept is not None and kept not in known:
            known.add(kept)
            links.append(NewLink(role=FOOTAGE, target=kept, facts={"duplicate": link.target}))
    lock_rules(
        turn, [link.target for link in links] + [one.target for one in turn.asked.unlinks if one.role == FOOTAGE]
    )
    for link in links:
        if turn.uow.rules.of(RecordingId(link.target)).disposing_at is not None:
            raise StateConflictError(
                f"{link.target} is being cleared or was lawfully cleared", kept="Nothing was entered.",
                todo="Look at its page for the certificate.",
            )  # fmt: skip
    standing = {row.target: row for row in _standing(turn)}
    last = max((order_of(row) for row in standing.values()), default=0)
    others = [one for one in turn.asked.links if one.role != FOOTAGE]
    placed = []
    for link in links:
        if link.target in standing:
            continue
        last += 1
        placed.append(
            NewLink(role=FOOTAGE, target=link.target, facts={**link.facts, "order": str(last)}, words=link.words)
        )
    turn.asked.links[:] = [*others, *placed]
    _require_not_needed_by_clips(turn)


def lock_rules(turn: Turn, recordings: Iterable[str]) -> list[RecordingId]:
    """Lock what the rules say of recordings and of their side files: a clearing comes before this act, or sees it.

    Returns:
        All of them, in the order in which they were locked, which is the same for everybody.
    """
    wanted = {RecordingId(one) for one in recordings}
    wanted |= {side.id for side in turn.uow.recordings.attached_each(wanted)}
    for one in sorted(wanted):
        turn.uow.rules.lock(one)
    turn.uow.rules.mark_stale(sorted(wanted))
    return sorted(wanted)


def _require_not_needed_by_clips(turn: Turn) -> None:
    gone = {one.target for one in turn.asked.unlinks if one.role == FOOTAGE}
    if any(row.target in gone for row in turn.links(CLIP)):
        turn.refuse("clips of it stand in the case", todo="Take the clips out first.")


def footage_placed(turn: Turn) -> None:
    """One recording takes a place in the order; the others make room."""
    recording, place = turn.asked.facts.pop("recording"), int(turn.asked.facts.pop("place_number"))
    ordered = sorted(_standing(turn), key=order_of)
    moved = next((row for row in ordered if row.target == recording), None)
    if moved is None:
        raise FormError({"recording": NOT_THAT_KIND})
    ordered.remove(moved)
    if not 1 <= place <= len(ordered) + 1:
        raise FormError({"place_number": OUT_OF_RANGE})
    ordered.insert(place - 1, moved)
    for number, row in enumerate(ordered, 1):
        if order_of(row) != number:
            turn.asked.links.append(
                NewLink(role=FOOTAGE, target=row.target, key=row.key, facts={**row.facts, "order": str(number)})
            )


def _standing(turn: Turn) -> list[LinkRow]:
    links: Iterable[LinkRow] = turn.before.links.values() if turn.before is not None else ()
    gone = {one.target for one in turn.asked.unlinks if one.role == FOOTAGE}
    return [row for row in links if row.role == FOOTAGE and row.target not in gone]


def order_of(row: LinkRow) -> int:
    """Place of a link in its order; links without one come first."""
    text = row.facts.get("order", "")
    return int(text) if text.isdigit() else 0


def archive_footage(turn: Turn) -> None:
    """Effect: from here on the use of the footage and of its side files needs consent (R17)."""
    reason = "case" if turn.form.kind == CASE else "working-material"
    for recording in lock_rules(turn, [row.target for row in turn.links(FOOTAGE)]):
        rules = turn.uow.rules.of(recording)
        if rules.archived_at is not None or rules.disposing_at is not None:
            continue
        row = turn.uow.recordings.get(recording)
        event = RecordingArchived(
            actor=turn.agent or "", recording=recording, sha256=row.sha256.hex if row.sha256 is not None else "",
            reason=reason, at=to_text(turn.now.wall), matter=turn.matter,
        )  # fmt: skip
        recording_facts.say(turn.uow, turn.record, event)


def footage_stood_here(turn: Turn) -> None:
    """Effect of taking archived footage out: its timeline says that it stood in a case, so nothing clears it unseen (R10)."""
    reason = "case" if turn.form.kind == CASE else "working-material"
    for recording in sorted({RecordingId(one.target) for one in turn.asked.unlinks if one.role == FOOTAGE}):
        rules = turn.uow.rules.of(recording)
        if rules.archived_at is None or rules.disposing_at is not None:
            continue
        row = turn.uow.recordings.get(recording)
        event = RecordingArchived(
            actor=turn.agent or "", recording=recording, sha256=row.sha256.hex if row.sha256 is not None else "",
            reason=reason, at=to_text(turn.now.wall), matter=turn.matter,
        )  # fmt: skip
        recording_facts.say(turn.uow, turn.record, event)


# --- clips ------------------------------------------------------------------------------------------------------------
_CLOCK: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6})(?:[.,](\d{1,3}))?")


def clip_fields() -> tuple[Field, ...]:
    """What marks a clip; without an end it is a mark at one moment."""
    return (
        Field(name="recording", word="Recording", kind=FieldKind.RECORDING, required=True),
        Field(
            name="clip_from", word="From", personal=True, required=True, most=16,
            hint="Hours, minutes, seconds: 0:01:23.500, 1:23 or 83.5",
        ),
        Field(name="clip_to", word="To", personal=True, most=16, hint="Empty for a mark at one moment."),
        Field(name="clip_note", word="What it shows or proves", personal=True, most=400),
    )  # fmt: skip


def milliseconds(text: str) -> int:
    """A position in a recording as people write it; ValueError when it is none."""
    found = _CLOCK.fullmatch(text.strip().replace("：", ":"))
    if found is None:
        raise ValueError(f"{text!r} is no position")
    hours, minutes, seconds, fraction = found.groups()
    if (minutes is not None and int(seconds) > 59) or (hours is not None and int(minutes) > 59):
        raise ValueError(f"{text!r} is no position")
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds)
    return whole * 1000 + int((fraction or "0").ljust(3, "0"))


def clock_text(ms: int) -> str:
    """``0:01:23.500``."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def clip_marked(turn: Turn) -> None:
    """The clip lies inside of a recording of this case; it becomes a link of its own.

    Raises:
        FormError: Not a position, outside of the recording, or its end is not after its begin.
    """
    recording = turn.asked.facts.pop("recording")
    if all(row.target != recording for row in turn.links(FOOTAGE)):
        raise FormError({"recording": NOT_THAT_KIND})
    begin = _position(turn.asked.words.pop("clip_from"), "clip_from")
    end_text = turn.asked.words.pop("clip_to", None)
    end = _position(end_text, "clip_to") if end_text else begin
    row = turn.uow.recordings.get(RecordingId(recording))
    if row.duration_ms is None:
        turn.refuse("how long the recording is is not known yet", todo="Mark the clip when it was examined.")
    if begin > row.duration_ms:
        raise FormError({"clip_from": OUT_OF_RANGE})
    if end > row.duration_ms or (end_text and end <= begin):
        raise FormError({"clip_to": OUT_OF_RANGE})
    standing = turn.links(CLIP)
    if len(standing) >= CLIPS_MAX:
        turn.refuse("a case has at most {most} clips", most=CLIPS_MAX)
    number = 1 + max((int(one.key[1:]) for one in standing if one.key[1:].isdigit()), default=0)
    order = 1 + max((order_of(one) for one in standing), default=0)
    facts = {"in_ms": str(begin), "out_ms": str(end), "order": str(order)}
    note = turn.asked.words.pop("clip_note", "")
    turn.asked.links.append(NewLink(role=CLIP, target=recording, key=f"c{number}", facts=facts, words=note))


def _position(text: str, name: str) -> int:
    try:
        return milliseconds(text)
    except ValueError as error:
        raise FormError({name: NOT_THAT_KIND}) from error


def only_taken_out(turn: Turn) -> None:
    """This act takes clips out; clips are marked by another."""
    if turn.asked.links or not turn.asked.unlinks:
        raise FormError({CLIP: MISSING})


# --- periods ----------------------------------------------------------------------------------------------------------
def period_fields(*, default_word: str = "") -> tuple[Field, ...]:
    """How long the file is kept."""
    return (
        Field(name=ARCHIVE_PERIOD, word="Archive period", kind=FieldKind.CHOICE, choices=PERIODS, hint=default_word),
        Field(
            name="archive_months", word="Another period in months", kind=FieldKind.NUMBER, least=6, most=1200,
            hint="At least 6; stands before the choice.",
        ),
    )  # fmt: skip


def period_read(turn: Turn) -> None:
    """A period typed in months becomes the period of the file."""
    given = turn.asked.facts.pop("archive_months", None)
    if given is not None:
        turn.asked.facts[ARCHIVE_PERIOD] = f"months:{given}"


def period_needed(turn: Turn) -> None:
    """Nothing is closed without a period: its footage could never be due, or be due too early."""
    if not turn.value(ARCHIVE_PERIOD):
        raise FormError({ARCHIVE_PERIOD: MISSING})
