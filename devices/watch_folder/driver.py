"""Drop folders: network recorders push by FTP, people copy by hand; complete files are taken in, others wait.

The folder stands for its sender in the ledger. watchdog's events only wake the next scan; what is complete is decided by
looking twice (devices.watch_folder.protocol).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from devices.mass_storage.protocol import serial_of_path
from devices.session import Refused
from devices.tree import Found, Tree, source_of
from devices.watch_folder.protocol import SETTLE_S, Observation, Settling, is_temporary
from evidence.clock import TimeReading
from evidence.errors import ConfigError, DeviceUnsupportedError
from evidence.model import Cap, ClockOffset, DeviceIdentity, DeviceStatus, ReleaseReceipt, SourceObject
from evidence.names import original_bytes, printable
from evidence.ports import DockedDevice
from evidence.transfer import ByteSource

NAME = "watch_folder"
_log = logging.getLogger(__name__)


class _Hint(FileSystemEventHandler):
    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Any change that is not a mere look at the folder is worth a scan."""
        if event.event_type not in {"opened", "closed_no_write"}:
            self._on_change()


class WatchFolderDriver:
    """Every configured folder is one source.

    Args:
        folders: Where files are dropped.
        settle_s: Seconds a file must look the same before it is complete.
    """

    name = NAME

    def __init__(self, folders: Sequence[Path], *, settle_s: float = SETTLE_S) -> None:
        if settle_s < 0:
            raise ConfigError("the settling time of a watched folder cannot be negative")
        self._folders = tuple(folder.absolute() for folder in folders)
        self._settling = {os.fsencode(folder): Settling(settle_s) for folder in self._folders}
        self._observer: BaseObserver | None = None

    def scan(self) -> list[DockedDevice]:
        """The folders that exist now."""
        names = [printable(os.fsencode(folder)) for folder in self._folders if folder.is_dir()]
        return [DockedDevice(driver=NAME, slot=name, address=name) for name in names]

    def open(self, device: DockedDevice) -> WatchFolderSession:
        """Open one folder.

        Raises:
            DeviceUnsupportedError: It is not one of the configured folders. DeviceGoneError: it is not there.
        """
        path = original_bytes(device.address)
        settling = self._settling.get(path)
        if settling is None:
            raise DeviceUnsupportedError("this folder is not configured as a drop folder")
        return WatchFolderSession(path, settling)

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin to call ``on_change`` (from another thread) whenever something happens in a folder that exists.

        Without inotify the periodic scan still finds everything; that is logged and not an error.
        """
        if self._observer is not None:
            return
        observer = Observer()
        handler = _Hint(on_change)
        try:
            for folder in self._folders:
                if folder.is_dir():
                    observer.schedule(handler, os.fspath(folder), recursive=True)
            observer.start()
        except OSError as error:
            _log.warning("no change events for drop folders (%s); the periodic scan finds files all the same", error)
            return
        self._observer = observer

    def stop(self) -> None:
        """End the events; may be called twice."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()


class WatchFolderSession:
    """One drop folder, open. Listing may wait once for the settling time when it meets new files."""

    def __init__(self, path: bytes, settling: Settling) -> None:
        self._settling = settling
        self._tree = Tree(Path(os.fsdecode(path)))
        self._closed = threading.Event()
        self._waiting: list[str] = []
        self._identity = DeviceIdentity(
            driver=NAME, kind="folder", serial=serial_of_path(path, self._tree.inode), serial_source="path"
        )

    @property
    def caps(self) -> frozenset[Cap]:
        """A folder has room, but neither clock nor battery."""
        return frozenset({Cap.LIST, Cap.READ, Cap.RESUME, Cap.DELETE, Cap.STORAGE})

    @property
    def identity(self) -> DeviceIdentity:
        """The folder, by path and inode: a folder made anew is a new source that a person registers."""
        return self._identity

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What the last complete listing left out."""
        return tuple(self._tree.refused)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Printable paths of files that are not complete yet, as of the last listing."""
        return tuple(self._waiting)

    def status(self, now: TimeReading) -> DeviceStatus:  # noqa: ARG002 - a folder has no clock to compare with
        """Capacity and room of the disk the folder lies on."""
        capacity, free, _ = self._tree.space()
        return DeviceStatus(capacity_bytes=capacity, free_bytes=free)

    def list_objects(self) -> Iterator[SourceObject]:
        """Complete files only; the others are told in ``waiting``.

        New files are looked at twice, so this waits once for the settling time (less when ``close`` is called meanwhile).
        """
        found = self._look()
        if any(not self._settled(file) for file in found if not is_temporary(source_of(file).name)):
            self._closed.wait(self._settling.settle_s)
            found = self._look()
        complete: list[Found] = []
        waiting: list[str] = []
        for file in found:
            source = source_of(file)
            if is_temporary(source.name) or not self._settled(file):
                waiting.append(source.key.path)
            else:
                complete.append(file)
        self._waiting = waiting
        for file in complete:
            yield source_of(file)

    def _look(self) -> list[Found]:
        found = list(self._tree.walk())
        self._settling.observe(map(_observation, found), monotonic_s=time.monotonic())
        return found

    def _settled(self, file: Found) -> bool:
        return self._settling.is_settled(_observation(file), monotonic_s=time.monotonic())

    def open_read(self, source: SourceObject, *, offset: int = 0) -> AbstractContextManager[ByteSource]:
        """Read as listed; a file that somebody writes to meanwhile ends in SourceChangedError."""
        return self._tree.open_read(source, offset=offset)

    def set_clock(self, now: TimeReading) -> ClockOffset:  # noqa: ARG002 - the contract's argument
        """A folder has no clock."""
        raise DeviceUnsupportedError("a drop folder has no clock")

    def delete(self, source: SourceObject, receipt: ReleaseReceipt) -> None:
        """Remove one file against its receipt."""
        self._tree.delete(source, receipt)

    def eject(self) -> None:
        """There is nothing to eject."""
        raise DeviceUnsupportedError("a drop folder cannot be ejected")

    def close(self) -> None:
        """Give the folder back and end a listing that waits."""
        self._closed.set()
        self._tree.close()


def _observation(file: Found) -> Observation:
    key = source_of(file).key
    return Observation(key.path, key.size_bytes, key.mtime_raw)
