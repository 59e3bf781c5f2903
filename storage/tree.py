"""The folder of a local store: its marker, its directories, and files that have no name until they are complete.

Every step into the tree is taken from an open directory without following symbolic links, so a link planted inside the
store leads nowhere. A root whose marker is missing is a disk that is not mounted: it is reported, never filled.

Source: openat(2), open(2) O_TMPFILE; docs/formats/store.md.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence import canonical
from evidence.durable import NO_SPACE, fsync_dir, fsync_file, make_dirs, publish_new
from evidence.errors import (
    ConfigError,
    EntryInvalidError,
    IntegrityError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from storage import layout, protection

_FOLDERS = ("objects/sha256", "locks", "staging", "damaged", "log")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW

_MARKER_BYTES_MAX = 4096
#: Folders remembered as durable: all of a full tree of objects. Lock records have one folder per blob, which no memory holds;
#: beyond this number a folder is synced again.
_REMEMBERED_MAX = 1 << 17

_SPEC = """\
LIUHEN STORE, FORMAT 1
======================
This folder keeps evidence: recordings and what was made from them. It can be read without any special program.

objects/sha256/ab/cd/<64 hex digits>
    One file per object, unchanged bytes, named by its own SHA-256 (FIPS 180-4) in lower-case hexadecimal; ab and cd are
    the first four digits. Check one:   sha256sum objects/sha256/ab/cd/abcd...
    Check all:  find objects -type f | while read f; do echo "${f##*/}  $f"; done | sha256sum -c --quiet
    What an object is (whose, when, which camera) is told by the manifests, which are JSON objects in this same tree.

locks/ab/<64 hex digits>/NNNNNN.json
    What was ordered about an object, oldest first: keep until a date, hold, release of a hold, removal. Each record names
    the SHA-256 of the one before it (prev). The latest date counts; any hold that was not released counts.

keyring/    Where it is there, objects are ciphertext, and keyring/spec.txt tells how it is opened.
log/        The public custody log: signed checkpoints, tiles (C2SP tlog-tiles) and the service's public keys.
staging/    Transfers that were not finished (*.part). Not evidence yet.
damaged/    Files that no longer had their digest and were replaced by a good copy; kept for examination.

Files may carry the immutable attribute (lsattr shows i). Copy files to read them elsewhere; do not move them.
"""


def check_name(name: str) -> str:
    """A store's name: lower-case letters, digits and hyphens, at most 32; ConfigError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"not a store name: {name[:64]!r}", todo="Use lower-case letters, digits and hyphens.")
    return name


