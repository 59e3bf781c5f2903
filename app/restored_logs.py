"""What a restore asks of stores and their copies of the log: are they there, do they continue each other, what is untold."""

from __future__ import annotations

from assurance.disclosures import disclosures_between
from catalogue import Catalogue
from chain_of_custody.reader import LogReader
from chain_of_custody.tiles import GrowingTree
from evidence.errors import EvidenceError, SplitViewError
from evidence.limits import SEAL_BATCH_MAX
from evidence.ports import Disclosure
from storage.local import LocalStore
from storage.stores import StoreSet, inner_of


def answers(stores: StoreSet, name: str) -> bool:
    """Whether a store is there now."""
    store = inner_of(stores.named(name))
    if isinstance(store, LocalStore):
        return store.present
    try:
        next(iter(store.list()), None)
    except EvidenceError:
        return False
    return True


def size_of(reader: LogReader) -> int:
    """Entries that a copy of the log has published; -1 when it cannot be read."""
    try:
        return reader.checkpoint().size
    except EvidenceError:
        return -1


def require_continued(furthest: LogReader, size: int, root: bytes, whose: str) -> None:
    """Return when a log of that size and root is the beginning of the furthest one; SplitViewError otherwise."""
    if furthest.root_at(size) != root:
        raise SplitViewError(
            f"{whose} and {furthest.directory} tell of different logs within their first {size} entries",
            kept="Nothing was restored, nothing was changed.",
            todo="Keep both as they are; compare with a checkpoint kept outside (docs/runbooks/restored-backup.md).",
        )


def require_prefix(old: Catalogue, size: int, furthest: LogReader) -> None:
    """The database reaches further than every published copy: its first entries must be those of the furthest."""
    tree = GrowingTree()
    for start in range(0, size, SEAL_BATCH_MAX):
        with old.read() as uow:
            tree.append([row.leaf_sha256 for row in uow.outbox.rows(start, min(start + SEAL_BATCH_MAX, size))])
    if tree.root() != furthest.checkpoint().root:
        raise SplitViewError(
            f"the backup and {furthest.directory} tell of different logs within their first {size} entries",
            kept="Nothing was restored, nothing was changed.",
            todo="Keep both as they are; compare with a checkpoint kept outside (docs/runbooks/restored-backup.md).",
        )


def untold(old: Catalogue, covered: tuple[tuple[int, int], ...]) -> list[Disclosure]:
    """Personal values of the backup for entries of which no store tells: what stores no longer tell was erased, and stays so."""
    with old.read() as uow:
        head = uow.outbox.head()
    size = head.size if head is not None else 0
    found, at = [], 0
    for first, end in [*sorted(covered), (size, size)]:
        if first > at:
            found += disclosures_between(old, at, min(first, size))
        at = max(at, end)
    return found
