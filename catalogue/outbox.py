"""The custody log's queue inside the catalogue: signed entries are durable in the transaction of the act they report.

- A signer's ``seq`` has no gap and no fork: ``next_turn`` locks the signer's row until the transaction ends, ``add``
  advances it by compare-and-swap, and (key, seq) is unique.
- The sealer takes rows *without an index*. There is no cursor: commit order is not insertion order, and a cursor would
  skip the entry of a transaction that began earlier and committed later.
- Indices and head move in one statement group under compare-and-swap on the size. If we crash before the commit, nothing
  has an index; after it, the head names exactly the indices that exist.

Source: evidence.ports.Outbox; field experience of transactional outboxes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from catalogue.db import Db, chunks
from catalogue.schema import disclosures, entries, log_head, signers
from evidence.errors import InvalidInputError, SignerMismatchError, StateConflictError
from evidence.events import Event
from evidence.ids import EntryId
from evidence.ports import Disclosure, LogHead, NewEntry, OutboxRow, SignerTurn

FIRST_SEQ = 0

_ROW = sa.select(
    entries.c.id.label("entry"),
    entries.c.event_type,
    entries.c.recording,
    entries.c.envelope,
    entries.c.leaf_sha256,
    entries.c.idx.label("index"),
    entries.c.actor,
    entries.c.at,
    entries.c.key_id,
    entries.c.seq,
)

# Built once: every act enters something, and building a statement costs more than running it.
_TURN = sa.select(signers).where(signers.c.key_id == sa.bindparam("signer")).with_for_update()
_NEWEST = (
    sa.select(entries.c.seq, entries.c.envelope, entries.c.at)
    .where(entries.c.key_id == sa.bindparam("signer"))
    .order_by(entries.c.seq.desc())
    .limit(1)
)
_ADVANCE = (
    signers.update()
    .where(
        signers.c.key_id == sa.bindparam("signer"),
        signers.c.next_seq == sa.bindparam("from_seq"),
        signers.c.prev == sa.bindparam("from_prev"),
    )
    .values(next_seq=sa.bindparam("to_seq"), prev=sa.bindparam("to_prev"))
)
_INSERT = entries.insert()
_DISCLOSE = disclosures.insert()


class CatalogueOutbox:
    """Implements ``evidence.ports.Outbox`` in one transaction."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._since: dict[str, datetime | None] = {}

    def next_turn(self, key_id: str) -> SignerTurn:
        """Take the signer's row lock and tell the next turn; held until the transaction ends.

        Raises:
            SignerMismatchError: The row does not follow from the signer's newest entry: it was changed from outside, and
                whatever were signed now could be accepted by nobody.
        """
        row = self._db.one(_TURN, {"signer": key_id})
        if row is None:
            # Another process may introduce the same signer now: the second look then waits for its transaction.
            self._db.insert_new(signers, {"key_id": key_id, "next_seq": FIRST_SEQ, "prev": ""})
            row = self._db.one(_TURN, {"signer": key_id})
        if row is None:
            raise StateConflictError(f"the signer {key_id} vanished")
        if key_id in self._since:  # checked, and its row is locked since
            return SignerTurn(row["next_seq"], row["prev"], self._since[key_id])
        turn = SignerTurn(row["next_seq"], row["prev"])
        # A statement of its own: PostgreSQL gives it the moment after the wait for the lock.
        if turn != (expected := self._turn_after_newest(key_id)):
            raise SignerMismatchError(
                f"the next turn of signer {key_id} is {turn.seq}, but its entries ask for {expected.seq}"
                if turn.seq != expected.seq
                else f"the next turn of signer {key_id} does not follow its newest entry",
                kept="Nothing was signed.",
                todo="Run `liuhen verify`, then `liuhen rebuild`.",
            )
        self._since[key_id] = expected.since
        return expected

    def turns(self) -> dict[str, SignerTurn]:
        """The next turn of every signer as its row tells it; takes no lock and judges nothing."""
        return {row["key_id"]: SignerTurn(row["next_seq"], row["prev"]) for row in self._db.all(sa.select(signers))}

    def _turn_after_newest(self, key_id: str) -> SignerTurn:
        newest = self._db.one(_NEWEST, {"signer": key_id})
        if newest is None:
            return SignerTurn(FIRST_SEQ, "")
        return SignerTurn(newest["seq"] + 1, hashlib.sha256(newest["envelope"]).hexdigest(), newest["at"])

    def add(
        self, *, entry: EntryId, event: Event, envelope: bytes, leaf_sha256: bytes, key_id: str, turn: SignerTurn,
        disclosures: Sequence[Disclosure], at: datetime,
    ) -> None:  # fmt: skip
        """Insert the entry and advance the signer.

        Raises:
            StateConflictError: The turn is not the signer's next one, or the identity is taken.
        """
        self.add_many([NewEntry(entry, event, envelope, leaf_sha256, disclosures)], key_id=key_id, turn=turn, at=at)

    def add_many(self, new: Sequence[NewEntry], *, key_id: str, turn: SignerTurn, at: datetime) -> None:
        """Insert entries that one signer chained in this order from ``turn`` on, and advance the signer once.

        Raises:
            StateConflictError: The turn is not the signer's next one, or an identity is taken.
        """
        if not new:
            return
        advance = {
            "signer": key_id,
            "from_seq": turn.seq,
            "from_prev": turn.prev,
            "to_seq": turn.seq + len(new),
            "to_prev": hashlib.sha256(new[-1].envelope).hexdigest(),
        }
        if self._db.execute(_ADVANCE, advance).rowcount != 1:
            raise StateConflictError(f"turn {turn.seq} is not the next one of signer {key_id}")
        rows = [
            {
                "id": one.entry, "event_type": one.event.TYPE, "recording": one.event.recording,
                "matter": getattr(one.event, "matter", ""), "actor": one.event.actor,
                "at": at, "key_id": key_id, "seq": turn.seq + offset,
                "envelope": one.envelope, "leaf_sha256": one.leaf_sha256,
            }
            for offset, one in enumerate(new)
        ]  # fmt: skip
        self._since[key_id] = at
        # One at a time the driver inserts in the order given, so ``added`` grows with ``seq``.
        self._db.execute(_INSERT, rows)
        disclosed = [
            {"digest": given.digest, "entry": one.entry, "name": given.name, "text": given.text}
            for one in new
            for given in one.disclosures
        ]
        if disclosed:
            self._db.execute(_DISCLOSE, disclosed)

    def unsequenced(self, limit: int) -> list[OutboxRow]:
        """Entries without an index, in an order in which every signer's ``seq`` grows."""
        # ``added`` is drawn under the signer's lock, so it grows with ``seq``; and an entry is visible only when the
        # transactions that held the lock before have committed, so no earlier ``seq`` can still be missing.
        return self._rows(_ROW.where(entries.c.idx.is_(None)).order_by(entries.c.added).limit(limit))

    def head(self) -> LogHead | None:
        """The current head; None before the log was opened."""
        row = self._db.one(sa.select(log_head))
        return None if row is None else LogHead(row["size"], row["root"], row["note"], row["published_size"])

    def sequence(self, *, expected_size: int, entries: Sequence[EntryId], head: LogHead) -> None:
        """Give indices from ``expected_size`` on and store the new head; its ``published_size`` is not taken over.

        Raises:
            InvalidInputError: The head does not lie exactly these entries beyond ``expected_size``.
            StateConflictError: The head moved, or one of the entries is unknown or has an index already.
        """
        if head.size != expected_size + len(entries):
            raise InvalidInputError(f"a head of {head.size} over {expected_size} + {len(entries)} entries")
        self._swap_head(expected_size, head)
        self._number(expected_size, entries)

    def _swap_head(self, expected_size: int, head: LogHead) -> None:
        values = {"size": head.size, "root": head.root, "note": head.note}
        moved = self._db.count(log_head.update().where(log_head.c.size == expected_size).values(**values))
        if moved == 0 and expected_size == 0:
            moved = int(self._db.insert_new(log_head, {"id": 1, "published_size": 0, **values}))
        if moved != 1:
            raise StateConflictError(f"the head is no longer at {expected_size}")

    def _number(self, start: int, ids: Sequence[EntryId]) -> None:
        if not ids:
            return
        here = entries.c
        statement = (
            entries.update()
            .where(here.id == sa.bindparam("entry_id"), here.idx.is_(None))
            .values(idx=sa.bindparam("entry_index"))
        )
        pairs = [{"entry_id": entry, "entry_index": start + offset} for offset, entry in enumerate(ids)]
        self._db.execute(statement, pairs)
        numbered = sa.select(sa.func.count()).where(here.idx >= start, here.idx < start + len(ids))
        if self._db.scalar(numbered) != len(ids):
            raise StateConflictError("an entry is unknown or has an index already")

    def mark_published(self, size: int) -> None:
        """Record that the checkpoint of that size is published; never lowers. StateConflictError beyond the head."""
        here = log_head.c
        raised = (
            log_head.update()
            .where(here.size >= size)
            .values(published_size=sa.case((here.published_size < size, size), else_=here.published_size))
        )
        if self._db.count(raised) == 0:
            raise StateConflictError(f"a checkpoint of size {size} is ahead of the head")

    def rows(self, start: int, end: int) -> list[OutboxRow]:
        """Sequenced entries with start <= index < end, in order."""
        here = entries.c
        return self._rows(_ROW.where(here.idx >= start, here.idx < end).order_by(here.idx))

    def row_of(self, entry: EntryId) -> OutboxRow | None:
        """One entry."""
        found = self._rows(_ROW.where(entries.c.id == entry))
        return found[0] if found else None

    def disclosures_of(self, digests: Sequence[str]) -> dict[str, Disclosure]:
        """The disclosures that still exist, by digest."""
        here = disclosures.c
        found: dict[str, Disclosure] = {}
        for part in chunks(digests):
            statement = sa.select(here.digest, here.name, here.text).where(
                here.digest.in_(part), here.text.is_not(None)
            )
            found.update({row["digest"]: Disclosure(**row) for row in self._db.all(statement)})
        return found

    def _rows(self, statement: sa.Executable) -> list[OutboxRow]:
        return [
            OutboxRow(
                row["entry"], row["event_type"], row["recording"], bytes(row["envelope"]), bytes(row["leaf_sha256"]),
                row["index"], row["actor"], row["at"], row["key_id"], row["seq"],
            )
            for row in self._db.all(statement)
        ]  # fmt: skip
