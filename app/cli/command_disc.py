"""``liuhen disc``: long-term footage on discs: what waits, plan, images, burning, read-back, register, labels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, print_json, say, step_bar
from app.cli.disc_reports import check_answer, disc_answer, print_check, set_answer
from discs.drive import Drive, list_drives, look
from discs.media import KINDS
from evidence.durable import publish_new
from evidence.errors import BlobConflictError, DiscDamagedError, NotFoundError, StoreError, UsageError
from evidence.ids import MatterId, RecordingId, UnitId
from retention import disc_terms as terms

if TYPE_CHECKING:
    from app.wiring import House
    from catalogue.matters import MatterRow


@click.group()
def disc() -> None:
    """Discs for long-term footage: two copies, each read back in full, with label and register."""


def _matter(house: House, kind: str, text: str) -> MatterRow:
    """By number, else by identity."""
    with house.catalogue.read() as uow:
        found = uow.matters.by_number(kind, text)
        if found is None and text.startswith(f"{MatterId.prefix}_"):
            found = uow.matters.get(MatterId(text))
    if found is None or found.kind != kind:
        raise NotFoundError(f"there is no {kind} {text[:64]}", todo="See `liuhen disc status`.")
    return found


def _drive(text: str) -> Drive:
    """A burner, ``stdio:`` and a path, or the plain path of a file that is there."""
    plain = Path(text)
    return Drive(f"stdio:{plain.absolute()}" if plain.is_file() and not text.startswith("/dev/sr") else text)


_drive_option = click.option("--drive", required=True, metavar="DRIVE", help="/dev/sr0, or stdio:/full/path.iso.")


@disc.command()
@home_option
@json_option
def drives(home: str | None, *, as_json: bool) -> None:  # noqa: ARG001 - every command takes --home; this one reads none
    """List the burners of this machine and what is in them."""
    from evidence.errors import DiscError

    rows = []
    for found in list_drives():
        row = {
            "drive": found.address,
            "name": found.name,
            "medium": "",
            "blank": False,
            "free_sectors": 0,
            "product": "",
        }
        try:
            medium = look(Drive(found.address))
            row |= {
                "medium": medium.kind, "blank": medium.blank, "free_sectors": medium.free_sectors, "product": medium.product,
            }  # fmt: skip
        except (DiscError, UsageError) as error:
            row["medium"] = error.what
        rows.append(row)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo("\t".join([str(row["drive"]), str(row["name"]), str(row["medium"])]))
    if not rows:
        click.echo(say("There is no burner here."))


@disc.command()
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@home_option
@json_option
@identity_options
def waiting(limit: int, home: str | None, *, as_json: bool, login: str) -> None:
    """List long-term recordings that are in no disc set, and discs that are to be looked at."""
    from app.disc_making import disc_desk

    with acting(home, login) as (house, actor):
        desk = disc_desk(house)
        rows, due = desk.waiting(actor, limit=limit), desk.due(actor)
    if as_json:
        print_json(
            {
                "waiting": [{"recording": row.id, "name": row.name, "size_bytes": row.size_bytes} for row in rows],
                "due": [disc_answer(row) for row in due],
            }
        )
        return
    for row in rows:
        click.echo("\t".join([row.id, local_time(row.started_at or row.discovered_at), str(row.size_bytes), row.name]))
    for one in due:
        click.echo("\t".join([one.number, say("To be looked at"), str(one.facts.get("next_check", ""))]))
    if not rows and not due:
        click.echo(say("No recording waits for a disc."))


@disc.command()
@click.option("--recording", "recordings", metavar="ID", multiple=True, help="A recording of the set; may be repeated.")
@click.option(
    "--waiting", "all_waiting", is_flag=True, help="All recordings that wait, as far as you may know of them."
)
@click.option("--title", required=True, help="Name of the case or activity (R12).")
@click.option("--case-number", required=True, help="Its number (R12).")
@click.option("--medium", type=click.Choice([kind.name for kind in KINDS]), default="dvd+r", show_default=True)
@click.option("--copies", type=click.IntRange(2, 3), default=2, show_default=True)
@click.option("--ground", default="", help="Why it is kept for long (R11).")
@click.option("--error-correction", is_flag=True, help="Add RS03 where the image leaves room for it.")
@click.option("--case", "case_", metavar="ID", default="", help="The case the set belongs to.")
@click.option("--replaces", metavar="NUMBER", default="", help="The set whose place this one takes.")
@click.option("--unit", metavar="ID", default="", help="The producing department; yours without it.")
@home_option
@json_option
@identity_options
def plan(home: str | None, *, as_json: bool, login: str, **given: Any) -> None:
    """Plan a disc set: in time order, no recording split, two copies."""
    from app.disc_making import disc_desk
    from matters.desk import LINKS_MAX
    from matters.turn import NewLink

    with acting(home, login) as (house, actor):
        wanted = [RecordingId(one) for one in given["recordings"]]
        if given["all_waiting"]:
            wanted += [row.id for row in disc_desk(house).waiting(actor, limit=LINKS_MAX)]
        links = [NewLink(role=terms.FOOTAGE, target=one) for one in dict.fromkeys(wanted)]
        if given["case_"]:
            links.append(NewLink(role=terms.OF_CASE, target=MatterId(given["case_"])))
        if given["replaces"]:
            links.append(NewLink(role=terms.REPLACES, target=_matter(house, terms.DISC_SET, given["replaces"]).id))
        values = {
            name: given[name] for name in ("title", "case_number", "medium", "copies", "ground", "error_correction")
        }  # fmt: skip
        row = house.matters.open(
            actor, terms.DISC_SET, values, links=links, unit=UnitId(given["unit"]) if given["unit"] else None
        )  # fmt: skip
    _tell_set(row, as_json=as_json)


def _tell_set(row: MatterRow, *, as_json: bool) -> None:
    if as_json:
        print_json(set_answer(row, []))
    else:
        told = say("{number}: {discs} disc(s), {files} recording(s)", number=row.number, **_counts(row))
        click.echo(f"{told}  {say(_state(row, set_=True))}")


def _counts(row: MatterRow) -> dict[str, Any]:
    return {"discs": row.facts.get("discs", 0), "files": row.facts.get("files", 0)}


def _state(row: MatterRow, *, set_: bool) -> str:
    from retention.disc_form import DISC_FORM
    from retention.disc_set_form import DISC_SET_FORM

    return (DISC_SET_FORM if set_ else DISC_FORM).state(row.state).word


@disc.command()
@click.argument("set_", metavar="SET")
@home_option
@json_option
@identity_options
def build(set_: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Make the images of a set; each is read back before it counts."""
    from app.disc_making import disc_work

    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as bar:
        row = disc_work(house).build(actor, _matter(house, terms.DISC_SET, set_).id, told=bar)
    _tell_set(row, as_json=as_json)


