"""Watching heals: the person sees the footage, the auditor the finding; and the page of the stores tells what is so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assurance.catch_up import CatchUp
from evidence.digest import sha256_of
from evidence.model import Actor
from storage.layout import blob_key
from support import whole_home
from support.web_home import WebHome, fill, web_home

A = "/api/v1"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[WebHome, Actor]]:
    with web_home(tmp_path / "home") as made:
        yield made, fill(made, tmp_path / "cards")


def test_footage_whose_first_copy_is_gone_is_watched_from_the_other_and_repaired(
    filled: tuple[WebHome, Actor],
) -> None:
    web, officer = filled
    talk = web.recordings["talk"]
    assert talk.sha256 is not None
    path = web.house.stores.local[0].root / blob_key(talk.sha256)
    good = path.read_bytes()
    path.chmod(0o640)
    path.write_bytes(good[: len(good) // 2])  # the disk lost the end of it
    visitor = web.visitor(officer)
    answer = visitor.get(f"{A}/recordings/{talk.id}/media", headers={"range": f"bytes={len(good) - 100}-"})
    assert (answer.status_code, answer.content) == (206, good[-100:])
    (done,) = web.house.healing.run()
    assert done.repaired == ["primary"]
    assert sha256_of(path.read_bytes()) == talk.sha256
    auditor = web.visitor(web.person("审计", "auditor"))
    assert [one["kind"] for one in auditor.get(f"{A}/findings").json()] == ["copy-repaired"]
    page = auditor.get("/findings").text
    assert "已由完好副本修复" in page
    assert 'action="/findings/close"' in page
    assert f'name="csrf" value="{auditor.csrf}"' in page
    (finding,) = auditor.get(f"{A}/findings").json()
    form = {"csrf": auditor.csrf, "finding": finding["id"], "reason": "已比对，属磁盘故障"}
    assert auditor.post("/findings/close", data=form | {"csrf": "other"}).status_code == 403
    assert auditor.post("/findings/close", data=form, follow_redirects=False).status_code == 303
    assert auditor.get(f"{A}/findings").json() == []
    timeline = auditor.get(f"/recordings/{talk.id}", params={"lang": "en"}).text
    assert "looked at by a person" in timeline
    assert "Copy made, read back and matched" in timeline
    whole_home.seal(web.house)
    assert whole_home.verify(web.house).verdict in {"good", "policy-unmet"}


def test_the_page_tells_each_store_and_never_an_old_figure_without_its_time(filled: tuple[WebHome, Actor]) -> None:
    web, _officer = filled
    auditor = web.visitor(web.person("审计", "auditor"))
    before = auditor.get(f"{A}/storage").json()
    assert [(one["store"], one["stand"], one["counted_at"]) for one in before["stores"]] == [
        ("primary", "unknown", None), ("second", "unknown", None),
    ]  # fmt: skip
    assert "尚未统计" in auditor.get("/storage").text
    catch_up = CatchUp(web.house.keeping, hint=web.house.healing.hint)
    assert catch_up.run() == 0
    now = auditor.get(f"{A}/storage").json()["stores"]
    assert {(one["stand"], one["behind_objects"]) for one in now} == {("level", 0)}
    assert all(one["objects"] > 0 and one["counted_at"] and one["ok_at"] for one in now)
    page = auditor.get("/storage", params={"lang": "en"}).text
    for word in ("Answers, holds all its copies", "counted", "Longest not read", "Last answered"):
        assert word in page
    root = web.house.stores.local[1].root
    root.rename(root.with_name("away"))
    with web.house.catalogue.begin() as uow:
        uow.store_states.failed("second", web.house.clock.now().wall, code="store-unavailable", error="<b>gone</b>")
    page = auditor.get("/storage", params={"lang": "en"}).text
    assert "Fails since" in page
    assert "&lt;b&gt;gone&lt;/b&gt;" in page
    (_, second) = auditor.get(f"{A}/storage").json()["stores"]
    assert (second["stand"], second["error_code"]) == ("failing", "store-unavailable")
    root.with_name("away").rename(root)
