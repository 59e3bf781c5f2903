"""The page of statistics, and its table to take away."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from api.dependencies import ServicesDep
from api.matters.checkpoints import newest
from api.matters.registers import MEDIA_TYPES
from api.web.i18n import translate
from api.web.rendering import language_of, render
from api.web.session import PageSession
from api.web.statistics_view import SHOWN, bars, figure_text, head, register_of
from assurance.statistics import FIGURES
from documents.registers import to_csv, to_pdf, to_xlsx
from documents.words import Language
from evidence.errors import InvalidInputError

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_WRITERS = {"csv": to_csv, "xlsx": to_xlsx, "pdf": to_pdf}
Day = Annotated[str, Query(max_length=10)]


@router.get("/statistics")
def statistics(
    request: Request, services: ServicesDep, page: PageSession, first: Day = "", last: Day = ""
) -> HTMLResponse:
    """Figures of a span of days by department, and how much came in in time."""
    report = services.statistics.report(page.actor, first=_day(first), last=_day(last))
    say = partial(translate, language=language_of(request))
    names = services.directory.unit_names()
    units = [
        (names.get(one.unit, "") if one.unit is not None else say("no department"), one.figures) for one in report.units
    ]
    return render(
        request, "statistics.html", session=page, report=report, units=units,
        figures=[(figure, head(figure, say)) for figure in FIGURES if figure.code in SHOWN],
        all_figures=[(figure, head(figure, say)) for figure in FIGURES], text=figure_text, unit_bars=bars(units),
        month_bars=bars([(one.day.strftime("%Y-%m"), {"no_deadline": 0, **one.figures}) for one in report.months]),
    )  # fmt: skip


@router.get("/statistics/register.{form}")
def register(
    request: Request, services: ServicesDep, page: PageSession, form: str, first: Day = "", last: Day = ""
) -> Response:
    """The whole table as CSV, XLSX or a printable document."""
    report = services.statistics.report(page.actor, first=_day(first), last=_day(last))
    if form not in _WRITERS:
        raise InvalidInputError(f"there is no register as {form[:8]!r}", todo="Choose csv, xlsx or pdf.")
    language: Language = "en" if language_of(request) == "en" else "zh-CN"
    made = register_of(
        report, services.directory.unit_names(), language,
        checkpoint=newest(services.log.directory, services.log.vkey), now=services.clock.now().wall,
    )  # fmt: skip
    name = f"statistics-{report.first.isoformat()}-{report.last.isoformat()}.{form}"
    return Response(
        _WRITERS[form](made), media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInputError(f"not a day: {text[:16]!r}", todo="Write it as 2026-11-27.") from error
