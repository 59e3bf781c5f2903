"""A machine for unit files: the real systemd as process 1 of its own namespaces, on an overlay of this system (needs root).

Nothing of the host changes: files go to a memory file system, processes and mounts end with the machine, the kernel's
settings are read-only inside. There is no udev daemon; :meth:`Machine.announce` lets the rules judge one device.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path("/opt/liuhen")
_START_S = 30.0
_MASKED = (
    "systemd-sysctl", "systemd-modules-load", "systemd-remount-fs", "systemd-udevd", "systemd-udev-trigger", "networking",
    "systemd-timesyncd", "systemd-logind", "systemd-tmpfiles-clean.timer", "systemd-random-seed",
)  # fmt: skip
_UNSHARE = "unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup"
_BOOT = r"""
set -euo pipefail
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 tmpfs {work}
mkdir {work}/up {work}/wk {work}/root
mount -t overlay overlay -o lowerdir=/,upperdir={work}/up,workdir={work}/wk {work}/root
cd {work}/root
mount -t proc proc ./proc
mount --bind ./proc/sys ./proc/sys
mount -o remount,ro,bind ./proc/sys
mount -t sysfs sysfs ./sys
mount -t cgroup2 cgroup2 ./sys/fs/cgroup
mount -t tmpfs tmpfs ./run
mount -t tmpfs tmpfs ./tmp
for folder in {open}; do mkdir -p .$folder; chmod o+x .$folder; done
mkdir -p ./opt/liuhen ./var/lib/liuhen
for folder in {bound}; do mkdir -p .$folder; mount --bind $folder .$folder; done
mount --bind {repository} ./opt/liuhen
# The program is installed in /opt/liuhen: what names the checkout (which may lie below /tmp, hidden from units) says so.
sed '1s|^#!.*|#!/opt/liuhen/.venv/bin/python|' {repository}/.venv/bin/liuhen > {work}/liuhen && chmod 755 {work}/liuhen
echo /opt/liuhen > {work}/liuhen.pth
mount --bind {work}/liuhen ./opt/liuhen/.venv/bin/liuhen
for path in ./opt/liuhen/.venv/lib/python3*/site-packages/*liuhen*.pth; do mount --bind {work}/liuhen.pth $path; done
mount -t tmpfs -o mode=755 tmpfs ./dev
for node in null zero full random urandom tty loop-control; do cp -a /dev/$node ./dev/; done
for node in /dev/loop[0-9]*; do test -b $node && cp -a $node ./dev/; done
mkdir ./dev/pts ./dev/shm ./dev/bus && mkdir ./dev/bus/usb
mount -t devpts -o newinstance,ptmxmode=666 devpts ./dev/pts
mount -t tmpfs tmpfs ./dev/shm
ln -s pts/ptmx ./dev/ptmx
ln -s /proc/self/fd ./dev/fd
mount -o loop {home} ./var/lib/liuhen
rm -rf ./etc/systemd/system/*.wants ./etc/udev/rules.d/*
printf '[Unit]\nDescription=machine\n' > ./etc/systemd/system/machine.target
for unit in {masked}; do ln -sf /dev/null ./etc/systemd/system/$unit; done
ip link set lo up || true
mkdir ./.old
pivot_root . .old
cd /
umount -l /.old
mount --make-rshared /
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=machine.target --show-status=0
"""


def _own_cgroup() -> Path:
    """A new control group below this process's own in the unified hierarchy."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            own = next(x for x in Path("/proc/self/cgroup").read_text().splitlines() if x.startswith("0::"))
            group = Path(fields[4]) / own[3:].lstrip("/") / f"liuhen-machine-{os.getpid()}"
            group.mkdir()
            return group
    pytest.skip("no unified control groups here")


def _remove_cgroup(group: Path) -> None:
    for folder in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
        folder.rmdir()
    group.rmdir()


class Machine:
    """The running machine. Commands run in it as root."""

    def __init__(self, init: int) -> None:
        self._init = init

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one shell line to its end."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-m", "-p", "-i", "-u", "-n", "-C",
             "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LIUHEN_LANG=en",
             "bash", "-c", f"cd /; {command}"],
            capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def liuhen(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The command as the service's account, as the runbook tells."""
        line = shlex.join(["runuser", "-u", "liuhen", "--", f"{PROGRAM}/.venv/bin/liuhen", *arguments])
        return self.run(f"{line} --home /var/lib/liuhen", check=check)

    def announce(self, device: str) -> str:
        """Let udev's rules judge a block device, and systemd start what they want for it; returns what they set."""
        told = self.run(f"udevadm test -a add /sys/class/block/{device}").stdout
        self.run("systemctl daemon-reload")  # reads udev's facts again: the device is there now
        for unit in re.findall(r"^SYSTEMD_WANTS=(.+)$", told, re.MULTILINE):
            self.run(f"systemctl start {unit}")
        return told

    def until(self, command: str, *, seconds: float = 30.0) -> None:
        """Repeat a shell line until it succeeds."""
        end = time.monotonic() + seconds
        while self.run(command, check=False).returncode != 0:
            assert time.monotonic() < end, f"{command} did not come true\n{self.journal()}"
            time.sleep(0.3)

    def journal(self) -> str:
        """The last lines of the machine's journal."""
        return self.run("journalctl --no-pager -o short -n 60", check=False).stdout


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Boot a machine whose ``/opt/liuhen`` is this repository and whose ``/var/lib/liuhen`` is an empty ext4.

    Skips where the kernel or a container forbids namespaces, overlays or control groups.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root")
    home = folder / "home.img"
    with home.open("wb") as file:
        file.truncate(2 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(home)], check=True)
    work = folder / "machine"
    work.mkdir()
    python = Path(sys.base_prefix).resolve()
    bound = dict.fromkeys([str(REPOSITORY), *([] if python == Path("/usr") else [str(python)])])
    opened = sorted({str(parent) for each in bound for parent in Path(each).parents if parent != Path("/")})
    script = _BOOT.format(
        work=work, home=home, repository=REPOSITORY, bound=shlex.join(bound), open=shlex.join(opened),
        masked=shlex.join(unit if "." in unit else f"{unit}.service" for unit in _MASKED),
    )  # fmt: skip
    group = _own_cgroup()
    log = (folder / "boot.log").open("w+")
    booted = subprocess.Popen(
        ["bash", "-c", f'echo $$ > {group}/cgroup.procs && exec {_UNSHARE} bash -c "$0"', script],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        yield Machine(_process_one(booted, log.name))
    finally:
        booted.kill()
        booted.wait()
        log.close()
        _gone(group)


def _process_one(booted: subprocess.Popen[bytes], log: str) -> int:
    end = time.monotonic() + _START_S
    children = Path(f"/proc/{booted.pid}/task/{booted.pid}/children")
    while time.monotonic() < end:
        if booted.poll() is not None:
            pytest.skip(f"no machine here: {Path(log).read_text()[-300:]}")
        child = children.read_text().split()
        if child:
            state = Machine(int(child[0])).run("systemctl is-active machine.target", check=False)
            if state.stdout.strip() == "active":
                return int(child[0])
        time.sleep(0.2)
    raise AssertionError(f"systemd did not start: {Path(log).read_text()}")


def _gone(group: Path) -> None:
    """Control groups can go when their last process has."""
    end = time.monotonic() + 10
    while True:
        try:
            _remove_cgroup(group)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
