"""``liuhen storage locks`` and ``liuhen storage space``: until when copies are locked, and when stores are full."""

from __future__ import annotations

from typing import Any

import click

from api.web.units import local_time, size_text
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from assurance.space import Room, Trend, rooms
from evidence.clock import to_text
from evidence.model import Action


@click.command()
@home_option
@json_option
@identity_options
def locks(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell per store when the first lock of a copy ends, and what waits to be renewed."""
    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.SYSTEM_HEALTH, detail="storage locks")
        now = house.clock.now().wall
        with house.catalogue.read() as uow:
            told = {name: uow.copy_locks.summary(name, now) for name in house.stores.names}
    rows: list[dict[str, Any]] = [
        {
            "store": name, "copies": one.copies, "unlocked": one.unlocked, "unknown": one.unknown, "due": one.due,
            "soonest": to_text(one.soonest) if one.soonest else "",
            "renewed_at": to_text(one.renewed_at) if one.renewed_at else "",
        }
        for name, one in told.items()
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    for row in rows:
        one = told[row["store"]]
        soonest = local_time(one.soonest) if one.soonest else say("no lock known")
        renewed = local_time(one.renewed_at) if one.renewed_at else say("never")
        values = [
            (say("first lock ends"), soonest), (say("copies"), row["copies"]), (say("without a lock"), row["unlocked"]),
            (say("not looked at yet"), row["unknown"]), (say("waiting to be looked at"), row["due"]),
            (say("renewal complete"), renewed),
        ]  # fmt: skip
        click.echo("\t".join([row["store"], *(f"{name}: {value}" for name, value in values)]))


@click.command()
@home_option
@json_option
@identity_options
def space(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell the room of every store, and in how many days it is full if the last four weeks go on."""
    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.SYSTEM_HEALTH, detail="storage space")
        found = rooms(house.space)
    if as_json:
        print_json([_json(room) for room in found])
        return
    for room in found:
        free = say("not told") if room.free_bytes is None else size_text(room.free_bytes)
        click.echo(f"{room.store}\t{say('free')}: {free}\t{_outlook(room)}")


def _json(room: Room) -> dict[str, Any]:
    return {
        "store": room.store, "used_bytes": room.used_bytes, "total_bytes": room.total_bytes,
        "free_bytes": room.free_bytes, "floor_bytes": room.floor_bytes, "forecast": room.forecast.trend.value,
        "days_left": room.forecast.days, "bytes_per_day": room.forecast.bytes_day,
    }  # fmt: skip


def _outlook(room: Room) -> str:
    if room.forecast.trend is Trend.UNKNOWN:
        return say("forecast unknown: too few measurements")
    if room.forecast.days is None:
        return say("is not filling up")
    return f"{say('days left')}: {room.forecast.days}\t{say('filled per day')}: {size_text(room.forecast.bytes_day)}"
