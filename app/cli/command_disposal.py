"""``liuhen disposal``: how clearing stands, proposing a batch, stopping all clearing and letting it go on."""

from __future__ import annotations

from typing import Any

import click

from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from evidence.clock import to_text
from evidence.ids import RecordingId, UnitId
from retention.disposal_desk import ClearingStatus


@click.group()
def disposal() -> None:
    """Clearing of footage: how it stands, proposing, stopping and going on; batches are `liuhen matter`s."""


@disposal.command("status")
@home_option
@json_option
@identity_options
def status_(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell who clears, whether clearing is stopped, which determinations hold, and how many batches stand where."""
    with acting(home, login, absent_ok=True) as (house, actor):
        found = house.clearing.status(actor)
    if as_json:
        print_json(status_json(found))
        return
    click.echo(say("Mode: {mode}; notice: {days} days; schedule: {schedule}", mode=say(_MODES[found.mode]),
                   days=found.notice_days, schedule=found.schedule))  # fmt: skip
    if found.stop is not None:
        click.echo(
            say(
                "Clearing is stopped since {at} ({number}).",
                at=local_time(found.stop.opened_at),
                number=found.stop.number,
            )
        )
    if not found.clock_believed:
        click.echo(say("The clock is not believed: nothing is due and nothing is cleared."))
    for row in found.determinations:
        click.echo(
            say("Determination {number} holds until {day}", number=row.number, day=row.facts.get("valid_until", ""))
        )
    for state, number in sorted(found.batches.items()):
        click.echo(f"{state}\t{number}")


_MODES = {"review": "persons approve every list", "automatic": "the service, for categories a determination names"}


@disposal.command()
@click.option("--unit", default="", metavar="ID", help="Department; your own without it.")
@click.option("--note", default="", help="What you say of it.")
@click.argument("recordings", nargs=-1, metavar="[RECORDING]...")
@home_option
@json_option
@identity_options
def propose(recordings: tuple[str, ...], unit: str, note: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Propose a clearing batch: of these recordings, or of all that is due in the department."""
    with acting(home, login, absent_ok=True) as (house, actor):
        row = house.clearing.propose(
            actor, unit=UnitId(unit) if unit else None, recordings=[RecordingId(one) for one in recordings], note=note
        )
    if as_json:
        facts = row.facts
        print_json({
            "id": row.id, "number": row.number, "state": row.state, "items": facts["items"],
            "size_bytes": facts["size_bytes"], "list_sha256": facts["list_sha256"],
        })  # fmt: skip
        return
    click.echo(say("Batch {number} proposes {items} recordings.", number=row.number, items=row.facts["items"]))


@disposal.command()
@click.option("--reason", required=True, help="Why; entered as personal words.")
@home_option
@json_option
@identity_options
def stop(reason: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Stop all clearing before the next item. Another person lets it go on."""
    with acting(home, login, absent_ok=True) as (house, actor):
        row = house.clearing.stop(actor, reason)
    if as_json:
        print_json({"stopped": row.number, "id": row.id})
        return
    click.echo(say("Clearing is stopped ({number}).", number=row.number))


@disposal.command("go-on")
@click.option("--looked-at", required=True, help="What was looked at, and why clearing may go on.")
@home_option
@json_option
@identity_options
def go_on(looked_at: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Let clearing go on; never who stopped it."""
    with acting(home, login, absent_ok=True) as (house, actor):
        row = house.clearing.go_on(actor, looked_at)
    if as_json:
        print_json({"went_on": row.number, "id": row.id})
        return
    click.echo(say("Clearing goes on ({number}).", number=row.number))


def status_json(found: ClearingStatus) -> dict[str, Any]:
    """For programs."""
    stop = found.stop
    return {
        "mode": found.mode, "schedule": found.schedule, "notice_days": found.notice_days,
        "clock_believed": found.clock_believed,
        "stopped": {"number": stop.number, "since": to_text(stop.opened_at)} if stop is not None else None,
        "determinations": [
            {"number": row.number, "valid_until": row.facts.get("valid_until", "")} for row in found.determinations
        ],
        "batches": found.batches,
    }  # fmt: skip
