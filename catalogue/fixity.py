"""The order of the scrub's work, and the counts of its rounds. Nothing here is evidence: what was found is in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalogue.copy_counts import held_in
from catalogue.db import Db, chunks
from catalogue.schema import (
    NOTHING,
    blob_copies,
    blob_holders,
    blobs,
    derivatives,
    fixity_rounds,
    fixity_stores,
    recordings,
)
from catalogue.values import fields_of
from evidence.digest import Digest
from evidence.errors import NotFoundError, StateConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One round through all copies. ``copies`` and ``size_bytes`` are those known when it began."""

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    copies: int = 0
    good: int = 0
    bad: int = 0
    size_bytes: int = 0
    done_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStoreRow:
    """One store's part of a round."""

    number: int
    store: str
    copies: int = 0
    good: int = 0
    bad: int = 0
    size_bytes: int = 0
    done_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCopy:
    """A copy whose turn it is.

    Attributes:
        sha256: Its bytes.
        store: Where it lies.
        size_bytes: Its size.
        blake3: Their other digest, where known.
        checked_at: When it was looked at last.
        part: What it is: ``recording``, ``manifest``, ``derivative``, ``document``; ``object`` for anything else.
        recording: Identity of the recording it belongs to; empty when none is known.
        recording_sha256: That recording's own digest.
    """

    sha256: Digest
    store: str
    size_bytes: int
    blake3: Digest | None
    checked_at: datetime | None
    part: str = "object"
    recording: str = ""
    recording_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What looking at one copy gave; ``outcome`` is empty when it matched, else a kind of finding."""

    sha256: Digest
    store: str
    size_bytes: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAge:
    """The oldest look at a store's copies.

    Attributes:
        store: The store.
        oldest_at: When the copy that was looked at longest ago was looked at; None when none has been.
        unlooked: Whether copies were never looked at.
        bad: Copies whose last look ended badly.
    """

    store: str
    oldest_at: datetime | None
    unlooked: bool
    bad: int = 0
    copies: int = field(default=0, compare=False)


class Fixity:
    """Copies by the time they were looked at, and rounds."""

    def __init__(self, db: Db) -> None:
        self._db = db

    # --- the order of the work ----------------------------------------------------------------------------------------
    def due(self, store: str, *, before: datetime | None, limit: int) -> list[DueCopy]:
        """Copies of a store not looked at since a moment (None: any), those never looked at first, then the oldest.

        Both questions are answered by the index over store and time.
        """
        here = blob_copies.c
        base = sa.select(here.sha256, here.checked_at).where(here.store == store).limit(limit)
        rows = self._db.all(base.where(here.checked_at.is_(None)))
        if len(rows) < limit:
            seen = base.where(here.checked_at.is_not(None)).order_by(here.checked_at).limit(limit - len(rows))
            rows += self._db.all(seen if before is None else seen.where(here.checked_at < before))
        return self._full(store, rows)

    def of_recording(self, recording: str) -> list[DueCopy]:
        """Every copy that belongs to a recording: of its bytes, its manifest, its derivatives."""
        mine = sa.select(sa.literal("derivative:") + sa.type_coerce(derivatives.c.id, sa.Text)).where(
            sa.type_coerce(derivatives.c.recording, sa.Text) == recording
        )
        named = [f"recording:{recording}", f"manifest:{recording}"]
        here = blob_holders.c
        held = sa.select(here.sha256).where(sa.or_(here.holder.in_(named), here.holder.in_(mine)))
        copies = blob_copies.c
        found = sa.select(copies.store, copies.sha256, copies.checked_at).where(copies.sha256.in_(held))
        return self._of_stores(self._db.all(found.order_by(copies.store, copies.sha256)))

    def of_blob(self, sha256: Digest) -> list[DueCopy]:
        """Every copy of some bytes, by store."""
        here = blob_copies.c
        found = sa.select(here.store, here.sha256, here.checked_at).where(here.sha256 == sha256)
        return self._of_stores(self._db.all(found.order_by(here.store)))

    def _of_stores(self, rows: list[Mapping[str, Any]]) -> list[DueCopy]:
        return [one for store in dict.fromkeys(row["store"] for row in rows) for one in self._full(
            store, [{"sha256": row["sha256"], "checked_at": row["checked_at"]} for row in rows if row["store"] == store]
        )]  # fmt: skip

    def still_there(self, sha256: Digest, store: str) -> bool:
        """Whether the catalogue still states this copy: it may have been removed lawfully while it was read."""
        here = blob_copies.c
        return self._db.scalar(sa.select(here.store).where(here.sha256 == sha256, here.store == store)) is not None

    def _full(self, store: str, rows: list[Any]) -> list[DueCopy]:
        facts: dict[Digest, dict[str, Any]] = {}
        for part in chunks(row["sha256"] for row in rows):
            for blob in self._db.all(sa.select(blobs).where(blobs.c.sha256.in_(part))):
                facts[blob["sha256"]] = {"size_bytes": blob["size_bytes"], "blake3": blob["blake3"]}
            self._add_owners(facts, part)
        return [
            DueCopy(sha256=row["sha256"], store=store, checked_at=row["checked_at"], **facts[row["sha256"]])
            for row in rows
            if row["sha256"] in facts
        ]

    def _add_owners(self, facts: dict[Digest, dict[str, Any]], digests: Any) -> None:
        """Whose bytes they are: their own recording before a manifest, a manifest before a derivative."""
        best: dict[Digest, tuple[int, str, str]] = {}
        here = blob_holders.c
        for row in self._db.all(sa.select(blob_holders).where(here.sha256.in_(digests)).order_by(here.holder)):
            kind, _, identity = row["holder"].partition(":")
            rank = _RANK.get(kind)
            if rank is not None and (row["sha256"] not in best or rank < best[row["sha256"]][0]):
                best[row["sha256"]] = (rank, kind, identity)
        made = self._recordings_of([identity for _, kind, identity in best.values() if kind == "derivative"])
        owner = {
            sha256: made.get(identity, "") if kind == "derivative" else "" if kind == "document" else identity
            for sha256, (_, kind, identity) in best.items()
        }
        digest_of = self._digests_of([one for one in owner.values() if one])
        for sha256, (_, kind, _) in best.items():
            if sha256 in facts:
                recording = owner[sha256]
                facts[sha256] |= {
                    "part": kind, "recording": recording, "recording_sha256": digest_of.get(recording, ""),
                }  # fmt: skip

    def _recordings_of(self, made: list[str]) -> dict[str, str]:
        identity = sa.type_coerce(derivatives.c.id, sa.Text)
        statement = sa.select(identity.label("id"), sa.type_coerce(derivatives.c.recording, sa.Text).label("recording"))
        return {
            row["id"]: row["recording"]
            for part in chunks(made)
            for row in self._db.all(statement.where(identity.in_(part)))
        }

    def _digests_of(self, owners: list[str]) -> dict[str, str]:
        identity = sa.type_coerce(recordings.c.id, sa.Text)
        statement = sa.select(identity.label("id"), recordings.c.sha256)
        return {
            row["id"]: row["sha256"].hex
            for part in chunks(dict.fromkeys(owners))
            for row in self._db.all(statement.where(identity.in_(part)))
            if row["sha256"] is not None
        }

    # --- what came of it ----------------------------------------------------------------------------------------------
    def looked(
        self, found: Looked, *, at: datetime, number: int, started_at: datetime, noted: bool = False
    ) -> bool:  # fmt: skip
        """Write down one look; counts it in the round unless the copy was looked at since the round began.

        Args:
            found: What came of it.
            at: When.
            number: The round; 0 for none.
            started_at: When the round began.
            noted: The look was written down already (by a repair) and is only to be counted.

        Returns:
            Whether the catalogue still states this copy.
        """
        here = blob_copies.c
        values: dict[str, Any] = {"checked_at": at, "outcome": found.outcome}
        if not found.outcome:
            values["read_back_at"] = at
        mine = blob_copies.update().where(here.sha256 == found.sha256, here.store == found.store).values(**values)
        first = 1 if noted else self._db.count(
            mine.where(sa.or_(here.checked_at.is_(None), here.checked_at < started_at))
        )  # fmt: skip
        if noted and not self.still_there(found.sha256, found.store):
            return False
        if first == 0 and self._db.count(mine) == 0:
            return False
        if first and number:
            good, bad = (0, 1) if found.outcome else (1, 0)
            for table, where in (
                (fixity_rounds, [fixity_rounds.c.number == number]),
                (fixity_stores, [fixity_stores.c.number == number, fixity_stores.c.store == found.store]),
            ):
                row = table.c
                counted = {
                    "good": row.good + good, "bad": row.bad + bad, "done_bytes": row.done_bytes + found.size_bytes,
                }  # fmt: skip
                self._db.execute(table.update().where(*where).values(**counted))
        return True

    def stores(self) -> list[str]:
        """Names of the stores with copies, ascending: one step in the index for each, whatever the number of copies."""
        here = blob_copies.c
        found: list[str] = []
        statement = sa.select(here.store).order_by(here.store).limit(1)
        while (name := self._db.scalar(statement.where(here.store > found[-1]) if found else statement)) is not None:
            found.append(name)
        return found

    def ages(self) -> list[StoreAge]:
        """For every store with copies, its oldest look; from the ends of the index, whatever the number of copies."""
        return [self.age(store) for store in self.stores()]

    def age(self, store: str) -> StoreAge:
        """The oldest look at one store's copies."""
        here = blob_copies.c
        oldest = self._db.scalar(
            sa.select(here.checked_at)
            .where(here.store == store, here.checked_at.is_not(None))
            .order_by(here.checked_at)
            .limit(1)
        )
        unlooked = self._db.scalar(
            sa.select(here.sha256).where(here.store == store, here.checked_at.is_(None)).limit(1)
        )
        return StoreAge(store=store, oldest_at=oldest, unlooked=unlooked is not None)

    def bad_copies(self, *, limit: int) -> list[DueCopy]:
        """Copies whose last look ended badly and that were not read well since."""
        here = blob_copies.c
        found = sa.select(here.store, here.sha256, here.checked_at).where(here.outcome != NOTHING).limit(limit)
        return self._of_stores(self._db.all(found.order_by(here.store, here.sha256)))

    # --- rounds -------------------------------------------------------------------------------------------------------
    def current(self) -> RoundRow | None:
        """The round that goes on; None when none does."""
        row = self._db.one(sa.select(fixity_rounds).where(fixity_rounds.c.ended_at.is_(None)))
        return None if row is None else RoundRow(**row)

    def newest(self) -> RoundRow | None:
        """The round with the highest number."""
        row = self._db.one(sa.select(fixity_rounds).order_by(fixity_rounds.c.number.desc()).limit(1))
        return None if row is None else RoundRow(**row)

    def parts(self, number: int) -> list[RoundStoreRow]:
        """What the stores' parts of a round are, by name."""
        here = fixity_stores.c
        statement = sa.select(fixity_stores).where(here.number == number).order_by(here.store)
        return [RoundStoreRow(**row) for row in self._db.all(statement)]

    def forget_ahead(self, store: str, *, now: datetime, limit: int) -> int:
        """Copies that were looked at after ``now``, as a wrong clock had it, count as never looked at; tells how many."""
        here = blob_copies.c
        ahead = sa.select(here.sha256).where(here.store == store, here.checked_at > now)
        found = [row["sha256"] for row in self._db.all(ahead.order_by(here.checked_at).limit(limit))]
        for part in chunks(found):
            mine = blob_copies.update().where(here.store == store, here.sha256.in_(part))
            self._db.execute(mine.values(checked_at=None))
        return len(found)

    def looked_ahead(self, store: str, *, now: datetime) -> bool:
        """Whether a copy was looked at after ``now``."""
        here = blob_copies.c
        ahead = sa.select(here.sha256).where(here.store == store, here.checked_at > now).limit(1)
        return self._db.scalar(ahead) is not None

    def count_all(self) -> list[RoundStoreRow]:
        """Copies and bytes of every store now. Looks at all copies: not for a transaction that writes."""
        counted = [(store, *held_in(self._db, store)) for store in self.stores()]
        return [
            RoundStoreRow(number=0, store=store, copies=copies, size_bytes=size_bytes)
            for store, copies, size_bytes in counted
        ]

    def begin(self, at: datetime, parts: Sequence[RoundStoreRow]) -> RoundRow:
        """Begin the next round over what was counted (:meth:`count_all`).

        StateConflictError when another process began it at this moment, or when one goes on.
        """
        if self.current() is not None:
            raise StateConflictError("a round goes on already")
        newest = self.newest()
        number = 1 if newest is None else newest.number + 1
        row = RoundRow(
            number=number, started_at=at, copies=sum(one.copies for one in parts),
            size_bytes=sum(one.size_bytes for one in parts),
        )  # fmt: skip
        self._db.insert(fixity_rounds, fields_of(row))
        for part in parts:
            self._db.insert(fixity_stores, {**fields_of(part), "number": number})
        return row

    def end(self, number: int, at: datetime) -> RoundRow:
        """End a round; NotFoundError when it is none that goes on."""
        here = fixity_rounds.c
        if self._db.count(
            fixity_rounds.update().where(here.number == number, here.ended_at.is_(None)).values(ended_at=at)
        ) == 0:  # fmt: skip
            raise NotFoundError(f"round {number} does not go on")
        row = self._db.one(sa.select(fixity_rounds).where(here.number == number))
        if row is None:
            raise NotFoundError(f"no round {number}")
        return RoundRow(**row)


#: Whose bytes they are first of all, where several hold them.
_RANK = {"recording": 0, "manifest": 1, "derivative": 2, "document": 3}
