"""``liuhen storage status``: how every store stands, asked and counted now."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import click

from api.routes.storage import answer_of
from api.web import marks, words
from api.web.units import local_time, size_text
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from assurance.health_facts import Level
from assurance.store_reports import StorageDesk, StoreReport, StoreStand
from evidence.errors import PolicyUnmetError

_LEVELS: Final = {
    StoreStand.FAILING: Level.BAD, StoreStand.DAMAGED: Level.BAD, StoreStand.BEHIND: Level.WARN,
    StoreStand.UNKNOWN: Level.UNKNOWN, StoreStand.LEVEL: Level.OK,
}  # fmt: skip


@click.command()
@home_option
@json_option
@identity_options
def status(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell per store what it is, holds and lacks, whether it answers, and what went wrong last.

    Every store is asked and counted now. Exit status 3 when one fails, lacks copies or has bad ones.
    """
    with acting(home, login) as (house, actor):
        house.probe_stores()
        view = StorageDesk(house.keeping, authoriser=house.gate).look(actor, anew=True)
    if as_json:
        print_json([answer_of(store).model_dump(mode="json") | _as_before(store) for store in view.stores])
    else:
        for store in view.stores:
            click.echo("\n".join(_lines(store)))
    if any(store.stand in {StoreStand.FAILING, StoreStand.DAMAGED, StoreStand.BEHIND} for store in view.stores):
        raise click.exceptions.Exit(PolicyUnmetError.exit_code)


def _as_before(store: StoreReport) -> dict[str, object]:
    """Members that this command told of a store before it told more: outside programs read them."""
    return {
        "name": "store", "subject": store.name, "level": _LEVELS[store.stand].value, "reason": store.stand.value,
        "values": {"kind": store.kind, "domain": store.domain, "protection": store.protection},
    }  # fmt: skip


def _lines(store: StoreReport) -> list[str]:
    state = store.state
    kind, protection = (words.HEALTH_VALUE_WORDS.get(code, code) for code in (store.kind, store.protection))
    told = [
        f"{store.name}: {say(marks.STORES[store.stand].word)}",
        f"  {say(kind)} {store.location}, {say('Failure domain')} {store.domain}, {say('Protection')}: {say(protection)}",
        f"  {say('Copies there')}: {state.objects}, {size_text(state.size_bytes)}",
    ]
    if store.old:
        told.append(f"  {say('moved away from: gets nothing new')}")
    if state.behind_objects:
        told.append(f"  {say('Lacks')}: {state.behind_objects}, {size_text(state.behind_bytes)}")
    if store.bad_copies:
        told.append(f"  {say('Bad copies')}: {store.bad_copies}")
    told.append(f"  {say('Longest not read')}: {_moment(state.oldest_at)}")
    told.append(f"  {say('Last answered')}: {_moment(state.ok_at)}")
    if state.failing_since is not None:
        told.append(
            f"  {say('Fails since')}: {_moment(state.failing_since)}, {say('next try')} {_moment(state.next_try_at)}"
        )
    if state.failed_at is not None:
        why = say(words.ERRORS.get(state.error_code, state.error_code))
        told.append(f"  {say('Last failure')}: {_moment(state.failed_at)} {why}: {state.error}")
    return told


def _moment(moment: datetime | None) -> str:
    return say("not known") if moment is None else local_time(moment)
