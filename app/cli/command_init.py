"""``liuhen init``: set a home up."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Final

import click

from app.cli.common import home_option, json_option, master_passphrase, print_json, say, the_home
from app.home import first_config
from app.setup import NewHome, set_up
from evidence.errors import ConfigError
from evidence.model import ClearingMode

_WORDS_FILE: Final = Path("keys/master.passphrase")


def _default_station() -> str:
    return socket.gethostname().split(".")[0] or "station-1"


def _config(
    station: str, origin: str | None, clearing: str | None, database: str, *, ask: bool, passphrase_file: Path | None
) -> str:
    if clearing is None:
        clearing = ClearingMode.NEVER.value
        if ask and sys.stdin.isatty():
            clearing = click.prompt(
                say("When are recorders cleared after an offload?"), default=clearing,
                type=click.Choice([mode.value for mode in ClearingMode]),
            )  # fmt: skip
    return first_config(
        station=station, origin=origin or f"liuhen.local/{station}", clearing=clearing, database=database,
        passphrase_file=passphrase_file,
    )  # fmt: skip


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _tell_keys(made: NewHome) -> None:
    """What to keep, and where: the only moment at which nothing is lost yet."""
    click.echo(say("Everything this home writes is encrypted. Master key: {id}", id=made.master))
    if made.passphrase_made:
        click.echo(say("Its passphrase (write it down, keep it sealed and apart): {words}", words=made.passphrase_made))
    if made.passphrase_file:
        click.echo(say("The service reads the passphrase from {path}.", path=made.passphrase_file))
    click.secho(
        say(
            "Without the keys nobody can ever read this footage again. Now: liuhen keys backup DIR, on another medium."
        ),
        fg="yellow",
    )


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
@click.option(
    "--encrypt", is_flag=True,
    help="Encrypt everything this home writes (passphrase from LIUHEN_NEW_PASSPHRASE, asked, or made).",
)  # fmt: skip
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path),
    help="With --encrypt: where the passphrase of the master key lies, best on another medium than the stores.",
)  # fmt: skip
@click.option("--admin", "login", default="admin", show_default=True, help="Log-in of the first administrator.")
def init(
    home: str | None, *, as_json: bool, station: str | None, origin: str | None, clearing: str | None, database: str,
    config_file: Path | None, login: str, encrypt: bool, passphrase_file: Path | None,
) -> None:  # fmt: skip
    """Set up a home: keys, stores, database, the custody log, the first administrator (one-time password)."""
    target = the_home(home)
    if passphrase_file is not None and not encrypt:
        raise ConfigError("--passphrase-file goes with --encrypt")
    if config_file is None:
        words = (passphrase_file.absolute() if passphrase_file else _WORDS_FILE) if encrypt else None
        config = _config(
            station or _default_station(), origin, clearing, database, ask=not as_json, passphrase_file=words
        )  # fmt: skip
    elif station or origin or clearing or database or encrypt:
        raise ConfigError("--config goes without --station, --origin, --clearing, --database and --encrypt")
    else:
        config = _read(config_file)
    passphrase = master_passphrase(ask=not as_json) if encrypt else ""
    made = set_up(target, config=config, login=login, os_uid=os.getuid(), passphrase=passphrase)
    if as_json:
        print_json(
            {
                "home": str(target.root), "login": login, "one_time_password": made.one_time_password,
                "roles": list(made.roles), "origin": made.origin, "vkey": made.vkey, "domains": made.domains,
                "master": made.master, "passphrase_file": made.passphrase_file, "passphrase": made.passphrase_made,
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
    if made.master:
        _tell_keys(made)
    click.echo(say("Next: liuhen serve --home {home}", home=target.root))
