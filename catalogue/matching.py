"""Which recordings a description of footage fits: a time, a place, a person, a department, a recorder (R27).

A description is used to *keep* footage, so whatever cannot be told fits: a recording whose clock nobody checked is taken by its
own time with a day to either side, and by the day it came in; one that began nobody knows when is taken when it came in after
the span began.

Source: RULES R10, R27.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.schema import matter_links, matters, recording_rules, recordings
from catalogue.search import text_conditions, visible
from evidence.clock import unix_ms
from evidence.ids import AgentId, DeviceId, MatterId, RecordingId, UnitId
from evidence.model import Visibility

#: Sources of a recording's times that rest on a recorder's clock which was read and found plausible.
_TRUSTED: Final = frozenset({"name-corrected"})
#: How far a clock that nobody checked may be off and still be taken at its word, before the day it came in is asked.
_DOUBT: Final = timedelta(days=1)
#: Footage is handed in within a day (R4); a recorder that was away longer is late by this much at the most for this question.
_CAME_IN: Final = timedelta(days=31)
#: No recording is longer: recorders begin a new file every few minutes or hours.
_LONGEST: Final = timedelta(days=3)
#: Kinds of matters in whose words a place may stand.
_DOSSIERS: Final = ("case", "working-material")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A description of footage; empty fields ask for nothing, and all that is asked for must fit.

    Attributes:
        since: Recorded at or after this moment.
        until: Recorded before this moment.
        place: Words of its names, officer, recorder, department or case number, or of a dossier it belongs to.
        officer: Who recorded it.
        device: With which recorder.
        units: In one of these departments; None: in any.
        within: What the person who gave the description may hold.
    """

    since: datetime | None = None
    until: datetime | None = None
    place: str = ""
    officer: AgentId | None = None
    device: DeviceId | None = None
    units: frozenset[UnitId] | None = None
    within: Visibility


def fitting(db: Db, wanted: Described, *, among: Collection[RecordingId]) -> set[RecordingId]:
    """Those of some recordings that fit."""
    found: set[RecordingId] = set()
    conditions = _conditions(db, wanted)
    for part in chunks(sorted(among)):
        statement = sa.select(recordings.c.id).where(recordings.c.id.in_(list(part)), *conditions)
        found.update(row["id"] for row in db.all(statement))
    return found


def fitting_unlinked(
    db: Db, wanted: Described, *, matter: MatterId | None, roles: Collection[str], limit: int
) -> list[RecordingId]:
    """Recordings that fit and are not linked to a matter by one of these roles; those past the point of no return aside."""
    here, rules, links = recordings.c, recording_rules.c, matter_links.c
    gone = sa.exists().where(rules.recording == here.id, rules.disposing_at.is_not(None))
    statement = sa.select(here.id).where(*_conditions(db, wanted), ~gone)
    if matter is not None:
        target = sa.type_coerce(here.id, sa.Text)
        linked = sa.exists().where(links.matter == matter, links.target == target, links.role.in_(sorted(roles)))
        statement = statement.where(~linked)
    return [row["id"] for row in db.all(statement.order_by(here.id).limit(limit))]


def count_fitting(db: Db, wanted: Described, *, cap: int) -> int:
    """How many fit, counted up to ``cap``."""
    found = sa.select(recordings.c.id).where(*_conditions(db, wanted)).limit(cap).subquery()
    return int(db.scalar(sa.select(sa.func.count()).select_from(found)))


def _conditions(db: Db, wanted: Described) -> list[sa.ColumnElement[bool]]:
    here = recordings.c
    asked = visible(wanted.within)
    if wanted.officer is not None:
        asked.append(here.officer == wanted.officer)
    if wanted.device is not None:
        asked.append(here.device == wanted.device)
    if wanted.units is not None:
        asked.append(here.unit.in_(sorted(wanted.units)))
    if wanted.since is not None or wanted.until is not None:
        asked.append(_in_span(wanted.since, wanted.until))
    if wanted.place:
        told = sa.select(matter_links.c.target).join(matters, matters.c.id == matter_links.c.matter).where(
            matters.c.kind.in_(_DOSSIERS),
            sa.type_coerce(matters.c.words, sa.Text).contains(wanted.place, autoescape=True),
        )  # fmt: skip
        in_a_dossier = sa.type_coerce(here.id, sa.Text).in_(told)
        named = text_conditions(db, wanted.place)
        asked.append(sa.or_(in_a_dossier, sa.and_(*named)) if named else in_a_dossier)
    return asked


def _in_span(since: datetime | None, until: datetime | None) -> sa.ColumnElement[bool]:
    """Two ways to fit, each a range of an index: by the recording's own time, and by the day it came in."""
    here = recordings.c
    trusted = here.started_source.in_(sorted(_TRUSTED))
    own = sa.or_(
        sa.and_(trusted, *_overlaps(since, until, timedelta(0))), sa.and_(~trusted, *_overlaps(since, until, _DOUBT))
    )
    by_clock: list[sa.ColumnElement[bool]] = [own]
    came_in: list[sa.ColumnElement[bool]] = [~trusted]
    if since is not None:
        by_clock.append(here.sort_at >= since - _DOUBT - _LONGEST)
        came_in += [here.discovered_at >= since, _identity() >= _first(since - _DOUBT)]
    if until is not None:
        by_clock.append(here.sort_at < until + _DOUBT)
        came_in += [here.discovered_at < until + _CAME_IN, _identity() < _first(until + _CAME_IN + _DOUBT)]
    return sa.or_(sa.and_(*by_clock), sa.and_(*came_in))


def _identity() -> sa.ColumnElement[str]:
    """A recording's identity as text: it begins with the moment it was first seen."""
    return sa.type_coerce(recordings.c.id, sa.Text)


def _first(moment: datetime) -> str:
    """What every identity of this moment and later is not less than."""
    return f"{RecordingId.prefix}_{max(0, unix_ms(moment)):012x}"


def _overlaps(since: datetime | None, until: datetime | None, margin: timedelta) -> list[sa.ColumnElement[bool]]:
    here = recordings.c
    found: list[sa.ColumnElement[bool]] = [here.started_at.is_not(None)]
    if since is not None:
        found.append(sa.func.coalesce(here.ended_at, here.started_at) >= sa.literal(since - margin, here.ended_at.type))
    if until is not None:
        found.append(here.started_at < until + margin)
    return found
