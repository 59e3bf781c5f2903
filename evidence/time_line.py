"""Whether a reading of the clock can be believed, against the latest time a home has seen (promise 9). Pure.

A clock that was set back would make deadlines lie in the past; one that ran ahead would make everything late. A reading that
contradicts the mark is therefore not believed: footage is taken in all the same, and what depends on time waits. The mark
itself may be the wrong one (it was raised while the clock stood in 2099): readings that contradict it the same way, and go
on evenly, are believed after a day of running.

Source: docs/invariants.md 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from evidence.clock import TimeReading

#: A clock may be corrected by this much, back or forth, without anybody being told.
TOLERANCE: Final = timedelta(minutes=5)
#: A machine may have been off for so long; beyond, only a synchronised clock is believed at once.
AHEAD_MAX: Final = timedelta(days=31)
#: A new time is believed after it has gone on evenly for so long.
TRIAL: Final = timedelta(hours=24)
#: What lies between two looks counts for no more than this: a running service looks every few minutes.
_SPAN_NS: Final = 3_600 * 10**9


class Belief(StrEnum):
    """What a reading is worth."""

    BELIEVED = "believed"
    WENT_BACK = "went-back"
    JUMPED = "jumped"


@dataclass(frozen=True, slots=True)
class Trial:
    """How a time that is not believed has gone on.

    Attributes:
        wall: Its latest reading.
        monotonic_ns: The monotonic clock at that reading.
        lasted_ns: For how long it has been seen to go on evenly.
    """

    wall: datetime
    monotonic_ns: int
    lasted_ns: int

    @property
    def passed(self) -> bool:
        """Whether the new time is the right one after all."""
        return timedelta(microseconds=self.lasted_ns // 1000) >= TRIAL


def judge(reading: TimeReading, mark: datetime | None) -> Belief:
    """Tell whether a reading can be believed.

    Args:
        reading: The clock now.
        mark: The latest time this home has seen; None in a new home, which believes its first reading.
    """
    if mark is None:
        return Belief.BELIEVED
    if reading.wall < mark - TOLERANCE:
        return Belief.WENT_BACK
    if reading.wall > mark + AHEAD_MAX and not reading.trusted:
        return Belief.JUMPED
    return Belief.BELIEVED


def prolong(trial: Trial | None, reading: TimeReading) -> Trial:
    """The trial of a new time after one more reading that contradicts the mark.

    Only spans in which wall and monotonic clock agree count, each for an hour at the most. After a restart of the machine (its
    monotonic clock begins anew) what was seen before still counts, the time it was off does not; after another jump the trial
    begins anew.
    """
    if trial is None:
        return Trial(reading.wall, reading.monotonic_ns, 0)
    walked = reading.wall - trial.wall
    ran_ns = reading.monotonic_ns - trial.monotonic_ns
    ran = timedelta(microseconds=ran_ns // 1000)
    if not -TOLERANCE <= walked <= AHEAD_MAX or (ran_ns >= 0 and abs(walked - ran) > TOLERANCE):
        lasted_ns = 0
    else:
        lasted_ns = trial.lasted_ns + min(max(ran_ns, 0), _SPAN_NS)
    return Trial(reading.wall, reading.monotonic_ns, lasted_ns)
