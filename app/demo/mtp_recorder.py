"""An MTP recorder as a real USB-protocol device: the PyPI package ``usbip`` answers USB requests over loopback TCP.

The service talks to it through ``devices.usb_over_ip`` exactly as it would to a recorder on a remote dock PC.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from evidence.errors import ConfigError


class _FolderStorage:
    """The recorder's card: a folder."""

    read_only = False
    description = "SD card"

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, relative: str) -> Path:
        return self._root / relative.lstrip("/")

    def listdir(self, path: str) -> list[str]:
        return sorted(entry.name for entry in self._path(path).iterdir())

    def stat(self, path: str) -> tuple[bool, int, float]:
        state = self._path(path).stat()
        return self._path(path).is_dir(), state.st_size, state.st_mtime

    def read(self, path: str, offset: int, size: int | None) -> bytes:
        with self._path(path).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if size is None else size)

    def remove(self, path: str) -> None:
        self._path(path).unlink()

    def disk_usage(self) -> tuple[int, int]:
        state = os.statvfs(self._root)
        return state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def plug_in(root: Path, *, serial: str) -> str:
    """Plug the recorder in; returns the ``host:port`` of its USB/IP server. It stays until the process ends.

    Raises:
        ConfigError: The package ``usbip`` is not installed (it belongs to the demonstration only).
    """
    try:
        from usbip import core
        from usbip.classes.device.mtp import MTP
        from usbip.device import USBDevice
        from usbip.transport import USBIP
    except ImportError as error:
        raise ConfigError(
            "the demonstration's USB device is not installed", todo="Run `make run`, which installs it."
        ) from error
    device = USBDevice(0x1209, 0x0009, manufacturer="Liuhen", product="Demonstration recorder", serial=serial)
    device.set_speed(core.SPEED_HIGH)
    device.add(MTP(_FolderStorage(root), name="Demonstration recorder", serial=serial))
    port = _free_port()
    device.plug(via=USBIP("127.0.0.1", port))
    return f"127.0.0.1:{port}"
