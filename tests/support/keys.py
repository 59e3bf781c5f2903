"""Keys for tests: a ring over real places beside real stores, with an index in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evidence.data_keys import KeyIndex, KeyRecord
from evidence.digest import Digest
from evidence.errors import IntegrityError
from storage.key_places import place_beside
from storage.keyring import EpochKey, KeyRing
from storage.master_keys import MasterKey, MemoryMaster
from support.stores import ManualClock

MASTER = bytes(range(32))


class MemoryIndex:
    """``evidence.data_keys.KeyIndex`` in memory, by the same rules as the catalogue's (both pass one suite)."""

    def __init__(self) -> None:
        self.rows: dict[Digest, KeyRecord] = {}

    def find(self, sha256: Digest) -> KeyRecord | None:
        return self.rows.get(sha256)

    def add(self, record: KeyRecord) -> None:
        known = self.rows.get(record.sha256)
        if known is None:
            self.rows[record.sha256] = record
            return
        same = known.wrapped_sha256 == record.wrapped_sha256
        if not known.destroyed and not record.destroyed and known != record:
            raise IntegrityError(f"two different key records stand for {record.sha256}")
        if known.destroyed != record.destroyed and same == record.destroyed:
            self.rows[record.sha256] = record

    def all(self) -> Iterator[KeyRecord]:
        yield from (self.rows[digest] for digest in sorted(self.rows))


def key_ring(
    stores: Sequence,
    *,
    clock=None,
    index: KeyIndex | None = None,
    master: MasterKey | None = None,
    made: list | None = None,
) -> KeyRing:
    """A ring with a place beside each of the stores."""
    clock = clock or ManualClock()
    told: list[EpochKey] = made if made is not None else []
    return KeyRing(
        master or MemoryMaster(MASTER, kind="file"),
        [place_beside(store, clock=clock) for store in stores],
        index=index if index is not None else MemoryIndex(),
        clock=clock,
        epoch_made=told.append,
    )
