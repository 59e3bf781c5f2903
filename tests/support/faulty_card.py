"""A card whose reading goes wrong where a test says so. Everything else is the real mass-storage driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.mass_storage.driver import MassStorageDriver
from evidence.errors import EvidenceError
from evidence.model import Cap
from evidence.ports import DockedDevice

NAME = "faulty_card"


class _Stream:
    def __init__(self, real, session) -> None:
        self._real = real
        self._session = session

    def readinto(self, buffer, /) -> int:
        fault = self._session.driver
        if fault.left is not None:
            if fault.left <= 0:
                raise fault.error("the card was pulled")
            buffer = buffer[: fault.left]
        count = self._real.readinto(buffer)
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

    @contextmanager
    def open_read(self, source, *, offset: int = 0) -> Iterator[_Stream]:
        self.driver.opened.append((source.name, offset))
        with self._real.open_read(source, offset=offset) as stream:
            yield _Stream(stream, self)


class FaultyCard:
    """Driver of one card: ``left`` bytes can still be read before ``error`` is raised (None: no fault)."""

    name = NAME

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left: int | None = None
        self.error: Callable[[str], EvidenceError] | type[EvidenceError]
        self.without: set[Cap] = set()
        self.opened: list[tuple[str, int]] = []
        self.read_bytes = 0
        self._real = MassStorageDriver([root])

    @property
    def docked(self) -> DockedDevice:
        real = MassStorageDriver.docked_at(self.root)
        return DockedDevice(NAME, real.slot, real.address)

    def scan(self) -> list[DockedDevice]:
        return [self.docked]

    def open(self, device: DockedDevice):
        return _Session(self._real.open(DockedDevice("mass_storage", device.slot, device.address)), self)
