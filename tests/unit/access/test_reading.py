"""Lists, pages, pictures and viewings: scoped, entered once, and honest about what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access import DeniedError, deadlines
from access import viewing as viewings
from access.views import DayState, DayVerdict, Watchable
from catalogue.records import FindingRow
from devices.mass_storage.driver import MassStorageDriver
from evidence.clock import BUREAU_ZONE
from evidence.digest import SHA256, Digest
from evidence.errors import NotFoundError
from evidence.ids import AgentId, DerivativeId, DeviceId, FindingId, OffloadId, RecordingId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import Action, Actor
from support.assured_home import AssuredHome
from support.footage import talking_mp4
from support.recorders import gb_name, make_gb_tree

CODE = "900123"
DAY = date(2026, 11, 23)
NAME = f"DCIM/{gb_name(counter=1, stamp='20261123203000')}"
HOUR_MS = 3_600_000


def settled(home: AssuredHome):
    """Two units, an officer of the first one, and a day gone by."""
    mine = home.administration.create_unit(home.administrator, name="执法一科")
    other = home.administration.create_unit(home.administrator, name="执法二科")
    officer = home.agent("甲", "officer", code=CODE, home_unit=mine.id)
    home.clock.unix_ms += 24 * HOUR_MS
    return mine, other, officer


def allowed(home: AssuredHome, action: str) -> list[dict]:
    return [entry for entry in home.entries("access.allowed") if entry["action"] == action]


# --- lists ------------------------------------------------------------------------------------------------------------
def test_r09_a_list_holds_only_what_lies_in_the_actors_unit_or_is_their_own(home: AssuredHome) -> None:
    mine, other, officer = settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    seen = {
        name: [item.row.id for item in home.reading.list_recordings(actor).items]
        for name, actor in {
            "own": officer,
            "same unit": home.agent("乙", "unit_leader", unit=mine.id),
            "other unit": home.agent("丙", "unit_leader", unit=other.id),
            "everywhere": home.agent("丁", "legal_reviewer"),
            "other officer": home.agent("戊", "officer", home_unit=mine.id),
        }.items()
    }
    assert seen == {
        "own": [row.id], "same unit": [row.id], "other unit": [], "everywhere": [row.id], "other officer": [],
    }  # fmt: skip
    with pytest.raises(DeniedError):
        home.reading.list_recordings(home.agent("己", "security_administrator"))


def test_refreshing_a_list_is_one_entry_and_asking_for_something_else_another(home: AssuredHome) -> None:
    person = home.agent("丁", "legal_reviewer")
    for _ in range(5):
        home.reading.list_recordings(person)
    assert len(allowed(home, "recording.list")) == 1
    home.clock.unix_ms += HOUR_MS
    home.reading.list_recordings(person)
    assert len(allowed(home, "recording.list")) == 2


def test_counts_stay_inside_the_actors_visibility(home: AssuredHome) -> None:
    mine, other, _ = settled(home)
    home.ingest({NAME: b"x" * 1000})
    inside = home.reading.overview(home.agent("乙", "unit_leader", unit=mine.id))
    outside = home.reading.overview(home.agent("丙", "unit_leader", unit=other.id))
    assert sum(inside.by_state.values()) == 1
    assert outside.by_state == {}
    assert home.reading.overview(home.agent("戊", "officer")).open_findings is None


# --- one recording ----------------------------------------------------------------------------------------------------
def test_a_page_shows_names_copies_and_timeline_and_is_entered(home: AssuredHome) -> None:
    settled(home)
    twin = gb_name(counter=2, stamp="20261123203000", mark="_IMP")
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{twin}": b"x" * 1000})
    kept = next(row for row in rows if row.state == "stored")
    view = home.reading.show(home.agent("丁", "legal_reviewer"), kept.id)
    assert [(name.name, name.important) for name in view.names] == [(NAME[5:], False), (twin, True)]
    assert (
        {copy.store for copy in view.copies} == {copy.store for copy in view.manifest_copies} == {"primary", "second"}
    )
    assert (view.officer_name, view.unit_name, view.row.sealed) == ("甲", "执法一科", True)
    assert view.timeline[0].event_type == "recording.discovered"
    assert len(allowed(home, "recording.show")) == 1


def test_a_duplicate_is_not_said_to_await_an_examination_that_never_comes(home: AssuredHome) -> None:
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2, stamp='20261123203000')}": b"x" * 1000})
    (other,) = [row for row in rows if row.state == "duplicate"]
    assert home.reading.show(home.agent("丁", "legal_reviewer"), other.id).watchable is Watchable.ELSEWHERE


def test_r23_who_looked_is_seen_by_those_who_read_the_log_and_by_nobody_else(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    investigator = home.agent("丁", "legal_reviewer")
    home.reading.show(investigator, row.id)
    home.reading.show(officer, row.id)
    seen = {
        entry.actor for entry in home.reading.show(officer, row.id).timeline if entry.event_type == "access.allowed"
    }
    assert seen == {officer.agent}
    auditor = home.agent("审计", "auditor")
    full = home.reading.show(auditor, row.id).timeline
    assert investigator.agent in {entry.actor for entry in full if entry.event_type == "access.allowed"}


def test_a_denied_page_tells_nothing_and_is_entered_with_the_recording(home: AssuredHome) -> None:
    _, other, _ = settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    stranger = home.agent("丙", "unit_leader", unit=other.id)
    for attempt in (home.reading.show, home.reading.open_viewing, home.reading.locate):
        with pytest.raises(DeniedError):
            attempt(stranger, row.id)
    denied = home.entries("access.denied")
    assert [entry["recording"] for entry in denied] == [row.id] * 3
    with pytest.raises(NotFoundError):
        home.reading.show(stranger, RecordingId.new(1))


def test_locate_names_paths_that_hold_the_bytes(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    places = home.reading.locate(home.agent("审计", "auditor"), row.id)
    assert {place.store for place in places} == {"primary", "second"}
    assert all(Path(place.path_or_key).read_bytes() == b"x" * 1000 for place in places)


# --- watching ---------------------------------------------------------------------------------------------------------
def test_r18_one_viewing_is_one_entry_however_many_ranges_are_read(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    viewing = home.reading.open_viewing(officer, row.id)
    assert (viewing.sha256, viewing.media_type) == (row.sha256, "video/mp4")
    for _ in range(20):
        home.clock.unix_ms += 10 * 60 * 1000
        assert home.reading.resume_viewing(officer, row.id, token=viewing.token) == viewing
    entries = allowed(home, "recording.view")
    assert len(entries) == 1
    assert entries[0]["sha256"] == row.sha256.hex
    home.clock.unix_ms += 31 * 60 * 1000
    again = home.reading.resume_viewing(officer, row.id, token=viewing.token)
    assert again.token != viewing.token
    assert len(allowed(home, "recording.view")) == 2


def test_a_token_of_somebody_else_or_of_nobody_opens_a_viewing_of_its_own(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    reviewer = home.agent("丁", "legal_reviewer")
    token = home.reading.open_viewing(reviewer, row.id).token
    for wrong in (token, "", "zz.zz", "." * 5000, token[:-1] + "é"):
        viewing = home.reading.resume_viewing(officer, row.id, token=wrong)
        assert viewing.agent == officer.agent
    assert len(allowed(home, "recording.view")) == 6


def test_a_right_that_was_taken_away_stops_a_running_viewing(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    reviewer = home.agent("丁", "legal_reviewer")
    viewing = home.reading.open_viewing(reviewer, row.id)
    home.administration.revoke_role(home.administrator, agent=reviewer.agent, role="legal_reviewer")
    with pytest.raises(DeniedError):
        home.reading.resume_viewing(reviewer, row.id, token=viewing.token)


def test_r17_own_footage_is_open_for_24_hours_after_accession_and_then_needs_a_grant(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    viewing = home.reading.open_viewing(officer, row.id)
    assert home.reading.show(officer, row.id).watchable is Watchable.ORIGINAL
    home.clock.unix_ms += 24 * HOUR_MS
    for attempt in (
        lambda: home.reading.open_viewing(officer, row.id),
        lambda: home.reading.resume_viewing(officer, row.id, token=viewing.token),
        lambda: home.reading.picture(officer, row.id, kind="poster"),
    ):
        with pytest.raises(DeniedError) as refused:
            attempt()
        assert refused.value.reason == "needs-grant"
    view = home.reading.show(officer, row.id)
    assert (view.archived, view.watchable) == (True, Watchable.DENIED)


def test_pictures_need_the_right_to_watch(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    poster = home.reading.picture(home.agent("丁", "legal_reviewer"), row.id, kind="poster")
    assert home.stores.primary.open(poster.sha256).read(2) == b"\xff\xd8"
    with pytest.raises(DeniedError):
        home.reading.picture(home.agent("采集员", "station_operator"), row.id, kind="poster")
    with pytest.raises(NotFoundError):
        home.reading.picture(home.agent("戊", "legal_reviewer"), row.id, kind="../../etc")


def test_what_cannot_be_played_is_said_and_never_to_those_who_may_not_know(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    with pytest.raises(NotFoundError):
        home.reading.open_viewing(home.agent("丁", "legal_reviewer"), row.id)
    with pytest.raises(DeniedError):
        home.reading.open_viewing(home.agent("采集员", "station_operator"), row.id)
    assert home.reading.show(home.agent("戊", "legal_reviewer"), row.id).watchable is Watchable.NOT_YET


KEY = b"k" * 32
VIEWING = viewings.Viewing(
    recording=RecordingId.new(1), agent=AgentId.new(1), kind="original", sha256=Digest(SHA256, "0" * 64), size_bytes=7,
    media_type="video/mp4", opened_ms=5,
)  # fmt: skip


def test_a_token_reads_back_and_one_changed_character_makes_it_nothing() -> None:
    token = viewings.issue(VIEWING, key=KEY)
    assert viewings.read(token, key=KEY) == replace(VIEWING, token=token)
    assert viewings.read(token, key=b"other") is None
    for position in range(0, len(token), 7):
        changed = token[:position] + ("0" if token[position] != "0" else "1") + token[position + 1 :]
        assert viewings.read(changed, key=KEY) is None


@given(st.text(max_size=200))
def test_no_text_from_outside_is_a_token(untrusted: str) -> None:
    assert viewings.read(untrusted, key=KEY) is None


# --- my day -----------------------------------------------------------------------------------------------------------
def test_nothing_docked_is_no_yes(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    day = home.reading.my_day(officer, day=DAY)
    assert (day.verdict, day.items, day.last_docked_at) == (DayVerdict.NOTHING_KNOWN, [], None)


def test_all_in_is_said_only_when_everything_is_sealed(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    root = make_gb_tree(home.root / "card", {NAME: b"x" * 1000})
    result = home.intake.offload(MassStorageDriver.docked_at(root), home.service, register=True)
    day = home.reading.my_day(officer, day=DAY)
    assert (day.verdict, [item.state for item in day.items]) == (DayVerdict.NOT_ALL, [DayState.STORING])
    home.intake.secure(result.acquired[0])
    assert [item.state for item in home.reading.my_day(officer, day=DAY).items] == [DayState.SEALING]
    home.seal()
    day = home.reading.my_day(officer, day=DAY)
    assert (day.verdict, [item.state for item in day.items]) == (DayVerdict.ALL_IN, [DayState.IN])
    assert home.reading.my_day(officer, day=DAY + timedelta(days=1)).verdict is DayVerdict.NOTHING_KNOWN


def test_a_name_still_being_written_on_the_officers_recorder_is_no_yes(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    root = make_gb_tree(
        home.root / "card",
        {NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2, stamp='20261123203500', mark='_start')}": b""},
    )
    docked = MassStorageDriver.docked_at(root)
    home.intake.register_device(docked, home.service, officer=officer.agent)
    result = home.intake.offload(docked, home.service)
    for recording in result.acquired:
        home.intake.secure(recording)
    home.seal()
    day = home.reading.my_day(officer, day=DAY)
    assert day.waiting == result.waiting != []
    assert day.verdict is DayVerdict.NOT_ALL


# --- R4 ---------------------------------------------------------------------------------------------------------------
def test_r04_hand_in_is_judged_by_the_moment_it_was_stored_and_late_stays_late(home: AssuredHome) -> None:
    settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    deadline = row.deadline_at
    on_time = replace(row, stored_at=deadline)
    late = replace(row, stored_at=deadline + timedelta(milliseconds=1))
    years = timedelta(days=4000)
    assert deadlines.hand_in(on_time, deadline + years) == "on_time"
    assert deadlines.hand_in(late, deadline + years) == "late"
    open_row = replace(row, stored_at=None)
    assert deadlines.hand_in(open_row, deadline + timedelta(seconds=1)) == "late"
    assert deadlines.hand_in(open_row, deadline - timedelta(hours=3)) == "due_soon"
    assert deadlines.hand_in(open_row, deadline - timedelta(hours=5)) == "on_time"
    assert deadlines.hand_in(replace(row, deadline_at=None), deadline) == "unknown"


def test_an_actor_of_another_interface_is_looked_at_apart(home: AssuredHome) -> None:
    person = home.agent("丁", "legal_reviewer")
    home.reading.list_recordings(person)
    home.reading.list_recordings(Actor(person.agent, person.name, "web"))
    assert [entry["via"] for entry in allowed(home, "recording.list")] == ["cli", "web"]


def test_somebody_who_keeps_looking_is_entered_again_when_a_working_day_is_over(home: AssuredHome) -> None:
    person = home.agent("丁", "legal_reviewer")
    for _ in range(13 * 3):
        home.reading.list_recordings(person)
        home.clock.unix_ms += 20 * 60 * 1000
    assert len(allowed(home, "recording.list")) == 2


def test_a_look_from_another_place_is_an_entry_of_its_own(home: AssuredHome) -> None:
    person = home.agent("丁", "legal_reviewer")
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        home.reading.list_recordings(Actor(person.agent, person.name, "web", address))
    assert len(allowed(home, "recording.list")) == 2


def test_r18_asking_for_ones_day_is_an_entry_like_any_list(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    home.reading.my_day(officer, day=DAY)
    home.reading.my_day(officer, day=DAY)
    assert len(allowed(home, "recording.list")) == 1


def test_open_findings_are_counted_inside_the_actors_visibility(home: AssuredHome) -> None:
    mine, other, _ = settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    with home.catalogue.begin() as uow:
        for kind, recording in (("late", row.id), ("foreign-file", None)):
            uow.findings.raise_(
                FindingRow(
                    id=FindingId.new(home.clock.unix_ms), kind=kind, recording=recording, store="", detail="",
                    raised_at=home.clock.now().wall,
                )
            )  # fmt: skip
    counts = {
        name: home.reading.overview(actor).open_findings
        for name, actor in {
            "mine": home.agent("乙", "unit_leader", unit=mine.id),
            "other": home.agent("丙", "unit_leader", unit=other.id),
            "everywhere": home.agent("丁", "unit_leader"),
        }.items()
    }
    assert counts == {"mine": 1, "other": 0, "everywhere": 2}


def test_a_name_still_being_written_is_no_yes_however_many_recorders_were_docked_since(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    waiting = f"DCIM/{gb_name(counter=2, stamp='20261123203500', mark='_start')}"
    root = make_gb_tree(home.root / "card", {NAME: b"x" * 1000, waiting: b""})
    docked = MassStorageDriver.docked_at(root)
    device = home.intake.register_device(docked, home.service, officer=officer.agent)
    for recording in home.intake.offload(docked, home.service).acquired:
        home.intake.secure(recording)
    home.seal()
    with home.catalogue.begin() as uow:
        (first,) = uow.offloads.recent()
        other = DeviceId.new(home.clock.unix_ms)
        uow.devices.add(replace(device, id=other, serial="another", officer=None))
        for number in range(PAGE_ROWS_MAX + 1):
            at = first.started_at + timedelta(seconds=1 + number)
            uow.offloads.add(
                replace(first, id=OffloadId.new(home.clock.unix_ms), device=other, started_at=at, waiting=[])
            )
    day = home.reading.my_day(officer, day=DAY)
    assert len(day.waiting) == 1
    assert day.verdict is DayVerdict.NOT_ALL


def test_a_name_of_the_officer_still_being_written_on_a_shared_recorder_is_no_yes(home: AssuredHome) -> None:
    """Pool recorders are issued to nobody; whose a file is stands in its name. Other people's names are not told."""
    _, _, officer = settled(home)
    own = gb_name(counter=2, stamp="20261123203500", mark="_start")
    foreign = gb_name(counter=3, stamp="20261123203600", mark="_start", officer="900777")
    root = make_gb_tree(home.root / "card", {NAME: b"x" * 1000, f"DCIM/{own}": b"", f"DCIM/{foreign}": b""})
    docked = MassStorageDriver.docked_at(root)
    home.intake.register_device(docked, home.service)
    for recording in home.intake.offload(docked, home.service).acquired:
        home.intake.secure(recording)
    home.seal()
    day = home.reading.my_day(officer, day=DAY)
    assert [name.rpartition("/")[2] for name in day.waiting] == [own]
    assert day.verdict is DayVerdict.NOT_ALL


