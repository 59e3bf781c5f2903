"""Which long-term recordings wait for a disc. A question only.

Source: RULES R11, R12.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import matter_links, matters, recording_rules, recordings, rule_dates
from catalogue.search import visible
from evidence.ids import RecordingId
from evidence.model import RecordingState, Visibility

_KEPT = (RecordingState.STORED, RecordingState.RELEASED)


class DiscQueue:
    """Questions about long-term footage and its discs."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def waiting(
        self, *, kind: str, role: str, closed: Collection[str], seen: Visibility | None = None,
        after: RecordingId | None = None, limit: int,
    ) -> list[RecordingId]:  # fmt: skip
        """Recordings of the long-term class or with a flag of R11 that are in no disc set, oldest first.

        Args:
            kind: The kind of matter that a disc set is.
            role: The link by which it names its recordings.
            closed: States of sets that do not count.
            seen: Only those that may be seen; None for all.
            after: Where the page before ended.
            limit: Most rows.
        """
        here, said, date = recordings.c, recording_rules.c, rule_dates.c
        in_a_set = sa.exists().where(
            matter_links.c.target == sa.type_coerce(here.id, sa.Text), matter_links.c.role == role,
            matters.c.id == matter_links.c.matter, matters.c.kind == kind, matters.c.state.not_in(list(closed)),
        )  # fmt: skip
        flagged = sa.or_(
            said.long_term.is_(True), said.complaint.is_(True), said.obstruction.is_(True), said.sensitive.is_(True)
        )
        wanted = sa.union(
            sa.select(said.recording).where(flagged), sa.select(date.recording).where(date.state == "permanent")
        ).subquery()  # fmt: skip
        gone = sa.exists().where(said.recording == here.id, said.disposing_at.is_not(None))
        statement = (
            sa.select(here.id)
            .select_from(recordings.join(wanted, wanted.c.recording == here.id))
            .where(here.state.in_(_KEPT), ~gone, ~in_a_set)
            .order_by(here.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(here.id > after)
        if seen is not None:
            statement = statement.where(*visible(seen))
        return [row["id"] for row in self._db.all(statement)]
