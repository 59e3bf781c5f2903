"""Recordings that no case and no working material holds yet: the worklist of whoever recorded them (R15)."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import matter_links, matters, recording_rules, recordings
from catalogue.search import visible
from evidence.ids import AgentId, RecordingId
from evidence.model import RecordingState, Visibility

_HERE = (RecordingState.STORED, RecordingState.RELEASED)


class Sorting:
    """What waits to be sorted, in one transaction."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def unsorted(
        self, kinds: Collection[str], *, seen: Visibility, officer: AgentId | None = None,
        after: RecordingId | None = None, limit: int = 50,
    ) -> list[RecordingId]:  # fmt: skip
        """Stored recordings that no matter of these kinds links, oldest first.

        Side files, duplicates and what was cleared are left out: they follow another recording, or are gone.

        Args:
            kinds: Kinds of matters that sort.
            seen: Only those that may be seen.
            officer: Only those of this person.
            after: The last of the page before.
            limit: Most of them.
        """
        here = recordings.c
        statement = sa.select(here.id).where(*self._waiting(kinds), *visible(seen))
        if officer is not None:
            statement = statement.where(here.officer == officer)
        if after is not None:
            statement = statement.where(here.id > after)
        return [row["id"] for row in self._db.all(statement.order_by(here.id).limit(limit))]

    def count(self, kinds: Collection[str], *, seen: Visibility, officer: AgentId | None = None, cap: int) -> int:
        """How many there are, counted up to ``cap``."""
        statement = sa.select(recordings.c.id).where(*self._waiting(kinds), *visible(seen))
        if officer is not None:
            statement = statement.where(recordings.c.officer == officer)
        return int(self._db.scalar(sa.select(sa.func.count()).select_from(statement.limit(cap).subquery())))

    @staticmethod
    def _waiting(kinds: Collection[str]) -> list[sa.ColumnElement[bool]]:
        here = recordings.c
        sorted_in = (
            sa.select(sa.literal(1))
            .select_from(matter_links.join(matters, matters.c.id == matter_links.c.matter))
            .where(matter_links.c.target == here.id, matters.c.kind.in_(sorted(kinds)))
        )
        gone = sa.select(sa.literal(1)).where(
            recording_rules.c.recording == here.id, recording_rules.c.disposing_at.is_not(None)
        )
        return [here.state.in_(_HERE), here.attached_to.is_(None), ~sorted_in.exists(), ~gone.exists()]
