"""The hand-in deadline of a recording (R4). Pure.

A recording is due 24 elapsed hours after its trusted end. Where the end is not known yet its start stands in, which is
never later; where no time can be trusted the moment we first saw it counts. A wrong clock that the recorder tells can
therefore not make anybody late by itself, and no clock can buy time beyond discovery; a recorder that does not tell its clock
is believed as far as its names are possible. Late stays late: an explanation is added, never a new deadline.

Source: RULES R4; docs/invariants.md 9.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from ingest.times import Started


class DeadlineState(StrEnum):
    """How a recording stands to its deadline."""

    ON_TIME = "on_time"
    DUE_SOON = "due_soon"
    LATE = "late"
    LATE_EXPLAINED = "late_explained"


def deadline(
    started: Started, *, duration: timedelta | None, discovered_at: datetime, within: timedelta = timedelta(hours=24)
) -> datetime:
    """When a recording must be handed in (UTC).

    Args:
        started: Its start and where it came from; an untrusted one is not used.
        duration: Length told by the probe, once known.
        discovered_at: When it was first seen on a recorder.
        within: Elapsed time allowed after the end.
    """
    if started.at is None:
        return discovered_at + within
    end = started.at + max(duration or timedelta(0), timedelta(0))
    return min(end, discovered_at) + within


def state(
    deadline_at: datetime,
    *,
    handed_in_at: datetime | None,
    now: datetime,
    due_soon: timedelta = timedelta(hours=4),
    explained: bool = False,
) -> DeadlineState:
    """Judge one recording.

    Args:
        deadline_at: From :func:`deadline`.
        handed_in_at: When it was stored here; None while it is not.
        now: Reading of the injected clock.
        due_soon: How long before the deadline it is shown as due soon.
        explained: Whether a late explanation was entered.
    """
    if (handed_in_at or now) > deadline_at:
        return DeadlineState.LATE_EXPLAINED if explained else DeadlineState.LATE
    if handed_in_at is None and deadline_at - now < due_soon:
        return DeadlineState.DUE_SOON
    return DeadlineState.ON_TIME
