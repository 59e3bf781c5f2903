"""The growing copy of a recording, encrypted from its first byte.

Beside ``<name>.part`` lies ``<name>.key``: its wrapped data key, durable before the first byte; once the recording is whole, also
what its ciphertext is. All counts are of plain bytes. What can be made durable are whole chunks: the last, unfinished chunk
stays in memory and is read from the recorder again after a stop.

A nonce never serves for other bytes: beyond the bytes that are trusted, an earlier attempt may have left chunks under this key.
What is about to be written is compared with them first; where they differ, nothing is written and the recording begins again
under a new key. A power cut can leave chunks in blocks that never became part of the file; those are the same bytes of the
same recorder file, whose overlap is compared before it is gone on with.

Crash: at any point the file holds a prefix of the recording's ciphertext under the key beside it.

Source: docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from evidence.digest import SHA256, Digest, Hasher
from evidence.durable import drop_cache, fsync_dir, fsync_file, publish, start_write_back
from evidence.errors import (
    DigestMismatchError,
    IntegrityError,
    KeyUnavailableError,
    SourceChangedError,
    StoreError,
)
from evidence.limits import WRITE_BEHIND_BYTES
from evidence.transfer import transfer
from storage.chunked import HEADER_BYTES, TAG_BYTES
from storage.key_records import PartialKey
from storage.keyring import Draft, KeyRing
from storage.partial import SECURE_EVERY_BYTES, require_room
from storage.tree import os_errors

_KEY_BYTES_MAX: Final = 4096
#: A file system writes in blocks: after a power cut each of them is there or zeros.
_BLOCK_BYTES: Final = 4096


def key_path(partial: Path) -> Path:
    """Where the key of a partial lies."""
    return partial.with_suffix(".key")


def read_partial_key(partial: Path) -> PartialKey | None:
    """The wrapped key of a partial; None when there is none that can be used."""
    try:
        with os_errors("read the key of a partial"):
            fd = os.open(key_path(partial), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return PartialKey.parse(os.read(fd, _KEY_BYTES_MAX))
            finally:
                os.close(fd)
    except IntegrityError:
        return None
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


class SealedPartial:
    """An open partial; use it as a context manager. Implements ``evidence.ports.GrowingPartial``.

    Args:
        path: From ``partial_path``.
        ring: The home's keys.
        keep_bytes: How much of what is there can be trusted; kept are the whole chunks of it.
        floor_bytes: Writing stops with StoreFullError before free space falls below this.
        secured: Called (on the writing thread) with the number of bytes that have become durable.

    Raises:
        StoreError: The file cannot be opened. KeyUnavailableError: the master key does not open this home's keys.
    """

    def __init__(
        self,
        path: Path,
        ring: KeyRing,
        *,
        keep_bytes: int,
        floor_bytes: int,
        secured: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self._path = path
        self._ring = ring
        self._floor_bytes = floor_bytes
        self._secured = secured
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with os_errors("open the partial"):
            self._fd = os.open(path, flags, 0o640)
        try:
            fsync_dir(path.parent)
            self._begin(keep_bytes)
        except BaseException:
            os.close(self._fd)
            raise

    def _begin(self, keep_bytes: int) -> None:
        with os_errors("look at the partial"):
            have = os.fstat(self._fd).st_size
        draft = self._known_key() if keep_bytes > 0 and have > HEADER_BYTES else None
        if draft is None:
            self.restart()
            return
        header = draft.header
        whole = (have - HEADER_BYTES) // (header.chunk_bytes + TAG_BYTES)
        self._take(draft, chunks=min(whole, keep_bytes // header.chunk_bytes), have=have)
        # What its header should be, its chunks prove; a header that was damaged would spoil the whole ciphertext.
        if self._chunks == 0 or self._read_at(0, HEADER_BYTES) != header.to_bytes():
            self.restart()

    def _known_key(self) -> Draft | None:
        known = read_partial_key(self._path)
        if known is None:
            return None
        try:
            return self._ring.reopen(known)
        except KeyUnavailableError:
            # What is there can never be read again; the recorder still has it. A foreign master is refused by ``draft``.
            return None

    def _take(self, draft: Draft, *, chunks: int, have: int) -> None:
        self._draft = draft
        self._cipher = draft.cipher
        self._chunk_bytes = draft.header.chunk_bytes
        #: Whole chunks in the file that count, and how far an earlier attempt went.
        self._chunks, self._earlier_end = chunks, have
        self._held = bytearray()
        self._finished = False
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self._pushed = self._durable = chunks * self._chunk_bytes

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file; what was written stays."""
        os.close(self._fd)

    @property
    def size_bytes(self) -> int:
        """How many plain bytes it holds, those in memory included."""
        return self._chunks * self._chunk_bytes + len(self._held)

    # --- what is there ----------------------------------------------------------------------------------------------
    def feed(self, hashers: Sequence[Hasher]) -> None:
        """Digest what is already there, so that the new bytes can follow.

        Raises:
            SourceChangedError: It does not prove itself any more: the recording has to be read from its beginning.
        """
        if self._chunks:
            if self._hashed == 0:
                self._hash(self._read_at(0, HEADER_BYTES))
            if transfer(_Chunks(self._chunks, self._chunk_bytes, self._opened), None, hashers) != self.size_bytes - len(
                self._held
            ):
                raise StoreError("the partial became shorter while it was read")
        for hasher in hashers:
            hasher.update(bytes(self._held))

    def tail(self, length: int) -> bytes:
        """The last ``length`` plain bytes."""
        parts, index = [bytes(self._held)], self._chunks
        while sum(map(len, parts)) < length and index:
            index -= 1
            parts.insert(0, self._opened(index))
        tail = b"".join(parts)
        return tail[len(tail) - length :]

    def _opened(self, index: int) -> bytes:
        sealed = self._read_at(self._draft.header.chunk_at(index), self._chunk_bytes + TAG_BYTES)
        try:
            plain = self._cipher.open(index, sealed, last=False)
        except DigestMismatchError as error:
            raise SourceChangedError("what was read of the recording before cannot be used") from error
        if self._hashed == self._draft.header.chunk_at(index):
            self._hash(sealed)
        return plain

    def _read_at(self, offset: int, length: int) -> bytes:
        with os_errors("read the partial"):
            return os.pread(self._fd, length, offset)

    def _hash(self, data: bytes) -> None:
        self._hasher.update(data)
        self._hashed += len(data)

    # --- writing ----------------------------------------------------------------------------------------------------
    def restart(self) -> None:
        """Cut everything off and begin with a new key."""
        with os_errors("cut the partial"):
            os.ftruncate(self._fd, 0)
        # The old bytes are gone durably before their key is: else a crash could leave them under the new one.
        fsync_file(self._fd)
        draft = self._ring.draft()
        publish(key_path(self._path), draft.partial_key().text(), mode=0o600)
        self._take(draft, chunks=0, have=0)
        self._write_at(0, draft.header.to_bytes())

    def require_room(self, more_bytes: int) -> None:
        """Raise StoreFullError unless that many plain bytes fit above the floor."""
        more_bytes += TAG_BYTES * (more_bytes // self._chunk_bytes + 1) if more_bytes else 0
        require_room(self._path.parent, more_bytes, floor_bytes=self._floor_bytes)

    def write(self, data: memoryview) -> None:
        """Append; a chunk goes out when bytes behind it are there, for the last one is another than those before.

        Raises:
            SourceChangedError: An earlier attempt had other bytes here: nothing was written; :meth:`restart` and read again.
        """
        if self._finished:
            raise StoreError("a finished partial takes no more bytes")
        rest = memoryview(data)
        while rest:
            if len(self._held) == self._chunk_bytes:
                self._flush(self._held)
                self._held = bytearray()
            if not self._held and len(rest) > self._chunk_bytes:
                self._flush(rest[: self._chunk_bytes])
                rest = rest[self._chunk_bytes :]
                continue
            room = self._chunk_bytes - len(self._held)
            self._held += rest[:room]
            rest = rest[room:]
        written = self._chunks * self._chunk_bytes
        if written - self._pushed >= WRITE_BEHIND_BYTES:
            start_write_back(self._fd, self._pushed, written - self._pushed)
            drop_cache(self._fd, 0, self._pushed)
            self._pushed = written
            self.require_room(0)
        if written - self._durable >= SECURE_EVERY_BYTES:
            self._secured(self.secure())

    def _flush(self, plain: bytes | bytearray | memoryview, *, last: bool = False) -> None:
        index, at = self._chunks, self._draft.header.chunk_at(self._chunks)
        sealed = self._cipher.seal(index, memoryview(plain), last=last)
        self._require_same_as_before(at, sealed)
        self._write_at(at, sealed)
        if not last:
            self._chunks += 1

    def _require_same_as_before(self, at: int, sealed: bytes) -> None:
        if at >= self._earlier_end:
            return
        before = self._read_at(at, len(sealed))
        start = 0
        while start < len(before):
            end = min(len(before), start + _BLOCK_BYTES - (at + start) % _BLOCK_BYTES)
            # What reached the medium of a block is there from its start on, the rest of it is zeros.
            there = before[start:end].rstrip(b"\0")
            if sealed[start : start + len(there)] != there:
                # Without its key nobody goes on with this partial, also when this process ends now: it begins again.
                key_path(self._path).unlink(missing_ok=True)
                raise SourceChangedError("the file on the recorder is not the one that was read before")
            start = end

    def _write_at(self, at: int, data: bytes) -> None:
        if self._hashed < at:
            self._catch_up(at)
        with os_errors("write the partial"):
            rest = memoryview(data)
            offset = at
            while rest:
                count = os.pwrite(self._fd, rest, offset)
                rest, offset = rest[count:], offset + count
        self._hash(data)

    def _catch_up(self, end: int) -> None:
        """Digest ciphertext that was there before."""
        while self._hashed < end:
            data = self._read_at(self._hashed, min(1 << 20, end - self._hashed))
            if not data:
                raise StoreError("the partial became shorter while it was read")
            self._hash(data)

    def secure(self) -> int:
        """Make the whole chunks durable; how many plain bytes are certain from now on. NotDurableError is fatal."""
        fsync_file(self._fd)
        self._durable = self._chunks * self._chunk_bytes
        return self._durable

    def finish(self) -> None:
        """The recording is whole: its last chunk goes out, and what its ciphertext is stands beside it. Durable on return.

        Raises:
            SourceChangedError: As :meth:`write`.
        """
        if self._finished:
            return
        self._flush(self._held, last=True)
        size_bytes = self._draft.header.chunk_at(self._chunks) + len(self._held) + TAG_BYTES
        with os_errors("cut the partial"):
            os.ftruncate(self._fd, size_bytes)
        fsync_file(self._fd)
        done = replace(
            self._draft.partial_key(),
            cipher_sha256=Digest(SHA256, self._hasher.hexdigest()),
            cipher_size_bytes=size_bytes,
        )
        publish(key_path(self._path), done.text(), mode=0o600)
        self._finished = True


class _Chunks:
    """Whole chunks of a partial as plain bytes, a ByteSource."""

    def __init__(self, count: int, chunk_bytes: int, opened: Callable[[int], bytes]) -> None:
        self._left = range(count)
        self._chunk_bytes = chunk_bytes
        self._opened = opened

    def readinto(self, buffer: memoryview, /) -> int:
        """As many as fit; 0 at the end."""
        done = 0
        while self._left and len(buffer) - done >= self._chunk_bytes:
            plain = self._opened(self._left[0])
            buffer[done : done + len(plain)] = plain
            done += len(plain)
            self._left = self._left[1:]
        return done
