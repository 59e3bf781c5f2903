"""Walks a published log and reports everything that is wrong with it. Never repairs.

Every bundle is parsed, every hash tile (older partial ones too) derived again and compared byte by byte, the root compared
with the signed checkpoint, and every entry judged by ``verify.EntryAudit``. Memory is bounded by one bundle.

Source: docs/formats/log.md section "Checking a log".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from chain_of_custody.checkpoint import Checkpoint, NoteVerifier
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.reader import LogReader, width_at
from chain_of_custody.tiles import ENTRIES, TILE_WIDTH, GrowingTree, Tile, encode_bundle, path_of
from chain_of_custody.verify import EntryAudit, FindingKind, LogFinding
from evidence.errors import EntryInvalidError, EvidenceError, NotFoundError, StoreUnavailableError
from evidence.log_place import LogPlace

#: With ``sample``, one signature of this many is checked (and those of the opening and of all keys).
SAMPLE_EVERY: Final = 16
#: More findings than this say nothing new; the report tells how many there were.
FINDINGS_MAX: Final = 1_000


class Signatures(StrEnum):
    """How many entry signatures are verified."""

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


@dataclass(slots=True)
class LogReport:
    """What a walk found.

    Attributes:
        directory: The directory walked.
        checkpoint: The verified checkpoint, None when there is none.
        entries: Entries read.
        signatures: Entry signatures verified.
        findings: What is wrong, in order, at most 1,000.
        finding_count: How many there were.
    """

    directory: Path | LogPlace
    checkpoint: Checkpoint | None = None
    entries: int = 0
    signatures: int = 0
    findings: list[LogFinding] = field(default_factory=list)
    finding_count: int = 0

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return self.finding_count == 0

    def add(self, *findings: LogFinding) -> None:
        """Note findings."""
        self.finding_count += len(findings)
        self.findings.extend(findings[: max(0, FINDINGS_MAX - len(self.findings))])


def verify_published(
    directory: Path | LogPlace,
    vkey: str,
    *,
    signatures: Signatures = Signatures.ALL,
    on_entry: Callable[[int, bytes], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Check a published directory against the log's verifier key.

    Args:
        directory: The published directory, or another place that holds a copy; it is only read.
        vkey: The log's verifier key text, from somewhere else than the directory.
        signatures: How many entry signatures to verify.
        on_entry: Called with each index and envelope, for callers that compare them with something.
        progress: Called with entries done and entries in all, after each bundle; may raise to stop.

    Returns:
        The report. Damage never raises: it becomes a finding.

    Raises:
        EntryInvalidError: ``vkey`` itself is malformed.
    """
    verifier = NoteVerifier.parse(vkey)
    reader = LogReader(directory, verifier=verifier)
    report = LogReport(directory)
    try:
        checkpoint = report.checkpoint = reader.checkpoint()
    except NotFoundError as error:
        report.add(LogFinding(FindingKind.CHECKPOINT_MISSING, error.what))
        return report
    except StoreUnavailableError as error:
        report.add(LogFinding(FindingKind.UNREADABLE, error.what))
        return report
    except EvidenceError as error:
        report.add(LogFinding(FindingKind.CHECKPOINT_INVALID, error.what))
        return report
    audit = EntryAudit(log_key=verifier.key.public_key, origin=verifier.name, check_signature=_CHECKED[signatures])
    walk = _Walk(reader, report, checkpoint.size)
    for number in range(-(-checkpoint.size // TILE_WIDTH)):
        for index, envelope in walk.bundle(number):
            report.add(*audit.feed(index, envelope))
            if on_entry is not None:
                on_entry(index, envelope)
        if progress is not None:
            progress(report.entries, checkpoint.size)
    report.add(*audit.finish())
    report.signatures = audit.signatures_checked
    walk.finish(checkpoint)
    return report


_CHECKED: dict[Signatures, Callable[[int], bool]] = {
    Signatures.ALL: lambda _index: True,
    Signatures.SAMPLE: lambda index: index % SAMPLE_EVERY == 0,
    Signatures.NONE: lambda _index: False,
}


class _Walk:
    """The tree, derived again from the bundles and compared with every tile on the way."""

    def __init__(self, reader: LogReader, report: LogReport, size: int) -> None:
        self._reader = reader
        self._report = report
        self._size = size
        self._tree = GrowingTree()
        self._whole = True

    def bundle(self, number: int) -> list[tuple[int, bytes]]:
        """The entries of one bundle, after their leaves went into the tree."""
        width, first = width_at(number, size=self._size), number * TILE_WIDTH
        try:
            envelopes = self._reader.bundle(number, width=width)
        except EvidenceError as error:
            kind = _kind_of(error, missing=FindingKind.BUNDLE_MISSING, invalid=FindingKind.BUNDLE_INVALID)
            self._report.add(LogFinding(kind, error.what, first))
            self._skip(number, width)
            return []
        self._report.entries += len(envelopes)
        self._check_older(
            ENTRIES,
            number,
            lambda older: encode_bundle(envelopes[:older]),
            width=width,
            kind=FindingKind.BUNDLE_INVALID,
        )
        self._grow(number, [leaf_hash(envelope) for envelope in envelopes])
        return list(enumerate(envelopes, first))

    def finish(self, checkpoint: Checkpoint) -> None:
        """Compare the right edge and the root."""
        if not self._whole:
            return
        for tile in self._tree.partials():
            if tile.level:  # level 0 was compared bundle by bundle
                self._compare(tile, width=len(tile.hashes))
        if self._tree.root() != checkpoint.root:
            self._report.add(LogFinding(FindingKind.ROOT_MISMATCH, "the entries do not lead to the checkpoint's root"))

    def _skip(self, number: int, width: int) -> None:
        # The bundle is lost, but its hashes may stand in the tile: the rest of the tree can still be checked through them.
        try:
            hashes = self._reader.tile(0, number, width=width)
        except EvidenceError:
            self._whole = False
            return
        self._grow(number, list(hashes))

    def _grow(self, number: int, hashes: list[bytes]) -> None:
        self._compare(Tile(0, number, tuple(hashes)), width=len(hashes))
        if self._whole:
            for tile in self._tree.append(hashes):
                if tile.level:
                    self._compare(tile, width=TILE_WIDTH)

    def _compare(self, derived: Tile, *, width: int) -> None:
        first = derived.index * TILE_WIDTH ** (derived.level + 1)
        path = path_of(derived.level, derived.index, width=width)
        try:
            published = self._reader.tile(derived.level, derived.index, width=width)
        except EvidenceError as error:
            kind = _kind_of(error, missing=FindingKind.TILE_MISSING, invalid=FindingKind.TILE_MISMATCH)
            self._report.add(LogFinding(kind, error.what, first))
            return
        if tuple(published) != derived.hashes:
            self._report.add(LogFinding(FindingKind.TILE_MISMATCH, f"{path} does not hold the entries' hashes", first))
        self._check_older(
            derived.level, derived.index, lambda older: b"".join(derived.hashes[:older]), width=width,
            kind=FindingKind.TILE_MISMATCH,
        )  # fmt: skip

    def _check_older(
        self, level: int | str, index: int, derived: Callable[[int], bytes], *, width: int, kind: FindingKind
    ) -> None:
        """Compare the narrower versions that a file had before: older checkpoints lead to them."""
        first = index * TILE_WIDTH ** (1 if level == ENTRIES else int(level) + 1)
        try:
            for older, published in self._reader.older_partials(level, index, width=width):
                if published != derived(older):
                    path = path_of(level, index, width=older)
                    self._report.add(LogFinding(kind, f"{path} is not the beginning of its later version", first))
        except EvidenceError as error:
            self._report.add(LogFinding(_kind_of(error, missing=kind, invalid=kind), error.what, first))


def _kind_of(error: EvidenceError, *, missing: FindingKind, invalid: FindingKind) -> FindingKind:
    if isinstance(error, NotFoundError):
        return missing
    return invalid if isinstance(error, EntryInvalidError) else FindingKind.UNREADABLE
