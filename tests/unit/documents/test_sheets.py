"""Lists that people upload: what Chinese offices really send is read, what is hostile ends in our error."""

import io
import re
import zipfile
from datetime import date, datetime

import openpyxl
import pytest

from documents import sheets
from documents.sheets import SheetRow, read_rows
from evidence.errors import EvidenceError, InvalidInputError, LimitExceededError

TEXT = '执法类别,执法事项,存储期限\r\n行政处罚,占道经营,6个月\r\n\r\n行政强制,"查封,扣押",长期\r\n'
ROWS = [
    SheetRow(2, {"执法类别": "行政处罚", "执法事项": "占道经营", "存储期限": "6个月"}),
    SheetRow(4, {"执法类别": "行政强制", "执法事项": "查封,扣押", "存储期限": "长期"}),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_in_any_usual_form_is_read(encoding, mark):
    text = TEXT.replace("查封,扣押", "查封、扣押").replace(",", mark).replace("查封、扣押", "查封,扣押")
    assert read_rows(text.encode(encoding)) == ROWS


def book(rows, **sheets_by_name):
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    for name, more in sheets_by_name.items():
        page = made.create_sheet(name)
        for row in more:
            page.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def test_xlsx_is_read_below_a_title_row_and_values_become_texts():
    data = book(
        [
            ["音像记录事项清单（2026年）"], [], [" 执法 类别", "执法事项\n", "存储期限", "日", "时", "数", "小数", "对"],
            ["行政处罚\u3000", "占道经营", 6, date(2026, 8, 31), datetime(2026, 8, 31, 9, 5), 3.0, 1.5, True],
            [None] * 8, ["=1+1", "b"],
        ]
    )  # fmt: skip
    rows = read_rows(data, expected={"执法类别", "执法事项"})
    assert [row.number for row in rows] == [4, 6] or [row.number for row in rows] == [4]
    assert list(rows[0].values.values()) == [
        "行政处罚",
        "占道经营",
        "6",
        "2026-08-31",
        "2026-08-31 09:05:00",
        "3",
        "1.5",
        "TRUE",
    ]
    assert rows[1].values["执法类别"] == ""  # a formula nobody calculated has no value


def test_a_named_sheet_is_read():
    data = book([["a"], ["1"]], 第二=[["b"], ["2"]])
    assert read_rows(data, sheet="第二") == [SheetRow(2, {"b": "2"})]
    with pytest.raises(InvalidInputError):
        read_rows(data, sheet="第三")


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return out.getvalue()


def lying():
    """A directory that states one byte for a member of many."""
    data = bytearray(zipped(a=b"0" * 1_000_000))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = (1).to_bytes(4, "little")
    return bytes(data)


def laughing():
    """A workbook whose strings grow without end."""
    data, out = book([["a"], ["b"]]), io.BytesIO()
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                row = b'<row r="1"><c r="A1" t="inlineStr"><is><t>&e11;</t></is></c></row>'
                content = re.sub(rb"<row.*</row>", row, content, flags=re.DOTALL)
                content = f"<!DOCTYPE worksheet [<!ENTITY e0 'x'>{entities}]>".encode() + content
                assert b"&e11;" in content
            target.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "hostile",
    [
        b"", b"\x00\x01\x02", b"%PDF-1.7", b"PK\x03\x04", b"PK\x05\x06" + b"\x00" * 18, b"\xff\xfe\x00",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        zipped(a=b"1"), zipped(**{"[Content_Types].xml": b"<", "xl/workbook.xml": b"<"}), lying(), laughing(),
        b'a,b\n"unclosed\n',
        b"a,a\n1,2\n", b"a,b\n1,2,3\n", b"a,,c\n1,2,3\n", "a,b\n\ud7ff".encode("utf-16-le"), b"\x80\x81\xff\xff,", b"\n\n\n",
        book([["a"], ["b"]])[:-200], book([[]]),
    ],
)  # fmt: skip
def test_hostile_files_end_in_our_error(hostile):
    with pytest.raises(EvidenceError):
        read_rows(hostile)


def test_bounds(monkeypatch):
    bomb = zipped(**{"xl/worksheets/sheet1.xml": b" " * (sheets.UNPACKED_BYTES_MAX + 1)})
    assert len(bomb) < 1 << 20
    with pytest.raises(LimitExceededError):
        read_rows(bomb)
    with pytest.raises(LimitExceededError):
        read_rows(b"x" * (sheets.FILE_BYTES_MAX + 1))
    with pytest.raises(LimitExceededError):
        read_rows(b"a\n" + b"1\n" * (sheets.ROWS_MAX + 1))
    with pytest.raises(LimitExceededError):
        read_rows(",".join(f"c{n}" for n in range(201)).encode())
    with pytest.raises(LimitExceededError):
        read_rows(book([[f"c{n}" for n in range(201)]]))
    with pytest.raises(InvalidInputError, match="no head row"):
        read_rows(TEXT.encode(), expected={"没有", "这些"})
    with pytest.raises(EvidenceError):
        read_rows(b"a\n" + b"x" * 200_000)
