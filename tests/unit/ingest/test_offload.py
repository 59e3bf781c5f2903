"""A whole docking on real parts: what is on a card ends up stored, read back, sealed, named and described."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from catalogue.records import AgentRow, PostRow, UnitRow
from evidence.clock import from_text
from evidence.errors import AccessDeniedError, DeviceBusyError, DeviceNotRegisteredError, StateConflictError
from evidence.ids import AgentId, UnitId
from evidence.manifest import parse as parse_manifest
from evidence.model import Action, DeviceState, RecordingState, Verdict
from support import footage
from support.home import Home
from support.recorders import OFFICER_CODE, gb_name, make_gb_tree

CLIP = b"not a film, but bytes are bytes " * 40_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path / "home") as home:
        yield home
        home.check()


def test_a_docked_card_is_read_stored_twice_sealed_and_described(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": footage.phone_mp4()})
    result = home.offload(card)
    assert (result.outcome, len(result.acquired), result.known) == ("complete", 1, [])
    row = home.row(result.acquired[0])
    data = footage.phone_mp4().read_bytes()
    assert (row.state, row.sealed, row.described, row.verdict) == (RecordingState.STORED, True, True, Verdict.INTACT)
    assert row.sha256
    assert row.sha256.hex == hashlib.sha256(data).hexdigest()
    assert row.sm3
    assert row.sm3.hex == hashlib.new("sm3", data).hexdigest()
    for store in home.stores.all:
        with store.open(row.sha256) as stream:
            assert stream.read() == data
    with home.catalogue.read() as uow:
        assert {made.kind for made in uow.derivatives.of(row.id)} >= {"poster", "sheet"}
    assert row.ended_at
    assert row.started_at
    assert row.duration_ms
    assert home.entries(row.id)[:4] == [
        "recording.discovered", "recording.acquiring", "recording.acquired", "recording.stored",
    ]  # fmt: skip


def test_the_manifest_beside_every_copy_says_what_the_bytes_are_without_naming_anybody(
    home: Home, tmp_path: Path
) -> None:
    name = gb_name()
    result = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{name}": CLIP}))
    row = home.row(result.acquired[0])
    with home.catalogue.read() as uow:
        manifests = [blob for blob in uow.blobs.all() if f"manifest:{row.id}" in blob.holders]
    assert [copy.store for copy in manifests[0].copies] == ["primary", "second"]
    raw = home.second.locate(manifests[0].sha256).read_bytes()
    manifest = parse_manifest(raw)
    assert (manifest.recording, manifest.sha256, manifest.size_bytes) == (row.id, row.sha256.hex, len(CLIP))
    assert manifest.to_bytes() == raw
    assert name.encode() not in raw
    assert OFFICER_CODE.encode() not in raw
    with home.catalogue.read() as uow:
        disclosed = uow.outbox.disclosures_of(list(manifest.sd))
    assert {one.name for one in disclosed.values()} >= {"name", "path", "officer_code"}


def test_docking_again_reads_nothing_twice(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in (1, 2)})
    first = home.offload(card)
    again = home.offload(card)
    assert (again.acquired, sorted(again.known)) == ([], sorted(first.acquired))
    assert len(home.rows()) == 2


def test_r08_important_mark_twins_are_one_recording_with_both_names(home: Home, tmp_path: Path) -> None:
    plain, marked = gb_name(), gb_name(mark="_IMP")
    result = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{plain}": CLIP, f"DCIM/{marked}": CLIP}))
    states = sorted(home.row(one).state for one in result.acquired)
    assert states == [RecordingState.DUPLICATE, RecordingState.STORED]
    assert len(result.duplicates) == 1
    kept = next(row for row in home.rows() if row.state is RecordingState.STORED)
    other = next(row for row in home.rows() if row.state is RecordingState.DUPLICATE)
    with home.catalogue.read() as uow:
        names = {kept.name, *(line.name for line in uow.recordings.names(kept.id))}
    assert names == {plain, marked}
    assert kept.important, "the mark of either name counts for the recording"
    assert other.duplicate_of == kept.id
    assert home.primary.partials() == []


def test_the_same_bytes_from_another_recorder_become_a_name_too(home: Home, tmp_path: Path) -> None:
    home.offload(make_gb_tree(tmp_path / "a", {f"DCIM/{gb_name(device='1111111')}": CLIP}))
    result = home.offload(make_gb_tree(tmp_path / "b", {f"DCIM/{gb_name(device='2222222')}": CLIP}))
    assert home.row(result.acquired[0]).state is RecordingState.DUPLICATE


def test_a_file_of_no_bytes_is_kept_and_flagged_and_not_mistaken_for_every_other(home: Home, tmp_path: Path) -> None:
    names = [gb_name(counter=1), gb_name(counter=2)]
    result = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{name}": b"" for name in names}))
    rows = [home.row(one) for one in result.acquired]
    assert [row.state for row in rows] == [RecordingState.STORED, RecordingState.STORED]
    assert {row.quarantine_reason for row in rows} == {"empty"}
    assert sorted(result.quarantined) == sorted(row.id for row in rows)


def test_an_unknown_name_is_taken_in_and_flagged(home: Home, tmp_path: Path) -> None:
    result = home.offload(make_gb_tree(tmp_path / "card", {"whatever/это.mp4": CLIP}))
    row = home.row(result.acquired[0])
    assert (row.state, row.pattern, row.quarantine_reason) == (RecordingState.STORED, "", "unknown-name")
    assert "recording.quarantined" in home.entries(row.id)


def test_hostile_names_come_in_as_they_are(home: Home, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    names = [b"bad\xff\xfe.mp4", "右\u202emp4.exe".encode(), b"-rf", b"a b\nc.mp4", b"..mp4", b"$(id).mp4"]
    for number, name in enumerate(names):
        (card / os.fsdecode(name)).write_bytes(CLIP + bytes([number]))
    result = home.offload(card)
    assert len(result.acquired) == len(names)
    assert {row.state for row in home.rows()} == {RecordingState.STORED}


def test_a_name_still_being_written_waits_and_comes_in_at_the_next_docking(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(mark='_start')}": CLIP})
    first = home.offload(card)
    assert (first.acquired, len(first.waiting)) == ([], 1)
    with home.catalogue.read() as uow:
        assert uow.offloads.get(first.offload).waiting == first.waiting
    (card / "DCIM" / gb_name(mark="_start")).rename(card / "DCIM" / gb_name())
    assert len(home.offload(card).acquired) == 1


def test_r08_what_a_recorder_that_lost_its_power_never_finished_is_taken_in_and_flagged(
    home: Home, tmp_path: Path
) -> None:
    """Nobody takes the mark away any more: waiting for that would leave the footage on the recorder until it is formatted."""
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(mark='_start')}": CLIP})
    assert len(home.offload(card).waiting) == 1
    home.clock.advance(hours=7)
    assert len(home.offload(card).waiting) == 1
    home.clock.advance(hours=2)
    result = home.offload(card)
    assert (result.waiting, len(result.acquired)) == ([], 1)
    row = home.row(result.acquired[0])
    assert (row.state, row.quarantine_reason, row.officer_code) == (RecordingState.STORED, "truncated", OFFICER_CODE)


def test_a_name_still_being_written_waits_as_long_as_the_file_grows(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(mark='_start')}": CLIP})
    for _ in range(4):
        assert len(home.offload(card).waiting) == 1
        home.clock.advance(hours=5)
        with (card / "DCIM" / gb_name(mark="_start")).open("ab") as file:
            file.write(CLIP)


def test_side_files_are_attached_to_their_recording(home: Home, tmp_path: Path) -> None:
    video, track = gb_name(), gb_name(extension="gps")
    home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{video}": CLIP, f"GPS/{track}": b"$GPGGA,,,\r\n" * 9}))
    assert home.by_name(track).attached_to == home.by_name(video).id


def test_r04_the_earliest_deadline_is_read_first(home: Home, tmp_path: Path) -> None:
    stamps = ["20261122080000", "20261121230000", "20261122010000"]
    media = {f"DCIM/{gb_name(counter=n, stamp=s)}": CLIP + s.encode() for n, s in enumerate(stamps)}
    result = home.offload(make_gb_tree(tmp_path / "card", media))
    read = [home.row(one).started_at for one in result.acquired]
    assert read == sorted(read)


def test_r04_footage_of_yesterday_morning_is_late_and_shown_as_due(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(stamp='20261121080000')}": CLIP})
    docked = home.dock(card)
    result = home.service.offload(docked, home.actor, register=True)
    with home.catalogue.read() as uow:
        assert [row.id for row in uow.recordings.due(home.clock.now().wall)] == result.acquired
    home.settle()
    row = home.row(result.acquired[0])
    assert row.stored_at
    assert row.deadline_at
    assert row.stored_at > row.deadline_at


def test_r04_the_officer_is_bound_by_the_code_in_the_name_with_his_confidence(home: Home, tmp_path: Path) -> None:
    officer = AgentId.new(5)
    home.add_agents(AgentRow(id=officer, kind="person", name="officer one", officer_code=OFFICER_CODE))
    result = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP}))
    row = home.row(result.acquired[0])
    assert (row.officer, row.officer_source, row.officer_confidence) == (officer, "name", "high")


def test_a_code_that_nobody_has_binds_nobody(home: Home, tmp_path: Path) -> None:
    row = home.row(home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})).acquired[0])
    assert (row.officer, row.officer_code, row.officer_source) == (None, OFFICER_CODE, "name")


def test_the_number_of_the_recorder_itself_binds_nobody(home: Home, tmp_path: Path) -> None:
    home.add_agents(AgentRow(id=AgentId.new(5), kind="person", name="officer one", officer_code="7654321"))
    card = make_gb_tree(tmp_path / "card", {"DCIM/ZF_7654321_20261122093000.mp4": CLIP})
    (card / "sn.txt").write_text("7654321")
    row = home.row(home.offload(card).acquired[0])
    assert (row.officer, row.officer_code, row.officer_source) == (None, "", "")


@pytest.mark.parametrize(("post_from", "device_unit"), [(-9, False), (9, False), (9, True)])
def test_r09_a_recording_belongs_to_the_unit_of_its_officer_also_before_the_first_post_that_is_known(
    tmp_path: Path, post_from: int, device_unit: bool
) -> None:
    officer, unit, other = AgentId.new(5), UnitId.new(6), UnitId.new(7)
    since = from_text("2026-11-22T01:30:00.000Z") + timedelta(hours=post_from)  # the recording begins 01:30 UTC
    with Home(tmp_path / "home") as home:
        home.add_agents(AgentRow(id=officer, kind="person", name="officer one", officer_code=OFFICER_CODE))
        with home.catalogue.begin() as uow:
            for one, name in ((unit, "first"), (other, "second")):
                uow.people.add_unit(UnitRow(id=one, name=name, valid_from=since))
            uow.people.add_post(PostRow(agent=officer, unit=unit, valid_from=since))
        card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(stamp='20261122093000')}": CLIP})
        home.service.register_device(home.dock(card), home.actor, unit=other if device_unit else None)
        row = home.row(home.offload(card).acquired[0])
    assert row.unit == (other if device_unit else unit)


# --- who may, which recorder ------------------------------------------------------------------------------------------
def test_r05_an_unknown_recorder_is_refused_and_nothing_of_it_is_read(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    with pytest.raises(DeviceNotRegisteredError):
        home.offload(card, register=False)
    assert home.rows() == []
    with home.catalogue.read() as uow:
        assert "device.refused" in [row.event_type for row in uow.outbox.unsequenced(10)]
    home.seal()


def test_r05_a_registered_recorder_is_read_without_more_ado(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    row = home.service.register_device(home.dock(card), home.actor, label="17")
    assert (row.state, row.label, row.registered_by) == (DeviceState.REGISTERED, "17", home.actor.agent)
    assert home.service.register_device(home.dock(card), home.actor).id == row.id
    assert len(home.offload(card, register=False).acquired) == 1


def test_r05_a_folder_stays_the_recorder_it_was_registered_as_whatever_its_names_tell(
    home: Home, tmp_path: Path
) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=1)}": CLIP})
    few = home.service.register_device(home.dock(card), home.actor)
    make_gb_tree(card, {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in range(2, 7)})
    result = home.offload(card, register=False)  # six names tell it by now
    assert (result.device, len(result.acquired)) == (few.id, 6)


def test_r05_a_recorder_known_by_its_names_is_known_when_it_was_emptied(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in range(4)})
    named = home.offload(card).device
    for path in (card / "DCIM").iterdir():
        path.unlink()
    assert home.offload(card, register=False).device == named
    make_gb_tree(card, {f"DCIM/{gb_name(counter=9, device='1111111')}": CLIP})
    with pytest.raises(DeviceNotRegisteredError):
        home.offload(card, register=False)  # another recorder's footage


def test_r05_a_retired_recorder_is_not_read_and_not_registered_again(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    row = home.service.register_device(home.dock(card), home.actor)
    with home.catalogue.begin() as uow:
        uow.devices.update(row.id, state=DeviceState.RETIRED)
    with pytest.raises(DeviceNotRegisteredError):
        home.offload(card, register=False)
    with pytest.raises(StateConflictError):
        home.offload(card, register=True)
    with home.catalogue.begin() as uow:  # retiring has no entry yet: the catalogue must say what the log says again
        uow.devices.update(row.id, state=DeviceState.REGISTERED)


@pytest.mark.parametrize("action", [Action.OFFLOAD_RUN, Action.DEVICE_REGISTER])
def test_nobody_offloads_or_registers_without_the_right(home: Home, tmp_path: Path, action: Action) -> None:
    home.gate.forbidden = {action}
    with pytest.raises(AccessDeniedError):
        home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP}))
    assert home.rows() == []


def test_a_recorder_being_read_is_busy_for_anybody_else(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    docked = home.dock(card)
    seen: list[str] = []

    def second_reader(_row: object) -> None:
        with pytest.raises(DeviceBusyError):
            home.service.offload(docked, home.actor)
        seen.append("busy")

    home.service.offload(docked, home.actor, register=True, on_progress=second_reader)
    home.settle()
    assert seen


def test_progress_is_told_and_gone_at_the_end(home: Home, tmp_path: Path) -> None:
    rows: list[tuple[int, int]] = []
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    result = home.service.offload(
        home.dock(card),
        home.actor,
        register=True,
        on_progress=lambda row: rows.append((row.files_total, row.bytes_total)),
    )
    assert (1, len(CLIP)) in rows
    with home.catalogue.read() as uow:
        assert uow.progress.of(result.offload) is None
    home.settle()


def test_the_start_and_the_end_of_a_docking_are_entries(home: Home, tmp_path: Path) -> None:
    result = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP}))
    with home.catalogue.read() as uow:
        head = uow.outbox.head()
        assert head
        rows = uow.outbox.rows(0, head.size)
    types = [row.event_type for row in rows]
    assert types.index("device.registered") < types.index("offload.started") < types.index("recording.discovered")
    assert types.count("offload.ended") == 1
    ended = next(row for row in rows if row.event_type == "offload.ended")
    body = json.loads(base64.b64decode(json.loads(ended.envelope)["payload"]))
    assert body["predicate"]["data"]["recordings"] == 1
    assert body["predicate"]["data"]["offload"] == result.offload
