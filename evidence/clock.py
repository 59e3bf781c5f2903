"""Time, injected. The only module that asks the operating system what time it is.

A reading carries how it was obtained and how far it may be off, because a wrong clock must never make footage due
(promise 9). All wall times are aware UTC, cut to milliseconds, so that they survive JSON and both databases unchanged.

Source: adjtimex(2); RULES R4, R10.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from evidence.errors import InvalidInputError

#: The zone of the bureau's calendar (retention months, 24-hour deadlines on the screen).
BUREAU_ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class TimeReading:
    """One look at the clock.

    Attributes:
        wall: Aware UTC, millisecond precision.
        monotonic_ns: Monotonic clock in nanoseconds, for durations.
        source: ``synchronised`` (kernel says an NTP/PTP daemon disciplines it), ``unsynchronised`` or ``manual``.
        uncertainty_ms: The kernel's own bound on the error in milliseconds, or -1 when unknown.
    """

    wall: datetime
    monotonic_ns: int
    source: str
    uncertainty_ms: int

    @property
    def trusted(self) -> bool:
        """Whether automatic clearing may rely on this reading."""
        return self.source == "synchronised"


class Clock(Protocol):
    """Anything that can be read for the time."""

    def now(self) -> TimeReading:
        """Read the clock once."""
        ...


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_ERROR = 5
_TIMESYNCD_FLAG = Path("/run/systemd/timesync/synchronized")
_libc = ctypes.CDLL(None, use_errno=True)


def _kernel_discipline() -> tuple[str, int]:
    timex = _Timex()
    state = _libc.adjtimex(ctypes.byref(timex))
    if state == -1:
        # Inside a hardened unit (ProtectClock=) the call is refused even for reading; systemd-timesyncd then leaves this
        # flag. Where another daemon runs there is no flag, and "unsynchronised" errs on the side that keeps footage.
        return ("synchronised" if _TIMESYNCD_FLAG.exists() else "unsynchronised"), -1
    if state == _TIME_ERROR:
        return "unsynchronised", -1
    return "synchronised", max(0, timex.maxerror // 1000)


class SystemClock:
    """The machine's clock, with the kernel's own word on whether it is synchronised."""

    def now(self) -> TimeReading:
        """Read wall and monotonic clock and the kernel's synchronisation state."""
        source, uncertainty_ms = _kernel_discipline()
        return TimeReading(utc_from_ms(time.time_ns() // 1_000_000), time.monotonic_ns(), source, uncertainty_ms)


def utc_from_ms(unix_ms: int) -> datetime:
    """Aware UTC from Unix milliseconds."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


def unix_ms(moment: datetime) -> int:
    """Unix milliseconds of an aware datetime."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def to_text(moment: datetime) -> str:
    """``2026-11-22T13:05:41.120Z``: the one text form of a time in entries, manifests and JSON."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(untrusted: str) -> datetime:
    """Parse :func:`to_text`'s form, and nothing else.

    Raises:
        InvalidInputError: The text is not exactly of that form.
    """
    try:
        moment = datetime.fromisoformat(untrusted)
        exact = moment.tzinfo is not None and to_text(moment) == untrusted
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(f"not a time: {untrusted!r}") from error
    if not exact:
        raise InvalidInputError(f"not a time: {untrusted!r}")
    return moment.astimezone(UTC)
