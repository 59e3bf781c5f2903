"""A schedule from proposal to force: tried, approved by somebody else, never retroactive by itself; and the re-schedule."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from access import DeniedError
from assurance.rebuild import rebuild
from catalogue import Catalogue
from catalogue.matters import MatterFilter
from evidence.calendar import local_date
from evidence.clock import to_text, utc_from_ms
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.events import RecordingClassified
from evidence.lock_dates import due_at
from matters.recording_facts import say
from matters.turn import NewLink
from matters.values import FormError
from matters.working_calendar import calendar_version, working_days
from retention.desk import RetentionDesk
from retention.dry_run import COLUMNS, DryRuns
from retention.facts import schedules_of
from retention.recompute import Recompute
from support import footage
from support.assured_home import AssuredHome
from support.footage import photo_jpg
from support.recorders import gb_name


class Bureau:
    """Two persons, a desk and the duties of one home."""

    def __init__(self, home: AssuredHome, unit) -> None:
        self.home = home
        self.manager = home.agent("管理员", "retention_manager", unit=unit)
        self.leader = home.agent("负责人", "unit_leader", unit=unit)
        for one, role in ((self.manager, "retention_manager"), (self.leader, "unit_leader")):
            home.grant_directly(one.agent, role)
        self.desk = home.desk()
        self.dry_runs = DryRuns(home.catalogue, clock=home.clock, desk=self.desk, filer=home.papers())
        self.duty = Recompute(home.catalogue, clock=home.clock, desk=self.desk)
        self.retention = RetentionDesk(home.catalogue, authoriser=home.gate, clock=home.clock, forms=self.desk.forms)

    def today(self, days: int = 0) -> str:
        return local_date(self.home.clock.now().wall + timedelta(days=days)).isoformat()

    def propose(self, rows: list[dict[str, str]], **values):
        given = {"title": "办法", "authority": "局发〔2026〕1号", "in_force_from": self.today(), "rows": rows}
        return self.desk.open(self.manager, "schedule", given | values)

    def approve(self, row, who=None):
        self.dry_runs.run()
        who = who or self.leader
        self.desk.act(who, row.id, "approve", seen=self.desk.view(who, row.id).seen)
        self.duty.run()

    def state(self, row) -> str:
        return self.desk.view(self.manager, row.id).row.state

    def classify(self, recording, category: str) -> None:
        now = self.home.clock.now()
        event = RecordingClassified(
            actor=self.manager.agent,
            recording=recording.id,
            category=category,
            item="",
            basis="person",
            at=to_text(now.wall),
        )
        with self.home.catalogue.begin() as uow:
            say(uow, lambda one: self.home.recorder.record(uow.outbox, one, at=now), event)

    def due(self, recording):
        self.duty.run()
        return self.retention.show(self.manager, recording.id).decision.due_at

    def pass_days(self, days: int) -> None:
        self.home.clock.unix_ms += days * 86_400_000


@pytest.fixture
def bureau(home: AssuredHome, unit) -> Bureau:
    return Bureau(home, unit)


TWO_YEARS = [{"category": "traffic", "title": "交通", "keeps": "2年"}]


def test_r10_nobody_approves_their_own_schedule_nor_one_that_was_not_tried(bureau: Bureau) -> None:
    row = bureau.propose(TWO_YEARS)
    assert row.number.startswith("BG2026-")
    seen = bureau.desk.view(bureau.leader, row.id).seen
    with pytest.raises(PolicyUnmetError, match="on file"):
        bureau.desk.act(bureau.leader, row.id, "approve", seen=seen)
    with pytest.raises(InvalidInputError, match="no document"):
        bureau.home.papers().file(bureau.leader, row.id, "dry-run", "list.csv", io.BytesIO(b"recording\r\n"))
    bureau.dry_runs.run()
    with pytest.raises(StateConflictError, match="changed since"):
        bureau.desk.act(bureau.leader, row.id, "approve", seen=seen)
    bureau.home.grant_directly(bureau.manager.agent, "unit_leader")
    with pytest.raises(DeniedError, match="same-person"):
        bureau.desk.act(bureau.manager, row.id, "approve", seen=bureau.desk.view(bureau.manager, row.id).seen)
    bureau.approve(row)
    assert bureau.state(row) == "in-force"
    with bureau.home.catalogue.read() as uow:
        current = schedules_of(uow).current
    assert (current.version, current.number, current.rows["traffic"].keeps.months) == (1, row.number, 24)
    bureau.home.seal()
    assert bureau.home.verify().findings == ()


def test_r10_a_schedule_that_was_changed_after_the_trial_is_tried_again(bureau: Bureau) -> None:
    row = bureau.propose(TWO_YEARS)
    assert bureau.dry_runs.run() == 1
    assert bureau.dry_runs.run() == 0
    given = {"title": "办法", "authority": "a", "in_force_from": bureau.today(), "rows": TWO_YEARS, "notice_days": 7}
    bureau.desk.act(bureau.manager, row.id, "change", given)
    with pytest.raises(PolicyUnmetError, match="not been computed"):
        bureau.desk.act(bureau.leader, row.id, "approve", seen=bureau.desk.view(bureau.leader, row.id).seen)
    assert bureau.dry_runs.run() == 1


def test_r10_the_list_names_exactly_what_would_be_dated_otherwise(bureau: Bureau) -> None:
    rows = bureau.home.ingest({gb_name(counter=n): footage.voice_mp3() if n == 1 else photo_jpg() for n in (1, 2)})
    first = bureau.propose(TWO_YEARS)
    bureau.approve(first)
    bureau.classify(rows[0], "traffic")
    bureau.duty.run()
    second = bureau.propose([{"category": "traffic", "keeps": "3年"}])
    tried = bureau.dry_runs.enter(second.id)
    [head, line] = list(csv.reader(io.StringIO(tried.data.decode())))
    assert tuple(head) == COLUMNS
    told = dict(zip(head, line, strict=True))
    assert (told["recording"], told["change"], tried.count, tried.earlier) == (rows[0].id, "later", 1, 0)
    assert told["due_before"] == to_text(due_at(rows[0].acquired_at, months=24))
    assert told["due_after"] == to_text(due_at(rows[0].acquired_at, months=36))
    facts = bureau.desk.view(bureau.leader, second.id).row.facts
    assert (facts["list_sha256"], facts["list_count"]) == (tried.list_sha256.hex, 1)
    assert facts["list_bytes"] == rows[0].size_bytes
    [document] = bureau.desk.view(bureau.leader, second.id).documents
    assert document.sha256 == tried.list_sha256


def test_r10_a_shorter_schedule_is_not_retroactive_and_a_re_schedule_that_names_a_recording_is(bureau: Bureau) -> None:
    [before] = bureau.home.ingest({gb_name(): footage.voice_mp3()})
    bureau.approve(bureau.propose(TWO_YEARS))
    bureau.classify(before, "traffic")
    bureau.pass_days(1)
    shorter = bureau.propose([{"category": "traffic", "keeps": "12个月"}])
    bureau.dry_runs.run()
    assert bureau.desk.view(bureau.leader, shorter.id).row.facts["list_count"] == 0
    bureau.approve(shorter)
    [after] = bureau.home.ingest({gb_name(counter=2): photo_jpg()}, card="second")
    bureau.pass_days(1)
    bureau.classify(after, "traffic")
    assert bureau.due(before) == due_at(before.acquired_at, months=24)
    assert bureau.due(after) == due_at(after.acquired_at, months=12)
    freed = bureau.desk.open(
        bureau.manager, "reschedule", {"title": "重新计算", "version": 2, "why": "决定"},
        links=[NewLink(role="freed", target=before.id)],
    )  # fmt: skip
    tried = bureau.dry_runs.enter(freed.id)
    assert (tried.count, tried.earlier) == (1, 1)
    assert bureau.due(before) == due_at(before.acquired_at, months=24), "proposed is not approved"
    bureau.approve(freed)
    assert bureau.due(before) == due_at(before.acquired_at, months=12)
    bureau.home.seal()
    assert bureau.home.verify().findings == ()


def test_r10_a_longer_one_applies_at_once_and_the_one_before_steps_back(bureau: Bureau) -> None:
    [row] = bureau.home.ingest({gb_name(): footage.voice_mp3()})
    first = bureau.propose(TWO_YEARS)
    bureau.approve(first)
    bureau.classify(row, "traffic")
    second = bureau.propose([{"category": "traffic", "keeps": "永久"}], ordinary_months=9)
    bureau.approve(second)
    assert bureau.due(row) is None
    assert (bureau.state(first), bureau.state(second)) == ("superseded", "in-force")


def test_r10_a_schedule_waits_for_its_day_and_for_a_clock_that_is_believed(bureau: Bureau) -> None:
    row = bureau.propose(TWO_YEARS, in_force_from=bureau.today(10))
    bureau.approve(row)
    assert bureau.state(row) == "approved"
    with bureau.home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(utc_from_ms(bureau.home.clock.unix_ms + 60 * 86_400_000))
    bureau.pass_days(11)
    bureau.duty.run()
    assert bureau.state(row) == "approved", "the clock is behind what was seen"
    bureau.pass_days(60)
    bureau.duty.run()
    assert bureau.state(row) == "in-force"


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ([{"category": "a", "keeps": "3个月"}], {}),
        ([{"category": "a", "keeps": "2年"}, {"category": "a", "keeps": "3年"}], {}),
        ([{"category": "", "keeps": "2年"}], {}),
        ([], {"ordinary_months": 5}),
        ([], {"notice_days": 3}),
        ([], {"in_force_from": "31 August"}),
        ([{"category": f"c{n}", "keeps": "2年", "authority": "x" * 300} for n in range(200)], {}),
    ],
)
def test_r10_a_schedule_laxer_than_the_rules_or_none_at_all_is_refused(bureau: Bureau, rows, values) -> None:
    with pytest.raises((InvalidInputError, FormError, PolicyUnmetError)):
        bureau.propose(rows, **values)
    assert bureau.desk.find(bureau.manager, MatterFilter(kinds=("schedule",))) == []


def test_r10_a_re_schedule_names_a_version_that_came_into_force(bureau: Bureau) -> None:
    [row] = bureau.home.ingest({gb_name(): footage.voice_mp3()})
    with pytest.raises(PolicyUnmetError, match="no version"):
        bureau.desk.open(
            bureau.manager, "reschedule", {"title": "x", "version": 3, "why": "y"},
            links=[NewLink(role="freed", target=row.id)],
        )  # fmt: skip


# --- what a person is told --------------------------------------------------------------------------------------------
def test_r10_what_is_due_is_listed_and_decided_anew_when_asked(bureau: Bureau) -> None:
    rows = bureau.home.ingest({gb_name(counter=n): footage.voice_mp3() if n == 1 else photo_jpg() for n in (1, 2)})
    bureau.duty.run()
    assert list(bureau.retention.due(bureau.manager).items) == []
    bureau.pass_days(25)
    for _ in range(7):  # a machine that is off for longer than a month is not believed at once
        bureau.pass_days(25)
        with bureau.home.catalogue.begin() as uow:
            uow.clock_marks.raise_to(bureau.home.clock.now().wall)
    listed = bureau.retention.due(bureau.manager, limit=1)
    [one] = listed.items
    assert (one.decision.standing.value, listed.clock_believed) == ("unclassified-due", True)
    assert listed.after is not None
    [two] = bureau.retention.due(bureau.manager, after=listed.after).items
    assert {one.recording.id, two.recording.id} == {row.id for row in rows}
    with bureau.home.catalogue.begin() as uow:
        uow.rules.change(one.recording.id, sensitive=True)
    assert [each.recording.id for each in bureau.retention.due(bureau.manager).items] == [two.recording.id]
    officer = bureau.home.agent("执法人员", "officer", home_unit=None)
    with pytest.raises(DeniedError):
        bureau.retention.due(officer)
    with pytest.raises(DeniedError):
        bureau.retention.show(officer, rows[0].id)
    bureau.home.clock.unix_ms -= 100 * 86_400_000
    went_back = bureau.retention.due(bureau.manager)
    assert (list(went_back.items), went_back.clock_believed) == ([], False)


# --- the calendar -----------------------------------------------------------------------------------------------------
NEXT = [
    {"date": day, "kind": kind, "name": "", "source": "国办发明电〔2026〕7号"}
    for day, kind in (("2027-01-01", "rest"), ("2027-01-09", "work"), ("2027-10-01", "rest"))
]


def test_r22_r27_a_new_year_is_brought_in_by_one_and_approved_by_another(bureau: Bureau) -> None:
    row = bureau.desk.open(bureau.manager, "calendar-year", {"year": 2027, "days": NEXT})
    with bureau.home.catalogue.read() as uow:
        assert 2027 not in working_days(uow).years
        assert calendar_version(uow) == 0
    with pytest.raises(InvalidInputError):
        bureau.desk.open(bureau.manager, "calendar-year", {"year": 2028, "days": NEXT})
    bureau.desk.act(bureau.leader, row.id, "approve", seen=bureau.desk.view(bureau.leader, row.id).seen)
    again = bureau.desk.open(bureau.manager, "calendar-year", {"year": 2027, "days": [*NEXT[:1], *NEXT[2:]]})
    bureau.desk.act(bureau.leader, again.id, "approve", seen=bureau.desk.view(bureau.leader, again.id).seen)
    with bureau.home.catalogue.read() as uow:
        assert working_days(uow).years[2027].work == frozenset()
        assert calendar_version(uow) == 2
    assert bureau.desk.view(bureau.leader, row.id).row.state == "superseded"


def test_r10_a_rebuilt_catalogue_comes_to_the_same_dates_by_itself(bureau: Bureau, tmp_path) -> None:
    [row] = bureau.home.ingest({gb_name(): footage.voice_mp3()})
    bureau.approve(bureau.propose(TWO_YEARS))
    bureau.classify(row, "traffic")
    bureau.pass_days(1)
    bureau.approve(bureau.propose([{"category": "traffic", "keeps": "12个月"}]))
    due = bureau.due(row)
    assert due == due_at(row.acquired_at, months=24)
    bureau.home.seal()
    empty = Catalogue.open(f"sqlite:///{tmp_path / 'again.db'}", migrate=True)
    try:
        rebuild(
            empty, published=bureau.home.published[0], vkey=bureau.home.vkey, disclosures=[],
            stores=bureau.home.stores,
        )  # fmt: skip
        assert Recompute(empty, clock=bureau.home.clock).run().complete
        with empty.read() as uow:
            again = uow.rules.date_of(row.id)
        assert again is not None
        assert again.due_at == due
    finally:
        empty.close()
