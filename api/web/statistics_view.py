"""Statistics for people: figures as texts, bars for the page, and the same table as CSV, XLSX or print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from api.web.i18n import translate
from api.web.units import duration_text, size_text
from assurance.statistics import FIGURES, Figure, Report, Unit
from documents import Checkpoint
from documents.registers import Column, Register
from documents.values import Value
from documents.words import Language
from evidence.ids import UnitId

#: What the page shows in its table; downloads have every figure.
SHOWN = (
    "received", "timeliness", "late", "overdue", "unclassified", "activities_missing", "exceptions", "damage_late", "uses",
    "cleared",
)  # fmt: skip
_BAR_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stacked bar: a name, its parts (tone, share of the longest bar in percent, number), and their sum."""

    name: str
    parts: tuple[tuple[str, int, int], ...]
    total: int


def figure_text(figure: Figure, number: int) -> str:
    """A figure for people; a dash for a share of nothing."""
    if figure.unit is Unit.BYTES:
        return size_text(number)
    if figure.unit is Unit.DURATION:
        return duration_text(number)
    if figure.unit is Unit.PERCENT:
        return "—" if number < 0 else f"{number} %"
    return f"{number:,}"


def bars(rows: list[tuple[str, Mapping[str, int]]]) -> list[Bar]:
    """Bars of what came in: in time, late, and without a known deadline; the longest fills the width."""
    tones = (("good", "in_time"), ("bad", "late"), ("unknown", "no_deadline"))
    longest = max((sum(figures.get(name, 0) for _tone, name in tones) for _name, figures in rows), default=0) or 1
    made = []
    for name, figures in rows:
        parts = tuple(
            (tone, _share(figures.get(of, 0), longest), figures.get(of, 0)) for tone, of in tones if figures.get(of, 0)
        )
        made.append(Bar(name=name, parts=parts, total=sum(number for _tone, _percent, number in parts)))
    return made


def _share(number: int, longest: int) -> int:
    """Percent, never nothing for what is something."""
    return max(1, number * _BAR_PERCENT // longest)


def register_of(
    report: Report, names: Mapping[UnitId, str], language: Language, *, checkpoint: Checkpoint | None, now: datetime
) -> Register:
    """Every figure by department, the sum last."""

    def say(message: str) -> str:
        return translate(message, language)

    nobody = say("no department")
    rows: list[list[Value]] = [
        [names.get(one.unit, str(one.unit)) if one.unit is not None else nobody, *_values(one.figures)]
        for one in report.units
    ]
    rows.append([say("Sum"), *_values(report.total.figures)])
    return Register(
        title=say("Statistics"), unit="", printed_at=now, checkpoint=checkpoint,
        subtitle=f"{report.first.isoformat()} — {report.last.isoformat()}", lang=language,
        columns=[Column(say("Department"), 20), *(Column(head(one, say), 12) for one in FIGURES)], rows=rows,
    )  # fmt: skip


def head(figure: Figure, say: Callable[[str], str]) -> str:
    """A column's head: group and figure, and whether it is told as of now."""
    told = f"{say(figure.group)}: {say(figure.word)}"
    return f"{told} ({say('now')})" if figure.now else told


def _values(figures: Mapping[str, int]) -> list[Value]:
    found: list[Value] = []
    for one in FIGURES:
        number = figures[one.code]
        if one.unit is Unit.PERCENT:
            found.append(None if number < 0 else number)
        elif one.unit is Unit.DURATION:
            found.append(duration_text(number))
        else:
            found.append(number)
    return found
