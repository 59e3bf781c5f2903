"""A private PostgreSQL server for the tests of one process, and addresses of fresh databases.

Debian's PostgreSQL 15 is part of the test environment: when it is missing the tests fail, they are not skipped. The server
listens on a Unix socket in a directory of its own, never on a port, and dies with the process that started it. Under
xdist every worker that needs one has its own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_START_S = 60.0


class PostgresServer:
    """One running server; :meth:`close` stops it and removes its files."""

    def __init__(self) -> None:
        if not (_PROGRAMS / "initdb").exists():
            raise AssertionError(f"the tests need Debian's postgresql-15 (no {_PROGRAMS}/initdb)")
        self._home = Path(tempfile.mkdtemp(prefix="pg-"))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres", "postgres")
        data = self._home / "data"
        initdb = ("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--no-sync")
        subprocess.run(self._as_postgres("initdb", "-D", str(data), *initdb), check=True, stdout=subprocess.DEVNULL)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._home),
            "shared_buffers": "32MB",
            "max_connections": "60",
            "log_min_messages": "fatal",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._home / "log").open("wb")
        with log:
            self._process = subprocess.Popen(self._as_postgres("postgres", "-D", str(data), *options), stderr=log)
        self._wait()

    @staticmethod
    def _as_postgres(program: str, *arguments: str) -> list[str]:
        # PostgreSQL refuses to run as root; the kill signal makes it die with this process.
        prefix = ["setpriv", "--pdeathsig=INT"]
        if os.geteuid() == 0:
            prefix += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [*prefix, "--", str(_PROGRAMS / program), *arguments]

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError("PostgreSQL did not start: " + (self._home / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def _conninfo(self, database: str) -> str:
        return f"host={self._home} user=postgres dbname={database}"

    def fresh_url(self) -> str:
        """Address of a new, empty database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://postgres@/{name}?host={self._home}"

    def drop(self, url: str) -> None:
        """Remove a database that :meth:`fresh_url` made, and whoever is still connected to it."""
        name = url.split("@/")[1].split("?", maxsplit=1)[0]
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def restart_hard(self) -> None:
        """Kill the server as a power cut would, and start it again on the same data."""
        self.stop(signal.SIGQUIT)
        data = self._home / "data"
        options = [
            "-c",
            "listen_addresses=",
            "-c",
            f"unix_socket_directories={self._home}",
            "-c",
            "shared_buffers=32MB",
        ]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._as_postgres("postgres", "-D", str(data), *options), stderr=log)
        self._wait()

    def stop(self, number: signal.Signals) -> None:
        """Stop the server and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=_START_S)
            self._process = None

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.stop(signal.SIGINT)
        shutil.rmtree(self._home, ignore_errors=True)
