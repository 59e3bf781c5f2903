"""Whether any lock lapses, and whether the renewal of locks goes on (R10, R13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from assurance.health_facts import Check, HealthParts, Level
from evidence.clock import to_text
from evidence.lock_dates import believed_now

#: The renewal may lie behind for so long before it counts as stalled: a night, and a store that is away over a week-end.
STALLED_AFTER: Final = timedelta(days=3)


def locks(parts: HealthParts) -> Iterator[Check]:
    """One fact per store. Footage whose last date was given is left aside: it is due then, and stays until people decide."""
    with parts.catalogue.read() as uow:
        now = believed_now(parts.clock.now(), uow.clock_marks.highest())
        emptied = uow.moves.emptied()  # there locks are to lapse
        names = [store.properties.name for store in parts.stores if store.properties.name not in emptied]
        found = [(name, uow.copy_locks.summary(name, now)) for name in names] if now is not None else []
    if now is None:
        yield Check(name="locks", level=Level.UNKNOWN, reason="clock-not-believed")
        return
    for name, told in found:
        values: dict[str, str | int] = {
            "copies": told.copies,
            "unlocked": told.unlocked,
            "not_looked_at": told.unknown,
            "due": told.due,
        }
        if told.soonest is not None:
            values["soonest"] = to_text(told.soonest)
        waited = now - max(told.due_since, told.renewed_at or told.due_since) if told.due_since else timedelta(0)
        if told.soonest is not None and told.soonest < now + parts.locks.alarm:
            yield Check(name="locks", subject=name, level=Level.BAD, reason="lock-lapses", values=values)
        elif waited > STALLED_AFTER:
            yield Check(name="locks", subject=name, level=Level.BAD, reason="renewal-stalled", values=values)
        elif told.unlocked:
            yield Check(name="locks", subject=name, level=Level.WARN, reason="not-locked", values=values)
        elif told.unknown:
            yield Check(name="locks", subject=name, level=Level.UNKNOWN, reason="locks-not-looked-at", values=values)
        else:
            yield Check(name="locks", subject=name, level=Level.OK, reason="locks-kept", values=values)
