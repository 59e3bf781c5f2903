"""``liuhen restore``: a home again on an empty machine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from api.web import words
from app.backup_targets import Unlocking, keep_key, opened, place_of, target_key
from app.cli.backup_options import bucket_of, bucket_options, opening_options
from app.cli.common import (
    home_option,
    identity_options,
    json_option,
    password_for,
    print_json,
    say,
    step_bar,
    terminal,
    the_home,
)
from app.restoring import Restored, RestoreWish, restore_home


@click.command()
@click.argument("target")
@click.argument("id_", metavar="[ID]", required=False, default="")
@home_option
@json_option
@identity_options
@bucket_options
@opening_options
@click.option(
    "--database", default="", metavar="URL", help="Empty PostgreSQL database, or `sqlite` for a file in the home."
)
@click.option("--without", multiple=True, metavar="STORE", help="A store that is lost for good; may be repeated.")
@click.option("--keep-accounts", is_flag=True, help="Also which account of the machine is which person, by number.")
def restore(
    target: str, id_: str, *, home: str | None, as_json: bool, login: str, passphrase_file: Path | None,
    identity: Path | None, database: str, without: tuple[str, ...], keep_accounts: bool, **bucket: Any,
) -> None:  # fmt: skip
    """Restore a home from the backup ID (the newest without) at TARGET into the empty folder --home.

    Mount the disks of every store first, at their old paths. THE OLD HOME MUST NOT RUN ANY MORE: two homes with one key would
    write two histories; a drill uses copies of the stores. What was entered after the backup comes from the stores' copies of the
    log, and what was disposed of after it stays gone. A home that exists is never overwritten.
    """
    root = the_home(home)
    unlocking = Unlocking(passphrase_file=passphrase_file, identity_file=identity)
    wish = RestoreWish(
        backup=id_, database=database, without=frozenset(without), keep_accounts=keep_accounts, login=login,
        password=password_for(login), terminal=terminal(),
    )  # fmt: skip
    with contextlib.closing(place_of(target, bucket_of(**bucket))) as place, step_bar(hidden=as_json) as bar:
        repository, marker = opened(place, unlocking)
        done = restore_home(root, repository, wish, progress=bar)
        if identity is not None and (key := target_key(marker, unlocking)) is not None:
            keep_key(Unlocking(keys=root.root / "keys"), marker, key)  # the service goes on writing there
    if as_json:
        print_json(_told(done))
        return
    _say(done)


def _told(done: Restored) -> dict[str, Any]:
    return {
        "backup": done.backup, "made_at": done.made_at, "log_size": done.log_size, "entries": done.entries,
        "replayed": done.replayed, "recordings": done.recordings, "sealed": done.sealed,
        "overtaken": [{"entry": entry, "type": kind} for entry, kind in done.overtaken], "unread": done.unread,
        "missing_names": done.missing_names, "unread_logs": done.unread_logs, "carried": done.carried,
        "accounts": done.accounts, "settings_changed": done.settings_changed, "placed": done.placed,
        "left_out": done.left_out, "without": done.without, "actor": done.actor, "locked": done.locked, "unsealed": done.unsealed,
        "unproved": done.unproved,
    }  # fmt: skip


def _say(done: Restored) -> None:
    click.echo(say("Restored from backup {id} of {time}.", id=done.backup, time=done.made_at))
    click.echo(
        say("{entries} entries, {recordings} recordings; {replayed} entries are newer than the backup.",
            entries=done.entries, recordings=done.recordings, replayed=done.replayed)
    )  # fmt: skip
    for about, values in (
        ("sealed", [str(done.sealed)] if done.sealed else []),
        ("overtaken", [f"{entry} {kind}" for entry, kind in done.overtaken]),
        ("unread_logs", done.unread_logs),
        ("settings_changed", done.settings_changed),
        ("placed", done.placed),
        ("left_out", done.left_out),
        ("without", done.without),
        ("unread", done.unread),
        ("locked", [done.locked] if done.locked else []),
        ("unsealed", [done.unsealed] if done.unsealed else []),
        ("unproved", [done.unproved] if done.unproved else []),
    ):
        for value in values:
            click.secho(f"{say(words.RESTORED[about])} {value}", fg="yellow")
    if done.missing_names:
        click.echo(say("{count} personal values are not available (erased, or lost).", count=done.missing_names))
    if done.accounts:
        click.echo(
            say(
                "{count} accounts of the machine are nobody now; bind them with `liuhen user bind`.",
                count=done.accounts,
            )
        )
    click.echo(say("Next: `liuhen verify`; it must say good. Then start the service."))
