"""An outbox in memory that polices what the real ones promise: entries never change, heads swap by comparison, no gaps."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from evidence.errors import StateConflictError
from evidence.events import Event
from evidence.ids import EntryId
from evidence.ports import Disclosure, LogHead, NewEntry, OutboxRow, SignerTurn


@dataclass
class _State:
    rows: dict[EntryId, OutboxRow] = field(default_factory=dict)
    order: list[EntryId] = field(default_factory=list)
    sequenced: list[EntryId] = field(default_factory=list)
    signers: dict[str, SignerTurn] = field(default_factory=dict)
    disclosures: dict[str, Disclosure] = field(default_factory=dict)
    head: LogHead | None = None

    def twin(self) -> _State:
        return _State(
            dict(self.rows),
            list(self.order),
            list(self.sequenced),
            dict(self.signers),
            dict(self.disclosures),
            self.head,
        )


class MemoryOutbox:
    """One transaction."""

    def __init__(self, state: _State) -> None:
        self.state = state

    def next_turn(self, key_id: str) -> SignerTurn:
        return self.state.signers.get(key_id, SignerTurn(0, ""))

    def turns(self) -> dict[str, SignerTurn]:
        return dict(self.state.signers)

    def add(
        self, *, entry: EntryId, event: Event, envelope: bytes, leaf_sha256: bytes, key_id: str, turn: SignerTurn,
        disclosures: Sequence[Disclosure], at: datetime,
    ) -> None:  # fmt: skip
        assert entry not in self.state.rows, "an entry was added twice"
        assert turn == self.next_turn(key_id), "a signer's turn was skipped or used twice"
        assert leaf_sha256 == hashlib.sha256(b"\x00" + envelope).digest(), "the leaf is not the envelope's"
        self.state.rows[entry] = OutboxRow(entry, event.TYPE, event.recording, envelope, leaf_sha256, None)
        self.state.order.append(entry)
        self.state.signers[key_id] = SignerTurn(turn.seq + 1, hashlib.sha256(envelope).hexdigest())
        for disclosure in disclosures:
            assert disclosure.digest not in self.state.disclosures, "a salt was used twice"
            self.state.disclosures[disclosure.digest] = disclosure

    def add_many(self, new: Sequence[NewEntry], *, key_id: str, turn: SignerTurn, at: datetime) -> None:
        for one in new:
            self.add(
                entry=one.entry, event=one.event, envelope=one.envelope, leaf_sha256=one.leaf_sha256, key_id=key_id,
                turn=turn, disclosures=one.disclosures, at=at,
            )  # fmt: skip
            turn = SignerTurn(turn.seq + 1, hashlib.sha256(one.envelope).hexdigest())

    def unsequenced(self, limit: int) -> list[OutboxRow]:
        waiting = (self.state.rows[entry] for entry in self.state.order)
        return [row for row in waiting if row.index is None][:limit]

    def head(self) -> LogHead | None:
        return self.state.head

    def sequence(self, *, expected_size: int, entries: Sequence[EntryId], head: LogHead) -> None:
        if expected_size != (self.state.head.size if self.state.head else 0):
            raise StateConflictError("the head moved")
        assert head.size == expected_size + len(entries), "the head does not count the entries"
        assert entries, "an empty batch was sequenced"
        published = self.state.head.published_size if self.state.head else 0
        for index, entry in enumerate(entries, expected_size):
            assert self.state.rows[entry].index is None, "an entry got a second index"
            self.state.rows[entry] = replace(self.state.rows[entry], index=index)
            self.state.sequenced.append(entry)
        taken = set(entries)
        self.state.order = [entry for entry in self.state.order if entry not in taken]
        self.state.head = replace(head, published_size=published)

    def mark_published(self, size: int) -> None:
        head = self.state.head
        assert head is not None
        assert size <= head.size, "more was published than sequenced"
        if size > head.published_size:
            self.state.head = replace(head, published_size=size)

    def rows(self, start: int, end: int) -> list[OutboxRow]:
        return [self.state.rows[entry] for entry in self.state.sequenced[start:end]]

    def row_of(self, entry: EntryId) -> OutboxRow | None:
        return self.state.rows.get(entry)

    def disclosures_of(self, digests: Sequence[str]) -> dict[str, Disclosure]:
        return {digest: self.state.disclosures[digest] for digest in digests if digest in self.state.disclosures}


class MemoryTransactions:
    """Opens transactions: committed on success, rolled back on error, one at a time."""

    def __init__(self) -> None:
        self.state = _State()
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[MemoryOutbox]:
        with self._lock:
            outbox = MemoryOutbox(self.state.twin())
            yield outbox
            self.state = outbox.state

    def snapshot(self) -> _State:
        """The committed state, as a backup would hold it."""
        return copy.copy(self.state.twin())

    def restore(self, backup: _State) -> None:
        """Put an older state back, as a restored backup does."""
        self.state = backup.twin()
