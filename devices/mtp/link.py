"""One USB interface that carries MTP transactions: exact framing, error mapping, cancelling. One thread at a time.

Guarantees:
    - bytes handed out belong to the transaction asked for and are never more or fewer than the device announced;
    - after a timeout or a broken frame the transaction is cancelled and the pipe drained, so that a later transaction can
      not read what was left over; where that fails the link is broken for good and says so.

Source: MTP 1.1 section D (USB); USB Still Image Capture class (CANCEL 0x64, RESET 0x66, STATUS 0x67).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TypeVar

import usb.core
import usb.util

from devices.mtp import protocol
from devices.mtp.protocol import HEADER_BYTES, LENGTH_UNKNOWN, Kind, Op, Rc, ResponseError
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceProtocolError,
    DeviceStalledError,
    DeviceTimeoutError,
)
from evidence.limits import DEVICE_READ_BYTES

_log = logging.getLogger(__name__)
_GONE: Final = {errno.ENODEV, errno.EIO, errno.ESHUTDOWN, errno.EPROTO, errno.EILSEQ, errno.ENXIO, errno.ENOENT}
_BUSY: Final = {errno.EBUSY, errno.EACCES, errno.EPERM}
_EMPTY_MAX: Final = 4
_CLASS_TIMEOUT_MS: Final = 1000
_DRAIN_TIMEOUT_MS: Final = 100
_DRAIN_S: Final = 3.0
_STATUS_TRIES: Final = 20
_STATUS_PAUSE_S: Final = 0.05
_KEPT: Final = "What was read before is kept and resumed."

T = TypeVar("T")
Chunks = Generator[memoryview, None, tuple[int, ...]]


def device_error(error: usb.core.USBError) -> DeviceError:
    """Our error for one of pyusb's, by errno."""
    if isinstance(error, usb.core.USBTimeoutError) or error.errno == errno.ETIMEDOUT:
        return DeviceTimeoutError("the recorder did not answer in time", kept=_KEPT)
    if error.errno == errno.EPIPE:
        return DeviceStalledError("the recorder stalled twice in a row", kept=_KEPT)
    if error.errno in _BUSY:
        return DeviceBusyError(
            "the recorder is held by another program or may not be opened",
            todo="Close file managers that show it; check the udev rule for docks.",
        )
    if error.errno == errno.EOVERFLOW:
        return DeviceProtocolError("the recorder sent more than was asked for")
    if error.errno in _GONE or error.errno is None:
        return DeviceGoneError("the recorder was unplugged or stopped answering", kept=_KEPT)
    return DeviceGoneError(f"USB failed: {error.strerror}", kept=_KEPT)


def _usb(call: Callable[[], T]) -> T:
    """One call of pyusb; whatever the device or its descriptors make it raise is one of our errors.

    pyusb looks endpoints up in descriptors that a device wrote: contradictions show as IndexError or ValueError.
    """
    try:
        return call()
    except usb.core.USBError as error:
        raise device_error(error) from error
    except (IndexError, ValueError, NotImplementedError) as error:
        raise DeviceProtocolError("the recorder's USB descriptors contradict each other") from error


