"""Rows of the catalogue as frozen values. Repositories return these; nobody outside this room sees a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evidence.digest import Digest
from evidence.ids import AgentId, DerivativeId, DeviceId, EntryId, FindingId, OffloadId, RecordingId, UnitId
from evidence.model import (
    Copy,
    DeviceState,
    OffloadState,
    RecordingKind,
    RecordingState,
    SourceKey,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A department; ``valid_to`` None means it still exists."""

    id: UnitId
    name: str
    code: str = ""
    parent: UnitId | None = None
    valid_from: datetime
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """A person or a program. ``officer_code`` is the number recorders write into file names."""

    id: AgentId
    kind: str
    name: str
    officer_code: str = ""
    login: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRow:
    """Membership of a unit with validity dates (transfers keep the past)."""

    agent: AgentId
    unit: UnitId
    valid_from: datetime
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRow:
    """A role granted to an agent; ``unit`` None means everywhere, else that unit and those below it."""

    agent: AgentId
    role: str
    unit: UnitId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRow:
    """What is needed to check a password; never the password."""

    agent: AgentId
    login: str
    password_hash: str
    must_change: bool
    failed_count: int
    locked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSessionRow:
    """A server-side session; ``token_sha256`` is the digest of the cookie's opaque token."""

    token_sha256: str
    agent: AgentId
    csrf: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One recorder in the ledger."""

    id: DeviceId
    state: DeviceState
    driver: str
    kind: str
    serial: str
    serial_source: str
    vendor: str = ""
    model: str = ""
    label: str = ""
    unit: UnitId | None = None
    officer: AgentId | None = None
    registered_by: AgentId | None = None
    registered_at: datetime | None = None
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadRow:
    """One docking's transfer and the device's condition at its start."""

    id: OffloadId
    device: DeviceId
    state: OffloadState
    driver: str
    slot: str
    address: str
    started_at: datetime
    ended_at: datetime | None = None
    battery_percent: int | None = None
    capacity_bytes: int | None = None
    free_bytes: int | None = None
    clock_known: bool = False
    clock_plausible: bool = False
    clock_offset_ms: int = 0
    clock_device_text: str = ""
    clock_set: bool = False
    message: str = ""
    #: Names that wait (still being written), shown to staff; not recordings yet.
    waiting: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One recording.

    Derived: ``sealed`` (a published checkpoint covers ``stored_entry``); ``disposing_at`` and ``disposed_at``, from when on its
    bytes go, and are gone, by a clearing (of :class:`catalogue.rules.RulesRow`).
    """

    id: RecordingId
    device: DeviceId
    offload: OffloadId
    state: RecordingState
    kind: RecordingKind
    pattern: str
    name: str
    source: SourceKey
    size_bytes: int
    discovered_at: datetime
    important: bool = False
    counter: int | None = None
    attached_to: RecordingId | None = None
    case_number: str = ""
    officer: AgentId | None = None
    officer_code: str = ""
    officer_source: str = ""
    officer_confidence: str = ""
    unit: UnitId | None = None
    bytes_acquired: int = 0
    sha256: Digest | None = None
    sm3: Digest | None = None
    blake3: Digest | None = None
    started_at: datetime | None = None
    started_source: str = ""
    ended_at: datetime | None = None
    duration_ms: int | None = None
    deadline_at: datetime | None = None
    acquired_at: datetime | None = None
    stored_at: datetime | None = None
    released_at: datetime | None = None
    interrupted_reason: str = ""
    duplicate_of: RecordingId | None = None
    quarantine_reason: str = ""
    quarantine_detail: str = ""
    manifest_sha256: str = ""
    stored_entry: EntryId | None = None
    stored_index: int | None = None
    sealed: bool = False
    disposing_at: datetime | None = None
    disposed_at: datetime | None = None
    described: bool = False
    verdict: Verdict = Verdict.UNKNOWN
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def available(self) -> bool:
        """Whether it can be watched: stored and described, and not being cleared."""
        kept = self.state in (RecordingState.STORED, RecordingState.RELEASED) and self.disposing_at is None
        return self.described and kept


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRow:
    """One name under which a recording's bytes were seen on a device."""

    recording: RecordingId
    name: str
    path: str
    offload: OffloadId
    seen_at: datetime
    important: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """Bytes shared by digest; they may go only when no holder refers to them."""

    sha256: Digest
    size_bytes: int
    blake3: Digest | None
    copies: tuple[Copy, ...]
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivativeRow:
    """A viewing copy, poster or sheet."""

    id: DerivativeId
    recording: RecordingId
    kind: str
    media_type: str
    sha256: Digest
    size_bytes: int
    recipe: dict[str, Any]
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """Something an auditor must look at; open until a person closes it."""

    id: FindingId
    kind: str
    recording: RecordingId | None
    store: str
    detail: str
    raised_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressRow:
    """Where a running transfer is; true at ``updated_at``, shown as unknown when that is old."""

    offload: OffloadId
    recording: RecordingId | None
    stage: str
    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    rate_bytes_s: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One custody entry as the timeline shows it; ``index`` None until it is sequenced."""

    entry: EntryId
    event_type: str
    at: datetime
    actor: str
    index: int | None
    public: dict[str, Any]
    disclosed: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """Filters of the recordings list; empty means no restriction. Times are UTC; ``text`` finds 1-2 character words.

    ``findings``: only recordings with an open finding of one of these kinds. ``category`` and ``flags`` as persons judged,
    ``unclassified``: stored, and nobody has; ``held``: under a hold that stands.
    """

    started_from: datetime | None = None
    started_to: datetime | None = None
    officer: AgentId | None = None
    device: DeviceId | None = None
    unit: UnitId | None = None
    states: frozenset[RecordingState] = frozenset()
    kinds: frozenset[RecordingKind] = frozenset()
    quarantined: bool | None = None
    late: bool | None = None
    important: bool | None = None
    findings: frozenset[str] = frozenset()
    category: str = ""
    flags: frozenset[str] = frozenset()
    unclassified: bool | None = None
    held: bool | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPage:
    """One page, newest first. ``cursor`` asks for the next one; ``total`` is capped (``total_capped``)."""

    rows: list[RecordingRow]
    cursor: str
    total: int
    total_capped: bool
