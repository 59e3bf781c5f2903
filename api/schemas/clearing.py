"""Clearing: how it stands, and what became of bytes."""

from __future__ import annotations

from api.schemas.common import Answer, Moment
from assurance.presence import Absence, Presence
from retention.disposal_desk import ClearingStatus


class ProofAnswer(Answer):
    """An entry the answer rests on; ``index`` is null while no checkpoint covers it."""

    entry: str
    type: str
    at: Moment
    index: int | None


class PresenceAnswer(Answer):
    """What became of one recording with these bytes.

    ``answer``: ``held``, ``being-removed``, ``lawfully-cleared``, ``duplicate-of``, ``incoming`` or ``unknown``.
    """

    recording: str
    answer: str
    duplicate_of: str
    stores: list[str]
    since: Moment | None
    batch: str
    cleared_at: Moment | None
    certificate_sha256: str
    proofs: list[ProofAnswer]


class AbsenceAnswer(Answer):
    """What became of some bytes as of the published checkpoint; ``never-received``: no entry it covers names them.

    ``held-otherwise``: no recording has them (any more), and a document or something made of footage does.
    """

    sha256: str
    answer: str
    checkpoint_size: int
    recordings: list[PresenceAnswer]


class ClearingStatusAnswer(Answer):
    """How clearing stands: who clears, whether it is stopped, and how many batches stand in each state."""

    mode: str
    schedule: str
    notice_days: int
    clock_believed: bool
    stopped_by: str
    stopped_since: Moment | None
    determinations: list[str]
    batches: dict[str, int]


def absence_answer(found: Absence) -> AbsenceAnswer:
    """As the API tells it."""
    return AbsenceAnswer(
        sha256=found.sha256, answer=found.answer.value, checkpoint_size=found.checkpoint_size,
        recordings=[_presence(one) for one in found.found],
    )  # fmt: skip


def _presence(one: Presence) -> PresenceAnswer:
    return PresenceAnswer(
        recording=one.recording, answer=one.answer.value, duplicate_of=one.of, stores=one.stores, since=one.since,
        batch=one.batch, cleared_at=one.cleared_at, certificate_sha256=one.certificate_sha256,
        proofs=[ProofAnswer(entry=two.entry, type=two.event_type, at=two.at, index=two.index) for two in one.proofs],
    )  # fmt: skip


def status_answer(found: ClearingStatus) -> ClearingStatusAnswer:
    """As the API tells it."""
    stop = found.stop
    return ClearingStatusAnswer(
        mode=found.mode, schedule=found.schedule, notice_days=found.notice_days, clock_believed=found.clock_believed,
        stopped_by=stop.number if stop is not None else "", stopped_since=stop.opened_at if stop is not None else None,
        determinations=[row.number for row in found.determinations], batches=found.batches,
    )  # fmt: skip
