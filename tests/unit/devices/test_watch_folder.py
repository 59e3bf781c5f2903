"""A drop folder takes complete files and lets the others wait, whatever events come or do not come."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from devices.watch_folder.driver import WatchFolderDriver
from devices.watch_folder.protocol import Observation, Settling, is_temporary
from evidence.errors import ConfigError, DeviceUnsupportedError
from evidence.ports import DockedDevice


def listing(driver):
    with contextlib.closing(driver.open(driver.scan()[0])) as session:
        return [source.key.path for source in session.list_objects()], list(session.waiting)


@pytest.mark.parametrize(
    "name",
    [
        ".A.MP4.Xy12ab",
        "A.MP4.part",
        "A.mp4.TMP",
        "~A.mp4",
        "A.mp4~",
        "A.mp4.crdownload",
        "1_2_20260101101010_0001_start.mp4",
    ],
)
def test_names_of_transfers_in_progress_wait(tmp_path, name):
    assert is_temporary(name)
    (tmp_path / name).write_bytes(b"x")
    assert listing(WatchFolderDriver([tmp_path], settle_s=0.01)) == ([], [name])


def test_a_file_that_still_grows_waits_and_is_taken_when_it_rests(tmp_path):
    path, stop = tmp_path / "A.MP4", threading.Event()
    path.write_bytes(b"x")
    (tmp_path / "B.MP4").write_bytes(b"done")

    def grow():
        while not stop.is_set():
            with path.open("ab") as file:
                file.write(b"x")
            time.sleep(0.002)

    thread = threading.Thread(target=grow)
    thread.start()
    driver = WatchFolderDriver([tmp_path], settle_s=0.05)
    try:
        assert listing(driver) == (["B.MP4"], ["A.MP4"])
        assert listing(driver) == (["B.MP4"], ["A.MP4"])
    finally:
        stop.set()
        thread.join()
    assert listing(driver) == (["A.MP4", "B.MP4"], [])


def test_files_seen_at_rest_before_are_listed_without_waiting(tmp_path):
    (tmp_path / "A.MP4").write_bytes(b"x")
    driver = WatchFolderDriver([tmp_path], settle_s=0.3)
    listing(driver)
    start = time.monotonic()
    assert listing(driver) == (["A.MP4"], [])
    assert time.monotonic() - start < 0.2


def test_closing_ends_a_listing_that_waits(tmp_path):
    (tmp_path / "A.MP4").write_bytes(b"x")
    driver = WatchFolderDriver([tmp_path], settle_s=60)
    session = driver.open(driver.scan()[0])
    threading.Timer(0.05, session._closed.set).start()
    assert list(session.list_objects()) == []
    assert session.waiting == ("A.MP4",)
    session.close()


def test_a_file_replaced_by_one_of_the_same_size_starts_to_settle_anew():
    settling, first, second = Settling(5.0), Observation("a", 4, "1"), Observation("a", 4, "2")
    settling.observe([first], monotonic_s=0.0)
    settling.observe([first], monotonic_s=5.0)
    assert settling.is_settled(first, monotonic_s=5.0)
    settling.observe([second], monotonic_s=6.0)
    assert not settling.is_settled(second, monotonic_s=10.9)
    assert settling.is_settled(second, monotonic_s=11.0)
    assert not settling.is_settled(first, monotonic_s=100.0)


def test_a_dropped_file_is_hinted_at_once(tmp_path):
    seen = threading.Event()
    driver = WatchFolderDriver([tmp_path, tmp_path / "missing"])
    driver.start(seen.set)
    try:
        (tmp_path / "A.MP4").write_bytes(b"x")
        assert seen.wait(5)
    finally:
        driver.stop()
        driver.stop()


def test_a_folder_is_one_source_and_a_new_folder_of_the_same_name_is_another(tmp_path):
    folder = tmp_path / "drop"
    serials = []
    for _ in range(2):
        folder.mkdir()
        driver = WatchFolderDriver([folder])
        with contextlib.closing(driver.open(driver.scan()[0])) as session:
            serials.append(session.identity.serial)
        with contextlib.closing(driver.open(driver.scan()[0])) as session:
            assert session.identity.serial == serials[-1]
        folder.rename(tmp_path / "old") if not (tmp_path / "old").exists() else None
    assert serials[0] != serials[1]
    assert session.identity.serial_source == "path"


def test_a_folder_that_is_not_configured_is_not_opened(tmp_path):
    driver = WatchFolderDriver([tmp_path / "drop"])
    assert driver.scan() == []
    with pytest.raises(DeviceUnsupportedError):
        driver.open(DockedDevice("watch_folder", str(tmp_path), str(tmp_path)))
    with pytest.raises(ConfigError):
        WatchFolderDriver([], settle_s=-1)
