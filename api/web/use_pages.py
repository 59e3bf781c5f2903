"""Pages about the use of footage: copies, and the register of use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse

from access.reading import ORIGINAL
from api.dependencies import ServicesDep
from api.routes.use import copied, register_book
from api.schemas.matters import RegisterFormat
from api.security import csrf as forgery
from api.use_book import remark_of
from api.use_words import RIGHTS
from api.web.rendering import language_of, render
from api.web.session import PageSession
from api.web.use_parts import own_lines
from catalogue.matters import MatterFilter
from documents.words import Language
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError, NotFoundError
from evidence.ids import RecordingId, UnitId
from evidence.model import Action

router = APIRouter(include_in_schema=False)
_DAYS = 30
_MINE = ("access-request", "access-grant", "access-paper", "supervised-viewing", "loan")
#: Lines that the page itself shows; the files hold all.
_SHOWN = 500


def _known(untrusted: str) -> RecordingId:
    try:
        return RecordingId(untrusted)
    except InvalidInputError as error:
        raise NotFoundError("there is no such recording") from error


@router.post("/recordings/{recording}/copies")
def copy(
    recording: str, services: ServicesDep, page: PageSession, csrf: Annotated[str, Form()],
    kind: Annotated[str, Form(max_length=32)] = ORIGINAL,
) -> Response:  # fmt: skip
    """Save a copy; it is entered before the first byte is sent."""
    forgery.require_token(csrf, page.csrf)
    return copied(services, page.actor, _known(recording), kind=kind)


@router.get("/my/use")
def mine(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """The person's own requests and grants, the newest first: how they stand and until when."""
    rows = services.matters.find(page.actor, MatterFilter(kinds=_MINE, person=page.actor.agent), limit=100)
    words = {kind: services.matters.forms.of(kind).word for kind in _MINE}
    return render(request, "use_mine.html", session=page, lines=own_lines(services, rows), words=words)


def _period(query: Mapping[str, str], now: datetime) -> tuple[date, date]:
    """First and last day, both whole days of the bureau."""
    today = now.astimezone(BUREAU_ZONE).date()
    try:
        first = date.fromisoformat(query["from"]) if query.get("from") else today - timedelta(days=_DAYS)
        last = date.fromisoformat(query["to"]) if query.get("to") else today
    except ValueError as error:
        raise InvalidInputError("a day looks like 2026-11-22") from error
    if not date(2000, 1, 1) <= first <= last <= date(9000, 1, 1):
        raise InvalidInputError("the period ends before it begins")
    return first, last


def _moments(first: date, last: date) -> tuple[datetime, datetime]:
    start = datetime.combine(first, time.min, tzinfo=BUREAU_ZONE)
    return start, datetime.combine(last + timedelta(days=1), time.min, tzinfo=BUREAU_ZONE)


@router.get("/use-register")
def register(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Every request, use and refusal of a period."""
    query = {name: value for name, value in request.query_params.items() if value and name != "lang"}
    first, last = _period(query, services.clock.now().wall)
    since, until = _moments(first, last)
    unit = UnitId(query["unit"]) if query.get("unit") else None
    lines = services.use_register.lines(page.actor, since=since, until=until, unit=unit)
    language = language_of(request)
    return render(
        request, "use_register.html", session=page, first=first, last=last, unit=unit or "", total=len(lines),
        lines=[(line, remark_of(line, services.matters.forms, language)) for line in lines[-_SHOWN:]],
        names=services.directory.names(), units=services.reading.units(page.actor, Action.REGISTER_SEE), rights=RIGHTS,
        files=urlencode({"from": first.isoformat(), "to": last.isoformat(), "unit": unit or ""}), shown=_SHOWN,
    )  # fmt: skip


@router.get("/use-register/{book}")
def register_file(book: RegisterFormat, request: Request, services: ServicesDep, page: PageSession) -> Response:
    """The register as a file."""
    query = dict(request.query_params)
    since, until = _moments(*_period(query, services.clock.now().wall))
    unit = UnitId(query["unit"]) if query.get("unit") else None
    language: Language = "en" if language_of(request) == "en" else "zh-CN"
    return register_book(services, page.actor, since=since, until=until, unit=unit, form=book, language=language)
