"""A small custody log for tests: fixed keys, a clock that ticks, directories under a temporary path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from chain_of_custody.keys import SigningKey
from chain_of_custody.log import Sealer
from chain_of_custody.recorder import EntryRecorder
from evidence.clock import TimeReading, utc_from_ms
from evidence.events import Event, RecordingAcquiring
from evidence.ids import EntryId, RecordingId
from support.memory_outbox import MemoryTransactions

ORIGIN = "liuhen.example/log"


@dataclass
class TickingClock:
    """Each look is one second later than the last."""

    unix_ms: int = 1_795_352_741_120

    def now(self) -> TimeReading:
        self.unix_ms += 1000
        return TimeReading(utc_from_ms(self.unix_ms), self.unix_ms * 1_000_000, "synchronised", 3)


def fixed_key(name: str) -> SigningKey:
    """The same key for the same name, always."""
    return SigningKey.from_seed(hashlib.sha256(f"test key {name}".encode()).digest())


class Counter:
    """Deterministic 'random' bytes and identities."""

    def __init__(self) -> None:
        self.count = 0

    def bytes(self, length: int) -> bytes:
        self.count += 1
        return hashlib.sha256(f"test {self.count}".encode()).digest()[:length]

    def salt(self) -> bytes:
        return self.bytes(16)

    def entry_id(self, unix_ms: int) -> EntryId:
        return EntryId(_id_text("ent", unix_ms, self.bytes(10)))

    def recording_id(self, unix_ms: int) -> RecordingId:
        return RecordingId(_id_text("rec", unix_ms, self.bytes(10)))


def _id_text(prefix: str, unix_ms: int, tail: bytes) -> str:
    value = unix_ms << 80 | int.from_bytes(tail)
    value = value & ~(0xF << 76) | (7 << 76)
    value = value & ~(0x3 << 62) | (2 << 62)
    return f"{prefix}_{value:032x}"


@dataclass
class CustodyLog:
    """Everything one log needs; ``sealer()`` makes a fresh sealer over the same database and directories."""

    root: Path
    replicas: int = 1
    transactions: MemoryTransactions = field(default_factory=MemoryTransactions)
    clock: TickingClock = field(default_factory=TickingClock)
    counter: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.station_key = fixed_key("station")
        self.log_key = fixed_key("log")
        self.recorder = EntryRecorder(
            self.station_key, station="station-1", salt=self.counter.salt, new_id=self.counter.entry_id
        )

    @property
    def primary(self) -> Path:
        return self.root / "log" / "public"

    @property
    def published(self) -> list[Path]:
        return [self.primary, *(self.root / f"replica{n}" / "log" for n in range(self.replicas))]

    def sealer(self) -> Sealer:
        return Sealer(
            self.transactions, log_key=self.log_key, origin=ORIGIN, published=self.published, clock=self.clock
        )

    @property
    def vkey(self) -> str:
        return self.sealer().verifier.text()

    def record(self, event: Event) -> EntryId:
        with self.transactions() as outbox:
            return self.recorder.record(outbox, event, at=self.clock.now())

    def record_many(self, count: int) -> list[EntryId]:
        """Enter ``count`` small events in one transaction."""
        with self.transactions() as outbox:
            return [
                self.recorder.record(
                    outbox,
                    RecordingAcquiring(
                        recording=self.counter.recording_id(self.clock.unix_ms), offload="off", from_byte=n, at=""
                    ),
                    at=self.clock.now(),
                )
                for n in range(count)
            ]
