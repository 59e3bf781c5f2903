"""The list of a whole disc set, the same bytes on every disc: what each file is, its digest, and on which disc it lies.

``清单/manifest.json`` is canonical JSON; its SHA-256 is the set's identity and stands as a QR code on every label.
``清单/manifest-sha256.txt`` says the same for ``sha256sum -c --ignore-missing``. Both are checked strictly when they come back
from a disc years later.

Pure. Source: R12; docs/formats/disc.md; RFC 8785.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from evidence import canonical
from evidence.digest import Digest, sha256_of
from evidence.errors import EvidenceError, ManifestInvalidError

SCHEMA: Final = "urn:liuhen:disc-set:1"
MANIFEST_PATH: Final = "清单/manifest.json"
SUMS_PATH: Final = "清单/manifest-sha256.txt"
#: 100,000 files of 2 KB.
MANIFEST_BYTES_MAX: Final = 256 << 20
#: ``disc`` of files that lie on every disc of the set.
EVERY_DISC: Final = 0
_PATH = re.compile(r"[^/\x00-\x1f\\]{1,128}(/[^/\x00-\x1f\\]{1,128}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFacts:
    """The five fields of R12 and what the register adds.

    Attributes:
        number: Number of the disc set.
        unit: Producing unit.
        producer: Person who made it.
        produced_at: When, as ``evidence.clock.to_text`` writes it.
        title: Name of the activity or case.
        case_number: Its number; empty where it has none.
        medium: Kind of medium the set was planned for.
        ground: Why it is kept for long (R11).
    """

    number: str
    unit: str
    producer: str
    produced_at: str
    title: str
    case_number: str = ""
    medium: str = ""
    ground: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One file of the set. ``disc`` counts from 1; :data:`EVERY_DISC` for what lies on all of them."""

    path: str
    disc: int
    sha256: str
    size_bytes: int
    name: str
    key: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscManifest:
    """The whole set."""

    facts: SetFacts
    discs: int
    files: tuple[ListedFile, ...]

    def to_bytes(self) -> bytes:
        """The canonical bytes of ``清单/manifest.json``."""
        return canonical.dumps({
            "manifest": SCHEMA,
            "set": dataclasses.asdict(self.facts),
            "discs": self.discs,
            "files": [{**dataclasses.asdict(one), "facts": dict(one.facts)} for one in self.files],
        })  # fmt: skip

    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes: the identity of the set."""
        return sha256_of(self.to_bytes())

    def on(self, disc: int) -> tuple[ListedFile, ...]:
        """What must lie on one disc."""
        return tuple(one for one in self.files if one.disc in (disc, EVERY_DISC))

    def sums(self) -> bytes:
        """The text of ``清单/manifest-sha256.txt``: run at the root of a disc, ``sha256sum`` skips what lies elsewhere."""
        lines = [
            f"# {self.facts.number} {self.discs}",
            f"# sha256sum -c --ignore-missing {SUMS_PATH}",
        ]
        for disc in range(self.discs + 1):
            listed = [one for one in self.files if one.disc == disc]
            if listed:
                lines.append(f"# {'每张盘 every disc' if disc == EVERY_DISC else f'盘 disc {disc}/{self.discs}'}")
                lines += [f"{one.sha256}  {one.path}" for one in listed]
        return ("\n".join(lines) + "\n").encode("utf-8")


def _listed(untrusted: Any, discs: int) -> ListedFile:
    one = ListedFile(**untrusted)
    texts = (one.path, one.sha256, one.name, one.key)
    if not all(isinstance(text, str) for text in texts) or not _PATH.fullmatch(one.path):
        raise ManifestInvalidError("a disc's list names a file in the wrong form")
    if type(one.disc) is not int or not EVERY_DISC <= one.disc <= discs:
        raise ManifestInvalidError("a disc's list names a disc that the set does not have")
    if type(one.size_bytes) is not int or one.size_bytes < 0:
        raise ManifestInvalidError("a disc's list has a file without a size")
    Digest("sha256", one.sha256)
    if type(one.facts) is not dict or not all(isinstance(text, str) for text in one.facts.values()):
        raise ManifestInvalidError("a disc's list tells facts in the wrong form")
    if any(part in {".", ".."} for part in one.path.split("/")):
        raise ManifestInvalidError("a disc's list names a file outside of the disc")
    return one


def parse(untrusted: bytes) -> DiscManifest:
    """Read a list that comes from a disc.

    Raises:
        ManifestInvalidError: Too large, not canonical, another schema, or anything missing, unknown, doubled or malformed.
    """
    if len(untrusted) > MANIFEST_BYTES_MAX:
        raise ManifestInvalidError("a disc's list is larger than any we write")
    try:
        body = canonical.loads(untrusted)
        if (
            not isinstance(body, dict)
            or set(body) != {"manifest", "set", "discs", "files"}
            or body["manifest"] != SCHEMA
        ):
            raise ManifestInvalidError("not the list of a disc set")
        facts, discs = SetFacts(**body["set"]), body["discs"]
        if not all(isinstance(text, str) for text in dataclasses.asdict(facts).values()):
            raise ManifestInvalidError("a disc's list tells its set in the wrong form")
        if type(discs) is not int or not 1 <= discs <= 10_000 or not isinstance(body["files"], list):
            raise ManifestInvalidError("a disc's list has no discs or no files")
        files = tuple(_listed(one, discs) for one in body["files"])
    except ManifestInvalidError:
        raise
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise ManifestInvalidError(f"not the list of a disc set: {error}") from error
    if len({one.path for one in files}) != len(files):
        raise ManifestInvalidError("a disc's list names a file twice")
    return DiscManifest(facts=facts, discs=discs, files=files)
