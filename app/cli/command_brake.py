"""``liuhen brake``: stop removals of bytes, let them go on, and see how it stands."""

from __future__ import annotations

import click

from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from assurance.brake import BY_PERSON, BrakeState
from evidence.clock import BUREAU_ZONE, to_text
from evidence.errors import AccessDeniedError
from evidence.model import Action

_SAME_PERSON = "pulled-it-themselves"
_reason = click.option("--reason", required=True, help="Why, for those who read the log.")


@click.group()
def brake() -> None:
    """The brake: removals of bytes stop while it is pulled."""


@brake.command()
@_reason
@home_option
@json_option
@identity_options
def pull(reason: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Stop removals now. Another person lets them go on."""
    with acting(home, login) as (house, actor):
        house.gate.allowed(actor, Action.BRAKE_PULL, detail=reason)
        house.brake.pull(cause=BY_PERSON, agent=actor.agent, detail=reason)
        found = house.brake.state()
    _tell(found, as_json=as_json)


@brake.command()
@_reason
@home_option
@json_option
@identity_options
def release(reason: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Let removals go on; the day's count begins anew."""
    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.BRAKE_RELEASE, detail=reason)  # the entry of the act is that of the change
        try:
            house.brake.release(agent=actor.agent, detail=reason)
        except AccessDeniedError:  # who pulled it: the refusal is entered, too
            house.gate.deny(actor, Action.BRAKE_RELEASE, reason=_SAME_PERSON, detail=reason)
        found = house.brake.state()
    _tell(found, as_json=as_json)


@brake.command("status")
@home_option
@json_option
@identity_options
def status_(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell whether removals are stopped, why, and how much went within 24 hours."""
    with acting(home, login, absent_ok=True) as (house, actor):
        house.gate.require(actor, Action.SYSTEM_HEALTH)
        found = house.brake.state()
    _tell(found, as_json=as_json)


def _tell(found: BrakeState, *, as_json: bool) -> None:
    row = found.row
    if as_json:
        print_json(
            {
                "pulled": row.pulled, "cause": row.cause, "agent": row.agent, "detail": row.detail,
                "since": to_text(row.since) if row.since else None,
                "removed_objects": found.removed.objects, "removed_bytes": found.removed.size_bytes,
                "limit_objects": found.limit.objects, "limit_bytes": found.limit.size_bytes,
            }
        )  # fmt: skip
        return
    if row.pulled:
        since = row.since.astimezone(BUREAU_ZONE).strftime("%Y-%m-%d %H:%M %Z") if row.since else say("unknown")
        click.secho(
            say(
                "Removals are stopped since {since} [{cause}]: {detail}",
                since=since,
                cause=row.cause,
                detail=row.detail,
            ),
            fg="red",
        )
    else:
        click.echo(say("Removals are allowed"))
    click.echo(
        say(
            "Within 24 hours {objects} of {limit} objects and {size} of {limit_size} bytes were removed",
            objects=found.removed.objects, limit=found.limit.objects, size=found.removed.size_bytes,
            limit_size=found.limit.size_bytes,
        )
    )  # fmt: skip
