"""Matters, their persons, links and documents, and the numbers they bear. Only :mod:`matters` writes here, and a rebuild."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.schema import matter_documents, matter_links, matter_numbers, matter_persons, matters
from catalogue.values import fields_of
from evidence.digest import Digest
from evidence.errors import CatalogueError, NotFoundError, StateConflictError
from evidence.ids import AgentId, DocumentId, MatterId, UnitId
from evidence.model import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterRow:
    """A matter as it stands.

    Attributes:
        id: Its identity.
        kind: Name of its form (``hold``, ``case``, ``access-request``).
        number: What people call it; unique within its kind.
        state: One of its form's states.
        unit: The department it belongs to; None for the whole bureau.
        opened_by: Who opened it; None for the service itself.
        opened_at: When.
        changed_at: When it was last acted on.
        closed_at: Since when it stands in a final state; None while it is open.
        due_at: When its next deadline runs out, None without one.
        version: How many acts there were.
        proposed_by: Who asked for what has to be approved.
        approved_by: Who approved; never the same person.
        facts: Public fields.
        words: Personal fields; those that were lawfully erased are gone.
    """

    id: MatterId
    kind: str
    number: str
    state: str
    unit: UnitId | None
    opened_by: AgentId | None
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None
    due_at: datetime | None = None
    version: int = 1
    proposed_by: AgentId | None = None
    approved_by: AgentId | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """Somebody's part in a matter: ``role`` is one of its form's (``requester``, ``handler``)."""

    matter: MatterId
    role: str
    agent: AgentId
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A matter concerns something; ``key`` tells several links of one role to one thing apart."""

    matter: MatterId
    role: str
    target: str
    key: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document that was filed with a matter; ``name`` is what its file was called, never trusted."""

    id: DocumentId
    matter: MatterId
    role: str
    name: str
    sha256: Digest
    size_bytes: int
    media_type: str
    filed_by: AgentId | None
    filed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MatterFilter:
    """What a list asks for; empty fields ask for nothing.

    Attributes:
        kinds: Of one of these kinds.
        states: In one of these states.
        open: Only open ones (True), only closed ones (False).
        unit: Of this department.
        person: In which this person has any part.
        target: Linked to this identity.
        link_roles: Together with ``target``: by one of these roles.
        due_before: Open, with a deadline before this moment.
        opened_from: Opened at or after this moment.
        opened_to: Opened before this moment.
        text: In its number or its personal fields.
    """

    kinds: Collection[str] = ()
    states: Collection[str] = ()
    open: bool | None = None
    unit: UnitId | None = None
    person: AgentId | None = None
    target: str = ""
    link_roles: Collection[str] = ()
    due_before: datetime | None = None
    opened_from: datetime | None = None
    opened_to: datetime | None = None
    text: str = ""


class Matters:
    """Matters in one transaction."""

    def __init__(self, db: Db) -> None:
        self._db = db

    # --- numbers ------------------------------------------------------------------------------------------------------
    def next_number(self, series: str) -> int:
        """The next number of a series, from 1 without gaps: the series is locked until the transaction ends."""
        self._db.insert_new(matter_numbers, {"series": series, "last": 0})
        here = matter_numbers.c
        self._db.execute(matter_numbers.update().where(here.series == series).values(last=here.last + 1))
        taken = self._db.scalar(sa.select(here.last).where(here.series == series))
        if taken is None:
            raise CatalogueError(f"the series {series} vanished")
        return int(taken)

    def note_number(self, series: str, number: int) -> None:
        """Let the series go on after ``number`` at least (a rebuild)."""
        self._db.insert_new(matter_numbers, {"series": series, "last": 0})
        here = matter_numbers.c
        self._db.execute(
            matter_numbers.update().where(here.series == series, here.last < number).values(last=number)
        )  # fmt: skip

    def series(self) -> dict[str, int]:
        """The last number of every series."""
        return {row["series"]: row["last"] for row in self._db.all(sa.select(matter_numbers))}

    # --- matters ------------------------------------------------------------------------------------------------------
    def add(self, row: MatterRow) -> None:
        """Add one; StateConflictError when its number is taken."""
        self._db.insert(matters, fields_of(row))

    def put(self, row: MatterRow, *, expected_version: int) -> None:
        """Write a matter as it is after an act; StateConflictError when somebody else acted meanwhile."""
        values = fields_of(row)
        values.pop("id")
        here = matters.c
        changed = matters.update().where(here.id == row.id, here.version == expected_version).values(**values)
        if self._db.count(changed) != 1:
            raise StateConflictError(
                f"{row.number} was acted on meanwhile", kept="Your act was not entered.", todo="Look at it again."
            )

    def get(self, matter: MatterId) -> MatterRow:
        """One; NotFoundError."""
        return self._one(matter, lock=False)

    def lock(self, matter: MatterId) -> MatterRow:
        """One, locked until the transaction ends, so that what is decided from it stays true; NotFoundError."""
        return self._one(matter, lock=True)

    def _one(self, matter: MatterId, *, lock: bool) -> MatterRow:
        statement = sa.select(matters).where(matters.c.id == matter)
        # Not against who only refers to it (a tombstone names its matter): they would wait for each other in a circle.
        row = self._db.one(statement.with_for_update(key_share=True) if lock else statement)
        if row is None:
            raise NotFoundError(f"there is no matter {matter}")
        return MatterRow(**row)

    def by_number(self, kind: str, number: str) -> MatterRow | None:
        """The one that bears this number."""
        row = self._db.one(sa.select(matters).where(matters.c.kind == kind, matters.c.number == number))
        return MatterRow(**row) if row is not None else None

    def all_ids(self) -> list[MatterId]:
        """Every matter, in the order in which they were opened."""
        return [row["id"] for row in self._db.all(sa.select(matters.c.id).order_by(matters.c.id))]

    def find(
        self, wanted: MatterFilter, visibility: Visibility | None = None, *, me: AgentId | None = None,
        kept_from: Collection[str] = (), after: MatterId | None = None, limit: int = 50,
    ) -> list[MatterRow]:  # fmt: skip
        """A page of matters, newest first.

        Args:
            wanted: What is asked for.
            visibility: Departments that may be seen (those without a department only with ``everything``); None for all.
            me: Matters in which this person has a part are seen in any case.
            kept_from: Unless they opened it, matters in which ``me`` has one of these parts are not seen.
            after: The last one of the page before.
            limit: Rows at most.
        """
        statement = sa.select(matters).where(*self._asked(wanted), *self._seen(visibility, me, kept_from))
        if after is not None:
            statement = statement.where(matters.c.id < after)
        return [MatterRow(**row) for row in self._db.all(statement.order_by(matters.c.id.desc()).limit(limit))]

    def counts(
        self,
        wanted: MatterFilter,
        visibility: Visibility | None = None,
        *,
        me: AgentId | None = None,
        kept_from: Collection[str] = (),
    ) -> dict[tuple[str, str], int]:
        """How many there are by kind and state."""
        here = matters.c
        statement = (
            sa.select(here.kind, here.state, sa.func.count().label("number"))
            .where(*self._asked(wanted), *self._seen(visibility, me, kept_from))
            .group_by(here.kind, here.state)
        )
        return {(row["kind"], row["state"]): row["number"] for row in self._db.all(statement)}

    def due(self, *, before: datetime, limit: int) -> list[MatterRow]:
        """Open matters whose deadline runs out before a moment, the earliest first."""
        here = matters.c
        statement = sa.select(matters).where(here.due_at.is_not(None), here.closed_at.is_(None), here.due_at < before)
        return [MatterRow(**row) for row in self._db.all(statement.order_by(here.due_at, here.id).limit(limit))]

    def _asked(self, wanted: MatterFilter) -> list[sa.ColumnElement[bool]]:
        here = matters.c
        asked: list[sa.ColumnElement[bool]] = []
        if wanted.kinds:
            asked.append(here.kind.in_(list(wanted.kinds)))
        if wanted.states:
            asked.append(here.state.in_(list(wanted.states)))
        if wanted.open is not None:
            asked.append(here.closed_at.is_(None) if wanted.open else here.closed_at.is_not(None))
        if wanted.unit is not None:
            asked.append(here.unit == wanted.unit)
        if wanted.person is not None:
            asked.append(_has_part(wanted.person))
        if wanted.target:
            linked = sa.select(matter_links.c.matter).where(matter_links.c.target == wanted.target)
            if wanted.link_roles:
                linked = linked.where(matter_links.c.role.in_(list(wanted.link_roles)))
            asked.append(here.id.in_(linked))
        if wanted.due_before is not None:
            asked += [here.due_at.is_not(None), here.closed_at.is_(None), here.due_at < wanted.due_before]
        if wanted.opened_from is not None:
            asked.append(here.opened_at >= wanted.opened_from)
        if wanted.opened_to is not None:
            asked.append(here.opened_at < wanted.opened_to)
        if wanted.text:
            asked.append(sa.or_(here.number.contains(wanted.text, autoescape=True), _words_contain(wanted.text)))
        return asked

    @staticmethod
    def _seen(
        visibility: Visibility | None, me: AgentId | None, kept_from: Collection[str]
    ) -> list[sa.ColumnElement[bool]]:
        out = []
        if kept_from and me is not None:
            out.append(sa.or_(sa.not_(_has_part(me, kept_from)), matters.c.opened_by == me))
        if visibility is None or visibility.everything:
            return out
        ways: list[sa.ColumnElement[bool]] = [sa.false()]
        if visibility.units:
            ways.append(matters.c.unit.in_(sorted(visibility.units)))
        if me is not None:
            ways.append(_has_part(me))
        return [*out, sa.or_(*ways)]

    # --- persons and links --------------------------------------------------------------------------------------------
    def put_person(self, row: PersonRow) -> None:
        """Add somebody's part; again changes nothing."""
        self._db.insert_new(matter_persons, fields_of(row))

    def drop_person(self, matter: MatterId, role: str, agent: AgentId) -> None:
        """End somebody's part; who had none is fine."""
        here = matter_persons.c
        self._db.execute(
            matter_persons.delete().where(here.matter == matter, here.role == role, here.agent == agent)
        )  # fmt: skip

    def persons(self, matter: MatterId) -> list[PersonRow]:
        """Everybody who has a part, in the order in which they got it."""
        here = matter_persons.c
        statement = sa.select(matter_persons).where(here.matter == matter)
        return [PersonRow(**row) for row in self._db.all(statement.order_by(here.since, here.role, here.agent))]

    def put_link(self, row: LinkRow) -> None:
        """Add a link, or replace what is said about one."""
        self._db.upsert(matter_links, fields_of(row))

    def drop_link(self, matter: MatterId, role: str, target: str, key: str = "") -> None:
        """Take a link away; none is fine."""
        here = matter_links.c
        gone = matter_links.delete().where(
            here.matter == matter, here.role == role, here.target == target, here.key == key
        )
        self._db.execute(gone)

    def links(self, matter: MatterId, *, role: str = "") -> list[LinkRow]:
        """What a matter concerns, in the order in which it was linked."""
        here = matter_links.c
        statement = sa.select(matter_links).where(here.matter == matter)
        if role:
            statement = statement.where(here.role == role)
        ordered = statement.order_by(here.since, here.role, here.target, here.key)
        return [LinkRow(**row) for row in self._db.all(ordered)]

    def linked_to(self, target: str, *, kinds: Collection[str] = (), open_only: bool = False) -> list[MatterRow]:
        """Matters that concern something, in the order in which they were opened."""
        here = matters.c
        statement = sa.select(matters).where(
            here.id.in_(sa.select(matter_links.c.matter).where(matter_links.c.target == target))
        )
        if kinds:
            statement = statement.where(here.kind.in_(list(kinds)))
        if open_only:
            statement = statement.where(here.closed_at.is_(None))
        return [MatterRow(**row) for row in self._db.all(statement.order_by(here.id))]

    def linked_to_each(self, targets: Collection[str], *, kinds: Collection[str] = ()) -> dict[str, list[MatterRow]]:
        """As :meth:`linked_to` for many things at once; those without any are left out."""
        found: dict[str, list[MatterRow]] = {}
        for part in chunks(targets):
            statement = (
                sa.select(matter_links.c.target.label("linked"), matters)
                .join(matters, matters.c.id == matter_links.c.matter)
                .where(matter_links.c.target.in_(list(part)))
                .distinct()
            )
            if kinds:
                statement = statement.where(matters.c.kind.in_(list(kinds)))
            for row in self._db.all(statement.order_by(matters.c.id)):
                values = dict(row)
                found.setdefault(values.pop("linked"), []).append(MatterRow(**values))
        return found

    def links_to_each(self, targets: Collection[str]) -> dict[str, list[tuple[str, MatterRow]]]:
        """Role and matter of every link to each of many things, oldest matters first; those without any are left out."""
        found: dict[str, list[tuple[str, MatterRow]]] = {}
        for part in chunks(targets):
            here = matter_links.c
            statement = (
                sa.select(here.target.label("linked"), here.role.label("by"), matters)
                .join(matters, matters.c.id == here.matter)
                .where(here.target.in_(list(part)))
                .distinct()
            )
            for row in self._db.all(statement.order_by(matters.c.id, here.role)):
                values = dict(row)
                target, role = values.pop("linked"), values.pop("by")
                found.setdefault(target, []).append((role, MatterRow(**values)))
        return found

    # --- documents ----------------------------------------------------------------------------------------------------
    def add_document(self, row: DocumentRow) -> None:
        """Add one; StateConflictError when its identity is taken."""
        self._db.insert(matter_documents, fields_of(row))

    def document(self, document: DocumentId) -> DocumentRow:
        """One; NotFoundError."""
        row = self._db.one(sa.select(matter_documents).where(matter_documents.c.id == document))
        if row is None:
            raise NotFoundError(f"there is no document {document}")
        return DocumentRow(**row)

    def documents(self, matter: MatterId, *, role: str = "") -> list[DocumentRow]:
        """The documents of a matter in the order in which they were filed."""
        here = matter_documents.c
        statement = sa.select(matter_documents).where(here.matter == matter)
        if role:
            statement = statement.where(here.role == role)
        return [DocumentRow(**row) for row in self._db.all(statement.order_by(here.id))]

    def all_documents(self) -> list[DocumentRow]:
        """Every document."""
        return [DocumentRow(**row) for row in self._db.all(sa.select(matter_documents).order_by(matter_documents.c.id))]


def _has_part(agent: AgentId, roles: Collection[str] = ()) -> sa.ColumnElement[bool]:
    here = matter_persons.c
    held = sa.select(here.matter).where(here.agent == agent)
    return matters.c.id.in_(held.where(here.role.in_(list(roles))) if roles else held)


def _words_contain(text: str) -> sa.ColumnElement[bool]:
    return sa.type_coerce(matters.c.words, sa.Text).contains(text, autoescape=True)
