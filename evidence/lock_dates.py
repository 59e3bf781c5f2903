"""Until when a copy of some bytes is locked against removal, and when that is looked at again. Pure.

Ordinary footage is due six calendar months after the later of its trusted end and its accession (R10), footage of a longer class
or of a closed case when that was decided (``retention.decide``): its lock reaches there in steps, because a lock of a bucket in
COMPLIANCE cannot be taken back by anybody, and never goes beyond. Footage that is to be kept without an end (held, of the
long-term class, or of an accession that no believed clock told) has a date that rolls on. Bytes are shared: the latest date of
all who need them counts, and one without an end makes the whole without an end.

A lock only forbids removal. When it has lapsed nothing happens by itself: what is due is decided elsewhere (promise 5).

Months as in the Civil Code: the first day is not counted; the last one is the day of the same number, or the last of a shorter
month; it ends at 24:00 in the bureau's time zone. The period is never moved for holidays: it is a period of keeping.

Source: RULES R10, R11; docs/invariants.md 9; Civil Code articles 201 and 202.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from evidence.calendar import after_months
from evidence.clock import BUREAU_ZONE, TimeReading
from evidence.time_line import Belief, judge

#: The shortest period the rules allow.
MONTHS: Final = 6
#: A date that has passed by every clock: it orders nothing, and keeps a bucket from taking a date of its own from our clock when
#: that is not believed; the bucket's default retention, by the server's clock, then is the lock.
NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: No copy is left alone longer than this: what was ordered about its bytes may have changed.
LOOK_WITHIN: Final = timedelta(days=7)
#: A recorder's clock may be ahead by this much; an end further behind the accession is none that can be trusted.
_AHEAD_MAX: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPolicy:
    """How far locks reach.

    Attributes:
        cap: Longest lock that is given at once; it is renewed when half of it is over.
        months: Period of ordinary footage in calendar months.
        alarm: A lock that is to be kept up and ends sooner than this is an alarm.
    """

    cap: timedelta = timedelta(days=90)
    months: int = MONTHS
    alarm: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFacts:
    """What is known of one recording for whose sake bytes are kept.

    Attributes:
        accession: When its bytes came in, by a clock of ours that was believed; None when it was not.
        ended_at: When it ended, by a recorder's clock that is trusted; None when it is not.
        long_term: It belongs to the long-term class, or nothing tells a date yet (an open case, a mark nobody judged).
        held: An order stands that it be kept.
        due_at: The lawful date that was decided for it, where that is later than the ordinary one (a longer class, a case).
    """

    accession: datetime | None
    ended_at: datetime | None = None
    long_term: bool = False
    held: bool = False
    due_at: datetime | None = None

    @property
    def endless(self) -> bool:
        """Whether it is kept without an end: as long as that is so, nobody can tell when it will be due."""
        return self.held or self.long_term or self.accession is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDate:
    """What is to be ordered.

    Attributes:
        until: Locked until then; None when no date is to be given any more.
        last: It is the lawful due date: no later one is ever given, unless the facts change.
    """

    until: datetime | None
    last: bool


def due_at(
    accession: datetime, ended_at: datetime | None = None, *, months: int = MONTHS, zone: ZoneInfo = BUREAU_ZONE
) -> datetime:
    """The first moment after the period of ordinary footage (UTC).

    Args:
        accession: When it came in, by a believed clock.
        ended_at: When it ended, where that can be trusted; one more than a day behind the accession cannot.
        months: Calendar months.
        zone: Zone of the bureau's calendar.
    """
    return after_months(begins_at(accession, ended_at), months, zone)


def begins_at(accession: datetime, ended_at: datetime | None = None) -> datetime:
    """When every period of keeping begins: the later of accession and trusted end (promise 9).

    An end more than a day behind the accession is none that a recorder can have meant, and counts for nothing.
    """
    if ended_at is not None and ended_at <= accession + _AHEAD_MAX:
        return max(accession, ended_at)
    return accession


def lock_until(holders: Iterable[LockFacts], now: datetime, policy: LockPolicy) -> LockDate:
    """Until when bytes are to be locked, for the sake of all who need them.

    Args:
        holders: One or more recordings. None at all: nobody needs the bytes, and they get no date.
        now: A believed time.
        policy: How far locks reach.
    """
    facts = list(holders)
    if any(one.endless for one in facts):
        return LockDate(until=now + policy.cap, last=False)
    due = max((_due(one, one.accession, policy) for one in facts if one.accession), default=None)
    if due is None or due <= now:
        return LockDate(until=None, last=True)
    return LockDate(until=min(due, now + policy.cap), last=due <= now + policy.cap)


def _due(facts: LockFacts, accession: datetime, policy: LockPolicy) -> datetime:
    ordinary = due_at(accession, facts.ended_at, months=policy.months)
    return ordinary if facts.due_at is None else max(ordinary, facts.due_at)


def needs_renewal(known: datetime | None, wanted: LockDate, now: datetime, policy: LockPolicy) -> bool:
    """Whether a copy whose lock ends at ``known`` (None: it has none, or that is not known) is to get the wanted date now.

    A date is moved when half of the cap is over, or when the last one can be given: every renewal is a record that stays.
    """
    if wanted.until is None:
        return False
    if known is None:
        return True
    return known < wanted.until and (wanted.last or known < now + policy.cap / 2)


def look_again_at(known: datetime | None, now: datetime, policy: LockPolicy) -> datetime:
    """When a copy is to be looked at again: when half of its lock is over, and within a week whatever its lock."""
    half = (known or now) - policy.cap / 2
    return min(max(half, now + timedelta(hours=1)), now + LOOK_WITHIN)


def believed_now(reading: TimeReading, mark: datetime | None) -> datetime | None:
    """The time that dates may be counted from; None while the clock contradicts what the home has seen (promise 9)."""
    return reading.wall if judge(reading, mark) is Belief.BELIEVED else None
