"""The frozen list of a clearing batch: which recordings, with which bytes, due since when, and why.

The list is the batch's links of the role ``item``; what was taken out stands there as ``left-out`` with the reason. Its digest is
entered with the act that makes or changes it, signed for by who approves, and compared again before each item goes.

Recordings that share bytes (one read twice, under two names) stand or fall together: a *group* is the recording that keeps the
bytes with all its duplicates.

Source: RULES R10; docs/disposal.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalogue import UnitOfWork
from catalogue.matters import LinkRow
from catalogue.records import RecordingRow
from evidence.canonical import dumps
from evidence.clock import from_text, to_text
from evidence.digest import Digest, sha256_of
from evidence.errors import EvidenceError
from evidence.ids import RecordingId
from matters.turn import NewLink
from retention.decide import Decision

BATCH: Final = "clearing-batch"
#: Roles of a batch's links.
ITEM: Final = "item"
LEFT: Final = "left-out"
#: Recordings in one batch: what a person can look through, and what one transaction locks.
ITEMS_MAX: Final = 500
#: A reason in a link, so that two hundred links fit into one entry.
_WHY_CHARS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One line of the list.

    Attributes:
        recording: Which.
        sha256: Its bytes.
        size_bytes: Their number; 0 for a duplicate, whose bytes are counted once.
        due: Since when its periods are over.
        why: Codes of the deciding reasons, the first ones.
    """

    recording: str
    sha256: str
    size_bytes: int
    due: str
    why: str

    def facts(self) -> dict[str, str]:
        """As public texts of its link."""
        return {"sha256": self.sha256, "size": str(self.size_bytes), "due": self.due, "why": self.why}


def row_of(row: RecordingRow, decision: Decision) -> ListRow:
    """The line of one recording."""
    why = ",".join(one.why.value + (f":{one.detail}" if one.detail else "") for one in decision.decisive)
    return ListRow(
        recording=row.id,
        sha256=row.sha256.hex if row.sha256 is not None else "",
        size_bytes=0 if row.duplicate_of is not None else row.size_bytes,
        due=to_text(decision.due_at) if decision.due_at is not None else "",
        why=why[:_WHY_CHARS],
    )


def rows_of_links(links: Iterable[LinkRow]) -> list[ListRow]:
    """The list as the links tell it, in the order of identities; links of other roles are passed over."""
    rows = [
        ListRow(
            recording=one.target,
            sha256=one.facts.get("sha256", ""),
            size_bytes=int(one.facts.get("size", "0")),
            due=one.facts.get("due", ""),
            why=one.facts.get("why", ""),
        )
        for one in links
        if one.role == ITEM
    ]
    return sorted(rows, key=lambda one: one.recording)


def digest_of(rows: Iterable[ListRow]) -> Digest:
    """SHA-256 over the canonical list: identity, digest, size, since when due, and why, in the order of identities."""
    listed = [
        {"id": one.recording, "sha256": one.sha256, "size": one.size_bytes, "due": one.due, "why": one.why}
        for one in sorted(rows, key=lambda one: one.recording)
    ]
    return sha256_of(dumps({"format": "liuhen-clearing-list/1", "items": listed}))


def totals(rows: Sequence[ListRow]) -> dict[str, int | str]:
    """What is entered of a list with each act that makes or changes it."""
    return {
        "list_sha256": digest_of(rows).hex,
        "items": len(rows),
        "size_bytes": sum(one.size_bytes for one in rows),
    }


def as_links(rows: Iterable[ListRow]) -> list[NewLink]:
    """The links of a list."""
    return [NewLink(role=ITEM, target=one.recording, facts=one.facts()) for one in rows]


# --- groups -----------------------------------------------------------------------------------------------------------
def keeper_of(row: RecordingRow) -> RecordingId:
    """The recording whose bytes it has: its own, or those of the one it joined."""
    return row.duplicate_of or row.id


def group_of(uow: UnitOfWork, recording: RecordingId) -> list[RecordingId]:
    """A recording with everything that stands or falls with it; the one that keeps the bytes comes first.

    Raises:
        NotFoundError: There is no such recording.
    """
    keeper = keeper_of(uow.recordings.get(recording))
    return [keeper, *uow.references.duplicates_of(keeper)]


def groups_of(uow: UnitOfWork, recordings: Collection[RecordingId]) -> list[list[RecordingId]]:
    """The groups of these recordings, each once, in the order of their keepers."""
    found: dict[RecordingId, list[RecordingId]] = {}
    for one in recordings:
        group = group_of(uow, one)
        found.setdefault(group[0], group)
    return [found[keeper] for keeper in sorted(found)]


def moment(text: str) -> datetime | None:
    """A stored moment; None for what is none."""
    try:
        return from_text(text) if text else None
    except EvidenceError:
        return None
