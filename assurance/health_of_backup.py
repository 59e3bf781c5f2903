"""Whether a backup of database, keys and log could bring this home back: the age of the newest one that was read back.

Only a backup that was read back to its last byte counts; one that is under way, or died, does not make an older one any younger.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from assurance.health_facts import Check, HealthParts, Level
from catalogue.backups import GOOD, HOME

_HOUR: Final = timedelta(hours=1)
#: How a backup's row says that target and home lie on one disk.
SAME_DOMAIN: Final = "same-domain"
_RECENT: Final = 50


def backup(parts: HealthParts) -> Iterator[Check]:
    """The newest good backup of the home; red when there is none that is young enough."""
    wanted = parts.backup
    with parts.catalogue.read() as uow:
        newest = uow.backups.newest(HOME)
        tries = uow.backups.recent(HOME, limit=_RECENT)
    failed = [row for row in tries if row.outcome and row.outcome != GOOD]
    if newest is None or newest.ended_at is None:
        if not wanted.to:
            yield Check(name="backup", level=Level.WARN, reason="no-backup-set")
        elif failed:
            yield Check(name="backup", level=Level.BAD, reason="backup-failed", values={"error": failed[0].outcome})
        else:
            yield Check(name="backup", level=Level.WARN, reason="no-backup-yet")
        return
    age = parts.clock.now().wall - newest.started_at
    values: dict[str, str | int] = {
        "age_hours": age // _HOUR, "alarm_hours": wanted.alarm_hours, "size_bytes": newest.size_bytes,
    }  # fmt: skip
    if age < -_HOUR:
        yield Check(name="backup", level=Level.UNKNOWN, reason="backup-ahead", values=values)
    elif age > wanted.alarm_hours * _HOUR:
        yield Check(name="backup", level=Level.BAD, reason="backup-old", values=values)
    elif failed and failed[0].started_at > newest.started_at:
        values["error"] = failed[0].outcome
        yield Check(name="backup", level=Level.WARN, reason="backup-failed", values=values)
    elif not wanted.to:
        yield Check(name="backup", level=Level.WARN, reason="no-backup-set", values=values)
    elif SAME_DOMAIN in newest.detail:
        yield Check(name="backup", level=Level.WARN, reason="same-disk", values=values)
    else:
        yield Check(name="backup", level=Level.OK, reason="backed-up", values=values)
