"""A recording with an open finding of tamper or loss looks whole nowhere, for nobody; and what a page told is told afresh."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest

from catalogue.records import FindingRow
from evidence.ids import FindingId, RecordingId
from evidence.model import Actor
from support.web_home import TALK, Visitor, WebHome, fill, web_home

A = "/api/v1"
RED = "state-bad"


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebHome, Actor]]:
    """A home of its own, in which one copy of the officer's talk was found damaged."""
    root = tmp_path_factory.mktemp("hurt")
    with web_home(root / "home") as made:
        officer = fill(made, root / "cards")
        raise_finding(made, "late-hand-in", made.recordings["talk"].id)
        raise_finding(
            made, "copy-damaged", made.recordings["talk"].id, store="primary", detail="recording: other bytes"
        )
        yield made, officer


def raise_finding(web: WebHome, kind: str, recording: RecordingId | None, *, store: str = "", detail: str = "") -> None:
    now = web.house.clock.now()
    with web.house.catalogue.begin() as uow:
        uow.findings.raise_(
            FindingRow(
                id=FindingId.new(1_790_000_000_000), kind=kind, recording=recording, store=store, detail=detail,
                raised_at=now.wall,
            )
        )  # fmt: skip


def part(text: str, begin: str, end: str) -> str:
    """The part of a page from one place to the next one."""
    return text.partition(begin)[2].partition(end)[0]


def row_of(text: str, name: str) -> str:
    """The table row that holds a name."""
    return next(row for row in text.split("<tr>") if name in row)


@pytest.mark.parametrize("role", ["officer", "unit_leader", "legal_reviewer", "auditor", "station_operator"])
def test_a_damaged_copy_is_red_wherever_the_recording_is_seen(hurt: tuple[WebHome, Actor], role: str) -> None:
    web, officer = hurt
    visitor = web.visitor(officer if role == "officer" else web.person(f"{role} 甲", role))
    talk = web.recordings["talk"].id
    page = visitor.get(f"/recordings/{talk}").text
    head = part(page, '<div id="state">', 'class="grid-2"')
    assert RED in head
    assert "已封存" not in head
    assert "发现改动或丢失" in head
    assert "primary" in head
    assert RED in part(page, 'id="copies"', "</table>")
    listed = row_of(visitor.get("/recordings").text, TALK)
    assert RED in listed
    assert "已封存" not in listed
    only = visitor.get("/recordings", params={"damaged": "true"}).text
    assert TALK in only
    assert only.count('class="break fw-semibold"') == 1
    tiles = part(visitor.get("/wall").text, 'id="tiles"', "lh-dock-wall")
    assert "tile-bad" in tiles
    told = visitor.get(f"{A}/recordings/{talk}").json()["recording"]
    assert told["damage"] == ["copy-damaged"]


def test_an_officers_own_day_is_not_said_to_be_well(hurt: tuple[WebHome, Actor]) -> None:
    web, officer = hurt
    row = web.recordings["talk"]
    day = (row.started_at or row.discovered_at).strftime("%Y-%m-%d")
    for shown in {day, (row.discovered_at).strftime("%Y-%m-%d")}:
        text = web.visitor(officer).get("/my", params={"day": shown}).text
        if TALK in text:
            assert RED in row_of(text, TALK)
            return
    raise AssertionError("the day of the recording was not found")


def test_every_page_of_who_sees_findings_carries_the_warning_and_no_other_does(hurt: tuple[WebHome, Actor]) -> None:
    web, officer = hurt
    warning = 'class="notice bad"'
    auditor = web.visitor(web.person("审计", "auditor"))
    for path in ("/recordings", "/wall", "/my", "/findings", "/system", "/password", "/nothing-here"):
        # Inside of what a page that hangs on a screen for days fetches anew.
        assert warning in part(auditor.get(path).text, '<div id="notices">', '<div id="stale"'), path
    for path in ("/recordings", "/my", "/wall"):
        assert warning not in web.visitor(officer).get(path).text
    other = web.person("二科负责人", "unit_leader", unit=web.units["执法二科"])
    assert warning not in web.visitor(other).get("/recordings").text
    assert warning not in web.visitor().get("/login").text


