"""Counting the copies of a store without reading a row of every blob.

With a million blobs a look at each of them by its digest takes SQLite ten seconds and more, for rows lie in the order of arrival
and digests are scattered. So what a store does *not* have is found by walking two indexes in the order of their digests, and only
those few rows are read; a store that has less than half of everything is counted directly.
"""

from __future__ import annotations

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import blob_copies, blob_holders, blobs


def without_copy(store: str) -> sa.CTE:
    """Digests of all blobs without a copy in a store (``sha256``), found once."""
    here = blob_copies.c
    there = sa.exists(sa.select(sa.literal(1)).where(here.sha256 == blobs.c.sha256, here.store == store))
    return sa.select(blobs.c.sha256).where(~there).cte("without_copy").prefix_with("MATERIALIZED")


def is_held() -> sa.ColumnElement[bool]:
    """Whether somebody holds a blob."""
    return sa.exists(sa.select(sa.literal(1)).where(blob_holders.c.sha256 == blobs.c.sha256))


def held_in(db: Db, store: str) -> tuple[int, int]:
    """How many copies a store has, and their bytes."""
    here = blob_copies.c
    copies = int(db.scalar(sa.select(sa.func.count()).select_from(blob_copies).where(here.store == store)))
    many = sa.func.count().label("many")
    size = sa.func.coalesce(sa.func.sum(blobs.c.size_bytes), 0).label("size")
    everything = db.all(sa.select(many, size).select_from(blobs))[0]
    if copies * 2 < everything["many"]:
        joined = blob_copies.join(blobs, blobs.c.sha256 == here.sha256)
        return copies, int(db.scalar(sa.select(size).select_from(joined).where(here.store == store)))
    lacks = without_copy(store)
    rest = db.scalar(sa.select(size).select_from(lacks.join(blobs, blobs.c.sha256 == lacks.c.sha256)))
    return copies, int(everything["size"]) - int(rest)


def lacking_in(db: Db, store: str) -> tuple[int, int]:
    """How many blobs that somebody holds have no copy in a store, and their bytes."""
    lacks = without_copy(store)
    size = sa.func.coalesce(sa.func.sum(blobs.c.size_bytes), 0).label("size")
    joined = lacks.join(blobs, blobs.c.sha256 == lacks.c.sha256)
    row = db.all(sa.select(sa.func.count().label("many"), size).select_from(joined).where(is_held()))[0]
    return int(row["many"]), int(row["size"])
