"""``liuhen storage check``: what is right and wrong with every store, by asking and trying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from api.web import storage_words
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from evidence.errors import PolicyUnmetError, StoreUnavailableError
from evidence.model import Action
from evidence.ports import BlobStore
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.s3_check import StoreCheck

_COLOURS: Final = {"good": "green", "note": "yellow", "bad": "red", "unknown": "magenta"}


@click.command()
@home_option
@json_option
@identity_options
def check(home: str | None, *, as_json: bool, login: str) -> None:
    """Examine every store: reachable, versions, lock, retention, what the server refuses, clocks, keys.

    Nothing is changed; a bucket gets a few probe objects, which the next probe removes. Exit status 3 when something must be
    mended, 30 when a store could not be examined.
    """
    with acting(home, login, absent_ok=True) as (house, actor):
        house.gate.allowed(actor, Action.SYSTEM_HEALTH, detail="storage check")
        told = [_told(store) for store in house.stores.raw]
    if as_json:
        print_json(told)
    else:
        for row in told:
            _print(row)
    verdicts = {row["verdict"] for row in told}
    status = PolicyUnmetError.exit_code if "bad" in verdicts else StoreUnavailableError.exit_code
    raise click.exceptions.Exit(0 if verdicts == {"good"} else status)


def _told(store: BlobStore) -> dict[str, Any]:
    checks = store.check() if isinstance(store, S3Store) else _local(store)
    levels = {one.level for one in checks}
    return {
        "store": store.properties.name,
        "kind": store.properties.kind,
        "verdict": "bad" if "bad" in levels else "unknown" if "unknown" in levels else "good",
        "checks": [{"name": one.name, "level": one.level, "values": dict(one.values)} for one in checks],
    }


def _local(store: BlobStore) -> Sequence[StoreCheck]:
    properties = store.properties
    if isinstance(store, LocalStore) and properties.domain.startswith("absent:"):
        return [StoreCheck("answers", "unknown", {"path": properties.location})]
    immutable = properties.protection == "immutable"
    return [
        StoreCheck("answers", "good", {"path": properties.location}),
        StoreCheck("protection", "good" if immutable else "note", {"protection": properties.protection}),
    ]


def _print(row: dict[str, Any]) -> None:
    click.secho(f"{row['store']} ({row['kind']})", bold=True)
    for one in row["checks"]:
        name, level = one["name"], one["level"]
        values = " ".join(f"{key}={value}" for key, value in one["values"].items())
        mark = click.style(f"{say(storage_words.LEVELS[level])}", fg=_COLOURS[level])
        click.echo(f"  {mark}\t{say(storage_words.CHECKS[name])}\t{values}".rstrip())
        advice = storage_words.ADVICE.get(name) or storage_words.DEFAULT_ADVICE.get(level)
        if level != "good" and advice:
            click.echo(f"\t{say(advice)}")
