"""From the time in a recorder's file name to UTC, and how far it can be trusted. Pure.

Recorders write local time without a zone. A plausible clock reading of the same docking corrects it; an implausible clock
(1980, 2099) makes every name of that recorder untrusted. A time after the moment we saw the file cannot be true.

Source: RULES R2, R4; docs/invariants.md 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from evidence.clock import BUREAU_ZONE
from evidence.limits import CLOCK_YEAR_MIN
from evidence.model import ClockOffset, ParsedName

#: A name may be this far ahead of discovery (clock drift since the reading) and is then taken as discovery itself.
_AHEAD_MAX = timedelta(minutes=10)

CORRECTED = "name-corrected"
UNCORRECTED = "name"
UNTRUSTED = "untrusted"
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Started:
    """When a recording began.

    Attributes:
        at: UTC, or None when nothing trustworthy is known.
        source: ``name-corrected`` (by the clock offset of this docking), ``name`` (the recorder does not tell its clock),
            ``untrusted`` (the clock or the name is impossible) or empty (the name has no time).
    """

    at: datetime | None
    source: str


def started(
    parsed: ParsedName, *, clock: ClockOffset | None, discovered_at: datetime, zone: ZoneInfo = BUREAU_ZONE
) -> Started:
    """Tell when a recording began.

    Args:
        parsed: What its name says.
        clock: The recorder's clock as read at this docking; None when the recorder does not tell.
        discovered_at: When the file was seen (UTC).
        zone: Zone of the recorder's local time.
    """
    if parsed.local_time is None:
        return Started(None, UNKNOWN)
    if clock is not None and not clock.plausible:
        return Started(None, UNTRUSTED)
    try:
        at = parsed.local_time.replace(tzinfo=zone).astimezone(discovered_at.tzinfo)
        at -= timedelta(milliseconds=clock.offset_ms if clock else 0)
    except (OverflowError, ValueError):  # year 1 or 9999 moved by a zone
        return Started(None, UNTRUSTED)
    if at.year < CLOCK_YEAR_MIN or at > discovered_at + _AHEAD_MAX:
        return Started(None, UNTRUSTED)
    return Started(min(at, discovered_at), CORRECTED if clock else UNCORRECTED)
