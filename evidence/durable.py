"""Durable files: write everything, fsync the file, give it its name, fsync the directory. In that order, always.

What each function guarantees on return is on stable storage, as far as the operating system and the medium tell the truth;
a medium that lies is found by reading back (ingest does). After a failed fsync the kernel may have dropped the dirty
pages, so a retry would report success for lost bytes: :class:`NotDurableError` is fatal and the process stops.

Source: fsync(2); docs/invariants.md 2, 4, 6.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from evidence.disks import disks_below
from evidence.errors import (
    BlobConflictError,
    HomeLockedError,
    NotDurableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_PUBLISH_AT_ONCE = 64


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte, however often write(2) falls short.

    Raises:
        StoreFullError: No space; the file holds a prefix.
        StoreError: Any other write error.
    """
    rest = memoryview(data)
    while rest:
        try:
            written = os.write(fd, rest)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise StoreFullError("no space left on the store", todo="Free space or add a disk.") from error
            raise StoreError(f"write failed: {os.strerror(error.errno or 0)}") from error
        rest = rest[written:]


def fsync_file(fd: int) -> None:
    """Force a file to stable storage; NotDurableError (fatal) when the kernel says it could not."""
    try:
        os.fsync(fd)
    except OSError as error:
        raise NotDurableError(f"fsync failed: {os.strerror(error.errno or 0)}") from error


