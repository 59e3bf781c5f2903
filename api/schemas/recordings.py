"""Recordings as the API tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from access import RecordingItem, RecordingView
from api.schemas.common import Answer, Moment
from catalogue.records import FindingRow, RecordingRow, TimelineRow
from catalogue.rules import RulesRow
from evidence.model import Copy
from retention.classification import is_unclassified
from retention.flags import standing


class RecordingAnswer(Answer):
    """One line of a list."""

    id: str
    state: str
    sealed: bool
    available: bool
    kind: str
    name: str
    size_bytes: int
    important: bool
    device: str
    officer: str
    officer_code: str
    unit: str
    started_at: Moment | None
    started_source: str
    duration_ms: int | None
    deadline_at: Moment | None
    hand_in: str
    archived: bool
    quarantine_reason: str
    verdict: str
    sha256: str
    sm3: str
    stored_at: Moment | None
    being_cleared: bool
    cleared_at: Moment | None
    category: str
    item: str
    unclassified: bool
    flags: list[str]
    damage: list[str]


class RecordingsAnswer(Answer):
    """One page; ``total`` is a lower bound when ``total_capped``."""

    recordings: list[RecordingAnswer]
    cursor: str
    total: int
    total_capped: bool
    as_of: Moment


class CopyAnswer(Answer):
    """One stored copy."""

    store: str
    domain: str
    key: str
    version: str
    read_back_at: Moment | None


class NameAnswer(Answer):
    """One name under which the bytes were seen."""

    name: str
    path: str
    seen_at: Moment
    important: bool


class DerivativeAnswer(Answer):
    """One derivative."""

    id: str
    kind: str
    media_type: str
    sha256: str
    size_bytes: int
    made_at: Moment


class EntryAnswer(Answer):
    """One custody entry; ``index`` is null until it is sequenced."""

    entry: str
    event: str
    at: Moment
    actor: str
    index: int | None
    data: dict[str, Any]
    disclosed: dict[str, Any]


class RecordingDetailAnswer(Answer):
    """Everything the actor may know of one recording."""

    recording: RecordingAnswer
    watchable: str
    names: list[NameAnswer]
    copies: list[CopyAnswer]
    manifest_sha256: str
    manifest_copies: list[CopyAnswer]
    derivatives: list[DerivativeAnswer]
    attached: list[str]
    timeline: list[EntryAnswer]
    facts: dict[str, Any]
    as_of: Moment


class ViewingAnswer(Answer):
    """A viewing that has been entered: what to play and where."""

    url: str
    media_type: str
    kind: str
    size_bytes: int


class CheckAnswer(Answer):
    """Outcome for one copy."""

    store: str
    part: str
    outcome: str


class VerifyAnswer(Answer):
    """Every copy of one recording, read back from its medium just now."""

    verdict: str
    checks: list[CheckAnswer]
    at: Moment


def recording_answer(
    row: RecordingRow, *, hand_in: str, archived: bool, rules: RulesRow, damage: Sequence[FindingRow]
) -> RecordingAnswer:
    """One row as the API tells it."""
    return RecordingAnswer(
        id=row.id, state=row.state, sealed=row.sealed, available=row.available, kind=row.kind, name=row.name,
        size_bytes=row.size_bytes, important=row.important, device=row.device, officer=row.officer or "",
        officer_code=row.officer_code, unit=row.unit or "", started_at=row.started_at,
        started_source=row.started_source, duration_ms=row.duration_ms, deadline_at=row.deadline_at, hand_in=hand_in,
        archived=archived, quarantine_reason=row.quarantine_reason, verdict=row.verdict,
        sha256=row.sha256.hex if row.sha256 else "", sm3=row.sm3.hex if row.sm3 else "", stored_at=row.stored_at,
        being_cleared=row.disposing_at is not None and row.disposed_at is None, cleared_at=row.disposed_at,
        category=rules.category, item=rules.item, unclassified=is_unclassified(row, rules), flags=sorted(standing(rules)),
        damage=sorted({finding.kind for finding in damage}),
    )  # fmt: skip


def item_answer(item: RecordingItem) -> RecordingAnswer:
    """One list item as the API tells it."""
    return recording_answer(
        item.row, hand_in=item.hand_in, archived=item.archived, rules=item.rules, damage=item.damage
    )


def entry_answer(entry: TimelineRow) -> EntryAnswer:
    """One custody entry as the API tells it."""
    return EntryAnswer(
        entry=entry.entry, event=entry.event_type, at=entry.at, actor=entry.actor, index=entry.index,
        data=entry.public, disclosed=entry.disclosed,
    )  # fmt: skip


def _copy(copy: Copy) -> CopyAnswer:
    return CopyAnswer(
        store=copy.store, domain=copy.domain, key=copy.key, version=copy.version, read_back_at=copy.read_back_at
    )


def detail_answer(view: RecordingView) -> RecordingDetailAnswer:
    """The whole of one recording as the API tells it."""
    return RecordingDetailAnswer(
        recording=recording_answer(
            view.row, hand_in=view.hand_in, archived=view.archived, rules=view.rules, damage=view.damage
        ),
        watchable=view.watchable,
        names=[NameAnswer(name=n.name, path=n.path, seen_at=n.seen_at, important=n.important) for n in view.names],
        copies=[_copy(copy) for copy in view.copies],
        manifest_sha256=view.row.manifest_sha256,
        manifest_copies=[_copy(copy) for copy in view.manifest_copies],
        derivatives=[
            DerivativeAnswer(
                id=d.id, kind=d.kind, media_type=d.media_type, sha256=d.sha256.hex, size_bytes=d.size_bytes,
                made_at=d.made_at,
            )
            for d in view.derivatives
        ],
        attached=[row.id for row in view.attached],
        timeline=[entry_answer(entry) for entry in view.timeline],
        facts=view.row.facts,
        as_of=view.as_of,
    )  # fmt: skip
