"""Lists of recordings: who may see them, filters, words, pages.

Pages follow the key (start or discovery, identity), newest first, so a recording that arrives while someone turns pages
neither repeats nor hides another. The count stops at a cap. Visibility is part of every query, not a filter afterwards.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.records import RecordingFilter
from catalogue.schema import (
    NOTHING,
    findings,
    matter_links,
    matters,
    recording_rules,
    recording_texts,
    recordings,
)
from catalogue.words import Term, terms_of
from evidence import canonical
from evidence.clock import unix_ms, utc_from_ms
from evidence.errors import EvidenceError, InvalidInputError
from evidence.ids import RecordingId
from evidence.limits import COUNT_CAP, PAGE_ROWS_MAX
from evidence.model import RecordingState, Visibility

_CURSOR_CHARS_MAX = 256
#: Where the count of a common word stops: each counted recording is asked for the word.
_COMMON_COUNT_CAP = 1_000


@dataclass(frozen=True, slots=True)
class PageIds:
    """Identities of one page and how to go on."""

    ids: list[RecordingId]
    cursor: str
    total: int
    total_capped: bool


def find(db: Db, wanted: RecordingFilter, visibility: Visibility, *, cursor: str, limit: int, now: datetime) -> PageIds:
    """Identities of one page, newest first.

    Args:
        db: Open transaction.
        wanted: What to look for.
        visibility: What this agent may see; nothing else is counted or returned.
        cursor: From the page before, or empty.
        limit: Rows on the page, 1 to ``limits.PAGE_ROWS_MAX``.
        now: For the filter ``late``.

    Raises:
        InvalidInputError: A cursor that no page gave out, a limit out of range, an impossible search text.
    """
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise InvalidInputError(f"a page has 1 to {PAGE_ROWS_MAX} rows")
    here = recordings.c
    words, cap = _words(db, wanted.text)
    conditions = [*visible(visibility), *_filters(wanted, now), *words]
    statement = sa.select(here.id, here.sort_at).where(*conditions)
    if cursor:
        sort_at, identity = _open_cursor(cursor)
        statement = statement.where(
            sa.or_(here.sort_at < sort_at, sa.and_(here.sort_at == sort_at, here.id < identity)),
            here.sort_at <= sort_at,
        )
    rows = db.all(statement.order_by(here.sort_at.desc(), here.id.desc()).limit(limit + 1))
    more = len(rows) > limit
    rows = rows[:limit]
    counted = sa.select(here.id).where(*conditions).limit(cap + 1).subquery()
    total = int(db.scalar(sa.select(sa.func.count()).select_from(counted)))
    return PageIds(
        [row["id"] for row in rows],
        _make_cursor(rows[-1]["sort_at"], rows[-1]["id"]) if more else "",
        min(total, cap),
        total > cap,
    )


def visible(visibility: Visibility) -> list[sa.ColumnElement[bool]]:
    """The condition that keeps an agent inside of what they may see."""
    if visibility.everything:
        return []
    mine: list[sa.ColumnElement[bool]] = [recordings.c.unit.in_(sorted(visibility.units))]
    if visibility.officer is not None:
        mine.append(recordings.c.officer == visibility.officer)
    return [sa.or_(*mine)]


def text_conditions(db: Db, text: str) -> list[sa.ColumnElement[bool]]:
    """The conditions that a recording's text holds every word; none for a text without words."""
    return _words(db, text)[0]


def _filters(wanted: RecordingFilter, now: datetime) -> list[sa.ColumnElement[bool]]:
    here = recordings.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.started_from is not None:
        found.append(here.sort_at >= wanted.started_from)
    if wanted.started_to is not None:
        found.append(here.sort_at < wanted.started_to)
    found += [
        column == value
        for column, value in ((here.officer, wanted.officer), (here.device, wanted.device), (here.unit, wanted.unit))
        if value is not None
    ]
    if wanted.states:
        found.append(here.state.in_(sorted(wanted.states)))
    if wanted.kinds:
        found.append(here.kind.in_(sorted(wanted.kinds)))
    if wanted.quarantined is not None:
        found.append(here.quarantine_reason != NOTHING if wanted.quarantined else here.quarantine_reason == NOTHING)
    if wanted.late is not None:
        found.append(here.id.in_(_late(now)) if wanted.late else here.id.not_in(_late(now)))
    if wanted.important is not None:
        found.append(here.important.is_(wanted.important))
    if wanted.findings:
        told = sa.select(findings.c.recording).where(
            findings.c.closed_at.is_(None), findings.c.kind.in_(sorted(wanted.findings))
        )
        found.append(sa.type_coerce(here.id, sa.Text).in_(told))
    return [*found, *_by_rules(wanted)]


