"""Whose card is it: the recorder's own word first, a stand-in that says so last."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.mass_storage import protocol
from devices.mass_storage.driver import MassStorageDriver
from evidence.errors import DeviceGoneError
from support.mounts import loop_ext4
from support.recorders import gb_name, make_gb_tree


def identity_of(root):
    driver = MassStorageDriver([root])
    with contextlib.closing(driver.open(driver.scan()[0])) as session:
        return session.identity


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        (b"8888888", "8888888"),
        (b"SN: 8888888\r\n", "8888888"),
        (b"\xef\xbb\xbf\r\nsn=DSJ-0042\n", "DSJ-0042"),
        (b"8888888\0\0\0\0", "8888888"),
        (b"", ""),
        (b"../../etc", ""),
        (b"\xff\xfe\x00", ""),
        (b"x" * 300, ""),
        ("序列号".encode("gbk"), ""),
    ],
)
def test_the_serial_file_is_read_when_it_looks_like_a_serial(tmp_path, text, serial):
    assert protocol.serial_of_file(text) == serial
    (tmp_path / "SN.txt").write_bytes(text)
    identity = identity_of(tmp_path)
    assert (identity.serial, identity.serial_source) == (serial, "file") if serial else identity.serial_source == "path"


def test_the_file_that_tells_the_serial_is_no_footage_and_can_therefore_not_be_cleared(tmp_path):
    make_gb_tree(tmp_path, {"sn.txt": b"8888888", "DCIM/sn.txt": b"8888888", "DCIM/a.mp4": b"a"})
    session = MassStorageDriver().open(MassStorageDriver.docked_at(tmp_path))
    assert [source.key.path for source in session.list_objects()] == ["DCIM/a.mp4", "DCIM/sn.txt"]
    session.close()
    (tmp_path / "sn.txt").write_bytes(b"not a serial!")
    session = MassStorageDriver().open(MassStorageDriver.docked_at(tmp_path))
    assert "sn.txt" in [source.key.path for source in session.list_objects()]
    session.close()


def test_a_serial_file_below_the_root_is_somebody_elses(tmp_path):
    make_gb_tree(tmp_path, {"backup/sn.txt": b"8888888"})
    assert identity_of(tmp_path).serial_source == "path"


def test_the_code_that_most_names_carry_identifies_the_card(tmp_path):
    names = {gb_name(counter=number): b"" for number in range(4)}
    make_gb_tree(tmp_path, names | {gb_name(device="1111111"): b""})
    identity = identity_of(tmp_path)
    assert (identity.serial, identity.serial_source) == ("7654321", "file")


def test_a_folder_keeps_its_place_and_few_names_only_hint(tmp_path):
    make_gb_tree(tmp_path, {gb_name(counter=1): b""})
    few = identity_of(tmp_path)
    assert (few.serial, few.serial_source, few.hinted) == (few.place, "path", "7654321")
    make_gb_tree(tmp_path, {gb_name(counter=number): b"" for number in range(2, 5)})
    named = identity_of(tmp_path)
    assert (named.serial, named.place, named.hinted) == ("7654321", few.place, "")
    (tmp_path / "sn.txt").write_bytes(b"8888888")
    assert identity_of(tmp_path).place == ""


def test_a_card_of_two_recorders_in_equal_parts_is_nobodys():
    names = [gb_name(counter=n) for n in range(3)] + [gb_name(counter=n, device="1111111") for n in range(3)]
    assert protocol.serial_of_codes(protocol.codes_of_names(names)) == ""
    assert protocol.serial_of_codes(protocol.codes_of_names([gb_name()] * 2)) == ""


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=10), st.binary(max_size=300), st.text(max_size=40))
def test_anything_on_a_card_is_a_serial_or_empty_and_never_an_error(paths, data, label):
    named = protocol.serial_of_codes(protocol.codes_of_names(paths))
    for serial in (named, protocol.serial_of_file(data), protocol.serial_of_label(label)):
        assert serial == "" or (serial.isascii() and serial.isprintable() and len(serial) <= 64)


@pytest.mark.parametrize(
    ("label", "serial"),
    [("87654321", "87654321"), ("BWC-00042", "BWC-00042"), ("NO NAME", ""), ("USB DISK", ""), ("SD64", "")],
)
def test_a_label_is_a_serial_only_when_it_is_a_code(label, serial):
    assert protocol.serial_of_label(label) == serial


def test_the_mount_table_is_read_with_its_escapes_and_the_last_mount_wins():
    table = (
        b"21 1 0:19 / /media/a\\040b rw,nosuid shared:7 - vfat /dev/sdb1 rw\n"
        b"22 1 8:17 / /media/a\\040b ro shared:8 master:2 - exfat /dev/sdb1 ro\n"
        b"23 1 8:1 /sub /media/bind rw - ext4 /dev/sda1 rw\n"
        b"broken line\n"
    )
    mounts = protocol.parse_mountinfo(table)
    assert len(mounts) == 3
    found = protocol.mount_at(mounts, b"/media/a b")
    assert (found.device, found.fs_type) == ("8:17", "exfat")
    assert protocol.mount_at(mounts, b"/media/bind") is None


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_mount_table_is_read_without_an_error(table):
    protocol.parse_mountinfo(table)


def test_the_slot_is_the_usb_port_path_behind_the_disk():
    sysfs = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4.2/1-1.4.2:1.0/host6/target6:0:0/6:0:0:0/block/sdb/sdb1"
    assert protocol.port_of(sysfs) == "1-1.4.2"
    assert protocol.port_of("/sys/devices/virtual/block/loop0") == ""


@pytest.mark.root
def test_another_card_at_the_same_place_is_another_docking(tmp_path):
    """Two recorders changed between two scans: same slot, same mount point, and the second one was not read."""
    docks = tmp_path / "docks"
    driver = MassStorageDriver(docks=[docks])
    seen = []
    for name in ("a.img", "b.img"):
        with loop_ext4(docks / "sda1", tmp_path / name, size_mib=8):
            (docked,) = driver.scan()
            assert driver.docked_at(docks / "sda1") == docked
            seen.append(docked)
            driver.open(docked).close()
            for before in seen[:-1]:
                with pytest.raises(DeviceGoneError):
                    driver.open(before)
    assert len({(docked.slot, docked.address.partition("\t")[0]) for docked in seen}) == 1
    assert len(set(seen)) == 2


def test_a_root_that_is_missing_or_a_link_is_not_docked(tmp_path):
    (tmp_path / "card").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "card")
    driver = MassStorageDriver([tmp_path / "none", tmp_path / "link", tmp_path / "card"], docks=[tmp_path])
    assert [docked.slot for docked in driver.scan()] == [str(tmp_path / "card")]
