"""An MTP recorder that misbehaves: silent, stalling, lying, locked, huge, or one of eight at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from usbip.classes.device import mtp

from devices.mtp.driver import MtpDriver
from devices.mtp.protocol import Op
from evidence.clock import TimeReading
from evidence.digest import sha256_of
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceTimeoutError,
    DeviceUnsupportedError,
    InvalidInputError,
    SourceChangedError,
)
from evidence.ids import DeviceId, RecordingId
from evidence.model import Cap, ReleaseReceipt
from evidence.transfer import transfer
from support.recorders import FolderStore, MtpRecorder, docked_mtp_recorders, gb_name, make_gb_tree

NAME = f"DCIM/{gb_name()}"
DATA = os.urandom(3_000_000)
NOW = TimeReading(datetime(2026, 11, 22, 4, 0, 0, tzinfo=UTC), 0, "synchronised", 1)


@pytest.fixture
def root(tmp_path):
    return make_gb_tree(tmp_path / "card", {NAME: DATA})


def opened(recorder, **more):
    driver = recorder.driver(**more)
    return contextlib.closing(driver.open(driver.scan()[0]))


def read(session, source, *, offset=0):
    data, buffer = bytearray(), bytearray(1 << 20)
    with session.open_read(source, offset=offset) as reader:
        while count := reader.readinto(memoryview(buffer)):
            data += buffer[:count]
    return bytes(data)


def test_a_silent_read_times_out_is_cancelled_and_the_session_goes_on(root):
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.2) as session:
        source = next(session.list_objects())
        recorder.interface.faults[Op.GET_PARTIAL_OBJECT_64] = "silent"
        with pytest.raises(DeviceTimeoutError):
            read(session, source)
        recorder.interface.faults.clear()
        assert read(session, source) == DATA


def test_an_answer_that_comes_after_the_timeout_is_never_taken_for_the_next_one(root):
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.2) as session:
        source = next(session.list_objects())
        recorder.interface.faults[Op.GET_PARTIAL_OBJECT_64] = "silent"
        with pytest.raises(DeviceTimeoutError):
            read(session, source)
        recorder.interface.faults.clear()
        recorder.interface._data(Op.GET_PARTIAL_OBJECT_64, 7, b"stale bytes of an old transaction")
        recorder.interface._resp(0x2001, 7)
        with pytest.raises(DeviceError):
            read(session, source)
        assert read(session, source) == DATA


def test_what_a_killed_process_left_in_the_pipe_does_not_reach_the_next_session(root):
    with MtpRecorder(root) as recorder:
        original = recorder.interface._dispatch

        def stale_first(data):
            recorder.interface._dispatch = original
            recorder.interface._data(0x1009, 99, b"left over")
            return original(data)

        recorder.interface._dispatch = stale_first
        with opened(recorder, timeout_s=0.5) as session:
            assert read(session, next(session.list_objects())) == DATA


def test_one_stall_is_cleared_and_the_read_goes_on(root):
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=1) as session:
        source = next(session.list_objects())
        recorder.interface.faults[Op.GET_PARTIAL_OBJECT_64] = "stall"
        assert read(session, source) == DATA


def test_a_stall_that_comes_back_is_an_error_and_not_wrong_bytes(root):
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.3) as session:
        source = next(session.list_objects())
        endpoint = recorder.interface.in_ep
        clear, endpoint.clear_halt = endpoint.clear_halt, lambda: None
        recorder.interface.faults[Op.GET_PARTIAL_OBJECT_64] = "stall"
        with pytest.raises(DeviceError) as caught:
            read(session, source)
        assert caught.value.code == "device-stalled"
        endpoint.clear_halt = clear


def test_a_network_that_goes_silent_is_a_gone_device_within_the_time_limit(root):
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.2) as session:
        source = next(session.list_objects())
        recorder.cable.stall()
        with pytest.raises(DeviceGoneError):
            read(session, source)
        with pytest.raises(DeviceGoneError):
            list(session.list_objects())


def test_leaving_a_stream_early_cancels_it_and_the_session_goes_on(root):
    with MtpRecorder(root, without=(0x95C1, 0x101B)) as recorder, opened(recorder) as session:
        source = next(session.list_objects())
        assert Cap.RESUME not in session.caps
        with session.open_read(source) as reader:
            buffer = bytearray(1000)
            assert reader.readinto(memoryview(buffer)) == 1000
            assert buffer == DATA[:1000]
        assert read(session, source, offset=2_999_000) == DATA[2_999_000:]


def test_a_recorder_that_shows_no_storage_is_busy_and_not_empty(root):
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        recorder.interface.storage.storage_ids = []
        with pytest.raises(DeviceBusyError):
            list(session.list_objects())
        assert session.status(NOW).capacity_bytes is None


def test_a_file_beyond_4_gib_is_listed_and_read_across_the_edge(tmp_path):
    path = tmp_path / "card" / "LONG.MP4"
    path.parent.mkdir()
    edge = 1 << 32
    with path.open("wb") as file:
        file.truncate(edge + 10_000)
        file.seek(edge - 6)
        file.write(b"beforeAFTER")
    with MtpRecorder(path.parent) as recorder, opened(recorder) as session:
        source = next(session.list_objects())
        assert source.key.size_bytes == edge + 10_000
        tail = read(session, source, offset=edge - 6)
        assert tail == b"beforeAFTER" + bytes(9_995)
    with MtpRecorder(path.parent, without=(0x95C1, 0x101B, 0x9803)) as recorder, opened(recorder) as session:
        assert list(session.list_objects()) == []
        assert [refused.reason for refused in session.refused] == ["size-unknown"]


def test_eight_recorders_are_read_at_the_same_time_bit_exact(tmp_path):
    roots = {f"900000{n}": make_gb_tree(tmp_path / f"card{n}", {NAME: os.urandom(2_000_000)}) for n in range(8)}
    got: dict[str, str] = {}
    with docked_mtp_recorders(roots) as (_, backend):
        driver = MtpDriver(backend)
        docked = driver.scan()
        assert len({device.slot for device in docked}) == 8

        def offload(device):
            with contextlib.closing(driver.open(device)) as session:
                source = next(session.list_objects())
                hasher = hashlib.sha256()
                with session.open_read(source) as reader:
                    transfer(reader, None, [hasher])
                got[session.identity.serial] = hasher.hexdigest()

        threads = [threading.Thread(target=offload, args=(device,)) for device in docked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {serial: hashlib.sha256((root / NAME).read_bytes()).hexdigest() for serial, root in roots.items()}


def test_scanning_while_a_recorder_is_read_does_not_disturb_it(root):
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        driver = MtpDriver(recorder.backend)
        source = next(session.list_objects())
        data, buffer = bytearray(), bytearray(100_000)
        with session.open_read(source) as reader:
            while count := reader.readinto(memoryview(buffer)):
                data += buffer[:count]
                assert len(driver.scan()) == 1
        assert data == DATA


def test_a_second_session_on_the_same_recorder_is_refused_as_busy(root):
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        driver = MtpDriver(recorder.backend)
        with pytest.raises(DeviceBusyError):
            driver.open(driver.scan()[0])
        assert read(session, next(session.list_objects())) == DATA


@pytest.mark.parametrize(
    ("clock", "offset_s", "plausible"),
    [
        ("20261122T120000", 0, True),
        ("20261122T120130", 90, True),
        ("20261122T040000Z", 0, True),
        ("20261122T130000.0+0900", 0, True),
        ("19800101T000000", None, False),
        ("20990101T000000", None, False),
        ("20261124T120000", 172_800, False),
    ],
)
def test_r02_the_clock_offset_is_read_before_setting_and_implausible_clocks_are_told_as_such(
    root, clock, offset_s, plausible
):
    with MtpRecorder(root, clock=clock) as recorder, opened(recorder) as session:
        reading = session.status(NOW).clock
        assert reading.device_text == clock
        assert reading.plausible is plausible
        if offset_s is not None:
            assert reading.offset_ms == offset_s * 1000
        before = session.set_clock(NOW)
        assert before.offset_ms == reading.offset_ms
        assert abs(session.status(NOW).clock.offset_ms) < 1000


def test_a_clock_that_cannot_be_read_is_unknown_and_never_invented(root):
    for text in ("", "yesterday", "20261399T000000"):
        with MtpRecorder(root, clock=text) as recorder, opened(recorder) as session:
            assert session.status(NOW).clock is None
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        assert session.caps.isdisjoint({Cap.CLOCK_GET, Cap.CLOCK_SET, Cap.BATTERY})
        with pytest.raises(DeviceUnsupportedError):
            session.set_clock(NOW)


def test_a_battery_beyond_100_percent_is_unknown(root):
    with MtpRecorder(root, battery=255) as recorder, opened(recorder) as session:
        assert session.status(NOW).battery_percent is None


class TwinStore(FolderStore):
    """Lists one name twice in one folder, which MTP allows and no file system does."""

    def listdir(self, path):
        return super().listdir(path) + (["TWIN.MP4/", "TWIN.MP4"] if path == "" else [])

    def stat(self, path):
        return (False, 4, 1000.0) if "TWIN" in path else super().stat(path)

    def read(self, path, offset, size):
        data = b"two." if path.endswith("/") else b"one."
        return data[offset : None if size is None else offset + size]

    def remove(self, path):
        raise AssertionError(path)


def test_two_objects_with_one_path_are_both_read_and_neither_is_ever_removed(root):
    recorder = MtpRecorder(root)
    storage = recorder.interface.storage = mtp.MtpStorage(TwinStore(root))
    for entry in storage.objects.values():
        entry["name"] = entry["name"].rstrip("/")
    with recorder, opened(recorder) as session:
        twins = [source for source in session.list_objects() if "TWIN" in source.key.path]
        assert [twin.key.path for twin in twins] == ["TWIN.MP4", "TWIN.MP4\\x002"]
        assert {read(session, twin) for twin in twins} == {b"one.", b"two."}
        for twin in twins:
            receipt = ReleaseReceipt(RecordingId.new(1), DeviceId.new(1), twin.key, sha256_of(b""), 1, 2, ("a", "b"))
            with pytest.raises(SourceChangedError):
                session.delete(twin, receipt)


def test_a_slash_in_an_objects_name_does_not_make_a_folder(root):
    recorder = MtpRecorder(root)
    entry = next(entry for entry in recorder.interface.storage.objects.values() if not entry["is_dir"])
    entry["name"] = "../../etc/passwd"
    with recorder, opened(recorder) as session:
        (source,) = session.list_objects()
        assert source.key.path == "DCIM/..\\\\x2f..\\\\x2fetc\\\\x2fpasswd"
        assert read(session, source) == DATA


def test_folders_that_contain_each_other_end(root):
    recorder = MtpRecorder(root)
    storage = recorder.interface.storage
    folder = next(handle for handle, entry in storage.objects.items() if entry["is_dir"])
    listing = storage.list_handles
    storage.list_handles = lambda sid, fmt, parent: [*listing(sid, fmt, parent), folder]
    with recorder, opened(recorder) as session:
        assert [source.name for source in session.list_objects()] == [gb_name()]


@pytest.mark.parametrize("serial", ["0123456789ABCDEF", "00000000", "", "ffffffff"])
def test_a_placeholder_serial_is_no_identity(root, serial):
    with MtpRecorder(root, serial=serial) as recorder, opened(recorder) as session:
        assert session.identity.serial_source == "path"
        assert session.identity.serial == "slot-1-1"


def test_an_address_that_is_not_ours_is_refused_and_an_old_one_is_gone(root):
    with MtpRecorder(root) as recorder:
        driver = recorder.driver()
        (docked,) = driver.scan()
        for address in ("", "x", "1", "1:", ":2", "1:x", "１:2"):
            with pytest.raises(InvalidInputError):
                driver.open(replace(docked, address=address))
        for stale in (replace(docked, address="1:99"), replace(docked, slot="1-2")):
            with pytest.raises(DeviceGoneError):
                driver.open(stale)


def _operations(recorder: MtpRecorder, act) -> int:
    before = len(recorder.interface.operations)
    act()
    return len(recorder.interface.operations) - before


def test_removing_a_file_does_not_ask_about_all_the_others_again(tmp_path):
    names = [f"DCIM/{gb_name(counter=n)}" for n in range(60)]
    root = make_gb_tree(tmp_path / "card", dict.fromkeys(names, b"bytes"))
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        sources = list(session.list_objects())
        assert len(sources) == 60
        for source in sources[:30]:
            receipt = ReleaseReceipt(RecordingId.new(1), DeviceId.new(1), source.key, sha256_of(b""), 1, 2, ("a", "b"))
            assert _operations(recorder, lambda source=source, receipt=receipt: session.delete(source, receipt)) < 20
        assert sorted(f"DCIM/{path.name}" for path in (root / "DCIM").iterdir()) == sorted(
            source.key.path for source in sources[30:]
        )


def test_a_file_that_changed_after_the_listing_is_not_removed(root):
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        source = next(session.list_objects())
        (root / NAME).write_bytes(DATA + b"more")
        recorder.refresh()
        receipt = ReleaseReceipt(RecordingId.new(1), DeviceId.new(1), source.key, sha256_of(b""), 1, 2, ("a", "b"))
        with pytest.raises(SourceChangedError):
            session.delete(source, receipt)
        assert (root / NAME).exists()


def _answer_for(recorder, operation, wanted, code):
    """Let the recorder answer one operation about one handle with a response code, or fall silent (None)."""
    original = recorder.interface._dispatch

    def dispatch(data):
        if len(data) >= 16 and struct.unpack_from("<H", data, 6)[0] == operation:
            transaction, handle = struct.unpack_from("<I", data, 8)[0], struct.unpack_from("<I", data, 12)[0]
            if handle in wanted:
                return None if code is None else recorder.interface._resp(code, transaction)
        return original(data)

    recorder.interface._dispatch = dispatch


@pytest.mark.parametrize("code", [0x2002, 0x200F, 0x2019, 0xA801, None])
@pytest.mark.parametrize("operation", [Op.GET_OBJECT_INFO, Op.GET_OBJECT_PROP_VALUE])
def test_one_object_that_cannot_be_told_does_not_keep_the_others_on_the_recorder(root, code, operation):
    (root / "DCIM" / gb_name(counter=2)).write_bytes(b"other")
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.2) as session:
        handles = {entry["name"]: handle for handle, entry in recorder.interface.storage.objects.items()}
        _answer_for(recorder, operation, {handles[gb_name()]}, code)
        names = [source.name for source in session.list_objects()]
        assert gb_name(counter=2) in names
        if operation is Op.GET_OBJECT_INFO:
            assert [one.reason for one in session.refused] == ["unreadable"]
        elif code is None:
            assert [one.reason for one in session.refused] == ["size-unknown"], "its 32 bits may be a lie"
        else:
            assert (session.refused, gb_name() in names) == ([], True)


def test_a_recorder_that_falls_silent_for_every_object_is_given_up(tmp_path):
    root = make_gb_tree(tmp_path / "card", {gb_name(counter=n): b"bytes" for n in range(9)})
    with MtpRecorder(root) as recorder, opened(recorder, timeout_s=0.1) as session:
        _answer_for(recorder, Op.GET_OBJECT_INFO, set(recorder.interface.storage.objects), None)
        with pytest.raises(DeviceTimeoutError):
            list(session.list_objects())


def test_a_folder_that_cannot_be_listed_is_told_and_what_is_in_it_is_not_said_to_be_gone(root):
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        (source,) = session.list_objects()
        folder = next(h for h, entry in recorder.interface.storage.objects.items() if entry["is_dir"])
        original = recorder.interface._dispatch

        def dispatch(data):
            if struct.unpack_from("<H", data, 6)[0] == Op.GET_OBJECT_HANDLES and data[20:24] == struct.pack(
                "<I", folder
            ):
                return recorder.interface._resp(0x2002, struct.unpack_from("<I", data, 8)[0])
            return original(data)

        recorder.interface._dispatch = dispatch
        receipt = ReleaseReceipt(RecordingId.new(1), DeviceId.new(1), source.key, sha256_of(b""), 1, 2, ("a", "b"))
        with pytest.raises(DeviceError):
            session.delete(source, receipt)
        assert (list(session.list_objects()), [one.reason for one in session.refused]) == ([], ["unreadable"])
        assert (root / NAME).exists()


def test_without_libusb_there_are_no_devices_and_no_crash(monkeypatch):
    import usb.core

    def no_backend(**_more):
        raise usb.core.NoBackendError("No backend available")

    monkeypatch.setattr(usb.core, "find", no_backend)
    driver = MtpDriver()
    assert driver.scan() == []
    assert driver.scan() == []


@pytest.mark.parametrize("size", [500, 1012, (1 << 20) + 500, 2 << 20])
def test_the_read_that_reaches_the_end_never_fills_its_last_packet(tmp_path, size):
    root = make_gb_tree(tmp_path / "card", {NAME: os.urandom(size)})
    with MtpRecorder(root) as recorder, opened(recorder) as session:
        asked, original = [], recorder.interface.storage.read

        def spy(handle, offset=0, count=None):
            asked.append((offset, count))
            return original(handle, offset, count)

        recorder.interface.storage.read = spy
        assert read(session, next(session.list_objects())) == (root / NAME).read_bytes()
        assert all((count + 12) % 512 for offset, count in asked if offset + count == size)
        assert max(count for _, count in asked) <= 1 << 20
