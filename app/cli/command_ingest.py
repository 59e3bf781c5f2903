"""``liuhen ingest PATH``: one offload from a mounted recorder or folder, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.web import words
from api.web.dock_view import why
from app.cli.common import (
    acting,
    code_of,
    home_option,
    identity_options,
    json_option,
    password_for,
    print_json,
    say,
    terminal,
    the_home,
    transfer_bar,
)
from app.control import ask, connection_to
from app.home import Home
from evidence.errors import ClockJumpedError, ClockWentBackError, DeviceNotRegisteredError, EvidenceError
from evidence.model import ClearingMode


def _show(result: dict[str, Any]) -> None:
    new = [row for row in result["recordings"] if row["new"]]
    for row in new:
        sealed = say("Sealed") if row["sealed"] else say(words.STATES.get(row["state"], row["state"]))
        click.echo(f"  {row['name']}  {row['size_bytes']} B  {sealed}  sha256:{row['sha256'][:16]}…")
    for row in result["duplicates"]:
        click.echo(f"  {row['name']}  " + say("Duplicate of a kept recording"))
    for row in result["quarantined"]:
        click.secho(
            f"  {row['name']}  " + say("Quarantine") + f": {say(words.REASONS.get(row['reason'], row['reason']))}",
            fg="yellow",
        )
    for name in result["waiting"]:
        click.echo(f"  {name}  " + say("Still being written on the recorder, dock again:"))
    if result["message"]:
        told = why(result["code"], (), say)
        click.secho(f"{told} {result['message']}", fg="yellow")
    click.echo(
        say(
            "Newly taken in: {new} (sealed: {sealed}), duplicates of kept recordings: {twins}", new=len(new),
            sealed=sum(1 for row in new if row["sealed"]), twins=len(result["duplicates"]),
        )
    )  # fmt: skip
    if result["clearing"] == ClearingMode.AUTOMATIC:
        click.echo(
            say(
                "Nothing was cleared from the recorder: the service clears in its docks, by hand `liuhen devices clear`."
            )
        )


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@home_option
@json_option
@identity_options
@click.option("--register", is_flag=True, help="Also enter an unknown recorder in the ledger (first registration).")
def ingest(path: Path, *, home: str | None, as_json: bool, login: str, register: bool) -> None:
    """Read everything new from PATH, copy, prove and seal it. Handed to a running service where there is one.

    Exit status 0 when everything that was read is sealed, 3 when something is not (docking interrupted, copies missing),
    12 when it is and the clock cannot be believed.
    """
    target = the_home(home)
    settings = target.require()
    path = path.absolute()
    password = password_for(login)  # asked first: the service does not wait for a person's fingers
    try:
        result = _offload(target, path, login, password, register=register, as_json=as_json)
    except EvidenceError as error:
        if code_of(error) == DeviceNotRegisteredError.code:
            error.todo = say(
                "Is it ours? Then run the command again with --register, or see `liuhen devices register`."
            )
        raise
    result["clearing"] = settings.docks.clearing.value
    if as_json:
        print_json(result)
    else:
        _show(result)
    whole = result["outcome"] == "complete" and all(row["sealed"] for row in result["recordings"])
    not_believed = result["code"] in {ClockWentBackError.code, ClockJumpedError.code}
    raise click.exceptions.Exit((ClockWentBackError.exit_code if not_believed else 0) if whole else 3)


def _offload(target: Home, path: Path, login: str, password: str, *, register: bool, as_json: bool) -> dict[str, Any]:
    with transfer_bar(hidden=as_json) as bar, connection_to(target.socket) as service:
        if service is not None:
            request = {
                "command": "ingest", "path": str(path), "register": register, "login": login,
                "password": password, "terminal": terminal(),
            }  # fmt: skip
            return ask(service, request, on_progress=bar)
        from app.foreground import ingest as ingest_here
        from app.foreground import progress_json

        with acting(str(target.root), login, password) as (house, actor):
            return ingest_here(house, path, actor, register=register, on_progress=lambda row: bar(progress_json(row)))
