"""Matters, documents and what was said of recordings: verified against the log both ways, and rebuilt from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from assurance import DisclosureArchive, evidence_facts, rebuild
from assurance.disclosures import generate_key
from catalogue import Catalogue
from catalogue.matters import LinkRow, PersonRow
from evidence.clock import to_text
from evidence.events import (
    RecordingArchived,
    RecordingClassified,
    RecordingDisposed,
    RecordingDisposing,
    RecordingFlagged,
)
from evidence.ids import MatterId
from evidence.model import Action
from matters import recording_facts
from matters.fold import NUMBERS
from matters.form import Act, Field, Form, LinkRole, State, plain_number
from matters.turn import NewLink, Turn
from support.assured_home import AssuredHome
from support.recorders import gb_name


def take_a_number(turn: Turn) -> None:
    number = turn.uow.matters.next_number("archive:2026")
    turn.asked.facts[NUMBERS] = {"archive:2026": number}


FORM = Form(
    kind="thing", word="Thing", words="Things", number=plain_number("T"), see=Action.CASE_SEE,
    states=(State(code="open", word="Open"), State(code="closed", word="Closed", final=True)),
    opening=Act(
        name="open", word="Open", after="open", action=Action.CASE_EDIT, role="handler",
        fields=(Field(name="title", word="Title", personal=True),), links=(LinkRole(role="footage", word="Footage"),),
    ),
    acts=(Act(name="close", word="Close", before=("open",), after="closed", action=Action.CASE_EDIT, guards=(take_a_number,)),),
    persons={"handler": "Handler"},
)  # fmt: skip


@pytest.fixture
def lived(home: AssuredHome):
    """A home with a matter, and facts of every kind about a recording."""
    home.grant_directly(home.administrator.agent, "unit_leader")
    [row] = home.ingest({gb_name(): os.urandom(3000)})
    desk = home.desk(FORM)
    matter = desk.open(
        home.administrator, "thing", {"title": "某案"}, links=[NewLink(role="footage", target=row.id, facts={"note": "x"})]
    )  # fmt: skip
    desk.act(home.administrator, matter.id, "close")
    say(home, RecordingClassified(recording=row.id, category="ordinary", item="", basis="person", at=at(home)))
    say(home, RecordingFlagged(recording=row.id, flag="complaint", standing=True, ground="objects", at=at(home)))
    say(home, RecordingFlagged(recording=row.id, flag="long-term", standing=True, ground="objects", at=at(home)))
    say(home, RecordingFlagged(recording=row.id, flag="long-term", standing=False, ground="lifted", at=at(home)))
    say(home, RecordingArchived(recording=row.id, reason="case", at=at(home), matter=matter.id))
    return row, matter


def at(home: AssuredHome) -> str:
    return to_text(home.clock.now().wall)


def say(home: AssuredHome, event) -> None:
    actor = replace(event, actor=home.administrator.agent)
    now = home.clock.now()
    with home.catalogue.begin() as uow:
        recording_facts.say(uow, lambda event: home.recorder.record(uow.outbox, event, at=now), actor)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    yield made
    made.close()


def restored(home: AssuredHome, empty: Catalogue, tmp_path: Path) -> None:
    archive = DisclosureArchive(generate_key(tmp_path / "key"), [home.root / "stores/second"], segment_entries=16)
    home.seal()
    archive.sync(home.catalogue)
    rebuild(
        empty, published=home.published[0], vkey=home.vkey, disclosures=archive.read_all(home.root / "stores/second"),
        stores=home.stores,
    )  # fmt: skip


def test_matters_and_what_was_said_come_back_with_every_fact(home, lived, empty, tmp_path) -> None:
    recording, matter = lived
    assert home.verify().findings == ()
    restored(home, empty, tmp_path)
    before, after = evidence_facts(home.catalogue), evidence_facts(empty)
    for part in ("matters", "rules", "matter_numbers"):
        assert before[part], part
    assert before == after
    with empty.begin() as uow:
        rules = uow.rules.of(recording.id)
        assert (rules.category, rules.complaint, rules.long_term, rules.archived_reason) == (
            "ordinary",
            True,
            False,
            "case",
        )
        assert uow.rules.stale(limit=5) == [recording.id]
        year = matter.number[1:5]
        assert uow.matters.next_number(f"thing:{year}") == 2
        assert uow.matters.next_number("archive:2026") == 2


TAMPERINGS = {
    "state": "UPDATE matters SET state = 'open'",
    "closed_at": "UPDATE matters SET closed_at = NULL",
    "words": "UPDATE matters SET words = '{}'",
    "persons (dropped": "DELETE FROM matter_persons",
    "links (dropped": "DELETE FROM matter_links",
    "links (altered": "UPDATE matter_links SET facts = '{}'",
    "history": "UPDATE entries SET matter = '' WHERE matter != ''",
    "complaint": "UPDATE recording_rules SET complaint = 0",
    "long_term": "UPDATE recording_rules SET long_term = 1",
    "archived_at": "DELETE FROM recording_rules",
    "numbers of": "UPDATE matter_numbers SET last = 0",
}


@pytest.mark.parametrize("told", list(TAMPERINGS))
def test_an_altered_or_dropped_fact_is_told(home: AssuredHome, lived, told: str) -> None:
    home.seal()
    with home.catalogue.engine.begin() as connection:
        assert connection.exec_driver_sql(TAMPERINGS[told]).rowcount > 0
    report = home.verify()
    assert report.verdict == "tampered"
    assert any(told in finding.detail for finding in report.findings), report.findings
    assert "某案" not in str(report.findings)


def test_what_was_invented_or_is_missing_is_told(home: AssuredHome, lived) -> None:
    recording, matter = lived
    with home.catalogue.begin() as uow:
        row = uow.matters.get(matter.id)
        invented = replace(row, id=MatterId.new(1), number="T2026-9999")
        uow.matters.add(invented)
        uow.matters.put_person(
            PersonRow(matter=matter.id, role="handler", agent=home.first.service.id, since=row.opened_at)
        )
        uow.matters.put_link(
            LinkRow(matter=matter.id, role="footage", target=recording.id, key="2", since=row.opened_at)
        )
    details = " ".join(finding.detail for finding in home.verify().findings)
    assert f"matter {invented.id}: no entry tells of it" in details
    assert f"persons (invented: handler {home.first.service.id})" in details
    assert f"links (invented: footage {recording.id} 2)" in details
    with home.catalogue.engine.begin() as connection:
        for table in ("matter_links", "matter_persons", "matters"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    details = " ".join(finding.detail for finding in home.verify().findings)
    assert f"matter {matter.id} ({matter.number}): the log tells of it, the catalogue does not" in details


def test_r10_a_lawful_disposal_is_no_loss_and_bytes_after_it_are_a_contradiction(home: AssuredHome, lived) -> None:
    recording, matter = lived
    say(
        home,
        RecordingDisposing(recording=recording.id, matter=matter.id, mode="review", list_sha256="0" * 64, at=at(home)),
    )
    report = home.verify()
    assert [one.kind for one in report.findings] == ["being-removed"]
    assert report.verdict == "good"
    say(home, RecordingDisposed(recording=recording.id, matter=matter.id, facts={}, at=at(home)))
    report = home.verify()
    assert report.verdict == "tampered"
    assert any("its bytes are held here" in one.detail for one in report.findings)
