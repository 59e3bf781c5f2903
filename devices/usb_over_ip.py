"""USB over the network: a pyusb backend that speaks USB/IP over TCP, so that a dock elsewhere looks like a local one.

A small computer beside the dock runs ``usbipd``; the drivers of this room stay unchanged, only the backend is injected:
``MtpDriver(backend=UsbIpBackend([("10.0.0.7", 3240)]))``. USB/IP has no authentication: use it inside a closed network or a
tunnel only (docs/deployment.md).

One TCP connection is one imported device. A server lets one importer have a device; this backend never imports the same
device twice at the same time, not even to read descriptors, because a second import would reset a running offload.

Source: Linux Documentation/usb/usbip_protocol; pyusb ``usb.backend.IBackend``.
"""

from __future__ import annotations

import contextlib
import errno
import struct
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final

import usb.backend
import usb.core

from devices.usb_over_ip_wire import Address, Connection, Exported, list_exported, usb_error

_CONTROL_TIMEOUT_MS: Final = 2000
_DESCRIPTOR_BYTES_MAX: Final = 4096


def _control(connection: Connection, setup: bytes, length: int) -> bytes:
    answer = connection.submit(0, inbound=True, length=length, setup=setup, timeout_ms=_CONTROL_TIMEOUT_MS)
    return bytes(answer.data[:length])


def _descriptor(connection: Connection, kind: int, index: int, length: int) -> bytes:
    return _control(connection, struct.pack("<BBHHH", 0x80, 6, kind << 8 | index, 0, length), length)


def _read_descriptors(connection: Connection) -> tuple[bytes, tuple[bytes, ...]]:
    device = _descriptor(connection, 1, 0, 18)
    if len(device) != 18 or device[17] > 8:
        raise usb_error("the device's descriptor is malformed", errno.EPROTO)
    configurations = []
    for index in range(device[17]):
        head = _descriptor(connection, 2, index, 9)
        total = int.from_bytes(head[2:4], "little")
        if len(head) != 9 or not 9 <= total <= _DESCRIPTOR_BYTES_MAX:
            raise usb_error("the device's configuration is malformed", errno.EPROTO)
        configurations.append(_descriptor(connection, 2, index, total))
    return device, tuple(configurations)


_DEVICE_FIELDS: Final = (
    "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor idProduct "
    "bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations"
)
_CONFIGURATION_FIELDS: Final = (
    "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
)
_INTERFACE_FIELDS: Final = (
    "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass bInterfaceSubClass "
    "bInterfaceProtocol iInterface"
)
_ENDPOINT_FIELDS: Final = "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval"
_KINDS: Final = {
    2: ("<BBHBBBBB", _CONFIGURATION_FIELDS),
    4: ("<9B", _INTERFACE_FIELDS),
    5: ("<BBBBHB", _ENDPOINT_FIELDS),
}


def parse_configuration(untrusted: bytes) -> tuple[SimpleNamespace, list[SimpleNamespace]]:
    """A configuration descriptor and its interfaces, each with its endpoints, in pyusb's field names.

    Raises:
        usb.core.USBError: EPROTO when the descriptor is malformed.
    """
    configuration: SimpleNamespace | None = None
    interfaces: list[SimpleNamespace] = []
    last: SimpleNamespace | None = None
    offset = 0
    while offset < len(untrusted):
        part = untrusted[offset : offset + max(untrusted[offset], 2)]
        offset += len(part)
        kind = part[1] if len(part) > 1 else 0
        if kind in _KINDS:
            layout, names = _KINDS[kind]
            size = struct.calcsize(layout)
            if len(part) < size or (configuration is None) == (kind != 2) or (kind == 5 and not interfaces):
                raise usb_error("the device's configuration is malformed", errno.EPROTO)
            last = SimpleNamespace(
                **dict(zip(names.split(), struct.unpack(layout, part[:size]), strict=True)), extra_descriptors=[]
            )
            if kind == 2:
                configuration = last
            elif kind == 4:
                last.endpoints = []
                interfaces.append(last)
            else:
                last.bRefresh = last.bSynchAddress = 0
                interfaces[-1].endpoints.append(last)
        elif last is not None:
            last.extra_descriptors.extend(part)
    if configuration is None:
        raise usb_error("the device's configuration is malformed", errno.EPROTO)
    return configuration, interfaces


