"""Verdicts over entries, pure: bytes in, findings out. No files, no clock, no database.

:class:`EntryAudit` is a state machine. It is fed every entry of a log in order and tells what is wrong with it:

- the opening (entries 0 to 2) introduces the station's and the log's key; its trust comes from the checkpoint over it;
- every later key is introduced by a signer that is known already, and signs only after that;
- every entry parses strictly, is signed by a known station key, and follows its signer's previous entry (``seq``,
  ``prev``), so an entry that was dropped before it got an index shows as a gap.

What it does not do: compare leaves with tiles and checkpoints (``fsck`` does), or judge what events mean (assurance does).

Source: docs/formats/log.md section "Checking a log".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chain_of_custody import entry as entries
from chain_of_custody.entry import Entry
from chain_of_custody.keys import ALGORITHM, ROLE_LOG, ROLE_STATION, VerifyingKey
from evidence.errors import EvidenceError, SignatureInvalidError
from evidence.events import KeyAdded, LogOpened

#: Entries that introduce the log itself.
OPENING_ENTRIES: Final = 3


class FindingKind(StrEnum):
    """What can be wrong with a log; stable codes."""

    CHECKPOINT_MISSING = "checkpoint-missing"
    CHECKPOINT_INVALID = "checkpoint-invalid"
    BUNDLE_MISSING = "bundle-missing"
    BUNDLE_INVALID = "bundle-invalid"
    TILE_MISSING = "tile-missing"
    TILE_MISMATCH = "tile-mismatch"
    ROOT_MISMATCH = "root-mismatch"
    UNREADABLE = "unreadable"
    ENTRY_INVALID = "entry-invalid"
    SIGNATURE_INVALID = "signature-invalid"
    SIGNER_UNKNOWN = "signer-unknown"
    SEQUENCE_GAP = "sequence-gap"
    PREVIOUS_MISMATCH = "previous-mismatch"
    OPENING_INVALID = "opening-invalid"
    KEY_INVALID = "key-invalid"


@dataclass(frozen=True, slots=True)
class LogFinding:
    """One thing that is wrong.

    Attributes:
        kind: Stable code.
        detail: What exactly, in English.
        index: Index of the entry (for tiles and bundles: of their first), -1 when the whole log is meant.
    """

    kind: FindingKind
    detail: str
    index: int = -1


@dataclass(frozen=True, slots=True)
class _Last:
    seq: int
    sha256: str


class EntryAudit:
    """Judges the entries of one log, fed in order.

    Args:
        log_key: The log's public key (32 bytes); the opening must introduce it.
        origin: Origin of the log's checkpoints; the opening must name it.
        check_signature: Tells for which indices the signature is verified (all of them by default). The opening and
            every ``key.added`` are always verified.

    Example::

        audit = EntryAudit(log_key=verifier.key.public_key, origin=verifier.name)
        for index, envelope in reader.envelopes():
            findings += audit.feed(index, envelope)
        findings += audit.finish()
    """

    def __init__(
        self, *, log_key: bytes, origin: str, check_signature: Callable[[int], bool] = lambda _index: True
    ) -> None:
        self._log_key = log_key
        self._origin = origin
        self._check_signature = check_signature
        self._keys: dict[str, VerifyingKey] = {}
        self._last: dict[str, _Last] = {}
        self._opening: list[tuple[int, bytes, Entry]] = []
        self._opened = False
        self.signatures_checked = 0

    @property
    def station_keys(self) -> dict[str, VerifyingKey]:
        """Keys that may sign entries, as introduced so far."""
        return dict(self._keys)

    def feed(self, index: int, untrusted_envelope: bytes) -> list[LogFinding]:
        """Judge the entry at ``index``; indices come in order, missing ones are simply not fed."""
        try:
            entry = entries.parse(untrusted_envelope)
        except EvidenceError as error:
            return [LogFinding(FindingKind.ENTRY_INVALID, error.what, index)]
        if self._opened:
            return self._judge(index, untrusted_envelope, entry)
        if index < OPENING_ENTRIES:
            self._opening.append((index, untrusted_envelope, entry))
        if index >= OPENING_ENTRIES - 1:
            findings = self._judge_opening()
            return findings if index < OPENING_ENTRIES else findings + self._judge(index, untrusted_envelope, entry)
        return []

    def finish(self) -> list[LogFinding]:
        """What can only be said at the end: a log that was never properly opened."""
        return [] if self._opened else self._judge_opening()

    def _judge_opening(self) -> list[LogFinding]:
        self._opened = True
        findings = []
        try:
            _check_opening([entry for _, _, entry in self._opening], self._log_key, self._origin)
        except EvidenceError as error:
            findings.append(LogFinding(FindingKind.OPENING_INVALID, error.what, 0))
        for index, _, entry in self._opening:
            findings += self._add_key(index, entry)
        for index, envelope, entry in self._opening:
            findings += self._judge(index, envelope, entry, opening=True)
        self._opening = []
        return findings

    def _judge(self, index: int, envelope: bytes, entry: Entry, *, opening: bool = False) -> list[LogFinding]:
        findings = self._judge_signature(index, entry, always=opening or entry.event_type == KeyAdded.TYPE)
        findings += self._judge_place(index, envelope, entry)
        if not findings and not opening:
            findings = self._add_key(index, entry)
        return findings

    def _judge_signature(self, index: int, entry: Entry, *, always: bool) -> list[LogFinding]:
        key = self._keys.get(entry.signer)
        if key is None:
            return [LogFinding(FindingKind.SIGNER_UNKNOWN, f"no entry introduces the key {entry.signer}", index)]
        if always or self._check_signature(index):
            self.signatures_checked += 1
            try:
                entry.verify_signature(key)
            except EvidenceError as error:
                return [LogFinding(FindingKind.SIGNATURE_INVALID, error.what, index)]
        return []

    def _judge_place(self, index: int, envelope: bytes, entry: Entry) -> list[LogFinding]:
        last = self._last.get(entry.signer, _Last(-1, ""))
        self._last[entry.signer] = _Last(entry.seq, hashlib.sha256(envelope).hexdigest())
        if entry.seq != last.seq + 1:
            detail = f"signer {entry.signer} goes from {last.seq} to {entry.seq}: entries are missing or repeated"
            return [LogFinding(FindingKind.SEQUENCE_GAP, detail, index)]
        if entry.prev != last.sha256:
            detail = f"entry {entry.seq} of signer {entry.signer} does not follow its entry {last.seq}"
            return [LogFinding(FindingKind.PREVIOUS_MISMATCH, detail, index)]
        return []

    def _add_key(self, index: int, entry: Entry) -> list[LogFinding]:
        if entry.event_type != KeyAdded.TYPE:
            return []
        try:
            key = _introduced_key(entry)
        except EvidenceError as error:
            return [LogFinding(FindingKind.KEY_INVALID, error.what, index)]
        if entry.data["role"] == ROLE_STATION:
            self._keys[key.key_id] = key
        return []


def _introduced_key(entry: Entry) -> VerifyingKey:
    if entry.data["algorithm"] != ALGORITHM:
        raise SignatureInvalidError(f"unknown key algorithm {entry.data['algorithm'][:32]!r}")
    key = VerifyingKey.from_base64(entry.data["public_key"])
    if key.key_id != entry.data["key_id"]:
        raise SignatureInvalidError("key id and public key differ")
    return key


def _check_opening(opening: list[Entry], log_key: bytes, origin: str) -> None:
    types = [entry.event_type for entry in opening]
    if types != [LogOpened.TYPE, KeyAdded.TYPE, KeyAdded.TYPE]:
        raise SignatureInvalidError(f"the log does not begin with log.opened and two keys but with {types}")
    opened, station, log = opening
    if opened.data["origin"] != origin:
        raise SignatureInvalidError("the log was opened under another origin")
    if (station.data["role"], log.data["role"]) != (ROLE_STATION, ROLE_LOG):
        raise SignatureInvalidError("the opening does not introduce a station key and a log key")
    if _introduced_key(log).public_key != log_key:
        raise SignatureInvalidError("the opening introduces another log key than the one that signs checkpoints")
    if any(entry.signer != station.data["key_id"] for entry in opening):
        raise SignatureInvalidError("the opening is not signed by the station key it introduces")


def verify_entry(untrusted_envelope: bytes, station_keys: dict[str, VerifyingKey]) -> Entry:
    """Parse one entry and check its signature against known station keys.

    Raises:
        EntryInvalidError: Malformed. SignatureInvalidError: signed by an unknown key, or wrongly.
    """
    entry = entries.parse(untrusted_envelope)
    key = station_keys.get(entry.signer)
    if key is None:
        raise SignatureInvalidError(f"signer {entry.signer} is not a known station key")
    entry.verify_signature(key)
    return entry
