"""MTP containers and datasets: packing and strict parsing. Pure: no I/O, no state.

Everything a device sends is untrusted; whatever does not have its exact form raises DeviceProtocolError, nothing else.

Source: USB-IF MTP 1.1; ISO 15740 (PTP); Android extensions (GetPartialObject64).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Final

from evidence.clock import BUREAU_ZONE
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceProtocolError,
    DeviceUnsupportedError,
    MediumError,
    SourceChangedError,
)  # fmt: skip
from evidence.limits import SOURCE_FILES_MAX

HEADER_BYTES: Final = 12
_HEADER: Final = struct.Struct("<IHHI")
#: A data phase of this announced length is longer than 4 GiB and ends with a short packet.
LENGTH_UNKNOWN: Final = 0xFFFFFFFF
SIZE_UNKNOWN: Final = 0xFFFFFFFF
ROOT: Final = 0xFFFFFFFF
FORMAT_FOLDER: Final = 0x3001
#: A dataset (never a file) larger than this is an attack: 200,000 handles need 800 kB.
DATASET_BYTES_MAX: Final = 4 * SOURCE_FILES_MAX + 4096


class Kind(IntEnum):
    """Container types."""

    COMMAND = 1
    DATA = 2
    RESPONSE = 3
    EVENT = 4


class Op(IntEnum):
    """Operations we use. None of them writes a file."""

    GET_DEVICE_INFO = 0x1001
    OPEN_SESSION = 0x1002
    CLOSE_SESSION = 0x1003
    GET_STORAGE_IDS = 0x1004
    GET_STORAGE_INFO = 0x1005
    GET_OBJECT_HANDLES = 0x1007
    GET_OBJECT_INFO = 0x1008
    GET_OBJECT = 0x1009
    DELETE_OBJECT = 0x100B
    GET_DEVICE_PROP_DESC = 0x1014
    GET_DEVICE_PROP_VALUE = 0x1015
    SET_DEVICE_PROP_VALUE = 0x1016
    GET_PARTIAL_OBJECT = 0x101B
    GET_PARTIAL_OBJECT_64 = 0x95C1
    GET_OBJECT_PROP_VALUE = 0x9803


class Rc(IntEnum):
    """Response codes we tell apart."""

    OK = 0x2001
    GENERAL_ERROR = 0x2002
    SESSION_NOT_OPEN = 0x2003
    OPERATION_NOT_SUPPORTED = 0x2005
    INCOMPLETE_TRANSFER = 0x2007
    INVALID_STORAGE_ID = 0x2008
    INVALID_OBJECT_HANDLE = 0x2009
    PROP_NOT_SUPPORTED = 0x200A
    STORE_READ_ONLY = 0x200E
    OBJECT_WRITE_PROTECTED = 0x200D
    ACCESS_DENIED = 0x200F
    STORE_NOT_AVAILABLE = 0x2013
    DEVICE_BUSY = 0x2019
    INVALID_PARAMETER = 0x201D
    SESSION_ALREADY_OPEN = 0x201E


_NAMES: Final = {int(code): code.name.lower().replace("_", " ") for code in Rc}
PROP_BATTERY: Final = 0x5001
PROP_DATE_TIME: Final = 0x5011
OBJECT_PROP_SIZE: Final = 0xDC04


class ResponseError(DeviceProtocolError):
    """The device answered an operation with a code other than OK."""

    def __init__(self, operation: int, code: int) -> None:
        name = _NAMES.get(code, "an error")
        super().__init__(f"the recorder answered operation {operation:#06x} with {name} ({code:#06x})")
        self.response = code


_UNSUPPORTED: Final = {
    Rc.OPERATION_NOT_SUPPORTED, Rc.PROP_NOT_SUPPORTED, Rc.STORE_READ_ONLY, Rc.OBJECT_WRITE_PROTECTED, Rc.ACCESS_DENIED,
}  # fmt: skip


def error_of(error: ResponseError) -> DeviceError:
    """The error a caller of a session sees for a response code."""
    if error.response in _UNSUPPORTED:
        return DeviceUnsupportedError(error.what)
    if error.response == Rc.DEVICE_BUSY:
        return DeviceBusyError(error.what)
    if error.response in (Rc.STORE_NOT_AVAILABLE, Rc.SESSION_NOT_OPEN):
        return DeviceGoneError(
            error.what, todo="Unlock the recorder's screen or choose file transfer, then dock it again."
        )
    if error.response == Rc.INVALID_OBJECT_HANDLE:
        return SourceChangedError(error.what)
    if error.response in (Rc.GENERAL_ERROR, Rc.INCOMPLETE_TRANSFER):
        return MediumError(error.what)
    return error


@dataclass(frozen=True, slots=True)
class Header:
    """The first 12 bytes of a container."""

    length: int
    kind: int
    code: int
    transaction: int


def parse_header(untrusted: bytes | bytearray | memoryview) -> Header:
    """Parse the first 12 bytes."""
    if len(untrusted) < HEADER_BYTES:
        raise DeviceProtocolError(f"container of only {len(untrusted)} bytes")
    header = Header(*_HEADER.unpack_from(untrusted))
    if header.length < HEADER_BYTES or header.kind not in (Kind.DATA, Kind.RESPONSE, Kind.EVENT):
        raise DeviceProtocolError("malformed container header")
    return header


def pack_command(operation: int, transaction: int, parameters: tuple[int, ...] = ()) -> bytes:
    """A command container with up to five parameters."""
    size = HEADER_BYTES + 4 * len(parameters)
    return _HEADER.pack(size, Kind.COMMAND, operation, transaction) + struct.pack(f"<{len(parameters)}I", *parameters)


def pack_data(operation: int, transaction: int, payload: bytes) -> bytes:
    """A data container (the small ones we send: a clock)."""
    return _HEADER.pack(HEADER_BYTES + len(payload), Kind.DATA, operation, transaction) + payload


def pack_string(text: str) -> bytes:
    """A PTP string: count of UTF-16 units with the final NUL, then the units."""
    encoded = (text + "\0").encode("utf-16-le")
    return bytes([len(encoded) // 2]) + encoded


def pack_cancel(transaction: int) -> bytes:
    """Body of the class request that cancels a transaction."""
    return struct.pack("<HI", 0x4001, transaction)


def parse_response(untrusted: bytes | bytearray | memoryview) -> tuple[Header, tuple[int, ...]]:
    """A whole response container: header and parameters."""
    header = parse_header(untrusted)
    count, rest = divmod(header.length - HEADER_BYTES, 4)
    if header.kind != Kind.RESPONSE or rest or count > 5 or len(untrusted) < header.length:
        raise DeviceProtocolError("malformed response container")
    return header, struct.unpack_from(f"<{count}I", untrusted, HEADER_BYTES)


class Reader:
    """Walks a dataset; reading past its end is a protocol error."""

    def __init__(self, untrusted: bytes | bytearray) -> None:
        self._data = bytes(untrusted)
        self._offset = 0

    def _take(self, count: int) -> bytes:
        part = self._data[self._offset : self._offset + count]
        if len(part) != count:
            raise DeviceProtocolError("dataset ends early")
        self._offset += count
        return part

    def skip(self, count: int) -> None:
        """Pass over fields we do not use."""
        self._take(count)

    def unsigned(self, size: int) -> int:
        """A little-endian number of 1, 2, 4 or 8 bytes."""
        return int.from_bytes(self._take(size), "little")

    def text(self) -> str:
        """A PTP string up to its first NUL; lone surrogates are kept (names are escaped later)."""
        units = self._take(2 * self.unsigned(1))
        return units.decode("utf-16-le", "surrogatepass").partition("\0")[0]

    def array(self, size: int, *, limit: int = 4096) -> list[int]:
        """A counted array of numbers."""
        count = self.unsigned(4)
        if count > limit:
            raise DeviceProtocolError(f"array of {count} elements")
        data = self._take(count * size)
        return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]

    def end(self) -> None:
        """Nothing may follow."""
        if self._offset != len(self._data):
            raise DeviceProtocolError("dataset has bytes after its end")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What the device offers and who it says it is."""

    operations: frozenset[int]
    properties: frozenset[int]
    manufacturer: str
    model: str
    version: str
    serial: str


