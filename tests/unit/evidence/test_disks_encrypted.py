"""Whether somebody who carries the disks away could read a folder: found out from what its volume stands on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evidence import disks as module
from evidence.disks import open_swap, why_readable
from support.mounts import loop_ext4, tmpfs


class Machine:
    """A sysfs in a folder, below which a real folder seems to stand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev/block").mkdir(parents=True)
        (root / "class/block").mkdir(parents=True)

    def node(self, name: str, *stands_on: Path, dm: str = "") -> Path:
        node = self.root / "devices" / name
        (node / "slaves").mkdir(parents=True)
        for below in stands_on:
            (node / "slaves" / below.name).symlink_to(below)
        if dm:
            (node / "dm").mkdir()
            (node / "dm/uuid").write_text(f"{dm}\n")
        (self.root / "class/block" / name).symlink_to(node)
        return node

    def why(self, folder: Path, node: Path) -> str:
        device = folder.stat().st_dev
        link = self.root / f"dev/block/{os.major(device)}:{os.minor(device)}"
        link.unlink(missing_ok=True)
        link.symlink_to(node)
        return why_readable(folder)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path / "sys")
    monkeypatch.setattr(module, "_SYS", machine.root)
    return machine


def test_a_volume_is_closed_when_everything_below_it_is_encrypted(machine: Machine, tmp_path: Path) -> None:
    one, other = machine.node("sda"), machine.node("sdb")
    crypt = machine.node("dm-0", one, dm="CRYPT-LUKS2-0123-root")
    plain = machine.node("dm-1", other, dm="LVM-abc")
    assert machine.why(tmp_path, crypt) == ""
    assert machine.why(tmp_path, machine.node("dm-2", crypt, dm="LVM-def")) == ""
    assert "sda" in machine.why(tmp_path, one)
    assert machine.why(tmp_path, plain) != ""
    assert machine.why(tmp_path, machine.node("md0", crypt, plain)) != ""


def test_a_partition_and_a_device_nothing_is_known_of_are_open(machine: Machine, tmp_path: Path) -> None:
    disk = machine.node("sdc")
    (disk / "sdc1").mkdir()
    (disk / "sdc1/partition").write_text("1\n")
    assert machine.why(tmp_path, disk / "sdc1") != ""
    assert machine.why(tmp_path, machine.root / "devices/none") != ""


@pytest.mark.root
def test_memory_is_closed_and_an_image_file_is_as_open_as_its_disk(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "memory"), loop_ext4(tmp_path / "disk", tmp_path / "disk.img"):
        assert why_readable(tmp_path / "memory") == ""
        assert why_readable(tmp_path / "disk") != ""
    assert why_readable(Path("/proc")) != ""


@pytest.mark.root
@pytest.mark.parametrize("kind", ["nfs4", "zfs", "fuse.sshfs"])
def test_what_cannot_be_told_counts_as_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with tmpfs(tmp_path / "mounted"):
        monkeypatch.setattr(module, "_mount_of", lambda path: module._Mount(kind, "somewhere", "rw"))
        assert why_readable(tmp_path / "mounted") != ""
        monkeypatch.setattr(module, "_mount_of", lambda path: None)
        assert why_readable(tmp_path / "mounted") != ""


def test_swap_is_open_unless_it_is_encrypted_or_in_memory(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.node("sda2")
    machine.node("dm-5", machine.node("sdb2"), dm="CRYPT-PLAIN-swap")
    machine.node("zram0")
    table = "Filename\tType\tSize\tUsed\tPriority\n" + "".join(
        f"/dev/{name} partition 1024 0 -2\n" for name in ("sda2", "dm-5", "zram0")
    )
    (tmp_path / "swaps").write_text(table)
    real = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, *rest: real(tmp_path / "swaps" if str(path) == "/proc/swaps" else path, *rest)
    )
    assert open_swap() == ["/dev/sda2"]


def test_compressed_memory_that_writes_to_a_disk_is_open(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, backing in (("zram0", "none"), ("zram1", "/dev/sda3")):
        (machine.node(name) / "backing_dev").write_text(backing + "\n")
    table = "Filename\tType\tSize\tUsed\tPriority\n" + "".join(
        f"/dev/{name} partition 1024 0 100\n" for name in ("zram0", "zram1")
    )
    (tmp_path / "swaps").write_text(table)
    real = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, *rest: real(tmp_path / "swaps" if str(path) == "/proc/swaps" else path, *rest)
    )
    assert open_swap() == ["/dev/zram1"]
