"""The tile "Backup": only a backup that was read back counts, and its age decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from app.backing_up import due
from app.settings import parse
from assurance.health_facts import BackupHope
from assurance.health_of_backup import backup
from catalogue import Catalogue
from catalogue.backups import GOOD, HOME, BackupRow
from evidence.errors import ConfigError

NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(hours: float, outcome: str = GOOD, **changes) -> BackupRow:
    at = NOW - hours * HOUR
    return BackupRow(
        id=f"b{hours}{outcome}", kind=HOME, place="/b", started_at=at, ended_at=at if outcome else None, outcome=outcome,
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "to", "level", "reason"),
    [
        ([], "", "warn", "no-backup-set"),
        ([], "/b", "warn", "no-backup-yet"),
        ([row(1, "store-full")], "/b", "bad", "backup-failed"),
        ([row(1, "")], "/b", "warn", "no-backup-yet"),
        ([row(1)], "/b", "ok", "backed-up"),
        ([row(1)], "", "warn", "no-backup-set"),
        ([row(49)], "/b", "bad", "backup-old"),
        ([row(49)], "", "bad", "backup-old"),
        ([row(49), row(1, "")], "/b", "bad", "backup-old"),
        ([row(49), row(1, "store-unavailable")], "/b", "bad", "backup-old"),
        ([row(20), row(1, "store-unavailable")], "/b", "warn", "backup-failed"),
        ([row(20, "store-unavailable"), row(1)], "/b", "ok", "backed-up"),
        ([row(1, detail="same-domain:disk:vda")], "/b", "warn", "same-disk"),
        ([row(-30)], "/b", "unknown", "backup-ahead"),
    ],
)
def test_what_the_tile_says(sqlite_url, rows, to, level, reason) -> None:
    catalogue = Catalogue.open(sqlite_url, migrate=True)
    with catalogue.begin() as uow:
        for one in rows:
            uow.backups.add(one)
    parts = SimpleNamespace(
        catalogue=catalogue, backup=BackupHope(to=to), clock=SimpleNamespace(now=lambda: SimpleNamespace(wall=NOW))
    )
    (check,) = backup(parts)
    assert (check.name, check.level, check.reason) == ("backup", level, reason)
    catalogue.close()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([row(1)], False),
        ([row(25)], True),
        ([row(25), row(0.5, "store-full")], False),
        ([row(25), row(2, "store-full")], True),
        ([row(25), row(0.5, "process-ended")], True),
        ([row(25), row(0.5, "")], True),
        ([row(-1)], False),
        ([row(-30)], True),
    ],
)
def test_when_a_backup_is_due(rows, expected) -> None:
    assert due(rows, every_hours=24, now=NOW) is expected


@pytest.mark.parametrize(
    "section",
    [
        {"to": "relative/path"},
        {"to": "s3://bucket"},
        {"to": "/b", "encrypt": "passphrase"},
        {"to": "/b", "encrypt": "recipient"},
        {"every_hours": 100},
        {"keep": 0},
    ],
)
def test_settings_that_would_not_serve_are_refused(section) -> None:
    with pytest.raises(ConfigError):
        parse({"backup": section})
