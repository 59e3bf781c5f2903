"""The installed program as a person or a script runs it: a real process, a real home."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.cli.main import run

REPOSITORY = Path(__file__).parents[2]
LIUHEN = Path(sys.executable).with_name("liuhen")
VERIFIER = REPOSITORY / "verifier" / "liuhen_verify.py"
_START_S = 60.0
_CONFIG = """\
[station]
name = "test-station"
origin = "liuhen.test/log"
[storage]
protect = "mode-only"
free_floor_bytes = 0
[[storage.stores]]
kind = "local"
name = "primary"
path = "stores/primary"
[[storage.stores]]
kind = "local"
name = "second"
path = "{second}"
[docks]
usb = false
mount_roots = []
{settings}
"""


class Program:
    """``liuhen`` on one home.

    Args:
        home: The home, given as ``--home``.
        second: Folder of the second store; on another device it is another failure domain.
    """

    def __init__(self, home: Path, *, second: Path | None = None) -> None:
        self.home = home
        self.second = second
        #: Whether commands run in processes of their own, as for a person; a test of many small ones may switch it off.
        self.whole = True
        self.services: list[subprocess.Popen[str]] = []

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LIUHEN_", "LC_"))}
        return {**clean, "LIUHEN_LANG": "en", "LIUHEN_HOME": str(self.home), **(more or {})}

    def run(self, *arguments: str | Path, status: int | None = 0, env: dict[str, str] | None = None):
        """Run one command to its end and insist on its exit status (None: any)."""
        ran = (self.process if self.whole else self.within)(*arguments, env=env)
        if status is not None:
            assert ran.returncode == status, f"{arguments}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def process(self, *arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The installed program in a process of its own."""
        return subprocess.run(
            [str(LIUHEN), *map(str, arguments)], env=self.environment(env), capture_output=True, text=True, check=False,
            timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def within(self, *arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """The same command by the same entry point inside this process: seconds of imports less."""
        out, err, root, before = io.StringIO(), io.StringIO(), logging.getLogger(), dict(os.environ)
        handlers, level = root.handlers[:], root.level
        os.environ.clear()
        os.environ.update(self.environment(env))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = run([*map(str, arguments)])
        finally:
            os.environ.clear()
            os.environ.update(before)
            root.handlers, root.level = handlers, level
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def person(self, login: str, role: str) -> dict[str, str]:
        """A new person with one role and their own password; the environment in which ``--as LOGIN`` is them."""
        made = self.json("user", "create", login, "--login", login, "--role", role)
        mine = {"LIUHEN_PASSWORD": "nine green lamps"}
        once = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": mine["LIUHEN_PASSWORD"]}
        self.run("user", "passwd", login, env=once)
        return mine

    def json(self, *arguments: str | Path, status: int | None = 0, env: dict[str, str] | None = None) -> Any:
        """The JSON value a command prints."""
        return json.loads(self.run(*arguments, "--json", status=status, env=env).stdout)

    def error(self, *arguments: str | Path, status: int, env: dict[str, str] | None = None) -> dict[str, str]:
        """The error a command prints."""
        lines = self.run(*arguments, "--json", status=status, env=env).stderr.splitlines()
        return json.loads(lines[-1])["error"]

    def init(self, *, settings: str = "") -> dict[str, Any]:
        """Set the home up; stores without the immutable flag, so that a test's folders can be altered and removed."""
        config = self.home.with_name(f"{self.home.name}.toml")
        second = self.second or "stores/second"
        config.write_text(_CONFIG.format(second=second, settings=settings), "utf-8")
        return self.json("init", "--config", config)

    def verified(self) -> dict[str, Any]:
        """Verification, which must be good."""
        report = self.json("verify")
        assert report["verdict"] == "good", report
        assert report["findings"] == []
        return report

    def outsider(self, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
        """The stand-alone verifier, in a process that knows nothing of the program."""
        command = [sys.executable, "-I", str(VERIFIER), *map(str, arguments), "--json"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one command and do not wait for it."""
        process = subprocess.Popen(
            [str(LIUHEN), *arguments], env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.services.append(process)
        return process

    # --- the service --------------------------------------------------------------------------------------------------
    def serve(self, *arguments: str) -> int:
        """Start the service on a free port; returns the port when it answers."""
        output = self.home.with_name(f"{self.home.name}.serve.{len(self.services)}.out")
        with output.open("w") as out, output.with_suffix(".err").open("w") as err:
            service = subprocess.Popen(
                [str(LIUHEN), "serve", "--port", "0", *arguments],
                env=self.environment(),
                stdout=out,
                stderr=err,
                text=True,
            )
        self.services.append(service)
        end = time.monotonic() + _START_S
        while time.monotonic() < end and service.poll() is None:
            told = re.search(r"http://[^:]+:(\d+)/", output.read_text())
            if told is not None:
                return int(told[1])
            time.sleep(0.05)
        raise AssertionError(f"the service did not start: {output.with_suffix('.err').read_text()}")

    def end(self, number: int = signal.SIGTERM, *, timeout_s: float = 25.0) -> int:
        """Signal the newest service and return its exit status."""
        service = self.services[-1]
        service.send_signal(number)
        return service.wait(timeout_s)

    def close(self) -> None:
        """Whatever still runs is ended; folders outside the test's own are removed."""
        for service in self.services:
            if service.poll() is None:
                service.kill()
                service.wait()
        if self.second is not None:
            shutil.rmtree(self.second, ignore_errors=True)


def flip(path: Path, *, at: int | None = None) -> None:
    """Change one bit of a file, keeping its length and times, as failing media and careful hands do."""
    state = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 0x10
    path.chmod(0o640)
    path.write_bytes(data)
    path.chmod(state.st_mode & 0o7777)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def until(condition: Any, *, timeout_s: float = 60.0, pause_s: float = 0.1) -> Any:
    """The first true value that ``condition`` gives."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(pause_s)
    raise AssertionError("it did not come about in time")


def names(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Names of recordings in a report."""
    return {row["name"] for row in rows}
