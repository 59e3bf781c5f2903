"""The unit files are hardened and sound; the mount helper mounts read-only or refuses."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
HELPER = ROOT / "systemd" / "helpers" / "liuhen-mount"


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_every_service_scores_an_exposure_of_at_most_1_5(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    score = re.search(r"Overall exposure level.*: ([0-9.]+)", done.stdout + done.stderr)
    assert score is not None, done.stderr
    assert float(score[1]) <= 1.5
    assert done.returncode == 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda p: p.name)
def test_no_service_runs_as_root_with_capabilities(unit):
    text = unit.read_text()
    bounding = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)
    assert bounding is not None
    if "User=" not in text:
        assert bounding[1] == ""


def test_a_crash_of_the_service_lays_no_memory_on_a_disk():
    assert "\nLimitCORE=0\n" in (ROOT / "systemd/liuhen.service").read_text()


def test_units_name_only_identities_that_sysusers_creates():
    created = set(re.findall(r"^[gu] (\S+)", (ROOT / "systemd/liuhen.sysusers").read_text(), re.MULTILINE))
    for unit in UNITS:
        for name in re.findall(r"^(?:User|Group)=(\S+)", unit.read_text(), re.MULTILINE):
            assert name in created


def test_every_program_a_unit_starts_exists():
    for unit in UNITS:
        for line in re.findall(r"^Exec\w+=(.*)$", unit.read_text(), re.MULTILINE):
            if "systemd/helpers/" in line:
                helper = ROOT / line.split()[0].removeprefix("/opt/liuhen/")
                assert os.access(helper, os.X_OK)
            if " -m " in line:
                module = line.split(" -m ")[1].split()[0]
                assert (ROOT / (module.replace(".", "/") + ".py")).exists()


def test_sysusers_and_tmpfiles_are_valid(tmp_path):
    (tmp_path / "etc").mkdir()
    for name in ("passwd", "group"):
        (tmp_path / "etc" / name).write_text("root:x:0:0::/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n")
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", "--dry-run", str(ROOT / "systemd/liuhen.sysusers")], check=True
    )
    for line in (ROOT / "systemd/liuhen.tmpfiles").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"d /\S+ 0\d{3} \S+ \S+ -", line), line


@pytest.fixture
def loop_device(tmp_path):
    """A read-only loop device over a fresh ext4 image that holds one file, or over a file of zeros."""
    devices = []

    def make(*, file_system: bool, read_only: bool = True) -> str:
        image = tmp_path / f"card{len(devices)}.img"
        with image.open("wb") as file:
            file.truncate(16 << 20)
        if file_system:
            content = tmp_path / "content"
            content.mkdir(exist_ok=True)
            (content / "录像.mp4").write_bytes(b"footage")
            subprocess.run(["mkfs.ext4", "-q", "-d", str(content), str(image)], check=True)
        flags = ["-r"] if read_only else []
        device = subprocess.run(
            ["losetup", "-f", "--show", *flags, str(image)], check=True, capture_output=True, text=True
        )
        devices.append(device.stdout.strip())
        return Path(devices[-1]).name

    yield make
    for device in devices:
        subprocess.run(["umount", "-l", str(tmp_path / "mounts" / Path(device).name)], check=False, capture_output=True)
        subprocess.run(["losetup", "-d", device], check=True)
        subprocess.run(["blockdev", "--setrw", device], check=False, capture_output=True)


def run_helper(tmp_path, *arguments):
    environment = {**os.environ, "LIUHEN_MOUNT_ROOT": str(tmp_path / "mounts")}
    return subprocess.run([str(HELPER), *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.root
def test_the_helper_mounts_a_card_read_only_and_takes_it_away(tmp_path, loop_device):
    name = loop_device(file_system=True)
    before = subprocess.run(["sha256sum", f"/dev/{name}"], check=True, capture_output=True).stdout
    assert run_helper(tmp_path, "mount", name).returncode == 0
    mounted = tmp_path / "mounts" / name
    assert (mounted / "录像.mp4").read_bytes() == b"footage"
    options = next(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(mounted) in line)
    assert {"ro", "noexec", "nosuid", "nodev"} <= set(options.split()[5].split(","))
    with pytest.raises(OSError, match="Read-only"):
        (mounted / "x").write_bytes(b"")
    assert run_helper(tmp_path, "umount", name).returncode == 0
    assert not mounted.exists()
    assert subprocess.run(["sha256sum", f"/dev/{name}"], check=True, capture_output=True).stdout == before


@pytest.mark.root
def test_the_helper_refuses_unknown_file_systems_writable_nodes_and_strange_names(tmp_path, loop_device):
    unknown = run_helper(tmp_path, "mount", loop_device(file_system=False))
    assert (unknown.returncode, "not on the list" in unknown.stderr) == (4, True)
    writable = run_helper(tmp_path, "mount", loop_device(file_system=True, read_only=False))
    assert (writable.returncode, "is writable" in writable.stderr) == (3, True)
    for name in ("../sda", "sda;reboot", ""):
        assert run_helper(tmp_path, "mount", name).returncode == 2
    assert run_helper(tmp_path, "mount", "nosuchdevice").returncode == 1
    assert run_helper(tmp_path, "format", "sda").returncode == 2


def test_the_udev_rules_parse():
    if shutil.which("udevadm") is None:
        pytest.fail("udevadm is missing; make test installs it")
    text = (ROOT / "systemd/71-liuhen-docks.rules").read_text()
    for line in text.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r'([A-Z_]+(\{[A-Z_0-9a-z]+\})?(==|\+=|=|!=)"[^"]*"(, )?)+', line), line
