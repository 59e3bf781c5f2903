"""Every copy of every blob, read from its medium and compared; and what lies in a store that nobody refers to."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from assurance.key_checks import key_trouble, kind_of_key_trouble
from assurance.report import Finding, VerifyProgress
from catalogue import Catalogue, UnitOfWork
from catalogue.records import BlobRow
from catalogue.references import REMOVING
from catalogue.store_moves import ENDED, FINISHING
from evidence import manifest as manifests
from evidence.digest import Digest
from evidence.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    StoreUnavailableError,
)
from evidence.ids import DerivativeId, EntryId, RecordingId
from evidence.model import Copy
from evidence.ports import BlobStore
from evidence.transfer import Progress
from storage.stores import inner_of

_AT_ONCE: Final = 2
_AHEAD: Final = 16
#: More bytes than this are no manifest.
MANIFEST_BYTES_MAX: Final = 65_535


#: Blobs looked at in one transaction: a long one would keep SQLite from tidying its write-ahead log.
_PAGE: Final = 500
_FOREIGN_MAX: Final = 20


@dataclass(slots=True)
class CopyFacts:
    """Result of reading all copies: how many were really read, and what was found."""

    copies: int = 0
    findings: list[Finding] = field(default_factory=list)


#: Judges a blob once all of its copies were read, by the names of the stores whose copy is good.
Judge = Callable[[BlobRow, set[str]], Iterable[Finding]]


def _no_judge(_blob: BlobRow, _good: set[str]) -> Iterable[Finding]:
    return ()


def recording_of(catalogue: Catalogue, holders: Sequence[str]) -> str:
    """The first recording that a blob belongs to, through its derivative where needed; empty when none does."""
    for holder in holders:
        kind, _, identity = holder.partition(":")
        if kind in ("recording", "manifest"):
            return identity
        if kind == "derivative":
            try:
                with catalogue.read() as uow:
                    return uow.derivatives.get(DerivativeId(identity)).recording
            except (NotFoundError, InvalidInputError):
                continue
    return ""


def check_copies(
    catalogue: Catalogue, *, stores: Iterable[BlobStore], progress: VerifyProgress, judge: Judge = _no_judge
) -> CopyFacts:
    """Read every copy the catalogue knows; two at a time, so that two disks (or digest and disk) work at once.

    Memory does not grow with the number of blobs: they are read in pages and judged as they come.
    """
    by_name = {store.properties.name: store for store in stores}
    with catalogue.read() as uow:
        total = uow.blobs.count_copies()
        leaving = _leaving(uow)
    facts = CopyFacts()
    check = _Check(catalogue, facts, leaving, judge)
    for blob, copy, reading in _read_all(_blobs(catalogue), by_name):
        check.take(blob, copy, reading)
        progress("copies", facts.copies, total)
    check.end()
    facts.findings += _being_removed(catalogue)
    for name, store in by_name.items():
        facts.findings += _strays(catalogue, name, store)
    return facts


def _blobs(catalogue: Catalogue) -> Iterator[BlobRow]:
    after: Digest | None = None
    while True:
        with catalogue.read() as uow:
            page = uow.blobs.page(after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].sha256


class _Check:
    """Takes readings blob by blob; a blob is judged when the next one begins."""

    def __init__(self, catalogue: Catalogue, facts: CopyFacts, leaving: str, judge: Judge) -> None:
        self._catalogue = catalogue
        self._facts = facts
        self._leaving = leaving
        self._judge = judge
        self._blob: BlobRow | None = None
        self._good: set[str] = set()
        self._where: dict[str, str] = {}  # where the bytes of the present blob lie, and in which store
        self._unavailable: set[str] = set()

    def take(self, blob: BlobRow, copy: Copy | None, reading: CopyReading) -> None:
        """One copy's reading, or a blob without any copy."""
        if self._blob is None or self._blob.sha256 != blob.sha256:
            self.end()
            self._blob, self._good, self._where = blob, set(), {}
        if copy is None:
            return
        if reading.error is None:
            self._sound(blob, copy, reading)
        elif isinstance(reading.error, StoreUnavailableError):
            if copy.store not in self._unavailable:  # one word for the whole store
                self._unavailable.add(copy.store)
                self._add(Finding(kind="store-unavailable", store=copy.store, detail=str(reading.error)))
        elif self._still_known(blob, copy):
            detail = f"{_holders(blob)} {blob.sha256}: {reading.error}"
            kind = kind_of(reading.error)
            if kind == "copy-missing" and (copy.store == self._leaving or self._is_cleared(blob)):
                kind = (
                    "being-removed"  # its store is given up, or its recording cleared: the entry comes when all is gone
                )
            self._add(_told(self._catalogue, blob, copy, kind, detail))

    def end(self) -> None:
        """Judge the present blob, unless it was removed meanwhile."""
        if self._blob is None:
            return
        found = list(self._judge(self._blob, self._good))
        if found:
            with self._catalogue.read() as uow:
                still = uow.blobs.get(self._blob.sha256) is not None
            still = still and not self._is_cleared(self._blob)
            self._facts.findings += found if still else []
        self._blob = None

    def _sound(self, blob: BlobRow, copy: Copy, reading: CopyReading) -> None:
        self._facts.copies += 1
        other = self._where.setdefault(reading.bytes_at, copy.store)
        if other == copy.store:
            self._good.add(copy.store)
        else:  # damaged in one, damaged in both
            detail = f"{_holders(blob)} {blob.sha256}: it is the very file of store {other}"
            self._add(_told(self._catalogue, blob, copy, "copies-are-one-file", detail))
        if reading.loose:
            detail = f"{_holders(blob)} {blob.sha256}: {reading.loose}"
            self._add(_told(self._catalogue, blob, copy, "file-open", detail))

    def _still_known(self, blob: BlobRow, copy: Copy) -> bool:
        """Whether the copy has its row yet: bytes may be removed, and stores given up, while all of them are read."""
        with self._catalogue.read() as uow:
            now = uow.blobs.get(blob.sha256)
        return now is not None and any(one.store == copy.store for one in now.copies)

    def _is_cleared(self, blob: BlobRow) -> bool:
        """Whether nobody needs the bytes but recordings past the point of no return of a clearing.

        A catalogue that was rebuilt in the middle of one knows no removal, and names copies that are gone already.
        """
        with self._catalogue.read() as uow:
            owners = [uow.references.recording_of(one) for one in blob.holders]
            return bool(owners) and all(
                one and uow.rules.of(RecordingId(one)).disposing_at is not None for one in owners
            )

    def _add(self, finding: Finding) -> None:
        self._facts.findings.append(finding)


