"""MTP framing and datasets: strict, and in nothing but our own errors."""

from __future__ import annotations

import array
import contextlib
import errno
import struct
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import usb.core
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.mtp import link as link_module
from devices.mtp import protocol
from devices.mtp.link import MtpLink, device_error
from devices.mtp.protocol import Op, ResponseError
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceProtocolError,
    DeviceStalledError,
    DeviceTimeoutError,
    DeviceUnsupportedError,
    MediumError,
)
from evidence.names import printable

PARSERS = [
    protocol.parse_header,
    protocol.parse_response,
    protocol.parse_device_info,
    protocol.parse_storage_info,
    protocol.parse_object_info,
    protocol.parse_handles,
    protocol.parse_text,
    protocol.parse_settable,
    lambda data: protocol.parse_number(data, 8),
]


@pytest.mark.parametrize("parser", PARSERS)
@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_parse_or_end_in_a_protocol_error(parser, data):
    with contextlib.suppress(DeviceProtocolError):
        parser(data)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_a_string_survives_packing(text):
    text = text.replace("\0", "")
    if len(text.encode("utf-16-le")) < 500:
        assert protocol.parse_text(protocol.pack_string(text)) == text


@settings(deadline=None)
@given(st.integers(1, 0xFFFFFFFF), st.lists(st.integers(0, 0xFFFFFFFF), max_size=5))
def test_a_command_has_the_standard_form(transaction, parameters):
    data = protocol.pack_command(0x95C1, transaction, tuple(parameters))
    length, kind, code, number = struct.unpack_from("<IHHI", data)
    assert (length, kind, code, number) == (len(data), 1, 0x95C1, transaction)
    assert list(struct.unpack(f"<{len(parameters)}I", data[12:])) == parameters


def test_an_array_that_announces_more_than_a_recorder_holds_is_refused_before_memory_is_taken():
    with pytest.raises(DeviceProtocolError):
        protocol.parse_handles(struct.pack("<I", 0xFFFFFFFF))


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-16"), max_size=30) | st.just("a/b") | st.just("a\\x2fb"), st.text(max_size=5))
def test_different_object_names_never_become_the_same_path(one, other):
    assert (protocol.path_part(one) == protocol.path_part(other)) == (one == other)
    assert b"/" not in protocol.path_part(one)


def test_a_lone_surrogate_in_a_name_is_escaped_and_kept():
    data = bytes([3]) + b"\x00\xd8" + b"a\0" + b"\0\0"
    assert printable(protocol.path_part(protocol.parse_text(data))) == "\\xed\\xa0\\x80a"


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_date_or_none(text):
    moment = protocol.parse_date_time(text)
    assert moment is None or moment.tzinfo is UTC


@settings(deadline=None)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),
    st.sampled_from(["", "20260101T000000", "20260101T000000Z", "20260101T000000+0530"]),
)
def test_a_clock_is_written_in_the_form_the_device_uses_and_reads_back_the_same(moment, like):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = protocol.format_date_time(moment, like=like)
    assert protocol.parse_date_time(text) == moment
    assert text.endswith("Z") == like.endswith("Z")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENODEV, DeviceGoneError), (errno.EIO, DeviceGoneError), (errno.ESHUTDOWN, DeviceGoneError),
        (errno.EPROTO, DeviceGoneError), (errno.EILSEQ, DeviceGoneError), (None, DeviceGoneError), (999, DeviceGoneError),
        (errno.EPIPE, DeviceStalledError), (errno.ETIMEDOUT, DeviceTimeoutError), (errno.EBUSY, DeviceBusyError),
        (errno.EACCES, DeviceBusyError), (errno.EOVERFLOW, DeviceProtocolError),
    ],
)  # fmt: skip
def test_every_usb_errno_has_its_error(number, kind):
    assert type(device_error(usb.core.USBError("x", None, number))) is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x2005, DeviceUnsupportedError), (0x200D, DeviceUnsupportedError), (0x200F, DeviceUnsupportedError),
        (0x2019, DeviceBusyError), (0x2013, DeviceGoneError), (0x2002, MediumError), (0xA123, ResponseError),
    ],
)  # fmt: skip
def test_every_response_code_has_its_error(code, kind):
    assert type(protocol.error_of(ResponseError(0x1009, code))) is kind


class Wire:
    """A USB device that plays given transfers; anything beyond them times out. For frames no honest responder sends."""

    def __init__(self, *transfers: bytes) -> None:
        self.transfers = list(transfers)

    def get_active_configuration(self):
        return None

    def is_kernel_driver_active(self, _interface):
        raise NotImplementedError

    def write(self, _endpoint, data, _timeout):
        return len(data)

    def read(self, _endpoint, length, _timeout):
        if not self.transfers:
            raise usb.core.USBTimeoutError("t", None, errno.ETIMEDOUT)
        data = self.transfers.pop(0)
        if len(data) > length:
            self.transfers.insert(0, data[length:])
            data = data[:length]
        return array.array("B", data)

    def ctrl_transfer(self, kind, _request, _value, _index, body, _timeout):
        return array.array("B", struct.pack("<HH", 4, 0x2001)) if kind & 0x80 else len(body)

    def clear_halt(self, _endpoint):
        return None


