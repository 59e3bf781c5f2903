"""``liuhen recordings presence``: held, lawfully cleared, or never received, with the entries that prove it."""

from __future__ import annotations

from typing import Any

import click

from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from assurance.presence import Answer, Presence, answers
from evidence.clock import to_text


@click.command("presence")
@click.argument("wanted", metavar="ID|NAME|SHA256")
@home_option
@json_option
@identity_options
def presence_command(wanted: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Tell what became of a recording: by identity, exact file name or SHA-256. Absence is answered per recording.

    Who may not see every recording is refused where nothing they may see matches: neither "here" nor "never received" would
    be theirs to know.
    """
    with acting(home, login) as (house, actor):
        found = answers(house.catalogue, house.gate, actor, wanted)
    if as_json:
        print_json([presence_json(one) for one in found])
        return
    if not found:
        click.echo(say("About {name}: {answer}", name=wanted, answer=say("never received")))
    for one in found:
        click.echo(say("About {name}: {answer}", name=one.recording, answer=presence_word(one)))
        for proof in one.proofs:
            entry = proof.entry if proof.index is None else f"{proof.index} {proof.entry}"
            click.echo(
                "  "
                + say(
                    "Proof: entry {entry} ({type}) of {at}", entry=entry, type=proof.event_type, at=local_time(proof.at)
                )
            )


def presence_word(found: Presence) -> str:
    """The answer, in words of the screen."""
    return {
        Answer.HELD: say("held"),
        Answer.INCOMING: say("being brought in"),
        Answer.CLEARED: say("lawfully cleared"),
        Answer.GOING: say("being removed"),
        Answer.DUPLICATE: say("duplicate of {of}", of=found.of),
        Answer.OTHERWISE: say("kept, but not as a recording"),
        Answer.NEVER: say("never received"),
        Answer.UNKNOWN: say("not known, run `liuhen verify`"),
    }[found.answer]


def presence_json(found: Presence) -> dict[str, Any]:
    """The answer about one recording, for programs."""
    return {
        "recording": found.recording, "answer": found.answer.value, "sha256": found.sha256, "duplicate_of": found.of,
        "answer_of_kept": found.of_answer.value if found.of_answer else "",
        "proofs": [
            {"entry": one.entry, "type": one.event_type, "at": to_text(one.at), "index": one.index} for one in found.proofs
        ],
    }  # fmt: skip
