"""The store on whose disk recordings are acquired, encrypted from the first byte that a recorder gives.

What intake needs beside a blob store: partials that grow as ciphertext and are adopted by link, a read-back whose ciphertext goes
to the other stores as it is, and plain bytes in a protected place for programs that need a file.

Crash while adopting: the key record is durable before the link; adopting again finds what stands and finishes.

Source: docs/formats/store.md section "Encrypted objects".
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from evidence.data_keys import KeyRecord
from evidence.digest import Digest, DigestSuite
from evidence.disks import why_readable
from evidence.durable import free_bytes, fsync_dir
from evidence.errors import BlobNotFoundError, DigestMismatchError, StoreError
from evidence.model import PutReceipt
from evidence.ports import GrowingPartial
from storage.chunked import Header
from storage.encrypted import EncryptedStore, plain_bytes_of, require_digest
from storage.encrypted_partial import SealedPartial, key_path, read_partial_key
from storage.key_records import PartialKey
from storage.keyring import KeyRing
from storage.local import LocalStore
from storage.reading import CHUNK_BYTES, ReadBack, beside, check_size
from storage.sealing import OpenedRange, SealedReadBack, open_chunks
from storage.tree import os_errors

_SCRATCH_NAME: Final = "liuhen-plain-"
#: Left free in the protected place, for everything else that lives in memory.
_SCRATCH_FLOOR_BYTES: Final = 256 << 20
_MEMORY = Path("/dev/shm")  # noqa: S108 - checked before every use: memory, or an encrypted disk


class EncryptedPrimary(EncryptedStore):
    """Implements ``PrimaryStore`` over a local store; ``inner`` keeps the ciphertext.

    Args:
        inner: The local store.
        ring: The home's keys; has a place beside ``inner``.
        suite: Digest algorithms for checks of plain bytes.
        plain_scratch: Folder for plain files of programs that need one; used only in memory or on an encrypted disk.
        encrypt_new: False where encryption was turned off again: new recordings are kept plain, what has a key goes on as it is.
    """

    inner: LocalStore

    def __init__(
        self,
        inner: LocalStore,
        ring: KeyRing,
        *,
        suite: DigestSuite,
        plain_scratch: Path = _MEMORY,
        encrypt_new: bool = True,
    ) -> None:
        super().__init__(inner, ring, suite=suite, scratch=inner.store_tree.staging, encrypt_new=encrypt_new)
        self._plain_scratch = plain_scratch
        self._sweep()

    # --- partials ---------------------------------------------------------------------------------------------------
    def partial_path(self, name: str) -> Path:
        """Path of a named partial; its folder exists, the file may. InvalidInputError for anything but a plain file name."""
        return self.inner.partial_path(name)

    def open_partial(
        self, name: str, *, keep_bytes: int, floor_bytes: int, secured: Callable[[int], None] = lambda _bytes: None
    ) -> GrowingPartial:
        """Open a named partial for writing (see :class:`SealedPartial`); close it.

        Raises:
            InvalidInputError: Not a plain file name. StoreUnavailableError: the store is not mounted.
            KeyUnavailableError: The master key does not open this home's keys. StoreError: the file cannot be opened.
        """
        partial = self.partial_path(name)
        sealed = read_partial_key(partial) is not None
        if not self._encrypt_new and not (sealed and keep_bytes > 0 and partial.exists()):
            self._drop_key(partial)
            return self.inner.open_partial(
                name, keep_bytes=0 if sealed else keep_bytes, floor_bytes=floor_bytes, secured=secured
            )
        return SealedPartial(partial, self.ring, keep_bytes=keep_bytes, floor_bytes=floor_bytes, secured=secured)

    def partials(self) -> list[Path]:
        """All partials, so that those nobody will resume can be found."""
        return self.inner.partials()

    def discard_partial(self, partial: Path) -> None:
        """Remove a partial that will not be resumed, its key first; absent already is fine. Durable on return."""
        self._drop_key(partial)
        self.inner.discard_partial(partial)

    def adopt(
        self, partial: Path, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Give a finished partial its place in the store, its key first; durable and protected on return.

        The bytes are not read again, unless the object has another key already: then they are proved, encrypted under that,
        and the partial is dropped. May be called again after a crash at any point.

        Args:
            partial: From :meth:`partial_path`, finished.
            sha256: Digest of the plain bytes.
            size_bytes: Their number.
            retain_until: Not to be removed before then.

        Raises:
            DigestMismatchError: The partial is not finished, has another size, or (where it was read) other bytes; it stays.
            BlobConflictError: Other bytes stand in its place; the partial stays.
            BlobNotFoundError: Neither the partial nor the object exists.
        """
        check_size(size_bytes)
        if not partial.exists():
            return self._adopted_before(partial, sha256, size_bytes, retain_until)
        finished = read_partial_key(partial)
        if finished is None or finished.cipher_sha256 is None:
            return self._adopt_plain(partial, sha256, size_bytes, retain_until, finished)
        if Header.parse(finished.header).plain_bytes(finished.cipher_size_bytes) != size_bytes:
            raise DigestMismatchError(f"{partial.name} does not hold {size_bytes} bytes")
        draft = self.ring.reopen(finished)
        record = self.ring.settle(
            draft,
            sha256=sha256,
            cipher_sha256=finished.cipher_sha256,
            cipher_size_bytes=finished.cipher_size_bytes,
            at=self._beside,
        )
        if record.header != finished.header:
            return self._adopt_again(partial, finished, record, size_bytes, retain_until)
        receipt = self._adopt_inner(partial, record, retain_until)
        self._drop_key(partial)
        return replace(receipt, sha256=sha256, size_bytes=size_bytes)

    def _adopt_inner(self, partial: Path, record: KeyRecord, retain_until: datetime | None) -> PutReceipt:
        return self.inner.adopt(
            partial,
            sha256=record.cipher_sha256,
            size_bytes=record.cipher_size_bytes,
            retain_until=retain_until,
        )

    def _adopted_before(
        self, partial: Path, sha256: Digest, size_bytes: int, retain_until: datetime | None
    ) -> PutReceipt:
        """After a crash: the partial's name is gone, its object stands (encrypted, or from before encryption)."""
        record = self._live(self.ring.find(sha256, also=self._beside))
        self._drop_key(partial)
        if self._is_plain(sha256, record) or record is None:
            return self.inner.adopt(partial, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
        self._require_size(record, size_bytes)
        self.ring.ensure(record, at=self._beside)
        receipt = self._adopt_inner(partial, record, retain_until)
        return replace(receipt, sha256=sha256, size_bytes=size_bytes)

    def _adopt_plain(
        self,
        partial: Path,
        sha256: Digest,
        size_bytes: int,
        retain_until: datetime | None,
        unfinished: PartialKey | None,
    ) -> PutReceipt:
        """A partial without a key was acquired while encryption was off: it is encrypted if it is to be, and dropped."""
        if unfinished is not None:
            raise DigestMismatchError(f"{partial.name} was not finished", todo="Dock the recorder again.")
        record = self._live(self.ring.find(sha256, also=self._beside))
        if self._is_plain(sha256, record) or (record is None and not self._encrypt_new):
            return self.inner.adopt(partial, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
        with os_errors("adopt a partial"), partial.open("rb") as source:
            receipt = self.put(source, sha256=sha256, size_bytes=size_bytes, retain_until=retain_until)
        self.inner.discard_partial(partial)
        return receipt

    def _adopt_again(
        self,
        partial: Path,
        finished: PartialKey,
        record: KeyRecord,
        size_bytes: int,
        retain_until: datetime | None,
    ) -> PutReceipt:
        with self._opened(partial, finished, size_bytes) as source:
            receipt = self.put(source, sha256=record.sha256, size_bytes=size_bytes, retain_until=retain_until)
        self.discard_partial(partial)
        return receipt

    @contextlib.contextmanager
    def _opened(self, partial: Path, key: PartialKey, size_bytes: int) -> Iterator[BinaryIO]:
        def fetch(begin: int, _count: int) -> BinaryIO:
            with os_errors("read a partial"):
                stream = partial.open("rb")
                stream.seek(begin)
            return stream

        cipher = self.ring.reopen(key).cipher
        raw = OpenedRange(fetch, cipher, plain_bytes=size_bytes, offset=0, length=size_bytes)
        with contextlib.closing(raw):
            yield raw  # type: ignore[misc]  # a RawIOBase, read as a BinaryIO

    def _drop_key(self, partial: Path) -> None:
        with os_errors("remove the key of a partial"):
            try:
                key_path(partial).unlink()
            except FileNotFoundError:
                return
            fsync_dir(partial.parent)

    def _sweep(self) -> None:
        """Remove keys of partials that are gone, and plain files that a killed process left in the protected place."""
        if self.inner.present:
            with os_errors("sweep keys of partials"):
                for key in self.inner.store_tree.staging.glob("*.key"):
                    if not key.with_suffix(".part").exists():
                        key.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for folder in list(self._plain_scratch.glob(f"{_SCRATCH_NAME}*")):
                with contextlib.suppress(OSError):  # in use, or not ours: the next may be abandoned all the same
                    _remove_abandoned(folder)

    # --- reading ----------------------------------------------------------------------------------------------------
    def reading_back(self, sha256: Digest, expected: Digest) -> ReadBack:
        """What :meth:`verify` reads from the medium, as a stream of plain bytes.

        Given to another encrypted store's ``put``, its proved ciphertext goes there as it is.

        Returns:
            A stream; when it was read to its end without an error (``matched``), this copy is verified. Close it.
        """
        record = self._live(self.ring.find(sha256, also=self._beside))
        if record is None or self._is_plain(sha256, record):
            return self.inner.reading_back(sha256, expected)
        return SealedReadBack(self._pairs(record, expected), record=record)

    def _pairs(self, record: KeyRecord, expected: Digest) -> Generator[tuple[memoryview, memoryview], None, None]:
        hasher = self._suite.new(expected.algorithm)
        size_bytes = plain_bytes_of(record)
        with self.inner.from_medium(record.cipher_sha256) as source, beside(hasher, size_bytes) as update:
            for sealed, plain in open_chunks(self.ring.cipher_of(record), source, plain_bytes=size_bytes):
                update(plain)
                yield sealed, plain
        require_digest(hasher.hexdigest(), expected, record, self.inner.properties.name)

    def locate(self, sha256: Digest) -> Path:
        """Path of what the store keeps of an object: its ciphertext; BlobNotFoundError when there is none."""
        record = self.ring.find(sha256, also=self._beside)
        if record is None or self._is_plain(sha256, self._live(record)):
            return self.inner.locate(sha256)
        return self.inner.locate(record.cipher_sha256)

    @contextlib.contextmanager
    def plain_file(self, sha256: Digest) -> Iterator[Path]:
        """A file with the object's plain bytes, for programs that need one; gone when the block ends.

        Raises:
            BlobNotFoundError: None. DigestMismatchError: the ciphertext was changed.
            StoreError: No protected place with room for it: the plain bytes are not laid on a disk that somebody could take.
        """
        record = self._live(self.ring.find(sha256, also=self._beside))
        if record is None or self._is_plain(sha256, record):
            with self.inner.plain_file(sha256) as path:
                yield path
            return
        if not self.inner.exists(record.cipher_sha256):
            raise BlobNotFoundError(f"{sha256} is not in store {self.properties.name}")
        with self._scratch_for(plain_bytes_of(record)) as folder:
            path = folder / sha256.hex
            with self.open(sha256) as source, os_errors("lay out a plain file"), path.open("xb", buffering=0) as file:
                os.fchmod(file.fileno(), 0o400)
                while chunk := source.read(CHUNK_BYTES):
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[file.write(rest) :]
            yield path

    @contextlib.contextmanager
    def _scratch_for(self, size_bytes: int) -> Iterator[Path]:
        place = self._plain_scratch
        with os_errors("look at the protected place for plain files"):
            if why := why_readable(place):
                raise _not_protected(f"{place} does not protect plain files: {why}")
            room = (
                min(free_bytes(place), _memory_bytes())
                if place.stat().st_dev == _memory_device()
                else free_bytes(place)
            )
            if room - size_bytes < _SCRATCH_FLOOR_BYTES:
                raise _not_protected(f"{place} has no room for a plain file of {size_bytes} bytes")
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_NAME, dir=place))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tells a sweep in another process that this is in use
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _not_protected(what: str) -> StoreError:
    return StoreError(
        what,
        kept="The recording is kept and sealed; it was not examined.",
        todo="Give a folder in memory or on an encrypted disk with enough room (plain_scratch).",
    )


def _memory_device() -> int:
    try:
        return _MEMORY.stat().st_dev
    except OSError:
        return -1


def _memory_bytes() -> int:
    """Memory that can be used without swapping."""
    with Path("/proc/meminfo").open("rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def _remove_abandoned(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while a process uses it
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
