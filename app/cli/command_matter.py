"""``liuhen matter``: matters of every kind, as their forms declare them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.matters.describing import described
from api.matters.marking import due_mark, state_mark
from api.matters.names import identities_in, names_for
from api.matters.showing import Shower
from api.schemas.matters import detail_answer, document_answer, history_answer, matter_answer
from api.web.units import local_time, size_text
from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from catalogue.matters import MatterFilter, MatterRow
from documents.words import Language
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError, NotFoundError, UsageError
from evidence.ids import MatterId, UnitId
from evidence.model import Actor
from matters.form import Act, FieldKind
from matters.looking import MatterView
from matters.turn import NewLink

if TYPE_CHECKING:
    from app.wiring import House


@click.group()
def matter() -> None:
    """Matters of every kind: holds, cases, requests, tickets. ``kinds`` tells what there is and what each asks for."""


def _lang() -> Language:
    return "en" if language() == "en" else "zh-CN"


# --- what is given ----------------------------------------------------------------------------------------------------
def _known(house: House, actor: Actor, text: str) -> MatterId:
    """A matter by identity or by number.

    Raises:
        NotFoundError: None that this person may know of. UsageError: Several kinds have that number.
    """
    try:
        return MatterId(text)
    except InvalidInputError:
        pass
    found = [row for row in house.matters.find(actor, MatterFilter(text=text), limit=200) if row.number == text]
    if not found:
        raise NotFoundError(f"there is no matter {text[:64]!r} that you may know of")
    if len(found) > 1:
        raise UsageError(f"{text[:64]!r} is the number of several matters", todo=", ".join(row.id for row in found))
    return found[0].id


def _pair(text: str, what: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"{what} is given as name=value, not as {text[:64]!r}")
    return name.strip(), value


def _values(act: Act, given: Sequence[str]) -> dict[str, Any]:
    """``--set`` by the kinds of the act's fields: lists by commas, tables as JSON, ``@file`` from a file, ``@-`` from input."""
    kinds = {one.name: one.kind for one in act.fields}
    values: dict[str, Any] = {}
    for text in given:
        name, value = _pair(text, "--set")
        if value.startswith("@"):
            value = _read(value[1:])
        match kinds.get(name):
            case FieldKind.CHOICES:
                values[name] = [part.strip() for part in value.split(",") if part.strip()]
            case FieldKind.TABLE:
                values[name] = _json(name, value)
            case _:
                values[name] = value
    return values


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name[:200]} cannot be read as text: {error}") from error


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} is a list of objects as JSON: {error}") from error


def _links(given: Sequence[str]) -> list[NewLink]:
    links = []
    for text in given:
        role, place = _pair(text, "--link")
        target, _, key = place.partition("|")
        links.append(NewLink(role=role, target=target, key=key))
    return links


