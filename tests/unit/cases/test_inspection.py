"""Activities and their completeness, random samples, findings until they are closed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access import DeniedError
from cases.inspection import draw
from evidence.clock import from_text, to_text, utc_from_ms
from evidence.errors import PolicyUnmetError
from matters.turn import NewLink
from support import footage
from support.assured_home import AssuredHome
from support.recorders import OFFICER_CODE, gb_name


class Inspection:
    def __init__(self, home: AssuredHome) -> None:
        self.home = home
        self.desk = home.desk()
        self.unit = home.administration.create_unit(home.administrator, name="执法一科").id
        self.officer = home.agent("执法人员甲", "officer", unit=self.unit, code=OFFICER_CODE)
        self.legal = home.agent("法规处", "legal_reviewer")
        self.leader = home.agent("局领导", "unit_leader")

    def ago(self, **back: int) -> str:
        return to_text(utc_from_ms(self.home.clock.unix_ms) - timedelta(**back))

    def activity(self, **values: object):
        given = {
            "title": "检查", "from": "2026-11-22T09:30", "to": "2026-11-22T09:45", "duty": "whole",
            "officer": self.officer.agent, **values,
        }  # fmt: skip
        return self.desk.open(self.officer, "activity", given, unit=self.unit)


@pytest.fixture
def office(home: AssuredHome) -> Inspection:
    return Inspection(home)


def test_r03_r25_missing_footage_needs_an_exception_or_a_word_before_the_activity_closes(office: Inspection) -> None:
    row = office.activity()
    assert row.due_at == from_text("2026-11-23T01:45:00.000Z")
    with pytest.raises(PolicyUnmetError, match="missing without an exception"):
        office.desk.act(office.officer, row.id, "close")
    exception = office.desk.open(
        office.officer, "exception",
        {
            "title": "检查", "from": "2026-11-22T09:29", "to": "2026-11-22T09:46", "place": "某路", "steps": "全部",
            "reason": "nature", "basis": "暴雨",
        },
    )  # fmt: skip
    with pytest.raises(PolicyUnmetError):  # reported is not filed
        office.desk.act(office.officer, row.id, "close")
    seen = office.desk.view(office.leader, exception.id).seen
    office.desk.act(office.leader, exception.id, "review", seen=seen)
    closed = office.desk.act(office.officer, row.id, "close")
    assert (closed.state, closed.facts["verdict"]) == ("closed", "explained")
    assert [one["what"] for one in closed.facts["parts"]] == ["covered", "explained"]
    assert office.home.verify().verdict == "good"


def test_r25_the_report_compares_with_what_came_in(office: Inspection) -> None:
    home = office.home
    [clip] = home.ingest({gb_name(stamp="20261122093000"): footage.talking_mp4()}, describe=True)
    assert clip.officer == office.officer.agent
    row = office.activity()
    compared = office.desk.act(office.officer, row.id, "compare")
    assert compared.facts["verdict"] == "missing"
    [summary, missing] = compared.facts["parts"]
    assert (summary["recordings"], missing["to"]) == ("1", "2026-11-22T01:45:00.000Z")
    closed = office.desk.act(office.officer, row.id, "close", {"unexplained": "设备故障，已报修"})
    assert closed.facts["verdict"] == "missing"


def test_an_activity_that_is_not_over_or_ends_before_it_begins(office: Inspection) -> None:
    with pytest.raises(PolicyUnmetError, match="before it begins"):
        office.activity(to="2026-11-22T09:00")
    row = office.activity(to="2026-12-01T09:00")
    with pytest.raises(PolicyUnmetError, match="not over"):
        office.desk.act(office.officer, row.id, "compare")


def test_r06_a_sample_leaves_no_officer_out_and_the_same_seed_draws_it_again() -> None:
    candidates = {f"officer{n}": [f"rec{n}-{m}" for m in range(20 * n + 1)] for n in range(5)}
    drawn = draw(candidates, 10, "ab")
    assert drawn == draw(dict(reversed(candidates.items())), 10, "ab")
    assert len(drawn) == len(set(drawn)) == 10
    assert {one.split("-")[0] for one in drawn} == {f"rec{n}" for n in range(5)}
    assert drawn != draw(candidates, 10, "cd")
    assert len(draw(candidates, 10_000, "ab")) == sum(map(len, candidates.values()))
    assert draw({}, 3, "ab") == []


def test_r06_a_drawn_sample_is_frozen_looked_at_and_published_by_somebody_else(office: Inspection) -> None:
    home = office.home
    clips = home.ingest(
        {gb_name(counter=n): (footage.voice_mp3, footage.voice_wav)[n - 1]() for n in (1, 2)}, describe=True
    )
    given = {"title": "十一月抽查", "from": "2026-11-01", "to": "2026-11-30", "size": "5"}
    row = office.desk.open(office.legal, "sampling", given)
    assert {link.target for link in office.desk.view(office.legal, row.id).links} == {clip.id for clip in clips}
    assert (row.facts["candidates"], row.facts["officers"], len(row.facts["seed"])) == (2, 1, 32)
    with pytest.raises(PolicyUnmetError, match="2 recordings of the sample"):
        office.desk.act(office.legal, row.id, "finish", {"summary": "x"})
    for clip in clips:
        seen = {"item": clip.id, "worn": "yes", "told": "no", "whole": "yes", "seen": "未告知"}
        office.desk.act(office.legal, row.id, "look", seen)
    view = office.desk.view(office.legal, row.id)
    assert {link.facts["told"] for link in view.links} == {"no"}
    assert view.row.words[f"link:sample:{clips[0].id}:"] == "未告知"
    office.desk.act(office.legal, row.id, "finish", {"summary": "总体良好"})
    with pytest.raises(DeniedError):
        office.desk.act(office.legal, row.id, "publish", {"notice": "x"}, seen="x")
    seen = office.desk.view(office.leader, row.id).seen
    assert office.desk.act(office.leader, row.id, "publish", {"notice": "公示栏"}, seen=seen).state == "published"
    assert home.verify().verdict == "good"


def test_r06_only_what_was_drawn_is_looked_at_and_an_empty_period_draws_nothing(office: Inspection) -> None:
    home = office.home
    [clip] = home.ingest({gb_name(): footage.voice_mp3()}, describe=True)
    given = {"title": "抽查", "from": "2026-11-01", "to": "2026-11-30", "size": 5}
    row = office.desk.open(office.legal, "sampling", given)
    [other] = home.ingest({gb_name(counter=9): footage.voice_wav()}, card="later", describe=True)
    seen = {"item": other.id, "worn": "yes", "told": "yes", "whole": "yes"}
    with pytest.raises(PolicyUnmetError, match="not in the sample"):
        office.desk.act(office.legal, row.id, "look", seen)
    assert clip.id != other.id
    with pytest.raises(PolicyUnmetError, match="nothing was recorded"):
        office.desk.open(office.legal, "sampling", {**given, "from": "2025-01-01", "to": "2025-02-01"})
    with pytest.raises(PolicyUnmetError, match="before it begins"):
        office.desk.open(office.legal, "sampling", {**given, "to": "2026-10-01"})


def test_r06_a_finding_is_explained_corrected_looked_at_again_and_closed(office: Inspection) -> None:
    home = office.home
    [clip] = home.ingest({gb_name(): footage.voice_mp3()}, describe=True)
    row = office.desk.open(
        office.legal, "sampling", {"title": "抽查", "from": "2026-11-01", "to": "2026-11-30", "size": 1}
    )
    told = {
        "finding_item": clip.id, "finding_title": "未事先告知", "finding_words": "开头没有告知",
        "responsible": office.officer.agent,
        "answer_by": "2026-11-30",
    }  # fmt: skip
    office.desk.act(office.legal, row.id, "raise", told)
    [finding] = [one for one in office.desk.find(office.officer) if one.kind == "inspection-finding"]
    assert (finding.words["title"], finding.due_at) == ("未事先告知", from_text("2026-11-30T16:00:00.000Z"))
    assert {(link.role, link.target) for link in office.desk.view(office.officer, finding.id).links} == {
        ("footage", clip.id), ("sampling", row.id),
    }  # fmt: skip
    with pytest.raises(DeniedError):
        office.desk.act(office.legal, finding.id, "explain", {"explanation": "x"})
    office.desk.act(office.officer, finding.id, "explain", {"explanation": "疏忽"})
    ordered = office.desk.act(office.legal, finding.id, "order", {"correct_by": "2026-12-15", "correction": "补训"})
    assert ordered.due_at == from_text("2026-12-15T16:00:00.000Z")
    corrected = office.desk.act(office.officer, finding.id, "correct", {"corrected": "已补训"})
    assert corrected.due_at is None
    assert office.desk.act(office.legal, finding.id, "close", {"closing": "复查合格"}).state == "closed"
    assert home.verify().verdict == "good"


def test_links_to_the_finding_survive(office: Inspection) -> None:
    row = office.desk.open(
        office.legal, "inspection-finding",
        {"title": "a", "finding": "b", "responsible": office.officer.agent, "answer_by": "2026-12-01"},
        links=[NewLink(role="sampling", target=office.activity().id)],
    )  # fmt: skip
    assert len(office.desk.view(office.legal, row.id).links) == 1
