"""Cases on pages and in the API: worklist, what lacks, clips that open where they begin, papers, the fixation record in print."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from api.dependencies import LANGUAGE_COOKIE
from evidence.model import Actor
from matters.turn import NewLink
from support.web_home import TALK, WebHome

A = "/api/v1"
PDF = b"%PDF-1.7\n" + os.urandom(500).hex().encode() + b"\n%%EOF\n"


def text_of(pdf: bytes, folder: Path) -> str:
    (folder / "paper.pdf").write_bytes(pdf)
    return subprocess.run(
        ["pdftotext", "-layout", folder / "paper.pdf", "-"], capture_output=True, check=True
    ).stdout.decode()  # fmt: skip


@pytest.fixture(scope="module")
def leader(web: WebHome) -> Actor:
    return web.person("科长", "unit_leader")


@pytest.fixture(scope="module")
def officers(web: WebHome) -> tuple[Actor, Actor]:
    return web.person("执法甲", "officer", code="900701"), web.person("执法乙", "officer", code="900702")


@pytest.fixture(scope="module")
def case(web: WebHome, leader: Actor, officers: tuple[Actor, Actor]):
    row = web.house.matters.open(
        leader, "case",
        {
            "title": "李某占用绿地案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": officers[0].agent,
            "parties": [{"name": "李某", "kind": "个人"}], "place": "湖滨南路",
        },
        links=[NewLink(role="footage", target=web.recordings["talk"].id)],
    )  # fmt: skip
    given = {"recording": web.recordings["talk"].id, "clip_from": "0.25", "clip_to": "0.75", "clip_note": "承认占用"}
    web.house.matters.act(leader, row.id, "clip", given)
    return row


def test_r15_what_is_not_sorted_waits_on_a_page_and_in_the_api(web: WebHome, leader: Actor, case) -> None:
    visitor = web.visitor(leader)
    answer = visitor.get(f"{A}/dossiers/unsorted?whose=all").json()
    assert web.recordings["talk"].id not in {one["id"] for one in answer["recordings"]}
    assert answer["total"] == len(answer["recordings"]) > 0
    page = visitor.get("/unsorted?whose=all")
    assert page.status_code == 200
    assert answer["recordings"][0]["id"] in page.text
    assert 'action="/matters/start"' in page.text
    assert visitor.get("/unsorted").status_code == 200
    assert web.visitor(web.person("系统管理员", "system_administrator")).get("/unsorted").status_code == 403


def test_r16_the_page_of_a_case_tells_what_lacks_and_plays_a_clip_where_it_begins(web: WebHome, leader, case) -> None:
    visitor = web.visitor(leader)
    web.house.matters.act(leader, case.id, "edit", {"place": "湖滨北路", "why": "笔误"})
    page = visitor.get(f"/matters/one/{case.id}").text
    assert '<td class="break">地点</td><td class="break">湖滨南路</td><td class="break">湖滨北路</td>' in page.replace(
        "\n", ""
    )
    assert f'href="/recordings/{web.recordings["talk"].id}#t=0.250"' in page
    for words in ("承认占用", "尚未写明：经过", "尚未书面固定", "结案前必备", "卷内目录", TALK):
        assert words in page, words
    told = visitor.get(f"{A}/dossiers/{case.id}").json()
    assert told["footage"][0]["clips"] == [{"key": "c1", "in_ms": 250, "out_ms": 750, "note": "承认占用"}]
    assert {"what": "fixation", "name": web.recordings["talk"].id, "needed": True} in told["lacks"]
    kinds = [one["what"] for one in visitor.get(f"{A}/dossiers/{case.id}/timeline").json()]
    assert kinds.count("recording") == kinds.count("clip") == 1
    visitor.cookies.set(LANGUAGE_COOKIE, "en", domain="127.0.0.1")
    assert "Not fixed in writing yet" in visitor.get(f"/matters/one/{case.id}").text


def test_r15_cover_and_contents_list_are_printed_with_what_is_in_the_case(web: WebHome, leader, case, tmp_path) -> None:
    visitor = web.visitor(leader)
    filed = visitor.post(
        f"{A}/matters/{case.id}/documents", data={"role": "filing-approval"}, files={"file": ("立案审批表.pdf", PDF)}
    )  # fmt: skip
    assert filed.status_code == 201, filed.text
    contents = visitor.get(f"{A}/dossiers/{case.id}/papers/contents")
    assert contents.headers["content-type"] == "application/pdf"
    text = text_of(contents.content, tmp_path)
    for words in ("卷内目录", "立案审批表.pdf", "0:00:00.250", "承认占用", case.number):
        assert words in text, words
    cover = text_of(visitor.get(f"/matters/one/{case.id}/papers/cover").content, tmp_path)
    for words in ("李某占用绿地案", "占用绿地", "李某", case.number):
        assert words in cover, words
    assert visitor.get(f"{A}/dossiers/{case.id}/papers/fixation").status_code == 404
    assert visitor.get(f"{A}/dossiers/mat_nothing/papers/cover").status_code in (400, 404, 422)


def test_r16_the_fixation_record_states_digests_and_asks_for_every_signature(
    web: WebHome, leader, officers, case, tmp_path
) -> None:
    matters, talk = web.house.matters, web.recordings["talk"]
    record = matters.open(
        leader, "fixation",
        {
            "object": "执法记录仪音像资料", "method": "copy", "made_at": "2026-11-21T10:00", "place": "办公室",
            "proves": "占用事实",
            "first_officer": leader.agent, "second_officer": officers[0].agent, "witness": "none", "no_witness_why": "无人在场",
            "contents": [{"number": "1", "summary": "当事人陈述", "words": "是我放的"}],
        },
        links=[NewLink(role="case", target=case.id)],
    )  # fmt: skip
    visitor = web.visitor(leader)
    draft = text_of(visitor.get(f"/matters/one/{record.id}/papers/fixation").content, tmp_path)
    assert {"草", "稿"} <= set(draft)
    change = visitor.get(f"/matters/one/{record.id}?act=edit").text
    assert "当事人陈述" in change.partition('id="act-edit"')[2].partition("</form>")[0], "its table too"
    assert 'value="办公室"' in change, "whoever changes a draft finds what it says"
    matters.act(leader, record.id, "print")
    answer = visitor.get(f"{A}/dossiers/{record.id}/papers/fixation")
    text = text_of(answer.content, tmp_path).replace("\n", "").replace(" ", "")
    for words in (
        talk.sha256.hex, talk.sm3.hex, "李某", "占用事实", "是我放的", "900701", "无人在场", "当事人拒绝签字", record.number,
        case.number,
    ):  # fmt: skip
        assert words in text, words
    assert "稿" not in text
    assert "供签名" in visitor.get(f"/matters/one/{record.id}").text
    outsider = web.person("他科", "officer", unit=web.units["执法二科"])
    assert web.visitor(outsider).get(f"{A}/dossiers/{record.id}/papers/fixation").status_code == 403


def test_the_papers_of_people_who_may_not_watch_have_no_stills(web: WebHome, leader, officers, case, tmp_path) -> None:
    """A second officer sees the case; the recording itself is not theirs to watch, and the paper says so."""
    text = text_of(web.visitor(officers[0]).get(f"{A}/dossiers/{case.id}/papers/contents").content, tmp_path)
    assert TALK not in text
    assert web.recordings["talk"].id in text.replace("\n", "").replace(" ", "")
