"""When a round of the scrub will end, and whether that is within the period. Pure.

The forecast is what was measured, not what is hoped for: a store that keeps to its line ends with the line; one that lies behind
ends when its own speed so far says. A store that was not read at all, although the line asked for it, has no forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from assurance import fixity_pace
from assurance.fixity_pace import Plan

#: Behind the line by no more than this part of the period, a store still counts as being on it.
_ON_LINE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How a round is going.

    Attributes:
        ends_at: When it will end; None when nothing tells.
        due_at: When it must have ended.
        in_time: Whether it will; None when nothing tells yet.
    """

    ends_at: datetime | None
    due_at: datetime
    in_time: bool | None


def of_store(plan: Plan, now: datetime) -> datetime | None:
    """When one store's part will be done; None when nothing tells."""
    if plan.left_bytes == 0:
        return now
    behind = fixity_pace.lag(plan, now)
    if behind <= max(plan.period * _ON_LINE, timedelta(minutes=5)) and now < plan.goal_at:
        return plan.goal_at
    elapsed = now - plan.started_at
    if plan.done_bytes <= 0 or elapsed <= timedelta(0):
        return None
    # Division by what was read may reach far beyond any calendar; a century is as bad as never.
    left = plan.left_bytes / plan.done_bytes
    return now + elapsed * left if elapsed.total_seconds() * left < timedelta(days=36_500).total_seconds() else None


def of_round(plans: Sequence[Plan], now: datetime, *, due_at: datetime, away: bool = False) -> Forecast:
    """The whole round: its slowest store.

    Args:
        plans: One for each store.
        now: The time.
        due_at: When the round must have ended.
        away: Whether a store with copies left does not answer now: then nobody can tell when it ends.
    """
    ends = [of_store(plan, now) for plan in plans]
    if now > due_at:
        known = [end for end in ends if end is not None]
        return Forecast(ends_at=max(known) if len(known) == len(ends) and known else None, due_at=due_at, in_time=False)
    if away or any(end is None for end in ends):
        return Forecast(ends_at=None, due_at=due_at, in_time=None)
    ends_at = max((end for end in ends if end is not None), default=now)
    return Forecast(ends_at=ends_at, due_at=due_at, in_time=ends_at <= due_at)
