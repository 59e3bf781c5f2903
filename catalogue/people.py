"""Units, agents, posts, roles and credentials as rows. Who may do what is decided elsewhere (people.policy)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.records import AgentRow, CredentialRow, PostRow, RoleRow, UnitRow
from catalogue.schema import agents, credentials, os_users, posts, role_grants, units
from catalogue.search_index import SearchIndex
from catalogue.values import changes, fields_of
from evidence.errors import InvalidInputError, NotFoundError
from evidence.ids import AgentId, UnitId


class People:
    """Rows about people. Nothing is removed but roles and credentials' counters: the past stays readable."""

    def __init__(self, db: Db, index: SearchIndex) -> None:
        self._db = db
        self._index = index

    # --- units and posts ---
    def add_unit(self, row: UnitRow) -> None:
        """Add a department; StateConflictError when the identity is taken, InvalidInputError for an empty validity."""
        if row.valid_to is not None and row.valid_to <= row.valid_from:
            raise InvalidInputError("a department cannot end before it begins")
        self._db.insert(units, fields_of(row))

    def units(self, at: datetime | None = None) -> list[UnitRow]:
        """Departments, oldest first; with ``at`` only those that existed at that moment."""
        statement = sa.select(units).order_by(units.c.valid_from, units.c.id)
        if at is not None:
            statement = statement.where(
                units.c.valid_from <= at, sa.or_(units.c.valid_to.is_(None), units.c.valid_to > at)
            )
        return [UnitRow(**row) for row in self._db.all(statement)]

    def add_post(self, row: PostRow) -> None:
        """Make an agent a member of a department from ``valid_from``."""
        if row.valid_to is not None and row.valid_to <= row.valid_from:
            raise InvalidInputError("a post cannot end before it begins")
        self._db.insert(posts, fields_of(row))

    def posts(self, agent: AgentId) -> list[PostRow]:
        """Every post the agent has or had, oldest first."""
        statement = sa.select(posts).where(posts.c.agent == agent).order_by(posts.c.valid_from, posts.c.unit)
        return [PostRow(**row) for row in self._db.all(statement)]

    def all_posts(self) -> list[PostRow]:
        """Every post of everybody, oldest first: for lists of people."""
        return [PostRow(**row) for row in self._db.all(sa.select(posts).order_by(posts.c.valid_from, posts.c.unit))]

    def end_post(self, agent: AgentId, unit: UnitId, at: datetime) -> None:
        """End the open post; NotFoundError when there is none that began before ``at``."""
        statement = (
            posts.update()
            .where(posts.c.agent == agent, posts.c.unit == unit, posts.c.valid_to.is_(None), posts.c.valid_from < at)
            .values(valid_to=at)
        )
        if self._db.count(statement) == 0:
            raise NotFoundError(f"{agent} holds no open post in {unit}")

    # --- agents ---
    def add_agent(self, row: AgentRow) -> None:
        """Add a person or program; StateConflictError when the log-in or an active officer code is taken."""
        self._db.insert(agents, fields_of(row))

    def agent(self, identity: AgentId) -> AgentRow:
        """One agent; NotFoundError."""
        row = self._one(agents.c.id == identity)
        if row is None:
            raise NotFoundError(f"no agent {identity}")
        return row

    def agents(self) -> list[AgentRow]:
        """Every agent, by identity (that is by age)."""
        return [AgentRow(**row) for row in self._db.all(sa.select(agents).order_by(agents.c.id))]

    def by_login(self, login: str) -> AgentRow | None:
        """The agent with that log-in name."""
        return self._one(agents.c.login == login) if login else None

    def by_officer_code(self, code: str) -> AgentRow | None:
        """The agent with that code: the active one, else the one who had it last."""
        return self._one(agents.c.officer_code == code) if code else None

    def update_agent(self, identity: AgentId, **columns: Any) -> AgentRow:
        """Change name, codes or activity; recordings are found by the new words from then on."""
        statement = (
            agents.update().where(agents.c.id == identity).values(**changes(AgentRow, columns, forbidden={"id"}))
        )
        if self._db.count(statement) == 0:
            raise NotFoundError(f"no agent {identity}")
        if {"name", "officer_code"} & columns.keys():
            self._index.refresh_officer(identity)
        return self.agent(identity)

    def _one(self, condition: sa.ColumnElement[bool]) -> AgentRow | None:
        statement = sa.select(agents).where(condition).order_by(agents.c.active.desc(), agents.c.id.desc()).limit(1)
        row = self._db.one(statement)
        return None if row is None else AgentRow(**row)

    # --- roles ---
    def grant(self, row: RoleRow) -> bool:
        """Give a role; tells whether it was new."""
        if row.unit is not None and self._db.scalar(sa.select(units.c.id).where(units.c.id == row.unit)) is None:
            raise NotFoundError(f"no unit {row.unit}")
        return self._db.insert_new(role_grants, {"agent": row.agent, "role": row.role, "unit": row.unit or ""})

    def revoke(self, row: RoleRow) -> bool:
        """Take a role; tells whether it was there."""
        grants = role_grants.c
        statement = role_grants.delete().where(
            grants.agent == row.agent, grants.role == row.role, grants.unit == (row.unit or "")
        )
        return self._db.count(statement) == 1

    def roles(self, agent: AgentId) -> list[RoleRow]:
        """Roles of an agent."""
        return self._roles(sa.select(role_grants).where(role_grants.c.agent == agent))

    def all_roles(self) -> list[RoleRow]:
        """Roles of everybody: for lists of people."""
        return self._roles(sa.select(role_grants))

    def _roles(self, statement: sa.Select[Any]) -> list[RoleRow]:
        return [
            RoleRow(agent=row["agent"], role=row["role"], unit=UnitId(row["unit"]) if row["unit"] else None)
            for row in self._db.all(statement.order_by(role_grants.c.role, role_grants.c.unit))
        ]

    # --- credentials ---
    def set_credential(self, row: CredentialRow) -> None:
        """Set or replace the credential of an agent."""
        self._db.upsert(credentials, fields_of(row))

    def credential(self, login: str) -> CredentialRow | None:
        """The credential for a log-in name."""
        row = self._db.one(sa.select(credentials).where(credentials.c.login == login))
        return None if row is None else CredentialRow(**row)

    def locks(self) -> dict[AgentId, datetime]:
        """Until when log-ins are locked, over locks too: agent -> moment."""
        held = credentials.c.locked_until
        rows = self._db.all(sa.select(credentials.c.agent, held).where(held.is_not(None)))
        return {row["agent"]: row["locked_until"] for row in rows}

    def update_credential(self, agent: AgentId, **columns: Any) -> None:
        """Change hash, counters or lock; NotFoundError when the agent has no credential."""
        values = changes(CredentialRow, columns, forbidden={"agent"})
        if self._db.count(credentials.update().where(credentials.c.agent == agent).values(**values)) == 0:
            raise NotFoundError(f"{agent} has no credential")

    def bind_os_user(self, uid: int, agent: AgentId) -> None:
        """Say which person an operating-system user is; replaces an earlier binding."""
        self._db.upsert(os_users, {"uid": uid, "agent": agent})

    def os_user(self, uid: int) -> AgentId | None:
        """The person behind an operating-system user."""
        found: AgentId | None = self._db.scalar(sa.select(os_users.c.agent).where(os_users.c.uid == uid))
        return found

    def os_users(self) -> dict[int, AgentId]:
        """Every binding of an operating-system user: uid -> person."""
        return {row["uid"]: row["agent"] for row in self._db.all(sa.select(os_users).order_by(os_users.c.uid))}
