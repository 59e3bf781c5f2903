"""The custody log: appends that are durable and sealed, the wait of many single producers, one proof."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path

from bench_home import BenchHome, fresh_home
from measure import Result, Sizes

from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from evidence.clock import unix_ms
from evidence.events import Event, RecordingAcquiring
from evidence.ids import RecordingId

_BATCH = 256
_PRODUCERS = 64


def _event(home: BenchHome, number: int) -> Event:
    now = home.clock.now().wall
    return RecordingAcquiring(recording=RecordingId.new(unix_ms(now)), offload="bench", from_byte=number, at="")


def _batches(home: BenchHome, entries: int) -> list[list[Event]]:
    return [
        [_event(home, start + number) for number in range(min(_BATCH, entries - start))]
        for start in range(0, entries, _BATCH)
    ]


def _append_batches(home: BenchHome, batches: list[list[Event]]) -> None:
    for events in batches:
        with home.catalogue.begin() as uow:
            uow.after_commit(home.wake.set)
            home.recorder.record_many(uow.outbox, events, at=home.clock.now())


def _append_singly(home: BenchHome, entries: int) -> list[float]:
    """Seconds from asking to the durable commit, over all producers."""
    waits: list[float] = []
    start = threading.Barrier(_PRODUCERS)

    def produce() -> None:
        mine = []
        start.wait()
        for number in range(entries // _PRODUCERS):
            begin = time.perf_counter()
            with home.catalogue.begin() as uow:
                home.parts.enter(uow, _event(home, number), at=home.clock.now())
            mine.append(time.perf_counter() - begin)
        waits.extend(mine)

    threads = [threading.Thread(target=produce) for _ in range(_PRODUCERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits


def _published(home: BenchHome) -> int:
    return min(LogReader(place, verifier=home.sealer.verifier).checkpoint().size for place in home.published)


def log(place: Path, sizes: Sizes) -> list[Result]:
    """Batches until everything is published in both directories; then 64 threads with one entry per transaction."""
    rates, p50, p99, single = [], [], [], []
    for _ in range(sizes.runs):
        with fresh_home(place / "home") as home:
            before = _published(home)
            batches = _batches(home, sizes.entries)
            begin = time.perf_counter()
            with home.sealing():
                _append_batches(home, batches)
            took = time.perf_counter() - begin
            if _published(home) != before + sizes.entries:
                raise SystemExit("not every entry was published")
            rates.append(sizes.entries / took)
        with fresh_home(place / "home") as home, home.sealing():
            begin = time.perf_counter()
            waits = _append_singly(home, sizes.single_entries)
            single.append(len(waits) / (time.perf_counter() - begin))
            p50.append(statistics.median(waits) * 1000)
            p99.append(statistics.quantiles(waits, n=100)[98] * 1000)
    return [
        Result("log", f"appends in batches of {_BATCH}, durable, sealed and published twice", max(rates), "/s", 5000),
        Result("log", f"{_PRODUCERS} single producers: p50 until durable", min(p50), "ms", 50, at_least=False,
               note=f"{max(single):.0f} entries/s, p99 {min(p99):.0f} ms"),
    ]  # fmt: skip


def proof(place: Path, sizes: Sizes) -> list[Result]:
    """One proof bundle, made and verified, by a reader that has read nothing yet."""
    with fresh_home(place / "home") as home:
        _append_batches(home, _batches(home, sizes.entries))
        home.seal()
        size, times = _published(home), []
        for number in range(100):
            index = number * (size - 1) // 99
            begin = time.perf_counter()
            proof_for(LogReader(home.published[0], verifier=home.sealer.verifier), index)
            times.append((time.perf_counter() - begin) * 1000)
    return [
        Result("proof", f"one proof from a log of {size} entries, cold reader: p50", statistics.median(times), "ms", 5,
               at_least=False, note=f"slowest of 100: {max(times):.1f} ms"),
    ]  # fmt: skip
