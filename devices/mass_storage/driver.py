"""Mounted recorders: found below the dock's mount directories, read without changing a byte.

The mount itself is the operating system's (read-only, ``noexec,nosuid,nodev``; see docs/deployment.md). This driver never
writes, except to remove one file against a receipt, and only where the site has mounted the card writable.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from devices.mass_storage import protocol
from devices.session import Refused
from devices.tree import Tree, source_of
from evidence.clock import TimeReading
from evidence.errors import DeviceError, DeviceGoneError, DeviceUnsupportedError
from evidence.model import Cap, ClockOffset, DeviceIdentity, DeviceStatus, ReleaseReceipt, SourceObject
from evidence.names import original_bytes, printable
from evidence.ports import DockedDevice
from evidence.transfer import ByteSource

NAME = "mass_storage"
_MOUNTINFO = Path("/proc/self/mountinfo")
_BY_UUID = Path("/dev/disk/by-uuid")
_BY_LABEL = Path("/dev/disk/by-label")
_SYSFS = Path("/sys/dev/block")
#: Names looked at for a device code; enough for a majority, little enough for a slow card.
_NAMES_SAMPLED = 500
#: Between path and disk number in an address; no printable path holds a tab.
_DISK = "\tdisk "


def _mounts() -> list[protocol.Mount]:
    try:
        return protocol.parse_mountinfo(_MOUNTINFO.read_bytes())
    except OSError:
        return []


def _block_name(device: str, directory: Path) -> str:
    """The name that udev gave a block device in one of its directories (a file system's UUID or label)."""
    try:
        number = os.makedev(*(int(part) for part in device.split(":")))
        for link in sorted(directory.iterdir()):
            with contextlib.suppress(OSError):
                if link.stat().st_rdev == number:
                    return link.name
    except (OSError, ValueError, TypeError):
        return ""
    return ""


def _sysfs_text(node: Path, name: str) -> str:
    try:
        return printable((node / name).read_bytes()[:64].strip())
    except OSError:
        return ""


def _sysfs_node(device: str) -> Path | None:
    try:
        return (_SYSFS / device).resolve(strict=True)
    except OSError:
        return None


def _node_at(path: bytes) -> Path | None:
    mount = protocol.mount_at(_mounts(), path)
    return _sysfs_node(mount.device) if mount is not None else None


def _disk_of(node: Path) -> Path:
    return node.parent if (node / "partition").exists() else node


def _address(path: bytes, node: Path | None) -> str:
    number = _sysfs_text(_disk_of(node), "diskseq") if node is not None else ""
    return f"{printable(path)}{_DISK}{number}" if number else printable(path)


class MassStorageDriver:
    """Recorders that are mounted somewhere.

    Args:
        roots: Directories that each are one recorder, mounted or not (a site's fixed list, a folder given by hand).
        docks: Directories under which recorders are mounted: every mount point directly below one of them is a recorder.
    """

    name = NAME

    def __init__(self, roots: Sequence[Path] = (), *, docks: Sequence[Path] = ()) -> None:
        self._roots = tuple(roots)
        self._docks = tuple(docks)

    def scan(self) -> list[DockedDevice]:
        """Roots that exist and mount points below the docks, in order of their paths."""
        found = {root.absolute() for root in self._roots if root.is_dir() and not root.is_symlink()}
        wanted = {os.fsencode(dock.absolute()) for dock in self._docks}
        for mount in _mounts():
            if os.path.dirname(mount.point) in wanted:  # noqa: PTH120 - bytes, as the kernel wrote them
                found.add(Path(os.fsdecode(mount.point)))
        return [self.docked_at(path) for path in sorted(found)]

    @staticmethod
    def docked_at(root: Path) -> DockedDevice:
        """The docked device for a directory given by hand; nothing is opened.

        The address names the disk as well, by a number that the kernel gives once: a recorder that takes another one's
        place between two scans is mounted at the same path in the same slot, and must not pass for it.
        """
        path = os.fsencode(root.absolute())
        node = _node_at(path)
        port = protocol.port_of(str(node)) if node is not None else ""
        return DockedDevice(driver=NAME, slot=port or printable(path), address=_address(path, node))

    def open(self, device: DockedDevice) -> MassStorageSession:
        """Open the directory and find out whose it is.

        Raises:
            DeviceGoneError: It is not there, or another disk is by now. DeviceBusyError: it may not be opened.
        """
        return MassStorageSession(device)


class MassStorageSession:
    """One mounted recorder, open."""

    def __init__(self, device: DockedDevice) -> None:
        self._path = original_bytes(device.address.partition(_DISK)[0])
        self._tree = Tree(Path(os.fsdecode(self._path)))
        self._named_by_file = False
        try:
            if _address(self._path, _node_at(self._path)) != device.address:
                raise DeviceGoneError("another card is mounted here by now", todo="It is found by the next look.")
            self._identity = self._identify()
        except BaseException:
            self._tree.close()
            raise

    @property
    def caps(self) -> frozenset[Cap]:
        """Clearing needs a writable mount; the plain file system has no clock, battery or owner."""
        caps = {Cap.LIST, Cap.READ, Cap.RESUME, Cap.STORAGE}
        with contextlib.suppress(DeviceError):
            _, _, write_protected = self._tree.space()
            if not write_protected:
                caps.add(Cap.DELETE)
        return frozenset(caps)

    @property
    def identity(self) -> DeviceIdentity:
        """What the card and its mount say of the recorder."""
        return self._identity

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What the last complete listing left out: links, special files, unreadable folders."""
        return tuple(self._tree.refused)

    def status(self, now: TimeReading) -> DeviceStatus:  # noqa: ARG002 - a card has no clock to compare with
        """Capacity and room. No clock, no battery: a file's time stamp is not a clock reading."""
        capacity, free, _ = self._tree.space()
        return DeviceStatus(capacity_bytes=capacity, free_bytes=free)

    def list_objects(self) -> Iterator[SourceObject]:
        """Every regular file, in byte order of paths folder by folder; not the serial file that tells who the recorder is.

        That file is the recorder's own: taken for footage it would be cleared, and the recorder would be a stranger then.
        """
        for found in self._tree.walk():
            if self._named_by_file and len(found.parts) == 1 and found.parts[0].lower() == protocol.SERIAL_FILE:
                continue
            yield source_of(found)

    def open_read(self, source: SourceObject, *, offset: int = 0) -> AbstractContextManager[ByteSource]:
        """Read as listed; SourceChangedError when the file is another one by now."""
        return self._tree.open_read(source, offset=offset)

    def set_clock(self, now: TimeReading) -> ClockOffset:  # noqa: ARG002 - the contract's argument
        """Not possible over a file system."""
        raise DeviceUnsupportedError("a mounted recorder's clock cannot be set", todo="Set it on the recorder.")

    def delete(self, source: SourceObject, receipt: ReleaseReceipt) -> None:
        """Remove one file against its receipt, through a descriptor chain opened for this purpose alone."""
        self._tree.delete(source, receipt)

    def eject(self) -> None:
        """Unmounting is the operating system's; nothing is pending because nothing was written."""
        raise DeviceUnsupportedError(
            "this program does not unmount cards", todo="Unmount it with the system's own means."
        )

    def close(self) -> None:
        """Give the directory back."""
        self._tree.close()

    # --- identity -----------------------------------------------------------------------------------------------------
    def _identify(self) -> DeviceIdentity:
        mount = protocol.mount_at(_mounts(), self._path)
        serial, source, codes = self._serial(mount)
        place = ""
        if mount is None and codes is not None:  # at a mount point the next card would have the same place
            place = protocol.serial_of_path(self._path, self._tree.inode)
        vendor = model = firmware = ""
        node = _sysfs_node(mount.device) if mount is not None else None
        if node is not None:
            disk = _disk_of(node)
            vendor, model = _sysfs_text(disk, "device/vendor"), _sysfs_text(disk, "device/model")
            firmware = _sysfs_text(disk, "device/rev")
        return DeviceIdentity(
            driver=NAME,
            kind="recorder",
            serial=serial,
            serial_source=source,
            vendor=vendor,
            model=model,
            firmware=firmware,
            place=place,
            hinted=codes.most_common(1)[0][0] if codes and source == "path" else "",
        )

    def _serial(self, mount: protocol.Mount | None) -> tuple[str, str, Counter[str] | None]:
        """The best serial there is, and where it came from; the recorder's own word first. Codes where names were asked."""
        if serial := self._serial_file():
            self._named_by_file = True
            return serial, "file", None
        if mount is not None:
            if serial := protocol.serial_of_label(_block_name(mount.device, _BY_LABEL)):
                return serial, "volume", None
            if uuid := _block_name(mount.device, _BY_UUID):
                return printable(os.fsencode(uuid)), "volume", None
        names = (printable(b"/".join(found.parts)) for found in islice(self._tree.walk(), _NAMES_SAMPLED))
        codes = protocol.codes_of_names(names)
        if serial := protocol.serial_of_codes(codes):
            return serial, "file", codes
        return protocol.serial_of_path(self._path, self._tree.inode), "path", codes

    def _serial_file(self) -> str:
        for found in self._tree.walk():
            if len(found.parts) > 1:
                return ""
            if found.parts[0].lower() == protocol.SERIAL_FILE:
                if found.state.st_size > protocol.SERIAL_FILE_BYTES_MAX:
                    return ""
                buffer = bytearray(found.state.st_size)
                try:
                    with self._tree.open_read(source_of(found), offset=0) as reader:
                        reader.readinto(memoryview(buffer))
                except DeviceGoneError:
                    raise
                except DeviceError:
                    return ""
                return protocol.serial_of_file(bytes(buffer))
        return ""
