"""``liuhen recordings classify | flag | unclassified | items``: what recordings are, as persons judge them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from api.schemas.classification import (
    choices_answer,
    day_of,
    outcome_answer,
    plan_answer,
    preview_answer,
    proposed_answer,
    worklist_answer,
)
from api.web import classify_words
from api.web.retention_words import keeping_text
from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from documents.sheets import FILE_BYTES_MAX
from evidence.errors import InvalidInputError, PolicyUnmetError
from evidence.ids import RecordingId
from retention import flags

if TYPE_CHECKING:
    from retention.classification import Outcome, Plan
    from retention.record_list import Trouble

#: Not everything was done.
_UNMET: Final = PolicyUnmetError.exit_code


@click.command()
@click.argument("recordings", metavar="ID...", nargs=-1, required=True)
@click.option("--category", default="", help="Code of a category of the schedule in force.")
@click.option("--item", default="", help="Code of an entry of the bureau's list; it may name the category.")
@click.option("--words", default="", help="What you say about it.")
@click.option(
    "--seen", default="", metavar="SHA256", help="Digest of the list you looked at; needed for several recordings."
)
@click.option("--retract", is_flag=True, help="Take the judgement about one recording back; say why with --words.")
@home_option
@json_option
@identity_options
def classify(
    recordings: tuple[str, ...], *, category: str, item: str, words: str, seen: str, home: str | None, retract: bool,
    as_json: bool, login: str,
) -> None:  # fmt: skip
    """Say what recordings are. Several are shown first, with a digest; --seen with that digest does exactly it."""
    wanted = [RecordingId(one) for one in recordings]
    plan: Plan | None = None
    outcome: Outcome | None = None
    with acting(home, login) as (house, actor):
        if retract:
            if len(wanted) != 1 or category or item:
                raise InvalidInputError("one recording, without category, is what --retract takes")
            outcome = house.classifier.retract(actor, wanted[0], words=words)
        elif len(set(wanted)) > 1 and not seen:
            plan = house.classifier.plan(actor, wanted, category=category, item=item)
        else:
            outcome = house.classifier.classify(
                actor, wanted, category=category, item=item, words=words, sha256=seen
            )  # fmt: skip
    if plan is not None:
        _tell_plan(plan, as_json=as_json)
    if outcome is not None:
        _tell(outcome, as_json=as_json)


@click.command()
@click.argument("recordings", metavar="ID...", nargs=-1, required=True)
@click.option("--flag", "flag_", required=True, type=click.Choice(list(flags.GROUNDS)))
@click.option("--ground", required=True, help="One of the flag's grounds: " + "; ".join(
    f"{flag}: {', '.join(one.code for one in grounds)}" for flag, grounds in flags.GROUNDS.items()
))  # fmt: skip
@click.option("--words", required=True, help="What happened.")
@home_option
@json_option
@identity_options
def flag(
    recordings: tuple[str, ...], flag_: str, ground: str, words: str, home: str | None, *, as_json: bool, login: str
) -> None:  # fmt: skip
    """Put a flag on recordings: they are kept for the long term, until an approval (matter `flag-lift`) lifts it."""
    with acting(home, login) as (house, actor):
        outcome = house.classifier.flag(
            actor, [RecordingId(one) for one in recordings], flag=flag_, ground=ground, words=words
        )  # fmt: skip
    _tell(outcome, as_json=as_json)


@click.command()
@home_option
@json_option
@identity_options
def unclassified(home: str | None, *, as_json: bool, login: str) -> None:
    """List your own recordings that nobody has classified, the oldest first."""
    with acting(home, login) as (house, actor):
        work = house.classifier.worklist(actor)
    if as_json:
        print_json(worklist_answer(work).model_dump(mode="json"))
        return
    for one in work.items:
        until = one.date.last_day if one.date is not None and one.date.last_day else "-"
        click.echo(f"{one.row.id}  {one.days:>4}  {until:>10}  {one.row.name}")
    click.echo(say("{n} recordings", n=work.total))


@click.group()
def items() -> None:
    """What is to be recorded: categories that can be chosen, and the bureau's list."""


@items.command("show")
@home_option
@json_option
@identity_options
def show_items(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell the categories of the schedule and the entries of the list that are in force."""
    with acting(home, login) as (house, actor):
        choices = house.classifier.choices(actor)
    if as_json:
        print_json(choices_answer(choices).model_dump(mode="json"))
        return
    for row in choices.categories:
        click.echo(f"{row.category}  {row.title}  {keeping_text(row.keeps.text(), language())}")
    for one in choices.items:
        click.echo(f"{one.code}  {one.title}  {say(classify_words.DUTIES[one.duty.value])}  {one.category or '-'}")


@items.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@home_option
@json_option
@identity_options
def preview(file: Path, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell what a list (CSV or XLSX) would bring, change and leave out. Status 3 when rows cannot be taken."""
    with acting(home, login) as (house, actor):
        found = house.record_lists.preview(actor, _bytes(file))
    if as_json:
        print_json(preview_answer(found).model_dump(mode="json"))
    else:
        change = found.difference
        for word, some in (
            ("New entries", change.new), ("Changed entries", [new for _old, new in change.changed]),
            ("Dropped entries", change.dropped),
        ):  # fmt: skip
            click.echo(f"{say(word)}: {len(some)}")
            for one in some:
                click.echo(f"  {one.title}  {say(classify_words.DUTIES[one.duty.value])}  {one.category or '-'}")
        for trouble in (*found.read.unreadable, *found.read.told):
            click.echo(_trouble(trouble))
    if found.read.unreadable:
        raise click.exceptions.Exit(_UNMET)


@items.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--title", required=True)
@click.option("--from", "begins", required=True, metavar="DAY", help="The day it comes into force, 2026-12-01.")
@home_option
@json_option
@identity_options
def propose(file: Path, title: str, begins: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Propose a list; another person approves the matter (`liuhen matter act`)."""
    day: date = day_of(begins)
    with acting(home, login) as (house, actor):
        row = house.record_lists.propose(actor, _bytes(file), title=title, in_force_from=day)
    if as_json:
        print_json(proposed_answer(row).model_dump(mode="json"))
        return
    click.echo(f"{row.number}  {row.id}")


def _bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(FILE_BYTES_MAX + 1)


def _trouble(one: Trouble) -> str:
    told = f"{say('row {n}', n=one.row)}: {say(classify_words.TROUBLES[one.code])}"
    return f"{told} ({one.detail})" if one.detail else told


def _tell_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(plan_answer(plan).model_dump(mode="json"))
        return
    for row in plan.rows:
        becomes = say(classify_words.LEFT[row.left]) if row.left else plan.category
        click.echo(f"{row.recording}  {row.before or say('Unclassified')} -> {becomes}  {row.name}")
    click.echo(f"--seen {plan.sha256}")


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome_answer(outcome).model_dump(mode="json"))
    else:
        for one in outcome.done:
            click.echo(f"{one}  {say('done')}")
        for one, why in outcome.left.items():
            click.echo(f"{one}  {say(classify_words.LEFT[why])}")
        if outcome.not_reached:
            click.echo(f"{say('Not tried, because of an error: {n}', n=len(outcome.not_reached))}  {outcome.why}")
    if outcome.not_reached:
        raise click.exceptions.Exit(_UNMET)
