"""A small home of shared bytes: two stores, a catalogue, holders that a test names, and the removal mechanism over them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from assurance.brake import Brake, BrakeLimits
from assurance.removal import RemovalParts, Remover
from catalogue import Catalogue
from catalogue.records import DerivativeRow, RecordingRow
from chain_of_custody import EntryRecorder, parse_entry
from evidence.clock import unix_ms
from evidence.digest import SM3, Digest, sha256_of
from evidence.events import DerivativeMade
from evidence.ids import DerivativeId
from evidence.model import Copy, RecordingState
from evidence.ports import BlobStore
from storage.stores import StoreSet
from support.catalogue_rows import Bureau, add_recording, make_bureau
from support.custody import TickingClock, fixed_key
from support.stores import local_store


@dataclass
class KeptBytes:
    root: Path
    catalogue: Catalogue
    clock: TickingClock = field(default_factory=TickingClock)
    others: list[BlobStore] = field(default_factory=list)
    limits: BrakeLimits = field(default_factory=BrakeLimits)

    def __post_init__(self) -> None:
        self.primary = local_store(self.root / "primary", "primary", clock=self.clock)
        self.second = local_store(self.root / "second", "second", clock=self.clock)
        self.stores = StoreSet(self.primary, [self.second, *self.others])
        self.recorder = EntryRecorder(fixed_key("station"), station="station-1")
        self.brake = Brake(self.catalogue, recorder=self.recorder, clock=self.clock, limits=self.limits)
        self.parts = RemovalParts(
            catalogue=self.catalogue, recorder=self.recorder, stores=self.stores, clock=self.clock, brake=self.brake,
            guards=(),  # the mechanism alone; who may order a removal is tests/unit/retention's
        )  # fmt: skip
        self.remover = Remover(self.parts)
        with self.catalogue.begin() as uow:
            self.bureau: Bureau = make_bureau(uow)

    def put(self, data: bytes, *, into: list[str] | None = None) -> tuple[Digest, list[Copy]]:
        """Bytes in the stores, no row."""
        sha256, copies = sha256_of(data), []
        for store in self.stores:
            if into is None or store.properties.name in into:
                receipt = store.put(io.BytesIO(data), sha256=sha256, size_bytes=len(data))
                copies.append(self.stores.copy(store, receipt, read_back_at=self.clock.now().wall))
        return sha256, copies

    def recording(self, data: bytes, **fields: object) -> RecordingRow:
        """A stored recording that holds these bytes."""
        sha256, copies = self.put(data)
        row = add_recording(
            self.catalogue, self.bureau, state=RecordingState.STORED, sha256=sha256, sm3=Digest(SM3, sha256.hex),
            size_bytes=len(data), **fields,
        )  # fmt: skip
        with self.catalogue.begin() as uow:
            uow.blobs.add_holder(sha256, len(data), None, f"recording:{row.id}")
            for copy in copies:
                uow.blobs.put_copy(sha256, copy)
        return row

    def derivative(self, row: RecordingRow, data: bytes) -> str:
        """A derivative of a recording that holds these bytes, with its entry; its holder name."""
        from assurance.references import facts_of

        sha256, copies = self.put(data)
        at = self.clock.now()
        made = DerivativeRow(
            id=DerivativeId.new(unix_ms(at.wall)), recording=row.id, kind="poster", media_type="image/jpeg", sha256=sha256,
            size_bytes=len(data), recipe={}, made_at=at.wall,
        )  # fmt: skip
        with self.catalogue.begin() as uow:
            uow.blobs.add_holder(sha256, len(data), None, f"derivative:{made.id}")
            for copy in copies:
                uow.blobs.put_copy(sha256, copy)
            uow.derivatives.add(made)
            event = DerivativeMade(
                recording=row.id, sha256="", derivative=made.id, kind="poster", media_type="image/jpeg",
                derivative_sha256=sha256.hex, size_bytes=len(data), recipe={}, copies=facts_of(copies), at="",
            )  # fmt: skip
            self.recorder.record(uow.outbox, replace(event, at="2026-11-22T05:00:00.000Z"), at=at)
        return f"derivative:{made.id}"

    def told(self, event_type: str) -> list[dict]:
        """Public facts of all entries of a type, in order."""
        with self.catalogue.read() as uow:
            rows = uow.outbox.unsequenced(10_000)
        return [parse_entry(row.envelope).data for row in rows if row.event_type == event_type]

    def held(self, sha256: Digest) -> tuple[str, ...] | None:
        with self.catalogue.read() as uow:
            blob = uow.blobs.get(sha256)
        return None if blob is None else blob.holders

    def in_stores(self, sha256: Digest) -> list[str]:
        return [store.properties.name for store in self.stores if store.exists(sha256)]

    def later(self, **span: float) -> None:
        self.clock.unix_ms += int(timedelta(**span).total_seconds() * 1000)
