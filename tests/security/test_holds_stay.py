"""Nobody lets a held recording go, or makes a procedure forget its footage, by taking links away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.matter_forms import all_forms
from catalogue.holds import HELD, TO_RELEASE
from evidence.errors import EvidenceError
from matters.turn import NewLink
from retention.holds import held
from support import footage
from support.assured_home import AssuredHome, make_home
from support.recorders import gb_name


@pytest.fixture
def home(tmp_path: Path) -> Iterator[AssuredHome]:
    made = make_home(tmp_path)
    yield made
    made.close()


def standing(home: AssuredHome, row) -> list[str]:
    with home.catalogue.begin() as uow:
        return [order.subject for order in held(uow, row.id)]


def test_r10_one_person_cannot_let_a_held_recording_go_by_taking_its_link_away(home: AssuredHome) -> None:
    reviewer, leader = home.agent("法制员", "legal_reviewer"), home.agent("负责人", "unit_leader")
    desk = home.desk()
    one, two = home.ingest({gb_name(): footage.voice_mp3(), "b.jpg": footage.photo_jpg()})
    values = {
        "type": "litigation", "title": "诉讼", "why": "法院要求", "authority": "初1号", "review_on": "2026-12-31",
    }  # fmt: skip
    links = [NewLink(role=HELD, target=row.id) for row in (one, two)]
    hold = desk.open(reviewer, "hold", values, links=links)
    with pytest.raises(EvidenceError):
        desk.act(reviewer, hold.id, "add", unlinks=[NewLink(role=HELD, target=one.id)])
    assert standing(home, one) == [hold.number]
    part = [NewLink(role=TO_RELEASE, target=one.id)]
    desk.act(reviewer, hold.id, "ask-part", {"release_why": "无关"}, links=part)
    with pytest.raises(EvidenceError):
        desk.act(leader, hold.id, "add", unlinks=[NewLink(role=HELD, target=two.id)])
    assert standing(home, two) == [hold.number]


@pytest.mark.parametrize("kind", ["complaint", "fault-accountability"])
def test_r23_what_a_procedure_linked_stays_linked_until_it_ends(home: AssuredHome, kind: str) -> None:
    handler = home.agent("法制员", "legal_reviewer")
    desk = home.desk()
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    link = NewLink(role="footage", target=row.id)
    values = {"title": "投诉", "source": "complaint", "named": "anonymous", "matter": "态度"}
    opened = desk.open(handler, kind, values, links=[link])
    with pytest.raises(EvidenceError):
        desk.act(handler, opened.id, "add", unlinks=[link])
    assert [one.target for one in desk.view(handler, opened.id).links] == [row.id]


def test_r13_footage_of_a_closed_case_is_not_taken_out_of_it() -> None:
    """Only reopening, which takes two persons, lets the list of a closed case shrink."""
    case = all_forms().of("case")
    for act in case.acts:
        if "closed" in act.before:
            assert all(one.stays for one in act.links), act.name
