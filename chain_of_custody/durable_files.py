"""The writes of this room, in one place, so that fault tests can fail each of them.

Source: evidence.durable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from evidence import durable
from evidence.errors import StoreFullError, StoreUnavailableError


def make_dirs(directory: Path) -> None:
    """Create a directory and its parents, durably."""
    durable.make_dirs(directory, 0o755)


def publish(target: Path, data: bytes) -> None:
    """Replace one file atomically and durably; anybody may read it: it holds no personal value."""
    durable.publish(target, data, mode=0o644)


def publish_many(files: Sequence[tuple[Path, bytes]]) -> None:
    """Replace several files, each atomically, all durable on return."""
    durable.publish_many(files, mode=0o644)


@contextlib.contextmanager
def as_store_errors(directory: Path) -> Iterator[None]:
    """Turn an operating system error that concerns ``directory`` into one of ours."""
    try:
        yield
    except OSError as error:
        text = f"the published log directory {directory} does not answer: {os.strerror(error.errno or 0)}"
        raise (StoreFullError if error.errno in durable.NO_SPACE else StoreUnavailableError)(text) from error
