"""A state as a person sees it: tone, icon and word, always all three. Unknown is said as unknown, never as fine.

Words are message identities (English); the pages translate them. Source: docs/vocabulary.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from access.damage import KINDS as DAMAGE
from access.damage import OF_COPIES
from access.deadlines import HandIn
from access.views import DayState, DayVerdict
from assurance.health_facts import Level
from assurance.store_reports import StoreStand
from catalogue.records import FindingRow, RecordingRow
from evidence.model import Copy, DeviceState, OffloadState, RecordingState, Verdict

GOOD, BUSY, WARN, BAD, UNKNOWN = "good", "busy", "warn", "bad", "unknown"


@dataclass(frozen=True, slots=True)
class Mark:
    """How one state looks."""

    tone: str
    icon: str
    word: str


NOT_KNOWN: Final = Mark(UNKNOWN, "question", "Unknown")

_STATES: Final = {
    RecordingState.DISCOVERED: Mark(UNKNOWN, "box", "On the recorder"),
    RecordingState.ACQUIRING: Mark(BUSY, "arrow-down", "Being copied"),
    RecordingState.INTERRUPTED: Mark(WARN, "pause", "Interrupted"),
    RecordingState.ACQUIRED: Mark(BUSY, "arrow-down", "Copied, being stored"),
    RecordingState.DUPLICATE: Mark(UNKNOWN, "copy", "Duplicate of a kept recording"),
}
CLEARED: Final = Mark(UNKNOWN, "stop", "Lawfully cleared")
CLEARING: Final = Mark(BUSY, "clock", "Being cleared")
HAND_IN: Final = {
    HandIn.ON_TIME: Mark(GOOD, "check", "Handed in on time"),
    HandIn.DUE_SOON: Mark(WARN, "clock", "Due soon"),
    HandIn.LATE: Mark(BAD, "warn", "Late hand-in"),
    HandIn.UNKNOWN: NOT_KNOWN,
}
VERDICTS: Final = {
    Verdict.INTACT: Mark(GOOD, "check", "Intact"),
    Verdict.DAMAGED: Mark(WARN, "warn", "Playable with damage"),
    Verdict.TRUNCATED: Mark(WARN, "warn", "Truncated"),
    Verdict.SALVAGEABLE: Mark(WARN, "warn", "Unplayable, salvageable"),
    Verdict.UNREADABLE: Mark(BAD, "stop", "Unreadable"),
    Verdict.NOT_MEDIA: Mark(WARN, "question", "Not a media file"),
    Verdict.UNKNOWN: NOT_KNOWN,
}
DAY: Final = {
    DayState.IN: Mark(GOOD, "seal", "In and sealed"),
    DayState.SEALING: Mark(BUSY, "clock", "Stored, being sealed"),
    DayState.STORING: Mark(BUSY, "arrow-down", "Copied, being stored"),
    DayState.TRANSFERRING: Mark(BUSY, "arrow-down", "Being copied"),
    DayState.ON_DEVICE: Mark(WARN, "box", "Still on the recorder"),
    DayState.DUPLICATE: Mark(UNKNOWN, "copy", "Duplicate of a kept recording"),
}
DAY_VERDICT: Final = {
    DayVerdict.ALL_IN: Mark(GOOD, "seal", "All known recordings are in and sealed"),
    DayVerdict.ALL_IN_LATE: Mark(WARN, "warn", "All known recordings are in, some were handed in late"),
    DayVerdict.DAMAGED: Mark(BAD, "stop", "In, but tamper or loss was found: tell the information centre"),
    DayVerdict.NOT_ALL: Mark(WARN, "warn", "Not all recordings are in yet"),
    DayVerdict.NOTHING_KNOWN: Mark(UNKNOWN, "question", "No recordings known for this day"),
}
DEVICES: Final = {
    DeviceState.PENDING: Mark(WARN, "question", "Not registered"),
    DeviceState.REGISTERED: Mark(GOOD, "check", "Registered"),
    DeviceState.RETIRED: Mark(UNKNOWN, "box", "Retired"),
}
OFFLOADS: Final = {
    OffloadState.OPEN: Mark(BUSY, "arrow-down", "Offload running"),
    OffloadState.COMPLETE: Mark(GOOD, "check", "Offload complete"),
    OffloadState.INTERRUPTED: Mark(WARN, "pause", "Interrupted"),
    OffloadState.FAILED: Mark(BAD, "stop", "Failed"),
}
HEALTH: Final = {
    Level.OK: Mark(GOOD, "check", "Good"),
    Level.WARN: Mark(WARN, "warn", "Attention"),
    Level.BAD: Mark(BAD, "stop", "Bad"),
    Level.UNKNOWN: NOT_KNOWN,
}
CHECKS: Final = {
    "good": Mark(GOOD, "check", "Read back and matches"),
    "copy-damaged": Mark(BAD, "stop", "Bytes differ"),
    "copy-missing": Mark(BAD, "stop", "Missing"),
    "store-unavailable": Mark(UNKNOWN, "question", "Store does not answer"),
    "lock-record": Mark(BAD, "stop", "A lock record was changed"),
    "key-missing": Mark(BAD, "stop", "A copy is there and its key is not"),
}
#: How a store stands.
STORES: Final = {
    StoreStand.LEVEL: Mark(GOOD, "check", "Answers, holds all its copies"),
    StoreStand.BEHIND: Mark(BUSY, "arrow-down", "Catching up"),
    StoreStand.FAILING: Mark(BAD, "stop", "Fails"),
    StoreStand.DAMAGED: Mark(BAD, "stop", "Bad copies"),
    StoreStand.UNKNOWN: NOT_KNOWN,
}
QUARANTINE: Final = Mark(WARN, "warn", "Quarantine")
IMPORTANT: Final = Mark(WARN, "star", "Device mark")
#: Whatever else is true of it: a recording with such a finding never looks whole.
DAMAGED: Final = Mark(BAD, "stop", "Tamper or loss found")
COPY: Final = Mark(GOOD, "check", "Read back and matches")
COPY_DAMAGED: Final = Mark(BAD, "stop", "Damaged or missing")
COPY_UNREAD: Final = Mark(UNKNOWN, "question", "Not read back yet")

_RUNNING: Final = Mark(BUSY, "clock", "Hand-in running")
#: Nobody knows when it was recorded: counted from when it was first seen, which may be long after.
_ESTIMATED: Final = Mark(UNKNOWN, "question", "On time, estimated")


def hand_in_mark(row: RecordingRow, stands: HandIn) -> Mark:
    """How a recording stands against its 24 hours; "on time" is said only of what has been handed in."""
    if stands is HandIn.ON_TIME and row.stored_at is None:
        return _RUNNING
    if stands is HandIn.ON_TIME and row.started_at is None:
        return _ESTIMATED
    return HAND_IN[stands]


def copy_mark(copy: Copy, damage: Sequence[FindingRow]) -> Mark:
    """How one stored copy stands: red as long as a finding about it is open."""
    if any(finding.store == copy.store and finding.kind in OF_COPIES for finding in damage):
        return COPY_DAMAGED
    return COPY if copy.read_back_at is not None else COPY_UNREAD


def finding_mark(kind: str) -> Mark:
    """How grave a finding looks; its word is the kind's."""
    return Mark(BAD, "stop", "") if kind in DAMAGE else Mark(WARN, "warn", "")


def recording_mark(row: RecordingRow, damage: Sequence[FindingRow] = ()) -> Mark:
    """The one state a list shows: "sealed" only when a published checkpoint covers the recording, damage before all."""
    if row.disposing_at is not None:
        return CLEARED if row.disposed_at is not None else CLEARING
    if damage:
        return DAMAGED
    if row.state is RecordingState.RELEASED:
        return Mark(GOOD, "seal", "Sealed, cleared from the recorder") if row.sealed else NOT_KNOWN
    if row.state is RecordingState.STORED:
        return Mark(GOOD, "seal", "Sealed") if row.sealed else Mark(BUSY, "clock", "Stored, being sealed")
    return _STATES.get(row.state, NOT_KNOWN)
