"""Encryption at rest against the same store in plain: the first byte of a range, reading on, checking a copy, writing one."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import statistics
from pathlib import Path

import blake3
from measure import MIB, Result, Sizes, forget, rate, timed

from catalogue import Catalogue
from catalogue.key_index import CatalogueKeyIndex
from evidence.clock import SystemClock
from evidence.digest import Digest, DigestSuite, sha256_of
from storage.encrypted_primary import EncryptedPrimary
from storage.key_places import place_beside
from storage.keyring import KeyRing
from storage.local import LocalStore
from storage.master_keys import MemoryMaster

_SUITE = DigestSuite({"blake3": blake3.blake3})
_RANGES = 60
_FIRST_BYTES = 64 << 10


def encrypted(place: Path, sizes: Sizes) -> list[Result]:
    """Ranged read, sequential read and check of one object, plain and encrypted, in turn."""
    home = place / "encrypted"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    catalogue = Catalogue.open(f"sqlite:///{home}/app.db", migrate=True)
    try:
        plain, sealed = _store(home / "plain", "plain"), _store(home / "sealed", "sealed")
        ring = KeyRing(
            MemoryMaster(secrets.token_bytes(32), kind="file"),
            [place_beside(sealed, clock=SystemClock())],
            index=CatalogueKeyIndex(catalogue),
            clock=SystemClock(),
        )
        return _measured(plain, EncryptedPrimary(sealed, ring, suite=_SUITE), sizes)
    finally:
        catalogue.close()
        shutil.rmtree(home, ignore_errors=True)


def _store(root: Path, name: str) -> LocalStore:
    LocalStore.create(root, name)
    return LocalStore(root, name=name, suite=_SUITE, clock=SystemClock(), free_floor_bytes=0, protect="mode-only")


def _measured(plain: LocalStore, sealed: EncryptedPrimary, sizes: Sizes) -> list[Result]:
    data = os.urandom(sizes.recording_bytes)
    digest, fast = sha256_of(data), _SUITE.compute("blake3", [data])
    grow = {
        name: timed(lambda s=store: _grow(s, data, digest)) for name, store in (("plain", plain), ("sealed", sealed))
    }
    files = {"plain": plain.locate(digest), "sealed": sealed.locate(digest)}
    stores: dict[str, LocalStore | EncryptedPrimary] = {"plain": plain, "sealed": sealed}
    results = [_ratio("partial grown, finished and adopted (encrypted / plain)", grow, len(data), None)]
    for cold, to_end in ((True, True), (False, True), (True, False), (False, False)):
        results.append(_first_byte(stores, files, digest, len(data), cold=cold, to_end=to_end))
    for text, act in (
        ("check of a copy, BLAKE3", lambda s: s.verify(digest, fast)),
        ("check of a copy, SHA-256", lambda s: s.verify(digest, digest)),
        ("read from beginning to end", lambda s: _read(s, digest)),
    ):
        goal = 1.3 if text.startswith("check") else None
        best = {
            name: min(timed(lambda s=store, a=act: a(s)) for _ in range(sizes.runs)) for name, store in stores.items()
        }
        results.append(_ratio(f"{text} (encrypted / plain)", best, len(data), goal))
    return results


def _first_byte(
    stores: dict[str, LocalStore | EncryptedPrimary],
    files: dict[str, Path],
    digest: Digest,
    size_bytes: int,
    *,
    cold: bool,
    to_end: bool,
) -> Result:
    """A player asks for everything from an offset on (``to_end``); a tool may ask for 64 KiB and no more."""
    times: dict[str, list[float]] = {name: [] for name in stores}
    for _ in range(_RANGES):
        offset = secrets.randbelow(size_bytes - _FIRST_BYTES)
        for name, store in stores.items():
            if cold:
                forget(files[name])
            times[name].append(timed(lambda s=store, o=offset: _range(s, digest, o, None if to_end else _FIRST_BYTES)))
    medians = {name: statistics.median(one) for name, one in times.items()}
    what = "of the rest of a recording" if to_end else "that were all that was asked for"
    return Result(
        "encrypted", f"first 64 KiB {what}, {'medium' if cold else 'page cache'}: encrypted / plain",
        medians["sealed"] / medians["plain"], goal=1.3 if to_end else None, at_least=False,
        note=f"{medians['sealed'] * 1000:.2f} / {medians['plain'] * 1000:.2f} ms",
    )  # fmt: skip


def _ratio(name: str, best: dict[str, float], size_bytes: int, goal: float | None) -> Result:
    return Result(
        "encrypted", name, best["sealed"] / best["plain"], goal=goal, at_least=False,
        note=f"{rate(size_bytes, best['sealed'])} / {rate(size_bytes, best['plain'])}",
    )  # fmt: skip


def _grow(store: LocalStore | EncryptedPrimary, data: bytes, digest: Digest) -> None:
    with store.open_partial("bench", keep_bytes=0, floor_bytes=0) as partial:
        source = io.BytesIO(data)
        while chunk := source.read(4 * MIB):
            partial.write(memoryview(chunk))
        partial.finish()
    store.adopt(store.partial_path("bench"), sha256=digest, size_bytes=len(data))


def _range(store: LocalStore | EncryptedPrimary, digest: Digest, offset: int, length: int | None) -> None:
    with store.open(digest, offset=offset, length=length) as stream:
        stream.read(_FIRST_BYTES)


def _read(store: LocalStore | EncryptedPrimary, digest: Digest) -> None:
    with store.open(digest) as stream:
        while stream.read(MIB):
            pass
