"""Rows for tests of the catalogue: a small bureau, made in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from catalogue import Catalogue, UnitOfWork
from catalogue.records import AgentRow, DeviceRow, NameRow, OffloadRow, RecordingRow, UnitRow
from evidence.clock import unix_ms
from evidence.ids import AgentId, DeviceId, EntryId, OffloadId, RecordingId, UnitId
from evidence.model import DeviceState, OffloadState, RecordingKind, RecordingState, SourceKey

T0 = datetime(2026, 11, 22, 5, 0, 0, 123000, tzinfo=UTC)


def after(**span: float) -> datetime:
    """A moment after T0."""
    return T0 + timedelta(**span)


def new_entry_id() -> EntryId:
    return EntryId.new(unix_ms(T0))


@dataclass(frozen=True)
class Bureau:
    """Identities of one department with one officer, one recorder and one docking."""

    unit: UnitId
    officer: AgentId
    device: DeviceId
    offload: OffloadId


def make_bureau(uow: UnitOfWork, *, unit_name: str = "执法一科", officer_code: str = "A0012345") -> Bureau:
    at = unix_ms(T0)
    bureau = Bureau(UnitId.new(at), AgentId.new(at), DeviceId.new(at), OffloadId.new(at))
    uow.people.add_unit(UnitRow(id=bureau.unit, name=unit_name, code="", valid_from=T0))
    uow.people.add_agent(
        AgentRow(id=bureau.officer, kind="person", name="执法人员", officer_code=officer_code, login=officer_code)
    )
    uow.devices.add(
        DeviceRow(
            id=bureau.device, state=DeviceState.REGISTERED, driver="mass_storage", kind="recorder", serial="SN-778899",
            serial_source="usb", label="七号记录仪", unit=bureau.unit, first_seen_at=T0, last_seen_at=T0,
        )
    )  # fmt: skip
    uow.offloads.add(
        OffloadRow(
            id=bureau.offload, device=bureau.device, state=OffloadState.OPEN, driver="mass_storage", slot="1-1",
            address="", started_at=T0,
        )
    )  # fmt: skip
    return bureau


def recording(bureau: Bureau, **fields: Any) -> RecordingRow:
    """A discovered recording; any field can be given."""
    name = fields.pop("name", "video.mp4")
    values: dict[str, Any] = {
        "id": RecordingId.new(unix_ms(fields.get("discovered_at", T0))),
        "device": bureau.device,
        "offload": bureau.offload,
        "state": RecordingState.DISCOVERED,
        "kind": RecordingKind.VIDEO,
        "pattern": "",
        "name": name,
        "source": SourceKey("DCIM", f"/DCIM/{name}", 1000, "2026-11-22 13:00:00"),
        "size_bytes": 1000,
        "discovered_at": T0,
    }
    return RecordingRow(**(values | fields))


def add_recording(catalogue: Catalogue, bureau: Bureau, **fields: Any) -> RecordingRow:
    row = recording(bureau, **fields)
    with catalogue.begin() as uow:
        uow.recordings.add(row)
    return row


def name_of(row: RecordingRow, name: str, *, important: bool = False) -> NameRow:
    return NameRow(
        recording=row.id, name=name, path=f"/DCIM/{name}", offload=row.offload, seen_at=T0, important=important
    )
