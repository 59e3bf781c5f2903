"""How the scrub stands: the round, its speed, its forecast, what was looked at longest ago, and what is bad.

Everything is read from the catalogue; the stores are not asked. What the scrub said last (which store did not answer, what it
waited for) is shown with its time, and counts for nothing once it is old.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from assurance import fixity_forecast, fixity_pace
from assurance.fixity import STATE, FixityPolicy
from assurance.fixity_forecast import Forecast
from assurance.fixity_pace import Plan
from catalogue import Catalogue
from catalogue.fixity import DueCopy, RoundRow, RoundStoreRow, StoreAge
from evidence.clock import from_text
from evidence.errors import EvidenceError

#: The scrub says something every minute; after this time it does not run.
SILENT_AFTER: Final = timedelta(hours=1)
_BAD_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """One store.

    Attributes:
        store: Its name.
        copies: Copies it had when the round began.
        done: Of those, looked at since.
        bad: Of those, not good.
        size_bytes: Their bytes.
        done_bytes: Bytes looked at.
        rate_bytes_s: Bytes per second of this round, on average.
        behind_s: How far behind its line it is, in seconds.
        oldest_at: The look that lies longest ago; None when every look is missing.
        unlooked: Whether a copy was never looked at.
        away: Whether it did not answer the scrub last.
    """

    store: str
    copies: int
    done: int
    bad: int
    size_bytes: int
    done_bytes: int
    rate_bytes_s: int
    behind_s: int
    oldest_at: datetime | None
    unlooked: bool
    away: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityStatus:
    """The whole scrub.

    Attributes:
        round: The round that goes on, else the last one; None before the first.
        forecast: Of the round that goes on; None when none does.
        stores: Every store with copies.
        bad: Copies whose last look ended badly, at most a hundred.
        period: In which every copy is looked at.
        said_at: When the scrub last said what it did; None when it never ran.
        waited_for: What it waited for then.
        away: Stores that did not answer then.
        as_of: When this was looked up.
    """

    round: RoundRow | None
    forecast: Forecast | None
    stores: tuple[StoreStatus, ...]
    bad: tuple[DueCopy, ...]
    period: timedelta
    said_at: datetime | None
    waited_for: str
    away: tuple[str, ...]
    as_of: datetime

    @property
    def oldest_at(self) -> datetime | None:
        """The look that lies longest ago, of all stores."""
        return min((one.oldest_at for one in self.stores if one.oldest_at is not None), default=None)

    @property
    def running(self) -> bool:
        """Whether the scrub said something lately."""
        return self.said_at is not None and abs(self.as_of - self.said_at) < SILENT_AFTER


def status(catalogue: Catalogue, policy: FixityPolicy, *, now: datetime, configured: Sequence[str]) -> FixityStatus:
    """Look up how the scrub stands.

    Args:
        catalogue: Where it stands.
        policy: Period and bounds.
        now: The time.
        configured: Names of the stores this home has.
    """
    with catalogue.read() as uow:
        row = uow.fixity.current() or uow.fixity.newest()
        parts = {part.store: part for part in (uow.fixity.parts(row.number) if row else [])}
        ages = uow.fixity.ages()
        bad = uow.fixity.bad_copies(limit=_BAD_MAX)
        said_at, waited_for, away = _said(uow.settings.get(STATE))
    fresh = said_at is not None and abs(now - said_at) < SILENT_AFTER
    gone = {age.store for age in ages} - set(configured)
    absent = (set(away) if fresh else set()) | gone
    plans = {age.store: _plan(row, parts.get(age.store), policy) for age in ages} if row else {}
    stores = tuple(_store(age, parts.get(age.store), plans.get(age.store), age.store in absent, now) for age in ages)
    forecast = None
    if row is not None and row.ended_at is None:
        left = any(plans[one.store].left_bytes for one in stores if one.away)
        forecast = fixity_forecast.of_round(
            list(plans.values()), now, due_at=row.started_at + policy.period, away=left
        )  # fmt: skip
    return FixityStatus(
        round=row, forecast=forecast, stores=stores, bad=tuple(bad), period=policy.period, said_at=said_at,
        waited_for=waited_for if fresh else "", away=tuple(sorted(absent)), as_of=now,
    )  # fmt: skip


def _plan(row: RoundRow, part: RoundStoreRow | None, policy: FixityPolicy) -> Plan:
    return Plan(
        started_at=row.started_at, period=policy.period, cap_bytes_s=policy.cap_bytes_s,
        total_bytes=part.size_bytes if part else 0, done_bytes=part.done_bytes if part else 0,
    )  # fmt: skip


def _store(age: StoreAge, part: RoundStoreRow | None, plan: Plan | None, away: bool, now: datetime) -> StoreStatus:  # noqa: FBT001 - a fact, not a switch
    elapsed_s = max(1.0, (now - plan.started_at).total_seconds()) if plan else 1.0
    return StoreStatus(
        store=age.store, copies=part.copies if part else 0, done=part.good + part.bad if part else 0,
        bad=part.bad if part else 0, size_bytes=part.size_bytes if part else 0,
        done_bytes=part.done_bytes if part else 0,
        rate_bytes_s=int(part.done_bytes / elapsed_s) if part else 0,
        behind_s=int(fixity_pace.lag(plan, now).total_seconds()) if plan else 0,
        oldest_at=age.oldest_at, unlooked=age.unlooked, away=away,
    )  # fmt: skip


def _said(text: str | None) -> tuple[datetime | None, str, tuple[str, ...]]:
    """What the scrub wrote; a value that it never wrote says nothing."""
    try:
        told = json.loads(text or "null")
        return from_text(told["at"]), str(told["waited_for"]), tuple(str(one) for one in told["away"])
    except (EvidenceError, ValueError, TypeError, KeyError):
        return None, "", ()
