"""``liuhen absence``: what became of some bytes: held, being cleared, lawfully cleared, or never received."""

from __future__ import annotations

from typing import Any

import click

from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from app.cli.recordings_presence import presence_json, presence_word
from assurance.presence import Absence, Answer, Presence
from evidence.clock import to_text


@click.command()
@click.argument("sha256", metavar="SHA256")
@home_option
@json_option
@identity_options
def absence(sha256: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell what became of the bytes with a SHA-256, with the entries that prove it; silence is never ambiguous."""
    with acting(home, login, absent_ok=True) as (house, actor):
        found = house.absence.ask(actor, sha256)
    if as_json:
        print_json(absence_json(found))
        return
    if found.answer is Answer.OTHERWISE:
        click.echo(say("A document, or something made of footage, has the same bytes: they are kept for that."))
    elif not found.found:
        click.echo(
            say("Never received: none of the {size} entries of the published log names it.", size=found.checkpoint_size)
        )
    for one in found.found:
        click.echo(_line(one))
        for proof in one.proofs:
            entry = proof.entry if proof.index is None else f"{proof.index} {proof.entry}"
            kind, at = proof.event_type, local_time(proof.at)
            click.echo("  " + say("Proof: entry {entry} ({type}) of {at}", entry=entry, type=kind, at=at))


def _line(one: Presence) -> str:
    told = say("About {name}: {answer}", name=one.recording, answer=presence_word(one))
    if one.answer is Answer.CLEARED and one.batch and one.cleared_at is not None:
        return f"{told} ({one.batch}, {local_time(one.cleared_at)})"
    if one.answer is Answer.HELD and one.since is not None:
        return f"{told} ({', '.join(one.stores)}, {local_time(one.since)})"
    return told


def absence_json(found: Absence) -> dict[str, Any]:
    """As the API answers it."""
    return {
        "sha256": found.sha256, "answer": found.answer.value, "checkpoint_size": found.checkpoint_size,
        "recordings": [
            presence_json(one)
            | {
                "stores": one.stores, "since": to_text(one.since) if one.since else "", "batch": one.batch,
                "cleared_at": to_text(one.cleared_at) if one.cleared_at else "",
                "certificate_sha256": one.certificate_sha256,
            }
            for one in found.found
        ],
    }  # fmt: skip
