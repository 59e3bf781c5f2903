"""``liuhen hold``: what a description would hold, and which stores keep a hold. Placing and releasing: ``liuhen matter``."""

from __future__ import annotations

import click

from api.schemas.classification import keeps_answer, try_out_answer
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from evidence.errors import InvalidInputError, NotFoundError
from evidence.ids import MatterId


@click.group()
def hold() -> None:
    """Holds: `liuhen matter open hold` places one, its acts release it; here is what it means."""


@hold.command("try-out")
@click.option("--since", default="", help="Recorded from, 2026-11-22T08:00 (the bureau's time).")
@click.option("--until", default="", help="Recorded before.")
@click.option("--place", default="", help="Words of names, departments, recorders, case numbers or dossiers.")
@click.option("--officer", default="", metavar="ID", help="Recorded by.")
@click.option("--unit", default="", metavar="ID", help="Recorded in the department.")
@click.option("--device", default="", metavar="ID", help="Recorded with.")
@home_option
@json_option
@identity_options
def try_out(
    *, since: str, until: str, place: str, officer: str, unit: str, device: str, home: str | None, as_json: bool, login: str
) -> None:  # fmt: skip
    """Count the recordings that a hold by this description would hold now. What comes in later and fits is held too."""
    given = {"since": since, "until": until, "place": place, "officer": officer, "within_unit": unit, "device": device}
    with acting(home, login) as (house, actor):
        count = house.holds.try_out(actor, {name: text for name, text in given.items() if text})
    told = try_out_answer(count)
    if as_json:
        print_json(told.model_dump(mode="json"))
        return
    click.echo(say("More than {n} recordings", n=count) if told.capped else say("{n} recordings", n=count))


@hold.command()
@click.argument("matter", metavar="ID|NUMBER")
@home_option
@json_option
@identity_options
def keeps(matter: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell what a hold holds and in how many stores."""
    with acting(home, login) as (house, actor):
        with house.catalogue.read() as uow:
            row = uow.matters.by_number("hold", matter)
        try:
            known = row.id if row is not None else MatterId(matter)
        except InvalidInputError as error:
            raise NotFoundError("there is no such hold") from error
        found = house.holds.keeps(actor, known)
    if as_json:
        print_json(keeps_answer(found).model_dump(mode="json"))
        return
    click.echo(say("held in {n} of {all} stores", n=found.kept_in, all=len(found.stores)))
    for one in found.stores:
        click.echo(f"  {one.store}: {one.held} / {one.wanted}")
    click.echo(f"{say('Recordings held')}: {found.linked}")
    if found.to_link:
        click.echo(f"{say('Described, linked within minutes, held already')}: {found.to_link}")
    if found.overdue:
        click.echo(say("The review of a hold is overdue"))
