"""The application factory: routes, middleware and the error answers, put together."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from api import openapi, problems
from api.refusals import MethodNotAllowedError, RequestTooLargeError
from api.routes import all_routers
from api.security.bodies import BODY_BYTES_MAX, BodyLimit
from api.security.headers import SecurityHeaders
from api.security.rates import AttemptRate
from api.services import ApiSettings, Services
from api.web import pages
from api.web.once import Once
from evidence.errors import EvidenceError, InvalidInputError, NotFoundError

_STATIC = Path(__file__).parent / "web" / "static"
_log = structlog.get_logger(__name__)


class _GuardedApp(FastAPI):
    """The security headers lie outside of everything: an answer to an error nobody foresaw carries them too."""

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's stack, inside of ours."""
        return SecurityHeaders(BodyLimit(super().build_middleware_stack(), refuse=_too_large))

    def openapi(self) -> dict[str, Any]:
        """The framework's document, completed by what it does not know: problems, the session and its token."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.completed(super().openapi())
        return self.openapi_schema


def create_app(services: Services, settings: ApiSettings | None = None) -> FastAPI:
    """Build the application over the given services.

    Args:
        services: What routes may call.
        settings: Surroundings; the defaults serve loopback without TLS.
    """
    settings = settings or ApiSettings()
    app = _GuardedApp(
        title="Liuhen 留痕",
        version="1",
        summary="Evidence service for body-worn recorders",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    app.state.settings = settings
    app.state.login_rate = AttemptRate(services.clock, per_minute=settings.login_attempts_per_minute)
    app.state.once = Once(services.clock)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.allowed_hosts))
    app.add_exception_handler(EvidenceError, _evidence_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    for router in all_routers():
        app.include_router(router, prefix="/api/v1", responses=openapi.PROBLEMS)
    app.include_router(pages.router())
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    return app


def _answer(request: Request, error: EvidenceError) -> Response:
    if request.url.path.startswith("/api/"):
        status = problems.status_of(error)
        return JSONResponse(problems.problem(error), status_code=status, media_type="application/problem+json")
    return pages.error_page(request, error)


def _evidence_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, EvidenceError):  # registered for this type only
        raise error
    if problems.status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("request_failed", path=request.url.path, code=error.code, what=error.what)
    return _answer(request, error)


def _bad_request(request: Request, error: Exception) -> Response:
    fields = ""
    if isinstance(error, RequestValidationError):
        fields = ", ".join(sorted({".".join(str(part) for part in item["loc"]) for item in error.errors()}))
    return _answer(request, InvalidInputError(f"the request is not of the form that is asked for: {fields}"))


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.NOT_FOUND:
        return _answer(request, NotFoundError("there is nothing at this address"))
    if status == HTTPStatus.METHOD_NOT_ALLOWED and isinstance(error, HTTPException):
        answer = _answer(request, MethodNotAllowedError(f"this address does not answer to {request.method[:16]}"))
        answer.headers.update(error.headers or {})
        return answer
    if status == HTTPStatus.BAD_REQUEST:  # a body that is no form and no JSON at all
        return _answer(request, InvalidInputError("the request is not of the form that is asked for"))
    return Response(status_code=status)


def _too_large(request: Request) -> Response:
    return _answer(request, RequestTooLargeError(f"a request holds at most {BODY_BYTES_MAX} bytes"))


def _unexpected(request: Request, error: Exception) -> Response:
    # The text of an unknown exception may hold anything, so it goes to the journal and not to the browser.
    _log.error("unexpected_error", path=request.url.path, error=type(error).__name__, exc_info=error)
    return _answer(
        request, EvidenceError("something went wrong in the service", kept="Nothing was lost.", todo="Try again.")
    )