@contextlib.contextmanager
def os_errors(what: str) -> Iterator[None]:
    """Turn what the operating system says inside the block into our errors; ``what`` could not be done."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.errno in NO_SPACE:
            raise StoreFullError(f"cannot {what}: no space left on the store") from error
        if error.errno in {errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EHOSTDOWN, errno.ENOTCONN}:
            raise StoreUnavailableError(f"cannot {what}: {reason}") from error
        raise StoreError(f"cannot {what}: {reason}") from error


def create(root: Path, name: str) -> None:
    """Lay out an empty store. Durable on return; the marker is written last, so a crash leaves no half store.

    Raises:
        StoreError: The folder holds objects without a marker, or another store.
    """
    check_name(name)
    marker = root / layout.MARKER
    with os_errors(f"create a store in {root}"):
        if not marker.exists() and (root / layout.BLOBS).is_dir() and any((root / layout.BLOBS).iterdir()):
            raise StoreError(f"{root} holds objects but no marker", todo="Do not reuse it; ask who removed the marker.")
        for folder in _FOLDERS:
            make_dirs(root / folder)
        if not (root / layout.SPEC).exists():
            publish_new(root / layout.SPEC, _SPEC.encode("ascii"))
        publish_new(marker, canonical.dumps({"format": "liuhen_store_1", "name": name}))


@dataclass(slots=True)
class Scratch:
    """A file being written: nameless where the file system can, else under a temporary name that is dropped."""

    fd: int
    temporary: Path | None

    def drop_name(self) -> None:
        """Remove the temporary name; what was linked elsewhere keeps its other name."""
        if self.temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                self.temporary.unlink()
            self.temporary = None


def _nothing() -> None:
    return None


class StoreTree:
    """An existing store's folder.

    Args:
        root: Its path; symbolic links in the path itself are the operator's and are resolved once.
        name: The name the marker must carry: another disk mounted in this place is not this store.
        absent_ok: Take the folder although the store is not there; whoever asks it for something is told so.

    Attributes:
        present: Whether the store was there when it was last asked for.
        arrived: Called when a store that was not there is there again, or lies on another disk: what was found out about its
            disk is void.

    Raises:
        StoreUnavailableError: Marker missing, unreadable or of another store.
    """

    def __init__(self, root: Path, *, name: str, absent_ok: bool = False) -> None:
        self._wanted = root.absolute()
        self.root = Path(os.path.realpath(root))
        self.name = check_name(name)
        self.arrived: Callable[[], None] = _nothing
        self._arrival = threading.RLock()
        #: Folders whose own entry this process knows to be durable (a crashed process may have left one that is not).
        self._durable: set[tuple[str, ...]] = set()
        self._durable_guard = threading.Lock()
        self.present, self.nameless = False, False
        self._disk: tuple[int, int, int] | None = None
        try:
            self.require()
        except StoreUnavailableError:
            if not absent_ok:
                raise
            self.root = self._wanted  # never the place of another store to which a link leads

    @property
    def staging(self) -> Path:
        """Where files grow."""
        return self.root / "staging"

    def require(self) -> None:
        """Return when the store is there; StoreUnavailableError when its disk is not.

        What was found out about a disk that was away is void: it is looked at anew.
        """
        try:
            disk = self._require_marker()
        except StoreUnavailableError:
            self.present = False
            raise
        if not self.present or disk != self._disk:
            self._arrive()

    def _arrive(self) -> None:
        with self._arrival:
            self.root = Path(os.path.realpath(self._wanted))
            disk = self._require_marker()
            if self.present and disk == self._disk:  # another thread was faster
                return
            self.present = False
            with self._durable_guard:
                self._durable.clear()
            self._sweep()
            self.nameless = self._can_be_nameless()
            self.arrived()
            self._disk, self.present = disk, True

    def _require_marker(self) -> tuple[int, int, int]:
        """Which very marker stands there: another disk may have taken this one's place between two questions."""
        todo = "Mount the store's disk; a new store is only made by an explicit command."
        try:
            with (self.root / layout.MARKER).open("rb") as file:
                untrusted = file.read(_MARKER_BYTES_MAX)
                state = os.fstat(file.fileno())
            marker = canonical.loads(untrusted)
        except (OSError, EntryInvalidError) as error:
            raise StoreUnavailableError(f"store {self.name} is not at {self.root}", todo=todo) from error
        if marker != {"format": "liuhen_store_1", "name": self.name}:
            raise StoreUnavailableError(f"the disk at {self.root} is not store {self.name}", todo=todo)
        return state.st_dev, state.st_ino, state.st_mtime_ns

    @contextlib.contextmanager
    def folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Descriptor of a folder; FileNotFoundError when it does not exist, IntegrityError for a planted link."""
        fd = os.open(self.root, _OPEN_FOLDER)
        try:
            for part in parts:
                fd = _step(fd, part)
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def made_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """Descriptor of a folder that is made where missing; it and its parents are durable when the block starts."""
        fd = os.open(self.root, _OPEN_FOLDER)
        try:
            for depth, part in enumerate(parts, 1):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o750, dir_fd=fd)
                self._make_durable(fd, tuple(parts[:depth]))
                fd = _step(fd, part)
            yield fd
        finally:
            os.close(fd)

    def _make_durable(self, parent: int, parts: tuple[str, ...]) -> None:
        with self._durable_guard:
            if parts in self._durable:
                return
        fsync_file(parent)
        with self._durable_guard:
            if len(self._durable) < _REMEMBERED_MAX:
                self._durable.add(parts)

    def make_durable(self, folder: Sequence[str]) -> None:
        """Force an existing folder's entries, and its own place in the store, to the medium.

        For what already stands: the process that made it may have been killed before it could.
        """
        with self.made_folder(folder) as fd:
            fsync_file(fd)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Scratch]:
        """A new file that vanishes with the block (or with a crash) unless it was linked meanwhile."""
        file = self._nameless_file() if self.nameless else self._named_file()
        try:
            yield file
        finally:
            os.close(file.fd)
            file.drop_name()

    def _nameless_file(self) -> Scratch:
        return Scratch(os.open(self.staging, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o440), None)

    def _named_file(self) -> Scratch:
        path = self.staging / f".{secrets.token_hex(16)}.tmp"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o440)
        fcntl.flock(fd, fcntl.LOCK_EX)  # tells a sweep in another process that this file is being written
        return Scratch(fd, path)

    def _can_be_nameless(self) -> bool:
        try:
            os.close(self._nameless_file().fd)
        except OSError:
            return False
        return True

    def _sweep(self) -> None:
        """Remove what crashed writers left under temporary names. Partials are resumed by ingest and stay.

        What cannot be removed (a disk that became read-only, a flag that needs a capability) is only untidy and stays.
        """
        with os_errors("sweep the staging folder"):
            with os.scandir(self.staging) as entries:
                leftovers = [
                    entry.path for entry in entries
                    if entry.name.endswith(".tmp") and entry.is_file(follow_symlinks=False)
                ]  # fmt: skip
            for path in leftovers:
                with contextlib.suppress(OSError):
                    _remove_abandoned(path)
            if leftovers:
                fsync_dir(self.staging)


def _remove_abandoned(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while another process is writing it
        protected = protection.is_immutable(fd)
        protection.make_mutable(fd)
        os.unlink(path)  # noqa: PTH108 - a plain string from scandir
        if protected and os.fstat(fd).st_nlink:  # it was linked into the tree before the crash: that name stays
            protection.make_immutable(fd)
    finally:
        os.close(fd)


def _step(fd: int, part: str) -> int:
    """Open a sub-folder and close its parent (also on error it is closed by the caller, which still owns ``fd``)."""
    try:
        below = os.open(part, _OPEN_FOLDER, dir_fd=fd)
    except NotADirectoryError as error:
        raise IntegrityError(f"{part} is not a folder of the store", todo="Find out who changed the store.") from error
    os.close(fd)
    return below
