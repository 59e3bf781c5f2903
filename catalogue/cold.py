"""What a cold store is to have and lacks: footage of the long-term class, some time after it was stored.

Long-term is what a person flagged so (R11), and what the key on the recorder marked, as long as nobody has judged that.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.schema import blob_copies, blobs, recording_rules, recordings
from catalogue.store_states import Lacking
from evidence.digest import Digest
from evidence.model import RecordingState

_KEPT = (RecordingState.STORED, RecordingState.RELEASED)


class ColdTier:
    """Questions about long-term footage."""

    def __init__(self, db: Db) -> None:
        self._db = db

    def lacking(self, store: str, *, stored_before: datetime, limit: int) -> list[Lacking]:
        """Originals and manifests of long-term recordings without a copy in a store, oldest recordings first.

        Pictures and viewing copies are left out: they are made from the original.
        """
        here = recordings.c
        manifest = sa.type_coerce(here.manifest_sha256, sa.Text)
        # By the device's mark, and by what persons said (R11): two questions, each with an index of its own.
        flagged = here.id.in_(sa.select(recording_rules.c.recording).where(recording_rules.c.long_term.is_(True)))
        found: dict[Digest, Lacking] = {}
        for key in (sa.type_coerce(here.sha256, sa.Text), manifest):
            blob = sa.type_coerce(blobs.c.sha256, sa.Text)
            there = sa.exists().where(blob_copies.c.sha256 == blobs.c.sha256, blob_copies.c.store == store)
            for long_term in (here.important.is_(True), flagged):
                statement = (
                    sa.select(blobs.c.sha256, blobs.c.size_bytes)
                    .select_from(recordings.join(blobs, blob == key))
                    .where(long_term, here.state.in_(_KEPT), here.stored_at < stored_before, ~there)
                    .order_by(here.stored_at, here.id)
                    .limit(limit)
                )
                for row in self._db.all(statement):
                    found.setdefault(row["sha256"], Lacking(sha256=row["sha256"], size_bytes=row["size_bytes"]))
        return list(found.values())
