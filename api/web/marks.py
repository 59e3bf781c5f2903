"""A state as a person sees it: tone, icon and word, always all three. Unknown is said as unknown, never as fine.

Words are message identities (English); the pages translate them. Source: docs/vocabulary.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    "on-time": Mark(GOOD, "check", "Handed in on time"),
    "due-soon": Mark(WARN, "clock", "Due soon"),
    "open": Mark(BUSY, "clock", "Hand-in running"),
    "late": Mark(BAD, "warn", "Late hand-in"),
    "unknown": NOT_KNOWN,
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
    "in": Mark(GOOD, "seal", "In and sealed"),
    "sealing": Mark(BUSY, "clock", "Stored, being sealed"),
    "storing": Mark(BUSY, "arrow-down", "Copied, being stored"),
    "transferring": Mark(BUSY, "arrow-down", "Being copied"),
    "on-device": Mark(WARN, "box", "Still on the recorder"),
    "duplicate": Mark(UNKNOWN, "copy", "Duplicate of a kept recording"),
}
DAY_VERDICT: Final = {
    "all-in": Mark(GOOD, "seal", "All known recordings are in and sealed"),
    "not-all": Mark(WARN, "warn", "Not all recordings are in yet"),
    "nothing-known": Mark(UNKNOWN, "question", "No recordings known for this day"),
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
    "ok": Mark(GOOD, "check", "Good"),
    "warn": Mark(WARN, "warn", "Attention"),
    "bad": Mark(BAD, "stop", "Bad"),
    "unknown": NOT_KNOWN,
}
CHECKS: Final = {
    "good": Mark(GOOD, "check", "Read back and matches"),
    "copy-damaged": Mark(BAD, "stop", "Bytes differ"),
    "copy-missing": Mark(BAD, "stop", "Missing"),
    "store-unavailable": Mark(UNKNOWN, "question", "Store does not answer"),
}
QUARANTINE: Final = Mark(WARN, "warn", "Quarantine")
IMPORTANT: Final = Mark(WARN, "star", "Device mark")


def recording_mark(row: RecordingRow) -> Mark:
    """The one state a list shows: "sealed" only when a published checkpoint covers the recording."""
    if row.state is RecordingState.RELEASED:
        return Mark(GOOD, "seal", "Sealed, cleared from the recorder") if row.sealed else NOT_KNOWN
    if row.state is RecordingState.STORED:
        return Mark(GOOD, "seal", "Sealed") if row.sealed else Mark(BUSY, "clock", "Stored, being sealed")
    return _STATES.get(row.state, NOT_KNOWN)
