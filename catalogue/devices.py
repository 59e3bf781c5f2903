"""The ledger of recorders, and one row per docking."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.records import DeviceRow, OffloadRow
from catalogue.schema import devices, offloads, recordings
from catalogue.search_index import SearchIndex
from catalogue.values import changes, fields_of
from evidence.errors import NotFoundError
from evidence.ids import DeviceId, OffloadId
from evidence.limits import PAGE_ROWS_MAX
from evidence.model import OffloadState, Visibility


class Devices:
    """Recorders. Two rows with one serial are possible: they exist in the field and a person must decide."""

    def __init__(self, db: Db, index: SearchIndex) -> None:
        self._db = db
        self._index = index

    def add(self, row: DeviceRow) -> None:
        """Add a recorder."""
        self._db.insert(devices, fields_of(row))

    def get(self, identity: DeviceId) -> DeviceRow:
        """One recorder; NotFoundError."""
        row = self._db.one(sa.select(devices).where(devices.c.id == identity))
        if row is None:
            raise NotFoundError(f"no device {identity}")
        return DeviceRow(**row)

    def find(self, vendor: str, model: str, serial: str) -> list[DeviceRow]:
        """Recorders that say this of themselves, whichever driver read it; oldest first."""
        here = devices.c
        statement = sa.select(devices).where(here.vendor == vendor, here.model == model, here.serial == serial)
        return [DeviceRow(**row) for row in self._db.all(statement.order_by(here.id))]

    def update(self, identity: DeviceId, **columns: Any) -> DeviceRow:
        """Change the ledger's row; recordings are found by a new label or serial from then on."""
        values = changes(DeviceRow, columns, forbidden={"id"})
        if self._db.count(devices.update().where(devices.c.id == identity).values(**values)) == 0:
            raise NotFoundError(f"no device {identity}")
        if {"label", "serial"} & columns.keys():
            self._index.refresh_device(identity)
        return self.get(identity)

    def all(self) -> list[DeviceRow]:
        """Every recorder, oldest first."""
        return [DeviceRow(**row) for row in self._db.all(sa.select(devices).order_by(devices.c.id))]


class Offloads:
    """Dockings."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: OffloadRow) -> None:
        """Add a docking."""
        self._db.insert(offloads, fields_of(row))

    def get(self, identity: OffloadId) -> OffloadRow:
        """One docking; NotFoundError."""
        row = self._db.one(sa.select(offloads).where(offloads.c.id == identity))
        if row is None:
            raise NotFoundError(f"no offload {identity}")
        return OffloadRow(**row)

    def update(self, identity: OffloadId, **columns: Any) -> OffloadRow:
        """Change a docking's row."""
        values = changes(OffloadRow, columns, forbidden={"id", "device"})
        if self._db.count(offloads.update().where(offloads.c.id == identity).values(**values)) == 0:
            raise NotFoundError(f"no offload {identity}")
        return self.get(identity)

    def open_of(self, device: DeviceId) -> OffloadRow | None:
        """The latest docking of a recorder that has not ended."""
        rows = self._list(
            sa.select(offloads)
            .where(offloads.c.device == device, offloads.c.state == OffloadState.OPEN)
            .order_by(offloads.c.started_at.desc(), offloads.c.id.desc())
            .limit(1)
        )
        return rows[0] if rows else None

    def last_of(self, device: DeviceId) -> OffloadRow | None:
        """The latest docking of a recorder."""
        rows = self._list(
            sa.select(offloads)
            .where(offloads.c.device == device)
            .order_by(offloads.c.started_at.desc(), offloads.c.id.desc())
            .limit(1)
        )
        return rows[0] if rows else None

    def open(self) -> list[OffloadRow]:
        """Dockings that have not ended, oldest first."""
        return self._list(
            sa.select(offloads)
            .where(offloads.c.state == OffloadState.OPEN)
            .order_by(offloads.c.started_at, offloads.c.id)
        )

    def recent(self, limit: int = 50, visibility: Visibility | None = None) -> list[OffloadRow]:
        """The newest dockings; with a visibility only those of a recorder or with a recording inside of it."""
        statement = sa.select(offloads).order_by(offloads.c.started_at.desc(), offloads.c.id.desc())
        if visibility is not None and not visibility.everything:
            statement = statement.where(_seen(visibility))
        return self._list(statement.limit(max(0, min(limit, PAGE_ROWS_MAX))))

    def _list(self, statement: sa.Executable) -> list[OffloadRow]:
        return [OffloadRow(**row) for row in self._db.all(statement)]


def _seen(visibility: Visibility) -> sa.ColumnElement[bool]:
    of_device: list[sa.ColumnElement[bool]] = [devices.c.unit.in_(sorted(visibility.units))]
    of_recording: list[sa.ColumnElement[bool]] = [recordings.c.unit.in_(sorted(visibility.units))]
    if visibility.officer is not None:
        of_device.append(devices.c.officer == visibility.officer)
        of_recording.append(recordings.c.officer == visibility.officer)
    device = sa.select(devices.c.id).where(devices.c.id == offloads.c.device, sa.or_(*of_device))
    recording = sa.select(recordings.c.id).where(recordings.c.offload == offloads.c.id, sa.or_(*of_recording))
    return sa.or_(device.exists(), recording.exists())
