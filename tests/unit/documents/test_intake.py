"""What an uploaded document is: told by content, refused with what it looks like."""

import io
import zipfile

import openpyxl
import pytest

from documents import intake
from documents.intake import SCAN_KINDS, Kind, examine, kind_of
from evidence.errors import InvalidInputError, LimitExceededError

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def container(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in names:
            target.writestr(name, b"<x/>")
    return out.getvalue()


def xlsx():
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    return out.getvalue()


def compound(stream):
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 1016 + stream.encode("utf-16-le") + b"\x00\x00" * 40


GOOD = {
    Kind.PDF: PDF,
    Kind.JPEG: b"\xff\xd8\xff\xe0" + b"\x00" * 100,
    Kind.PNG: b"\x89PNG\r\n\x1a\n" + b"\x00" * 100,
    Kind.TIFF: b"II*\x00" + b"\x00" * 100,
    Kind.OFD: container("OFD.xml", "Doc_0/Document.xml"),
    Kind.DOCX: container("[Content_Types].xml", "word/document.xml"),
    Kind.XLSX: xlsx(),
    Kind.DOC: compound("WordDocument"),
    Kind.XLS: compound("Workbook"),
    Kind.TEXT: "询问笔录\r\n".encode("gb18030"),
}


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.name)
def test_a_document_is_known_by_its_content(kind, tmp_path):
    file = tmp_path / "wrong.exe"
    file.write_bytes(GOOD[kind])
    found = examine(file, claimed_name="wrong.exe")
    assert (found.kind, found.size_bytes) == (kind, len(GOOD[kind]))
    assert "/" in found.mime_type


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "empty"), (b"MZ\x90\x00" + b"\x00" * 60, "program"), (b"<html><script>alert(1)</script>", "web page"),
        (container("a.txt"), "ZIP archive"), (b"\x00\x01\x02\x03" * 9, "no known kind"), (b"\x00\x00\x00\x20ftypisom", "MP4"),
        (compound("Nothing"), "compound file"), (b"GIF89a", "GIF"), (b"PK\x03\x04broken", "no known kind"),
        (b"<svg onload=x>", "web page"),
    ],
)  # fmt: skip
def test_a_scan_that_is_not_a_document_is_refused_with_what_it_looks_like(content, looks, tmp_path):
    file = tmp_path / "scan.pdf"
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=looks) as caught:
        examine(file, claimed_name="扫描\u202e件.pdf")
    assert "\u202e" not in caught.value.diagnostics()


def test_a_text_is_no_scan_and_a_cut_pdf_no_pdf(tmp_path):
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"plain text")
    with pytest.raises(InvalidInputError, match="TEXT"):
        examine(file, allowed=SCAN_KINDS)
    file.write_bytes(PDF[:20] + b"x" * 5000)
    with pytest.raises(InvalidInputError, match="cut short"):
        examine(file)


def test_size_is_bounded_and_a_missing_file_is_our_error(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "DOCUMENT_BYTES_MAX", 10)
    file = tmp_path / "a.pdf"
    file.write_bytes(PDF)
    with pytest.raises(LimitExceededError):
        examine(file)
    with pytest.raises(InvalidInputError):
        examine(tmp_path / "none")


def test_text_cut_inside_a_character_is_still_text():
    assert kind_of("执法记录".encode()[:-1]) is Kind.TEXT


def test_a_container_with_an_endless_list_of_names_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("[Content_Types].xml", "")
        for place in range(9_000):
            made.writestr(f"xl/{place:06d}{'a' * 500}", b"")
    with pytest.raises(InvalidInputError):
        examine(path, claimed_name="bomb.xlsx")
