"""Stores for tests, and the way to clean up after immutable ones."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import blake3

from evidence.clock import TimeReading, from_text
from evidence.digest import DigestSuite
from storage import protection
from storage.local import LocalStore

SUITE = DigestSuite({"blake3": blake3.blake3})
START = from_text("2026-03-02T08:00:00.000Z")


class ManualClock:
    """A clock that a test moves."""

    def __init__(self, wall: datetime = START) -> None:
        self.wall = wall

    def now(self) -> TimeReading:
        return TimeReading(self.wall, 0, "manual", 0)

    def advance(self, step: timedelta) -> None:
        self.wall += step


def unprotect_tree(root: Path) -> None:
    """Take the immutable flag off every file below, so that a test's folder can be removed."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                continue
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                assert protection.make_mutable(fd), path
            finally:
                os.close(fd)


def local_store(
    root: Path, name: str = "primary", *, clock=None, protect="mode-only", free_floor_bytes=0
) -> LocalStore:
    """A new store in ``root``."""
    LocalStore.create(root, name)
    return LocalStore(
        root,
        name=name,
        suite=SUITE,
        clock=clock or ManualClock(),
        free_floor_bytes=free_floor_bytes,
        protect=protect,
    )
