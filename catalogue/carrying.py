"""What a restored home keeps of its backup beside the evidence: passwords, settings, findings, how rounds and the brake stood.

Evidence comes from the log and nowhere else, so that nothing disposed of comes back with an old database. What was under way on
the day of the backup does not come over either: a removal that was called off since would be carried out. Every table is named in
exactly one of the three sets below (a test holds it to that); rows that the rebuilt catalogue has already are left as they are.

Source: docs/adr/0011-restore.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from catalogue.catalogue import Catalogue
from catalogue.db import Db
from catalogue.schema import agents, blob_copies, blobs
from catalogue.schema_base import metadata
from catalogue.unit_of_work import UnitOfWork

#: Rebuilt from log, manifests and disclosures.
EVIDENCE: Final = frozenset({
    "units", "agents", "posts", "role_grants", "devices", "offloads", "recordings", "recording_names", "derivatives", "blobs",
    "blob_copies", "blob_holders", "entries", "signers", "disclosures", "log_head", "matters", "matter_numbers",
    "matter_persons", "matter_links", "matter_documents", "recording_rules",
})  # fmt: skip
#: Comes over.
CARRIED: Final = (
    "credentials", "settings", "findings", "clock_marks", "space_samples", "inventories", "fixity_rounds", "fixity_stores",
    "copy_locks", "blob_holds", "store_holds", "backups", "brakes", "removal_hours",
)  # fmt: skip
#: How stores answered and what was under way on another day, accounts of another machine, keys that may be destroyed.
NOT_TRUE_ANY_MORE: Final = frozenset({
    "store_states", "os_users", "removals", "blob_claims", "stray_blobs", "store_moves", "blob_keys", "web_sessions", "progress",
    "recording_texts", "rule_dates",
})  # fmt: skip
_ROWS_AT_ONCE: Final = 500


def carry_over(old: Catalogue, fresh: Catalogue) -> dict[str, int]:
    """Copy what is no evidence from ``old`` into ``fresh``, which holds the evidence already. Durable on return.

    Returns:
        Rows that came over, by table.
    """
    people = _keys(fresh, sa.select(agents.c.id))
    known = _keys(fresh, sa.select(blobs.c.sha256))
    keep: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "credentials": lambda row: row["agent"] in people,
        "blob_holds": lambda row: row["sha256"] in known,
        "store_holds": lambda row: row["sha256"] in known,
        "copy_locks": lambda row: row["sha256"] in known,
    }
    came: dict[str, int] = {}
    for name in CARRIED:
        came[name] = _copy(old, fresh, metadata.tables[name], keep.get(name, lambda _row: True))
    came["blob_copies"] = _carry_looks(old, fresh)
    return {name: count for name, count in came.items() if count}


def _keys(catalogue: Catalogue, statement: sa.Select[Any]) -> set[Any]:
    with catalogue.read() as uow:
        return {next(iter(row.values())) for row in db_of(uow).all(statement)}


def db_of(uow: UnitOfWork) -> Db:
    """The transaction's statements, for whoever copies whole tables."""
    return uow._db  # noqa: SLF001 - the same room


def _copy(
    old: Catalogue, fresh: Catalogue, table: sa.Table, keep: Callable[[Mapping[str, Any]], bool]
) -> int:  # fmt: skip
    with old.read() as before:
        rows = [row for row in db_of(before).all(sa.select(table)) if keep(row)]
    came = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        with fresh.begin() as uow:
            came += sum(db_of(uow).insert_new(table, row) for row in rows[start : start + _ROWS_AT_ONCE])
    return came


def _carry_looks(old: Catalogue, fresh: Catalogue) -> int:
    """When each copy was last looked at: the next round goes on with the one that waits longest."""
    here = blob_copies.c
    statement = (
        blob_copies.update()
        .where(here.sha256 == sa.bindparam("of"), here.store == sa.bindparam("at_store"))
        .values(checked_at=sa.bindparam("looked_at"), outcome=sa.bindparam("came"))
    )
    with old.read() as before:
        rows = db_of(before).all(
            sa.select(here.sha256, here.store, here.checked_at, here.outcome).where(here.checked_at.is_not(None))
        )
    told = [
        {"of": row["sha256"], "at_store": row["store"], "looked_at": row["checked_at"], "came": row["outcome"]}
        for row in rows
    ]
    for start in range(0, len(told), _ROWS_AT_ONCE):
        with fresh.begin() as uow:
            db_of(uow).execute(statement, told[start : start + _ROWS_AT_ONCE])
    return len(told)
