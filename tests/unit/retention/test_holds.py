"""Holds: stacked, named or described, released by a second person, kept by every store, never overtaken by a clearing."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from access import DeniedError, Gate
from assurance.copies import KeepingParts
from assurance.hold_stores import keep_holds
from catalogue import Catalogue
from catalogue.holds import HELD, TO_RELEASE
from catalogue.matters import MatterFilter
from chain_of_custody import EntryRecorder
from evidence.clock import to_text
from evidence.errors import EvidenceError, PolicyUnmetError, StoreUnavailableError
from evidence.model import RecordingState
from matters.desk import DeskParts, MatterDesk
from matters.form import Forms
from matters.turn import Asked, NewLink
from matters.values import FormError
from retention.hold_form import FORM
from retention.hold_keeping import HoldKeeping
from retention.holds import held, holds_of_each, is_going
from support import footage
from support.assured_home import AssuredHome
from support.catalogue_rows import T0, make_bureau, recording
from support.custody import TickingClock, fixed_key
from support.recorders import gb_name

SOON = "2026-12-31"
VALUES = {
    "type": "litigation",
    "title": "行政诉讼",
    "why": "法院要求保留",
    "authority": "(2026)闽行初1号",
    "review_on": SOON,
}


@pytest.fixture
def people(home: AssuredHome, unit):
    reviewer = home.agent("法制员", "legal_reviewer", unit=None)
    leader = home.agent("负责人", "unit_leader", unit=None)
    return reviewer, leader


def naming(*rows):
    return [NewLink(role=HELD, target=row.id) for row in rows]


def standing(home: AssuredHome, row) -> list[str]:
    with home.catalogue.begin() as uow:
        return [order.subject for order in held(uow, row.id)]


def release(desk: MatterDesk, hold, asker, approver) -> None:
    desk.act(asker, hold.id, "ask-release", {"release_why": "已结案"})
    desk.act(approver, hold.id, "approve", seen=desk.view(approver, hold.id).seen)


def test_r10_holds_stack_and_only_a_second_person_lets_one_go(home: AssuredHome, people) -> None:
    reviewer, leader = people
    desk = home.desk()
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    first = desk.open(reviewer, "hold", VALUES, links=naming(row))
    second = desk.open(leader, "hold", VALUES | {"type": "audit"}, links=naming(row))
    assert standing(home, row) == [first.number, second.number]
    desk.act(reviewer, first.id, "ask-release", {"release_why": "已结案"})
    with pytest.raises(DeniedError, match="same-person"):
        desk.act(reviewer, first.id, "approve", seen=desk.view(reviewer, first.id).seen)
    assert standing(home, row) == [first.number, second.number], "asking releases nothing"
    desk.act(leader, first.id, "approve", seen=desk.view(leader, first.id).seen)
    assert standing(home, row) == [second.number]
    release(desk, second, leader, reviewer)
    with home.catalogue.read() as uow:
        of = holds_of_each(uow, [row.id])[row.id]
        over = uow.matters.get(second.id)
    assert (of.standing, of.last_release) == ((), over.closed_at)
    assert home.verify().verdict == "good"


def test_r10_naming_more_recordings_lets_none_go(home: AssuredHome, people) -> None:
    reviewer, _leader = people
    desk = home.desk()
    one, two = home.ingest({gb_name(): footage.voice_mp3(), "b.jpg": footage.photo_jpg()})
    hold = desk.open(reviewer, "hold", VALUES, links=naming(one, two))
    with pytest.raises(EvidenceError):
        desk.act(reviewer, hold.id, "add", unlinks=naming(two))
    assert standing(home, two) == [hold.number]


def test_r10_one_recording_is_let_go_and_the_others_stay(home: AssuredHome, people) -> None:
    reviewer, leader = people
    desk = home.desk()
    one, two = home.ingest({gb_name(): footage.voice_mp3(), "b.jpg": footage.photo_jpg()})
    hold = desk.open(reviewer, "hold", VALUES, links=naming(one, two))
    with pytest.raises(FormError):
        desk.act(reviewer, hold.id, "ask-part", {"release_why": "无关"})
    part = [NewLink(role=TO_RELEASE, target=one.id)]
    desk.act(reviewer, hold.id, "ask-part", {"release_why": "无关"}, links=part)
    desk.act(leader, hold.id, "refuse", {"refusal": "再看"})
    assert desk.view(leader, hold.id).row.state == "standing"
    desk.act(leader, hold.id, "ask-part", {"release_why": "无关"}, links=part)
    after = desk.act(reviewer, hold.id, "approve-part", seen=desk.view(reviewer, hold.id).seen)
    assert after.closed_at is None
    assert (standing(home, one), standing(home, two)) == ([], [hold.number])
    with home.catalogue.read() as uow:
        of = holds_of_each(uow, [one.id, two.id])
    assert of[one.id].last_release is not None
    assert of[two.id].last_release is None
    HoldKeeping(home.catalogue, desk=desk, clock=home.clock).run()
    with home.catalogue.read() as uow:
        assert (uow.references.holds(one.sha256), uow.references.holds(two.sha256)) == ([], [str(hold.id)])
    desk.act(leader, hold.id, "add", links=naming(one))
    assert standing(home, one) == [hold.number], "what was let go can be held again"
    assert home.verify().verdict == "good"


def test_r27_a_description_holds_what_is_here_and_what_comes_in_later_before_any_case_exists(
    home: AssuredHome, people
) -> None:  # fmt: skip
    reviewer, leader = people
    desk = home.desk()
    [here] = home.ingest({gb_name(): footage.voice_mp3()})
    values = VALUES | {
        "since": to_text(here.discovered_at - timedelta(days=1)), "until": to_text(here.discovered_at + timedelta(days=2)),
        "device": here.device,
    }  # fmt: skip
    hold = desk.open(reviewer, "hold", values)
    assert [link.target for link in desk.view(reviewer, hold.id).links] == [here.id]
    [later] = home.ingest({"later.jpg": footage.photo_jpg()})
    assert later.device == here.device
    assert standing(home, later) == [hold.number], "held before any duty ran"
    keeping = HoldKeeping(home.catalogue, desk=desk, clock=home.clock)
    assert keeping.run().linked == 1
    assert keeping.run().linked == 0
    assert {link.target for link in desk.view(reviewer, hold.id).links} == {here.id, later.id}
    desk.act(reviewer, hold.id, "ask-part", {"release_why": "无关"}, links=[NewLink(role=TO_RELEASE, target=later.id)])
    desk.act(leader, hold.id, "approve-part", seen=desk.view(leader, hold.id).seen)
    assert standing(home, later) == [], "one that was let go is not described any more"
    assert keeping.run().linked == 0
    release(desk, hold, reviewer, leader)
    assert standing(home, here) == []
    assert home.verify().verdict == "good"


def test_r27_what_a_hold_describes_by_words_is_found_in_names_and_dossiers(home: AssuredHome, people) -> None:
    reviewer, _leader = people
    desk = home.desk()
    one, two = home.ingest({gb_name(): footage.voice_mp3(), "鹭江道口.jpg": footage.photo_jpg()})
    desk.open(reviewer, "hold", VALUES | {"place": "鹭江道"})
    assert (len(standing(home, one)), len(standing(home, two))) == (0, 1)


def test_r27_a_recorder_with_a_wrong_clock_does_not_slip_out_of_a_time(catalogue: Catalogue) -> None:
    told, hour, day = {"started_source": "name-corrected"}, timedelta(hours=1), timedelta(days=1)
    since, until = T0 - 5 * hour, T0 + 5 * hour
    fits = {
        "a wrong clock, came in meanwhile": {"started_at": T0 - 9000 * day, "started_source": "name"},
        "no time at all": {"started_at": None},
        "began before, ended in it": {"started_at": since - hour, "ended_at": since, **told},
        "began at its last moment": {"started_at": until - timedelta(milliseconds=1), **told},
        "unchecked, a day off": {
            "started_at": since - 20 * hour,
            "discovered_at": T0 + 90 * day,
            "started_source": "name",
        },
        "handed in weeks later": {"started_at": None, "discovered_at": T0 + 20 * day},
    }
    others = {
        "elsewhen, by a checked clock": {"started_at": T0 - 900 * day, **told},
        "ended before": {"started_at": since - 2 * hour, "ended_at": since - hour, **told},
        "begins at its end": {"started_at": until, **told},
        "came in before": {"started_at": None, "discovered_at": since - hour},
        "came in months later": {"started_at": None, "discovered_at": T0 + 90 * day},
    }
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = {name: recording(bureau, name=name, **fields) for name, fields in (fits | others).items()}
        for row in rows.values():
            uow.recordings.add(row)
    desk = desk_over(catalogue)
    with catalogue.begin() as uow:
        desk.open_within(uow, "hold", Asked(facts={**PUBLIC, "since": to_text(since), "until": to_text(until)}))
    with catalogue.begin() as uow:
        assert {name for name, row in rows.items() if held(uow, row.id)} == set(fits)


def test_r09_a_description_reaches_no_further_than_its_author_may_hold(home: AssuredHome, unit) -> None:
    leader = home.agent("负责人", "unit_leader", unit=unit)
    desk = home.desk()
    [foreign] = home.ingest({gb_name(): footage.voice_mp3()})
    desk.open(leader, "hold", VALUES | {"device": foreign.device})
    assert standing(home, foreign) == []
    with pytest.raises(DeniedError):
        desk.open(leader, "hold", VALUES, links=naming(foreign))


def test_r10_a_duplicate_that_is_held_holds_the_bytes_that_are_kept(home: AssuredHome, people) -> None:
    reviewer, _leader = people
    desk = home.desk()
    [kept] = home.ingest({gb_name(): footage.voice_mp3()})
    home.ingest({gb_name(): footage.voice_mp3()}, card="other")
    with home.catalogue.read() as uow:
        [twin] = [uow.recordings.get(one) for one in uow.references.duplicates_of(kept.id)]
    hold = desk.open(reviewer, "hold", VALUES, links=naming(twin))
    assert standing(home, kept) == [hold.number]
    with home.catalogue.read() as uow:
        assert uow.references.holds(kept.sha256) == [str(hold.id)]


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"review_on": "2026-01-01"}, {"review_on": "out-of-range"}),
        ({"review_on": "2036-01-01"}, {"review_on": "out-of-range"}),
        ({"since": "2026-11-02T00:00", "until": "2026-11-01T00:00"}, {"until": "out-of-range"}),
    ],
)
def test_r27_a_hold_is_reviewed_within_reason_and_spans_a_time(home: AssuredHome, people, values, wrong) -> None:
    with pytest.raises(FormError) as refused:
        home.desk().open(people[0], "hold", VALUES | {"device": ""} | values, links=[])
    assert refused.value.fields == wrong


def test_r27_a_hold_of_nothing_is_refused_and_an_overdue_one_is_told_not_released(home: AssuredHome, people) -> None:
    reviewer, _leader = people
    desk = home.desk()
    with pytest.raises(PolicyUnmetError, match="neither names nor describes"):
        desk.open(reviewer, "hold", VALUES)
    [row] = home.ingest({gb_name(): footage.voice_mp3()})
    hold = desk.open(reviewer, "hold", VALUES, links=naming(row))
    told = []
    keeping = HoldKeeping(home.catalogue, desk=desk, clock=home.clock, tell=told.append)
    assert keeping.run().overdue == ()
    home.clock.unix_ms += 60 * 86_400_000
    assert [one.number for one in keeping.run().overdue] == [hold.number]
    assert [[one.number for one in some] for some in told] == [[], [hold.number]]
    assert standing(home, row) == [hold.number]
    with home.catalogue.read() as uow:
        assert [one.state for one in uow.matters.find(MatterFilter(kinds=("hold",)))] == ["standing"]


def test_r10_every_store_keeps_a_hold_and_one_that_was_away_gets_it_later(
    home: AssuredHome, people, monkeypatch
) -> None:
    reviewer, leader = people
    desk = home.desk()
    [row] = home.ingest({gb_name(): footage.voice_mp3()}, describe=True)
    hold = desk.open(reviewer, "hold", VALUES, links=naming(row))
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all
    )  # fmt: skip
    second = home.stores.named("second")
    with monkeypatch.context() as away:
        away.setattr(second, "set_hold", unavailable)
        kept = keep_holds(parts)
    assert (kept["second"].away, kept["primary"].set > 0) == (True, True)
    with home.catalogue.read() as uow:
        told = uow.holds.in_stores(str(hold.id))
    assert told["primary"][0] == told["primary"][1]
    assert told["second"] == (0, told["primary"][1])
    keep_holds(parts)
    with home.catalogue.read() as uow:
        assert uow.holds.in_stores(str(hold.id))["second"] == told["primary"]
    assert all(store.stat(row.sha256).hold for store in home.stores.all)
    with home.catalogue.engine.begin() as connection:  # as a rebuild from the log leaves it
        for table in ("blob_holds", "store_holds"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    assert standing(home, row) == [hold.number]
    assert HoldKeeping(home.catalogue, desk=desk, clock=home.clock).run().bytes_held >= 2
    keep_holds(parts)
    with home.catalogue.read() as uow:
        assert uow.holds.in_stores(str(hold.id)) == {"primary": told["primary"], "second": told["primary"]}
    release(desk, hold, reviewer, leader)
    HoldKeeping(home.catalogue, desk=desk, clock=home.clock).run()
    keep_holds(parts)
    assert not any(store.stat(row.sha256).hold for store in home.stores.all)
    assert home.verify().verdict == "good"


def unavailable(*_args, **_named) -> None:
    raise StoreUnavailableError("away")


# --- a hold and a clearing meet ---------------------------------------------------------------------------------------
PUBLIC = {"type": "litigation", "review_on": SOON}


def desk_over(catalogue: Catalogue) -> MatterDesk:
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="station-1")
    return MatterDesk(
        DeskParts(
            catalogue=catalogue, authoriser=Gate(catalogue, recorder=recorder, clock=clock), recorder=recorder, clock=clock,
            forms=Forms([FORM]),
        )
    )  # fmt: skip


def test_r10_a_hold_that_comes_after_the_point_of_no_return_is_refused_with_words(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        gone, here = recording(bureau, name="gone.mp4"), recording(bureau)
        uow.recordings.add(gone)
        uow.recordings.add(here)
        uow.rules.change(gone.id, disposing_at=T0)
    desk = desk_over(catalogue)
    with pytest.raises(PolicyUnmetError, match=r"too late for 1 of 2 recordings.*gone\.mp4"), catalogue.begin() as uow:
        desk.open_within(uow, "hold", Asked(facts=dict(PUBLIC), links=naming(gone, here)))
    with catalogue.begin() as uow:
        assert held(uow, here.id) == ()
        desk.open_within(uow, "hold", Asked(facts={**PUBLIC, "device": bureau.device}))
        assert [bool(held(uow, row.id)) for row in (gone, here)] == [True, True]


@pytest.mark.parametrize("described", [False, True])
def test_r10_a_hold_and_a_clearing_that_meet_never_both_win(
    catalogue: Catalogue, monkeypatch, *, described: bool
) -> None:
    """Both are tried at the same moment, over and over: one comes first, and the other sees it."""
    monkeypatch.setattr(
        "retention.holds.LINKED_AT_ONCE", 0
    )  # a description alone must do it, before anything is linked
    desk = desk_over(catalogue)
    won = {"hold": 0, "clearing": 0}
    for _round in range(12):
        with catalogue.begin() as uow:
            bureau = make_bureau(uow, officer_code=f"A{_round:07d}")
            row = recording(bureau, state=RecordingState.STORED)
            uow.recordings.add(row)
        start = threading.Barrier(2)
        told: dict[str, object] = {}

        def clear(row=row, start=start, told=told) -> None:
            start.wait()
            with catalogue.begin() as uow:
                uow.rules.lock(row.id)
                told["free"] = not held(uow, row.id)
                if told["free"]:
                    uow.rules.change(row.id, disposing_at=T0)

        def place(bureau=bureau, row=row, start=start, told=told) -> None:
            asked = Asked(facts=dict(PUBLIC), links=naming(row))
            if described:
                asked = Asked(facts={**PUBLIC, "device": bureau.device})
            start.wait()
            with suppress(PolicyUnmetError), catalogue.begin() as uow:
                desk.open_within(uow, "hold", asked)
                told["placed"] = True
                told["too-late"] = is_going(uow.rules.of(row.id))

        threads = [threading.Thread(target=one) for one in ((clear, place) if _round % 2 else (place, clear))]
        for one in threads:
            one.start()
        for one in threads:
            one.join(timeout=60)
        with catalogue.read() as uow:
            cleared = is_going(uow.rules.of(row.id))
        if cleared:
            assert not told.get("placed") or told["too-late"], "a hold stood when the bytes went"
        else:
            assert told["placed"]
        won["clearing" if cleared else "hold"] += 1
    assert sum(won.values()) == 12


def test_r10_a_hold_waits_for_a_clearing_that_has_begun(catalogue: Catalogue) -> None:
    """The order is forced: the clearing has looked and not committed when the hold comes."""
    desk = desk_over(catalogue)
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        row = recording(bureau, state=RecordingState.STORED)
        uow.recordings.add(row)
    looked, placed = threading.Event(), threading.Event()
    errors: list[EvidenceError] = []

    def place() -> None:
        looked.wait(30)
        try:
            with catalogue.begin() as uow:
                desk.open_within(uow, "hold", Asked(facts=dict(PUBLIC), links=naming(row)))
        except EvidenceError as error:
            errors.append(error)
        placed.set()

    thread = threading.Thread(target=place)
    thread.start()
    with catalogue.begin() as uow:
        uow.rules.lock(row.id)
        assert held(uow, row.id) == ()
        looked.set()
        assert not placed.wait(0.3)
        uow.rules.change(row.id, disposing_at=T0)
    thread.join(30)
    assert [isinstance(one, PolicyUnmetError) for one in errors] == [True]
