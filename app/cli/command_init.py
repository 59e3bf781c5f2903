"""``liuhen init``: set a home up."""

from __future__ import annotations

import os
import socket
import sys

import click

from app.cli.common import home_option, json_option, print_json, say, the_home
from app.setup import set_up
from evidence.model import ClearingMode


def _default_station() -> str:
    return socket.gethostname().split(".")[0] or "station-1"


@click.command()
@home_option
@json_option
@click.option("--station", help="Name of this docking station; stands in every entry.")
@click.option("--origin", help="Name of the custody log (like example.org/log); can never change.")
@click.option(
    "--clearing", type=click.Choice([mode.value for mode in ClearingMode]), help="When recorders are cleared."
)
@click.option("--admin", "login", default="admin", show_default=True, help="Log-in of the first administrator.")
def init(
    home: str | None, *, as_json: bool, station: str | None, origin: str | None, clearing: str | None, login: str
) -> None:
    """Set up a home: keys, stores, database, the custody log, the first administrator (one-time password)."""
    target = the_home(home)
    station = station or _default_station()
    if clearing is None:
        clearing = ClearingMode.NEVER.value
        if sys.stdin.isatty() and not as_json:
            clearing = click.prompt(
                say("When are recorders cleared after an offload?"), default=clearing,
                type=click.Choice([mode.value for mode in ClearingMode]),
            )  # fmt: skip
    made = set_up(
        target, station=station, origin=origin or f"liuhen.local/{station}", clearing=clearing, login=login,
        os_uid=os.getuid(),
    )  # fmt: skip
    if as_json:
        print_json(
            {
                "home": str(target.root), "login": login, "one_time_password": made.one_time_password,
                "roles": list(made.roles), "origin": made.origin, "vkey": made.vkey, "domains": made.domains,
            }
        )  # fmt: skip
        return
    click.echo(say("Home set up: {home}", home=target.root))
    click.echo(say("First administrator: {login}", login=login))
    click.echo(say("One-time password (shown only now): {password}", password=made.one_time_password))
    click.echo(say("Verifier key of the log, to be kept elsewhere: {vkey}", vkey=made.vkey))
    if made.domains < 2:
        click.secho(
            say("Both stores lie on one disk: one dead disk would take every copy. Recorders will not be cleared."),
            fg="yellow",
        )
    click.echo(say("Next: liuhen serve --home {home}", home=target.root))
