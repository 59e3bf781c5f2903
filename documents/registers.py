"""Registers: rows under fixed columns as CSV, XLSX and a printed landscape PDF.

CSV is UTF-8 with a byte order mark (spreadsheet programs then read Chinese right) and follows RFC 4180. XLSX holds typed
numbers, days and times, a frozen head and a second sheet that says what it is. In both, a text that a spreadsheet would run as
a formula stays a text. The same register gives the same bytes.

Times are printed and written as Beijing wall time; the second sheet and the printed head say so.

Source: RULES R12, R17, R20; RFC 4180; ECMA-376 (18.3 cells, 22.9.2.19 escaped characters).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from documents.blocks import Block, Checkpoint, Printable, Signatures, Table
from documents.printing import print_document
from documents.values import Value, local_time, text_of
from documents.words import Language, words
from evidence.errors import InvalidInputError, LimitExceededError

#: What one sheet of a spreadsheet can hold, less the head.
SHEET_ROWS_MAX: Final = 1_048_575
_CELL_CHARS_MAX: Final = 32_767
#: Spreadsheets keep 15 digits; a longer number is written as text rather than changed.
_EXACT_MAX: Final = 999_999_999_999_999
_FORMULA: Final = re.compile(r"^[\s\u3000]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_ESCAPE_LIKE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_MODIFIED: Final = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, and its relative width (characters in a spreadsheet, share of the line on paper)."""

    title: str
    width: float = 16


@dataclass(frozen=True, slots=True)
class Register:
    """Rows under columns, with what the head says.

    Attributes:
        rows: As many values each as there are columns. Any iterable for CSV and XLSX, which stream it once.
        signatures: Printed below the table (who keeps the register, who checked it).
        numbered: Title of a leading running number; "" for none.
    """

    title: str
    unit: str
    printed_at: datetime
    checkpoint: Checkpoint | None
    columns: Sequence[Column]
    rows: Iterable[Sequence[Value]]
    number: str = ""
    subtitle: str = ""
    lang: Language = "zh-CN"
    numbered: str = ""
    signatures: Signatures | None = None


def _rows(register: Register) -> Iterator[list[Value]]:
    columns = len(register.columns)
    for place, row in enumerate(register.rows, start=1):
        if len(row) != columns:
            raise InvalidInputError(f"row {place} of the register has {len(row)} values for {columns} columns")
        yield [*([place] if register.numbered else []), *row]


def _titles(register: Register) -> list[str]:
    return [*([register.numbered] if register.numbered else []), *(column.title for column in register.columns)]


def _visible(text: str) -> str:
    """Characters that neither XML nor a reader can carry, as their code."""
    return _NOT_XML.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def _csv_text(value: Value, lang: Language) -> str:
    if isinstance(value, datetime | date) or value is None or isinstance(value, bool):
        return text_of(value, lang)
    text = _visible(str(getattr(value, "value", value)))
    if not isinstance(value, int | float | Decimal) and _FORMULA.search(text):
        return f"'{text}"
    return text


