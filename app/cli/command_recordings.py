"""``liuhen recordings``: list and show."""

from __future__ import annotations

from pathlib import Path

import click

from access import RecordingView
from access.reading import COPIED, ORIGINAL
from access.views import RecordingItem
from api.schemas.recordings import detail_answer
from api.web import words
from api.web.classify_words import said
from api.web.custody_lines import entry_line
from api.web.custody_words import EVENTS
from api.web.marks import copy_mark, hand_in_mark, recording_mark
from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from app.cli.recordings_classify import classify, flag, items, unclassified
from app.cli.recordings_presence import presence_command
from app.copies_out import require_free, write_out
from app.offload_report import recording_json
from catalogue.records import RecordingFilter
from evidence.ids import RecordingId
from evidence.model import RecordingState
from retention.flags import GROUNDS


@click.group()
def recordings() -> None:
    """Recordings that are known here."""


recordings.add_command(presence_command)
for _command in (classify, flag, unclassified, items):
    recordings.add_command(_command)


@recordings.command("list")
@home_option
@json_option
@identity_options
@click.option(
    "--text", default="", help="Words of names, officers, devices, units, cases (Chinese words of 1-2 characters too)."
)
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in RecordingState]))
@click.option("--late", is_flag=True, help="Only those handed in late or overdue.")
@click.option("--quarantined", is_flag=True, help="Only those a person must look at.")
@click.option("--category", default="", help="Only those of this category.")
@click.option(
    "--flag", "flags_", multiple=True, type=click.Choice(list(GROUNDS)), help="Only those that bear this flag."
)
@click.option("--unclassified", is_flag=True, help="Only those that nobody has classified.")
@click.option("--held", is_flag=True, help="Only those under a hold.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 for all.")
def list_(
    home: str | None, *, as_json: bool, login: str, text: str, states: tuple[str, ...], late: bool, quarantined: bool,
    category: str, flags_: tuple[str, ...], unclassified: bool, held: bool, limit: int,
) -> None:  # fmt: skip
    """List recordings, newest first."""
    wanted = RecordingFilter(
        text=text, states=frozenset(RecordingState(state) for state in states), late=True if late else None,
        quarantined=True if quarantined else None, category=category, flags=frozenset(flags_),
        unclassified=True if unclassified else None, held=True if held else None,
    )  # fmt: skip
    with acting(home, login) as (house, actor):
        items: list[RecordingItem] = []
        cursor = ""
        while True:
            page = house.reading.list_recordings(actor, wanted=wanted, cursor=cursor, limit=200)
            items += page.items
            cursor = page.cursor
            if not cursor or (limit and len(items) >= limit):
                break
        items = items[: limit or None]
        directory = house.directory.names()
        with house.catalogue.read() as uow:
            told = [recording_json(uow, item.row, directory=directory) for item in items]
    if as_json:
        print_json(told)
        return
    for item in items:
        state = say(recording_mark(item.row, item.damage).word)
        what = said(item.row, item.rules, None, language())
        click.echo(f"{item.row.id}  {item.row.size_bytes:>12}  {state}  {what or '-'}  {item.row.name}")


@recordings.command()
@click.argument("recording")
@home_option
@json_option
@identity_options
def show(recording: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Show one recording: facts, names, copies, custody entries."""
    with acting(home, login) as (house, actor):
        view = house.reading.show(actor, RecordingId(recording))
        directory = house.directory.names()
        with house.catalogue.read() as uow:
            flat = recording_json(uow, view.row, directory=directory)
    if as_json:
        detail = detail_answer(view).model_dump(mode="json")
        print_json({**detail, "sightings": detail["names"], **flat})
        return
    _show(view, directory)


@recordings.command()
@click.argument("recording")
@click.option("--to", "target", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option(
    "--kind", type=click.Choice([ORIGINAL, *sorted(COPIED)]), default=ORIGINAL, show_default=True, help="Which bytes."
)
@home_option
@json_option
@identity_options
def copy(recording: str, *, target: Path, kind: str, home: str | None, as_json: bool, login: str) -> None:
    """Copy footage out: a right of its own, entered in the register of use before the first byte is written."""
    require_free(target)
    with acting(home, login) as (house, actor):
        found = house.reading.copy(actor, RecordingId(recording), kind=kind)
        write_out(house.blobs, found.sha256, size_bytes=found.size_bytes, target=target)
    if as_json:
        told = {"recording": recording, "kind": kind, "file": str(target), "sha256": found.sha256.hex}
        print_json({**told, "size_bytes": found.size_bytes, "grant": found.grant})
    else:
        click.echo(say("Copied and entered: {file}", file=str(target)))


def _show(view: RecordingView, names: dict[str, str]) -> None:
    row = view.row
    facts = [
        ("Recording", row.name), ("State", say(recording_mark(row, view.damage).word)), ("Size", f"{row.size_bytes} B"),
        ("SHA-256", row.sha256.hex if row.sha256 else "-"), ("SM3", row.sm3.hex if row.sm3 else "-"),
        ("Classification", said(row, view.rules, None, language()) or "-"),
        ("24-hour hand-in", say(hand_in_mark(view.twin or row, view.hand_in).word)),
    ]  # fmt: skip
    if row.quarantine_reason:
        facts.append(("Quarantine", say(words.REASONS.get(row.quarantine_reason, row.quarantine_reason))))
    for label, value in facts:
        click.echo(f"{say(label)}: {value}")
    for copy in view.copies:
        read_back = local_time(copy.read_back_at) if copy.read_back_at else say("never")
        click.echo(
            f"{say('Copies')}: {copy.store} ({copy.domain})  {say(copy_mark(copy, view.damage).word)}  {read_back}"
        )
    for entry in view.timeline:
        index = str(entry.index) if entry.index is not None else "-"
        told = [
            say(EVENTS.get(entry.event_type, entry.event_type)),
            names.get(entry.actor, entry.actor) or say("the service"),
        ]
        click.echo(
            "  "
            + "  ".join(part for part in (local_time(entry.at), index, *told, entry_line(entry, language())) if part)
        )
