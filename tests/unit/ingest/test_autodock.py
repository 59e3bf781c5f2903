"""The dock by itself: one offload per docking, no loops, nothing unknown read, clearing where it is set."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue.recordings import Recordings
from catalogue.records import RecordingRow
from devices.watch_folder.driver import WatchFolderDriver
from evidence.clock import SystemClock
from evidence.errors import DeviceBusyError, DeviceGoneError
from evidence.ids import DeviceId, RecordingId
from evidence.model import Cap, ClearingMode, RecordingState, SourceKey
from evidence.ports import DockedDevice
from flow import DbosEngine
from flow.inline import InlineEngine
from ingest.autodock import AutoDock
from ingest.parts import Parts
from ingest.settings import IngestSettings
from support import footage
from support.faulty_card import FaultyCard
from support.home import Home
from support.mounts import tmpfs
from support.recorders import gb_name, make_gb_tree

CLIP = b"bytes " * 30_000


class Slots:
    """A driver whose cards a test plugs in and out."""

    name = "faulty_card"

    def __init__(self) -> None:
        self.cards: dict[str, FaultyCard] = {}
        self.broken = False

    def scan(self) -> list[DockedDevice]:
        if self.broken:
            raise DeviceBusyError("the bus does not answer")
        return [DockedDevice(self.name, slot, card.docked.address) for slot, card in self.cards.items()]

    def open(self, device: DockedDevice):
        return self.cards[device.slot].open(device)


class Dock:
    """Counts the offloads a dock does by itself."""

    def __init__(self, home: Home, slots: Slots) -> None:
        self.home = home
        self.slots = slots
        self.auto = AutoDock(home.service, registry=home.registry, jobs=home.jobs, clock=home.clock)

    def turn(self, times: int = 1, **later: float) -> int:
        ran = 0
        for _ in range(times):
            self.home.clock.advance(**later or {"seconds": 2})
            self.auto.step()
            ran += self.home.jobs.drain()
            self.home.seal()
        return ran

    def offloads(self) -> int:
        with self.home.catalogue.read() as uow:
            return len(uow.offloads.recent())


@pytest.fixture
def slots() -> Slots:
    return Slots()


@pytest.fixture
def dock(tmp_path: Path, slots: Slots) -> Iterator[Dock]:
    with Home(tmp_path / "home", drivers=[slots]) as home:
        yield Dock(home, slots)


def card(root: Path, count: int = 2) -> FaultyCard:
    return FaultyCard(
        make_gb_tree(root, {f"DCIM/{gb_name(counter=n)}": CLIP + root.name.encode() + bytes([n]) for n in range(count)})
    )


def registered(dock: Dock, slot: str, one: FaultyCard) -> None:
    dock.slots.cards[slot] = one
    dock.home.service.register_device(DockedDevice("faulty_card", slot, one.docked.address), dock.home.actor)


def test_a_docked_recorder_is_read_once_however_long_it_stays(dock: Dock, tmp_path: Path) -> None:
    registered(dock, "1-1", card(tmp_path / "card"))
    dock.turn(20)
    assert (dock.offloads(), len(dock.home.rows())) == (1, 2)
    assert {row.state for row in dock.home.rows()} == {RecordingState.STORED}


def test_docked_again_it_is_read_again(dock: Dock, tmp_path: Path) -> None:
    registered(dock, "1-1", card(tmp_path / "card"))
    dock.turn(3)
    left = dock.slots.cards.pop("1-1")
    dock.turn(1)
    dock.slots.cards["1-1"] = left
    dock.turn(3)
    assert dock.offloads() == 2


def test_a_driver_that_cannot_tell_does_not_make_its_recorders_leave(dock: Dock, tmp_path: Path) -> None:
    registered(dock, "1-1", card(tmp_path / "card"))
    dock.turn(2)
    dock.slots.broken = True
    dock.turn(2)
    dock.slots.broken = False
    dock.turn(2)
    assert dock.offloads() == 1


def test_a_failing_recorder_is_tried_again_with_growing_pauses(dock: Dock, tmp_path: Path) -> None:
    broken = card(tmp_path / "card")
    broken.left, broken.error = 10, DeviceGoneError
    registered(dock, "1-1", broken)
    dock.turn(150, seconds=2)  # five minutes
    assert 3 <= dock.offloads() <= 6
    broken.left = None
    dock.turn(2, minutes=16)
    assert {row.state for row in dock.home.rows()} == {RecordingState.STORED}


def test_r05_an_unknown_recorder_waits_for_a_person_and_then_comes_in_at_once(dock: Dock, tmp_path: Path) -> None:
    unknown = card(tmp_path / "card")
    dock.slots.cards["1-1"] = unknown
    dock.turn(10)
    assert dock.offloads() == 0
    registered(dock, "1-1", unknown)
    dock.turn(1)
    assert len(dock.home.rows()) == 2


def test_two_recorders_with_one_serial_need_a_person(dock: Dock, tmp_path: Path) -> None:
    one, two = card(tmp_path / "a"), card(tmp_path / "b")
    for recorder in (one, two):
        (recorder.root / "sn.txt").write_text("SN00017")
    registered(dock, "1-1", one)
    dock.turn(2)
    dock.slots.cards["1-2"] = two
    dock.turn(2)
    assert dock.home.findings() == ["duplicate-serial"]
    assert dock.offloads() == 1, "nothing of the second one was read"


def test_two_recorders_with_one_serial_need_a_person_also_while_a_driver_cannot_tell(
    dock: Dock, tmp_path: Path
) -> None:
    one, two = card(tmp_path / "a"), card(tmp_path / "b")
    for recorder in (one, two):
        (recorder.root / "sn.txt").write_text("SN00017")
    registered(dock, "1-1", one)
    dock.turn(2)
    dock.slots.cards["1-2"] = two
    dock.slots.broken = True
    with pytest.raises(DeviceBusyError):
        dock.home.service.offload(DockedDevice("faulty_card", "1-2", two.docked.address), dock.home.actor)


def test_a_recorder_moved_to_another_slot_is_the_same_recorder(dock: Dock, tmp_path: Path) -> None:
    registered(dock, "1-1", card(tmp_path / "a"))
    dock.turn(2)
    dock.slots.cards["1-2"] = dock.slots.cards.pop("1-1")
    dock.turn(2)
    assert (dock.home.findings(), dock.offloads()) == ([], 2)


def test_not_more_recorders_of_one_hub_than_it_carries_are_read_at_once(dock: Dock, tmp_path: Path) -> None:
    for number in range(5):
        one = FaultyCard(make_gb_tree(tmp_path / f"c{number}", {f"DCIM/{gb_name(device=f'100000{number}')}": CLIP}))
        registered(dock, f"1-1.{number}", one)
    dock.auto.step()
    assert len(dock.home.jobs.live_keys()) == 2
    dock.turn(5)
    assert dock.offloads() == 5


def test_a_drop_folder_is_read_when_there_is_news_and_only_then(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    driver = WatchFolderDriver([folder], settle_s=0.0)
    with Home(tmp_path / "home", drivers=[driver]) as home:
        dock = Dock(home, Slots())
        driver.scan()
        home.service.register_device(driver.scan()[0], home.actor)
        dock.turn(10, seconds=20)
        assert dock.offloads() == 1
        (folder / gb_name()).write_bytes(CLIP)
        dock.turn(4, seconds=20)
        assert (dock.offloads(), len(home.rows())) == (2, 1)
        dock.turn(4, seconds=20)
        assert dock.offloads() == 2


def test_a_drop_folder_is_not_asked_for_again_file_by_file_and_still_tells_its_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_gb_tree(tmp_path / "drop", {gb_name(counter=n): CLIP + bytes([n]) for n in range(9)})
    driver = WatchFolderDriver([folder], settle_s=0.0)
    with Home(tmp_path / "home", drivers=[driver]) as home:
        (docked,) = driver.scan()
        home.service.register_device(docked, home.actor)
        home.offload(docked)
        assert not home.service.has_news(docked)
        asked: list[str] = []
        original = Recordings.find_by_source

        def counted(self: Recordings, device: DeviceId, key: SourceKey) -> RecordingRow | None:
            asked.append(key.path)
            return original(self, device, key)

        monkeypatch.setattr(Recordings, "find_by_source", counted)
        assert not home.service.has_news(docked)
        assert asked == []
        new = folder / gb_name(counter=77)
        new.write_bytes(CLIP)
        assert home.service.has_news(docked)
        assert asked == [new.name]
        home.offload(docked)
        assert not home.service.has_news(docked)
        new.write_bytes(CLIP + b"changed")
        assert home.service.has_news(docked)


@pytest.mark.root
def test_automatic_clearing_follows_once_everything_is_sealed(tmp_path: Path) -> None:
    settings = IngestSettings(station="station-1", clearing=ClearingMode.AUTOMATIC, free_floor_bytes=0)
    slots = Slots()
    with (
        tmpfs(tmp_path / "disk") as disk,
        Home(tmp_path / "home", second=disk / "store", drivers=[slots], settings=settings) as home,
    ):
        dock = Dock(home, slots)
        film = FaultyCard(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": footage.phone_mp4()}))
        registered(dock, "1-1", film)
        dock.turn(4)
        assert {row.state for row in home.rows()} == {RecordingState.RELEASED}
        assert not list((tmp_path / "card").rglob("*.mp4"))
        assert dock.turn(5) == 0, "and then there is nothing more to do"
        home.check()


def test_r04_a_recorder_that_goes_on_writing_in_its_dock_is_looked_at_again(dock: Dock, tmp_path: Path) -> None:
    one = card(tmp_path / "card")
    (one.root / "sn.txt").write_text("SN00017")
    written = one.root / "DCIM" / gb_name(counter=9, mark="_start")
    written.write_bytes(CLIP)
    registered(dock, "1-1", one)
    dock.turn(30, seconds=10)
    assert dock.offloads() == 1
    written.rename(one.root / "DCIM" / gb_name(counter=9))
    dock.turn(2, minutes=10)
    assert {row.state for row in dock.home.rows()} == {RecordingState.STORED}
    assert len(dock.home.rows()) == 3
    dock.turn(30, minutes=10)
    assert dock.offloads() == 2


def test_a_recording_whose_first_copy_was_lost_is_read_again_while_its_recorder_is_still_docked(
    dock: Dock, tmp_path: Path
) -> None:
    registered(dock, "1-1", card(tmp_path / "card"))
    dock.auto.step()
    dock.home.clock.advance(seconds=2)
    lost: list[Path] = []
    enqueue = dock.home.service._enqueue_secure

    def spoil(row: RecordingRow) -> None:
        if not lost:
            lost.append(dock.home.parts.partial(row.id))
            lost[0].unlink()
        enqueue(row)

    dock.home.service._enqueue_secure = spoil  # type: ignore[method-assign]
    dock.turn(1)
    assert RecordingState.INTERRUPTED in {row.state for row in dock.home.rows()}
    dock.turn(10, seconds=20)
    assert {row.state for row in dock.home.rows()} == {RecordingState.STORED}
    assert dock.home.findings() == ["bytes-lost"]


def test_what_could_not_be_cleared_is_sealed_all_the_same(tmp_path: Path) -> None:
    settings = IngestSettings(station="station-1", clearing=ClearingMode.AUTOMATIC, free_floor_bytes=0)
    slots = Slots()
    with Home(tmp_path / "home", drivers=[slots], settings=settings) as home:
        dock = Dock(home, slots)
        one = card(tmp_path / "card")
        one.without = {Cap.DELETE}
        registered(dock, "1-1", one)
        dock.turn(20, seconds=20)
        assert dock.offloads() == 1, "a recorder that cannot be cleared is not read again for that"
        outcome = home.service.outcome(dock.auto.docked()[0])
        assert outcome
        assert outcome.error == ""


def test_the_jobs_database_can_be_lost_without_losing_work(tmp_path: Path) -> None:
    root = tmp_path / "home"
    one = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})
    with Home(root) as home:
        home.service.offload(home.dock(one), home.actor, register=True)
    with Home(root, jobs=InlineEngine()) as home:
        assert {row.state for row in home.rows()} == {RecordingState.ACQUIRED}
        home.service._reconcile_job("")
        home.settle()
        assert {row.state for row in home.rows()} == {RecordingState.STORED}
        home.check()


def test_a_long_description_delays_nobodys_second_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, go_on = threading.Semaphore(0), threading.Event()

    def long_look(_parts: Parts, _recording: RecordingId) -> None:
        looking.release()
        go_on.wait(30)

    monkeypatch.setattr("ingest.session.ensure_described", long_look)
    engine = DbosEngine(f"sqlite:///{tmp_path}/flow.db", clock=SystemClock(), poll_s=0.05)
    one = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in range(5)})
    with Home(tmp_path / "home", jobs=engine) as home:
        try:
            home.service.offload(home.dock(one), home.actor, register=True)
            for _ in range(home.settings.secure_concurrency):  # every lane of descriptions is taken
                assert looking.acquire(timeout=30)
            for _ in range(300):
                if {row.state for row in home.rows()} == {RecordingState.STORED}:
                    break
                time.sleep(0.1)
            assert {row.state for row in home.rows()} == {RecordingState.STORED}
        finally:
            go_on.set()
