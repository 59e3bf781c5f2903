"""What is known of the locks of copies: until when each store was last seen to keep one, and when that is looked at again.

None of it is evidence: the stores say what locks they keep. A copy that becomes known (or known anew) is due at once; lost rows
only cost a look at the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from catalogue.copy_counts import held_in
from catalogue.db import Db, chunks
from catalogue.schema import (
    blob_copies,
    blob_holders,
    blob_holds,
    copy_locks,
    derivatives,
    recordings,
    removals,
    rule_dates,
    store_states,
)
from evidence.clock import utc_from_ms
from evidence.digest import Digest
from evidence.ids import DerivativeId, RecordingId
from evidence.lock_dates import LockFacts

#: Sources of a recording's times that rest on a recorder's clock which was read and found plausible.
_TRUSTED: Final = frozenset({"name-corrected"})
_AT_ONCE: Final = utc_from_ms(0)
_OF_RECORDINGS: Final = frozenset({"recording", "manifest"})
#: State of what is past the point of no return: it has no date any more, and no lock is moved for its sake.
_GONE: Final = "gone"
_ENDLESS: Final = LockFacts(accession=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLockRow:
    """One copy's lock as far as it is known; ``until`` None: the store keeps none, or was never asked."""

    sha256: Digest
    store: str
    until: datetime | None
    set_at: datetime
    look_at: datetime
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSummary:
    """The locks of one store.

    Attributes:
        copies: Copies whose lock is to be kept up: those with their last date aside.
        unlocked: Of these, how many have no lock.
        unknown: Of these, how many nobody has asked their store about.
        soonest: The first date of these to come.
        due: How many copies wait to be looked at.
        due_since: Since when the first of them does.
        renewed_at: When nothing was due for the last time after a look.
    """

    copies: int
    unlocked: int
    unknown: int
    soonest: datetime | None
    due: int
    due_since: datetime | None
    renewed_at: datetime | None


