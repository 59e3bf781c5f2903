"""Recordings as rows. The row is the truth about where a recording stands; jobs only follow it.

A change of state names the states it starts from, so that a step that ran already, or a faster worker, is noticed instead
of being overwritten. ``sealed`` and ``stored_index`` are never written: they are read from the log's tables each time; when a
recording is cleared is read from its rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue import search
from catalogue.db import CHUNK, Db, chunks
from catalogue.records import NameRow, RecordingFilter, RecordingPage, RecordingRow
from catalogue.schema import entries, log_head, recording_names, recording_rules, recordings, rule_dates
from catalogue.search_index import SearchIndex
from catalogue.values import changes, fields_of
from evidence.digest import Digest
from evidence.errors import NotFoundError, StateConflictError
from evidence.ids import AgentId, DeviceId, OffloadId, RecordingId, UnitId
from evidence.model import RecordingKind, RecordingState, SourceKey, Visibility

_DERIVED = {"sealed", "stored_index", "disposing_at", "disposed_at"}
_FIXED = {"id", "state", "discovered_at", *_DERIVED}
_SEARCHED = {"name", "case_number", "officer", "officer_code", "unit", "device"}
_NOT_YET_STORED = (
    RecordingState.DISCOVERED,
    RecordingState.ACQUIRING,
    RecordingState.INTERRUPTED,
    RecordingState.ACQUIRED,
)
_KEPT = (RecordingState.ACQUIRED, RecordingState.STORED, RecordingState.RELEASED)
#: What its date of keeping rests on: a change of one has the date computed anew (``retention.recompute``).
_DATED = {"acquired_at", "deadline_at", "ended_at", "started_source", "important", "attached_to", "stored_at"}
_DATED_STATES = (RecordingState.STORED, RecordingState.RELEASED)

_FULL = sa.select(
    *[column for column in recordings.c if column.name != "sort_at"],
    entries.c.idx.label("stored_index"),
    recording_rules.c.disposing_at,
    recording_rules.c.disposed_at,
    sa.func.coalesce(entries.c.idx < sa.select(log_head.c.published_size).scalar_subquery(), sa.false()).label(
        "sealed"
    ),
).select_from(
    recordings.outerjoin(entries, entries.c.id == recordings.c.stored_entry).outerjoin(
        recording_rules, recording_rules.c.recording == recordings.c.id
    )
)


def _row(fields: Mapping[str, Any]) -> RecordingRow:
    values = dict(fields)
    source = SourceKey(
        **{name: values.pop(f"source_{name}") for name in ("storage", "path", "size_bytes", "mtime_raw")}
    )
    values["sealed"] = bool(values["sealed"])
    return RecordingRow(source=source, **values)


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in values.items() if name not in _DERIVED}
    if "source" in columns:
        source: SourceKey = columns.pop("source")
        columns |= {f"source_{name}": value for name, value in fields_of(source).items()}
    return columns


def _not_cleared() -> sa.ColumnElement[bool]:
    """Neither lawfully cleared nor past the point of no return; of :data:`_FULL`."""
    return recording_rules.c.disposing_at.is_(None)


class Recordings:
    """Rows about recordings."""

    def __init__(self, db: Db, index: SearchIndex) -> None:
        self._db = db
        self._index = index

    # --- one recording ---
    def add(self, row: RecordingRow) -> None:
        """Add a recording; StateConflictError when the identity is taken or what it refers to is not there."""
        columns = _columns(fields_of(row))
        self._db.insert(recordings, {**columns, "sort_at": row.started_at or row.discovered_at})
        self._index.refresh(row.id)

    def get(self, identity: RecordingId) -> RecordingRow:
        """One recording; NotFoundError."""
        return self._one(_FULL.where(recordings.c.id == identity), identity)

    def lock(self, identity: RecordingId) -> RecordingRow:
        """One recording, its row locked until the transaction ends (SQLite: the whole database already is)."""
        return self._one(_FULL.where(recordings.c.id == identity).with_for_update(of=recordings), identity)

    def change_state(
        self, identity: RecordingId, *, expect: Collection[RecordingState], to: RecordingState, **columns: Any
    ) -> RecordingRow:
        """Move a recording on and set columns with it.

        Raises:
            NotFoundError: No such recording.
            StateConflictError: It is in none of the states ``expect``; nothing was changed.
        """
        values = _columns(changes(RecordingRow, columns, forbidden=_FIXED)) if columns else {}
        moved = recordings.update().where(recordings.c.id == identity, recordings.c.state.in_(list(expect)))
        if self._db.count(moved.values(state=to, **self._sorted(values))) == 0:
            state = self.get(identity).state
            raise StateConflictError(
                f"{identity} is {state}, not {' or '.join(sorted(expect))}", kept="Nothing was changed."
            )
        return self._changed(identity, columns)

    def update(self, identity: RecordingId, **columns: Any) -> RecordingRow:
        """Set columns (named as the fields of RecordingRow) but never the state."""
        values = _columns(changes(RecordingRow, columns, forbidden=_FIXED))
        if self._db.count(recordings.update().where(recordings.c.id == identity).values(**self._sorted(values))) == 0:
            raise NotFoundError(f"no recording {identity}")
        return self._changed(identity, columns)

    @staticmethod
    def _sorted(values: dict[str, Any]) -> dict[str, Any]:
        if "started_at" in values:
            values["sort_at"] = values["started_at"] or recordings.c.discovered_at
        return values

    def _changed(self, identity: RecordingId, columns: Mapping[str, Any]) -> RecordingRow:
        if _SEARCHED & columns.keys():
            self._index.refresh(identity)
        row = self.get(identity)
        if row.state in _DATED_STATES and _DATED & columns.keys():
            self._db.upsert(rule_dates, {"recording": identity, "stale": True})
        return row

    # --- names ---
    def add_name(self, row: NameRow) -> None:
        """Add a name under which the bytes were seen; the same name, path and offload again changes nothing."""
        if self._db.insert_new(recording_names, fields_of(row)):
            self._index.refresh(row.recording)

    def names(self, identity: RecordingId) -> list[NameRow]:
        """Every name, first seen first."""
        here = recording_names.c
        statement = sa.select(*[column for column in here if column.name != "serial"]).where(here.recording == identity)
        return [NameRow(**row) for row in self._db.all(statement.order_by(here.seen_at, here.serial))]

    # --- what the pipeline asks ---
    def find_by_source(self, device: DeviceId, key: SourceKey) -> RecordingRow | None:
        """The latest recording with that identity on that device which was not released (its name may be used again).

        One that was lawfully cleared from the archive is none: its file on the recorder is read anew, and waits for a person.
        """
        here = recordings.c
        statement = _FULL.where(
            here.device == device,
            here.source_path == key.path,
            here.source_storage == key.storage,
            here.source_size_bytes == key.size_bytes,
            here.source_mtime_raw == key.mtime_raw,
            here.state != RecordingState.RELEASED,
            _not_cleared(),
        )
        found = self._list(statement.order_by(here.discovered_at.desc(), here.id.desc()).limit(1))
        return found[0] if found else None

    def kept_with(self, sha256: Digest) -> list[RecordingRow]:
        """Recordings whose bytes these are and which keep them (acquired, stored or released), oldest first."""
        here = recordings.c
        statement = _FULL.where(here.sha256 == sha256, here.state.in_(_KEPT))
        return self._list(statement.order_by(here.discovered_at, here.id))

    def by_state(self, states: Collection[RecordingState], *, limit: int = 1000) -> list[RecordingRow]:
        """Recordings in these states, earliest deadline first, those without a deadline last."""
        here = recordings.c
        statement = _FULL.where(here.state.in_(list(states)))
        return self._list(statement.order_by(here.deadline_at.asc().nulls_last(), here.id).limit(limit))

    def on_the_way(self, *, but: RecordingId) -> tuple[int, int]:
        """Bytes of all recordings but one that are still to be read here, and that are still to be copied from here."""
        here = recordings.c
        reading = here.state == RecordingState.ACQUIRING
        left = sa.case(
            (sa.and_(reading, here.size_bytes > here.bytes_acquired), here.size_bytes - here.bytes_acquired), else_=0
        )
        statement = sa.select(
            sa.func.coalesce(sa.func.sum(left), 0).label("to_read"),
            sa.func.coalesce(sa.func.sum(here.size_bytes), 0).label("to_copy"),
        ).where(here.state.in_((RecordingState.ACQUIRING, RecordingState.ACQUIRED)), here.id != but)
        row = self._db.all(statement)[0]
        return int(row["to_read"]), int(row["to_copy"])

    def unfinished(self) -> list[RecordingRow]:
        """What the reconciler must move on: acquired, or kept and not yet described; earliest deadline first."""
        here = recordings.c
        undescribed = sa.and_(
            here.state.in_((RecordingState.STORED, RecordingState.RELEASED)), here.described.is_(False), _not_cleared()
        )
        statement = _FULL.where(sa.or_(here.state == RecordingState.ACQUIRED, undescribed))
        return self._list(statement.order_by(here.deadline_at.asc().nulls_last(), here.id))

    def due(self, now: datetime) -> list[RecordingRow]:
        """Recordings not yet stored whose deadline has passed, most overdue first (R4)."""
        here = recordings.c
        statement = _FULL.where(here.state.in_(_NOT_YET_STORED), here.deadline_at <= now)
        return self._list(statement.order_by(here.deadline_at, here.id))

    def of_offload(self, offload: OffloadId) -> list[RecordingRow]:
        """Recordings first seen in a docking, in the order they were seen."""
        return self._list(_FULL.where(recordings.c.offload == offload).order_by(recordings.c.id))

    def of_device(self, device: DeviceId, *, states: Collection[RecordingState] = ()) -> list[RecordingRow]:
        """Recordings of a recorder, oldest first; ``states`` narrows, empty means all."""
        statement = _FULL.where(recordings.c.device == device)
        if states:
            statement = statement.where(recordings.c.state.in_(list(states)))
        return self._list(statement.order_by(recordings.c.sort_at, recordings.c.id))

    def unsealed_of(self, device: DeviceId) -> int:
        """How many recordings of a recorder are not handed in whole yet: not stored, or not covered by a published checkpoint."""
        here = recordings.c
        published = sa.select(log_head.c.published_size).scalar_subquery()
        open_ = sa.and_(
            here.state == RecordingState.STORED, sa.or_(entries.c.idx.is_(None), entries.c.idx >= published)
        )
        statement = (
            sa.select(sa.func.count())
            .select_from(recordings.outerjoin(entries, entries.c.id == here.stored_entry))
            .where(here.device == device, sa.or_(here.state.in_(_NOT_YET_STORED), open_))
        )
        return int(self._db.scalar(statement) or 0)

    def overlapping(self, officers: Collection[AgentId], begins: datetime, ends: datetime) -> list[RecordingRow]:
        """Recordings of these officers that touch a span of time, oldest first; without a known end the start counts."""
        here = recordings.c
        statement = _FULL.where(
            here.officer.in_(sorted(officers)), here.started_at < ends,
            sa.func.coalesce(here.ended_at, here.started_at) >= begins, here.state != RecordingState.DUPLICATE,
        )  # fmt: skip
        return self._list(statement.order_by(here.started_at, here.id))

    def of_period(
        self, begins: datetime, ends: datetime, *, unit: UnitId | None = None
    ) -> list[tuple[RecordingId, AgentId | None]]:
        """Kept video and sound recorded in a span of time, with their officers; of one department where it is named."""
        here = recordings.c
        joined = recordings.outerjoin(recording_rules, recording_rules.c.recording == here.id)
        statement = sa.select(here.id, here.officer).select_from(joined).where(
            here.sort_at >= begins, here.sort_at < ends, here.state.in_(_DATED_STATES),
            here.kind.in_((RecordingKind.VIDEO, RecordingKind.AUDIO)), _not_cleared(),
        )  # fmt: skip
        if unit is not None:
            statement = statement.where(here.unit == unit)
        return [(row["id"], row["officer"]) for row in self._db.all(statement.order_by(here.sort_at, here.id))]

    def attached(self, identity: RecordingId) -> list[RecordingRow]:
        """Side files of a recording."""
        return self._list(_FULL.where(recordings.c.attached_to == identity).order_by(recordings.c.id))

    def attached_each(self, identities: Collection[RecordingId]) -> list[RecordingRow]:
        """Side files of any of these recordings."""
        rows: list[RecordingRow] = []
        for part in chunks(sorted(identities)):
            here = recordings.c
            rows += self._list(_FULL.where(here.attached_to.in_(part), here.attached_to.is_not(None)))
        return rows

    # --- what people ask ---
    def search(
        self, wanted: RecordingFilter, visibility: Visibility, *, cursor: str = "", limit: int = 50, now: datetime
    ) -> RecordingPage:
        """One page of the recordings that match and may be seen, newest first (see :mod:`catalogue.search`)."""
        page = search.find(self._db, wanted, visibility, cursor=cursor, limit=limit, now=now)
        rows = {row.id: row for row in self._list(_FULL.where(recordings.c.id.in_(page.ids)))}
        found = [rows[identity] for identity in page.ids if identity in rows]
        return RecordingPage(rows=found, cursor=page.cursor, total=page.total, total_capped=page.total_capped)

    def seen(self, identities: Collection[RecordingId], visibility: Visibility) -> list[RecordingRow]:
        """Those of these recordings that may be seen, in no order."""
        rows: list[RecordingRow] = []
        for part in chunks(sorted(identities)):
            rows += self._list(_FULL.where(recordings.c.id.in_(part), *search.visible(visibility)))
        return rows

    def day(self, officer: AgentId, start: datetime, end: datetime) -> list[RecordingRow]:
        """An officer's recordings with start <= (start of the recording, else discovery) < end, in that order."""
        here = recordings.c
        statement = _FULL.where(here.officer == officer, here.sort_at >= start, here.sort_at < end)
        return self._list(statement.order_by(here.sort_at, here.id))

    def counts_by_state(self, visibility: Visibility) -> dict[RecordingState, int]:
        """How many recordings that may be seen are in each state; states without any are left out."""
        here = recordings.c
        statement = sa.select(here.state, sa.func.count().label("rows")).group_by(here.state)
        rows = self._db.all(statement.where(*search.visible(visibility)))
        return {row["state"]: row["rows"] for row in rows}

    def all_ids(self) -> Iterator[RecordingId]:
        """Every identity, oldest first, a chunk at a time."""
        here, after = recordings.c, ""
        while True:
            statement = sa.select(here.id).order_by(here.id).limit(CHUNK)
            rows = self._db.all(statement.where(here.id > after) if after else statement)
            yield from (row["id"] for row in rows)
            if len(rows) < CHUNK:
                return
            after = rows[-1]["id"]

    def kept_after(self, after: RecordingId | None, *, limit: int) -> list[RecordingRow]:
        """A slice of all recordings whose bytes are or were in the stores, by identity."""
        found = self.kept_ids_after(after, limit=limit)
        return self._list(_FULL.where(recordings.c.id.in_(found)).order_by(recordings.c.id)) if found else []

    def kept_ids_after(self, after: RecordingId | None, *, limit: int) -> list[RecordingId]:
        """As :meth:`kept_after`, identities only."""
        here = recordings.c
        statement = sa.select(here.id).where(here.state.in_(_DATED_STATES))
        if after is not None:
            statement = statement.where(here.id > after)
        return [row["id"] for row in self._db.all(statement.order_by(here.id).limit(limit))]

    def _one(self, statement: sa.Executable, identity: RecordingId) -> RecordingRow:
        row = self._db.one(statement)
        if row is None:
            raise NotFoundError(f"no recording {identity}")
        return _row(row)

    def _list(self, statement: sa.Executable) -> list[RecordingRow]:
        return [_row(row) for row in self._db.all(statement)]
