"""One matter as a printed document: what the form declares, in the reader's language, under the checkpoint of the log.

What the reader may not see is not in the document, and the document says so. The machine-readable data attached to it holds the
same and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from api.matters.names import Names, Sources, identities_in, names_for
from api.matters.showing import HistoryLine, Shower
from api.web.units import local_time, size_text
from catalogue.records import TimelineRow
from documents import (
    Block,
    Checkpoint,
    Fields,
    Heading,
    Paragraph,
    Printable,
    Signature,
    Signatures,
    Table,
)
from documents.words import Language
from evidence.clock import to_text
from evidence.ids import MatterId
from evidence.model import Actor
from matters.looking import MatterView

#: A long text takes the whole line of the frame.
_WIDE_CHARS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterSheet:
    """Everything a printed matter is made from.

    Attributes:
        view: The matter as the reader may see it.
        history: Its entries as the reader may read them.
        names: What identities are called.
        unit: Who issues the document.
        now: When it is printed.
        checkpoint: Of the log.
    """

    view: MatterView
    history: Sequence[TimelineRow]
    names: Names
    unit: str
    now: datetime
    checkpoint: Checkpoint | None


def sheet_of(
    sources: Sources, actor: Actor, matter: MatterId, *, now: datetime, checkpoint: Checkpoint | None
) -> MatterSheet:
    """What is printed of a matter for one reader, entered as handed out; raises as :meth:`matters.desk.MatterDesk.view`."""
    view = sources.matters.view(actor, matter)
    history = sources.matters.history(actor, matter)
    names = names_for(sources, actor, identities_in(view.form, [view.row], view.links))
    sources.matters.enter_copy(actor, view.form, f"print {view.form.kind} {view.row.number}")
    unit = names.units.get(view.row.unit or "", "") or sources.directory.bureau(now)
    return MatterSheet(view=view, history=history, names=names, unit=unit, now=now, checkpoint=checkpoint)


def printable_of(sheet: MatterSheet, language: Language) -> Printable:
    """The document of one matter."""
    view, row = sheet.view, sheet.view.row
    shower = Shower(sheet.names, language)
    blocks: list[Block] = [_head(sheet, shower), *_fields(sheet, shower)]
    hidden = shower.masked(view)
    if hidden:
        note = shower.say("Not shown to this reader: {fields}", fields=", ".join(hidden))
        blocks.append(Paragraph(note, style="note"))
    blocks += [
        *_links(sheet, shower),
        *_documents(sheet, shower),
        *_signatures(sheet, shower),
        *_history(shower.history(view.form, sheet.history), shower),
    ]
    return Printable(
        title=shower.say(view.form.word), number=row.number, unit=sheet.unit, printed_at=sheet.now,
        checkpoint=sheet.checkpoint, blocks=blocks, lang=language, subtitle=shower.title(view.form, row),
        data=matter_data(view, sheet.history),
    )  # fmt: skip


def _head(sheet: MatterSheet, shower: Shower) -> Block:
    row, form = sheet.view.row, sheet.view.form
    rows: list[tuple[str, Any]] = [
        (shower.say("Number"), row.number), (shower.say("State"), shower.say(form.state(row.state).word)),
        (shower.say("Unit"), sheet.names.name(row.unit) if row.unit else "—"), (shower.say("Begun"), row.opened_at),
    ]  # fmt: skip
    if row.due_at is not None:
        rows.append((shower.say("Deadline"), row.due_at))
    if row.closed_at is not None:
        rows.append((shower.say("Ended"), row.closed_at))
    if row.opened_by:
        rows.append((shower.say("Opened by"), sheet.names.name(row.opened_by)))
    rows += [(shower.part(form, one.role), sheet.names.name(one.agent)) for one in sheet.view.persons]
    return Fields(rows, columns=2)


def _fields(sheet: MatterSheet, shower: Shower) -> list[Block]:
    shown = shower.fields(sheet.view.form, sheet.view.row.facts, sheet.view.row.words)
    plain = [one for one in shown if not one.head]
    blocks: list[Block] = []
    if plain:
        wide = [one.label for one in plain if len(one.text) > _WIDE_CHARS or "\n" in one.text]
        blocks.append(Fields([(one.label, one.text) for one in plain], columns=2, wide=wide))
    for one in shown:
        if one.head:
            blocks += [Heading(one.label), Table(list(one.head), [list(cells) for cells in one.rows])]
    return blocks


def _links(sheet: MatterSheet, shower: Shower) -> list[Block]:
    view = sheet.view
    if not view.links:
        return []
    rows = [
        [
            shower.link_role(view.form, link.role), sheet.names.name(link.target),
            link.target if sheet.names.known(link.target) else "", shower.link_text(view.form, view.row, link),
        ]
        for link in view.links
    ]  # fmt: skip
    head = [shower.say("Link"), shower.say("What is linked"), shower.say("Identity"), shower.say("Remark")]
    return [Heading(shower.say("Linked")), Table(head, rows, [2, 4, 4, 3])]


def _documents(sheet: MatterSheet, shower: Shower) -> list[Block]:
    form = sheet.view.form
    if not sheet.view.documents:
        return []
    rows = [
        [
            shower.say(form.documents.get(one.role, one.role)), one.name, size_text(one.size_bytes), one.sha256.hex,
            local_time(one.filed_at),
        ]
        for one in sheet.view.documents
    ]  # fmt: skip
    head = [shower.say("Document"), shower.say("File name"), shower.say("Size"), "SHA-256", shower.say("Filed")]
    return [Heading(shower.say("Documents")), Table(head, rows, [2, 3, 1.3, 4, 2])]


def _signatures(sheet: MatterSheet, shower: Shower) -> list[Block]:
    """Lines to sign, as the form declares them; a part that nobody has leaves its line for a name."""
    view = sheet.view
    lines = []
    for part, word in view.form.signed_by.items():
        names = [sheet.names.name(one.agent) for one in view.persons if one.role == part]
        names = names or [str(view.row.words.get(part, ""))]
        lines += [Signature(role=shower.say(word), name=name) for name in names]
    return [Signatures(lines)] if lines else []


def _history(lines: Sequence[HistoryLine], shower: Shower) -> list[Block]:
    rows = [
        [
            local_time(line.entry.at), line.who, line.what, line.state,
            "\n".join(f"{one.label}: {one.text}" if one.label else one.text for one in line.told),
        ]
        for line in lines
    ]  # fmt: skip
    head = [
        shower.say("When"),
        shower.say("Who"),
        shower.say("Act"),
        shower.say("State"),
        shower.say("What was entered"),
    ]
    return [Heading(shower.say("History")), Table(head, rows, [2, 1.5, 2, 1.5, 5])]


def matter_data(view: MatterView, history: Sequence[TimelineRow]) -> Mapping[str, Any]:
    """The same for machines: identities instead of names."""
    row = view.row
    return {
        "id": row.id, "kind": row.kind, "number": row.number, "state": row.state, "unit": row.unit,
        "opened_by": row.opened_by, "opened_at": row.opened_at, "closed_at": row.closed_at, "due_at": row.due_at,
        "version": row.version, "facts": dict(row.facts), "words": dict(row.words), "not_shown": sorted(view.masked),
        "persons": [{"role": one.role, "agent": one.agent, "since": one.since} for one in view.persons],
        "links": [
            {"role": one.role, "target": one.target, "key": one.key, "facts": dict(one.facts)} for one in view.links
        ],
        "documents": [
            {
                "id": one.id, "role": one.role, "name": one.name, "sha256": one.sha256.hex, "size_bytes": one.size_bytes,
                "media_type": one.media_type, "filed_by": one.filed_by, "filed_at": one.filed_at,
            }
            for one in view.documents
        ],
        "history": [_entry(one) for one in history],
    }  # fmt: skip


def _entry(entry: TimelineRow) -> dict[str, Any]:
    told = asdict(entry)
    told["at"] = to_text(entry.at)
    return told
