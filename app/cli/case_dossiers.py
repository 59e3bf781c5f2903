"""``liuhen case unsorted|show|timeline|paper``: what waits to be sorted, what a case holds and lacks, and its papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from documents.words import Language
from evidence.clock import to_text
from evidence.durable import publish_new
from evidence.errors import BlobConflictError, NotFoundError
from evidence.ids import MatterId, RecordingId

if TYPE_CHECKING:
    from app.wiring import House

_ID = click.argument("number", metavar="CASE")


def add_to(group: click.Group) -> None:
    """Put these commands into ``liuhen case``."""
    for command in (unsorted, show, timeline, paper):
        group.add_command(command)


def _matter(house: House, text: str) -> MatterId:
    """By identity, or by the number of a case, of working material or of a fixation record."""
    from cases.dossier_parts import DOSSIERS
    from cases.fixation_gate import KIND

    with house.catalogue.read() as uow:
        for kind in (*DOSSIERS, KIND):
            found = uow.matters.by_number(kind, text)
            if found is not None:
                return found.id
    if text.startswith(f"{MatterId.prefix}_"):
        return MatterId(text)
    raise NotFoundError(f"there is no case {text[:64]}", todo="Give its number or its identity.")


@click.command()
@click.option("--all", "everybody", is_flag=True, help="Everybody's recordings that you may see, not only your own.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", metavar="TEXT", default="", help="Where the page before ended.")
@home_option
@json_option
@identity_options
def unsorted(limit: int, cursor: str, home: str | None, *, everybody: bool, as_json: bool, login: str) -> None:
    """List recordings that belong to no case and no working material yet, oldest first."""
    from api.routes.dossiers import own_scope
    from api.schemas.dossiers import unsorted_answer
    from evidence.model import Action

    with acting(home, login) as (house, actor):
        house.gate.require(actor, Action.CASE_EDIT, own_scope(actor), detail="unsorted")
        officer = None if everybody else actor.agent
        rows = house.dossiers.unsorted(
            actor, officer=officer, after=RecordingId(cursor) if cursor else None, limit=limit
        )  # fmt: skip
        answer = unsorted_answer(rows, total=house.dossiers.count_unsorted(actor, officer=officer), limit=limit)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    for one in answer.recordings:
        click.echo(f"{one.id}  {to_text(one.started_at) if one.started_at else '-'}  {one.name}")
    if answer.cursor:
        click.echo(f"--cursor {answer.cursor}")


@click.command()
@_ID
@home_option
@json_option
@identity_options
def show(number: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell what is in a case in order, and what it lacks."""
    from api.schemas.dossiers import dossier_answer
    from api.web.dossier_words import LACKS

    with acting(home, login) as (house, actor):
        answer = dossier_answer(house.dossiers.dossier(actor, _matter(house, number)))
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    click.echo(f"{answer.number}  {answer.state}")
    for piece in answer.footage:
        click.echo(f"  {piece.number}. {piece.name or piece.recording}  {piece.fixed_by or '-'}")
        for clip in piece.clips:
            click.echo(f"     {clip.key}  {clip.in_ms}-{clip.out_ms} ms  {clip.note}")
    for paper_of in answer.documents:
        click.echo(f"  {paper_of.role}  {paper_of.name}  {paper_of.document}")
    for lack in answer.lacks:
        word = LACKS[lack.what]
        click.echo(f"  {'!' if lack.needed else '.'} {say(word, name=lack.name) if '{name}' in word else say(word)}")


@click.command()
@_ID
@home_option
@json_option
@identity_options
def timeline(number: str, home: str | None, *, as_json: bool, login: str) -> None:
    """Tell recordings, clips, documents and acts of a case by their time."""
    from api.schemas.dossiers import happened_answer

    with acting(home, login) as (house, actor):
        moments = [happened_answer(one) for one in house.dossiers.timeline(actor, _matter(house, number))]
    if as_json:
        print_json([one.model_dump(mode="json") for one in moments])
        return
    for one in moments:
        click.echo(f"{to_text(one.at)}  {one.what}  {one.name}  {one.target}")


@click.command()
@_ID
@click.argument("kind", type=click.Choice(["cover", "contents", "fixation"]))
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A new PDF file.")
@home_option
@json_option
@identity_options
def paper(number: str, kind: str, out: Path, home: str | None, *, as_json: bool, login: str) -> None:
    """Print the cover or contents list of a case, or a fixation record for signature, as PDF."""
    from api.matters import dossier_sheets
    from api.matters.checkpoints import newest
    from documents import print_document
    from documents.covers import volume_cover

    lang: Language = "en" if language() == "en" else "zh-CN"
    with acting(home, login) as (house, actor):
        matter, now = _matter(house, number), house.clock.now().wall
        checkpoint = newest(house.home.public_log, house.vkey)
        if kind == "cover":
            data = volume_cover(
                dossier_sheets.cover(house, actor, matter, language=lang, now=now, checkpoint=checkpoint)
            )  # fmt: skip
        else:
            make = dossier_sheets.contents if kind == "contents" else dossier_sheets.fixation
            data = print_document(make(house, actor, matter, language=lang, now=now, checkpoint=checkpoint))
        if not publish_new(out.absolute(), data, mode=0o640):
            raise BlobConflictError(f"{out} exists", kept="Nothing was written.", todo="Give a new name.")
    if as_json:
        print_json({"file": str(out), "size_bytes": len(data)})
    else:
        click.echo(str(out))
