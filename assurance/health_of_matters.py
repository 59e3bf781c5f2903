"""Whether deadlines of matters are over: late stays late, and nobody finds out from a list they do not open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from assurance.health_facts import Check, HealthParts, Level

#: So many are counted; more are as bad.
_COUNTED_MAX: Final = 1_000


def matters(parts: HealthParts) -> Iterator[Check]:
    """One fact: how many open matters are past their deadline, of how many kinds."""
    with parts.catalogue.read() as uow:
        late = uow.matters.due(before=parts.clock.now().wall, limit=_COUNTED_MAX)
    yield Check(
        name="matters", level=Level.WARN if late else Level.OK, reason="matters-overdue" if late else "matters-in-time",
        values={"matters_late": len(late), "kinds_late": len({row.kind for row in late})} if late else {},
    )  # fmt: skip
