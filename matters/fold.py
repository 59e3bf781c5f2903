"""A matter as its entries tell it: each ``matter.acted`` folded onto what was before. Pure.

The engine writes what this fold says, verification compares with it and a rebuild restores it, so the three cannot differ.
Personal words that were lawfully erased are absent in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalogue.matters import DocumentRow, LinkRow, MatterRow, PersonRow
from evidence.clock import from_text
from evidence.digest import SHA256, Digest
from evidence.errors import EntryInvalidError, EvidenceError
from evidence.events import DocumentFiled, Event, MatterActed
from evidence.ids import AgentId, DocumentId, MatterId, UnitId
from matters.form import APPROVER, PROPOSER

#: A public fact by which an act says which numbers of other series it took: ``{"<series>": <number>}``. It stays in the entry.
NUMBERS: Final = "numbers"
_ADD = "add"
_LINK_KEYS = frozenset({"op", "role", "to", "key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A matter with everything about it.

    Attributes:
        row: As it stands.
        persons: By role and person.
        links: By role, target and key.
        documents: By identity.
    """

    row: MatterRow
    persons: Mapping[tuple[str, str], PersonRow] = field(default_factory=dict)
    links: Mapping[tuple[str, str, str], LinkRow] = field(default_factory=dict)
    documents: Mapping[str, DocumentRow] = field(default_factory=dict)


def fold(before: Folded | None, event: Event) -> Folded | None:
    """What a matter is after an event; events of other types change nothing.

    Raises:
        EntryInvalidError: The event does not follow from what was before, or its values have no meaning.
    """
    try:
        if isinstance(event, MatterActed):
            return _acted(before, event)
        if isinstance(event, DocumentFiled) and before is not None:
            return replace(before, documents={**before.documents, event.document: document_of(event)})
    except EntryInvalidError:
        raise
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise EntryInvalidError(f"an entry's values have no meaning: {error}") from error
    return before


def _acted(before: Folded | None, event: MatterActed) -> Folded:
    if event.version != (before.row.version + 1 if before is not None else 1):
        raise EntryInvalidError(f"act {event.version} of {event.matter} does not follow the one before")
    at = from_text(event.at)
    matter = MatterId(event.matter)
    persons = dict(before.persons) if before is not None else {}
    for one in event.persons:
        key = (one["role"], one["agent"])
        if one["op"] == _ADD:
            persons.setdefault(key, PersonRow(matter=matter, role=key[0], agent=AgentId(key[1]), since=at))
        else:
            persons.pop(key, None)
    links = dict(before.links) if before is not None else {}
    for one in event.links:
        place = (one["role"], one["to"], one.get("key", ""))
        if one["op"] == _ADD:
            facts = {name: text for name, text in one.items() if name not in _LINK_KEYS}
            links[place] = LinkRow(
                matter=matter, role=place[0], target=place[1], key=place[2], facts=facts, since=at
            )  # fmt: skip
        else:
            links.pop(place, None)
    return Folded(
        row=_row(before.row if before is not None else None, event, persons), persons=persons, links=links,
        documents=before.documents if before is not None else {},
    )  # fmt: skip


def _row(before: MatterRow | None, event: MatterActed, persons: Mapping[tuple[str, str], PersonRow]) -> MatterRow:
    at = from_text(event.at)
    closed_at = (
        (before.closed_at if before is not None and before.closed_at is not None else at) if event.final else None
    )
    return MatterRow(
        id=MatterId(event.matter), kind=event.kind, number=event.number, state=event.state,
        unit=UnitId(event.unit) if event.unit else None,
        opened_by=before.opened_by if before is not None else AgentId(event.actor) if event.actor else None,
        opened_at=before.opened_at if before is not None else at, changed_at=at, closed_at=closed_at,
        due_at=from_text(event.due) if event.due else None, version=event.version,
        proposed_by=_holder(persons, PROPOSER), approved_by=_holder(persons, APPROVER),
        facts=merged(before.facts if before is not None else {}, _without_numbers(event.facts)),
        words=merged(before.words if before is not None else {}, event.words or {}),
    )  # fmt: skip


def _without_numbers(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name != NUMBERS}


def merged(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Fields after an act: new values replace old ones, None takes one away."""
    return {name: value for name, value in {**before, **new}.items() if value is not None}


def _holder(persons: Mapping[tuple[str, str], PersonRow], role: str) -> AgentId | None:
    held = [row for (of, _agent), row in persons.items() if of == role]
    return max(held, key=lambda row: row.since).agent if held else None


def document_of(event: DocumentFiled) -> DocumentRow:
    """The row of a document that was filed."""
    return DocumentRow(
        id=DocumentId(event.document), matter=MatterId(event.matter), role=event.role, name=event.name or "",
        sha256=Digest(SHA256, event.blob_sha256), size_bytes=event.size_bytes, media_type=event.media_type,
        filed_by=AgentId(event.actor) if event.actor else None, filed_at=from_text(event.at),
    )  # fmt: skip
