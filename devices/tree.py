"""A directory on somebody else's medium: walked, read and cleared through directory descriptors, never through path names.

Guarantees:
    - nothing is written while listing or reading (O_RDONLY, O_NOATIME where the kernel permits it);
    - no symbolic link is followed anywhere below the root, so a crafted card cannot make us read or remove another file;
    - what is read is the file that was listed: same size, same time stamp, before the first byte and after the last;
    - bytes are never short silently: a file that ends early is an error.

Source: openat(2); docs/threat-model.md "hostile file".
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devices.session import Refused
from evidence.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceGoneError,
    DeviceUnsupportedError,
    InvalidInputError,
    LimitExceededError,
    MediumError,
    SourceChangedError,
)  # fmt: skip
from evidence.limits import SOURCE_DEPTH_MAX, SOURCE_FILES_MAX, SOURCE_PATH_BYTES_MAX
from evidence.model import ReleaseReceipt, SourceKey, SourceObject
from evidence.names import printable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_GONE = {errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOMEDIUM, errno.ESHUTDOWN, errno.ENOTCONN, errno.EREMOTEIO}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_WRITE_PROTECTED = {errno.EROFS, errno.EPERM, errno.EACCES}

Parts = tuple[bytes, ...]
#: Only root may look into it, and no recorder ever writes there.
_FSCK_FOLDER: Parts = (b"lost+found",)


def _open_quietly(name: bytes, flags: int, dir_fd: int | None) -> int:
    """Open without touching the access time where we may; only the owner and root may ask for that."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=dir_fd)
    except PermissionError:
        return os.open(name, flags, dir_fd=dir_fd)


