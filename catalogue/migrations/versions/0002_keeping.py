"""Keeping: the state of stores, rounds, inventories, locks, data keys, backups and moves."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("blob_copies") as table:
        table.add_column(sa.Column("checked_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("outcome", sa.Text(), server_default="", nullable=False))
    op.execute(sa.text("UPDATE blob_copies SET checked_at = read_back_at"))
    op.create_index("ix_blob_copies_checked", "blob_copies", ["store", "checked_at"])
    op.create_index(
        "ix_blob_copies_bad", "blob_copies", ["sha256", "store"], sqlite_where=sa.text("outcome != ''"),
        postgresql_where=sa.text("outcome != ''"),
    )  # fmt: skip
    op.create_table(
        "store_states",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("ok_at", sa.BigInteger(), nullable=True),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("tries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("renewed_at", sa.BigInteger(), nullable=True),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("behind_objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("behind_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("oldest_at", sa.BigInteger(), nullable=True),
        sa.Column("counted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store", name="pk_store_states"),
    )
    op.create_table(
        "space_samples",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.Column("free_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "at", name="pk_space_samples"),
    )
    op.create_table(
        "inventories",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("missing", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unknown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("store", "at", name="pk_inventories"),
    )
    op.create_table(
        "fixity_rounds",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("copies", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("good", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bad", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_fixity_rounds"),
    )
    op.create_table(
        "fixity_stores",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("copies", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("good", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bad", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("number", "store", name="pk_fixity_stores"),
    )
    op.create_table(
        "copy_locks",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "store", name="pk_copy_locks"),
    )
    op.create_index("ix_copy_locks_until", "copy_locks", ["store", "last", "until"])
    op.create_index("ix_copy_locks_look", "copy_locks", ["store", "look_at"])
    copies = "SELECT sha256, store, COALESCE(read_back_at, 0), COALESCE(read_back_at, 0) FROM blob_copies"
    op.execute(sa.text(f"INSERT INTO copy_locks (sha256, store, set_at, look_at) {copies}"))
    op.create_table(
        "blob_keys",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("cipher_sha256", sa.Text(), nullable=False),
        sa.Column("cipher_size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_sha256", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob_keys"),
        sa.UniqueConstraint("cipher_sha256", name="uq_blob_keys_cipher_sha256"),
    )
    op.create_table(
        "backups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("log_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("encrypted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backups"),
    )
    op.create_index("ix_backups_ended", "backups", ["kind", "ended_at"])
    op.create_table(
        "store_moves",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("switched_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store_moves"),
    )
    op.create_table(
        "brakes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pulled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("agent", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_brakes_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_brakes"),
    )
    op.create_table(
        "removal_hours",
        sa.Column("hour", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("all_objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("hour", name="pk_removal_hours"),
    )
    op.create_table(
        "removals",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("recording", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("copies", sa.Text(), server_default="[]", nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("key_sha256", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("together", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_removals"),
    )
    op.create_table(
        "blob_claims",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blob_claims"),
    )
    op.create_index("ix_blob_claims_until", "blob_claims", ["until"])
    op.create_table(
        "blob_holds",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "reference", name="pk_blob_holds"),
    )
    op.create_table(
        "stray_blobs",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "store", name="pk_stray_blobs"),
    )


def downgrade() -> None:
    op.drop_table("stray_blobs")
    op.drop_table("blob_holds")
    op.drop_index("ix_blob_claims_until", "blob_claims")
    op.drop_table("blob_claims")
    op.drop_table("removals")
    op.drop_table("removal_hours")
    op.drop_table("brakes")
    op.drop_table("store_moves")
    op.drop_table("backups")
    op.drop_table("blob_keys")
    op.drop_table("copy_locks")
    op.drop_table("fixity_stores")
    op.drop_table("fixity_rounds")
    op.drop_table("inventories")
    op.drop_table("space_samples")
    op.drop_table("store_states")
    op.drop_index("ix_blob_copies_bad", "blob_copies")
    op.drop_index("ix_blob_copies_checked", "blob_copies")
    with op.batch_alter_table("blob_copies") as table:
        table.drop_column("outcome")
        table.drop_column("checked_at")
