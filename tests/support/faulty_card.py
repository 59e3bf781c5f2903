"""A card whose reading goes wrong where a test says so. Everything else is the real mass-storage driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.mass_storage.driver import MassStorageDriver
from devices.session import Refused
from evidence.errors import EvidenceError
from evidence.model import Cap, SourceObject
from evidence.ports import DockedDevice

NAME = "faulty_card"


class _Stream:
    def __init__(self, real, session, path: Path) -> None:
        self._real = real
        self._session = session
        self._path = path

    def readinto(self, buffer, /) -> int:
        fault = self._session.driver
        if fault.left is not None:
            if fault.left <= 0:
                raise fault.error("the card was pulled")
            buffer = buffer[: fault.left]
        count = self._real.readinto(buffer)
        if fault.after_read is not None:
            fault.after_read(self._path)
        if fault.left is not None:
            fault.left -= count
        fault.read_bytes += count
        return count


class _Session:
    def __init__(self, real, driver) -> None:
        self._real = real
        self.driver = driver

    def __getattr__(self, name: str):
        return getattr(self._real, name)

    @property
    def caps(self):
        return self._real.caps - self.driver.without

    @property
    def refused(self) -> list[Refused]:
        return [*self._real.refused, *(Refused(folder, "unreadable") for folder in sorted(self.driver.unreadable))]

    def list_objects(self) -> Iterator[SourceObject]:
        for source in self._real.list_objects():
            if not any(source.key.path.startswith(f"{folder}/") for folder in self.driver.unreadable):
                yield source

    @contextmanager
    def open_read(self, source, *, offset: int = 0) -> Iterator[_Stream]:
        self.driver.opened.append((source.name, offset))
        with self._real.open_read(source, offset=offset) as stream:
            yield _Stream(stream, self, self.driver.root / source.key.path)


class FaultyCard:
    """Driver of one card.

    ``left`` bytes can still be read before ``error`` is raised (None: no fault); ``after_read`` is called with the file's
    path after every read; what lies in the folders ``unreadable`` is not listed.
    """

    name = NAME

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left: int | None = None
        self.error: Callable[[str], EvidenceError] | type[EvidenceError]
        self.without: set[Cap] = set()
        self.opened: list[tuple[str, int]] = []
        self.read_bytes = 0
        self.after_read: Callable[[Path], None] | None = None
        self.unreadable: set[str] = set()
        self._real = MassStorageDriver([root])

    @property
    def docked(self) -> DockedDevice:
        real = MassStorageDriver.docked_at(self.root)
        return DockedDevice(NAME, real.slot, real.address)

    def scan(self) -> list[DockedDevice]:
        return [self.docked]

    def open(self, device: DockedDevice):
        return _Session(self._real.open(DockedDevice("mass_storage", device.slot, device.address)), self)
