"""Ends event streams when the service stops: a wall left open in a browser must not hold up an orderly end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
_LOOK_S: Final = 0.2
_STREAMS: Final = "/events"


class EndingStreams:
    """An ASGI application whose event streams end, cleanly for the browser, soon after ``stop`` is set.

    Args:
        app: The application; addresses of its streams end with ``/events``.
        stop: Set when the service is to end.
    """

    def __init__(self, app: Asgi, stop: threading.Event) -> None:
        self._app = app
        self._stop = stop

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].endswith(_STREAMS):
            await self._app(scope, receive, send)
            return
        begun = ended = False

        async def noting(message: Message) -> None:
            nonlocal begun, ended
            await send(message)
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body")

        work = asyncio.ensure_future(self._app(scope, receive, noting))
        try:
            while not (work.done() or (begun and self._stop.is_set())):
                await asyncio.wait({work}, timeout=_LOOK_S)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if work.cancelled():
            if not ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        work.result()
