"""What all discs of a set share, in one file: the list, and the small files that stand beside the recordings. Pure.

It is filed with the set, so that a disc can be made again years later with the very same bytes.

Source: docs/formats/disc.md "Bundle".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from discs.manifest import EVERY_DISC, DiscManifest, ListedFile, SetFacts, parse
from discs.plan import Plan
from evidence import canonical
from evidence.digest import sha256_of
from evidence.errors import DiscError, EvidenceError

SCHEMA: Final = "urn:liuhen:disc-bundle:1"
PROOFS: Final = "保管链"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscBundle:
    """List and small files (by path on disc)."""

    manifest: DiscManifest
    small: Mapping[str, bytes]

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        return canonical.dumps({
            "bundle": SCHEMA,
            "manifest": _text(self.manifest.to_bytes()),
            "small": {path: _text(data) for path, data in self.small.items()},
        })  # fmt: skip


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def parse_bundle(untrusted: bytes) -> DiscBundle:
    """Read a bundle.

    Raises:
        DiscError: It is none.
    """
    try:
        body = canonical.loads(untrusted)
        if body["bundle"] != SCHEMA:
            raise DiscError("not the bundle of a disc set")
        manifest = parse(base64.b64decode(body["manifest"], validate=True))
        small = {path: base64.b64decode(text, validate=True) for path, text in body["small"].items()}
    except DiscError:
        raise
    except (EvidenceError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DiscError(f"the bundle of the disc set is damaged: {error}", todo="Take the list from a disc.") from error
    return DiscBundle(manifest=manifest, small=small)


def make_bundle(facts: SetFacts, plan: Plan, *, proofs: Mapping[str, bytes], common: Mapping[str, bytes]) -> DiscBundle:
    """List the recordings of a plan, each with its proof beside it on the same disc, and what goes on every disc.

    Args:
        facts: The set.
        plan: Which recording goes where.
        proofs: Proof of custody by recording.
        common: Files for every disc by path.
    """
    files: list[ListedFile] = []
    small = dict(common)
    for placed in plan.files:
        source = placed.source
        files.append(
            ListedFile(
                path=placed.path, disc=placed.disc, sha256=source.sha256, size_bytes=source.size_bytes,
                name=source.untrusted_name, key=source.key, facts=source.facts,
            )
        )  # fmt: skip
        path = f"{PROOFS}/{placed.path.partition('/')[2]}.proof"
        small[path] = proofs[source.key]
        files.append(_small(path, placed.disc, small[path]))
    files += [_small(path, EVERY_DISC, data) for path, data in sorted(common.items())]
    return DiscBundle(manifest=DiscManifest(facts=facts, discs=plan.discs, files=tuple(files)), small=small)


def _small(path: str, disc: int, data: bytes) -> ListedFile:
    name = PurePosixPath(path).name
    return ListedFile(path=path, disc=disc, sha256=sha256_of(data).hex, size_bytes=len(data), name=name)


def recordings_of(disc: int, manifest: DiscManifest) -> Sequence[ListedFile]:
    """The recordings on one disc: what has a key."""
    return [one for one in manifest.on(disc) if one.key]
