"""Who is docked: a scan every few seconds is the truth, events only wake it early.

Hot-plug events get lost, come twice or come before the device can be opened; a comparison of two scans does not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from devices.registry import DriverRegistry
from evidence.ports import DockedDevice

_log = logging.getLogger(__name__)
INTERVAL_S: Final = 3.0

Callback = Callable[[DockedDevice], None]


class DockMonitor:
    """Calls back when a device comes or goes. The callbacks run on the monitor's thread: they must only hand work on.

    A device that is unplugged and docked again between two scans has another address and is reported as gone and come.
    A driver that cannot scan keeps its devices: not knowing is not undocking.

    Args:
        registry: Where to look.
        on_docked: A device is there that was not (also once at start for each device already docked).
        on_undocked: A device is no longer there.
        interval_s: Seconds between scans.
    """

    def __init__(
        self, registry: DriverRegistry, *, on_docked: Callback, on_undocked: Callback, interval_s: float = INTERVAL_S
    ) -> None:
        self._registry = registry
        self._on_docked = on_docked
        self._on_undocked = on_undocked
        self._interval_s = interval_s
        self._docked: tuple[DockedDevice, ...] = ()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._scanning = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def docked(self) -> tuple[DockedDevice, ...]:
        """What the last scan found."""
        return self._docked

    def poke(self) -> None:
        """A hint that something changed; the next scan comes at once. May be called from any thread."""
        self._wake.set()

    def poll_once(self) -> None:
        """Scan now and call back for every difference; a callback that fails is logged and does not stop the others."""
        with self._scanning:
            survey = self._registry.survey()
            kept = [device for device in self._docked if device.driver in survey.failed]
            now = tuple(dict.fromkeys([*survey.docked, *kept]))
            before, self._docked = self._docked, now
        for device in before:
            if device not in now:
                self._call(self._on_undocked, device)
        for device in now:
            if device not in before:
                self._call(self._on_docked, device)

    @staticmethod
    def _call(callback: Callback, device: DockedDevice) -> None:
        try:
            callback(device)
        except Exception:
            _log.exception("the dock in slot %s was seen to change, and acting on it failed", device.slot)

    def start(self) -> None:
        """Begin to watch, on a thread of its own."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="dock monitor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the scan under way; may be called twice."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self.poll_once()
            except Exception:
                _log.exception("the scan for docked recorders failed; it is tried again")
            self._wake.wait(self._interval_s)
