"""The custody entries of one recording or one matter, with the personal values that have not been erased.

This is a reading aid: it shows what the rows say and verifies nothing (``chain_of_custody.verify`` does).
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.records import TimelineRow
from catalogue.schema import NOTHING, REFUSED, disclosures, entries
from evidence.errors import EntryInvalidError
from evidence.ids import MatterId, RecordingId


def timeline_of(db: Db, recording: RecordingId) -> list[TimelineRow]:
    """Entries about a recording in log order, those not yet sequenced last.

    Raises:
        EntryInvalidError: A stored envelope or disclosure cannot be read.
    """
    return _timeline(db, entries.c.recording == recording)


def matter_timeline_of(db: Db, matter: MatterId) -> list[TimelineRow]:
    """Entries about a matter, as :func:`timeline_of`."""
    # The second condition is implied, and lets SQLite use the index.
    return _timeline(db, sa.and_(entries.c.matter == matter, entries.c.matter != NOTHING))


def refusals_of(db: Db, since: datetime, until: datetime) -> list[TimelineRow]:
    """Refused acts in a span of time, as :func:`timeline_of`: what the register of use tells beside the uses."""
    return _timeline(db, sa.and_(entries.c.event_type == REFUSED, entries.c.at >= since, entries.c.at < until))


def _timeline(db: Db, asked: sa.ColumnElement[bool]) -> list[TimelineRow]:
    here = entries.c
    statement = sa.select(here.id, here.event_type, here.at, here.actor, here.idx, here.envelope).where(asked)
    rows = db.all(statement.order_by(here.idx.asc().nulls_last(), here.added))
    disclosed = _disclosed(db, asked)
    return [
        TimelineRow(
            entry=row["id"],
            event_type=row["event_type"],
            at=row["at"],
            actor=row["actor"],
            index=row["idx"],
            public=_public(bytes(row["envelope"])),
            disclosed=disclosed.get(row["id"], {}),
        )
        for row in rows
    ]


def _disclosed(db: Db, asked: sa.ColumnElement[bool]) -> dict[str, dict[str, Any]]:
    here = disclosures.c
    statement = (
        sa.select(here.entry, here.text)
        .join(entries, entries.c.id == here.entry)
        .where(asked, here.text.is_not(None))
        .order_by(here.name)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in db.all(statement):
        name, value = _open(row["text"])
        found.setdefault(row["entry"], {})[name] = value
    return found


def _open(text: str) -> tuple[str, Any]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        _salt, name, value = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise EntryInvalidError("a stored disclosure cannot be read") from error
    if not isinstance(name, str):
        raise EntryInvalidError("a stored disclosure cannot be read")
    return name, value


def _public(envelope: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(envelope)["payload"]
        data = json.loads(base64.b64decode(payload, validate=True))["predicate"]["data"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise EntryInvalidError("a stored entry cannot be read") from error
    if not isinstance(data, dict):
        raise EntryInvalidError("a stored entry cannot be read")
    return data
