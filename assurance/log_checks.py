"""The log examined from both sides: the published files by themselves, the database by itself, and one against the other.

Nothing here trusts a column that can be derived: leaves are hashed from envelopes, the root from leaves, public facts are
parsed from signed payloads, personal values from disclosures whose digest stands in the payload.

Source: docs/formats/log.md; docs/invariants.md 2, 3.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from assurance.registry import Registry
from assurance.report import Finding, VerifyProgress
from catalogue import Catalogue
from catalogue.records import TimelineRow
from chain_of_custody.checkpoint import NoteVerifier, open_checkpoint
from chain_of_custody.disclosures import digest_of, open_text
from chain_of_custody.entry import Entry, parse
from chain_of_custody.fsck import Signatures, verify_published
from chain_of_custody.keys import VerifyingKey
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.tiles import GrowingTree
from chain_of_custody.verify import FindingKind
from evidence import canonical, events
from evidence.errors import EvidenceError
from evidence.limits import SEAL_BATCH_MAX
from evidence.log_place import LogPlace
from evidence.ports import Disclosure, LogHead, Outbox, OutboxRow

#: An entry that no published checkpoint covers after this long is told; a running sealer needs about a second.
PUBLISHED_WITHIN: Final = timedelta(minutes=2)
_UNSEQUENCED_MAX: Final = 100_000


@dataclass(slots=True)
class LogFacts:
    """What a pass over the log learnt, for the checks that follow.

    Attributes:
        entries: How many entries were examined, sealed or waiting.
        fingerprints: Recording -> sum over the fingerprints of its entries.
        duplicates: Kept recording -> duplicates whose names it also carries.
        registry: Units, agents, roles and recorders as the log tells them.
        discovered: Recordings that an entry discovers.
        size: Sequenced entries that were examined.
        waiting: Unsequenced entries that were examined.
        findings: What was found.
    """

    entries: int = 0
    size: int = 0
    discovered: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    fingerprints: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    duplicates: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    registry: Registry = field(default_factory=Registry)
    findings: list[Finding] = field(default_factory=list)
    unknown_signers: set[str] = field(default_factory=set)
    opening: list[Entry] = field(default_factory=list)

    def examined(self, entry: TimelineRow) -> bool:
        """Whether an entry was there when the log was examined (a running service adds some meanwhile)."""
        return entry.entry in self.waiting or (entry.index is not None and entry.index < self.size)


def fingerprint(entry: str, public: dict[str, Any], disclosed: dict[str, Any]) -> int:
    """A number that stands for one entry with everything it tells; sums of them stand for a timeline."""
    return int.from_bytes(hashlib.sha256(canonical.dumps([entry, public, disclosed])).digest())


def check_log(
    catalogue: Catalogue, *, published: Sequence[Path | LogPlace], vkey: str, now: datetime, progress: VerifyProgress
) -> LogFacts:
    """Examine every published directory and all entries of the database.

    Raises:
        EntryInvalidError: ``vkey`` is no verifier key.
    """
    facts = LogFacts()
    verifier = NoteVerifier.parse(vkey)
    with catalogue.read() as uow:
        head = uow.outbox.head()
    if head is None:
        facts.findings.append(Finding(kind="log-not-in-database", detail="the database knows no log"))
    for position, directory in enumerate(published):
        facts.findings += _check_directory(catalogue, directory, vkey, name=f"log:{position}", head=head)
    if head is not None:
        tree = _check_sealed(catalogue, head, facts, progress)
        facts.findings += _check_head(head, verifier, tree)
        _check_waiting(catalogue, head, now, facts)
        _check_opening(facts)
    return facts


def _check_directory(
    catalogue: Catalogue, directory: Path | LogPlace, vkey: str, *, name: str, head: LogHead | None
) -> list[Finding]:
    """One published directory by itself, and its entries against the database's (whose signatures are checked once)."""
    if isinstance(directory, Path) and not directory.parent.is_dir():
        return [Finding(kind="store-unavailable", store=name, detail="the disk of this published log is not there")]
    comparison = _Comparison(catalogue, name)
    report = verify_published(directory, vkey, signatures=Signatures.NONE, on_entry=comparison.feed)
    found = [
        Finding(
            kind="store-unavailable" if wrong.kind is FindingKind.UNREADABLE else "log-invalid",
            store=name,
            detail=f"{wrong.kind}: {wrong.detail}",
        )
        for wrong in report.findings
    ]
    found += comparison.findings
    if report.checkpoint is not None and head is not None:
        found += _check_reach(name, report.checkpoint.size, head)
    return found


class _Comparison:
    """Published entries against the database's rows, a batch at a time."""

    def __init__(self, catalogue: Catalogue, name: str) -> None:
        self._catalogue = catalogue
        self._name = name
        self._rows: dict[int, bytes] = {}
        self.findings: list[Finding] = []

    def feed(self, index: int, envelope: bytes) -> None:
        if index not in self._rows:
            start = index - index % SEAL_BATCH_MAX
            with self._catalogue.read() as uow:
                rows = uow.outbox.rows(start, start + SEAL_BATCH_MAX)
            self._rows = {row.index: row.envelope for row in rows if row.index is not None}
        if self._rows.get(index) != envelope:
            self._rows.setdefault(index, b"")
            detail = f"entry {index} of the published log is not the database's"
            self.findings.append(Finding(kind="entry-differs", store=self._name, detail=detail))