def _leaving(uow: UnitOfWork) -> str:
    """The store whose bytes are being removed because it is given up; empty when none is."""
    move = uow.moves.under_way()
    return move.source if move is not None and move.state == FINISHING else ""


def _being_removed(catalogue: Catalogue) -> Iterator[Finding]:
    """Bytes that are past the point of no return and not gone from every store yet: told, no loss."""
    with catalogue.read() as uow:
        rows = uow.references.removals()
    for row in rows:
        if row.state == REMOVING:
            detail = f"{row.holder.partition(':')[0]} {row.sha256}: {row.error or 'its removal goes on'}"
            yield Finding(kind="being-removed", recording=row.recording, detail=detail)


def _read_all(
    blobs: Iterable[BlobRow], stores: Mapping[str, BlobStore]
) -> Iterator[tuple[BlobRow, Copy | None, CopyReading]]:
    """Every copy with what its reading ended in, in order; only a few wait at a time, however many there are."""
    waiting: deque[tuple[BlobRow, Copy, Future[CopyReading]]] = deque()
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="verify") as pool:
        try:
            for blob in blobs:
                if not blob.copies:
                    while waiting:
                        first, where, result = waiting.popleft()
                        yield first, where, result.result()
                    yield blob, None, CopyReading(None)
                for copy in blob.copies:
                    waiting.append((blob, copy, pool.submit(_examine, stores.get(copy.store), blob.sha256, copy)))
                    if len(waiting) > _AHEAD:
                        first, where, result = waiting.popleft()
                        yield first, where, result.result()
            for first, where, result in waiting:
                yield first, where, result.result()
        finally:
            pool.shutdown(
                cancel_futures=True
            )  # whoever stops the check waits for two files, not for all that were asked for


def _examine(store: BlobStore | None, sha256: Digest, copy: Copy) -> CopyReading:
    return examine_copy(store, sha256, kept_key=copy.key)


class CopyReading(NamedTuple):
    """How reading one copy ended: the error or None, where its very bytes lie, and what is open about its file."""

    error: EvidenceError | None
    bytes_at: str = ""
    loose: str = ""


def read_copy(store: BlobStore | None, sha256: Digest) -> EvidenceError | None:
    """Read one copy from its medium and its lock records; the error it ended in, or None when all is well."""
    return examine_copy(store, sha256).error


def examine_copy(
    store: BlobStore | None, sha256: Digest, *, expected: Digest | None = None, progress: Progress | None = None,
    kept_key: str = "",
) -> CopyReading:  # fmt: skip
    """Read one copy from its medium and its lock records.

    Args:
        store: Where it lies; None for a store this home does not have.
        sha256: Its name.
        expected: What its bytes are compared with, another digest of the same bytes; its name by default.
        progress: Told of the bytes read; what it raises ends the reading and goes to the caller.
        kept_key: The copy's key as its entry states it, to tell a lost data key from lost bytes.
    """
    try:
        if store is None:
            raise StoreUnavailableError("this store is not configured here")
        loose = _loose(store, sha256)  # first: verifying freezes again what lost its flag
        store.verify(sha256, expected or sha256, progress=progress)
        found = store.stat(sha256)  # walks the chain of lock records
    except EvidenceError as error:
        return CopyReading(error if store is None else key_trouble(store, sha256, kept_key, error))
    return CopyReading(None, found.bytes_at, loose)