def _by_rules(wanted: RecordingFilter) -> list[sa.ColumnElement[bool]]:
    """What persons said of recordings, and holds that stand."""
    here, rules = recordings.c, recording_rules.c
    found: list[sa.ColumnElement[bool]] = []
    if wanted.category:
        found.append(here.id.in_(sa.select(rules.recording).where(rules.category == wanted.category)))
    if wanted.flags:
        # Rows about recordings are few beside the recordings: flags need no index of their own.
        columns = {"complaint": rules.complaint, "obstruction": rules.obstruction, "sensitive": rules.sensitive}
        asked = [columns.get(flag, rules.long_term).is_(sa.true()) for flag in sorted(wanted.flags)]
        found.append(here.id.in_(sa.select(rules.recording).where(sa.or_(*asked))))
    if wanted.unclassified is not None:
        judged = here.id.in_(sa.select(rules.recording).where(rules.category != NOTHING))
        found += unclassified() if wanted.unclassified else [judged]
    if wanted.held is not None:
        links = matter_links.c
        held = (
            sa.select(links.target)
            .join(matters, matters.c.id == links.matter)
            .where(matters.c.kind == "hold", matters.c.closed_at.is_(None), links.role == "held")
        )
        target = sa.type_coerce(here.id, sa.Text)
        found.append(target.in_(held) if wanted.held else target.not_in(held))
    return found


def unclassified() -> list[sa.ColumnElement[bool]]:
    """Stored recordings that nobody has put into a category; side files follow the recording they belong to."""
    here, rules = recordings.c, recording_rules.c
    judged = sa.exists().where(rules.recording == here.id, rules.category != NOTHING)
    return [here.state.in_((RecordingState.STORED, RecordingState.RELEASED)), here.attached_to.is_(None), ~judged]


def _late(now: datetime) -> sa.CompoundSelect[tuple[RecordingId]]:
    """Handed in after the deadline, or waiting beyond it; a duplicate is neither. Two selects, so that each has its index."""
    here = recordings.alias("overdue").c
    own = here.state != RecordingState.DUPLICATE
    waiting = sa.select(here.id).where(here.stored_at.is_(None), here.deadline_at < now, own)
    return sa.union_all(sa.select(here.id).where(here.stored_at > here.deadline_at, own), waiting)


def _words(db: Db, text: str) -> tuple[list[sa.ColumnElement[bool]], int]:
    """The condition that a recording's text holds every term, and where its count stops.

    A rare word is looked up first and its recordings are put in order; for a common one that would be slow, so there the
    recordings are walked newest first and each is asked for the word, which soon fills a page.
    """
    terms = terms_of(text)
    if not terms:
        return [], COUNT_CAP
    here = recording_texts.c
    held = [here.text.contains(term.text, autoescape=True) for term in terms if not term.exact]
    tokens = sorted(frozenset().union(*(term.tokens for term in terms)))
    if not tokens:
        return [recordings.c.id.in_(sa.select(here.recording).where(*held))], COUNT_CAP
    matching = here.serial.in_(_sqlite_rows(tokens)) if db.sqlite else here.tokens.contains(tokens)
    probe = sa.select(here.serial).where(*held, matching).limit(COUNT_CAP + 1).subquery()
    if int(db.scalar(sa.select(sa.func.count()).select_from(probe))) <= COUNT_CAP:
        return [recordings.c.id.in_(sa.select(here.recording).where(*held, matching))], COUNT_CAP
    asked = [_sqlite_holds(term) for term in terms] if db.sqlite else [*held, matching]
    # As a value, not as EXISTS: the databases would turn that into the join which this is meant to avoid.
    answer = sa.select(sa.and_(*asked)).where(here.recording == recordings.c.id).scalar_subquery()
    return [sa.type_coerce(answer, sa.Boolean)], _COMMON_COUNT_CAP


def _sqlite_rows(tokens: list[str]) -> sa.Select[tuple[int]]:
    query = " AND ".join(f'"{token}"' for token in tokens)  # tokens hold no quotation mark: see catalogue.words
    match = sa.text("recording_fts MATCH :fts_query").bindparams(fts_query=query)
    return sa.select(sa.table("recording_fts", sa.column("rowid", sa.Integer)).c.rowid).where(match)


def _sqlite_holds(term: Term) -> sa.ColumnElement[bool]:
    """What the full-text table would answer for one row: asking it row by row costs ten times more than the text."""
    text = recording_texts.c.text
    if term.exact and term.text.isascii():
        # One or two digits or letters: at the beginning of a run (the newline stands for the beginning of the text).
        return ("\n" + text).op("GLOB")(f"*[^0-9a-z]{term.text}*")
    return text.contains(term.text, autoescape=True)


def _make_cursor(sort_at: datetime, identity: RecordingId) -> str:
    return base64.urlsafe_b64encode(canonical.dumps([unix_ms(sort_at), identity])).decode().rstrip("=")


def _open_cursor(untrusted: str) -> tuple[datetime, RecordingId]:
    try:
        if len(untrusted) > _CURSOR_CHARS_MAX:
            raise InvalidInputError("too long")
        raw = base64.b64decode(untrusted + "=" * (-len(untrusted) % 4), altchars=b"-_", validate=True)
        sort_ms, identity = canonical.loads(raw)
        cursor = utc_from_ms(sort_ms), RecordingId(identity)
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, EvidenceError) as error:
        raise InvalidInputError("not a cursor of this list") from error
    if _make_cursor(*cursor) != untrusted:
        raise InvalidInputError("not a cursor of this list")
    return cursor
