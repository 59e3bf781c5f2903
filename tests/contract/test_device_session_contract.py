"""What every device session must do, whatever is behind it: run on a card, a drop folder and three kinds of MTP recorder."""

from __future__ import annotations

import contextlib
import hashlib
import os

import pytest

from devices.mass_storage.driver import MassStorageDriver
from devices.watch_folder.driver import WatchFolderDriver
from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import (
    DeviceError,
    DeviceGoneError,
    DeviceUnsupportedError,
    InvalidInputError,
    SourceChangedError,
)
from evidence.ids import DeviceId, RecordingId
from evidence.model import Cap, ReleaseReceipt, SourceKey
from evidence.names import original_bytes
from support.recorders import MtpRecorder, gb_name, make_gb_tree

MIB = 1 << 20
#: Sizes around USB packets (512 less the 12-byte header), around one ranged read, and the empty file.
SIZES = (0, 1, 499, 500, 501, 512, 1012, 65_536, MIB - 12, MIB, MIB + 1, 2 * MIB + 500)
BIG = f"DCIM/100MEDIA/{gb_name(counter=99)}"


def content(size: int) -> bytes:
    return (hashlib.shake_128(str(size).encode()).digest(4096) * (size // 4096 + 1))[:size]


def tree() -> dict[str, bytes]:
    media = {f"DCIM/100MEDIA/{gb_name(counter=number)}": content(size) for number, size in enumerate(SIZES)}
    return media | {BIG: content(3 * MIB + 777), "police/sound/20261122/900123_2_20261122_093000_IMP.mp3": b"sound"}


def receipt_for(key: SourceKey) -> ReleaseReceipt:
    return ReleaseReceipt(
        recording=RecordingId.new(1), device=DeviceId.new(1), source=key, sha256=sha256_of(b""), entry_index=1,
        checkpoint_size=2, domains=("disk:a", "disk:b"),
    )  # fmt: skip


def read(session, source, *, offset=0, step=300_000, into=None) -> bytes:
    data = bytearray() if into is None else into
    with session.open_read(source, offset=offset) as reader:
        buffer = bytearray(step)
        while count := reader.readinto(memoryview(buffer)):
            data += buffer[:count]
    return bytes(data)


def named(session, path):
    return next(source for source in session.list_objects() if source.key.path == path)


class Folder:
    """A directory as a device: it is unplugged by moving it away."""

    def __init__(self, root, driver):
        self.root, self._driver = root, driver
        self._away = root.with_name("unplugged")

    def open(self):
        return self._driver.open(self._driver.scan()[0])

    def refresh(self):
        pass

    def replug(self):
        if self._away.exists():
            self._away.replace(self.root)

    def read_until_unplugged(self, session, source, after, data):
        with session.open_read(source) as reader:
            buffer = bytearray(65_536)
            while True:
                if len(data) >= after and self.root.exists():
                    self.root.replace(self._away)
                data += buffer[: reader.readinto(memoryview(buffer))]


class Mtp:
    def __init__(self, recorder):
        self.root, self._recorder = recorder.root, recorder

    def open(self):
        driver = self._recorder.driver()
        return driver.open(driver.scan()[0])

    def refresh(self):
        self._recorder.refresh()

    def replug(self):
        self._recorder.plug()

    def read_until_unplugged(self, session, source, after, data):
        self._recorder.cut_after(after)
        read(session, source, into=data)


class SessionContract:
    """Subclasses give a ``dock`` fixture over the tree above."""

    hostile = (
        "-rf.mp4",
        "a\nb.mp4",
        "\u202e4pm.exe",
        "\\x41.mp4",
        "' OR 1=1 --.mp4",
        "<img src=x>.mp4",
        "%2e%2e",
        "\u3000.mp4",
    )

    @pytest.fixture
    def session(self, dock):
        session = dock.open()
        yield session
        session.close()

    def test_every_file_is_listed_once_with_its_size_and_in_the_same_order_each_time(self, session):
        listed = list(session.list_objects())
        assert {source.key.path: source.key.size_bytes for source in listed} == {
            path: len(data) for path, data in tree().items()
        }
        assert [source.key for source in session.list_objects()] == [source.key for source in listed]
        assert all(source.name == source.key.path.rpartition("/")[2] for source in listed)

    def test_identities_of_files_are_the_same_at_the_next_docking(self, dock):
        keys = []
        for _ in range(2):
            with contextlib.closing(dock.open()) as session:
                keys.append(([source.key for source in session.list_objects()], session.identity))
        assert keys[0] == keys[1]

    def test_a_file_is_read_whole_and_bit_exact(self, session):
        for source in session.list_objects():
            assert read(session, source) == tree()[source.key.path]

    def test_a_file_is_read_from_any_offset(self, session):
        source, whole = named(session, BIG), tree()[BIG]
        for offset in (1, 11, 500, 511, 512, 513, MIB - 12, MIB - 1, MIB, MIB + 1, 3 * MIB, len(whole) - 1, len(whole)):
            assert read(session, source, offset=offset) == whole[offset:]

    @pytest.mark.parametrize("step", [1000, 4096, 1 << 22])
    def test_the_reader_accepts_buffers_of_any_size(self, session, step):
        assert read(session, named(session, BIG), step=step) == tree()[BIG]

    def test_an_offset_outside_the_file_is_refused(self, session):
        source = named(session, BIG)
        for offset in (-1, source.key.size_bytes + 1):
            with pytest.raises(InvalidInputError), session.open_read(source, offset=offset):
                pass

    @pytest.mark.parametrize("after", [0, 1, 47, 48, 60, 61, 600, 70_000, MIB, MIB + 108, MIB + 109, 2 * MIB, 3 * MIB])
    def test_unplugging_gives_only_right_bytes_then_an_error_and_the_rest_at_the_next_docking(self, dock, after):
        whole, data = tree()[BIG], bytearray()
        session = dock.open()
        source = named(session, BIG)
        with pytest.raises(DeviceGoneError):
            dock.read_until_unplugged(session, source, after, data)
        assert whole.startswith(data)
        with pytest.raises(DeviceError):
            list(session.list_objects())
        session.close()
        dock.replug()
        with contextlib.closing(dock.open()) as again:
            assert bytes(data) + read(again, named(again, BIG), offset=len(data)) == whole

    def test_an_unplugged_device_cannot_be_opened(self, dock):
        with contextlib.closing(dock.open()) as session, pytest.raises(DeviceGoneError):
            dock.read_until_unplugged(session, named(session, BIG), 1000, bytearray())
        with pytest.raises((DeviceError, IndexError)):
            dock.open()
        dock.replug()

    def test_closing_twice_is_harmless_and_the_device_can_be_opened_again(self, dock):
        session = dock.open()
        session.close()
        session.close()
        with contextlib.closing(dock.open()) as again:
            assert read(again, named(again, BIG)) == tree()[BIG]

    def test_r08_a_receipt_for_another_file_removes_nothing(self, dock, session):
        listed = list(session.list_objects())
        for wrong in (
            listed[1].key,
            SourceKey(listed[0].key.storage, listed[0].key.path, listed[0].key.size_bytes + 1, listed[0].key.mtime_raw),
            SourceKey(listed[0].key.storage, listed[0].key.path, listed[0].key.size_bytes, "0"),
        ):
            with pytest.raises(SourceChangedError):
                session.delete(listed[0], receipt_for(wrong))
        assert all((dock.root / path).read_bytes() == data for path, data in tree().items())

    def test_a_receipt_removes_exactly_its_file_and_absent_counts_as_removed(self, dock, session):
        source = named(session, BIG)
        for _ in range(2):
            session.delete(source, receipt_for(source.key))
        assert not (dock.root / BIG).exists()
        assert {source.key.path for source in session.list_objects()} == set(tree()) - {BIG}

    def test_r08_a_file_that_is_not_the_sealed_one_is_neither_read_nor_removed(self, dock, session):
        source = named(session, BIG)
        (dock.root / BIG).write_bytes(b"other footage")
        dock.refresh()
        with pytest.raises(SourceChangedError):
            read(session, source)
        with pytest.raises(SourceChangedError):
            session.delete(source, receipt_for(source.key))
        assert (dock.root / BIG).read_bytes() == b"other footage"

    def test_an_object_of_another_driver_is_refused(self, session):
        from dataclasses import replace

        for locator in (None, "x", (), (b"..", b"passwd"), (b"a/b",)):
            foreign = replace(named(session, BIG), locator=locator)
            with pytest.raises((InvalidInputError, SourceChangedError)):
                read(session, foreign)

    def test_hostile_names_are_listed_escaped_and_readable(self, dock):
        for name in self.hostile:
            (dock.root / os.fsdecode(name) if isinstance(name, str) else dock.root / name.decode("utf-8", "surrogateescape")
             ).write_bytes(b"evidence")  # fmt: skip
        dock.refresh()
        with contextlib.closing(dock.open()) as session:
            new = [source for source in session.list_objects() if source.key.path not in tree()]
            assert len(new) == len(self.hostile)
            assert len({source.key for source in new}) == len(self.hostile)
            for source in new:
                assert source.name.isprintable() or source.name == source.name.strip()
                assert "\n" not in source.name
                assert "\u202e" not in source.name
                original_bytes(source.key.path)
                assert read(session, source) == b"evidence"

    def test_status_tells_space_and_invents_nothing(self, session):
        status = session.status(SystemClock().now())
        assert status.capacity_bytes >= status.free_bytes >= 0
        assert (status.clock is not None) == (Cap.CLOCK_GET in session.caps)
        assert (status.battery_percent is not None) == (Cap.BATTERY in session.caps)

    def test_what_is_not_offered_is_refused_as_unsupported(self, session):
        if Cap.CLOCK_SET not in session.caps:
            with pytest.raises(DeviceUnsupportedError):
                session.set_clock(SystemClock().now())
        with pytest.raises(DeviceUnsupportedError):
            session.eject()

    def test_reading_changes_nothing_on_the_device(self, dock, session):
        def look():
            return {path: (s := (dock.root / path).stat(), s.st_atime_ns)[1] for path in tree()}

        for path in tree():
            os.utime(dock.root / path, ns=(1, (dock.root / path).stat().st_mtime_ns))
        before = look()
        for source in session.list_objects():
            read(session, source)
        if isinstance(dock, Folder):
            assert look() == before


class TestMassStorage(SessionContract):
    hostile = (*SessionContract.hostile, b"\xff\xfe\x80.mp4", b"\xc3\x28")

    @pytest.fixture
    def dock(self, tmp_path):
        root = make_gb_tree(tmp_path / "card", tree())
        return Folder(root, MassStorageDriver([root]))


class TestWatchFolder(SessionContract):
    hostile = (*SessionContract.hostile, b"\xff\xfe\x80.mp4", b"\xc3\x28")

    @pytest.fixture
    def dock(self, tmp_path):
        root = make_gb_tree(tmp_path / "drop", tree())
        return Folder(root, WatchFolderDriver([root], settle_s=0.01))


class TestMtpWith64BitRanges(SessionContract):
    without: tuple[int, ...] = ()

    @pytest.fixture
    def dock(self, tmp_path):
        root = make_gb_tree(tmp_path / "mtp", tree())
        with MtpRecorder(root, clock="20261122T120000", battery=71, without=self.without) as recorder:
            yield Mtp(recorder)


class TestMtpWith32BitRanges(TestMtpWith64BitRanges):
    without = (0x95C1, 0x9803)


class TestMtpWithoutRanges(TestMtpWith64BitRanges):
    without = (0x95C1, 0x101B)
