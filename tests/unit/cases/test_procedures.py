"""Procedures with statutory clocks: who may work on them, how long, and that what they look at is kept until they end."""

from __future__ import annotations

from datetime import datetime

import pytest

from access import DeniedError
from cases.clocks import clocks_of
from cases.recounting import recount_provisional
from evidence.clock import from_text, unix_ms
from evidence.errors import InvalidInputError, PolicyUnmetError, StateConflictError
from evidence.model import Actor
from matters.desk import MatterDesk
from matters.turn import NewLink
from matters.values import FormError
from support import footage
from support.assured_home import AssuredHome
from support.recorders import OFFICER_CODE, gb_name


def set_clock(home: AssuredHome, text: str) -> None:
    home.clock.unix_ms = unix_ms(datetime.fromisoformat(f"{text}+08:00"))


class Office:
    """A bureau with people enough to keep everybody apart from what concerns them."""

    def __init__(self, home: AssuredHome) -> None:
        self.home = home
        self.desk: MatterDesk = home.desk()
        unit = home.administration.create_unit(home.administrator, name="法规处").id
        self.unit = unit
        self.officer = home.agent("执法人员甲", "officer", unit=unit, code=OFFICER_CODE)
        self.legal = home.agent("审核员甲", "legal_reviewer", unit=unit)
        self.other_legal = home.agent("审核员乙", "legal_reviewer", unit=unit)
        self.leader = home.agent("负责人", "unit_leader", unit=unit)

    def received(self, kind: str, actor: Actor | None = None, **values: object):
        given = {"title": "某案", "source": "complaint", "named": "none", "matter": "经过", **values}
        return self.desk.open(actor or self.legal, kind, given)

    def decided(self, kind: str, outcome: str, **values: object):
        row = self.received(kind, **values)
        self.act(row, "accept")
        self.act(row, "assign", investigator=self.legal.agent)
        self.act(row, "assign", investigator=self.other_legal.agent)
        self.act(row, "hear", statement="陈述") if kind != "complaint" else None
        return self.decide(row, outcome)

    def decide(self, row, outcome: str):
        seen = self.desk.view(self.leader, row.id).seen
        return self.desk.act(self.leader, row.id, "decide", {"outcome": outcome, "decision": "理由"}, seen=seen)

    def act(self, row, name: str, actor: Actor | None = None, **values: object):
        return self.desk.act(actor or self.legal, row.id, name, values)

    def clock(self, row, code: str):
        return clocks_of(self.desk.view(self.legal, row.id).row.facts)[code]


@pytest.fixture
def office(home: AssuredHome) -> Office:
    set_clock(home, "2026-04-01T08:00:00")  # before every test's own time, so that everybody is in office then
    return Office(home)


def last_days(office: Office, row) -> dict[str, str]:
    return {
        code: clock["last_day"] for code, clock in clocks_of(office.desk.view(office.legal, row.id).row.facts).items()
    }


