"""Who may make a package of a case, what is entered before and after, and what a package for publication may hold."""

import hashlib
import io
import subprocess
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import bagit
import pytest

from access.reading import scopes_of
from cases.package_content import PackageForm
from cases.packages import CasePackages, Order, PackageParts
from evidence.clock import to_text
from evidence.errors import (
    AccessDeniedError,
    BlobConflictError,
    BlobNotFoundError,
    DigestMismatchError,
    NotFoundError,
    PolicyUnmetError,
    StoreError,
)
from evidence.events import RecordingArchived
from matters.paper_copies import KeepParts
from matters.papers import PaperDesk, PaperParts
from matters.turn import Asked, NewLink
from storage.replicated import Replicated
from support.footage import phone_mp4, talking_avi, talking_mp4
from support.repository import ROOT


class Scene:
    """A home with a case of two recordings, its leader, and the services around packages."""

    def __init__(self, home, tmp_path, *, describe=False, media=None):
        self.home, self.root = home, tmp_path / "out"
        self.root.mkdir()
        self.desk = home.desk()
        self.blobs = Replicated(home.stores.all, quorum=1)
        self.papers = PaperDesk(
            PaperParts(
                desk=self.desk, blobs=self.blobs, authoriser=home.gate, recorder=home.recorder, scratch=tmp_path / "scratch",
                keeping=KeepParts(
                    catalogue=home.catalogue, stores=home.stores, clock=home.clock, copies=2, domains=1,
                    locks=home.intake.parts.settings.locks,
                ),
            )
        )  # fmt: skip
        self.packages = CasePackages(
            PackageParts(
                catalogue=home.catalogue, desk=self.desk, authoriser=home.gate, clock=home.clock, blobs=self.blobs,
                published=home.published[0], verifier=home.sealer.verifier, scopes=scopes_of, say=lambda word: f"«{word}»",
                program=(ROOT / "verifier/liuhen_verify.py").read_bytes(), say_event=lambda name: name, woken=lambda: None,
                plain=home.stores.primary.plain_file, scratch=tmp_path / "scratch", ready_scratch=lambda: None,
            )
        )  # fmt: skip
        self.leader = home.agent("赵六", "unit_leader")
        self.chief = home.agent("孙七", "unit_leader")
        self.rows = home.ingest(
            media or {"MOVI0001.mp4": phone_mp4(), "MOVI0002.mp4": talking_mp4()}, describe=describe
        )
        self.officer = home.agent("钱八", "officer")
        links = [NewLink(role="footage", target=row.id) for row in self.rows]
        values = {
            "title": "某公司占道经营案", "cause": "占道经营", "procedure": "ordinary", "second_officer": self.officer.agent,
            "parties": [{"name": "某公司", "kind": "单位"}], "place": "示例路", "course": "全程录音录像",
        }  # fmt: skip
        self.case = self.desk.open(self.leader, "case", values, links=links)
        for role, name in (("interview", "笔录.pdf"), ("review-opinion", "审核意见.pdf")):
            content = f"%PDF-1.4\n{name}\n%%EOF\n".encode()
            self.papers.file(self.leader, self.case.id, role, name, io.BytesIO(content))

    def order(self, name="包", form=PackageForm.FULL, **changes):
        given = {"purpose": "litigation", "recipient": "示例区人民法院", "authority": "应诉通知书〔2026〕8号"}
        return Order(case=self.case.id, target=self.root / name if name else None, form=form, **{**given, **changes})

    def archive(self):
        now = self.home.clock.now()
        with self.home.catalogue.begin() as uow:
            for row in self.rows:
                event = RecordingArchived(recording=row.id, sha256=row.sha256.hex, reason="case", at=to_text(now.wall))
                self.home.recorder.record(uow.outbox, event, at=now)
                uow.rules.put(replace(uow.rules.lock(row.id), archived_at=now.wall, archived_reason="case"))

    def grant(self, holder, rows):
        now = self.home.clock.now().wall
        facts = {
            "holder": holder.agent, "rights": ["export"], "begins": to_text(now), "ends": to_text(now + timedelta(days=3)),
        }  # fmt: skip
        asked = Asked(facts=facts, persons=[("holder", holder.agent), ("approver", self.chief.agent)])
        asked.links = [NewLink(role="footage", target=row.id) for row in rows] + [
            NewLink(role="rests-on", target=self.case.id)
        ]
        with self.home.catalogue.begin() as uow:
            return self.desk.open_within(uow, "access-grant", asked, actor=self.chief)


