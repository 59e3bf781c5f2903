"""The files of a local store, read: every look at a blob goes through an open descriptor that no link can divert."""

from __future__ import annotations

import contextlib
import io
import os
import stat as modes
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from evidence.digest import Digest, DigestSuite
from evidence.durable import read_from_medium
from evidence.errors import BlobNotFoundError, DigestMismatchError, StoreError
from evidence.transfer import Progress
from storage import layout, protection
from storage.reading import CHUNK_BYTES, FileRange, MediumReader, ReadBack, checked_range
from storage.tree import StoreTree, os_errors

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class NotAFileError(DigestMismatchError):
    """Something that is not a plain file (a link, a folder) stands where a blob should be."""


class BlobFiles:
    """Reading half of a local store.

    Args:
        tree: The store's folder.
        suite: Digest algorithms for checks.
        immutable: Whether files get the kernel's flag.
    """

    def __init__(self, tree: StoreTree, *, suite: DigestSuite, immutable: bool) -> None:
        self._tree = tree
        self._suite = suite
        self._immutable = immutable

    def open(self, sha256: Digest, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """Open a range (seekable). Raises BlobNotFoundError; InvalidInputError for a range outside the blob."""
        with os_errors("open a blob"), self._file(sha256) as fd:
            length = checked_range(os.fstat(fd).st_size, offset, length)
            raw = FileRange(os.dup(fd), offset=offset, length=length)
        return io.BufferedReader(raw, CHUNK_BYTES)

    def exists(self, sha256: Digest) -> bool:
        """Whether something stands under this digest, durably; StoreUnavailableError when the disk is not there."""
        self._tree.require()
        with os_errors("look for a blob"):
            if not self._stands(sha256):
                return False
            # Its writer may have been killed between link and fsync; who is told that it is there need not put it again.
            self._tree.make_durable(layout.blob_folder(sha256))
        return True

    def verify(self, sha256: Digest, expected: Digest, *, progress: Progress | None = None) -> None:
        """Read every byte from the medium and compare; also sets a missing immutable flag again.

        Raises:
            DigestMismatchError: Other bytes, or something that is not a file. BlobNotFoundError: none.
            StoreError: The medium could not be read.
        """
        done = 0
        for chunk in self._read_back(sha256, expected):
            done += len(chunk)
            if progress is not None:
                progress(done)

    def reading_back(self, sha256: Digest, expected: Digest) -> ReadBack:
        """What :meth:`verify` reads, as a stream: bytes that go to another store are those this medium gave.

        Returns:
            A stream; when it was read to its end without an error (``matched``), this copy is verified. Close it.

        Raises:
            What ``verify`` raises, while it is read.
        """
        return ReadBack(self._read_back(sha256, expected))

    @contextlib.contextmanager
    def from_medium(self, sha256: Digest) -> Iterator[MediumReader]:
        """Every byte from the medium, never from a cache; what they should be is the caller's question.

        A block that ends without an error has a missing immutable flag set again.
        """
        with os_errors("read a blob back"), self._file(sha256) as fd:
            yield MediumReader(fd)
            self._protect(fd)

    def _read_back(self, sha256: Digest, expected: Digest) -> Generator[memoryview, None, None]:
        hasher = self._suite.new(expected.algorithm)
        with os_errors("read a blob back"), self._file(sha256) as fd:
            with self._tree.folder(layout.blob_folder(sha256)) as folder:
                for chunk in read_from_medium(Path(f"/proc/self/fd/{folder}") / sha256.hex):
                    hasher.update(chunk)
                    yield chunk
            if hasher.hexdigest() != expected.hex:
                raise DigestMismatchError(
                    f"{layout.blob_key(sha256)} in store {self._tree.name} is not {expected}",
                    todo="Repair it from another copy; the damaged file is kept.",
                    found=f"{expected.algorithm}:{hasher.hexdigest()}",
                )
            self._protect(fd)

    def locate(self, sha256: Digest) -> Path:
        """Path of a stored blob, for programs that need a file; BlobNotFoundError when there is none."""
        with os_errors("locate a blob"), self._file(sha256):
            return self._tree.root / layout.blob_key(sha256)

    @contextlib.contextmanager
    def plain_file(self, sha256: Digest) -> Iterator[Path]:
        """The blob's own file, for programs that need one: they must only read it."""
        yield self.locate(sha256)

    def _look(self, sha256: Digest) -> tuple[os.stat_result, str]:
        """The file's state, and whether this very file has the flag."""
        with os_errors("look at a blob"), self._file(sha256) as fd:
            strength = protection.IMMUTABLE if protection.is_immutable(fd) else protection.MODE_ONLY
            return os.fstat(fd), strength

    def _stands(self, sha256: Digest) -> bool:
        try:
            with self._tree.folder(layout.blob_folder(sha256)) as folder:
                os.stat(sha256.hex, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def _file(self, sha256: Digest) -> Iterator[int]:
        """The blob's file, open for reading; anything but a plain file in its place is damage."""
        self._tree.require()
        try:
            with self._tree.folder(layout.blob_folder(sha256)) as folder:
                state = os.stat(sha256.hex, dir_fd=folder, follow_symlinks=False)
                if not modes.S_ISREG(state.st_mode):
                    raise NotAFileError(f"{layout.blob_key(sha256)} is not a plain file")
                fd = os.open(sha256.hex, _READ, dir_fd=folder)
        except FileNotFoundError as error:
            raise self._absent(sha256) from error
        try:
            yield fd
        finally:
            os.close(fd)

    def _protect(self, fd: int) -> None:
        if self._immutable:
            protection.make_immutable(fd)

    def _absent(self, sha256: Digest) -> BlobNotFoundError:
        return BlobNotFoundError(f"{sha256} is not in store {self._tree.name}")

    def _names(self, parts: Sequence[str]) -> list[str]:
        try:
            with self._tree.folder(parts) as folder:
                return sorted(os.listdir(folder))  # noqa: PTH208 - listed through the open descriptor
        except FileNotFoundError:
            return []

    def list(self) -> Iterator[Digest]:
        """Every blob in ascending order of digest. Files that are not named like a blob are not ours and not listed."""
        self._tree.require()
        base = layout.BLOBS.split("/")
        with os_errors("list blobs"):
            for first in filter(layout.is_fan_out, self._names(base)):
                for second in filter(layout.is_fan_out, self._names([*base, first])):
                    for name in self._names([*base, first, second]):
                        digest = layout.digest_of_key(f"{layout.BLOBS}/{first}/{second}/{name}")
                        if digest is not None:
                            yield digest
            if not (self._tree.root / layout.BLOBS).is_dir():
                raise StoreError(f"store {self._tree.name} has lost its folder {layout.BLOBS}")
        self._tree.require()  # a disk that vanished half-way must not look like a short list

    def foreign_files(self) -> Iterator[str]:
        """Paths below ``objects`` of whatever is no blob by its name or place; nothing of ours makes such files.

        Raises:
            StoreUnavailableError: The disk is not there.
        """
        self._tree.require()
        base = layout.BLOBS.split("/")
        with os_errors("list files"):
            for first in self._names(base):
                if not layout.is_fan_out(first):
                    yield f"{layout.BLOBS}/{first}"
                    continue
                for second in self._entries([*base, first]):
                    if not layout.is_fan_out(second):
                        yield f"{layout.BLOBS}/{first}/{second}"
                        continue
                    for name in self._entries([*base, first, second]):
                        if layout.digest_of_key(f"{layout.BLOBS}/{first}/{second}/{name}") is None:
                            yield f"{layout.BLOBS}/{first}/{second}/{name}"

    def _entries(self, parts: Sequence[str]) -> Sequence[str]:
        """Names in a folder; none where a file stands in the place of one (told by its own name above it)."""
        try:
            return self._names(parts)
        except NotADirectoryError:
            return ()