def _bytes_of(data: Any) -> bytes:
    return bytes(data.tobytes()) if hasattr(data, "tobytes") else bytes(data)


class UsbIpBackend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types
    """pyusb's view of the devices that some USB/IP servers export.

    Args:
        servers: Host and port of each; the order fixes the bus numbers (and so the slots).
    """

    def __init__(self, servers: Sequence[Address]) -> None:
        super().__init__()
        self._servers = tuple(servers)
        self._descriptors: dict[Exported, tuple[bytes, tuple[bytes, ...]]] = {}
        self._open: set[Exported] = set()
        self._guard = threading.Lock()

    # --- discovery ----------------------------------------------------------------------------------------------------
    def enumerate_devices(self) -> Iterator[Exported]:
        """Devices of the servers that answer; a server that does not answer has none now."""
        for index, server in enumerate(self._servers):
            try:
                devices = list_exported(server, index=index)
            except (OSError, struct.error):
                devices = []
            with self._guard:
                for known in [known for known in self._descriptors if known.server_index == index]:
                    if known not in devices:
                        del self._descriptors[known]
            for device in devices:
                with contextlib.suppress(usb.core.USBError):
                    self._raw(device)
                    yield device

    def _raw(self, device: Exported) -> tuple[bytes, tuple[bytes, ...]]:
        """Descriptors, read once per plug: reading them means importing the device."""
        with self._guard:
            known = self._descriptors.get(device)
        if known is not None:
            return known
        connection = self.open_device(device)
        try:
            known = _read_descriptors(connection.handle)
        finally:
            self.close_device(connection)
        with self._guard:
            self._descriptors[device] = known
        return known

    def get_parent(self, dev: Exported) -> None:  # noqa: ARG002 - pyusb's contract
        """Hubs are not exported."""
        return

    def get_device_descriptor(self, dev: Exported) -> SimpleNamespace:
        """Device descriptor with bus, address and port path."""
        fields = struct.unpack("<BBHBBBBHHHBBBB", self._raw(dev)[0])
        descriptor = SimpleNamespace(**dict(zip(_DEVICE_FIELDS.split(), fields, strict=True)))
        descriptor.bus, descriptor.address, descriptor.speed = dev.unique_bus, dev.address, dev.speed
        descriptor.port_numbers = dev.ports or None
        descriptor.port_number = dev.ports[-1] if dev.ports else None
        return descriptor

    def get_configuration_descriptor(self, dev: Exported, config: int) -> SimpleNamespace:
        """One configuration; IndexError past the last (pyusb's contract)."""
        return parse_configuration(self._raw(dev)[1][config])[0]

    def get_interface_descriptor(self, dev: Exported, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One alternate setting; IndexError past the last (pyusb's contract)."""
        interfaces = parse_configuration(self._raw(dev)[1][config])[1]
        number = sorted({interface.bInterfaceNumber for interface in interfaces})[intf]
        return [interface for interface in interfaces if interface.bInterfaceNumber == number][alt]

    def get_endpoint_descriptor(self, dev: Exported, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """One endpoint; IndexError past the last (pyusb's contract)."""
        endpoint: SimpleNamespace = self.get_interface_descriptor(dev, intf, alt, config).endpoints[ep]
        return endpoint

    # --- an open device -----------------------------------------------------------------------------------------------
    def open_device(self, dev: Exported) -> SimpleNamespace:
        """Import the device; EBUSY while it is open in this process already."""
        with self._guard:
            if dev in self._open:
                raise usb_error("the device is already open", errno.EBUSY)
            self._open.add(dev)
        try:
            return SimpleNamespace(handle=Connection(dev), device=dev)
        except BaseException:
            with self._guard:
                self._open.discard(dev)
            raise

    def close_device(self, dev_handle: SimpleNamespace) -> None:
        """Give the device back to its server."""
        dev_handle.handle.close()
        with self._guard:
            self._open.discard(dev_handle.device)

    def set_configuration(self, dev_handle: SimpleNamespace, config_value: int) -> None:
        """SET_CONFIGURATION."""
        self.ctrl_transfer(dev_handle, 0x00, 9, config_value, 0, b"", _CONTROL_TIMEOUT_MS)

    def get_configuration(self, dev_handle: SimpleNamespace) -> int:
        """GET_CONFIGURATION; a device that says 0 is taken as configured with 1 (usbipd configures on export)."""
        answer = _control(dev_handle.handle, struct.pack("<BBHHH", 0x80, 8, 0, 0, 1), 1)
        if not answer:
            raise usb_error("the device does not tell its configuration", errno.EPROTO)
        return answer[0] or 1

    def set_interface_altsetting(self, dev_handle: SimpleNamespace, intf: int, altsetting: int) -> None:
        """SET_INTERFACE."""
        self.ctrl_transfer(dev_handle, 0x01, 11, altsetting, intf, b"", _CONTROL_TIMEOUT_MS)

    def claim_interface(self, dev_handle: SimpleNamespace, intf: int) -> None:
        """An imported device is ours as a whole."""

    def release_interface(self, dev_handle: SimpleNamespace, intf: int) -> None:
        """An imported device is given back as a whole."""

    def bulk_write(self, dev_handle: SimpleNamespace, ep: int, intf: int, data: Any, timeout: int) -> int:  # noqa: ARG002
        """Write all of ``data``."""
        payload = _bytes_of(data)
        dev_handle.handle.submit(ep & 15, inbound=False, length=len(payload), data=payload, timeout_ms=timeout)
        return len(payload)

    def bulk_read(self, dev_handle: SimpleNamespace, ep: int, intf: int, buff: Any, timeout: int) -> int:  # noqa: ARG002
        """Read one transfer into ``buff``."""
        return self._read(dev_handle, ep, buff, timeout, interval=0)

    def intr_write(self, dev_handle: SimpleNamespace, ep: int, intf: int, data: Any, timeout: int) -> int:
        """Write to an interrupt endpoint."""
        return self.bulk_write(dev_handle, ep, intf, data, timeout)

    def intr_read(self, dev_handle: SimpleNamespace, ep: int, intf: int, size: Any, timeout: int) -> int:  # noqa: ARG002
        """Read one transfer of an interrupt endpoint."""
        return self._read(dev_handle, ep, size, timeout, interval=1)

    @staticmethod
    def _read(dev_handle: SimpleNamespace, endpoint: int, buffer: Any, timeout_ms: int, *, interval: int) -> int:
        target = memoryview(buffer).cast("B")
        answer = dev_handle.handle.submit(
            endpoint & 15, inbound=True, length=len(target), timeout_ms=timeout_ms, interval=interval
        )
        if len(answer.data) > len(target):
            raise usb_error("the device sent more than was asked for", errno.EOVERFLOW)
        target[: len(answer.data)] = answer.data
        return len(answer.data)

    def ctrl_transfer(  # noqa: PLR0917 - pyusb's contract
        self, dev_handle: SimpleNamespace, bmRequestType: int, bRequest: int, wValue: int, wIndex: int, data: Any,  # noqa: N803
        timeout: int,
    ) -> int:  # fmt: skip
        """One control transfer, in the direction its request type says."""
        inbound = bool(bmRequestType & 0x80)
        payload = b"" if inbound else _bytes_of(data)
        length = len(data) * getattr(data, "itemsize", 1)
        setup = struct.pack("<BBHHH", bmRequestType, bRequest, wValue, wIndex, length)
        answer = dev_handle.handle.submit(
            0, inbound=inbound, length=length, data=payload, setup=setup, timeout_ms=timeout
        )
        if not inbound:
            return length
        target = memoryview(data).cast("B")
        count = min(len(target), len(answer.data))
        target[:count] = answer.data[:count]
        return count

    def clear_halt(self, dev_handle: SimpleNamespace, ep: int) -> None:
        """CLEAR_FEATURE(ENDPOINT_HALT)."""
        self.ctrl_transfer(dev_handle, 0x02, 1, 0, ep, b"", _CONTROL_TIMEOUT_MS)

    def reset_device(self, dev_handle: SimpleNamespace) -> None:
        """USB/IP has no port reset; a new import starts clean."""

    def is_kernel_driver_active(self, dev_handle: SimpleNamespace, intf: int) -> bool:  # noqa: ARG002 - pyusb's contract
        """No kernel of ours has a driver for it."""
        return False

    def detach_kernel_driver(self, dev_handle: SimpleNamespace, intf: int) -> None:
        """Nothing to detach."""

    def attach_kernel_driver(self, dev_handle: SimpleNamespace, intf: int) -> None:
        """Nothing to attach."""
