"""Freezes what is stored: ``python -m storage.freeze --home HOME``, a helper of its own identity (systemd/liuhen-freeze.service).

The service itself runs without capabilities, so its stores are ``mode-only`` until this helper has set the kernel's immutable
flag. It freezes only what it has read and found to have the digest of its name: a flag on altered bytes would make damage
permanent and look like protection. Lock records are frozen as far as each follows the one before it. The helper reads
``HOME/config.toml`` for the stores' paths and nothing else of the home.

Crash: an object has its flag or not; the next run, a minute later, takes up what is left.

Source: ioctl_iflags(2); docs/formats/store.md.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import hashlib
import os
import stat as modes
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from evidence.digest import Digest
from evidence.errors import (
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    StoreError,
    StoreUnavailableError,
)
from storage import layout, protection
from storage.locks import chain
from storage.tree import os_errors

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CHUNK_BYTES: Final = 1 << 20
#: A link or a folder stands where a record should be (or the other way round).
_NO_RECORD: Final = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
_DEFAULT_STORES: Final = ("stores/primary", "stores/second")


@dataclass(slots=True)
class Frozen:
    """What one run did to one store.

    Attributes:
        frozen: Objects and lock records that got the flag now.
        already: Those that had it.
        waiting: Those that are still being taken in; the next run freezes them.
        damaged: Keys of objects that do not have the digest of their name, of lock records that do not follow the one before
            them, and of what is no plain file. Not frozen.
        refused: Keys of what this file system or process cannot freeze.
    """

    frozen: int = 0
    already: int = 0
    waiting: int = 0
    damaged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def store_roots(home: Path) -> list[Path]:
    """Folders of the local stores that ``HOME/config.toml`` names.

    Raises:
        ConfigError: It cannot be read, or its stores are not what the settings allow.
    """
    path = home / "config.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    storage = data.get("storage", {})
    if not isinstance(storage, dict):
        raise ConfigError("config.toml: storage is no table")
    stores = storage.get("stores")
    if stores is None:
        return [home / each for each in _DEFAULT_STORES]
    if not isinstance(stores, list):
        raise ConfigError("config.toml: storage.stores is no list")
    roots = []
    for store in stores:
        if not isinstance(store, dict):
            raise ConfigError("config.toml: a store is no table")
        if store.get("kind", "local") == "local":
            where = store.get("path")
            if not isinstance(where, str) or not where:
                raise ConfigError("config.toml: a local store has no path")
            roots.append(home / where)
    return roots


def freeze_store(root: Path) -> Frozen:
    """Freeze every object and lock record of a store that is sound and not frozen yet. The flags are durable on return.

    Args:
        root: Folder of the store.

    Raises:
        StoreUnavailableError: No store is there (its disk is not mounted). StoreError: it cannot be read.
    """
    if not (root / layout.MARKER).is_file():
        raise StoreUnavailableError(f"no store is at {root}", todo="Mount the store's disk.")
    done = Frozen()
    with os_errors(f"freeze {root}"), _opened(root) as fd:
        _freeze_objects(fd, done)
        with contextlib.suppress(FileNotFoundError), _opened(layout.LOCKS, at=fd) as locks:
            _freeze_locks(locks, done)
    return done


def _freeze_objects(root: int, done: Frozen) -> None:
    with contextlib.ExitStack() as stack:
        fd = root
        for part in layout.BLOBS.split("/"):
            fd = stack.enter_context(_opened(part, at=fd))
        for first in _fan_out(fd):
            with _opened(first, at=fd) as outer:
                for second in _fan_out(outer):
                    with _opened(second, at=outer) as inner:
                        for name in sorted(os.listdir(inner)):  # noqa: PTH208 - listed through the open descriptor
                            key = f"{layout.BLOBS}/{first}/{second}/{name}"
                            if (digest := layout.digest_of_key(key)) is not None:  # verify tells foreign files
                                _freeze(inner, name, key, done, sound=functools.partial(_has, digest))


def _freeze_locks(locks: int, done: Frozen) -> None:
    for first in _fan_out(locks):
        with _opened(first, at=locks) as outer:
            for blob in sorted(os.listdir(outer)):  # noqa: PTH208 - listed through the open descriptor
                if (digest := layout.digest_of_lock_folder(f"{layout.LOCKS}/{first}/{blob}")) is None:
                    continue
                key = f"{layout.LOCKS}/{first}/{blob}"
                try:
                    with _opened(blob, at=outer) as folder:
                        for name, _ in chain(folder, digest):
                            _freeze(folder, name, f"{key}/{name}", done, sound=lambda _fd: True)
                except IntegrityError:
                    done.damaged.append(key)
                except OSError as error:
                    if error.errno not in _NO_RECORD:
                        raise
                    done.damaged.append(key)


@contextlib.contextmanager
def _opened(name: str | Path, *, at: int | None = None) -> Iterator[int]:
    fd = os.open(name, _FOLDER, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


def _fan_out(folder: int) -> list[str]:
    return sorted(filter(layout.is_fan_out, os.listdir(folder)))


def _freeze(folder: int, name: str, key: str, done: Frozen, *, sound: Callable[[int], bool]) -> None:
    try:
        fd = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return  # disposed of meanwhile
    except OSError:
        done.damaged.append(key)  # a link, a socket: not an object
        return
    try:
        state = os.fstat(fd)
        if protection.is_immutable(fd):
            done.already += 1
        elif state.st_nlink > 1:  # still has its name in staging, which a frozen file could not lose
            done.waiting += 1
        elif not modes.S_ISREG(state.st_mode) or not sound(fd):
            done.damaged.append(key)
        elif protection.make_immutable(fd):
            done.frozen += 1
        else:
            done.refused.append(key)
    finally:
        os.close(fd)


def _has(expected: Digest, fd: int) -> bool:
    digest = hashlib.sha256()
    while chunk := os.read(fd, _CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest() == expected.hex


def main(arguments: Sequence[str] | None = None) -> int:
    """Freeze the local stores of a home; what is wrong is told on standard error.

    Returns:
        0 when everything sound is frozen, 1 when something is not what was written, else the status of the error family.
    """
    parser = argparse.ArgumentParser(
        prog="python -m storage.freeze", description="Set the immutable flag on originals."
    )
    parser.add_argument("--home", required=True, type=Path, help="home of the station")
    status = 0
    try:
        roots = store_roots(parser.parse_args(arguments).home)
    except EvidenceError as error:
        return _told(error)
    for root in roots:  # a store that is away does not keep the others from being frozen
        try:
            found = freeze_store(root)
        except EvidenceError as error:
            status = status or _told(error)
            continue
        print(f"{root}: {found.frozen} frozen, {found.already} were, {found.waiting} wait")  # noqa: T201 - its output
        if found.refused:
            refused = f"{root}: {len(found.refused)} objects cannot be frozen here, the first is {found.refused[0]}"
            status = status or _told(StoreError(refused))
        for key in found.damaged:
            status = _told(DigestMismatchError(f"{root}/{key} is not what was written; it was not frozen"))
    return status


def _told(error: EvidenceError) -> int:
    print(error.diagnostics(), file=sys.stderr)  # noqa: T201 - its output
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
