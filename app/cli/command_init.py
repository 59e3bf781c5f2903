"""``liuhen init``: set a home up."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from app.cli.common import home_option, json_option, print_json, say, the_home
from app.home import first_config
from app.setup import set_up
from evidence.errors import ConfigError
from evidence.model import ClearingMode


def _default_station() -> str:
    return socket.gethostname().split(".")[0] or "station-1"


def _config(station: str, origin: str | None, clearing: str | None, database: str, *, ask: bool) -> str:
    if clearing is None:
        clearing = ClearingMode.NEVER.value
        if ask and sys.stdin.isatty():
            clearing = click.prompt(
                say("When are recorders cleared after an offload?"), default=clearing,
                type=click.Choice([mode.value for mode in ClearingMode]),
            )  # fmt: skip
    return first_config(
        station=station, origin=origin or f"liuhen.local/{station}", clearing=clearing, database=database
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


@click.command()
@home_option
@json_option
@click.option("--station", help="Name of this docking station; stands in every entry.")
@click.option("--origin", help="Name of the custody log (like example.org/log); can never change.")
@click.option(
    "--clearing", type=click.Choice([mode.value for mode in ClearingMode]), help="When recorders are cleared."
)
@click.option(
    "--database", default="", help="Address of an empty PostgreSQL database (postgresql://…); SQLite without."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings to begin with (other stores, a bucket, …), instead of the options above.",
)
@click.option("--admin", "login", default="admin", show_default=True, help="Log-in of the first administrator.")
def init(
    home: str | None, *, as_json: bool, station: str | None, origin: str | None, clearing: str | None, database: str,
    config_file: Path | None, login: str,
) -> None:  # fmt: skip
    """Set up a home: keys, stores, database, the custody log, the first administrator (one-time password)."""
    target = the_home(home)
    if config_file is None:
        config = _config(station or _default_station(), origin, clearing, database, ask=not as_json)
    elif station or origin or clearing or database:
        raise ConfigError("--config goes without --station, --origin, --clearing and --database")
    else:
        config = _read(config_file)
    made = set_up(target, config=config, login=login, os_uid=os.getuid())
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
