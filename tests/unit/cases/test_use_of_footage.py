"""Use of archived footage (R17): request, consent, grant, use, register; who may consent; stand-ins; what is over is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from access import DeniedError
from access.views import Watchable
from cases.access_delegation import ACTS
from catalogue.matters import MatterFilter, MatterRow
from evidence.clock import to_text
from evidence.errors import PolicyUnmetError, StateConflictError
from evidence.events import RecordingArchived
from evidence.model import Action
from matters.turn import NewLink
from matters.values import FormError
from people.roles import NEEDS_GRANT_ONCE_ARCHIVED
from people.standing_in import DELEGABLE
from support import footage
from support.assured_home import AssuredHome
from support.recorders import gb_name
from support.use_house import DAY_MS, HOUR_MS, House, make_house


@pytest.fixture
def house(home: AssuredHome) -> House:
    return make_house(home)


# --- request, consent, grant ------------------------------------------------------------------------------------------
def test_r17_request_consent_grant_use_and_every_step_is_an_entry(house: House) -> None:
    home, officer = house.home, house.people["officer"]
    with pytest.raises(DeniedError, match="needs-grant"):
        home.reading.open_viewing(officer, house.recording)
    row = house.ask()
    assert (row.number[:2], row.state, row.unit) == ("DY", "asked", house.units["first"])
    with pytest.raises(DeniedError, match="needs-grant"):
        home.reading.open_viewing(officer, house.recording)
    house.approve(row, opinion="同意")
    grant = house.grant(row)
    viewing = home.reading.open_viewing(officer, house.recording)
    home.reading.resume_viewing(officer, house.recording, token=viewing.token)
    home.reading.open_viewing(officer, house.recording)
    home.reading.picture(officer, house.recording, kind="poster")
    notice = home.reading.show(officer, house.recording).notice
    assert (notice.holder, notice.number, notice.rights) == ("执法员", grant.number, {Action.RECORDING_VIEW})
    assert [one for one in house.uses() if one[0] == "recording.view"] == [
        ("recording.view", grant.id, 1), ("recording.view", grant.id, 2), ("recording.view", grant.id, 0),
    ]  # fmt: skip
    assert house.denials() == [("recording.view", "needs-grant")] * 2


def test_r17_without_a_grant_of_their_own_nobody_uses_what_another_may(house: House) -> None:
    house.granted()
    for who in ("colleague", "leader", "chief", "director", "auditor", "clerk", "security"):
        with pytest.raises(DeniedError):
            house.home.reading.open_viewing(house.people[who], house.recording)


def test_r17_each_right_is_granted_by_itself(house: House) -> None:
    reading, gate, officer = house.home.reading, house.home.gate, house.people["officer"]
    actions = {"view": Action.RECORDING_VIEW, "copy": Action.RECORDING_COPY, "export": Action.RECORDING_EXPORT}
    with house.home.catalogue.read() as uow:
        scope = reading.scope(uow.recordings.get(house.recording))
    for right in actions:
        grant = house.granted(rights=(right,))
        allowed = {name for name, action in actions.items() if gate.decide(officer, action, scope).allowed}
        assert allowed == {right}
        house.desk.act(officer, grant.id, "give-back")


def test_r17_a_copy_is_a_right_and_an_entry_of_its_own(house: House) -> None:
    grant = house.granted(rights=("copy",))
    copy = house.home.reading.copy(house.people["officer"], house.recording)
    assert (copy.grant, copy.name) == (grant.id, gb_name(officer="900123", extension="mp3"))
    assert house.uses() == [("recording.copy", grant.id, 1)]
    with pytest.raises(DeniedError, match="needs-grant"):
        house.home.reading.open_viewing(house.people["officer"], house.recording)
    with pytest.raises(DeniedError):
        house.home.reading.copy(house.people["colleague"], house.recording)


def test_r17_the_approver_may_grant_less_and_never_more(house: House) -> None:
    row = house.ask(rights=("view", "copy"), days=5)
    with pytest.raises(FormError):
        house.approve(row, granted_rights=["view", "export"])
    with pytest.raises(FormError):
        house.approve(row, granted_ends=house.moment(days=6))
    house.approve(row, granted_rights=["view"], granted_ends=house.moment(days=1))
    facts = house.grant(row).facts
    assert facts["rights"] == ["view"]
    house.home.clock.unix_ms += DAY_MS + 60_000
    with pytest.raises(DeniedError, match="needs-grant"):
        house.home.reading.open_viewing(house.people["officer"], house.recording)


def test_r17_what_changed_since_the_leader_looked_is_not_approved(house: House) -> None:
    row = house.ask()
    seen = house.desk.view(house.people["leader"], row.id).seen
    [other] = house.home.ingest({gb_name(officer="900123", counter=7): footage.voice_mp3()}, card="more")
    house.desk.act(
        house.people["officer"], row.id, "change-list", links=[NewLink(role="footage", target=other.id)]
    )  # fmt: skip
    with pytest.raises(StateConflictError):
        house.desk.act(house.people["leader"], row.id, "approve", seen=seen)


def test_r17_a_request_without_an_end_a_right_or_footage_is_told_so(house: House) -> None:
    for wrong in ({"days": 0}, {"days": -1}, {"days": 800}, {"rights": ()}, {"links": []}):
        with pytest.raises(FormError):
            house.ask(**wrong)


def test_r17_refused_withdrawn_and_lapsed_requests_open_nothing(house: House) -> None:
    refused, withdrawn, late = house.ask(), house.ask(), house.ask(days=1)
    with pytest.raises(FormError):
        house.desk.act(house.people["leader"], refused.id, "refuse", {})
    house.desk.act(house.people["leader"], refused.id, "refuse", {"refusal": "理由不足"})
    house.desk.act(house.people["officer"], withdrawn.id, "withdraw")
    house.home.clock.unix_ms += 2 * DAY_MS
    with pytest.raises(PolicyUnmetError, match="period asked for is over"):
        house.approve(late)
    assert house.desk.find(house.people["leader"], MatterFilter(kinds=("access-grant",))) == []


# --- who may consent --------------------------------------------------------------------------------------------------
#: Who asks, who decides, whether they may.
LEVELS = (
    ("officer", "leader", True), ("officer", "deputy", True), ("officer", "chief", True), ("officer", "director", True),
    ("leader", "deputy", False), ("leader", "chief", True), ("leader", "director", True), ("chief", "director", True),
    ("chief", "leader", False), ("director", "second director", True), ("director", "chief", False),
)  # fmt: skip


def test_r17_a_leaders_own_request_goes_upward(house: House) -> None:
    for asks, decides, consents in LEVELS:
        row = house.ask(asks, unit=house.units["first"])
        if consents:
            assert house.approve(row, decides).state == "approved"
        else:
            with pytest.raises(PolicyUnmetError, match="higher level"):
                house.approve(row, decides)


def test_r17_the_requester_never_approves_and_no_stranger_does(house: House) -> None:
    row = house.ask("chief", unit=house.units["first"])
    with pytest.raises(DeniedError, match="same-person"):
        house.approve(row, "chief")
    row = house.ask()
    with pytest.raises(DeniedError, match="outside-unit"):
        house.desk.act(house.people["other leader"], row.id, "approve", seen="x")


def test_r17_a_leader_consents_only_to_footage_of_their_own_department(house: House) -> None:
    """A request laid before a leader of another department is not consented to by the wrong one."""
    row = house.ask(unit=house.units["second"])
    with pytest.raises(PolicyUnmetError, match="does not answer for"):
        house.approve(row, "other leader")
    assert house.approve(row, "chief").state == "approved"


# --- the end of a grant -----------------------------------------------------------------------------------------------
def test_r17_an_open_viewing_is_not_fed_any_more_when_the_grant_ends(house: House) -> None:
    officer, reading = house.people["officer"], house.home.reading
    house.granted(days=0.5)
    viewing = reading.open_viewing(officer, house.recording)
    house.home.clock.unix_ms += 11 * HOUR_MS
    for _ in range(2):
        viewing = reading.resume_viewing(officer, house.recording, token=viewing.token)
    house.home.clock.unix_ms += HOUR_MS
    with pytest.raises(DeniedError, match="needs-grant"):
        reading.resume_viewing(officer, house.recording, token=viewing.token)


def test_r17_a_revoked_or_returned_grant_allows_nothing_from_that_moment(house: House) -> None:
    officer, reading = house.people["officer"], house.home.reading
    grant = house.granted()
    viewing = reading.open_viewing(officer, house.recording)
    house.desk.act(house.people["leader"], grant.id, "revoke", {"revoked_because": "案件移交"})
    for attempt in (
        lambda: reading.resume_viewing(officer, house.recording, token=viewing.token),
        lambda: reading.open_viewing(officer, house.recording),
        lambda: reading.picture(officer, house.recording, kind="poster"),
    ):
        with pytest.raises(DeniedError, match="needs-grant"):
            attempt()
    second = house.granted()
    house.desk.act(officer, second.id, "give-back")
    with pytest.raises(DeniedError):
        reading.open_viewing(officer, house.recording)


def test_r17_a_clock_set_back_revives_no_grant(house: House) -> None:
    house.granted(days=1)
    with house.home.catalogue.begin() as uow:
        uow.clock_marks.set_to(house.home.clock.now().wall + timedelta(days=2))
    with pytest.raises(DeniedError, match="needs-grant"):
        house.home.reading.open_viewing(house.people["officer"], house.recording)


def test_r17_a_grant_is_used_as_often_as_it_says_and_a_running_viewing_goes_on(house: House) -> None:
    officer, reading = house.people["officer"], house.home.reading
    house.granted(uses_most=2)
    first = reading.open_viewing(officer, house.recording)
    house.home.clock.unix_ms += 1000
    last = reading.open_viewing(officer, house.recording)
    for viewing in (first, last):
        reading.resume_viewing(officer, house.recording, token=viewing.token)
    for attempt in (
        lambda: reading.open_viewing(officer, house.recording),
        lambda: reading.picture(officer, house.recording, kind="poster"),
    ):
        with pytest.raises(DeniedError, match="used-up"):
            attempt()
    assert reading.show(officer, house.recording).notice.uses_left == 0
    house.granted()  # another one goes on
    reading.open_viewing(officer, house.recording)


def test_r17_whoever_lost_their_roles_or_account_has_no_use_of_a_grant(house: House) -> None:
    officer, home = house.people["officer"], house.home
    house.granted()
    home.administration.revoke_role(home.administrator, agent=officer.agent, role="officer")
    with pytest.raises(DeniedError, match="no-role"):
        home.reading.open_viewing(officer, house.recording)


# --- archiving --------------------------------------------------------------------------------------------------------
def test_r17_filing_with_a_case_archives_before_the_24_hours_are_over(house: House) -> None:
    home, officer = house.home, house.people["officer"]
    [row] = home.ingest(
        {gb_name(officer="900123", counter=9, extension="wav"): footage.voice_wav()}, card="new", describe=True
    )
    home.reading.open_viewing(officer, row.id)
    now = home.clock.now()
    with home.catalogue.begin() as uow:
        uow.rules.lock(row.id)
        uow.rules.change(row.id, archived_at=now.wall, archived_reason="case")
        event = RecordingArchived(recording=row.id, reason="case", at=to_text(now.wall))
        home.recorder.record(uow.outbox, event, at=now)
    home.clock.unix_ms += 1
    with pytest.raises(DeniedError, match="needs-grant"):
        home.reading.open_viewing(officer, row.id)
    assert home.reading.show(officer, row.id).archived
    [item] = [one for one in home.reading.list_recordings(officer).items if one.row.id == row.id]
    assert item.archived


# --- standing in ------------------------------------------------------------------------------------------------------
def _delegate(house: House, *, acts=("access.approve", "register.see"), begins=0.0, days=3.0, to="colleague", **more):
    values = {
        "delegate": house.people[to].agent, "acts": list(acts), "begins": house.moment(days=begins),
        "ends": house.moment(days=days), "reason": "外出", **more,
    }  # fmt: skip
    return house.desk.open(house.people["leader"], "delegation", values)


def _approve_delegation(house: House, row: MatterRow) -> MatterRow:
    security = house.people["security"]
    return house.desk.act(security, row.id, "approve", seen=house.desk.view(security, row.id).seen)


def test_r17_a_stand_in_decides_only_while_the_delegation_is_valid_and_the_entry_says_for_whom(house: House) -> None:
    colleague = house.people["colleague"]
    row = house.ask()
    delegation = _delegate(house, begins=1, days=2)
    with pytest.raises(DeniedError, match="no-role"):
        house.approve(row, "colleague")  # only proposed
    _approve_delegation(house, delegation)
    with pytest.raises(DeniedError):
        house.approve(row, "colleague")  # not begun
    house.home.clock.unix_ms += DAY_MS + HOUR_MS
    assert Action.ACCESS_APPROVE in house.home.gate.offered(colleague)
    assert [one.id for one in house.desk.find(colleague, MatterFilter(kinds=("access-request",)))] == [row.id]
    assert house.approve(row, "colleague").state == "approved"
    acted = [one for one in house.home.entries("matter.acted") if one["act"] == "approve" and one["kind"] == row.kind]
    assert acted[-1]["facts"]["on_behalf_of"] == house.people["leader"].agent
    assert acted[-1]["actor"] == colleague.agent
    row = house.ask(days=5)
    house.home.clock.unix_ms += DAY_MS
    with pytest.raises(DeniedError):
        house.approve(row, "colleague")  # over
    assert Action.ACCESS_APPROVE not in house.home.gate.offered(colleague)


def test_r17_nobody_lets_a_stand_in_consent_to_their_own_request(house: House) -> None:
    row = house.ask("leader")
    _approve_delegation(house, _delegate(house))
    with pytest.raises(DeniedError, match="same-person"):
        house.approve(row, "colleague")


def test_r17_a_stand_in_never_gets_more_than_the_leader_has_and_no_right_to_watch(house: House) -> None:
    home = house.home
    with pytest.raises(FormError):
        _delegate(house, acts=("recording.view",))
    with pytest.raises(FormError):
        _delegate(house, to="leader")
    delegation = _approve_delegation(house, _delegate(house))
    row = house.ask()
    home.administration.revoke_role(
        home.administrator, agent=house.people["leader"].agent, role="unit_leader", unit=house.units["first"]
    )
    with pytest.raises(DeniedError):
        house.approve(row, "colleague")
    assert delegation.state == "valid"


def test_r17_who_gives_and_who_gets_a_delegation_does_not_approve_it(house: House) -> None:
    home = house.home
    home.administration.grant_role(
        home.administrator, agent=house.people["colleague"].agent, role="security_administrator"
    )
    row = _delegate(house)
    seen = house.desk.view(house.people["colleague"], row.id).seen
    with pytest.raises(DeniedError, match="same-person"):
        house.desk.act(house.people["colleague"], row.id, "approve", seen=seen)


def test_r17_what_can_be_delegated_is_what_the_form_offers_and_no_right_to_see_footage() -> None:
    assert {one.code for one in ACTS} == {action.value for action in DELEGABLE}
    assert not DELEGABLE & (NEEDS_GRANT_ONCE_ARCHIVED | {Action.PEOPLE_MANAGE, Action.KEYS_MANAGE, Action.LOG_READ})


def test_r17_a_stand_in_sees_the_pages_they_decide_on_and_no_footage(house: House) -> None:
    colleague = house.people["colleague"]
    with pytest.raises(DeniedError):
        house.home.reading.show(colleague, house.recording)
    _approve_delegation(house, _delegate(house, acts=("access.approve", "recording.list", "recording.show")))
    view = house.home.reading.show(colleague, house.recording)
    assert (view.watchable, view.notice) == (Watchable.DENIED, None)
    listed = house.home.reading.list_recordings(colleague).items
    assert [one.row.id for one in listed] == [house.recording]
    looks = [one for one in house.home.entries("access.allowed") if one["actor"] == colleague.agent]
    assert looks[0]["on_behalf_of"] == house.people["leader"].agent


def test_r17_an_ended_delegation_is_over_at_once(house: House) -> None:
    row = _approve_delegation(house, _delegate(house))
    request = house.ask()
    house.desk.act(house.people["leader"], row.id, "end", {"ended_because": "已返回"})
    with pytest.raises(DeniedError):
        house.approve(request, "colleague")


# --- a paper entered afterwards ---------------------------------------------------------------------------------------
def _paper(house: House, **more) -> MatterRow:
    values = {
        "subject": "纸质审批", "paper_number": "〔2026〕12号", "paper_date": "2026-11-20",
        "requester": house.people["officer"].agent, "signatory": house.people["leader"].agent, "purpose": "litigation",
        "reason": "应诉", "rights": ["view"], "begins": house.moment(days=-1), "ends": house.moment(days=1), **more,
    }  # fmt: skip
    return house.desk.open(
        house.people["clerk"], "access-paper", values, links=[NewLink(role="footage", target=house.recording)]
    )


def _scan(house: House, row: MatterRow) -> None:
    from catalogue.matters import DocumentRow
    from evidence.digest import SHA256, Digest
    from evidence.ids import DocumentId

    now = house.home.clock.now()
    with house.home.catalogue.begin() as uow:
        uow.matters.add_document(
            DocumentRow(
                id=DocumentId.new(house.home.clock.unix_ms), matter=row.id, role="scan", name="scan.pdf",
                sha256=Digest(SHA256, "ab" * 32), size_bytes=1, media_type="application/pdf",
                filed_by=house.people["clerk"].agent, filed_at=now.wall,
            )
        )  # fmt: skip


def _confirm(house: House, row: MatterRow, who: str) -> MatterRow:
    actor = house.people[who]
    return house.desk.act(actor, row.id, "confirm", seen=house.desk.view(actor, row.id).seen)


def test_r17_a_paper_is_entered_with_its_scan_and_confirmed_by_a_second_person(house: House) -> None:
    row = _paper(house)
    with pytest.raises(DeniedError, match="needs-grant"):
        house.home.reading.open_viewing(house.people["officer"], house.recording)
    with pytest.raises(PolicyUnmetError, match="not on file"):
        _confirm(house, row, "auditor")
    _scan(house, row)
    for who in ("leader", "clerk"):
        with pytest.raises(DeniedError):
            _confirm(house, row, who)
    assert _confirm(house, row, "auditor").state == "confirmed"
    house.home.reading.open_viewing(house.people["officer"], house.recording)


def test_r17_a_paper_of_the_past_is_registered_and_opens_nothing(house: House) -> None:
    row = _paper(house, begins=house.moment(days=-9), ends=house.moment(days=-5))
    _scan(house, row)
    _confirm(house, row, "auditor")
    with pytest.raises(DeniedError, match="needs-grant"):
        house.home.reading.open_viewing(house.people["officer"], house.recording)


def test_r17_a_paper_names_three_different_persons_and_a_leader_who_may(house: House) -> None:
    with pytest.raises(FormError):
        _paper(house, signatory=house.people["officer"].agent)
    row = _paper(house, signatory=house.people["other leader"].agent)
    _scan(house, row)
    with pytest.raises(PolicyUnmetError, match="does not answer for"):
        _confirm(house, row, "auditor")


# --- supervised viewing -----------------------------------------------------------------------------------------------
def test_r18_only_the_supervisor_starts_a_viewing_for_a_party_and_it_ends_with_its_record(house: House) -> None:
    reading, officer, colleague = house.home.reading, house.people["officer"], house.people["colleague"]
    values = {
        "subject": "当事人查看", "party": "王某", "standing": "party", "reason": "陈述申辩", "place": "接待室", "hours": 2,
        "supervisor": colleague.agent, "ends": house.moment(days=2),
    }  # fmt: skip
    row = house.desk.open(
        officer, "supervised-viewing", values, links=[NewLink(role="footage", target=house.recording)]
    )
    start = {"identity_by": officer.agent, "identity": "居民身份证 1234"}
    with pytest.raises(StateConflictError):
        house.desk.act(colleague, row.id, "start", start)
    house.approve(row, "leader")
    with pytest.raises(DeniedError, match="no-part"):
        house.desk.act(officer, row.id, "start", start)
    house.desk.act(colleague, row.id, "start", start)
    viewing = reading.open_viewing(colleague, house.recording)
    with pytest.raises(DeniedError, match="needs-grant"):
        reading.open_viewing(officer, house.recording)
    house.desk.act(colleague, row.id, "finish", {"shown": "全部", "remarks": "无异议"})
    with pytest.raises(DeniedError):
        reading.resume_viewing(colleague, house.recording, token=viewing.token)
    with pytest.raises(PolicyUnmetError, match="not on file"):
        house.desk.act(colleague, row.id, "file")
    with pytest.raises(FormError):
        house.desk.act(
            colleague, row.id, "file-unsigned", {"unsigned": "拒签", "second_officer": colleague.agent}
        )  # fmt: skip
    filed = house.desk.act(colleague, row.id, "file-unsigned", {"unsigned": "拒签", "second_officer": officer.agent})
    assert filed.state == "filed"


def test_r18_whoever_prepares_or_supervises_a_viewing_does_not_consent_to_it(house: House) -> None:
    values = {
        "subject": "查看", "party": "王某", "standing": "party", "reason": "申辩", "place": "接待室", "hours": 2,
        "supervisor": house.people["leader"].agent, "ends": house.moment(days=2),
    }  # fmt: skip
    links = [NewLink(role="footage", target=house.recording)]
    row = house.desk.open(house.people["officer"], "supervised-viewing", values, links=links)
    with pytest.raises(DeniedError, match="same-person"):
        house.approve(row, "leader")
    with pytest.raises(PolicyUnmetError, match="higher level"):
        house.approve(row, "deputy")
    assert house.approve(row, "chief").state == "approved"


# --- borrowing --------------------------------------------------------------------------------------------------------
def test_r19_a_dossier_is_lent_for_a_purpose_and_a_period_and_comes_back(house: House) -> None:
    dossier = house.desk.open(house.people["officer"], "working-material", {"title": "巡查资料"})
    values = {
        "subject": "借阅案卷",
        "purpose": "litigation",
        "reason": "应诉",
        "ends": house.moment(days=3),
        "copies": 1,
    }
    row = house.desk.open(house.people["officer"], "loan", values, links=[NewLink(role="item", target=dossier.id)])
    other = house.desk.open(house.people["colleague"], "loan", values, links=[NewLink(role="item", target=dossier.id)])
    for one in (row, other):
        house.approve(one, "leader")
    assert house.desk.act(house.people["leader"], row.id, "hand-out").due_at is not None
    with pytest.raises(PolicyUnmetError, match="lent already"):
        house.desk.act(house.people["leader"], other.id, "hand-out")
    house.home.clock.unix_ms += 4 * DAY_MS
    back = house.desk.act(house.people["leader"], row.id, "return", {"condition": "whole"})
    assert (back.state, back.facts["returned_late"]) == ("returned", True)
    assert house.desk.act(house.people["leader"], other.id, "hand-out").state == "lent"


def test_r19_verify_finds_everything_about_use_as_the_log_tells_it(house: House) -> None:
    house.granted(rights=("view", "copy"))
    house.home.reading.open_viewing(house.people["officer"], house.recording)
    house.home.reading.copy(house.people["officer"], house.recording)
    _approve_delegation(house, _delegate(house))
    house.ask()
    assert house.home.verify().verdict == "good"
    with house.home.catalogue.engine.begin() as connection:  # a grant made longer behind our back
        connection.execute(sa.text("UPDATE matters SET facts = replace(facts, '\"view\"', '\"export\"')"))
    assert house.home.verify().verdict == "tampered"
