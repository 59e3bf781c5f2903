"""A crafted or dying card: links, special files, depth, bad sectors, and removal that must hit one file only."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from devices import tree as tree_module
from devices.session import Refused
from devices.tree import Tree, parts_of, source_of
from evidence.digest import sha256_of
from evidence.errors import (
    DeviceBusyError,
    DeviceGoneError,
    DeviceUnsupportedError,
    LimitExceededError,
    MediumError,
    SourceChangedError,
)
from evidence.ids import DeviceId, RecordingId
from evidence.limits import SOURCE_DEPTH_MAX
from evidence.model import ReleaseReceipt


@pytest.fixture
def card(tmp_path):
    root = tmp_path / "card"
    root.mkdir()
    (root / "A.MP4").write_bytes(b"footage" * 1000)
    return root


@pytest.fixture
def tree(card):
    tree = Tree(card)
    yield tree
    tree.close()


def listed(tree):
    return [source_of(found) for found in tree.walk()]


def receipt_of(source):
    return ReleaseReceipt(RecordingId.new(1), DeviceId.new(1), source.key, sha256_of(b""), 1, 2, ("disk:a", "disk:b"))


def drain(reader):
    while reader.readinto(memoryview(bytearray(5000))):
        pass


def fails_with(number):
    def fail(*_arguments, **_more):
        raise OSError(number, os.strerror(number))

    return fail


def test_links_and_special_files_are_refused_by_name_and_never_opened(card, tree):
    (card / "link.mp4").symlink_to("/etc/passwd")
    (card / "loop").symlink_to(card)
    os.mkfifo(card / "pipe.mp4")
    assert [source.name for source in listed(tree)] == ["A.MP4"]
    assert set(tree.refused) == {
        Refused("link.mp4", "symlink"), Refused("loop", "symlink"), Refused("pipe.mp4", "special-file"),
    }  # fmt: skip


def test_a_folder_that_becomes_a_link_after_listing_is_not_followed(card, tree, tmp_path):
    (card / "DCIM").mkdir()
    (card / "DCIM/B.MP4").write_bytes(b"b")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "B.MP4").write_bytes(b"b")
    os.utime(outside / "B.MP4", ns=(1, (card / "DCIM/B.MP4").stat().st_mtime_ns))
    source = next(source for source in listed(tree) if source.name == "B.MP4")
    (card / "DCIM").rename(tmp_path / "elsewhere")
    (card / "DCIM").symlink_to(outside)
    with pytest.raises(SourceChangedError), tree.open_read(source, offset=0):
        pass
    with pytest.raises(SourceChangedError):
        tree.delete(source, receipt_of(source))
    assert (outside / "B.MP4").exists()


def test_a_file_that_becomes_a_link_or_a_pipe_is_neither_read_nor_removed(card, tree, tmp_path):
    (source,) = listed(tree)
    target = tmp_path / "target.mp4"
    (card / "A.MP4").rename(target)
    for make in (lambda: (card / "A.MP4").symlink_to(target), lambda: os.mkfifo(card / "A.MP4")):
        make()
        with pytest.raises(SourceChangedError), tree.open_read(source, offset=0):
            pass
        with pytest.raises(SourceChangedError):
            tree.delete(source, receipt_of(source))
        (card / "A.MP4").unlink()
    assert target.exists()


def test_folders_deeper_than_any_recorders_are_refused_and_the_rest_is_listed(card, tree):
    deep = card.joinpath(*["d"] * (SOURCE_DEPTH_MAX + 3))
    deep.mkdir(parents=True)
    (deep / "B.MP4").write_bytes(b"")
    assert [source.name for source in listed(tree)] == ["A.MP4"]
    assert [refused.reason for refused in tree.refused] == ["too-deep"]


def test_more_files_than_any_recorder_has_is_a_limit_and_not_a_crash(card, tree, monkeypatch):
    monkeypatch.setattr(tree_module, "SOURCE_FILES_MAX", 3)
    for number in range(5):
        (card / f"{number}.mp4").write_bytes(b"")
    with pytest.raises(LimitExceededError):
        listed(tree)


def test_a_bad_range_of_the_medium_is_told_with_its_place_and_what_came_before_is_right(tree, monkeypatch):
    (source,) = listed(tree)
    with tree.open_read(source, offset=0) as reader:
        buffer = bytearray(70)
        assert reader.readinto(memoryview(buffer)) == 70
        monkeypatch.setattr(tree_module.os, "preadv", fails_with(errno.EIO))
        with pytest.raises(MediumError, match="from byte 70"):
            reader.readinto(memoryview(buffer))


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOMEDIUM])
def test_a_vanished_device_is_gone_and_not_a_bad_medium(tree, monkeypatch, number):
    (source,) = listed(tree)
    with tree.open_read(source, offset=0) as reader:
        monkeypatch.setattr(tree_module.os, "preadv", fails_with(number))
        with pytest.raises(DeviceGoneError):
            reader.readinto(memoryview(bytearray(10)))


def test_an_unreadable_folder_does_not_hide_the_others(card, tree, monkeypatch):
    for name in ("bad", "good"):
        (card / name).mkdir()
        (card / name / "B.MP4").write_bytes(b"")
    scandir = os.scandir

    def broken(fd):
        if Path(f"/proc/self/fd/{fd}").readlink().name == "bad":
            raise OSError(errno.EIO, "bad sector")
        return scandir(fd)

    monkeypatch.setattr(tree_module.os, "scandir", broken)
    assert [source.key.path for source in listed(tree)] == ["A.MP4", "good/B.MP4"]
    assert tree.refused == [Refused("bad", "unreadable")]


def test_a_file_that_shrinks_or_grows_while_it_is_read_is_an_error_at_the_latest_at_its_end(card, tree):
    (source,) = listed(tree)
    for change in (lambda: os.truncate(card / "A.MP4", 100), lambda: os.truncate(card / "A.MP4", 100_000)):
        (source,) = listed(tree)
        with tree.open_read(source, offset=0) as reader:
            reader.readinto(memoryview(bytearray(50)))
            change()
            with pytest.raises(SourceChangedError):
                drain(reader)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EPERM, errno.EACCES])
def test_a_write_protected_card_keeps_its_file_and_says_what_to_do(card, tree, monkeypatch, number):
    (source,) = listed(tree)
    monkeypatch.setattr(tree_module.os, "unlink", fails_with(number))
    with pytest.raises(DeviceUnsupportedError) as caught:
        tree.delete(source, receipt_of(source))
    assert caught.value.todo
    assert (card / "A.MP4").exists()


def test_a_card_swapped_in_the_same_slot_is_not_cleared_with_the_old_ones_receipts(card, tree, tmp_path):
    (source,) = listed(tree)
    card.rename(tmp_path / "old")
    card.mkdir()
    (card / "A.MP4").write_bytes(b"footage" * 1000)
    os.utime(card / "A.MP4", ns=(1, int(source.key.mtime_raw)))
    with pytest.raises(DeviceGoneError):
        tree.delete(source, receipt_of(source))
    assert (card / "A.MP4").exists()
    assert (tmp_path / "old/A.MP4").exists()


def test_absent_on_a_vanished_card_does_not_count_as_removed(card, tree, tmp_path):
    (source,) = listed(tree)
    card.rename(tmp_path / "away")
    with pytest.raises(DeviceGoneError):
        tree.delete(source, receipt_of(source))


def test_a_root_that_is_missing_a_file_or_a_link_is_not_opened(tmp_path, card):
    (tmp_path / "link").symlink_to(card)
    for path in (tmp_path / "none", card / "A.MP4", tmp_path / "link"):
        with pytest.raises(DeviceGoneError):
            Tree(path)


def test_a_root_we_may_not_open_is_busy(card, monkeypatch):
    monkeypatch.setattr(tree_module.os, "open", fails_with(errno.EACCES))
    with pytest.raises(DeviceBusyError):
        Tree(card)


def test_the_read_only_attribute_is_told(card, tree):
    (card / "A.MP4").chmod(0o444)
    assert listed(tree)[0].read_only


def test_a_path_made_of_upward_steps_is_not_ours(tree):
    from evidence.errors import InvalidInputError

    (source,) = listed(tree)
    for parts in ((b"..", b"x"), (b".",), (b"",), (b"a/b",), ("text",), []):
        with pytest.raises(InvalidInputError):
            parts_of(replace(source, locator=parts))


def test_a_real_read_only_mount_offers_no_clearing(tmp_path, card):
    import shutil
    import subprocess

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount")
    from devices.mass_storage.driver import MassStorageDriver
    from evidence.model import Cap

    point = tmp_path / "point"
    point.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        (point / "A.MP4").write_bytes(b"x")
        subprocess.run(["mount", "-o", "remount,ro", str(point)], check=True)
        driver = MassStorageDriver(docks=[tmp_path])
        assert [Path(docked.address) for docked in driver.scan()] == [point]
        session = driver.open(driver.scan()[0])
        assert Cap.DELETE not in session.caps
        (source,) = session.list_objects()
        with pytest.raises(DeviceUnsupportedError):
            session.delete(source, receipt_of(source))
        session.close()
    finally:
        subprocess.run(["umount", str(point)], check=True)
