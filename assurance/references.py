"""Bytes are shared by digest: who refers to them, what an entry says about their copies, and what became of a recording's bytes.

An entry about a copy is entered once for every recording whose bytes these are, because a recording's facts are folded from its
own entries alone (:mod:`assurance.projection`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from catalogue import UnitOfWork
from catalogue.records import BlobRow, RecordingRow, TimelineRow
from chain_of_custody import parse_entry
from evidence.clock import TimeReading, to_text
from evidence.digest import SHA256, Digest
from evidence.errors import ClockJumpedError, ClockWentBackError, EvidenceError
from evidence.events import (
    BytesReleased,
    CopyRemoved,
    RecordingDiscovered,
    RecordingDuplicate,
    RecordingStored,
)
from evidence.ids import RecordingId
from evidence.model import Copy
from evidence.ports import CustodyRecorder
from evidence.time_line import Belief, judge

_FOUND_MAX: Final = 200


# --- entries about copies ---------------------------------------------------------------------------------------------
def facts_of(copies: Iterable[Copy]) -> list[dict[str, str]]:
    """The form of copies in an entry."""
    return [
        {
            "store": copy.store, "domain": copy.domain, "key": copy.key, "version": copy.version,
            "read_back_at": to_text(copy.read_back_at) if copy.read_back_at else "",
        }
        for copy in copies
    ]  # fmt: skip


def _concerned(uow: UnitOfWork, blob: BlobRow) -> list[tuple[str, str]]:
    """Every recording that the bytes belong to, with its digest; one empty pair where none is left."""
    found = []
    for recording in uow.references.recordings_of(blob.holders):
        sha256 = uow.recordings.get(RecordingId(recording)).sha256
        found.append((recording, sha256.hex if sha256 is not None else ""))
    return found or [("", "")]


def enter_copy_removed(
    uow: UnitOfWork,
    recorder: CustodyRecorder,
    blob: BlobRow,
    copy: Copy,
    *,
    reason: str,
    at: TimeReading,
    actor: str = "",
) -> None:
    """Enter that one copy was given up and take its row away, in the running transaction."""
    uow.references.drop_copy(blob.sha256, copy.store)
    for recording, sha256 in _concerned(uow, blob):
        event = CopyRemoved(
            actor=actor, recording=recording, sha256=sha256, blob_sha256=blob.sha256.hex, store=copy.store, key=copy.key,
            version=copy.version, reason=reason, at=to_text(at.wall),
        )  # fmt: skip
        recorder.record(uow.outbox, event, at=at)


# --- time -------------------------------------------------------------------------------------------------------------
def require_believed(uow: UnitOfWork, reading: TimeReading) -> None:
    """Return when the clock does not contradict what this home has seen (promise 9): nothing goes by a wrong clock.

    Raises:
        ClockWentBackError, ClockJumpedError: It does; nothing was removed.
    """
    belief = judge(reading, _mark(uow))
    kept, todo = (
        "Nothing was removed.",
        "Set the clock right. A time that goes on evenly for a day is believed by itself.",
    )
    if belief is Belief.WENT_BACK:
        what = f"the clock says {to_text(reading.wall)}, which is behind what this home has seen"
        raise ClockWentBackError(what, kept=kept, todo=todo)
    if belief is Belief.JUMPED:
        what = f"the clock says {to_text(reading.wall)}, far beyond the latest time this home has seen"
        raise ClockJumpedError(what, kept=kept, todo=todo)


def _mark(uow: UnitOfWork) -> datetime | None:
    """The latest time seen; a home without that memory (new, or rebuilt) has at least its newest sealed entry."""
    if (mark := uow.clock_marks.highest()) is not None:
        return mark
    head = uow.outbox.head()
    newest = uow.outbox.rows(head.size - 1, head.size) if head is not None and head.size else []
    return parse_entry(newest[0].envelope).at if newest else None


# --- presence ---------------------------------------------------------------------------------------------------------
class Answer(StrEnum):
    """What became of a recording's bytes."""

    HELD = "held"
    INCOMING = "incoming"
    CLEARED = "lawfully-cleared"
    GOING = "being-removed"
    DUPLICATE = "duplicate-of"
    NEVER = "never-received"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An entry that the answer rests on; ``index`` is None while no checkpoint covers it."""

    entry: str
    event_type: str
    at: datetime
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The answer about one recording; ``of`` is the recording that keeps a duplicate's bytes, ``of_answer`` its answer."""

    recording: str
    answer: Answer
    sha256: str = ""
    of: str = ""
    of_answer: Answer | None = None
    proofs: list[Proof] = field(default_factory=list)


def presence(uow: UnitOfWork, row: RecordingRow) -> Presence:
    """What became of one recording's bytes, with the entries that say so. Per recording, never per digest.

    The same bytes may be held for another recording: that does not make this one present, and its removal not the other's.
    """
    timeline = uow.timeline(row.id)
    sha256 = row.sha256.hex if row.sha256 is not None else ""
    if row.duplicate_of is not None:
        kept = presence(uow, uow.recordings.get(row.duplicate_of))
        proofs = _proofs(timeline, RecordingDuplicate.TYPE) + kept.proofs
        return Presence(
            recording=row.id, answer=Answer.DUPLICATE, sha256=sha256, of=row.duplicate_of, of_answer=kept.answer,
            proofs=proofs,
        )  # fmt: skip
    holder = f"recording:{row.id}"
    if row.sha256 is not None and uow.references.holds_bytes(row.sha256, holder):
        return Presence(
            recording=row.id, answer=Answer.HELD, sha256=sha256, proofs=_proofs(timeline, RecordingStored.TYPE)
        )
    if row.sha256 is not None and (going := uow.references.removal(row.sha256)) is not None and going.holder == holder:
        proofs = _proofs(timeline, RecordingStored.TYPE)
        return Presence(recording=row.id, answer=Answer.GOING, sha256=sha256, proofs=proofs)
    cleared = [one for one in timeline if one.event_type == BytesReleased.TYPE and one.public.get("holder") == holder]
    if cleared:
        proofs = [*_proofs(timeline, RecordingStored.TYPE), _proof(cleared[-1])]
        return Presence(recording=row.id, answer=Answer.CLEARED, sha256=sha256, proofs=proofs)
    return Presence(
        recording=row.id, answer=Answer.INCOMING, sha256=sha256, proofs=_proofs(timeline, RecordingDiscovered.TYPE)
    )


def matching(uow: UnitOfWork, text: str) -> list[RecordingId]:
    """Recordings that an identity, a SHA-256 or an exact name means; none when nothing does."""
    try:
        identity = RecordingId(text)
        uow.recordings.get(identity)
    except EvidenceError:
        pass
    else:
        return [identity]
    try:
        sha256 = Digest(SHA256, text.removeprefix("sha256:").lower())
    except EvidenceError:
        return uow.references.named_like(text, limit=_FOUND_MAX)
    return uow.references.with_digest(sha256, limit=_FOUND_MAX)


def _proofs(timeline: list[TimelineRow], event_type: str) -> list[Proof]:
    return [_proof(one) for one in timeline if one.event_type == event_type][-1:]


def _proof(row: TimelineRow) -> Proof:
    return Proof(entry=row.entry, event_type=row.event_type, at=row.at, index=row.index)