class CopyLocks:
    """The locks of copies."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def due(self, store: str, now: datetime, limit: int) -> list[CopyLockRow]:
        """Copies of a store that are to be looked at, those that waited longest first.

        Bytes that wait for their date to go are left out: a date moved later would keep them for ever.
        """
        here = copy_locks.c
        goes = sa.select(removals.c.sha256).where(removals.c.sha256 == here.sha256).exists()
        statement = (
            sa.select(copy_locks)
            .join(blob_copies, sa.and_(blob_copies.c.sha256 == here.sha256, blob_copies.c.store == here.store))
            .where(here.store == store, here.look_at <= now, ~goes)
            .order_by(here.look_at, here.sha256)
            .limit(limit)
        )
        return [CopyLockRow(**row) for row in self._db.all(statement)]

    def note(self, rows: Iterable[CopyLockRow]) -> None:
        """Record what a look found; a copy that was removed meanwhile gets no row."""
        for row in rows:
            here = copy_locks.c
            values = {"until": row.until, "set_at": row.set_at, "look_at": row.look_at, "last": row.last}
            self._db.execute(
                copy_locks.update().where(here.sha256 == row.sha256, here.store == row.store).values(**values)
            )

    def put_off(self, store: str, *, beyond: datetime) -> bool:
        """Whether copies are not to be looked at before a far moment."""
        here = copy_locks.c
        far = sa.select(here.sha256).where(here.store == store, here.look_at > beyond).limit(1)
        return self._db.scalar(far) is not None

    def hurry(self, store: str, *, beyond: datetime, now: datetime, limit: int) -> int:
        """Copies that would not be looked at before a far moment, as a wrong clock had it, are due now; tells how many."""
        here = copy_locks.c
        far = sa.select(here.sha256).where(here.store == store, here.look_at > beyond).limit(limit)
        found = [row["sha256"] for row in self._db.all(far)]
        for part in chunks(found):
            self._db.execute(copy_locks.update().where(here.store == store, here.sha256.in_(part)).values(look_at=now))
        return len(found)

    def look_again(self, sha256: Digest) -> None:
        """What is ordered about these bytes has changed (a new class, a hold): every copy is looked at at once."""
        self._db.execute(copy_locks.update().where(copy_locks.c.sha256 == sha256).values(look_at=_AT_ONCE))

    def forget_gone(self, store: str, now: datetime) -> int:
        """Forget rows, due by now, of copies that are no more; tells how many."""
        here = copy_locks.c
        stands = sa.exists().where(blob_copies.c.sha256 == here.sha256, blob_copies.c.store == here.store)
        return self._db.count(copy_locks.delete().where(here.store == store, here.look_at <= now, ~stands))

    def finish(self, store: str, at: datetime) -> None:
        """Record that nothing was due in this store at that time."""
        self._db.upsert(store_states, {"store": store, "renewed_at": at})

    def summary(self, store: str, now: datetime) -> LockSummary:
        """How the locks of a store stand."""
        here = copy_locks.c
        # Each question is a range of an index (store, last, until): no row is read for it but those without a lock.
        kept = sa.and_(here.store == store, here.last == sa.false())
        copies = self._db.scalar(sa.select(sa.func.count()).where(kept))
        without = self._db.scalar(sa.select(sa.func.count()).where(kept, here.until.is_(None)))
        never = sa.select(sa.func.count()).where(kept, here.until.is_(None), here.look_at <= here.set_at)
        unknown = self._db.scalar(never) if without else 0
        first = sa.select(here.until).where(kept, here.until.is_not(None)).order_by(here.until).limit(1)
        waiting = sa.select(sa.func.count().label("due"), sa.func.min(here.look_at).label("since")).where(
            here.store == store, here.look_at <= now
        )
        due = self._db.all(waiting)[0]
        renewed_at = self._db.scalar(sa.select(store_states.c.renewed_at).where(store_states.c.store == store))
        return LockSummary(
            copies=copies,
            unlocked=without - unknown,
            unknown=unknown,
            soonest=self._db.scalar(first),
            due=due["due"],
            due_since=due["since"],
            renewed_at=renewed_at,
        )

    def facts_of(self, digests: Collection[Digest]) -> dict[Digest, list[LockFacts]]:
        """For whose sake each of these bytes are kept; bytes that nobody holds have an empty list.

        A holder that is not understood keeps them without an end: who reads its rule wrong must not be who lets them go. So does
        a hold.
        """
        wanted: dict[Digest, set[RecordingId]] = {digest: set() for digest in digests}
        foreign: set[Digest] = set()
        derived: dict[DerivativeId, set[Digest]] = {}
        for part in chunks(sorted(digests)):
            for row in self._db.all(sa.select(blob_holders).where(blob_holders.c.sha256.in_(part))):
                kind, _, identity = row["holder"].partition(":")
                if kind == "derivative":
                    derived.setdefault(DerivativeId(identity), set()).add(row["sha256"])
                elif kind in _OF_RECORDINGS:
                    wanted[row["sha256"]].add(RecordingId(identity))
                else:
                    foreign.add(row["sha256"])
            held = sa.select(blob_holds.c.sha256).where(blob_holds.c.sha256.in_(part))
            foreign.update(row["sha256"] for row in self._db.all(held))
        for part in chunks(sorted(derived)):
            found = sa.select(derivatives.c.id, derivatives.c.recording).where(derivatives.c.id.in_(part))
            for row in self._db.all(found):
                for digest in derived[row["id"]]:
                    wanted[digest].add(row["recording"])
        facts = self._facts({one for some in wanted.values() for one in some})
        return {
            digest: [facts.get(one, _ENDLESS) for one in sorted(some)] + [_ENDLESS] * (digest in foreign)
            for digest, some in wanted.items()
        }

    def _facts(self, identities: Collection[RecordingId]) -> dict[RecordingId, LockFacts]:
        here = recordings.c
        columns = (here.id, here.acquired_at, here.deadline_at, here.ended_at, here.started_source, here.important)
        decided = (rule_dates.c.state.label("decided"), rule_dates.c.due_at)
        statement = sa.select(*columns, *decided).select_from(
            recordings.outerjoin(rule_dates, rule_dates.c.recording == here.id)
        )
        facts = {}
        for part in chunks(sorted(identities)):
            for row in self._db.all(statement.where(here.id.in_(part))):
                facts[row["id"]] = facts_of_recording(**{name: row[name] for name in row if name != "id"})
        return facts

    def size_of(self, store: str) -> int:
        """Bytes of all known copies in a store."""
        return held_in(self._db, store)[1]


def facts_of_recording(
    *,
    acquired_at: datetime | None,
    deadline_at: datetime | None,
    ended_at: datetime | None,
    started_source: str,
    important: bool,
    decided: str | None = None,
    due_at: datetime | None = None,
) -> LockFacts:
    """What a recording's row says about its locks. Without a deadline our own clock was not believed when it came in.

    Args:
        acquired_at: When it came in.
        deadline_at: When it was to be handed in.
        ended_at: When it ended.
        started_source: Where its times come from.
        important: The device's mark; it keeps without an end as long as nothing was decided.
        decided: State of the last decision about it; None or empty before the first one. A decision that something changed
            since still counts: the next one is made within minutes, and has the copies looked at again.
        due_at: The date of that decision; None: it is kept without one.
    """
    endless = due_at is None and decided != _GONE if decided else important
    return LockFacts(
        accession=acquired_at if deadline_at is not None else None,
        ended_at=ended_at if started_source in _TRUSTED else None,
        long_term=endless,
        due_at=due_at if decided else None,
    )
