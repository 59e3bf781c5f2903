"""One offload in the foreground: ``liuhen ingest`` when no service runs, under the home's own lock.

The same offload service as in ``serve``; its follow-up jobs run here, one after the other, and the log is sealed before the
answer. Interrupted (Ctrl-C, kill), it leaves what the next run takes up at the byte.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from app.offload_report import offload_json
from app.promises import enter_settings
from app.restored_files import forget
from app.wiring import House
from catalogue.records import ProgressRow
from devices.mass_storage.driver import MassStorageDriver
from devices.registry import DriverRegistry
from devices.watch_folder.driver import WatchFolderDriver
from evidence.durable import exclusive_lock
from evidence.errors import EvidenceError, NotFoundError
from evidence.model import Actor, RecordingState
from evidence.names import printable
from evidence.ports import DockedDevice, JobEngine
from flow import InlineEngine
from ingest.docking import OffloadResult
from ingest.session import RECONCILE_JOB, OffloadService, recording_keys

OnProgress = Callable[[ProgressRow], None]
_WAIT_S: Final = 0.2
#: An engine takes a moment between two runs of a job; only a recording without a job for so long is given up.
_GIVE_UP_S: Final = 5.0


def progress_json(row: ProgressRow) -> dict[str, Any]:
    """What a progress bar needs."""
    return {
        "stage": row.stage, "bytes_done": row.bytes_done, "bytes_total": row.bytes_total, "files_done": row.files_done,
        "files_total": row.files_total, "rate_bytes_s": row.rate_bytes_s,
    }  # fmt: skip


def docked_at(registry: DriverRegistry, path: Path) -> DockedDevice:
    """The docked device for a path given by hand: a configured drop folder, else a mounted recorder or plain folder.

    Raises:
        NotFoundError: No such folder.
    """
    if not path.is_dir():
        raise NotFoundError(f"{path} is no folder", todo="Give the folder where the recorder is mounted.")
    for driver in registry.drivers:
        if isinstance(driver, WatchFolderDriver):
            for docked in driver.scan():
                if docked.address == printable(bytes(path.absolute())):
                    return docked
    return MassStorageDriver.docked_at(path)


def docked_where(registry: DriverRegistry, where: str) -> DockedDevice:
    """What is docked in a slot, or the folder of that path.

    Raises:
        NotFoundError: Neither.
    """
    docked = next((one for one in registry.scan() if one.slot == where), None)
    if docked is not None:
        return docked
    if not Path(where).is_dir():
        raise NotFoundError(f"nothing is docked at {where}", todo="See `liuhen devices scan`.")
    return docked_at(registry, Path(where).absolute())


def ingest(house: House, path: Path, actor: Actor, *, register: bool, on_progress: OnProgress | None) -> dict[str, Any]:
    """Offload a path, secure every recording, seal, and tell what came in.

    Ctrl-C ends it at once: what was read is kept and secured by the next run.

    Raises:
        HomeLockedError: A service works on this home (hand the work to it instead).
        And whatever ``OffloadService.offload`` raises.
    """
    with exclusive_lock(house.home.lock):
        forget(house.home, house.catalogue)
        if house.encryption is not None:
            house.encryption.start_up()
        jobs = InlineEngine()
        offloads = house.offloads(jobs)
        offloads.start_up()
        jobs.start()
        enter_settings(house.catalogue, house.settings, recorder=house.recorder, clock=house.clock, actor=actor.agent)
        try:
            result = offloads.offload(
                docked_at(house.registry, path), actor, register=register, on_progress=on_progress
            )
        except EvidenceError as error:
            if not error.fatal:  # what an earlier run left is secured although this recorder could not be read
                _secure_all(house, offloads, jobs)
            raise
        _secure_all(house, offloads, jobs)
        return offload_json(house, result)


def _secure_all(house: House, offloads: OffloadService, jobs: InlineEngine) -> None:
    jobs.enqueue(RECONCILE_JOB, "", queue=offloads.dock_queue, key=RECONCILE_JOB, priority=1)
    jobs.drain()
    house.seal_pending()


def ingest_beside(
    house: House, offloads: OffloadService, path: Path, actor: Actor, *, register: bool, on_progress: OnProgress | None,
    jobs: JobEngine, stop: threading.Event,
) -> dict[str, Any]:  # fmt: skip
    """The same inside a serving process: its engine secures the recordings.

    Returns when they are sealed and described, when the jobs of those that are not have failed (a store is away: the
    reconciler tries again), or when the service stops.
    """
    docked = docked_at(house.registry, path)
    result = offloads.offload(docked, actor, register=register, on_progress=on_progress)
    _wait_until_sealed(house, result, jobs=jobs, stop=stop)
    return offload_json(house, result)


def _wait_until_sealed(house: House, result: OffloadResult, *, jobs: JobEngine, stop: threading.Event) -> None:
    idle_since, waited_for = time.monotonic(), [*result.acquired, *result.known]
    while not stop.wait(_WAIT_S):
        with house.catalogue.read() as uow:
            rows = [uow.recordings.get(recording) for recording in waited_for]
        stored = [row for row in rows if row.state in {RecordingState.STORED, RecordingState.RELEASED}]
        left = [row for row in rows if row.state is RecordingState.ACQUIRED]
        left += [row for row in stored if not (row.sealed and row.described)]
        if not left:
            return
        waited_for = [row.id for row in left]  # a card of thousands that are held already is asked for once
        if not set[str]().union(*(recording_keys(row.id) for row in left)).isdisjoint(jobs.live_keys()):
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > _GIVE_UP_S:
            return
