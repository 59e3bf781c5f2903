"""Schedules and calendars as bureaus have them in files."""

from __future__ import annotations

import io

import pytest
from openpyxl import Workbook

from evidence.errors import InvalidInputError
from retention.imports import calendar_rows, schedule_rows


def book(*rows: tuple) -> bytes:
    made, out = Workbook(), io.BytesIO()
    for row in rows:
        made.active.append(row)
    made.save(out)
    return out.getvalue()


def test_r10_categories_come_from_csv_and_from_a_workbook_in_either_language() -> None:
    text = "代码,名称,保存期限,依据\r\ntraffic,交通,2年,第十条\r\nforce,强制,永久,\r\n"
    found = [
        {"category": "traffic", "title": "交通", "keeps": "months:24", "authority": "第十条"},
        {"category": "force", "title": "强制", "keeps": "long-term", "authority": ""},
    ]
    assert schedule_rows(text.encode("gb18030")) == found
    rows = (
        ("category", "title", "keeps", "authority"),
        ("traffic", "交通", "2年", "第十条"),
        ("force", "强制", "永久"),
    )
    assert schedule_rows(book(*rows)) == found


@pytest.mark.parametrize(
    "text", ["代码,名称\na,b\n", "代码,保存期限\na,3个月\n", "代码,保存期限\na,2年\na,3年\n", "代码,保存期限\n", "x\n"]
)
def test_r10_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        schedule_rows(text.encode())


def test_r22_a_year_of_working_days_comes_from_a_file() -> None:
    text = "日期,类别,名称,依据\n2027-01-01,休,元旦,国办发明电〔2026〕7号\n2027-10-01,休,国庆节,国办发明电〔2026〕7号\n"
    year, days = calendar_rows(text.encode())
    assert (year, days[0]) == (
        2027, {"date": "2027-01-01", "kind": "休", "name": "元旦", "source": "国办发明电〔2026〕7号"},
    )  # fmt: skip
    with pytest.raises(InvalidInputError):
        calendar_rows(b"date,kind,name,source\n2027-01-01,rest,x,a\n2026-10-01,rest,x,b\n")
