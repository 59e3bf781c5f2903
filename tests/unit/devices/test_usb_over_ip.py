"""USB/IP: servers that are down, lie, or hang end in pyusb's errors and never in a wrong device."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import SimpleNamespace

import pytest
import usb.core
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.mtp.driver import MtpDriver
from devices.usb_over_ip import UsbIpBackend, parse_configuration
from devices.usb_over_ip_wire import Connection, Exported, list_exported
from evidence.errors import DeviceError
from support.recorders import MtpRecorder, make_gb_tree


@contextlib.contextmanager
def server(*answers: bytes):
    """Answers every connection with the given bytes, then hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(4096)
                    for answer in answers:
                        connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[:2]
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def closed_address():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[:2]


LIST_HEAD = struct.pack(">HHI", 0x0111, 5, 0)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\0" * 7, LIST_HEAD, LIST_HEAD + struct.pack(">I", 1), LIST_HEAD + struct.pack(">I", 1 << 31),
     struct.pack(">HHI", 0x0111, 5, 1), b"HTTP/1.1 400 Bad Request\r\n\r\n"],
)  # fmt: skip
def test_a_server_that_breaks_the_protocol_has_no_devices(answer):
    with server(answer) as address:
        with pytest.raises(OSError):
            list_exported(address)
        assert MtpDriver(UsbIpBackend([address])).scan() == []


def test_a_server_that_is_down_does_not_hide_the_others(tmp_path):
    root = make_gb_tree(tmp_path, {"a.mp4": b"x"})
    with MtpRecorder(root, serial="7000001") as recorder:
        backend = UsbIpBackend([closed_address(), recorder.address])
        (docked,) = MtpDriver(backend).scan()
        assert docked.slot == "257-1"  # the slot names the server too: its bus numbers start above the first one's
        with contextlib.closing(MtpDriver(backend).open(docked)) as session:
            assert session.identity.serial == "7000001"


def test_a_device_that_was_replaced_is_described_anew(tmp_path):
    root = make_gb_tree(tmp_path, {"a.mp4": b"x"})
    with MtpRecorder(root) as recorder:
        driver = recorder.driver()
        assert len(driver.scan()) == 1
        recorder.cut_after(0)
        assert driver.scan() == []
        assert recorder.backend._descriptors == {}
        recorder.plug()
        assert len(driver.scan()) == 1


def test_importing_from_a_server_that_refuses_or_hangs_up_is_an_errno(tmp_path):
    root = make_gb_tree(tmp_path, {"a.mp4": b"x"})
    with MtpRecorder(root) as recorder:
        (exported,) = list_exported(recorder.address)
    from dataclasses import replace

    for answer, number in ((struct.pack(">HHI", 0x0111, 3, 1), 16), (b"", 19), (b"\0" * 9, 19)):
        with server(answer) as address, pytest.raises(usb.core.USBError) as caught:
            Connection(replace(exported, server=address))
        assert caught.value.errno == number
    with pytest.raises(usb.core.USBError):
        Connection(replace(exported, server=closed_address()))


@settings(deadline=None)
@given(st.binary(max_size=120))
def test_any_configuration_descriptor_parses_or_is_a_usb_error(data):
    with contextlib.suppress(usb.core.USBError):
        configuration, interfaces = parse_configuration(data)
        assert configuration.bDescriptorType == 2
        assert all(interface.bDescriptorType == 4 for interface in interfaces)


# --- devices that lie in their descriptors ----------------------------------------------------------------------------
DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, 0x1234, 0x5678, 0x100, 1, 2, 3, 1)


def configuration(*, interface=(6, 1, 1), said=3, endpoints=((0x81, 2, 512), (0x02, 2, 512), (0x83, 3, 28))):
    body = struct.pack("<9B", 9, 4, 0, 0, said, *interface, 4)
    for address, kind, packet in endpoints:
        body += struct.pack("<BBBBHB", 7, 5, address, kind, packet, 0)
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 50) + body


class LyingBackend(UsbIpBackend):
    """One device with the given descriptors; ``answer`` gives what every transfer brings."""

    def __init__(self, device, configurations, answer):
        super().__init__([])
        self._told = device, configurations
        self._answer = answer

    def enumerate_devices(self):
        yield Exported(("lying", 1), 0, "1-1", 1, 2, 3, 0x1234, 0x5678)

    def _raw(self, _device):
        return self._told

    def open_device(self, dev):
        return SimpleNamespace(handle=SimpleNamespace(submit=self._submit), device=dev)

    def close_device(self, dev_handle):
        pass

    def _submit(self, _endpoint, *, length, setup=bytes(8), **_more):
        return SimpleNamespace(data=self._answer(setup)[:length])


LANGUAGES = b"\4\3\x09\x04"


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        (configuration(), lambda _setup: b""),
        (configuration(interface=(255, 0, 0)), lambda _setup: b""),
        (configuration(), lambda setup: LANGUAGES if setup[2:4] == b"\0\3" else b""),
        (configuration(endpoints=()), lambda _setup: b"\1"),
        (configuration(said=9), lambda _setup: b"\1"),
        (configuration(), lambda _setup: b"\7"),
    ],
)
def test_a_device_whose_descriptors_contradict_each_other_is_one_of_our_errors(told, answer):
    driver = MtpDriver(LyingBackend(DEVICE, (told,), answer), timeout_s=0.01)
    for docked in driver.scan():
        with pytest.raises(DeviceError):
            driver.open(docked)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 47), st.integers(0, 255)), max_size=4), st.randoms(use_true_random=False))
def test_whatever_a_device_tells_and_answers_it_is_one_of_our_errors(changes, random):
    told = bytearray(configuration(interface=random.choice([(6, 1, 1), (255, 0, 0)])))
    for place, value in changes:
        told[place % len(told)] = value

    def answer(setup):
        if random.random() < 0.1:
            raise usb.core.USBError("trouble", None, random.choice([5, 19, 32, 75, 110]))
        if setup[1] == 8:
            return bytes([random.choice([0, 1, 1, 2])])
        return LANGUAGES if setup[2:4] == b"\0\3" else random.randbytes(random.randrange(40))

    driver = MtpDriver(LyingBackend(DEVICE, (bytes(told),), answer), timeout_s=0.01)
    for docked in driver.scan():
        with contextlib.suppress(DeviceError):
            driver.open(docked).close()


def test_requests_of_several_threads_get_their_own_answers(tmp_path):
    root = make_gb_tree(tmp_path, {"a.mp4": b"x"})
    with MtpRecorder(root) as recorder:
        backend = recorder.backend
        (exported,) = list_exported(recorder.address)
        handle = backend.open_device(exported)
        wrong = []

        def ask():
            for length in range(1, 19):
                setup = struct.pack("<BBHHH", 0x80, 6, 0x100, 0, length)
                answer = handle.handle.submit(0, inbound=True, length=length, setup=setup)
                if len(answer.data) != length:
                    wrong.append(length)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        backend.close_device(handle)
        assert wrong == []


def test_a_read_that_times_out_leaves_the_connection_in_step(tmp_path):
    root = make_gb_tree(tmp_path, {"a.mp4": b"x"})
    with MtpRecorder(root) as recorder:
        backend = recorder.backend
        (exported,) = list_exported(recorder.address)
        handle = backend.open_device(exported)
        for _ in range(5):
            with pytest.raises(usb.core.USBTimeoutError):
                backend.bulk_read(handle, 0x81, 0, bytearray(512), 20)
            assert backend.get_configuration(handle) in (0, 1)
        backend.close_device(handle)