def a_finding(home: AssuredHome, kind: str, recording: RecordingId | None, store: str = "") -> None:
    with home.catalogue.begin() as uow:
        uow.findings.raise_(
            FindingRow(
                id=FindingId.new(home.clock.unix_ms), kind=kind, recording=recording, store=store, detail="",
                raised_at=home.clock.now().wall,
            )
        )  # fmt: skip


def test_a_file_still_being_written_is_missing_on_its_own_day_and_on_no_other(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    waiting = f"DCIM/{gb_name(counter=2, stamp='20261122203500', mark='_start')}"
    docked = MassStorageDriver.docked_at(make_gb_tree(home.root / "card", {NAME: b"x" * 1000, waiting: b""}))
    home.intake.register_device(docked, home.service, officer=officer.agent)
    for recording in home.intake.offload(docked, home.service).acquired:
        home.intake.secure(recording)
    home.seal()

    def days() -> dict[int, int]:
        return {day: len(home.reading.my_day(officer, day=DAY.replace(day=day)).waiting) for day in (21, 22, 23, 24)}

    with home.catalogue.begin() as uow:  # the recorder's clock was read and can be true
        (docking,) = uow.offloads.recent()
        uow.offloads.update(docking.id, clock_known=True, clock_plausible=True)
    assert days() == {21: 0, 22: 1, 23: 0, 24: 0}
    with home.catalogue.begin() as uow:  # it may be days off: the day of the docking is no yes either
        uow.offloads.update(docking.id, clock_known=True, clock_plausible=False)
    assert docking.started_at.astimezone(BUREAU_ZONE).day == 23
    assert days() == {21: 0, 22: 1, 23: 1, 24: 0}


def test_r04_a_day_whose_recordings_came_in_late_is_not_said_to_be_simply_in(home: AssuredHome) -> None:
    _, _, officer = settled(home)
    (row,) = home.ingest({NAME: b"x" * 1000})
    assert home.reading.my_day(officer, day=DAY).verdict is DayVerdict.ALL_IN
    assert not home.reading.my_day(officer, day=DAY).issued
    with home.catalogue.begin() as uow:
        uow.recordings.update(row.id, deadline_at=row.stored_at - timedelta(hours=1))
    day = home.reading.my_day(officer, day=DAY)
    assert (day.verdict, day.late) == (DayVerdict.ALL_IN_LATE, 1)


def test_damage_is_told_to_everybody_who_sees_the_recording_and_to_nobody_else(home: AssuredHome) -> None:
    mine, other, officer = settled(home)
    twin = gb_name(counter=2, stamp="20261123203000")
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{twin}": b"x" * 1000})
    kept, again = sorted(rows, key=lambda row: row.state != "stored")
    a_finding(home, "late", kept.id)
    assert home.reading.show(officer, kept.id).damage == ()
    a_finding(home, "copy-damaged", kept.id, "primary")
    a_finding(home, "log-invalid", None)
    for recording in (kept, again):  # the bytes of a duplicate are those of its twin
        view = home.reading.show(officer, recording.id)
        assert [(one.kind, one.store) for one in view.damage] == [("copy-damaged", "primary")]
    assert [len(item.damage) for item in home.reading.list_recordings(officer).items] == [1, 1]
    day = home.reading.my_day(officer, day=DAY)
    assert day.verdict is DayVerdict.DAMAGED
    leader, stranger = (home.agent(unit.name, "unit_leader", unit=unit.id) for unit in (mine, other))
    assert [home.reading.overview(one).damaged.total for one in (leader, stranger, officer)] == [1, 0, 1]
    auditor = home.agent("审计", "auditor")
    assert [home.reading.damage(one).open for one in (auditor, leader, stranger, officer)] == [2, 1, 0, 0]
    assert home.reading.damage(auditor).last_at is not None
    everything = home.reading.damage(home.agent("安全", "security_administrator"), Action.SYSTEM_HEALTH)
    assert everything.open == 2


def test_a_duplicate_was_handed_in_when_the_kept_recording_was(home: AssuredHome) -> None:
    settled(home)
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2, stamp='20261123203000')}": b"x" * 1000})
    kept, again = sorted(rows, key=lambda row: row.state != "stored")
    reviewer = home.agent("丁", "legal_reviewer")
    view = home.reading.show(reviewer, again.id)
    assert view.twin is not None
    assert (view.twin.id, view.hand_in) == (kept.id, deadlines.HandIn.ON_TIME)
    assert home.reading.show(reviewer, kept.id).twin is None


