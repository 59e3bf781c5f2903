"""Discs for long-term footage."""

from __future__ import annotations

from api.schemas.common import Answer, Moment
from catalogue.matters import MatterRow
from catalogue.records import RecordingRow
from evidence.clock import from_text
from retention.disc_queue import DiscStanding


class WaitingRecording(Answer):
    """A long-term recording in no disc set."""

    recording: str
    size_bytes: int
    started_at: Moment | None


class DueDisc(Answer):
    """A disc to be looked at, or to come back."""

    disc: str
    number: str
    state: str
    due_at: Moment | None


class WaitingAnswer(Answer):
    """What waits for a disc, oldest first, and which discs are due; ``cursor`` asks for the next page, empty at the end."""

    waiting: list[WaitingRecording]
    due: list[DueDisc]
    cursor: str


class DiscPlace(Answer):
    """A disc that a recording is on; ``counts`` when its full read-back was good and it is still there."""

    disc: str
    number: str
    copy_letter: str
    state: str
    counts: bool
    verified_at: Moment | None


class StandingAnswer(Answer):
    """On which discs a recording is; ``copies`` counts only what was read back."""

    set_number: str
    set_state: str
    copies: int
    discs: list[DiscPlace]


def waiting_answer(rows: list[RecordingRow], due: list[MatterRow], *, limit: int) -> WaitingAnswer:
    """A page."""
    return WaitingAnswer(
        waiting=[
            WaitingRecording(recording=row.id, size_bytes=row.size_bytes, started_at=row.started_at) for row in rows
        ],
        due=[DueDisc(disc=row.id, number=row.number, state=row.state, due_at=row.due_at) for row in due],
        cursor=rows[-1].id if len(rows) == limit else "",
    )


def standing_answer(standing: DiscStanding) -> StandingAnswer:
    """Where a recording stands."""
    return StandingAnswer(
        set_number=standing.owner.number if standing.owner else "", set_state=standing.owner.state if standing.owner else "",
        copies=standing.copies,
        discs=[
            DiscPlace(
                disc=one.disc.id, number=one.disc.number, copy_letter=one.copy, state=one.disc.state, counts=one.counts,
                verified_at=from_text(str(one.disc.facts["read_at"])) if one.disc.facts.get("read_at") else None,
            )
            for one in standing.discs
        ],
    )  # fmt: skip
