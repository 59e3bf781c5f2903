"""Registers as CSV, XLSX and PDF: readable by spreadsheets, never a formula, the same bytes for the same rows."""

import csv
import io
import time
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import openpyxl
import pytest

from documents import Checkpoint, Signature, Signatures
from documents.registers import Column, Register, to_csv, to_pdf, to_xlsx
from evidence import sandbox
from evidence.errors import InvalidInputError

AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)
ROWS = [
    ["普通", 12, AT, date(2026, 8, 31), None, True],
    ["=cmd|' /C calc'!A0", -3, AT, None, Decimal("1.50"), False],
    ['引号"逗号,换行\n二', 12345678901234567890, None, None, 0.5, True],
    ["＝1+1", 0, None, None, "@SUM(A1)", True],
    ["控\x00\x1b制\ud800 _x000D_", 0, None, None, "\t=1", True],
]
REGISTER = Register(
    title="调用登记簿", unit="示例局", printed_at=AT, checkpoint=Checkpoint("liuhen.example/log", 7, "ab" * 32, AT),
    number="簿-1", numbered="序号", rows=ROWS,
    columns=[Column("名称", 30), *map(Column, ["数", "时间", "日期", "备注", "是否"])],
    signatures=Signatures([Signature("登记人"), Signature("复核人")]),
)  # fmt: skip


def test_csv_is_read_back_by_a_csv_reader_and_holds_no_formula():
    raw = to_csv(REGISTER)
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == len(ROWS) + 1
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    assert rows[0] == ["序号", "名称", "数", "时间", "日期", "备注", "是否"]
    assert rows[1] == ["1", "普通", "12", "2026-11-27 09:55:03", "2026-08-31", "", "是"]
    assert rows[2][1].startswith("'=")
    assert rows[2][2] == "-3"  # a number stays one
    assert rows[3][1] == '引号"逗号,换行\n二'
    assert rows[4][1] == "'＝1+1"
    assert rows[4][5] == "'@SUM(A1)"
    assert rows[5][1] == "控[U+0000][U+001B]制[U+D800] _x000D_"


def test_xlsx_has_typed_cells_a_frozen_head_and_no_formula():
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx(REGISTER)))
    sheet = book.worksheets[0]
    assert sheet.title == "调用登记簿"
    assert sheet.freeze_panes == "A2"
    assert sheet["D2"].value == datetime(2026, 11, 27, 9, 55, 3)
    assert sheet["E2"].value.date() == date(2026, 8, 31)
    assert sheet["C2"].value == 12
    assert sheet["B3"].value == "=cmd|' /C calc'!A0"
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "d", "inlineStr"}
    assert sheet["B3"].quotePrefix
    assert sheet["C4"].value == "12345678901234567890"
    assert "[U+0000]" in sheet["B6"].value
    assert "_x005F_x000D_" in sheet["B6"].value  # what a spreadsheet shows as _x000D_
    about = {row[0].value: row[1].value for row in book.worksheets[1].iter_rows() if row[0].value}
    assert "ab" * 32 in about["保管链检查点"]


def test_the_same_register_gives_the_same_workbook():
    first = to_xlsx(REGISTER)
    time.sleep(2.1)  # a zip's clock has steps of two seconds
    assert to_xlsx(REGISTER) == first
    assert b"2026-11-27T01:55:03Z" in zipfile.ZipFile(io.BytesIO(first)).read("docProps/core.xml")


def test_a_row_of_another_length_is_refused():
    for write in (to_csv, to_xlsx, to_pdf):
        with pytest.raises(InvalidInputError):
            write(replace(REGISTER, rows=[["x"]]))


def test_the_printed_register_is_landscape_and_numbered(tmp_path):
    file = tmp_path / "register.pdf"
    file.write_bytes(to_pdf(replace(REGISTER, rows=ROWS * 20)))
    shown = sandbox.run(["pdftotext", "-layout", str(file), "-"]).untrusted_stdout.decode()
    assert "复核人" in shown
    assert "100" in shown
    assert "841.89 x 595.276" in sandbox.run(["pdfinfo", str(file)]).untrusted_stdout.decode()
