"""Every copy of every blob, read from its medium and compared; and what lies in a store that nobody refers to."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from assurance.report import Finding, VerifyProgress
from catalogue import Catalogue
from catalogue.records import BlobRow
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
from evidence.ids import DerivativeId, EntryId
from evidence.model import Copy
from evidence.ports import BlobStore
from evidence.transfer import Progress

_AT_ONCE: Final = 2
_AHEAD: Final = 16
#: More bytes than this are no manifest.
MANIFEST_BYTES_MAX: Final = 65_535


@dataclass(slots=True)
class CopyFacts:
    """Result of reading all copies: of which blobs, how many were really read, and which of them are good."""

    blobs: list[BlobRow] = field(default_factory=list)
    copies: int = 0
    good: dict[Digest, set[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


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


def check_copies(catalogue: Catalogue, *, stores: Iterable[BlobStore], progress: VerifyProgress) -> CopyFacts:
    """Read every copy the catalogue knows; two at a time, so that two disks (or digest and disk) work at once."""
    by_name = {store.properties.name: store for store in stores}
    with catalogue.read() as uow:
        blobs = list(uow.blobs.all())
    facts = CopyFacts(blobs)
    total = sum(len(blob.copies) for blob in blobs)
    unavailable: set[str] = set()
    same: tuple[Digest | None, dict[str, str]] = (
        None,
        {},
    )  # where the bytes of the present blob lie, and in which store
    for blob, copy, (error, bytes_at, loose) in _read_all(blobs, by_name):
        if same[0] != blob.sha256:
            same = (blob.sha256, {})
        if error is None:
            facts.copies += 1
            other = same[1].setdefault(bytes_at, copy.store)
            if other == copy.store:
                facts.good.setdefault(blob.sha256, set()).add(copy.store)
            else:  # damaged in one, damaged in both
                detail = f"{_holders(blob)} {blob.sha256}: it is the very file of store {other}"
                facts.findings.append(_told(catalogue, blob, copy, "copies-are-one-file", detail))
            if loose:
                facts.findings.append(
                    _told(catalogue, blob, copy, "file-open", f"{_holders(blob)} {blob.sha256}: {loose}")
                )
            progress("copies", facts.copies, total)
        elif isinstance(error, StoreUnavailableError):
            if copy.store not in unavailable:  # one word for the whole store
                unavailable.add(copy.store)
                facts.findings.append(Finding(kind="store-unavailable", store=copy.store, detail=str(error)))
        else:
            detail = f"{_holders(blob)} {blob.sha256}: {error}"
            facts.findings.append(_told(catalogue, blob, copy, kind_of(error), detail))
    known = {blob.sha256 for blob in blobs}
    for name, store in by_name.items():
        facts.findings += _orphans(catalogue, name, store, known)
    return facts


def _read_all(blobs: Iterable[BlobRow], stores: Mapping[str, BlobStore]) -> Iterator[tuple[BlobRow, Copy, CopyReading]]:
    """Every copy with what its reading ended in, in order; only a few wait at a time, however many there are."""
    waiting: deque[tuple[BlobRow, Copy, Future[CopyReading]]] = deque()
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="verify") as pool:
        try:
            for blob in blobs:
                for copy in blob.copies:
                    waiting.append((blob, copy, pool.submit(examine_copy, stores.get(copy.store), blob.sha256)))
                    if len(waiting) > _AHEAD:
                        first, where, result = waiting.popleft()
                        yield first, where, result.result()
            for first, where, result in waiting:
                yield first, where, result.result()
        finally:
            pool.shutdown(
                cancel_futures=True
            )  # whoever stops the check waits for two files, not for all that were asked for


class CopyReading(NamedTuple):
    """How reading one copy ended: the error or None, where its very bytes lie, and what is open about its file."""

    error: EvidenceError | None
    bytes_at: str = ""
    loose: str = ""


def read_copy(store: BlobStore | None, sha256: Digest) -> EvidenceError | None:
    """Read one copy from its medium and its lock records; the error it ended in, or None when all is well."""
    return examine_copy(store, sha256).error


def examine_copy(
    store: BlobStore | None, sha256: Digest, *, expected: Digest | None = None, progress: Progress | None = None
) -> CopyReading:
    """Read one copy from its medium and its lock records.

    Args:
        store: Where it lies; None for a store this home does not have.
        sha256: Its name.
        expected: What its bytes are compared with, another digest of the same bytes; its name by default.
        progress: Told of the bytes read; what it raises ends the reading and goes to the caller.
    """
    try:
        if store is None:
            raise StoreUnavailableError("this store is not configured here")
        loose = _loose(store, sha256)  # first: verifying freezes again what lost its flag
        store.verify(sha256, expected or sha256, progress=progress)
        found = store.stat(sha256)  # walks the chain of lock records
    except EvidenceError as error:
        return CopyReading(error)
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


def _orphans(catalogue: Catalogue, name: str, store: BlobStore, known: set[Digest]) -> Iterator[Finding]:
    """Blobs nobody refers to: left by a crash before its row was written, or put there from outside. No tamper.

    A manifest among them that names entries which the log does not hold is another thing: entries were sealed and are gone.
    """
    try:
        for sha256 in store.list():
            if sha256 not in known and not _held(catalogue, sha256):
                yield _rolled_back(catalogue, name, store, sha256) or Finding(
                    kind="orphan-blob", store=name, detail=str(sha256)
                )
    except StoreUnavailableError as error:
        yield Finding(kind="store-unavailable", store=name, detail=str(error))
    except EvidenceError as error:
        yield Finding(kind="not-examined", store=name, detail=str(error))


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
