"""Calendar days, months and hours in the bureau's time zone. Pure.

Periods are counted as the Civil Code says (articles 200 to 204): by the month, the first day is not counted and the last is the
day of the same number, or the last day of a month that has no such day; by the day, the first day is not counted; the last day
ends at 24:00. By the hour the count begins with the event itself and leaves no holiday out. A moment becomes a date only after
it was brought into the zone: 16:30 UTC on 31 August is 1 September in the bureau.

Months cannot be counted backwards (28 to 31 August all lead to 28 February): who needs both ends keeps both.

Source: RULES R4, R10; docs/retention.md.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError

_ONE_DAY = timedelta(days=1)


def local_date(moment: datetime, zone: ZoneInfo = BUREAU_ZONE) -> date:
    """The bureau's date at that moment.

    Raises:
        InvalidInputError: The moment has no zone, so nobody can tell its date.
    """
    if moment.tzinfo is None:
        raise InvalidInputError("a moment without a time zone has no date", todo="Give it with its offset from UTC.")
    return moment.astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo = BUREAU_ZONE) -> datetime:
    """The moment (UTC) a day begins: 00:00 in the zone."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def end_of(day: date, zone: ZoneInfo = BUREAU_ZONE) -> datetime:
    """The first moment (UTC) after a day: 24:00 in the zone."""
    return start_of(day + _ONE_DAY, zone)


def add_months(day: date, months: int) -> date:
    """The day of the same number so many months on, or the last of a month that has no such day.

    Raises:
        InvalidInputError: The result lies outside the years 1 to 9999.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    try:
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    except (ValueError, OverflowError, calendar.IllegalMonthError) as error:
        raise InvalidInputError(f"{months} months from {day} lie outside every calendar") from error


def after_months(begins: datetime, months: int, zone: ZoneInfo = BUREAU_ZONE) -> datetime:
    """The first moment (UTC) after a period of calendar months that begins with an event."""
    return end_of(add_months(local_date(begins, zone), months), zone)


def after_days(begins: datetime, days: int, zone: ZoneInfo = BUREAU_ZONE) -> datetime:
    """The first moment (UTC) after a period of whole days that begins with an event, whose own day is not counted."""
    return end_of(local_date(begins, zone) + timedelta(days=days), zone)


def after_hours(begins: datetime, hours: int) -> datetime:
    """The moment (UTC) so many elapsed hours after an event; holidays and nights count."""
    return begins.astimezone(UTC) + timedelta(hours=hours)
