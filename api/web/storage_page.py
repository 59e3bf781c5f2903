"""The page of the stores: what each is, holds and lacks, and what went wrong with it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.dependencies import ServicesDep
from api.web import words
from api.web.rendering import language_of, render
from api.web.session import PageSession

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/storage")
def storage(request: Request, services: ServicesDep, page: PageSession) -> HTMLResponse:
    """Every store."""
    view = services.storage.look(page.actor)
    language = language_of(request)
    errors = {
        store.name: words.error_text(store.state.error_code, store.state.error, language)
        for store in view.stores if store.state.error_code
    }  # fmt: skip
    return render(
        request, "storage.html", session=page, stores=view.stores, as_of=view.as_of, errors=errors,
        value_words=words.HEALTH_VALUE_WORDS,
    )  # fmt: skip
