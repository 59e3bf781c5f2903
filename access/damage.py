"""Which findings say that bytes or records are not what was sealed: a recording with one of them never looks whole.

The same kinds that make a whole verification say "tampered", and copies that a medium no longer gives back; a test keeps both
lists one.

Source: docs/invariants.md 3, 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalogue.records import FindingRow

#: About one stored copy: the other copies may well be sound.
OF_COPIES: Final = frozenset({"copy-damaged", "copy-missing", "copy-bad", "lock-record", "key-missing"})
KINDS: Final = OF_COPIES | {
    "all-copies-bad",
    "log-invalid",
    "log-replicas-differ",
    "log-not-in-database",
    "entry-invalid",
    "entry-signature",
    "entry-differs",
    "entry-missing",
    "signer-differs",
    "log-rolled-back",
    "disclosure-differs",
    "catalogue-differs",
    "catalogue-unreadable",
    "recording-unknown",
    "recording-missing",
    "blob-unrecorded",
    "manifest-invalid",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """How many such findings are open, and when the last of them was raised."""

    open: int = 0
    last_at: datetime | None = None


def summed(findings: Sequence[FindingRow]) -> Damage:
    """The findings of these that are damage, counted."""
    grave = [row.raised_at for row in findings if row.kind in KINDS]
    return Damage(open=len(grave), last_at=max(grave, default=None))
