"""The list of a dry run as a spreadsheet, for who decides on it; the CSV that was filed stays what counts, byte for byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from api.web.i18n import translate
from api.web.retention_words import CHANGES, LIST_COLUMNS, STANDINGS
from documents.registers import Column, Register, to_xlsx
from documents.values import Value
from documents.words import Language
from evidence.clock import from_text
from evidence.errors import InvalidInputError
from retention.decide import Standing
from retention.dry_run import COLUMNS

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_WIDTHS: Final = {"recording": 38, "sha256": 66, "unit": 38, "due_before": 20, "due_after": 20}
_MOMENTS: Final = frozenset({"due_before", "due_after"})
_STANDINGS: Final = frozenset({"standing_before", "standing_after"})


def workbook(data: bytes, *, number: str, unit: str, at: datetime, language: Language) -> bytes:
    """The list as XLSX.

    Args:
        data: The CSV as it was filed.
        number: Of the matter.
        unit: Who made it.
        at: The moment its facts are of.
        language: Of heads and words.

    Raises:
        InvalidInputError: It is no such list. LimitExceededError: More rows than a sheet holds.
    """
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    if tuple(next(rows, ())) != COLUMNS:
        raise InvalidInputError("this is no list of a dry run")
    register = Register(
        title=f"{translate('Recordings dated otherwise', language)} {number}", unit=unit, printed_at=at, checkpoint=None,
        number=number, lang=language,
        columns=[Column(translate(LIST_COLUMNS[name], language), _WIDTHS.get(name, 16)) for name in COLUMNS],
        rows=_rows(rows, language),
    )  # fmt: skip
    return to_xlsx(register)


def _rows(rows: Iterator[list[str]], language: Language) -> Iterator[list[Value]]:
    for row in rows:
        if len(row) != len(COLUMNS):
            raise InvalidInputError("a line of the list has not as many values as its head")
        yield [_value(name, text, language) for name, text in zip(COLUMNS, row, strict=True)]


def _value(name: str, text: str, language: Language) -> Value:
    if name in _MOMENTS:
        return from_text(text) if text else None
    if name in _STANDINGS:
        return translate(STANDINGS[Standing(text)].word, language) if text in {*Standing} else text
    if name == "change":
        return translate(CHANGES.get(text, text), language) if text in CHANGES else text
    return int(text) if name == "size_bytes" and text.isdecimal() else text
