"""A service that is told to end ends quickly and without an error in its journal, whatever walls are open."""

import logging
import threading
import time
import urllib.request
from types import SimpleNamespace

import anyio
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from app.cli.command_serve import listen, serve_app
from app.streams import EndingStreams


def wall() -> FastAPI:
    app = FastAPI()

    async def beats():
        while True:
            yield "event: docks\n\n"
            await anyio.sleep(4)

    @app.get("/docks/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(beats(), media_type="text/event-stream")

    return app


def test_an_open_wall_does_not_hold_up_the_end(caplog):
    caplog.set_level(logging.WARNING)
    stop, seen, ended = threading.Event(), threading.Event(), threading.Event()
    pages = listen("127.0.0.1", 0)
    port = pages.getsockname()[1]

    def watch() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/docks/events", timeout=20) as stream:
            stream.readline()
            seen.set()
            stream.read()  # until the service ends it, whole
            ended.set()

    def tell() -> None:
        seen.wait(20)
        stop.set()

    threads = [threading.Thread(target=work, daemon=True) for work in (watch, tell)]
    for thread in threads:
        thread.start()
    at_work = SimpleNamespace(app=wall(), stop=stop, trouble=[])
    serve_app(at_work, host="127.0.0.1", port=port, listening=pages)
    told = time.monotonic()
    assert seen.is_set()
    for thread in threads:
        thread.join(10)
    assert ended.is_set()
    assert time.monotonic() - told < 2
    assert [record.getMessage() for record in caplog.records] == []


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_other_requests_and_streams_that_end_by_themselves_pass_unchanged():
    sent, stop = [], threading.Event()

    async def send(message):
        sent.append(message["type"])

    async def whole(_scope, _receive, send):
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body", "body": b"x"})

    async def broken(_scope, _receive, _send):
        raise RuntimeError("ours")

    for path in ("/login", "/docks/events"):
        await EndingStreams(whole, stop)({"type": "http", "path": path}, None, send)
        with pytest.raises(RuntimeError, match="ours"):
            await EndingStreams(broken, stop)({"type": "http", "path": path}, None, send)
    assert sent == ["http.response.start", "http.response.body"] * 2
    stop.set()  # what had its last word gets no second one
    await EndingStreams(whole, stop)({"type": "http", "path": "/docks/events"}, None, send)
    assert sent == ["http.response.start", "http.response.body"] * 3
