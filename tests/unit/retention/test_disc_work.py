"""Long-term footage on discs: two copies, each read back, register, loan, yearly look, damage, migration (R11, R12)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access import DeniedError
from assurance import DisclosureArchive, evidence_facts, rebuild
from assurance.disclosures import generate_key
from assurance.report import Verdict
from catalogue import Catalogue
from discs.check import check_by_itself
from discs.drive import Drive
from discs.image import image_path
from discs.media import SECTOR_BYTES
from evidence.clock import to_text
from evidence.errors import (
    DiscDamagedError,
    DiscError,
    DiscMediumError,
    DiscPlanError,
    InvalidInputError,
    PolicyUnmetError,
    StateConflictError,
)
from evidence.events import RecordingFlagged
from evidence.ids import MatterId
from matters.recording_facts import say
from matters.turn import NewLink
from matters.values import FormError
from retention import disc_terms as terms
from retention.disc_set_form import discs_of
from retention.disc_shelf import DiscShelf
from retention.disc_work import DiscParts, DiscWork
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name

TITLE = {"title": "张三占道经营案", "case_number": "厦园罚〔2026〕12号", "medium": "dvd+r", "ground": "当事人提出异议"}


def photo(number: int) -> bytes:
    """A real picture with a tail of its own."""
    return footage.photo_png().read_bytes() + bytes([number]) * number


class Archive:
    """A maker and a leader, footage flagged long-term, and drives that are files."""

    def __init__(self, home: AssuredHome, unit, tmp_path) -> None:
        self.home, self.unit, self.tmp_path = home, unit, tmp_path
        self.maker = home.agent("制作人", "station_operator", unit=unit)
        self.leader = home.agent("负责人", "unit_leader", unit=unit)
        for one, role in ((self.maker, "station_operator"), (self.leader, "unit_leader")):
            home.grant_directly(one.agent, role)
        self.rows = home.ingest({gb_name(counter=n): photo(n) for n in (1, 2, 3)})
        self.desk = home.desk()
        self.work = self.working()

    def working(self, folder="discs", **more) -> DiscWork:
        shelf = DiscShelf(
            folder=self.home.root / folder, stores=self.home.stores, catalogue=self.home.catalogue,
            filer=self.home.papers(), ready=lambda: None,
        )  # fmt: skip
        return DiscWork(
            DiscParts(
                catalogue=self.home.catalogue, desk=self.desk, authoriser=self.home.gate, clock=self.home.clock, shelf=shelf,
                proof=lambda _actor, recording: f"proof of {recording}".encode(),
                common=lambda: {"核对程序/liuhen_verify.py": b"# program\n"}, unit_name="执法支队", **more,
            )
        )  # fmt: skip

    def flag(self, *rows, flag="complaint") -> None:
        for row in rows:
            with self.home.catalogue.begin() as uow:
                now = self.home.clock.now()
                event = RecordingFlagged(
                    actor=self.leader.agent, recording=row.id, sha256=row.sha256.hex, flag=flag, standing=True,
                    ground="party-objects", at=to_text(now.wall),
                )  # fmt: skip
                say(uow, lambda one: self.home.recorder.record(uow.outbox, one, at=self.home.clock.now()), event)

    def plan(self, rows=None, links=(), **values):
        footage_links = [NewLink(role=terms.FOOTAGE, target=row.id) for row in (self.rows if rows is None else rows)]
        return self.desk.open(
            self.maker, terms.DISC_SET, TITLE | values, unit=self.unit, links=[*footage_links, *links]
        )

    def drive(self, name: str) -> Drive:
        return Drive(f"stdio:{self.tmp_path}/{name}.iso")

    def burn(self, owner, name: str, copy: str, disc: int = 1):
        return self.work.burn(self.maker, owner.id, disc=disc, copy=copy, drive=self.drive(name))

    def verify(self, disc, name: str):
        return self.work.verify(self.maker, disc.id, drive=self.drive(name))

    def register(self, disc):
        values = {"place": "三楼档案室 2 柜", "keeper": self.maker.agent}
        return self.desk.act(self.maker, disc.id, "register", values)

    def state(self, row) -> str:
        with self.home.catalogue.read() as uow:
            return uow.matters.get(row.id).state

    def made(self):
        """A set in two registered copies."""
        self.flag(*self.rows)
        owner = self.work.build(self.maker, self.plan().id)
        discs = []
        for copy in "AB":
            disc = self.burn(owner, copy, copy)
            self.verify(disc, copy)
            discs.append(self.register(disc))
        return owner, *discs

    def sound(self) -> None:
        self.home.seal()
        report = self.home.verify()
        assert report.verdict is Verdict.GOOD, report.findings


@pytest.fixture
def archive(home: AssuredHome, unit, tmp_path) -> Archive:
    return Archive(home, unit, tmp_path)


def test_r12_two_copies_each_counts_only_after_its_full_read_back(archive):
    archive.flag(*archive.rows)
    planned = archive.plan()
    assert (planned.state, planned.facts["discs"], planned.facts["copies"]) == ("planned", 1, 2)
    owner = archive.work.build(archive.maker, planned.id)
    assert owner.state == "built"
    first = archive.burn(owner, "A", "A")
    assert (first.state, archive.state(owner)) == ("burnt", "built")
    second = archive.burn(owner, "B", "B")
    assert archive.state(owner) == "burnt"
    for disc in (first, second):
        with pytest.raises(StateConflictError):  # not read back yet: no place in the register
            archive.register(disc)
    assert archive.verify(first, "A").good
    assert archive.state(owner) == "burnt"
    assert archive.verify(second, "B").good
    assert archive.state(owner) == "verified"
    archive.register(first)
    assert archive.register(second).state == "registered"
    assert archive.state(owner) == "registered"
    alone = check_by_itself(archive.drive("B"))
    facts = alone.manifest.facts
    assert alone.good
    assert (facts.unit, facts.producer, facts.title, facts.case_number) == (
        "执法一科", "制作人", TITLE["title"], TITLE["case_number"],
    )  # fmt: skip
    assert facts.produced_at
    assert {one.key for one in alone.manifest.files if one.key} == {row.id for row in archive.rows}
    assert alone.manifest_sha256 == archive.desk.view(archive.maker, owner.id).row.facts["manifest_sha256"]
    archive.sound()


def test_r11_only_what_is_kept_for_long_goes_on_discs_or_a_case(archive):
    with pytest.raises(PolicyUnmetError, match="long-term"):
        archive.plan()
    archive.flag(archive.rows[0], flag="long-term")
    archive.plan(archive.rows[:1])
    with pytest.raises(PolicyUnmetError, match="already"):
        archive.plan(archive.rows[:1])
    archive.sound()


def test_a_plan_without_name_or_number_is_refused(archive):
    archive.flag(*archive.rows)
    with pytest.raises(FormError):
        archive.plan(case_number="")
    with pytest.raises(FormError):
        archive.plan(copies=1)
    with pytest.raises(FormError):
        archive.plan(rows=[])


def test_a_recording_larger_than_the_disc_is_refused_at_the_plan(archive, monkeypatch):
    archive.flag(*archive.rows)
    monkeypatch.setattr("retention.disc_set_form.PROOF_BYTES", (2_295_104 * SECTOR_BYTES) // 3)
    with pytest.raises(DiscPlanError):
        archive.plan()


def test_nobody_without_the_right_makes_or_checks_discs(archive):
    archive.flag(*archive.rows)
    owner = archive.plan()
    officer = archive.home.agent("队员", "officer")
    with pytest.raises(DeniedError):
        archive.work.build(officer, owner.id)
    with pytest.raises(InvalidInputError):  # what only a read-back may say is not said by hand
        archive.desk.act(archive.maker, owner.id, terms.BUILD)


def test_a_damaged_copy_is_named_and_made_again_from_the_other(archive):
    owner, first, second = archive.made()
    assert archive.work.tidy(owner.id)
    image = image_path(archive.home.root / "discs" / owner.number, 1)
    assert not image.exists()
    path = archive.drive("A").path
    record = archive.work._parts.shelf.record(owner.number, first.facts["record_sha256"])
    victim = next(one for one in record.files if one.path.startswith("音像/0002"))
    with path.open("r+b") as stream:
        stream.seek(victim.extents[0][0] * SECTOR_BYTES)
        stream.write(b"scratch")
    checked = archive.verify(first, "A")
    assert not checked.good
    assert [one["file"] for one in checked.row.facts["damage"]] == ["0002"]
    assert (checked.row.state, archive.state(owner)) == ("damaged", "wanting")
    with pytest.raises(DiscDamagedError):
        archive.work.restore(archive.maker, first.id, drive=archive.drive("A"))
    with pytest.raises(DiscError, match="not there"):
        archive.burn(owner, "A2", "A")
    archive.work.restore(archive.maker, second.id, drive=archive.drive("B"))
    again = archive.burn(owner, "A2", "A")
    assert archive.verify(again, "A2").good
    archive.register(again)
    assert archive.state(owner) == "registered"
    assert archive.drive("A2").path.read_bytes() == archive.drive("B").path.read_bytes()
    with pytest.raises(DeniedError):  # who produced it does not destroy it
        archive.desk.act(archive.maker, first.id, "destroy", {"why": "划伤"})
    archive.desk.act(archive.leader, first.id, "destroy", {"why": "划伤"})
    with pytest.raises(PolicyUnmetError):
        archive.desk.act(archive.leader, second.id, "destroy", {"why": "不需要"})
    archive.sound()


def test_images_that_are_gone_are_made_again_to_the_same_bytes(archive):
    owner, first, second = archive.made()
    archive.work.tidy(owner.id)
    archive.desk.act(archive.maker, second.id, "lose", {"why": "搬迁中遗失"})
    assert archive.state(owner) == "wanting"
    work = archive.working("elsewhere")  # the folder of images is lost too: list and records come from the stores
    work.build(archive.maker, owner.id)
    again = work.burn(archive.maker, owner.id, disc=1, copy="B", drive=archive.drive("B2"))
    assert again.facts["image_sha256"] == first.facts["image_sha256"]
    assert work.verify(archive.maker, again.id, drive=archive.drive("B2")).good
    archive.register(again)
    assert archive.state(owner) == "registered"
    archive.sound()


def test_the_wrong_disc_in_the_drive_is_no_damage(archive):
    owner, first, _second = archive.made()
    archive.rows = archive.home.ingest({gb_name(counter=9): photo(9)}, card="card2")
    archive.flag(*archive.rows)
    other = archive.work.build(archive.maker, archive.plan().id)
    archive.burn(other, "C", "A")
    with pytest.raises(DiscMediumError, match="another disc"):
        archive.verify(first, "C")
    assert archive.state(first) == "registered"
    assert archive.state(owner) == "registered"


def test_a_place_that_has_its_disc_is_not_burnt_again(archive):
    owner, *_ = archive.made()
    with pytest.raises(StateConflictError, match="is there"):
        archive.burn(owner, "A2", "A")
    with pytest.raises(InvalidInputError):
        archive.burn(owner, "A2", "A", disc=2)
    with pytest.raises(InvalidInputError):
        archive.burn(owner, "A2", "C")


def test_what_is_not_blank_is_refused_and_no_disc_is_opened(archive):
    archive.flag(*archive.rows)
    owner = archive.work.build(archive.maker, archive.plan().id)
    archive.drive("A").path.write_bytes(b"x")
    with pytest.raises(DiscMediumError):
        archive.burn(owner, "A", "A")
    with archive.home.catalogue.read() as uow:
        assert discs_of(uow, owner.id) == []


def test_burning_that_was_cut_off_is_spoilt_and_told(archive, monkeypatch):
    archive.flag(*archive.rows)
    owner = archive.work.build(archive.maker, archive.plan().id)

    class Cut(BaseException):
        pass

    def cut(*_arguments, **_named):
        raise Cut

    monkeypatch.setattr("retention.disc_work.burn", cut)
    with pytest.raises(Cut):
        archive.burn(owner, "A", "A")
    monkeypatch.undo()
    with archive.home.catalogue.read() as uow:
        (left,) = discs_of(uow, owner.id)
    assert left.state == "burning"
    again = archive.burn(owner, "A", "A")
    assert (archive.state(left), again.state) == ("spoilt", "burnt")

    def fail(*_arguments, **_named):
        raise DiscError("burning failed, the disc is spoilt")

    monkeypatch.setattr("retention.disc_work.burn", fail)
    with pytest.raises(DiscError):
        archive.burn(owner, "B", "B")
    with archive.home.catalogue.read() as uow:
        assert [one.state for one in discs_of(uow, owner.id)] == ["spoilt", "burnt", "spoilt"]
    archive.sound()


def test_r12_the_yearly_look_falls_due_and_is_entered(archive):
    owner, first, _second = archive.made()
    due = first.due_at
    assert timedelta(days=364) < due - archive.home.clock.now().wall < timedelta(days=367)
    archive.home.clock.unix_ms += 370 * 86_400_000
    with archive.home.catalogue.read() as uow:
        assert {row.number for row in uow.matters.due(before=archive.home.clock.now().wall, limit=10)} >= {first.number}
    looked = archive.verify(first, "A")
    assert looked.good
    assert looked.row.state == "registered"
    assert looked.row.due_at > archive.home.clock.now().wall
    assert archive.state(owner) == "registered"
    archive.desk.act(archive.maker, first.id, "measure", {"method": "测试仪", "rates": "PI SUM8 12", "grade": 1})


def test_r19_a_loan_is_approved_by_another_and_the_sealed_copy_is_never_lent(archive):
    _owner, first, second = archive.made()
    wanted = {"purpose": "行政复议", "loan_due": "2030-01-05"}
    with pytest.raises(PolicyUnmetError, match="sealed"):
        archive.desk.act(archive.leader, first.id, "ask-loan", wanted)
    asked = archive.desk.act(archive.leader, second.id, "ask-loan", wanted)
    with pytest.raises(DeniedError):
        archive.desk.act(archive.leader, asked.id, "approve-loan")
    other = archive.home.agent("主管", "unit_leader", unit=archive.unit)
    archive.home.grant_directly(other.agent, "unit_leader")
    archive.desk.act(other, asked.id, "approve-loan", {"opinion": "同意"})
    lent = archive.desk.act(archive.maker, asked.id, "hand-out")
    assert lent.state == "lent"
    back = archive.desk.act(archive.maker, asked.id, "return", {"condition": "完好"})
    assert back.state == "registered"
    assert "loan_due" not in back.facts
    assert archive.desk.view(archive.maker, second.id).row.due_at == second.due_at
    archive.sound()


def test_a_new_set_takes_the_place_of_an_old_one(archive):
    owner, first, second = archive.made()
    newer = archive.plan(links=[NewLink(role=terms.REPLACES, target=owner.id)], medium="bd-r")
    newer = archive.work.build(archive.maker, newer.id)
    for copy in "AB":
        disc = archive.burn(newer, f"n{copy}", copy)
        archive.verify(disc, f"n{copy}")
        assert archive.state(owner) == "registered"
        archive.register(disc)
    assert [archive.state(one) for one in (newer, owner, first, second)] == [
        "registered", "migrated", "migrated", "migrated",
    ]  # fmt: skip
    archive.sound()


def test_a_disc_is_judged_by_itself_when_its_record_is_gone(archive, monkeypatch):
    _owner, first, second = archive.made()

    def gone(*_arguments):
        raise DiscError("not kept any more")

    monkeypatch.setattr(DiscShelf, "record", gone)
    assert archive.verify(first, "A").good
    with archive.drive("B").path.open("r+b") as stream:
        stream.seek(-4096, 2)
        stream.write(b"\xff" * 512)
    looked = archive.verify(second, "B")
    assert (looked.good, looked.row.state) in {(True, "registered"), (False, "damaged")}


def test_withdrawn_only_before_a_disc_was_burnt(archive):
    archive.flag(*archive.rows)
    owner = archive.work.build(archive.maker, archive.plan().id)
    archive.burn(owner, "A", "A")
    with pytest.raises(PolicyUnmetError):
        archive.desk.act(archive.maker, owner.id, "withdraw", {"why": "重复"})
    assert isinstance(owner.id, MatterId)


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(7))
def test_cut_off_before_each_entry_the_same_orders_go_on(archive, monkeypatch, at):
    """Every step is true before it is entered: what was cut off is done again or told, and nothing is entered twice."""
    archive.flag(*archive.rows)
    owner = archive.plan()
    real, count = type(archive.desk).act_within, 0

    def cut(self, *arguments, **named):
        nonlocal count
        count += 1
        if count == at + 1:
            raise Cut
        return real(self, *arguments, **named)

    def orders(name: str) -> None:
        row = archive.work.build(archive.maker, owner.id)
        for copy in "AB":
            with archive.home.catalogue.read() as uow:
                there = [
                    one for one in discs_of(uow, owner.id)
                    if one.facts["copy"] == copy and one.state not in (terms.SPOILT, terms.BURNING)
                ]  # fmt: skip
            drive = f"{copy}{name}"
            disc = there[0] if there else archive.burn(row, drive, copy)
            if disc.state == terms.BURNT:
                archive.verify(disc, drive if not there else f"{copy}0")
            with archive.home.catalogue.read() as uow:
                disc = uow.matters.get(disc.id)
            if disc.state == terms.VERIFIED:
                archive.register(disc)

    monkeypatch.setattr(type(archive.desk), "act_within", cut)
    try:
        orders("0")
        ended = True
    except Cut:
        ended = False
    monkeypatch.undo()
    assert ended == (at >= 6)  # list, images, and for each copy burnt and read back
    orders("1")
    with archive.home.catalogue.read() as uow:
        states = [one.state for one in discs_of(uow, owner.id)]
        assert uow.matters.get(owner.id).state == "registered"
    assert states.count("registered") == 2
    assert set(states) <= {"registered", "spoilt"}
    archive.sound()


def test_sets_and_discs_come_back_with_a_rebuild(archive, tmp_path):
    archive.made()
    home = archive.home
    disclosures = DisclosureArchive(generate_key(tmp_path / "key"), [home.root / "stores/second"], segment_entries=16)
    home.seal()
    disclosures.sync(home.catalogue)
    empty = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    try:
        rebuild(
            empty, published=home.published[0], vkey=home.vkey,
            disclosures=disclosures.read_all(home.root / "stores/second"), stores=home.stores,
        )  # fmt: skip
        before, after = evidence_facts(home.catalogue), evidence_facts(empty)
    finally:
        empty.close()
    assert before["matters"] == after["matters"]
    assert len(before["matters"]) == 3
