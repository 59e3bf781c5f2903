"""Offload, second copy and read-backs, and fixity, against bare digests and the plain tools."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from bench_home import AS_SHIPPED, OPERATOR, WITHOUT_SM3, BenchHome, fresh_home
from measure import MIB, Cost, Result, Sizes, costed, forget, hash_file, make_recording, rate, remember, run, timed

from assurance.copy_checks import check_copies
from devices.mass_storage.driver import MassStorageDriver
from evidence.digest import DigestSuite
from evidence.ids import RecordingId
from ingest.store import ensure_stored

_NAME = "T0000001_00001_20261122_120000_0001.mp4"


def _card(place: Path, size_bytes: int) -> Path:
    card = place / "card"
    recording = card / "DCIM" / _NAME
    if not recording.is_file() or recording.stat().st_size != size_bytes:
        shutil.rmtree(card, ignore_errors=True)
        make_recording(recording, size_bytes)
    return recording


def _offload(home: BenchHome, recording: Path) -> None:
    result = home.service.offload(MassStorageDriver.docked_at(recording.parents[1]), OPERATOR, register=True)
    if result.outcome != "complete" or len(result.acquired) != 1:
        raise SystemExit(f"the offload did not do its work: {result}")


def _acquired(home: BenchHome) -> RecordingId:
    with home.catalogue.read() as uow:
        return next(iter(uow.recordings.all_ids()))


def _acquire_and_store(place: Path, recording: Path, suite: DigestSuite) -> tuple[Cost, Cost]:
    """What it costs: the acquisition, and of the second copy with both read-backs and both manifests."""
    with fresh_home(place / "home", suite) as home:
        remember(recording)
        acquired = costed(lambda: _offload(home, recording))
        identity = _acquired(home)
        return acquired, costed(lambda: ensure_stored(home.parts, identity))


def _two_digests(recording: Path) -> None:
    """SHA-256 and SM3, each on a thread of its own: what two cores can do at best."""
    threads = [threading.Thread(target=hash_file, args=(recording, name)) for name in ("sha256", "sm3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _copy_then_sum(place: Path, recording: Path, *, durable: bool) -> None:
    target = place / "copied"
    run("cp", recording, target)
    if durable:
        run("sync", target)
    run("sha256sum", target)


def offload(place: Path, sizes: Sizes) -> list[Result]:
    """The first durable copy with its digests, and what storing adds."""
    recording = _card(place, sizes.recording_bytes)
    size = sizes.recording_bytes
    best: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        best[name] = min(seconds, best.get(name, seconds))

    for _ in range(sizes.runs):
        remember(recording)
        note("sha256", timed(lambda: hash_file(recording, "sha256")))
        note("two", timed(lambda: _two_digests(recording)))
        note("dd", timed(lambda: _bare_write(place, recording)))
        for name, durable in (("cp+sum", False), ("cp+sync+sum", True)):
            note(name, timed(lambda durable=durable: _copy_then_sum(place, recording, durable=durable)))
            (place / "copied").unlink()
        for name, suite in (("plain", WITHOUT_SM3), ("shipped", AS_SHIPPED)):
            acquired, stored = _acquire_and_store(place, recording, suite)
            for step, cost in (("acquire", acquired), ("store", stored)):
                note(f"{step} {name}", cost.wall_s)
                note(f"{step} {name} cpu", cost.cpu_s)
    return [
        Result("offload", "acquisition (SHA-256 + BLAKE3) / bare SHA-256", best["sha256"] / best["acquire plain"],
               goal=0.9, note=f"{rate(size, best['acquire plain'])} / {rate(size, best['sha256'])}"),
        Result("offload", "acquisition (SHA-256 + BLAKE3) / dd with one sync at its end",
               best["dd"] / best["acquire plain"], note=f"peer {rate(size, best['dd'])}, without a digest"),
        Result("offload", "acquisition (SHA-256 + BLAKE3) / cp, then sha256sum", best["cp+sum"] / best["acquire plain"],
               goal=2.0, note=f"peer {rate(size, best['cp+sum'])}, its copy not durable"),
        Result("offload", "acquisition (SHA-256 + BLAKE3) / cp, sync, sha256sum",
               best["cp+sync+sum"] / best["acquire plain"], note=f"peer {rate(size, best['cp+sync+sum'])}"),
        Result("offload", "acquisition as shipped (+ SM3) / SHA-256 and SM3 on two threads",
               best["two"] / best["acquire shipped"], goal=0.9,
               note=f"{rate(size, best['acquire shipped'])} / {rate(size, best['two'])}"),
        Result("offload", "second copy + both read-backs, share of acquisition as shipped",
               best["store shipped"] / best["acquire shipped"], goal=0.25, at_least=False,
               note=f"{best['store shipped']:.2f} s of {best['acquire shipped']:.2f} s"),
        Result("offload", "the same in processor time", best["store shipped cpu"] / best["acquire shipped cpu"],
               note=f"{best['store shipped cpu']:.2f} s of {best['acquire shipped cpu']:.2f} s"),
    ]  # fmt: skip


def _bare_write(place: Path, recording: Path) -> None:
    """A durable copy without any digest."""
    target = place / "written"
    run("dd", f"if={recording}", f"of={target}", "bs=4M", "conv=fsync", "status=none")
    target.unlink()


def fixity(place: Path, sizes: Sizes) -> list[Result]:
    """Every copy read from its medium and compared, against hashlib on the same files, also from the medium."""
    recording = _card(place, sizes.recording_bytes)
    ours, peer = [], []
    with fresh_home(place / "home") as home:
        _offload(home, recording)
        ensure_stored(home.parts, _acquired(home))
        with home.catalogue.read() as uow:
            held = [blob for blob in uow.blobs.all() for _ in blob.copies]
        files = [store.locate(blob.sha256) for blob in dict.fromkeys(held) for store in home.stores.local]
        size = sum(blob.size_bytes for blob in held)
        for _ in range(sizes.runs):
            forget(*files)
            peer.append(timed(lambda: [hash_file(file, "sha256") for file in files]))
            forget(*files)
            ours.append(timed(lambda: _check(home, len(files))))
    return [
        Result("fixity", "verify of every copy / bare SHA-256 of the same files", min(peer) / min(ours), goal=0.95,
               note=f"{rate(size, min(ours))} / {rate(size, min(peer))}, {size // MIB} MiB in {len(files)} files"),
    ]  # fmt: skip


def _check(home: BenchHome, copies: int) -> None:
    facts = check_copies(home.catalogue, stores=home.stores, progress=lambda *_: None)
    if facts.copies != copies or facts.findings:
        raise SystemExit(f"verify found something: {facts.findings}")
