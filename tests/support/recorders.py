"""Recorders for tests: a card's directory tree, and a real MTP responder over loopback TCP with a cable one can cut."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from usbip import core
from usbip.classes.device import mtp
from usbip.device import USBDevice
from usbip.transport import USBIP

from devices.mtp.driver import MtpDriver
from devices.usb_over_ip import UsbIpBackend

DEVICE_CODE = "7654321"
OFFICER_CODE = "900123"


def make_gb_tree(root: Path, media: Mapping[str, bytes | Path], *, mtime_s: int = 1_790_000_000) -> Path:
    """Lay out a recorder's card: relative path -> content (bytes, or a file whose bytes are copied).

    Every file gets its own stable time stamp (``mtime_s`` plus its position in seconds), so that identities are stable.
    """
    for position, (name, content) in enumerate(sorted(media.items())):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
        os.utime(target, (mtime_s + position, mtime_s + position))
    return root


def gb_name(
    *, counter: int = 1, stamp: str = "20261122093000", mark: str = "", extension: str = "mp4",
    officer: str = OFFICER_CODE, device: str = DEVICE_CODE,
) -> str:  # fmt: skip
    """A file name as the common firmware writes it (pattern B)."""
    return f"{officer}_{device}_{stamp}_{counter:04d}{mark}.{extension}"


class FolderStore:
    """Backs the MTP responder with a directory."""

    read_only = False
    description = "SD card"

    def __init__(self, root: Path) -> None:
        self.root = root

    def listdir(self, path):
        return [entry.name for entry in (self.root / path).iterdir()]

    def stat(self, path):
        state = (self.root / path).stat()
        return stat.S_ISDIR(state.st_mode), state.st_size, state.st_mtime

    def read(self, path, offset, size):
        with (self.root / path).open("rb") as file:
            file.seek(offset)
            return file.read(-1 if size is None else size)

    def remove(self, path):
        (self.root / path).unlink()

    def disk_usage(self):
        state = os.statvfs(self.root)
        return state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize


class RecorderInterface(mtp.MTP):
    """The third party's MTP responder, with what body-worn recorders add: a clock, a battery, and faults on demand.

    ``faults``: operation -> ``"silent"`` (never answers) or ``"stall"`` (stalls its endpoint once).
    """

    def __init__(self, store, *, serial, clock=None, battery=None, without=(), **more):
        super().__init__(store, name="DSJ-01", manufacturer="Recorder Works", serial=serial, **more)
        self.clock = clock
        self.battery = battery
        self.without = frozenset(without)
        self.faults: dict[int, str] = {}
        self.operations: list[int] = []
        self.serial = serial

    def _device_info(self):
        whole = super()._device_info()
        operations = [code for code in mtp._OP_NAMES if code not in self.without]
        properties = [0x5001] * (self.battery is not None) + [0x5011] * (self.clock is not None)
        old_operations, old_properties = mtp.u16_array(mtp._OP_NAMES), mtp.u16_array([0xD402, 0xD401])
        assert old_operations in whole
        assert old_properties in whole
        return whole.replace(old_operations, mtp.u16_array(operations)).replace(
            old_properties, mtp.u16_array(properties)
        )

    def _device_prop_value(self, code):
        if code == 0x5001 and self.battery is not None:
            return bytes([self.battery])
        if code == 0x5011 and self.clock is not None:
            return mtp.ptp_str(self.clock)
        return super()._device_prop_value(code)

    def _device_prop_desc(self, code):
        if code == 0x5011 and self.clock is not None:
            return struct.pack("<HHB", code, 0xFFFF, 1) + mtp.ptp_str("") + mtp.ptp_str(self.clock) + b"\0"
        return super()._device_prop_desc(code)

    def _recv_device_prop(self, transaction, parameters, payload):
        if parameters[0] == 0x5011 and self.clock is not None:
            self.clock = mtp.ptp_str_parse(payload, 0)[0]
            self._resp(mtp.RC_OK, transaction)
        else:
            super()._recv_device_prop(transaction, parameters, payload)

    def _dispatch(self, data):
        code = struct.unpack_from("<H", data, 6)[0] if len(data) >= 12 else 0
        self.operations.append(code)
        fault = self.faults.get(code)
        if fault == "silent":
            return None
        if fault == "stall":
            del self.faults[code]
            self.in_ep.stall()
        if code in self.without:
            transaction = struct.unpack_from("<I", data, 8)[0]
            return self._resp(mtp.RC_OPERATION_NOT_SUPPORTED, transaction)
        return super()._dispatch(data)


class Cable:
    """A TCP proxy that counts what flows from the recorder to us and can be cut, or hold everything back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._left: int | None = None
        self._stalled = threading.Event()
        self._guard = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._server.getsockname()[:2]
        self.carried = 0
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int) -> None:
        """Cut when ``count`` more bytes have come from the recorder: to the byte, in the middle of anything."""
        with self._guard:
            self._left = count

    def stall(self) -> None:
        """Let nothing through any more, without closing anything."""
        self._stalled.set()

    def plug(self) -> None:
        """Let bytes through again; connections that were cut stay cut."""
        with self._guard:
            self._left = None
        self._stalled.clear()

    def cut(self) -> None:
        with self._guard:
            self._left = 0
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                ours, _ = self._server.accept()
            except OSError:
                return
            with self._guard:
                unplugged = self._left == 0
            if unplugged:
                ours.close()
                continue
            try:
                theirs = socket.create_connection(self._target)
            except OSError:
                ours.close()
                continue
            for end in (ours, theirs):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                self._pairs.append((ours, theirs))
            threading.Thread(target=self._pump, args=(ours, theirs, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(theirs, ours, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                while self._stalled.is_set() and not self._closed:
                    time.sleep(0.01)
                cut = False
                if counted:
                    with self._guard:
                        if self._left is not None:
                            data = data[: self._left]
                            self._left -= len(data)
                            cut = self._left == 0
                        self.carried += len(data)
                sink.sendall(data)
                if cut:
                    self.cut()
                    return
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class MtpRecorder:
    """A recorder that speaks MTP over a folder: ``with MtpRecorder(root, serial="...") as recorder: recorder.backend``.

    Args:
        root: What is on it.
        serial: USB serial.
        clock: PTP date its clock shows (None: the device has no clock property).
        battery: Percent (None: not told).
        without: Operation codes it does not offer.
    """

    def __init__(self, root: Path, *, serial: str = "8888888", clock=None, battery=None, without=()) -> None:
        self.root = root
        self.serial = serial
        self.interface = RecorderInterface(
            FolderStore(root), serial=serial, clock=clock, battery=battery, without=without, winusb=False
        )
        self._device = USBDevice(0x1209, 0x0009, manufacturer="Recorder Works", product="DSJ-01", serial=serial)
        self._device.set_speed(core.SPEED_HIGH)
        self._device.add(self.interface)

    def __enter__(self):
        for _ in range(20):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            try:
                self._device.plug(via=USBIP("127.0.0.1", port))
                break
            except OSError:  # another test took the port between the two lines
                continue
        self.cable = Cable(("127.0.0.1", port))
        self.address = self.cable.address
        self.backend = UsbIpBackend([self.address])
        return self

    def __exit__(self, *exc):
        self.cable.close()
        self._device.unplug()

    def cut_after(self, count: int) -> None:
        """Unplug after exactly ``count`` more bytes from the recorder."""
        self.cable.cut_after(count)

    def plug(self) -> None:
        """Dock it again."""
        self.cable.plug()

    def refresh(self) -> None:
        """Let the responder see files that were put into the folder after its start."""
        self.interface.storage.rescan()

    def driver(self, *, timeout_s: float = 5.0) -> MtpDriver:
        """A driver that sees this recorder alone."""
        return MtpDriver(self.backend, timeout_s=timeout_s)


@contextlib.contextmanager
def docked_mtp_recorders(roots: Mapping[str, Path]) -> Iterator[tuple[list[MtpRecorder], UsbIpBackend]]:
    """Several recorders (serial -> folder) behind one backend."""
    with contextlib.ExitStack() as stack:
        recorders = [stack.enter_context(MtpRecorder(root, serial=serial)) for serial, root in roots.items()]
        yield recorders, UsbIpBackend([recorder.address for recorder in recorders])
