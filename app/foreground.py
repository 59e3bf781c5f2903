"""One offload in the foreground: ``liuhen ingest`` when no service runs, under the home's own lock.

The same offload service as in ``serve``; its follow-up jobs run here, one after the other, and the log is sealed before the
answer. Interrupted (Ctrl-C, kill), it leaves what the next run takes up at the byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from app.offload_report import offload_json
from app.wiring import House
from catalogue.records import ProgressRow
from devices.mass_storage.driver import MassStorageDriver
from devices.watch_folder.driver import WatchFolderDriver
from evidence.durable import exclusive_lock
from evidence.errors import NotFoundError
from evidence.model import Actor, RecordingState
from evidence.names import printable
from evidence.ports import DockedDevice
from flow import InlineEngine
from ingest.docking import OffloadResult
from ingest.session import RECONCILE_JOB, OffloadService

OnProgress = Callable[[ProgressRow], None]
_PENDING: Final = frozenset({RecordingState.ACQUIRED})
_WAIT_S: Final = 0.2


def docked_at(house: House, path: Path) -> DockedDevice:
    """The docked device for a path given by hand: a configured drop folder, else a mounted recorder or plain folder.

    Raises:
        NotFoundError: No such folder.
    """
    if not path.is_dir():
        raise NotFoundError(f"{path} is no folder", todo="Give the folder where the recorder is mounted.")
    for driver in house.registry.drivers:
        if isinstance(driver, WatchFolderDriver):
            for docked in driver.scan():
                if docked.address == printable(bytes(path.absolute())):
                    return docked
    return MassStorageDriver.docked_at(path)


def ingest(house: House, path: Path, actor: Actor, *, register: bool, on_progress: OnProgress | None) -> dict[str, Any]:
    """Offload a path, secure every recording, seal, and tell what came in.

    Raises:
        HomeLockedError: A service works on this home (hand the work to it instead).
        And whatever ``OffloadService.offload`` raises.
    """
    with exclusive_lock(house.home.lock):
        jobs = InlineEngine()
        offloads = house.offloads(jobs)
        offloads.start_up()
        jobs.start()
        try:
            result = offloads.offload(docked_at(house, path), actor, register=register, on_progress=on_progress)
        finally:
            jobs.enqueue(RECONCILE_JOB, "", queue=offloads.dock_queue, key=RECONCILE_JOB, priority=1)
            jobs.drain()
            house.seal_pending()
        return offload_json(house, result)


def ingest_beside(
    house: House, offloads: OffloadService, path: Path, actor: Actor, *, register: bool, on_progress: OnProgress | None,
    timeout_s: float = 3600.0,
) -> dict[str, Any]:  # fmt: skip
    """The same inside a serving process: its engine secures the recordings; returns when they are sealed."""
    result = offloads.offload(docked_at(house, path), actor, register=register, on_progress=on_progress)
    _wait_until_sealed(house, result, timeout_s=timeout_s)
    return offload_json(house, result)


def _wait_until_sealed(house: House, result: OffloadResult, *, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with house.catalogue.read() as uow:
            rows = [uow.recordings.get(recording) for recording in result.acquired]
        stored = [row for row in rows if row.state in {RecordingState.STORED, RecordingState.RELEASED}]
        if not any(row.state in _PENDING for row in rows) and all(row.sealed and row.described for row in stored):
            return
        time.sleep(_WAIT_S)
