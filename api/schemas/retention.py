"""Dates of keeping."""

from __future__ import annotations

from api.schemas.common import Answer, Moment
from retention.desk import DueList, RetentionView


class ReasonAnswer(Answer):
    """One reason; ``why`` is a stable code, ``decisive`` whether the decision rests on it."""

    why: str
    subject: str
    detail: str
    version: int | None
    at: Moment | None
    endless: bool
    decisive: bool


class RetentionAnswer(Answer):
    """Where one recording stands. ``due_at`` is the first moment after all periods, ``last_day`` the day before it."""

    recording: str
    standing: str
    due_at: Moment | None
    last_day: str | None
    unclassified: bool
    schedule: str
    schedule_version: int
    clock_believed: bool
    as_of: Moment
    reasons: list[ReasonAnswer]


class DueAnswer(Answer):
    """A page of what is due; ``cursor`` asks for the next one, empty at the end."""

    due: list[RetentionAnswer]
    cursor: str
    clock_believed: bool
    as_of: Moment


def retention_answer(view: RetentionView) -> RetentionAnswer:
    """One recording in the API's form, which the command line shares."""
    decision = view.decision
    return RetentionAnswer(
        recording=view.recording.id, standing=decision.standing.value, due_at=decision.due_at,
        last_day=view.last_day.isoformat() if view.last_day is not None else None,
        unclassified=decision.unclassified, schedule=view.schedule.number, schedule_version=view.schedule.version,
        clock_believed=view.clock_believed, as_of=view.as_of,
        reasons=[
            ReasonAnswer(
                why=one.why.value, subject=one.subject, detail=one.detail,
                version=one.version if one.version >= 0 else None, at=one.at, endless=one.endless, decisive=one.decisive,
            )
            for one in decision.reasons
        ],
    )  # fmt: skip


def due_answer(found: DueList) -> DueAnswer:
    """A page of what is due."""
    return DueAnswer(
        due=[retention_answer(view) for view in found.items], cursor=found.cursor,
        clock_believed=found.clock_believed, as_of=found.as_of,
    )  # fmt: skip
