"""The USB/IP wire: listing a server's devices, importing one, submitting and taking back requests.

Source: Linux Documentation/usb/usbip_protocol.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Final

import usb.core

_VERSION: Final = 0x0111
_OP_DEVLIST, _OP_IMPORT = 0x8005, 0x8003
_CMD_SUBMIT, _CMD_UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_DEVICE: Final = struct.Struct(">256s32sIIIHHHBBBBBB")
_HEADER: Final = struct.Struct(">IIIIIii20x")
_SUBMIT: Final = struct.Struct(">IIIIIIiiii8s")
_UNLINK: Final = struct.Struct(">IIIIII24x")
_NO_SETUP: Final = bytes(8)
#: A server that announces more than this is not a dock.
DEVICES_MAX: Final = 128
_CONNECT_TIMEOUT_S: Final = 3.0
_UNLINK_TIMEOUT_S: Final = 2.0
_TRANSFER_BYTES_MAX: Final = 16 << 20

Address = tuple[str, int]


def usb_error(what: str, number: int) -> usb.core.USBError:
    """The error pyusb raises for an errno."""
    return usb.core.USBError(what, None, number)


def _gone() -> usb.core.USBError:
    return usb_error("the USB/IP connection ended", errno.ENODEV)


def _receive(connection: socket.socket, length: int) -> bytearray:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise ConnectionResetError("USB/IP peer closed the connection")
        view = view[count:]
    return buffer


@dataclass(frozen=True, slots=True)
class Exported:
    """One device a server exports: where, and its numbers there."""

    server: Address
    server_index: int
    bus_id: str
    bus: int
    address: int
    speed: int
    vendor_id: int
    product_id: int

    @property
    def ports(self) -> tuple[int, ...]:
        """Port numbers along the hubs, from the bus identity ``1-1.4``."""
        numbers = self.bus_id.partition("-")[2].split(".")
        return tuple(int(number) for number in numbers) if all(number.isdigit() for number in numbers) else ()

    @property
    def unique_bus(self) -> int:
        """The bus number, made distinct over several servers."""
        return self.server_index * 256 + self.bus


def _exported(record: bytes | bytearray, server: Address, index: int) -> tuple[Exported, int]:
    fields = _DEVICE.unpack(record)
    bus_id = bytes(fields[1]).split(b"\0")[0].decode("ascii", "replace")
    device = Exported(server, index, bus_id, fields[2], fields[3], fields[4], fields[5], fields[6])
    return device, fields[13]


def list_exported(server: Address, *, index: int = 0) -> list[Exported]:
    """Ask one server for its devices.

    Raises:
        OSError: The server cannot be reached or breaks the protocol (as a connection error).
    """
    with socket.create_connection(server, _CONNECT_TIMEOUT_S) as connection:
        connection.sendall(struct.pack(">HHI", _VERSION, _OP_DEVLIST, 0))
        if struct.unpack(">HHI", _receive(connection, 8))[2]:
            raise ConnectionError("the USB/IP server refused to list its devices")
        (count,) = struct.unpack(">I", _receive(connection, 4))
        if count > DEVICES_MAX:
            raise ConnectionError(f"the USB/IP server announces {count} devices")
        found = []
        for _ in range(count):
            device, interfaces = _exported(_receive(connection, _DEVICE.size), server, index)
            _receive(connection, 4 * interfaces)
            found.append(device)
        return found


@dataclass(slots=True)
class _Pending:
    """One request under way; ``status`` is None until the answer came."""

    inbound: bool
    done: threading.Event = field(default_factory=threading.Event)
    status: int | None = None
    actual: int = 0
    data: bytes | bytearray = b""


class Connection:
    """One imported device: requests go out under a lock, a thread sorts the answers. Safe for several threads.

    Raises:
        usb.core.USBError: EBUSY when the server will not give the device, ENODEV when it cannot be reached.
    """

    def __init__(self, device: Exported) -> None:
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._sending = threading.Lock()
        self._dead = False
        try:
            self._socket = socket.create_connection(device.server, _CONNECT_TIMEOUT_S)
        except OSError as error:
            raise _gone() from error
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bus_id = device.bus_id.encode("ascii", "replace")
            self._socket.sendall(struct.pack(">HHI32s", _VERSION, _OP_IMPORT, 0, bus_id))
            if struct.unpack(">HHI", _receive(self._socket, 8))[2]:
                raise usb_error("the USB/IP server does not give the device", errno.EBUSY)
            imported, _ = _exported(_receive(self._socket, _DEVICE.size), device.server, device.server_index)
            self._device_id = imported.bus << 16 | imported.address
            self._socket.settimeout(None)
        except usb.core.USBError:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise _gone() from error
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"usbip {device.bus_id}")
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                command, number, _, _, _, status, actual = _HEADER.unpack(_receive(self._socket, _HEADER.size))
                pending = self._pending.get(number)
                if command == _RET_SUBMIT:
                    data: bytes | bytearray = b""
                    if pending is not None and pending.inbound and actual > 0:
                        if actual > _TRANSFER_BYTES_MAX:
                            raise ConnectionError("the USB/IP server sends more than was asked for")
                        data = _receive(self._socket, actual)
                    if pending is not None:
                        pending.status, pending.actual, pending.data = status, actual, data
                        pending.done.set()
                elif command != _RET_UNLINK:
                    raise ConnectionError("unknown USB/IP answer")
                elif pending is not None:
                    pending.done.set()
        except (OSError, struct.error):
            self._dead = True
            for pending in list(self._pending.values()):
                pending.done.set()

    def _send(self, message: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(message)
        except OSError as error:
            self._dead = True
            raise _gone() from error

    def submit(
        self, endpoint: int, *, inbound: bool, length: int, data: bytes = b"", setup: bytes = _NO_SETUP,
        timeout_ms: int = 1000, interval: int = 0,
    ) -> _Pending:  # fmt: skip
        """Send one request and wait for its answer.

        Raises:
            usb.core.USBTimeoutError: No answer in time; the request was taken back.
            usb.core.USBError: EPIPE for a stall, ENODEV for a lost connection, else the device's own status.
        """
        if self._dead:
            raise _gone()
        number = next(self._numbers)
        pending = self._pending[number] = _Pending(inbound)
        try:
            head = _SUBMIT.pack(
                _CMD_SUBMIT, number, self._device_id, int(inbound), endpoint, 0, length, 0, 0, interval, setup
            )
            self._send(head + (b"" if inbound else data))
            if not pending.done.wait(timeout_ms / 1000 if timeout_ms else None):
                self._take_back(number, pending)
        finally:
            self._pending.pop(number, None)
        if pending.status is None:
            raise _gone()
        if pending.status == -errno.EPIPE:
            raise usb_error("the endpoint stalled", errno.EPIPE)
        if pending.status:
            raise usb_error(f"USB/IP status {pending.status}", abs(pending.status))
        return pending

    def _take_back(self, number: int, pending: _Pending) -> None:
        """Unlink a request that got no answer; if the answer crossed the unlink on the wire, it counts.

        The request stays known until the server acknowledged the unlink: a late answer carries bytes that must be read off
        the stream. A server that does not even acknowledge is gone.
        """
        unlink = next(self._numbers)
        taken = self._pending[unlink] = _Pending(inbound=False)
        try:
            self._send(_UNLINK.pack(_CMD_UNLINK, unlink, self._device_id, 0, 0, number))
            if not taken.done.wait(_UNLINK_TIMEOUT_S):
                self._dead = True
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
        finally:
            self._pending.pop(unlink, None)
        if pending.status is None and not self._dead:
            raise usb.core.USBTimeoutError("the device did not answer in time", None, errno.ETIMEDOUT)

    def close(self) -> None:
        """End the connection; the server takes the device back."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_UNLINK_TIMEOUT_S)
