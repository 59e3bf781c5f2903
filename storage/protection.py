"""The kernel's immutable flag: with it not even root writes, renames or removes a file before the flag is taken off.

Taking it off needs CAP_LINUX_IMMUTABLE. Where the file system or the process cannot set it, a store says ``mode-only``:
file modes stop accidents, not an administrator, and nobody may be led to think otherwise.

Source: ioctl_iflags(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import struct
from pathlib import Path

from evidence.durable import NO_SPACE, fsync_file

IMMUTABLE = "immutable"
MODE_ONLY = "mode-only"
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
#: A folder in which nothing can be made now: what is there stays readable, and only the mode protects it.
_NOTHING_NEW = NO_SPACE | {errno.EROFS, errno.EACCES, errno.EPERM}


def _flags(fd: int) -> int:
    state = bytearray(8)
    fcntl.ioctl(fd, _FS_IOC_GETFLAGS, state)
    return int(struct.unpack("=i", state[:4])[0])


def is_immutable(fd: int) -> bool:
    """Whether the flag is set; False also where the file system knows no flags."""
    try:
        return bool(_flags(fd) & _FS_IMMUTABLE_FL)
    except OSError:
        return False


def make_immutable(fd: int) -> bool:
    """Set the flag and make that durable; False where this file system or process cannot.

    Raises:
        NotDurableError: The flag could not be forced to the medium (fatal).
    """
    try:
        flags = _flags(fd)
        if flags & _FS_IMMUTABLE_FL:
            return True
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("=q", flags | _FS_IMMUTABLE_FL))
    except OSError:
        return False
    fsync_file(fd)  # if we crash before, the blob is there without the flag; verify sets it again
    return True


def make_mutable(fd: int) -> bool:
    """Take the flag off; False when it is set and this process may not."""
    try:
        flags = _flags(fd)
    except OSError:
        return True  # no flags on this file system, so none is set
    if flags & _FS_IMMUTABLE_FL:
        try:
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, struct.pack("=q", flags & ~_FS_IMMUTABLE_FL))
        except OSError:
            return False
    return True


def probe(folder: Path) -> str:
    """Find out by doing it what protection files in ``folder`` can have: ``immutable`` or ``mode-only``.

    Crash: the probe's file has a ``.tmp`` name and is swept at the next start, flag or not.
    """
    path = folder / f".probe.{secrets.token_hex(8)}.tmp"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o440)
    except OSError as error:
        if error.errno in _NOTHING_NEW:
            return MODE_ONLY
        raise
    refused = False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if make_immutable(fd):
            try:
                path.unlink()
            except PermissionError:
                refused = True
    finally:
        make_mutable(fd)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(fd)
    return IMMUTABLE if refused else MODE_ONLY
