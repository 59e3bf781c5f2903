"""A package of a case by page and API: one file, entered, refused where it must be; its section only for who may."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import bagit
import pytest

from evidence.model import Actor
from matters.turn import NewLink
from support.web_home import WebHome

A = "/api/v1"
WANTED = {"purpose": "litigation", "recipient": "示例区人民法院"}


@pytest.fixture(scope="module")
def leader(web: WebHome) -> Actor:
    return web.person("包科长", "unit_leader")


@pytest.fixture(scope="module")
def case(web: WebHome, leader: Actor):
    second = web.person("包队员", "officer", code="900801")
    values = {"title": "占道经营案", "cause": "占道", "procedure": "ordinary", "second_officer": second.agent}
    links = [NewLink(role="footage", target=web.recordings["talk"].id)]
    return web.house.matters.open(leader, "case", values, links=links)


def unpacked(content: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(content)) as container:
        container.extractall(folder)
    [found] = folder.iterdir()
    return found


def test_r27_the_api_sends_a_case_as_one_file_that_proves_itself(web: WebHome, leader, case, tmp_path) -> None:
    visitor = web.visitor(leader)
    answer = visitor.post(f"{A}/cases/{case.id}/package", json=WANTED)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    folder = unpacked(answer.content, tmp_path / "zip")
    assert folder.name == answer.headers["x-liuhen-package"]
    assert bagit.Bag(str(folder)).validate()
    packages = visitor.get(f"{A}/matters", params={"kind": "package", "target": case.id}).json()["matters"]
    assert {one["state"] for one in packages if one["number"] == folder.name} == {"made"}


def test_the_page_of_a_case_makes_a_package(web: WebHome, leader, case, tmp_path) -> None:
    visitor = web.visitor(leader)
    page = visitor.get(f"/matters/one/{case.id}")
    assert f'action="/matters/one/{case.id}/package"' in page.text
    assert "制作案卷包" in page.text
    data = {"csrf": visitor.csrf, **WANTED}
    origin = {"origin": "http://127.0.0.1"}
    answer = visitor.post(f"/matters/one/{case.id}/package", data=data, headers=origin)
    assert answer.status_code == 200, answer.text
    assert bagit.Bag(str(unpacked(answer.content, tmp_path / "zip"))).validate()
    assert (
        visitor.post(f"/matters/one/{case.id}/package", data={**data, "csrf": "x"}, headers=origin).status_code == 403
    )
    nothing = visitor.post(f"/matters/one/{case.id}/package", data={**data, "publication": "yes"}, headers=origin)
    assert nothing.status_code in (409, 422), nothing.text


def test_what_is_not_theirs_or_makes_no_sense_is_refused(web: WebHome, leader, case) -> None:
    manager = web.visitor(web.person("无关经办", "retention_manager"))
    assert manager.post(f"{A}/cases/{case.id}/package", json=WANTED).status_code == 403
    visitor = web.visitor(leader)
    for body in ({**WANTED, "purpose": "x"}, {**WANTED, "form": "x"}, {"purpose": "litigation"}, {**WANTED, "more": 1}):
        assert visitor.post(f"{A}/cases/{case.id}/package", json=body).status_code == 422, body
    other = "mat_01a21a5ea63372baa2bc02343479f2de"
    assert visitor.post(f"{A}/cases/{other}/package", json=WANTED).status_code == 404
    assert visitor.post(f"{A}/cases/nonsense/package", json=WANTED).status_code == 422