@pytest.fixture
def scene(home, tmp_path):
    return Scene(home, tmp_path)


def verified(home):
    home.seal()
    report = home.verify()
    assert list(report.findings) == []


def test_r19_a_package_is_entered_with_its_digests_and_every_original_as_exported(scene, home):
    made = scene.packages.export(scene.leader, scene.order())
    folder = made.receipt.bag.folder
    assert bagit.Bag(str(folder)).validate()
    assert made.matter.state == "made"
    assert made.matter.number.startswith("DB2026-") or made.matter.number.startswith("DB")
    assert (
        made.matter.facts["manifest_sha256"]
        == hashlib.sha256((folder / "manifest-sha256.txt").read_bytes()).hexdigest()
    )
    assert made.matter.words["recipient"] == "示例区人民法院"
    exported = [one for one in home.entries("access.allowed") if one["action"] == "recording.export"]
    assert {one["recording"] for one in exported} == {row.id for row in scene.rows}
    page = (folder / "请先读我.html").read_text()
    assert "«Litigation»" in page
    assert "某公司" in page
    assert len(list((folder / "data/音像").iterdir())) == 2
    assert [path.name for path in (folder / "data/文书").iterdir()] == ["0001_笔录.pdf"]
    assert "审核意见" not in page  # the second volume stays in the house
    for path in (folder / "data/音像").iterdir():
        assert path.stat().st_size in {one.size_bytes for one in scene.rows}
        subprocess.run(["ffprobe", "-v", "error", str(path)], check=True)
    assert not list(scene.home.root.parent.glob("scratch/package-*"))
    verified(home)


def test_clips_of_the_case_are_cut_to_the_picture_and_marks_are_told(home, tmp_path):
    scene = Scene(home, tmp_path, describe=True)
    row = max(scene.rows, key=lambda one: one.duration_ms or 0)
    act = {"recording": row.id, "clip_from": "0:02", "clip_to": "0:04.500", "clip_note": "当事人推搡"}
    scene.desk.act(scene.leader, scene.case.id, "clip", act)
    scene.desk.act(scene.leader, scene.case.id, "clip", {"recording": row.id, "clip_from": "0:06", "clip_note": "车牌"})
    folder = scene.packages.export(scene.leader, scene.order()).receipt.bag.folder
    [clip] = (folder / "data/片段").iterdir()
    shown = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format=duration:stream=codec_name",
        "-of",
        "csv=p=0",
        str(clip),
    ]
    codecs = subprocess.run(shown, check=True, capture_output=True, text=True).stdout.split()
    assert codecs[:2] == ["h264", "aac"]
    assert abs(float(codecs[2]) - 2.5) < 0.1
    page = (folder / "请先读我.html").read_text()
    assert "0:00:02.000 – 0:00:04.500 当事人推搡" in page
    assert "0:00:06.000 车牌" in page
    assert clip.name[:4] in {path.name[:4] for path in (folder / "data/音像").iterdir()}


def test_r27_what_browsers_do_not_play_gets_a_copy_that_they_do(home, tmp_path):
    scene = Scene(home, tmp_path, describe=True, media={"MOVI0001.avi": talking_avi()})
    folder = scene.packages.export(scene.leader, scene.order()).receipt.bag.folder
    [copy] = (folder / "data/查看副本").iterdir()
    shown = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name:format=format_name",
        "-of",
        "csv=p=0",
        str(copy),
    ]
    told = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    assert "h264" in told
    assert "mp4" in told
    page = (folder / "请先读我.html").read_text()
    assert page.count("<video") == 1
    assert "查看副本，非原始文件" in page


def test_clips_are_cut_from_another_store_when_the_first_lost_the_original(home, tmp_path):
    scene = Scene(home, tmp_path, describe=True, media={"MOVI0001.mp4": phone_mp4()})

    def gone(sha256):
        raise BlobNotFoundError("it is not in store primary")

    scene.packages._parts = replace(scene.packages._parts, plain=gone)
    act = {"recording": scene.rows[0].id, "clip_from": "0", "clip_to": "1"}
    scene.desk.act(scene.leader, scene.case.id, "clip", act)
    folder = scene.packages.export(scene.leader, scene.order()).receipt.bag.folder
    assert len(list((folder / "data/片段").iterdir())) == 1


