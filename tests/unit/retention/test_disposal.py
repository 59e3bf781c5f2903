"""Clearing (R10): what is due goes by an approved list after a notice, everything else stays; and how each step refuses."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from access import DeniedError
from assurance.brake import BY_PERSON
from catalogue.matters import MatterRow
from chain_of_custody.recorder import DOCUMENT_CONTEXT
from evidence.canonical import dumps
from evidence.clock import TimeReading
from evidence.digest import SHA256, Digest
from evidence.errors import (
    AccessDeniedError,
    EvidenceError,
    PolicyUnmetError,
    StateConflictError,
    StoreUnavailableError,
)
from matters.turn import NewLink
from matters.values import FormError
from retention.disposal_list import ITEM, LEFT
from retention.disposal_proposals import propose
from support.assured_home import make_home
from support.clearing import ClearingHome
from support.recorders import gb_name


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ClearingHome]:
    made = make_home(tmp_path / "home")
    yield ClearingHome(made)
    made.close()


@pytest.fixture
def both(tmp_path: Path, database_url: str) -> Iterator[ClearingHome]:
    """The same on SQLite and on PostgreSQL."""
    made = make_home(tmp_path / "home", database=database_url)
    yield ClearingHome(made)
    made.close()


def left_out(here: ClearingHome, batch: MatterRow) -> dict[str, str]:
    with here.home.catalogue.read() as uow:
        return {one.target: one.facts["why"] for one in uow.matters.links(batch.id, role=LEFT)}


def sound(here: ClearingHome) -> None:
    here.home.seal()
    report = here.home.verify()
    assert report.verdict == "good", report.findings


# --- the whole way ----------------------------------------------------------------------------------------------------
def test_r10_from_proposal_to_certificate(both: ClearingHome) -> None:
    here = both
    one, two = here.footage(2, describe=True)
    here.due()
    batch = here.propose(one, two)
    assert (batch.facts["items"], batch.facts["mode"]) == (2, "review")
    here.review(batch)
    approved = here.approve(batch)
    assert approved.state == "notice"
    here.run()
    assert not here.going(one), "the notice runs"
    here.later(days=31)
    here.run(3)
    assert here.batch(batch.id).state == "cleared"
    assert [here.in_stores(row) for row in (one, two)] == [[], []]
    assert [here.cleared(row) for row in (one, two)] == [True, True]
    for row in (one, two):
        assert {look.found for look in here.bytes.look(row.id)} <= {"absent", "shared"}
        assert len(here.bytes.look(row.id)) >= 4
        with here.home.catalogue.read() as uow:
            assert uow.derivatives.of(row.id) == []
    sound(here)
    with here.home.catalogue.read() as uow:
        documents = {doc.role: doc for doc in uow.matters.documents(batch.id)}
        names = [row.name for row in (uow.recordings.get(one.id), uow.recordings.get(two.id))]
    assert set(documents) == {"certificate", "certificate-json"}
    assert here.papers.open(here.auditor, documents["certificate"].id)[1].read(5) == b"%PDF-"
    signed = json.loads(here.papers.open(here.auditor, documents["certificate-json"].id)[1].read())
    payload, signature = signed["payload"], signed["signature"]
    here.home.recorder._key.verifying_key().verify(
        base64.b64decode(signature["signature"]), DOCUMENT_CONTEXT + dumps(payload)
    )
    assert {one["recording"] for one in payload["items"]} == {one.id, two.id}
    assert all(one["disposed"]["index"] < payload["checkpoint"]["size"] for one in payload["items"])
    assert payload["persons"]["approver"] == [{"agent": here.leader.agent, "name": "负责人"}]
    assert payload["persons"]["supervisor"] == [], "nobody watched, so nobody is named"
    assert not any(name in json.dumps(payload["items"]) for name in names), "a tombstone names no file"


def test_r10_supervising_persons_are_named_only_when_they_were_entered_as_present(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.desk.act(here.manager, batch.id, "attended-by", {"person": here.auditor.agent, "watched": "全程在机房查看"})
    here.later(days=31)
    here.run(3)
    with here.home.catalogue.read() as uow:
        [found] = uow.matters.documents(batch.id, role="certificate-json")
    payload = json.loads(here.papers.open(here.auditor, found.id)[1].read())["payload"]
    assert [one["name"] for one in payload["persons"]["supervisor"]] == ["审计员"]


def test_r10_the_service_proposes_what_is_due_for_each_department_and_passes_over_the_rest(here: ClearingHome) -> None:
    due = here.footage(2)
    [unclassified] = here.footage(classified=False)
    [flagged], [held], [filed] = here.footage(), here.footage(), here.footage()
    here.flag(flagged)
    here.hold(held)
    here.case(filed)
    here.due()
    [young] = here.footage()
    here.recompute()
    here.run()
    [batch] = here.batches("proposed")
    with here.home.catalogue.read() as uow:
        assert {one.target for one in uow.matters.links(batch.id, role=ITEM)} == {row.id for row in due}
    assert batch.proposed_by is None
    here.run(2)
    assert len(here.batches()) == 1, "what is listed is not listed again"
    for row in (unclassified, flagged, held, filed, young):
        with pytest.raises(PolicyUnmetError):
            here.propose(row)


def test_r10_a_person_proposes_all_that_is_due_in_a_department(here: ClearingHome) -> None:
    rows = here.footage(2)
    here.due()
    home = here.home
    batch = propose(home.catalogue, here.desk, home.gate, home.clock, here.manager)
    assert batch.facts["items"] == len(rows)
    with pytest.raises(PolicyUnmetError, match="nothing is due"):
        propose(home.catalogue, here.desk, home.gate, home.clock, here.manager)
    with pytest.raises(AccessDeniedError):
        propose(home.catalogue, here.desk, home.gate, home.clock, here.leader)


# --- two persons, a frozen view ---------------------------------------------------------------------------------------
def test_r10_who_proposes_or_reviews_never_approves(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    home = here.home
    double = home.agent("双岗", "retention_manager")
    home.grant_directly(double.agent, "unit_leader")
    batch = here.propose(row, actor=double)
    here.review(batch)
    with pytest.raises(DeniedError, match="same-person"):
        here.approve(batch, double)
    other = here.desk.view(here.leader, batch.id)
    home.grant_directly(here.reviewer.agent, "unit_leader")
    with pytest.raises(DeniedError, match="same-person"):
        here.approve(batch, here.reviewer)
    assert here.desk.act(here.leader, batch.id, "approve", seen=other.seen).state == "notice"
    assert here.batch(batch.id).proposed_by == here.reviewer.agent


def test_r10_what_changed_since_it_was_seen_is_not_approved(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.propose(one, two)
    here.review(batch)
    seen = here.desk.view(here.leader, batch.id).seen
    here.desk.act(here.auditor, batch.id, "keep", {"recording": two.id, "ground": "unsure", "reason": "再看"})
    with pytest.raises(StateConflictError):
        here.desk.act(here.leader, batch.id, "approve", seen=seen)
    assert here.approve(batch).facts["items"] == 1
    assert left_out(here, batch) == {two.id: "unsure"}


def test_r10_items_and_whole_batches_come_back_during_the_notice(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.approved(one, two)
    here.desk.act(here.manager, batch.id, "keep", {"recording": one.id, "ground": "needed", "reason": "要用"})
    with pytest.raises(FormError):
        here.desk.act(here.manager, batch.id, "keep", {"recording": one.id, "ground": "needed", "reason": "要用"})
    with pytest.raises(FormError):  # nothing is ever added to a frozen list
        here.desk.act(
            here.manager,
            batch.id,
            "keep",
            {"ground": "needed", "reason": "x"},
            links=[NewLink(role=ITEM, target=one.id)],
        )
    with pytest.raises(DeniedError):
        here.desk.act(here.legal, batch.id, "restore", {"reason": "x"})
    assert here.desk.act(here.leader, batch.id, "restore", {"reason": "保留"}).state == "restored"
    here.later(days=40)
    here.run(2)
    assert not here.going(one)
    assert not here.going(two)
    sound(here)


def test_r10_the_review_leaves_out_what_may_not_go_any_more(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.propose(one, two)
    here.flag(one)
    here.review(batch)
    assert left_out(here, batch) == {one.id: "permanent"}
    assert here.batch(batch.id).facts["items"] == 1
    here.flag(two)
    here.approve(batch)
    here.later(days=31)
    here.run(2)
    assert here.batch(batch.id).state == "withdrawn"
    assert not here.going(two)


# --- what comes during the notice -------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["hold", "described", "flag", "case", "reopened", "unclassified", "bytes"])
def test_r10_whatever_comes_during_the_notice_wins(here: ClearingHome, what: str) -> None:
    kept, gone = here.footage(2)
    closed = here.case(kept) if what == "reopened" else None
    if closed is not None:
        here.dossiers.act(here.leader, closed.id, "close")
    here.due()
    batch = here.approved(kept, gone)
    here.later(days=20)
    match what:
        case "hold":
            here.hold(kept)
        case "described":
            here.hold(place=kept.name.rpartition(".")[0])
        case "flag":
            here.flag(kept, "obstruction")
        case "case":
            here.case(kept)
        case "reopened":
            here.dossiers.act(here.leader, closed.id, "reopen")
        case "unclassified":
            here.classify(kept, category="")
        case "bytes":
            here.remover.place_hold(kept.sha256, "法院")
    here.later(days=12)
    here.run(3)
    assert here.in_stores(kept) == ["primary", "second"]
    assert not here.going(kept)
    assert here.cleared(gone)
    assert here.batch(batch.id).state == "partly"
    assert set(left_out(here, batch)) == {kept.id}
    sound(here)


def test_r10_a_notice_is_seven_days_at_least_and_runs_to_its_last_hour(here: ClearingHome) -> None:
    here.schedule(notice_days=7)
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    assert here.batch(batch.id).facts["notice_days"] == 7
    here.later(days=6, hours=20)
    here.run(2)
    assert not here.going(row)
    here.later(days=2)
    here.run(2)
    assert here.cleared(row)
    with pytest.raises(EvidenceError):
        here.schedule(notice_days=6)


def test_promise_9_no_clock_that_went_back_or_jumped_clears_anything(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = here.footage()
    here.due()
    batch = here.propose(row)
    here.review(batch)
    here.home.clock.unix_ms -= 3 * 86_400_000  # behind what this home has seen
    with pytest.raises(PolicyUnmetError, match="clock"):
        here.approve(batch)
    here.home.clock.unix_ms += 3 * 86_400_000
    here.approve(batch)
    here.later(days=31)
    here.home.clock.unix_ms -= 86_400_000
    here.run(2)
    assert not here.going(row)
    here.home.clock.unix_ms += 86_400_000
    here.home.clock.unix_ms += 400 * 86_400_000  # far ahead, and nothing vouches for it
    real = here.home.clock.now
    monkeypatch.setattr(
        here.home.clock, "now", lambda: TimeReading((read := real()).wall, read.monotonic_ns, "unsynchronised", None)
    )
    here.run(2)
    assert not here.going(row)
    assert here.home.clock.unix_ms


# --- stopping ---------------------------------------------------------------------------------------------------------
def test_r10_anybody_responsible_stops_all_clearing_and_only_another_person_lets_it_go_on(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    stop = here.desk.open(here.auditor, "clearing-stop", {"reason": "清单有疑问"})
    with pytest.raises(PolicyUnmetError, match="already"):
        here.desk.open(here.manager, "clearing-stop", {"reason": "也有疑问"})
    here.run(2)
    assert (here.batch(batch.id).state, here.going(row)) == ("notice", False)
    with pytest.raises(DeniedError, match="same-person"):
        here.desk.act(here.auditor, stop.id, "go-on", {"looked_at": "已核对"})
    with pytest.raises(DeniedError):
        here.desk.open(here.legal, "clearing-stop", {"reason": "x"})
    here.desk.act(here.leader, stop.id, "go-on", {"looked_at": "已核对清单"})
    here.run(3)
    assert here.cleared(row)
    sound(here)


def test_r10_a_pulled_brake_keeps_every_item_from_being_begun(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.approved(one, two)
    here.later(days=31)
    here.brake.pull(cause=BY_PERSON, agent=here.auditor.agent, detail="停")
    here.run(2)
    assert not here.going(one)
    assert not here.going(two)
    assert "stopped" in here.waits(batch)[""]["why"]
    here.brake.release(agent=here.leader.agent, detail="看过")
    here.run(2)
    assert here.cleared(one)
    assert here.cleared(two)


# --- stores -----------------------------------------------------------------------------------------------------------
def test_r10_a_store_that_is_away_is_waited_for_before_and_after_the_point_of_no_return(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    second = here.home.stores.named("second")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("its disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(second, "stat", away)
        here.run(2)
        assert not here.going(row), "not begun while a store cannot be asked"
        assert "second" in here.waits(batch)[row.id]["why"]
    with monkeypatch.context() as patch:
        patch.setattr(second, "delete", away)
        here.run(2)
        assert here.going(row)
        assert not here.cleared(row), "a store that may still have it is never called cleared"
        assert here.in_stores(row) == ["second"]
        assert here.batch(batch.id).state == "executing"
    here.run(3)
    assert here.cleared(row)
    assert here.batch(batch.id).state == "cleared"
    sound(here)


def test_r10_a_date_in_a_store_is_waited_for_and_told_and_a_hold_meanwhile_wins(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    until = here.home.clock.now().wall + timedelta(days=10)
    here.home.stores.named("second").extend_retention(row.sha256, until)
    here.run(2)
    assert not here.going(row)
    assert here.waits(batch)[row.id]["until"][:10] == until.date().isoformat()
    here.hold(row)
    here.later(days=11)
    here.run(2)
    assert here.in_stores(row) == ["primary", "second"]
    assert here.batch(batch.id).state == "withdrawn"


# --- shared bytes -----------------------------------------------------------------------------------------------------
def twins(here: ClearingHome) -> tuple[object, object]:
    """Two recordings of the same bytes."""
    [kept] = here.footage(classified=False)
    data = here.home.stores.primary.open(kept.sha256).read()
    [twin] = here.home.ingest({gb_name(counter=9000, extension="mp3"): data}, card="again")
    assert twin.duplicate_of == kept.id
    return kept, twin


def test_r10_bytes_go_only_when_every_recording_that_rests_on_them_goes(here: ClearingHome) -> None:
    kept, twin = twins(here)
    here.due()
    with pytest.raises(PolicyUnmetError, match="unclassified"):
        here.propose(kept)
    here.classify(kept)  # where its bytes are kept a duplicate is classified, too
    here.recompute()
    batch = here.propose(kept)
    assert batch.facts["items"] == 2, "they are listed together"
    here.review(batch)
    here.approve(batch)
    here.later(days=31)
    here.hold(twin)
    here.run(2)
    assert here.in_stores(kept) == ["primary", "second"]
    assert set(left_out(here, batch)) == {kept.id, twin.id}


def test_r10_twins_that_are_both_due_are_cleared_together(here: ClearingHome) -> None:
    kept, twin = twins(here)
    here.classify(kept)
    here.due()
    batch = here.approved(twin)
    here.later(days=31)
    here.run(3)
    assert (here.cleared(kept), here.cleared(twin), here.in_stores(kept)) == (True, True, [])
    assert here.batch(batch.id).facts["cleared"] == 2
    sound(here)


def test_promise_5_cleared_bytes_that_are_docked_again_are_kept_and_wait_for_a_person(here: ClearingHome) -> None:
    [row] = here.footage()
    data = here.home.stores.primary.open(row.sha256).read()
    here.due()
    here.approved(row)
    here.later(days=31)
    here.run(3)
    assert here.cleared(row)
    [again] = here.home.ingest({gb_name(counter=9000, extension="mp3"): data}, card="again")
    assert (again.id != row.id, again.state) == (True, "stored")
    assert again.quarantine_reason == "came-back-after-clearing"
    assert here.in_stores(again) == ["primary", "second"]
    with here.home.catalogue.read() as uow:
        assert "came-back-after-clearing" in {one.kind for one in uow.findings.open()}
    here.later(days=215)
    here.recompute()
    here.run(2)
    assert here.in_stores(again) == ["primary", "second"], "nobody classified it: it stays"
    sound(here)


def test_promise_5_the_same_file_still_on_its_recorder_comes_in_anew(here: ClearingHome) -> None:
    """Its identity on the recorder is that of a recording that was cleared: it is not passed over as known."""
    [row] = here.footage()
    here.due()
    here.approved(row)
    here.later(days=31)
    here.run(3)
    from devices.mass_storage.driver import MassStorageDriver

    card = here.home.root / "card1"
    assert card.exists()
    result = here.home.intake.offload(MassStorageDriver.docked_at(card), here.home.service, register=True)
    from ingest.store import ensure_stored

    [came] = result.acquired
    stored = ensure_stored(here.home.intake.parts, came)
    assert stored.quarantine_reason == "came-back-after-clearing"


def test_promise_5_bytes_that_come_back_while_they_are_cleared_stay_for_the_new_recording(
    here: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = here.footage()
    data = here.home.stores.primary.open(row.sha256).read()
    here.due()
    here.approved(row)
    here.later(days=31)
    with monkeypatch.context() as patch:
        patch.setattr(here.bytes, "remove", lambda *_a, **_k: (_ for _ in ()).throw(StoreUnavailableError("cut")))
        here.run(2)
    assert here.going(row)
    [again] = here.home.ingest({gb_name(counter=9000, extension="mp3"): data}, card="again")
    assert (again.state, again.duplicate_of, again.quarantine_reason) == ("stored", None, "came-back-after-clearing")
    here.run(3)
    assert here.cleared(row)
    assert here.in_stores(again) == ["primary", "second"], "the bytes are the new recording's now"
    sound(here)


# --- what refuses -----------------------------------------------------------------------------------------------------
def test_promise_5_nothing_removes_a_recording_a_manifest_or_a_document_that_nobody_ordered(here: ClearingHome) -> None:
    [row] = here.footage()
    here.due()
    with pytest.raises(PolicyUnmetError, match="nobody ordered"):
        here.remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
    with pytest.raises(PolicyUnmetError, match="nobody ordered"):
        here.remover.release(Digest(SHA256, row.manifest_sha256), f"manifest:{row.id}", reason="cleared")
    here.determine(begins="2027-06-01", ends="2028-05-30")
    with here.home.catalogue.read() as uow:
        [document] = uow.matters.all_documents()
    with pytest.raises(PolicyUnmetError, match="for good"):
        here.remover.release(document.sha256, f"document:{document.id}", reason="cleared")
    assert here.in_stores(row) == ["primary", "second"]


def test_promise_5_nothing_is_made_of_a_recording_that_is_being_cleared(here: ClearingHome) -> None:
    from ingest.describe import ensure_described

    [row] = here.footage()
    here.due()
    here.approved(row)
    here.later(days=31)
    here.run(3)
    assert not ensure_described(here.home.intake.parts, row.id).described
    with here.home.catalogue.read() as uow:
        assert [one.id for one in uow.recordings.unfinished()] == []


def test_r10_a_list_that_was_changed_behind_the_log_is_not_cleared(here: ClearingHome) -> None:
    one, two = here.footage(2)
    here.due()
    batch = here.approved(one)
    here.later(days=31)
    with here.home.catalogue.begin() as uow:  # somebody who can write into the database
        [link] = uow.matters.links(batch.id, role=ITEM)
        uow.matters.put_link(type(link)(matter=batch.id, role=ITEM, target=two.id, facts=link.facts, since=link.since))
    here.run(3)
    assert not here.going(one)
    assert not here.going(two)


# --- races ------------------------------------------------------------------------------------------------------------
def test_r10_a_hold_placed_while_a_batch_executes_wins_when_it_was_first(both: ClearingHome) -> None:
    here = both
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    here.duty.run()
    assert here.cleared(row), "the way is free without a hold"
    [row] = here.footage()
    here.due()
    batch = here.approved(row)
    here.later(days=31)
    at_lock, go = threading.Event(), threading.Event()
    from matters.desk import MatterDesk

    placed: list[MatterRow] = []

    def place() -> None:
        desk: MatterDesk = here.desk
        with here.home.catalogue.begin() as uow:
            uow.rules.lock(row.id)
            at_lock.set()
            go.wait(10)
            from matters.turn import Asked

            facts = {
                "type": "litigation",
                "review_on": (here.home.clock.now().wall + timedelta(days=9)).date().isoformat(),
            }
            asked = Asked(
                facts=facts, words={"title": "诉讼", "why": "法院"}, links=[NewLink(role="held", target=row.id)]
            )
            placed.append(desk.open_within(uow, "hold", asked, actor=here.legal))

    thread = threading.Thread(target=place)
    thread.start()
    at_lock.wait(10)
    clearing = threading.Thread(target=here.duty.run)
    clearing.start()
    clearing.join(0.7)
    assert clearing.is_alive(), "the clearing waits for whoever holds the row"
    go.set()
    thread.join(20)
    clearing.join(20)
    here.run(2)
    assert len(placed) == 1
    assert not here.going(row)
    assert here.in_stores(row) == ["primary", "second"]
    assert here.batch(batch.id).state == "withdrawn"
    sound(here)


def test_r10_a_hold_that_comes_after_the_point_of_no_return_is_told_so(
    both: ClearingHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = both
    [row] = here.footage()
    here.due()
    here.approved(row)
    here.later(days=31)
    passed, go = threading.Event(), threading.Event()
    real = here.bytes.require_allowed

    def slowly(*args: object) -> None:
        real(*args)
        passed.set()
        go.wait(10)

    monkeypatch.setattr(here.bytes, "require_allowed", slowly)
    clearing = threading.Thread(target=here.duty.run)
    clearing.start()
    passed.wait(20)
    refused: list[EvidenceError] = []

    def place() -> None:
        try:
            here.hold(row)
        except EvidenceError as error:
            refused.append(error)

    holding = threading.Thread(target=place)
    holding.start()
    holding.join(0.7)
    assert holding.is_alive(), "the hold waits for the clearing's transaction"
    go.set()
    clearing.join(30)
    holding.join(20)
    assert len(refused) == 1
    assert "too late" in refused[0].what
    here.run(3)
    assert here.cleared(row)
    sound(here)
