"""``liuhen devices``: the ledger and what is docked."""

from __future__ import annotations

from pathlib import Path

import click

from api.schemas.docks import device_answer
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from app.foreground import docked_at
from evidence.errors import NotFoundError
from evidence.ids import AgentId, UnitId
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
def scan(home: str | None, *, as_json: bool) -> None:
    """Tell what is docked now. Nothing is opened or read."""
    with acting(home, "") as (house, _actor):
        survey = house.registry.survey()
    if as_json:
        docked = [{"driver": one.driver, "slot": one.slot, "address": one.address} for one in survey.docked]
        print_json({"docked": docked, "failed": survey.failed})
        return
    for one in survey.docked:
        click.echo(f"{one.driver:<13} {one.slot:<24} {one.address}")
    for driver, why in survey.failed.items():
        click.secho(f"{driver}: {why}", fg="yellow")


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
    with acting(home, login) as (house, actor):
        jobs = InlineEngine()
        offloads = house.offloads(jobs)
        docked = next((one for one in house.registry.scan() if one.slot == where), None)
        if docked is None:
            if not Path(where).is_dir():
                raise NotFoundError(f"nothing is docked at {where}", todo="See `liuhen devices scan`.")
            docked = docked_at(house, Path(where).absolute())
        row = offloads.register_device(
            docked,
            actor,
            label=label,
            unit=UnitId(unit) if unit else None,
            officer=AgentId(officer) if officer else None,
        )
    if as_json:
        print_json(device_answer(row).model_dump(mode="json"))
    else:
        click.echo(say("Registered: {serial}", serial=row.serial))