def test_a_package_that_is_sent_is_the_same_bag_in_one_file(scene, home, tmp_path):
    row, chunks = scene.packages.download(scene.leader, scene.order(name=None))
    sent = tmp_path / "sent.zip"
    with sent.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    with zipfile.ZipFile(sent) as container:
        assert container.testzip() is None
        container.extractall(tmp_path / "unpacked")
    assert subprocess.run(["7z", "t", str(sent)], capture_output=True, check=False).returncode == 0
    folder = tmp_path / "unpacked" / row.number
    assert bagit.Bag(str(folder)).validate()
    assert len(list((folder / "data/音像").iterdir())) == 2
    with home.catalogue.read() as uow:
        made = uow.matters.get(row.id)
    assert made.state == "made"
    assert made.facts["manifest_sha256"] == hashlib.sha256((folder / "manifest-sha256.txt").read_bytes()).hexdigest()
    assert not list(tmp_path.glob("scratch/package-*"))
    verified(home)


def test_a_package_whose_sending_broke_off_is_no_file_and_is_sent_again_as_the_same_one(scene, home, tmp_path):
    row, chunks = scene.packages.download(scene.leader, scene.order(name=None))
    sent = tmp_path / "half.zip"
    sent.write_bytes(next(chunks) + next(chunks))
    chunks.close()
    assert not zipfile.is_zipfile(sent)
    again, chunks = scene.packages.download(scene.leader, scene.order(name=None))
    assert again.id == row.id
    assert b"".join(chunks)
    assert len([one for one in home.entries("access.allowed") if one["action"] == "recording.export"]) == 2


def test_a_bad_copy_breaks_the_sending_off(scene, monkeypatch, tmp_path):
    opened = scene.blobs.open
    monkeypatch.setattr(
        scene.blobs, "open", lambda sha256, **rest: io.BytesIO(opened(sha256, **rest).read()[:-1] + b"x")
    )
    _, chunks = scene.packages.download(scene.leader, scene.order(name=None))
    got = bytearray()

    def receive():
        for chunk in chunks:
            got.extend(chunk)

    with pytest.raises(DigestMismatchError):
        receive()
    (tmp_path / "x.zip").write_bytes(got)
    assert not zipfile.is_zipfile(tmp_path / "x.zip")


def test_r17_archived_footage_leaves_only_under_a_grant(scene, home):
    scene.archive()
    with pytest.raises(AccessDeniedError):
        scene.packages.export(scene.leader, scene.order())
    assert list(scene.root.iterdir()) == []
    scene.grant(scene.leader, scene.rows[:1])
    with pytest.raises(AccessDeniedError):  # one of the two is still refused: nothing leaves
        scene.packages.export(scene.leader, scene.order())
    assert list(scene.root.iterdir()) == []
    scene.grant(scene.leader, scene.rows[1:])
    made = scene.packages.export(scene.leader, scene.order())
    assert "孙七" in (made.receipt.bag.folder / "请先读我.html").read_text()
    assert all(one.get("use") for one in home.entries("access.allowed") if one["action"] == "recording.export")


def test_who_may_not_export_the_case_gets_nothing_and_it_is_entered(scene, home):
    auditor = home.agent("审计员", "auditor")
    before = len(home.entries("access.denied"))
    with pytest.raises(AccessDeniedError):
        scene.packages.export(auditor, scene.order())
    assert len(home.entries("access.denied")) == before + 1
    assert list(scene.root.iterdir()) == []


def test_a_cut_package_goes_on_as_the_same_one_without_a_further_use(scene, home, monkeypatch):
    opened = scene.blobs.open
    calls = []

    def failing(sha256, **rest):
        calls.append(sha256)
        if len(calls) == 3:
            raise StoreError("the disk is gone")
        return opened(sha256, **rest)

    monkeypatch.setattr(scene.blobs, "open", failing)
    with pytest.raises(StoreError):
        scene.packages.export(scene.leader, scene.order())
    assert not (scene.root / "包").exists()
    uses = len([one for one in home.entries("access.allowed") if one["action"] == "recording.export"])
    made = scene.packages.export(scene.leader, scene.order(recipient="别人"))
    assert made.matter.words["recipient"] == "示例区人民法院"  # what was entered stands
    assert len([one for one in home.entries("access.allowed") if one["action"] == "recording.export"]) == uses
    assert len([one for one in home.entries("matter.acted") if one["kind"] == "package" and one["act"] == "order"]) == 1
    assert bagit.Bag(str(made.receipt.bag.folder)).validate()
    verified(home)


