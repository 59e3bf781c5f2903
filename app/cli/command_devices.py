"""``liuhen devices``: the ledger and what is docked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.schemas.docks import device_answer
from app.cli.common import (
    acting,
    home_option,
    identity_options,
    json_option,
    password_for,
    print_json,
    say,
    terminal,
    the_home,
)
from app.control import ask, connection_to
from app.foreground import docked_where
from app.offload_report import clear_json, survey_json
from evidence.durable import exclusive_lock
from evidence.ids import AgentId, UnitId
from evidence.model import Action
from flow import InlineEngine


@click.group(invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """Recorders: the ledger, what is docked, first registration."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@devices.command("list")
@home_option
@json_option
@identity_options
def list_(home: str | None, *, as_json: bool, login: str) -> None:
    """List the recorders of the ledger."""
    with acting(home, login) as (house, actor):
        rows = house.reading.devices(actor)
    if as_json:
        print_json([device_answer(row).model_dump(mode="json") for row in rows])
        return
    for row in rows:
        click.echo(f"{row.id}  {row.state:<10} {row.driver:<13} {row.serial:<24} {row.label}")


@devices.command()
@home_option
@json_option
@identity_options
def scan(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell what is docked now, as the running service sees it where there is one. Nothing is opened or read."""
    password = password_for(login)
    with connection_to(the_home(home).socket) as service:
        if service is not None:
            request = {"command": "scan", "login": login, "password": password, "terminal": terminal()}
            found = ask(service, request, on_progress=lambda _row: None)
        else:
            with acting(home, login, password) as (house, actor):
                house.gate.require(actor, Action.OFFLOAD_LIST)
                found = survey_json(house.registry.survey())
    if as_json:
        print_json(found)
        return
    for one in found["docked"]:
        click.echo(f"{one['driver']:<13} {one['slot']:<24} {one['address']}")
    for driver, why in found["failed"].items():
        click.secho(f"{driver}: {why}", fg="yellow")
    if not (found["docked"] or found["failed"]):
        click.echo(say("Nothing is docked."))


@devices.command()
@click.argument("where")
@home_option
@json_option
@identity_options
@click.option("--label", default="", help="Asset number or name on the recorder.")
@click.option("--unit", default="", help="Identity of the unit it belongs to.")
@click.option("--officer", default="", help="Identity of the officer it is issued to (long-term).")
def register(where: str, *, home: str | None, as_json: bool, login: str, label: str, unit: str, officer: str) -> None:
    """Enter the recorder at WHERE (a slot of `devices scan`, or a folder) in the ledger."""
    path = Path(where).absolute()
    where = str(path) if path.is_dir() else where
    password = password_for(login)
    with connection_to(the_home(home).socket) as service:
        if service is not None:  # the service holds the docks: it registers and begins to read at once
            request = {
                "command": "register", "where": where, "label": label, "unit": unit, "officer": officer, "login": login,
                "password": password, "terminal": terminal(),
            }  # fmt: skip
            answer = ask(service, request, on_progress=lambda _row: None)
        else:
            answer = _register_here(home, login, password, where, label=label, unit=unit, officer=officer)
    if as_json:
        print_json(answer)
    else:
        click.echo(say("Registered: {serial}", serial=answer["serial"]))


@devices.command()
@click.argument("where")
@home_option
@json_option
@identity_options
def clear(where: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Remove from the recorder at WHERE (a slot of `devices scan`, or a folder) what is sealed here.

    Every file is read again first and compared with its sealed copies; what is not safe stays. Exit status 0 when nothing
    is left on the recorder, 3 when something stays.
    """
    path = Path(where).absolute()
    where = str(path) if path.is_dir() else where
    password = password_for(login)
    with connection_to(the_home(home).socket) as service:
        if service is not None:
            request = {
                "command": "clear", "where": where, "login": login, "password": password, "terminal": terminal(),
            }  # fmt: skip
            answer = ask(service, request, on_progress=lambda _row: None)
        else:
            answer = _clear_here(home, login, password, where)
    if as_json:
        print_json(answer)
    else:
        for one in answer["kept"]:
            click.secho(f"  {one['name']}  {one['message']}", fg="yellow")
        for one in answer["left"]:
            click.secho(f"  {one['name']}  {one['reason']}", fg="yellow")
        click.echo(
            say("{n} files were cleared from the recorder, {m} stay.", n=len(answer["released"]), m=_stay(answer))
        )
    raise click.exceptions.Exit(3 if _stay(answer) else 0)


def _stay(answer: dict[str, Any]) -> int:
    return len(answer["kept"]) + len(answer["left"])


def _clear_here(home: str | None, login: str, password: str, where: str) -> dict[str, Any]:
    with acting(home, login, password) as (house, actor), exclusive_lock(house.home.lock):
        result = house.offloads(InlineEngine()).clear_recorder(docked_where(house.registry, where), actor)
        house.seal_pending()
        return clear_json(house, result)


def _register_here(
    home: str | None, login: str, password: str, where: str, *, label: str, unit: str, officer: str
) -> dict[str, Any]:
    with acting(home, login, password) as (house, actor):
        row = house.offloads(InlineEngine()).register_device(
            docked_where(house.registry, where), actor, label=label, unit=UnitId(unit) if unit else None,
            officer=AgentId(officer) if officer else None,
        )  # fmt: skip
    told: dict[str, Any] = device_answer(row).model_dump(mode="json")
    return told
