"""Use of archived footage at the browser's side (R17, R18): refused, asked for, granted, watched, copied, registered."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.clock import to_text
from evidence.model import Actor
from matters.turn import NewLink
from support import footage, whole_home
from support.web_home import Visitor, WebHome

A = "/api/v1"


@pytest.fixture
def archived(web: WebHome) -> str:
    """The officer's talk, filed with its case a moment ago."""
    from evidence.events import RecordingArchived
    from matters.recording_facts import say

    house, row = web.house, web.recordings["talk"]
    now = house.clock.now()
    with house.catalogue.begin() as uow:
        event = RecordingArchived(recording=row.id, reason="case", at=to_text(now.wall))
        say(uow, lambda one: house.recorder.record(uow.outbox, one, at=now), event)
    return str(row.id)


def ask(web: WebHome, visitor: Visitor, recording: str, **values: object) -> str:
    ends = to_text(web.house.clock.now().wall + timedelta(days=2))
    asked = {
        "subject": "调看",
        "purpose": "documents",
        "reason": "制作笔录",
        "rights": ["view"],
        "ends": ends,
        **values,
    }
    body = {
        "kind": "access-request", "values": asked, "links": [{"role": "footage", "target": recording}],
        "unit": str(web.units["执法一科"]),
    }  # fmt: skip
    answer = visitor.post(f"{A}/matters", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def approve(web: WebHome, request: str) -> None:
    leader = web.person("科长", "unit_leader", unit=web.units["执法一科"])
    desk = web.house.matters
    from evidence.ids import MatterId

    desk.act(leader, MatterId(request), "approve", seen=desk.view(leader, MatterId(request)).seen)


def test_r17_r18_from_a_refusal_over_a_request_to_a_viewing_and_the_register(
    web: WebHome, officer: Actor, archived: str
) -> None:
    visitor = web.visitor(officer)
    refused = visitor.post(f"{A}/recordings/{archived}/viewings")
    assert (refused.status_code, refused.json()["reason"]) == (403, "needs-grant")
    page = visitor.get(f"/recordings/{archived}").text
    assert f"/matters/access-request/new?link.footage={archived}" in page
    assert "<lh-player" not in page
    assert "调用须经主管领导批准" in page
    request = ask(web, visitor, archived, rights=["view", "copy"])
    assert "等待批准" in visitor.get(f"/recordings/{archived}").text
    approve(web, request)
    page = visitor.get(f"/recordings/{archived}").text
    assert "<lh-player" in page
    own = visitor.get("/my/use").text
    assert "DYZ" in own
    assert "调用申请" in own
    assert "DYZ" in visitor.get(f"/matters/one/{request}").text
    mark = page.partition('data-mark="')[2].partition('"')[0]
    assert mark.startswith(f"{officer.name} · DYZ")
    url = visitor.post(f"{A}/recordings/{archived}/viewings").json()["url"]
    assert visitor.get(url, headers={"range": "bytes=0-9"}).status_code == 206
    copied = visitor.post(f"{A}/recordings/{archived}/copies", json={"kind": "original"})
    assert copied.status_code == 200
    assert hashlib.sha256(copied.content).hexdigest() == hashlib.sha256(footage.talking_mp4().read_bytes()).hexdigest()
    assert "attachment" in copied.headers["content-disposition"]
    chief = web.visitor(web.person("局长", "unit_leader"))
    told = chief.get(f"{A}/use-register").json()
    assert [(one["used"], one["use"], one["refused"]) for one in told if one["used"]][-3:] == [
        ("view", 0, "needs-grant"), ("view", 1, ""), ("copy", 2, ""),
    ]  # fmt: skip
    shown = chief.get("/use-register").text
    assert "DYZ" in shown
    assert officer.name in shown
    for form, start in (("csv", "\ufeff".encode()), ("xlsx", b"PK"), ("pdf", b"%PDF")):
        file = chief.get(f"/use-register/{form}")
        assert (file.status_code, file.content[: len(start)]) == (200, start)
    with web.house.catalogue.read() as uow:
        grant = uow.matters.linked_to(archived, kinds=("access-grant",))[-1]
    web.house.matters.act(officer, grant.id, "give-back")
    assert "本许可的使用记录" in chief.get(f"/matters/one/{grant.id}").text


def test_r17_a_viewing_that_runs_is_fed_no_more_once_the_grant_is_revoked(
    web: WebHome, officer: Actor, archived: str
) -> None:
    visitor = web.visitor(officer)
    approve(web, ask(web, visitor, archived))
    url = visitor.post(f"{A}/recordings/{archived}/viewings").json()["url"]
    assert visitor.get(url, headers={"range": "bytes=0-9"}).status_code == 206
    with web.house.catalogue.read() as uow:
        [grant] = [one for one in uow.matters.linked_to(archived, kinds=("access-grant",)) if one.state == "valid"]
    leader = web.person("负责人", "unit_leader", unit=web.units["执法一科"])
    web.house.matters.act(leader, grant.id, "revoke", {"revoked_because": "案件移交"})
    assert visitor.get(url, headers={"range": "bytes=0-9"}).status_code == 403
    assert visitor.post(f"{A}/recordings/{archived}/copies", json={}).status_code == 403
    whole_home.seal(web.house)


def test_r18_the_record_of_a_supervised_viewing_is_printed_with_lines_to_sign(
    web: WebHome, officer: Actor, archived: str, tmp_path: Path
) -> None:
    desk, unit = web.house.matters, web.units["执法一科"]
    ends = to_text(web.house.clock.now().wall + timedelta(days=2))
    values = {
        "subject": "当事人查看", "party": "王小明", "standing": "party", "reason": "陈述申辩", "place": "接待室", "hours": 2,
        "supervisor": officer.agent, "ends": ends,
    }  # fmt: skip
    row = desk.open(officer, "supervised-viewing", values, unit=unit, links=[NewLink(role="footage", target=archived)])
    printed = web.visitor(officer).get(f"{A}/matters/{row.id}/print")
    assert printed.status_code == 200
    (tmp_path / "record.pdf").write_bytes(printed.content)
    told = subprocess.run(
        ["pdftotext", "-layout", str(tmp_path / "record.pdf"), "-"], capture_output=True, check=True, text=True
    ).stdout.replace(" ", "")
    for words in ("监督查看", "监督人员", "王小明", officer.name, "接待室"):
        assert words in told
    assert told.count("王小明") >= 2  # the fact, and the line to sign


def test_r17_the_page_of_the_register_refuses_nonsense_and_whoever_may_not_see_it(web: WebHome, officer: Actor) -> None:
    assert web.visitor(officer).get("/use-register").status_code == 403
    chief = web.visitor(web.person("局长", "unit_leader"))
    assert chief.get("/use-register?from=x").status_code == 422
    assert chief.get("/use-register?from=2026-11-22&to=2026-11-20").status_code == 422
    assert chief.get(f"{A}/use-register?since=2026-11-22T00:00:00").status_code == 422
    assert chief.get("/use-register/exe").status_code == 422
