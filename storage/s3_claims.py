"""Who writes which object right now, among the processes of one machine.

So that nobody goes on with an upload that another writer is still working at: two writers in one upload would be allowed by S3,
but servers have lost parts in that race. A claim is a lock on one byte of a file (an open file description lock): the kernel
drops it when its holder dies, so what a killed process left is free at once.

One home has one prefix in a bucket (docs/formats/store.md): writers on other machines do not meet here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from evidence.digest import Digest
from evidence.errors import StoreError

#: ``struct flock``: type, whence, start, length, pid (0 for this kind of lock), padding.
_FLOCK = struct.Struct("@hhqqi4x")


class UploadClaims:
    """Claims of one bucket and prefix.

    Args:
        file: Shared by all processes that write there, made when first needed; None: only this object writes there.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._here: set[str] = set()
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def claim(self, sha256: Digest) -> Iterator[bool]:
        """Claim a blob for the block; False when somebody else has it (then begin an upload of one's own).

        Raises:
            StoreError: The file cannot be made.
        """
        with self._guard:
            free = sha256.hex not in self._here
            self._here.add(sha256.hex)
        if not free:
            yield False
            return
        try:
            if self._file is None:
                yield True
                return
            fd = _opened(self._file)
            try:
                yield _locked(fd, sha256)
            finally:
                os.close(fd)  # and with it the lock
        finally:
            with self._guard:
                self._here.discard(sha256.hex)


def _opened(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open {file.name}, the claims of uploads: {os.strerror(error.errno or 0)}") from error


def _locked(fd: int, sha256: Digest) -> bool:
    where = int(sha256.hex[:15], 16)  # 60 bits: two blobs that share them only begin uploads of their own
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, where, 1, 0))
    except OSError:  # taken; or a file system without locks, where nothing can be told
        return False
    return True
