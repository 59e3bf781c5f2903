"""Bytes are shared by digest: who refers to them, what an entry says about their copies, and what became of a recording's bytes.

An entry about a copy is entered once for every recording whose bytes these are, because a recording's facts are folded from its
own entries alone (:mod:`assurance.projection`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from catalogue import UnitOfWork
from catalogue.records import BlobRow
from chain_of_custody import parse_entry
from evidence.clock import TimeReading, to_text
from evidence.errors import ClockJumpedError, ClockWentBackError
from evidence.events import (
    CopyRemoved,
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
