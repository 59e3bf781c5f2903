"""Statistics in the API's form."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field

from assurance.statistics import Report


class UnitStatistics(BaseModel):
    """The figures of one department."""

    unit: str | None = Field(description="Identity of the department; null for what belongs to none.")
    figures: dict[str, int] = Field(description="By code; `timeliness` is -1 where nothing could be late.")


class MonthStatistics(BaseModel):
    """A month's part of the span."""

    day: date = Field(description="Its first day within the span.")
    figures: dict[str, int]


class StatisticsAnswer(BaseModel):
    """Statistics of a span of days."""

    first: date
    last: date
    as_of: datetime
    units: list[UnitStatistics]
    total: dict[str, int]
    months: list[MonthStatistics]


def answer_of(report: Report) -> StatisticsAnswer:
    """A report in the API's form, which the command line shares."""
    return StatisticsAnswer(
        first=report.first, last=report.last, as_of=report.as_of,
        units=[UnitStatistics(unit=one.unit, figures=dict(one.figures)) for one in report.units],
        total=dict(report.total.figures),
        months=[MonthStatistics(day=one.day, figures=dict(one.figures)) for one in report.months],
    )  # fmt: skip
