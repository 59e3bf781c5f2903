"""What events say of one recording under the rules, folded into its row: classified, flagged, archived, disposed of.

Pure but for :func:`say`, which enters such an event and writes the row as the event says. Whoever states a fact about a recording
calls it; verification compares with the same fold and a rebuild writes it, so the three cannot differ.

Source: RULES R10, R11, R17; docs/architecture.md "Matters".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from catalogue import UnitOfWork
from catalogue.rules import RulesRow
from evidence.clock import from_text
from evidence.errors import EntryInvalidError, EvidenceError
from evidence.events import (
    Event,
    RecordingArchived,
    RecordingClassified,
    RecordingDisposed,
    RecordingDisposing,
    RecordingFlagged,
)
from evidence.ids import AgentId, EntryId, MatterId, RecordingId

#: Events of this kind, one of which states a fact here.
FACTS: Final = (
    RecordingClassified, RecordingFlagged, RecordingArchived, RecordingDisposing, RecordingDisposed,
)  # fmt: skip
#: Flag of an event -> column.
COLUMNS: Final = {
    "complaint": "complaint", "obstruction": "obstruction", "sensitive": "sensitive", "long-term": "long_term",
}  # fmt: skip


def folded(before: RulesRow, event: Event, *, entry: EntryId) -> RulesRow:
    """What is said of a recording after an event; events of other types change nothing.

    Args:
        before: What was said before.
        event: One of :data:`FACTS`, or any other.
        entry: Its entry.

    Raises:
        EntryInvalidError: Its values have no meaning.
    """
    try:
        return _folded(before, event, entry)
    except EntryInvalidError:
        raise
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise EntryInvalidError(f"an entry's values have no meaning: {error}") from error


def _folded(before: RulesRow, event: Event, entry: EntryId) -> RulesRow:  # noqa: PLR0911 - one answer an event
    match event:
        case RecordingClassified():
            return replace(
                before, category=event.category, item=event.item, basis=event.basis, classified_at=from_text(event.at),
                classified_by=AgentId(event.actor) if event.actor else None,
            )  # fmt: skip
        case RecordingFlagged():
            flag: dict[str, Any] = {COLUMNS[event.flag]: event.standing}
            return replace(before, **flag)
        case RecordingArchived():
            if before.archived_at is not None:  # the first moment counts: consent is needed from then on
                return before
            return replace(before, archived_at=from_text(event.at), archived_reason=event.reason)
        case RecordingDisposing():
            return replace(
                before, disposing_at=from_text(event.at), disposal=MatterId(event.matter) if event.matter else None
            )  # fmt: skip
        case RecordingDisposed():
            return replace(
                before, disposed_at=from_text(event.at), disposed_entry=entry,
                disposal=MatterId(event.matter) if event.matter else before.disposal,
            )  # fmt: skip
        case _:
            return before


def say(uow: UnitOfWork, record: Callable[[Event], EntryId], event: Event) -> RulesRow:
    """Enter a fact about a recording and write its row as the event says, in the running transaction; its date is stale then.

    Args:
        uow: The transaction.
        record: Enters an event in it (``Turn.record``).
        event: One of :data:`FACTS`.

    Returns:
        What is said of the recording now.
    """
    recording = RecordingId(event.recording)
    before = uow.rules.lock(recording)
    uow.rules.mark_stale(
        [recording]
    )  # before the entry: whoever has made one keeps the signer until the end, and waits for nobody
    after = folded(before, event, entry=record(event))
    if after != before:
        uow.rules.put(after)
    return after
