"""A copy of the published log in a folder of this machine.

Source: evidence.log_place; C2SP tlog-tiles.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Hashable, Sequence
from pathlib import Path

from chain_of_custody import durable_files
from evidence.durable import failure_domain
from evidence.errors import NotFoundError, StoreUnavailableError
from evidence.log_place import LogPlace

_WIDTH = re.compile(r"[1-9][0-9]{0,2}")


class LogFolder:
    """Implements ``evidence.log_place.LogPlace``.

    Args:
        path: The folder; writing never makes it (:meth:`create` does): a folder that is missing means a disk that is not
            mounted, and writing into its empty mount point would claim a copy that does not exist.
    """

    remote = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        """The path, for messages."""
        return str(self.path)

    @property
    def domain(self) -> str:
        """Failure domain of the file system it lies on now."""
        with durable_files.as_store_errors(self.path):
            return failure_domain(self.path)

    def create(self) -> None:
        """Make the folder, durable on return."""
        with durable_files.as_store_errors(self.path):
            durable_files.make_dirs(self.path)
        self.identity()

    def identity(self) -> Hashable:
        """Device and inode of the folder."""
        with durable_files.as_store_errors(self.path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = self.path.stat()
            if stat.S_ISDIR(status.st_mode):
                return status.st_dev, status.st_ino
        raise StoreUnavailableError(
            f"the published log directory {self.path} is missing", todo="Mount its disk, or make it again."
        )

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """The bytes of one file below the folder."""
        try:
            with (self.path / path).open("rb") as file:
                return file.read(limit_bytes + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(f"{path} is missing from the published log") from error
        except OSError as error:
            raise StoreUnavailableError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from error

    def publish(self, path: str, data: bytes) -> None:
        """Replace one file atomically and durably."""
        with durable_files.as_store_errors(self.path):
            durable_files.publish(self.path / path, data)

    def publish_many(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Replace several files, each atomically, all durable on return."""
        with durable_files.as_store_errors(self.path):
            durable_files.publish_many([(self.path / path, data) for path, data in files])

    def remove_partials(self, folder: str) -> None:
        """Remove a folder of partial tiles."""
        shutil.rmtree(self.path / folder, ignore_errors=True)

    def remove_temporary(self, folders: Sequence[str]) -> None:
        """Remove temporary files of an interrupted write."""
        with durable_files.as_store_errors(self.path):
            for temporary in [path for folder in folders for path in (self.path / folder).glob(".*.tmp")]:
                temporary.unlink(missing_ok=True)

    def partial_widths(self, folder: str) -> list[int]:
        """Widths of the partial tiles in their folder, none when it is not there."""
        with durable_files.as_store_errors(self.path):
            try:
                names = [path.name for path in (self.path / folder).iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(int(name) for name in names if _WIDTH.fullmatch(name))


def place_of(published: Path | LogPlace) -> LogPlace:
    """The place a caller means: a path is a folder of this machine."""
    return LogFolder(published) if isinstance(published, Path) else published
