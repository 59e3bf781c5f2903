"""How a matter's state and its deadline look: tone, icon and word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from api.web.marks import Mark
from catalogue.matters import MatterRow
from matters.form import Form, Tone

_ICONS: Final = {Tone.GOOD: "check", Tone.WARN: "warn", Tone.BAD: "stop", Tone.UNKNOWN: "dot"}
#: A deadline is near when less than a quarter of its time is left, never earlier than two days before, at least six hours before.
_SOON_MOST: Final = timedelta(hours=48)
_SOON_LEAST: Final = timedelta(hours=6)

OVERDUE: Final = Mark("bad", "warn", "Overdue")
DUE_SOON: Final = Mark("warn", "clock", "Due soon")
RUNNING: Final = Mark("unknown", "clock", "Deadline running")


def state_mark(form: Form, row: MatterRow) -> Mark:
    """Its state; one that an older version knew is told by its code and looks unknown."""
    state = form.state(row.state)
    icon = "seal" if state.final and state.tone is Tone.GOOD else _ICONS[state.tone]
    return Mark(state.tone.value, icon, state.word)


def due_mark(row: MatterRow, now: datetime) -> Mark | None:
    """How it stands against its deadline; None where none runs."""
    if row.due_at is None or row.closed_at is not None:
        return None
    if row.due_at <= now:
        return OVERDUE
    begun = row.opened_at if row.opened_at < row.due_at else row.changed_at
    near = max(_SOON_LEAST, min(_SOON_MOST, (row.due_at - begun) / 4))
    return DUE_SOON if row.due_at - now <= near else RUNNING
