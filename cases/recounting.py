"""Deadlines that were provisional (暂估), counted again once the year they reach into was brought in.

A regular duty: each open procedure with such a clock is acted on by the service, so the new date is an entry like every
other. If we crash in the middle, the next run goes on with those that are still provisional.

Source: docs/procedures.md; RULES R22 to R27.
"""

from __future__ import annotations

import time

from cases.clocks import recounted, running
from cases.procedures import CLOCKS
from catalogue import Catalogue
from catalogue.matters import MatterFilter
from evidence.errors import EvidenceError, StateConflictError
from evidence.ids import MatterId
from matters.desk import MatterDesk
from matters.working_calendar import working_days

_ROWS_AT_ONCE = 200


def recount_provisional(desk: MatterDesk, catalogue: Catalogue, *, for_s: float = 45.0) -> int:
    """A slice of the duty; returns how many procedures got another date.

    Args:
        desk: Acts.
        catalogue: Where they stand.
        for_s: How long the slice may take, seconds.
    """
    end, changed = time.monotonic() + for_s, 0
    for matter in _waiting(catalogue):
        if time.monotonic() > end:
            break
        try:
            desk.act_as_service(matter, "recount")
            changed += 1
        except StateConflictError:
            continue  # somebody acted on it meanwhile: the next run looks again
        except EvidenceError as error:
            if error.fatal:
                raise
    return changed


def _waiting(catalogue: Catalogue) -> list[MatterId]:
    """Open procedures whose provisional dates the calendar in force changes."""
    found: list[MatterId] = []
    after: MatterId | None = None
    while True:
        with catalogue.read() as uow:
            table = working_days(uow)
            rows = uow.matters.find(MatterFilter(kinds=tuple(CLOCKS), open=True), after=after, limit=_ROWS_AT_ONCE)
        if not rows:
            return found
        after = rows[-1].id
        found += [
            row.id for row in rows
            if any(clock.get("provisional") for clock in running(row.facts).values()) and recounted(row.facts, table)
        ]  # fmt: skip
