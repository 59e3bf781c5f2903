"""``liuhen serve``: everything of a home in one process."""

from __future__ import annotations

import threading
import time

import click
import uvicorn

from app.cli.common import home_option, say, the_home
from app.control import ControlServer
from app.serving import Running, running


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


def serve_app(at_work: Running, *, host: str, port: int) -> None:
    """Serve the pages until Ctrl-C or until a part of the service stops."""
    config = uvicorn.Config(
        at_work.app, host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = _Server(config, at_work.stop)
    server.watch()
    server.run()
    at_work.stop.set()
    time.sleep(0)  # let the watching thread end


@click.command()
@home_option
@click.option("--host", help="Address to listen on (default from config.toml).")
@click.option("--port", type=int, help="Port to listen on (default from config.toml).")
def serve(home: str | None, *, host: str | None, port: int | None) -> None:
    """Run the service: pages, docks, jobs, sealer. Ends on Ctrl-C or SIGTERM."""
    target = the_home(home)
    settings = target.require()
    address, number = host or settings.web.host, port or settings.web.port
    with running(target, settings) as at_work:
        control = ControlServer(at_work, target.socket)
        control.start()
        try:
            click.echo(say("Serving on http://{host}:{port}/ (Ctrl-C ends)", host=address, port=number))
            serve_app(at_work, host=address, port=number)
        finally:
            control.stop()
