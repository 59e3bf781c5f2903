# ruff: noqa: E501 - rows of facts side by side
"""A case package: its bag is valid for outsiders, its originals are byte for byte, its proofs hold for the stand-alone verifier."""

import json
import subprocess
import sys
from dataclasses import replace

import bagit
import pytest

from cases import package_build
from cases.package_build import write_package
from cases.package_content import Item, ItemKind, Line, PackageForm, placed
from evidence.errors import DigestMismatchError, InvalidInputError, PolicyUnmetError
from support.footage import phone_mp4, talking_mp4
from support.packages import AT, document, originals, package
from support.repository import ROOT


@pytest.fixture
def made(home, tmp_path):
    rows = home.ingest({"MOVI0001.mp4": phone_mp4(), "MOVI0002.mp4": talking_mp4()})
    items = [*originals(home, rows), document(), document("../CON.pdf\u202e", b"x")]
    content = package(home, items)
    target = tmp_path / "out" / "案件"
    target.parent.mkdir()
    return rows, content, write_package(target, content), target


def test_r27_a_package_is_a_valid_bag_with_playable_originals_and_proofs_that_hold(home, made, tmp_path):
    rows, _, receipt, folder = made
    assert bagit.Bag(str(folder)).validate()
    listed = json.loads((folder / "data/清单/manifest.json").read_text())
    videos = [each for each in listed["files"] if each["kind"] == "original"]
    assert len(videos) == len(rows) == 2
    by_id = {row.id: row for row in rows}
    vkey = tmp_path / "vkey"
    vkey.write_text(home.vkey)
    for each in videos:
        path = folder / each["path"]
        row = by_id[each["belongs_to"]]
        assert each["name"] == row.name
        assert path.stat().st_size == row.size_bytes
        probe = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
            capture_output=True,
            check=True,
        )
        assert float(probe.stdout) > 1
        command = [
            sys.executable,
            folder / "verifier/liuhen_verify.py",
            "proof",
            folder / each["proof"],
            "--recording",
            path,
        ]
        checked = subprocess.run(
            [*command, "--vkey", str(vkey)], capture_output=True, check=False, env={"PATH": "/usr/bin"}
        )
        assert checked.returncode == 0, checked.stdout
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff\x00\xff")
    changed = subprocess.run(
        [*command, "--vkey", str(vkey)], capture_output=True, check=False, env={"PATH": "/usr/bin"}
    )
    assert changed.returncode == 1
    assert (folder / "verifier/liuhen_verify.py").read_bytes() == (ROOT / "verifier/liuhen_verify.py").read_bytes()
    assert receipt.bag.payload_files == 2 + 2 + 2 + 4  # originals, documents, proofs; checkpoint, vkey, list, report


def test_names_are_in_order_of_time_and_carried_by_every_disk(made):
    _, _, _, folder = made
    assert [path.name for path in sorted((folder / "data/文书").iterdir())] == [
        "0001__CON.pdf_",
        "0002_询问笔录.pdf",
    ] or [path.name[:5] for path in sorted((folder / "data/文书").iterdir())] == ["0001_", "0002_"]
    for path in folder.rglob("*"):
        assert not set(path.name) & set('<>:"|?*\\\u202e')
        assert not path.name.endswith((".", " "))


def test_the_readable_page_escapes_and_shows_digests_and_how_to_check(made):
    rows, content, _, folder = made
    page = (folder / "请先读我.html").read_text()
    assert "某公司&lt;擅自&gt;占用" in page
    assert "<b>" not in page.replace("<body>", "")
    for row in rows:
        assert row.sha256.hex in page
    for word in (
        "certutil -hashfile",
        "Get-FileHash",
        "sha256sum -c manifest-sha256.txt",
        "<video controls",
        "本包以外",
    ):
        assert word in page
    report = subprocess.run(
        ["pdftotext", folder / "data/报告/保管链报告.pdf", "-"], capture_output=True, check=True
    ).stdout.decode()
    for row in rows:
        assert row.sha256.hex in "".join(report.split())
    assert content.root in report
    assert "采集服务" in report


