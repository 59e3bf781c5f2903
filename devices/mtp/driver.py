"""Finding MTP recorders on USB, local or through an injected backend."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Final

import usb.core
import usb.util

from devices.mtp.link import MtpLink, device_error
from devices.mtp.session import NAME, MtpSession
from evidence.errors import DeviceGoneError, InvalidInputError
from evidence.names import printable
from evidence.ports import DockedDevice

_log = logging.getLogger(__name__)
_STILL_IMAGE: Final = (6, 1, 1)
_VENDOR_CLASS: Final = 255
TIMEOUT_S: Final = 10.0


def slot_of(device: Any) -> str:
    """The USB port path: it names the socket in the dock, not the plug."""
    ports = device.port_numbers
    return f"{device.bus}-{'.'.join(map(str, ports))}" if ports else f"{device.bus}-address{device.address}"


def string_of(device: Any, index: int) -> str:
    """One of the device's string descriptors, escaped; empty when it has none or does not tell."""
    if not index:
        return ""
    try:
        text = usb.util.get_string(device, index)
    except (usb.core.USBError, ValueError, IndexError, NotImplementedError):
        return ""
    return printable((text or "").strip("\0 ").encode("utf-8", "surrogatepass"))[:128]


class MtpDriver:
    """Devices with a Still Image interface (6/1/1), or a vendor interface that calls itself ``MTP`` (Android).

    Args:
        backend: A pyusb backend; None for the machine's libusb.
        name: The driver's name in the registry, where several backends are used beside each other.
        slot_prefix: Put before every slot, so that ports of two backends are never taken for one.
        timeout_s: Seconds one USB transfer may take.
    """

    def __init__(
        self, backend: Any = None, *, timeout_s: float = TIMEOUT_S, name: str = NAME, slot_prefix: str = ""
    ) -> None:
        self.name = name
        self._prefix = slot_prefix
        self._backend = backend
        self._timeout_s = timeout_s
        self._vendor_names: dict[tuple[int, int, int, int, int], bool] = {}
        self._complained = False

    def scan(self) -> list[DockedDevice]:
        """What is plugged in now, in order of slots. Devices are not opened, except once to read a vendor interface's name."""
        found = []
        for device in self._devices():
            interface = self._interface_of(device)
            if interface is not None:
                found.append(DockedDevice(self.name, self._prefix + slot_of(device), f"{device.bus}:{device.address}"))
        return sorted(found, key=lambda docked: (docked.slot, docked.address))

    def open(self, device: DockedDevice) -> MtpSession:
        """Claim the device and open its session.

        Raises:
            DeviceGoneError: It is no longer there. DeviceBusyError: another program holds it.
            InvalidInputError: The address is none of this driver's.
        """
        bus, colon, address = device.address.partition(":")
        if not colon or not (bus + address).isascii() or not (bus.isdigit() and address.isdigit()):
            raise InvalidInputError("not an address of an MTP device")
        for candidate in self._devices():
            slot = self._prefix + slot_of(candidate)
            if (candidate.bus, candidate.address, slot) != (int(bus), int(address), device.slot):
                continue
            interface = self._interface_of(candidate)
            if interface is None:
                break
            link = MtpLink(candidate, interface, timeout_s=self._timeout_s)
            try:
                return MtpSession(
                    link,
                    slot=device.slot,
                    usb_serial=string_of(candidate, candidate.iSerialNumber),
                    usb_vendor=string_of(candidate, candidate.iManufacturer),
                    usb_product=string_of(candidate, candidate.iProduct),
                )
            except BaseException:
                link.close()
                raise
        raise DeviceGoneError("the recorder is no longer in this slot")

    def _devices(self) -> Iterator[Any]:
        try:
            yield from usb.core.find(find_all=True, backend=self._backend)
        except usb.core.NoBackendError:
            if not self._complained:
                _log.warning("libusb is not installed: MTP recorders on this machine's USB are not seen")
                self._complained = True
        except usb.core.USBError as error:
            raise device_error(error) from error

    def _interface_of(self, device: Any) -> Any:
        with contextlib.suppress(usb.core.USBError, IndexError):
            for configuration in device:
                for interface in configuration:
                    kind = (interface.bInterfaceClass, interface.bInterfaceSubClass, interface.bInterfaceProtocol)
                    if kind == _STILL_IMAGE or self._is_vendor_mtp(device, interface):
                        return interface
        return None

    def _is_vendor_mtp(self, device: Any, interface: Any) -> bool:
        if interface.bInterfaceClass != _VENDOR_CLASS or interface.bNumEndpoints != 3:
            return False
        key = (device.bus, device.address, device.idVendor, device.idProduct, interface.bInterfaceNumber)
        if key not in self._vendor_names:
            self._vendor_names[key] = string_of(device, interface.iInterface) == "MTP"
            usb.util.dispose_resources(device)
        return self._vendor_names[key]
