"""The brake on removals: one row that says whether bytes may go, and how much went in each of the last hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import brakes, removal_hours

_ROW = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeRow:
    """How the brake stands.

    Attributes:
        pulled: Whether removals are stopped.
        cause: Why it stands so: a code (``person``, ``volume``, ``inventory-drop``), empty in a new home.
        agent: Identity of the person who changed it last; empty when the service did.
        detail: What was said about it.
        since: When it changed last; None in a new home.
    """

    pulled: bool = False
    cause: str = ""
    agent: str = ""
    detail: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """How much went within a time."""

    objects: int
    size_bytes: int


class Brakes:
    """The brake's row and the count of removals by hour."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def look(self) -> BrakeRow:
        """How it stands, without a lock: for showing."""
        return self._row(sa.select(brakes).where(brakes.c.id == _ROW))

    def take(self) -> BrakeRow:
        """How it stands, with its lock: until this transaction ends nobody else removes or changes it.

        On SQLite the write transaction itself is that lock.
        """
        self._db.insert_new(brakes, {"id": _ROW})
        return self._row(sa.select(brakes).where(brakes.c.id == _ROW).with_for_update())

    def put(self, row: BrakeRow) -> None:
        """Set it; call :meth:`take` first in the same transaction."""
        values = {
            "pulled": row.pulled, "cause": row.cause, "agent": row.agent, "detail": row.detail, "since": row.since,
        }  # fmt: skip
        self._db.upsert(brakes, {"id": _ROW, **values})

    def _row(self, statement: sa.Select[tuple[object, ...]]) -> BrakeRow:
        row = self._db.one(statement)
        return BrakeRow() if row is None else BrakeRow(**{name: value for name, value in row.items() if name != "id"})

    def count(self, at: datetime, *, objects: int, size_bytes: int) -> None:
        """Add to the hour of ``at``."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        here = removal_hours.c
        self._db.insert_new(removal_hours, {"hour": hour, "objects": 0, "size_bytes": 0, "all_objects": 0})
        self._db.execute(
            removal_hours.update()
            .where(here.hour == hour)
            .values(
                objects=here.objects + objects,
                size_bytes=here.size_bytes + size_bytes,
                all_objects=here.all_objects + objects,
            )
        )

    def count_late(self, at: datetime, *, objects: int) -> None:
        """Objects that leave a store only now, though they were counted when that was decided: for who takes inventories."""
        self.count(at, objects=0, size_bytes=0)
        here = removal_hours.c
        hour = at.replace(minute=0, second=0, microsecond=0)
        self._db.execute(removal_hours.update().where(here.hour == hour).values(all_objects=here.all_objects + objects))

    def removed_since(self, since: datetime) -> Removed:
        """What went since then; the hour in which ``since`` lies counts whole."""
        here = removal_hours.c
        row = self._db.one(
            sa.select(
                sa.func.coalesce(sa.func.sum(here.objects), 0).label("objects"),
                sa.func.coalesce(sa.func.sum(here.size_bytes), 0).label("size_bytes"),
            ).where(here.hour > since - timedelta(hours=1))
        )
        return Removed(0, 0) if row is None else Removed(int(row["objects"]), int(row["size_bytes"]))

    def all_since(self, since: datetime) -> int:
        """Objects that went since then, whatever was released meanwhile; the hour in which ``since`` lies counts whole."""
        here = removal_hours.c
        statement = sa.select(sa.func.coalesce(sa.func.sum(here.all_objects), 0))
        return int(self._db.scalar(statement.where(here.hour > since - timedelta(hours=1))))

    def begin_anew(self) -> None:
        """Count towards the day's allowance from nothing (a person looked and lets removals go on)."""
        self._db.execute(removal_hours.update().values(objects=0, size_bytes=0))

    def drop_counts(self, before: datetime) -> None:
        """Remove what was counted before a moment."""
        self._db.execute(removal_hours.delete().where(removal_hours.c.hour < before))
