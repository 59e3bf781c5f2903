"""The page and routes of discs on a home with a real set: what is shown was read back, papers open only for who may see."""

from __future__ import annotations

import pytest

from app.disc_making import disc_work
from discs.drive import Drive
from evidence.clock import to_text
from evidence.events import RecordingFlagged
from matters.recording_facts import say
from matters.turn import NewLink
from retention import disc_terms as terms
from support.web_home import WebHome

A = "/api/v1"


@pytest.fixture(scope="module")
def made(web: WebHome, tmp_path_factory):
    """A set of one recording: copy A read back, copy B not; another recording waits."""
    house, folder = web.house, tmp_path_factory.mktemp("drives")
    maker = web.person("制盘人", "station_operator")
    rows = [row for row in web.recordings.values() if row.sealed and row.duplicate_of is None][:2]
    assert len(rows) == 2
    for row in rows:
        now = house.clock.now()
        with house.catalogue.begin() as uow:
            event = RecordingFlagged(
                actor=maker.agent, recording=row.id, sha256=row.sha256.hex, flag="long-term", standing=True,
                ground="sensitive", at=to_text(now.wall),
            )  # fmt: skip
            say(uow, lambda one, uow=uow: house.recorder.record(uow.outbox, one, at=house.clock.now()), event)
    work = disc_work(house)
    values = {"title": "占道经营案", "case_number": "12号", "medium": "dvd+r"}
    owner = house.matters.open(maker, terms.DISC_SET, values, links=[NewLink(role=terms.FOOTAGE, target=rows[0].id)])
    work.build(maker, owner.id)
    discs = [
        work.burn(maker, owner.id, disc=1, copy=copy, drive=Drive(f"stdio:{folder}/{copy}.iso")) for copy in "AB"
    ]  # fmt: skip
    work.verify(maker, discs[0].id, drive=Drive(f"stdio:{folder}/A.iso"))
    return maker, rows, owner, discs


def test_r12_the_page_of_a_recording_counts_only_what_was_read_back(web: WebHome, made) -> None:
    _maker, rows, owner, discs = made
    visitor = web.visitor(web.person("法制", "legal_reviewer"))
    told = visitor.get(f"{A}/recordings/{rows[0].id}/discs").json()
    assert (told["set_number"], told["copies"]) == (owner.number, 1)
    assert [(one["number"], one["counts"], bool(one["verified_at"])) for one in told["discs"]] == [
        (discs[0].number, True, True), (discs[1].number, False, False),
    ]  # fmt: skip
    page = visitor.get(f"/recordings/{rows[0].id}").text
    assert "回读完好的光盘不足两份" in page
    assert discs[0].number in page
    waiting = visitor.get(f"{A}/discs/waiting").json()["waiting"]
    assert rows[1].id in [one["recording"] for one in waiting]
    assert rows[0].id not in [one["recording"] for one in waiting]
    assert "待刻录光盘" in visitor.get(f"/recordings/{rows[1].id}").text


def test_the_page_of_discs_in_both_languages(web: WebHome, made) -> None:
    _maker, rows, owner, discs = made
    visitor = web.visitor(web.person("保管", "retention_manager"))
    page = visitor.get("/discs").text
    for wanted in ("待刻录光盘", owner.number, discs[0].number, rows[1].id, "盘面标签", "已刻录，未回读"):
        assert wanted in page, wanted
    english = visitor.get("/discs", headers={"accept-language": "en"}).text
    assert "Waiting for a disc" in english
    assert "Burnt, not read back yet" in english


def test_papers_are_for_who_may_see_the_disc(web: WebHome, made) -> None:
    _maker, _rows, _owner, discs = made
    address = f"{A}/discs/{discs[0].id}/paper"
    visitor = web.visitor(web.person("保管二", "retention_manager"))
    for kind in ("label", "wrap"):
        answer = visitor.get(address, params={"kind": kind})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF")
    assert web.visitor(web.person("系统", "system_administrator")).get(address).status_code == 403
    assert visitor.get(address, params={"kind": "x"}).status_code == 422


def test_r12_the_register_lists_every_disc(web: WebHome, made) -> None:
    maker, _rows, owner, discs = made
    visitor = web.visitor(web.person("保管三", "retention_manager"))
    answer = visitor.get("/matters/disc/register/csv")
    assert answer.status_code == 200, answer.text
    text = answer.content.decode("utf-8-sig")
    for wanted in (
        discs[0].number,
        discs[1].number,
        maker.name,
        discs[0].facts["image_sha256"],
        "占道经营案",
        "盘片类型",
    ):
        assert wanted in text, (wanted, text)
    for form in ("xlsx", "pdf"):
        assert visitor.get(f"/matters/disc/register/{form}").status_code == 200
    sets = visitor.get("/matters/disc-set/register/csv").content.decode("utf-8-sig")
    assert owner.number in sets
    page = visitor.get(f"/matters/one/{discs[0].id}")
    assert page.status_code == 200
    assert "已回读，未登记" in page.text
    assert visitor.get(f"/matters/one/{owner.id}").status_code == 200
