"""``liuhen demo``: the main job on real recordings, then serve (``make run``)."""

from __future__ import annotations

import click

from app.cli.common import home_option, the_home
from app.demo.run import run_demo


@click.command()
@home_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of the pages; a free one where it is 0 or taken.",
)
@click.option("--once", is_flag=True, help="End when everything is sealed instead of serving until Ctrl-C.")
def demo(home: str | None, *, port: int, once: bool) -> None:
    """Dock three sources of real recordings, take them in, and keep serving until Ctrl-C."""
    run_demo(the_home(home), port=port, once=once)