@disc.command()
@click.argument("set_", metavar="SET")
@click.option("--disc", "number", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Disc of the set.")
@click.option(
    "--copy", "copy_", type=click.Choice(list(terms.COPIES)), required=True, help="A sealed, B working, C elsewhere."
)
@_drive_option
@home_option
@json_option
@identity_options
def burn(set_: str, number: int, copy_: str, drive: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Burn one disc of a set onto a blank medium and close it. It is no copy before `verify`."""
    from app.disc_making import disc_work

    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as bar:
        owner = _matter(house, terms.DISC_SET, set_)
        row = disc_work(house).burn(actor, owner.id, disc=number, copy=copy_, drive=_drive(drive), told=bar)
    if as_json:
        print_json(disc_answer(row))
    else:
        click.echo(say("{number} is burnt; read it back now: liuhen disc verify {number}", number=row.number))


@disc.command()
@click.argument("disc_", metavar="DISC")
@_drive_option
@home_option
@json_option
@identity_options
def verify(disc_: str, drive: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Read every sector of a disc and enter what was found; also the yearly look. Status 1 when it is damaged."""
    from app.disc_making import disc_work

    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as bar:
        checked = disc_work(house).verify(actor, _matter(house, terms.DISC, disc_).id, drive=_drive(drive), told=bar)
    answer = check_answer(checked.read, good=checked.good) | {"disc": disc_answer(checked.row)}
    if as_json:
        print_json(answer)
    else:
        print_check(checked.read, good=checked.good)
    if not checked.good:
        raise click.exceptions.Exit(DiscDamagedError.exit_code)


@disc.command()
@click.argument("drive", metavar="DRIVE")
@home_option
@json_option
def check(drive: str, home: str | None, *, as_json: bool) -> None:  # noqa: ARG001 - every command takes --home; this one reads none
    """Judge a disc or image from nothing but itself: needs no home. Status 1 when it is damaged."""
    from discs.check import check_by_itself

    with step_bar(hidden=as_json) as bar:
        found = check_by_itself(_drive(drive), told=bar)
    facts = found.manifest.facts
    answer = check_answer(found.read, good=found.good) | {
        "set": facts.number, "disc": found.disc, "discs": found.manifest.discs, "manifest_sha256": found.manifest_sha256,
        "title": facts.title, "case_number": facts.case_number, "unit": facts.unit, "producer": facts.producer,
        "produced_at": facts.produced_at,
    }  # fmt: skip
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{facts.number}  {found.disc}/{found.manifest.discs}  {facts.title}  {facts.case_number}")
        click.echo(say("Digest of the list (compare with the label): {digest}", digest=found.manifest_sha256))
        print_check(found.read, good=found.good)
    if not found.good:
        raise click.exceptions.Exit(DiscDamagedError.exit_code)


@disc.command()
@click.argument("disc_", metavar="DISC")
@_drive_option
@home_option
@json_option
@identity_options
def restore(disc_: str, drive: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Take the image from a sound disc, so that a lost or damaged copy can be burnt again."""
    from app.disc_making import disc_work

    with acting(home, login) as (house, actor), step_bar(hidden=as_json) as bar:
        row = disc_work(house).restore(actor, _matter(house, terms.DISC, disc_).id, drive=_drive(drive), told=bar)
    _tell_set(row, as_json=as_json)


@disc.command()
@click.argument("disc_", metavar="DISC")
@click.option("--place", required=True, help="Room, cabinet, box.")
@click.option("--keeper", required=True, metavar="LOGIN", help="Who keeps it.")
@click.option("--secrecy", default="", help="Grade of secrecy.")
@home_option
@json_option
@identity_options
def register(disc_: str, place: str, keeper: str, secrecy: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Enter place and keeper of a disc that was read back. The images go when the whole set is registered."""
    from app.disc_making import disc_work

    with acting(home, login) as (house, actor):
        with house.catalogue.read() as uow:
            person = uow.people.by_login(keeper)
        if person is None:
            raise NotFoundError(f"nobody has the login {keeper[:64]!r}")
        row = _matter(house, terms.DISC, disc_)
        values = {"place": place, "keeper": person.id, "secrecy": secrecy}
        row = house.matters.act(actor, row.id, "register", values)
        with house.catalogue.read() as uow:
            (link,) = uow.matters.links(row.id, role=terms.OF_SET)
        disc_work(house).tidy(MatterId(link.target))
    if as_json:
        print_json(disc_answer(row))
    else:
        click.echo(f"{row.number}  {say(_state(row, set_=False))}")


@disc.command()
@click.argument("disc_", metavar="DISC")
@click.option("--wrap", is_flag=True, help="The wrap of the case instead of the label.")
@click.option("--lang", type=click.Choice(["zh-CN", "en"]), default="zh-CN", show_default=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="PDF file to write.")
@home_option
@json_option
@identity_options
def label(disc_: str, lang: str, output: Path, home: str | None, *, wrap: bool, as_json: bool, login: str) -> None:
    """Print the label (120 mm) or the wrap of a disc as PDF, with the five fields and the digest as QR code."""
    from app.disc_making import disc_papers, newest_checkpoint

    output = output.absolute()
    if os.path.lexists(output):
        raise UsageError(f"{output} exists", kept="It was not touched.", todo="Choose another file.")
    with acting(home, login) as (house, actor):
        row = _matter(house, terms.DISC, disc_)
        data = disc_papers(house).paper(
            actor, row.id, "wrap" if wrap else "label", checkpoint=newest_checkpoint(house),
            lang="en" if lang == "en" else "zh-CN",
        )  # fmt: skip
    try:
        publish_new(output, data, mode=0o644)
    except BlobConflictError as error:
        raise UsageError(f"{output} exists", kept="It was not touched.", todo="Choose another file.") from error
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror}") from error
    if as_json:
        print_json({"path": str(output), "size_bytes": len(data)})
    else:
        click.echo(str(output))


@disc.command()
@click.argument("set_", metavar="[SET]", required=False, default="")
@home_option
@json_option
@identity_options
def status(set_: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell how a set and each of its discs stand; without SET, all sets you may know of."""
    from catalogue.matters import MatterFilter
    from retention.disc_follow import held, places_of
    from retention.disc_set_form import discs_of

    with acting(home, login) as (house, actor):
        if set_:
            rows = [house.matters.view(actor, _matter(house, terms.DISC_SET, set_).id).row]
        else:
            rows = house.matters.find(actor, MatterFilter(kinds=(terms.DISC_SET,)), limit=200)
        with house.catalogue.read() as uow:
            told = [(row, discs_of(uow, row.id)) for row in rows]
    if as_json:
        print_json([set_answer(row, discs) for row, discs in told])
        return
    for row, discs in told:
        _tell_set(row, as_json=False)
        for one in discs:
            place = f"{one.facts.get('disc')}/{one.facts.get('discs')} {one.facts.get('copy')}"
            click.echo("\t".join(["", one.number, place, say(_state(one, set_=False))]))
        for number, copy in sorted(set(places_of(row)) - held(discs, terms.GOOD)):
            click.echo("\t".join(["", "-", f"{number} {copy}", say("There is no good disc in this place")]))
    if not told:
        click.echo(say("There is no disc set."))
