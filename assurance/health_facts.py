"""One fact about this installation with its judgement, and what the looks at it are given (``assurance.health``).

A look is a function in a file of its own (``health_of_<thing>.py``); ``assurance.health`` makes them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from assurance.asking import Ask, ask_now
from assurance.fixity import FixityPolicy
from assurance.keys_state import KeyParts
from assurance.verify import CopyPolicy
from catalogue import Catalogue
from chain_of_custody.checkpoint import NoteVerifier
from evidence.clock import Clock
from evidence.limits import FREE_SPACE_FLOOR_BYTES
from evidence.lock_dates import LockPolicy
from evidence.log_place import LogPlace
from evidence.ports import BlobStore, JobEngine

#: Why nothing is known of what does not answer at once.
NO_ANSWER_YET: Final = "no-answer-yet"


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One fact. ``subject`` is what it is about (a store's name); ``values`` are the measured numbers and words."""

    name: str
    level: Level
    reason: str
    subject: str = ""
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupHope:
    """What is expected of backups: where the service makes them (empty: it makes none), and from which age on that is bad."""

    to: str = ""
    alarm_hours: int = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthParts:
    """What is looked at. ``jobs`` is None where no engine runs (a command beside a stopped service)."""

    catalogue: Catalogue
    stores: Sequence[BlobStore]
    published: Sequence[Path | LogPlace]
    verifier: NoteVerifier
    clock: Clock
    policy: CopyPolicy
    jobs: JobEngine | None = None
    floor_bytes: int = FREE_SPACE_FLOOR_BYTES
    locks: LockPolicy = LockPolicy()
    capacities: Mapping[str, int] = field(default_factory=dict)
    space_warn_days: int = 30
    space_alarm_days: int = 7
    #: Stores that get nothing of what comes in: moved away from, or cold.
    aside: Collection[str] = frozenset()
    keys: KeyParts | None = None
    fixity: FixityPolicy = FixityPolicy()
    backup: BackupHope = BackupHope()
    #: How whatever may take long is asked: a bucket may be away.
    ask: Ask = ask_now
