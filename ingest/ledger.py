"""Which recorder is this? Only recorders that a person entered in the ledger are read (R5)."""

from __future__ import annotations

import contextlib

from catalogue import UnitOfWork
from catalogue.records import DeviceRow
from evidence.clock import unix_ms
from evidence.errors import (
    DeviceBusyError,
    DeviceNotRegisteredError,
    InvalidInputError,
    NotFoundError,
    StateConflictError,
)
from evidence.events import DeviceRefused, DeviceRegistered
from evidence.ids import AgentId, DeviceId, UnitId
from evidence.model import Actor, DeviceIdentity, DeviceState
from ingest.parts import Parts, raise_finding


def known(parts: Parts, identity: DeviceIdentity) -> DeviceRow | None:
    """The ledger's row of a recorder that may be read, or None.

    Raises:
        DeviceBusyError: Two rows of the ledger say this of themselves; a person must tell them apart.
    """
    with parts.catalogue.begin() as uow:
        rows = [row for row in _rows(uow, identity) if row.state is not DeviceState.RETIRED]
        if len(rows) > 1:
            raise_finding(parts, uow, "duplicate-serial", detail=identity.serial, at=parts.clock.now())
        device = rows[0] if len(rows) == 1 and rows[0].state is DeviceState.REGISTERED else None
        if device is not None:
            _remember_place(uow, identity, device.id)
    if len(rows) > 1:
        raise DeviceBusyError("two recorders in the ledger have this serial", todo="Retire one of them, or relabel.")
    return device


def _rows(uow: UnitOfWork, identity: DeviceIdentity) -> list[DeviceRow]:
    """What the ledger has under this serial; else, for a folder of this computer, what it was known as before.

    Its file names come and go (cleared, it has none), and it must not become a stranger by that. Names that tell another
    recorder make it one.
    """
    rows = uow.devices.find(identity.vendor, identity.model, identity.serial)
    if rows or not identity.place:
        return rows
    told = identity.hinted if identity.serial == identity.place else identity.serial
    rows = uow.devices.find(identity.vendor, identity.model, identity.place)
    remembered = uow.settings.get(_place(identity))
    if not rows and remembered:
        with contextlib.suppress(NotFoundError, InvalidInputError):
            rows = [uow.devices.get(DeviceId(remembered))]
    return [row for row in rows if not told or row.serial in {told, identity.place}]


def _place(identity: DeviceIdentity) -> str:
    return f"place:{identity.place}"


def _remember_place(uow: UnitOfWork, identity: DeviceIdentity, device: DeviceId) -> None:
    """No evidence: lost, a folder without telling names is registered again."""
    if identity.place and uow.settings.get(_place(identity)) != device:
        uow.settings.put(_place(identity), device)


def register(
    parts: Parts,
    identity: DeviceIdentity,
    actor: Actor,
    *,
    unit: UnitId | None = None,
    officer: AgentId | None = None,
    label: str = "",
) -> DeviceRow:
    """Enter a recorder in the ledger; durable with its entry on return. The same recorder again returns its row.

    Args:
        parts: The parts of intake.
        identity: What it says of itself.
        actor: The person who registers it.
        unit: Department it belongs to.
        officer: Whose it is for the long term.
        label: The number on its housing.

    Raises:
        StateConflictError: It was retired; its number is never used again.
    """
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        rows = _rows(uow, identity)
        for row in rows:
            if row.state is DeviceState.REGISTERED:
                return row
        if any(row.state is DeviceState.RETIRED for row in rows):
            raise StateConflictError("this recorder was retired", todo="A retired recorder is not read again.")
        device = rows[0].id if rows else DeviceId.new(unix_ms(at.wall))
        facts = {
            "driver": identity.driver,
            "kind": identity.kind,
            "label": label,
            "unit": unit,
            "officer": officer,
            "registered_by": actor.agent,
            "registered_at": at.wall,
            "last_seen_at": at.wall,
        }
        if rows:
            uow.devices.update(device, state=DeviceState.REGISTERED, serial_source=identity.serial_source, **facts)
        else:
            uow.devices.add(
                DeviceRow(
                    id=device,
                    state=DeviceState.REGISTERED,
                    driver=identity.driver,
                    kind=identity.kind,
                    serial=identity.serial,
                    serial_source=identity.serial_source,
                    vendor=identity.vendor,
                    model=identity.model,
                    label=label,
                    unit=unit,
                    officer=officer,
                    registered_by=actor.agent,
                    registered_at=at.wall,
                    first_seen_at=at.wall,
                    last_seen_at=at.wall,
                )
            )
        event = DeviceRegistered(
            actor=actor.agent,
            device=device,
            driver=identity.driver,
            kind=identity.kind,
            vendor=identity.vendor,
            model=identity.model,
            serial_source=identity.serial_source,
            unit=unit or "",
            serial=identity.serial,
            label=label or None,
            officer=officer,
        )
        parts.enter(uow, event, at=at)
        _remember_place(uow, identity, device)
        return uow.devices.get(device)


def refuse(parts: Parts, identity: DeviceIdentity, actor: Actor) -> DeviceNotRegisteredError:
    """Enter that an unknown recorder was docked and not read; the error to raise."""
    at = parts.clock.now()
    event = DeviceRefused(
        actor=actor.agent, driver=identity.driver, reason="not-registered", serial=identity.serial or None
    )
    with parts.catalogue.begin() as uow:
        parts.enter(uow, event, at=at)
    return DeviceNotRegisteredError(
        "this recorder is not in the ledger",
        kept="Nothing was read from it and nothing on it was changed.",
        todo="Register it, then dock it again.",
    )