def _round_up(length: int, packet: int) -> int:
    return -(-length // packet) * packet


class MtpLink:
    """Claims an interface for as long as it is open.

    Args:
        device: pyusb device.
        interface: pyusb interface with a bulk pair.
        timeout_s: Seconds one transfer may take.

    Raises:
        DeviceProtocolError: The interface has no bulk pair. DeviceBusyError, DeviceGoneError: it cannot be claimed.
    """

    def __init__(self, device: Any, interface: Any, *, timeout_s: float) -> None:
        self._device = device
        self._interface = int(interface.bInterfaceNumber)
        self._timeout_ms = max(1, int(timeout_s * 1000))
        self._transaction = 0
        self._broken = False
        #: How often a transaction was cancelled: after one the device may have begun a new session of its own.
        self.recoveries = 0
        bulk = [endpoint for endpoint in _usb(lambda: list(interface)) if endpoint.bmAttributes & 3 == 2]
        inbound = [endpoint for endpoint in bulk if endpoint.bEndpointAddress & 0x80]
        outbound = [endpoint for endpoint in bulk if not endpoint.bEndpointAddress & 0x80]
        if not inbound or not outbound or not inbound[0].wMaxPacketSize or not outbound[0].wMaxPacketSize:
            raise DeviceProtocolError("the interface has no pair of bulk endpoints")
        self._in, self._packet = int(inbound[0].bEndpointAddress), int(inbound[0].wMaxPacketSize)
        self._out, self._out_packet = int(outbound[0].bEndpointAddress), int(outbound[0].wMaxPacketSize)
        try:
            _usb(self._claim)
        except DeviceError:
            usb.util.dispose_resources(device)
            raise

    def _claim(self) -> None:
        try:
            self._device.get_active_configuration()
        except usb.core.USBError:
            self._device.set_configuration()
        with contextlib.suppress(NotImplementedError):
            if self._device.is_kernel_driver_active(self._interface):
                self._device.detach_kernel_driver(self._interface)
        usb.util.claim_interface(self._device, self._interface)

    # --- session ------------------------------------------------------------------------------------------------------
    def open_session(self) -> None:
        """Open (or adopt) the device's session. What an earlier, killed process left in the pipe is thrown away once."""
        try:
            self._open_session()
        except (DeviceTimeoutError, DeviceProtocolError, DeviceStalledError):
            self._open_session()  # the failed transaction has cancelled and drained

    def _open_session(self) -> None:
        self._transaction = 0
        try:
            self.transact(Op.OPEN_SESSION, 1)
        except ResponseError as error:
            if error.response != Rc.SESSION_ALREADY_OPEN:
                raise
        self._transaction = max(self._transaction, 1)

    def close(self) -> None:
        """End the session if the device still answers, and give the interface back. Never raises."""
        if not self._broken:
            with contextlib.suppress(DeviceError):
                self._timeout_ms = min(self._timeout_ms, _CLASS_TIMEOUT_MS)
                self.transact(Op.CLOSE_SESSION)
        self._broken = True
        with contextlib.suppress(usb.core.USBError):
            usb.util.release_interface(self._device, self._interface)
        with contextlib.suppress(usb.core.USBError):
            usb.util.dispose_resources(self._device)

    # --- transactions -------------------------------------------------------------------------------------------------
    def transact(self, operation: int, *parameters: int, send: bytes | None = None) -> tuple[tuple[int, ...], bytes]:
        """One operation with a small dataset: the response's parameters and the dataset.

        Raises:
            ResponseError: The device answered with another code than OK. DeviceError's family: the link failed.
        """
        data = bytearray()

        def keep(piece: memoryview) -> None:
            if len(data) + len(piece) > protocol.DATASET_BYTES_MAX:
                raise DeviceProtocolError("the recorder's dataset is larger than any can be")
            data.extend(piece)

        answer = self._drive(self.start(operation, *parameters, send=send), keep)
        return answer, bytes(data)

    def read_into(self, operation: int, *parameters: int, target: memoryview) -> int:
        """One ranged read: fills ``target`` from its start and returns how many bytes came.

        Raises:
            DeviceProtocolError: More bytes than ``target`` holds, or another number than the response tells.
        """
        filled = 0

        def place(piece: memoryview) -> None:
            nonlocal filled
            if filled + len(piece) > len(target):
                raise DeviceProtocolError("the recorder sent more than was asked for")
            target[filled : filled + len(piece)] = piece
            filled += len(piece)

        answer = self._drive(self.start(operation, *parameters, expected=len(target)), place)
        if answer and answer[0] != filled:
            raise DeviceProtocolError(f"the recorder tells of {answer[0]} bytes and sent {filled}")
        return filled

    def _drive(self, chunks: Chunks, take: Callable[[memoryview], None]) -> tuple[int, ...]:
        while True:
            try:
                piece = next(chunks)
            except StopIteration as end:
                answer: tuple[int, ...] = end.value
                return answer
            try:
                take(piece)
            except DeviceProtocolError:
                chunks.close()  # cancels the transaction
                raise

    def start(self, operation: int, *parameters: int, send: bytes | None = None, expected: int = 4096) -> Chunks:
        """One transaction as a generator of its data, in order; its return value is the response's parameters.

        Closing the generator early cancels the transaction on the device.
        """
        if self._broken:
            raise DeviceGoneError("the connection to the recorder is broken", kept=_KEPT)
        transaction = 0 if operation == Op.OPEN_SESSION else self._next_transaction()
        try:
            return (yield from self._run(operation, transaction, parameters, send, expected))
        except ResponseError:
            raise
        except DeviceGoneError:
            self._broken = True
            raise
        except (DeviceError, GeneratorExit):
            self._recover(transaction, reopen=operation not in (Op.OPEN_SESSION, Op.CLOSE_SESSION))
            raise

    def _next_transaction(self) -> int:
        self._transaction = 1 if self._transaction >= 0xFFFFFFFE else self._transaction + 1
        return self._transaction

    def _run(
        self, operation: int, transaction: int, parameters: tuple[int, ...], send: bytes | None, expected: int
    ) -> Chunks:
        self._write(protocol.pack_command(operation, transaction, parameters))
        if send is not None:
            self._write(protocol.pack_data(operation, transaction, send))
        asked = _round_up(HEADER_BYTES + min(expected, DEVICE_READ_BYTES), self._packet)
        first = self._read_some(asked)
        header = protocol.parse_header(first)
        if header.transaction != transaction:
            raise DeviceProtocolError("the recorder answered another transaction")
        if header.kind == Kind.DATA:
            if header.code != operation:
                raise DeviceProtocolError("the recorder sent another operation's data")
            yield from self._data(first, header.length, asked)
            first = self._read_some(self._packet)
        answer, values = protocol.parse_response(first)
        if answer.transaction != transaction:
            raise DeviceProtocolError("the recorder answered another transaction")
        if answer.code != Rc.OK:
            raise ResponseError(operation, answer.code)
        return values

    def _data(self, first: memoryview, length: int, asked: int) -> Generator[memoryview, None, None]:
        """The rest of a data phase. ``ended`` is a short packet: what follows it is the response, never data."""
        left = None if length == LENGTH_UNKNOWN else length - HEADER_BYTES
        piece = first[HEADER_BYTES:]
        ended = len(first) < asked and len(first) != HEADER_BYTES  # a header may come in a packet of its own
        empty = 0
        while True:
            if left is not None:
                if len(piece) > left:
                    raise DeviceProtocolError("the recorder sent more than it announced")
                left -= len(piece)
            if piece:
                yield piece
            if left == 0 or (left is None and ended):
                return
            if ended:
                raise DeviceProtocolError("the recorder's data ended early")
            asked = _round_up(DEVICE_READ_BYTES if left is None else min(DEVICE_READ_BYTES, left), self._packet)
            piece = self._read(asked)
            empty = 0 if piece else empty + 1
            ended = 0 < len(piece) < asked or (left is None and not piece)
            if empty > _EMPTY_MAX:
                raise DeviceProtocolError("the recorder sends only empty packets")

    # --- transfers ----------------------------------------------------------------------------------------------------
    def _read_some(self, length: int) -> memoryview:
        """A transfer with bytes in it; empty packets (the terminator of a full data phase) are passed over."""
        for _ in range(_EMPTY_MAX):
            data = self._read(_round_up(length, self._packet))
            if data:
                return data
        raise DeviceProtocolError("the recorder sends only empty packets")

    def _read(self, length: int) -> memoryview:
        return memoryview(
            self._with_stall_retry(self._in, lambda: self._device.read(self._in, length, self._timeout_ms))
        )

    def _write(self, data: bytes) -> None:
        def send(part: bytes) -> None:
            written = self._with_stall_retry(self._out, lambda: self._device.write(self._out, part, self._timeout_ms))
            if written != len(part):
                raise DeviceProtocolError("the recorder took only a part of the request")

        send(data)
        if len(data) % self._out_packet == 0:
            send(b"")  # a full last packet does not say that the transfer is over

    def _with_stall_retry(self, endpoint: int, call: Callable[[], T]) -> T:
        def with_retry() -> T:
            try:
                return call()
            except usb.core.USBError as error:
                if error.errno != errno.EPIPE:
                    raise
                self._device.clear_halt(endpoint)
                return call()

        return _usb(with_retry)

    # --- recovery -----------------------------------------------------------------------------------------------------
    def _recover(self, transaction: int, *, reopen: bool) -> None:
        """Cancel on the device, wait until it is ready (else reset it), drain the pipe, and make sure of the session."""
        self.recoveries += 1
        try:
            self._cancel(transaction)
            self._drain()
        except DeviceGoneError:
            self._broken = True
            return
        if reopen:
            try:
                self._open_session_once()
            except DeviceError:
                self._broken = True

    def _open_session_once(self) -> None:
        kept = self._transaction
        try:
            for _ in self._run(Op.OPEN_SESSION, 0, (1,), None, 0):
                raise DeviceProtocolError("data where none can be")
        except ResponseError as error:
            if error.response != Rc.SESSION_ALREADY_OPEN:
                raise
        self._transaction = kept

    def _cancel(self, transaction: int) -> None:
        ready = False
        try:
            self._class_request(0x21, 0x64, protocol.pack_cancel(transaction))
            for _ in range(_STATUS_TRIES):
                status = bytes(self._class_request(0xA1, 0x67, 64))
                if len(status) >= 4 and int.from_bytes(status[2:4], "little") == Rc.OK:
                    ready = True
                    break
                time.sleep(_STATUS_PAUSE_S)
        except (DeviceStalledError, DeviceTimeoutError):
            ready = False
        if not ready:
            with contextlib.suppress(DeviceStalledError, DeviceTimeoutError):
                self._class_request(0x21, 0x66, b"")
        for endpoint in (self._in, self._out):
            try:
                _usb(partial(self._device.clear_halt, endpoint))
            except DeviceGoneError:
                raise
            except DeviceError as error:
                _log.debug("endpoint %#04x was not cleared: %s", endpoint, error.what)

    def _class_request(self, kind: int, request: int, body: bytes | int) -> Any:
        return _usb(lambda: self._device.ctrl_transfer(kind, request, 0, self._interface, body, _CLASS_TIMEOUT_MS))

    def _drain(self) -> None:
        """Read until nothing comes any more; a device that never falls silent is given up."""
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            try:
                _usb(lambda: self._device.read(self._in, _round_up(1 << 16, self._packet), _DRAIN_TIMEOUT_MS))
            except DeviceGoneError:
                raise
            except DeviceError:
                return
        raise DeviceGoneError("the recorder keeps sending after a cancelled transfer", kept=_KEPT)
