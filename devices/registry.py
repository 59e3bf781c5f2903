"""All drivers behind one face. A driver that fails never hides what the others see."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from evidence.errors import ConfigError, DeviceError, DeviceUnsupportedError
from evidence.ports import DeviceDriver, DeviceSession, DockedDevice

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Survey:
    """One look at all drivers: what is docked, and which drivers could not tell (name -> what happened)."""

    docked: tuple[DockedDevice, ...]
    failed: dict[str, str]


class DriverRegistry:
    """The drivers of this installation, in order of preference.

    Args:
        drivers: Their names must differ.

    Raises:
        ConfigError: Two drivers have one name.
    """

    def __init__(self, drivers: Sequence[DeviceDriver]) -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        if len(self._drivers) != len(drivers):
            raise ConfigError("two device drivers have the same name")
        self._complained: dict[str, str] = {}

    @property
    def drivers(self) -> tuple[DeviceDriver, ...]:
        """The drivers, in order."""
        return tuple(self._drivers.values())

    def survey(self) -> Survey:
        """Ask every driver; a failing one is named, logged when its trouble is new, and its devices are unknown, not gone."""
        docked: list[DockedDevice] = []
        failed: dict[str, str] = {}
        for name, driver in self._drivers.items():
            try:
                docked.extend(driver.scan())
            except Exception as error:  # also a fault of the driver's own: the docks of the others go on
                failed[name] = str(error)
                if self._complained.get(name) != str(error):
                    known = isinstance(error, DeviceError | OSError)
                    _log.warning("driver %s cannot scan: %s", name, error, exc_info=None if known else error)
        self._complained = failed
        return Survey(tuple(docked), dict(failed))

    def scan(self) -> list[DockedDevice]:
        """What is docked now, over all drivers that can tell."""
        return list(self.survey().docked)

    def open(self, device: DockedDevice) -> DeviceSession:
        """Open one of them with the driver that found it.

        Raises:
            DeviceUnsupportedError: No driver of that name is installed. And whatever the driver raises.
        """
        driver = self._drivers.get(device.driver)
        if driver is None:
            raise DeviceUnsupportedError(f"no driver named {device.driver[:40]!r} is installed")
        return driver.open(device)