def test_only_pictures_come_as_pictures(home: AssuredHome) -> None:
    """A viewing copy is watched under a viewing of its own, entered as such."""
    (row,) = home.ingest({NAME: talking_mp4()}, describe=True)
    reviewer = home.agent("丁", "legal_reviewer")
    with home.catalogue.begin() as uow:
        made = uow.derivatives.of(row.id)[0]
        uow.derivatives.add(replace(made, id=DerivativeId.new(home.clock.unix_ms), kind="viewing"))
    with pytest.raises(NotFoundError):
        home.reading.picture(reviewer, row.id, kind="viewing")
    assert allowed(home, "recording.view") == []


def test_which_rows_may_be_watched_is_answered_as_each_would_be_and_enters_nothing(home: AssuredHome) -> None:
    mine, _, officer = settled(home)
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=9, officer='900777')}": b"y" * 1000})
    own = next(row for row in rows if row.officer == officer.agent)
    assert home.reading.may_watch(officer, rows) == {own.id}
    assert home.reading.may_watch(home.agent("丁", "legal_reviewer"), rows) == {row.id for row in rows}
    assert home.reading.may_watch(home.agent("乙", "unit_leader", unit=mine.id), rows) == {own.id}
    home.clock.unix_ms += 24 * HOUR_MS
    assert home.reading.may_watch(officer, rows) == frozenset()
    assert home.entries("access.denied") == []


def test_r09_units_and_persons_to_choose_from_lie_within_the_actors_own_departments(home: AssuredHome) -> None:
    """Who registers recorders need not manage people, and still must say whose a recorder is."""
    mine, other, officer = settled(home)
    stranger = home.agent("戊", "officer", home_unit=other.id)
    left = home.agent("己", "officer", home_unit=mine.id)
    home.administration.deactivate(home.administrator, agent=left.agent)
    operators = {
        "everywhere": home.agent("庚", "station_operator", home_unit=other.id),
        "mine": home.agent("辛", "station_operator", unit=mine.id),
    }
    register = Action.DEVICE_REGISTER
    assert [unit.id for unit in home.reading.units(operators["everywhere"], register)] == [mine.id, other.id]
    assert [unit.id for unit in home.reading.units(operators["mine"], register)] == [mine.id]
    everybody = {agent.id for agent in home.reading.holders(operators["everywhere"])}
    assert {officer.agent, stranger.agent, home.first.agent.id} <= everybody
    assert not {left.agent, home.first.service.id} & everybody
    assert {agent.id for agent in home.reading.holders(operators["mine"])} == {officer.agent, operators["mine"].agent}
    assert home.reading.units(officer, register) == home.reading.holders(officer) == []
