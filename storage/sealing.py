"""Encrypted objects as streams: proved while they are read, staged while they are written, handed on as they are.

How a nonce is never used for other bytes: a source is always encrypted under a **new** key first, into memory or a nameless file
of this machine. Only when its digest was found to be the stated one is that key made the object's, or, where the object has a
key already, are the proved bytes encrypted again under that. Other bytes are never encrypted under a key in use, and a source
that turned out wrong leaves nothing but a forgotten key's ciphertext in a file that has no name.

Source: docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, ClassVar, Final, Protocol, Self, cast

from evidence.data_keys import KeyRecord
from evidence.digest import SHA256, Digest, DigestSuite
from evidence.errors import DigestMismatchError, InvalidInputError, StoreError
from storage.chunked import HEADER_BYTES, TAG_BYTES, ChunkCipher
from storage.reading import ReadBack, beside, checked_chunks
from storage.tree import os_errors

#: Up to here a staged object stays in memory.
_IN_MEMORY_BYTES: Final = 8 << 20
#: Chunks that are valid at the same time: one read, one digested, one handed out. More would only leave the processor's cache.
_BUFFERS: Final = 3


class Fills(Protocol):
    """A source that fills buffers."""

    def fill(self, buffer: memoryview) -> int:
        """Fill the whole buffer; fewer bytes only at the end."""
        ...


class Pieces:
    """An iterator of byte pieces of any size, as a source that fills buffers."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def fill(self, buffer: memoryview) -> int:
        """Fill the whole buffer; fewer bytes only at the end."""
        done = 0
        while done < len(buffer):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
                continue
            count = min(len(buffer) - done, len(self._rest))
            buffer[done : done + count] = self._rest[:count]
            self._rest = self._rest[count:]
            done += count
        return done


def open_chunks(
    cipher: ChunkCipher, source: Fills, *, plain_bytes: int
) -> Generator[tuple[memoryview, memoryview], None, None]:
    """Prove and decrypt a whole object: ``(ciphertext, plaintext)`` of its header (without plaintext) and of every chunk.

    Both are valid until two more were asked for.

    Raises:
        DigestMismatchError: Another header, a chunk that does not prove itself, bytes missing at the end or too many.
    """
    header = cipher.header
    start = memoryview(bytearray(HEADER_BYTES))
    if source.fill(start) < HEADER_BYTES or start != header.to_bytes():
        raise DigestMismatchError("the header of an encrypted object is not the one it was written with")
    yield start, memoryview(b"")
    room, count = min(header.chunk_bytes, plain_bytes), header.chunks(plain_bytes)
    sealed = [memoryview(bytearray(room + TAG_BYTES)) for _ in range(_BUFFERS)]
    opened = [memoryview(bytearray(room)) for _ in range(_BUFFERS)]
    for index in range(count):
        size = min(header.chunk_bytes, plain_bytes - index * header.chunk_bytes)
        chunk, plain = sealed[index % _BUFFERS][: size + TAG_BYTES], opened[index % _BUFFERS][:size]
        if source.fill(chunk) < len(chunk):
            raise DigestMismatchError("an encrypted object is cut off")
        cipher.open_into(index, chunk, plain, last=index == count - 1)
        yield chunk, plain
    if source.fill(memoryview(bytearray(1))):
        raise DigestMismatchError("an encrypted object goes on behind its end")


def seal_chunks(
    cipher: ChunkCipher, pieces: Iterator[bytes | memoryview], *, plain_bytes: int
) -> Iterator[bytes | memoryview]:
    """The ciphertext of an object, header first. The caller has proved the plaintext, or made the key for it.

    Raises:
        StoreError: The pieces end early.
    """
    header, source = cipher.header, Pieces(pieces)
    yield header.to_bytes()
    buffer = memoryview(bytearray(min(header.chunk_bytes, plain_bytes)))
    count = header.chunks(plain_bytes)
    for index in range(count):
        plain = buffer[: min(header.chunk_bytes, plain_bytes - index * header.chunk_bytes)]
        if source.fill(plain) < len(plain):
            raise StoreError("an object became shorter while it was encrypted")
        yield cipher.seal(index, plain, last=index == count - 1)
    source.fill(memoryview(bytearray(1)))  # to the end, so that a check that comes with it is made


