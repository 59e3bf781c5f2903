"""Tiles about what is kept: the scrub, the inventories, the brake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from assurance import inventory
from assurance.fixity_status import FixityStatus, status
from assurance.health_facts import Check, HealthParts, Level
from evidence.clock import to_text

#: A copy that was not looked at for so many periods is an alarm: one period is the promise, a half is for stores that were away.
TOO_OLD: Final = 1.5
#: An inventory is taken every day; a store that is away over a week-end is a warning, not an alarm.
COUNT_WARN: Final = timedelta(hours=36)
COUNT_BAD: Final = timedelta(days=4)


def fixity(parts: HealthParts) -> Iterator[Check]:
    """Whether every copy is looked at in time, and none is bad."""
    now = parts.clock.now().wall
    names = [store.properties.name for store in parts.stores]
    found = status(parts.catalogue, parts.fixity, now=now, configured=names)
    if found.round is None:
        nothing = not found.stores
        yield Check(
            name="fixity",
            level=Level.OK if nothing else Level.UNKNOWN,
            reason="nothing-kept" if nothing else "no-round",
        )
        return
    level, reason = _judged(found, now)
    values: dict[str, str | int] = {
        "round": found.round.number, "looked_at": found.round.good + found.round.bad, "copies": found.round.copies,
        "bad": len(found.bad),
    }  # fmt: skip
    if found.oldest_at is not None:
        values["oldest"] = to_text(found.oldest_at)
    if found.forecast is not None and found.forecast.ends_at is not None:
        values["ends"] = to_text(found.forecast.ends_at)
    yield Check(name="fixity", level=level, reason=reason, subject=", ".join(found.away), values=values)


def _judged(found: FixityStatus, now: datetime) -> tuple[Level, str]:
    """The worst that is true of it."""
    oldest = found.oldest_at
    if found.bad:
        return Level.BAD, "bad-copies"
    if oldest is not None and now - oldest > found.period * TOO_OLD:
        return Level.BAD, "too-long-ago"
    if found.away:
        return Level.WARN, "store-away"
    if not found.running:
        return (Level.WARN, "not-looking") if found.said_at is not None else (Level.UNKNOWN, "not-looking")
    if found.forecast is not None and found.forecast.in_time is False:
        return Level.WARN, "round-late"
    return Level.OK, "in-time"


def inventories(parts: HealthParts) -> Iterator[Check]:
    """Whether each store was counted lately, and holds what it should."""
    now = parts.clock.now().wall
    with parts.catalogue.read() as uow:
        newest = {store.properties.name: uow.inventories.newest(store.properties.name) for store in parts.stores}
    for name, row in newest.items():
        if row is None:
            yield Check(name="inventory", subject=name, level=Level.UNKNOWN, reason="never-counted")
            continue
        values: dict[str, str | int] = {
            "objects": row.objects, "missing": row.missing, "unknown": row.unknown, "counted": to_text(row.at),
        }  # fmt: skip
        age = now - row.at
        if row.outcome == inventory.DROPPED:
            level, reason = Level.BAD, "lost-objects"
        elif row.outcome == inventory.MISSING:
            level, reason = Level.BAD, "lacks-copies"
        elif age > COUNT_WARN:
            level, reason = (Level.BAD if age > COUNT_BAD else Level.WARN), "count-old"
        else:
            level, reason = Level.OK, "counted"
        yield Check(name="inventory", subject=name, level=level, reason=reason, values=values)


def brake(parts: HealthParts) -> Iterator[Check]:
    """Whether removals are stopped."""
    with parts.catalogue.read() as uow:
        row = uow.brakes.look()
    values: dict[str, str | int] = {"since": to_text(row.since)} if row.since is not None else {}
    yield Check(
        name="brake", level=Level.BAD if row.pulled else Level.OK,
        reason=f"stopped-by-{row.cause}" if row.pulled else "removals-allowed", values=values,
    )  # fmt: skip
