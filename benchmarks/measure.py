"""Timing: peers are run in turn with ours, the page cache is treated alike, the best of several runs counts.

The best, not the mean: on a shared machine disturbance only ever adds time. A ratio of two bests of one run says how our code
compares with the plain peer; an absolute time says how busy the machine was.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

MIB = 1 << 20
#: Bit 29 of CPUID leaf 7 EBX: the SHA instructions. OpenSSL then takes its ordinary vector code.
NO_SHA_INSTRUCTIONS = ":~0x20000000"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one run works on."""

    recording_bytes: int
    entries: int
    single_entries: int
    runs: int
    dates: int = 200_000


QUICK = Sizes(recording_bytes=512 * MIB, entries=40_960, single_entries=6_400, runs=3)
FULL = Sizes(recording_bytes=4096 * MIB, entries=1_048_576, single_entries=64_000, runs=3, dates=10_000_000)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        bench: Which bench made it.
        name: What was compared.
        value: The figure.
        unit: ``x`` for a ratio, else the unit of the figure.
        goal: What it should reach; None for a figure that only informs.
        at_least: Whether larger is better.
        note: The absolute rates behind it.
    """

    bench: str
    name: str
    value: float
    unit: str = "x"
    goal: float | None = None
    at_least: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "met": self.met}


def timed(action: Callable[[], object]) -> float:
    """Seconds of one run."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the wall and seconds of processor time of all threads of this process."""

    wall_s: float
    cpu_s: float


def costed(action: Callable[[], object]) -> Cost:
    """Both costs of one run: what others do to the machine shows on the wall, hardly in processor time."""
    cpu_s = time.process_time()
    wall_s = timed(action)
    return Cost(wall_s, time.process_time() - cpu_s)


def forget(*files: Path) -> None:
    """Drop clean pages of files from the page cache, so that the next reader meets the medium."""
    for file in files:
        fd = os.open(file, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def remember(*files: Path) -> None:
    """Read files once, so that the next reader meets the page cache."""
    for file in files:
        with file.open("rb", buffering=0) as stream:
            buffer = bytearray(4 * MIB)
            while stream.readinto(buffer):
                pass


def hash_file(file: Path, *algorithms: str) -> None:
    """Bare hashlib over a file with one algorithm: the standard library's own loop."""
    for algorithm in algorithms:
        with file.open("rb") as stream:
            hashlib.file_digest(stream, algorithm)


def make_recording(target: Path, size_bytes: int) -> None:
    """A file of random bytes under a recorder's name; durable."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        for _ in range(0, size_bytes, 4 * MIB):
            stream.write(os.urandom(4 * MIB))
        stream.flush()
        os.fsync(stream.fileno())


def run(*command: str | Path) -> None:
    """Run a peer's program."""
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def rate(size_bytes: int, seconds: float) -> str:
    """``123 MB/s``."""
    return f"{size_bytes / seconds / 1e6:.0f} MB/s"
