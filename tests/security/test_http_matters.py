"""Matters of any kind at the browser's side: page, API and files follow from the form, and tell nobody what is not theirs."""

from __future__ import annotations

import io
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.services import ApiSettings
from evidence.ids import MatterId
from evidence.model import Actor
from support.demo_matters import DEMO, SECRET
from support.web_home import Visitor, WebHome, fill, web_home

A = "/api/v1/matters"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHome]:
    root = tmp_path_factory.mktemp("matters")
    with web_home(root / "home", settings=ApiSettings(), forms=(DEMO,)) as made:
        fill(made, root / "cards")
        yield made


@pytest.fixture(scope="module")
def leaders(web: WebHome) -> tuple[Actor, Actor]:
    unit = web.units["执法一科"]
    return web.person("甲队长", "unit_leader", unit=unit), web.person("乙队长", "unit_leader", unit=unit)


def opened(web: WebHome, actor: Actor, **values: object) -> str:
    links = [{"role": "footage", "target": web.recordings["talk"].id, "words": "开头"}]
    body = {"kind": "demo", "values": {"title": "调看", **values}, "unit": web.units["执法一科"], "links": links}
    answer = web.visitor(actor).post(A, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def page_post(visitor: Visitor, path: str, **data: object):
    return visitor.post(path, data={"csrf": visitor.csrf, "do": "act", **data}, headers={"origin": "http://127.0.0.1"})


def filed(visitor: Visitor, matter: str, role: str = "letter", data: bytes = PDF, name: str = "来函.pdf"):
    return visitor.post(f"{A}/{matter}/documents", data={"role": role}, files={"file": (name, data)})


# --- the API ----------------------------------------------------------------------------------------------------------
def test_a_form_is_described_for_programs_in_both_languages(web: WebHome, leaders) -> None:
    visitor = web.visitor(leaders[0])
    [kind] = [one for one in visitor.get(f"{A}/kinds?lang=en").json() if one["kind"] == "demo"]
    assert kind["may_open"] is True
    assert [one["name"] for one in kind["opening"]["fields"]][:3] == ["title", "story", "count"]
    assert {one["name"]: one["kind"] for one in kind["opening"]["fields"]}["list"] == "table"
    assert kind["acts"][0] == {**kind["acts"][0], "name": "agree", "needs_seen": True, "never": ["proposer"]}
    assert [one["code"] for one in kind["states"]] == ["asked", "agreed", "refused"]


def test_r17_two_persons_over_the_api_with_a_document_and_a_frozen_view(web: WebHome, leaders) -> None:
    asker, agrees = leaders
    matter = opened(web, asker, count="2", until="2026-12-01T09:30", rights=["copy", "view"])
    shown = web.visitor(asker).get(f"{A}/{matter}").json()
    assert shown["facts"]["rights"] == ["view", "copy"]
    assert shown["facts"]["until"] == "2026-12-01T01:30:00.000Z"
    assert shown["links"][0]["target"] == web.recordings["talk"].id
    assert shown["acts"] == ["add"]
    early = web.visitor(agrees).post(f"{A}/{matter}/acts", json={"act": "agree", "seen": shown["seen"]})
    assert (early.status_code, early.json()["code"]) == (409, "policy-unmet")
    document = filed(web.visitor(agrees), matter)
    assert document.status_code == 201, document.text
    refused = web.visitor(agrees).post(f"{A}/{matter}/acts", json={"act": "agree", "seen": shown["seen"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "state-conflict")
    seen = web.visitor(agrees).get(f"{A}/{matter}").json()["seen"]
    own = web.visitor(asker).post(f"{A}/{matter}/acts", json={"act": "agree", "seen": seen})
    assert (own.status_code, own.json()["reason"]) == (403, "same-person")
    agreed = web.visitor(agrees).post(f"{A}/{matter}/acts", json={"act": "agree", "seen": seen})
    assert (agreed.status_code, agreed.json()["state"]) == (200, "agreed")
    history = web.visitor(asker).get(f"{A}/{matter}/history").json()
    assert [one["type"] for one in history if not one["type"].startswith("access.")] == [
        "matter.acted", "document.filed", "matter.acted",
    ]  # fmt: skip
    listed = web.visitor(asker).get(f"{A}?kind=demo&open=false&person=me").json()["matters"]
    assert matter in [one["id"] for one in listed]


def test_what_is_not_filled_in_rightly_is_told_field_by_field(web: WebHome, leaders) -> None:
    here = {"kind": "demo", "unit": web.units["执法一科"]}
    answer = web.visitor(leaders[0]).post(A, json={**here, "values": {"count": "12", "digest": "x"}})
    assert answer.status_code == 422
    assert answer.json()["fields"] == {"title": "missing", "count": "out-of-range", "digest": "not-that-kind"}
    guard = web.visitor(leaders[0]).post(A, json={**here, "values": {"title": "a", "day": "friday"}})
    assert (guard.status_code, guard.json()["detail"]) == (409, "Not on Friday.")
    assert web.visitor(leaders[0]).post(A, json={"kind": "nosuch", "values": {}}).status_code == 422
    prose = {"role": "footage", "target": web.recordings["talk"].id, "facts": {"why": "张三 说的"}}
    clear = web.visitor(leaders[0]).post(A, json={**here, "values": {"title": "a"}, "links": [prose]})
    assert clear.status_code == 422  # what stands in clear in the log is never prose


def test_a_document_comes_back_byte_for_byte_and_is_entered(web: WebHome, leaders) -> None:
    matter = opened(web, leaders[0])
    made = filed(web.visitor(leaders[0]), matter).json()
    back = web.visitor(leaders[1]).get(f"{A}/{matter}/documents/{made['id']}")
    assert back.content == PDF
    assert back.headers["content-disposition"].startswith("attachment")
    assert back.headers["content-type"] == "application/octet-stream"
    assert any(made["id"] in str(one) for one in web.visitor(leaders[0]).get(f"{A}/{matter}").json()["documents"])
    wrong = web.visitor(leaders[1]).get(f"{A}/{MatterId.new(1)}/documents/{made['id']}")
    assert wrong.status_code == 422
    assert web.visitor(web.person("外人", "security_administrator")).get(
        f"{A}/{matter}/documents/{made['id']}"
    ).status_code == 403  # fmt: skip


def test_an_upload_that_is_no_document_breaks_off_or_is_nobodys_is_refused(web: WebHome, leaders) -> None:
    matter = opened(web, leaders[0])
    visitor = web.visitor(leaders[0])
    program = filed(visitor, matter, data=b"MZ" + bytes(200_000), name="a.pdf")
    assert (program.status_code, program.json()["code"]) == (422, "invalid-input")
    assert filed(visitor, matter, role="signed-scan", data="纯文本".encode()).status_code == 422
    assert filed(visitor, matter, role="nosuch").status_code == 422
    assert visitor.post(f"{A}/{matter}/documents", json={"role": "letter"}).status_code == 422
    broken = visitor.post(
        f"{A}/{matter}/documents", content=b'--x\r\nContent-Disposition: form-data; name="role"\r\n\r\nletter',
        headers={"content-type": "multipart/form-data; boundary=x"},
    )  # fmt: skip
    assert broken.status_code == 422
    half = (
        b'--x\r\nContent-Disposition: form-data; name="role"\r\n\r\nletter\r\n--x\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
    )
    cut = visitor.post(
        f"{A}/{matter}/documents", content=half, headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert cut.status_code == 422
    assert filed(web.visitor(), matter).status_code == 401
    assert visitor.get(f"{A}/{matter}").json()["documents"] == []
    many = filed(visitor, matter, data=PDF[:9] + b"%" * 3_000_000 + b"\n" + PDF[9:])
    assert many.status_code == 201, many.text


def test_r23_a_field_for_few_eyes_stays_hidden_in_every_output(web: WebHome, leaders, tmp_path: Path) -> None:
    keeper, other = leaders
    matter = opened(web, other, keeper=keeper.agent, secret=SECRET)
    shown = web.visitor(keeper).get(f"{A}/{matter}").json()
    assert shown["words"]["secret"] == SECRET
    outsider = web.person("丙队长", "unit_leader", unit=web.units["执法一科"])
    visitor = web.visitor(outsider)
    outputs: dict[str, bytes] = {
        path: visitor.get(path).content
        for path in (
            f"{A}/{matter}", f"{A}/{matter}/history", f"{A}?kind=demo", f"{A}/registers/demo/csv", f"/matters/one/{matter}",
            "/matters/demo", "/matters", "/my", "/matters/demo/register/csv",
        )
    }  # fmt: skip
    for name in ("xlsx",):
        book = zipfile.ZipFile(io.BytesIO(visitor.get(f"{A}/registers/demo/{name}").content))
        outputs[name] = b"".join(book.read(part) for part in book.namelist())
    for name in (f"{A}/{matter}/print?lang=zh-CN", f"{A}/registers/demo/pdf", f"/matters/one/{matter}/print"):
        answer = visitor.get(name)
        assert answer.status_code == 200, answer.text
        outputs[name] = text_of(answer.content, tmp_path)
    for path, content in outputs.items():
        assert SECRET.encode() not in content, path
        assert SECRET.encode("unicode_escape") not in content, path
    assert "Not shown" in text_of(visitor.get(f"{A}/{matter}/print?lang=en").content, tmp_path).decode()
    assert visitor.get(f"{A}?text={SECRET}").json()["matters"] == []
    assert matter not in visitor.get(f"/matters/demo?text={SECRET}").text
    assert SECRET in web.visitor(keeper).get(f"/matters/one/{matter}").text
    assert SECRET in text_of(web.visitor(keeper).get(f"{A}/{matter}/print").content, tmp_path).decode()


def text_of(pdf: bytes, folder: Path) -> bytes:
    """The words of a PDF and the data attached to it."""
    file = folder / "a.pdf"
    file.write_bytes(pdf)
    words = subprocess.run(["pdftotext", "-layout", str(file), "-"], capture_output=True, check=True).stdout
    subprocess.run(["pdfdetach", "-saveall", "-o", str(folder), str(file)], capture_output=True, check=True)
    data = (folder / "data.json").read_bytes()
    assert json.loads(data)["checkpoint"]["size"] > 0
    return words + data


def test_a_printed_matter_and_its_register_name_the_checkpoint(web: WebHome, leaders, tmp_path: Path) -> None:
    matter = opened(web, leaders[0], story="第一行\n第二行")
    printed = text_of(web.visitor(leaders[0]).get(f"{A}/{matter}/print?lang=en").content, tmp_path).decode()
    for word in ("第二行", "Custody checkpoint", "甲队长", "开头"):
        assert word in printed, word
    register = web.visitor(leaders[0]).get(f"{A}/registers/demo/csv?lang=en").content.decode("utf-8-sig")
    assert register.splitlines()[0].startswith("No.,Number,Title,State")
    assert "甲队长" in register
    assert web.recordings["talk"].name in register
    last = [one for one in web.entries("access.allowed") if one["action"] == "register.see"][-2:]
    assert [(one["actor"], one["via"]) for one in last] == [
        (leaders[0].agent, "web")
    ] * 2  # what left the house is entered


# --- pages ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_pages_show_kind_list_and_matter_in_both_languages(web: WebHome, leaders, lang: str) -> None:
    matter = opened(web, leaders[0])
    visitor = web.visitor(leaders[0])
    visitor.cookies.set("liuhen_lang", lang, domain="127.0.0.1")
    board = visitor.get("/matters")
    assert board.status_code == 200
    assert "Demo requests" in board.text
    assert matter in visitor.get("/matters/demo?person=me").text
    page = visitor.get(f"/matters/one/{matter}").text
    assert ("办理经过" if lang == "zh-CN" else "History") in page
    assert f'href="/recordings/{web.recordings["talk"].id}"' in page
    assert "Add recordings" in page
    assert visitor.get("/matters/demo/new").status_code == 200
    assert visitor.get("/matters/nosuch").status_code == 404
    assert visitor.get("/matters/one/nosuch").status_code == 404


def test_a_page_tells_what_is_wrong_beside_the_field_and_keeps_what_was_typed(web: WebHome, leaders) -> None:
    visitor = web.visitor(leaders[0])
    talk = web.recordings["talk"].id
    data = {
        "f.count": "12", "f.story": "说明<b>", "link.footage": talk, f"note.footage.{talk}": "片段一", "f.urgent": "true",
        "f.rights": ["view"], "unit": web.units["执法一科"], "f.list.0.what": "甲", "f.list.2.why": "乙",
    }  # fmt: skip
    answer = page_post(visitor, "/matters/demo/new", **data)
    assert answer.status_code == 422
    text = answer.text
    assert "说明&lt;b&gt;" in text
    assert 'id="new-f-title-wrong"' in text
    assert 'id="new-f-count-wrong"' in text
    assert re.search(rf'name="link.footage" value="{talk}" checked', text)
    assert 'value="片段一"' in text
    assert 'name="f.list.1.why" value="乙"' in text
    guard = page_post(
        visitor, "/matters/demo/new", **{"f.title": "a", "f.day": "friday", "unit": web.units["执法一科"]}
    )
    assert guard.status_code == 409
    assert "Not on Friday." in guard.text


def test_searching_inside_of_a_form_enters_nothing_and_offers_what_was_found(web: WebHome, leaders) -> None:
    visitor = web.visitor(leaders[0])
    before = len(web.entries("matter.acted"))
    answer = page_post(visitor, "/matters/demo/new", **{"do": "find", "find.footage": "0001", "f.title": "保留"})
    assert answer.status_code == 200
    assert 'value="保留"' in answer.text
    assert f'name="link.footage" value="{web.recordings["talk"].id}"' in answer.text
    assert web.recordings["other"].id not in answer.text
    assert len(web.entries("matter.acted")) == before


def test_a_page_opens_files_and_two_persons_decide(web: WebHome, leaders) -> None:
    asker, agrees = web.visitor(leaders[0]), web.visitor(leaders[1])
    talk = web.recordings["talk"].id
    made = page_post(
        asker, "/matters/demo/new", **{"f.title": "从列表", "link.footage": talk, "unit": web.units["执法一科"]}
    )
    assert made.status_code == 303, made.text
    path = made.headers["location"]
    matter = path.rpartition("/")[2]
    shown = agrees.get(path).text
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', shown)
    assert seen is not None
    missing = page_post(agrees, f"{path}/act", act="agree", seen=seen[1])
    assert missing.status_code == 409
    uploaded = agrees.post(
        f"{path}/documents", data={"csrf": agrees.csrf, "role": "letter"}, files={"file": ("函.pdf", PDF)},
        headers={"origin": "http://127.0.0.1"},
    )  # fmt: skip
    assert uploaded.status_code == 303, uploaded.text
    forged = agrees.post(f"{path}/documents", data={"csrf": "no", "role": "letter"}, files={"file": ("a.pdf", PDF)})
    assert forged.status_code == 403
    stale = page_post(agrees, f"{path}/act", act="agree", seen=seen[1])
    assert stale.status_code == 409
    fresh = re.search(r'name="seen" value="([0-9a-f]{64})"', agrees.get(path).text)
    assert fresh is not None
    assert page_post(agrees, f"{path}/act", act="agree", seen=fresh[1]).status_code == 303
    assert asker.get(f"{A}/{matter}").json()["state"] == "agreed"
    document = agrees.get(f"{A}/{matter}").json()["documents"][0]["id"]
    assert agrees.get(f"{path}/documents/{document}").content == PDF
    assert agrees.get(f"{path}/print").headers["content-type"] == "application/pdf"
    for name in ("csv", "xlsx", "pdf"):
        assert agrees.get(f"/matters/demo/register/{name}?show=all").status_code == 200


def test_links_are_added_and_taken_away_on_the_page(web: WebHome, leaders) -> None:
    asker = web.visitor(leaders[0])
    matter = opened(web, leaders[0])
    talk, hostile = web.recordings["talk"].id, web.recordings["hostile"].id
    changed = page_post(
        asker, f"/matters/one/{matter}/act",
        **{"act": "add", "f.title": "改名", "link.footage": hostile, "unlink.footage": f"{talk}|"},
    )  # fmt: skip
    assert changed.status_code == 303, changed.text
    after = asker.get(f"{A}/{matter}").json()
    assert [one["target"] for one in after["links"]] == [hostile]
    assert after["words"]["title"] == "改名"
    page = asker.get(f"/matters/one/{matter}?act=add&link.footage={talk}").text
    assert f'name="link.footage" value="{talk}" checked' in page
    assert 'value="改名"' in page  # what stands there now is kept


def test_from_chosen_recordings_to_a_new_matter_or_an_open_one(web: WebHome, leaders) -> None:
    visitor = web.visitor(leaders[0])
    matter = opened(web, leaders[0])
    talk, hostile, other = (web.recordings[name].id for name in ("talk", "hostile", "other"))
    chosen = visitor.get(f"/matters/start?recording={talk}&recording={hostile}&recording={other}")
    assert chosen.status_code == 200
    assert 'action="/matters/demo/new"' in chosen.text
    assert f'action="/matters/one/{matter}"' in chosen.text
    assert web.recordings["other"].name not in chosen.text
    listed = visitor.get("/recordings").text
    assert f'name="recording" value="{talk}"' in listed
    page = visitor.get(f"/recordings/{talk}").text
    assert f"/matters/one/{matter}" in page
    assert f"/matters/start?recording={talk}" in page


def test_who_may_see_no_kind_sees_neither_board_nor_lists(web: WebHome) -> None:
    nobody = web.visitor(web.person("无角色"))
    for path in (
        "/matters",
        "/matters/demo",
        "/matters/demo/new",
        f"{A}/registers/demo/csv",
        "/matters/demo/register/csv",
    ):
        assert nobody.get(path).status_code == 403, path
    assert nobody.get(f"{A}/kinds").json() == []
    assert nobody.get(A).json()["matters"] == []
    assert 'href="/matters"' not in nobody.get("/password").text


def test_a_matter_of_another_unit_is_refused_and_never_named(web: WebHome, leaders) -> None:
    matter = opened(web, leaders[0])
    stranger = web.visitor(web.person("二科长", "unit_leader", unit=web.units["执法二科"]))
    for path in (f"{A}/{matter}", f"{A}/{matter}/history", f"{A}/{matter}/print", f"/matters/one/{matter}"):
        assert stranger.get(path).status_code == 403, path
    assert matter not in stranger.get(f"{A}?kind=demo").text
    assert stranger.post(f"{A}/{matter}/acts", json={"act": "refuse", "values": {"reason": "x"}}).status_code == 403
    pointing = opened_by(web, stranger, matter)
    assert web.visitor(leaders[0]).get(f"{A}/{matter}").json()["number"] not in stranger.get(
        f"/matters/one/{pointing}"
    ).text  # fmt: skip


def opened_by(web: WebHome, visitor: Visitor, other: str) -> str:
    body = {"kind": "demo", "values": {"title": "指向", "other": other}, "unit": web.units["执法二科"]}
    answer = visitor.post(A, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_what_waits_for_a_person_stands_on_their_page_and_on_the_board(web: WebHome, leaders) -> None:
    matter = opened(web, leaders[0], title="等候审批")
    for path in ("/my", "/matters"):
        theirs = web.visitor(leaders[1]).get(path).text
        assert "待您办理" in theirs, path
        assert matter in theirs
    own = web.visitor(leaders[0]).get("/my").text
    assert "您发起、尚未办结的" in own
    assert matter in own
    polled = web.visitor(leaders[1]).get("/my", headers={"hx-request": "true"}).text
    assert matter not in polled
