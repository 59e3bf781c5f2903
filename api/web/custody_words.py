"""Words of custody entries and of the examination: codes of the log as message identities. The pages translate them."""

from __future__ import annotations

from typing import Final

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
    "recording.classified": "Classified",
    "recording.flagged": "Flag put on or lifted",
    "recording.archived": "Filed: its use now needs consent",
    "recording.disposing": "Clearing began: the point of no return",
    "recording.disposed": "Lawfully cleared",
    "matter.acted": "Acted on in a matter",
    "document.filed": "Document filed, its copies read back",
    "access.allowed": "Accessed",
    "access.denied": "Access denied",
    "fixity.checked": "Fixity check",
    "fixity.round": "Fixity round",
    "finding.raised": "Finding raised",
    "finding.closed": "Finding closed",
    "copy.made": "Copy made, read back and matched",
    "copy.removed": "Copy removed from a store",
    "bytes.released": "Bytes released",
}
COPY_REASONS: Final = {
    "catch-up": "the store had been away",
    "repair": "in the place of a bad copy",
    "migration": "moved between stores",
    "restore": "after a restore",
    "cold": "further copy of long-term footage",
    "store-given-up": "the store was given up, its bytes were removed",
    "store-given-up-bytes-left": "the store was given up, the bytes stay on its disk",
}
#: Whether a flag stands after the entry; flags and grounds have their words in :mod:`api.web.classify_words`.
STANDING: Final = {"put": "put on", "lifted": "lifted"}
#: On what a judgement about a recording rests.
BASIS: Final = {
    "person": "judged by a person",
    "bulk": "judged together with others",
    "case": "from its case",
    "import": "imported",
}
#: Why a recording counts as filed.
FILED: Final = {
    "case": "with its case",
    "working-material": "as working material",
    "time": "nobody filed it within 24 hours",
}
CLEARING: Final = {"review": "approved by persons", "automatic": "under a standing determination"}
#: Why a finding needs no attention any more.
CLOSED: Final = {
    "repaired": "in the place of a bad copy",
    "caught-up": "the store had been away",
    "looked-at": "looked at by a person",
    "over": "no longer so",
    "read-back": "Read back and matches",
    "told-anew": "told anew",
    "released": "removals are allowed",
}
ACTIONS: Final = {
    "recording.list": "list recordings",
    "recording.show": "open the page",
    "recording.view": "watch",
    "recording.copy": "copy out",
    "recording.export": "export in a package",
    "recording.verify": "verify",
    "recording.bind": "bind an officer",
    "device.release": "clear the recorder",
    "log.read": "read the log",
    "finding.close": "close a finding",
    "verify.run": "verify everything",
    "fixity.run": "Fixity check",
}
VIA: Final = {"web": "in the browser", "cli": "on the command line", "service": "by the service"}
LOOKS: Final = {
    "original": "original",
    "viewing": "viewing copy",
    "viewing copy": "viewing copy asked for",
    "poster": "poster",
    "sheet": "key frames",
    "sheet-index": "times of the key frames",
    "locate": "where the copies lie",
    "proof": "proof for outsiders handed out",
    "text": "text of the file",
}
#: Looks that say everything by themselves.
ASKED: Final = frozenset({"locate", "proof", "viewing copy"})
DENIALS: Final = {
    "same-person": "One person cannot do both: somebody else must decide.",
    "no-part": "Only somebody with a certain part in this matter may do that.",
    "nothing-to-do": "You can do nothing with this matter now, so you file nothing with it.",
    "needs-grant": "This footage is archived; watching it needs an approved request.",
    "concerned": "It concerns you, or you were recused: others see it and work on it.",
    "used-up": "The grant was used as often as it allows.",
    "no-role": "Your roles do not allow this.",
    "outside-unit": "It belongs to another unit.",
    "not-own": "It is not your own recording.",
    "inactive": "Your account is not active.",
    "unknown-agent": "Your account is not known.",
    "own-rights": "Nobody changes their own rights.",
    "own-password": "Change your own password with the present one.",
    "own-account": "Nobody lets their own account act as somebody else.",
    "pulled-it-themselves": "Who stopped removals cannot let them go on.",
    "password-change-required": "Change your one-time password first.",
}
MODES: Final = {"manual": "by a person", "automatic": "automatically"}
PARTS: Final = {
    "recording": "recording",
    "manifest": "manifest",
    "derivative": "viewing copy or picture",
    "document": "document",
}
#: Measurements of the examination; their figures follow as written in the log.
NOTES: Final = {
    "structure-beyond-end": "The file says it is longer than it is",
    "index-missing": "The index is missing",
    "never-closed": "The file was never closed",
    "bytes-outside-structure": "Bytes outside the file's structure",
    "zero-blocks": "Blocks of zeros",
    "zero-tail": "Zeros at the end",
    "end-not-stated": "This format does not state its end: a missing end cannot be noticed",
    "shorter-than-stated": "Shorter than stated",
    "frames-missing": "Frames are missing",
    "packets-in-zero-blocks": "Packets lie in blocks of zeros",
    "pictures-end-early": "The pictures end while the sound goes on",
    "limit-reached": "The examination was ended at its limit",
    "complaints": "The decoder complained",
    "empty": "The file is empty",
    "only-zeros": "Nothing but zeros",
    "foreign-content": "The content is of another kind than the name",
    "not-recognised": "The content is of no known format",
    "picture-end-missing": "The end of the picture is missing",
    "remux-refused": "Repacked for the browser it was not the same any more: the viewing copy is coded anew",
}
