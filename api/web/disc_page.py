"""The page of discs: what waits, which sets there are, which discs are due."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.dependencies import ServicesDep
from api.web.rendering import render
from api.web.session import PageSession
from catalogue.matters import MatterFilter
from evidence.clock import from_text
from retention import disc_terms as terms

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_ROWS: Final = 100


@router.get("/discs")
def discs(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Everything about discs that this person may know of."""
    waiting = services.discs.waiting(page.actor, limit=_ROWS)
    sets = services.matters.find(page.actor, MatterFilter(kinds=(terms.DISC_SET,)), limit=_ROWS)
    discs_ = services.matters.find(page.actor, MatterFilter(kinds=(terms.DISC,)), limit=_ROWS)
    forms = services.matters.forms
    return render(
        request, "discs.html", session=page, waiting=waiting, due=services.discs.due(page.actor), sets=sets,
        discs=discs_, moment=from_text, set_form=forms.of(terms.DISC_SET), disc_form=forms.of(terms.DISC),
        more=len(waiting) == _ROWS,
    )  # fmt: skip
