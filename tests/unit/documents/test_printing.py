"""The printed documents: right text, right pages, attached data, hostile content, the same bytes for the same data."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from documents import (
    Attachment,
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Paragraph,
    Picture,
    Printable,
    QrCode,
    Signature,
    Signatures,
    Table,
    print_document,
)
from documents import typeset as typesetting
from documents.glyphs import showable
from documents.printing import TABLE_ROWS_MAX
from documents.words import WORDS
from evidence import sandbox
from evidence.errors import ConfigError, InvalidInputError, LimitExceededError

DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)
CHECKPOINT = Checkpoint(
    "liuhen.example/log", 4711, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a08", AT
)


def printable(*blocks, **changes):
    base = Printable(
        title="登记表", unit="示例局", number="登〔2026〕7号", printed_at=AT, checkpoint=CHECKPOINT, blocks=blocks
    )
    return replace(base, **changes)


def text(pdf, tmp_path, *options):
    file = tmp_path / "document.pdf"
    file.write_bytes(pdf)
    return sandbox.run(["pdftotext", *options, str(file), "-"]).untrusted_stdout.decode("utf-8")


def pages(pdf, tmp_path):
    return text(pdf, tmp_path).count("\f")


def attached(pdf, tmp_path):
    file = tmp_path / "document.pdf"
    file.write_bytes(pdf)
    folder = tmp_path / "attached"
    folder.mkdir(exist_ok=True)
    sandbox.run(["pdfdetach", "-saveall", "-o", str(folder), str(file)], cwd=folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_document_shows_head_fields_checkpoint_and_page_on_every_page(tmp_path):
    rows = [[f"第{n}行", AT, n] for n in range(120)]
    pdf = print_document(
        printable(Fields([("案由", "占道经营"), ("立案", date(2026, 8, 31))]), Table(["名称", "时间", "数"], rows))
    )
    shown = text(pdf, tmp_path, "-layout")
    assert pdf.startswith(b"%PDF-1.7")
    assert "示例局" in shown
    assert "2026-08-31" in shown
    assert "2026-11-27 09:55:03" in shown  # Beijing time
    assert "第119行" in shown
    sheets = shown.split("\f")[:-1]
    assert len(sheets) > 2
    for place, sheet in enumerate(sheets, start=1):
        assert f"第{place}页/共{len(sheets)}页" in sheet.replace(" ", "")
        assert "4711" in sheet
        assert CHECKPOINT.root in sheet
        assert "登〔2026〕7号" in sheet
        assert "名称" in sheet  # the table's head is repeated


def test_digests_and_names_are_copied_without_spaces_even_from_a_narrow_cell(tmp_path):
    name = "20260831T093000_第01段.mp4"
    pdf = print_document(
        printable(
            Digest("校验值", DIGEST), Table(["a", "b", "c", "d"], [[DIGEST, name, "长" * 90, "x" * 90]], [1, 9, 1, 1])
        )
    )
    shown = text(pdf, tmp_path, "-raw")
    assert DIGEST in shown
    assert DIGEST in text(pdf, tmp_path, "-raw").replace("\n", "").split("校验值")[1][len(DIGEST) + 5 :].replace(
        " ", ""
    )
    assert name in shown
    assert "x" * 90 in shown.replace("\n", "")


@pytest.mark.parametrize(
    "hostile",
    ["#panic()", "*b* _i_ $x$ @ref <l> `r` // c /* c */", '"\\u{0}" \\', "= H\n- l", '[#read("/etc/passwd")]'],
)
def test_text_is_never_markup(tmp_path, hostile):
    pdf = print_document(printable(Paragraph(hostile, style="plain"), Heading(hostile), title=hostile, number=hostile))
    assert hostile.split("\n", maxsplit=1)[0] in text(pdf, tmp_path, "-raw").replace("\n", " ").replace("  ", " ")


def test_what_has_no_glyph_is_printed_as_its_code_and_attached_as_it_is(tmp_path):
    nasty = "a\u202ebc \U0001f600 \x07 \ue000 \ud800 𠮷"
    pdf = print_document(printable(Fields([("名称", nasty)]), data={"name": nasty.replace("\ud800", "")}))
    shown = text(pdf, tmp_path, "-raw")
    assert "a[U+202E]bc [U+1F600] [U+0007] [U+E000] [U+D800] 𠮷" in shown
    assert json.loads(attached(pdf, tmp_path)["data.json"])["data"]["name"] == nasty.replace("\ud800", "")


def test_spaces_of_a_name_keep_their_number():
    assert showable("a   b c") == "a\u00a0\u00a0\u00a0b c"


def test_the_data_is_attached_with_the_checkpoint_and_other_files_beside_it(tmp_path):
    pdf = print_document(
        printable(Fields([("案号", "1")]), attachments=[Attachment("证明.txt", b"bundle", "text/plain", "proof")])
    )
    files = attached(pdf, tmp_path)
    data = json.loads(files["data.json"])
    assert data["format"] == "liuhen-document/1"
    assert data["checkpoint"]["root"] == CHECKPOINT.root
    assert data["printed_at"] == "2026-11-27T01:55:03.000Z"
    assert data["blocks"][0]["rows"] == [["案号", "1"]]
    assert b"bundle" in files.values()
    assert b"pdfaid:part>3<" in pdf


def test_the_same_document_gives_the_same_bytes_from_any_thread():
    document = printable(
        Paragraph("甲"), QrCode("https://example.invalid/1"), Signatures([Signature("执法人员", "王五")])
    )
    results = []
    threads = [threading.Thread(target=lambda: results.append(print_document(document))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1


def test_signature_lines_stay_together_and_an_empty_checkpoint_is_said(tmp_path):
    lines = Signatures([Signature("执法人员"), Signature("执法人员"), Signature("当事人"), Signature("见证人")])
    for filler in range(20, 44, 4):
        body = Paragraph("\n".join(["行"] * filler), style="plain")
        sheets = text(print_document(printable(body, lines, checkpoint=None)), tmp_path).split("\f")
        assert {sheet.count("签名") for sheet in sheets} <= {0, 4}
    assert "尚无已发布的检查点" in sheets[0]


def test_ticked_choices_are_shown(tmp_path):
    shown = text(
        print_document(printable(Choices("当事人意见", ["无异议", "拒签"], ticked=["拒签"], lines=2))), tmp_path
    )
    assert shown.count("✓") == 1


def test_a_damaged_picture_is_refused_with_our_error():
    with pytest.raises(InvalidInputError, match="decode image"):
        print_document(printable(Picture(b"\x89PNG\r\n\x1a\n" + b"\x00" * 100)))
    with pytest.raises(InvalidInputError, match="neither JPEG nor PNG"):
        print_document(printable(Picture(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "图")))


def test_too_much_for_paper_is_refused():
    with pytest.raises(LimitExceededError, match="rows"):
        print_document(printable(Table(["a"], [["x"]] * (TABLE_ROWS_MAX + 1))))
    with pytest.raises(LimitExceededError, match="more than a printed document"):
        print_document(printable(Paragraph("长" * 3_000_000)))
    with pytest.raises(InvalidInputError, match="as many values"):
        print_document(printable(Table(["a", "b"], [["x"]])))
    with pytest.raises(InvalidInputError, match="JSON"):
        print_document(printable(data={"a": b"bytes"}))
    with pytest.raises(InvalidInputError, match="zone"):
        print_document(printable(printed_at=datetime(2026, 1, 1)))


def test_missing_fonts_name_the_package():
    with pytest.raises(ConfigError) as caught:
        print_document(printable(), fonts=Path("/nonexistent"))
    assert "fonts-noto-cjk" in caught.value.diagnostics()


def test_the_documents_own_words_exist_in_both_languages():
    assert WORDS["zh-CN"].keys() == WORDS["en"].keys()


def test_whoever_may_print_cannot_set_more_documents_at_once_than_the_station_bears(monkeypatch):
    monkeypatch.setattr(typesetting, "_AT_ONCE", threading.BoundedSemaphore(1))
    monkeypatch.setattr(typesetting, "_WAIT_S", 0.05)
    with typesetting._turn(), pytest.raises(LimitExceededError, match="at once"), typesetting._turn():
        pass
    with typesetting._turn():
        pass
