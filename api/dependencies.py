"""From a request to who acts: the session cookie, the actor behind it, and the guard against forged requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from access import SessionActor
from api.security import csrf
from api.security.rates import AttemptRate
from api.services import ApiSettings, Services
from api.web.once import Once
from evidence.errors import AuthenticationError
from evidence.model import Actor

COOKIE = "liuhen_session"
LANGUAGE_COOKIE = "liuhen_lang"


def services_of(request: Request) -> Services:
    """The services this application was made with."""
    services: Services = request.app.state.services
    return services


def settings_of(request: Request) -> ApiSettings:
    """The settings this application was made with."""
    settings: ApiSettings = request.app.state.settings
    return settings


def login_rate_of(request: Request) -> AttemptRate:
    """The counter of log-in attempts."""
    rate: AttemptRate = request.app.state.login_rate
    return rate


def once_of(request: Request) -> Once:
    """What the next page of a session tells once."""
    once: Once = request.app.state.once
    return once


def address_of(request: Request) -> str:
    """Where the request comes from, for entries."""
    return request.client.host if request.client is not None else ""


def session_behind(request: Request) -> SessionActor:
    """The session behind the cookie. What a page asks by itself (htmx polls) does not keep it awake.

    Raises:
        AuthenticationError: No session, or it has ended.
        ForgedRequestError: The request did not come from our pages.
    """
    csrf.require_same_origin(request)
    token = request.cookies.get(COOKIE)
    if not token:
        raise AuthenticationError("not logged in", todo="Log in first.")
    polled = request.method == "GET" and "hx-request" in request.headers
    return services_of(request).identity.session_actor(token, address=address_of(request), keep_awake=not polled)


def session_of(request: Request) -> SessionActor:
    """Like :func:`session_behind`; unsafe requests must carry its token in the header (forms: see ``api.web``)."""
    session = session_behind(request)
    if request.method not in csrf.SAFE_METHODS:
        csrf.require_token(request.headers.get(csrf.HEADER), session.csrf)
    return session


def actor_of(session: Annotated[SessionActor, Depends(session_of)]) -> Actor:
    """Who acts."""
    return session.actor


ServicesDep = Annotated[Services, Depends(services_of)]
SettingsDep = Annotated[ApiSettings, Depends(settings_of)]
SessionDep = Annotated[SessionActor, Depends(session_of)]
ActorDep = Annotated[Actor, Depends(actor_of)]
