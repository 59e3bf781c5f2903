"""One MTP recorder, open: identity, status, listing, ranged reads, clock, and removal against a receipt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from devices.mtp import protocol
from devices.mtp.link import MtpLink
from devices.mtp.protocol import ObjectInfo, Op, ResponseError
from devices.mtp.reading import RangedReader, StreamReader
from devices.session import Refused
from devices.tree import require_receipt
from evidence.clock import TimeReading
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceProtocolError,
    DeviceStalledError,
    DeviceTimeoutError,
    DeviceUnsupportedError,
    InvalidInputError,
    LimitExceededError,
    MediumError,
    SourceChangedError,
)
from evidence.limits import (
    CLOCK_AHEAD_S_MAX,
    CLOCK_YEAR_MIN,
    SOURCE_DEPTH_MAX,
    SOURCE_FILES_MAX,
    SOURCE_PATH_BYTES_MAX,
)
from evidence.model import Cap, ClockOffset, DeviceIdentity, DeviceStatus, ReleaseReceipt, SourceKey, SourceObject
from evidence.names import printable
from evidence.transfer import ByteSource

T = TypeVar("T")

NAME: Final = "mtp"
_TEXT_CHARS_MAX: Final = 128
#: Objects that make a recorder fall silent: more in one listing, and it is the recorder.
_LAPSES_MAX: Final = 3
#: Offsets of GetPartialObject have 32 bits.
_PARTIAL_32_END: Final = 0xFFFFFFFF
#: Serials that chip makers leave in: they name no device.
_PLACEHOLDERS: Final = {"0123456789ABCDEF", "123456789ABCDEF", "1234567890", "12345678", "0123456789"}


def _text(untrusted: str) -> str:
    return printable(untrusted.strip("\0 ").encode("utf-8", "surrogatepass"))[:_TEXT_CHARS_MAX]


def _is_serial(text: str) -> bool:
    return (
        bool(text.strip("0Ff")) and text.rstrip("0").upper() not in _PLACEHOLDERS and text.upper() not in _PLACEHOLDERS
    )


def _optional(call: Callable[[], T]) -> T | None:
    """A value that a device may fail to tell without being any worse for it; losing the device is another matter."""
    try:
        return call()
    except DeviceGoneError:
        raise
    except DeviceError:
        return None


@dataclass(frozen=True, slots=True)
class Child:
    """One object of a folder: its handle, its part of the path, and whether another object has the same name."""

    handle: int
    part: bytes
    info: ObjectInfo
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class _Locator:
    handle: int


class MtpSession:
    """See evidence.ports.DeviceSession. Built by MtpDriver.open; opens the device's session at once."""

    def __init__(self, link: MtpLink, *, slot: str, usb_serial: str, usb_vendor: str, usb_product: str) -> None:
        self._link = link
        self.refused: list[Refused] = []
        self._lapses = 0
        self._infos: dict[int, ObjectInfo] = {}
        self._infos_since = link.recoveries
        try:
            link.open_session()  # some responders refuse even GetDeviceInfo before a session
        except ResponseError as error:
            raise protocol.error_of(error) from error
        self._info = protocol.parse_device_info(self._ask(Op.GET_DEVICE_INFO))
        serial, source = usb_serial, "usb"
        if not _is_serial(serial):
            serial, source = _text(self._info.serial), "device-info"
        if not _is_serial(serial):
            serial, source = f"slot-{slot}", "path"  # says where it sits, not which recorder it is
        self._identity = DeviceIdentity(
            driver=NAME,
            kind="recorder",
            serial=serial,
            serial_source=source,
            vendor=_text(self._info.manufacturer) or usb_vendor,
            model=_text(self._info.model) or usb_product,
            firmware=_text(self._info.version),
        )
        self._clock_settable = self._is_clock_settable()

    # --- what it is ---------------------------------------------------------------------------------------------------
    @property
    def caps(self) -> frozenset[Cap]:
        """What the device advertises; nothing is assumed."""
        operations, properties = self._info.operations, self._info.properties
        caps = {Cap.LIST, Cap.READ, Cap.STORAGE}
        if operations & {Op.GET_PARTIAL_OBJECT, Op.GET_PARTIAL_OBJECT_64}:
            caps.add(Cap.RESUME)
        if Op.DELETE_OBJECT in operations:
            caps.add(Cap.DELETE)
        if protocol.PROP_BATTERY in properties:
            caps.add(Cap.BATTERY)
        if protocol.PROP_DATE_TIME in properties:
            caps.add(Cap.CLOCK_GET)
        if self._clock_settable:
            caps.add(Cap.CLOCK_SET)
        return frozenset(caps)

    @property
    def identity(self) -> DeviceIdentity:
        """By USB serial, else by the serial in DeviceInfo, else by slot (``serial_source`` tells which)."""
        return self._identity

    def status(self, now: TimeReading) -> DeviceStatus:
        """Battery, space and clock offset. What the device does not tell is None; a lost device is an error."""
        capacity, free = self._space()
        clock = None
        if protocol.PROP_DATE_TIME in self._info.properties:
            clock = _optional(lambda: self._clock_offset(now))
        return DeviceStatus(battery_percent=self._battery(), capacity_bytes=capacity, free_bytes=free, clock=clock)

    def _battery(self) -> int | None:
        if protocol.PROP_BATTERY not in self._info.properties:
            return None
        raw = _optional(lambda: self._ask(Op.GET_DEVICE_PROP_VALUE, protocol.PROP_BATTERY))
        percent = _optional(lambda: protocol.parse_number(raw, 1)) if raw is not None else None
        return percent if percent is not None and percent <= 100 else None

    def _space(self) -> tuple[int | None, int | None]:
        infos = _optional(
            lambda: [
                protocol.parse_storage_info(self._ask(Op.GET_STORAGE_INFO, storage)) for storage in self._storages()
            ]
        )
        if not infos:
            return None, None
        return sum(info.capacity_bytes for info in infos), sum(info.free_bytes for info in infos)

    # --- clock --------------------------------------------------------------------------------------------------------
    def _clock_offset(self, now: TimeReading) -> ClockOffset:
        text = protocol.parse_text(self._ask(Op.GET_DEVICE_PROP_VALUE, protocol.PROP_DATE_TIME))
        moment = protocol.parse_date_time(text)
        if moment is None:
            raise DeviceProtocolError("the recorder's clock does not read as a time")
        offset_ms = round((moment - now.wall).total_seconds() * 1000)
        plausible = moment.year >= CLOCK_YEAR_MIN and offset_ms <= CLOCK_AHEAD_S_MAX * 1000
        return ClockOffset(_text(text), offset_ms, now.wall, plausible)

    def _is_clock_settable(self) -> bool:
        if (
            protocol.PROP_DATE_TIME not in self._info.properties
            or Op.SET_DEVICE_PROP_VALUE not in self._info.operations
        ):
            return False
        if Op.GET_DEVICE_PROP_DESC not in self._info.operations:
            return True
        description = _optional(lambda: self._ask(Op.GET_DEVICE_PROP_DESC, protocol.PROP_DATE_TIME))
        return description is not None and bool(_optional(lambda: protocol.parse_settable(description)))

    def set_clock(self, now: TimeReading) -> ClockOffset:
        """Set the clock to the bureau's local time, in the form the device uses, and return the offset found just before.

        Raises:
            DeviceUnsupportedError: The device does not offer it.
        """
        if not self._clock_settable:
            raise DeviceUnsupportedError(
                "this recorder does not offer to set its clock", todo="Set it on the recorder."
            )
        before = self._clock_offset(now)
        text = protocol.format_date_time(now.wall, like=before.device_text)
        self._ask(Op.SET_DEVICE_PROP_VALUE, protocol.PROP_DATE_TIME, send=protocol.pack_string(text))
        return before

    # --- listing ------------------------------------------------------------------------------------------------------
    def list_objects(self) -> Iterator[SourceObject]:
        """Every file of every storage, folder by folder in order of names.

        Raises:
            DeviceBusyError: The device offers no storage (a locked screen): an empty list would be a lie.
        """
        self.refused = []
        self._lapses = 0
        storages = self._storages()
        if not storages:
            raise DeviceBusyError(
                "the recorder shows no storage", todo="Unlock its screen and choose file transfer, then dock it again."
            )
        count = 0
        for storage in storages:
            for source in self._walk(storage):
                count += 1
                if count > SOURCE_FILES_MAX:
                    raise LimitExceededError(f"the device holds more than {SOURCE_FILES_MAX} files")
                yield source

    def _walk(self, storage: int) -> Iterator[SourceObject]:
        pending: list[tuple[int, tuple[bytes, ...]]] = [(protocol.ROOT, ())]
        visited: set[int] = set()
        while pending:
            folder, parts = pending.pop()
            below: list[tuple[int, tuple[bytes, ...]]] = []
            for child in self._children(storage, folder, parts):
                here = (*parts, child.part)
                if child.handle in visited:
                    continue  # a folder that contains itself
                visited.add(child.handle)
                if child.info.is_folder:
                    below.append((child.handle, here))
                elif (source := self._source(storage, child, here)) is not None:
                    yield source
            for handle, here in reversed(below):
                if len(here) >= SOURCE_DEPTH_MAX:
                    self._refuse(here, "too-deep")
                else:
                    pending.append((handle, here))

    def _refuse(self, parts: tuple[bytes, ...], reason: str) -> None:
        self.refused.append(Refused(printable(b"/".join(parts)), reason))

    def _source(self, storage: int, child: Child, parts: tuple[bytes, ...]) -> SourceObject | None:
        path = b"/".join(parts)
        if len(path) > SOURCE_PATH_BYTES_MAX:
            self._refuse(parts, "path-too-long")
            return None
        try:
            size = self._size(child.handle, child.info)
        except DeviceGoneError:
            raise
        except DeviceError as error:
            self._count_lapse(error)
            size = None
        if size is None:
            self._refuse(parts, "size-unknown")
            return None
        key = SourceKey(f"{storage:08x}", printable(path), size, _time_stamp(child.info))
        return SourceObject(key, printable(child.part), _Locator(child.handle), read_only=child.info.protected)

    def _storages(self) -> list[int]:
        """Storages with a medium in them (the low half of the identity is 0 for an empty card slot)."""
        return [storage for storage in protocol.parse_handles(self._ask(Op.GET_STORAGE_IDS)) if storage & 0xFFFF]

    def _children(self, storage: int, folder: int, parts: tuple[bytes, ...], *, known: bool = False) -> list[Child]:
        """One folder in order of names; objects that share a name are told apart by a NUL and a number, and marked.

        Args:
            storage: The storage.
            folder: Handle of the folder.
            parts: Its path.
            known: Ask only about objects that this session has not met (handles stand as long as a session does).
        """
        infos: list[tuple[bytes, int, ObjectInfo]] = []
        if self._infos_since != self._link.recoveries:  # after a reset the recorder may number its objects anew
            self._infos, self._infos_since = {}, self._link.recoveries
        for handle in self._handles(storage, folder, parts):
            info = self._infos.get(handle) if known else None
            if info is None:
                info = self._object_info(handle, parts)
            if info is not None:
                infos.append((protocol.path_part(info.name), handle, info))
        infos.sort(key=lambda entry: (entry[0], entry[1]))
        seen: dict[bytes, int] = {}
        for part, _, _ in infos:
            seen[part] = seen.get(part, 0) + 1
        children, used = [], dict.fromkeys(seen, 0)
        for part, handle, info in infos:
            used[part] += 1
            name = part if used[part] == 1 else part + b"\0%d" % used[part]
            children.append(Child(handle, name, info, ambiguous=seen[part] > 1))
        return children

    def _handles(self, storage: int, folder: int, parts: tuple[bytes, ...]) -> list[int]:
        try:
            return protocol.parse_handles(self._ask(Op.GET_OBJECT_HANDLES, storage, 0, folder))
        except DeviceGoneError:
            raise
        except DeviceError as error:
            if folder == protocol.ROOT:
                raise  # a recorder that does not even list its root tells nothing
            self._count_lapse(error)
            self._refuse(parts, "unreadable")
            return []

    def _object_info(self, handle: int, parts: tuple[bytes, ...]) -> ObjectInfo | None:
        """What an object is; None when it went meanwhile, or cannot be told (then it is refused and the others go on)."""
        try:
            info = protocol.parse_object_info(self._ask(Op.GET_OBJECT_INFO, handle))
        except DeviceGoneError:
            raise
        except SourceChangedError:
            return None  # removed between the two calls: it is simply not there
        except DeviceError as error:
            self._count_lapse(error)
            self._refuse((*parts, b"object %08x" % handle), "unreadable")
            return None
        self._infos[handle] = info
        return info

    def _count_lapse(self, error: DeviceError) -> None:
        """One object that makes the recorder fall silent must not hide the others; a silent recorder must not take hours."""
        if isinstance(error, DeviceTimeoutError | DeviceStalledError):
            self._lapses += 1
            if self._lapses > _LAPSES_MAX:
                raise error

    def _size(self, handle: int, info: ObjectInfo) -> int | None:
        """Size in bytes: the 64-bit property where there is one, because the 32-bit field lies above 4 GiB.

        Only a recorder that answers that it has no such property is believed its 32-bit field.
        """
        size = None if info.size32 == protocol.SIZE_UNKNOWN else info.size32
        if Op.GET_OBJECT_PROP_VALUE not in self._info.operations:
            return size
        try:
            _, told = self._link.transact(Op.GET_OBJECT_PROP_VALUE, handle, protocol.OBJECT_PROP_SIZE)
        except ResponseError:
            return size
        wide = _optional(lambda: protocol.parse_number(told, 8))
        return size if wide is None else max(wide, size or 0)

    # --- reading ------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def open_read(self, source: SourceObject, *, offset: int = 0) -> Iterator[ByteSource]:
        """Read from ``offset`` to the listed end.

        With partial reads the range is asked for; without them the object is streamed and its beginning passed over.

        Raises:
            SourceChangedError: The object behind the handle is no longer the one that was listed.
        """
        key, handle = source.key, _handle_of(source)
        if not 0 <= offset <= key.size_bytes:
            raise InvalidInputError(f"offset {offset} is outside the file's {key.size_bytes} bytes")
        info = protocol.parse_object_info(self._ask(Op.GET_OBJECT_INFO, handle))
        now = (printable(protocol.path_part(info.name)), self._size(handle, info), _time_stamp(info))
        listed = source.name.partition("\\x00")[0], key.size_bytes, key.mtime_raw
        if now != listed or f"{info.storage:08x}" != key.storage:
            raise SourceChangedError("the object on the recorder is not the one that was listed")
        operations = self._info.operations
        if Op.GET_PARTIAL_OBJECT_64 in operations or (
            Op.GET_PARTIAL_OBJECT in operations and key.size_bytes <= _PARTIAL_32_END
        ):
            yield RangedReader(self._link, handle, key.size_bytes, offset, wide=Op.GET_PARTIAL_OBJECT_64 in operations)
            return
        stream = StreamReader(self._link, handle, key.size_bytes)
        try:
            stream.skip(offset)
            yield stream
        finally:
            stream.close()

    # --- clearing -----------------------------------------------------------------------------------------------------
    def delete(self, source: SourceObject, receipt: ReleaseReceipt) -> None:
        """Remove the one object that has the receipt's storage, path, size and time stamp now. Absent counts as removed.

        Raises:
            SourceChangedError: The receipt names another object, or the path is not unique on the device.
            DeviceUnsupportedError: The device does not remove it.
        """
        require_receipt(source, receipt)
        if Op.DELETE_OBJECT not in self._info.operations:
            raise DeviceUnsupportedError("this recorder does not offer to remove files")
        child = self._find(source.key)
        if child is None:
            return
        if child.ambiguous:
            raise SourceChangedError(
                "two objects on the recorder have this path",
                kept="Nothing was removed.",
                todo="Clear it on the recorder.",
            )
        now = protocol.parse_object_info(self._ask(Op.GET_OBJECT_INFO, child.handle))
        if (now.name, self._size(child.handle, now), _time_stamp(now)) != (
            child.info.name,
            source.key.size_bytes,
            source.key.mtime_raw,
        ):
            raise SourceChangedError(
                "the file on the recorder is not the one that was sealed", kept="Nothing was removed."
            )
        self._infos.pop(child.handle, None)  # the recorder may give the handle to a new object
        self._ask(Op.DELETE_OBJECT, child.handle, 0)
        if self._find(source.key) is not None:
            raise DeviceUnsupportedError("the recorder says it removed the file, but it is still there")

    def _find(self, key: SourceKey) -> Child | None:
        """Walk down the key's path by names. Folders are listed afresh; objects met before are not asked again."""
        listed, self.refused, self._lapses = self.refused, [], 0
        try:
            return self._found(key)
        finally:
            self.refused = listed

    def _found(self, key: SourceKey) -> Child | None:
        storage = next((storage for storage in self._storages() if f"{storage:08x}" == key.storage), None)
        if storage is None:
            raise SourceChangedError("the recorder's storage is not the one that was listed")
        folders: list[tuple[int, tuple[bytes, ...]]] = [(protocol.ROOT, ())]
        found: list[Child] = []
        for _ in range(SOURCE_DEPTH_MAX):
            below: list[tuple[int, tuple[bytes, ...]]] = []
            for folder, parts in folders:
                for child in self._children(storage, folder, parts, known=True):
                    here = (*parts, child.part)
                    path = printable(b"/".join(here))
                    if child.info.is_folder and key.path.startswith(path + "/"):
                        below.append((child.handle, here))
                    elif not child.info.is_folder and path == key.path:
                        found.append(child)
            folders = below
        if not found and self.refused:
            raise MediumError("the recorder cannot list everything: whether the file is gone is not known")
        return found[0] if found else None

    # --- end ----------------------------------------------------------------------------------------------------------
    def eject(self) -> None:
        """An MTP device may be unplugged whenever no transfer runs."""
        raise DeviceUnsupportedError("an MTP recorder needs no ejecting")

    def close(self) -> None:
        """End the session and release the interface; never raises."""
        self._link.close()

    def _ask(self, operation: Op, *parameters: int, send: bytes | None = None) -> bytes:
        try:
            return self._link.transact(operation, *parameters, send=send)[1]
        except ResponseError as error:
            raise protocol.error_of(error) from error


def _time_stamp(info: ObjectInfo) -> str:
    return _text(info.modified or info.created)


def _handle_of(source: SourceObject) -> int:
    if not isinstance(source.locator, _Locator):
        raise InvalidInputError("this object was not listed by this driver")
    return source.locator.handle
