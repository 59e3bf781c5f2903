"""Papers of a dossier: cover, contents list (卷内目录), and the fixation record for signature. Data in, :class:`Printable` out.

What the reader may not know of is not named; a still that the reader may not watch is left out, and the paper says so.

Source: RULES R15, R16; docs/cases.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from api.matters.names import Names
from api.matters.showing import Shower
from api.web.dossier_words import KIND_WORDS
from api.web.units import local_time, size_text
from cases import dossier_parts, fixation
from cases.dossiers import Dossier, Piece
from catalogue.records import RecordingRow
from documents import (
    Block,
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Paragraph,
    Picture,
    Pictures,
    Printable,
    Signature,
    Signatures,
    Table,
)
from documents.covers import VolumeCover
from documents.values import Value
from documents.words import Language
from evidence.clock import from_text, to_text
from matters.looking import MatterView

#: Sources of a recording's time that were corrected by the offset measured at docking.
_CORRECTED: Final = "name-corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every paper of a reader has in common.

    Attributes:
        names: What identities are called.
        language: Of its words.
        unit: Who issues it.
        now: When it is printed.
        checkpoint: Of the log.
        numbers: Identity of a person -> number of their card, for who signs.
    """

    names: Names
    language: Language
    unit: str
    now: datetime
    checkpoint: Checkpoint | None
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def shower(self) -> Shower:
        """Values in the reader's language."""
        return Shower(self.names, self.language)


# --- the case ---------------------------------------------------------------------------------------------------------
def cover_of(dossier: Dossier, frame: Frame) -> VolumeCover:
    """The cover of a case's volume."""
    view, shower = dossier.view, frame.shower
    row, say = view.row, shower.say
    values = {**row.facts, **row.words}
    officers = [frame.names.name(one.agent) for one in view.persons if one.role in ("handler", "officer")]
    parties = "；".join(str(one.get("name", "")) for one in values.get("parties") or [])
    shown = {one.name: one.text for one in shower.fields(view.form, row.facts, row.words)}
    rows: list[tuple[str, Any]] = [
        (say("Name of the case"), shown.get("title", "")), (say("Parties"), parties),
        (say("Cause of action"), shown.get("cause", "")),
        (say("Number in the bureau's own files"), shown.get("file_number", "")),
        (say("Officer"), "、".join(dict.fromkeys(officers))), (say("Opened"), row.opened_at),
        (say("Time of closing"), row.closed_at),
        (say("Result"), shown.get("result", "")), (say("Archive period"), period_text(values, shower)),
        (say("Documents"), len(dossier.papers)), (say("Recordings"), len(dossier.pieces)),
        (say("Pages on paper"), values.get("pages")),
    ]  # fmt: skip
    return VolumeCover(
        title=say(view.form.word), unit=frame.unit, printed_at=frame.now, checkpoint=frame.checkpoint,
        number=str(values.get(dossier_parts.ARCHIVE_NUMBER) or row.number), lang=frame.language, rows=rows,
        codes=[
            (say("Fonds number"), str(values.get("fonds", ""))),
            (say("Catalogue number"), str(values.get("catalogue_number", ""))),
            (say("Volume number"), str(values.get("volume_number", ""))),
        ],
        data={"number": row.number, "kind": row.kind, "rows": [[label, value] for label, value in rows]},
    )  # fmt: skip


def period_text(values: Mapping[str, Any], shower: Shower) -> str:
    """The archive period as people say it."""
    code = str(values.get(dossier_parts.ARCHIVE_PERIOD) or "")
    word = next((one.word for one in dossier_parts.PERIODS if one.code == code), "")
    if word:
        return shower.say(word)
    return shower.say("{count} months", count=code.partition(":")[2]) if code.startswith("months:") else code


def contents_of(dossier: Dossier, frame: Frame) -> Printable:
    """The contents list: documents in the order of the volumes, then footage with its clips."""
    view, shower = dossier.view, frame.shower
    row, say = view.row, shower.say
    words = {**dossier_parts.MAIN_VOLUME, **dossier_parts.SECOND_VOLUME, **fixation.FORM.documents}
    papers = [
        [
            say(words.get(paper.role, paper.role)), matter.number, paper.name, frame.names.name(paper.filed_by or ""),
            local_time(paper.filed_at, seconds=False), say("Second volume") if paper.role in dossier_parts.SECOND_VOLUME else "",
        ]
        for matter, paper in dossier.papers
    ]  # fmt: skip
    blocks: list[Block] = [
        Fields([(say("Number"), row.number), (say("Name of the case"), shower.title(view.form, row))], columns=2),
        Heading(say("Documents")),
        Table(
            [say("Title"), say("Number"), say("File name"), say("Responsible"), say("Filed"), say("Note")], papers,
            [3, 1.6, 3, 1.5, 2, 1.3], numbered=say("No."),
        ),
        Heading(say("Footage")), *_footage_table(dossier.pieces, frame), *_clip_table(dossier, frame),
    ]  # fmt: skip
    return Printable(
        title=say("Contents list"), number=str(row.facts.get(dossier_parts.ARCHIVE_NUMBER) or row.number), unit=frame.unit,
        printed_at=frame.now, checkpoint=frame.checkpoint, blocks=blocks, lang=frame.language,
        subtitle=shower.title(view.form, row), data=_contents_data(dossier),
    )  # fmt: skip


