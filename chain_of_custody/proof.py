"""Proof bundles: one small file that, with the log's verifier key and the media file, proves a recording's entry.

The bundle is a C2SP tlog-proof; its ``extra`` line carries the entry itself, so nothing else is needed. What is
unauthenticated in it (``extra``) is worth nothing until its hash has led to the signed root.

Source: C2SP tlog-proof; docs/formats/proof.md.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from chain_of_custody import entry as entries
from chain_of_custody.checkpoint import Checkpoint, NoteVerifier, open_checkpoint
from chain_of_custody.entry import Entry
from chain_of_custody.keys import b64decode_strict
from chain_of_custody.merkle import HASH_BYTES, PROOF_HASHES_MAX, leaf_hash, verify_inclusion
from chain_of_custody.reader import LogReader
from evidence.errors import DigestMismatchError, EntryInvalidError, NotFoundError, ProofInvalidError

HEADER: Final = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX: Final = 2 << 20
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class ProofBundle:
    """A parsed proof, not yet verified.

    Attributes:
        index: The entry's index.
        hashes: Inclusion proof, leaf's sibling first.
        note: The checkpoint, verbatim.
        envelope: The entry from the ``extra`` line.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    envelope: bytes

    def encode(self) -> bytes:
        """The bundle's bytes."""
        lines = [HEADER, f"extra {_b64(self.envelope)}", f"index {self.index}", *map(_b64, self.hashes)]
        return "".join(f"{line}\n" for line in lines).encode("ascii") + b"\n" + self.note

    @classmethod
    def parse(cls, untrusted: bytes) -> ProofBundle:
        """Parse a bundle strictly; an ``extra`` line with the entry is required.

        Raises:
            ProofInvalidError: Anything else.
        """
        head, separator, note = untrusted.partition(b"\n\n")
        if len(untrusted) > PROOF_BYTES_MAX or not separator or not note:
            raise ProofInvalidError("not a tlog-proof")
        try:
            lines = head.decode("ascii").split("\n")
            if lines[0] != HEADER or len(lines) < len(("header", "extra", "index")):
                raise ProofInvalidError("not a tlog-proof of version 1")
            kind, _, extra = lines[1].partition(" ")
            index = _INDEX.fullmatch(lines[2])
            if kind != "extra" or index is None or len(lines) > 3 + PROOF_HASHES_MAX:
                raise ProofInvalidError("tlog-proof lacks its entry or its index, or is too long")
            hashes = tuple(b64decode_strict(line) for line in lines[3:])
            envelope = b64decode_strict(extra)
        except (UnicodeDecodeError, EntryInvalidError) as error:
            raise ProofInvalidError("tlog-proof is malformed") from error
        if any(len(one) != HASH_BYTES for one in hashes):
            raise ProofInvalidError("tlog-proof holds something else than SHA-256 hashes")
        return cls(int(index[1]), hashes, note, envelope)


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    """What a verified proof says: this entry stands at this index of the log with this checkpoint."""

    checkpoint: Checkpoint
    index: int
    entry: Entry


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def proof_for(reader: LogReader, index: int) -> bytes:
    """The proof bundle of a published entry, verified before it is handed out.

    Raises:
        NotFoundError: The entry is not covered by the published checkpoint yet.
        IntegrityError: The published files contradict each other.
    """
    note = reader.note()
    checkpoint = open_checkpoint(note, reader.verifier)
    if not 0 <= index < checkpoint.size:
        raise NotFoundError(
            f"entry {index} is not covered by the published checkpoint of {checkpoint.size}",
            todo="Wait until it is sealed.",
        )
    hashes = tuple(reader.inclusion_proof(index, size=checkpoint.size))
    bundle = ProofBundle(index, hashes, note, reader.entry(index)).encode()
    verify_proof(bundle, reader.verifier)
    return bundle


def verify_proof(untrusted: bytes, verifier: NoteVerifier, *, sha256: str = "") -> ProofVerdict:
    """Check a proof bundle.

    Args:
        untrusted: The bundle's bytes.
        verifier: The log's verifier key, from somewhere else than the bundle.
        sha256: Digest (hex) of the media file at hand; empty to check the entry alone.

    Raises:
        ProofInvalidError: Malformed, or the entry does not lead to the signed root.
        SignatureInvalidError, EntryInvalidError: The checkpoint is not this log's, or the entry breaks its schema.
        DigestMismatchError: The entry speaks of other bytes than the media file's.
    """
    bundle = ProofBundle.parse(untrusted)
    checkpoint = open_checkpoint(bundle.note, verifier)
    verify_inclusion(
        leaf=leaf_hash(bundle.envelope),
        index=bundle.index,
        size=checkpoint.size,
        proof=bundle.hashes,
        root=checkpoint.root,
    )
    entry = entries.parse(bundle.envelope)
    if sha256 and (entry.data["sha256"] != sha256 or entry.subject_sha256 != sha256):
        raise DigestMismatchError("the proof's entry speaks of other bytes than these")
    return ProofVerdict(checkpoint, bundle.index, entry)
