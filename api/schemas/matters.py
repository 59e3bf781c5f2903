"""Matters: what is sent and what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.schemas.common import Answer, Moment, Request, Short, Text
from catalogue.matters import DocumentRow, MatterRow
from catalogue.records import TimelineRow
from matters.looking import MatterView
from matters.turn import NewLink

#: Public texts about a link (a position, a time, a code): no prose, for it stands in clear in the log.
_Code = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z:._+-]{0,64}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_RESERVED = frozenset({"op", "role", "to", "key"})


class LinkRequest(Request):
    """Something to link, or to take away: ``key`` tells several links of one role to one thing apart."""

    role: Short
    target: Short
    key: _Code = ""
    facts: Annotated[dict[_Name, _Code], Field(max_length=16)] = Field(default_factory=dict)
    words: Text = ""

    def made(self) -> NewLink:
        """For the engine."""
        facts = {name: text for name, text in self.facts.items() if name not in _RESERVED}
        return NewLink(role=self.role, target=self.target, key=self.key, facts=facts, words=self.words.strip())


class OpenRequest(Request):
    """A matter to open; ``values`` are the fields of its opening act."""

    kind: Short
    values: dict[str, Any] = Field(default_factory=dict)
    unit: Short = ""
    links: list[LinkRequest] = Field(default_factory=list)


class ActRequest(Request):
    """An act to do. ``seen`` is the digest of the view that was decided on, ``version`` the one that was seen (0: any)."""

    act: Short
    values: dict[str, Any] = Field(default_factory=dict)
    links: list[LinkRequest] = Field(default_factory=list)
    unlinks: list[LinkRequest] = Field(default_factory=list)
    seen: Short = ""
    version: int = 0


class WordAnswer(Answer):
    """A code and what people call it."""

    code: str
    word: str


class FieldAnswer(Answer):
    """A field: ``kind`` as in docs/matters.md; ``chars_max`` of texts, ``least`` and ``most`` of numbers."""

    name: str
    word: str
    kind: str
    required: bool
    personal: bool
    hint: str
    chars_max: int | None
    least: int | None
    most: int | None
    choices: list[WordAnswer]
    columns: list[WordAnswer]
    seen_by: list[str]
    part: str


class LinkRoleAnswer(Answer):
    """What an act may link: ``targets`` are prefixes of identities; ``most`` 0 for any number."""

    role: str
    word: str
    targets: list[str]
    least: int
    most: int


class ActAnswer(Answer):
    """An act: ``needs_seen`` asks for the digest of the view; ``after`` empty where the state stays."""

    name: str
    word: str
    before: list[str]
    after: str
    action: str
    fields: list[FieldAnswer]
    links: list[LinkRoleAnswer]
    documents: list[str]
    role: str
    only: list[str]
    never: list[str]
    needs_seen: bool
    by_persons: bool


class StateAnswer(Answer):
    """A state; ``final`` closes."""

    code: str
    word: str
    tone: str
    final: bool


class RoleAnswer(Answer):
    """A part, or a role of documents."""

    role: str
    word: str


class ColumnAnswer(Answer):
    """A column of the register."""

    name: str
    word: str


class KindAnswer(Answer):
    """A kind of matter as its form declares it."""

    kind: str
    word: str
    words: str
    group: str
    may_open: bool
    title: str
    states: list[StateAnswer]
    persons: list[RoleAnswer]
    documents: list[RoleAnswer]
    opening: ActAnswer
    acts: list[ActAnswer]
    register_columns: list[ColumnAnswer]


class MatterAnswer(Answer):
    """A matter in a list. Fields that the reader may not see are not there."""

    id: str
    kind: str
    number: str
    state: str
    unit: str
    opened_by: str
    opened_at: Moment
    changed_at: Moment
    closed_at: Moment | None
    due_at: Moment | None
    version: int
    facts: dict[str, Any]
    words: dict[str, Any]


class PersonAnswer(Answer):
    """Somebody's part."""

    role: str
    agent: str
    since: Moment


class LinkAnswer(Answer):
    """What the matter concerns."""

    role: str
    target: str
    key: str
    facts: dict[str, str]
    since: Moment


class DocumentAnswer(Answer):
    """A document on file; ``name`` is what its file was called and is not to be trusted."""

    id: str
    role: str
    name: str
    sha256: str
    size_bytes: int
    media_type: str
    filed_by: str
    filed_at: Moment


class MatterDetailAnswer(MatterAnswer):
    """A whole matter; ``acts`` are those this reader can do now, ``not_shown`` fields that were left out for them."""

    persons: list[PersonAnswer]
    links: list[LinkAnswer]
    documents: list[DocumentAnswer]
    acts: list[str]
    not_shown: list[str]
    seen: str


class MattersAnswer(Answer):
    """A page of matters; ``cursor`` leads to the next, empty on the last."""

    matters: list[MatterAnswer]
    cursor: str


class HistoryAnswer(Answer):
    """One custody entry of a matter."""

    entry: str
    type: str
    at: Moment
    actor: str
    index: int | None
    facts: dict[str, Any]
    disclosed: dict[str, Any]


RegisterFormat = Literal["csv", "xlsx", "pdf"]


def matter_answer(row: MatterRow) -> MatterAnswer:
    """A row of a list."""
    return MatterAnswer(**_row(row))


def detail_answer(view: MatterView) -> MatterDetailAnswer:
    """A whole matter."""
    return MatterDetailAnswer(
        **_row(view.row), acts=[act.name for act in view.acts], not_shown=sorted(view.masked), seen=view.seen,
        persons=[PersonAnswer(role=one.role, agent=one.agent, since=one.since) for one in view.persons],
        links=[
            LinkAnswer(role=one.role, target=one.target, key=one.key, facts=dict(one.facts), since=one.since)
            for one in view.links
        ],
        documents=[document_answer(one) for one in view.documents],
    )  # fmt: skip


def document_answer(row: DocumentRow) -> DocumentAnswer:
    """A document."""
    return DocumentAnswer(
        id=row.id, role=row.role, name=row.name, sha256=row.sha256.hex, size_bytes=row.size_bytes,
        media_type=row.media_type, filed_by=row.filed_by or "", filed_at=row.filed_at,
    )  # fmt: skip


def history_answer(entry: TimelineRow) -> HistoryAnswer:
    """One entry."""
    return HistoryAnswer(
        entry=entry.entry, type=entry.event_type, at=entry.at, actor=entry.actor, index=entry.index, facts=entry.public,
        disclosed=entry.disclosed,
    )  # fmt: skip


def _row(row: MatterRow) -> dict[str, Any]:
    return {
        "id": row.id, "kind": row.kind, "number": row.number, "state": row.state, "unit": row.unit or "",
        "opened_by": row.opened_by or "", "opened_at": row.opened_at, "changed_at": row.changed_at,
        "closed_at": row.closed_at, "due_at": row.due_at, "version": row.version, "facts": dict(row.facts),
        "words": dict(row.words),
    }  # fmt: skip
