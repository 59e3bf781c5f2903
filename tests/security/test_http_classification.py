"""Pages of classification in a browser's hands: one, many as they were looked at, flags, the list, and a hold's stores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.dates import dry_runs_of
from evidence.calendar import local_date
from evidence.model import Actor
from matters.turn import NewLink
from support.web_home import Visitor, WebHome, fill, web_home

SAME = {"origin": "http://127.0.0.1"}
LIST = (
    "执法类别,执法事项,记录要求,存储类别,存储期限\n行政处罚,占道经营,全程录音录像,penalty,2年\n巡查,公园,不录,street,\n"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebHome, Actor]]:
    root: Path = tmp_path_factory.mktemp("classified")
    with web_home(root / "home") as made:
        officer = fill(made, root / "cards")
        bring_in(made)
        yield made, officer


def bring_in(web: WebHome) -> None:
    """A schedule with two categories is in force."""
    manager, leader = web.person("期限表管理员", "retention_manager"), web.person("期限表负责人", "unit_leader")
    rows = [
        {"category": "street", "title": "街面", "keeps": "6个月"},
        {"category": "penalty", "title": "处罚", "keeps": "2年"},
        {"category": "major", "title": "重大事件", "keeps": "永久"},
    ]
    desk = web.house.matters
    given = {"title": "办法", "authority": "局发1号", "in_force_from": "2020-01-01", "rows": rows}
    row = desk.open(manager, "schedule", given)
    dry_runs_of(web.house).enter(row.id)
    desk.act(leader, row.id, "approve", seen=desk.view(leader, row.id).seen)


def send(visitor: Visitor, path: str, **fields: object):
    return visitor.post(path, data={"csrf": visitor.csrf, **fields}, headers=SAME)


def test_r11_an_officer_classifies_and_flags_on_the_page_and_nobody_lifts_it_alone(
    filled: tuple[WebHome, Actor],
) -> None:
    web, officer = filled
    talk = web.recordings["talk"]
    visitor = web.visitor(officer)
    page = visitor.get(f"/recordings/{talk.id}").text
    part = page.split('id="classification"')[1].split("</section>")[0]
    assert "未分类" in part
    assert "街面 · 6 个月" in part
    assert talk.name in visitor.get("/my/unclassified").text
    assert send(visitor, f"/recordings/{talk.id}/classify", category="street", said="巡查").status_code == 303
    part = visitor.get(f"/recordings/{talk.id}").text.split('id="classification"')[1].split("</section>")[0]
    assert "未分类" not in part
    assert "巡查" in part
    assert send(visitor, f"/recordings/{talk.id}/flag", ground="complaint:assault", said="x").status_code == 422
    assert (
        send(visitor, f"/recordings/{talk.id}/flag", ground="complaint:objection", said="扬言投诉").status_code == 303
    )
    page = visitor.get(f"/recordings/{talk.id}").text
    assert "扬言投诉" in page
    assert "长期保存" in page.split('id="retention"')[1].split("</section>")[0]
    assert f'name="link.flagged" value="{talk.id}"' in page
    without = visitor.post(f"/recordings/{talk.id}/classify", data={"csrf": "x", "category": "penalty"}, headers=SAME)
    assert without.status_code == 403
    assert visitor.get("/recordings?flagged=true").text.count(f"/recordings/{talk.id}") >= 1
    assert f'href="/recordings/{talk.id}"' not in visitor.get("/recordings?unclassified=true").text


def test_r11_who_makes_footage_long_term_by_its_category_is_told_before(filled: tuple[WebHome, Actor]) -> None:
    web, _officer = filled
    visitor = web.visitor(web.person("负责人二", "unit_leader"))
    chosen = ("recording", web.recordings["other"].id)
    told = "归入长期保存类别后，以后改分类也仍为长期保存"
    assert told in visitor.get("/classify", params=[("category", "major"), chosen]).text
    assert told not in visitor.get("/classify", params=[("category", "penalty"), chosen]).text


def test_r10_many_are_classified_as_the_page_showed_them(filled: tuple[WebHome, Actor]) -> None:
    web, _officer = filled
    visitor = web.visitor(web.person("负责人", "unit_leader"))
    chosen = [web.recordings["other"].id, web.recordings["hostile"].id]
    shown = visitor.get("/classify", params=[("category", "penalty"), *(("recording", one) for one in chosen)]).text
    digest = re.search(r'name="sha256" value="([0-9a-f]{64})"', shown)
    assert digest is not None
    assert "按此清单分类" in shown
    stale = send(visitor, "/classify", recording=chosen, category="street", sha256=digest[1])
    assert stale.status_code == 409
    done = send(visitor, "/classify", recording=chosen, category="penalty", sha256=digest[1], said="处罚")
    assert (done.status_code, "已分类：2" in done.text) == (200, True)
    again = send(visitor, "/classify", recording=chosen, category="penalty", sha256=digest[1])
    assert again.status_code == 409
    assert "资料分类" in visitor.get("/matters/start", params=[("recording", one) for one in chosen]).text


def test_r03_r11_the_bureaus_list_is_looked_at_then_proposed_and_only_that_file(filled: tuple[WebHome, Actor]) -> None:
    web, officer = filled
    visitor = web.visitor(web.person("管理员", "retention_manager"))
    assert visitor.get("/record-lists/new").status_code == 200

    def upload(where: str, text: str, **fields: str):
        return visitor.post(
            where, data={"csrf": visitor.csrf, **fields}, files={"file": ("清单.csv", text.encode())}, headers=SAME
        )  # fmt: skip

    wrong = upload("/record-lists/preview", LIST + "行政处罚,坏行,,nosuch,\n").text
    assert "第 4 行" in wrong
    assert 'name="sha256"' not in wrong
    shown = upload("/record-lists/preview", LIST).text
    digest = re.search(r'name="sha256" value="([0-9a-f]{64})"', shown)
    assert digest is not None
    assert "占道经营" in shown
    day = local_date(web.house.clock.now().wall + timedelta(days=1)).isoformat()
    fields = {"sha256": digest[1], "title": "清单", "in_force_from": day}
    assert upload("/record-lists", LIST + "x,y,,,\n", **fields).status_code == 409
    proposed = upload("/record-lists", LIST, **fields)
    assert proposed.status_code == 303
    page = visitor.get(proposed.headers["location"]).text
    assert "占道经营" in page
    assert "新增事项" in page
    other = web.visitor(officer)
    refused = other.post(
        "/record-lists/preview", data={"csrf": other.csrf}, files={"file": ("a.csv", LIST.encode())}, headers=SAME
    )  # fmt: skip
    assert refused.status_code == 403
    forged = visitor.post("/record-lists/preview", data={"csrf": "x"}, files={"file": ("a.csv", b"x")}, headers=SAME)
    assert forged.status_code == 403


def test_r27_the_page_of_a_hold_tells_how_many_stores_keep_it(filled: tuple[WebHome, Actor]) -> None:
    web, _officer = filled
    reviewer = web.person("法制员", "legal_reviewer")
    day = local_date(web.house.clock.now().wall + timedelta(days=30)).isoformat()
    given = {"type": "litigation", "title": "诉讼", "why": "来函", "review_on": day}
    links = [NewLink(role="held", target=web.recordings["talk"].id)]
    hold = web.house.matters.open(reviewer, "hold", given, links=links)
    page = web.visitor(reviewer).get(f"/matters/one/{hold.id}").text
    assert 'id="kept"' in page
    assert "2 个存储中已有 0 个落实暂停清除" in page
