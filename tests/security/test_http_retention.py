"""The page of a recording and the API tell until when it is kept and why; numbers of matters only to who may know of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from app.dates import dry_runs_of
from evidence.calendar import local_date
from evidence.digest import sha256_of
from evidence.lock_dates import due_at
from evidence.model import Actor
from matters.turn import NewLink
from support.web_home import WebHome, fill, web_home

A = "/api/v1"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[WebHome, Actor]]:
    with web_home(tmp_path / "home") as made:
        yield made, fill(made, tmp_path / "cards")


def test_r10_r23_the_page_tells_until_when_and_why_and_hides_matters_of_others(filled: tuple[WebHome, Actor]) -> None:
    web, officer = filled
    talk = web.recordings["talk"]
    visitor = web.visitor(officer)
    told = visitor.get(f"{A}/recordings/{talk.id}/retention").json()
    last = local_date(due_at(talk.acquired_at)).toordinal() - 1
    assert (told["standing"], told["unclassified"], told["schedule_version"]) == ("keep", True, 0)
    assert told["last_day"] == local_date(due_at(talk.acquired_at)).fromordinal(last).isoformat()
    assert {one["why"] for one in told["reasons"]} >= {"begins-at-accession", "ordinary", "unclassified"}
    page = visitor.get(f"/recordings/{talk.id}").text
    assert "保存期限" in page
    assert f"保存至 {told['last_day']} 24 时" in page
    assert "未分类：按普通资料计" in page
    visitor.get("/language?lang=en&back=/")
    assert f"to the end of {told['last_day']}" in visitor.get(f"/recordings/{talk.id}").text
    visitor.get("/language?lang=zh-CN&back=/")
    leader = web.person("负责人", "unit_leader")
    given = {"type": "wrong-case", "title": "复查", "why": "有投诉", "review_on": "2027-01-05"}
    hold = web.house.matters.open(leader, "hold", given, unit=talk.unit, links=[NewLink(role="held", target=talk.id)])
    of_leader = web.visitor(leader).get(f"{A}/recordings/{talk.id}/retention").json()
    of_officer = visitor.get(f"{A}/recordings/{talk.id}/retention").json()
    assert (of_leader["standing"], of_officer["standing"]) == ("held", "held")
    assert (of_leader["due_at"], of_officer["last_day"]) == (None, None)
    [theirs] = [one for one in of_leader["reasons"] if one["why"] == "hold"]
    [hidden] = [one for one in of_officer["reasons"] if one["why"] == "hold"]
    assert (theirs["subject"], theirs["detail"]) == (hold.number, "wrong-case")
    assert (hidden["subject"], hidden["detail"]) == ("", "")
    page = visitor.get(f"/recordings/{talk.id}").text
    assert "暂停清除中" in page
    assert hold.number not in page.split('id="retention"')[1].split("</section>")[0]


def test_r10_a_list_of_what_is_due_is_for_those_who_see_clearing_and_cursors_are_checked(
    filled: tuple[WebHome, Actor],
) -> None:
    web, officer = filled
    manager = web.visitor(web.person("管理员", "retention_manager"))
    answer = manager.get(f"{A}/retention/due")
    assert (answer.status_code, answer.json()["due"], answer.json()["clock_believed"]) == (200, [], True)
    assert manager.get(f"{A}/retention/due?cursor=nonsense").status_code == 422
    assert manager.get(f"{A}/retention/due?cursor=5.rec_1").status_code == 422
    assert web.visitor(officer).get(f"{A}/retention/due").status_code == 403


def test_r10_the_list_of_a_dry_run_is_downloaded_as_it_was_filed_and_as_a_spreadsheet(
    filled: tuple[WebHome, Actor],
) -> None:
    web, officer = filled
    manager = web.person("管理员", "retention_manager")
    given = {"title": "一年", "authority": "a", "in_force_from": "2026-12-01", "ordinary_months": 12}
    row = web.house.matters.open(manager, "schedule", given)
    visitor = web.visitor(manager)
    address = f"{A}/retention/lists/{row.id}"
    assert visitor.get(address).status_code == 404
    tried = dry_runs_of(web.house).enter(row.id)
    assert tried.count == len(web.recordings)
    answer = visitor.get(address)
    assert (answer.status_code, sha256_of(answer.content)) == (200, tried.list_sha256)
    book = load_workbook(io.BytesIO(visitor.get(address, params={"format": "xlsx"}).content), read_only=True)
    lines = list(book.worksheets[0].iter_rows(values_only=True))
    assert lines[0][0] == "音像资料"
    assert {line[0] for line in lines[1:]} == {one.id for one in web.recordings.values()}
    assert {line[8] for line in lines[1:]} == {"推后"}
    assert web.visitor(officer).get(address).status_code == 403
    assert visitor.get(f"{A}/retention/lists/mat_1").status_code == 422
