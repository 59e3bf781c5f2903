"""``liuhen fixity``: look at copies now, and how the regular scrub stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from api.web import words
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say, step_bar
from assurance.fixity import FOR_CLOCK, FOR_RECORDERS, Scrub
from assurance.fixity_entries import Slice
from assurance.fixity_status import FixityStatus, StoreStatus, status
from evidence.clock import BUREAU_ZONE, to_text
from evidence.ids import RecordingId
from evidence.model import Action

_MB = 1_000_000
_UNTOLD = 30


@click.group()
def fixity() -> None:
    """Fixity: whether every copy still has the bytes that were sealed."""


@fixity.command()
@click.option("--store", "stores", multiple=True, metavar="NAME", help="Only copies in this store; may be given again.")
@click.option("--recording", metavar="ID", default="", help="Only copies that belong to this recording.")
@click.option("--limit-mb", type=click.IntRange(min=0), default=0, help="Begin no copy after so many MB of each disk.")
@home_option
@json_option
@identity_options
def run(stores: tuple[str, ...], recording: str, limit_mb: int, home: str | None, *, as_json: bool, login: str) -> None:
    """Read copies from their medium now, the one looked at longest ago first; enter each result, repair what is bad.

    Exit status 0 good, 1 damage found (also when it was repaired), 30 a store did not answer.
    """
    chosen = RecordingId(recording) if recording else None
    asked = " ".join(["fixity run", *stores, *([chosen] if chosen else [])])
    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as bar:
        house.gate.allowed(actor, Action.FIXITY_RUN, detail=asked)
        done = Scrub(house.keeping, house.fixity).run(
            stores=stores, recording=chosen, limit_bytes=limit_mb * _MB, actor=actor.agent,
            progress=lambda copies, _bytes: bar(say("copies"), copies, 0),
        )  # fmt: skip
    if as_json:
        print_json(
            {
                "round": done.number, "good": done.good, "bad": done.bad, "repaired": done.repaired,
                "size_bytes": done.size_bytes, "away": sorted(done.away),
            }
        )  # fmt: skip
    else:
        _tell_run(done)
    raise click.exceptions.Exit(1 if done.bad else _UNTOLD if done.away else 0)


def _tell_run(done: Slice) -> None:
    click.echo(say("{good} copies are good, {mb} MB were read", good=done.good, mb=done.size_bytes // _MB))
    for kind, count in sorted(done.bad.items()):
        click.secho(f"  {say(words.FINDINGS.get(kind, kind))} [{kind}]: {count}", fg="red")
    if done.bad:
        click.echo(say("made good again from another copy: {count}", count=done.repaired))
    for name in sorted(done.away):
        click.secho(f"  {name}: {say('Store does not answer')}", fg="yellow")


@fixity.command("status")
@home_option
@json_option
@identity_options
def status_(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell how far the round is, when it will end, and what is bad."""
    with acting(home, login, absent_ok=True) as (house, actor):
        house.gate.require(actor, Action.SYSTEM_HEALTH)
        found = status(
            house.catalogue, house.fixity, now=house.clock.now().wall,
            configured=[store.properties.name for store in house.stores.all],
        )  # fmt: skip
    if as_json:
        print_json(status_json(found))
        return
    _tell_status(found)


def status_json(found: FixityStatus) -> dict[str, Any]:
    """The stable form of the status."""
    row, forecast = found.round, found.forecast
    return {
        "round": row.number if row else 0,
        "started_at": _text(row.started_at if row else None),
        "ended_at": _text(row.ended_at if row else None),
        "copies": row.copies if row else 0,
        "looked_at": row.good + row.bad if row else 0,
        "good": row.good if row else 0,
        "bad": row.bad if row else 0,
        "size_bytes": row.size_bytes if row else 0,
        "done_bytes": row.done_bytes if row else 0,
        "rate_bytes_s": sum(one.rate_bytes_s for one in found.stores),
        "period_days": found.period.days,
        "due_at": _text(forecast.due_at if forecast else None),
        "forecast_at": _text(forecast.ends_at if forecast else None),
        "in_time": forecast.in_time if forecast else None,
        "oldest_at": _text(found.oldest_at),
        "running": found.running,
        "waited_for": found.waited_for,
        "stores": [_store_json(one) for one in found.stores],
        "bad_copies": [
            {"sha256": one.sha256.hex, "store": one.store, "part": one.part, "recording": one.recording}
            for one in found.bad
        ],
    }


def _store_json(one: StoreStatus) -> dict[str, Any]:
    return {
        "store": one.store, "copies": one.copies, "looked_at": one.done, "bad": one.bad, "size_bytes": one.size_bytes,
        "done_bytes": one.done_bytes, "rate_bytes_s": one.rate_bytes_s, "behind_s": one.behind_s,
        "oldest_at": _text(one.oldest_at), "never_looked_at": one.unlooked, "away": one.away,
    }  # fmt: skip


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _told(moment: datetime | None) -> str:
    return say("unknown") if moment is None else moment.astimezone(BUREAU_ZONE).strftime("%Y-%m-%d %H:%M %Z")


def _tell_status(found: FixityStatus) -> None:
    row = found.round
    if row is None:
        click.echo(say("No round has begun yet"))
        return
    click.echo(
        say(
            "Round {number}, begun {begun}: {done} of {copies} copies, {done_mb} of {mb} MB, {rate:.1f} MB/s",
            number=row.number, begun=_told(row.started_at), done=row.good + row.bad, copies=row.copies,
            done_mb=row.done_bytes // _MB, mb=row.size_bytes // _MB,
            rate=sum(one.rate_bytes_s for one in found.stores) / _MB,
        )
    )  # fmt: skip
    _tell_forecast(found)
    click.echo(say("Looked at longest ago: {oldest}", oldest=_told(found.oldest_at)))
    for one in found.stores:
        away = f"  {say('Store does not answer')}" if one.away else ""
        click.secho(
            f"  {one.store}: {one.done}/{one.copies}  {one.done_bytes // _MB}/{one.size_bytes // _MB} MB{away}",
            fg="yellow" if one.away else None,
        )
    for bad in found.bad:
        click.secho(f"  {say('Damaged or missing')}: {bad.store} {bad.recording} {bad.part} {bad.sha256}", fg="red")


def _tell_forecast(found: FixityStatus) -> None:
    row, forecast = found.round, found.forecast
    if forecast is None:
        click.echo(say("Ended {ended}", ended=_told(row.ended_at if row else None)))
    elif forecast.in_time is None:
        click.secho(say("When it ends cannot be told; it is due {due}", due=_told(forecast.due_at)), fg="yellow")
    elif forecast.in_time:
        click.echo(
            say(
                "It will end {ends}, within its period (due {due})",
                ends=_told(forecast.ends_at),
                due=_told(forecast.due_at),
            )
        )
    else:
        click.secho(
            say("It will end {ends}, too late (due {due})", ends=_told(forecast.ends_at), due=_told(forecast.due_at)),
            fg="red",
        )
    if found.waited_for:
        waits = "waits for recorders" if found.waited_for == FOR_RECORDERS else "waits for the machine"
        click.echo(say("waits for a clock that can be believed") if found.waited_for == FOR_CLOCK else say(waits))
    if not found.running:
        click.secho(say("The regular scrub does not run now: it needs the service"), fg="yellow")