def _mtime_raw(state: os.stat_result) -> str:
    return str(state.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file as the walk saw it."""

    parts: Parts
    state: os.stat_result


class Tree:
    """An opened root directory. One thread at a time.

    Args:
        root: The directory; it is opened at once and identified by device and inode from then on.

    Raises:
        DeviceGoneError: It is not there. DeviceBusyError: we may not open it.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        try:
            self._fd = _open_quietly(self._root, _DIRECTORY, None)
        except PermissionError as error:
            raise DeviceBusyError("the device's directory may not be opened by this user") from error
        except OSError as error:
            raise DeviceGoneError(
                f"the device's directory cannot be opened: {os.strerror(error.errno or 0)}"
            ) from error
        state = os.fstat(self._fd)
        self._identity = (state.st_dev, state.st_ino)
        node = f"/sys/dev/block/{os.major(state.st_dev)}:{os.minor(state.st_dev)}"
        self._block_node = node if os.path.exists(node) else ""  # noqa: PTH110 - a sysfs name, not a file of ours
        self.refused: list[Refused] = []

    def close(self) -> None:
        """Give the directory back; further calls do nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def inode(self) -> int:
        """Inode number of the root."""
        return self._identity[1]

    def space(self) -> tuple[int, int, bool]:
        """Capacity in bytes, bytes free for a writer, and whether the medium is mounted read-only."""
        self.require_present()
        try:
            state = os.fstatvfs(self._fd)
        except OSError as error:
            raise self._judge(error, "the file system's state") from error
        block = state.f_frsize
        return state.f_blocks * block, state.f_bavail * block, bool(state.f_flag & os.ST_RDONLY)

    def require_present(self) -> None:
        """DeviceGoneError unless the root is still the directory that was opened and its disk still exists."""
        try:
            state = os.stat(self._root, follow_symlinks=False)  # noqa: PTH116 - a byte path
            present = (state.st_dev, state.st_ino) == self._identity
        except OSError:
            present = False
        if self._fd < 0 or not present or (self._block_node and not os.path.exists(self._block_node)):  # noqa: PTH110
            raise DeviceGoneError("the device was removed", kept="What was read before is kept and resumed.")

    def _judge(self, error: OSError, what: str) -> DeviceError:
        """EIO with the device still there is a bad range of the medium; anything on a vanished device is 'gone'."""
        try:
            self.require_present()
        except DeviceGoneError as gone:
            return gone
        if error.errno in _GONE:
            return DeviceGoneError("the device stopped answering", kept="What was read before is kept and resumed.")
        if error.errno in _ABSENT:
            return SourceChangedError(f"{what} is no longer there")
        if error.errno in (errno.EACCES, errno.EPERM):
            return DeviceBusyError(f"{what} may not be read by this user")
        return MediumError(f"{what} cannot be read: {os.strerror(error.errno or 0)}")

    # --- listing ------------------------------------------------------------------------------------------------------
    def walk(self) -> Iterator[Found]:
        """Every regular file in byte order of its path; what is not listed is told in ``refused``.

        Raises:
            DeviceGoneError: Removed meanwhile. LimitExceededError: more files than any recorder has.
        """
        self.refused = []
        self.require_present()
        count = 0
        pending: list[Parts] = [()]
        while pending:
            parts = pending.pop()
            folders: list[Parts] = []
            for name, state in self._entries(parts):
                here = (*parts, name)
                if stat.S_ISDIR(state.st_mode):
                    folders.append(here)
                elif reason := self._refusal(here, state):
                    self._refuse(here, reason)
                else:
                    count += 1
                    if count > SOURCE_FILES_MAX:
                        raise LimitExceededError(f"the device holds more than {SOURCE_FILES_MAX} files")
                    yield Found(here, state)
            for folder in reversed(folders):
                if len(folder) >= SOURCE_DEPTH_MAX:
                    self._refuse(folder, "too-deep")
                else:
                    pending.append(folder)

    @staticmethod
    def _refusal(parts: Parts, state: os.stat_result) -> str:
        if stat.S_ISLNK(state.st_mode):
            return "symlink"
        if not stat.S_ISREG(state.st_mode):
            return "special-file"
        return "path-too-long" if sum(len(part) + 1 for part in parts) > SOURCE_PATH_BYTES_MAX else ""

    def _refuse(self, parts: Parts, reason: str) -> None:
        self.refused.append(Refused(printable(b"/".join(parts)), reason))

    def _entries(self, parts: Parts) -> list[tuple[bytes, os.stat_result]]:
        """Names and states of one directory, sorted; an unreadable directory is refused, a vanished device is an error."""
        entries: list[tuple[bytes, os.stat_result]] = []
        try:
            with self._directory(parts) as fd, os.scandir(fd) as listing:
                for entry in listing:
                    name = os.fsencode(entry.name)
                    try:
                        entries.append((name, os.stat(name, dir_fd=fd, follow_symlinks=False)))
                    except FileNotFoundError:
                        continue  # removed between the two calls: it is simply not there
                    except OSError:
                        self._refuse((*parts, name), "unreadable")
                    if len(entries) > SOURCE_FILES_MAX:
                        raise LimitExceededError(f"one folder holds more than {SOURCE_FILES_MAX} entries")
        except OSError as error:
            trouble = self._judge(error, "a folder")
            if isinstance(trouble, DeviceGoneError):
                raise trouble from error
            ours = isinstance(trouble, DeviceBusyError) and parts == _FSCK_FOLDER
            self._refuse(parts, "system-folder" if ours else "unreadable")
        return sorted(entries, key=lambda entry: entry[0])

    @contextlib.contextmanager
    def _directory(self, parts: Parts) -> Iterator[int]:
        """Descend name by name, each relative to the one before, following no link."""
        fd = _open_quietly(b".", _DIRECTORY, self._fd)
        try:
            for part in parts:
                below = _open_quietly(part, _DIRECTORY, fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    # --- reading ------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def open_read(self, source: SourceObject, *, offset: int) -> Iterator[TreeReader]:
        """Open the file as it was listed and read from ``offset`` to its listed end."""
        parts = parts_of(source)
        if not 0 <= offset <= source.key.size_bytes:
            raise InvalidInputError(f"offset {offset} is outside the file's {source.key.size_bytes} bytes")
        self.require_present()
        try:
            with self._directory(parts[:-1]) as directory:
                fd = _open_quietly(parts[-1], _FILE, directory)
        except OSError as error:
            raise self._judge(error, "the file") from error
        try:
            reader = TreeReader(self, fd, source.key, offset)
            reader.require_unchanged()
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            yield reader
        finally:
            os.close(fd)

    # --- clearing -----------------------------------------------------------------------------------------------------
    def delete(self, source: SourceObject, receipt: ReleaseReceipt) -> None:
        """Remove one file, exactly the one the receipt names. Absent already counts as removed; durable on return.

        Crash: between unlink and fsync the file may come back; the next docking finds it released and removes it again.

        Raises:
            SourceChangedError: The receipt names another object, or the file is not the one that was sealed.
            DeviceUnsupportedError: The medium is write-protected or mounted read-only.
        """
        require_receipt(source, receipt)
        parts = parts_of(source)
        self.require_present()
        try:
            with self._directory(parts[:-1]) as directory:
                state = os.stat(parts[-1], dir_fd=directory, follow_symlinks=False)
                if not stat.S_ISREG(state.st_mode) or (state.st_size, _mtime_raw(state)) != (
                    source.key.size_bytes,
                    source.key.mtime_raw,
                ):
                    raise SourceChangedError("the file on the recorder is not the one that was sealed")
                os.unlink(parts[-1], dir_fd=directory)
                with contextlib.suppress(OSError):  # some FAT drivers refuse to sync a directory; unlink itself worked
                    os.fsync(directory)
        except FileNotFoundError:
            self.require_present()
        except OSError as error:
            if error.errno in _WRITE_PROTECTED:
                raise DeviceUnsupportedError(
                    "the recorder's storage is write-protected",
                    kept="The file stays on the recorder.",
                    todo="Mount the card writable for clearing, or clear it on the recorder itself.",
                ) from error
            raise self._judge(error, "the file") from error


class TreeReader:
    """A ByteSource over one file; ends exactly at the listed size."""

    def __init__(self, tree: Tree, fd: int, key: SourceKey, offset: int) -> None:
        self._tree = tree
        self._fd = fd
        self._key = key
        self._offset = offset

    def require_unchanged(self) -> None:
        """SourceChangedError unless the open file still has the listed size and time stamp."""
        try:
            state = os.fstat(self._fd)
        except OSError as error:
            raise self._tree._judge(error, "the file") from error  # noqa: SLF001 - one module, one class pair
        listed = (self._key.size_bytes, self._key.mtime_raw)
        if not stat.S_ISREG(state.st_mode) or (state.st_size, _mtime_raw(state)) != listed:
            raise SourceChangedError("the file changed after it was listed", todo="It is listed again.")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer; 0 only at the listed end, and only when the file is still the listed one."""
        left = self._key.size_bytes - self._offset
        if left == 0 or not buffer:
            self.require_unchanged()
            return 0
        self._tree.require_present()
        try:
            count = os.preadv(self._fd, [buffer[: min(left, len(buffer))]], self._offset)
        except OSError as error:
            raise self._tree._judge(error, f"the file from byte {self._offset}") from error  # noqa: SLF001
        if count == 0:
            raise SourceChangedError("the file became shorter while it was read")
        os.posix_fadvise(self._fd, self._offset, count, os.POSIX_FADV_DONTNEED)
        self._offset += count
        return count


def source_of(found: Found, *, storage: str = "") -> SourceObject:
    """The port's object for a file of the walk."""
    key = SourceKey(storage, printable(b"/".join(found.parts)), found.state.st_size, _mtime_raw(found.state))
    protected = not found.state.st_mode & 0o222  # FAT shows its read-only attribute as a mode without write bits
    return SourceObject(key=key, name=printable(found.parts[-1]), locator=found.parts, read_only=protected)


def parts_of(source: SourceObject) -> Parts:
    """The byte names behind a listed object; InvalidInputError for an object of another driver or with unsafe parts."""
    parts = source.locator
    if (
        not isinstance(parts, tuple)
        or not parts
        or not all(isinstance(part, bytes) and part not in (b"", b".", b"..") and b"/" not in part for part in parts)
    ):
        raise InvalidInputError("this object was not listed by this driver")
    return parts


def require_receipt(source: SourceObject, receipt: ReleaseReceipt) -> None:
    """SourceChangedError unless the receipt names this very object."""
    if receipt.source != source.key:
        raise SourceChangedError(
            "the release receipt names another object", kept="Nothing was removed.", todo="List the recorder again."
        )
