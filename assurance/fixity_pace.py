"""How fast a store is read by the scrub, and when it may wait. Pure: numbers and times in, numbers out.

A round is planned along a straight line from its start to 80 % of the period; the rest is head-room for days on which a store was
away or recorders were read all day long. Each slice of work asks how many bytes the line is ahead of what was read. Nothing is
remembered between slices, so a stop of any length changes nothing but the distance to the line.

Source: docs/runbooks/fixity.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Part of the period in which a round is planned to end.
PLANNED: Final = 0.8
#: The scrub waits for recorders and for a busy machine while it lies behind the line by no more than this part of the period.
PATIENCE: Final = 0.1
#: Bytes are read at least this fast once reading has begun: a file is read in one go, and slower reading saves nothing.
FLOOR_BYTES_S: Final = 8_000_000
#: A file should be through in this time, so that one slice stays short.
FILE_S: Final = 45.0
#: So much faster than the line asks for, so that a slice is done before the next one begins.
_SPARE: Final = 1.25
_NEAR_END: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the pace is computed from.

    Attributes:
        started_at: When the round began.
        period: In which every copy must have been looked at.
        total_bytes: Bytes of the store's copies when the round began.
        done_bytes: Bytes of those read in this round.
        cap_bytes_s: The operator's upper bound; 0 for none.
    """

    started_at: datetime
    period: timedelta
    total_bytes: int
    done_bytes: int
    cap_bytes_s: int = 0

    @property
    def goal_at(self) -> datetime:
        """When the store's part of the round should be done."""
        return self.started_at + self.period * PLANNED

    @property
    def due_at(self) -> datetime:
        """When it must be done."""
        return self.started_at + self.period

    @property
    def left_bytes(self) -> int:
        """What is left to read."""
        return max(0, self.total_bytes - self.done_bytes)


def _line_bytes(plan: Plan, now: datetime) -> int:
    """Bytes that should have been read by now."""
    span = plan.goal_at - plan.started_at
    part = (now - plan.started_at) / span if span else 1.0
    return int(plan.total_bytes * min(1.0, max(0.0, part)))


def due_bytes(plan: Plan, now: datetime) -> int:
    """Bytes to read now to be on the line; 0 when it is on it or ahead."""
    return max(0, min(_line_bytes(plan, now), plan.total_bytes) - plan.done_bytes)


def lag(plan: Plan, now: datetime) -> timedelta:
    """How long ago the line was where the reading is now; never negative."""
    if plan.total_bytes <= 0 or plan.left_bytes == 0:
        return timedelta(0)
    planned = plan.started_at + (plan.goal_at - plan.started_at) * (plan.done_bytes / plan.total_bytes)
    return max(timedelta(0), now - planned)


def may_wait(plan: Plan, now: datetime) -> bool:
    """Whether the scrub may let recorders and a busy machine go first: not when the period would be at risk."""
    return lag(plan, now) <= plan.period * PATIENCE


def rate_bytes_s(plan: Plan, now: datetime, *, file_bytes: int = 0) -> int:
    """How fast to read now; 0 means as fast as it goes.

    Args:
        plan: The round so far.
        now: The time.
        file_bytes: Size of the file that is read next.
    """
    if now >= plan.due_at:
        wanted = 0
    else:
        until = plan.goal_at if lag(plan, now) <= plan.period * PATIENCE else plan.due_at
        span_s = max(until - now, _NEAR_END).total_seconds()
        wanted = max(FLOOR_BYTES_S, int(plan.left_bytes / span_s * _SPARE), int(file_bytes / FILE_S))
    if plan.cap_bytes_s and (wanted == 0 or wanted > plan.cap_bytes_s):
        return plan.cap_bytes_s
    return wanted


class Throttle:
    """Tells how long to wait after so many bytes, so that reading keeps to a rate. Times are the caller's, in seconds."""

    def __init__(self, *, now_s: float) -> None:
        self._free_at_s = now_s

    def pause_s(self, size_bytes: int, *, rate_bytes_s: int, now_s: float) -> float:
        """Seconds to wait after ``size_bytes`` were read; 0 without a rate."""
        if rate_bytes_s <= 0:
            self._free_at_s = now_s
            return 0.0
        # What was slower than the rate before gives no right to be faster than it afterwards.
        self._free_at_s = max(self._free_at_s, now_s - 1.0) + size_bytes / rate_bytes_s
        return max(0.0, self._free_at_s - now_s)