def test_a_package_that_was_whole_before_the_crash_is_entered_as_it_stands(scene, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scene.packages, "_finished", crash)
        with pytest.raises(KeyboardInterrupt):
            scene.packages.export(scene.leader, scene.order())
    made = scene.packages.export(scene.leader, scene.order())
    assert made.matter.state == "made"
    assert made.matter.facts["manifest_sha256"] == made.receipt.bag.manifest_sha256
    with pytest.raises(BlobConflictError):
        scene.packages.export(scene.leader, scene.order())


def test_only_cases_are_packed(scene):
    other = treatment(scene, b"\x00\x00\x00\x18ftypmp42 treated")
    order = scene.order()
    with pytest.raises(NotFoundError):
        scene.packages.export(scene.leader, replace(order, case=other.id))


def treatment(scene, content: bytes | Path, *, by=None):
    by = by or scene.leader
    values = {"title": "公开用", "covered": ["faces"], "how": "打码", "occasion": "官方网站"}
    links = [NewLink(role="footage", target=scene.rows[0].id), NewLink(role="case", target=scene.case.id)]
    row = scene.desk.open(by, "treatment", values, links=links)
    data = content.read_bytes() if isinstance(content, Path) else content
    scene.papers.file(by, row.id, "treated-media", "处理后.mp4", io.BytesIO(data))
    return row


def approve(scene, row, by):
    return scene.desk.act(by, row.id, "approve", seen=scene.desk.view(by, row.id).seen)


def test_r21_only_treated_copies_approved_by_a_second_person_are_published(scene, home):
    publish = scene.order("公开", PackageForm.PUBLICATION)
    with pytest.raises(PolicyUnmetError):
        scene.packages.export(scene.leader, publish)
    treated = treatment(scene, b"\x00\x00\x00\x18ftypmp42" + b"covered" * 100)
    with pytest.raises(PolicyUnmetError):
        scene.packages.export(scene.leader, publish)
    with pytest.raises(AccessDeniedError):
        approve(scene, treated, scene.leader)
    approve(scene, treated, scene.chief)
    made = scene.packages.export(scene.leader, publish)
    folder = made.receipt.bag.folder
    assert bagit.Bag(str(folder)).validate()
    assert [
        path.name for path in (folder / "data").iterdir() if path.name in {"音像", "查看副本", "片段", "文书"}
    ] == []
    assert len(list((folder / "data/技术处理").iterdir())) == 1
    page = (folder / "请先读我.html").read_text()
    everything = b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pdf"
    ).decode()
    for name in ("某公司", "赵六", "孙七", "笔录"):
        assert name not in everything
    assert "经技术处理的执法音像资料" in page
    assert "笔录" not in page
    assert not [one for one in home.entries("access.allowed") if one["action"] == "recording.export"]
    verified(home)


def test_r21_the_original_is_no_treated_copy_and_who_filed_it_does_not_approve(scene):
    same = treatment(scene, phone_mp4())
    with pytest.raises(PolicyUnmetError, match="untreated"):
        approve(scene, same, scene.chief)
    other = treatment(scene, b"\x00\x00\x00\x18ftypmp42 treated")
    scene.papers.file(scene.chief, other.id, "treated-media", "2.mp4", io.BytesIO(b"\x00\x00\x00\x18ftypmp42 other"))
    with pytest.raises(PolicyUnmetError, match="does not approve"):
        approve(scene, other, scene.chief)


def test_r21_an_approval_taken_back_stops_the_package(scene, home):
    treated = treatment(scene, b"\x00\x00\x00\x18ftypmp42 treated")
    approve(scene, treated, scene.chief)
    scene.desk.act(scene.chief, treated.id, "revoke", {"why": "车牌仍可辨认"})
    with pytest.raises(PolicyUnmetError):
        scene.packages.export(scene.leader, scene.order("公开", PackageForm.PUBLICATION))


def test_r17_a_download_that_was_cut_does_not_go_on_once_its_grant_was_revoked(scene, home):
    scene.archive()
    grant = scene.grant(scene.leader, scene.rows)
    _, chunks = scene.packages.download(scene.leader, scene.order(name=None))
    next(chunks)
    chunks.close()
    _, again = scene.packages.download(scene.leader, scene.order(name=None))
    again.close()
    scene.desk.act(scene.chief, grant.id, "revoke", {"revoked_because": "案件移交"})
    with pytest.raises(AccessDeniedError):
        scene.packages.download(scene.leader, scene.order(name=None))
