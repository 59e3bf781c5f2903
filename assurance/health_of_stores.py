"""Whether every store has its copies: one that fails, lacks copies or has bad ones is told until it is level again (R13)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from assurance.health_facts import Check, HealthParts, Level
from assurance.repair import ALL_BAD
from assurance.store_reports import StoreStand, stand_of
from evidence.clock import to_text
from evidence.model import Visibility

_LEVELS: Final = {
    StoreStand.FAILING: (Level.BAD, "store-fails"),
    StoreStand.DAMAGED: (Level.BAD, "holds-bad-copies"),
    StoreStand.BEHIND: (Level.WARN, "catching-up"),
    StoreStand.LEVEL: (Level.OK, "holds-its-copies"),
}


def store_copies(parts: HealthParts) -> Iterator[Check]:
    """One fact per store of which something is known, and one where no copy of some bytes is good."""
    now = parts.clock.now().wall
    for store in parts.stores:
        name = store.properties.name
        with parts.catalogue.read() as uow:
            state = uow.store_states.of(name)
            bad = uow.store_states.bad_in(name)
            aside = name in parts.aside or name in uow.moves.old()  # also one that was moved away from since the start
        stand = stand_of(state, bad=bad, aside=aside, now=now)
        if stand is StoreStand.UNKNOWN:
            if parts.jobs is not None:  # else no service runs that would ask it
                yield Check(name="store-copies", subject=name, level=Level.UNKNOWN, reason="not-asked-lately")
            continue
        values: dict[str, str | int] = {"copies": state.objects, "missing": state.behind_objects, "bad": bad}
        if state.counted_at is not None:
            values["counted"] = to_text(state.counted_at)
        level, reason = _LEVELS[stand]
        yield Check(name="store-copies", subject=name, level=level, reason=reason, values=values)
    with parts.catalogue.read() as uow:
        lost = uow.findings.open_within(Visibility(everything=True), {ALL_BAD})
    if lost:
        yield Check(name="copies", level=Level.BAD, reason="no-good-copy", values={"open": len(lost)})