def _day(text: str, *, end: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date() + timedelta(days=int(end))
        return datetime.combine(day, time.min, tzinfo=BUREAU_ZONE)
    except (ValueError, OverflowError) as error:
        raise UsageError("a day looks like 2026-11-22") from error


# --- looking ----------------------------------------------------------------------------------------------------------
@matter.command()
@click.argument("kind", required=False, default="")
@home_option
@json_option
@identity_options
def kinds(kind: str, *, home: str | None, as_json: bool, login: str) -> None:
    """Kinds of matters you may see or open; with KIND, everything it asks for."""
    with acting(home, login) as (house, actor):
        desk = house.matters
        forms = [desk.forms.of(kind)] if kind else desk.kinds(actor)
        told = [described(form, _lang(), may_open=desk.may_open(actor, form.kind)) for form in forms]
    if as_json:
        print_json(told[0] if kind else told)
        return
    if not kind:
        for one in told:
            click.echo(f"{one['kind']:<28} {one['words']}")
        return
    for one in told:
        _tell_kind(one)


def _tell_kind(one: Mapping[str, Any]) -> None:
    click.echo(f"{one['kind']}: {one['words']}")
    click.echo(f"{say('State')}: " + ", ".join(f"{state['code']} ({state['word']})" for state in one["states"]))
    for act in (one["opening"], *one["acts"]):
        click.echo(f"\n{act['name']}: {act['word']}")
        for field in act["fields"]:
            choices = ", ".join(f"{choice['code']} ({choice['word']})" for choice in field["choices"])
            needed = f" [{say('needed')}]" if field["required"] else ""
            click.echo(
                f"  --set {field['name']}=  {field['word']} <{field['kind']}>{needed}"
                + (f": {choices}" * bool(choices))
            )
        for link in act["links"]:
            click.echo(f"  --link {link['role']}=  {link['word']} <{'|'.join(link['targets'])}>")
        if act["needs_seen"]:
            click.echo("  --seen")


def filters(function: Any) -> Any:
    """Options of ``list`` and ``register``."""
    for option in reversed((
        click.option("--state", "states", multiple=True, help="Only in this state."),
        click.option("--open/--closed", "is_open", default=None, help="Only open ones, or only closed ones."),
        click.option("--text", default="", help="In number or words."),
        click.option("--mine", is_flag=True, help="Only where you have a part."),
        click.option("--from", "from_day", default="", metavar="DAY", help="Opened on this day or later."),
        click.option("--to", "to_day", default="", metavar="DAY", help="Opened on this day or before."),
    )):  # fmt: skip
        function = option(function)
    return function


def _filter(actor: Actor, asked: Mapping[str, Any], *, kinds: Sequence[str] = ()) -> MatterFilter:
    return MatterFilter(
        kinds=tuple(kinds), states=asked["states"], open=asked["is_open"], text=asked["text"],
        person=actor.agent if asked["mine"] else None, opened_from=_day(asked["from_day"]),
        opened_to=_day(asked["to_day"], end=True),
    )  # fmt: skip


@matter.command("list")
@click.option("--kind", "kinds_", multiple=True, help="Only of this kind.")
@click.option("--due", is_flag=True, help="Only open ones whose deadline is over.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 for all.")
@filters
@home_option
@json_option
@identity_options
def list_(
    *, kinds_: tuple[str, ...], due: bool, limit: int, home: str | None, as_json: bool, login: str, **asked: Any
) -> None:
    """Matters you may know of, newest first."""
    with acting(home, login) as (house, actor):
        desk, now = house.matters, house.clock.now().wall
        for kind in kinds_:
            desk.forms.of(kind)
        wanted = _filter(actor, asked, kinds=kinds_)
        if due:
            wanted = MatterFilter(**{**_fields(wanted), "due_before": now})
        rows: list[MatterRow] = []
        while not limit or len(rows) < limit:
            page = desk.find(actor, wanted, after=rows[-1].id if rows else None, limit=200)
            rows += page
            if len(page) < 200:
                break
        rows = rows[: limit or None]
        shower = Shower(names_for(house, actor), language())
        lines = [_line(house, shower, row, now) for row in rows] if not as_json else []
    if as_json:
        print_json([matter_answer(row).model_dump(mode="json") for row in rows])
        return
    for line in lines:
        click.echo(line)


def _fields(wanted: MatterFilter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in MatterFilter.__dataclass_fields__}


def _line(house: House, shower: Shower, row: MatterRow, now: datetime) -> str:
    form = house.matters.forms.of(row.kind)
    due = due_mark(row, now)
    told = [row.number, say(form.word), say(state_mark(form, row).word)]
    if due is not None:
        told.append(f"{say(due.word)} {local_time(row.due_at, seconds=False)}")
    return "  ".join(part for part in (*told, shower.title(form, row)) if part)


@matter.command()
@click.argument("matter_")
@home_option
@json_option
@identity_options
def show(matter_: str, *, home: str | None, as_json: bool, login: str) -> None:
    """One matter, by identity or number: facts, persons, links, documents, and what you can do now."""
    with acting(home, login) as (house, actor):
        view = house.matters.view(actor, _known(house, actor, matter_))
        names = names_for(house, actor, identities_in(view.form, [view.row], view.links))
        now = house.clock.now().wall
    if as_json:
        print_json(detail_answer(view).model_dump(mode="json"))
        return
    _tell(view, Shower(names, language()), now)


def _tell(view: MatterView, shower: Shower, now: datetime) -> None:
    row, form = view.row, view.form
    due = due_mark(row, now)
    click.echo(f"{row.number}  {say(form.word)}  {say(state_mark(form, row).word)}")
    if due is not None:
        click.echo(f"{say(due.word)}: {local_time(row.due_at, seconds=False)}")
    pairs = [
        (say("Unit"), shower.names.name(row.unit) if row.unit else say("the whole bureau")),
        (say("Begun"), local_time(row.opened_at, seconds=False)),
        (say("Opened by"), shower.names.name(row.opened_by) if row.opened_by else say("the service")),
        *((shower.part(form, one.role), shower.names.name(one.agent)) for one in view.persons),
        *((one.label, one.text) for one in shower.fields(form, row.facts, row.words)),
    ]  # fmt: skip
    for label, text in pairs:
        first, *more = text.split("\n") or [""]
        click.echo(f"{label}: {first}")
        for line in more:
            click.echo(f"    {line}")
    hidden = shower.masked(view)
    if hidden:
        click.echo(say("Not shown to you: {fields}", fields=", ".join(hidden)))
    for link in view.links:
        note = shower.link_text(form, row, link)
        click.echo(
            f"{shower.link_role(form, link.role)}: {shower.names.name(link.target)} {link.target}"
            + f" ({note})" * bool(note)
        )
    for one in view.documents:
        click.echo(f"{say(form.documents.get(one.role, one.role))}: {one.name} {one.id} {size_text(one.size_bytes)}")
    if view.acts:
        click.echo(f"{say('What you can do now')}: " + ", ".join(f"{act.name} ({say(act.word)})" for act in view.acts))
    click.echo(f"id {row.id}  version {row.version}  seen {view.seen}")


@matter.command()
@click.argument("matter_")
@home_option
@json_option
@identity_options
def history(matter_: str, *, home: str | None, as_json: bool, login: str) -> None:
    """The custody entries of a matter."""
    with acting(home, login) as (house, actor):
        known = _known(house, actor, matter_)
        view = house.matters.view(actor, known)
        entries = house.matters.history(actor, known)
        linked = [str(link.get("to") or "") for entry in entries for link in entry.public.get("links") or []]
        names = names_for(house, actor, [*identities_in(view.form, [view.row], view.links), *linked])
    if as_json:
        print_json([history_answer(one).model_dump(mode="json") for one in entries])
        return
    for line in Shower(names, language()).history(view.form, entries):
        state = f" -> {line.state}" if line.state else ""
        click.echo(f"{local_time(line.entry.at)}  {line.what}{state}  {line.who}")
        for one in line.told:
            click.echo("    " + (f"{one.label}: {one.text}" if one.label else one.text).replace("\n", "\n    "))


# --- acting -----------------------------------------------------------------------------------------------------------
def entering(function: Any) -> Any:
    """``--set`` and ``--link``."""
    for option in reversed((
        click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="A field; @FILE reads it, @- from input."),
        click.option("--link", "links", multiple=True, metavar="ROLE=IDENTITY", help="What it concerns."),
    )):  # fmt: skip
        function = option(function)
    return function