def test_tamper_is_bad_on_the_pages_of_findings_and_of_the_system_and_a_late_hand_in_is_not(
    hurt: tuple[WebHome, Actor],
) -> None:
    web, _ = hurt
    auditor = web.visitor(web.person("审计二", "auditor"))
    text = auditor.get("/findings").text
    rows = {kind: next(row for row in text.split("<tr>") if kind in row) for kind in ("字节已不同", "逾期上交")}
    assert RED in rows["字节已不同"]
    assert RED not in rows["逾期上交"]
    assert all(TALK in row and "执法员" in row and "资产" in row for row in rows.values())
    assert "上交期限" in rows["逾期上交"]
    assert '<span class="soft" lang="en">recording: other bytes</span>' in rows["字节已不同"]  # apart, for who repairs
    english = auditor.get("/findings", params={"lang": "en"}).text
    assert "A copy has other bytes" in english
    assert RED in row_of(part(auditor.get("/system").text, 'id="health"', "</table>"), "发现改动或丢失")


def test_a_finding_names_its_recording_only_to_who_may_list_it(hurt: tuple[WebHome, Actor]) -> None:
    web, _ = hurt
    text = web.visitor(web.person("系统", "system_administrator")).get("/findings").text
    assert "字节已不同" in text
    assert TALK not in text
    assert "执法员" not in text


