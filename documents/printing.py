"""From a :class:`Printable` to the bytes of its PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from documents.blocks import (
    Attachment,
    Block,
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Listing,
    PageBreak,
    Paragraph,
    Picture,
    Pictures,
    Printable,
    QrCode,
    Signatures,
    Table,
)
from documents.glyphs import FONT_FOLDER, showable
from documents.intake import Kind, kind_of
from documents.qr import qr_svg
from documents.typeset import typeset
from documents.values import Value, attached_json, text_of
from documents.words import Language, words
from evidence.errors import InvalidInputError, LimitExceededError

#: Rows of one table on paper (some 700 pages of a register); beyond it only the spreadsheet is of use.
TABLE_ROWS_MAX: Final = 20_000
#: Up to here a table carries its structure for reading software; in longer ones it would be nine tenths of the file.
_TAGGED_ROWS_MAX: Final = 1_000
#: The attached file every document has.
DATA_NAME: Final = "data.json"
_PICTURES: Final = {Kind.JPEG: "jpg", Kind.PNG: "png"}


class _Files:
    """Files that the template reads, under names of ours."""

    def __init__(self) -> None:
        self.by_name: dict[str, bytes] = {}

    def add(self, data: bytes, suffix: str) -> str:
        name = f"f{len(self.by_name)}.{suffix}"
        self.by_name[name] = data
        return name

    def picture(self, picture: Picture) -> dict[str, Any]:
        suffix = _PICTURES.get(kind_of(picture.data[:4096]))
        if suffix is None:
            raise InvalidInputError(
                f"a picture of the document is neither JPEG nor PNG ({showable(picture.caption)})",
                kept="Nothing was printed.",
            )
        name = self.add(picture.data, suffix)
        return {"kind": "picture", "file": name, "caption": showable(picture.caption), "height": picture.height_mm}


def _table(block: Table, lang: Language) -> dict[str, Any]:
    columns = len(block.head)
    if not columns or any(len(row) != columns for row in block.rows) or len(block.widths) not in {0, columns}:
        raise InvalidInputError("every row of a printed table has as many values as its head")
    if len(block.rows) > TABLE_ROWS_MAX:
        raise LimitExceededError(
            f"{len(block.rows)} rows are more than the {TABLE_ROWS_MAX} that can be printed", kept="Nothing was printed.",
            todo="Narrow the period or take the spreadsheet instead.",
        )  # fmt: skip
    numbered = bool(block.numbered)
    lead = [block.numbered] if numbered else []
    rows = [
        [*([str(place)] if numbered else []), *(text_of(value, lang) for value in row)]
        for place, row in enumerate(block.rows, start=1)
    ]
    right = [bool(block.rows) and all(_is_number(row[column]) for row in block.rows) for column in range(columns)]
    return {
        "kind": "table", "head": [showable(title) for title in (*lead, *block.head)], "rows": rows,
        "widths": [*([0] if numbered else []), *(block.widths or [1] * columns)],
        "right": [*([True] if numbered else []), *right], "caption": showable(block.caption),
    }  # fmt: skip


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _signatures(block: Signatures, lang: Language) -> dict[str, Any]:
    lines = [
        {
            "role": showable(line.role), "name": showable(line.name), "detail": showable(line.detail),
            "signed": text_of(line.signed_at, lang),
        }
        for line in block.lines
    ]  # fmt: skip
    return {"kind": "signatures", "lines": lines, "columns": block.columns, "title": showable(block.title)}


def _block(block: Block, lang: Language, files: _Files) -> dict[str, Any]:  # noqa: C901, PLR0911 - one case a kind
    match block:
        case Heading():
            return {"kind": "heading", "text": showable(block.text)}
        case Paragraph():
            return {"kind": "paragraph", "text": showable(block.text), "style": block.style}
        case Fields():
            rows = [[showable(label), text_of(value, lang), label in block.wide] for label, value in block.rows]
            return {"kind": "fields", "rows": rows, "columns": block.columns}
        case Table():
            return _table(block, lang)
        case Listing():
            return {"kind": "listing", "items": [showable(item) for item in block.items]}
        case Digest():
            return {"kind": "digest", "label": showable(block.label), "value": showable(block.value)}
        case Choices():
            options = [[showable(option), option in block.ticked] for option in block.options]
            return {"kind": "choices", "label": showable(block.label), "options": options, "lines": block.lines}
        case Picture():
            return files.picture(block)
        case Pictures():
            pictures = [files.picture(picture) for picture in block.pictures]
            return {"kind": "pictures", "pictures": pictures, "columns": block.columns}
        case Signatures():
            return _signatures(block, lang)
        case QrCode():
            name = files.add(qr_svg(block.text), "svg")
            return {"kind": "qr", "file": name, "caption": showable(block.caption or block.text), "size": block.size_mm}
        case PageBreak():
            return {"kind": "pagebreak"}


def checkpoint_text(checkpoint: Checkpoint | None, lang: Language) -> dict[str, Any]:
    """The checkpoint as every template's foot prints it."""
    if checkpoint is None:
        return {}
    return {
        "origin": showable(checkpoint.origin), "size": checkpoint.size, "root": showable(checkpoint.root),
        "time": text_of(checkpoint.time, lang),
    }  # fmt: skip


