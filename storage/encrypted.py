"""A blob store that keeps ciphertext in another one: the same contract, by the digest of the plain bytes.

The inner store keeps each object's ciphertext under its own SHA-256, so that anyone can check it against its name without a key.
One ciphertext serves all copies: the same key record makes the same bytes in every store, and a copy from one encrypted store to
another hands the ciphertext on as it is.

An object that stands in the inner store under its plain digest is one from before encryption was turned on: it is read,
verified, locked and removed as it is, and stays as it is.

Order of a write: the source is proved under a new key that nobody knows (:mod:`storage.sealing`) -> the key record is durable
and read back beside this store -> the ciphertext becomes visible. A crash in between leaves a key without an object, which is
harmless; never an object without its key.

This does not protect against who holds the master key or reads this process's memory.

Source: docs/formats/store.md section "Encrypted objects"; docs/adr/0009-encryption.md.
"""

from __future__ import annotations

import contextlib
import heapq
import io
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from evidence.data_keys import KeyRecord
from evidence.digest import SHA256, Digest, DigestSuite
from evidence.errors import (
    BlobNotFoundError,
    ConfigError,
    DigestMismatchError,
    InvalidInputError,
    KeyUnavailableError,
)
from evidence.model import BlobStat, PutReceipt, StoreProperties
from evidence.ports import BlobStore
from evidence.transfer import Progress
from storage import layout
from storage.chunked import HEADER_BYTES, TAG_BYTES, ChunkCipher, Header
from storage.files import BlobFiles
from storage.keyring import KeyRing
from storage.reading import CHUNK_BYTES, beside, check_size, checked_range
from storage.replicated import Replicated
from storage.sealing import Fills, OpenedRange, Pieces, Stage, open_chunks, read_pieces, sealed_source

_Answer = TypeVar("_Answer")
_RANGE_BUFFER_BYTES = 64 << 10
_ROW = 32


