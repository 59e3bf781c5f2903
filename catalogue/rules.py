"""What persons and approved acts said of each recording, and until when it is kept, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.schema import recording_rules, recordings, rule_dates
from catalogue.search import unclassified, visible
from catalogue.values import changes, fields_of
from evidence.errors import CatalogueError
from evidence.ids import AgentId, EntryId, MatterId, RecordingId, UnitId
from evidence.model import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesRow:
    """What was said of one recording; the defaults are those of one nobody has said anything of yet.

    Attributes:
        recording: Which.
        category: Of the schedule; empty while nobody classified it.
        item: Entry of the bureau's list of what is to be recorded.
        basis: How it came to its category (``person``, ``bulk``, ``case``, ``import``).
        classified_at: When.
        classified_by: Who.
        complaint: The party objects and may complain (R11).
        obstruction: Evasion, refusal, obstruction, insult, assault (R11).
        sensitive: Other major or sensitive circumstances (R11).
        long_term: To be kept for the long term.
        archived_at: From then on its use needs consent (R17).
        archived_reason: ``case``, ``working-material``, ``time``.
        disposing_at: The point of no return was passed.
        disposed_at: Its bytes are gone.
        disposal: The matter it was disposed of in.
        disposed_entry: The entry that is its tombstone.
    """

    recording: RecordingId
    category: str = ""
    item: str = ""
    basis: str = ""
    classified_at: datetime | None = None
    classified_by: AgentId | None = None
    complaint: bool = False
    obstruction: bool = False
    sensitive: bool = False
    long_term: bool = False
    archived_at: datetime | None = None
    archived_reason: str = ""
    disposing_at: datetime | None = None
    disposed_at: datetime | None = None
    disposal: MatterId | None = None
    disposed_entry: EntryId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRow:
    """Until when a recording is kept, as last computed.

    Attributes:
        recording: Which.
        state: The decision's state.
        due_at: From then on it may be proposed for clearing; None while there is no date.
        last_day: The last day it is kept (a date of the bureau), empty while there is none.
        why: The decision's reasons.
        schedule: The version of the schedule it was computed by.
        computed_at: When; None before the first time.
        stale: Something has changed since.
    """

    recording: RecordingId
    state: str = ""
    due_at: datetime | None = None
    last_day: str = ""
    why: Sequence[Any] = ()
    schedule: str = ""
    computed_at: datetime | None = None
    stale: bool = False


class RecordingRules:
    """Rows of :class:`RulesRow` and :class:`DateRow`. Whoever changes a recording's rules locks its row first."""

    def __init__(self, db: Db) -> None:
        self._db = db

    # --- what was said ------------------------------------------------------------------------------------------------
    def of(self, recording: RecordingId) -> RulesRow:
        """What was said of a recording."""
        row = self._db.one(sa.select(recording_rules).where(recording_rules.c.recording == recording))
        return RulesRow(**row) if row is not None else RulesRow(recording=recording)

    def of_each(self, wanted: Collection[RecordingId]) -> dict[RecordingId, RulesRow]:
        """As :meth:`of` for many; every one asked for is in the answer."""
        found: dict[RecordingId, RulesRow] = {one: RulesRow(recording=one) for one in wanted}
        for part in chunks(wanted):
            for row in self._db.all(sa.select(recording_rules).where(recording_rules.c.recording.in_(list(part)))):
                found[row["recording"]] = RulesRow(**row)
        return found

    def lock(self, recording: RecordingId) -> RulesRow:
        """As :meth:`of`, and nobody else changes it, its holds or its links before this transaction ends."""
        self._db.insert_new(recording_rules, {"recording": recording})
        statement = sa.select(recording_rules).where(recording_rules.c.recording == recording).with_for_update()
        row = self._db.one(statement)
        if row is None:
            raise CatalogueError(f"the rules of {recording} vanished")
        return RulesRow(**row)

    def change(self, recording: RecordingId, **columns: Any) -> RulesRow:
        """Change what was said; the date is stale from then on. Lock it first."""
        values = changes(RulesRow, columns, forbidden=("recording",))
        before = self.lock(recording)
        self._db.execute(recording_rules.update().where(recording_rules.c.recording == recording).values(**values))
        self.mark_stale([recording])
        return RulesRow(**{**fields_of(before), **values})

    def unclassified_of(self, officer: AgentId, *, limit: int, cap: int = 10_000) -> tuple[list[RecordingId], int]:
        """An officer's stored recordings that nobody has classified, the oldest first, and how many (counted up to ``cap``).

        Side files follow their recording and are not sorted by themselves.
        """
        here = recordings.c
        wanted = [here.officer == officer, *unclassified()]
        found = sa.select(here.id).where(*wanted).order_by(here.sort_at, here.id).limit(limit)
        counted = sa.select(here.id).where(*wanted).limit(cap).subquery()
        total = int(self._db.scalar(sa.select(sa.func.count()).select_from(counted)))
        return [row["id"] for row in self._db.all(found)], total

    def put(self, row: RulesRow) -> None:
        """Write a row as it is (a rebuild)."""
        self._db.upsert(recording_rules, fields_of(row))

    # --- dates --------------------------------------------------------------------------------------------------------
    def date_of(self, recording: RecordingId) -> DateRow | None:
        """The date as last computed; None when it never was."""
        row = self._db.one(sa.select(rule_dates).where(rule_dates.c.recording == recording))
        return DateRow(**row) if row is not None else None

    def dates_of(self, wanted: Collection[RecordingId]) -> dict[RecordingId, DateRow]:
        """As :meth:`date_of` for many; those never computed are left out."""
        found: dict[RecordingId, DateRow] = {}
        for part in chunks(wanted):
            for row in self._db.all(sa.select(rule_dates).where(rule_dates.c.recording.in_(list(part)))):
                found[row["recording"]] = DateRow(**row)
        return found

    def put_date(self, row: DateRow) -> None:
        """Write a date."""
        values: Mapping[str, Any] = {**fields_of(row), "why": list(row.why)}
        self._db.upsert(rule_dates, values)

    def put_dates(self, rows: Sequence[DateRow]) -> None:
        """As :meth:`put_date` for many."""
        self._db.upsert_all(rule_dates, [{**fields_of(row), "why": list(row.why)} for row in rows])

    def mark_stale(self, recordings: Collection[RecordingId]) -> None:
        """Something that concerns these recordings has changed: their dates are computed anew."""
        # In one order for everybody: two that mark the same rows must not wait for each other.
        self._db.upsert_all(rule_dates, [{"recording": one, "stale": True} for one in sorted(set(recordings))])

    def stale(self, *, limit: int) -> list[RecordingId]:
        """Recordings whose dates are to be computed."""
        here = rule_dates.c
        statement = sa.select(here.recording).where(here.stale.is_(True)).order_by(here.recording).limit(limit)
        return [row["recording"] for row in self._db.all(statement)]

    def due(
        self, *, before: datetime, limit: int, after: tuple[datetime, RecordingId] | None = None,
        seen: Visibility | None = None, unit: UnitId | None = None,
    ) -> list[DateRow]:  # fmt: skip
        """Recordings whose period has ended before a moment, the longest ago first. Touches only those.

        Args:
            before: The moment.
            limit: Most rows.
            after: Date and recording that the page before ended with.
            seen: Only those that may be seen; None for all.
            unit: Only those of this department.
        """
        here = rule_dates.c
        statement = sa.select(rule_dates).where(here.due_at.is_not(None), here.due_at < before)
        if seen is not None or unit is not None:
            narrowed = [*(visible(seen) if seen is not None else ()), *([recordings.c.unit == unit] if unit else ())]
            statement = statement.join(recordings, recordings.c.id == here.recording).where(*narrowed)
        if after is not None:
            statement = statement.where(sa.tuple_(here.due_at, here.recording) > sa.tuple_(*_bound(after)))
        ordered = statement.order_by(here.due_at, here.recording).limit(limit)
        return [DateRow(**row) for row in self._db.all(ordered)]


def _bound(after: tuple[datetime, RecordingId]) -> tuple[Any, Any]:
    here = rule_dates.c
    return sa.literal(after[0], here.due_at.type), sa.literal(after[1], here.recording.type)
