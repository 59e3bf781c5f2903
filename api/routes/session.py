"""Log in, log out, who am I, change my password."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.dependencies import COOKIE, ServicesDep, SessionDep, SettingsDep, address_of, login_rate_of
from api.schemas.session import LogInRequest, PasswordRequest, SessionAnswer
from api.security import csrf

router = APIRouter(prefix="/session", tags=["session"])


def set_cookie(response: Response, token: str, *, secure: bool) -> None:
    """Give the browser the session's opaque token; it ends with the browser."""
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")


def _answer(services: ServicesDep, session: SessionDep) -> SessionAnswer:
    return SessionAnswer(
        agent=session.actor.agent,
        name=session.actor.name,
        csrf=session.csrf,
        must_change=session.must_change,
        expires_at=session.expires_at,
        actions=sorted(services.gate.offered(session.actor)),
    )


@router.post("", operation_id="logIn")
def log_in(
    request: Request, response: Response, body: LogInRequest, services: ServicesDep, settings: SettingsDep
) -> SessionAnswer:
    """Check a password and open a session (cookie)."""
    csrf.require_same_origin(request)
    login_rate_of(request).note(address_of(request))
    made = services.identity.log_in(body.login, password=body.password, address=address_of(request), via="web")
    set_cookie(response, made.token, secure=settings.secure_cookies)
    return _answer(services, services.identity.session_actor(made.token, address=address_of(request)))


@router.get("", operation_id="whoAmI")
def who_am_i(services: ServicesDep, session: SessionDep) -> SessionAnswer:
    """The session behind the cookie."""
    return _answer(services, session)


@router.delete("", status_code=204, operation_id="logOut")
def log_out(request: Request, services: ServicesDep, _session: SessionDep) -> Response:
    """End the session."""
    services.identity.log_out(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.put("/password", status_code=204, operation_id="changePassword")
def change_password(body: PasswordRequest, services: ServicesDep, session: SessionDep) -> Response:
    """Change one's own password; every session of that person ends."""
    services.identity.change_password(session.actor, old=body.old, new=body.new)
    return Response(status_code=204)
