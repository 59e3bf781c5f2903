"""Response headers of every answer: no inline code, no framing, no sniffing, nothing of evidence in a shared cache.

Source: OWASP Secure Headers; docs/threat-model.md "somebody at a browser".
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; media-src 'self'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # "no-referrer" would make browsers send ``Origin: null`` with our own forms
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), usb=()"),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_STATIC_CACHE: Final = (b"cache-control", b"public, max-age=3600")


class SecurityHeaders:
    """ASGI middleware that adds the headers; static assets may be cached, everything else may not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the response's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cache = _STATIC_CACHE if scope["path"].startswith("/static/") else _NO_STORE

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                wanted = (*_ALWAYS, cache)
                message["headers"] = [*message["headers"], *((n, v) for n, v in wanted if n not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
