"""Reading a range of a blob, and moving bytes from a stream with a check of digest and size."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from evidence.digest import SHA256, Digest, DigestSuite, Hasher
from evidence.durable import drop_cache
from evidence.errors import DigestMismatchError, EvidenceError, InvalidInputError, LimitExceededError, StoreError
from evidence.limits import RECORDING_BYTES_MAX

CHUNK_BYTES = 1 << 20
_WORTH_A_THREAD_BYTES = 8 << 20


def check_size(size_bytes: int) -> None:
    """Refuse sizes no recording has (InvalidInputError below zero, LimitExceededError above the bound)."""
    if size_bytes < 0:
        raise InvalidInputError("a size cannot be negative")
    if size_bytes > RECORDING_BYTES_MAX:
        raise LimitExceededError(f"{size_bytes} bytes are more than one blob may have")


def checked_range(size_bytes: int, offset: int, length: int | None) -> int:
    """Length of the range, given the blob's size; InvalidInputError when the range is not inside the blob."""
    if length is None:
        length = size_bytes - offset
    if offset < 0 or length < 0 or offset + length > size_bytes:
        raise InvalidInputError(f"range {offset}+{length} is not inside a blob of {size_bytes} bytes")
    return length


def checked_chunks(
    source: BinaryIO, *, sha256: Digest, size_bytes: int, suite: DigestSuite, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """The source's bytes; after the last one, the stream has been proved to be the stated blob.

    Raises:
        DigestMismatchError: Too long, too short, or other bytes. Raised before the iteration ends.
        StoreError: The source could not be read.
    """
    hasher = suite.new(SHA256)
    done = 0
    with beside(hasher, size_bytes) as update:
        while chunk := _read(source, chunk_bytes):
            done += len(chunk)
            if done > size_bytes:
                raise DigestMismatchError(f"the stream is longer than the stated {size_bytes} bytes")
            update(chunk)
            yield chunk
    if done != size_bytes:
        raise DigestMismatchError(f"the stream ended after {done} of {size_bytes} bytes")
    if hasher.hexdigest() != sha256.hex:
        raise DigestMismatchError(f"the stream's bytes are not {sha256}")


@contextlib.contextmanager
def beside(hasher: Hasher, size_bytes: int) -> Iterator[Callable[[bytes | memoryview], object]]:
    """Digest one chunk while the caller writes it and reads the next; small blobs are not worth a thread.

    Every chunk has been digested when the block ends without an exception, and the one before when ``update`` returns.
    """
    if size_bytes < _WORTH_A_THREAD_BYTES:
        yield hasher.update
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="digest") as lane:
        last: list[Future[object]] = []

        def update(chunk: bytes | memoryview) -> None:
            while last:
                last.pop().result()
            last.append(lane.submit(hasher.update, chunk))

        yield update
        while last:
            last.pop().result()


def _read(source: BinaryIO, chunk_bytes: int) -> bytes:
    """A full chunk unless the stream ends: raw streams may return less than was asked."""
    parts: list[bytes] = []
    missing = chunk_bytes
    try:
        while missing and (part := source.read(missing)):
            parts.append(part)
            missing -= len(part)
    except EvidenceError:
        raise
    except OSError as error:
        raise StoreError(f"the source could not be read: {os.strerror(error.errno or 0)}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


class MediumReader:
    """An open, durable file from its beginning, from its medium rather than from the page cache, straight into buffers."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._offset = 0
        drop_cache(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def fill(self, buffer: memoryview) -> int:
        """Fill the whole buffer; fewer bytes only at the end. StoreError when the medium does not give them."""
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._fd, [buffer[done:]], self._offset)
            except OSError as error:
                raise StoreError(f"cannot read a blob: {os.strerror(error.errno or 0)}") from error
            if count == 0:
                break
            drop_cache(self._fd, self._offset, count)
            self._offset += count
            done += count
        return done


class FileRange(io.RawIOBase):
    """A seekable, read-only window on an open file, which it owns. Bytes missing at the end are an error, not an end."""

    def __init__(self, fd: int, *, offset: int, length: int) -> None:
        super().__init__()
        self._fd = fd
        self._offset = offset
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position inside the range."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move inside the range."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise InvalidInputError("cannot seek before the start of a range")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill the buffer from the file; StoreError when the file is shorter than it was or cannot be read."""
        wanted = min(len(buffer), max(0, self._length - self._position))
        if wanted == 0:
            return 0
        try:
            count = os.preadv(self._fd, [memoryview(buffer)[:wanted]], self._offset + self._position)
        except OSError as error:
            raise StoreError(f"cannot read a blob: {os.strerror(error.errno or 0)}") from error
        if count == 0:
            raise StoreError("a blob became shorter while it was read")
        self._position += count
        return count

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._fd)
        super().close()


class StreamRange(io.RawIOBase):
    """A forward-only stream of known length over a pull function; an early end is an error.

    Args:
        pull: Returns at most the asked number of bytes; empty at the end; raises our errors.
        length: Bytes the stream must give.
        release: Called once when the stream is closed.
    """

    def __init__(self, pull: Callable[[int], bytes], *, length: int, release: Callable[[], None]) -> None:
        super().__init__()
        self._pull = pull
        self._left = length
        self._release = release

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill the buffer from the stream; StoreError when it ends early."""
        wanted = min(len(buffer), self._left)
        if wanted == 0:
            return 0
        data = self._pull(wanted)
        if not data:
            raise StoreError(f"a blob's stream ended {self._left} bytes early")
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._release()
        super().close()


class ReadBack(io.RawIOBase):
    """Forward-only stream of what a blob's medium holds; its end is only reached after every byte matched.

    ``matched`` is False until then, also for a stream that somebody stopped reading: half a read-back proves nothing.

    Args:
        chunks: Bytes that stay valid until the next ones are asked for; raises our errors, also at the end for wrong bytes.
    """

    def __init__(self, chunks: Generator[memoryview, None, None]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.matched = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill the buffer; 0 at the end. DigestMismatchError instead of the end when the bytes are not the stated ones."""
        if not self._rest and not self.matched:
            self._rest = next(self._chunks, memoryview(b""))
            self.matched = not self._rest
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Close the file behind the chunks."""
        self._rest = memoryview(b"")
        self._chunks.close()
        super().close()