def _done(row: MatterRow, *, as_json: bool, house: House) -> None:
    if as_json:
        print_json(matter_answer(row).model_dump(mode="json"))
        return
    form = house.matters.forms.of(row.kind)
    click.echo(f"{row.number}  {say(form.word)}  {say(state_mark(form, row).word)}  {row.id}")


@matter.command("open")
@click.argument("kind")
@click.option("--unit", default="", help="The unit it belongs to; without it, your own.")
@entering
@home_option
@json_option
@identity_options
def open_(
    kind: str,
    *,
    unit: str,
    values: tuple[str, ...],
    links: tuple[str, ...],
    home: str | None,
    as_json: bool,
    login: str,
) -> None:
    """Open a matter of a kind."""
    with acting(home, login) as (house, actor):
        form = house.matters.forms.of(kind)
        row = house.matters.open(
            actor, kind, _values(form.opening, values), unit=UnitId(unit) if unit else None, links=_links(links)
        )
        _done(row, as_json=as_json, house=house)


@matter.command()
@click.argument("matter_")
@click.argument("act_")
@entering
@click.option("--unlink", "unlinks", multiple=True, metavar="ROLE=IDENTITY", help="What it concerns no longer.")
@click.option("--seen", default="", help="Digest of what you decide on, as `show` tells it, where the act asks for it.")
@click.option("--version", type=int, default=0, help="Refuse when somebody acted since this version.")
@home_option
@json_option
@identity_options
def act(
    matter_: str, act_: str, *, values: tuple[str, ...], links: tuple[str, ...], unlinks: tuple[str, ...], seen: str,
    version: int, home: str | None, as_json: bool, login: str,
) -> None:  # fmt: skip
    """Do one of the acts that `show` offers."""
    with acting(home, login) as (house, actor):
        known = _known(house, actor, matter_)
        form = house.matters.view(actor, known).form
        row = house.matters.act(
            actor, known, act_, _values(form.act(act_), values), links=_links(links), unlinks=_links(unlinks), seen=seen,
            version=version or None,
        )  # fmt: skip
        _done(row, as_json=as_json, house=house)