def _check_sealed(catalogue: Catalogue, head: LogHead, facts: LogFacts, progress: VerifyProgress) -> GrowingTree:
    """Every sequenced entry of the database, in order; returns the tree over the leaves as they hash now."""
    tree = GrowingTree()
    facts.size = head.size
    for start in range(0, head.size, SEAL_BATCH_MAX):
        end = min(start + SEAL_BATCH_MAX, head.size)
        with catalogue.read() as uow:
            rows = uow.outbox.rows(start, end)
            disclosed = _disclosures(uow.outbox, rows)
        if [row.index for row in rows] != list(range(start, end)):
            facts.findings.append(Finding(kind="entry-missing", detail=f"entries {start} to {end - 1} have gaps"))
        for row in rows:
            _check_row(row, disclosed, facts)
        tree.append([leaf_hash(row.envelope) for row in rows])
        progress("log", end, head.size)
    return tree


def _check_head(head: LogHead, verifier: NoteVerifier, tree: GrowingTree) -> list[Finding]:
    try:
        checkpoint = open_checkpoint(head.note, verifier)
    except EvidenceError as error:
        return [Finding(kind="log-not-in-database", detail=f"the head's note: {error}")]
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        return [Finding(kind="log-not-in-database", detail="the head and its signed note differ")]
    if (tree.size, tree.root()) != (head.size, head.root):
        return [Finding(kind="entry-differs", detail="the entries of the database do not hash to its signed root")]
    return []


def _check_reach(name: str, size: int, head: LogHead) -> list[Finding]:
    if size > head.size:
        detail = f"{size} entries are published, the database knows {head.size}: it was rolled back"
        return [Finding(kind="log-not-in-database", store=name, detail=detail)]
    if size < head.published_size:
        detail = f"the directory ends at {size}, the database says {head.published_size} are published"
        return [Finding(kind="log-replicas-differ", store=name, detail=detail)]
    return []


def _check_waiting(catalogue: Catalogue, head: LogHead, now: datetime, facts: LogFacts) -> None:
    """Entries that are signed and durable but not sealed: checked alike, and told when they wait too long."""
    with catalogue.read() as uow:
        rows = uow.outbox.unsequenced(_UNSEQUENCED_MAX)
        disclosed = _disclosures(uow.outbox, rows)
        unpublished = uow.outbox.rows(head.published_size, min(head.size, head.published_size + 1))
    for row in rows:
        facts.waiting.add(row.entry)
        _check_row(row, disclosed, facts)
    for row in [*unpublished, *rows][:1]:
        try:
            since = parse(row.envelope).at
        except EvidenceError:
            return  # told by _check_row
        if now - since > PUBLISHED_WITHIN:
            facts.findings.append(Finding(kind="not-published", detail=f"entries wait for a checkpoint since {since}"))


def _check_row(row: OutboxRow, disclosed: dict[str, Disclosure], facts: LogFacts) -> None:
    """One entry: form, columns, signature, disclosures; then what it tells is taken in."""
    facts.entries += 1
    where = f"entry {row.index if row.index is not None else row.entry}"
    try:
        entry = parse(row.envelope)
    except EvidenceError as error:
        facts.findings.append(Finding(kind="entry-invalid", detail=f"{where}: {error}"))
        return
    if (
        row.leaf_sha256 != leaf_hash(row.envelope)
        or row.entry != entry.id
        or row.event_type != entry.event_type
        or row.recording != entry.recording
    ):
        facts.findings.append(Finding(kind="entry-differs", detail=f"{where}: its columns are not what it says"))
    values = _open(entry, disclosed, where, facts)
    try:
        event = entry.event(values)
        facts.registry.apply(event, at=entry.at)
        _check_signature(entry, where, facts)
    except EvidenceError as error:
        facts.findings.append(Finding(kind="entry-invalid", detail=f"{where}: {error}"))
        return
    if entry.recording:
        facts.fingerprints[entry.recording] += fingerprint(entry.id, entry.data, values)
    if isinstance(event, events.RecordingDiscovered):
        facts.discovered.add(event.recording)
    if isinstance(event, events.RecordingDuplicate):
        facts.duplicates[event.of].append(event.recording)


def _check_signature(entry: Entry, where: str, facts: LogFacts) -> None:
    public_key = facts.registry.keys.get(entry.signer)
    if public_key is None and entry.event_type == events.LogOpened.TYPE:
        facts.opening.append(entry)  # the key that signed it is introduced by the entry that follows
        return
    if public_key is None:
        if entry.signer not in facts.unknown_signers:
            facts.unknown_signers.add(entry.signer)
            facts.findings.append(Finding(kind="entry-signature", detail=f"{where}: no entry introduces its signer"))
        return
    try:
        entry.verify_signature(VerifyingKey.from_base64(public_key))
    except EvidenceError as error:
        facts.findings.append(Finding(kind="entry-signature", detail=f"{where}: {error}"))


def _check_opening(facts: LogFacts) -> None:
    """There is one opening, signed by a key that the log introduces."""
    if len(facts.opening) > 1:
        facts.findings.append(Finding(kind="entry-invalid", detail="the log says more than once that it was opened"))
    for entry in facts.opening:
        if entry.signer in facts.registry.keys:
            _check_signature(entry, "the opening", facts)
        else:
            facts.findings.append(Finding(kind="entry-signature", detail="no entry introduces the opening's signer"))


def _disclosures(outbox: Outbox, rows: Sequence[OutboxRow]) -> dict[str, Disclosure]:
    digests: list[str] = []
    for row in rows:
        try:
            digests += parse(row.envelope).sd
        except EvidenceError:
            continue  # told by _check_row
    return outbox.disclosures_of(digests)


def _open(entry: Entry, disclosed: dict[str, Disclosure], where: str, facts: LogFacts) -> dict[str, Any]:
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
            facts.findings.append(
                Finding(
                    kind="disclosure-differs", recording=entry.recording, detail=f"{where}: a personal value changed"
                )
            )
        else:
            values[name] = value
    return values
