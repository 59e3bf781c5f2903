"""The settings that promises rest on: which of them weaken one, and an entry in the log when they have changed.

Whoever can write ``config.toml`` can weaken this home without a trace in it. So the service, and an offload by hand, enter what
they work with as soon as it is not what was entered last, and `doctor` and `verify` tell what is weaker than the default.
"""

from __future__ import annotations

import json
from typing import Any, Final

from app.settings import BrakeSettings, FixitySettings, Settings, StorageSettings
from catalogue import Catalogue, UnitOfWork
from evidence.clock import Clock, to_text
from evidence.events import SettingsApplied
from evidence.ids import AgentId
from evidence.model import ClearingMode
from evidence.ports import CustodyRecorder

_ENTERED: Final = "settings.entered"


def promised(settings: Settings) -> dict[str, Any]:
    """The values that promises rest on, by key. No path, no address, no secret."""
    storage, docks = settings.storage, settings.docks
    return {
        "station.name": settings.station.name, "storage.copies": storage.copies, "storage.domains": storage.domains,
        "storage.single_domain": storage.single_domain, "storage.protect": storage.protect,
        "storage.encryption.enabled": storage.encryption.enabled,
        "storage.free_floor_bytes": str(storage.free_floor_bytes),  # may be larger than an entry's integers
        "storage.stores": [f"{store.kind}:{store.name}" for store in storage.stores],
        "storage.lock_days": storage.lock_days,
        "docks.clearing": docks.clearing.value, "docks.set_clock": docks.set_clock,
        "fixity.period_days": settings.fixity.period_days, "fixity.rate_mb_s": settings.fixity.rate_mb_s,
        **{f"brake.{key}": str(value) for key, value in settings.brake},
    }  # fmt: skip


def weakened(settings: Settings) -> list[str]:
    """Settings that promise less than the default, as ``key = value``."""
    usual, storage = StorageSettings(), settings.storage
    found = {
        "storage.copies": storage.copies < usual.copies, "storage.domains": storage.domains < usual.domains,
        "storage.single_domain": storage.single_domain, "storage.protect": storage.protect != usual.protect,
        "storage.lock_days": storage.lock_days < usual.lock_days,
        "docks.clearing": settings.docks.clearing is not ClearingMode.NEVER,
        "fixity.period_days": settings.fixity.period_days > FixitySettings().period_days,
        **{f"brake.{key}": value > getattr(BrakeSettings(), key) for key, value in settings.brake},
    }  # fmt: skip
    values = promised(settings)
    return [f"{key} = {json.dumps(values[key])}" for key, weak in found.items() if weak]


def changed(catalogue: Catalogue, settings: Settings) -> list[str]:
    """Settings that are not those entered last, as ``key: before -> now``; nothing when none was entered yet."""
    with catalogue.read() as uow:
        before = _entered(uow)
    return [] if before is None else _differences(before, promised(settings))


def enter_settings(
    catalogue: Catalogue, settings: Settings, *, recorder: CustodyRecorder, clock: Clock, actor: AgentId
) -> list[str]:
    """Enter the settings when they are not those entered last. What was entered is durable on return.

    Args:
        catalogue: The home's catalogue.
        settings: What the process works with from now on.
        recorder: Signs the entry.
        clock: Injected time.
        actor: Whose process it is: the service's agent, or the person of a command.

    Returns:
        What changed, as :func:`changed`.
    """
    now, values = clock.now(), promised(settings)
    with catalogue.begin() as uow:
        before = _entered(uow)
        if before == values:
            return []
        recorder.record(uow.outbox, SettingsApplied(actor=actor, at=to_text(now.wall), settings=values), at=now)
        uow.settings.put(_ENTERED, json.dumps(values, ensure_ascii=False))
    return [] if before is None else _differences(before, values)


def _entered(uow: UnitOfWork) -> dict[str, Any] | None:
    """None also where the row says nothing that can be read: then everything is entered again."""
    try:
        told = json.loads(uow.settings.get(_ENTERED) or "")
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {json.dumps(before.get(key))} -> {json.dumps(now.get(key))}"
        for key in dict.fromkeys([*now, *before])
        if before.get(key) != now.get(key)
    ]
