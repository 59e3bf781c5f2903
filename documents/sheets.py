"""Reads the rows of an uploaded CSV or XLSX file: texts by column title, each with the row number a person sees in the file.

Nothing is evaluated: a formula gives the value that was saved with it. Bounds on size, rows, columns and unpacked bytes
make a hostile file an error of ours. Files of Chinese bureaus come as UTF-8 or GB18030, with commas, semicolons or tabs, often
with a title above the head row; all of that is read.

Source: RULES R3, R11 (lists that bureaus import); RFC 4180; GB 18030.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from openpyxl import load_workbook

from documents.intake import Kind, kind_of
from evidence.errors import InvalidInputError, LimitExceededError

#: Uploaded bytes; lists of matters, holidays or expected recordings have some hundred kilobytes.
FILE_BYTES_MAX: Final = 32 << 20
#: What an XLSX may unpack to, and its parts: a zip bomb ends here.
UNPACKED_BYTES_MAX: Final = 128 << 20
_PARTS_MAX: Final = 2_000
ROWS_MAX: Final = 100_000
COLUMNS_MAX: Final = 200
CELL_CHARS_MAX: Final = 32_767
#: The head row is looked for in the first rows: titles and notes may stand above it.
_HEAD_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row: its number in the file (1 is the first line) and its values by column title, trimmed; empty cells are ""."""

    number: int
    values: dict[str, str]


def _refuse(what: str, todo: str = "Save it as XLSX or CSV again and try once more.") -> InvalidInputError:
    return InvalidInputError(what, kept="Nothing was imported.", todo=todo)


def _too_large(what: str) -> LimitExceededError:
    return LimitExceededError(what, kept="Nothing was imported.", todo="Split the list.")


def _decoded(data: bytes) -> str:
    for encoding in ["utf-16"] if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "gb18030"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise _refuse("the file is no text in UTF-8 or GB18030")


def _delimiter(text: str) -> str:
    start = text[:65_536].splitlines()[:_HEAD_ROWS]
    counts = {mark: max((line.count(mark) for line in start), default=0) for mark in ",\t;"}
    return max(counts, key=lambda mark: counts[mark])


def _csv_rows(data: bytes) -> Iterator[list[str]]:
    text = _decoded(data)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise _refuse(f"line {reader.line_num} of the file is no CSV: {error}") from error


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d") if value.time() == time() else value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _check_container(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            parts = container.infolist()
            if len(parts) > _PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_BYTES_MAX:
                raise _too_large("the workbook unpacks to more than is read")
            unpacked = 0
            for part in parts:  # a lying directory is found here: the sizes it states are not believed
                if part.flag_bits & 1:
                    raise _refuse("the workbook is encrypted", "Save it without a password.")
                with container.open(part) as stream:
                    while chunk := stream.read(1 << 16):
                        unpacked += len(chunk)
                        if unpacked > UNPACKED_BYTES_MAX:
                            raise _too_large("the workbook unpacks to more than is read")
    except (InvalidInputError, LimitExceededError):
        raise
    except Exception as error:  # BadZipFile, zlib.error, struct.error, NotImplementedError and more
        raise _refuse("the workbook is damaged") from error


def _xlsx_rows(data: bytes, sheet: str) -> Iterator[list[str]]:
    _check_container(data)
    book: Any = None
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        names = [each.title for each in book.worksheets if each.sheet_state == "visible"]
        if not names or (sheet and sheet not in book.sheetnames):
            raise _refuse(f"the workbook has no sheet {sheet}".strip())
        page = book[sheet or names[0]]
        page.reset_dimensions()
        for row in page.iter_rows(max_col=COLUMNS_MAX + 1, values_only=True):
            yield [_text(value) for value in row]
    except (InvalidInputError, LimitExceededError, GeneratorExit):
        raise
    except Exception as error:  # openpyxl lets out many kinds, its own without a common base
        raise _refuse(f"the workbook cannot be read: {type(error).__name__}") from error
    finally:
        if book is not None:
            book.close()


def _trimmed(cells: Iterable[str]) -> list[str]:
    out = [cell.strip(" \t\r\n\u00a0\u3000\ufeff") for cell in cells]
    while out and not out[-1]:
        out.pop()
    if len(out) > COLUMNS_MAX:
        raise _too_large(f"the list has more than {COLUMNS_MAX} columns")
    return out


def _head(rows: Iterator[tuple[int, list[str]]], expected: Collection[str]) -> list[str]:
    needed = min(2, len(expected))
    for number, row in rows:
        titles = ["".join(title.split()) for title in row]
        if titles and sum(title in expected for title in titles) >= needed:
            named = [title for title in titles if title]
            twice = sorted({title for title in named if named.count(title) > 1})
            if twice:
                raise _refuse(f"the column {twice[0]} stands twice in row {number}", "Remove one of them.")
            return titles
        if number >= _HEAD_ROWS:
            break
    raise _refuse(
        f"no head row found; expected columns such as {', '.join(list(expected)[:6])}", "Add a row of column titles."
    )


def read_rows(data: bytes, *, expected: Collection[str] = (), sheet: str = "") -> list[SheetRow]:
    """The rows below the head, blank ones left out.

    Args:
        data: The uploaded bytes, told by content: XLSX, else CSV text.
        expected: Column titles of which two (or the only one) must stand in the head row; white space in titles does
            not count. Without it the first row that is not blank is the head.
        sheet: The sheet of a workbook; the first visible one by default.

    Raises:
        InvalidInputError: Neither kind of file, damaged, encrypted, no head row, a title twice, a value without title.
        LimitExceededError: A bound of this module is passed.
    """
    if len(data) > FILE_BYTES_MAX:
        raise _too_large(f"the list has more than {FILE_BYTES_MAX} bytes")
    kind = kind_of(data[:4096], whole=len(data) <= 4096)
    if kind is Kind.COMPOUND:
        raise _refuse("this is an old XLS or an encrypted workbook", "Save it as XLSX without a password, or as CSV.")
    if kind not in {Kind.ZIP, Kind.TEXT, Kind.UNKNOWN}:
        raise _refuse(f"this is no list: by its content it is {kind.name}")
    raw = _xlsx_rows(data, sheet) if kind is Kind.ZIP else _csv_rows(data)
    rows = enumerate(map(_trimmed, raw), start=1)
    titles = _head(rows, expected)
    out: list[SheetRow] = []
    for number, row in rows:
        if not row:
            continue
        if len(out) >= ROWS_MAX:
            raise _too_large(f"the list has more than {ROWS_MAX} rows")
        if len(row) > len(titles) or any(value and not title for title, value in zip(titles, row, strict=False)):
            raise _refuse(f"row {number} has a value in a column without a title", "Give the column a title.")
        if any(len(value) > CELL_CHARS_MAX for value in row):
            raise _too_large(f"a cell of row {number} has more than {CELL_CHARS_MAX} characters")
        filled = [*row, *[""] * (len(titles) - len(row))]
        out.append(SheetRow(number, {title: value for title, value in zip(titles, filled, strict=True) if title}))
    return out
