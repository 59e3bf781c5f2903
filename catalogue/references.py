"""Who may still need bytes, and what is known of bytes that go: claims, holds and removals.

Everything that decides about one blob first takes :meth:`References.lock`: on PostgreSQL a lock of that digest until the
transaction ends, on SQLite the database is locked already. So of a removal and a new holder, a claim or a hold, one comes first,
and the other sees it.

- A *claim* says for a while that somebody brings these bytes into the stores: they are not removed below his hands.
- A *hold* keeps bytes from being removed until it is lifted.
- A *removal* is the durable intention. ``waiting``: not before a date, everything is as it was. ``removing``: past the point of
  no return, the blob has no row any more, its copies stand in the removal's row until they are gone from every store.

None of it is evidence by itself: what was done is told by the entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from catalogue.db import CHUNK, Db
from catalogue.schema import (
    blob_claims,
    blob_copies,
    blob_holders,
    blob_holds,
    blobs,
    copy_locks,
    derivatives,
    matter_documents,
    recording_names,
    recordings,
    removals,
    stray_blobs,
)
from catalogue.values import fields_of
from evidence.digest import Digest
from evidence.errors import StateConflictError
from evidence.ids import DerivativeId, RecordingId
from evidence.model import RecordingState

WAITING: Final = "waiting"
REMOVING: Final = "removing"


class BytesGoError(StateConflictError):
    """Bytes are being removed, so nobody can take hold of them now; a new arrival is stored anew afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalRow:
    """Bytes that go, or wait to go.

    ``copies`` as in an entry; ``until`` is the date before which they may not; ``together`` the duplicates that go in one act.
    """

    sha256: Digest
    holder: str
    reason: str
    state: str
    size_bytes: int
    begun_at: datetime
    recording: str = ""
    actor: str = ""
    copies: list[dict[str, str]]
    until: datetime | None = None
    key_sha256: str = ""
    error: str = ""
    together: list[str] = field(default_factory=list)