def test_a_case_of_very_many_recordings_has_a_report_of_bounded_length(home, made, monkeypatch, tmp_path):
    rows, content, _, _ = made
    lines = [Line(group=row.id, at=AT, event=f"事项{n}", agent="甲", index=n) for row in rows for n in range(20)]
    monkeypatch.setattr(package_build, "_REPORT_LINES_MAX", 10)
    printed = package_build.report(replace(content, lines=lines), placed(content.items))
    (tmp_path / "report.pdf").write_bytes(printed)
    text = subprocess.run(["pdftotext", tmp_path / "report.pdf", "-"], capture_output=True, check=True).stdout.decode()
    assert "事项4" in text
    assert "事项5" not in text
    assert text.count("另有 15 条") == 2


def test_the_same_content_gives_the_same_package(home, made, tmp_path):
    _, content, receipt, _ = made
    again = write_package(tmp_path / "again", content)
    assert again.bag.digests == receipt.bag.digests
    assert again.list_sha256 == receipt.list_sha256


def test_r21_a_package_for_publication_never_holds_an_original(home, tmp_path):
    rows = home.ingest({"MOVI0001.mp4": phone_mp4()})
    items = originals(home, rows)
    treated = document("处理后.mp4", b"treated")
    treated = Item(**{**{name: getattr(treated, name) for name in Item.__dataclass_fields__}, "kind": ItemKind.TREATED})
    for wrong in ([*items], [*items, treated], [document()], [treated, document()]):
        with pytest.raises(PolicyUnmetError):
            write_package(tmp_path / "公开", package(home, wrong, PackageForm.PUBLICATION))
    assert not (tmp_path / "公开").exists()
    receipt = write_package(tmp_path / "公开", package(home, [treated], PackageForm.PUBLICATION))
    assert bagit.Bag(str(receipt.bag.folder)).validate()
    everything = b"".join(
        path.read_bytes() for path in receipt.bag.folder.rglob("*") if path.is_file() and path.suffix != ".pdf"
    )
    assert rows[0].sha256.hex.encode() not in everything
    assert "供公开的技术处理副本" in (receipt.bag.folder / "请先读我.html").read_text()


def test_a_bad_copy_stops_the_package_and_nothing_looks_whole(home, tmp_path):
    wrong = document()
    wrong = Item(**{**{name: getattr(wrong, name) for name in Item.__dataclass_fields__}, "sha256": "0" * 64})
    with pytest.raises(DigestMismatchError):
        write_package(tmp_path / "包", package(home, [wrong]))
    assert not (tmp_path / "包").exists()
    with pytest.raises(InvalidInputError):
        write_package(tmp_path / "包", package(home, []))


def test_clips_and_viewing_copies_bear_the_number_of_their_recording():
    def item(kind, name, group, **facts):
        return Item(kind=kind, name=name, sha256="0" * 64, size_bytes=1, open=None, group=group, at=AT, facts=facts)

    files = placed(
        [
            item(ItemKind.ORIGINAL, "b.mp4", "rec_b"), item(ItemKind.CLIP, "b.mp4", "rec_b", in_ms="1"),
            item(ItemKind.CLIP, "b.mp4", "rec_b", in_ms="2"), item(ItemKind.VIEWING, "a.mp4", "rec_a"),
            item(ItemKind.ORIGINAL, "a.avi", "rec_a"), item(ItemKind.DOCUMENT, "a.pdf", "mat_1"),
        ]
    )  # fmt: skip
    assert sorted(one.path for one in files) == sorted(
        [
            "data/音像/0002_b.mp4", "data/片段/0002_b.mp4", "data/片段/0002_b-2.mp4", "data/查看副本/0001_a.mp4",
            "data/音像/0001_a.avi", "data/文书/0001_a.pdf",
        ]
    )  # fmt: skip
