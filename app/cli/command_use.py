"""``liuhen use``: the register of use of archived footage."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import click

from api.matters.checkpoints import newest
from api.matters.registers import written
from api.schemas.use import line_answer
from api.use_book import remark_of, use_register
from api.web.units import local_time
from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from app.copies_out import require_free
from documents.words import Language
from evidence.clock import BUREAU_ZONE
from evidence.durable import publish_new
from evidence.errors import UsageError
from evidence.ids import UnitId

Form = Literal["csv", "xlsx", "pdf"]


@click.group()
def use() -> None:
    """Use of archived footage: who asked, who consented, who watched or copied, who was refused."""


def _day(text: str, fallback: date) -> date:
    try:
        return date.fromisoformat(text) if text else fallback
    except ValueError as error:
        raise UsageError("a day looks like 2026-11-22") from error


def _start(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=BUREAU_ZONE)


@use.command()
@click.option("--from", "first", default="", metavar="DAY", help="First day (30 days ago).")
@click.option("--to", "last", default="", metavar="DAY", help="Last day (today).")
@click.option("--unit", default="", metavar="UNIT", help="Only of this department.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .csv, .xlsx or .pdf file.")
@home_option
@json_option
@identity_options
def register(
    *, first: str, last: str, unit: str, out: Path | None, home: str | None, as_json: bool, login: str
) -> None:  # fmt: skip
    """The register of use of a period: every request, every use, every refusal."""
    suffix = out.suffix.lower().lstrip(".") if out is not None else ""
    if out is not None:
        if suffix not in ("csv", "xlsx", "pdf"):
            raise UsageError("the file is a .csv, .xlsx or .pdf")
        require_free(out)
    with acting(home, login) as (house, actor):
        now = house.clock.now().wall
        today = now.astimezone(BUREAU_ZONE).date()
        since = _start(_day(first, today - timedelta(days=30)))
        until = _start(_day(last, today) + timedelta(days=1))
        lines = house.use_register.lines(actor, since=since, until=until, unit=UnitId(unit) if unit else None)
        forms = house.matters.forms
        if out is not None:
            lang: Language = "en" if language() == "en" else "zh-CN"
            book = use_register(
                lines, directory=house.directory, forms=forms, language=lang, now=now, since=since, until=until,
                checkpoint=newest(house.home.public_log, house.vkey), printed=suffix == "pdf",
            )  # fmt: skip
            form: Form = "csv" if suffix == "csv" else "xlsx" if suffix == "xlsx" else "pdf"
            publish_new(out, b"".join(written(book, form)), mode=0o640)
        names = house.directory.names()
    if as_json:
        print_json({"lines": [line_answer(line).model_dump(mode="json") for line in lines], "file": str(out or "")})
        return
    if out is not None:
        click.echo(say("{n} lines in this period", n=len(lines)) + f"  {out}")
        return
    for line in lines:
        what = line.recording.name if line.recording is not None else say("{n} recordings", n=len(line.footage))
        told = [local_time(line.at), line.number or "-", names.get(line.requester or "", "-"), line.used or "-", what]
        click.echo("  ".join([*told, remark_of(line, forms, language())]).rstrip())
