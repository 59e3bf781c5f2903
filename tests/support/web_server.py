"""The web application of a test on a real port of loopback, and log-ins for real browsers."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import uvicorn

from catalogue.records import WebSessionRow
from evidence.model import Actor
from support.web_home import WebHome


@contextlib.contextmanager
def served(web: WebHome) -> Iterator[str]:
    """The address of the application while it is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(web.app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def session_token(web: WebHome, actor: Actor) -> str:
    """A session of that person; its token is the cookie's value."""
    token, now = secrets.token_urlsafe(32), web.house.clock.now().wall
    row = WebSessionRow(
        token_sha256=hashlib.sha256(token.encode()).hexdigest(), agent=actor.agent, csrf=secrets.token_urlsafe(24),
        created_at=now, seen_at=now, expires_at=now + timedelta(hours=1), address="127.0.0.1",
    )  # fmt: skip
    with web.house.catalogue.begin() as uow:
        uow.sessions.add(row)
    return token