def _contents_data(dossier: Dossier) -> Mapping[str, Any]:
    return {
        "number": dossier.view.row.number, "kind": dossier.view.row.kind,
        "documents": [
            {"matter": matter.number, "role": one.role, "name": one.name, "sha256": one.sha256.hex, "size_bytes": one.size_bytes}
            for matter, one in dossier.papers
        ],
        "footage": [
            {
                "number": piece.number, "recording": piece.recording, "fixed_by": piece.fixed,
                "sha256": piece.row.sha256.hex if piece.row is not None and piece.row.sha256 is not None else "",
                "clips": [{"key": clip.key, **clip.facts} for clip in piece.clips],
            }
            for piece in dossier.pieces
        ],
    }  # fmt: skip


def _footage_table(pieces: Sequence[Piece], frame: Frame) -> list[Block]:
    say = frame.shower.say
    rows: list[list[Value]] = []
    for piece in pieces:
        row = piece.row
        if row is None:
            rows.append([piece.number, piece.recording, "", "", "", "", piece.fixed])
            continue
        rows.append([
            piece.number, row.name, say(KIND_WORDS[row.kind]) if row.kind in KIND_WORDS else row.kind.value,
            local_time(row.started_at or row.discovered_at), length_text(row), size_text(row.size_bytes), piece.fixed,
        ])  # fmt: skip
    head = [
        say("No."),
        say("File name"),
        say("Kind"),
        say("Begin of recording"),
        say("Length"),
        say("Size"),
        say("Fixed in"),
    ]
    return [Table(head, rows, [0.6, 4, 1.2, 2.6, 1.6, 1.4, 1.8])]


def _clip_table(dossier: Dossier, frame: Frame) -> list[Block]:
    say, words = frame.shower.say, dossier.view.row.words
    rows: list[list[Value]] = [
        [
            piece.number, clip.key, dossier_parts.clock_text(int(clip.facts["in_ms"])),
            dossier_parts.clock_text(int(clip.facts["out_ms"])), str(words.get(f"link:clip:{clip.target}:{clip.key}", "")),
        ]
        for piece in dossier.pieces for clip in piece.clips
    ]  # fmt: skip
    if not rows:
        return []
    head = [say("Recording"), say("Clip"), say("From"), say("To"), say("What it shows or proves")]
    return [Heading(say("Clips")), Table(head, rows, [1, 1, 2, 2, 6])]


def length_text(row: RecordingRow) -> str:
    """``0:12:05``; empty where nobody knows."""
    return dossier_parts.clock_text(row.duration_ms).partition(".")[0] if row.duration_ms is not None else ""


