"""What a dossier lacks, what is in it in which order, its timeline, and what nobody sorted yet."""

from __future__ import annotations

import io
import os
import threading
import time

import pytest

from access import DeniedError
from cases.dossiers import DossierDesk
from evidence.clock import to_text
from evidence.errors import NotFoundError, StateConflictError
from evidence.events import RecordingDisposing
from matters import recording_facts
from matters.turn import NewLink
from support.assured_home import AssuredHome, make_home
from support.recorders import gb_name

PDF = b"%PDF-1.7\n" + os.urandom(500).hex().encode() + b"\n%%EOF\n"


@pytest.fixture
def home(tmp_path, database_url):
    """On each kind of database: these are the queries."""
    made = make_home(tmp_path / "home", database=database_url)
    yield made
    made.close()


@pytest.fixture
def people(home: AssuredHome):
    unit = home.administration.create_unit(home.administrator, name="执法一科").id
    return (
        home.agent("执法甲", "officer", unit=unit, code="900123"), home.agent("执法乙", "officer", unit=unit, code="900124"),
        home.agent("科长", "unit_leader", unit=unit),
    )  # fmt: skip


@pytest.fixture
def desk(home: AssuredHome) -> DossierDesk:
    return DossierDesk(home.catalogue, desk=home.desk(), authoriser=home.gate)


def test_r15_the_officer_sees_what_is_not_sorted_yet_and_a_case_tells_what_it_lacks(home, people, desk) -> None:
    handler, second, leader = people
    names = {gb_name(counter=number): os.urandom(900 + number) for number in range(1, 5)}
    rows = sorted(home.ingest({**names, gb_name(counter=1, extension="txt"): b"$GPRMC"}), key=lambda row: row.name)
    films = sorted((row for row in rows if row.attached_to is None), key=lambda row: row.id)
    assert [row.id for row in desk.unsorted(handler, officer=handler.agent)] == [row.id for row in films]
    assert desk.unsorted(second, officer=second.agent) == []
    assert len(desk.unsorted(leader, officer=None)) == 4
    page = desk.unsorted(handler, officer=handler.agent, limit=3)
    assert [row.id for row in desk.unsorted(handler, officer=handler.agent, after=page[-1].id)] == [films[3].id]

    matters = home.desk()
    given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": second.agent}
    case = matters.open(
        handler, "case", given, links=[NewLink(role="footage", target=films[1].id), NewLink(role="footage", target=films[0].id)]
    )  # fmt: skip
    matters.open(handler, "working-material", {"title": "巡查"}, links=[NewLink(role="footage", target=films[2].id)])
    assert [row.id for row in desk.unsorted(handler, officer=handler.agent)] == [films[3].id]
    now = home.clock.now()
    with home.catalogue.begin() as uow:
        event = RecordingDisposing(
            recording=films[3].id, matter=case.id, mode="review", list_sha256="0" * 64, at=to_text(now.wall)
        )
        recording_facts.say(uow, lambda one: home.recorder.record(uow.outbox, one, at=now), event)
    assert desk.count_unsorted(handler, officer=handler.agent) == 0

    home.papers().file(handler, case.id, "decision", "决定书.pdf", io.BytesIO(PDF))
    home.papers().file(handler, case.id, "filing-approval", "立案审批表.pdf", io.BytesIO(PDF + b"\n%%EOF\n"))
    dossier = desk.dossier(handler, case.id)
    assert [piece.recording for piece in dossier.pieces] == [films[1].id, films[0].id]
    assert [paper.role for _matter, paper in dossier.papers] == ["filing-approval", "decision"]
    needed = {(lack.what, lack.name) for lack in dossier.lacks if lack.needed}
    assert needed == {
        ("field", "happened_at"), ("field", "place"), ("field", "course"), ("field", "result"), ("parties", "parties"),
        ("period", "archive_period"), ("fixation", films[0].id), ("fixation", films[1].id),
    }  # fmt: skip
    told = {lack.name for lack in dossier.lacks if lack.what == "document"}
    assert told == {"scene-record", "evidence", "service-receipt", "closing-report"}

    moments = desk.timeline(handler, case.id)
    assert [one.what for one in moments].count("recording") == 2
    assert {one.name for one in moments if one.what == "document"} == {"决定书.pdf", "立案审批表.pdf"}
    assert [one.name for one in moments if one.what == "act"] == ["open"]
    assert [one.at for one in moments] == sorted(one.at for one in moments)
    home.seal()
    assert {one.kind for one in home.verify().findings} == {"being-removed"}


def test_r09_a_dossier_of_another_unit_is_not_told_and_its_footage_stays_nameless(home, people, desk) -> None:
    handler, second, _leader = people
    [row] = home.ingest({gb_name(counter=1): os.urandom(900)})
    given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": second.agent}
    case = home.desk().open(handler, "case", given, links=[NewLink(role="footage", target=row.id)])
    other = home.administration.create_unit(home.administrator, name="执法二科").id
    stranger = home.agent("二科科长", "unit_leader", unit=other)
    with pytest.raises(DeniedError):
        desk.dossier(stranger, case.id)
    [piece] = desk.dossier(second, case.id).pieces
    assert (piece.recording, piece.row) == (row.id, None), "the second officer did not record it"
    assert [one.what for one in desk.timeline(second, case.id)] == ["act"]
    record = home.desk().open(
        handler, "fixation",
        {
            "object": "资料", "method": "copy", "made_at": "2026-11-21T10:00", "place": "办公室", "proves": "事实",
            "first_officer": handler.agent, "second_officer": second.agent, "witness": "none", "no_witness_why": "无",
        },
        links=[NewLink(role="case", target=case.id)],
    )  # fmt: skip
    with pytest.raises(NotFoundError):
        desk.dossier(handler, record.id)
    assert [one.id for one in desk.dossier(handler, case.id).fixations] == [record.id]


@pytest.mark.parametrize("clearing_first", [True, False])
def test_r10_of_a_clearing_and_a_case_that_meet_one_comes_first_and_the_other_sees_it(
    home, people, clearing_first
) -> None:
    """Neither can slip between the other's look and its commit, whichever began earlier."""
    handler, second, _leader = people
    [row] = home.ingest({gb_name(counter=1): os.urandom(900)})
    given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": second.agent}
    desk = home.desk()
    case = desk.open(handler, "case", given)
    looked, outcome = threading.Event(), {}

    def clear() -> None:
        now = home.clock.now()
        with home.catalogue.begin() as uow:
            uow.rules.lock(row.id)
            looked.set()
            time.sleep(0.3 if clearing_first else 0.0)
            if uow.matters.linked_to(row.id, kinds=("case",), open_only=True):
                outcome["cleared"] = False
                return
            event = RecordingDisposing(
                recording=row.id, matter=case.id, mode="review", list_sha256="0" * 64, at=to_text(now.wall)
            )
            recording_facts.say(uow, lambda one: home.recorder.record(uow.outbox, one, at=now), event)
        outcome["cleared"] = True

    def link() -> None:
        try:
            desk.act(handler, case.id, "link", links=[NewLink(role="footage", target=row.id)])
            outcome["linked"] = True
        except StateConflictError:
            outcome["linked"] = False

    first, then = (clear, link) if clearing_first else (link, clear)
    threads = [threading.Thread(target=one) for one in (first, then)]
    threads[0].start()
    if clearing_first:
        assert looked.wait(10)
    else:
        threads[0].join(30)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert outcome == {"cleared": clearing_first, "linked": not clearing_first}
