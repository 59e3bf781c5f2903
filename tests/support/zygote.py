"""A process that imported everything once and forks a fresh, cheap process for each run of a program.

The zygote only imports and forks: it opens nothing and starts no thread, so a child begins as a newly started interpreter
does after its imports. A child may be asked to stop before its first step, or before the first step of its n-th thread,
so that a tracer can be attached without missing a system call.

Usage: python -m support.zygote MODULE (whose ``main(*arguments)`` is run); orders are JSON lines on standard input.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
MAIN_THREAD = 0


# --- inside the zygote ------------------------------------------------------------------------------------------------
def _stop_here(tids: int) -> None:
    """Tell which thread stops, then stop the process; this thread runs no further instruction before."""
    os.write(tids, f"{threading.get_native_id()}\n".encode())
    os.close(tids)
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _stop_in_thread(number: int, tids: int) -> None:
    """Make the ``number``-th thread that is started stop before it does anything (from 1)."""
    numbers = itertools.count(1)
    start, run = threading.Thread.start, threading.Thread.run

    def numbered_start(self: threading.Thread) -> None:
        self.number = next(numbers)  # type: ignore[attr-defined]
        start(self)

    def stopping_run(self: threading.Thread) -> None:
        if self.number == number:  # type: ignore[attr-defined]
            _stop_here(tids)
        run(self)

    threading.Thread.start = numbered_start  # type: ignore[method-assign]
    threading.Thread.run = stopping_run  # type: ignore[method-assign]


def _child(program: Callable[..., None], order: dict[str, Any], tids: int) -> None:
    code = 70
    try:
        for fd, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            opened = os.open(order["said"] if fd else os.devnull, flags | os.O_APPEND * (fd > 0))
            os.dup2(opened, fd)
            os.close(opened)
        if order["stop_in"] == MAIN_THREAD:
            _stop_here(tids)
        elif order["stop_in"] is not None:
            _stop_in_thread(order["stop_in"], tids)
        program(*order["arguments"])
        sys.stdout.flush()
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _told(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def serve(program: Callable[..., None]) -> None:
    """Fork one child per order, one after the other; tell that it stopped (if it does) and how it ended."""
    gc.freeze()  # what was imported is never collected, so children need not copy its pages
    for line in sys.stdin:
        assert len([*Path("/proc/self/task").iterdir()]) == 1, "a zygote with threads must not fork"
        order = json.loads(line)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _child(program, order, write)
        os.close(write)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            _told(pid=pid, stopped=int(os.read(read, 32)))
            _, status = os.waitpid(pid, 0)
        os.close(read)
        _told(pid=pid, ended=os.waitstatus_to_exitcode(status))


# --- inside a test ----------------------------------------------------------------------------------------------------
class ZygoteError(AssertionError):
    """A child or its tracer did not do what the test needs."""


class Zygote:
    """A running zygote, as a test uses it (a context manager).

    Args:
        module: What to import; its ``main`` is what children run.
        directory: Folder for what children say.
        path: Folders to import from, besides the repository and ``tests``.
    """

    def __init__(self, module: str, *, directory: Path, path: Sequence[Path] = ()) -> None:
        folders = [ROOT, ROOT / "tests", *path]
        environment = {
            **os.environ, "PYTHONPATH": ":".join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        self._said = directory / "said"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.zygote", module],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # a child hangs: the session is ours, nothing else is in it
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise

    def _order(self, arguments: Sequence[object], stop_in: int | None) -> None:
        self._said.write_text("")
        order = {"arguments": [str(one) for one in arguments], "stop_in": stop_in, "said": str(self._said)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], 120)
        if not ready:
            raise ZygoteError("a child neither stopped nor ended in two minutes")
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    @property
    def said(self) -> str:
        """What the last child wrote to its outputs."""
        return self._said.read_text()

    def run(self, *arguments: object) -> int:
        """Run the program in a fresh child; its exit code, or minus the signal."""
        self._order(arguments, None)
        return self._answer()["ended"]

    def traced(self, *arguments: object, strace: Sequence[str], thread: int = MAIN_THREAD) -> int:
        """The same with strace attached to one thread of it (and with ``-f`` to what it starts) from its first step on."""
        self._order(arguments, thread)
        stopped = self._answer()
        if "stopped" not in stopped:
            raise ZygoteError(f"thread {thread} was never started: {self.said[-2000:]}")
        try:
            with _attached(stopped["pid"], stopped["stopped"], strace):
                os.kill(stopped["pid"], signal.SIGCONT)
                return self._answer()["ended"]
        except ZygoteError:
            self._answer()  # of the child that was given up
            raise


@contextlib.contextmanager
def _attached(pid: int, tid: int, options: Sequence[str]) -> Iterator[None]:
    """Strace on thread ``tid`` of a stopped child ``pid`` while the block runs; the child does not outlive a failure."""
    tracer = subprocess.Popen(["strace", *options, "-p", str(tid)], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    with tracer.stderr:
        try:
            said = tracer.stderr.readline()
            if "attached" not in said:
                raise ZygoteError(f"strace could not attach: {said}")
            yield
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            tracer.stderr.read()
            tracer.wait(timeout=60)


if __name__ == "__main__":
    serve(importlib.import_module(sys.argv[1]).main)
