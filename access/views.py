"""What the reading services return: frozen values, true at ``as_of`` and nothing beyond."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from access.deadlines import HandIn
from catalogue.records import DerivativeRow, DeviceRow, FindingRow, NameRow, OffloadRow, RecordingRow, TimelineRow
from catalogue.rules import RulesRow
from evidence.digest import Digest
from evidence.ids import MatterId
from evidence.model import Action, Copy, RecordingState

#: Kinds of agents.
PERSON: Final = "person"
SOFTWARE: Final = "software"


class Watchable(StrEnum):
    """Whether a recording can be watched in a browser now, and if not, why."""

    ORIGINAL = "original"
    COPY = "copy"
    TO_MAKE = "to-make"
    NOT_YET = "not-yet"
    NOTHING = "nothing"
    ELSEWHERE = "elsewhere"  # a duplicate: its bytes are kept, and watched, as another recording
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingItem:
    """One line of a list; ``rules`` is what persons said of it.

    ``damage`` are open findings about the bytes or the record (of a duplicate: of what it joined).
    """

    row: RecordingRow
    hand_in: HandIn
    archived: bool
    rules: RulesRow
    damage: tuple[FindingRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingList:
    """One page of a list; ``total`` is a lower bound when ``total_capped``."""

    items: list[RecordingItem]
    cursor: str
    total: int
    total_capped: bool
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNotice:
    """What stands on the screen while footage is used (R17): by whom, under which grant, until when, and what it allows.

    Attributes:
        holder: Who looks.
        grant: The grant; None before archiving, when none is needed.
        number: Its number, empty without one.
        ends: Until when.
        rights: What the holder may do with the footage now.
        uses_left: How often it may still be used; None without bound.
    """

    holder: str
    grant: MatterId | None = None
    number: str = ""
    ends: datetime | None = None
    rights: frozenset[Action] = frozenset()
    uses_left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """Everything a person may know of one recording.

    ``timeline`` holds who looked at it only for those who may read the log; others see their own looks. ``damage`` is told to
    everybody who may see it. ``notice`` tells who may use it under which number. ``twin`` is the recording that keeps a
    duplicate's bytes, ``hand_in`` then that one's.
    """

    row: RecordingRow
    hand_in: HandIn
    archived: bool
    rules: RulesRow
    notice: UseNotice | None
    damage: tuple[FindingRow, ...]
    twin: RecordingRow | None
    watchable: Watchable
    names: list[NameRow]
    copies: tuple[Copy, ...]
    manifest_copies: tuple[Copy, ...]
    derivatives: list[DerivativeRow]
    attached: list[RecordingRow]
    timeline: list[TimelineRow]
    device: DeviceRow | None
    offload: OffloadRow | None
    officer_name: str
    unit_name: str
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A poster, sheet, index or text: a blob that is sent whole or from its beginning, not played."""

    sha256: Digest
    size_bytes: int
    media_type: str
    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FootageCopy:
    """Bytes that are handed out, under which grant, and the name of the file that will hold them (untrusted)."""

    kind: str
    sha256: Digest
    size_bytes: int
    media_type: str
    name: str
    grant: MatterId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlace:
    """Where one copy lies, for those who want to look at it without us."""

    store: str
    path_or_key: str
    encrypted: bool
    version: str


class DayState(StrEnum):
    """Where one of an officer's recordings is, in words that say whose turn it is."""

    IN = "in"
    SEALING = "sealing"
    STORING = "storing"
    TRANSFERRING = "transferring"
    ON_DEVICE = "on-device"
    DUPLICATE = "duplicate"


class DayVerdict(StrEnum):
    """The answer to "are my recordings in?". ``nothing-known`` is no yes: a recorder not docked yet tells nothing."""

    ALL_IN = "all-in"
    ALL_IN_LATE = "all-in-late"
    DAMAGED = "damaged"
    NOT_ALL = "not-all"
    NOTHING_KNOWN = "nothing-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayItem:
    """One of the officer's recordings; ``hand_in`` of a duplicate is that of the recording it joined."""

    row: RecordingRow
    state: DayState
    hand_in: HandIn
    quarantined: bool
    damage: tuple[FindingRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MyDay:
    """An officer's day.

    Attributes:
        day: Which.
        verdict: The answer.
        items: Recordings of that day.
        late: How many of them were, or will be, handed in late.
        waiting: Names of that day still being written on a recorder that is issued to them.
        issued: Whether any recorder is.
        last_docked_at: When one of those was docked last.
        as_of: When all this was true.
    """

    day: date
    verdict: DayVerdict
    items: list[DayItem]
    late: int
    waiting: list[str]
    issued: bool
    last_docked_at: datetime | None
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many; a lower bound when ``capped``."""

    total: int
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Counts of the first page; None means the actor may not know."""

    by_state: dict[RecordingState, int]
    late: Count
    quarantined: Count
    damaged: Count
    open_findings: int | None
    as_of: datetime
