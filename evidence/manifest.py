"""The manifest of a recording: what was acquired, in canonical JSON, stored beside every copy of the bytes.

It repeats what the custody log says about the recording, so that a store found without database and without log still
tells what its bytes are. Personal values stand in it only as the salted digests of the entry that first named them; whoever
holds the disclosures can read them, and erasing the disclosures leaves every manifest valid.

Pure: bytes in, values out. Source: docs/formats/manifest.md; RFC 8785; RFC 9901.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from evidence import canonical
from evidence.clock import from_text
from evidence.digest import Digest
from evidence.errors import EvidenceError, ManifestInvalidError
from evidence.events import EVENT_TYPES
from evidence.ids import DeviceId, EntryId, OffloadId, RecordingId
from evidence.model import RecordingKind

SCHEMA: Final = "urn:liuhen:manifest:1"
_BYTES_MAX = 65_535
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SALTED = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """An entry that the manifest rests on; ``leaf_sha256`` finds it in the log."""

    entry: str
    event: str
    leaf_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was acquired. Texts of times are ``evidence.clock.to_text``; an empty text or -1 means 'not known'.

    Attributes:
        recording: Identity of the recording.
        device: The recorder it came from.
        offload: The docking in which its last byte was read.
        kind: What kind of file it is, by its name.
        pattern: Letter of the file-name pattern, empty for an unknown name.
        counter: The recorder's own counter.
        important: The recorder's own mark.
        attached_to: The recording this side file belongs to.
        size_bytes: Bytes acquired.
        sha256: Digests of all bytes in lower-case hexadecimal, as ``sm3`` and ``blake3``.
        sm3: See ``sha256``.
        blake3: See ``sha256``.
        discovered_at: When it was first seen.
        acquired_at: When the last byte was read.
        started_at: Trusted start.
        started_source: Where the start comes from.
        deadline_at: When it had to be handed in.
        entries: The entries this rests on, in order.
        sd: Salted digests of name, path, officer and the like: those of the ``recording.discovered`` entry.
    """

    recording: str
    device: str
    offload: str
    kind: str
    pattern: str
    counter: int
    important: bool
    attached_to: str
    size_bytes: int
    sha256: str
    sm3: str
    blake3: str
    discovered_at: str
    acquired_at: str
    started_at: str
    started_source: str
    deadline_at: str
    entries: tuple[ManifestEntry, ...]
    sd: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The canonical bytes that are stored and digested."""
        body: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in {"entries", "sd"}
        }
        body["manifest"] = SCHEMA
        body["entries"] = [dataclasses.asdict(entry) for entry in self.entries]
        body["_sd"] = list(self.sd)
        body["_sd_alg"] = "sha-256"
        return canonical.dumps(body)


def _time(text: str) -> object:
    return from_text(text) if text else None


_CHECKS: dict[str, Callable[[Any], object]] = {
    "recording": RecordingId,
    "device": DeviceId,
    "offload": OffloadId,
    "kind": RecordingKind,
    "attached_to": lambda text: RecordingId(text) if text else None,
    "sha256": lambda text: Digest("sha256", text),
    "sm3": lambda text: Digest("sm3", text),
    "blake3": lambda text: Digest("blake3", text) if text else None,
    "discovered_at": from_text,
    "acquired_at": from_text,
    "started_at": _time,
    "deadline_at": _time,
}
_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool}


def _checked_scalars(body: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Manifest):
        if field.name in {"entries", "sd"}:
            continue
        value = body.pop(field.name)
        if type(value) is not _TYPES[str(field.type)]:
            raise ManifestInvalidError(f"manifest field {field.name} has the wrong type")
        if field.name in _CHECKS:
            _CHECKS[field.name](value)
        values[field.name] = value
    if values["size_bytes"] < 0 or values["counter"] < -1:
        raise ManifestInvalidError("a manifest number is negative")
    return values


def _checked_entry(item: Any) -> ManifestEntry:
    entry = ManifestEntry(**item)
    if not isinstance(entry.entry, str):
        raise ManifestInvalidError("a manifest names an entry in the wrong form")
    EntryId(entry.entry)
    if entry.event not in EVENT_TYPES or not _DIGEST.fullmatch(entry.leaf_sha256):
        raise ManifestInvalidError("a manifest names an entry in the wrong form")
    return entry


def parse(untrusted: bytes) -> Manifest:
    """Parse a stored manifest strictly.

    Raises:
        ManifestInvalidError: Too large, not canonical, another schema, or a field missing, unknown or malformed.
    """
    if len(untrusted) > _BYTES_MAX:
        raise ManifestInvalidError("a manifest is larger than 65,535 bytes")
    try:
        body = canonical.loads(untrusted)
        if not isinstance(body, dict) or body.pop("manifest", None) != SCHEMA or body.pop("_sd_alg", None) != "sha-256":
            raise ManifestInvalidError("not a manifest of this schema")
        listed, salted = body.pop("entries"), body.pop("_sd")
        if not isinstance(listed, list) or not isinstance(salted, list):
            raise ManifestInvalidError("a manifest's lists are not lists")
        entries, sd = tuple(_checked_entry(item) for item in listed), tuple(salted)
        values = _checked_scalars(body)
        if body or not all(isinstance(digest, str) and _SALTED.fullmatch(digest) for digest in sd):
            raise ManifestInvalidError("a manifest has unknown fields or malformed salted digests")
    except ManifestInvalidError:
        raise
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise ManifestInvalidError(f"not a manifest: {error}") from error
    return Manifest(**values, entries=entries, sd=sd)