def test_r22_legal_review_takes_seven_working_days_over_the_holidays(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-04-28T10:00:00")
    row = office.desk.open(
        office.officer, "legal-review", {"title": "重大处罚", "decision_kind": "major", "draft": "拟处罚"}
    )
    assert last_days(office, row) == {"review": "2026-05-11"}
    assert row.due_at == from_text("2026-05-11T16:00:00.000Z")
    office.act(row, "take")
    seen = office.desk.view(office.legal, row.id).seen
    done = office.desk.act(office.legal, row.id, "opinion", {"opinion": "事实清楚"}, seen=seen)
    assert (done.state, done.due_at) == ("passed", None)
    assert office.clock(row, "review")["met"]


def test_r22_who_recorded_or_handled_what_is_reviewed_does_not_review_it(home: AssuredHome, office: Office) -> None:
    home.administration.grant_role(
        home.administrator, agent=office.officer.agent, role="legal_reviewer", unit=office.unit
    )
    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    assert clip.officer == office.officer.agent
    row = office.desk.open(
        office.officer, "legal-review", {"title": "处罚", "decision_kind": "penalty", "draft": "x"},
        links=[NewLink(role="footage", target=clip.id)],
    )  # fmt: skip
    with pytest.raises(DeniedError):  # who submitted it
        office.act(row, "take", office.officer)
    other = office.desk.open(office.legal, "legal-review", {"title": "处罚", "decision_kind": "penalty", "draft": "x"},
                             links=[NewLink(role="footage", target=clip.id)])  # fmt: skip
    with pytest.raises(PolicyUnmetError, match="recorded or handled"):
        office.act(other, "take", office.officer)
    assert office.act(other, "take", office.other_legal).state == "reviewing"
    recused = office.desk.act(office.other_legal, other.id, "recuse", {"recusal": "亲属"})
    assert recused.state == "submitted"
    with pytest.raises(DeniedError):
        office.act(other, "take", office.other_legal)


def test_r22_an_extension_needs_the_leader_and_comes_before_the_deadline(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-11-02T10:00:00")
    row = office.desk.open(office.officer, "legal-review", {"title": "处罚", "decision_kind": "major", "draft": "x"})
    office.act(row, "take")
    with pytest.raises(DeniedError):
        office.act(row, "extend", clock="review", more=3, extension="复杂")
    assert office.act(row, "extend", office.leader, clock="review", more=3, extension="复杂").version == 3
    assert last_days(office, row) == {"review": "2026-11-16"}
    set_clock(home, "2026-11-17T00:00:01")
    with pytest.raises(PolicyUnmetError, match="late stays late"):
        office.act(row, "extend", office.leader, clock="review", more=3, extension="复杂")


def test_r23_accepted_within_three_working_days_done_within_thirty_days(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-09-30T15:00:00")
    row = office.received("wrong-case")
    assert last_days(office, row) == {"accept": "2026-10-10"}  # the holiday is not counted, the moved Saturday is
    set_clock(home, "2026-10-12T09:00:00")
    accepted = office.act(row, "accept")
    assert office.clock(row, "accept")["met"] > office.clock(row, "accept")["due"]  # late stays late
    assert last_days(office, row)["investigate"] == "2026-11-11"
    assert accepted.due_at == from_text("2026-11-11T16:00:00.000Z")


def test_r23_only_who_works_on_it_learns_who_complained(home: AssuredHome, office: Office) -> None:
    row = office.received("wrong-case", named="named", complainant="举报人某", contact="13800000000")
    assert office.desk.view(office.legal, row.id).row.words["complainant"] == "举报人某"
    for curious in (office.leader, office.other_legal):
        assert "举报人某" not in str(office.desk.view(curious, row.id)) + str(office.desk.history(curious, row.id))
    office.act(row, "accept", office.other_legal)
    assert office.desk.view(office.other_legal, row.id).row.words["contact"] == "13800000000"
    published = b"".join(path.read_bytes() for path in home.published[0].rglob("*") if path.is_file())
    assert "举报人某".encode() not in published
    with pytest.raises(PolicyUnmetError, match="gave a name"):
        office.received("wrong-case", named="named")


def test_r23_nobody_is_judged_unheard_and_who_investigates_does_not_decide(home: AssuredHome, office: Office) -> None:
    row = office.received("wrong-case")
    office.act(row, "accept")
    with pytest.raises(PolicyUnmetError, match="investigators"):
        office.decide(row, "no-fault")
    office.act(row, "assign", investigator=office.other_legal.agent)
    with pytest.raises(PolicyUnmetError, match="statement"):
        office.decide(row, "no-fault")
    office.act(row, "hear", no_statement="拒绝陈述")
    home.administration.grant_role(
        home.administrator, agent=office.other_legal.agent, role="unit_leader", unit=office.unit
    )
    seen = office.desk.view(office.other_legal, row.id).seen
    with pytest.raises(DeniedError, match="same-person"):
        office.desk.act(office.other_legal, row.id, "decide", {"outcome": "fault", "decision": "x"}, seen=seen)
    assert office.decide(row, "fault").state == "decided"


def test_r24_the_decision_is_told_within_seven_days_and_corrections_have_a_deadline(
    home: AssuredHome, office: Office
) -> None:
    set_clock(home, "2026-11-02T10:00:00")
    row = office.received("fault-tolerance", office.officer, source="application")  # people may apply for themselves
    office.act(row, "accept")
    office.act(row, "assign", investigator=office.other_legal.agent)
    office.act(row, "hear", statement="陈述")
    office.decide(row, "tolerated")
    assert last_days(office, row) == {"tell": "2026-11-09"}
    office.act(row, "tell", told_on="2026-11-03", told_whom="本人")
    with pytest.raises(PolicyUnmetError, match="has passed"):
        office.act(row, "order-correction", correct_by="2026-10-01", correction="补录")
    ordered = office.act(row, "order-correction", correct_by="2026-11-30", correction="补录")
    assert ordered.due_at == from_text("2026-11-30T16:00:00.000Z")
    with pytest.raises(PolicyUnmetError, match="corrected"):
        office.act(row, "close")
    extended = office.act(
        row, "extend-correction", office.leader, correct_by="2026-12-15", correction_extension="设备未到"
    )
    assert extended.due_at == from_text("2026-12-15T16:00:00.000Z")
    office.act(row, "recheck", recheck="corrected", recheck_words="已补")
    office.act(row, "clear-name", cleared="在全局范围内澄清")
    assert office.act(row, "close").state == "closed"


def test_r25_thirty_days_two_investigators_and_an_appraisal_is_not_counted(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-11-02T10:00:00")
    row = office.received("fault-tolerance-supervised", source="supervision")
    office.act(row, "accept")
    assert last_days(office, row) == {"investigate": "2026-12-02"}
    set_clock(home, "2026-11-10T10:00:00")
    paused = office.act(row, "appraise", appraiser="鉴定机构", appraisal="录像真伪")
    assert paused.due_at is None  # it stands still
    with pytest.raises(PolicyUnmetError, match="runs already"):
        office.act(row, "appraise", appraiser="鉴定机构", appraisal="又一次")
    set_clock(home, "2026-11-25T10:00:00")
    office.act(row, "appraised", appraisal_result="未经剪辑")
    assert last_days(office, row) == {"investigate": "2026-12-17"}
    office.act(row, "assign", investigator=office.legal.agent)
    office.act(row, "hear", statement="陈述")
    with pytest.raises(PolicyUnmetError, match="2 investigators"):
        office.decide(row, "tolerated")
    with pytest.raises(PolicyUnmetError, match="by 30 in all, not by 31"):
        office.act(row, "extend", office.leader, clock="investigate", more=31, extension="复杂")
    office.act(row, "extend", office.leader, clock="investigate", more=30, extension="复杂")
    office.act(row, "assign", investigator=office.other_legal.agent)
    office.decide(row, "tolerated")
    set_clock(home, "2026-11-26T10:00:00")
    office.act(row, "tell", told_on="2026-11-26", told_whom="各方")
    assert last_days(office, row)["review-ask"] == "2026-12-11"
    office.act(row, "ask-review", asked_on="2026-12-01", review_request="不服")
    assert last_days(office, row)["review"] == "2026-12-26"
    with pytest.raises(StateConflictError):
        office.act(row, "close")
    seen = office.desk.view(office.leader, row.id).seen
    given = {"review_outcome": "upheld", "review_decision": "维持"}
    with pytest.raises(DeniedError, match="same-person"):  # who decided does not look at their own decision
        office.desk.act(office.leader, row.id, "decide-review", given, seen=seen)
    second = home.agent("局领导乙", "unit_leader", unit=office.unit)
    assert office.desk.act(second, row.id, "decide-review", given, seen=seen).state == "told"
    assert office.act(row, "close").state == "closed"


def test_r25_what_was_handed_to_an_agency_is_asked_back(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-11-02T10:00:00")
    row = office.received("fault-tolerance-supervised", source="supervision")
    office.act(row, "accept")
    office.act(row, "hand-over", agency="某大队")
    office.act(row, "handed-back", agency_result="已处理")
    assert last_days(office, row) == {"investigate": "2026-12-02", "handed": "2026-12-02", "file-result": "2026-11-09"}
    office.act(row, "result-filed")
    assert office.clock(row, "file-result")["met"]


def test_r25_nobody_works_on_what_concerns_them(home: AssuredHome, office: Office) -> None:
    row = office.received("fault-tolerance-supervised", source="supervision", respondent=office.other_legal.agent)
    office.act(row, "accept")
    with pytest.raises(PolicyUnmetError, match="concerned by it"):
        office.act(row, "assign", investigator=office.other_legal.agent)
    with pytest.raises(DeniedError, match="concerned"):
        office.act(row, "report", office.other_legal, report="x")
    office.act(row, "assign", investigator=office.leader.agent)
    office.act(row, "recuse", person=office.leader.agent, recusal="亲属关系")
    with pytest.raises(PolicyUnmetError, match="concerned by it"):
        office.act(row, "assign", investigator=office.leader.agent)
    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    home.administration.grant_role(
        home.administrator, agent=office.officer.agent, role="legal_reviewer", unit=office.unit
    )
    office.act(row, "assign", investigator=office.officer.agent)
    with pytest.raises(
        PolicyUnmetError, match="concerned by it"
    ):  # the footage an investigator recorded comes in later
        office.desk.act(office.legal, row.id, "add", {}, links=[NewLink(role="footage", target=clip.id)])


def test_r23_who_it_is_about_and_who_was_recused_neither_sees_it_nor_finds_it(
    home: AssuredHome, office: Office
) -> None:
    row = office.received("wrong-case", respondent=office.leader.agent)
    other = office.received("wrong-case", respondent=office.officer.agent)
    for concerned in (office.leader, office.officer):
        mine = row if concerned is office.leader else other
        with pytest.raises(DeniedError, match="concerned"):
            office.desk.view(concerned, mine.id)
        with pytest.raises(DeniedError, match="concerned"):
            office.desk.history(concerned, mine.id)
        assert mine.id not in {one.id for one in office.desk.find(concerned)}
        assert mine.id not in office.desk.known(concerned, [mine.id])
    assert [one.id for one in office.desk.find(office.leader)] == [other.id]
    assert office.desk.counts(office.leader) == {("wrong-case", "received"): 1}
    own = office.received("fault-tolerance", office.officer, source="application", respondent=office.officer.agent)
    assert office.desk.view(office.officer, own.id).row.number == own.number  # who applies for themselves sees it


def test_r26_accountability_for_faults_is_recorded_decided_and_followed_up(home: AssuredHome, office: Office) -> None:
    row = office.decided("fault-accountability", "fault", respondent=office.officer.agent)
    assert row.due_at is None
    office.act(row, "order-correction", correct_by="2027-01-31", correction="培训")
    office.act(row, "recheck", recheck="corrected", recheck_words="完成")
    closed = office.act(row, "close", personnel_file=True, closing="记入档案")
    assert (closed.state, closed.facts["personnel_file"]) == ("closed", True)
    assert home.verify().verdict == "good"


def test_r27_a_lawsuit_has_its_date_its_list_of_evidence_and_only_a_leader_ends_it(
    home: AssuredHome, office: Office
) -> None:
    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    row = office.desk.open(
        home.agent("审核", "legal_reviewer"), "remedy",
        {"type": "litigation", "title": "某诉我局", "authority": "某法院", "respond_by": "2026-12-15"},
        unit=office.unit,
        links=[NewLink(role="evidence", target=clip.id, words="证明告知在先"), NewLink(role="footage", target=clip.id)],
    )  # fmt: skip
    assert row.due_at == from_text("2026-12-15T16:00:00.000Z")
    view = office.desk.view(office.legal, row.id)
    assert view.row.words[f"link:evidence:{clip.id}:"] == "证明告知在先"
    assert office.act(row, "respond", responded_on="2026-12-10").due_at is None
    office.act(row, "decide", outcome="upheld", decision="驳回")
    appealed = office.act(row, "appeal", appeal="上诉", respond_by="2027-02-01")
    assert appealed.due_at == from_text("2027-02-01T16:00:00.000Z")
    office.act(row, "decide", outcome="upheld", decision="维持")
    with pytest.raises(DeniedError):
        office.act(row, "close", closing="终审")
    assert office.act(row, "close", office.leader, closing="终审").closed_at is not None


def test_clocks_over_an_unpublished_year_are_provisional_and_counted_again(home: AssuredHome, office: Office) -> None:
    set_clock(home, "2026-12-30T10:00:00")
    row = office.received("wrong-case")
    assert office.clock(row, "accept")["provisional"] is True
    assert office.clock(row, "accept")["last_day"] == "2027-01-04"
    assert office.clock(row, "accept")["source"] == "S2 annex 2 art. 9"
    assert recount_provisional(office.desk, home.catalogue) == 0
    keeper, leader = home.agent("档案管理员", "retention_manager"), home.agent("局领导", "unit_leader")
    rest = ["2027-01-01", "2027-01-02", "2027-01-04", "2027-10-01"]
    days = [{"date": day, "kind": "rest", "name": "", "source": "示例通知"} for day in rest]
    year = office.desk.open(keeper, "calendar-year", {"year": 2027, "days": days})
    office.desk.act(leader, year.id, "approve", seen=office.desk.view(leader, year.id).seen)
    assert recount_provisional(office.desk, home.catalogue) == 1
    assert (office.clock(row, "accept")["last_day"], office.clock(row, "accept")["provisional"]) == (
        "2027-01-06",
        False,
    )
    assert recount_provisional(office.desk, home.catalogue) == 0
    assert [one["act"] for one in home.entries("matter.acted")][-1] == "recount"


def test_a_bureau_with_other_numbers_sets_them_and_running_clocks_stay(home: AssuredHome, office: Office) -> None:
    keeper = home.agent("档案管理员", "retention_manager")
    leader = home.agent("局领导", "unit_leader")
    set_clock(home, "2026-11-02T10:00:00")
    before = office.received("wrong-case")
    new = {
        "procedure": "wrong-case", "clock": "accept", "count": "10", "unit": "working-day", "roll": "none", "extension": "0",
        "source": "本局办法第九条",
    }  # fmt: skip
    for wrong in ({**new, "clock": "nosuch"}, {**new, "count": "0"}, {**new, "unit": "week"}, {**new, "source": ""}):
        with pytest.raises(InvalidInputError):
            office.desk.open(keeper, "clock-rules", {"rows": [wrong]})
    with pytest.raises(FormError):
        office.desk.open(keeper, "clock-rules", {"rows": [{"procedure": 1}]})
    version = office.desk.open(keeper, "clock-rules", {"rows": [new]})
    assert last_days(office, office.received("wrong-case")) == {
        "accept": "2026-11-05"
    }  # nothing counts before the approval
    office.desk.act(leader, version.id, "approve", seen=office.desk.view(leader, version.id).seen)
    assert last_days(office, office.received("wrong-case")) == {"accept": "2026-11-16"}
    assert last_days(office, before) == {"accept": "2026-11-05"}


def test_an_open_procedure_keeps_what_it_links_until_it_ends(home: AssuredHome, office: Office) -> None:
    from retention.facts import items_of

    [clip] = home.ingest({gb_name(): footage.voice_mp3()})
    row = office.received("complaint")
    office.desk.act(office.leader, row.id, "add", {}, links=[NewLink(role="footage", target=clip.id)])

    def procedures():
        with home.catalogue.read() as uow:
            return [one.subject for one in items_of(uow, [uow.recordings.get(clip.id)])[clip.id].procedures]

    assert procedures() == [row.number]
    office.act(row, "decline", declined="不属受理范围")
    assert procedures() == []
