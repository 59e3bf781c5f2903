"""Words about stores that are examined item by item (`liuhen storage check`): what was looked at, and what it means."""

from __future__ import annotations

from typing import Final

LEVELS: Final = {"good": "right", "note": "note", "bad": "wrong", "unknown": "not known"}

CHECKS: Final = {
    "answers": "The store answers",
    "tls": "The connection is encrypted (https)",
    "credentials": "The server accepts our keys and rights",
    "clock": "The server's clock and ours agree",
    "bucket": "The bucket exists",
    "bucket-lock": "Object Lock is switched on",
    "versions": "Versions are switched on",
    "default-retention": "The bucket locks everything for as long as the settings ask",
    "retention-is-kept": "Retention dates are kept",
    "hold-is-kept": "Legal holds are kept",
    "retention-refuses-removal": "What is under retention cannot be removed",
    "retention-refuses-shortening": "A retention cannot be shortened",
    "hold-refuses-removal": "What is under a hold cannot be removed",
    "compliance-refuses-bypass": "COMPLIANCE cannot be bypassed",
    "bypass-is-refused": "This account cannot bypass GOVERNANCE",
    "wrong-md5-refused": "Bytes damaged on the way are refused (MD5)",
    "wrong-sha256-refused": "Bytes damaged on the way are refused (SHA-256)",
    "checksums-are-kept": "The server keeps SHA-256 checksums",
    "create-only-put": "An object is never written over",
    "create-only-multipart": "An object in parts is never written over",
    "multipart-keeps-lock": "An upload in parts keeps the lock it was begun with",
    "multipart-is-locked": "An object in parts is locked",
    "multipart-refuses-removal": "An object in parts cannot be removed",
    "probe": "The protection was tried out",
    "protection": "Files cannot be removed without a privilege of the machine",
}

_LOOKS_FIRST = "The service looks before it writes; the name is the digest, so a race can only write the same bytes."
#: What it means when a check is not good, and what to do.
ADVICE: Final = {
    "answers": "Mount the disk, or see to the network and the server; nothing can be told of the rest.",
    "tls": "Use https unless the line between is yours alone.",
    "credentials": "Put valid keys into the store's key files, and give the account its rights (docs/deployment.md).",
    "clock": "Set both clocks by NTP: locks end by the server's clock, and requests are refused at 15 minutes.",
    "bucket": "Make it with `liuhen storage init`.",
    "bucket-lock": "Make a new bucket with `liuhen storage init`; some servers cannot switch the lock on later.",
    "versions": "Run `liuhen storage init`.",
    "default-retention": "Run `liuhen storage init`; a longer or stricter one than the settings ask stays.",
    "bypass-is-refused": "Whoever has these keys can remove what GOVERNANCE protects: deny the account "
    "s3:BypassGovernanceRetention, or set mode to COMPLIANCE.",
    "wrong-sha256-refused": "The server checks MD5 only; copies are read back in any case.",
    "checksums-are-kept": "A blob that is put again is compared by reading it.",
    "create-only-put": _LOOKS_FIRST,
    "create-only-multipart": _LOOKS_FIRST,
    "multipart-keeps-lock": "The service sets the lock again after each upload; until then the bucket's default retention "
    "protects it.",
    "probe": "Run the check again when the server answers.",
    "protection": "Files are protected by their mode alone; see docs/formats/store.md for what gives more.",
}
DEFAULT_ADVICE: Final = {
    "bad": "The server does not protect what it stores: do not count on this store; see docs/deployment.md."
}