def parse_device_info(untrusted: bytes | bytearray) -> DeviceInfo:
    """The DeviceInfo dataset."""
    reader = Reader(untrusted)
    reader.skip(2 + 4 + 2)
    reader.text()
    reader.skip(2)
    operations = frozenset(reader.array(2))
    reader.array(2)
    properties = frozenset(reader.array(2))
    reader.array(2)
    reader.array(2)
    return DeviceInfo(operations, properties, reader.text(), reader.text(), reader.text(), reader.text())


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """One storage: its room and whether objects may be removed."""

    capacity_bytes: int
    free_bytes: int
    can_delete: bool


def parse_storage_info(untrusted: bytes | bytearray) -> StorageInfo:
    """The StorageInfo dataset; access 0 is read-write, 2 is read-only with deletion."""
    reader = Reader(untrusted)
    reader.skip(2 + 2)
    access = reader.unsigned(2)
    capacity, free = reader.unsigned(8), reader.unsigned(8)
    return StorageInfo(capacity, free, access in (0, 2))


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as listed; ``size32`` is SIZE_UNKNOWN for 4 GiB and more."""

    storage: int
    format: int
    protected: bool
    size32: int
    name: str
    created: str
    modified: str

    @property
    def is_folder(self) -> bool:
        """An association is a folder."""
        return self.format == FORMAT_FOLDER


def parse_object_info(untrusted: bytes | bytearray) -> ObjectInfo:
    """The ObjectInfo dataset."""
    reader = Reader(untrusted)
    storage, format_code, protection, size = (reader.unsigned(count) for count in (4, 2, 2, 4))
    reader.skip(2 + 4 * 3 + 4 * 3 + 4 + 2 + 4 + 4)
    name, created, modified = reader.text(), reader.text(), reader.text()
    return ObjectInfo(storage, format_code, protection != 0, size, name, created, modified)


def parse_handles(untrusted: bytes | bytearray) -> list[int]:
    """An array of object handles (or storage identities)."""
    reader = Reader(untrusted)
    handles = reader.array(4, limit=SOURCE_FILES_MAX)
    reader.end()
    return handles


def parse_number(untrusted: bytes | bytearray, size: int) -> int:
    """A property value that is one number."""
    reader = Reader(untrusted)
    value = reader.unsigned(size)
    reader.end()
    return value


def parse_text(untrusted: bytes | bytearray) -> str:
    """A property value that is one string."""
    reader = Reader(untrusted)
    text = reader.text()
    reader.end()
    return text


def parse_settable(untrusted: bytes | bytearray) -> bool:
    """From a property's description: whether it can be set."""
    reader = Reader(untrusted)
    reader.skip(2 + 2)
    return reader.unsigned(1) == 1