def fsync_dir(directory: Path) -> None:
    """Force a directory's entries to stable storage.

    Raises:
        StoreUnavailableError: It is not there, or cannot be opened: nothing that was put into it counts as durable.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        text = f"cannot open {directory.name}: {os.strerror(error.errno or 0)}"
        raise StoreUnavailableError(text, todo="Mount its disk.") from error
    try:
        fsync_file(fd)
    finally:
        os.close(fd)


def make_dirs(directory: Path, mode: int = 0o750) -> None:
    """Create a directory and its parents, each durable before anything is put into it."""
    if directory.is_dir():
        return
    make_dirs(directory.parent, mode)
    # If we crash after mkdir and before the fsync, the next call finds the directory and the next file's own directory
    # fsync makes it reachable; the parent is therefore synced also when the directory already existed by a race.
    try:
        directory.mkdir(mode)
    except FileExistsError as error:
        if not directory.is_dir():
            raise StoreError(f"{directory.name} exists and is no directory") from error
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left on the store") from error
        raise StoreError(f"cannot make {directory.name}: {os.strerror(error.errno or 0)}") from error
    fsync_dir(directory.parent)


def link_new(existing: Path, target: Path) -> bool:
    """Give an fsynced file its final name without ever replacing one. Durable on return.

    Returns:
        False when the name already existed (the caller compares the bytes), True when this call made it.
    """
    make_dirs(target.parent)
    try:
        os.link(existing, target, follow_symlinks=False)
        made = True
    except FileExistsError:
        made = False
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left on the store") from error
        raise StoreError(f"cannot link {target.name}: {os.strerror(error.errno or 0)}") from error
    fsync_dir(target.parent)
    return made


def link_open(fd: int, name: str, *, directory: int) -> bool:
    """Give an open, fsynced file (nameless or not) a name in an open directory, never replacing one. Durable on return.

    Working on descriptors, it links the very file that was checked, whatever happens to paths meanwhile.

    Args:
        fd: The file, on the directory's file system.
        name: One path component.
        directory: Descriptor of the directory.

    Returns:
        False when the name already existed, True when this call made it.

    Source: open(2) O_TMPFILE; linkat(2) AT_SYMLINK_FOLLOW.
    """
    try:
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)
        made = True
    except FileExistsError:
        made = False
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left on the store") from error
        raise StoreError(f"cannot link {name}: {os.strerror(error.errno or 0)}") from error
    fsync_file(directory)
    return made


def _write_temporary(target: Path, data: bytes, mode: int) -> Path:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left on the store") from error
        raise StoreError(f"cannot create {temporary.name}: {os.strerror(error.errno or 0)}") from error
    try:
        write_all(fd, data)
        fsync_file(fd)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    return temporary


def publish(target: Path, data: bytes, *, mode: int = 0o640) -> None:
    """Replace ``target`` by ``data`` atomically: readers see the old bytes or the new ones, never a part.

    Crash: before the rename the old file stands and a ``.tmp`` may be left (swept at start); after it the new one does.
    """
    make_dirs(target.parent)
    temporary = _write_temporary(target, data, mode)
    try:
        os.replace(temporary, target)  # noqa: PTH105 - the durable module is the home of rename
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot rename into {target.name}: {os.strerror(error.errno or 0)}") from error
    fsync_dir(target.parent)


def publish_many(files: Sequence[tuple[Path, bytes]], *, mode: int = 0o640) -> None:
    """Replace many files, each atomically, syncing every directory once: what :func:`publish` does, for the price of one.

    Crash: any number of the files may be the new ones, each of them whole.
    """
    for start in range(0, len(files), _PUBLISH_AT_ONCE):
        _publish_some(files[start : start + _PUBLISH_AT_ONCE], mode)


def _publish_some(files: Sequence[tuple[Path, bytes]], mode: int) -> None:
    opened: list[tuple[int, Path, Path]] = []
    try:
        for target, data in files:
            make_dirs(target.parent)
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
            opened.append((fd, temporary, target))
            write_all(fd, data)
        for fd, _, _ in opened:  # only after all writes: the first sync then takes the others' blocks along
            fsync_file(fd)
        for _, temporary, target in opened:
            os.replace(temporary, target)  # noqa: PTH105 - the durable module is the home of rename
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFullError("no space left on the store") from error
        raise StoreError(f"cannot publish files: {os.strerror(error.errno or 0)}") from error
    finally:
        for fd, temporary, _ in opened:
            os.close(fd)
            with contextlib.suppress(OSError):
                temporary.unlink()
    for directory in dict.fromkeys(target.parent for _, _, target in opened):
        fsync_dir(directory)


def publish_new(target: Path, data: bytes, *, mode: int = 0o440) -> bool:
    """Write ``target`` once. The same bytes again are accepted; other bytes are refused (invariant 4).

    Returns:
        True when this call made the file.

    Raises:
        BlobConflictError: The name exists with other bytes; it was not touched.
    """
    make_dirs(target.parent)
    temporary = _write_temporary(target, data, mode)
    try:
        made = link_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    try:
        same = made or target.read_bytes() == data
    except OSError as error:
        raise StoreError(f"cannot read {target.name}: {os.strerror(error.errno or 0)}") from error
    if not same:
        raise BlobConflictError(f"{target.name} exists with other bytes; nothing was overwritten")
    return made


def give_name(temporary: Path, target: Path) -> None:
    """Give a finished, synced file or folder its final name in the same directory, never replacing one. Durable on return.

    Where the file system knows no rename without replacing (FAT, some network shares), the name is looked for just before: the
    caller holds a lock.

    Raises:
        BlobConflictError: The name exists; neither was touched. StoreError: the file system refuses.

    Crash: either the old name stands or the new one, with the same content.
    """
    moved = _libc.renameat2(_AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    error = ctypes.get_errno() if moved != 0 else 0
    if error in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
        error = errno.EEXIST if os.path.lexists(target) else 0
        if not error:
            try:
                os.rename(temporary, target)  # noqa: PTH104, TID251 - this is its home
            except OSError as failure:
                error = failure.errno or errno.EIO
    if error == errno.EEXIST:
        raise BlobConflictError(f"{target.name} exists; nothing was overwritten")
    if error:
        raise StoreError(f"cannot rename into {target.name}: {os.strerror(error)}")
    fsync_dir(target.parent)


def drop_cache(fd: int, offset: int = 0, length: int = 0) -> None:
    """Ask the kernel to forget a range of a file, so that the next read comes from the medium."""
    os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)


_libc = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def start_write_back(fd: int, offset: int, length: int) -> None:
    """Ask the kernel to begin writing a range to the medium, so that little is left for the final fsync.

    Promises nothing: a file system without the call just keeps the pages until the fsync, which alone makes them durable.
    """
    _libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def read_from_medium(path: Path, *, chunk_bytes: int = 4 << 20) -> Iterator[memoryview]:
    """Read a durable file from its medium rather than from the page cache, chunk by chunk.

    The memoryview is only valid until the next step of the iteration.
    """
    buffer = bytearray(chunk_bytes)
    view = memoryview(buffer)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        drop_cache(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        offset = 0
        while count := os.preadv(fd, [buffer], offset):
            yield view[:count]
            drop_cache(fd, offset, count)
            offset += count
    except OSError as error:
        raise StoreError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(fd)


def free_bytes(path: Path) -> int:
    """Bytes an unprivileged writer can still use on the file system that holds ``path``."""
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize


def failure_domain(path: Path) -> str:
    """Name what would take ``path`` with it when it dies: ``disk:vda``, ``disk:sda+disk:sdb``, ``memory``, ``nfs:<server>``.

    Two directories on one device, two partitions, volumes or subvolumes of one disk, are one failure domain (promise 1).

    Raises:
        OSError: The path cannot be looked at.
    """
    return "+".join(sorted(disks_below(path)))


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[int]:
    """Hold an advisory lock file for as long as the block runs; the lock dies with the process.

    Raises:
        HomeLockedError: Another process holds it. StoreError: the file cannot be opened (rights, a read-only disk).
    """
    make_dirs(path.parent)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        raise StoreError(f"cannot open the lock {path.name}: {os.strerror(error.errno or 0)}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeLockedError(
                f"another process holds {path.name}", todo="Stop it, or let it do the work."
            ) from error
        except OSError as error:  # a file system without locks: nobody may believe that this one holds
            raise StoreError(f"cannot lock {path.name}: {os.strerror(error.errno or 0)}") from error
        yield fd
    finally:
        os.close(fd)