def _loose(store: BlobStore, sha256: Digest) -> str:
    """What is open about a local file, in words: it could be changed in its place by more than its store."""
    if store.properties.kind != "local":
        return ""
    try:
        found = store.stat(sha256)
        state = os.lstat(Path(store.properties.location) / found.key)
    except (EvidenceError, OSError):
        return ""  # told by the reading itself
    told = []
    if state.st_mode & 0o222:
        told.append(f"its mode {state.st_mode & 0o777:o} lets it be written to")
    if state.st_nlink > 1:
        told.append(f"it has {state.st_nlink - 1} further name(s)")
    if store.properties.protection == "immutable" and found.protection != "immutable":
        told.append("its immutable flag was gone; reading it set the flag again")
    return "; ".join(told)


def kind_of(error: EvidenceError) -> str:
    """The kind of finding a failed read is."""
    if kind := kind_of_key_trouble(error):
        return kind
    match error:
        case BlobNotFoundError():
            return "copy-missing"
        case DigestMismatchError():
            return "copy-damaged"
        case IntegrityError():
            return "lock-record"
        case StoreUnavailableError():
            return "store-unavailable"
        case _:
            return "copy-damaged"  # a medium that cannot be read has lost the copy, whatever the bytes were


def _told(catalogue: Catalogue, blob: BlobRow, copy: Copy, kind: str, detail: str) -> Finding:
    return Finding(kind=kind, recording=recording_of(catalogue, blob.holders), store=copy.store, detail=detail)


def _holders(blob: BlobRow) -> str:
    return ", ".join(holder.partition(":")[0] for holder in blob.holders)


def _strays(catalogue: Catalogue, name: str, store: BlobStore) -> Iterator[Finding]:
    """Blobs nobody refers to: left by a crash before its row was written, or put there from outside. No tamper.

    A manifest among them that names entries which the log does not hold is another thing: entries were sealed and are gone.
    A store that was given up is told once: what was left there lies there on purpose.
    """
    with catalogue.read() as uow:
        given_up = any(move.source == name and move.state == ENDED for move in uow.moves.all()) and (
            name in uow.moves.old()
        )
    if given_up:
        detail = "copies moved away from this store, and what was left on its disk is looked at no more"
        yield Finding(kind="store-given-up", store=name, detail=detail)
        return
    try:
        for page in _pages(store.list()):
            with catalogue.read() as uow:
                known = uow.blobs.known(page)
                going = set(uow.references.all_removals())
            for sha256 in page:
                if sha256 not in known and sha256 not in going and not _held(catalogue, sha256):
                    yield _rolled_back(catalogue, name, store, sha256) or Finding(
                        kind="orphan-blob", store=name, detail=str(sha256)
                    )
        for path in _foreign(store):
            yield Finding(kind="foreign-file", store=name, detail=path)
    except StoreUnavailableError as error:
        yield Finding(kind="store-unavailable", store=name, detail=str(error))
    except EvidenceError as error:
        yield Finding(kind="not-examined", store=name, detail=str(error))


def _pages(digests: Iterator[Digest]) -> Iterator[list[Digest]]:
    while page := list(itertools.islice(digests, _PAGE)):
        yield page


def _foreign(store: BlobStore) -> Iterator[str]:
    """Files in the tree of a local store that are none of its own, a few by name: nothing is claimed of them."""
    look = getattr(inner_of(store), "foreign_files", None)
    if look is None:
        return
    named = list(itertools.islice(look(), _FOREIGN_MAX + 1))
    yield from named[:_FOREIGN_MAX]
    if len(named) > _FOREIGN_MAX:
        yield f"and more than {_FOREIGN_MAX} others"


def _rolled_back(catalogue: Catalogue, name: str, store: BlobStore, sha256: Digest) -> Finding | None:
    """Told when the bytes are a manifest that rests on entries this log does not know: the log was set back behind them."""
    try:
        with store.open(sha256) as stream:
            found = manifests.parse(stream.read(MANIFEST_BYTES_MAX + 1))
        with catalogue.read() as uow:
            rows = [(one, uow.outbox.row_of(EntryId(one.entry))) for one in found.entries]
    except StoreUnavailableError:
        raise
    except EvidenceError:
        return None
    gone = [one for one, row in rows if row is None or row.leaf_sha256.hex() != one.leaf_sha256]
    if not gone:
        return None
    detail = (
        f"manifest {sha256} rests on {len(gone)} entries that this log does not hold, the first {gone[0].entry}: "
        "log and database were set back, or the database was lost before they were published"
    )
    return Finding(kind="log-rolled-back", recording=found.recording, store=name, detail=detail)


def _held(catalogue: Catalogue, sha256: Digest) -> bool:
    """Whether a row was written meanwhile."""
    with catalogue.read() as uow:
        return uow.blobs.get(sha256) is not None
