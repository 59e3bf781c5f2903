"""The log examined from both sides: the published files by themselves, the database by itself, and one against the other.

The root is computed from the leaves, the leaves from the envelopes; entries themselves are examined by
:mod:`assurance.log_entries`. A running service may add entries at any moment: what is compared is read in an order in which
that is no finding.

Source: docs/formats/log.md; docs/invariants.md 2, 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from assurance.log_entries import LogFacts
from assurance.report import Finding, VerifyProgress
from catalogue import Catalogue
from chain_of_custody.checkpoint import NoteVerifier, open_checkpoint
from chain_of_custody.entry import parse
from chain_of_custody.fsck import Signatures, verify_published
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.tiles import GrowingTree
from chain_of_custody.verify import FindingKind
from evidence.errors import EvidenceError
from evidence.limits import SEAL_BATCH_MAX
from evidence.log_place import LogPlace
from evidence.ports import LogHead

#: An entry that no published checkpoint covers after this long is told; a running sealer needs about a second.
PUBLISHED_WITHIN: Final = timedelta(minutes=2)


def check_log(
    catalogue: Catalogue, *, published: Sequence[Path | LogPlace], vkey: str, now: datetime, progress: VerifyProgress
) -> LogFacts:
    """Examine every published directory and all entries of the database.

    Raises:
        EntryInvalidError: ``vkey`` is no verifier key.
    """
    facts = LogFacts()
    verifier = NoteVerifier.parse(vkey)
    for position, directory in enumerate(published):
        facts.findings += _check_directory(catalogue, directory, vkey, name=f"log:{position}")
    head = _head(catalogue)
    if head is None:
        facts.findings.append(Finding(kind="log-not-in-database", detail="the database knows no log"))
        return facts
    tree = _check_sealed(catalogue, head, facts, progress)
    facts.findings += _check_head(head, verifier, tree)
    _check_waiting(catalogue, now, facts)
    facts.check_opening()
    return facts


def _head(catalogue: Catalogue) -> LogHead | None:
    with catalogue.read() as uow:
        return uow.outbox.head()


def _check_directory(catalogue: Catalogue, directory: Path | LogPlace, vkey: str, *, name: str) -> list[Finding]:
    """One published directory by itself, and its entries against the database's (whose signatures are checked once)."""
    if isinstance(directory, Path) and not directory.parent.is_dir():
        return [Finding(kind="store-unavailable", store=name, detail="the disk of this published log is not there")]
    before = _head(catalogue)
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
    after = _head(catalogue)
    if report.checkpoint is not None and before is not None and after is not None:
        found += _check_reach(name, report.checkpoint.size, published=before.published_size, known=after.size)
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
    while facts.size < head.size:
        with catalogue.read() as uow:
            rows = facts.examine(uow.outbox, min(facts.size + SEAL_BATCH_MAX, head.size))
        tree.append([leaf_hash(row.envelope) for row in rows])
        progress("log", facts.size, head.size)
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


def _check_reach(name: str, size: int, *, published: int, known: int) -> list[Finding]:
    """A checkpoint is at least what was published before it was read, and at most what the database knew afterwards."""
    if size > known:
        detail = f"{size} entries are published, the database knows {known}: it was rolled back"
        return [Finding(kind="log-not-in-database", store=name, detail=detail)]
    if size < published:
        detail = f"the directory ends at {size}, the database says {published} are published"
        return [Finding(kind="log-replicas-differ", store=name, detail=detail)]
    return []


def _check_waiting(catalogue: Catalogue, now: datetime, facts: LogFacts) -> None:
    """Entries that are signed and durable but not published: examined alike, and told when they wait too long."""
    with catalogue.read() as uow:
        waiting = facts.catch_up(uow.outbox)
        facts.check_turns(uow.outbox)
        head = uow.outbox.head()
        published = head.published_size if head is not None else 0
        unpublished = uow.outbox.rows(published, published + 1)
    for row in [*unpublished, *([waiting] if waiting is not None else [])][:1]:
        try:
            since = parse(row.envelope).at
        except EvidenceError:
            return  # told when the row was examined
        if now - since > PUBLISHED_WITHIN:
            facts.findings.append(Finding(kind="not-published", detail=f"entries wait for a checkpoint since {since}"))
