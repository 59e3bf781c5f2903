"""Clearing on pages and API: the list with pictures and reasons, what became of bytes, and who may see or do which."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.clearing import clearing_of
from app.dates import dry_runs_of, recompute_of
from evidence.clock import to_text
from evidence.events import RecordingClassified
from matters.recording_facts import say
from support import footage
from support.recorders import gb_name
from support.web_home import WebHome, web_home

A = "/api/v1"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebHome]:
    with web_home(tmp_path / "home") as made:
        yield made


def classified(web: WebHome, row) -> None:
    at = web.house.clock.now()
    event = RecordingClassified(
        recording=row.id, sha256=row.sha256.hex, category="x", item="", basis="person", at=to_text(at.wall)
    )
    with web.house.catalogue.begin() as uow:
        say(uow, lambda one: web.house.recorder.record(uow.outbox, one, at=at), event)


def test_what_became_of_bytes_is_told_on_page_and_api_and_entered(web: WebHome, tmp_path: Path) -> None:
    unit = web.house.administration.create_unit(web.administrator, name="执法一科").id
    [row] = web.take_in(web.dock(tmp_path / "card", {gb_name(): footage.talking_mp4()}), unit=unit)
    auditor = web.visitor(web.person("审计员", "auditor"))
    told = auditor.get(f"{A}/absence/{row.sha256.hex}").json()
    assert (told["answer"], told["recordings"][0]["recording"]) == ("held", row.id)
    assert told["recordings"][0]["stores"]
    never = auditor.get(f"{A}/absence/{'0' * 64}").json()
    assert (never["answer"], never["recordings"]) == ("never-received", [])
    assert never["checkpoint_size"] > 0
    assert auditor.get(f"{A}/absence/nonsense").status_code == 422
    page = auditor.get("/absence", params={"sha256": row.sha256.hex})
    assert page.status_code == 200
    assert row.id in page.text
    assert auditor.get("/absence", params={"sha256": "x"}).status_code == 422
    assert any(
        "presence" in str(one.get("detail", "")) or one["action"] == "absence.ask"
        for one in web.entries("access.allowed")
    )
    elsewhere = web.house.administration.create_unit(web.administrator, name="执法二科").id
    leader = web.visitor(web.person("二科负责人", "unit_leader", unit=elsewhere))
    assert leader.get(f"{A}/absence/{row.sha256.hex}").status_code == 403
    assert leader.get(f"{A}/absence/{'0' * 64}").status_code == 403, "who may not see everything is told neither"


def test_the_reviewer_sees_pictures_and_reasons_and_takes_marked_items_out(web: WebHome, tmp_path: Path) -> None:
    unit = web.house.administration.create_unit(web.administrator, name="执法一科").id
    card = {gb_name(counter=1): footage.talking_mp4(), gb_name(counter=2, extension="mp3"): footage.voice_mp3()}
    rows = web.take_in(web.dock(tmp_path / "card", card), unit=unit)
    manager = web.person("档案员", "retention_manager")
    visitor = web.visitor(manager)
    assert visitor.get("/clearing").status_code == 200
    answer = visitor.post("/clearing/propose", data={"csrf": visitor.csrf, "unit": unit})
    assert (answer.status_code, answer.headers["location"]) == (303, "/clearing"), "nothing is due yet"
    assert "该部门没有可列入的到期资料" in visitor.get("/clearing").text, (
        "who asked is told so, there and not on another page"
    )
    assert "该部门没有可列入的到期资料" not in visitor.get("/clearing").text, "once"
    with web.house.catalogue.begin() as uow:  # as if it had come in two years ago
        for row in rows:
            uow.recordings.update(
                row.id, acquired_at=row.acquired_at - timedelta(days=730), deadline_at=row.deadline_at
            )
    schedule(web, manager)
    for row in rows:
        classified(web, row)
    recompute_of(web.house).run()
    answer = visitor.post("/clearing/propose", data={"csrf": visitor.csrf, "unit": unit, "note": "两年前"})
    assert answer.status_code == 303
    where = answer.headers["location"]
    page = visitor.get(where)
    assert page.status_code == 200
    assert all(row.name in page.text for row in rows)
    video = next(row for row in rows if row.name.endswith("mp4"))
    poster = f"/clearing/{where.rpartition('/')[2]}/poster/{video.id}"
    assert poster in page.text
    shown = visitor.get(poster)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert web.visitor(web.person("审计员", "auditor")).get(poster).status_code == 403
    sent = {
        "csrf": visitor.csrf, "act": "take-out", "unlink.item": video.id, "f.ground": "needed", "f.reason": "培训要用",
    }  # fmt: skip
    answer = visitor.post(f"{where}/act", data=sent)
    assert answer.status_code == 303
    page = visitor.get(where)
    assert visitor.get(poster).status_code == 404
    assert video.id in page.text
    assert visitor.get("/matters/clearing-batch").status_code == 200
    clearing_of(web.house).run()


def schedule(web: WebHome, manager) -> None:
    """A schedule with one category, approved by somebody else."""
    desk, house = web.house.matters, web.house
    given = {
        "title": "期限表", "authority": "a", "in_force_from": "2020-01-01",
        "rows": [{"category": "x", "title": "一般", "keeps": "months:6", "authority": ""}],
    }  # fmt: skip
    known = {one.name for one in desk.forms.of("schedule").opening.fields}
    row = desk.open(manager, "schedule", {name: value for name, value in given.items() if name in known})
    dry_runs_of(house).enter(row.id)
    leader = web.person("负责人", "unit_leader")
    desk.act(leader, row.id, "approve", seen=desk.view(leader, row.id).seen)
