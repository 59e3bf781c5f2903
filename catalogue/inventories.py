"""What was counted in each store, day by day, and the digests the catalogue expects there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from catalogue.db import CHUNK, Db
from catalogue.schema import blob_copies, blobs, inventories
from catalogue.values import fields_of
from evidence.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryRow:
    """One count of one store.

    Attributes:
        store: The store.
        at: When its listing began.
        objects: How many objects it holds.
        size_bytes: Their bytes, as far as the catalogue knows their sizes.
        digest: SHA-256 over the ascending list of all digests, hexadecimal, one a line.
        missing: Copies the catalogue states and the store lacks.
        unknown: Objects in the store that nobody refers to.
        outcome: ``good``, ``missing`` or ``drop``.
    """

    store: str
    at: datetime
    objects: int
    size_bytes: int
    digest: str
    missing: int = 0
    unknown: int = 0
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """A copy that a store should hold."""

    sha256: Digest
    size_bytes: int
    read_back_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fullest:
    """The most objects, and the most bytes, that the newest counts found in one store."""

    objects: int
    size_bytes: int


class Inventories:
    """Counts of stores."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: InventoryRow) -> None:
        """Add a count; StateConflictError when that store has one of that very moment."""
        here = inventories.c
        # One that is dated later was dated by a wrong clock: it would pass for the newest for years.
        self._db.execute(inventories.delete().where(here.store == row.store, here.at > row.at))
        self._db.insert(inventories, fields_of(row))

    def newest(self, store: str) -> InventoryRow | None:
        """The last count of a store."""
        row = self._db.one(
            sa.select(inventories).where(inventories.c.store == store).order_by(inventories.c.at.desc()).limit(1)
        )
        return None if row is None else InventoryRow(**row)

    def fullest(self) -> Fullest:
        """Of the newest count of every store, the most; zeros where nothing was counted yet."""
        here = inventories.c
        newest = sa.select(here.store, sa.func.max(here.at).label("at")).group_by(here.store).subquery()
        row = self._db.one(
            sa.select(
                sa.func.coalesce(sa.func.max(here.objects), 0).label("objects"),
                sa.func.coalesce(sa.func.max(here.size_bytes), 0).label("size_bytes"),
            ).select_from(inventories.join(newest, sa.and_(here.store == newest.c.store, here.at == newest.c.at)))
        )
        return Fullest(0, 0) if row is None else Fullest(int(row["objects"]), int(row["size_bytes"]))

    def expected_page(self, store: str, *, after: Digest | None, limit: int = CHUNK) -> list[Expected]:
        """Copies the catalogue states for a store, ascending by digest, those after one digest."""
        here = blob_copies.c
        statement = (
            sa.select(here.sha256, blobs.c.size_bytes, here.read_back_at)
            .select_from(blob_copies.join(blobs, blobs.c.sha256 == here.sha256))
            .where(here.store == store)
            .order_by(here.sha256)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(here.sha256 > after)
        return [Expected(**row) for row in self._db.all(statement)]

    def history(self, store: str, *, limit: int) -> Iterator[InventoryRow]:
        """The newest counts of a store, newest first."""
        statement = sa.select(inventories).where(inventories.c.store == store)
        for row in self._db.all(statement.order_by(inventories.c.at.desc()).limit(limit)):
            yield InventoryRow(**row)
