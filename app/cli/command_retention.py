"""``liuhen retention``: until when recordings are kept and why, what is due, and what a new schedule would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.retention_list import workbook
from api.schemas.retention import due_answer, retention_answer
from api.web import retention_words
from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from documents.words import Language
from evidence.clock import to_text
from evidence.errors import InvalidInputError
from evidence.ids import MatterId, RecordingId, UnitId
from evidence.model import Action
from retention.schedule_matter import RESCHEDULE, SCHEDULE

if TYPE_CHECKING:
    from app.wiring import House
    from catalogue.matters import MatterRow
    from evidence.model import Actor


#: A list of categories or days is far smaller.
UPLOAD_BYTES_MAX: Final = 8 << 20


@click.group()
def retention() -> None:
    """Dates of keeping: until when, why, what is due, and the schedule they follow from."""


@retention.command()
@click.argument("recording", metavar="ID")
@home_option
@json_option
@identity_options
def show(recording: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell until when a recording is kept, with every rule, clock, case and hold that says so."""
    with acting(home, login) as (house, actor):
        view = house.retention.show(actor, RecordingId(recording))
    if as_json:
        print_json(retention_answer(view).model_dump(mode="json"))
        return
    mark = retention_words.STANDINGS[view.decision.standing]
    click.echo(f"{view.recording.id}  {say(mark.word)}, {retention_words.until(view, language())}")
    for decisive, line in retention_words.lines(view, language()):
        click.echo(f"  {'*' if decisive else ' '} {line}")


@retention.command()
@click.option("--unit", metavar="ID", default="", help="Only recordings of this department.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", metavar="TEXT", default="", help="Where the page before ended.")
@home_option
@json_option
@identity_options
def due(unit: str, limit: int, cursor: str, home: str | None, *, as_json: bool, login: str) -> None:
    """List recordings whose period is over, the longest ago first. Nothing is cleared by it."""
    from retention.desk import cursor_from

    with acting(home, login) as (house, actor):
        found = house.retention.due(
            actor, unit=UnitId(unit) if unit else None, after=cursor_from(cursor), limit=limit
        )  # fmt: skip
    if as_json:
        print_json(due_answer(found).model_dump(mode="json"))
        return
    if not found.clock_believed:
        click.echo(say("Our clock is not believed now: nothing is over by it"))
    for view in found.items:
        mark = retention_words.STANDINGS[view.decision.standing]
        click.echo(f"{view.recording.id}  {retention_words.until(view, language())}  {say(mark.word)}")
    if found.cursor:
        click.echo(f"--cursor {found.cursor}")


@retention.command()
@home_option
@json_option
@identity_options
def schedule(home: str | None, *, as_json: bool, login: str) -> None:
    """Tell the schedule in force and the versions before it."""
    from retention.facts import schedules_of

    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.SCHEDULE_SEE)
        with house.catalogue.read() as uow:
            versions = schedules_of(uow).versions
    if as_json:
        print_json([one.to_json() for one in reversed(versions)])
        return
    for one in reversed(versions):
        click.echo(f"{one.version}  {one.number}  {to_text(one.in_force_from)}  {one.authority}")
        for row in one.rows.values():
            click.echo(f"    {row.category}  {row.title}  {retention_words.keeping_text(row.keeps.text(), language())}")


