"""Rows of good backups against the entries about them: what the health page believes must be what somebody signed.

Source: docs/invariants.md 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from assurance.registry import Registry
from assurance.report import Finding
from catalogue import UnitOfWork
from catalogue.backups import GOOD, HOME, KEYS, BackupRow

#: More rows than a backup each hour makes in a century.
_ROWS_MAX: Final = 1_000_000
#: Entries tell whole milliseconds.
_ROUNDED: Final = timedelta(seconds=1)


def check_backups(uow: UnitOfWork, told: Registry) -> Iterator[Finding]:
    """Good backups that no entry tells of, or tells of otherwise. Failed ones have no entry and are believed by nobody."""
    for row in uow.backups.recent(HOME, limit=_ROWS_MAX):
        if row.outcome == GOOD and (wrong := _home(row, told)):
            yield _differs(row, wrong)
    bundles = {f"keys-{digest[:16]}": at for digest, at, _ in told.key_backups}
    for row in uow.backups.recent(KEYS, limit=_ROWS_MAX):
        if row.outcome != GOOD:
            continue
        if row.id not in bundles:
            yield _differs(row, "no entry")
        elif row.started_at > bundles[row.id] + _ROUNDED:
            yield _differs(row, "started_at")


def _home(row: BackupRow, told: Registry) -> str:
    entered = told.backups.get(row.id)
    if entered is None:
        return "" if row.id in told.restored else "no entry"
    at, log_size, size_bytes = entered
    if row.started_at > at + _ROUNDED:
        return "started_at"
    if row.log_size != log_size:
        return "log_size"
    return "size_bytes" if row.size_bytes != size_bytes else ""


def _differs(row: BackupRow, what: str) -> Finding:
    detail = f"the {row.kind} backup {row.id[:64]} is not what the log says: {what}"
    return Finding(kind="catalogue-differs", detail=detail)
