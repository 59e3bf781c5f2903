"""The scrub as the service runs it (order from the catalogue, one reader per disk, entries), against bare hashlib."""

from __future__ import annotations

import hashlib
from pathlib import Path

import blake3
from bench_home import BenchHome, fresh_home
from measure import MIB, Result, Sizes, forget, hash_file, make_recording, rate, timed

from assurance.copies import KeepingParts
from assurance.fixity import FixityPolicy, Scrub
from evidence.digest import BLAKE3, SHA256, Digest

_STORE = "primary"


def scrub(place: Path, sizes: Sizes) -> list[Result]:
    """One reader against one reader, both from the medium: SHA-256, then BLAKE3 where it is known."""
    with fresh_home(place / "home") as home:
        files = _keep(home, place, sizes.recording_bytes)
        size = sum(file.stat().st_size for file in files)
        best: dict[str, float] = {}
        for _ in range(sizes.runs):
            for name, action in (
                ("bare sha256", lambda: [hash_file(file, "sha256") for file in files]),
                ("bare blake3", lambda: [_blake3(file) for file in files]),
                ("sha256", lambda: _run(home, number=1, copies=len(files))),
                ("blake3", lambda: _run(home, number=2, copies=len(files))),
            ):
                forget(*files)
                best[name] = min(best.get(name, float("inf")), timed(action))
    many = f"{size // MIB} MiB in {len(files)} files"
    return [
        Result("scrub", "scrub of one store, SHA-256 / bare hashlib SHA-256 of the same files",
               best["bare sha256"] / best["sha256"], goal=0.95,
               note=f"{rate(size, best['sha256'])} / {rate(size, best['bare sha256'])}, {many}"),
        Result("scrub", "scrub of one store, BLAKE3 / bare BLAKE3 of the same files", best["bare blake3"] / best["blake3"],
               note=f"{rate(size, best['blake3'])} / {rate(size, best['bare blake3'])}"),
        Result("scrub", "scrub of one store, BLAKE3 / bare hashlib SHA-256 of the same files",
               best["bare sha256"] / best["blake3"], goal=0.95,
               note=f"{rate(size, best['blake3'])} / {rate(size, best['bare sha256'])}"),
    ]  # fmt: skip


def _keep(home: BenchHome, place: Path, size_bytes: int) -> list[Path]:
    """Recordings of an eighth of the size each in the primary store, known to the catalogue with both digests."""
    files = []
    with home.catalogue.begin() as uow:
        for number in range(8):
            source = place / f"source-{number}"
            make_recording(source, size_bytes // 8)
            data = source.read_bytes()
            sha256 = Digest(SHA256, hashlib.sha256(data).hexdigest())
            with source.open("rb") as stream:
                receipt = home.stores.primary.put(stream, sha256=sha256, size_bytes=len(data))
            digest = Digest(BLAKE3, blake3.blake3(data).hexdigest())
            uow.blobs.add_holder(sha256, len(data), digest, f"bench:{number}")
            uow.blobs.put_copy(sha256, home.stores.copy(home.stores.primary, receipt))
            files.append(home.stores.primary.locate(sha256))
            source.unlink()
    return files


def _blake3(file: Path) -> str:
    """Bare BLAKE3 as hashlib's own loop does it."""
    hasher, buffer = blake3.blake3(), bytearray(1 << 18)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            hasher.update(view[:count])
    return hasher.hexdigest()


def _run(home: BenchHome, *, number: int, copies: int) -> None:
    """A run over the store in a round with that number: the first compares SHA-256, the second BLAKE3."""
    with home.catalogue.engine.begin() as connection:
        for table in ("fixity_rounds", "fixity_stores"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("INSERT INTO fixity_rounds (number, started_at) VALUES (?, 0)", (number,))
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.parts.recorder, clock=home.parts.clock, stores=list(home.stores)
    )  # fmt: skip
    done = Scrub(parts, FixityPolicy()).run(stores=[_STORE])
    if done.good != copies or done.bad or done.number != number:
        raise SystemExit(f"the scrub did something else: {done}")