class PieceStream(io.RawIOBase):
    """A forward-only stream over pieces."""

    def __init__(self, pieces: Iterator[bytes | memoryview], *, at_end: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._source = Pieces(pieces)
        self._at_end = at_end

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill the buffer; 0 at the end."""
        count = self._source.fill(memoryview(buffer).cast("B"))
        if count == 0 and len(buffer):
            self._at_end()
        return count


# --- writing ----------------------------------------------------------------------------------------------------------
class Stage:
    """A source that was proved to be the stated object, encrypted under a key of its own. A context manager.

    Args:
        source: Read once, to its end.
        cipher: A new key that nothing was encrypted with.
        sha256: What the bytes must be.
        size_bytes: How many there must be.
        suite: Digest algorithms.
        folder: Where a big one lies meanwhile, in a file without a name; None for the system's place.

    Raises:
        DigestMismatchError: The source is not the stated object; nothing is left of it.
        StoreError: The source or the file failed. StoreFullError: no room for the file.
    """

    def __init__(
        self,
        source: BinaryIO,
        cipher: ChunkCipher,
        *,
        sha256: Digest,
        size_bytes: int,
        suite: DigestSuite,
        folder: Path | None,
    ) -> None:
        self._cipher = cipher
        self._plain_bytes = size_bytes
        self.size_bytes = cipher.header.cipher_bytes(size_bytes)
        self._file: BinaryIO = io.BytesIO()
        plain = checked_chunks(source, sha256=sha256, size_bytes=size_bytes, suite=suite)
        hasher = hashlib.sha256()
        try:
            with os_errors("stage an object"):
                if self.size_bytes > _IN_MEMORY_BYTES:
                    self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by this object
                with beside(hasher, self.size_bytes) as update:
                    for piece in seal_chunks(cipher, plain, plain_bytes=size_bytes):
                        update(piece)
                        _write_all(self._file, piece)
        except BaseException:
            self._file.close()
            raise
        self.sha256 = Digest(SHA256, hasher.hexdigest())

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drop the file."""
        self._file.close()

    def ciphertext(self) -> BinaryIO:
        """What was staged, from its start."""
        self._file.seek(0)
        return self._file

    def under(self, cipher: ChunkCipher) -> BinaryIO:
        """The proved bytes encrypted under the object's own key; read once."""
        self._file.seek(0)
        opened = open_chunks(self._cipher, Pieces(read_pieces(self._file)), plain_bytes=self._plain_bytes)
        pieces = seal_chunks(cipher, (plain for _, plain in opened), plain_bytes=self._plain_bytes)
        return io.BufferedReader(PieceStream(pieces), 1 << 20)


def _write_all(file: BinaryIO, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def read_pieces(stream: BinaryIO, piece_bytes: int = 1 << 20) -> Iterator[bytes]:
    """The rest of a stream."""
    while piece := stream.read(piece_bytes):
        yield piece


# --- reading ----------------------------------------------------------------------------------------------------------
class _Buffers:
    """Room for one chunk, sealed and opened. Used again: a page reads many short ranges, and new memory costs more than those."""

    _spare: ClassVar[deque[_Buffers]] = deque(maxlen=8)

    def __init__(self, chunk_bytes: int) -> None:
        self.sealed = memoryview(bytearray(chunk_bytes + TAG_BYTES))
        self.plain = memoryview(bytearray(chunk_bytes))

    @classmethod
    def take(cls, chunk_bytes: int) -> _Buffers:
        """Spare ones, or new ones."""
        try:
            spare = cls._spare.pop()
        except IndexError:
            return cls(chunk_bytes)
        return spare if len(spare.plain) == chunk_bytes else cls(chunk_bytes)

    def give_back(self) -> None:
        """Nobody uses them any more."""
        self._spare.append(self)


class _Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...
    def seekable(self) -> bool: ...
    def close(self) -> None: ...


class OpenedRange(io.RawIOBase):
    """A range of an encrypted object's plain bytes. Each chunk was proved before a byte of it is given.

    Seekable where the ciphertext is.

    Args:
        fetch: Opens a range of the ciphertext.
        cipher: The object's key.
        plain_bytes: Length of the whole object.
        offset: Where the range begins.
        length: How long it is.
        record: The object's record, where the whole object may be handed on as it is.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], BinaryIO],
        cipher: ChunkCipher,
        *,
        plain_bytes: int,
        offset: int,
        length: int,
        record: KeyRecord | None = None,
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._cipher = cipher
        self._plain_bytes = plain_bytes
        self._begin, self._end = offset, offset + length
        self._position = offset
        self._record = record if length == plain_bytes else None
        self._stream: _Readable | None = None
        self._next = -1  # number of the chunk that the stream gives next
        self._held = -1  # number of the chunk in the buffer
        self._touched = False
        self._buffers: _Buffers | None = None
        self._go_to(offset)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Whether the ciphertext is."""
        return self._stream is None or self._stream.seekable()

    def tell(self) -> int:
        """Position inside the range."""
        return self._position - self._begin

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move inside the range."""
        base = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        if base + offset < self._begin:
            raise InvalidInputError("cannot seek before the start of a range")
        if base + offset != self._position and not self.seekable():
            raise io.UnsupportedOperation("this stream only goes forward")
        self._position = base + offset
        return self.tell()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill the buffer from the next chunk; 0 at the end of the range."""
        self._touched = True
        wanted = min(len(buffer), self._end - self._position)
        if wanted <= 0:
            return 0
        index, start = divmod(self._position, self._cipher.header.chunk_bytes)
        if index != self._held:
            size = self._size_of(index)
            if start == 0 and wanted >= size:  # a whole chunk goes where it is wanted, without a stop in between
                with memoryview(buffer) as target:
                    self._load(index, target)
                self._held = -1
                self._position += size
                return size
            self._load(index, None)
        count = min(wanted, self._size_of(index) - start)
        if self._buffers is not None:
            buffer[:count] = self._buffers.plain[start : start + count]
        self._position += count
        return count

    def close(self) -> None:
        """Close the ciphertext's stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._buffers is not None:
            self._buffers.give_back()
            self._buffers, self._held = None, -1
        super().close()

    # --- handed on as it is -----------------------------------------------------------------------------------------
    def sealed_record(self) -> KeyRecord | None:
        """The object's record, when this is the whole object and nothing was read yet."""
        return None if self._touched or self._begin != self._position else self._record

    def sealed_stream(self) -> BinaryIO:
        """The whole ciphertext as it lies in the store; what it is must be checked by its own digest."""
        self._touched = True
        return self._fetch(0, self._cipher.header.cipher_bytes(self._plain_bytes))

    # --- inside -----------------------------------------------------------------------------------------------------
    def _size_of(self, index: int) -> int:
        size = self._cipher.header.chunk_bytes
        return min(size, self._plain_bytes - index * size)

    def _go_to(self, position: int) -> None:
        """Open the ciphertext from the chunk with this position to the one with the end of the range."""
        header = self._cipher.header
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        first = min(position // header.chunk_bytes, header.chunks(self._plain_bytes) - 1)
        last = max(self._end - 1, 0) // header.chunk_bytes
        # The header comes along with the first chunk: it is proved where it costs nothing.
        begin = 0 if first == 0 else header.chunk_at(first)
        end = header.chunk_at(last) + self._size_of(last) + TAG_BYTES
        stream = self._fetch(begin, max(end, HEADER_BYTES) - begin)
        # Chunks are read whole into buffers of their own: another buffer below would only copy them once more.
        raw = stream.detach() if isinstance(stream, io.BufferedReader) else stream
        self._stream = cast("_Readable", raw)
        self._next = first
        if first == 0:
            start = memoryview(bytearray(HEADER_BYTES))
            self._fill(start)
            if start != header.to_bytes():
                raise DigestMismatchError("the header of an encrypted object is not the one it was written with")

    def _load(self, index: int, target: memoryview | None) -> None:
        if index != self._next:
            self._go_to(index * self._cipher.header.chunk_bytes)
        if self._buffers is None:
            self._buffers = _Buffers.take(self._cipher.header.chunk_bytes)
        self._held = -1
        with self._buffers.sealed[: self._size_of(index) + TAG_BYTES] as chunk:
            self._fill(chunk)
            last = index == self._cipher.header.chunks(self._plain_bytes) - 1
            self._cipher.open_into(index, chunk, self._buffers.plain if target is None else target, last=last)
        self._held, self._next = index, index + 1

    def _fill(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            count = self._stream.readinto(buffer[done:]) if self._stream is not None else 0
            if not count:
                raise DigestMismatchError("an encrypted object is cut off")
            done += count


class SealedReadBack(ReadBack):
    """What a medium holds of an encrypted object, as plain bytes; can hand on the proved ciphertext instead.

    Args:
        pairs: From :func:`open_chunks`, with the check of the plain digest at the end.
        record: The object's record.
    """

    def __init__(self, pairs: Generator[tuple[memoryview, memoryview], None, None], *, record: KeyRecord) -> None:
        self._pairs = pairs
        self._record = record
        self._touched = False
        super().__init__(self._plain())

    def _plain(self) -> Generator[memoryview, None, None]:
        try:
            for _, plain in self._pairs:
                self._touched = True
                if plain:
                    yield plain
        finally:
            self._pairs.close()

    def sealed_record(self) -> KeyRecord | None:
        """The object's record, as long as nothing was read."""
        return None if self._touched else self._record

    def sealed_stream(self) -> BinaryIO:
        """The ciphertext, each chunk proved before it is given; at its end the plain digest was found right (``matched``)."""
        self._touched = True

        def at_end() -> None:
            self.matched = True

        return io.BufferedReader(PieceStream((sealed for sealed, _ in self._pairs), at_end=at_end), 1 << 20)

    def close(self) -> None:
        """Close the file behind the chunks."""
        self._pairs.close()
        super().close()


def sealed_source(source: BinaryIO) -> OpenedRange | SealedReadBack | None:
    """The encrypted object that a source is the whole, unread plaintext of; None for any other source."""
    raw = source.raw if isinstance(source, io.BufferedReader) else source
    if isinstance(raw, OpenedRange | SealedReadBack) and raw.sealed_record() is not None:
        return raw
    return None
