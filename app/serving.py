"""``liuhen serve``: everything of a home in one process, started in order and stopped in reverse.

Order at the start: the home's lock, the database's schema, recovery of the log (refuses a rolled back database), what a dead
process left open, the job engine, the sealer's thread, the docks, the clock of regular jobs. A fatal error in a thread stops
the process; recovery at the next start runs the normal path's code.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI

from api.app import create_app
from api.services import ApiSettings
from app import care
from app.home import Home
from app.promises import enter_settings, weakened
from app.restored_files import forget
from app.sandboxed import sandbox_trouble
from app.settings import Settings
from app.web_services import ViewingCopies, web_services
from app.wiring import House, build
from devices.watch_folder.driver import WatchFolderDriver
from evidence.clock import Clock
from evidence.durable import exclusive_lock
from evidence.errors import EvidenceError, StoreError
from flow import DbosEngine
from ingest.autodock import AutoDock
from ingest.session import OffloadService

_log = logging.getLogger(__name__)
_STOP_TIMEOUT_S: Final = 20.0
_REPLICATE_S: Final = 2.0


@dataclass(slots=True)
class Running:
    """A home at work."""

    house: House
    engine: DbosEngine
    offloads: OffloadService
    autodock: AutoDock
    app: FastAPI
    stop: threading.Event
    trouble: list[EvidenceError]

    @staticmethod
    def fatal(error: EvidenceError) -> None:
        """End the process when the error says that nothing on disk is known: no further write, not even a clean end."""
        if error.fatal:
            _log.critical("the service ends at once: %s: %s", error.code, error.diagnostics())
            os._exit(error.exit_code)


def _guarded(
    name: str, work: Callable[[], None], stop: threading.Event, trouble: list[EvidenceError]
) -> threading.Thread:
    """A thread whose failure stops the service: half a service would show a status that is not true."""

    def run() -> None:
        try:
            work()
        except EvidenceError as error:
            _log.critical("%s stopped: %s: %s", name, error.code, error.diagnostics())
            Running.fatal(error)
            trouble.append(error)
        except Exception:
            _log.critical("%s broke", name, exc_info=True)
            trouble.append(EvidenceError(f"{name} broke", todo="Its message stands in the service's journal."))
        finally:
            stop.set()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _watch_folders(house: House, hint: Callable[[], None]) -> list[WatchFolderDriver]:
    drivers = [driver for driver in house.registry.drivers if isinstance(driver, WatchFolderDriver)]
    for driver in drivers:
        driver.start(hint)
    return drivers


@contextlib.contextmanager
def running(home: Home, settings: Settings, *, clock: Clock | None = None, docks: bool = True) -> Iterator[Running]:
    """Run a home as long as the block lasts.

    Args:
        home: A home that was set up.
        settings: Its settings.
        clock: The time; the machine's by default.
        docks: Whether docked recorders are looked for and read by the service itself.

    Raises:
        HomeLockedError: Another process works on this home.
        LogRollbackError: The published log is ahead of the database (a restored backup).
    """
    stop = threading.Event()
    trouble: list[EvidenceError] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive_lock(home.lock))
        house = build(home, settings, clock=clock, migrate=True)
        stack.callback(house.close)
        forget(home, house.catalogue)
        with house.catalogue.begin() as uow:
            house.recorder.require_turn(uow.outbox)
        house.sealer.start_up()
        if house.encryption is not None:
            house.encryption.start_up()
        house.probe_stores()
        stack.callback(house.sealer.close)
        stack.callback(_seal_the_rest, house, trouble)
        engine = DbosEngine(house.home.jobs_url(settings), clock=house.clock, executor_id=settings.station.name)
        offloads = house.offloads(engine)
        for change in enter_settings(
            house.catalogue, settings, recorder=house.recorder, clock=house.clock, actor=house.service_actor().agent
        ):
            _log.warning("a setting has changed since the last start: %s", change)
        viewings = ViewingCopies(offloads.parts, jobs=engine, gate=house.gate, scope=house.reading.scope)
        viewings.declare_jobs()
        regular = care.duties(house, offloads.parts, stop=stop.is_set)
        care.declare(engine, regular)
        offloads.start_up()
        engine.start()
        stack.callback(engine.stop, timeout_s=_STOP_TIMEOUT_S)
        autodock = AutoDock(
            offloads, registry=house.registry, jobs=engine, clock=house.clock,
            streams_per_hub=settings.docks.streams_per_hub,
        )  # fmt: skip
        services = web_services(
            house, jobs=engine, offloads=offloads, docked=autodock.docked, hint=autodock.hint, viewings=viewings
        )
        web = settings.web
        app = create_app(services, ApiSettings(secure_cookies=web.secure_cookies, allowed_hosts=web.allowed_hosts))
        sealing = _guarded("sealer", lambda: house.sealer.run(stop, house.wake_sealer, on_error=_note), stop, trouble)
        stack.callback(_join, sealing, stop, house.wake_sealer.set)
        replicating = _guarded("disclosures", lambda: _replicate(house, stop), stop, trouble)
        stack.callback(_join, replicating, stop, lambda: None)
        if docks:
            docking = _guarded("docks", lambda: autodock.run(stop, interval_s=settings.docks.poll_s), stop, trouble)
            stack.callback(_join, docking, stop, autodock.hint)
            for driver in _watch_folders(house, autodock.hint):
                stack.callback(driver.stop)
        schedule = care.start(engine, regular)
        stack.callback(schedule.stop)
        if why := sandbox_trouble():
            _log.error("no media program can be started, recordings are kept and sealed but not examined: %s", why)
        for setting in weakened(settings):
            _log.warning("this home promises less than the default: %s", setting)
        yield Running(
            house=house, engine=engine, offloads=offloads, autodock=autodock, app=app, stop=stop, trouble=trouble
        )


def _replicate(house: House, stop: threading.Event) -> None:
    """Keep the stores' disclosures close behind the log: a catalogue lost now costs the names of seconds, not minutes."""
    done = -1
    while not stop.wait(_REPLICATE_S):
        try:
            with house.catalogue.read() as uow:
                head = uow.outbox.head()
            size = head.published_size if head is not None else 0
            if size != done:
                house.archive.sync(house.catalogue)
                done = size
        except EvidenceError as error:  # the regular job says so each minute until it is mended
            if error.fatal:
                raise
            _log.info("disclosures lag: %s", error.what)


def _seal_the_rest(house: House, trouble: list[EvidenceError]) -> None:
    """An orderly end leaves nothing unsealed; what this cannot do, the next start does."""
    if trouble:
        return
    try:
        while house.sealer.seal_once():
            pass
        house.archive.sync(house.catalogue)
    except EvidenceError as error:
        Running.fatal(error)
        _note(error)


def _note(error: EvidenceError) -> None:
    level = logging.ERROR if isinstance(error, StoreError) else logging.WARNING
    _log.log(level, "sealing will be tried again: %s: %s", error.code, error.diagnostics())


def _join(thread: threading.Thread, stop: threading.Event, wake: Callable[[], None]) -> None:
    stop.set()
    wake()
    thread.join(_STOP_TIMEOUT_S)
