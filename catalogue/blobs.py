"""Bytes shared by digest: who needs them and where their copies are."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from catalogue.db import CHUNK, Db, chunks
from catalogue.records import BlobRow, DerivativeRow
from catalogue.references import References
from catalogue.schema import blob_copies, blob_holders, blobs, copy_locks, derivatives, matter_documents, recordings
from catalogue.values import fields_of
from evidence.clock import utc_from_ms
from evidence.digest import Digest
from evidence.errors import InvalidInputError, NotFoundError, StateConflictError
from evidence.ids import DerivativeId, RecordingId
from evidence.model import Copy


@dataclasses.dataclass(frozen=True, slots=True)
class CopyCheckRow:
    """When a copy was last looked at, and what came of it: a kind of finding, empty when it matched."""

    at: datetime | None
    outcome: str


_COPY_FIELDS = tuple(field.name for field in dataclasses.fields(Copy))


class Blobs:
    """Reference-counted bytes.

    A blob has copies, and holders: ``recording:<id>``, ``manifest:<id>``, ``derivative:<id>``, ``document:<id>``.
    """

    def __init__(self, db: Db) -> None:
        self._db = db

    def add_holder(self, sha256: Digest, size_bytes: int, blake3: Digest | None, holder: str) -> None:
        """Say that ``holder`` needs these bytes; the same again changes nothing.

        Raises:
            StateConflictError: The catalogue knows these bytes with another size or BLAKE3 digest, which cannot be.
            BytesGoError: They are being removed; store them anew afterwards.
        """
        References(self._db).require_staying(sha256)
        new = self._db.insert_new(blobs, {"sha256": sha256, "size_bytes": size_bytes, "blake3": blake3})
        if not new:
            self._agree(sha256, size_bytes, blake3)
        self._db.insert_new(blob_holders, {"sha256": sha256, "holder": holder})

    def _agree(self, sha256: Digest, size_bytes: int, blake3: Digest | None) -> None:
        here = blobs.c
        row = self._db.one(sa.select(blobs).where(here.sha256 == sha256))
        if row is None or row["size_bytes"] != size_bytes or (blake3 and row["blake3"] not in (None, blake3)):
            raise StateConflictError(f"{sha256} is already known with another size or BLAKE3 digest")
        if blake3 is not None and row["blake3"] is None:
            self._db.execute(blobs.update().where(here.sha256 == sha256).values(blake3=blake3))

    def put_copy(self, sha256: Digest, copy: Copy) -> None:
        """Record one copy; a second one in the same store replaces the first. NotFoundError without a holder."""
        if self._db.scalar(sa.select(blobs.c.size_bytes).where(blobs.c.sha256 == sha256)) is None:
            raise NotFoundError(f"nobody holds {sha256}")
        row = {"sha256": sha256, **fields_of(copy), "checked_at": copy.read_back_at, "outcome": ""}
        self._db.upsert(blob_copies, row)
        # What lock this copy has is not known yet: it is looked at as soon as somebody has time.
        seen_at = copy.read_back_at or utc_from_ms(0)
        lock = {"until": None, "set_at": seen_at, "look_at": seen_at, "last": False}
        self._db.upsert(copy_locks, {"sha256": sha256, "store": copy.store, **lock})

    def mark_checked(self, sha256: Digest, store: str, at: datetime) -> None:
        """Record that a copy was read from its medium and matched; NotFoundError when no such copy is known."""
        here = blob_copies.c
        statement = (
            blob_copies.update()
            .where(here.sha256 == sha256, here.store == store)
            .values(read_back_at=at, checked_at=at, outcome="")
        )
        if self._db.count(statement) == 0:
            raise NotFoundError(f"no copy of {sha256} in {store}")

    def mark_bad(self, sha256: Digest, store: str, at: datetime, outcome: str) -> bool:
        """Record that a copy was looked at and was not good (``read_back_at`` keeps when it last was); whether it has a row."""
        here = blob_copies.c
        statement = (
            blob_copies.update()
            .where(here.sha256 == sha256, here.store == store)
            .values(checked_at=at, outcome=outcome)
        )
        return self._db.count(statement) > 0

    def checks(self, sha256: Digest) -> dict[str, CopyCheckRow]:
        """By store: when each copy was last looked at, and what came of it."""
        here = blob_copies.c
        statement = sa.select(here.store, here.checked_at, here.outcome).where(here.sha256 == sha256)
        return {row["store"]: CopyCheckRow(row["checked_at"], row["outcome"]) for row in self._db.all(statement)}

    def recordings_of(self, blob: BlobRow) -> dict[RecordingId, str]:
        """The recordings that hold some bytes, in a stable order, and as what: ``recording``, ``manifest``, ``derivative``.

        A holder whose row is gone is left out: a verification tells of it.
        """
        found: dict[RecordingId, str] = {}
        for holder in blob.holders:
            kind, _, identity = holder.partition(":")
            column, table = (
                (derivatives.c.recording, derivatives) if kind == "derivative" else (recordings.c.id, recordings)
            )
            with contextlib.suppress(InvalidInputError):
                wanted = DerivativeId(identity) if kind == "derivative" else RecordingId(identity)
                recording = self._db.scalar(sa.select(column).where(table.c.id == wanted))
                if recording is not None:
                    found.setdefault(recording, kind)
        return found

    def bad_documents(self, store: str, *, besides: Digest) -> bool:
        """Whether a copy of any document but one is known to be bad in a store (in any store, where none is named)."""
        here = blob_copies.c
        held = sa.exists(sa.select(sa.literal(1)).where(matter_documents.c.sha256 == here.sha256))
        statement = sa.select(here.sha256).where(here.outcome != "", here.sha256 != besides, held)
        return self._db.scalar((statement.where(here.store == store) if store else statement).limit(1)) is not None

    def newest_in(self, store: str, *, before: datetime, limit: int) -> list[Digest]:
        """Bytes of the newest recordings stored before a moment that have a copy in this store."""
        here = blob_copies.c
        # Not a join: SQLite would walk all copies of the store for these few.
        there = sa.exists(sa.select(sa.literal(1)).where(here.sha256 == recordings.c.sha256, here.store == store))
        statement = (
            sa.select(recordings.c.sha256)
            .where(recordings.c.stored_at < before, there)
            .order_by(recordings.c.sort_at.desc(), recordings.c.id.desc())
            .limit(limit)
        )
        return [row["sha256"] for row in self._db.all(statement)]

    def get(self, sha256: Digest) -> BlobRow | None:
        """One blob with its copies and holders, both in a stable order."""
        found = self._full([sha256])
        return found[0] if found else None

    def page(self, *, after: Digest | None = None, limit: int = CHUNK) -> list[BlobRow]:
        """Blobs by digest, those after one of them: for who reads all of them and keeps no transaction open meanwhile."""
        statement = sa.select(blobs.c.sha256).order_by(blobs.c.sha256).limit(limit)
        if after is not None:
            statement = statement.where(blobs.c.sha256 > after)
        return self._full([row["sha256"] for row in self._db.all(statement)])

    def count_copies(self) -> int:
        """How many copies are known."""
        return int(self._db.scalar(sa.select(sa.func.count()).select_from(blob_copies)))

    def known(self, digests: list[Digest]) -> set[Digest]:
        """Those of these bytes that have a row."""
        found: set[Digest] = set()
        for part in chunks(digests):
            statement = sa.select(blobs.c.sha256).where(blobs.c.sha256.in_(part))
            found.update(row["sha256"] for row in self._db.all(statement))
        return found

    def all(self) -> Iterator[BlobRow]:
        """Every blob by digest, a chunk at a time."""
        after: Digest | None = None
        while True:
            statement = sa.select(blobs.c.sha256).order_by(blobs.c.sha256).limit(CHUNK)
            if after is not None:
                statement = statement.where(blobs.c.sha256 > after)
            digests = [row["sha256"] for row in self._db.all(statement)]
            yield from self._full(digests)
            if len(digests) < CHUNK:
                return
            after = digests[-1]

    def _full(self, digests: list[Digest]) -> list[BlobRow]:
        copies: dict[Digest, list[Copy]] = {}
        holders: dict[Digest, list[str]] = {}
        for row in self._db.all(_of(blob_copies, digests).order_by(blob_copies.c.store)):
            copies.setdefault(row["sha256"], []).append(Copy(**{name: row[name] for name in _COPY_FIELDS}))
        for row in self._db.all(_of(blob_holders, digests).order_by(blob_holders.c.holder)):
            holders.setdefault(row["sha256"], []).append(row["holder"])
        return [
            BlobRow(**row, copies=tuple(copies.get(row["sha256"], ())), holders=tuple(holders.get(row["sha256"], ())))
            for row in self._db.all(_of(blobs, digests).order_by(blobs.c.sha256))
        ]


def _of(table: sa.Table, digests: list[Digest]) -> sa.Select[tuple[object, ...]]:
    return sa.select(table).where(table.c.sha256.in_(digests))


class Derivatives:
    """Viewing copies, posters and sheets."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def add(self, row: DerivativeRow) -> None:
        """Add one."""
        self._db.insert(derivatives, fields_of(row))

    def get(self, identity: DerivativeId) -> DerivativeRow:
        """One; NotFoundError."""
        row = self._db.one(sa.select(derivatives).where(derivatives.c.id == identity))
        if row is None:
            raise NotFoundError(f"no derivative {identity}")
        return DerivativeRow(**row)

    def of(self, recording: RecordingId) -> list[DerivativeRow]:
        """Those of a recording, oldest first."""
        statement = sa.select(derivatives).where(derivatives.c.recording == recording).order_by(derivatives.c.id)
        return [DerivativeRow(**row) for row in self._db.all(statement)]