@matter.command()
@click.argument("matter_")
@click.argument("role")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@home_option
@json_option
@identity_options
def attach(matter_: str, role: str, file: Path, *, home: str | None, as_json: bool, login: str) -> None:
    """File a document with a matter; its copies are read back before this ends."""
    with acting(home, login) as (house, actor):
        known = _known(house, actor, matter_)
        try:
            with file.open("rb") as stream:
                made = house.papers.file(actor, known, role, file.name, stream)
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if as_json:
        print_json(document_answer(made).model_dump(mode="json"))
        return
    click.echo(f"{made.id}  {size_text(made.size_bytes)}  {made.sha256}")


# --- paper ------------------------------------------------------------------------------------------------------------
def out_option(function: Any) -> Any:
    """``-o``."""
    return click.option(
        "-o",
        "--output",
        required=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="File to write; a new one.",
    )(function)


def _write(output: Path, data: bytes, *, as_json: bool) -> None:
    try:
        with output.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"file": str(output), "size_bytes": len(data)})
        return
    click.echo(f"{output}  {size_text(len(data))}")


@matter.command("print")
@click.argument("matter_")
@out_option
@home_option
@json_option
@identity_options
def print_(matter_: str, *, output: Path, home: str | None, as_json: bool, login: str) -> None:
    """One matter as a PDF with its data attached, under the newest checkpoint of the log."""
    from api.matters.checkpoints import newest
    from api.matters.printing import printable_of, sheet_of
    from documents import print_document

    with acting(home, login) as (house, actor):
        sheet = sheet_of(
            house, actor, _known(house, actor, matter_), now=house.clock.now().wall,
            checkpoint=newest(house.home.public_log, house.vkey),
        )  # fmt: skip
    _write(output, print_document(printable_of(sheet, _lang())), as_json=as_json)


@matter.command()
@click.argument("kind")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx", "pdf"]), default="csv", show_default=True)
@out_option
@filters
@home_option
@json_option
@identity_options
def register(
    kind: str, *, form: Any, output: Path, home: str | None, as_json: bool, login: str, **asked: Any
) -> None:  # fmt: skip
    """The register of a kind: what you may know of, in its columns."""
    from api.matters.checkpoints import newest
    from api.matters.registers import register_of, written
    from api.matters.seeing import may_see

    with acting(home, login) as (house, actor):
        known = house.matters.forms.of(kind)
        may_see(house, actor, known)
        book = register_of(
            house, actor, known, _filter(actor, asked), language=_lang(), now=house.clock.now().wall, printed=form == "pdf",
            checkpoint=newest(house.home.public_log, house.vkey),
        )  # fmt: skip
        data = b"".join(written(book, form))
    _write(output, data, as_json=as_json)