def test_a_check_from_before_the_finding_is_not_told_as_the_present_state(
    hurt: tuple[WebHome, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.checks import Checks, Verification

    web, _ = hurt
    auditor = web.visitor(web.person("审计三", "auditor"))
    row = web.recordings["talk"]
    old = Verification(running=False, verdict="good", at=row.discovered_at, entries=5)
    monkeypatch.setattr(Checks, "last_verification", lambda self: old)
    shown = part(auditor.get("/system").text, 'id="verified"', "</section>")
    assert "当时全部相符" in shown
    assert "此次校验之后发现" in shown
    assert "state-good" not in shown
    monkeypatch.setattr(
        Checks, "last_verification", lambda self: Verification(running=True, verdict="unknown", at=old.at)
    )
    assert 'hx-trigger="every 2s"' in part(auditor.get("/system").text, 'id="verified"', "</section>")


def test_after_a_check_of_one_recording_state_copies_and_timeline_are_fetched_anew(
    hurt: tuple[WebHome, Actor],
) -> None:
    web, officer = hurt
    visitor = web.visitor(officer)
    other = web.recordings["hostile"].id
    answer = visitor.post(f"/recordings/{other}/verify").text
    assert f'hx-get="/recordings/{other}"' in answer
    assert 'hx-select="#state"' in answer
    assert 'hx-select-oob="#copies,#timeline,#notices"' in answer
    page = visitor.get(f"/recordings/{other}").text
    assert all(f'id="{name}"' in page for name in ("state", "copies", "timeline"))
    assert "state-good" in part(page, 'id="copies"', "</table>")
    assert RED not in part(page, 'id="copies"', "</table>")


def test_red_lines_of_the_timeline_are_those_of_tamper_and_refusals(hurt: tuple[WebHome, Actor]) -> None:
    from api.web.custody_lines import is_alarm
    from catalogue.records import TimelineRow
    from evidence.ids import EntryId

    def entry(event: str, **public: str) -> TimelineRow:
        return TimelineRow(
            entry=EntryId.new(1_790_000_000_000), event_type=event, at=hurt[0].house.clock.now().wall, actor="", index=None,
            public=public, disclosed={},
        )  # fmt: skip

    red = [
        entry("finding.raised", kind="copy-damaged"), entry("fixity.checked", outcome="recording-copy-damaged"),
        entry("fixity.checked", outcome="manifest-copy-missing"), entry("fixity.checked", outcome="recording-lock-record"),
        entry("access.denied"),
    ]  # fmt: skip
    plain = [
        entry("finding.raised", kind="late-hand-in"), entry("fixity.checked", outcome="recording-good"),
        entry("fixity.checked", outcome="recording-store-unavailable"), entry("recording.stored"),
    ]  # fmt: skip
    assert all(map(is_alarm, red))
    assert not any(map(is_alarm, plain))


def test_the_walls_figures_say_when_they_were_true_and_refresh_themselves(hurt: tuple[WebHome, Actor]) -> None:
    web, officer = hurt
    text = web.visitor(officer).get("/wall").text
    assert 'hx-select-oob="#dockings,#notices"' in text
    assert "lh-docks from:body" in text
    assert 'id="dockings"' in text
    assert "截至" in part(text, 'id="tiles"', "lh-dock-wall")


# --- forms of the people page -----------------------------------------------------------------------------------------
def people_form(visitor: Visitor, path: str, **data: str):
    return visitor.post(path, data={**data, "csrf": visitor.csrf})


def test_a_one_time_password_is_told_once_on_a_page_that_can_be_loaded_again(hurt: tuple[WebHome, Actor]) -> None:
    web, _ = hurt
    manager, other = (web.visitor(web.person(name, "security_administrator")) for name in ("甲管", "乙管"))
    answer = people_form(manager, "/people/agent", name="新人<b>", login="newcomer")
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    assert "一次性密码，仅此一次" not in other.get("/people").text
    first = manager.get("/people").text
    assert "新人&lt;b&gt;" in part(first, 'class="card-lh" role="status"', "</div>")
    secret = part(first, '<b class="mono fs-5">', "</b>")
    assert len(secret) == 19
    assert secret not in manager.get("/people").text
    assert web.house.identity.log_in("newcomer", password=secret).must_change
    agent = next(one for one in web.house.administration.people(web.administrator) if one.agent.login == "newcomer")
    answer = people_form(manager, "/people/password", agent=agent.agent.id)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    again = part(manager.get("/people").text, '<b class="mono fs-5">', "</b>")
    assert again not in ("", secret)


def test_a_refused_form_keeps_what_was_typed_says_why_and_changes_language_on_its_own_page(
    hurt: tuple[WebHome, Actor],
) -> None:
    web, _ = hurt
    manager = web.visitor(web.person("丙管", "security_administrator"))
    for path, data, why in (
        ("/people/agent", {"name": "", "login": "someone"}, "1 至 60"),
        ("/people/agent", {"name": "某人", "login": "with space"}, "不得含空格"),
        ("/people/unit", {"name": " ", "code": "77"}, "1 至 60"),
        ("/people/unit", {"name": "执法一科", "code": "77"}, "已有同名的单位"),
    ):
        answer = people_form(manager, path, **data)
        assert answer.status_code in (409, 422)
        assert why in part(answer.text, 'class="lost"', "</p>")
        assert '<input type="hidden" name="back" value="/people">' in answer.text
        for value in data.values():
            assert not value.strip() or f'value="{value}"' in answer.text
    assert people_form(manager, "/people/unit", name="执法三科").status_code == 303
    assert "单位已添加" in manager.get("/people").text


def test_a_page_of_a_refused_form_leads_back_to_the_page_it_stood_on(web: WebHome, officer: Actor) -> None:
    visitor = web.visitor(officer)
    sent = {"data": {"csrf": visitor.csrf, "device": "nonsense"}}
    for referer, back in (
        ("http://127.0.0.1/devices?x=1", "/devices?x=1"), ("http://evil.test/devices", "/"), ("", "/"),
    ):  # fmt: skip
        text = visitor.post("/devices/change", **sent, headers={"referer": referer}).text
        assert f'name="back" value="{html.escape(back)}"' in text


def test_a_locked_account_is_shown(hurt: tuple[WebHome, Actor]) -> None:
    web, _ = hurt
    made = web.house.administration.create_agent(web.administrator, name="被锁", login="locked")
    with web.house.catalogue.begin() as uow:
        uow.people.update_credential(made.agent.id, locked_until=web.house.clock.now().wall.replace(year=2099))
    manager = web.visitor(web.person("丁管", "security_administrator"))
    assert "锁定至" in row_of(manager.get("/people").text, "被锁")
    told = next(one for one in manager.get(f"{A}/agents").json() if one["login"] == "locked")
    assert told["locked_until"].startswith("2099")
    people_form(manager, "/people/password", agent=made.agent.id)
    assert "锁定至" not in row_of(manager.get("/people").text, "被锁</")


# --- log-in -----------------------------------------------------------------------------------------------------------
def test_who_is_logged_in_is_not_asked_again_and_a_wrong_password_keeps_the_name(web: WebHome, officer: Actor) -> None:
    answer = web.visitor(officer).get("/login", params={"back": "/my"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/my")
    wrong = web.visitor().post("/login", data={"login": '谁"><b>', "password": "wrong", "back": "/my?day=2026-01-01"})
    assert wrong.status_code == 401
    assert 'name="login" value="谁&#34;&gt;&lt;b&gt;"' in wrong.text
    assert 'name="back" value="/login?back=%2Fmy%3Fday%3D2026-01-01"' in wrong.text
    assert "密码已修改" in web.visitor().get("/login", params={"changed": "1"}).text


def test_a_browser_that_likes_english_is_answered_in_english_until_somebody_chooses(web: WebHome) -> None:
    nobody = web.visitor()
    assert 'lang="en"' in nobody.get("/login", headers={"accept-language": "en-GB,en;q=0.9,zh;q=0.1"}).text
    assert 'lang="zh-CN"' in nobody.get("/login", headers={"accept-language": "de,en"}).text
    chosen = nobody.get("/login", params={"lang": "zh-CN"}, headers={"accept-language": "en"})
    assert '<html lang="zh-CN">' in chosen.text


# --- lists ------------------------------------------------------------------------------------------------------------
def test_quick_filters_keep_the_other_filters_and_are_kept_by_the_search(web: WebHome, officer: Actor) -> None:
    text = web.visitor(officer).get("/recordings", params={"text": "甲", "late": "true", "state": "stored"}).text
    chips = part(text, 'class="chips', "</ul>")
    assert 'href="/recordings?text=%E7%94%B2&amp;late=true&amp;state=stored&amp;important=true"' in chips
    assert 'href="/recordings?text=%E7%94%B2&amp;state=stored" aria-current="true"' in chips
    assert '<input type="hidden" name="late" value="true">' in text
    assert 'value="true">' not in part(web.visitor(officer).get("/recordings").text, "<form", "</form>")


def test_days_that_cannot_match_are_said_to_be_wrong(web: WebHome, officer: Actor) -> None:
    visitor = web.visitor(officer)
    wrong = visitor.get("/recordings", params={"from": "2026-11-23", "to": "2026-11-22"}).text
    assert "起始日期晚于截止日期" in wrong
    assert "起始日期晚于" not in visitor.get("/recordings", params={"from": "2026-11-22", "to": "2026-11-22"}).text


def test_a_recording_whose_address_was_mistyped_is_not_found(web: WebHome, officer: Actor) -> None:
    assert web.visitor(officer).get("/recordings/nonsense").status_code == 404


def test_r09_a_leader_reads_their_own_day_within_their_unit_without_a_refusal(web: WebHome) -> None:
    leader = web.person("一科负责人", "unit_leader", unit=web.units["执法一科"])
    assert web.visitor(leader).get("/my").status_code == 200


# --- text files -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def track(hurt: tuple[WebHome, Actor], tmp_path_factory: pytest.TempPathFactory) -> RecordingId:
    web, officer = hurt
    lines = "<script>alert(1)</script>\n24.48,118.08 厦门\x1b[31m\n".encode() + b"x" * (70 << 10)
    card = tmp_path_factory.mktemp("track") / "card"
    docked = web.dock(card, {"DCIM/900123_7654321_20261123203000_0009GPS.txt": lines})
    (row,) = web.take_in(docked, unit=web.units["执法一科"], officer=officer.agent)
    return row.id


def test_a_text_file_is_shown_as_text_bounded_and_entered(hurt: tuple[WebHome, Actor], track: RecordingId) -> None:
    web, officer = hurt
    visitor = web.visitor(officer)
    assert f'hx-get="/recordings/{track}/text"' in visitor.get(f"/recordings/{track}").text
    text = visitor.get(f"/recordings/{track}/text").text
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "厦门" in text
    assert "\x1b" not in text
    assert "仅显示开头" in text
    assert len(text) < 70 << 10
    (entry,) = [
        one for one in web.entries("access.allowed") if one["action"] == "recording.view" and one["recording"] == track
    ]
    assert entry["actor"] == officer.agent
    assert visitor.get(f"/recordings/{web.recordings['talk'].id}/text").status_code == 404
    auditor = web.visitor(web.person("审计四", "auditor"))
    assert auditor.get(f"/recordings/{track}/text").status_code == 403
    assert "/text" not in auditor.get(f"/recordings/{track}").text


# --- the ledger -------------------------------------------------------------------------------------------------------
def test_r05_whose_a_recorder_is_can_be_said_anew_and_is_entered(hurt: tuple[WebHome, Actor]) -> None:
    web, officer = hurt
    operator = web.visitor(web.person("台账员", "station_operator"))
    with web.house.catalogue.read() as uow:
        device = next(one for one in uow.devices.all() if one.unit == web.units["执法二科"])
    sent = {"device": device.id, "label": "资产 新", "unit": web.units["执法一科"], "officer": officer.agent}
    assert people_form(operator, "/devices/change", **sent).status_code == 303
    text = operator.get("/devices").text
    assert "台账已更改" in text
    assert "执法员" in row_of(text, "资产 新")
    assert web.entries("device.registered")[-1]["device"] == device.id
    with web.house.catalogue.read() as uow:
        (kept,) = uow.recordings.of_device(device.id)
    assert kept.unit == web.units["执法二科"]  # what it brought before stays with the unit of its day
    foreign = web.visitor(web.person("二科台账员", "station_operator", unit=web.units["执法二科"]))
    assert people_form(foreign, "/devices/change", **sent).status_code == 403  # not theirs any more
    answer = operator.put(f"{A}/devices/{device.id}", json={"label": "资产 又"})
    assert answer.json()["label"] == "资产 又"
    assert (answer.json()["unit"], answer.json()["officer"]) == ("", "")
