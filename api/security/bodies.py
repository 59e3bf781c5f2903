"""Bodies of requests are read here, up to a bound: nobody, logged in or not, makes the service hold more of them in memory.

Every request of ours is a short form or a short JSON text; footage comes in through the docks and never through here. Documents
of matters are read by their own routes as they come, after these know who sends them (:mod:`api.uploads`), and bounded there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fastapi import Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.security.csrf import SAFE_METHODS

BODY_BYTES_MAX: Final = 64 << 10
#: Routes that read their body themselves, a piece at a time.
_STREAMED: Final = re.compile(
    r"/(?:api/v1/matters|matters/one)/mat_[0-9a-f]{32}/documents|/(?:api/v1/)?record-lists(?:/preview)?"
)


class BodyLimit:
    """ASGI middleware that refuses larger bodies before a route begins.

    Args:
        app: What answers all other requests.
        refuse: The answer to a request that is too large.
    """

    def __init__(self, app: ASGIApp, *, refuse: Callable[[Request], Response]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then pass it on whole; requests that carry none by their method pass as they are."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or _STREAMED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the client is gone
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > BODY_BYTES_MAX:
                await self._refuse(Request(scope))(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)
