"""The growing copy of a recording on the primary store's file system.

Only bytes that an fsync made durable before the catalogue said so are trusted at the next attempt: after a power cut a file
may have its full length and zeros in it, and a digest over those would be a faithful digest of the wrong bytes. Everything
beyond is cut off and read again.

Crash: at any point the file holds a prefix of the recording, of which ``bytes_acquired`` of its row are certain.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from evidence.digest import Hasher
from evidence.durable import (
    NO_SPACE,
    drop_cache,
    free_bytes,
    fsync_dir,
    fsync_file,
    start_write_back,
    write_all,
)
from evidence.errors import StoreError, StoreFullError
from evidence.limits import WRITE_BEHIND_BYTES
from evidence.transfer import transfer

#: Progress that a kill in the middle may cost: read again at 35 MB/s this is about seven seconds.
SECURE_EVERY_BYTES = 256 << 20


@contextlib.contextmanager
def _store_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFullError if error.errno in NO_SPACE else StoreError
        raise kind(f"cannot {doing}: {os.strerror(error.errno or 0)}") from error


class _Prefix:
    """The first bytes of an open file as a ByteSource."""

    def __init__(self, fd: int, length: int) -> None:
        self._fd = fd
        self._offset = 0
        self._length = length

    def readinto(self, buffer: memoryview, /) -> int:
        with buffer[: min(len(buffer), self._length - self._offset)] as part:
            count = os.preadv(self._fd, [part], self._offset) if part else 0
        self._offset += count
        return count


def require_room(folder: Path, more_bytes: int, *, floor_bytes: int) -> None:
    """Return when that many bytes of a recording fit into a folder's file system above the floor.

    Raises:
        StoreFullError: They do not. StoreError: the free space cannot be told.
    """
    with _store_errors("tell the free space"):
        free = free_bytes(folder)
    if free - more_bytes < floor_bytes:
        raise StoreFullError(
            "the free-space floor is reached",
            kept="What was read so far is kept; the recorder keeps its footage.",
            todo="Free space or add a disk, then dock again.",
        )


class Partial:
    """An open partial; use it as a context manager.

    Args:
        path: From ``LocalStore.partial_path``.
        keep_bytes: How much of what is there can be trusted; the rest is cut off.
        floor_bytes: Writing stops with StoreFullError before free space falls below this.
        secured: Called (on the writing thread) with the number of bytes that have become durable.

    Raises:
        StoreError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, *, keep_bytes: int, floor_bytes: int, secured: Callable[[int], None] = lambda _bytes: None
    ) -> None:
        self._path = path
        self._floor_bytes = floor_bytes
        self._secured = secured
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with _store_errors("open the partial"):
            self._fd = os.open(path, flags, 0o640)
            try:
                self.size_bytes = min(os.fstat(self._fd).st_size, max(0, keep_bytes))
                os.ftruncate(self._fd, self.size_bytes)
                os.lseek(self._fd, self.size_bytes, os.SEEK_SET)
                fsync_dir(path.parent)
            except BaseException:
                os.close(self._fd)
                raise
        self._pushed = self._durable = self.size_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def feed(self, hashers: Sequence[Hasher]) -> None:
        """Digest what is already there, so that the new bytes can follow."""
        if self.size_bytes:
            with _store_errors("read the partial"):
                read = transfer(_Prefix(self._fd, self.size_bytes), None, hashers)
            if read != self.size_bytes:
                raise StoreError("the partial became shorter while it was read")

    def tail(self, length: int) -> bytes:
        """The last ``length`` bytes."""
        with _store_errors("read the partial"):
            return os.pread(self._fd, length, self.size_bytes - length)

    def restart(self) -> None:
        """Cut everything off: the bytes are not those of the file that is there now."""
        with _store_errors("cut the partial"):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self.size_bytes = self._pushed = self._durable = 0

    def require_room(self, more_bytes: int) -> None:
        """Raise StoreFullError unless that many bytes fit above the floor."""
        require_room(self._path.parent, more_bytes, floor_bytes=self._floor_bytes)

    def write(self, data: memoryview) -> None:
        """Append; pushes data out behind itself so that many recorders do not flush the page cache."""
        write_all(self._fd, data)
        self.size_bytes += len(data)
        if self.size_bytes - self._pushed >= WRITE_BEHIND_BYTES:
            start_write_back(self._fd, self._pushed, self.size_bytes - self._pushed)
            drop_cache(self._fd, 0, self._pushed)
            self._pushed = self.size_bytes
            self.require_room(0)
        if self.size_bytes - self._durable >= SECURE_EVERY_BYTES:
            self._secured(self.secure())

    def secure(self) -> int:
        """Make everything written so far durable and return how many bytes that are; NotDurableError is fatal."""
        fsync_file(self._fd)
        self._durable = self.size_bytes
        return self.size_bytes

    def finish(self) -> None:
        """The recording is whole: make all of it durable; NotDurableError is fatal."""
        self.secure()
