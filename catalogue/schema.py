"""Tables of the catalogue: one metadata for SQLite and PostgreSQL.

What is evidence (recordings, names, blobs, entries, disclosures, people, devices, offloads, derivatives) can be rebuilt
from log, manifests and disclosures; sessions, progress and settings cannot and need not. ``log_head`` and ``clock_marks``
have one row each. On SQLite a full-text table ``recording_fts`` stands beside ``recording_texts``; the migration makes it,
because it is not an ordinary table.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from catalogue.schema_base import NOTHING, REFUSED, metadata
from catalogue.schema_base import count as _count
from catalogue.schema_base import flag as _flag
from catalogue.schema_base import text as _text
from catalogue.schema_of_keeping import (
    backups,
    blob_claims,
    blob_holds,
    blob_keys,
    brakes,
    copy_locks,
    fixity_rounds,
    fixity_stores,
    inventories,
    removal_hours,
    removals,
    space_samples,
    store_moves,
    store_states,
    stray_blobs,
)
from catalogue.schema_of_rules import (
    matter_documents,
    matter_links,
    matter_numbers,
    matter_persons,
    matters,
    recording_rules,
    rule_dates,
    store_holds,
)
from catalogue.types import SERIAL, TOKENS, CanonicalJson, DigestText, EnumText, IdText, UtcMs
from evidence.digest import BLAKE3, SHA256, SM3
from evidence.ids import AgentId, DerivativeId, DeviceId, EntryId, FindingId, OffloadId, RecordingId, UnitId
from evidence.model import DeviceState, OffloadState, RecordingKind, RecordingState, Verdict

#: Every table of the catalogue is found here.
__all__ = [
    "NOTHING",
    "REFUSED",
    "agents",
    "backups",
    "blob_claims",
    "blob_copies",
    "blob_holders",
    "blob_holds",
    "blob_keys",
    "blobs",
    "brakes",
    "clock_marks",
    "copy_locks",
    "credentials",
    "derivatives",
    "devices",
    "disclosures",
    "entries",
    "findings",
    "fixity_rounds",
    "fixity_stores",
    "inventories",
    "log_head",
    "matter_documents",
    "matter_links",
    "matter_numbers",
    "matter_persons",
    "matters",
    "metadata",
    "offloads",
    "os_users",
    "posts",
    "progress",
    "recording_names",
    "recording_rules",
    "recording_texts",
    "recordings",
    "removal_hours",
    "removals",
    "role_grants",
    "rule_dates",
    "settings",
    "signers",
    "space_samples",
    "store_holds",
    "store_moves",
    "store_states",
    "stray_blobs",
    "units",
    "web_sessions",
]

# --- people -----------------------------------------------------------------------------------------------------------
units = Table(
    "units",
    metadata,
    Column("id", IdText(UnitId), primary_key=True),
    Column("name", Text, nullable=False),
    _text("code"),
    Column("parent", IdText(UnitId), ForeignKey("units.id")),
    Column("valid_from", UtcMs, nullable=False),
    Column("valid_to", UtcMs),
)

agents = Table(
    "agents",
    metadata,
    Column("id", IdText(AgentId), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    _text("officer_code"),
    _text("login"),
    Column("active", Boolean, nullable=False, server_default=sa.true()),
)
# Two people must never answer to one log-in, nor two active officers to one code in a file name.
Index(
    "uq_agents_login",
    agents.c.login,
    unique=True,
    sqlite_where=agents.c.login != "",
    postgresql_where=agents.c.login != "",
)
Index(
    "uq_agents_officer_code",
    agents.c.officer_code,
    unique=True,
    sqlite_where=sa.and_(agents.c.officer_code != "", agents.c.active.is_(True)),
    postgresql_where=sa.and_(agents.c.officer_code != "", agents.c.active.is_(True)),
)

posts = Table(
    "posts",
    metadata,
    Column("agent", IdText(AgentId), ForeignKey("agents.id"), primary_key=True),
    Column("unit", IdText(UnitId), ForeignKey("units.id"), primary_key=True),
    Column("valid_from", UtcMs, primary_key=True),
    Column("valid_to", UtcMs),
)

role_grants = Table(
    "role_grants",
    metadata,
    Column("agent", IdText(AgentId), ForeignKey("agents.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    # Empty means everywhere: NULL cannot stand in a key.
    Column("unit", Text, primary_key=True, server_default=""),
)

credentials = Table(
    "credentials",
    metadata,
    Column("agent", IdText(AgentId), ForeignKey("agents.id"), primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("failed_count", Integer, nullable=False),
    Column("locked_until", UtcMs),
)

os_users = Table(
    "os_users",
    metadata,
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", IdText(AgentId), ForeignKey("agents.id"), nullable=False),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("agent", IdText(AgentId), ForeignKey("agents.id"), nullable=False, index=True),
    Column("csrf", Text, nullable=False),
    Column("created_at", UtcMs, nullable=False),
    Column("seen_at", UtcMs, nullable=False),
    Column("expires_at", UtcMs, nullable=False, index=True),
    _text("address"),
)

# --- devices ----------------------------------------------------------------------------------------------------------
devices = Table(
    "devices",
    metadata,
    Column("id", IdText(DeviceId), primary_key=True),
    Column("state", EnumText(DeviceState), nullable=False),
    Column("driver", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("serial_source", Text, nullable=False),
    _text("vendor"),
    _text("model"),
    _text("label"),
    Column("unit", IdText(UnitId), ForeignKey("units.id")),
    Column("officer", IdText(AgentId), ForeignKey("agents.id")),
    Column("registered_by", IdText(AgentId), ForeignKey("agents.id")),
    Column("registered_at", UtcMs),
    Column("first_seen_at", UtcMs, nullable=False),
    Column("last_seen_at", UtcMs, nullable=False),
)
# Not unique: two recorders with one serial exist in the field and must both have a row until a person decides.
Index("ix_devices_serial", devices.c.serial, devices.c.vendor, devices.c.model)

offloads = Table(
    "offloads",
    metadata,
    Column("id", IdText(OffloadId), primary_key=True),
    Column("device", IdText(DeviceId), ForeignKey("devices.id"), nullable=False),
    Column("state", EnumText(OffloadState), nullable=False),
    Column("driver", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("started_at", UtcMs, nullable=False),
    Column("ended_at", UtcMs),
    Column("battery_percent", Integer),
    Column("capacity_bytes", BigInteger),
    Column("free_bytes", BigInteger),
    _flag("clock_known"),
    _flag("clock_plausible"),
    _count("clock_offset_ms"),
    _text("clock_device_text"),
    _flag("clock_set"),
    _text("message"),
    Column("waiting", CanonicalJson, nullable=False, server_default="[]"),
)
Index("ix_offloads_device", offloads.c.device, offloads.c.started_at)
Index("ix_offloads_started", offloads.c.started_at)
Index("ix_offloads_state", offloads.c.state)

# --- recordings -------------------------------------------------------------------------------------------------------
recordings = Table(
    "recordings",
    metadata,
    Column("id", IdText(RecordingId), primary_key=True),
    Column("device", IdText(DeviceId), ForeignKey("devices.id"), nullable=False),
    Column("offload", IdText(OffloadId), ForeignKey("offloads.id"), nullable=False),
    Column("state", EnumText(RecordingState), nullable=False),
    Column("kind", EnumText(RecordingKind), nullable=False),
    _text("pattern"),
    Column("name", Text, nullable=False),
    Column("source_storage", Text, nullable=False),
    Column("source_path", Text, nullable=False),
    Column("source_size_bytes", BigInteger, nullable=False),
    Column("source_mtime_raw", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("discovered_at", UtcMs, nullable=False),
    _flag("important"),
    Column("counter", BigInteger),
    Column("attached_to", IdText(RecordingId), ForeignKey("recordings.id")),
    _text("case_number"),
    Column("officer", IdText(AgentId), ForeignKey("agents.id")),
    _text("officer_code"),
    _text("officer_source"),
    _text("officer_confidence"),
    Column("unit", IdText(UnitId), ForeignKey("units.id")),
    _count("bytes_acquired"),
    Column("sha256", DigestText(SHA256)),
    Column("sm3", DigestText(SM3)),
    Column("blake3", DigestText(BLAKE3)),
    Column("started_at", UtcMs),
    _text("started_source"),
    Column("ended_at", UtcMs),
    Column("duration_ms", BigInteger),
    Column("deadline_at", UtcMs),
    Column("acquired_at", UtcMs),
    Column("stored_at", UtcMs),
    Column("released_at", UtcMs),
    _text("interrupted_reason"),
    Column("duplicate_of", IdText(RecordingId), ForeignKey("recordings.id")),
    _text("quarantine_reason"),
    _text("quarantine_detail"),
    _text("manifest_sha256"),
    # No foreign key: a pointer to a missing entry must be seen and reported (never sealed), not be impossible to state.
    Column("stored_entry", IdText(EntryId)),
    _flag("described"),
    Column("verdict", EnumText(Verdict), nullable=False, server_default=Verdict.UNKNOWN.value),
    Column("facts", CanonicalJson, nullable=False, server_default="{}"),
    # Not a fact of its own: the start where known, else the discovery. Lists are ordered by it.
    Column("sort_at", UtcMs, nullable=False),
)
Index("ix_recordings_sort", recordings.c.sort_at, recordings.c.id)
Index("ix_recordings_unit", recordings.c.unit, recordings.c.sort_at, recordings.c.id)
Index("ix_recordings_officer", recordings.c.officer, recordings.c.sort_at, recordings.c.id)
Index("ix_recordings_device", recordings.c.device, recordings.c.sort_at, recordings.c.id)
Index("ix_recordings_offload", recordings.c.offload)
Index("ix_recordings_state", recordings.c.state, recordings.c.deadline_at)
Index("ix_recordings_source", recordings.c.device, recordings.c.source_path)
Index("ix_recordings_sha256", recordings.c.sha256)
Index(
    "ix_recordings_attached",
    recordings.c.attached_to,
    sqlite_where=recordings.c.attached_to.is_not(None),
    postgresql_where=recordings.c.attached_to.is_not(None),
)
Index(
    "ix_recordings_undescribed",
    recordings.c.state,
    sqlite_where=recordings.c.described.is_(False),
    postgresql_where=recordings.c.described.is_(False),
)

for _name, _columns, _condition in (
    ("ix_recordings_quarantined", (recordings.c.sort_at, recordings.c.id), recordings.c.quarantine_reason != NOTHING),
    ("ix_recordings_late", (recordings.c.sort_at, recordings.c.id), recordings.c.stored_at > recordings.c.deadline_at),
    ("ix_recordings_waiting", (recordings.c.deadline_at,), recordings.c.stored_at.is_(None)),
):
    Index(_name, *_columns, sqlite_where=_condition, postgresql_where=_condition)

recording_names = Table(
    "recording_names",
    metadata,
    Column("serial", SERIAL, primary_key=True),
    Column("recording", IdText(RecordingId), ForeignKey("recordings.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("offload", IdText(OffloadId), ForeignKey("offloads.id"), nullable=False),
    Column("seen_at", UtcMs, nullable=False),
    _flag("important"),
)
Index(
    "uq_recording_names",
    recording_names.c.recording,
    recording_names.c.offload,
    recording_names.c.path,
    recording_names.c.name,
    unique=True,
)

recording_texts = Table(
    "recording_texts",
    metadata,
    Column("serial", SERIAL, primary_key=True),
    Column("recording", IdText(RecordingId), ForeignKey("recordings.id"), nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("tokens", TOKENS),
)
Index("ix_recording_texts_tokens", recording_texts.c.tokens, postgresql_using="gin").ddl_if(dialect="postgresql")

derivatives = Table(
    "derivatives",
    metadata,
    Column("id", IdText(DerivativeId), primary_key=True),
    Column("recording", IdText(RecordingId), ForeignKey("recordings.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("sha256", DigestText(SHA256), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("recipe", CanonicalJson, nullable=False),
    Column("made_at", UtcMs, nullable=False),
)

# --- blobs ------------------------------------------------------------------------------------------------------------
blobs = Table(
    "blobs",
    metadata,
    Column("sha256", DigestText(SHA256), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("blake3", DigestText(BLAKE3)),
)

blob_copies = Table(
    "blob_copies",
    metadata,
    Column("sha256", DigestText(SHA256), ForeignKey("blobs.sha256"), primary_key=True),
    Column("store", Text, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("key", Text, nullable=False),
    _text("version"),
    Column("read_back_at", UtcMs),
    # When it was last looked at, and what came of it (empty: it matched): no fact about evidence, only the order of the work.
    Column("checked_at", UtcMs),
    _text("outcome"),
)
Index("ix_blob_copies_checked", blob_copies.c.store, blob_copies.c.checked_at)
Index(
    "ix_blob_copies_bad",
    blob_copies.c.sha256,
    blob_copies.c.store,
    sqlite_where=blob_copies.c.outcome != NOTHING,
    postgresql_where=blob_copies.c.outcome != NOTHING,
)

blob_holders = Table(
    "blob_holders",
    metadata,
    Column("sha256", DigestText(SHA256), ForeignKey("blobs.sha256"), primary_key=True),
    Column("holder", Text, primary_key=True),
)

# --- custody log ------------------------------------------------------------------------------------------------------
entries = Table(
    "entries",
    metadata,
    # Grows while the signer's row is locked, so within one signer it grows with ``seq``.
    Column("added", SERIAL, primary_key=True),
    Column("id", IdText(EntryId), nullable=False, unique=True),
    Column("event_type", Text, nullable=False),
    _text("recording"),
    _text("actor"),
    Column("at", UtcMs, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("leaf_sha256", LargeBinary, nullable=False),
    Column("idx", BigInteger, unique=True),
    _text("matter"),
    sa.UniqueConstraint("key_id", "seq"),
)
Index("ix_entries_recording", entries.c.recording, entries.c.added)
Index(
    "ix_entries_matter",
    entries.c.matter,
    entries.c.added,
    sqlite_where=entries.c.matter != NOTHING,
    postgresql_where=entries.c.matter != NOTHING,
)
Index(
    "ix_entries_refused",
    entries.c.at,
    sqlite_where=entries.c.event_type == REFUSED,
    postgresql_where=entries.c.event_type == REFUSED,
)
Index(
    "ix_entries_unsequenced",
    entries.c.added,
    sqlite_where=entries.c.idx.is_(None),
    postgresql_where=entries.c.idx.is_(None),
)

signers = Table(
    "signers",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("prev", Text, nullable=False),
)

disclosures = Table(
    "disclosures",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("entry", IdText(EntryId), ForeignKey("entries.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    # NULL once lawfully erased; the digest in the leaf stays.
    Column("text", Text),
    Column("erased_at", UtcMs),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    _count("published_size"),
)

# --- findings and running state ---------------------------------------------------------------------------------------
findings = Table(
    "findings",
    metadata,
    Column("id", IdText(FindingId), primary_key=True),
    Column("kind", Text, nullable=False),
    _text("recording"),
    _text("store"),
    _text("detail"),
    Column("raised_at", UtcMs, nullable=False),
    Column("closed_at", UtcMs),
)
Index(
    "uq_findings_open",
    findings.c.kind,
    findings.c.recording,
    findings.c.store,
    unique=True,
    sqlite_where=findings.c.closed_at.is_(None),
    postgresql_where=findings.c.closed_at.is_(None),
)

progress = Table(
    "progress",
    metadata,
    Column("offload", IdText(OffloadId), primary_key=True),
    Column("recording", IdText(RecordingId)),
    Column("stage", Text, nullable=False),
    _count("bytes_done"),
    _count("bytes_total"),
    _count("files_done"),
    _count("files_total"),
    _count("rate_bytes_s"),
    Column("updated_at", UtcMs, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

clock_marks = Table(
    "clock_marks",
    metadata,
    Column("id", Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("at", UtcMs, nullable=False),
)
