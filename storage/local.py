"""A blob store on a local disk: plain files named by their SHA-256, written once, readable in thirty years.

Order of every write: bytes into a file without a name, digest and size checked while writing, fsync, lock record, link to
the final name (never replacing), fsync of the folder, immutable flag. A crash before the link leaves nothing; after it the
blob is complete, and what may be missing (the flag) is set again by the next ``put`` or ``verify``.

This store does not protect against root with physical access, nor notice a change by itself: fixity checks do.

Source: docs/formats/store.md; DESIGN "storage"; open(2), linkat(2).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import stat as modes
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from evidence.clock import Clock
from evidence.digest import Digest, DigestSuite
from evidence.durable import (
    drop_cache,
    failure_domain,
    free_bytes,
    fsync_dir,
    fsync_file,
    link_new,
    link_open,
    start_write_back,
    write_all,
)
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    InvalidInputError,
    StoreError,
    StoreFullError,
)
from evidence.limits import FREE_SPACE_FLOOR_BYTES, WRITE_BEHIND_BYTES
from evidence.model import BlobStat, PutReceipt, StoreProperties
from storage import layout, protection, tree
from storage.clock_mark import ClockMark
from storage.files import BlobFiles, NotAFileError
from storage.locks import LockRecords, check_reference
from storage.partial import Partial
from storage.reading import CHUNK_BYTES, check_size, checked_chunks
from storage.tree import StoreTree, os_errors

Protect = Literal["auto", "mode-only"]
_PARTIAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_GUARDS = 64
#: What a disk says of sectors, and a file system of blocks, that it cannot give back: the disk is there, these bytes are not.
_UNREADABLE = {errno.EIO, errno.ENODATA, errno.EREMOTEIO, errno.EILSEQ, errno.EBADMSG, errno.EUCLEAN}


class LocalStore(BlobFiles):
    """An existing store in a folder (make one with :meth:`create`). Implements BlobStore and PartialStore.

    Args:
        root: The store's folder.
        name: Its name; must be the one in the marker.
        suite: Digest algorithms for checks.
        clock: Read for lock records; a removal needs this clock, too, to be past the date.
        free_floor_bytes: ``put`` is refused before free space would fall below this.
        protect: ``auto`` uses the immutable flag where it works, ``mode-only`` never does.
        absent_ok: Make the object also of a store that is not there, for whoever examines the rest and tells of it.

    Raises:
        StoreUnavailableError: The store is not there (not mounted).
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        suite: DigestSuite,
        clock: Clock,
        free_floor_bytes: int = FREE_SPACE_FLOOR_BYTES,
        protect: Protect = "auto",
        absent_ok: bool = False,
    ) -> None:
        store_tree = StoreTree(root, name=name, absent_ok=absent_ok)
        super().__init__(store_tree, suite=suite, immutable=False)
        self._clock = clock
        self._floor_bytes = free_floor_bytes
        self._mark = ClockMark(store_tree, clock)
        self._locks = LockRecords(store_tree, clock=clock, immutable=False, ordered=self._mark.see)
        self._properties = StoreProperties(
            name=name, kind="local", domain=f"absent:{name}", location=str(store_tree.root),
            protection=protection.MODE_ONLY, versions=False,
        )  # fmt: skip
        self._guards = [threading.Lock() for _ in range(_GUARDS)]
        self._protect_how = protect
        if store_tree.present:
            self._appraise()
        store_tree.arrived = self._appraise

    def _appraise(self) -> None:
        """Find out what the disk is and can do: when the store is opened, and when its disk is there again."""
        with os_errors("find out what the store's disk can do"):
            strength = protection.MODE_ONLY
            if self._protect_how == "auto":
                strength = protection.probe(self._tree.staging)
            domain = failure_domain(self._tree.root)
        self._immutable = self._locks.immutable = strength == protection.IMMUTABLE
        self._properties = dataclasses.replace(
            self._properties, domain=domain, protection=strength, location=str(self._tree.root)
        )

    @staticmethod
    def create(root: Path, name: str) -> None:
        """Lay out an empty store in ``root``. Durable on return; again with the same name does nothing.

        Raises:
            StoreError: The folder holds another store or objects without a marker. ConfigError: not a store name.
        """
        tree.create(root, name)

    @property
    def properties(self) -> StoreProperties:
        """What this store is; the protection was found by trying it."""
        return self._properties

    @property
    def present(self) -> bool:
        """Whether the store is there now."""
        with contextlib.suppress(StoreError):
            self._tree.require()
        return self._tree.present

    @property
    def root(self) -> Path:
        """The store's folder."""
        return self._tree.root

    @property
    def store_tree(self) -> StoreTree:
        """The store's folder, for what lies beside its objects."""
        return self._tree

    # --- room -------------------------------------------------------------------------------------------------------
    def free_bytes(self) -> int:
        """Bytes that can still be written before the floor is reached (0 at the floor)."""
        self._tree.require()
        with os_errors("tell the free space"):
            return max(0, free_bytes(self._tree.root) - self._floor_bytes)

    def require_room(self, size_bytes: int) -> None:
        """Return when that many bytes fit above the floor.

        Raises:
            StoreFullError: They do not; nothing was written.
        """
        if size_bytes > self.free_bytes():
            raise StoreFullError(
                f"store {self._properties.name} has no room for {size_bytes} bytes above its floor",
                kept="Nothing was taken in; recorders keep their footage.",
                todo="Free space or add a disk.",
            )

    # --- writing ----------------------------------------------------------------------------------------------------
    def put(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Store the stream's bytes; durable and protected on return.

        Args:
            source: Read once, to its end.
            sha256: What the bytes must be.
            size_bytes: How many there must be.
            retain_until: Not to be removed before then.

        Raises:
            DigestMismatchError: Other bytes; nothing was left behind.
            BlobConflictError: Other bytes stand under this digest (a damaged file); not touched.
            StoreFullError: No room above the floor, or none at all; nothing was left behind.
            StoreUnavailableError: The store is not mounted.
        """
        check_size(size_bytes)
        self._tree.require()
        chunks = checked_chunks(source, sha256=sha256, size_bytes=size_bytes, suite=self._suite)
        if self._stands(sha256):
            return self._put_again(chunks, sha256, size_bytes, retain_until)
        self.require_room(size_bytes)
        with os_errors("write a blob"), self._tree.scratch() as file:
            _write_durably(file.fd, chunks)
            with self._guard(sha256):
                created = self._link(file, sha256, retain_until)
            return self._receipt(sha256, size_bytes, created=created)

    def _link(self, file: tree.Scratch, sha256: Digest, retain_until: datetime | None) -> bool:
        # The lock record comes first: if we crash between the two, a date stands for a blob that is not there, which
        # harms nobody; the other order would leave a blob that nothing keeps.
        if retain_until is not None:
            self._locks.retain(sha256, retain_until)
        with self._tree.made_folder(layout.blob_folder(sha256)) as folder:
            created = link_open(file.fd, sha256.hex, directory=folder)
            if not created:
                self._require_same(file.fd, sha256)
        file.drop_name()
        if created:
            self._protect(file.fd)
        return created

    def _put_again(
        self, chunks: Iterator[bytes], sha256: Digest, size_bytes: int, retain_until: datetime | None
    ) -> PutReceipt:
        try:
            with os_errors("compare a blob"), self._file(sha256) as fd:
                same = os.fstat(fd).st_size == size_bytes
                offset = 0
                for chunk in chunks:  # to its end, so that a wrong stream is told apart from a damaged blob
                    same = same and os.pread(fd, len(chunk), offset) == chunk
                    offset += len(chunk)
                if not same:
                    raise _conflict(sha256)
                self._tree.make_durable(layout.blob_folder(sha256))
                self._protect(fd)
        except NotAFileError as error:
            raise _conflict(sha256) from error
        if retain_until is not None:
            self.extend_retention(sha256, retain_until)
        return self._receipt(sha256, size_bytes, created=False)

    def partial_path(self, name: str) -> Path:
        """Path of a named partial, ``staging/<name>.part``; its folder exists, the file may.

        Raises:
            InvalidInputError: Not a plain file name. StoreUnavailableError: the store is not mounted.
        """
        if not _PARTIAL_NAME.fullmatch(name):
            raise InvalidInputError(f"not a name for a partial: {name[:80]!r}")
        self._tree.require()
        return self._tree.staging / f"{name.removesuffix('.part')}.part"

    def open_partial(
        self, name: str, *, keep_bytes: int, floor_bytes: int, secured: Callable[[int], None] = lambda _bytes: None
    ) -> Partial:
        """Open a named partial for writing (see :class:`storage.partial.Partial`); close it.

        Raises:
            InvalidInputError: Not a plain file name. StoreUnavailableError: the store is not mounted.
            StoreError: The file cannot be opened.
        """
        return Partial(self.partial_path(name), keep_bytes=keep_bytes, floor_bytes=floor_bytes, secured=secured)

    def partials(self) -> list[Path]:
        """All partials, so that those nobody will resume can be found."""
        self._tree.require()
        with os_errors("list partials"):
            return sorted(self._tree.staging.glob("*.part"))

    def discard_partial(self, partial: Path) -> None:
        """Remove a partial that will not be resumed; absent already is fine. Durable on return."""
        self._check_partial(partial)
        with os_errors("remove a partial"):
            partial.unlink(missing_ok=True)
            fsync_dir(self._tree.staging)

    def adopt(
        self, partial: Path, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Give a complete partial its place in the store; durable and protected on return, the partial's name is gone.

        The bytes are not read again (``verify`` does that). May be called again after a crash at any point: a partial
        that was linked already, or whose name is already gone while its blob stands, gives a receipt.

        Raises:
            DigestMismatchError: The partial has another size; it stays.
            BlobConflictError: Other bytes stand under this digest; the partial stays.
            BlobNotFoundError: Neither the partial nor the blob exists.
        """
        check_size(size_bytes)
        self._check_partial(partial)
        self._tree.require()
        with os_errors("adopt a partial"):
            try:
                fd = os.open(partial, _READ)
            except FileNotFoundError:
                return self._adopted_before(sha256, size_bytes, retain_until)
            try:
                with self._guard(sha256):
                    created = self._link_partial(fd, partial, sha256, size_bytes, retain_until)
            finally:
                os.close(fd)
        return self._receipt(sha256, size_bytes, created=created)

    def _link_partial(
        self, fd: int, partial: Path, sha256: Digest, size_bytes: int, retain_until: datetime | None
    ) -> bool:
        state = os.fstat(fd)
        if not modes.S_ISREG(state.st_mode) or state.st_size != size_bytes:
            raise DigestMismatchError(f"{partial.name} has {state.st_size} bytes, not {size_bytes}")
        os.fchmod(fd, 0o440)
        fsync_file(fd)
        if retain_until is not None:
            self._locks.retain(sha256, retain_until)
        with self._tree.made_folder(layout.blob_folder(sha256)) as folder:
            created = link_open(fd, sha256.hex, directory=folder)
            if not created:
                # True when this very file was linked before a crash: then this call finishes that adoption.
                created = self._require_same(fd, sha256)
        # If we crash here both names stand; the next adopt takes the branch above. The flag comes last because a file
        # that has it cannot lose a name.
        protection.make_mutable(fd)
        partial.unlink(missing_ok=True)
        fsync_dir(self._tree.staging)
        if created:
            self._protect(fd)
        return created

    def _adopted_before(self, sha256: Digest, size_bytes: int, retain_until: datetime | None) -> PutReceipt:
        with self._file(sha256) as fd:
            if os.fstat(fd).st_size != size_bytes:
                raise _conflict(sha256)
            self._tree.make_durable(layout.blob_folder(sha256))
            self._protect(fd)
        if retain_until is not None:
            self.extend_retention(sha256, retain_until)
        return self._receipt(sha256, size_bytes, created=False)

    def repair(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put good bytes in the place of a damaged or missing blob; the damaged file is kept under ``damaged/``.

        A sound file that has further names is not this store's own (altered there, it is altered here): a file of the store's
        own takes its place, and it keeps its other names.

        Locks stay in force; ``retain_until`` is for a blob that never had a date. Durable on return. Crash in between: the
        blob is missing or whole, never damaged again, and the call can be repeated.

        Returns:
            ``created`` False when the blob was sound and nothing was changed.

        Raises:
            DigestMismatchError: The source is not the stated blob; nothing was changed.
        """
        check_size(size_bytes)
        self._tree.require()
        self.require_room(size_bytes)
        chunks = checked_chunks(source, sha256=sha256, size_bytes=size_bytes, suite=self._suite)
        with os_errors("repair a blob"), self._tree.scratch() as file:
            _write_durably(file.fd, chunks)
            with self._guard(sha256), self._tree.made_folder(layout.blob_folder(sha256)) as folder:
                sound = self._is_sound(file.fd, sha256)
                if sound and self._look(sha256)[0].st_nlink == 1:
                    return self._receipt(sha256, size_bytes, created=False)
                self._set_aside(folder, sha256, keep=not sound)
                dated = retain_until is not None and self._locks.state(sha256).retain_until is not None
                self._link(file, sha256, None if dated else retain_until)
        return self._receipt(sha256, size_bytes, created=True)

    def _is_sound(self, fd: int, sha256: Digest) -> bool:
        """Whether what stands can be read and has the bytes of an open file."""
        try:
            self._require_same(fd, sha256)
        except (BlobConflictError, BlobNotFoundError):
            return False
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return False
        return True

    def _set_aside(self, folder: int, sha256: Digest, *, keep: bool) -> None:
        try:
            os.stat(sha256.hex, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        fd = None
        with contextlib.suppress(OSError):
            fd = os.open(sha256.hex, _READ, dir_fd=folder)
        try:
            if fd is not None and not protection.make_mutable(fd):
                raise StoreError("the immutable flag cannot be taken off by this process")
            number = 0
            here = Path(f"/proc/self/fd/{folder}") / sha256.hex
            while keep and not link_new(here, self._tree.root / "damaged" / f"{sha256.hex}.{number}"):
                number += 1
            os.unlink(sha256.hex, dir_fd=folder)
            fsync_file(folder)
            if fd is not None:
                self._protect(fd)
        finally:
            if fd is not None:
                os.close(fd)

    # --- locks ------------------------------------------------------------------------------------------------------
    def stat(self, sha256: Digest) -> BlobStat:
        """Size, and the protection in force on this very file."""
        file, strength = self._look(sha256)
        state = self._locks.state(sha256)
        return BlobStat(
            key=layout.blob_key(sha256),
            size_bytes=file.st_size,
            version="",
            protection=strength,
            retain_until=state.retain_until,
            hold=bool(state.holds),
            bytes_at=f"file:{file.st_dev}:{file.st_ino}",
        )

    def extend_retention(self, sha256: Digest, until: datetime) -> None:
        """Move the earliest removal date later; an earlier date is ignored. Durable on return."""
        with self._existing(sha256):
            self._locks.retain(sha256, until)

    def set_hold(self, sha256: Digest, *, reference: str) -> None:
        """Add a named hold (the reference must carry no personal data). Durable on return."""
        check_reference(reference)
        with self._existing(sha256):
            self._locks.hold(sha256, reference)

    def release_hold(self, sha256: Digest, *, reference: str) -> None:
        """Take one named hold away; an unknown one is already away. Durable on return."""
        check_reference(reference)
        with self._existing(sha256):
            self._locks.release(sha256, reference)

    def delete(self, sha256: Digest, *, now: datetime) -> None:
        """Remove the blob, and damaged files of it that were set aside, and verify its absence; its lock records stay.

        Durable on return. The damaged files go first: while the blob stands a removal that was cut off is asked for again.

        Raises:
            BlobLockedError: A hold stands, or the date has not passed by ``now`` and by the store's own clock.
            ClockWentBackError, ClockJumpedError: It has a date, and the clock contradicts what this store has seen.
            BlobNotFoundError: There is none. StoreError: it could not be removed.
        """
        with self._existing(sha256):
            state = self._locks.state(sha256)
            if state.retain_until is not None:  # only a date can be taken for passed by a wrong clock
                self._mark.require_believed()
            if state.forbids_removal(min(now, self._clock.now().wall)):
                raise BlobLockedError(f"{sha256} is under retention or hold in store {self._properties.name}")
            self._drop_aside(sha256)
            with (
                os_errors("remove a blob"),
                self._tree.folder(layout.blob_folder(sha256)) as folder,
                self._file(sha256) as fd,
            ):
                # The flag first: a record of a removal that was never possible would make a later loss look like disposal.
                # If we crash before the record, the next verify sets the flag again.
                if not protection.make_mutable(fd):
                    raise StoreError(
                        f"the immutable flag of {sha256} cannot be taken off by this process",
                        kept="The blob is unchanged.",
                        todo="Give the service CAP_LINUX_IMMUTABLE.",
                    )
                # If we crash after this record, the blob is still there and the removal is asked for again.
                try:
                    self._locks.removal(sha256)
                    os.unlink(sha256.hex, dir_fd=folder)
                except (EvidenceError, OSError):
                    self._protect(fd)
                    raise
                fsync_file(folder)
            if self._stands(sha256):
                raise StoreError(f"{sha256} is still there after its removal")

    # --- inside -----------------------------------------------------------------------------------------------------
    def _drop_aside(self, sha256: Digest) -> None:
        """Remove the damaged files of a blob: they show what it showed."""
        with os_errors("remove the damaged files of a blob"), self._tree.made_folder(["damaged"]) as folder:
            with os.scandir(folder) as found:
                names = [one.name for one in found if one.name.startswith(f"{sha256.hex}.")]
            for name in names:
                fd = None
                with contextlib.suppress(OSError):
                    fd = os.open(name, _READ, dir_fd=folder)
                try:
                    if fd is not None and not protection.make_mutable(fd):
                        raise StoreError(
                            f"the immutable flag of a damaged file of {sha256} cannot be taken off by this process",
                            kept="The blob is unchanged.", todo="Give the service CAP_LINUX_IMMUTABLE.",
                        )  # fmt: skip
                    os.unlink(name, dir_fd=folder)
                finally:
                    if fd is not None:
                        os.close(fd)
            fsync_file(folder)

    def _guard(self, sha256: Digest) -> threading.Lock:
        return self._guards[int(sha256.hex[:2], 16) % _GUARDS]

    @contextlib.contextmanager
    def _existing(self, sha256: Digest) -> Iterator[None]:
        self._tree.require()
        with self._guard(sha256):
            with os_errors("look for a blob"):
                if not self._stands(sha256):
                    raise self._absent(sha256)
            yield

    def _require_same(self, fd: int, sha256: Digest) -> bool:
        """Compare an open file with the blob byte by byte; True when they are one file. BlobConflictError otherwise."""
        try:
            with self._file(sha256) as standing:
                if os.path.sameopenfile(fd, standing):
                    return True
                if not _same_bytes(fd, standing):
                    raise _conflict(sha256)
                self._protect(standing)
        except NotAFileError as error:
            raise _conflict(sha256) from error
        return False

    def _check_partial(self, partial: Path) -> None:
        if partial.parent != self._tree.staging or partial != self.partial_path(partial.name):
            raise InvalidInputError(f"{partial.name[:80]!r} is not a partial of store {self._properties.name}")

    def _receipt(self, sha256: Digest, size_bytes: int, *, created: bool) -> PutReceipt:
        return PutReceipt(
            key=layout.blob_key(sha256), version="", sha256=sha256, size_bytes=size_bytes, created=created
        )


def _write_durably(fd: int, chunks: Iterator[bytes]) -> None:
    """Write and fsync. Data is pushed out behind the writer, so that the fsync finds little left and memory stays free."""
    written = pushed = 0
    for chunk in chunks:
        write_all(fd, chunk)
        written += len(chunk)
        if written - pushed >= WRITE_BEHIND_BYTES:
            start_write_back(fd, pushed, written - pushed)
            drop_cache(fd, 0, pushed)
            pushed = written
    fsync_file(fd)


def _conflict(sha256: Digest) -> BlobConflictError:
    return BlobConflictError(
        f"other bytes stand under {sha256}", kept="Nothing was overwritten.", todo="Verify and repair the stored blob."
    )


def _same_bytes(one: int, other: int) -> bool:
    if os.fstat(one).st_size != os.fstat(other).st_size:
        return False
    offset = 0
    while part := os.pread(one, CHUNK_BYTES, offset):
        if os.pread(other, CHUNK_BYTES, offset) != part:
            return False
        offset += len(part)
    return True
