"""Where a run may be killed: every system call that changes what is on the disk, seen once by strace, then hit one by one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.zygote import Zygote

#: Everything that writes bytes, forces them, or changes a name, a size, a mode or an attribute (those not used cost nothing).
CALLS = (
    "write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile", "splice", "fallocate",
    "ftruncate", "truncate", "fsync", "fdatasync", "sync_file_range", "syncfs", "msync", "link", "linkat", "symlink",
    "symlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "open", "creat",
    "openat", "openat2", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat",
    "setxattr", "fsetxattr", "removexattr", "fremovexattr", "ioctl",
)  # fmt: skip
_CHANGES = {  # of these calls, only some forms change anything
    "open": re.compile(r"O_CREAT|O_TMPFILE|O_TRUNC"),
    "openat": re.compile(r"O_CREAT|O_TMPFILE|O_TRUNC"),
    "openat2": re.compile(r"O_CREAT|O_TMPFILE|O_TRUNC"),
    "ioctl": re.compile(r"SETFLAGS|FSSETXATTR|FICLONE|SHUTDOWN"),
}
_CALL = re.compile(r"^(?P<tid>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_NEW_THREAD = re.compile(r"CLONE_THREAD.*?(?:= (?P<tid>\d+)$|(?P<unfinished><unfinished))")
_RESUMED = re.compile(r"^(?P<parent>\d+) +<\.\.\. clone3? resumed>.* = (?P<tid>\d+)$")


@dataclass(frozen=True, slots=True, order=True)
class KillPoint:
    """The ``ordinal``-th call of one name in one thread (0 is the main one), and the path in the home that it concerns."""

    thread: int
    call: str
    ordinal: int
    path: str


def _path(home: Path, arguments: str) -> str:
    """The first path of the home among the arguments; names made of an inode, a process or a device number are alike."""
    start = arguments.find(f"{home}/")
    if start < 0:
        return ""
    return re.sub(r"#\d+", "#", re.split(r'[">]', arguments[start + len(str(home)) + 1 :], maxsplit=1)[0])


def parse(trace: str, home: Path) -> list[KillPoint]:
    """The points of a ``strace -f -y`` output. Threads are numbered in the order in which they were started."""
    threads: dict[str, int] = {}
    counts: dict[tuple[str, str], int] = {}
    points: list[KillPoint] = []
    for line in trace.splitlines():
        resumed = _RESUMED.match(line)
        if resumed is not None:
            threads[resumed["tid"]] = len(threads)
            continue
        match = _CALL.match(line)
        if match is None:
            continue
        tid, call, rest = match.groups()
        threads.setdefault(tid, len(threads))
        if call in ("clone", "clone3"):
            made = _NEW_THREAD.search(rest)
            assert made is not None, f"the run starts a process: {line}"
            assert threads[tid] == 0, f"only the main thread may start threads: {line}"
            if made["tid"]:
                threads[made["tid"]] = len(threads)
            continue
        counts[tid, call] = counts.get((tid, call), 0) + 1
        path = _path(home, rest)
        changes = _CHANGES.get(call)
        if path and (changes is None or changes.search(rest)):
            points.append(KillPoint(threads[tid], call, counts[tid, call], path))
    return sorted(points)


def watch(zygote: Zygote, home: Path, *arguments: object, trace: Path) -> list[KillPoint]:
    """Run once undisturbed and list every point."""
    calls = ",".join(f"?{call}" for call in (*CALLS, "clone", "clone3"))
    ended = zygote.traced(*arguments, strace=["-f", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={calls}"])
    assert ended == 0, zygote.said[-2000:]
    return parse(trace.read_text(errors="replace"), home)


def kill(zygote: Zygote, point: KillPoint, home: Path, *arguments: object, trace: Path) -> None:
    """Run until just before the point takes effect, where the process dies by SIGKILL.

    Proved from the trace: the process died by the signal, in this very call, on the same path as when it was watched.
    """
    inject = f"inject={point.call}:signal=KILL:when={point.ordinal}"
    # Not with --seccomp-bpf, which is only good for watching: strace 6.1 injects nothing then.
    options = ["-y", "-s", "0", "-o", str(trace), "-e", f"trace={point.call}", "-e", inject]
    ended = zygote.traced(*arguments, strace=options, thread=point.thread)
    calls = [line for line in trace.read_text(errors="replace").splitlines() if line.startswith(f"{point.call}(")]
    assert ended == -9, f"{point} was never reached: {zygote.said[-2000:]}"
    assert len(calls) == point.ordinal, point
    assert _path(home, calls[-1]) == point.path, (point, calls[-1])


def fingerprint(points: Sequence[KillPoint]) -> str:
    """Short name of a list of points, to tell whether two processes saw the same."""
    return hashlib.sha256(repr(points).encode()).hexdigest()[:12]


def shard(points: Sequence[KillPoint]) -> tuple[list[KillPoint], str]:
    """The share of this run and its name: ``LIUHEN_CRASH_SHARD=N/M``, all of them when nothing is stated."""
    stated = os.environ.get("LIUHEN_CRASH_SHARD") or "1/1"
    number, parts = (int(one) for one in stated.split("/"))
    assert 1 <= number <= parts, f"LIUHEN_CRASH_SHARD={stated}"
    return list(points[number - 1 :: parts]), stated
