"""``liuhen rebuild``: the catalogue again, from published log, disclosures and stores."""

from __future__ import annotations

import click

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
from app.rebuilding import rebuild_home


@click.command()
@home_option
@json_option
@identity_options
@click.option(
    "--check", is_flag=True, help="Only compare what would be rebuilt with the present catalogue; change nothing."
)
def rebuild(home: str | None, *, as_json: bool, login: str, check: bool) -> None:
    """Make the catalogue again and put it in place of the present one, which is kept aside.

    Needs no service running. Log-in passwords and settings come over from the present catalogue where it can be read, else the
    first administrator gets a new one-time password. Exit status 1 when --check finds a difference.
    """
    with step_bar(hidden=as_json) as bar:
        done = rebuild_home(
            the_home(home), login=login, password=password_for(login), terminal=terminal(), check=check, progress=bar
        )
    if as_json:
        print_json(
            {
                "entries": done.entries, "recordings": done.recordings, "erased": done.erased, "unread": done.unread,
                "log": done.log, "unread_logs": done.unread_logs, "unread_names": done.unread_names,
                "kept_aside": done.kept_aside, "same": done.same, "one_time_password": done.one_time_password,
            }
        )  # fmt: skip
    else:
        click.echo(
            say("{entries} entries, {recordings} recordings rebuilt.", entries=done.entries, recordings=done.recordings)
        )
        click.echo(say("Built from the log in {path}", path=done.log))
        for told in done.unread_logs:
            click.echo(say("This copy of the log could not be used: {copy}", copy=told))
        for told in done.unread_names:
            click.echo(say("Personal values could not be read: {segment}", segment=told))
        if done.erased:
            click.echo(say("{count} personal values are not available (erased, or lost).", count=done.erased))
        if done.kept_aside:
            click.echo(say("The catalogue before is kept as {path}", path=done.kept_aside))
        if done.same is not None:
            click.echo(say("The evidence facts are the same.") if done.same else say("The evidence facts DIFFER."))
        if done.one_time_password:
            click.echo(say("One-time password (shown only now): {password}", password=done.one_time_password))
    if done.same is False:
        raise click.exceptions.Exit(1)
