"""``liuhen serve``: everything of a home in one process."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Final

import click
import uvicorn

from app.cli.common import home_option, json_option, print_json, say, the_home
from app.control_server import ControlServer
from app.serving import Running, running
from app.streams import EndingStreams
from evidence.errors import ConfigError

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """uvicorn that also ends when a part of the service stopped."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event) -> None:
        super().__init__(config)
        self._stop = stop

    def watch(self) -> None:
        """Turn the service's stop into the server's."""

        def wait() -> None:
            self._stop.wait()
            self.should_exit = True

        threading.Thread(target=wait, name="watch", daemon=True).start()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket for the pages; port 0 takes a free one.

    Raises:
        ConfigError: The address is not ours or the port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot serve on {host}:{port}: {why}", todo="Choose another --host or --port.") from error


@contextlib.contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask for an orderly end. uvicorn raises them once more when it has ended: they land here too."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve_app(at_work: Running, *, host: str, port: int, listening: socket.socket | None = None) -> None:
    """Serve the pages until Ctrl-C, SIGTERM or until a part of the service stops.

    Raises:
        EvidenceError: The part that stopped says why; a supervisor starts the service again.
    """
    config = uvicorn.Config(
        EndingStreams(at_work.app, at_work.stop),
        host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = _Server(config, at_work.stop)
    with _signals_set(at_work.stop), listening or listen(host, port) as pages:
        server.watch()
        server.run(sockets=[pages])
        at_work.stop.set()
    if at_work.trouble:
        raise at_work.trouble[0]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@click.command()
@home_option
@json_option
@click.option("--host", help="Address to listen on (default from config.toml).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for a free one (default from config.toml)."
)
def serve(home: str | None, *, as_json: bool, host: str | None, port: int | None) -> None:
    """Run the service: pages, docks, jobs, sealer. Ends on Ctrl-C or SIGTERM.

    Exit status 0 after an orderly end, else that of the error that stopped a part of it.
    """
    target = the_home(home)
    settings = target.require()
    address = settings.web.host if host is None else host
    with listen(address, settings.web.port if port is None else port) as pages, running(target, settings) as at_work:
        control = ControlServer(at_work, target.socket)
        control.start()
        number = pages.getsockname()[1]
        try:
            if as_json:
                print_json({"url": f"http://{_bracketed(address)}:{number}/", "home": str(target.root)})
            else:
                click.echo(say("Serving on http://{host}:{port}/ (Ctrl-C ends)", host=_bracketed(address), port=number))
            sys.stdout.flush()
            serve_app(at_work, host=address, port=number, listening=pages)
        finally:
            control.stop()