def checkpoint_data(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """The checkpoint as attached data."""
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root, "time": checkpoint.time,
    }  # fmt: skip


def _content(value: object) -> object:
    """A block as attached data: its fields, pictures by caption only."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {name.name: _content(getattr(value, name.name)) for name in fields(value) if name.name != "data"}
        return {"kind": type(value).__name__.lower(), **kept}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_content(part) for part in value]
    return value


def data_file(printable: Printable) -> bytes:
    """The attached ``data.json``: head, checkpoint, and the caller's data or the blocks' own values."""
    head = {
        "format": "liuhen-document/1", "title": printable.title, "number": printable.number, "unit": printable.unit,
        "lang": printable.lang, "printed_at": printable.printed_at, "checkpoint": checkpoint_data(printable.checkpoint),
    }  # fmt: skip
    if printable.data is not None:
        return attached_json({**head, "data": printable.data})
    return attached_json({**head, "blocks": [_content(block) for block in printable.blocks]})


def attach(files: dict[str, bytes], attachments: Sequence[Attachment]) -> list[dict[str, str]]:
    """Lay attachments among the template's files.

    Raises:
        InvalidInputError: Two have one name, or one has a name that is no plain file name.
    """
    rows: list[dict[str, str]] = []
    for attachment in attachments:
        if "/" in attachment.name or not attachment.name.strip(". ") or any(r["name"] == attachment.name for r in rows):
            raise InvalidInputError(f"an attachment cannot be called {showable(attachment.name)!r}")
        file = f"attached{len(rows)}.bin"
        files[file] = attachment.data
        rows.append(
            {"file": file, "name": attachment.name, "mime": attachment.mime_type, "description": attachment.description}
        )
    return rows


def print_document(printable: Printable, *, fonts: Path = FONT_FOLDER) -> bytes:
    """The document as PDF/A-3b with its data attached. Safe from any thread; the same document gives the same bytes.

    Raises:
        ConfigError: The fonts are not installed.
        InvalidInputError: A table's rows differ in length, a picture is damaged, the data has no JSON form.
        LimitExceededError: More than a document carries.
    """
    lang = printable.lang
    files = _Files()
    blocks = [_block(block, lang, files) for block in printable.blocks]
    data = Attachment(DATA_NAME, data_file(printable), "application/json", words(lang)["attached"])
    attachments = attach(files.by_name, (data, *printable.attachments))
    head = {
        "lang": lang, "words": words(lang), "title": showable(printable.title), "subtitle": showable(printable.subtitle),
        "number": showable(printable.number), "unit": showable(printable.unit), "mark": showable(printable.mark),
        "printed": text_of(printable.printed_at, lang), "landscape": printable.landscape,
        "checkpoint": checkpoint_text(printable.checkpoint, lang), "attachments": attachments, "blocks": blocks,
    }  # fmt: skip
    rows = sum(len(block.rows) for block in printable.blocks if isinstance(block, Table))
    tags = rows <= _TAGGED_ROWS_MAX
    return typeset("document.typ", head, at=printable.printed_at, files=files.by_name, tags=tags, fonts=fonts)
