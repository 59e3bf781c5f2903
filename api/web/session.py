"""The session behind a page: like the API's, but forms carry the token in a field, and an one-time password comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from access import SessionActor
from api.dependencies import session_behind
from evidence.errors import AccessDeniedError


class OneTimePasswordError(AccessDeniedError):
    """The person must choose a password before anything else."""

    code = "one-time-password"
    reason = "password-change-required"


def back_path(untrusted: str) -> str:
    """A path of ours to go back to; anything else becomes the first page (no open redirect)."""
    local = untrusted.startswith("/") and not untrusted.startswith(("//", "/\\"))
    return untrusted if local and untrusted.isprintable() and len(untrusted) < 2_000 else "/"


def page_session(*, allow_one_time: bool) -> Callable[[Request], SessionActor]:
    """A dependency that tells whose page it is.

    Args:
        allow_one_time: Whether somebody with a one-time password may see this page.
    """

    def find(request: Request) -> SessionActor:
        session = session_behind(request)
        if session.must_change and not allow_one_time:
            raise OneTimePasswordError("the one-time password must be changed first")
        return session

    return find


PageSession = Annotated[SessionActor, Depends(page_session(allow_one_time=False))]
