"""Where backups lie: a folder on another disk, or a bucket (``storage.s3_backup``). Files by path, written whole, read back.

A folder that is not there, and a bucket that does not answer, are ``store-unavailable``: nothing is made in their place, because
an empty mount point is not the disk that belongs there.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from evidence import durable
from evidence.disks import disks_below
from evidence.errors import (
    BlobLockedError,
    HomeLockedError,
    NotDurableError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)

LOCK: Final = "backup.lock"
_TEMPORARY: Final = ".tmp"
_MODE: Final = 0o600


class BackupPlace(Protocol):
    """One target. Every method raises StoreUnavailableError when it does not answer."""

    @property
    def text(self) -> str:
        """How people name it: a path, or ``s3://bucket/prefix``."""
        ...

    def domains(self) -> frozenset[str]:
        """What would take it along when it dies (``evidence.disks``); a bucket's stated domain."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep other processes of this machine from changing it; HomeLockedError when another one does."""
        ...

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """The bytes of one file from its medium; NotFoundError when it is not there, one byte more when it is larger."""
        ...

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Write files whole, replacing those that stand there; durable on return. StoreFullError: no room."""
        ...

    def paths(self, folder: str) -> Iterator[str]:
        """Every file below a folder, in no order."""
        ...

    def remove(self, path: str) -> None:
        """Remove one file and look at its absence; BlobLockedError when the medium refuses."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class FolderPlace:
    """A folder of this machine.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def text(self) -> str:
        """The path."""
        return str(self._root)

    def domains(self) -> frozenset[str]:
        """The disks below it."""
        self._require()
        return frozenset(disks_below(self._root))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A lock file."""
        self._require()
        try:
            with durable.exclusive_lock(self._root / LOCK):
                yield
        except HomeLockedError as error:
            raise HomeLockedError("another process writes a backup there", todo="Wait until it has ended.") from error

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """From the medium rather than from the page cache."""
        self._require()
        data = bytearray()
        try:
            for part in durable.read_from_medium(self._root / path):
                data += part
                if len(data) > limit_bytes:
                    return bytes(data[: limit_bytes + 1])
        except FileNotFoundError as error:
            raise NotFoundError(f"{path} is missing in {self._root}") from error
        except OSError as error:
            raise StoreError(f"cannot read {path} in {self._root}: {os.strerror(error.errno or 0)}") from error
        return bytes(data)

    def write(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Temporary names, fsync, rename, fsync of the folders."""
        self._require()
        try:
            durable.publish_many([(self._root / path, data) for path, data in files], mode=_MODE)
        except (
            NotDurableError
        ) as error:  # of this disk nothing else depends: the service goes on, the next backup writes anew
            raise StoreUnavailableError(
                f"the disk below {self._root} failed: {error.what}", kept="Earlier backups were not touched.",
                todo="Use another disk for backups.",
            ) from error  # fmt: skip

    def paths(self, folder: str) -> Iterator[str]:
        """Files; what a crash left under a temporary name is removed on the way."""
        self._require()
        for at, _, names in os.walk(self._root / folder):
            for name in names:
                path = Path(at, name)
                if name.endswith(_TEMPORARY):
                    with contextlib.suppress(OSError):
                        path.unlink()
                    continue
                yield path.relative_to(self._root).as_posix()

    def remove(self, path: str) -> None:
        """Unlink, and make it durable."""
        self._require()
        target = self._root / path
        try:
            target.unlink(missing_ok=True)
        except PermissionError as error:
            raise BlobLockedError(f"{path} in {self._root} may not be removed") from error
        except OSError as error:
            raise StoreError(f"cannot remove {path}: {os.strerror(error.errno or 0)}") from error
        if target.parent.is_dir():
            durable.fsync_dir(target.parent)

    def close(self) -> None:
        """Nothing."""

    def _require(self) -> None:
        if not self._root.is_dir():
            raise StoreUnavailableError(
                f"the folder for backups {self._root} is not there", todo="Mount its disk, or make the folder."
            )