@retention.command("dry-run")
@click.argument("matter", metavar="ID|NUMBER")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the list there (CSV; a spreadsheet where the name ends in .xlsx); it must not exist.",
)
@click.option("--enter", is_flag=True, help="File the list with the matter, as the service does within minutes.")
@home_option
@json_option
@identity_options
def dry_run(matter: str, out: Path | None, home: str | None, *, enter: bool, as_json: bool, login: str) -> None:
    """Compute which recordings a proposed schedule or re-schedule would date otherwise. Changes no date."""
    from app.dates import dry_runs_of
    from retention.dry_run import try_out

    with acting(home, login) as (house, actor):
        row = _matter(house, actor, matter)
        if enter:
            house.gate.allowed(actor, Action.SCHEDULE_PROPOSE, detail=f"dry-run {row.number}")
            tried = dry_runs_of(house).enter(row.id)
        else:
            tried = try_out(house.catalogue, house.clock, row.id)
    if out is not None:
        told_as: Language = "zh-CN" if language() == "zh-CN" else "en"
        data = tried.data
        if out.suffix.lower() == ".xlsx":
            data = workbook(data, number=tried.matter.number, unit="", at=tried.at, language=told_as)
        _write_new(out, data)
    told = {
        "matter": row.id, "number": row.number, "list_sha256": tried.list_sha256.hex, "count": tried.count,
        "earlier": tried.earlier, "size_bytes": tried.size_bytes, "as_of": to_text(tried.at),
        "written": str(out) if out is not None else "", "entered": enter,
    }  # fmt: skip
    if as_json:
        print_json(told)
        return
    click.echo(
        say(
            "{count} recordings would be dated otherwise, {earlier} of them earlier",
            count=tried.count,
            earlier=tried.earlier,
        )
    )
    click.echo(f"SHA-256 {tried.list_sha256.hex}")


@retention.command()
@click.option(
    "--rows", "rows_file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Categories: CSV or XLSX."
)
@click.option("--title", required=True)
@click.option("--authority", required=True, help="The document it rests on, with its number.")
@click.option("--from", "begins", metavar="DATE", required=True, help="In force from, as 2027-01-01.")
@click.option("--ordinary-months", type=int, help="For footage of no category; six at the least.")
@click.option("--litigation-months", type=int, help="How long a closed case may still be contested.")
@click.option("--cool-off-days", type=int, help="After the last hold was released.")
@click.option("--notice-days", type=int, help="Before anything is cleared; seven at the least.")
@click.option("--mode", type=click.Choice(["review", "automatic"]), help="Who clears.")
@home_option
@json_option
@identity_options
def propose(
    rows_file: Path | None, home: str | None, *, title: str, authority: str, begins: str, mode: str | None, as_json: bool,
    login: str, **numbers: int | None,
) -> None:  # fmt: skip
    """Propose a schedule of keeping. Somebody else approves it, on the list of what it would date otherwise."""
    from retention.imports import schedule_rows

    values: dict[str, Any] = {"title": title, "authority": authority, "in_force_from": begins}
    if rows_file is not None:
        values["rows"] = schedule_rows(_read(rows_file))
    values |= {name: value for name, value in {**numbers, "mode": mode}.items() if value is not None}
    with acting(home, login) as (house, actor):
        _tell(house.matters.open(actor, SCHEDULE, values), as_json=as_json)


@retention.command("calendar")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@home_option
@json_option
@identity_options
def calendar_(file: Path, home: str | None, *, as_json: bool, login: str) -> None:
    """Bring in a year's working days from CSV or XLSX (date, kind, name, source). Somebody else approves it."""
    from matters.working_calendar import KIND
    from retention.imports import calendar_rows

    year, days = calendar_rows(_read(file))
    with acting(home, login) as (house, actor):
        _tell(house.matters.open(actor, KIND, {"year": year, "days": days}), as_json=as_json)


def _tell(row: MatterRow, *, as_json: bool) -> None:
    if as_json:
        print_json({"matter": row.id, "number": row.number, "state": row.state})
    else:
        click.echo(f"{row.number}  {row.id}")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > UPLOAD_BYTES_MAX:
            raise InvalidInputError(f"{path} is larger than {UPLOAD_BYTES_MAX} bytes", kept="Nothing was imported.")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error


def _matter(house: House, actor: Actor, text: str) -> MatterRow:
    """By identity or number; only one the actor may see."""
    if text.startswith("mat_"):
        return house.matters.view(actor, MatterId(text)).row
    with house.catalogue.read() as uow:
        found = uow.matters.by_number(SCHEDULE, text) or uow.matters.by_number(RESCHEDULE, text)
    if found is None:
        raise InvalidInputError(f"there is no schedule of the number {text[:64]!r}")
    return house.matters.view(actor, found.id).row


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise InvalidInputError(f"{path} exists", kept="It was not touched.", todo="Name a new file.") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}", kept="Nothing was written.") from error
