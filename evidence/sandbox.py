"""The only caller of subprocess. Programs that read hostile files run here: limited, without network, killed as a group.

Each program gets a new session (killed as a group), a parent-death signal, no new privileges, limits on memory, CPU time,
file size and open files, an empty environment and, where the kernel allows it, a network namespace of its own with
nothing in it. Started by root, it keeps one capability, to read: nothing can be unfrozen or mounted by it. A program that was
taken over may still leave the group by a session of its own; it has neither network nor privileges, and CPU time to its limit.

The tools used (setpriv, prlimit, unshare) are util-linux, which every Debian has.

Crash: if we are killed, the parent-death signal kills the program; its output had a temporary name and is swept.

Source: docs/threat-model.md "hostile file"; prlimit(1), setpriv(1), unshare(1).
"""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.errors import SandboxError
from evidence.limits import SANDBOX_OUTPUT_BYTES_MAX

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Bounds of one program run.

    Attributes:
        timeout_s: Wall-clock seconds before the group is killed.
        memory_bytes: Address space.
        cpu_s: CPU seconds.
        file_bytes: Largest file the program may write.
    """

    timeout_s: float = 60.0
    memory_bytes: int = 4 << 30
    cpu_s: int = 3600
    file_bytes: int = 1 << 40


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What a program left: exit status and bounded output (the untrusted part starts with ``untrusted_``)."""

    returncode: int
    untrusted_stdout: bytes
    untrusted_stderr: bytes


@functools.cache
def network_isolation() -> tuple[str, ...]:
    """The prefix that takes the network away, or an empty tuple where this kernel and user cannot (doctor reports it)."""
    for prefix in (("unshare", "--net", "--"), ("unshare", "--user", "--map-current-user", "--net", "--")):
        if shutil.which("unshare") is None:
            return ()
        attempt = subprocess.run([*prefix, "true"], env=_ENVIRONMENT, capture_output=True, check=False)
        if attempt.returncode == 0:
            return prefix
    return ()


@functools.cache
def _without_capabilities() -> tuple[str, ...]:
    """What takes root's capabilities away but the one to read; empty for others, who have none, and where root may not."""
    options = ("--bounding-set=-all,+dac_read_search", "--inh-caps=-all", "--ambient-caps=-all")
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return ()
    attempt = subprocess.run(["setpriv", *options, "--", "true"], env=_ENVIRONMENT, capture_output=True, check=False)
    return options if attempt.returncode == 0 else ()


def _wrapped(command: Sequence[str], limits: SandboxLimits) -> list[str]:
    return [
        *network_isolation(),
        "setpriv", "--pdeathsig", "KILL", "--no-new-privs", *_without_capabilities(), "--",
        "prlimit", f"--as={limits.memory_bytes}", f"--cpu={limits.cpu_s}", f"--fsize={limits.file_bytes}",
        "--core=0", "--nofile=256", "--",
        *command,
    ]  # fmt: skip


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything it started, then reap it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _drain(
    process: subprocess.Popen[bytes], deadline: float, on_stdout: Callable[[bytes], None] | None
) -> tuple[bytearray, bytearray]:
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, out), (process.stderr, err)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(min(left, 1.0)):
                chunk = os.read(key.fd, 65_536)
                if not chunk:
                    selector.unregister(key.fileobj)
                    continue
                if key.data is out and on_stdout is not None:
                    on_stdout(chunk)
                room = SANDBOX_OUTPUT_BYTES_MAX - len(key.data)
                key.data.extend(chunk[: max(0, room)])
    process.wait(max(0.1, deadline - time.monotonic()))
    return out, err


def run(
    command: Sequence[str],
    *,
    limits: SandboxLimits | None = None,
    cwd: Path | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
    check: bool = True,
) -> SandboxResult:
    """Run a program to its end inside the sandbox.

    Args:
        command: Program and arguments; never a shell line.
        limits: Bounds; the defaults suit a probe.
        cwd: Working directory (a scratch directory), else ``/``.
        on_stdout: Called with raw output as it arrives (progress); an exception it raises kills the program.
        check: Raise on a non-zero exit status.

    Raises:
        SandboxError: Not installed, timed out (killed as a group), or failed while ``check`` is set.
    """
    limits = limits or SandboxLimits()
    if shutil.which(command[0], path=_ENVIRONMENT["PATH"]) is None:
        raise SandboxError(f"{command[0]} is not installed", todo="Run `liuhen doctor`.")
    try:
        process = subprocess.Popen(
            _wrapped(command, limits),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=cwd or "/", env=_ENVIRONMENT, start_new_session=True, close_fds=True,
        )  # fmt: skip
    except OSError as error:  # one of util-linux's tools is missing, or the working directory is gone
        raise SandboxError(
            f"cannot start {command[0]}: {os.strerror(error.errno or 0)}", todo="Run `liuhen doctor`."
        ) from error
    try:
        out, err = _drain(process, time.monotonic() + limits.timeout_s, on_stdout)
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"{command[0]} was stopped after {limits.timeout_s:.0f} s") from error
    finally:
        kill_group(process)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if check and process.returncode != 0:
        tail = bytes(err[-400:]).decode("utf-8", "replace").strip()
        raise SandboxError(f"{command[0]} ended with status {process.returncode}: {tail}")
    return SandboxResult(process.returncode, bytes(out), bytes(err))
