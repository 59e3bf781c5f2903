"""Forged requests: an unsafe method must come from our own pages and, with a session cookie, carry the session's token.

Three layers, each enough by itself in a modern browser: the cookie is ``SameSite=Strict``; ``Sec-Fetch-Site`` (or ``Origin``
in old ones) must be ours; the token of the session stands in a form field or a header.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from fastapi import Request

from evidence.errors import AccessDeniedError

HEADER = "x-liuhen-csrf"
FIELD = "csrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ForgedRequestError(AccessDeniedError):
    """The request did not come from our pages."""

    code = "forged-request"


def require_same_origin(request: Request) -> None:
    """Refuse an unsafe request that a foreign page sent.

    Raises:
        ForgedRequestError: ``Sec-Fetch-Site`` or ``Origin`` names somebody else.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise ForgedRequestError("the request came from another site")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise ForgedRequestError("the request came from another site")


def require_token(untrusted: str | None, expected: str) -> None:
    """Refuse an unsafe request that does not carry the session's token."""
    if untrusted is None or not hmac.compare_digest(untrusted.encode(), expected.encode()):
        raise ForgedRequestError("the page is out of date", todo="Load it again and repeat the step.")
