"""What the log says a recording is: its custody entries, folded in order into one row. Pure.

The same fold serves two masters. ``verify`` compares its result with the catalogue's row, ``rebuild`` writes it into an empty
catalogue; so what verification accepts is exactly what a rebuild restores (promise 3). Personal values come from disclosures;
one that was lawfully erased is absent in both.

To add an event type that states a fact about a recording: add a case here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from catalogue.records import DerivativeRow, RecordingRow, TimelineRow
from catalogue.rules import RulesRow
from evidence import events
from evidence.clock import from_text
from evidence.digest import BLAKE3, SHA256, SM3, Digest
from evidence.errors import EntryInvalidError, EvidenceError
from evidence.events import Event
from evidence.ids import AgentId, DerivativeId, DeviceId, EntryId, OffloadId, RecordingId, UnitId
from evidence.model import Copy, RecordingKind, RecordingState, SourceKey, Verdict
from matters import recording_facts


@dataclass(slots=True, kw_only=True)
class BlobFact:
    """Bytes that the log says are stored, with the copies that were read back."""

    sha256: Digest
    size_bytes: int | None
    holder: str
    copies: tuple[Copy, ...]
    blake3: Digest | None = None


@dataclass(slots=True, kw_only=True)
class Projection:
    """A recording as its entries tell it."""

    row: RecordingRow
    rules: RulesRow
    derivatives: list[DerivativeRow] = field(default_factory=list)
    blobs: list[BlobFact] = field(default_factory=list)


def timeline_events(timeline: Iterable[TimelineRow]) -> Iterator[tuple[EntryId, Event]]:
    """The events of a timeline; EntryInvalidError when one does not fit its type."""
    for entry in timeline:
        yield entry.entry, events.parse_event(entry.event_type, entry.public, entry.disclosed)


def project(entries: Iterable[tuple[EntryId, Event]]) -> Projection | None:
    """Fold the entries of one recording, in their order; None when none of them discovered it.

    Raises:
        EntryInvalidError: An entry's values have no meaning (they are signed, so a key holder wrote nonsense).
    """
    state: Projection | None = None
    try:
        for entry, event in entries:
            if isinstance(event, events.RecordingDiscovered):
                state = _discovered(event) if state is None else state
            elif state is not None:
                _apply(state, entry, event)
    except EntryInvalidError:
        raise
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise EntryInvalidError(f"an entry's values have no meaning: {error}") from error
    return state


def _discovered(event: events.RecordingDiscovered) -> Projection:
    seen_at = from_text(event.at)
    recording, offload = RecordingId(event.recording), OffloadId(event.offload)
    row = RecordingRow(
        id=recording,
        device=DeviceId(event.device),
        offload=offload,
        state=RecordingState.DISCOVERED,
        kind=RecordingKind(event.kind),
        pattern=event.pattern,
        name=event.name or "",
        source=SourceKey(event.storage or "", event.path or "", event.size_bytes, event.mtime_raw or ""),
        size_bytes=event.size_bytes,
        discovered_at=seen_at,
        important=event.important,
        counter=event.counter if event.counter >= 0 else None,
        attached_to=RecordingId(event.attached_to) if event.attached_to else None,
        case_number=event.case_number or "",
        officer=AgentId(event.officer) if event.officer else None,
        officer_code=event.officer_code or "",
        officer_source=event.officer_source,
        officer_confidence=event.officer_confidence,
        unit=UnitId(event.unit) if event.unit else None,
        started_at=_moment(event.started_at),
        started_source=event.started_source,
        deadline_at=_moment(event.deadline_at),
    )
    return Projection(row=row, rules=RulesRow(recording=recording))


def _apply(state: Projection, entry: EntryId, event: Event) -> None:
    match event:
        case events.RecordingAcquiring():
            _set(
                state, state=RecordingState.ACQUIRING, offload=OffloadId(event.offload), bytes_acquired=event.from_byte
            )
        case events.RecordingInterrupted():
            _set(
                state, state=RecordingState.INTERRUPTED, offload=OffloadId(event.offload), bytes_acquired=event.at_byte,
                interrupted_reason=event.reason,
            )  # fmt: skip
        case events.RecordingAcquired():
            _acquired(state, event)
        case events.RecordingDuplicate():
            _set(state, state=RecordingState.DUPLICATE, duplicate_of=RecordingId(event.of))
        case events.RecordingStored():
            _stored(state, entry, event)
        case events.RecordingQuarantined():
            if not state.row.quarantine_reason:  # the first reason stays on the row, later ones stand in the log
                _set(state, quarantine_reason=event.reason, quarantine_detail=event.detail or "")
        case events.RecordingDescribed():
            _described(state, event)
        case events.DerivativeMade():
            _derivative(state, event)
        case events.RecordingReleased():
            _released(state, event)
        case events.OfficerBound():
            _set(
                state, officer=AgentId(event.new) if event.new else None, officer_source=event.source,
                officer_confidence=event.confidence,
            )  # fmt: skip
        case _:
            state.rules = recording_facts.folded(state.rules, event, entry=entry)
            _apply_keeping(state, event)


def _apply_keeping(state: Projection, event: Event) -> None:
    match event:
        case events.CopyMade():
            _copy_made(state, event)
        case events.CopyRemoved():
            _copy_removed(state, event)
        case events.BytesReleased():
            _bytes_released(state, event)
        case _:
            pass  # looks, refusals and checks state no fact about the recording


def _acquired(state: Projection, event: events.RecordingAcquired) -> None:
    _set(
        state,
        state=RecordingState.ACQUIRED,
        sha256=Digest(SHA256, event.sha256),
        sm3=Digest(SM3, event.sm3),
        size_bytes=event.size_bytes,
        blake3=Digest(BLAKE3, event.blake3) if event.blake3 else None,
        bytes_acquired=event.size_bytes,
        started_at=_moment(event.started_at),
        started_source=event.started_source,
        deadline_at=_moment(event.deadline_at),
        acquired_at=_moment(event.at),
    )


def _stored(state: Projection, entry: EntryId, event: events.RecordingStored) -> None:
    _set(
        state, state=RecordingState.STORED, stored_at=from_text(event.at), manifest_sha256=event.manifest_sha256,
        stored_entry=entry,
    )  # fmt: skip
    recording = state.row.id
    state.blobs.append(
        BlobFact(
            sha256=Digest(SHA256, event.sha256), size_bytes=event.size_bytes, holder=f"recording:{recording}",
            copies=copies_of(event.copies), blake3=state.row.blake3,
        )
    )  # fmt: skip
    state.blobs.append(
        BlobFact(
            sha256=Digest(SHA256, event.manifest_sha256), size_bytes=None, holder=f"manifest:{recording}",
            copies=copies_of(event.manifest_copies),
        )
    )  # fmt: skip


def _released(state: Projection, event: events.RecordingReleased) -> None:
    """A duplicate stays one when its file is cleared from the recorder; its bytes are the kept recording's."""
    kept = state.row.state is RecordingState.STORED
    _set(state, state=RecordingState.RELEASED if kept else state.row.state, released_at=from_text(event.at))


