"""What a stored recording shows: probe, key frames, derivatives, verdict. Never in the way of custody.

A recording is sealed whether or not it can be described. Trouble of ours (no ffmpeg, full disk) is an error and the step is
repeated; trouble of the file is a verdict and, where a person should look, a quarantine.

Crash: derivatives without a row are blobs that nobody holds; the step is run again and one transaction says everything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalogue import UnitOfWork
from catalogue.records import DerivativeRow, RecordingRow
from evidence.clock import TimeReading, to_text, unix_ms
from evidence.digest import SHA256, Digest
from evidence.durable import make_dirs
from evidence.errors import MediaError, PolicyUnmetError, StoreError
from evidence.events import DerivativeMade, RecordingDescribed
from evidence.ids import DerivativeId, RecordingId
from evidence.model import RecordingKind, RecordingState, Verdict
from ingest import deadlines
from ingest.copies import Spread, as_facts, hold, spread
from ingest.locking import first_date
from ingest.parts import Parts, quarantine
from ingest.times import Started
from media.describe import Description, Product, describe

_DESCRIBABLE = frozenset({RecordingState.STORED, RecordingState.RELEASED})
_CHUNK_BYTES = 1 << 20
_NOTES_MAX = 40
#: Verdicts that a person must look at, and the reason shown.
_QUARANTINE: dict[Verdict, str] = {
    Verdict.DAMAGED: "damaged",
    Verdict.SALVAGEABLE: "damaged",
    Verdict.TRUNCATED: "truncated",
    Verdict.UNREADABLE: "unreadable",
    Verdict.NOT_MEDIA: "not-media",
}


@dataclass(frozen=True, slots=True)
class KeptProduct:
    """A derivative whose bytes are stored and read back."""

    id: DerivativeId
    product: Product
    sha256: Digest
    size_bytes: int
    done: Spread


def ensure_described(parts: Parts, recording: RecordingId) -> RecordingRow:
    """Describe a stored recording once. Idempotent; does nothing for one that is not stored or already described.

    Raises:
        MediaError: Our tools failed; the recording is safe and the step can be repeated.
        StoreError: A derivative found no room; as above.
    """
    with parts.catalogue.read() as uow:
        row = uow.recordings.get(recording)
        cleared = uow.rules.of(recording).disposing_at is not None
    if cleared or row.described or row.state not in _DESCRIBABLE or row.sha256 is None:
        return row
    with scratch_directory(parts) as scratch, parts.stores.primary.plain_file(row.sha256) as source:
        found = describe(source, row.kind, scratch)
        stored = [keep_product(parts, row, product) for product in found.products]
    return _say_described(parts, row, found, stored)


@contextmanager
def scratch_directory(parts: Parts) -> Iterator[Path]:
    """A directory for one job, gone afterwards.

    Raises:
        MediaError: None can be made. StoreError: there is no place in which plain files may lie.
    """
    parts.ready_scratch()
    try:
        make_dirs(parts.scratch)
        with tempfile.TemporaryDirectory(prefix="describe-", dir=parts.scratch) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise MediaError(f"no scratch directory: {os.strerror(error.errno or 0)}") from error


def keep_product(parts: Parts, row: RecordingRow, product: Product) -> KeptProduct:
    """Store a derivative's bytes in every store that takes them; each copy is read back. StoreError when none did."""
    hasher = parts.suite.new(SHA256)
    with product.path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
        size_bytes = stream.tell()
    sha256 = Digest(SHA256, hasher.hexdigest())
    done = spread(
        parts,
        sha256,
        size_bytes=size_bytes,
        read_back=sha256,
        source=lambda: product.path.open("rb"),
        stores=parts.stores.taking,
        retain_until=first_date(parts, row),
    )
    if not done.copies:
        raise next(iter(done.failed.values()), StoreError("no store took a derivative"))
    return KeptProduct(DerivativeId.new(unix_ms(parts.clock.now().wall)), product, sha256, size_bytes, done)


