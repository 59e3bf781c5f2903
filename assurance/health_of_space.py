"""In how many days each store is full, if the last four weeks go on."""

from __future__ import annotations

from collections.abc import Iterator

from assurance.health_facts import Check, HealthParts, Level
from assurance.space import SpaceParts, Trend, rooms


def space(parts: HealthParts) -> Iterator[Check]:
    """One fact per store whose room can be told."""
    looked = SpaceParts(
        catalogue=parts.catalogue, stores=parts.stores, clock=parts.clock, floor_bytes=parts.floor_bytes,
        capacities=parts.capacities,
    )  # fmt: skip
    for room in rooms(looked):
        if room.free_bytes is None:
            continue  # a bucket of unstated capacity; a local store that is away is told by its own fact
        values: dict[str, str | int] = {"free_bytes": room.free_bytes}
        if room.forecast.trend is Trend.UNKNOWN:
            yield Check(name="space", subject=room.store, level=Level.UNKNOWN, reason="forecast-unknown", values=values)
            continue
        if room.forecast.days is None:
            yield Check(name="space", subject=room.store, level=Level.OK, reason="not-filling", values=values)
            continue
        values |= {"days": room.forecast.days, "per_day_bytes": room.forecast.bytes_day}
        if room.forecast.days < parts.space_alarm_days:
            level, reason = Level.BAD, "full-very-soon"
        elif room.forecast.days < parts.space_warn_days:
            level, reason = Level.WARN, "full-soon"
        else:
            level, reason = Level.OK, "room-for-long"
        yield Check(name="space", subject=room.store, level=level, reason=reason, values=values)
