"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES_CHILDREN_FIRST = (
    "recording_texts",
    "recording_names",
    "derivatives",
    "recordings",
    "offloads",
    "web_sessions",
    "role_grants",
    "posts",
    "os_users",
    "disclosures",
    "devices",
    "credentials",
    "blob_holders",
    "blob_copies",
    "units",
    "signers",
    "settings",
    "progress",
    "log_head",
    "findings",
    "entries",
    "clock_marks",
    "blobs",
    "agents",
)


def upgrade() -> None:  # noqa: PLR0915 - a list, not a procedure
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("officer_code", sa.Text(), server_default="", nullable=False),
        sa.Column("login", sa.Text(), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
    )
    op.create_index(
        "uq_agents_login",
        "agents",
        ["login"],
        unique=True,
        sqlite_where=sa.text("login != ''"),
        postgresql_where=sa.text("login != ''"),
    )
    op.create_index(
        "uq_agents_officer_code",
        "agents",
        ["officer_code"],
        unique=True,
        sqlite_where=sa.text("officer_code != '' AND active IS 1"),
        postgresql_where=sa.text("officer_code != '' AND active IS true"),
    )
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("blake3", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name="pk_blobs"),
    )
    op.create_table(
        "clock_marks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_marks_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_clock_marks"),
    )
    op.create_table(
        "entries",
        sa.Column("added", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("added", name="pk_entries"),
        sa.UniqueConstraint("id", name="uq_entries_id"),
        sa.UniqueConstraint("idx", name="uq_entries_idx"),
        sa.UniqueConstraint("key_id", "seq", name="uq_entries_key_id_seq"),
    )
    op.create_index("ix_entries_recording", "entries", ["recording", "added"], unique=False)
    op.create_index(
        "ix_entries_unsequenced",
        "entries",
        ["added"],
        unique=False,
        sqlite_where=sa.text("idx IS NULL"),
        postgresql_where=sa.text("idx IS NULL"),
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), server_default="", nullable=False),
        sa.Column("store", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
    )
    op.create_index(
        "uq_findings_open",
        "findings",
        ["kind", "recording", "store"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("published_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_log_head_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
    )
    op.create_table(
        "progress",
        sa.Column("offload", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("bytes_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("files_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("files_total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rate_bytes_s", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("offload", name="pk_progress"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "signers",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("next_seq", sa.BigInteger(), nullable=False),
        sa.Column("prev", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_signers"),
    )
    op.create_table(
        "units",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["parent"], ["units.id"], name="fk_units_parent"),
        sa.PrimaryKeyConstraint("id", name="pk_units"),
    )
    op.create_table(
        "blob_copies",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), server_default="", nullable=False),
        sa.Column("read_back_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="fk_blob_copies_sha256"),
        sa.PrimaryKeyConstraint("sha256", "store", name="pk_blob_copies"),
    )
    op.create_table(
        "blob_holders",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="fk_blob_holders_sha256"),
        sa.PrimaryKeyConstraint("sha256", "holder", name="pk_blob_holders"),
    )
    op.create_table(
        "credentials",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("failed_count", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_credentials_agent"),
        sa.PrimaryKeyConstraint("agent", name="pk_credentials"),
        sa.UniqueConstraint("login", name="uq_credentials_login"),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("serial_source", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), server_default="", nullable=False),
        sa.Column("model", sa.Text(), server_default="", nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("officer", sa.Text(), nullable=True),
        sa.Column("registered_by", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.BigInteger(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["officer"], ["agents.id"], name="fk_devices_officer"),
        sa.ForeignKeyConstraint(["registered_by"], ["agents.id"], name="fk_devices_registered_by"),
        sa.ForeignKeyConstraint(["unit"], ["units.id"], name="fk_devices_unit"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
    )
    op.create_index("ix_devices_serial", "devices", ["serial", "vendor", "model"], unique=False)
    op.create_table(
        "disclosures",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["entry"], ["entries.id"], name="fk_disclosures_entry"),
        sa.PrimaryKeyConstraint("digest", name="pk_disclosures"),
    )
    op.create_index("ix_disclosures_entry", "disclosures", ["entry"], unique=False)
    op.create_table(
        "os_users",
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_os_users_agent"),
        sa.PrimaryKeyConstraint("uid", name="pk_os_users"),
    )
    op.create_table(
        "posts",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_posts_agent"),
        sa.ForeignKeyConstraint(["unit"], ["units.id"], name="fk_posts_unit"),
        sa.PrimaryKeyConstraint("agent", "unit", "valid_from", name="pk_posts"),
    )
    op.create_table(
        "role_grants",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_role_grants_agent"),
        sa.PrimaryKeyConstraint("agent", "role", "unit", name="pk_role_grants"),
    )
    op.create_table(
        "web_sessions",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_web_sessions_agent"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_web_sessions"),
    )
    op.create_index("ix_web_sessions_agent", "web_sessions", ["agent"], unique=False)
    op.create_index("ix_web_sessions_expires_at", "web_sessions", ["expires_at"], unique=False)
    op.create_table(
        "offloads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("battery_percent", sa.Integer(), nullable=True),
        sa.Column("capacity_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("clock_known", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("clock_plausible", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("clock_offset_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("clock_device_text", sa.Text(), server_default="", nullable=False),
        sa.Column("clock_set", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("waiting", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name="fk_offloads_device"),
        sa.PrimaryKeyConstraint("id", name="pk_offloads"),
    )
    op.create_index("ix_offloads_device", "offloads", ["device", "started_at"], unique=False)
    op.create_index("ix_offloads_started", "offloads", ["started_at"], unique=False)
    op.create_index("ix_offloads_state", "offloads", ["state"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("offload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_storage", sa.Text(), nullable=False),
        sa.Column("source_path", sa.Text(), nullable=False),
        sa.Column("source_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("source_mtime_raw", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("discovered_at", sa.BigInteger(), nullable=False),
        sa.Column("important", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=True),
        sa.Column("attached_to", sa.Text(), nullable=True),
        sa.Column("case_number", sa.Text(), server_default="", nullable=False),
        sa.Column("officer", sa.Text(), nullable=True),
        sa.Column("officer_code", sa.Text(), server_default="", nullable=False),
        sa.Column("officer_source", sa.Text(), server_default="", nullable=False),
        sa.Column("officer_confidence", sa.Text(), server_default="", nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("bytes_acquired", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("sm3", sa.Text(), nullable=True),
        sa.Column("blake3", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("started_source", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", sa.BigInteger(), nullable=True),
        sa.Column("acquired_at", sa.BigInteger(), nullable=True),
        sa.Column("stored_at", sa.BigInteger(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("interrupted_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("duplicate_of", sa.Text(), nullable=True),
        sa.Column("quarantine_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("quarantine_detail", sa.Text(), server_default="", nullable=False),
        sa.Column("manifest_sha256", sa.Text(), server_default="", nullable=False),
        sa.Column("stored_entry", sa.Text(), nullable=True),
        sa.Column("described", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("verdict", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("sort_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["attached_to"], ["recordings.id"], name="fk_recordings_attached_to"),
        sa.ForeignKeyConstraint(["device"], ["devices.id"], name="fk_recordings_device"),
        sa.ForeignKeyConstraint(["duplicate_of"], ["recordings.id"], name="fk_recordings_duplicate_of"),
        sa.ForeignKeyConstraint(["officer"], ["agents.id"], name="fk_recordings_officer"),
        sa.ForeignKeyConstraint(["offload"], ["offloads.id"], name="fk_recordings_offload"),
        sa.ForeignKeyConstraint(["unit"], ["units.id"], name="fk_recordings_unit"),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
    )
    op.create_index(
        "ix_recordings_attached",
        "recordings",
        ["attached_to"],
        unique=False,
        sqlite_where=sa.text("attached_to IS NOT NULL"),
        postgresql_where=sa.text("attached_to IS NOT NULL"),
    )
    op.create_index("ix_recordings_device", "recordings", ["device", "sort_at", "id"], unique=False)
    op.create_index("ix_recordings_officer", "recordings", ["officer", "sort_at", "id"], unique=False)
    op.create_index("ix_recordings_offload", "recordings", ["offload"], unique=False)
    op.create_index("ix_recordings_sha256", "recordings", ["sha256"], unique=False)
    op.create_index("ix_recordings_sort", "recordings", ["sort_at", "id"], unique=False)
    op.create_index("ix_recordings_source", "recordings", ["device", "source_path"], unique=False)
    op.create_index("ix_recordings_state", "recordings", ["state", "deadline_at"], unique=False)
    op.create_index(
        "ix_recordings_undescribed",
        "recordings",
        ["state"],
        unique=False,
        sqlite_where=sa.text("described IS 0"),
        postgresql_where=sa.text("described IS false"),
    )
    for name, columns, condition in (
        ("ix_recordings_quarantined", ["sort_at", "id"], "quarantine_reason != ''"),
        ("ix_recordings_late", ["sort_at", "id"], "stored_at > deadline_at"),
        ("ix_recordings_waiting", ["deadline_at"], "stored_at IS NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "recordings", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_recordings_unit", "recordings", ["unit", "sort_at", "id"], unique=False)
    op.create_table(
        "derivatives",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name="fk_derivatives_recording"),
        sa.PrimaryKeyConstraint("id", name="pk_derivatives"),
    )
    op.create_index("ix_derivatives_recording", "derivatives", ["recording"], unique=False)
    op.create_table(
        "recording_names",
        sa.Column("serial", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("offload", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("important", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["offload"], ["offloads.id"], name="fk_recording_names_offload"),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name="fk_recording_names_recording"),
        sa.PrimaryKeyConstraint("serial", name="pk_recording_names"),
    )
    op.create_index("uq_recording_names", "recording_names", ["recording", "offload", "path", "name"], unique=True)
    op.create_table(
        "recording_texts",
        sa.Column("serial", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.ARRAY(sa.Text()).with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name="fk_recording_texts_recording"),
        sa.PrimaryKeyConstraint("serial", name="pk_recording_texts"),
        sa.UniqueConstraint("recording", name="uq_recording_texts_recording"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_recording_texts_tokens", "recording_texts", ["tokens"], postgresql_using="gin")
    else:
        # Contentless: the words stand in recording_texts already. The ascii tokenizer leaves our own tokens whole.
        op.execute(
            "CREATE VIRTUAL TABLE recording_fts USING fts5("
            "tokens, content='', contentless_delete=1, tokenize='ascii', detail='none')"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE recording_fts")
    for table in TABLES_CHILDREN_FIRST:
        op.drop_table(table)
