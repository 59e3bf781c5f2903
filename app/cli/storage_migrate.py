"""``liuhen storage migrate``: move copies from one store to another."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

import click

from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from app.moving import migration_of
from app.wiring import House
from assurance.migration import Migration, MoveStatus
from evidence.clock import to_text
from evidence.durable import exclusive_lock
from evidence.errors import HomeLockedError, StateConflictError, UsageError
from evidence.model import Action

_LOOK_S: Final = 2.0
_LEVEL_S: Final = 20.0
_SLICE_S: Final = 10.0


@click.command()
@home_option
@json_option
@identity_options
@click.option("--from", "source", metavar="STORE", default="", help="Begin: the store whose copies move.")
@click.option("--to", "target", metavar="STORE", default="", help="Begin: the store that gets them.")
@click.option("--detach", is_flag=True, help="Return at once; the running service does the work.")
@click.option("--switch", "order", flag_value="switch", help="The new store counts in the place of the old one.")
@click.option("--finish", "order", flag_value="finish", help="Give the old store up.")
@click.option("--stop", "order", flag_value="stop", help="Stop the move; copies that were made stay.")
@click.option("--status", "order", flag_value="status", help="Tell where the move stands.")
@click.option(
    "--remove", is_flag=True, help="With --finish: remove the bytes of the old store, too (default: they stay)."
)
def migrate(
    home: str | None,
    *,
    as_json: bool,
    login: str,
    source: str,
    target: str,
    detach: bool,
    order: str | None,
    remove: bool,
) -> None:
    """Move copies: begin, wait, --switch, --finish. Every copy is read back and entered; a killed move goes on.

    Without a running service the work is done here, else the service does it and this command watches. See
    docs/runbooks/move-a-store.md.
    """
    beginning = bool(source or target)
    if beginning == bool(order) or beginning != bool(source and target):
        raise UsageError("give --from and --to, or one of --switch, --finish, --stop, --status")
    if remove and order != "finish":
        raise UsageError("--remove goes with --finish only")
    with acting(home, login) as (house, actor):
        move = migration_of(house)
        if order == "status":
            house.gate.allowed(actor, Action.SYSTEM_HEALTH, detail="storage migrate --status")
        else:
            detail = f"{source} -> {target}" if beginning else f"{order}{' --remove' if remove else ''}"
            house.gate.allowed(actor, Action.STORAGE_MIGRATE, detail=f"storage migrate {detail}")
        if beginning:
            move.begin(source, target, actor=actor.agent)
        elif order == "switch":
            _switch(house, move, actor.agent)
        elif order == "finish":
            move.finish(remove=remove, actor=actor.agent)
        elif order == "stop":
            move.stop(actor=actor.agent)
        if (beginning or order == "finish") and not detach:
            _work(house, move, quiet=as_json)
        found = move.status()
    if as_json:
        print_json(None if found is None else _json(found))
    else:
        click.echo(say("No copies were ever moved.") if found is None else _words(found))


def _switch(house: House, move: Migration, actor: str) -> None:
    """What was entered a moment ago may not be published in the new store yet: wait for that, not for copies."""
    end = time.monotonic() + _LEVEL_S
    while True:
        house.seal_pending()
        try:
            move.switch(actor=actor)
        except StateConflictError as error:
            if "not level" not in error.what or time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


def _work(house: House, move: Migration, *, quiet: bool) -> None:
    """Do the work, or watch the service do it, until nothing is left or nothing goes on."""
    try:
        with exclusive_lock(house.home.lock):
            while True:
                before = move.status()
                left = move.work(for_s=_SLICE_S)
                house.seal_pending()
                found = move.status()
                _tell(found, quiet=quiet)
                if not left or (
                    found is not None and before is not None and found.left == before.left and found.trouble
                ):
                    return
    except HomeLockedError:
        _watch(move, quiet=quiet)


def _watch(move: Migration, *, quiet: bool) -> None:
    while True:
        found = move.status()
        _tell(found, quiet=quiet)
        if found is None or not found.left or found.trouble:
            return
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(_LOOK_S)
            continue
        return


def _tell(found: MoveStatus | None, *, quiet: bool) -> None:
    if found is not None and not quiet:
        click.echo(_words(found), err=True)


def _json(found: MoveStatus) -> dict[str, Any]:
    move = found.move
    return {
        "from": move.source, "to": move.target, "state": move.state, "begun_at": to_text(move.started_at),
        "switched_at": to_text(move.switched_at) if move.switched_at else "",
        "ended_at": to_text(move.ended_at) if move.ended_at else "", "blobs": found.blobs, "size_bytes": found.size_bytes,
        "left": found.left, "left_bytes": found.left_bytes, "rate_bytes_s": found.rate_bytes_s,
        "seconds_left": found.seconds_left, "trouble": found.trouble, "next": found.next_step,
    }  # fmt: skip


def _state_word(state: str) -> str:
    return {
        "copying": say("copies are being made"),
        "switched": say("switched: the old store counts no more and is kept"),
        "finishing": say("the old store is being given up"),
        "ended": say("ended: the old store was given up"),
        "stopped": say("stopped"),
    }[state]


def _next_word(step: str) -> str:
    return {
        "switch": say("Next: `liuhen storage migrate --switch`."),
        "change-first-store": say(
            "Next: put another local store first in config.toml, restart the service, then `--switch`."
        ),
        "finish": say("Next, when you trust the new store: `liuhen storage migrate --finish`."),
        "remove-from-config": say(
            "Next: take the old store out of config.toml and restart the service. "
            "Bytes that stayed on its disk are still footage: keep or destroy the disk accordingly."
        ),
    }[step]


def _words(found: MoveStatus) -> str:
    move = found.move
    lines = [
        say("{source} -> {target}: {state}", source=move.source, target=move.target, state=_state_word(move.state)),
        say(
            "{left} of {blobs} copies are left ({size} MiB)",
            left=found.left,
            blobs=found.blobs,
            size=found.left_bytes >> 20,
        ),
    ]
    if found.left and found.seconds_left is not None:
        lines.append(say("done in about {minutes} minutes", minutes=found.seconds_left // 60 + 1))
    if found.trouble:
        lines.append(say("Trouble: {trouble}", trouble=found.trouble))
    if found.next_step:
        lines.append(_next_word(found.next_step))
    return "\n".join(lines)
