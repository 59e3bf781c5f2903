"""Rows about the running service: findings, progress, sessions, settings and the clock's high-water mark."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.records import FindingRow, ProgressRow, WebSessionRow
from catalogue.schema import clock_marks, findings, progress, recordings, settings, web_sessions
from catalogue.search import visible
from catalogue.values import fields_of
from evidence.errors import NotFoundError
from evidence.ids import AgentId, FindingId, OffloadId, RecordingId
from evidence.model import Visibility


class Findings:
    """Things an auditor must look at."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def raise_(self, row: FindingRow) -> bool:
        """Add a finding unless one of that kind, recording and store is open; tells whether it was added."""
        return self._db.insert_new(findings, {**fields_of(row), "recording": row.recording or ""})

    def open(self) -> list[FindingRow]:
        """Findings that nobody has closed, oldest first."""
        return self._rows(sa.select(findings).where(findings.c.closed_at.is_(None)))

    def open_within(self, visibility: Visibility, kinds: Collection[str] = ()) -> list[FindingRow]:
        """Open findings an agent may know of, oldest first: those about no recording are for who sees everything.

        Args:
            visibility: What the agent may see.
            kinds: Only these; empty means all.
        """
        here = findings.c
        statement = sa.select(findings).where(here.closed_at.is_(None))
        if kinds:
            statement = statement.where(here.kind.in_(sorted(kinds)))
        if not visibility.everything:
            statement = statement.where(
                here.recording.in_(sa.select(sa.type_coerce(recordings.c.id, sa.Text)).where(*visible(visibility)))
            )
        return self._rows(statement)

    def _rows(self, statement: sa.Select[Any]) -> list[FindingRow]:
        return [
            FindingRow(**{**row, "recording": RecordingId(row["recording"]) if row["recording"] else None})
            for row in self._db.all(statement.order_by(findings.c.raised_at, findings.c.id))
        ]

    def open_of(self, concerned: Collection[RecordingId], kinds: Collection[str]) -> list[FindingRow]:
        """Open findings of these kinds about these recordings, oldest first."""
        here = findings.c
        found = sa.select(findings).where(here.closed_at.is_(None), here.kind.in_(sorted(kinds)))
        rows: list[FindingRow] = []
        for part in chunks(sorted(concerned)):
            rows += self._rows(found.where(here.recording.in_(part)))
        return sorted(rows, key=lambda row: (row.raised_at, row.id))

    def open_of_documents(self, kinds: Collection[str]) -> list[FindingRow]:
        """Open findings of these kinds about bytes that belong to no recording, oldest first."""
        here = findings.c
        asked = (here.closed_at.is_(None), here.kind.in_(sorted(kinds)), here.recording == "")
        return sorted(self._rows(sa.select(findings).where(*asked)), key=lambda row: (row.raised_at, row.id))

    def open_one(self, kind: str, *, recording: RecordingId | None = None, store: str = "") -> FindingRow | None:
        """The open finding of that kind about that recording and store; there is at most one."""
        here = findings.c
        found = self._rows(
            sa.select(findings).where(
                here.kind == kind, here.recording == (recording or ""), here.store == store, here.closed_at.is_(None)
            )
        )
        return found[0] if found else None

    def take_open(self, identity: FindingId) -> FindingRow:
        """One open finding; NotFoundError when there is none."""
        found = self._rows(sa.select(findings).where(findings.c.id == identity, findings.c.closed_at.is_(None)))
        if not found:
            raise NotFoundError(f"no open finding {identity}")
        return found[0]

    def close(self, identity: FindingId, at: datetime) -> None:
        """Close an open finding; NotFoundError when there is none."""
        statement = (
            findings.update().where(findings.c.id == identity, findings.c.closed_at.is_(None)).values(closed_at=at)
        )
        if self._db.count(statement) == 0:
            raise NotFoundError(f"no open finding {identity}")


class ProgressRows:
    """Where running transfers are. Not evidence: may be lost."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def put(self, row: ProgressRow) -> None:
        """Set or replace the row of an offload."""
        self._db.upsert(progress, fields_of(row))

    def of(self, offload: OffloadId) -> ProgressRow | None:
        """The row of an offload."""
        row = self._db.one(sa.select(progress).where(progress.c.offload == offload))
        return None if row is None else ProgressRow(**row)

    def all(self) -> list[ProgressRow]:
        """Every row, by offload."""
        return [ProgressRow(**row) for row in self._db.all(sa.select(progress).order_by(progress.c.offload))]

    def clear(self, offload: OffloadId) -> None:
        """Forget the row of an offload."""
        self._db.execute(progress.delete().where(progress.c.offload == offload))


class WebSessions:
    """Server-side sessions. Expiry is the caller's rule; ``sweep`` only tidies."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: WebSessionRow) -> None:
        """Add a session."""
        self._db.insert(web_sessions, fields_of(row))

    def get(self, token_sha256: str) -> WebSessionRow | None:
        """A session by the digest of its token, expired or not."""
        row = self._db.one(sa.select(web_sessions).where(web_sessions.c.token_sha256 == token_sha256))
        return None if row is None else WebSessionRow(**row)

    def touch(self, token_sha256: str, at: datetime, expires_at: datetime) -> None:
        """Record that the session was used; a removed session stays removed."""
        statement = web_sessions.update().where(web_sessions.c.token_sha256 == token_sha256)
        self._db.execute(statement.values(seen_at=at, expires_at=expires_at))

    def remove(self, token_sha256: str) -> None:
        """End one session."""
        self._db.execute(web_sessions.delete().where(web_sessions.c.token_sha256 == token_sha256))

    def remove_of(self, agent: AgentId) -> None:
        """End every session of an agent."""
        self._db.execute(web_sessions.delete().where(web_sessions.c.agent == agent))

    def sweep(self, now: datetime) -> int:
        """Remove sessions that have expired; tells how many."""
        return self._db.count(web_sessions.delete().where(web_sessions.c.expires_at <= now))


class Settings:
    """Small texts that the service keeps for itself."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def get(self, name: str) -> str | None:
        """The value, or None."""
        value: str | None = self._db.scalar(sa.select(settings.c.value).where(settings.c.name == name))
        return value

    def drop(self, name: str) -> None:
        """Forget a value; nothing when there is none."""
        self._db.execute(settings.delete().where(settings.c.name == name))

    def put(self, name: str, value: str) -> None:
        """Set or replace."""
        self._db.upsert(settings, {"name": name, "value": value})


class ClockMarks:
    """The latest time this home has seen, so that a clock set back is noticed (promise 9)."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def highest(self) -> datetime | None:
        """The mark, or None in a new home."""
        mark: datetime | None = self._db.scalar(sa.select(clock_marks.c.at))
        return mark

    def raise_to(self, at: datetime) -> None:
        """Move the mark later; an earlier time is ignored."""
        if not self._db.insert_new(clock_marks, {"id": 1, "at": at}):
            self._db.execute(clock_marks.update().where(clock_marks.c.at < at).values(at=at))

    def set_to(self, at: datetime) -> None:
        """Move the mark in either direction: it was raised by a clock that was wrong then."""
        self._db.upsert(clock_marks, {"id": 1, "at": at})
