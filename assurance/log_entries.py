"""The entries of the database, each examined once, and what they tell; entries that a running service adds included.

Nothing here trusts a column that can be derived: leaves are hashed from envelopes, public facts are parsed from signed
payloads, personal values from disclosures whose digest stands in the payload.

Source: docs/formats/custody-entry.md; docs/invariants.md 2, 3.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from assurance.matter_facts import matter_of
from assurance.registry import Registry
from assurance.report import Finding
from catalogue.records import TimelineRow
from chain_of_custody.disclosures import digest_of, open_text
from chain_of_custody.entry import Entry, parse
from chain_of_custody.keys import VerifyingKey
from chain_of_custody.merkle import leaf_hash
from evidence import canonical, events
from evidence.clock import to_text
from evidence.errors import EvidenceError
from evidence.limits import SEAL_BATCH_MAX
from evidence.ports import Disclosure, Outbox, OutboxRow, SignerTurn

_UNSEQUENCED_MAX: Final = 100_000
_FIRST: Final = SignerTurn(0, "")


def fingerprint(
    entry: str, public: dict[str, Any], disclosed: dict[str, Any], *, event_type: str, at: datetime, actor: str
) -> int:
    """A number that stands for one entry with everything a timeline shows of it; sums stand for a whole timeline."""
    told = [entry, event_type, to_text(at), actor, public, disclosed]
    return int.from_bytes(hashlib.sha256(canonical.dumps(told)).digest())


@dataclass(slots=True)
class LogFacts:
    """What a pass over the entries learnt, for the checks that follow.

    Attributes:
        entries: How many entries were examined, sealed or waiting.
        size: Sequenced entries that were examined.
        waiting: Entries that were examined before they had a place in the log.
        fingerprints: Recording -> sum over the fingerprints of its entries.
        matter_fingerprints: Matter -> sum over the fingerprints of its entries.
        duplicates: Kept recording -> duplicates whose names it also carries.
        registry: Units, agents, roles, recorders and dockings as the log tells them.
        discovered: Recordings that an entry discovers.
        turns: Signer -> the next turn that its entries ask for.
        findings: What was found.
    """

    entries: int = 0
    size: int = 0
    waiting: set[str] = field(default_factory=set)
    fingerprints: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    matter_fingerprints: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    duplicates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    registry: Registry = field(default_factory=Registry)
    discovered: set[str] = field(default_factory=set)
    turns: dict[str, SignerTurn] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _unknown_signers: set[str] = field(default_factory=set)
    _opening: list[Entry] = field(default_factory=list)

    # --- examining ----------------------------------------------------------------------------------------------------
    def examine(self, outbox: Outbox, end: int) -> list[OutboxRow]:
        """Examine the sequenced entries from where the last call stopped up to ``end``; returns their rows."""
        start, self.size = self.size, end
        rows = outbox.rows(start, end)
        if [row.index for row in rows] != list(range(start, end)):
            self.findings.append(Finding(kind="entry-missing", detail=f"entries {start} to {end - 1} have gaps"))
        self._examine_rows(outbox, rows)
        return rows

    def catch_up(self, outbox: Outbox) -> OutboxRow | None:
        """Examine what the database holds at this moment and was not examined before, sequenced or waiting.

        Called in the transaction in which rows are compared with the log, so that both are of one moment and nothing that a
        running service added meanwhile looks like a contradiction.

        Returns:
            The first entry that waits for its place, if any.
        """
        head = outbox.head()
        size = head.size if head is not None else 0
        while self.size < size:
            self.examine(outbox, min(self.size + SEAL_BATCH_MAX, size))
        rows = outbox.unsequenced(_UNSEQUENCED_MAX)
        self._examine_rows(outbox, rows)
        self.waiting.update(row.entry for row in rows)
        if len(rows) == _UNSEQUENCED_MAX:
            detail = f"more than {_UNSEQUENCED_MAX} entries wait for their place in the log"
            self._once(Finding(kind="not-examined", detail=detail))
        return rows[0] if rows else None

    def examined(self, entry: TimelineRow) -> bool:
        """Whether an entry is among those that were examined."""
        return entry.entry in self.waiting or (entry.index is not None and entry.index < self.size)

    def check_opening(self) -> None:
        """There is one opening, signed by a key that the log introduces."""
        if len(self._opening) > 1:
            self._once(Finding(kind="entry-invalid", detail="the log says more than once that it was opened"))
        for entry in self._opening:
            if entry.signer in self.registry.keys:
                self._check_signature(entry, "the opening")
            else:
                self._once(Finding(kind="entry-signature", detail="no entry introduces the opening's signer"))

    def check_turns(self, outbox: Outbox) -> None:
        """What is remembered of each signer follows from its entries; called right after :meth:`catch_up`."""
        remembered = outbox.turns()
        for signer in sorted(remembered.keys() | self.turns.keys()):
            if remembered.get(signer, _FIRST) != self.turns.get(signer, _FIRST):
                detail = f"the next turn of signer {signer} does not follow from its entries; it can sign nothing"
                self._once(Finding(kind="signer-differs", detail=detail))

    # --- one entry ----------------------------------------------------------------------------------------------------
    def _examine_rows(self, outbox: Outbox, rows: Sequence[OutboxRow]) -> None:
        fresh = [row for row in rows if row.entry not in self.waiting]
        disclosed = _disclosures(outbox, fresh)
        for row in fresh:
            self._examine_row(row, disclosed)

    def _examine_row(self, row: OutboxRow, disclosed: dict[str, Disclosure]) -> None:
        """One entry: form, columns, signature, disclosures; then what it tells is taken in."""
        self.entries += 1
        where = f"entry {row.index if row.index is not None else row.entry}"
        try:
            entry = parse(row.envelope)
        except EvidenceError as error:
            self.findings.append(Finding(kind="entry-invalid", detail=f"{where}: {error}"))
            return
        if (
            row.leaf_sha256 != leaf_hash(row.envelope)
            or row.entry != entry.id
            or row.event_type != entry.event_type
            or row.recording != entry.recording
            or row.at not in (None, entry.at)
            or row.actor not in (None, entry.data["actor"])
            or row.signer not in (None, entry.signer)
            or row.seq not in (None, entry.seq)
        ):
            self.findings.append(Finding(kind="entry-differs", detail=f"{where}: its columns are not what it says"))
        self._take_turn(entry, row.envelope, where)
        values = self._open(entry, disclosed, where)
        try:
            event = entry.event(values)
            self.registry.apply(event, at=entry.at)
            self._check_signature(entry, where)
        except EvidenceError as error:
            self.findings.append(Finding(kind="entry-invalid", detail=f"{where}: {error}"))
            return
        matter = matter_of(event)
        if entry.recording or matter:
            told = fingerprint(
                entry.id, entry.data, values, event_type=entry.event_type, at=entry.at, actor=event.actor
            )  # fmt: skip
            if entry.recording:
                self.fingerprints[entry.recording] += told
            if matter:
                self.matter_fingerprints[matter] += told
        if isinstance(event, events.RecordingDiscovered):
            self.discovered.add(event.recording)
        if isinstance(event, events.RecordingDuplicate):
            self.duplicates[event.of].append(event.recording)

    def _take_turn(self, entry: Entry, envelope: bytes, where: str) -> None:
        if self.turns.get(entry.signer, _FIRST) != SignerTurn(entry.seq, entry.prev):
            detail = f"{where}: it does not follow the previous entry of signer {entry.signer}"
            self.findings.append(Finding(kind="entry-invalid", detail=detail))
        self.turns[entry.signer] = SignerTurn(entry.seq + 1, hashlib.sha256(envelope).hexdigest())

    def _check_signature(self, entry: Entry, where: str) -> None:
        public_key = self.registry.keys.get(entry.signer)
        if public_key is None and entry.event_type == events.LogOpened.TYPE:
            self._opening.append(entry)  # the key that signed it is introduced by the entry that follows
            return
        if public_key is None:
            if entry.signer not in self._unknown_signers:
                self._unknown_signers.add(entry.signer)
                self.findings.append(Finding(kind="entry-signature", detail=f"{where}: no entry introduces its signer"))
            return
        try:
            entry.verify_signature(VerifyingKey.from_base64(public_key))
        except EvidenceError as error:
            self.findings.append(Finding(kind="entry-signature", detail=f"{where}: {error}"))

    def _open(self, entry: Entry, disclosed: dict[str, Disclosure], where: str) -> dict[str, Any]:
        """The personal values that still exist; each must hash to the digest in the leaf (an erased one is no finding)."""
        values: dict[str, Any] = {}
        for digest in entry.sd:
            disclosure = disclosed.get(digest)
            if disclosure is None:
                continue
            try:
                name, value = open_text(disclosure.text)
            except EvidenceError as error:
                name, value = "", str(error)
            if digest_of(disclosure.text) != digest or name != disclosure.name:
                detail = f"{where}: a personal value changed"
                self.findings.append(Finding(kind="disclosure-differs", recording=entry.recording, detail=detail))
            else:
                values[name] = value
        return values

    def _once(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def _disclosures(outbox: Outbox, rows: Sequence[OutboxRow]) -> dict[str, Disclosure]:
    digests: list[str] = []
    for row in rows:
        try:
            digests += parse(row.envelope).sd
        except EvidenceError:
            continue  # told when the row is examined
    return outbox.disclosures_of(digests)
