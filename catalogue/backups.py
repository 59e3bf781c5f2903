"""Backups that were made of this home and of its keys: what pages and checks tell of them. They are no evidence; entries are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import backups
from catalogue.values import changes, fields_of
from evidence.errors import NotFoundError

#: Kinds of backups.
HOME = "home"
KEYS = "keys"
#: Outcome of one that was written, read back and found good.
GOOD = "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRow:
    """One backup.

    Attributes:
        id: Its name, made by whoever makes it.
        kind: ``home`` or ``keys``.
        place: Where it was written to.
        started_at: Everything older than this is in it.
        ended_at: None while it runs, or when the process died.
        outcome: ``good`` when it was read back and matched; else a stable code of why not.
        log_size: Size of the log it holds.
        size_bytes: Its size.
        encrypted: Whether it is.
        detail: For a person.
    """

    id: str
    kind: str
    place: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = ""
    log_size: int = 0
    size_bytes: int = 0
    encrypted: bool = False
    detail: str = ""


class Backups:
    """Backups that were made."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: BackupRow) -> None:
        """Add one; StateConflictError when its name is taken."""
        self._db.insert(backups, fields_of(row))

    def update(self, backup: str, **columns: Any) -> None:
        """Change columns of one; NotFoundError when there is none of that name."""
        values = changes(BackupRow, columns, forbidden=("id", "kind"))
        if not self._db.count(backups.update().where(backups.c.id == backup).values(**values)):
            raise NotFoundError(f"no backup is called {backup[:64]!r}")

    def newest(self, kind: str, *, good: bool = True) -> BackupRow | None:
        """The one that ended last, of the good ones unless told otherwise."""
        here = backups.c
        statement = sa.select(backups).where(here.kind == kind, here.ended_at.is_not(None))
        if good:
            statement = statement.where(here.outcome == GOOD)
        row = self._db.one(statement.order_by(here.ended_at.desc(), here.id.desc()).limit(1))
        return BackupRow(**row) if row is not None else None

    def recent(self, kind: str, *, limit: int = 20) -> list[BackupRow]:
        """The newest, whatever came of them."""
        statement = sa.select(backups).where(backups.c.kind == kind)
        ordered = statement.order_by(backups.c.started_at.desc(), backups.c.id.desc()).limit(limit)
        return [BackupRow(**row) for row in self._db.all(ordered)]
