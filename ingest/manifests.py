"""Builds the manifest of an acquired recording from its row and its entries (format: ``evidence.manifest``)."""

from __future__ import annotations

from catalogue import UnitOfWork
from catalogue.records import RecordingRow
from chain_of_custody import parse_entry
from evidence.clock import to_text
from evidence.errors import ManifestInvalidError
from evidence.events import RecordingAcquired, RecordingDiscovered
from evidence.manifest import Manifest, ManifestEntry

_RESTS_ON = (RecordingDiscovered.TYPE, RecordingAcquired.TYPE)


def build(uow: UnitOfWork, row: RecordingRow) -> bytes:
    """The bytes of a recording's manifest: the same at every call once it is acquired, so a repeated step repeats them.

    Raises:
        ManifestInvalidError: The recording has no digests yet, or its entries are missing.
    """
    if row.sha256 is None or row.sm3 is None or row.acquired_at is None:
        raise ManifestInvalidError(f"{row.id} was not acquired")
    latest = {line.event_type: line for line in uow.timeline(row.id) if line.event_type in _RESTS_ON}
    entries: list[ManifestEntry] = []
    salted: tuple[str, ...] = ()
    for event_type in _RESTS_ON:
        line = latest.get(event_type)
        stored = uow.outbox.row_of(line.entry) if line else None
        if stored is None:
            raise ManifestInvalidError(f"{row.id} has no entry {event_type}")
        entries.append(ManifestEntry(entry=stored.entry, event=event_type, leaf_sha256=stored.leaf_sha256.hex()))
        if event_type == RecordingDiscovered.TYPE:
            salted = parse_entry(stored.envelope).sd
    return Manifest(
        recording=row.id,
        device=row.device,
        offload=row.offload,
        kind=row.kind,
        pattern=row.pattern,
        counter=-1 if row.counter is None else row.counter,
        important=row.important,
        attached_to=row.attached_to or "",
        size_bytes=row.size_bytes,
        sha256=row.sha256.hex,
        sm3=row.sm3.hex,
        blake3=row.blake3.hex if row.blake3 else "",
        discovered_at=to_text(row.discovered_at),
        acquired_at=to_text(row.acquired_at),
        started_at=to_text(row.started_at) if row.started_at else "",
        started_source=row.started_source,
        deadline_at=to_text(row.deadline_at) if row.deadline_at else "",
        entries=tuple(entries),
        sd=salted,
    ).to_bytes()
