"""What the interfaces may call. The composition root fills this in; nothing here knows how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from access import Administration, Gate, Identity, Reading
from access.directory import Directory
from api.checks import Checks
from assurance.presence import AbsenceDesk
from assurance.statistics import StatisticsDesk
from assurance.store_reports import StorageDesk
from cases.access_register import UseRegister
from cases.dossiers import DossierDesk
from cases.packages import CasePackages
from evidence.clock import Clock
from evidence.ids import RecordingId
from evidence.model import Actor
from evidence.ports import BlobStore
from ingest.board import DockBoard
from matters.desk import MatterDesk
from matters.papers import PaperDesk
from retention.classification import Classifier
from retention.desk import RetentionDesk
from retention.disc_papers import DiscPapers
from retention.disc_queue import DiscDesk
from retention.disposal_desk import ClearingDesk
from retention.hold_desk import HoldDesk
from retention.record_list_form import RecordLists


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What the web server has to know of its surroundings.

    Attributes:
        secure_cookies: Cookies only over TLS (set it behind a TLS proxy).
        allowed_hosts: Host names the service answers to; anything else is refused (DNS rebinding).
        login_attempts_per_minute: Per address.
    """

    secure_cookies: bool = False
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    login_attempts_per_minute: int = 20


class Proofs(Protocol):
    """Proof bundles for outsiders."""

    def bundle(self, actor: Actor, recording: RecordingId) -> bytes:
        """A c2sp.org/tlog-proof bundle of the entry that states the recording's storage."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLog:
    """Where the log stands for outsiders."""

    directory: Path
    vkey: str


class ViewingMaker(Protocol):
    """Makes viewing copies on demand."""

    def request(self, actor: Actor, recording: RecordingId) -> None:
        """Ask for a viewing copy; PolicyUnmetError when none is needed or possible."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemNotice:
    """Something every page must say, such as a single failure domain. ``code`` is translated by the pages."""

    code: str
    since: datetime | None = None


class Notices(Protocol):
    """What every page must say right now."""

    def current(self) -> Sequence[SystemNotice]:
        """The notices that hold now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a route can reach."""

    clock: Clock
    gate: Gate
    identity: Identity
    administration: Administration
    reading: Reading
    directory: Directory
    docks: DockBoard
    checks: Checks
    blobs: BlobStore
    log: PublishedLog
    proofs: Proofs
    viewings: ViewingMaker
    notices: Notices
    storage: StorageDesk
    statistics: StatisticsDesk
    matters: MatterDesk
    use_register: UseRegister
    papers: PaperDesk
    packages: CasePackages
    dossiers: DossierDesk
    retention: RetentionDesk
    clearing: ClearingDesk
    absence: AbsenceDesk
    discs: DiscDesk
    disc_papers: DiscPapers
    classifier: Classifier
    record_lists: RecordLists
    holds: HoldDesk