def _say_described(parts: Parts, row: RecordingRow, found: Description, stored: list[KeptProduct]) -> RecordingRow:
    at = parts.clock.now()
    times = _times(parts, row, found)
    facts = {**found.facts, **{name: to_text(moment) for name, moment in times.items()}}
    with parts.catalogue.begin() as uow:
        row = uow.recordings.lock(row.id)
        if row.described:  # another process was faster
            return row
        for derivative in stored:
            say_derivative(parts, uow, row, derivative, at)
        event = RecordingDescribed(
            recording=row.id,
            sha256=row.sha256.hex if row.sha256 else "",
            verdict=found.verdict,
            kind=found.kind,
            duration_ms=-1 if found.duration_ms is None else found.duration_ms,
            facts=facts,
            at=to_text(at.wall),
            evidence_notes=list(found.notes[:_NOTES_MAX]) or None,
        )
        parts.enter(uow, event, at=at)
        reason = _reason(row, found)
        if reason:
            row = quarantine(parts, uow, row, reason, detail="; ".join(found.notes[:_NOTES_MAX]), at=at)
        return uow.recordings.update(
            row.id,
            described=True,
            kind=found.kind,
            verdict=found.verdict,
            facts=facts,
            duration_ms=found.duration_ms,
            **times,
        )


def say_derivative(parts: Parts, uow: UnitOfWork, row: RecordingRow, made: KeptProduct, at: TimeReading) -> None:
    """Add a stored derivative to its recording, with its entry, inside the caller's transaction, which has locked its row.

    Raises:
        PolicyUnmetError: The recording is being cleared, or was: nothing is made of it any more.
    """
    if uow.rules.of(row.id).disposing_at is not None:
        raise PolicyUnmetError(f"{row.id} is being cleared: nothing is made of it any more")
    product = made.product
    hold(
        uow,
        made.sha256,
        size_bytes=made.size_bytes,
        blake3=None,
        holder=f"derivative:{made.id}",
        copies=made.done.copies,
    )
    uow.derivatives.add(
        DerivativeRow(
            id=made.id,
            recording=row.id,
            kind=product.kind,
            media_type=product.media_type,
            sha256=made.sha256,
            size_bytes=made.size_bytes,
            recipe=product.recipe,
            made_at=at.wall,
        )
    )
    event = DerivativeMade(
        recording=row.id,
        sha256=row.sha256.hex if row.sha256 else "",
        derivative=made.id,
        kind=product.kind,
        media_type=product.media_type,
        derivative_sha256=made.sha256.hex,
        size_bytes=made.size_bytes,
        recipe=product.recipe,
        copies=as_facts(made.done.copies),
        at=to_text(at.wall),
    )
    parts.enter(uow, event, at=at)


def _times(parts: Parts, row: RecordingRow, found: Description) -> dict[str, Any]:
    """The end of the recording and the deadline that follows, once the length is known (R4)."""
    if row.started_at is None or found.duration_ms is None:
        return {}
    length = timedelta(milliseconds=found.duration_ms)
    times: dict[str, Any] = {"ended_at": row.started_at + length}
    if row.deadline_at is not None:  # else our own clock was not believed when it came in
        started = Started(row.started_at, row.started_source)
        within = parts.settings.hand_in_within
        seen_at = max(row.discovered_at, row.deadline_at - within)  # it may have been discovered by a clock set back
        times["deadline_at"] = deadlines.deadline(started, duration=length, discovered_at=seen_at, within=within)
    return times


def _reason(row: RecordingRow, found: Description) -> str:
    if row.size_bytes == 0:  # flagged as empty when it was acquired
        return ""
    if row.kind in (RecordingKind.TEXT, RecordingKind.TRACK) and found.verdict is Verdict.NOT_MEDIA:
        return ""
    return _QUARANTINE.get(found.verdict, "")
