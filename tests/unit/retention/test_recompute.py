"""Dates of keeping follow the facts: what changed is computed anew, nothing else is looked at, and locks follow."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from app.matter_forms import all_forms
from cases.procedures import FORMS as PROCEDURES
from catalogue import Catalogue
from catalogue.holds import HELD
from catalogue.records import RecordingRow
from catalogue.rules import DateRow
from evidence.events import EVENT_TYPES
from evidence.lock_dates import due_at
from evidence.model import Action, RecordingState
from matters.form import Act, Form, LinkRole, State, plain_number
from matters.turn import NewLink
from retention.decide import decide
from retention.facts import MEANINGS, schedules_of
from retention.hold_form import FORM as HOLD_FORM
from retention.recompute import Recompute, refresh
from support import footage
from support.assured_home import AssuredHome
from support.catalogue_rows import T0, after, make_bureau, recording
from support.custody import TickingClock
from support.recorders import gb_name

STRANGE = Form(
    kind="strange", word="Strange", words="Strange", number=plain_number("X"), see=Action.REGISTER_SEE,
    states=(State(code="open", word="Open"), State(code="over", word="Over", final=True)),
    opening=Act(
        name="open", word="Open", after="open", action=Action.HOLD_PLACE,
        links=(LinkRole(role="footage", word="Footage"),),
    ),
)  # fmt: skip


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


def date_of(catalogue: Catalogue, row: RecordingRow) -> DateRow:
    with catalogue.read() as uow:
        found = uow.rules.date_of(row.id)
    assert found is not None
    return found


def stored(catalogue: Catalogue, bureau, **fields) -> RecordingRow:
    row = recording(
        bureau,
        **{"state": RecordingState.STORED, "acquired_at": T0, "deadline_at": after(days=1), "stored_at": T0} | fields,
    )
    with catalogue.begin() as uow:
        uow.recordings.add(row)
    return row


def test_r10_what_comes_in_gets_its_date_and_a_change_moves_it(catalogue: Catalogue, clock: TickingClock) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    duty = Recompute(catalogue, clock=clock)
    row = stored(catalogue, bureau)
    assert duty.run().complete
    found = date_of(catalogue, row)
    assert (found.due_at, found.state, found.stale) == (due_at(T0), "keep", False)
    assert found.last_day == "2027-05-22"
    assert {one["why"] for one in found.why} == {"ordinary"}
    assert duty.run().looked == 0, "nothing changed, nothing is looked at"
    with catalogue.begin() as uow:
        uow.recordings.update(row.id, ended_at=after(hours=3), started_source="name-corrected")
        assert uow.rules.stale(limit=5) == [row.id]
    duty.run()
    assert date_of(catalogue, row).due_at == due_at(T0, after(hours=3))
    with catalogue.begin() as uow:
        uow.rules.change(row.id, long_term=True)
    duty.run()
    found = date_of(catalogue, row)
    assert (found.state, found.due_at, found.last_day) == ("permanent", None, "")


def test_r10_a_recording_becomes_stale_when_it_is_stored_not_before(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        uow.recordings.update(row.id, deadline_at=after(days=1))
        assert uow.rules.stale(limit=5) == []
        uow.recordings.change_state(
            row.id, expect=[RecordingState.DISCOVERED], to=RecordingState.STORED, stored_at=T0, acquired_at=T0
        )
        assert uow.rules.stale(limit=5) == [row.id]


def test_r10_a_side_file_is_kept_as_long_as_its_recording(catalogue: Catalogue, clock: TickingClock) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    owner = stored(catalogue, bureau)
    track = stored(catalogue, bureau, name="track.gpx", attached_to=owner.id)
    duty = Recompute(catalogue, clock=clock)
    duty.run()
    assert date_of(catalogue, track).state == "keep"
    with catalogue.begin() as uow:
        uow.rules.change(owner.id, complaint=True)
    duty.run()
    assert date_of(catalogue, track).state == "permanent"


def test_r11_a_device_mark_waits_until_somebody_judged_that_one_recording(catalogue: Catalogue, clock) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    row = stored(catalogue, bureau, important=True)
    duty = Recompute(catalogue, clock=clock)
    for basis, state in (("", "no-date"), ("bulk", "no-date"), ("person", "no-date")):
        with catalogue.begin() as uow:
            uow.rules.change(row.id, category="street" if basis else "", basis=basis, classified_at=T0)
        duty.run()
        assert date_of(catalogue, row).state == state
    assert [one["why"] for one in date_of(catalogue, row).why] == ["category-not-in-schedule"]


def test_r10_the_sweep_goes_in_slices_and_on_after_a_stop(
    catalogue: Catalogue, clock: TickingClock, monkeypatch
) -> None:
    monkeypatch.setattr("retention.recompute.BATCH", 3)
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    rows = [stored(catalogue, bureau) for _ in range(10)]
    moments = iter(range(0, 100_000, 100))
    duty = Recompute(catalogue, clock=clock, ticks=lambda: float(next(moments)))
    runs = 0
    while not duty.run().complete:
        runs += 1
        duty = Recompute(catalogue, clock=clock, ticks=lambda: float(next(moments)))
    assert runs >= 3
    assert all(date_of(catalogue, row).due_at == due_at(T0) for row in rows)
    assert Recompute(catalogue, clock=clock).run().looked == 0


def test_p09_a_clock_that_is_not_believed_dates_nothing_otherwise(catalogue: Catalogue, clock: TickingClock) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        uow.clock_marks.raise_to(datetime(2040, 1, 1, tzinfo=UTC))
    row = stored(catalogue, bureau)
    Recompute(catalogue, clock=clock).run()
    assert date_of(catalogue, row).due_at == due_at(T0)
    unknown = stored(catalogue, bureau, deadline_at=None)
    with catalogue.begin() as uow:
        uow.rules.mark_stale([unknown.id])
    Recompute(catalogue, clock=clock).run()
    assert date_of(catalogue, unknown).state == "no-date"


# --- matters ----------------------------------------------------------------------------------------------------------
def two_of(home: AssuredHome, unit):
    manager = home.agent("管理员", "retention_manager", unit=unit)
    leader = home.agent("负责人", "unit_leader", unit=unit)
    for one, role in ((manager, "retention_manager"), (leader, "unit_leader")):
        home.grant_directly(one.agent, role)
    return manager, leader


def test_r10_r27_a_hold_moves_the_date_at_once_and_its_release_starts_the_cool_off(home: AssuredHome, unit) -> None:
    _manager, leader = two_of(home, unit)
    second = home.agent("副职", "unit_leader", unit=unit)
    desk = home.desk(HOLD_FORM)
    duty = Recompute(home.catalogue, clock=home.clock)
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    duty.run()
    assert date_of(home.catalogue, row).state == "keep"
    given = {"type": "litigation", "title": "诉讼", "why": "应诉", "review_on": "2027-01-05"}
    hold = desk.open(leader, "hold", given, links=[NewLink(role=HELD, target=row.id)])
    assert date_of(home.catalogue, row).stale
    duty.run()
    found = date_of(home.catalogue, row)
    assert (found.state, found.due_at) == ("held", None)
    assert found.why[0]["subject"] == hold.number
    with home.catalogue.read() as uow:
        assert uow.copy_locks.facts_of([row.sha256])[row.sha256][0].endless
    desk.act(leader, hold.id, "ask-release", {"release_why": "已结案"})
    home.grant_directly(second.agent, "unit_leader")
    desk.act(second, hold.id, "approve", seen=desk.view(second, hold.id).seen)
    duty.run()
    assert date_of(home.catalogue, row).state == "keep"


def test_r22_a_matter_nobody_said_anything_about_keeps_while_it_is_open(home: AssuredHome, unit) -> None:
    _manager, leader = two_of(home, unit)
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    home.desk(STRANGE).open(leader, "strange", {}, links=[NewLink(role="footage", target=row.id)])
    Recompute(home.catalogue, clock=home.clock).run()
    assert date_of(home.catalogue, row).state == "held"
    assert "matter.acted" in EVENT_TYPES


CASE = Form(
    kind="case", word="Case", words="Cases", number=plain_number("C"), see=Action.REGISTER_SEE,
    states=(State(code="open", word="Open"), State(code="closed", word="Closed", final=True)),
    opening=Act(
        name="open", word="Open", after="open", action=Action.CASE_EDIT, links=(LinkRole(role="footage", word="Footage"),)
    ),
    acts=(Act(name="close", word="Close", before=("open",), after="closed", action=Action.CASE_CLOSE),),
)  # fmt: skip
ABOUT_A_CASE = Form(
    kind="lawsuit", word="Lawsuit", words="Lawsuits", number=plain_number("L"), see=Action.REGISTER_SEE,
    states=(State(code="open", word="Open"), State(code="over", word="Over", final=True)),
    opening=Act(
        name="open", word="Open", after="open", action=Action.HOLD_PLACE,
        links=(LinkRole(role="about", word="About", targets=("mat",)),),
    ),
    acts=(Act(name="end", word="End", before=("open",), after="over", action=Action.HOLD_PLACE),),
)  # fmt: skip


def test_r27_a_procedure_about_a_case_keeps_the_footage_of_the_case(home: AssuredHome, unit) -> None:
    _manager, leader = two_of(home, unit)
    desk = home.desk(CASE, ABOUT_A_CASE)
    duty = Recompute(home.catalogue, clock=home.clock)
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    case = desk.open(leader, "case", {}, links=[NewLink(role="footage", target=row.id)])
    duty.run()
    assert [one["why"] for one in date_of(home.catalogue, row).why] == ["case-open"]
    desk.act(leader, case.id, "close")
    duty.run()
    assert [one["why"] for one in date_of(home.catalogue, row).why] == ["case-without-period"]
    lawsuit = desk.open(leader, "lawsuit", {}, links=[NewLink(role="about", target=case.id)])
    assert date_of(home.catalogue, row).stale, "also what is linked through another matter is computed anew"
    duty.run()
    found = date_of(home.catalogue, row)
    assert (found.state, found.why[0]["subject"]) == ("held", lawsuit.number)
    desk.act(leader, lawsuit.id, "end")
    duty.run()
    assert date_of(home.catalogue, row).state == "no-date"


def test_every_kind_of_matter_that_links_footage_was_given_a_meaning_on_purpose() -> None:
    procedures = {form.kind for form in PROCEDURES}
    linking = {
        form.kind
        for form in all_forms()
        if any("rec" in link.targets for act in (form.opening, *form.acts) for link in act.links)
    }
    assert linking - procedures - set(MEANINGS) == set(), "a kind without a row keeps footage while it is open"


def test_r10_a_fact_that_changes_while_a_date_is_computed_is_not_lost(catalogue: Catalogue, clock, monkeypatch) -> None:
    """Another transaction changes a fact between the reading and the writing of a date: the date is computed again."""
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    row = stored(catalogue, bureau)
    Recompute(catalogue, clock=clock).run()
    with catalogue.begin() as uow:
        uow.rules.mark_stale([row.id])
    deciding, changed = threading.Event(), threading.Event()

    def slow(item, schedules, now):
        deciding.set()
        changed.wait(1.0)  # the other one waits for us at the row, or comes after
        return decide(item, schedules, now)

    def change() -> None:
        deciding.wait(5.0)
        with catalogue.begin() as uow:
            uow.rules.change(row.id, long_term=True)
        changed.set()

    other = threading.Thread(target=change)
    with monkeypatch.context() as patched:
        patched.setattr("retention.recompute.decide", slow)
        other.start()
        with catalogue.begin() as uow:
            refresh(uow, [row.id], schedules_of(uow), clock.now())
    other.join(10.0)
    assert not other.is_alive()
    Recompute(catalogue, clock=clock).run()
    assert date_of(catalogue, row).state == "permanent"
