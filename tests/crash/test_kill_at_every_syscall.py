"""Killed at every system call, run again: everything comes in once, reads back, verifies as good, and the log is whole.

Every call that writes, forces, names, resizes or protects something in the home while a card is taken in, stored and sealed
is a kill point, in every thread of the program: all calls are seen once by strace, then a fresh process is killed by strace
just before each of them in turn, and another fresh process must find a sound home, finish the work and find it complete.
All of them are taken in every run; ``LIUHEN_CRASH_SHARD=2/5`` takes only every fifth point from the second on.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.kill_points import KillPoint, fingerprint, kill, shard, watch
from support.mounts import loop_ext4
from support.recorders import gb_name, make_gb_tree
from support.zygote import Zygote

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

SLICES = 24  # tests among which the points are dealt, so that workers share them
FIRST, SECOND, THIRD = 1, 2, 3  # attempts: none repeats the clock or the random numbers of another


def make_card(root: Path) -> Path:
    """Two recordings and an important-mark twin of the second, always the same."""
    dice = random.Random(20_261_122)
    second = dice.randbytes(150_000)
    media = {
        gb_name(counter=1): dice.randbytes(200_000),
        gb_name(counter=2): second,
        gb_name(counter=2, mark="_IMP"): second,
    }
    return make_gb_tree(root, {f"DCIM/{name}": data for name, data in media.items()})


@dataclass
class Bench:
    """A zygote, a card, and homes in which a run can begin."""

    zygote: Zygote
    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def card(self) -> Path:
        return self.root / "card"

    @property
    def trace(self) -> Path:
        return self.root / "trace"

    def fresh(self) -> None:
        """The home as it was before anything was docked."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.root / "template", self.home)

    def do(self, act: str, attempt: int, *, home: Path | None = None) -> int:
        return self.zygote.run(home or self.home, self.card, act, attempt)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """In memory where there is such a file system: what a killed process wrote is the same there, and no disk is waited for."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="liuhen-crash-", dir=memory) as directory,
        Zygote("crash_driver", directory=Path(directory), path=[Path(__file__).parent]) as zygote,
    ):
        root = Path(directory)
        bench = Bench(zygote, root)
        make_card(bench.card)
        assert bench.do("init", 0) == 0, zygote.said
        bench.home.rename(root / "template")
        yield bench


@pytest.fixture(scope="module")
def points(bench: Bench, request: pytest.FixtureRequest) -> list[KillPoint]:
    """Every kill point of this run's shard, seen twice alike."""
    seen = []
    for _ in range(2):
        bench.fresh()
        seen.append(watch(bench.zygote, bench.home, bench.home, bench.card, "run", FIRST, trace=bench.trace))
    assert seen[0] == seen[1], "two runs must make the same calls, or a point would mean nothing"
    assert {point.call for point in seen[0]} >= {"write", "pwrite64", "fsync", "linkat", "rename", "unlink", "mkdirat"}
    assert {point.thread for point in seen[0]} > {0}, "bytes are written by threads of their own"
    mine, stated = shard(seen[0])
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        said = f"kill points: shard {stated}, {len(mine)} of {len(seen[0])} (list {fingerprint(seen[0])})"
        os.write(2, f"\n{said}, dealt to {SLICES} tests\n".encode())
    return mine


@pytest.mark.parametrize("part", range(SLICES))
def test_a_kill_at_any_system_call_loses_nothing_and_repeats_nothing(
    bench: Bench, points: list[KillPoint], part: int
) -> None:
    for point in points[part::SLICES]:
        bench.fresh()
        kill(bench.zygote, point, bench.home, bench.home, bench.card, "run", FIRST, trace=bench.trace)
        again = bench.do("finish", SECOND)
        said = bench.zygote.said
        assert again == 0, (point, said[-2000:])
        assert (said.count('"stored"'), said.count('"duplicate"')) == (2, 1), (point, said)


@pytest.mark.parametrize(
    ("thread", "fault"),
    [
        (0, "fsync:error=EIO:when=3"),
        (1, "fsync:error=EIO:when=1"),
        (1, "write:retval=1000:when=2"),
        (0, "pwrite64:error=ENOSPC:when=9"),
        (0, "linkat:error=EIO:when=1"),
    ],
)
def test_a_lying_or_failing_system_call_never_ends_in_a_false_word(bench: Bench, thread: int, fault: str) -> None:
    bench.fresh()
    strace = ["-y", "-o", str(bench.trace), "-e", f"trace={fault.partition(':')[0]}", "-e", f"inject={fault}"]
    bench.zygote.traced(bench.home, bench.card, "run", FIRST, strace=strace, thread=thread)
    assert "INJECTED" in bench.trace.read_text(errors="replace")
    for attempt in (SECOND, THIRD):  # a lie found by the read-back is mended at the next docking
        assert bench.do("run", attempt) == 0, bench.zygote.said[-2000:]
    # What was found wrong on the way is told as a finding and nothing else differs.
    sound = bench.do("check", THIRD + 1) == 0
    assert sound or "home.findings()" in bench.zygote.said, bench.zygote.said[-2000:]


@pytest.mark.root
@pytest.mark.parametrize("call", ["fsync", "linkat", "unlink", "rename"])
def test_a_power_cut_loses_nothing_that_was_said(tmp_path: Path, bench: Bench, call: str) -> None:
    """The disk loses everything that was not forced to it: the file system is shut down without flushing its journal."""
    disk, image = tmp_path / "disk", tmp_path / "disk.img"
    home = disk / "home"
    with loop_ext4(disk, image):
        assert bench.do("init", 0, home=home) == 0
        os.sync()
        inject = ["-o", str(bench.trace), "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when=6"]
        assert bench.zygote.traced(home, bench.card, "run", FIRST, strace=inject) == -9
        power_cut(disk)
    with loop_ext4(disk, image):
        assert bench.do("finish", SECOND, home=home) == 0, bench.zygote.said[-2000:]


@pytest.mark.root
def test_after_a_power_cut_at_the_end_everything_said_is_still_there(tmp_path: Path, bench: Bench) -> None:
    disk, image = tmp_path / "disk", tmp_path / "disk.img"
    home = disk / "home"
    with loop_ext4(disk, image):
        assert bench.do("init", 0, home=home) == 0
        assert bench.do("run", FIRST, home=home) == 0
        power_cut(disk)
    with loop_ext4(disk, image):
        assert bench.do("check", SECOND, home=home) == 0, bench.zygote.said[-2000:]


def power_cut(directory: Path) -> None:
    """EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH."""
    import array
    import fcntl

    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x8004587D, array.array("I", [2]))
    finally:
        os.close(fd)
