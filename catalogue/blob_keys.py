"""What is kept of the data keys of encrypted objects: an index of the records that lie beside the stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import blob_keys, blobs
from catalogue.values import fields_of
from evidence.data_keys import KeyRecord
from evidence.digest import Digest
from evidence.errors import IntegrityError

_PAGE = 500


class BlobKeys:
    """Records of data keys by the digest of the plain object."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def find(self, sha256: Digest) -> KeyRecord | None:
        """The record of a plain object, also one whose key was destroyed."""
        row = self._db.one(sa.select(blob_keys).where(blob_keys.c.sha256 == sha256))
        return None if row is None else _record(row)

    def add(self, record: KeyRecord) -> None:
        """Take a record in, as ``KeyIndex.add`` says.

        Raises:
            IntegrityError: Another live key is known for these bytes; nothing was changed.
        """
        if self._db.insert_new(blob_keys, fields_of(record)):
            return
        known = self.find(record.sha256)
        if known is None:
            raise IntegrityError(f"the ciphertext {record.cipher_sha256} is known as that of another object")
        same = known.wrapped_sha256 == record.wrapped_sha256
        if not known.destroyed and not record.destroyed and (not same or known != record):
            raise IntegrityError(
                f"two different key records stand for {record.sha256}",
                kept="Nothing was changed.",
                todo="Find out which of them opens the stored copies.",
            )
        # A live record gives way to the destruction of its key, a destroyed one to a new key. Nothing else changes a row.
        if known.destroyed != record.destroyed and same == record.destroyed:
            self._db.upsert(blob_keys, fields_of(record))

    def page(self, after: Digest | None, limit: int = _PAGE) -> list[KeyRecord]:
        """Records ascending by digest, from the one behind ``after`` on."""
        statement = sa.select(blob_keys).order_by(blob_keys.c.sha256).limit(limit)
        if after is not None:
            statement = statement.where(blob_keys.c.sha256 > after)
        return [_record(row) for row in self._db.all(statement)]

    def count(self, *, destroyed: bool = False) -> int:
        """How many keys there are, or how many were destroyed."""
        gone = blob_keys.c.destroyed_at
        statement = sa.select(sa.func.count()).select_from(blob_keys)
        return int(self._db.scalar(statement.where(gone.is_not(None) if destroyed else gone.is_(None))))

    def plain(self) -> tuple[int, int]:
        """Blobs that somebody holds and no key was ever made for: how many, and their bytes."""
        keyed = sa.select(blob_keys.c.sha256).where(blob_keys.c.sha256 == blobs.c.sha256)
        row = self._db.one(
            sa.select(sa.func.count().label("many"), sa.func.sum(blobs.c.size_bytes).label("size"))
            .select_from(blobs)
            .where(~keyed.exists())
        )
        return (int(row["many"]), int(row["size"] or 0)) if row is not None else (0, 0)


def _record(row: Mapping[str, Any]) -> KeyRecord:
    return KeyRecord(**row)
