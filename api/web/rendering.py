"""Templates: one environment, every value escaped, the helpers that pages share."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from access import SessionActor
from api.dependencies import LANGUAGE_COOKIE, services_of
from api.security.csrf import SAFE_METHODS
from api.web import marks, words
from api.web.i18n import choose_language, translate
from api.web.session import back_path
from api.web.units import duration_text, local_time, signed_seconds, size_text
from evidence.model import Action

_TEMPLATES: Final = Path(__file__).with_name("templates")


class MenuItem:
    """One entry of the menu and the rights of which one is enough."""

    def __init__(self, href: str, label: str, *actions: Action) -> None:
        self.href = href
        self.label = label
        self.actions = frozenset(actions)


#: Rights to see or open matters of some kind.
MATTERS: Final = (
    Action.HOLD_SEE, Action.DISPOSAL_SEE, Action.SCHEDULE_SEE, Action.CASE_SEE, Action.REGISTER_SEE, Action.PROCEDURE_SEE,
    Action.DISC_SEE, Action.ACCESS_ASK, Action.EXCEPTION_FILE, Action.DAMAGE_REPORT, Action.REGISTER_ENTER,
    Action.DEVICE_LIST, Action.PEOPLE_LIST,
)  # fmt: skip
MENU: Final = (
    MenuItem("/wall", "Dock wall", Action.OFFLOAD_LIST),
    MenuItem("/my", "My recordings", Action.RECORDING_LIST),
    MenuItem("/unsorted", "Not sorted yet", Action.CASE_EDIT),
    MenuItem("/recordings", "Recordings", Action.RECORDING_LIST),
    MenuItem("/matters", "Matters", *MATTERS),
    MenuItem("/use-register", "Register of use", Action.REGISTER_SEE),
    MenuItem("/discs", "Discs", Action.DISC_SEE),
    MenuItem("/clearing", "Clearing", Action.DISPOSAL_SEE),
    MenuItem("/devices", "Recorders", Action.DEVICE_LIST),
    MenuItem("/findings", "Findings", Action.FINDING_LIST),
    MenuItem("/people", "People", Action.PEOPLE_LIST),
    MenuItem("/statistics", "Statistics", Action.STATISTICS_SEE),
    MenuItem("/storage", "Storage", Action.SYSTEM_HEALTH),
    MenuItem("/system", "System", Action.SYSTEM_HEALTH),
)


def icon(name: str) -> Markup:
    """An icon of our sprite; the word beside it carries the meaning."""
    return Markup(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="/static/icons.svg#{}"></use></svg>'
    ).format(name)


@cache
def environment() -> Environment:
    """The one template environment: autoescape on, missing values are errors."""
    env = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    env.globals.update(
        icon=icon, local_time=local_time, size_text=size_text, duration_text=duration_text,
        signed_seconds=signed_seconds, urlencode=urlencode, marks=marks,
    )  # fmt: skip
    return env


def language_of(request: Request) -> str:
    """The page's language: the address, the cookie, what the browser likes best, then Chinese."""
    liked = request.headers.get("accept-language", "").lower()
    return choose_language(
        request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE), "en" if liked.startswith("en") else None
    )


def _offered(request: Request, session: SessionActor | None) -> Collection[Action]:
    if session is None or session.must_change:
        return ()
    return services_of(request).gate.offered(session.actor)


def _here(request: Request, untrusted_back: str) -> str:
    """The address that shows this page again: what answers a form has none of its own."""
    if request.method in SAFE_METHODS:
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return back_path(untrusted_back)


def _damage(request: Request, session: SessionActor | None, offered: Collection[Action]) -> int:
    """Open findings of tamper or loss: every page warns who may see findings."""
    if session is None or Action.FINDING_LIST not in offered:
        return 0
    return services_of(request).reading.damage(session.actor).open


def _notices(request: Request) -> list[str]:
    return [words.NOTICES.get(notice.code, notice.code) for notice in services_of(request).notices.current()]


def render(
    request: Request,
    template: str,
    *,
    session: SessionActor | None = None,
    status: int = 200,
    back: str = "/",
    **values: Any,
) -> HTMLResponse:
    """Render a page or a part of one.

    Args:
        request: For language and address.
        template: File name below ``templates/``.
        session: Who looks; None on public pages.
        status: HTTP status.
        back: The page that an answer to a form belongs to: where changing the language leads.
        **values: What the template needs besides the shared helpers.
    """
    language = language_of(request)
    offered = _offered(request, session)
    html = environment().get_template(template).render(
        _=partial(translate, language=language),
        lang=language,
        actor=session.actor if session is not None else None,
        csrf=session.csrf if session is not None else "",
        menu=[item for item in MENU if item.actions & set(offered)],
        found_damage=_damage(request, session, offered),
        notices=_notices(request) if session is not None else [],
        here=request.url.path,
        here_full=_here(request, back),
        **values,
    )  # fmt: skip
    return HTMLResponse(html, status_code=status)
