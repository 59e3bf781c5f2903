"""Counts by department over a span of time, for statistics (R20). Counts only: nobody and nothing is named."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import entries, matters, recording_rules, recordings
from evidence.ids import UnitId
from evidence.model import RecordingState, Visibility

#: Department -> name of a figure -> number.
Counted = dict[UnitId | None, dict[str, int]]
_KEPT = (RecordingState.STORED, RecordingState.RELEASED)
_COMING = (
    RecordingState.DISCOVERED,
    RecordingState.ACQUIRING,
    RecordingState.INTERRUPTED,
    RecordingState.ACQUIRED,
)


class Statistics:
    """Figures, in one transaction.

    ``seen`` narrows to the departments somebody may know of; what belongs to none is counted only for who sees everything.
    """

    def __init__(self, db: Db) -> None:
        self._db = db

    def received(self, begins: datetime, ends: datetime, seen: Visibility) -> Counted:
        """Recordings stored in the span: how many, their bytes and length, and how many of them in time (R4)."""
        here = recordings.c
        in_time = sa.case((here.stored_at <= here.deadline_at, 1), else_=0)
        late = sa.case((here.stored_at > here.deadline_at, 1), else_=0)
        return self._by_unit(
            sa.select(
                here.unit, sa.func.count().label("received"), sa.func.sum(here.size_bytes).label("received_bytes"),
                sa.func.sum(sa.func.coalesce(here.duration_ms, 0)).label("received_ms"),
                sa.func.sum(in_time).label("in_time"), sa.func.sum(late).label("late"),
                sa.func.sum(sa.case((here.deadline_at.is_(None), 1), else_=0)).label("no_deadline"),
                sa.func.sum(sa.case((here.important.is_(True), 1), else_=0)).label("marked"),
            ).where(here.stored_at >= begins, here.stored_at < ends, _of_recordings(seen)),
            here.unit,
        )  # fmt: skip

    def backlog(self, now: datetime, seen: Visibility) -> Counted:
        """What is not stored yet at this moment, and how much of it is overdue."""
        here = recordings.c
        overdue = sa.case((here.deadline_at <= now, 1), else_=0)
        return self._by_unit(
            sa.select(here.unit, sa.func.count().label("waiting"), sa.func.sum(overdue).label("overdue")).where(
                here.state.in_(_COMING), _of_recordings(seen)
            ),
            here.unit,
        )

    def kept(self, seen: Visibility) -> Counted:
        """What is kept at this moment: how many, their bytes, not classified, long-term."""
        here, rules = recordings.c, recording_rules.c
        joined = recordings.outerjoin(recording_rules, rules.recording == here.id)
        unclassified = sa.case((sa.func.coalesce(rules.category, "") == "", 1), else_=0)
        long_term = sa.case((rules.long_term.is_(True), 1), else_=0)
        return self._by_unit(
            sa.select(
                here.unit, sa.func.count().label("kept"), sa.func.sum(here.size_bytes).label("kept_bytes"),
                sa.func.sum(unclassified).label("unclassified"), sa.func.sum(long_term).label("long_term"),
            )
            .select_from(joined)
            .where(here.state.in_(_KEPT), rules.disposing_at.is_(None), _of_recordings(seen)),
            here.unit,
        )  # fmt: skip

    def cleared(self, begins: datetime, ends: datetime, seen: Visibility) -> Counted:
        """What was lawfully cleared in the span."""
        here, rules = recordings.c, recording_rules.c
        return self._by_unit(
            sa.select(here.unit, sa.func.count().label("cleared"), sa.func.sum(here.size_bytes).label("cleared_bytes"))
            .select_from(recordings.join(recording_rules, rules.recording == here.id))
            .where(rules.disposed_at >= begins, rules.disposed_at < ends, _of_recordings(seen)),
            here.unit,
        )

    def matters(
        self, kinds: Collection[str], begins: datetime, ends: datetime, seen: Visibility
    ) -> dict[tuple[UnitId | None, str, str], int]:
        """Matters opened in the span, by department, kind and state."""
        here = matters.c
        statement = (
            sa.select(here.unit, here.kind, here.state, sa.func.count().label("number"))
            .where(here.kind.in_(list(kinds)), here.opened_at >= begins, here.opened_at < ends, _of_matters(seen))
            .group_by(here.unit, here.kind, here.state)
        )
        return {(row["unit"], row["kind"], row["state"]): int(row["number"]) for row in self._db.all(statement)}

    def facts(
        self, kind: str, begins: datetime, ends: datetime, seen: Visibility, take: Callable[[Any], str]
    ) -> dict[tuple[UnitId | None, str], int]:
        """Matters of a kind opened in the span, by department and by what ``take`` makes of their public facts."""
        here = matters.c
        statement = sa.select(here.unit, here.facts).where(
            here.kind == kind, here.opened_at >= begins, here.opened_at < ends, _of_matters(seen)
        )
        counted: dict[tuple[UnitId | None, str], int] = {}
        for row in self._db.all(statement):
            place = (row["unit"], take(row["facts"]))
            counted[place] = counted.get(place, 0) + 1
        return counted

    def uses(self, begins: datetime, ends: datetime, seen: Visibility) -> Counted:
        """Looks at archived footage under a grant, by the department of the grant (R17)."""
        here = entries.c
        return self._by_unit(
            sa.select(matters.c.unit, sa.func.count().label("uses"))
            .select_from(entries.join(matters, matters.c.id == here.matter))
            .where(
                here.event_type == "access.allowed", here.matter != "", here.at >= begins, here.at < ends, _of_matters(seen)
            ),
            matters.c.unit,
        )  # fmt: skip

    def _by_unit(self, statement: sa.Select[Any], unit: sa.ColumnElement[Any]) -> Counted:
        counted: Counted = {}
        for row in self._db.all(statement.group_by(unit)):
            figures = {name: int(value or 0) for name, value in row.items() if name != "unit"}
            counted[row["unit"]] = figures
        return counted


def _of_recordings(seen: Visibility) -> sa.ColumnElement[bool]:
    if seen.everything:
        return recordings.c.state != RecordingState.DUPLICATE
    return sa.and_(recordings.c.unit.in_(sorted(seen.units)), recordings.c.state != RecordingState.DUPLICATE)


def _of_matters(seen: Visibility) -> sa.ColumnElement[bool]:
    return sa.true() if seen.everything else matters.c.unit.in_(sorted(seen.units))
