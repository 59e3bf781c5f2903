"""Codes of the lower rooms as message identities: reasons, events, roles, findings. The pages translate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.checks import Verification
from api.web.i18n import translate
from api.web.units import size_text

KINDS: Final = {
    "video": "Video",
    "audio": "Audio",
    "photo": "Photo",
    "track": "GPS track",
    "text": "Text file",
    "unknown": "Unknown kind",
}
REASONS: Final = {
    "empty": "empty file",
    "size-differs": "size differs from what the recorder listed",
    "damaged": "damaged",
    "truncated": "truncated",
    "salvageable": "unplayable, salvageable",
    "unreadable": "unreadable",
    "not-media": "not a media file",
    "unknown-name": "name of no known form",
    "too-large": "larger than allowed",
    "medium": "the card could not be read in places",
    "source-changed": "changed on the recorder",
    "hostile-name": "suspicious name",
}
SOURCES: Final = {
    "name+clock": "from the file name, corrected by the clock offset",
    "name": "from the file name; the clock offset is not known",
    "name-untrusted": "from the file name; the recorder's clock is implausible",
    "mtime": "from the file's time stamp",
    "discovery": "time of docking; the recorder tells none",
}
CONFIDENCE: Final = {
    "high": "sure",
    "medium": "likely",
    "low": "uncertain",
    "certain": "sure",
    "none": "not known",
}
EVENTS: Final = {
    "recording.discovered": "Seen on the recorder",
    "recording.acquiring": "Copying began",
    "recording.interrupted": "Copying was interrupted",
    "recording.acquired": "Every byte read once and digested",
    "recording.duplicate": "Recognised as a duplicate",
    "recording.stored": "Copies read back and matched; accession",
    "recording.quarantined": "Put into quarantine",
    "recording.described": "Examined",
    "derivative.made": "Derivative made",
    "recording.released": "Cleared from the recorder",
    "recording.release-refused": "Clearing refused",
    "recording.officer-bound": "Officer bound",
    "access.allowed": "Accessed",
    "access.denied": "Access denied",
    "fixity.checked": "Fixity check",
    "finding.raised": "Finding raised",
}
ROLES: Final = {
    "officer": "Officer",
    "station_operator": "Docking station operator",
    "unit_leader": "Unit leader",
    "legal_reviewer": "Legal reviewer",
    "auditor": "Auditor",
    "retention_manager": "Retention manager",
    "system_administrator": "System administrator",
    "security_administrator": "Security administrator",
    "audit_administrator": "Audit administrator",
}
FINDINGS: Final = {
    "log-invalid": "The published log does not verify",
    "log-replicas-differ": "Published logs differ",
    "log-not-in-database": "The log holds more than the database",
    "entry-invalid": "A custody entry is not valid",
    "entry-signature": "A custody entry's signature does not verify",
    "entry-differs": "A custody entry was changed",
    "entry-missing": "A custody entry is missing",
    "disclosure-differs": "A personal value was changed",
    "copy-damaged": "A copy has other bytes",
    "copy-missing": "A copy is missing",
    "lock-record": "A lock record was changed",
    "catalogue-differs": "The catalogue contradicts the log",
    "recording-unknown": "A recording the log does not know",
    "recording-missing": "A recording the catalogue does not know",
    "blob-unrecorded": "Stored bytes without a record",
    "manifest-invalid": "A manifest is not valid",
    "too-few-copies": "Too few copies",
    "too-few-domains": "Too few failure domains", "few-domains-here": "All stores lie in too few failure domains",
    "not-published": "The log is not published everywhere",
    "store-unavailable": "A store does not answer",
    "not-examined": "A part could not be examined",
    "orphan-blob": "Bytes nobody refers to",
    "foreign-file": "A file that does not belong there",
    "late": "Late hand-in",
    "counter-gap": "Gap in the counter",
    "duplicate-serial": "Two recorders with one serial number",
    "clock-implausible": "Implausible recorder clock",
    "clock-off": "Recorder clock far off",
    "late-hand-in": "Late hand-in",
}
HEALTH: Final = {
    "store": "Store",
    "room": "Free space",
    "domains": "Failure domains",
    "copies": "Copies",
    "log": "Custody log",
    "log-directory": "Published log",
    "clock": "Clock",
    "database": "Database",
    "program": "Program",
    "jobs": "Background work",
    "findings": "Findings",
}
HEALTH_REASONS: Final = {
    "protected": "write-once protection in force",
    "weak-protection": "protected by file modes only",
    "unavailable": "does not answer",
    "room": "enough room",
    "nearly-full": "nearly full",
    "floor-reached": "full: recorders keep their footage",
    "unreadable": "cannot be read",
    "enough": "enough",
    "single-failure-domain": "all stores on one disk: one dead disk takes every copy; recorders are not cleared",
    "too-few": "fewer than required",
    "too-few-stores": "fewer stores than copies required",
    "not-opened": "never opened",
    "sealed": "sealed and published",
    "seal-behind": "entries are waiting to be sealed",
    "published": "up to date",
    "behind": "behind the database",
    "synchronised": "synchronised",
    "unsynchronised": "not synchronised",
    "went-back": "behind a time already seen",
    "supported": "supported version",
    "too-old": "version too old",
    "installed": "installed",
    "missing": "missing",
    "working": "working",
    "failures": "some work failed and is repeated",
    "not-running-here": "not running",
    "open": "open",
    "none": "none",
}
ERRORS: Final = {
    "usage": "That cannot be done as asked",
    "config": "Configuration",
    "invalid-input": "Invalid value",
    "not-found": "Not found",
    "policy-unmet": "A rule forbids this now",
    "access-denied": "Access denied",
    "authentication": "Not logged in",
    "limit-exceeded": "Too large or too many",
    "clock-went-back": "The clock went back",
    "device": "Recorder trouble",
    "device-gone": "The recorder is gone",
    "device-stalled": "The recorder stalled",
    "device-timeout": "The recorder does not answer",
    "device-busy": "The recorder is in use",
    "device-protocol": "The recorder answers wrongly",
    "device-unsupported": "Not supported by this recorder",
    "device-not-registered": "The recorder is not registered",
    "medium": "The card cannot be read",
    "source-changed": "The file on the recorder changed",
    "store": "Storage trouble",
    "blob-not-found": "The bytes are not in that store",
    "blob-conflict": "Other bytes stand there",
    "blob-locked": "Protected from removal",
    "store-full": "A store is full",
    "store-unavailable": "A store does not answer",
    "not-durable": "Not durable; the service stops",
    "integrity": "Tamper or loss found",
    "digest-mismatch": "Bytes differ from their digest",
    "entry-invalid": "Invalid custody entry",
    "manifest-invalid": "Invalid manifest",
    "signature-invalid": "Invalid signature",
    "proof-invalid": "Invalid proof",
    "split-view": "Contradicting checkpoints",
    "custody": "Custody log trouble",
    "log-state-unknown": "The log's state is unknown",
    "log-locked": "Another process seals the log",
    "log-rollback": "The database is older than the published log",
    "key-unavailable": "A key cannot be opened",
    "catalogue": "Database trouble",
    "state-conflict": "Already done or changed meanwhile",
    "home-locked": "Another process works on this home",
    "media": "Media trouble",
    "sandbox": "A media program failed",
    "job": "Background work trouble",
    "forged-request": "The page is out of date",
}
NOTICES: Final = {
    "single-domain": "All stores lie in one failure domain: one dead disk would take every copy. Recorders are not cleared.",
    "single-domain-allowed": "Recorders are cleared on ONE failure domain: this bureau has allowed it in its settings.",
    "log-behind": "Entries are waiting to be sealed: something keeps the log from being published.",
    "store-unavailable": "A store does not answer: new recordings have fewer copies than configured.",
    "disk-floor": "A store is nearly full: recorders keep their footage until space is made.",
    "clock-unsynchronised": "This machine's clock is not synchronised.",
}
DENIALS: Final = {
    "needs-grant": "This footage is archived; watching it needs an approved request.",
    "no-role": "Your roles do not allow this.",
    "outside-unit": "It belongs to another unit.",
    "not-own": "It is not your own recording.",
    "inactive": "Your account is not active.",
    "password-change-required": "Change your one-time password first.",
}
PLAYER: Final = {
    "video": "Recording",
    "play": "Play or pause",
    "back10": "Back 10 seconds",
    "forward10": "Forward 10 seconds",
    "back1": "One frame back",
    "forward1": "One frame forward",
    "slower": "Slower",
    "faster": "Faster",
    "full": "Full screen",
    "position": "Position",
    "corrected": "corrected",
    "recorder": "recorder clock",
    "broken": "The browser cannot play this file.",
    "failed": "The service did not answer.",
    "denied": "You may not watch this recording. The refusal has been entered.",
    "nopicture": "Your browser plays the sound but shows no picture: it lacks this video format.",
}
WALL: Final = {
    "lost": "Connection lost: what is shown is not current. Do not unplug by it.",
    "none": "No recorder is docked.",
    "waiting": "Waiting for the docks…",
    "writing": "Still being written, dock again later:",
    "remaining": "remaining",
    "untold": "not told",
    "battery": "Battery",
    "clock": "Clock offset",
    "space": "Free on the recorder",
    "unplug_yes": "May be unplugged",
    "unplug_no": "Do not unplug",
    "unplug_unknown": "Whether it may be unplugged is not known",
}


def values_text(values: Mapping[str, str | int]) -> str:
    """Measured values of a health check, byte counts in readable units."""
    parts = []
    for name, value in values.items():
        shown = size_text(value) if name.endswith("_bytes") and isinstance(value, int) else str(value)
        parts.append(f"{name.removesuffix('_bytes')}: {shown}")
    return " · ".join(parts)


def verification_text(last: Verification, language: str) -> str:
    """How a check of the whole home stands, in the page's language."""
    if last.running:
        return f"{last.step} {last.done}/{last.total}" if last.total else ""
    counted = translate(
        "{entries} entries, {recordings} recordings, {copies} copies, {findings} findings",
        language,
        entries=last.entries,
        recordings=last.recordings,
        copies=last.copies,
        findings=last.findings,
    )
    return last.error or counted
