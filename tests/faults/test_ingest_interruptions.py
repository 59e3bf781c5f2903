"""Reading that stops: pulled cards, bad sectors, full disks, changed files. What was read is kept, nothing wrong is sealed."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue.records import ProgressRow
from devices.mtp.driver import MtpDriver
from evidence.clock import unix_ms
from evidence.durable import free_bytes
from evidence.errors import (
    DeviceGoneError,
    DeviceProtocolError,
    DeviceTimeoutError,
    MediumError,
    StoreFullError,
)
from evidence.ids import OffloadId
from evidence.model import Cap, OffloadState, RecordingState
from ingest import reconcile
from ingest.settings import IngestSettings
from storage import partial as partial_module
from support.faulty_card import FaultyCard
from support.home import Home
from support.mounts import tmpfs
from support.recorders import MtpRecorder, docked_mtp_recorders, gb_name, make_gb_tree

CLIP = bytes(range(256)) * 20_000  # 5.12 MB: more than one buffer of the pipe


@pytest.fixture
def card(tmp_path: Path) -> FaultyCard:
    return FaultyCard(
        make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in (1, 2)})
    )


@pytest.fixture
def home(tmp_path: Path, card: FaultyCard) -> Iterator[Home]:
    with Home(tmp_path / "home", drivers=[card]) as home:
        yield home
        home.check()


@pytest.mark.parametrize("pulled_at", [0, 1, 4_194_304, 4_194_305, len(CLIP) - 1, len(CLIP), len(CLIP) + 1])
def test_a_card_pulled_at_any_byte_goes_on_there_at_the_next_docking(
    home: Home, card: FaultyCard, pulled_at: int
) -> None:
    card.left, card.error = pulled_at, DeviceGoneError
    first = home.offload(card.docked)
    assert (first.outcome, type(first.error)) == ("interrupted", DeviceGoneError)
    card.left, card.read_bytes = None, 0
    second = home.offload(card.docked)
    assert second.outcome == "complete"
    assert {row.state for row in home.rows()} == {RecordingState.STORED}
    digests = {row.sha256.hex for row in home.rows() if row.sha256}
    assert digests == {hashlib.sha256(CLIP + bytes([n])).hexdigest() for n in (1, 2)}
    again = card.read_bytes - (2 * (len(CLIP) + 1) - pulled_at)
    assert again <= 2 * 65_536, "only the compared overlap is read twice"


def test_an_interrupted_recording_says_why_and_how_far_it_came(home: Home, card: FaultyCard) -> None:
    card.left, card.error = 1_000_000, DeviceGoneError
    result = home.offload(card.docked)
    row = home.row(result.interrupted[0])
    assert (row.state, row.interrupted_reason, row.bytes_acquired) == (
        RecordingState.INTERRUPTED,
        "unplugged",
        1_000_000,
    )
    assert home.entries(row.id) == ["recording.discovered", "recording.acquiring", "recording.interrupted"]
    with home.catalogue.read() as uow:
        offload = uow.offloads.get(result.offload)
    assert (offload.state, offload.message[:11]) == (OffloadState.INTERRUPTED, "device-gone")


def test_a_recording_that_was_interrupted_and_then_came_in_verifies_as_good(home: Home, card: FaultyCard) -> None:
    """Its row must be what its entries fold to at every step, the reason of the last interruption included."""
    card.left, card.error = 1_000_000, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    assert home.verify().verdict == "good"
    card.left = None
    home.offload(card.docked)
    assert home.row(interrupted).state is RecordingState.STORED
    verified = home.verify()
    assert (verified.verdict, verified.recordings) == ("good", 2)


@pytest.mark.parametrize("error", [MediumError, DeviceTimeoutError, DeviceProtocolError])
def test_trouble_with_one_file_does_not_keep_the_others_out(home: Home, card: FaultyCard, error: type) -> None:
    card.left, card.error = 100, error
    original = card.error

    def once(text: str):
        card.left = None
        return original(text)

    card.error = once
    result = home.offload(card.docked)
    assert (len(result.acquired), len(result.interrupted), result.outcome) == (1, 1, "interrupted")
    assert home.offload(card.docked).outcome == "complete"


def test_a_recorder_that_fails_three_times_in_a_row_is_left_alone(tmp_path: Path) -> None:
    card = FaultyCard(make_gb_tree(tmp_path / "c", {f"DCIM/{gb_name(counter=n)}": CLIP for n in range(6)}))
    card.left, card.error = 0, DeviceTimeoutError
    with Home(tmp_path / "home", drivers=[card]) as home:
        assert len(home.offload(card.docked).interrupted) == 3
        home.check()


def test_r04_the_rate_that_is_told_after_a_resume_is_that_of_the_reading(tmp_path: Path) -> None:
    """Bytes that were here before would make it look fast, and the time that remains short."""
    card = FaultyCard(make_gb_tree(tmp_path / "c", {f"DCIM/{gb_name()}": CLIP}))
    card.left, card.error = len(CLIP) - 1_000, DeviceGoneError
    with Home(tmp_path / "home", drivers=[card]) as home:
        home.service.offload(card.docked, home.actor, register=True)
        card.left, card.after_read = None, lambda _path: home.clock.advance(seconds=1)
        told: list[ProgressRow] = []
        home.service.offload(card.docked, home.actor, on_progress=told.append)
        assert max(row.bytes_done for row in told) == len(CLIP)
        assert max(row.rate_bytes_s for row in told) <= 1_000
        home.settle()


def test_a_recorder_without_resume_is_read_from_the_start(home: Home, card: FaultyCard) -> None:
    card.without = {Cap.RESUME}
    card.left, card.error = 1_000_000, DeviceGoneError
    home.offload(card.docked)
    card.left, card.opened = None, []
    assert home.offload(card.docked).outcome == "complete"
    assert {offset for _, offset in card.opened} == {0}


def test_another_file_under_the_same_identity_is_never_joined_to_the_beginning_of_the_first(
    home: Home, card: FaultyCard
) -> None:
    card.left, card.error = 1_000_000, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    path = card.root / "DCIM" / home.row(interrupted).name
    stamp = path.stat().st_mtime_ns
    other = CLIP[::-1] + b"!"
    path.write_bytes(other)
    os.utime(path, ns=(stamp, stamp))
    card.left = None
    home.offload(card.docked)
    assert home.row(interrupted).sha256.hex == hashlib.sha256(other).hexdigest()
    assert home.findings() == ["source-changed"]


def test_bytes_that_were_not_known_to_be_durable_are_read_again(home: Home, card: FaultyCard) -> None:
    """A power cut can leave a partial of full length with zeros in it."""
    card.left, card.error = 1_000_000, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    with home.parts.partial(interrupted).open("ab") as partial:
        partial.write(bytes(2_000_000))
    card.left = None
    home.offload(card.docked)
    assert home.row(interrupted).sha256.hex in {hashlib.sha256(CLIP + bytes([n])).hexdigest() for n in (1, 2)}


def test_progress_of_a_long_recording_is_secured_on_the_way(
    home: Home, card: FaultyCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial_module, "SECURE_EVERY_BYTES", 1 << 20)
    secured: list[int] = []

    def power_cut(text: str):
        for _ in range(200):  # the writer is another thread
            with home.catalogue.read() as uow:
                secured[:] = [row.bytes_acquired for row in uow.recordings.by_state({RecordingState.ACQUIRING})]
            if secured[0] >= 4 << 20:
                break
            time.sleep(0.05)
        return DeviceGoneError(text)

    card.left, card.error = len(CLIP) - 10, power_cut
    home.offload(card.docked)
    assert secured[0] >= 4 << 20


def test_r08_a_file_that_was_seen_and_vanished_before_it_came_in_is_a_finding(home: Home, card: FaultyCard) -> None:
    card.left, card.error = 10, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    (card.root / "DCIM" / home.row(interrupted).name).unlink()
    card.left = None
    home.offload(card.docked)
    home.offload(card.docked)
    assert home.findings() == ["source-missing"]


@pytest.mark.parametrize("added", [b"", b"more"])
def test_a_file_that_is_written_to_while_it_is_read_is_not_taken_for_whole(
    home: Home, card: FaultyCard, added: bytes
) -> None:
    """Its bytes may be half old and half new: only what did not change until the last byte was read comes in."""

    def write(path: Path) -> None:
        with path.open("ab") as file:
            file.write(added)
        os.utime(path)

    card.after_read = write
    result = home.offload(card.docked)
    assert result.error
    assert (len(result.acquired), len(result.interrupted), result.error.code) == (0, 2, "source-changed")
    assert {row.interrupted_reason for row in home.rows()} == {"source-changed"}
    card.after_read = None
    assert len(home.offload(card.docked).acquired) == 2


def test_r08_a_file_that_grew_before_it_came_in_is_told_apart_from_one_that_vanished(
    home: Home, card: FaultyCard
) -> None:
    card.left, card.error = 10, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    path = card.root / "DCIM" / home.row(interrupted).name
    path.write_bytes(path.read_bytes() + b"more")
    card.left = None
    assert len(home.offload(card.docked).acquired) == 2
    assert home.findings() == ["source-changed"]


def test_a_recorder_that_cannot_list_everything_is_never_said_to_be_done(home: Home, card: FaultyCard) -> None:
    card.unreadable = {"DCIM"}
    card.left, card.error = 0, DeviceGoneError
    result = home.offload(card.docked)
    assert (result.outcome, type(result.error), result.acquired) == ("interrupted", MediumError, [])
    assert result.refused == [("DCIM", "unreadable")]
    with home.catalogue.read() as uow:
        assert "DCIM" in uow.offloads.get(result.offload).message


def test_r08_what_may_lie_in_an_unreadable_folder_is_not_said_to_have_vanished(home: Home, card: FaultyCard) -> None:
    card.left, card.error = 10, DeviceGoneError
    home.offload(card.docked)
    card.left, card.unreadable = None, {"DCIM"}
    home.offload(card.docked)
    assert home.findings() == []
    card.unreadable = set()
    assert home.offload(card.docked).outcome == "complete"


def test_a_few_bad_files_do_not_keep_the_others_on_the_recorder_for_ever(tmp_path: Path) -> None:
    names = [gb_name(counter=n, stamp=f"2026112209{n:02d}00") for n in range(5)]
    card = FaultyCard(make_gb_tree(tmp_path / "c", {f"DCIM/{name}": CLIP[n:] for n, name in enumerate(names)}))

    def bad_sector(path: Path) -> None:
        if path.name in names[:3]:
            raise MediumError("a bad sector")

    card.after_read = bad_sector
    with Home(tmp_path / "home", drivers=[card]) as home:
        assert (len(home.offload(card.docked).interrupted), len(home.offload(card.docked).acquired)) == (3, 2)
        home.check()


# --- our own disk -----------------------------------------------------------------------------------------------------
@pytest.mark.root
def test_a_full_disk_stops_cleanly_and_the_rest_comes_when_there_is_room(tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": os.urandom(6 << 20) for n in range(4)})
    with tmpfs(tmp_path / "disk", size="26m") as disk:
        floor = 4 << 20
        settings = IngestSettings(free_floor_bytes=floor)
        with Home(disk / "home", second=tmp_path / "second", settings=settings) as home:
            first = home.offload(card)
            assert (first.outcome, type(first.error)) == ("interrupted", StoreFullError)
            assert 1 <= len(first.acquired) < 4
            assert free_bytes(disk) >= floor - (1 << 20), "the floor is for the database and the log"
            assert first.interrupted == [], "what does not fit is not begun"
            assert {row.state for row in home.rows()} == {RecordingState.STORED, RecordingState.DISCOVERED}
            home.check()
            subprocess_remount(disk, "96m")
            assert home.offload(card).outcome == "complete"
            assert {row.state for row in home.rows()} == {RecordingState.STORED}
            home.check()


@pytest.mark.root
def test_nothing_is_read_that_a_store_which_must_get_a_copy_cannot_take(tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": os.urandom(6 << 20) for n in range(4)})
    with tmpfs(tmp_path / "disk", size="20m") as disk:
        settings = IngestSettings(free_floor_bytes=4 << 20)
        with Home(tmp_path / "home", second=disk / "second", settings=settings) as home:
            first = home.offload(card)
            assert first.outcome == "interrupted"
            assert isinstance(first.error, StoreFullError)
            assert first.error.stores == ("second",)
            assert (len(first.acquired), first.interrupted) == (2, [])
            again = home.offload(card)
            assert (len(again.acquired), again.outcome) == (0, "interrupted"), "nothing new is begun, and nothing lost"
            states = Counter(row.state for row in home.rows())
            assert states == {RecordingState.STORED: 2, RecordingState.DISCOVERED: 2}
            assert sum(path.is_file() for path in card.rglob("*.mp4")) == 4
            home.check()
            subprocess_remount(disk, "96m")
            assert home.offload(card).outcome == "complete"
            assert {row.state for row in home.rows()} == {RecordingState.STORED}
            home.check()


@pytest.mark.root
def test_two_stores_on_one_disk_share_its_room(tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": os.urandom(6 << 20) for n in range(2)})
    with tmpfs(tmp_path / "disk", size="12m") as disk:
        settings = IngestSettings(free_floor_bytes=2 << 20)
        with Home(disk / "home", second=disk / "second", settings=settings) as home:
            first = home.offload(card)
            assert (type(first.error), first.acquired) == (StoreFullError, []), "one copy would fit, two do not"
            subprocess_remount(disk, "96m")
            assert home.offload(card).outcome == "complete"
            home.check()


def test_a_third_store_that_is_full_stops_nothing_that_has_enough_copies(tmp_path: Path) -> None:
    from ingest import room

    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": os.urandom(1 << 20)})
    with Home(tmp_path / "home", settings=IngestSettings(copies=1, free_floor_bytes=0)) as home:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "_takes", lambda _parts, store, _size, _left: store is home.primary)
            assert home.offload(card).outcome == "complete"
        home.check()


def test_a_disk_that_another_program_fills_in_the_middle_is_an_ordinary_stop(home: Home, card: FaultyCard) -> None:
    written = 0

    def no_space(fd: int, data: memoryview) -> None:
        nonlocal written
        if (written := written + len(data)) > 3_000_000:
            raise StoreFullError("no space left on the store")
        os.write(fd, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial_module, "write_all", no_space)
        stopped = home.offload(card.docked)
    assert isinstance(stopped.error, StoreFullError)
    row = home.row(stopped.interrupted[0])
    assert (row.state, row.interrupted_reason) == (RecordingState.INTERRUPTED, "store-full")
    home.check()
    assert home.offload(card.docked).outcome == "complete"
    home.check()


def subprocess_remount(disk: Path, size: str) -> None:
    import subprocess

    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


# --- a process that died ----------------------------------------------------------------------------------------------
def test_after_a_death_nothing_is_said_to_be_read_any_more(home: Home, card: FaultyCard, tmp_path: Path) -> None:
    card.left, card.error = 1_000, DeviceGoneError
    interrupted = home.offload(card.docked).interrupted[0]
    at = home.clock.now()
    with home.catalogue.begin() as uow:  # as a killed process leaves it
        row = uow.recordings.get(interrupted)
        uow.recordings.change_state(interrupted, expect={row.state}, to=RecordingState.ACQUIRING)
        dead = uow.offloads.get(row.offload)
        uow.offloads.update(dead.id, state=OffloadState.OPEN, ended_at=None)
    assert reconcile.close_dead(home.parts) == 1
    assert (home.row(interrupted).state, home.row(interrupted).interrupted_reason) == (
        RecordingState.INTERRUPTED, "process-ended",
    )  # fmt: skip
    with home.catalogue.read() as uow:
        assert uow.offloads.open() == []
    assert OffloadId.new(unix_ms(at.wall))
    home.seal()


def test_partials_of_stored_recordings_are_swept_and_others_never(home: Home, card: FaultyCard) -> None:
    card.left, card.error = len(CLIP) + 1_000, DeviceGoneError
    result = home.offload(card.docked)
    stored, interrupted = result.acquired[0], result.interrupted[0]
    home.parts.partial(stored).write_bytes(b"left over")
    stranger = home.primary.partial_path("found-on-the-disk")
    stranger.write_bytes(b"whose is this?")
    assert reconcile.sweep_partials(home.parts) == 1
    assert sorted(home.primary.partials()) == sorted([home.parts.partial(interrupted), stranger])


# --- real MTP recorders -----------------------------------------------------------------------------------------------
def test_an_mtp_recorder_unplugged_in_mid_file_is_resumed(tmp_path: Path) -> None:
    root = make_gb_tree(tmp_path / "rec", {gb_name(counter=n): CLIP + bytes([n]) for n in (1, 2)})
    with MtpRecorder(root, serial="MTP0001") as recorder:
        driver = recorder.driver()
        with Home(tmp_path / "home", drivers=[driver]) as home:
            docked = driver.scan()[0]
            home.service.register_device(docked, home.actor)
            recorder.cut_after(3_000_000)
            first = home.offload(docked)
            assert first.outcome in ("interrupted", "failed")
            recorder.plug()
            second = home.offload(driver.scan()[0])
            assert second.outcome == "complete"
            assert {row.state for row in home.rows()} == {RecordingState.STORED}
            assert {row.sha256.hex for row in home.rows()} == {
                hashlib.sha256(CLIP + bytes([n])).hexdigest() for n in (1, 2)
            }
            home.check()


@pytest.mark.parametrize(("shown", "plausible"), [("19800101T000000", False), ("20991231T235959", False)])
def test_r04_an_mtp_clock_in_1980_or_2099_is_recorded_and_makes_nobody_late(
    tmp_path: Path, shown: str, plausible: bool
) -> None:
    root = make_gb_tree(tmp_path / "rec", {gb_name(stamp="19800101000500"): CLIP})
    with MtpRecorder(root, serial="MTP0002", clock=shown) as recorder:
        driver = recorder.driver()
        with Home(tmp_path / "home", drivers=[driver]) as home:
            result = home.offload(driver.scan()[0])
            row = home.row(result.acquired[0])
            assert (row.started_at, row.started_source) == (None, "untrusted")
            assert row.deadline_at
            assert row.stored_at
            assert row.stored_at < row.deadline_at
            with home.catalogue.read() as uow:
                offload = uow.offloads.get(result.offload)
            assert (offload.clock_known, offload.clock_plausible, offload.clock_device_text) == (True, plausible, shown)
            home.check()


def test_r02_the_clock_is_read_before_it_is_set_and_both_are_entered(tmp_path: Path) -> None:
    root = make_gb_tree(tmp_path / "rec", {gb_name(stamp="20261122110000"): CLIP})
    with MtpRecorder(root, serial="MTP0003", clock="20261122T121000", battery=80) as recorder:
        driver = recorder.driver()
        with Home(tmp_path / "home", drivers=[driver]) as home:
            result = home.offload(driver.scan()[0])
            with home.catalogue.read() as uow:
                offload = uow.offloads.get(result.offload)
                types = [row.event_type for row in uow.outbox.rows(0, uow.outbox.head().size)]
            assert 590_000 < offload.clock_offset_ms < 610_000, "ten minutes ahead of noon"
            assert (offload.clock_set, offload.battery_percent) == (True, 80)
            assert types.index("offload.started") < types.index("device.clock-set")
            row = home.row(result.acquired[0])
            assert row.started_source == "name-corrected"
            assert row.started_at.strftime("%H:%M") in ("02:49", "02:50")
            home.check()


def _two_clips(number: int) -> dict[str, bytes]:
    return {gb_name(counter=counter, device=f"100000{number}"): os.urandom(1_500_000) for counter in (1, 2)}


def test_eight_mtp_recorders_at_once_come_in_whole(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    roots = {
        f"MTP1{n:03d}": make_gb_tree(tmp_path / f"rec{n}", _two_clips(n))
        for n in range(8)
    }  # fmt: skip
    with docked_mtp_recorders(roots) as (_recorders, backend):
        driver = MtpDriver(backend, timeout_s=20)
        with Home(tmp_path / "home", drivers=[driver]) as home:
            docked = driver.scan()
            assert len(docked) == 8
            with ThreadPoolExecutor(8) as pool:
                results = list(pool.map(lambda one: home.service.offload(one, home.actor, register=True), docked))
            home.settle()
            assert {result.outcome for result in results} == {"complete"}
            assert len(home.rows()) == 16
            assert {row.state for row in home.rows()} == {RecordingState.STORED}
            home.check()
