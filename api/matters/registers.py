"""The register of a kind: its columns as the form declares them, for one reader, as CSV, XLSX or print."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal

from api.matters.names import Names, Sources, identities_in, names_for
from api.matters.showing import Shower
from api.web.units import local_time
from catalogue.matters import MatterFilter
from documents import Checkpoint
from documents.printing import TABLE_ROWS_MAX
from documents.registers import Column as PrintedColumn
from documents.registers import Register, csv_chunks, to_pdf, to_xlsx
from documents.values import Value
from documents.words import Language
from evidence.clock import from_text
from evidence.errors import LimitExceededError
from evidence.model import Actor
from matters.form import Column, FieldKind, Form
from matters.looking import MatterView

Format = Literal["csv", "xlsx", "pdf"]
MEDIA_TYPES: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
#: More is refused: a register is printed and downloaded for a period.
REGISTER_ROWS_MAX: Final = 100_000
_WORKBOOKS: Final = threading.BoundedSemaphore(2)
_WAIT_S: Final = 60.0
#: Where a form declares no columns.
_PLAIN: Final = (
    Column(word="Number", name="number"), Column(word="State", name="state"), Column(word="Unit", name="unit"),
    Column(word="Begun", name="opened_at"), Column(word="Deadline", name="due_at"), Column(word="Ended", name="closed_at"),
)  # fmt: skip


def columns_of(form: Form) -> Sequence[Column]:
    """The columns of a kind's register."""
    return form.register or _PLAIN


def register_of(
    sources: Sources, actor: Actor, form: Form, wanted: MatterFilter, *, language: Language, now: datetime,
    checkpoint: Checkpoint | None, printed: bool,
) -> Register:  # fmt: skip
    """The register of everything of a kind that the reader may know of; that it was handed out is entered.

    Args:
        sources: Matters and names.
        actor: The reader: what they may not see stays empty.
        form: The kind.
        wanted: What is asked for; its kinds are replaced.
        language: Of heads and words.
        now: When it is made.
        checkpoint: Of the log.
        printed: For paper, which holds fewer rows.

    Raises:
        LimitExceededError: (while its rows are read) there are more than one register holds.
    """
    asked = MatterFilter(
        kinds=(form.kind,), states=wanted.states, open=wanted.open, unit=wanted.unit, person=wanted.person,
        target=wanted.target, opened_from=wanted.opened_from, opened_to=wanted.opened_to, text=wanted.text,
        due_before=wanted.due_before,
    )  # fmt: skip
    shower = Shower(Names(), language)
    columns = columns_of(form)
    sources.matters.enter_copy(actor, form, f"register {form.kind}{' printed' if printed else ''}")
    return Register(
        title=shower.say("Register: {kind}", kind=shower.say(form.words)), unit=sources.directory.bureau(now),
        printed_at=now, checkpoint=checkpoint, lang=language, numbered=shower.say("No."),
        subtitle=_period(asked, shower), columns=[PrintedColumn(shower.say(one.word), _width(form, one)) for one in columns],
        rows=_rows(
            sources, actor, columns, sources.matters.each(actor, asked, most=TABLE_ROWS_MAX if printed else REGISTER_ROWS_MAX),
            language,
        ),
    )  # fmt: skip


def _period(wanted: MatterFilter, shower: Shower) -> str:
    parts = []
    if wanted.opened_from is not None:
        parts.append(shower.say("opened from {day}", day=local_time(wanted.opened_from)[:10]))
    if wanted.opened_to is not None:
        parts.append(shower.say("opened before {day}", day=local_time(wanted.opened_to)[:10]))
    return " · ".join(parts)


def _width(form: Form, column: Column) -> float:
    """Characters in a spreadsheet, a share of the line on paper: a number is never broken, figures need little."""
    one = form.fields().get(column.name)
    if ":" in column.name:
        return 26 if column.name.startswith("links:") else 18
    if column.name == "number":
        return 20
    if one is not None and one.kind in (FieldKind.NUMBER, FieldKind.FLAG, FieldKind.DATE):
        return 12
    if one is not None and one.kind in (FieldKind.WORDS, FieldKind.TABLE):
        return 40
    return 24 if one is not None and one.personal else 16


def _rows(
    sources: Sources, actor: Actor, columns: Sequence[Column], views: Iterable[MatterView], language: Language
) -> Iterator[list[Value]]:
    """Names are looked up for some hundred matters at a time."""
    for batch in _batches(views, 200):
        identities = [one for view in batch for one in identities_in(view.form, [view.row], view.links)]
        shower = Shower(names_for(sources, actor, identities), language)
        for view in batch:
            yield [_cell(shower, view, column.name) for column in columns]


def _batches(views: Iterable[MatterView], size: int) -> Iterator[list[MatterView]]:
    batch: list[MatterView] = []
    for view in views:
        batch.append(view)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _cell(shower: Shower, view: MatterView, column: str) -> Value:
    row, form = view.row, view.form
    of, _, part = column.partition(":")
    if part:
        return _gathered(shower, view, of, part)
    match of:
        case "number":
            return row.number
        case "state":
            return shower.say(form.state(row.state).word)
        case "unit":
            return shower.names.name(row.unit) if row.unit else ""
        case "opened_at" | "closed_at" | "due_at":
            moment: datetime | None = getattr(row, of)
            return moment
    return _value(shower, form, column, row.words.get(column, row.facts.get(column)))


def _gathered(shower: Shower, view: MatterView, of: str, part: str) -> str:
    if of == "person":
        return "\n".join(shower.names.name(one.agent) for one in view.persons if one.role == part)
    if of == "links":
        return "\n".join(shower.names.name(one.target) for one in view.links if one.role == part)
    return "\n".join(one.name or one.sha256.hex[:16] for one in view.documents if one.role == part)


def _value(shower: Shower, form: Form, name: str, value: Any) -> Value:
    one = form.fields().get(name)
    if one is not None and value is not None:
        if one.kind is FieldKind.NUMBER and isinstance(value, int):
            return value
        if one.kind is FieldKind.DATE:
            return date.fromisoformat(str(value))
        if one.kind is FieldKind.MOMENT:
            return from_text(str(value))
    return shower.text(one, value)


def written(register: Register, form: Format) -> Iterable[bytes]:
    """The register's bytes; CSV comes a piece at a time.

    Raises:
        LimitExceededError: More rows than a register, a sheet or paper holds.
        ConfigError: (print) the fonts are not installed.
    """
    if form == "csv":
        return csv_chunks(register)
    if form == "pdf":
        return [to_pdf(register)]
    if not _WORKBOOKS.acquire(timeout=_WAIT_S):  # a hundred thousand rows take memory: not forty times at once
        raise LimitExceededError(
            "too many workbooks are being written at once", kept="Nothing was written.", todo="Try again in a minute."
        )
    try:
        return [to_xlsx(register)]
    finally:
        _WORKBOOKS.release()