# --- the fixation record ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A recording on a fixation record.

    Attributes:
        number: Its place in the list.
        row: Its facts.
        kept: The recording that keeps its bytes: another one for a duplicate.
        offset_ms: How far the recorder's clock was off at docking; None where it was not read.
        stores: Where copies lie.
        still: A JPEG or PNG; empty for none.
    """

    number: int
    row: RecordingRow
    kept: RecordingRow
    offset_ms: int | None = None
    stores: Sequence[str] = ()
    still: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixationSheet:
    """Everything a fixation record is printed from.

    Attributes:
        view: The record as the reader may see it.
        case: Number and name of its case.
        parties: Of the case.
        files: Its list in order.
        hidden: How many recordings of the list the reader may not know of.
        stills_hidden: How many stills the reader may not see.
    """

    view: MatterView
    case: tuple[str, str]
    parties: Sequence[str]
    files: Sequence[Fixed]
    hidden: int = 0
    stills_hidden: int = 0


def fixation_of(sheet: FixationSheet, frame: Frame) -> Printable:
    """The record for signature; a draft is marked as one."""
    view, shower = sheet.view, frame.shower
    row, say = view.row, shower.say
    values = {**row.facts, **row.words}
    shown = {one.name: one.text for one in shower.fields(view.form, row.facts, row.words)}
    told = {str(one.get("number")): one for one in values.get("contents") or []}
    wide = [say("What it proves"), say("Course of making"), say("Parties"), say("How it was made")]
    blocks: list[Block] = [
        Fields(
            [
                (say("Case"), " ".join(sheet.case)), (say("What is fixed"), shown.get("object", "")),
                (say("Parties"), "；".join(sheet.parties)), (say("Place"), shown.get("place", "")),
                (say("Time of making"), from_text(values["made_at"]) if values.get("made_at") else None),
                (say("Maker"), "、".join(frame.names.name(one.agent) for one in view.persons if one.role == fixation.MAKER)),
                (say("How it was made"), shown.get("method", "")), (say("Course of making"), shown.get("process", "")),
                (say("What it proves"), shown.get("proves", "")),
            ],
            columns=2, wide=wide,
        ),
        Heading(say("File list")), *_file_table(sheet.files, frame),
        *(_file_details(one, told.get(str(one.number), {}), frame) for one in sheet.files),
    ]  # fmt: skip
    if sheet.hidden:
        blocks.append(
            Paragraph(say("{count} further recordings are not shown to this reader.", count=sheet.hidden), "warning")
        )
    if values.get("list_sha256"):
        blocks.append(Digest(say("Digest of the list"), str(values["list_sha256"])))
    stills = [Picture(one.still, f"{one.number}. {one.row.name}", 45) for one in sheet.files if one.still]
    if stills:
        blocks += [Heading(say("Stills")), Pictures(stills, 3)]
    if sheet.stills_hidden:
        blocks.append(Paragraph(say("{count} stills are not shown to this reader.", count=sheet.stills_hidden), "note"))
    blocks += _confirmation(values, shown, sheet, frame)
    return Printable(
        title=say(view.form.word), number=row.number, unit=frame.unit, printed_at=frame.now, checkpoint=frame.checkpoint,
        blocks=blocks, lang=frame.language, mark=say("Draft record") if row.state == "draft" else "", data=_fixation_data(sheet),
    )  # fmt: skip


def _file_table(files: Sequence[Fixed], frame: Frame) -> list[Block]:
    say = frame.shower.say
    rows: list[list[Value]] = [
        [
            one.number, one.row.name, frame.names.name(one.row.device), local_time(one.row.started_at or one.row.discovered_at),
            length_text(one.kept), one.kept.size_bytes,
        ]
        for one in files
    ]  # fmt: skip
    head = [say("No."), say("File name"), say("Recorder"), say("Begin of recording"), say("Length"), say("Bytes")]
    return [Table(head, rows, [0.6, 4.4, 2, 2.6, 1.4, 1.8])]


def _file_details(one: Fixed, told: Mapping[str, str], frame: Frame) -> Block:
    say, row = frame.shower.say, one.row
    clock = say("not read") if one.offset_ms is None else f"{one.offset_ms / 1000:+.1f} s"
    if row.started_source == _CORRECTED:
        clock += f" ({say('corrected')})"
    lines: list[tuple[str, Any]] = [
        (say("No."), f"{one.number}. {row.name}"),
        ("SHA-256", one.kept.sha256.hex if one.kept.sha256 is not None else ""),
        ("SM3", one.kept.sm3.hex if one.kept.sm3 is not None else ""),
        (say("Clock offset at docking"), clock), (say("End of recording"), row.ended_at), (say("Kept in"), "、".join(one.stores)),
        (say("What is seen and heard"), told.get("summary", "")), (say("What it proves"), told.get("proves", "")),
        (say("Words spoken"), told.get("words", "")),
    ]  # fmt: skip
    return Fields([(label, value) for label, value in lines if value not in ("", None)])


def _confirmation(
    values: Mapping[str, Any], shown: Mapping[str, str], sheet: FixationSheet, frame: Frame
) -> list[Block]:
    shower = frame.shower
    say = shower.say
    outcomes = [say(one.word) for one in fixation.OUTCOMES]
    ticked = [shown["outcome"]] if values.get("outcome") else []
    blocks: list[Block] = [
        Heading(say("Confirmation")),
        Choices(say("Opinion of the party"), outcomes, ticked, lines=0 if values.get("outcome_why") else 2),
    ]  # fmt: skip
    if values.get("outcome_why"):
        blocks.append(Paragraph(f"{say('Objection or reason')}: {values['outcome_why']}", "plain"))
    witness = str(values.get("witness_name") or "")
    if values.get("witness") == "none":
        why = values.get("no_witness_why", "")
        blocks.append(Paragraph(f"{say('No witness')}: {why}", "plain"))
    officers = [values.get("first_officer"), values.get("second_officer")]
    lines = [
        Signature(say("Officer"), frame.names.name(str(one)), frame.numbers.get(str(one), "")) for one in officers if one
    ]  # fmt: skip
    lines += [Signature(say("Party"), name) for name in sheet.parties[:6] or [""]]
    if values.get("witness") != "none":
        lines.append(Signature(say("Witness (person)"), witness))
    blocks.append(Signatures(lines, 2, say("Signatures")))
    return blocks


def _fixation_data(sheet: FixationSheet) -> Mapping[str, Any]:
    row = sheet.view.row
    return {
        "number": row.number, "state": row.state, "facts": dict(row.facts), "words": dict(row.words), "case": list(sheet.case),
        "files": [
            {
                "number": one.number, "recording": one.row.id, "name": one.row.name, "device": one.row.device,
                "sha256": one.kept.sha256.hex if one.kept.sha256 is not None else "",
                "sm3": one.kept.sm3.hex if one.kept.sm3 is not None else "", "size_bytes": one.kept.size_bytes,
                "duration_ms": one.kept.duration_ms, "started_at": to_text(one.row.started_at) if one.row.started_at else "",
                "ended_at": to_text(one.row.ended_at) if one.row.ended_at else "", "clock_offset_ms": one.offset_ms,
            }
            for one in sheet.files
        ],
    }  # fmt: skip
