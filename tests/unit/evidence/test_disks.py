"""Volumes are followed down to the disks they are cut from, on a machine made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evidence import disks as module
from evidence.durable import failure_domain
from support.mounts import loop_ext4, tmpfs


class Machine:
    """A sysfs in a folder: disks, partitions, and volumes that stand on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("block", "dev/block", "fs/btrfs"):
            (root / folder).mkdir(parents=True)

    def disk(self, name: str, *partitions: str) -> Path:
        node = self._node(name)
        for partition in partitions:
            (node / partition).mkdir()
            (node / partition / "partition").write_text("1\n")
        return node

    def volume(self, name: str, *stands_on: Path, level: str = "") -> Path:
        node = self._node(name)
        (node / "slaves").mkdir()
        for below in stands_on:
            (node / "slaves" / below.name).symlink_to(below)
        if level:
            (node / "md").mkdir()
            (node / "md/level").write_text(f"{level}\n")
        return node

    def _node(self, name: str) -> Path:
        node = self.root / "devices" / name
        node.mkdir(parents=True)
        (self.root / "block" / name).symlink_to(node)
        return node

    def domain(self, folder: Path, node: Path) -> str:
        """The domain of a folder, as if its file system stood on ``node``."""
        device = folder.stat().st_dev
        link = self.root / f"dev/block/{os.major(device)}:{os.minor(device)}"
        link.unlink(missing_ok=True)
        link.symlink_to(node)
        return failure_domain(folder)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "sys")
    monkeypatch.setattr(module, "_SYS", machine.root)
    return machine


def test_two_volumes_on_one_encrypted_disk_are_one_domain(machine: Machine, tmp_path: Path) -> None:
    disk = machine.disk("sda", "sda1", "sda2")
    crypt = machine.volume("dm-0", disk / "sda2")
    one, other = machine.volume("dm-1", crypt), machine.volume("dm-2", crypt)
    assert {machine.domain(tmp_path, node) for node in (one, other, disk / "sda1")} == {"disk:sda"}


def test_volumes_on_two_disks_are_two_domains(machine: Machine, tmp_path: Path) -> None:
    nodes = [machine.volume(f"dm-{name}", machine.disk(name)) for name in ("sda", "sdb")]
    assert [machine.domain(tmp_path, node) for node in nodes] == ["disk:sda", "disk:sdb"]


def test_a_volume_spread_over_two_disks_makes_them_one_domain(machine: Machine, tmp_path: Path) -> None:
    one, other = machine.disk("sda", "sda1"), machine.disk("sdb", "sdb1")
    spread = machine.volume("dm-0", one / "sda1", other / "sdb1")
    small = machine.volume("dm-1", other / "sdb1")
    assert {machine.domain(tmp_path, node) for node in (spread, small, one)} == {"disk:sda+disk:sdb"}
    assert machine.domain(tmp_path, machine.disk("sdc")) == "disk:sdc"


def test_a_mirror_is_one_domain_and_leaves_its_disks_apart(machine: Machine, tmp_path: Path) -> None:
    one, other = machine.disk("sda", "sda1"), machine.disk("sdb", "sdb1")
    mirror = machine.volume("md0", one / "sda1", other / "sdb1", level="raid1")
    on_mirror = machine.volume("dm-0", mirror)
    assert {machine.domain(tmp_path, node) for node in (mirror, on_mirror)} == {"disk:sda+disk:sdb"}
    assert machine.domain(tmp_path, one) == "disk:sda"
    assert machine.domain(tmp_path, other) == "disk:sdb"


def test_an_array_without_redundancy_joins_its_disks(machine: Machine, tmp_path: Path) -> None:
    one, other = machine.disk("sda"), machine.disk("sdb")
    machine.volume("md0", one, other, level="raid0")
    assert machine.domain(tmp_path, one) == machine.domain(tmp_path, other)


def test_a_device_the_machine_tells_nothing_of_keeps_its_number(machine: Machine, tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    assert failure_domain(tmp_path) == f"device:{os.major(device)}:{os.minor(device)}"


@pytest.mark.root
def test_an_image_file_lies_on_the_disk_that_holds_it(tmp_path: Path) -> None:
    with loop_ext4(tmp_path / "one", tmp_path / "one.img"), loop_ext4(tmp_path / "two", tmp_path / "two.img"):
        domains = {failure_domain(path) for path in (tmp_path, tmp_path / "one", tmp_path / "two")}
    assert len(domains) == 1


@pytest.mark.root
def test_file_systems_in_memory_are_one_domain(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "one"), tmpfs(tmp_path / "two"):
        assert failure_domain(tmp_path / "one") == failure_domain(tmp_path / "two") == "memory"
        assert failure_domain(tmp_path) != "memory"


@pytest.mark.parametrize(
    ("mount", "domain"),
    [
        (("zfs", "tank/evidence", "rw"), "zfs:tank"),
        (("nfs4", "store:/a:b", "rw"), "nfs:store"),
        (("nfs", "[fe80::1]:/b", "rw"), "nfs:[fe80::1]"),
        (("cifs", "//store/share", "rw"), "cifs:store"),
    ],
)
@pytest.mark.root
def test_what_has_no_disk_here_is_named_by_what_serves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: tuple[str, str, str], domain: str
) -> None:
    with tmpfs(tmp_path / "mounted"):
        monkeypatch.setattr(module, "_mount_of", lambda path: module._Mount(*mount))
        assert failure_domain(tmp_path / "mounted") == domain


@pytest.mark.root
def test_an_overlay_lies_where_its_upper_folder_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._mount_of
    with tmpfs(tmp_path / "mounted"):
        overlay = module._Mount("overlay", "overlay", f"rw,lowerdir=/,upperdir={tmp_path}")
        monkeypatch.setattr(module, "_mount_of", lambda path: overlay if path.name == "mounted" else real(path))
        assert failure_domain(tmp_path / "mounted") == failure_domain(tmp_path)
        overlay = overlay._replace(options="ro,upperdir=/no/such/folder")
        assert failure_domain(tmp_path / "mounted").startswith("device:")


@pytest.mark.root
def test_subvolumes_of_one_file_system_lie_on_all_its_disks(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = machine.root / "fs/btrfs/00010203-0405-0607-0809-0a0b0c0d0e0f/devices"
    devices.mkdir(parents=True)
    for name in ("sda", "sdb"):
        (devices / name).symlink_to(machine.disk(name))

    def fs_info(fd: int, request: int, info: bytearray) -> int:
        info[16:32] = bytes(range(16))
        return 0

    with tmpfs(tmp_path / "mounted"):
        monkeypatch.setattr(module, "_mount_of", lambda path: module._Mount("btrfs", "/dev/sda", "rw"))
        assert failure_domain(tmp_path / "mounted").startswith("device:")  # the ioctl of another file system: refused
        monkeypatch.setattr(module.fcntl, "ioctl", fs_info)
        assert failure_domain(tmp_path / "mounted") == "disk:sda+disk:sdb"