class EncryptedStore:
    """Implements BlobStore over another store; ``inner`` keeps the ciphertext.

    Args:
        inner: Keeps the ciphertext.
        ring: The home's keys; has a place beside ``inner``.
        suite: Digest algorithms for checks of plain bytes.
        beside: Places for keys in which a record must be durable before the object is; by default the one beside ``inner`` (for
            several stores as one: beside each of them).
        scratch: Folder for the ciphertext of big objects that come from elsewhere than an encrypted store; None for the system's.
        encrypt_new: False where encryption was turned off again: new objects are kept plain, what has a key goes on as it is.

    Raises:
        ConfigError: The ring has no such place.
    """

    def __init__(
        self,
        inner: BlobStore,
        ring: KeyRing,
        *,
        suite: DigestSuite,
        beside: Collection[str] = (),
        scratch: Path | None = None,
        encrypt_new: bool = True,
    ) -> None:
        self.inner = inner
        self.ring = ring
        self._suite = suite
        self._scratch = scratch
        self._encrypt_new = encrypt_new
        self._stores: tuple[BlobStore, ...] = inner.stores if isinstance(inner, Replicated) else (inner,)
        self._beside = tuple(beside) or tuple(store.properties.name for store in self._stores)
        if missing := [name for name in self._beside if name not in ring.places]:
            raise ConfigError(f"no place for keys is beside store {', '.join(missing)}")

    @property
    def properties(self) -> StoreProperties:
        """What the inner store is."""
        return self.inner.properties

    # --- writing ----------------------------------------------------------------------------------------------------
    def put(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Store the stream's bytes encrypted; durable with its key, and protected, on return.

        Args:
            source: Read once, to its end. The whole stream of another encrypted store is handed on as ciphertext.
            sha256: What the plain bytes must be.
            size_bytes: How many there must be.
            retain_until: Not to be removed before then.

        Raises:
            DigestMismatchError: Other bytes; nothing was left behind, no key either.
            BlobConflictError: Other bytes stand under the ciphertext's digest (a damaged object); not touched.
            IntegrityError: Two different keys stand for the object. KeyUnavailableError: the master key does not open them.
            StoreFullError: No room. StoreUnavailableError: the inner store is not there.
        """
        return self._give(
            source,
            sha256,
            size_bytes,
            lambda stream, digest, size: self.inner.put(
                stream, sha256=digest, size_bytes=size, retain_until=retain_until
            ),
        )

    def repair(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put good ciphertext in the place of a damaged or missing one; the inner store keeps the damaged bytes.

        Returns:
            ``created`` False when the copy was sound and nothing was changed.

        Raises:
            DigestMismatchError: The source is not the stated object; nothing was changed.
        """
        return self._give(
            source,
            sha256,
            size_bytes,
            lambda stream, digest, size: self.inner.repair(
                stream, sha256=digest, size_bytes=size, retain_until=retain_until
            ),
        )

    def _give(
        self,
        source: BinaryIO,
        sha256: Digest,
        size_bytes: int,
        act: Callable[[BinaryIO, Digest, int], PutReceipt],
    ) -> PutReceipt:
        check_size(size_bytes)
        layout.blob_key(sha256)  # refuses another algorithm's digest
        record = self._live(self.ring.find(sha256, also=self._beside))
        if self._is_plain(sha256, record) or (record is None and not self._encrypt_new):
            return act(source, sha256, size_bytes)
        given = sealed_source(source)
        if given is not None and record is not None and given.sealed_record() == record:
            self._require_size(record, size_bytes)
            self.ring.ensure(record, at=self._beside)
            with given.sealed_stream() as stream:
                return self._receipt(act(stream, record.cipher_sha256, record.cipher_size_bytes), sha256, size_bytes)
        draft = self.ring.draft()
        with Stage(
            source, draft.cipher, sha256=sha256, size_bytes=size_bytes, suite=self._suite, folder=self._scratch
        ) as stage:
            record = self.ring.settle(
                draft, sha256=sha256, cipher_sha256=stage.sha256, cipher_size_bytes=stage.size_bytes, at=self._beside
            )
            ours = record.header == draft.header.to_bytes()
            stream = stage.ciphertext() if ours else stage.under(self.ring.cipher_of(record))
            return self._receipt(act(stream, record.cipher_sha256, record.cipher_size_bytes), sha256, size_bytes)

    def _receipt(self, receipt: PutReceipt, sha256: Digest, size_bytes: int) -> PutReceipt:
        return replace(receipt, sha256=sha256, size_bytes=size_bytes)

    def _require_size(self, record: KeyRecord, size_bytes: int) -> None:
        if plain_bytes_of(record) != size_bytes:
            raise DigestMismatchError(f"{record.sha256} has {plain_bytes_of(record)} bytes, not {size_bytes}")

    # --- reading ----------------------------------------------------------------------------------------------------
    def open(self, sha256: Digest, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """Open a range of the plain bytes; every chunk is proved before a byte of it is given.

        Raises:
            BlobNotFoundError: None. InvalidInputError: a range outside the object. KeyUnavailableError: its key was destroyed, or
                does not open. DigestMismatchError: (also while reading) the ciphertext was changed.
        """
        return self._either(
            sha256,
            lambda record: self._open(record, offset, length),
            lambda: self.inner.open(sha256, offset=offset, length=length),
        )

    def _open(self, record: KeyRecord, offset: int, length: int | None) -> BinaryIO:
        cipher = self.ring.cipher_of(record)
        size_bytes = plain_bytes_of(record)
        if not 0 <= offset <= size_bytes and not self.inner.exists(record.cipher_sha256):
            raise BlobNotFoundError(f"{record.sha256} is not in store {self.properties.name}")
        length = checked_range(size_bytes, offset, length)

        def fetch(begin: int, count: int) -> BinaryIO:
            try:
                return self.inner.open(record.cipher_sha256, offset=begin, length=count)
            except InvalidInputError as error:
                raise DigestMismatchError(
                    f"the ciphertext of {record.sha256} is cut off in store {self.properties.name}",
                    todo="Repair it from another copy; the damaged one is kept.",
                ) from error

        raw = OpenedRange(fetch, cipher, plain_bytes=size_bytes, offset=offset, length=length, record=record)
        return io.BufferedReader(raw, _RANGE_BUFFER_BYTES)

    def stat(self, sha256: Digest) -> BlobStat:
        """Size of the plain bytes, and the protection in force on the ciphertext; ``key`` is the inner store's."""
        return self._either(sha256, self._stat, lambda: self.inner.stat(sha256))

    def _stat(self, record: KeyRecord) -> BlobStat:
        found = self.inner.stat(record.cipher_sha256)
        size_bytes = plain_bytes_of(record)
        if found.size_bytes != record.cipher_size_bytes:  # damaged: what can be left of it at most
            chunk = Header.parse(record.header).chunk_bytes + TAG_BYTES
            body = max(0, found.size_bytes - HEADER_BYTES)
            size_bytes = max(0, body - TAG_BYTES * -(-body // chunk))
        return replace(found, size_bytes=size_bytes)

    def exists(self, sha256: Digest) -> bool:
        """Whether the object is there and can be read: False for ciphertext whose key was destroyed."""
        try:
            return self._either(
                sha256,
                lambda record: self._require_there(record.cipher_sha256),
                lambda: self._require_there(sha256),
            )
        except (BlobNotFoundError, KeyDestroyedError):
            return False

    def _require_there(self, digest: Digest) -> bool:
        if not self.inner.exists(digest):
            raise BlobNotFoundError(f"{digest} is not in store {self.properties.name}")
        return True

    def verify(self, sha256: Digest, expected: Digest, *, progress: Progress | None = None) -> None:
        """Read every byte of the ciphertext from the medium, prove every chunk, and compare the plain bytes with ``expected``.

        Over several stores, every copy must be sound.

        Raises:
            DigestMismatchError: Other bytes. BlobNotFoundError: none. StoreError: the medium could not be read.
            KeyUnavailableError: Its key was destroyed, or does not open.
        """
        self._either(
            sha256,
            lambda record: self._verify(record, expected, progress),
            lambda: self.inner.verify(sha256, expected, progress=progress),
        )

    def _verify(self, record: KeyRecord, expected: Digest, progress: Progress | None) -> None:
        cipher = self.ring.cipher_of(record)
        for store in self._stores:
            done = 0
            for plain in self._proved(store, record, cipher, expected):
                done += plain
                if progress is not None and plain:
                    progress(done)

    def _proved(self, store: BlobStore, record: KeyRecord, cipher: ChunkCipher, expected: Digest) -> Iterator[int]:
        """Prove one copy; how many plain bytes each step was."""
        hasher = self._suite.new(expected.algorithm)
        size_bytes = plain_bytes_of(record)
        with from_medium(store, record.cipher_sha256) as source, beside(hasher, size_bytes) as update:
            for _, plain in open_chunks(cipher, source, plain_bytes=size_bytes):
                update(plain)
                yield len(plain)
        require_digest(hasher.hexdigest(), expected, record, store.properties.name)

    def ensure_key(self, sha256: Digest) -> None:
        """Have the key of an encrypted object durable and read back beside this store; nothing to do for a plain one.

        Raises:
            StoreError: The place does not take it. IntegrityError: another key stands there. KeyUnavailableError: destroyed.
        """
        record = self.ring.find(sha256, also=self._beside)
        if self._is_plain(sha256, record):
            return
        if record is None or record.destroyed:
            raise KeyUnavailableError(f"no key of {sha256} is kept")
        self.ring.ensure(record, at=self._beside)

    def list(self) -> Iterator[Digest]:
        """Every object by its plain digest, ascending. Ciphertext without a readable key stands under its own digest.

        Takes 33 bytes of memory for each object.
        """
        there = bytearray()
        for digest in self.inner.list():
            there += bytes.fromhex(digest.hex)
        rows, known = _Rows(there), bytearray(len(there) // _ROW)
        for record in self.ring.index.all():
            position = -1 if record.destroyed else rows.position(record.cipher_sha256)
            if position >= 0:
                known[position] = 1
        yield from _merged(self._listed(rows), rows.others(known))

    def _listed(self, rows: _Rows) -> Iterator[Digest]:
        for record in self.ring.index.all():
            if not record.destroyed and rows.position(record.cipher_sha256) >= 0:
                yield record.sha256

    # --- locks ------------------------------------------------------------------------------------------------------
    def extend_retention(self, sha256: Digest, until: datetime) -> None:
        """Move the earliest removal date of the ciphertext later; an earlier date is ignored."""
        self._of_inner(sha256, lambda digest: self.inner.extend_retention(digest, until))

    def set_hold(self, sha256: Digest, *, reference: str) -> None:
        """Add a named hold to the ciphertext."""
        self._of_inner(sha256, lambda digest: self.inner.set_hold(digest, reference=reference))

    def release_hold(self, sha256: Digest, *, reference: str) -> None:
        """Take one named hold away."""
        self._of_inner(sha256, lambda digest: self.inner.release_hold(digest, reference=reference))

    def delete(self, sha256: Digest, *, now: datetime) -> None:
        """Remove the ciphertext and verify its absence, also of an object whose key was destroyed before.

        The key stays: other stores may have copies. ``ring.destroy`` ends it.
        """
        self._of_inner(sha256, lambda digest: self.inner.delete(digest, now=now))

    def _of_inner(self, sha256: Digest, act: Callable[[Digest], None]) -> None:
        record = self.ring.find(sha256, also=self._beside)
        if record is None:
            record = self.ring.find(sha256, everywhere=True) if not self.inner.exists(sha256) else None
        if record is not None:
            try:
                act(record.cipher_sha256)
            except BlobNotFoundError:
                pass
            else:
                return
        act(sha256)

    # --- inside -----------------------------------------------------------------------------------------------------
    def _live(self, record: KeyRecord | None) -> KeyRecord | None:
        return None if record is None or record.destroyed else record

    def _is_plain(self, sha256: Digest, record: KeyRecord | None) -> bool:
        """Whether the object stands here as it was before encryption was turned on."""
        if record is not None and self.inner.exists(record.cipher_sha256):
            return False
        return self.inner.exists(sha256)

    def _either(self, sha256: Digest, sealed: Callable[[KeyRecord], _Answer], plain: Callable[[], _Answer]) -> _Answer:
        """Ask for the encrypted object, and where there is none, for one from before encryption was turned on."""
        layout.blob_key(sha256)
        record = self.ring.find(sha256, also=self._beside)
        if record is not None and not record.destroyed:
            try:
                return sealed(record)
            except BlobNotFoundError:
                pass
        try:
            return plain()
        except BlobNotFoundError:
            if record is None:
                record = self.ring.find(sha256, everywhere=True)
                if record is not None and not record.destroyed:
                    return sealed(record)
            if record is not None and record.destroyed and self.inner.exists(record.cipher_sha256):
                raise KeyDestroyedError(
                    f"the key of {sha256} was destroyed when the object was disposed of",
                    kept="What is left of it in this store cannot be read by anybody.",
                    todo="Remove it when its lock has lapsed.",
                ) from None
            raise


class KeyDestroyedError(KeyUnavailableError):
    """Ciphertext is still there, its key was destroyed on purpose."""


def plain_bytes_of(record: KeyRecord) -> int:
    """Length of the plain object."""
    return Header.parse(record.header).plain_bytes(record.cipher_size_bytes)


def require_digest(found: str, expected: Digest, record: KeyRecord, store: str) -> None:
    """Compare the plain bytes' digest; DigestMismatchError when they differ."""
    if found != expected.hex:
        raise DigestMismatchError(
            f"what {layout.blob_key(record.cipher_sha256)} in store {store} opens to is not {expected}",
            todo="Repair it from another copy; the damaged one is kept.",
        )


@contextlib.contextmanager
def from_medium(store: BlobStore, cipher_sha256: Digest) -> Iterator[Fills]:
    """The ciphertext as its medium gives it now."""
    if isinstance(store, BlobFiles):
        with store.from_medium(cipher_sha256) as reader:
            yield reader
    else:
        with store.open(cipher_sha256) as stream:  # a server: what it delivers
            yield Pieces(read_pieces(stream, CHUNK_BYTES))


class _Rows:
    """Many digests in little memory, ascending."""

    def __init__(self, rows: bytearray) -> None:
        self._rows = memoryview(rows).toreadonly()

    def __len__(self) -> int:
        return len(self._rows) // _ROW

    def __getitem__(self, position: int) -> bytes:
        return bytes(self._rows[position * _ROW : (position + 1) * _ROW])

    def position(self, digest: Digest) -> int:
        """Where a digest stands; -1 when it does not."""
        wanted = bytes.fromhex(digest.hex)
        position = bisect_left(self, wanted)
        return position if position < len(self) and self[position] == wanted else -1

    def others(self, known: bytearray) -> Iterator[Digest]:
        """Those that are not marked as known."""
        for position, mark in enumerate(known):
            if not mark:
                yield Digest(SHA256, self[position].hex())


def _merged(*sides: Iterator[Digest]) -> Iterator[Digest]:
    last = None
    for digest in heapq.merge(*sides):
        if digest != last:
            yield digest
        last = digest