def path_part(name: str) -> bytes:
    r"""An object's name as one part of a path. Injective: ``/`` becomes ``\x2f`` and ``\`` becomes ``\\``.

    Lone surrogates give bytes that are not UTF-8 and are escaped by ``printable``.
    """
    return name.replace("\\", "\\\\").replace("/", "\\x2f").encode("utf-8", "surrogatepass")


_DATE_TIME: Final = re.compile(r"([0-9]{8})T([0-9]{6})(?:\.[0-9]{1,6})?(Z|[+-][0-9]{4})?")


def parse_date_time(untrusted: str) -> datetime | None:
    """A PTP date, aware; without a suffix it is the bureau's local time. None when it is no date.

    The form is ``YYYYMMDDThhmmss[.s][Z|±hhmm]``.
    """
    match = _DATE_TIME.fullmatch(untrusted)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S")
        suffix = match[3]
        if suffix is None:
            zoned = moment.replace(tzinfo=BUREAU_ZONE)
        elif suffix == "Z":
            zoned = moment.replace(tzinfo=UTC)
        else:
            ahead = timedelta(hours=int(suffix[1:3]), minutes=int(suffix[3:5]))
            zoned = moment.replace(tzinfo=timezone(-ahead if suffix[0] == "-" else ahead))
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_date_time(moment: datetime, *, like: str = "") -> str:
    """A PTP date in the form the device itself uses: UTC with ``Z``, an offset, or the bureau's local time bare."""
    match = _DATE_TIME.fullmatch(like)
    suffix = match[3] if match is not None else None
    if suffix == "Z":
        return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    local = moment.astimezone(BUREAU_ZONE).strftime("%Y%m%dT%H%M%S")
    return local + moment.astimezone(BUREAU_ZONE).strftime("%z") if suffix else local
