"""``liuhen recordings``: list and show."""

from __future__ import annotations

import click

from access import RecordingView
from api.schemas.recordings import detail_answer
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say
from app.offload_report import recording_json
from catalogue.records import RecordingFilter
from evidence.ids import RecordingId
from evidence.model import RecordingState


@click.group()
def recordings() -> None:
    """Recordings that are known here."""


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
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 for all.")
def list_(
    home: str | None, *, as_json: bool, login: str, text: str, states: tuple[str, ...], late: bool, quarantined: bool,
    limit: int,
) -> None:  # fmt: skip
    """List recordings, newest first."""
    wanted = RecordingFilter(
        text=text, states=frozenset(RecordingState(state) for state in states), late=True if late else None,
        quarantined=True if quarantined else None,
    )  # fmt: skip
    with acting(home, login) as (house, actor):
        rows, cursor = [], ""
        while True:
            page = house.reading.list_recordings(actor, wanted=wanted, cursor=cursor, limit=200)
            rows += [item.row for item in page.items]
            cursor = page.cursor
            if not cursor or (limit and len(rows) >= limit):
                break
        directory = house.directory.names()
        with house.catalogue.read() as uow:
            told = [recording_json(uow, row, directory=directory) for row in rows[: limit or None]]
    if as_json:
        print_json(told)
        return
    for row in told:
        click.echo(
            f"{row['id']}  {row['state']:<11} {say('Sealed') if row['sealed'] else '-':<8} {row['size_bytes']:>12}  {row['name']}"
        )


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
    _show(view)


def _show(view: RecordingView) -> None:
    row = view.row
    for label, value in (
        ("Recording", row.name), ("State", row.state.value), ("Sealed", "yes" if row.sealed else "no"),
        ("Size", f"{row.size_bytes} B"), ("SHA-256", row.sha256.hex if row.sha256 else "-"),
        ("SM3", row.sm3.hex if row.sm3 else "-"), ("24-hour hand-in", view.hand_in),
    ):  # fmt: skip
        click.echo(f"{say(label)}: {value}")
    for copy in view.copies:
        click.echo(f"{say('Copies')}: {copy.store} ({copy.domain}) {copy.read_back_at}")
    for entry in view.timeline:
        click.echo(f"  {entry.at.isoformat()}  {entry.index if entry.index is not None else '-'}  {entry.event_type}")
