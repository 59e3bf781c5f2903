"""``liuhen statistics``: hand-in, backlog, exceptions, damage, use and clearing, by department."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.common import acting, home_option, identity_options, json_option, language, print_json, say
from evidence.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from documents.registers import Register

_DAY = click.DateTime(formats=["%Y-%m-%d"])


def _day(given: datetime | None) -> date | None:
    return given.date() if given is not None else None


@click.command()
@click.option("--first", type=_DAY, help="First day (2026-11-01); the first of the present month by default.")
@click.option("--last", type=_DAY, help="Last day; today by default.")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the table: .csv, .xlsx or .pdf.")
@home_option
@json_option
@identity_options
def statistics(
    first: datetime | None, last: datetime | None, to: Path | None, home: str | None, *, as_json: bool, login: str
) -> None:
    """Tell how much came in in time, what waits, what was used and what was cleared, by department."""
    from api.matters.checkpoints import newest
    from api.schemas.statistics import answer_of
    from api.web.i18n import translate
    from api.web.statistics_view import SHOWN, figure_text, head, register_of
    from assurance.statistics import FIGURES

    if to is not None and to.suffix not in {".csv", ".xlsx", ".pdf"}:
        raise UsageError(f"{to.name}: the name must end in .csv, .xlsx or .pdf")
    with acting(home, login) as (house, actor):
        report = house.statistics.report(actor, first=_day(first), last=_day(last))
        names = house.directory.unit_names()
        if to is not None:
            made = register_of(
                report, names, "en" if language() == "en" else "zh-CN",
                checkpoint=newest(house.home.public_log, house.vkey), now=report.as_of,
            )  # fmt: skip
            _write(made, to)
    if as_json:
        print_json(answer_of(report).model_dump(mode="json"))
        return
    shown = [figure for figure in FIGURES if figure.code in SHOWN]
    click.echo(f"{report.first.isoformat()} .. {report.last.isoformat()}")
    for one in [*report.units, report.total]:
        unit = names.get(one.unit, str(one.unit)) if one.unit is not None else say("no department")
        click.echo(say("Sum") if one is report.total else unit)
        for figure in shown:
            told = head(figure, lambda message: translate(message, language()))
            click.echo(f"  {told}: {figure_text(figure, one.figures[figure.code])}")
    if to is not None:
        click.echo(f"{say('Written')}: {to}")


def _write(made: Register, to: Path) -> None:
    from documents.registers import to_csv, to_pdf, to_xlsx
    from evidence.durable import publish

    data = {".csv": to_csv, ".xlsx": to_xlsx, ".pdf": to_pdf}[to.suffix](made)
    publish(to.absolute(), data)
