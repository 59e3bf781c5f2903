"""Tables about keeping: how stores, rounds, locks, keys and backups stand. Part of :mod:`catalogue.schema`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from catalogue.schema_base import count, flag, metadata, text
from catalogue.types import CanonicalJson, DigestText, UtcMs
from evidence.digest import SHA256

# --- keeping: how stores, rounds and backups stand; no evidence -------------------------------------------------------
store_states = Table(
    "store_states",
    metadata,
    Column("store", Text, primary_key=True),
    # When it last did what it was asked; since when it does not, and the last time and way it did not.
    Column("ok_at", UtcMs),
    Column("failing_since", UtcMs),
    Column("failed_at", UtcMs),
    text("error_code"),
    text("error"),
    count("tries"),
    Column("next_try_at", UtcMs),
    # When every lock that needed it had been moved later.
    Column("renewed_at", UtcMs),
    # What the catalogue said of it when it was last counted.
    count("objects"),
    count("size_bytes"),
    count("behind_objects"),
    count("behind_bytes"),
    Column("oldest_at", UtcMs),
    Column("counted_at", UtcMs),
)

space_samples = Table(
    "space_samples",
    metadata,
    Column("store", Text, primary_key=True),
    Column("at", UtcMs, primary_key=True),
    Column("total_bytes", BigInteger, nullable=False),
    Column("free_bytes", BigInteger, nullable=False),
)

inventories = Table(
    "inventories",
    metadata,
    Column("store", Text, primary_key=True),
    Column("at", UtcMs, primary_key=True),
    Column("objects", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    count("missing"),
    count("unknown"),
    text("outcome"),
)

fixity_rounds = Table(
    "fixity_rounds",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("started_at", UtcMs, nullable=False),
    Column("ended_at", UtcMs),
    count("copies"),
    count("good"),
    count("bad"),
    count("size_bytes"),
    count("done_bytes"),
)

# A store's part of a round.
fixity_stores = Table(
    "fixity_stores",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("store", Text, primary_key=True),
    count("copies"),
    count("good"),
    count("bad"),
    count("size_bytes"),
    count("done_bytes"),
)

copy_locks = Table(
    "copy_locks",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("store", Text, primary_key=True),
    # The date the store was last seen to keep; NULL where it keeps none.
    Column("until", UtcMs),
    Column("set_at", UtcMs, nullable=False),
    # When it is to be looked at again, and whether its date is the last one that is ever given.
    Column("look_at", UtcMs, nullable=False),
    flag("last"),
)
Index("ix_copy_locks_until", copy_locks.c.store, copy_locks.c.last, copy_locks.c.until)
Index("ix_copy_locks_look", copy_locks.c.store, copy_locks.c.look_at)

blob_keys = Table(
    "blob_keys",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("cipher_sha256", DigestText(SHA256), nullable=False, unique=True),
    Column("cipher_size_bytes", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("header", LargeBinary, nullable=False),
    # NULL once it was destroyed with the bytes; its digest stays.
    Column("wrapped", LargeBinary),
    Column("wrapped_sha256", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("made_at", UtcMs, nullable=False),
    Column("destroyed_at", UtcMs),
)

backups = Table(
    "backups",
    metadata,
    Column("id", Text, primary_key=True),
    # ``home`` or ``keys``.
    Column("kind", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("started_at", UtcMs, nullable=False),
    Column("ended_at", UtcMs),
    text("outcome"),
    count("log_size"),
    count("size_bytes"),
    flag("encrypted"),
    text("detail"),
)
Index("ix_backups_ended", backups.c.kind, backups.c.ended_at)

store_moves = Table(
    "store_moves",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", UtcMs, nullable=False),
    Column("switched_at", UtcMs),
    Column("ended_at", UtcMs),
    text("detail"),
)

# The brake: one row, made when it is first asked for; and how much was removed in which hour.
brakes = Table(
    "brakes",
    metadata,
    Column("id", Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    flag("pulled"),
    text("cause"),
    text("agent"),
    text("detail"),
    Column("since", UtcMs),
)

removal_hours = Table(
    "removal_hours",
    metadata,
    Column("hour", UtcMs, primary_key=True, autoincrement=False),
    count("objects"),
    count("size_bytes"),
    # As ``objects``, never set back to nothing.
    count("all_objects"),
)

# --- references: who brings bytes in, who keeps them from going, what goes; no evidence -------------------------------
removals = Table(
    "removals",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("recording", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False),
    # ``waiting`` for a date, or ``removing``: past the point of no return.
    Column("state", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("copies", CanonicalJson, nullable=False, server_default="[]"),
    Column("begun_at", UtcMs, nullable=False),
    Column("until", UtcMs),
    text("key_sha256"),
    text("error"),
    # Duplicates that are given up in the same act.
    Column("together", CanonicalJson, nullable=False, server_default="[]"),
)

blob_claims = Table(
    "blob_claims",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("until", UtcMs, nullable=False, index=True),
)

blob_holds = Table(
    "blob_holds",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("at", UtcMs, nullable=False),
)

stray_blobs = Table(
    "stray_blobs",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("store", Text, primary_key=True),
    Column("seen_at", UtcMs, nullable=False),
)