class References:
    """Claims, holds and removals of blobs, and who refers to them."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def lock(self, sha256: Digest) -> None:
        """Let nobody else decide about these bytes until the transaction ends."""
        if not self._db.sqlite:
            key = int.from_bytes(bytes.fromhex(sha256.hex[:16]), "big", signed=True)
            self._db.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    # --- claims -----------------------------------------------------------------------------------------------------
    def claim(self, sha256: Digest, *, until: datetime) -> None:
        """Say that these bytes are being brought in: nobody removes them before ``until``. Again moves it later.

        Raises:
            BytesGoError: They are being removed right now; try again later.
        """
        self.require_staying(sha256)
        standing = self._db.scalar(sa.select(blob_claims.c.until).where(blob_claims.c.sha256 == sha256))
        if standing is None or standing < until:
            self._db.upsert(blob_claims, {"sha256": sha256, "until": until})

    def claimed_until(self, sha256: Digest, *, now: datetime) -> datetime | None:
        """Until when somebody claims them; None when nobody does."""
        until: datetime | None = self._db.scalar(sa.select(blob_claims.c.until).where(blob_claims.c.sha256 == sha256))
        return until if until is not None and until > now else None

    def drop_claims(self, *, before: datetime) -> int:
        """Forget claims that lapsed; returns how many."""
        return self._db.count(blob_claims.delete().where(blob_claims.c.until < before))

    def require_staying(self, sha256: Digest) -> None:
        """Lock the bytes and return unless they are past the point of no return.

        Raises:
            BytesGoError: They are.
        """
        self.lock(sha256)
        found = self.removal(sha256)
        if found is not None and found.state == REMOVING:
            raise BytesGoError(
                f"{sha256} is being removed",
                kept="Nothing was changed; bytes that came in stay where they are.",
                todo="Try again when the removal is done: the bytes are then stored anew.",
            )

    # --- holds ------------------------------------------------------------------------------------------------------
    def add_hold(self, sha256: Digest, reference: str, at: datetime) -> bool:
        """Keep these bytes until the hold is lifted; tells whether it is new.

        Raises:
            BytesGoError: They are past the point of no return: the hold came too late.
        """
        self.require_staying(sha256)
        return self._db.insert_new(blob_holds, {"sha256": sha256, "reference": reference, "at": at})

    def drop_hold(self, sha256: Digest, reference: str) -> None:
        """Lift a hold; an unknown one is lifted already."""
        self.lock(sha256)
        here = blob_holds.c
        self._db.execute(blob_holds.delete().where(here.sha256 == sha256, here.reference == reference))

    def holds(self, sha256: Digest) -> list[str]:
        """References of the holds that stand."""
        statement = sa.select(blob_holds.c.reference).where(blob_holds.c.sha256 == sha256)
        return [row["reference"] for row in self._db.all(statement.order_by(blob_holds.c.reference))]

    # --- removals ---------------------------------------------------------------------------------------------------
    def removal(self, sha256: Digest) -> RemovalRow | None:
        """What is known of these bytes' removal; None when they are not to go, or are gone."""
        row = self._db.one(sa.select(removals).where(removals.c.sha256 == sha256))
        return None if row is None else RemovalRow(**row)

    def removals(self) -> list[RemovalRow]:
        """All of them, oldest first."""
        return [RemovalRow(**row) for row in self._db.all(sa.select(removals).order_by(removals.c.begun_at))]

    def removals_of(self, recording: str) -> list[RemovalRow]:
        """Those of a recording's bytes that are past the point of no return."""
        here = removals.c
        statement = sa.select(removals).where(here.recording == recording, here.state == REMOVING)
        return [RemovalRow(**row) for row in self._db.all(statement)]

    def put_removal(self, row: RemovalRow) -> None:
        """Write a removal down, in the place of the one these bytes had."""
        self._db.upsert(removals, fields_of(row))

    def drop_removal(self, sha256: Digest) -> None:
        """The bytes are gone, or stay after all."""
        self._db.execute(removals.delete().where(removals.c.sha256 == sha256))

    # --- rows of blobs ----------------------------------------------------------------------------------------------
    def drop_holder(self, sha256: Digest, holder: str) -> bool:
        """A holder needs the bytes no more; a derivative's row goes with it. Tells whether it was one."""
        here = blob_holders.c
        gone = self._db.count(blob_holders.delete().where(here.sha256 == sha256, here.holder == holder))
        kind, _, identity = holder.partition(":")
        if kind == "derivative":
            self._db.execute(derivatives.delete().where(derivatives.c.id == DerivativeId(identity)))
        return gone == 1

    def drop_blob(self, sha256: Digest) -> None:
        """Nobody holds the bytes: their rows go."""
        for table in (blob_copies, blob_holders, copy_locks, blobs):
            self._db.execute(table.delete().where(table.c.sha256 == sha256))

    def drop_copy(self, sha256: Digest, store: str) -> bool:
        """A store has no copy any more, or counts no more; tells whether it had one."""
        for table in (copy_locks, blob_copies):
            gone = self._db.count(table.delete().where(table.c.sha256 == sha256, table.c.store == store))
        return gone == 1

    # --- who refers to bytes ----------------------------------------------------------------------------------------
    def recording_of(self, holder: str) -> str:
        """The recording a holder belongs to, empty when none does (a document, a derivative that is gone, an orphan)."""
        kind, _, identity = holder.partition(":")
        if kind in ("recording", "manifest"):
            return identity
        if kind != "derivative":
            return ""
        found = self._db.scalar(sa.select(derivatives.c.recording).where(derivatives.c.id == DerivativeId(identity)))
        return str(found) if found is not None else ""

    def recordings_of(self, holders: Iterable[str]) -> list[str]:
        """The recordings that these holders belong to, each once, in a stable order."""
        return sorted({recording for holder in holders if (recording := self.recording_of(holder))})

    def duplicates_of(self, identity: RecordingId) -> list[RecordingId]:
        """Recordings whose bytes are this one's."""
        statement = sa.select(recordings.c.id).where(recordings.c.duplicate_of == identity).order_by(recordings.c.id)
        return [row["id"] for row in self._db.all(statement)]

    def incoming(self, sha256: Digest) -> list[RecordingId]:
        """Recordings that were read with these bytes and are not stored yet."""
        here = recordings.c
        statement = sa.select(here.id).where(here.sha256 == sha256, here.state == RecordingState.ACQUIRED)
        return [row["id"] for row in self._db.all(statement.order_by(here.id))]

    def holds_bytes(self, sha256: Digest, holder: str) -> bool:
        """Whether this holder holds these bytes."""
        here = blob_holders.c
        statement = sa.select(here.holder).where(here.sha256 == sha256, here.holder == holder)
        return self._db.scalar(statement) is not None

    def named_like(self, name: str, *, limit: int) -> list[RecordingId]:
        """Recordings that were ever seen under exactly this name."""
        here, other = recordings.c, recording_names.c
        union = sa.union(
            sa.select(here.id.label("id")).where(here.name == name),
            sa.select(other.recording.label("id")).where(other.name == name),
        ).subquery()
        statement = sa.select(union.c.id).order_by(union.c.id).limit(limit)
        return [RecordingId(row["id"]) for row in self._db.all(statement)]

    def with_digest(self, sha256: Digest, *, limit: int) -> list[RecordingId]:
        """Recordings that had these bytes, whatever became of them."""
        here = recordings.c
        statement = sa.select(here.id).where(here.sha256 == sha256).order_by(here.id).limit(limit)
        return [row["id"] for row in self._db.all(statement)]

    def named_by_rows(self, sha256: Digest) -> bool:
        """Whether any row names these bytes: one that needs them, or a removal."""
        return self.needed_by_rows(sha256) or self.removal(sha256) is not None

    def needed_by_rows(self, sha256: Digest) -> bool:
        """Whether a blob, a recording's bytes or manifest, a derivative or a document names these bytes."""
        for column in (blobs.c.sha256, recordings.c.sha256, derivatives.c.sha256, matter_documents.c.sha256):
            if self._db.scalar(sa.select(column).where(column == sha256).limit(1)) is not None:
                return True
        column = recordings.c.manifest_sha256
        return self._db.scalar(sa.select(column).where(column == sha256.hex).limit(1)) is not None

    # --- what lies in a store and has no row --------------------------------------------------------------------------
    def note_stray(self, sha256: Digest, store: str, at: datetime) -> datetime:
        """Remember since when bytes without a row are seen in a store; returns since when."""
        here = stray_blobs.c
        self._db.insert_new(stray_blobs, {"sha256": sha256, "store": store, "seen_at": at})
        since: datetime = self._db.scalar(sa.select(here.seen_at).where(here.sha256 == sha256, here.store == store))
        return since

    def strays(self, store: str) -> dict[Digest, datetime]:
        """What was seen without a row in a store, and since when."""
        statement = sa.select(stray_blobs).where(stray_blobs.c.store == store)
        return {row["sha256"]: row["seen_at"] for row in self._db.all(statement)}

    def drop_stray(self, sha256: Digest, store: str = "") -> None:
        """It has a row now, or is gone (everywhere, or in one store)."""
        statement = stray_blobs.delete().where(stray_blobs.c.sha256 == sha256)
        self._db.execute(statement.where(stray_blobs.c.store == store) if store else statement)

    # --- lists ------------------------------------------------------------------------------------------------------
    def in_store(
        self, store: str, *, lacking: str = "", after: Digest | None = None, limit: int = CHUNK
    ) -> list[Digest]:
        """Blobs with a copy in a store, ascending; with ``lacking`` only those without one in that other store."""
        here, other = blob_copies.c, blob_copies.alias("other")
        statement = sa.select(here.sha256).where(here.store == store)
        if after is not None:
            statement = statement.where(here.sha256 > after)
        if lacking:
            there = sa.select(other.c.sha256).where(other.c.sha256 == here.sha256, other.c.store == lacking)
            statement = statement.where(~there.exists())
        return [row["sha256"] for row in self._db.all(statement.order_by(here.sha256).limit(limit))]

    def sum_in_store(self, store: str, *, lacking: str = "") -> tuple[int, int]:
        """How many blobs, and how many bytes, have a copy in a store (and none in ``lacking``)."""
        here, other = blob_copies.c, blob_copies.alias("other")
        statement = (
            sa.select(
                sa.func.count().label("count"), sa.func.coalesce(sa.func.sum(blobs.c.size_bytes), 0).label("size")
            )
            .select_from(blob_copies.join(blobs, blobs.c.sha256 == here.sha256))
            .where(here.store == store)
        )
        if lacking:
            there = sa.select(other.c.sha256).where(other.c.sha256 == here.sha256, other.c.store == lacking)
            statement = statement.where(~there.exists())
        row: Any = self._db.one(statement)
        return int(row["count"]), int(row["size"])

    def all_removals(self) -> Iterator[Digest]:
        """Digests that are past the point of no return."""
        statement = sa.select(removals.c.sha256).where(removals.c.state == REMOVING)
        yield from (row["sha256"] for row in self._db.all(statement))
