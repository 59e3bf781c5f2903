"""How each store does: whether it answers, since when not, when it is asked again; what was counted, and when.

Nothing here is evidence or says what a store holds: that is told by ``blob_copies`` alone. What a store lacks is derived from it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from catalogue.copy_counts import held_in, is_held, lacking_in, without_copy
from catalogue.db import CHUNK, Db
from catalogue.schema import blob_copies, blob_holders, blobs, findings
from catalogue.schema_base import NOTHING
from catalogue.schema_of_keeping import store_states
from evidence.digest import Digest

_ERROR_CHARS_MAX = 1_000
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
_DOUBLED_MAX = 10
_BAD_MAX = 1_000_000
#: Kinds of findings that say that a copy is bad; a repair closes them.
_OF_BAD_COPIES = ("copy-bad", "copy-damaged", "copy-missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStateRow:
    """One store.

    Attributes:
        store: Its name.
        ok_at: When it last did what it was asked.
        failing_since: First failure after that; None while it works.
        failed_at: The last failure, also when it works again.
        error_code: Code of that failure.
        error: What happened then.
        tries: Failures in a row.
        next_try_at: Not to be asked for copies before then; None while it works.
        objects: Copies the catalogue knew there at ``counted_at``.
        size_bytes: Their bytes.
        behind_objects: Blobs somebody holds that had no copy there.
        behind_bytes: Their bytes.
        oldest_at: When the copy that was checked longest ago was read from its medium; None with no copy, or one never read.
        counted_at: When that was counted; None before.
    """

    store: str
    ok_at: datetime | None = None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    error_code: str = ""
    error: str = ""
    tries: int = 0
    next_try_at: datetime | None = None
    renewed_at: datetime | None = None
    objects: int = 0
    size_bytes: int = 0
    behind_objects: int = 0
    behind_bytes: int = 0
    oldest_at: datetime | None = None
    counted_at: datetime | None = None

    def rests(self, now: datetime) -> bool:
        """Whether it is not to be asked yet. A time too far ahead was written by a wrong clock, and puts nothing off."""
        return self.next_try_at is not None and timedelta(0) < self.next_try_at - now <= LONGEST_WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """What was counted of a store; the members are those of :class:`StoreStateRow`."""

    objects: int
    size_bytes: int
    behind_objects: int
    behind_bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """Bytes that somebody holds and a store has no copy of."""

    sha256: Digest
    size_bytes: int


_FIELDS = tuple(field.name for field in dataclasses.fields(StoreStateRow))


class StoreStates:
    """Rows about stores, and what the catalogue says each of them lacks."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def of(self, store: str) -> StoreStateRow:
        """One store; a row without any fact where nothing was noted yet."""
        row = self._db.one(sa.select(store_states).where(store_states.c.store == store))
        return StoreStateRow(store=store) if row is None else StoreStateRow(**{name: row[name] for name in _FIELDS})

    def worked(self, store: str, at: datetime) -> None:
        """It did what it was asked: nothing waits for it any longer. The last failure stays to be read."""
        self._set(store, ok_at=at, failing_since=None, tries=0, next_try_at=None)

    def failed(self, store: str, at: datetime, *, code: str, error: str) -> None:
        """It did not. It is asked again after 30 seconds, then after twice as long each time, at most half an hour.

        ``failing_since`` keeps the first time. Failures of others that asked before that moment are no further tries.
        """
        before = self.of(store)
        told: dict[str, Any] = {
            "failing_since": before.failing_since or at, "failed_at": at, "error_code": code,
            "error": error[:_ERROR_CHARS_MAX],
        }  # fmt: skip
        if not before.rests(at):
            wait = min(FIRST_WAIT * 2 ** min(before.tries, _DOUBLED_MAX), LONGEST_WAIT)
            told |= {"tries": before.tries + 1, "next_try_at": at + wait}
        self._set(store, **told)

    def figures(self, store: str) -> StoreFigures:
        """Count what the catalogue knows of a store: a second or two with a million blobs."""
        here = blob_copies.c
        objects, size_bytes = held_in(self._db, store)
        behind_objects, behind_bytes = lacking_in(self._db, store)
        never = sa.select(sa.literal(1)).where(here.store == store, here.checked_at.is_(None)).limit(1)
        oldest = sa.select(sa.func.min(here.checked_at)).where(here.store == store)
        return StoreFigures(
            objects=objects, size_bytes=size_bytes, behind_objects=behind_objects, behind_bytes=behind_bytes,
            oldest_at=None if self._db.scalar(never) else self._db.scalar(oldest),
        )  # fmt: skip

    def keep(self, store: str, figures: StoreFigures, at: datetime) -> None:
        """Keep what was counted, with the time at which it was true."""
        self._set(store, **dataclasses.asdict(figures), counted_at=at)

    def lacking(self, store: str, *, limit: int) -> list[Lacking]:
        """What the store lacks, in the order in which the bytes came to be held, oldest first."""
        # A holder ends in an identity that begins with its time (UUIDv7).
        moment = sa.func.min(sa.func.substr(blob_holders.c.holder, sa.func.length(blob_holders.c.holder) - 31))
        first = sa.select(moment).where(blob_holders.c.sha256 == blobs.c.sha256)
        lacks = without_copy(store)
        statement = (
            sa.select(blobs.c.sha256, blobs.c.size_bytes)
            .select_from(lacks.join(blobs, blobs.c.sha256 == lacks.c.sha256))
            .where(is_held())
            .order_by(first.scalar_subquery(), blobs.c.sha256)
            .limit(limit)
        )
        return [Lacking(**row) for row in self._db.all(statement)]

    def bad_copies(self, *, after: Digest | None = None, limit: int = CHUNK) -> list[tuple[Digest, str]]:
        """Copies that did not match when they were last read, by digest."""
        here = blob_copies.c
        statement = sa.select(here.sha256, here.store).where(here.outcome != NOTHING).order_by(here.sha256, here.store)
        if after is not None:
            statement = statement.where(here.sha256 > after)
        return [(row["sha256"], row["store"]) for row in self._db.all(statement.limit(limit))]

    def bad_in(self, store: str) -> int:
        """How many copies there are known to be bad, at least.

        They did not match when they were last read for that purpose, or an open finding of somebody who read them says so
        (a verification notes nothing beside its findings), whichever is more.
        """
        here = blob_copies.c
        # First all bad ones, in the order of the small index over them: else SQLite walks every copy of the store.
        bad = (
            sa.select(here.store)
            .where(here.outcome != NOTHING)
            .order_by(here.sha256, here.store)
            .limit(_BAD_MAX)
            .subquery()
        )
        marked = self._db.scalar(sa.select(sa.func.count()).select_from(bad).where(bad.c.store == store))
        told = self._db.scalar(
            sa.select(sa.func.count(sa.distinct(findings.c.recording))).where(
                findings.c.closed_at.is_(None),
                findings.c.kind.in_(_OF_BAD_COPIES),
                findings.c.store == store,
                findings.c.recording != "",
            )
        )
        return max(int(marked), int(told))

    def _set(self, store: str, **values: Any) -> None:
        self._db.insert_new(store_states, {"store": store})
        self._db.execute(store_states.update().where(store_states.c.store == store).values(**values))
