"""Moves of copies from one store to another: where each stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import store_moves
from catalogue.values import changes, fields_of
from evidence.errors import NotFoundError, StateConflictError

COPYING: Final = "copying"
SWITCHED: Final = "switched"
FINISHING: Final = "finishing"
ENDED: Final = "ended"
STOPPED: Final = "stopped"
#: A move in one of these states is under way.
UNDER_WAY: Final = frozenset({COPYING, SWITCHED, FINISHING})
#: A store that is the source of a move in one of these states is an old one: it is read, and counts for no policy.
OLD: Final = frozenset({SWITCHED, FINISHING, ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMoveRow:
    """One move. ``detail`` is a JSON text of its workflow."""

    id: str
    source: str
    target: str
    state: str
    started_at: datetime
    switched_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""


class StoreMoves:
    """Rows about moves."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: StoreMoveRow) -> None:
        """Add one; StateConflictError while another is under way: one at a time, so that nobody loses count of copies."""
        standing = self.under_way()
        if standing is not None:
            raise StateConflictError(
                f"copies already move from {standing.source} to {standing.target}",
                todo="Finish or stop that move first (`liuhen storage migrate --status`).",
            )
        self._db.insert(store_moves, fields_of(row))

    def under_way(self) -> StoreMoveRow | None:
        """The move that is under way."""
        found = [row for row in self.all() if row.state in UNDER_WAY]
        return found[-1] if found else None

    def all(self) -> list[StoreMoveRow]:
        """Every move, oldest first."""
        statement = sa.select(store_moves).order_by(store_moves.c.started_at, store_moves.c.id)
        return [StoreMoveRow(**row) for row in self._db.all(statement)]

    def get(self, identity: str) -> StoreMoveRow:
        """One; NotFoundError. On PostgreSQL its row is locked until the transaction ends."""
        row = self._db.one(sa.select(store_moves).where(store_moves.c.id == identity).with_for_update())
        if row is None:
            raise NotFoundError("no such move of copies")
        return StoreMoveRow(**row)

    def update(self, identity: str, **columns: Any) -> StoreMoveRow:
        """Set columns; NotFoundError."""
        values = changes(StoreMoveRow, columns, forbidden={"id", "source", "target", "started_at"})
        if self._db.count(store_moves.update().where(store_moves.c.id == identity).values(**values)) == 0:
            raise NotFoundError("no such move of copies")
        return self.get(identity)

    def emptied(self) -> frozenset[str]:
        """The store whose bytes are being removed because it is given up: nobody renews locks there, so that they can lapse."""
        move = self.under_way()
        if move is None or move.state != FINISHING:
            return frozenset()
        try:
            detail = json.loads(move.detail or "{}")
        except ValueError:
            return frozenset()
        return frozenset({move.source}) if isinstance(detail, dict) and detail.get("remove") is True else frozenset()

    def old(self) -> frozenset[str]:
        """Stores that were switched away from and whose latest move was not stopped since."""
        latest = {row.source: row.state in OLD for row in self.all()}
        return frozenset(name for name, is_old in latest.items() if is_old)