def _described(state: Projection, event: events.RecordingDescribed) -> None:
    facts = event.facts
    _set(
        state,
        described=True,
        verdict=Verdict(event.verdict),
        kind=RecordingKind(event.kind),
        duration_ms=event.duration_ms if event.duration_ms >= 0 else None,
        facts=facts,
        # Known only with the length: they ride in the facts.
        ended_at=_moment(facts["ended_at"]) if "ended_at" in facts else state.row.ended_at,
        deadline_at=_moment(facts["deadline_at"]) if "deadline_at" in facts else state.row.deadline_at,
    )


def _derivative(state: Projection, event: events.DerivativeMade) -> None:
    sha256 = Digest(SHA256, event.derivative_sha256)
    state.derivatives.append(
        DerivativeRow(
            id=DerivativeId(event.derivative), recording=state.row.id, kind=event.kind, media_type=event.media_type,
            sha256=sha256, size_bytes=event.size_bytes, recipe=event.recipe, made_at=from_text(event.at),
        )
    )  # fmt: skip
    state.blobs.append(
        BlobFact(
            sha256=sha256, size_bytes=event.size_bytes, holder=f"derivative:{event.derivative}",
            copies=copies_of(event.copies),
        )
    )  # fmt: skip


def _copy_made(state: Projection, event: events.CopyMade) -> None:
    """A later copy takes the place of the one its store had (a repair), or stands beside the others."""
    made = {copy.store: copy for copy in copies_of(event.copies)}
    for blob in state.blobs:
        if blob.sha256.hex == event.blob_sha256:
            blob.copies = tuple({copy.store: copy for copy in (*blob.copies, *made.values())}.values())


def _copy_removed(state: Projection, event: events.CopyRemoved) -> None:
    for blob in state.blobs:
        if blob.sha256.hex == event.blob_sha256:
            blob.copies = tuple(copy for copy in blob.copies if copy.store != event.store)


def _bytes_released(state: Projection, event: events.BytesReleased) -> None:
    """The holder needs them no more, whoever else does; a derivative is gone with its bytes."""
    state.blobs = [blob for blob in state.blobs if (blob.holder, blob.sha256.hex) != (event.holder, event.blob_sha256)]
    state.derivatives = [one for one in state.derivatives if f"derivative:{one.id}" != event.holder]


def copies_of(stated: Iterable[dict[str, str]]) -> tuple[Copy, ...]:
    """Copies as an entry states them."""
    return tuple(
        Copy(
            store=one["store"], domain=one["domain"], key=one["key"], version=one["version"],
            read_back_at=_moment(one["read_back_at"]),
        )
        for one in stated
    )  # fmt: skip


def _set(projection: Projection, /, **columns: Any) -> None:
    projection.row = replace(projection.row, **columns)


def _moment(text: str) -> datetime | None:
    return from_text(text) if text else None
