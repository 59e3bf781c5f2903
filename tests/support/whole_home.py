"""A home as ``liuhen init`` makes it, put together by ``app.wiring`` alone: settings as text, then everything real."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.home import Home
from app.serving import Running, running
from app.setup import set_up
from app.wiring import House, build
from assurance.report import VerifyReport
from assurance.verify import verify_home
from catalogue.records import RecordingRow
from evidence.errors import DeviceBusyError
from evidence.model import Actor
from evidence.ports import DockedDevice
from flow import InlineEngine
from ingest.session import OffloadService
from support.seaweed import Server

ORIGIN = "log.test/whole-home"


def _toml(section: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([section, *lines, ""])


def local(name: str, path: str | Path) -> dict[str, Any]:
    """Settings of a store in a folder."""
    return {"kind": "local", "name": name, "path": str(path)}


def bucket(server: Server, folder: Path, *, endpoint: str = "", name: str = "bucket") -> dict[str, Any]:
    """Settings of a store in a bucket of its own, with its keys in two files below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in (("access", server.access), ("secret", server.secret)):
        (folder / key).write_text(value + "\n")
    return {
        "kind": "s3", "name": name, "endpoint": endpoint or server.http, "bucket": f"e2e-{os.urandom(6).hex()}",
        "access_key_file": str(folder / "access"), "secret_key_file": str(folder / "secret"),
        "domain": "test:other-building", "first_retention_days": 1,
    }  # fmt: skip


def config(
    *,
    stores: Sequence[Mapping[str, Any]] = (local("primary", "stores/primary"), local("second", "stores/second")),
    storage: Mapping[str, Any] | None = None,
    docks: Mapping[str, Any] | None = None,
    database: str = "",
) -> str:
    """Text of a ``config.toml``: no USB of this machine, no immutable files (tests clean up after themselves)."""
    sections = [_toml("[station]", {"name": "站点一", "origin": ORIGIN})]
    if database:
        sections.append(_toml("[database]", {"url": database}))
    sections.append(_toml("[storage]", {"protect": "mode-only", "free_floor_bytes": 0, **(storage or {})}))
    sections += [_toml("[[storage.stores]]", store) for store in stores]
    sections.append(_toml("[docks]", {"usb": False, "mount_roots": [], "poll_s": 0.2, **(docks or {})}))
    return "\n".join(sections)


def make(root: Path, text: str) -> Home:
    """Set a home up in ``root``."""
    home = Home(root)
    set_up(home, config=text, login="admin", os_uid=os.getuid())
    return home


@contextlib.contextmanager
def at_rest(home: Home) -> Iterator[tuple[House, OffloadService]]:
    """A home whose jobs and sealer run only when a test says so."""
    house = build(home, home.require())
    try:
        with house.sealer:
            jobs = InlineEngine()
            service = house.offloads(jobs)
            service.start_up()
            jobs.start()
            yield house, service
    finally:
        house.close()


@contextlib.contextmanager
def at_work(home: Home, *, docks: bool = False) -> Iterator[Running]:
    """A home as ``liuhen serve`` runs it, without the web server."""
    with running(home, home.require(), docks=docks) as run:
        yield run
    assert run.trouble == []


def administrator(house: House) -> Actor:
    """The first administrator at the command line."""
    with house.catalogue.read() as uow:
        agent = uow.people.by_login("admin")
    assert agent is not None
    return Actor(agent.id, agent.name, "cli", "tty")


def only_docked(house: House) -> DockedDevice:
    """The one recorder in the docks."""
    (docked,) = house.registry.scan()
    return docked


def rows(house: House) -> list[RecordingRow]:
    with house.catalogue.read() as uow:
        return [uow.recordings.get(identity) for identity in uow.recordings.all_ids()]


def seal(house: House) -> None:
    while house.sealer.seal_once():
        pass


def until(what: Callable[[], bool], *, timeout_s: float = 45.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def patiently(act: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    """Do something with a recorder as soon as the dock lets go of it."""

    def done() -> bool:
        try:
            act()
        except DeviceBusyError:
            return False
        return True

    until(done, timeout_s=timeout_s)


def all_done(house: House, count: int) -> Callable[[], bool]:
    """Whether so many recordings are stored, described and sealed, and no entry waits."""

    def done() -> bool:
        found = rows(house)
        if len(found) != count or not all(row.sealed and row.described for row in found if row.duplicate_of is None):
            return False
        with house.catalogue.read() as uow:
            head = uow.outbox.head()
            return head.size == head.published_size and not uow.outbox.unsequenced(1)

    return done


def verify(house: House) -> VerifyReport:
    return verify_home(
        house.catalogue, stores=house.stores, published=house.published, vkey=house.vkey, clock=house.clock,
        policy=house.policy,
    )  # fmt: skip


def liuhen(*arguments: str | Path, expect: int = 0) -> Any:
    """Run the program as a person does; its JSON answer."""
    command = [sys.executable, "-m", "app.cli.main", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout or done.stderr.splitlines()[-1])
