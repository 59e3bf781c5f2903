"""A state as a person sees it: tone, icon and word, always all three. Unknown is said as unknown, never as fine.

Words are message identities (English); the pages translate them. Source: docs/vocabulary.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from access.deadlines import HandIn
from access.views import DayState, DayVerdict
from assurance.health import Level
from catalogue.records import RecordingRow
from evidence.model import DeviceState, OffloadState, RecordingState, Verdict

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
}
QUARANTINE: Final = Mark(WARN, "warn", "Quarantine")
IMPORTANT: Final = Mark(WARN, "star", "Device mark")


_RUNNING: Final = Mark(BUSY, "clock", "Hand-in running")


def hand_in_mark(row: RecordingRow, stands: HandIn) -> Mark:
    """How a recording stands against its 24 hours; "on time" is said only of what has been handed in."""
    if stands is HandIn.ON_TIME and row.stored_at is None:
        return _RUNNING
    return HAND_IN[stands]


def recording_mark(row: RecordingRow) -> Mark:
    """The one state a list shows: "sealed" only when a published checkpoint covers the recording."""
    if row.state is RecordingState.RELEASED:
        return Mark(GOOD, "seal", "Sealed, cleared from the recorder") if row.sealed else NOT_KNOWN
    if row.state is RecordingState.STORED:
        return Mark(GOOD, "seal", "Sealed") if row.sealed else Mark(BUSY, "clock", "Stored, being sealed")
    return _STATES.get(row.state, NOT_KNOWN)