@pytest.fixture
def wired(monkeypatch):
    monkeypatch.setattr(link_module.usb.util, "claim_interface", lambda *_: None)
    monkeypatch.setattr(link_module.usb.util, "release_interface", lambda *_: None)
    monkeypatch.setattr(link_module.usb.util, "dispose_resources", lambda *_: None)

    class Interface(list):
        bInterfaceNumber = 0  # noqa: N815 - pyusb's name

    interface = Interface(
        SimpleNamespace(bmAttributes=2, bEndpointAddress=address, wMaxPacketSize=512) for address in (0x81, 0x01)
    )
    return lambda *transfers: MtpLink(Wire(*transfers), interface, timeout_s=1)


def frame(kind, code, body=b"", *, transaction=1, length=None):
    return struct.pack("<IHHI", 12 + len(body) if length is None else length, kind, code, transaction) + body


OK = frame(3, 0x2001)
READ = (Op.GET_PARTIAL_OBJECT_64, 1, 0, 0)


def ranged(link, size):
    target = bytearray(size)
    count = link.read_into(*READ, size, target=memoryview(target))
    return bytes(target[:count])


@pytest.mark.parametrize("size", [1, 499, 500, 501, 4096, 70_000])
def test_header_and_payload_may_come_together_or_apart_with_or_without_terminator(wired, size):
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    whole = frame(2, 0x95C1, body)
    for transfers in (
        (whole, OK),
        (whole[:12], body, OK),
        (whole, b"", OK),
        (whole[:12], body, b"", b"", OK),
        (whole, frame(3, 0x2001, struct.pack("<I", size))),
    ):
        assert ranged(wired(*transfers), size) == body


FIRST = (1 << 20) + 512  # what one transfer asks for: a ranged read and its header, in whole packets


@pytest.mark.parametrize(
    ("size", "transfers"),
    [
        (100, lambda head, body: (head + body,)),
        (FIRST - 12, lambda head, body: (head + body, b"")),
        (FIRST + 88, lambda head, body: (head + body[: FIRST - 12], body[FIRST - 12 :])),
        (FIRST - 12 + (1 << 20), lambda head, body: (head + body[: FIRST - 12], body[FIRST - 12 :], b"")),
    ],
)
def test_a_data_phase_of_unknown_length_ends_with_a_short_packet(wired, size, transfers):
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    link = wired(*transfers(frame(2, 0x1009, length=0xFFFFFFFF), body), OK)
    assert b"".join(bytes(piece) for piece in link.start(Op.GET_OBJECT, 1, expected=1 << 20)) == body


@pytest.mark.parametrize(
    "transfers",
    [
        (frame(2, 0x95C1, b"x" * 200), OK),  # more than asked for
        (frame(2, 0x95C1, b"x" * 50, length=112), OK),  # fewer than announced
        (frame(2, 0x95C1, b"x" * 100, transaction=9), OK),
        (frame(2, 0x1009, b"x" * 100), OK),  # another operation's data
        (frame(2, 0x95C1, b"x" * 100), frame(3, 0x2001, transaction=9)),
        (frame(2, 0x95C1, b"x" * 100), frame(2, 0x95C1, b"y")),
        (frame(2, 0x95C1, b"x" * 100), frame(3, 0x2001, struct.pack("<I", 99))),  # tells another count
        (frame(4, 0x4002), OK),
        (frame(1, 0x95C1), OK),
        (b"\0" * 5,),
        (b"", b"", b"", b"", b""),
        (frame(3, 0x2001, b"abc"),),
    ],
)  # fmt: skip
def test_a_broken_frame_is_a_protocol_error_and_never_data(wired, transfers):
    with pytest.raises(DeviceProtocolError):
        ranged(wired(*transfers), 100)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=700), max_size=6), st.data())
def test_any_transfers_end_in_data_of_the_asked_length_or_in_one_of_our_errors(transfers, data):
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        for name in ("claim_interface", "release_interface", "dispose_resources"):
            patch.setattr(link_module.usb.util, name, lambda *_: None)
        if transfers and data.draw(st.booleans()):
            transfers[0] = frame(2, 0x95C1, transfers[0])

        class Interface(list):
            bInterfaceNumber = 0  # noqa: N815

        interface = Interface(
            SimpleNamespace(bmAttributes=2, bEndpointAddress=address, wMaxPacketSize=512) for address in (0x81, 0x01)
        )
        link = MtpLink(Wire(*transfers), interface, timeout_s=1)
        with contextlib.suppress(DeviceError):
            assert len(ranged(link, 300)) <= 300
        link.close()


def test_an_interface_without_a_bulk_pair_is_refused():
    class Interface(list):
        bInterfaceNumber = 0  # noqa: N815

    with pytest.raises(DeviceProtocolError):
        MtpLink(Wire(), Interface(), timeout_s=1)
