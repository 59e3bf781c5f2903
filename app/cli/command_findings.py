"""``liuhen findings``: what is open, and closing what a person has looked at."""

from __future__ import annotations

import click

from api.web.units import local_time
from api.web.words import FINDINGS
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from app.web_services import auditor_of
from evidence.clock import to_text
from evidence.ids import FindingId


@click.group()
def findings() -> None:
    """Findings: what is open, and closing what a person has looked at."""


@findings.command("list")
@home_option
@json_option
@identity_options
def list_(home: str | None, *, as_json: bool, login: str) -> None:
    """List the open findings you may know of, oldest first."""
    with acting(home, login, absent_ok=True) as (house, actor):
        rows = auditor_of(house).findings(actor)
    if as_json:
        print_json(
            [
                {
                    "id": row.id, "kind": row.kind, "recording": row.recording or "", "store": row.store,
                    "raised_at": to_text(row.raised_at), "detail": row.detail,
                }
                for row in rows
            ]
        )  # fmt: skip
        return
    for row in rows:
        told = say(FINDINGS.get(row.kind, row.kind))
        click.echo("\t".join([row.id, local_time(row.raised_at), told, row.store or "-", row.recording or "-"]))
    if not rows:
        click.echo(say("Nothing is open."))


@findings.command()
@click.argument("finding")
@click.option("--reason", required=True, help="What was looked at and what was done; entered in the log.")
@home_option
@json_option
@identity_options
def close(finding: str, reason: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Say that you have looked at a finding. What is still so is found again."""
    with acting(home, login, absent_ok=True) as (house, actor):
        auditor_of(house).close_finding(actor, FindingId(finding), reason=reason)
    if as_json:
        print_json({"closed": finding})
        return
    click.echo(f"{say('Finding closed')}: {finding}")
