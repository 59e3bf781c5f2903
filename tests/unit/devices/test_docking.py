"""Leases and registry: one reader per recorder, and no driver hides another's devices."""

from __future__ import annotations

import threading

import pytest

from devices.registry import DriverRegistry
from devices.session import Leases, hub_of
from evidence.errors import ConfigError, DeviceBusyError, DeviceError, DeviceGoneError, DeviceUnsupportedError
from evidence.model import DeviceIdentity
from evidence.ports import DockedDevice


def identity(serial):
    return DeviceIdentity(driver="x", kind="recorder", serial=serial, serial_source="usb")


@pytest.mark.parametrize(
    ("slot", "hub"), [("1-1.4", "bus 1"), ("12-3", "bus 12"), ("/media/a-1", "/media/a-1"), ("x-1", "x-1")]
)
def test_recorders_share_a_hub_by_their_bus(slot, hub):
    assert hub_of(slot) == hub


def test_a_hub_carries_two_streams_and_the_third_is_busy_until_one_ends():
    leases = Leases()
    with leases.slot("1-1"), leases.slot("1-2"), leases.slot("2-1"), pytest.raises(DeviceBusyError), leases.slot("1-3"):
        pass
    with leases.slot("1-3"), leases.slot("1-4"):
        pass


def test_a_third_stream_may_wait_for_its_turn():
    leases, entered, leave = Leases(streams_per_hub=1), threading.Event(), threading.Event()

    def hold():
        with leases.slot("1-1"):
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(5)
    threading.Timer(0.05, leave.set).start()
    with leases.slot("1-2", timeout_s=5):
        assert leave.is_set()
    thread.join()


def test_one_slot_has_one_reader_and_waiting_does_not_help():
    leases = Leases()
    with leases.slot("1-1"), pytest.raises(DeviceBusyError), leases.slot("1-1", timeout_s=60):
        pass


def test_two_recorders_with_one_serial_are_not_read_at_the_same_time():
    leases = Leases()
    with leases.recorder(identity("7"), slot="1-1"):
        with leases.recorder(identity("8"), slot="1-2"):
            pass
        with pytest.raises(DeviceBusyError, match="1-1"), leases.recorder(identity("7"), slot="1-2"):
            pass
    with leases.recorder(identity("7"), slot="1-2"):
        pass


class Scripted:
    """A driver whose scans are given; an exception among them is raised."""

    def __init__(self, name, *scans):
        self.name, self.scans = name, list(scans)

    def scan(self):
        scan = self.scans.pop(0) if len(self.scans) > 1 else self.scans[0]
        if isinstance(scan, Exception):
            raise scan
        return [DockedDevice(self.name, slot, slot) for slot in scan]

    def open(self, device):
        raise DeviceGoneError(device.slot)


def test_a_driver_that_fails_does_not_hide_the_others(caplog):
    registry = DriverRegistry([Scripted("a", DeviceError("hub on fire")), Scripted("b", ["1-1"])])
    assert [device.driver for device in registry.scan()] == ["b"]
    assert registry.survey().failed == {"a": "hub on fire"}
    assert len([record for record in caplog.records if "hub on fire" in record.message]) == 1


def test_drivers_have_one_name_each_and_unknown_ones_open_nothing():
    with pytest.raises(ConfigError):
        DriverRegistry([Scripted("a", []), Scripted("a", [])])
    with pytest.raises(DeviceUnsupportedError):
        DriverRegistry([]).open(DockedDevice("a", "1-1", "1-1"))
