"""Words of the sections about cases that no form declares: what lacks, and what kinds of lines a timeline has."""

from __future__ import annotations

from typing import Final

from evidence.model import RecordingKind

#: By what lacks; ``{name}`` is the field, the document or the recording.
LACKS: Final = {
    "field": "Not told yet: {name}",
    "parties": "Name the parties, or tell that none is known",
    "officers": "Name the second officer",
    "period": "Settle the archive period",
    "footage": "No footage is in it",
    "fixation": "Not fixed in writing: {name}",
    "document": "Not on file: {name}",
}
#: Kinds of recordings, as lists of a dossier call them.
KIND_WORDS: Final = {
    RecordingKind.VIDEO: "Video", RecordingKind.AUDIO: "Sound", RecordingKind.PHOTO: "Photo",
    RecordingKind.TEXT: "Text file", RecordingKind.TRACK: "Track",
}  # fmt: skip
HAPPENED: Final = {
    "recording": "Recording", "clip": "Clip", "document": "Document", "act": "Act",
}  # fmt: skip
