"""Docks and recorders."""

from __future__ import annotations

from typing import Literal

from api.schemas.common import Answer, Moment, Request, Short
from catalogue.records import DeviceRow, OffloadRow


class MarkAnswer(Answer):
    """A state as people see it: tone, icon and word; ``code`` is stable."""

    code: str
    tone: str
    icon: str
    word: str


class ProgressAnswer(Answer):
    """A running transfer; ``rate_bytes_s`` is 0 before it is known."""

    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    rate_bytes_s: int


class SlotActionAnswer(Answer):
    """What a person can do about a slot: the page that does it, with these fields where it is a form to send."""

    href: str
    word: str
    method: Literal["get", "post"]
    fields: dict[str, str]


class SlotAnswer(Answer):
    """One docked recorder as the wall draws it; null where it is not told (docs/formats/api.md)."""

    slot: str
    port: str
    driver: str
    title: str
    model: str
    officer: str
    state: MarkAnswer
    message: str
    battery_percent: int | None
    clock_offset_ms: int | None
    free_bytes: int | None
    nearly_full: bool
    waiting: list[str]
    sealed: int
    total: int
    progress: ProgressAnswer | None
    may_unplug: Literal["yes", "no", "unknown"]
    action: SlotActionAnswer | None


class DocksAnswer(Answer):
    """Every docked recorder the actor may know of."""

    slots: list[SlotAnswer]
    as_of: Moment


class RegisterRequest(Request):
    """Registration of the recorder in a slot by a person."""

    slot: Short
    label: Short = ""
    unit: str = ""
    officer: str = ""


class DeviceRequest(Request):
    """The whole of what a person says of a recorder: an empty field takes it away."""

    label: Short = ""
    unit: str = ""
    officer: str = ""


class SlotRequest(Request):
    """An act on one slot."""

    slot: Short


class DeviceAnswer(Answer):
    """One recorder of the ledger."""

    id: str
    state: str
    driver: str
    kind: str
    serial: str
    serial_source: str
    vendor: str
    model: str
    label: str
    unit: str
    officer: str
    first_seen_at: Moment
    last_seen_at: Moment


class OffloadAnswer(Answer):
    """One docking."""

    id: str
    device: str
    state: str
    slot: str
    started_at: Moment
    ended_at: Moment | None
    battery_percent: int | None
    capacity_bytes: int | None
    free_bytes: int | None
    clock_offset_ms: int | None
    clock_plausible: bool
    message: str
    waiting: list[str]


def device_answer(row: DeviceRow) -> DeviceAnswer:
    """One ledger row as the API tells it."""
    return DeviceAnswer(
        id=row.id, state=row.state, driver=row.driver, kind=row.kind, serial=row.serial,
        serial_source=row.serial_source, vendor=row.vendor, model=row.model, label=row.label, unit=row.unit or "",
        officer=row.officer or "", first_seen_at=row.first_seen_at, last_seen_at=row.last_seen_at,
    )  # fmt: skip


def offload_answer(row: OffloadRow) -> OffloadAnswer:
    """One docking as the API tells it."""
    return OffloadAnswer(
        id=row.id, device=row.device, state=row.state, slot=row.slot, started_at=row.started_at, ended_at=row.ended_at,
        battery_percent=row.battery_percent, capacity_bytes=row.capacity_bytes, free_bytes=row.free_bytes,
        clock_offset_ms=row.clock_offset_ms if row.clock_known else None, clock_plausible=row.clock_plausible,
        message=row.message, waiting=row.waiting,
    )  # fmt: skip
