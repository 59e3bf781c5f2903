"""The hand-in deadline of a recording (R4). Pure.

A recording is due 24 elapsed hours after its trusted end. Where the end is not known yet its start stands in, which is
never later; where no time can be trusted the moment we first saw it counts. A wrong clock that the recorder tells can
therefore not make anybody late by itself, and no clock can buy time beyond discovery; a recorder that does not tell its clock
is believed as far as its names are possible. Late stays late: an explanation is added, never a new deadline.

Source: RULES R4; docs/invariants.md 9.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ingest.times import Started


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
