"""Codes of the lower rooms as message identities: reasons, events, roles, findings. The pages translate them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from api.checks import Verification
from api.web.i18n import translate
from api.web.units import local_time, size_text
from evidence.errors import Retry
from ingest import times

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
    "came-back-after-clearing": "came back after it was lawfully cleared",
}
#: Where the start of a recording comes from.
SOURCES: Final = {
    times.CORRECTED: "from the file name, corrected by the clock offset",
    times.UNCORRECTED: "from the file name; the clock offset is not known",
    times.UNTRUSTED: "not told: the recorder's clock or the time in the name is implausible",
    times.UNKNOWN: "not told: the name holds no time",
}
CONFIDENCE: Final = {"high": "sure", "medium": "likely", "low": "uncertain"}
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
#: What was done on the page of the people, and what stood in its way.
DONE: Final = {
    "nothing-due": "Nothing is due in this department that may be listed.",
    "matter-opened": "Opened.",
    "matter-acted": "Done and entered in the chain of custody.",
    "classified": "Classified and entered in the chain of custody.",
    "classified-already": "It is classified so already.",
    "matter-filed": "The document is on file; its copies were read back.",
    "agent": "The person has been added.",
    "unit": "The unit has been added.",
    "role": "The roles have been changed.",
    "transfer": "The person has been transferred.",
    "deactivate": "The account has been ended.",
    "password": "A new password has been made; a lock is lifted.",
    "device": "The ledger has been changed.",
}
TAKEN: Final = {
    "agent": "This log-in name or officer number is taken.",
    "unit": "There is a unit of this name already.",
}
DRIVERS: Final = {
    "mass_storage": "mass storage",
    "watch_folder": "watched folder",
    "mtp": "MTP",
}
#: Where a recorder's serial number comes from.
SERIAL_SOURCES: Final = {
    "usb": "told over USB",
    "device-info": "told by the recorder",
    "file": "told by files on the card",
    "volume": "number of the card's file system",
    "path": "made from its place: not the recorder's own",
}
FINDINGS: Final = {
    "clearing-waits": "A clearing waits for a store",
    "determination-ends": "A determination of clearing ends soon",
    "clearing-list-differs": "The list of a clearing batch was changed behind the log",
    "came-back-after-clearing": "Footage that was lawfully cleared was docked again",
    "disc-due": "A disc is to be looked at, or to come back",
    "log-invalid": "The published log does not verify",
    "log-replicas-differ": "Published logs differ",
    "log-not-in-database": "The log holds more than the database",
    "entry-invalid": "A custody entry is not valid",
    "entry-signature": "A custody entry's signature does not verify",
    "entry-differs": "A custody entry was changed",
    "entry-missing": "A custody entry is missing",
    "signer-differs": "A signer's place in the log was changed",
    "log-rolled-back": "The log was set back: sealed entries are gone",
    "log-restored": "A published log was gone and was written again",
    "disclosure-differs": "A personal value was changed",
    "copy-damaged": "A copy has other bytes",
    "copy-missing": "A copy is missing",
    "key-missing": "A copy is there and its key is not",
    "lock-not-renewed": "A lock could not be renewed",
    "dates-not-computed": "Dates of keeping cannot be computed",
    "lock-record": "A lock record was changed",
    "hold-not-kept": "A store does not keep a hold",
    "hold-review-overdue": "The review of a hold is overdue",
    "brake-pulled": "Removals are stopped",
    "inventory-drop": "A store holds fewer objects than the day before",
    "catalogue-differs": "The catalogue contradicts the log",
    "recording-unknown": "A recording the log does not know",
    "recording-missing": "A recording the catalogue does not know",
    "blob-unrecorded": "Stored bytes without a record",
    "manifest-invalid": "A manifest is not valid",
    "too-few-copies": "Too few copies",
    "too-few-domains": "Too few failure domains",
    "few-domains-here": "All stores lie in too few failure domains",
    "not-published": "The log is not published everywhere",
    "store-unavailable": "A store does not answer",
    "not-examined": "A part could not be examined",
    "orphan-blob": "Bytes nobody refers to",
    "foreign-file": "A file that does not belong there",
    "being-removed": "Bytes that are being removed",
    "store-given-up": "A store that copies were moved away from",
    "copies-are-one-file": "Two copies are one file",
    "file-open": "A stored file can be written to or has further names",
    "late": "Late hand-in",
    "counter-gap": "Gap in the counter",
    "duplicate-serial": "Two recorders with one serial number",
    "clock-implausible": "Implausible recorder clock",
    "clock-off": "Recorder clock far off",
    "clock-went-back": "The clock went back",
    "clock-jumped": "The clock jumped ahead",
    "late-hand-in": "Late hand-in",
    "catalogue-unreadable": "The catalogue cannot be read",
    "copy-bad": "A copy does not read back",
    "copy-behind": "A store lacks its copy and catches up",
    "copy-repaired": "A bad copy was made again from a good one",
    "copy-sound-again": "A bad copy reads good again, without our doing",
    "all-copies-bad": "No copy is good: nothing was touched, act at once",
    "read-back-failed": "A copy did not read back and was written again",
    "bytes-lost": "Our first copy was lost and read again",
    "source-changed": "The file on the recorder changed",
    "source-missing": "A file is no longer on its recorder",
    "clearing-failed": "The recorder did not clear a file",
}
HEALTH: Final = {
    "store": "Store",
    "room": "Free space",
    "domains": "Failure domains",
    "copies": "Copies",
    "store-copies": "Copies in the store",
    "locks": "Locks of copies",
    "space": "Space forecast",
    "fixity": "Fixity",
    "inventory": "Inventory",
    "brake": "Brake on removals",
    "log": "Custody log",
    "log-directory": "Published log",
    "clock": "Clock",
    "database": "Database",
    "program": "Program",
    "jobs": "Background work",
    "findings": "Findings",
    "backup": "Backup",
    "keys": "Backup of the keys",
    "master-key": "Master key",
    "epoch-keys": "Keys of the months",
    "plain-scratch": "Place for plain files",
    "encryption": "Encryption at rest",
    "matters": "Deadlines of matters",
}
HEALTH_REASONS: Final = {
    "matters-overdue": "deadlines are over; late stays late",
    "matters-in-time": "no open matter is past its deadline",
    "backed-up": "made and read back",
    "backup-old": "too old: what came since would have to come from the stores' log alone",
    "backup-failed": "the last backup failed",
    "backup-ahead": "dated in the future: the clock was set back",
    "no-backup-set": "the service makes none by itself: set backup.to",
    "no-backup-yet": "none was made yet",
    "same-disk": "on the same disk as the home: one dead disk takes both",
    "protected": "write-once protection in force",
    "weak-protection": "protected by file modes only",
    "lies-in-memory": "lies in memory: a restart loses every copy in it",
    "unavailable": "does not answer",
    "room": "enough room",
    "nearly-full": "nearly full",
    "floor-reached": "full: recorders keep their footage",
    "unreadable": "cannot be read",
    "enough": "enough",
    "single-failure-domain": "all stores on one disk: one dead disk takes every copy; recorders are not cleared",
    "too-few": "fewer than required",
    "too-few-stores": "fewer stores than copies required",
    "store-fails": "does not do what it is asked; tried again by itself",
    "holds-bad-copies": "holds bad copies; they are being made again",
    "catching-up": "lacks copies and catches up",
    "holds-its-copies": "holds all its copies",
    "not-asked-lately": "nobody asked it lately",
    "no-answer-yet": "has not answered within a second: not known",
    "no-good-copy": "no copy is good: act at once",
    "not-opened": "never opened",
    "sealed": "sealed and published",
    "seal-behind": "entries are waiting to be sealed",
    "published": "up to date",
    "behind": "behind the database",
    "synchronised": "synchronised",
    "unsynchronised": "not synchronised",
    "went-back": "behind a time already seen",
    "jumped": "far ahead of the times seen so far, and not synchronised",
    "supported": "supported version",
    "too-old": "version too old",
    "installed": "installed",
    "missing": "missing",
    "working": "working",
    "failures": "some work failed and is repeated",
    "not-running-here": "not running",
    "open": "open",
    "none": "none",
    "damage": "tamper or loss found",
    "locks-kept": "no lock lapses; renewed in time",
    "not-locked": "some copies have no lock",
    "locks-not-looked-at": "locks of new copies are not looked at yet",
    "lock-lapses": "a lock lapses soon and was not renewed",
    "renewal-stalled": "locks were not renewed for days",
    "clock-not-believed": "waits: the clock is not believed",
    "forecast-unknown": "forecast unknown: too few measurements",
    "not-filling": "is not filling up",
    "room-for-long": "room for a long time",
    "full-soon": "full within weeks",
    "full-very-soon": "full within days",
    "nothing-kept": "nothing is kept yet",
    "no-round": "no round has begun yet",
    "bad-copies": "copies are damaged or missing",
    "too-long-ago": "copies were not looked at for too long",
    "store-away": "a store does not answer; its copies wait",
    "not-looking": "the regular look at copies does not run",
    "round-late": "the round will end too late",
    "in-time": "every copy is looked at in time",
    "never-counted": "never counted",
    "lost-objects": "fewer objects than the day before",
    "lacks-copies": "copies are missing",
    "count-old": "not counted for too long",
    "counted": "counted, and nothing is missing",
    "stopped-by-person": "stopped by a person",
    "stopped-by-volume": "stopped: more was removed than a day explains",
    "stopped-by-inventory-drop": "stopped: a store lost objects",
    "removals-allowed": "removals are allowed",
    "backup-overdue": "a key is in no backup for more than seven days: if this home burns down, it is lost",
    "not-backed-up": "a new key is in no backup yet",
    "opens": "opens",
    "does-not-open": "does not open: encrypted footage cannot be read now",
    "beside-the-footage": "lies on the disk of the footage with its passphrase: who carries it away can read everything",
    "everywhere": "lie beside every store",
    "missing-there": "are missing there and are brought back",
    "kept-from-disks": "in memory or on an encrypted volume",
    "readable": "would lie on a disk in the open: recordings are kept and sealed, but not examined",
    "swap-open": "in memory that can be swapped to a disk in the open",
    "everything": "everything is encrypted",
    "some-plain": "what was stored before is not encrypted",
    "turned-off": "turned off: what is new is not encrypted",
}
#: Names of measured values on the system page; a name in seconds or bytes is shown with its unit.
HEALTH_VALUES: Final = {
    "matters_late": "overdue matters",
    "kinds_late": "kinds of matters",
    "backup_at": "newest backup",
    "place": "place",
    "id": "identity",
    "path": "path",
    "swap": "swap area",
    "keys": "keys",
    "encrypted": "encrypted",
    "plain_objects": "not encrypted",
    "plain": "bytes not encrypted",
    "age_hours": "age (h)",
    "alarm_hours": "alarm from (h)",
    "error": "error",
    "kind": "kind",
    "domain": "failure domain",
    "protection": "protection",
    "free": "free",
    "floor": "reserved",
    "domains": "failure domains",
    "required": "required",
    "stores": "stores",
    "size": "entries",
    "size_bytes": "Size",
    "published": "published",
    "age_s": "oldest waiting (s)",
    "uncertainty_ms": "uncertainty (ms)",
    "engine": "program",
    "version": "version",
    "failed": "failed",
    "live": "waiting or running",
    "open": "Open findings",
    "damage": "of them tamper or loss",
    "unlocked": "without a lock",
    "not_looked_at": "not looked at yet",
    "due": "waiting to be looked at",
    "soonest": "first lock ends",
    "days": "days left",
    "per_day": "filled per day",
    "round": "round",
    "looked_at": "looked at",
    "bad": "bad",
    "oldest": "looked at longest ago",
    "ends": "will end",
    "objects": "objects",
    "missing": "missing",
    "unknown": "Bytes nobody refers to",
    "counted": "counted at",
    "since": "since",
    "copies": "copies",
}
HEALTH_VALUE_WORDS: Final = {
    "local": "local disk",
    "s3": "object storage",
    "immutable": "write-once",
    "mode-only": "file modes",
    "object-lock": "object lock",
    "none": "none",
}
#: What a person should know of a target of backups.
BACKUP_WARNINGS: Final = {
    "same-domain": "The target lies on the same disk as the home: one dead disk takes both.",
    "not-encrypted": "The backup is not encrypted: whoever reads the target has this home's keys.",
}
#: What a restore tells, by what it is about; one line for each value.
RESTORED: Final = {
    "sealed": "Sealed now, because only the backup held them:",
    "overtaken": "Never published, and others took its place:",
    "unread_logs": "This copy of the log could not be used:",
    "settings_changed": "Changed in config.toml:",
    "placed": "Put back outside of the home:",
    "left_out": "Not in the backup, put it back by hand:",
    "without": "This store was given up and still stands in config.toml:",
    "unread": "Nobody tells the size of these bytes (encrypted? put the passphrase back, then run `liuhen rebuild`):",
    "locked": "Encrypted footage cannot be read until its master key is back:",
    "unsealed": "Not sealed yet:",
    "unproved": "No entry of the log tells of this backup. If others can write where it lay, reset every password:",
}
STEPS: Final = {"log": "Custody log", "copies": "Copies", "catalogue": "Catalogue"}
VERDICTS: Final = {
    "good": "good",
    "tampered": "tampered",
    "policy-unmet": "policy-unmet",
    "unknown": "unknown",
}
#: States that people see as one thing, as the address of a list names them.
KEPT: Final = "stored,released"
MOVING: Final = "acquiring,acquired"
STATES: Final = {
    KEPT: "Recordings kept",
    MOVING: "On their way",
    "stored": "In the stores",
    "released": "Sealed, cleared from the recorder",
    "acquired": "Copied, being stored",
    "acquiring": "Being copied",
    "interrupted": "Interrupted",
    "discovered": "On the recorder",
    "duplicate": "Duplicate of a kept recording",
}
#: Quick filters of the list, by the name they have in its address.
CHIPS: Final = {
    "late": "Late hand-in",
    "quarantined": "Quarantine",
    "important": "Device mark",
    "damaged": "Tamper or loss found",
    "unclassified": "Unclassified",
    "flagged": "Flagged",
    "held": "Held",
}
TILES: Final = {
    "kept": "Recordings kept",
    "moving": "On their way",
    "interrupted": "Interrupted",
    "quarantined": "Quarantine",
    "late": "Late hand-in",
    "damaged": "Tamper or loss found",
    "findings": "Open findings",
}
MEDIA_FACTS: Final = {
    "container": "Container",
    "picture": "Picture",
    "rate": "Frame rate",
    "sound": "Sound",
    "stamp": "Time stamp in the container",
}
ERRORS: Final = {
    "usage": "That cannot be done as asked",
    "config": "Configuration",
    "invalid-input": "Invalid value",
    "not-found": "Not found",
    "policy-unmet": "A rule forbids this now",
    "brake-pulled": "Removals are stopped",
    "access-denied": "Access denied",
    "authentication": "Not logged in",
    "limit-exceeded": "Too large or too many",
    "clock-went-back": "The clock went back",
    "clock-jumped": "The clock jumped ahead",
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
    "store-credentials": "A store does not accept our keys or rights",
    "store-clock": "The clocks of a store and of this machine are too far apart",
    "store-not-kept": "A store confirmed a write and kept nothing",
    "not-durable": "Not durable; the service stops",
    "integrity": "Tamper or loss found",
    "digest-mismatch": "Bytes differ from their digest",
    "entry-invalid": "Invalid custody entry",
    "manifest-invalid": "Invalid manifest",
    "signature-invalid": "Invalid signature",
    "signer-mismatch": "The signing key, or its place in the log, is not right",
    "proof-invalid": "Invalid proof",
    "split-view": "Contradicting checkpoints",
    "custody": "Custody log trouble",
    "log-state-unknown": "The log's state is unknown",
    "log-locked": "Another process seals the log",
    "log-rollback": "The database is older than the published log",
    "key-unavailable": "A key cannot be opened",
    "master-key-unavailable": "The master key of encrypted footage cannot be opened",
    "catalogue": "Database trouble",
    "catalogue-unavailable": "The database does not answer",
    "state-conflict": "Already done or changed meanwhile",
    "home-locked": "Another process works on this home",
    "media": "Media trouble",
    "sandbox": "A media program failed",
    "job": "Background work trouble",
    "disc": "Trouble with a disc",
    "disc-plan": "The discs cannot be planned so",
    "disc-drive": "The burner cannot be used",
    "disc-medium": "This disc cannot be burnt",
    "disc-damaged": "A disc is damaged",
    "forged-request": "The page is out of date",
    "evidence": "Something went wrong in the service",
    "process-ended": "The service ended in between",
    "one-time-password": "Change your one-time password first.",
}
#: What a person can do about an error, by its class.
RETRY: Final = {
    Retry.NEVER: "Trying again the same way will not help.",
    Retry.LATER: "Try again in a moment.",
    Retry.AFTER_HUMAN: "Somebody has to mend something first.",
}
NOTICES: Final = {
    "single-domain": "All stores lie in one failure domain: one dead disk would take every copy. Recorders are not cleared.",
    "single-domain-allowed": "Recorders are cleared on ONE failure domain: this bureau has allowed it in its settings.",
    "log-behind": "Entries are waiting to be sealed: something keeps the log from being published.",
    "store-unavailable": "A store does not answer: new recordings have fewer copies than configured.",
    "disk-floor": "A store is nearly full: recorders keep their footage until space is made.",
    "clock-unsynchronised": "This machine's clock is not synchronised.",
}
PLAYER: Final = {
    "video": "Recording",
    "photo": "Photo",
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
    "uncorrected": "not corrected",
    "recorder": "recorder clock",
    "broken": "The browser cannot play this file.",
    "show": "Show the picture in full",
    "failed": "The service did not answer.",
    "gone": "No store gives the bytes at present: somebody has to look after it.",
    "denied": "You may not watch this recording. The refusal has been entered.",
    "nopicture": "Your browser plays the sound but shows no picture: it lacks this video format.",
}
WALL: Final = {
    "progress": "Transfer",
    "lost": "Connection lost: what is shown is not current. Do not unplug by it.",
    "none": "No recorder is docked.",
    "waiting": "Waiting for the docks…",
    "writing": "Still being written, dock again later:",
    "remaining": "remaining",
    "untold": "not told",
    "battery": "Battery",
    "clock": "Clock offset",
    "space": "Free on the recorder",
    "nearly_full": "Nearly full when it was docked",
    "unplug_yes": "May be unplugged",
    "unplug_no": "Do not unplug",
    "unplug_unknown": "Whether it may be unplugged is not known",
}

#: A moment as the lower rooms tell it.
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


def values_text(values: Mapping[str, str | int], language: str) -> str:
    """Measured values of a health check in the page's language: bytes in readable units, moments in bureau time."""
    parts = []
    for name, value in values.items():
        label = name.removesuffix("_bytes")
        shown = size_text(value) if name.endswith("_bytes") and isinstance(value, int) else str(value)
        if _MOMENT.fullmatch(shown):
            shown = local_time(datetime.fromisoformat(shown))
        shown = translate(HEALTH_VALUE_WORDS.get(shown, shown), language)
        parts.append(f"{translate(HEALTH_VALUES.get(name, HEALTH_VALUES.get(label, label)), language)}: {shown}")
    return " · ".join(parts)


def verification_text(last: Verification, language: str) -> str:
    """How a check of the whole home stands, in the page's language."""
    if last.running:
        step = translate(STEPS.get(last.step, last.step), language)
        return f"{step} {last.done}/{last.total}" if last.total else ""
    if last.code:
        return error_text(last.code, last.error, language)
    return translate(
        "{entries} entries, {recordings} recordings, {copies} copies, {findings} findings",
        language,
        entries=last.entries,
        recordings=last.recordings,
        copies=last.copies,
        findings=last.findings,
    )


def error_text(code: str, what: str, language: str) -> str:
    """A lower room's error for a page: its meaning by code; the English sentence beside it only on the English page."""
    title = translate(ERRORS.get(code, "This did not work"), language)
    return title if language == "zh-CN" or not what else f"{title}: {what}"


def stored_message(message: str, language: str) -> str:
    """A message a row keeps as ``code: what`` (or a code alone)."""
    code, _, what = message.partition(": ")
    return error_text(code, what, language) if code in ERRORS else message