def csv_chunks(register: Register) -> Iterator[bytes]:
    """The register as CSV, a piece at a time; a million rows need no memory.

    Raises:
        InvalidInputError: A row has not as many values as there are columns.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    out.write("\ufeff")
    writer.writerow([_csv_text(title, register.lang) for title in _titles(register)])
    for row in _rows(register):
        writer.writerow([_csv_text(value, register.lang) for value in row])
        if out.tell() > 1 << 16:
            yield out.getvalue().encode("utf-8")
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode("utf-8")


def to_csv(register: Register) -> bytes:
    """The register as one CSV file."""
    return b"".join(csv_chunks(register))


def _cell(sheet: Any, value: Value, lang: Language) -> Any:
    if isinstance(value, datetime):
        cell = WriteOnlyCell(sheet, local_time(value).replace(tzinfo=None))
        cell.number_format = "yyyy-mm-dd hh:mm:ss"
        return cell
    if isinstance(value, date):
        cell = WriteOnlyCell(sheet, value)
        cell.number_format = "yyyy-mm-dd"
        return cell
    if isinstance(value, bool) or value is None:
        return text_of(value, lang) or None
    if isinstance(value, int | float | Decimal) and -_EXACT_MAX <= value <= _EXACT_MAX:
        return value
    text = _ESCAPE_LIKE.sub("_x005F_", _visible(str(getattr(value, "value", value))))
    if len(text) > _CELL_CHARS_MAX:
        text = f"{text[: _CELL_CHARS_MAX - 20]}… (+{len(text) - _CELL_CHARS_MAX + 20})"
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"  # else a text that begins with "=" would be a formula
    if _FORMULA.search(text):
        cell.quotePrefix = True  # and stays a text when a person edits the cell
    return cell


def _head(sheet: Any, titles: Sequence[str]) -> list[Any]:
    cells = []
    for title in titles:
        cell = WriteOnlyCell(sheet, _visible(title))
        cell.data_type = "s"
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", start_color="FFEEF2F4")
        cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        cells.append(cell)
    return cells


def _about(register: Register, sheet: Any) -> None:
    word = words(register.lang)
    point = register.checkpoint
    root = word["none"] if point is None else f"{point.origin} {point.size} {point.root}"
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 22, 90
    pairs: list[tuple[str, Value]] = [
        (register.title, register.subtitle), (word["number"], register.number), (word["unit"], register.unit),
        (word["printed"], register.printed_at), (word["checkpoint"], root), ("", word["zone"]),
    ]  # fmt: skip
    for pair in pairs:
        sheet.append([_cell(sheet, value, register.lang) for value in pair])


def _settled(raw: bytes, at: datetime) -> bytes:
    """The same workbook without the moment of saving in it."""
    stamp = local_time(at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode("ascii")
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = _MODIFIED.sub(rb"\g<1>" + stamp, content)
            target.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _fill(sheet: Any, register: Register) -> int:
    count = 0
    sheet.append(_head(sheet, _titles(register)))
    for count, row in enumerate(_rows(register), start=1):
        if count > SHEET_ROWS_MAX:
            raise LimitExceededError(
                f"a sheet holds {SHEET_ROWS_MAX} rows",
                kept="Nothing was written.",
                todo="Narrow the period or take CSV.",
            )
        sheet.append([_cell(sheet, value, register.lang) for value in row])
    return count


def to_xlsx(register: Register) -> bytes:
    """The register as a workbook: one sheet of rows with a frozen head and a filter, one that says what it is.

    Raises:
        InvalidInputError: A row has not as many values as there are columns. LimitExceededError: More rows than a sheet holds.
    """
    book = Workbook(write_only=True)
    book.properties.title, book.properties.creator = _visible(register.title), _visible(register.unit)
    sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", _visible(register.title))[:31].strip("' ") or "1")
    sheet.freeze_panes = "A2"
    widths = [*([6] if register.numbered else []), *(column.width for column in register.columns)]
    for place, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = max(6, width)
    try:
        count = _fill(sheet, register)
        if widths:
            sheet.auto_filter.ref = f"A1:{get_column_letter(len(widths))}{count + 1}"
        _about(register, book.create_sheet("说明" if register.lang == "zh-CN" else "About"))
    finally:
        out = io.BytesIO()
        book.save(out)  # after an error too: it removes the library's temporary files
    return _settled(out.getvalue(), register.printed_at)


def to_printable(register: Register) -> Printable:
    """The register as a landscape document; its attached data holds the rows."""
    rows = [list(row) for row in register.rows]
    table = Table(
        [column.title for column in register.columns], rows, [column.width for column in register.columns],
        numbered=register.numbered,
    )  # fmt: skip
    blocks: list[Block] = [table, *([register.signatures] if register.signatures else [])]
    return Printable(
        title=register.title, unit=register.unit, printed_at=register.printed_at, checkpoint=register.checkpoint,
        number=register.number, subtitle=register.subtitle, lang=register.lang, landscape=True, blocks=blocks,
        data={"columns": list(table.head), "rows": rows},
    )  # fmt: skip


def to_pdf(register: Register) -> bytes:
    """The register printed (A4 landscape, head repeated on each page).

    Raises:
        As :func:`documents.print_document`.
    """
    return print_document(to_printable(register))
