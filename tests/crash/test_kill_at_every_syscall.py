"""Killed at a chosen system call, run again: everything comes in once, reads back, and the log is whole.

By default a few kill points of every kind of call are taken, spread over the run; ``LIUHEN_CRASH_SHARD=1/4`` takes every
point of the first quarter, ``1/1`` every single one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.mounts import loop_ext4
from support.recorders import gb_name, make_gb_tree

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("crash_driver.py")
CALLS = (
    "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "link", "linkat", "rename", "renameat", "unlink", "unlinkat",
    "openat", "mkdir", "mkdirat", "fchmod",
)  # fmt: skip
POINTS_BY_DEFAULT = 3
_LINE = re.compile(r"^(?P<tid>\d+) +(?P<call>\w+)\(")


def driver(home: Path, card: Path, act: str, *, strace: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*strace, sys.executable, str(DRIVER), str(home), str(card), act]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def points(trace: Path, home: Path) -> dict[str, list[int]]:
    """For each call, the ordinals (per thread, as strace counts them) of those that touch the home."""
    seen: dict[tuple[str, str], int] = {}
    found: dict[str, set[int]] = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        key = (match["tid"], match["call"])
        seen[key] = seen.get(key, 0) + 1
        if str(home) in line:
            found.setdefault(match["call"], set()).add(seen[key])
    return {call: sorted(ordinals) for call, ordinals in found.items()}


def chosen(own: list[int]) -> list[int]:
    shard = os.environ.get("LIUHEN_CRASH_SHARD")
    if shard:
        number, of = (int(part) for part in shard.split("/"))
        return own[number - 1 :: of]
    step = max(1, len(own) // POINTS_BY_DEFAULT)
    return own[step // 2 :: step][:POINTS_BY_DEFAULT]


def make_card(root: Path) -> Path:
    """Two recordings and an important-mark twin of the second."""
    second = os.urandom(150_000)
    media = {
        gb_name(counter=1): os.urandom(200_000),
        gb_name(counter=2): second,
        gb_name(counter=2, mark="_IMP"): second,
    }
    return make_gb_tree(root, {f"DCIM/{name}": data for name, data in media.items()})


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return make_card(tmp_path / "card")


@dataclass
class CleanRun:
    """An undisturbed run: a home to start from, the card, and where it touched the home."""

    template: Path
    card: Path
    points: dict[str, list[int]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> CleanRun:
    root = tmp_path_factory.mktemp("clean")
    template, home, trace, card = root / "template", root / "home", root / "trace", make_card(root / "card")
    assert driver(template, card, "init").returncode == 0
    fresh(template, home)
    calls = ",".join(f"?{call}" for call in CALLS)
    tracing = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace={calls}", "-o", str(trace))
    done = driver(home, card, "run", strace=tracing)
    assert done.returncode == 0, done.stderr[-2000:]
    found = points(trace, home)
    assert sum(map(len, found.values())) > 60, "the run was not seen"
    return CleanRun(template, card, found)


def fresh(template: Path, home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    return home


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_system_call_loses_nothing_and_repeats_nothing(
    tmp_path: Path, clean: CleanRun, call: str
) -> None:
    home = tmp_path / "home"
    taken = chosen(clean.points.get(call, []))
    killed = 0
    for ordinal in taken:
        fresh(clean.template, home)
        # Not with --seccomp-bpf, which is only good for watching: strace 6.1 injects nothing then.
        inject = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e")
        dead = driver(home, clean.card, "run", strace=(*inject, f"inject={call}:signal=KILL:when={ordinal}"))
        killed += dead.returncode != 0
        again = driver(home, clean.card, "finish")
        assert again.returncode == 0, (call, ordinal, again.stderr[-2000:])
        assert again.stdout.count("stored") == 2, (call, ordinal, again.stdout)
        assert again.stdout.count("duplicate") == 1, (call, ordinal, again.stdout)
    assert killed >= len(taken) * 3 // 4, "most kill points must really have been reached"


@pytest.mark.parametrize(
    "fault",
    ["fsync:error=EIO:when=3", "write:retval=1000:when=2", "pwrite64:error=ENOSPC:when=9", "linkat:error=EIO:when=1"],
)
def test_a_lying_or_failing_system_call_never_ends_in_a_false_word(tmp_path: Path, card: Path, fault: str) -> None:
    home = tmp_path / "home"
    assert driver(home, card, "init").returncode == 0
    call = fault.split(":", maxsplit=1)[0]
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}")
    driver(home, card, "run", strace=strace)
    for _ in range(2):  # a lie found by the read-back is mended at the next docking
        again = driver(home, card, "run")
        assert again.returncode == 0, again.stderr[-2000:]
    checked = driver(home, card, "check")
    # What was found wrong on the way is told as a finding and nothing else differs.
    assert checked.returncode == 0 or "home.findings()" in checked.stderr, checked.stderr[-2000:]


@pytest.mark.root
@pytest.mark.parametrize("call", ["fsync", "linkat", "unlink", "rename"])
def test_a_power_cut_loses_nothing_that_was_said(tmp_path: Path, card: Path, call: str) -> None:
    """The disk loses everything that was not forced to it: the file system is shut down without flushing its journal."""
    disk, image = tmp_path / "disk", tmp_path / "disk.img"
    with loop_ext4(disk, image):
        assert driver(disk / "home", card, "init").returncode == 0
        os.sync()
        inject = (
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=KILL:when=6",
        )
        driver(disk / "home", card, "run", strace=inject)
        power_cut(disk)
    with loop_ext4(disk, image):
        again = driver(disk / "home", card, "run")
        assert again.returncode == 0, again.stderr[-2000:]
        checked = driver(disk / "home", card, "check")
        assert checked.returncode == 0, checked.stderr[-2000:]


@pytest.mark.root
def test_after_a_power_cut_at_the_end_everything_said_is_still_there(tmp_path: Path, card: Path) -> None:
    disk, image = tmp_path / "disk", tmp_path / "disk.img"
    with loop_ext4(disk, image):
        assert driver(disk / "home", card, "init").returncode == 0
        assert driver(disk / "home", card, "run").returncode == 0
        power_cut(disk)
    with loop_ext4(disk, image):
        checked = driver(disk / "home", card, "check")
        assert checked.returncode == 0, checked.stderr[-2000:]


def power_cut(directory: Path) -> None:
    """EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH."""
    import array
    import fcntl

    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x8004587D, array.array("I", [2]))
    finally:
        os.close(fd)
