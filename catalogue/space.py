"""How full stores were, hour by hour. No evidence: only the forecast rests on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema_of_keeping import space_samples

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSample:
    """One look at a store's room."""

    store: str
    at: datetime
    total_bytes: int
    free_bytes: int


class SpaceSamples:
    """Samples of stores' room."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, sample: SpaceSample) -> None:
        """Keep one; a second of the same store and time replaces it, and those that a wrong clock dated days later go."""
        here = space_samples.c
        self._db.execute(space_samples.delete().where(here.store == sample.store, here.at > sample.at + _A_DAY))
        self._db.upsert(
            space_samples,
            {
                "store": sample.store,
                "at": sample.at,
                "total_bytes": sample.total_bytes,
                "free_bytes": sample.free_bytes,
            },
        )

    def since(self, store: str, at: datetime) -> list[SpaceSample]:
        """Samples of a store from a moment on, oldest first."""
        here = space_samples.c
        statement = sa.select(space_samples).where(here.store == store, here.at >= at).order_by(here.at)
        return [SpaceSample(**row) for row in self._db.all(statement)]

    def newest(self, store: str) -> SpaceSample | None:
        """The last one of a store."""
        here = space_samples.c
        row = self._db.one(sa.select(space_samples).where(here.store == store).order_by(here.at.desc()).limit(1))
        return None if row is None else SpaceSample(**row)

    def forget(self, before: datetime) -> int:
        """Forget samples that are older; tells how many."""
        return self._db.count(space_samples.delete().where(space_samples.c.at < before))
