"""The rules: matters, their links and documents, and what they say of each recording."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entries", sa.Column("matter", sa.Text(), server_default="", nullable=False))
    op.create_index(
        "ix_entries_matter", "entries", ["matter", "added"], sqlite_where=sa.text("matter != ''"),
        postgresql_where=sa.text("matter != ''"),
    )  # fmt: skip
    op.create_index(
        "ix_entries_refused", "entries", ["at"], sqlite_where=sa.text("event_type = 'access.denied'"),
        postgresql_where=sa.text("event_type = 'access.denied'"),
    )  # fmt: skip
    op.create_table(
        "matters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("opened_by", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("words", sa.Text(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["unit"], ["units.id"], name="fk_matters_unit"),
        sa.PrimaryKeyConstraint("id", name="pk_matters"),
        sa.UniqueConstraint("kind", "number", name="uq_matters_kind_number"),
        sa.CheckConstraint(
            "approved_by IS NULL OR proposed_by IS NULL OR approved_by <> proposed_by",
            name=op.f("ck_matters_two_persons"),
        ),
    )
    op.create_index(
        "ix_matters_due",
        "matters",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL AND closed_at IS NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL AND closed_at IS NULL"),
    )
    op.create_index("ix_matters_kind", "matters", ["kind", "state", "id"])
    op.create_index("ix_matters_unit", "matters", ["unit", "kind", "id"])
    op.create_table(
        "matter_numbers",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", name="pk_matter_numbers"),
    )
    op.create_table(
        "matter_persons",
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["matter"], ["matters.id"], name="fk_matter_persons_matter"),
        sa.PrimaryKeyConstraint("matter", "role", "agent", name="pk_matter_persons"),
    )
    op.create_index("ix_matter_persons_agent", "matter_persons", ["agent", "role"])
    op.create_table(
        "matter_links",
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["matter"], ["matters.id"], name="fk_matter_links_matter"),
        sa.PrimaryKeyConstraint("matter", "role", "target", "key", name="pk_matter_links"),
    )
    op.create_index("ix_matter_links_target", "matter_links", ["target", "role"])
    op.create_table(
        "matter_documents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("filed_by", sa.Text(), nullable=True),
        sa.Column("filed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["matter"], ["matters.id"], name="fk_matter_documents_matter"),
        sa.PrimaryKeyConstraint("id", name="pk_matter_documents"),
    )
    op.create_index("ix_matter_documents_matter", "matter_documents", ["matter"])
    op.create_table(
        "recording_rules",
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), server_default="", nullable=False),
        sa.Column("item", sa.Text(), server_default="", nullable=False),
        sa.Column("basis", sa.Text(), server_default="", nullable=False),
        sa.Column("classified_at", sa.BigInteger(), nullable=True),
        sa.Column("classified_by", sa.Text(), nullable=True),
        sa.Column("complaint", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("obstruction", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("sensitive", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("long_term", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("archived_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("disposing_at", sa.BigInteger(), nullable=True),
        sa.Column("disposed_at", sa.BigInteger(), nullable=True),
        sa.Column("disposal", sa.Text(), nullable=True),
        sa.Column("disposed_entry", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["disposal"], ["matters.id"], name="fk_recording_rules_disposal"),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name="fk_recording_rules_recording"),
        sa.PrimaryKeyConstraint("recording", name="pk_recording_rules"),
    )
    op.create_index("ix_recording_rules_disposal", "recording_rules", ["disposal"])
    op.create_index("ix_recording_rules_category", "recording_rules", ["category", "recording"])
    op.create_index(
        "ix_recording_rules_long_term",
        "recording_rules",
        ["recording"],
        sqlite_where=sa.text("long_term IS 1"),
        postgresql_where=sa.text("long_term IS true"),
    )
    op.create_table(
        "rule_dates",
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("last_day", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="[]", nullable=False),
        sa.Column("schedule", sa.Text(), server_default="", nullable=False),
        sa.Column("computed_at", sa.BigInteger(), nullable=True),
        sa.Column("stale", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["recording"], ["recordings.id"], name="fk_rule_dates_recording"),
        sa.PrimaryKeyConstraint("recording", name="pk_rule_dates"),
    )
    op.create_index(
        "ix_rule_dates_due",
        "rule_dates",
        ["due_at", "recording"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_rule_dates_stale",
        "rule_dates",
        ["recording"],
        sqlite_where=sa.text("stale IS 1"),
        postgresql_where=sa.text("stale IS true"),
    )
    op.create_table(
        "store_holds",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "store", "reference", name="pk_store_holds"),
    )
    op.create_index("ix_store_holds_reference", "store_holds", ["reference"])


def downgrade() -> None:
    for table in (
        "store_holds",
        "rule_dates",
        "recording_rules",
        "matter_documents",
        "matter_links",
        "matter_persons",
        "matter_numbers",
        "matters",
    ):
        op.drop_table(table)
    op.drop_index("ix_entries_refused", "entries")
    op.drop_index("ix_entries_matter", "entries")
    with op.batch_alter_table("entries") as table:
        table.drop_column("matter")
