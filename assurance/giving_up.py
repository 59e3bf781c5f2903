"""One copy of a store that is given up goes from its disk: locks, holds, clock and brake are asked, its absence is looked at.

Others keep the bytes: the caller (:mod:`assurance.migration`) made sure that enough of them do; its row and entry follow.

Crash in between: the copy is gone and its row stands; the next call finds nothing to remove, and the caller says so.

Source: docs/invariants.md 5.
"""

from __future__ import annotations

from assurance.copies import KeepingParts
from assurance.references import require_believed
from assurance.removal import Allowance
from catalogue.records import BlobRow
from evidence.clock import to_text
from evidence.errors import BlobLockedError, StoreError
from evidence.ports import BlobStore


def require_removable(keeping: KeepingParts, source: BlobStore, blob: BlobRow) -> bool:
    """Whether there is a copy to remove; costs no reading of bytes.

    Raises:
        BlobLockedError: A hold or a date stands.
    """
    name, now = source.properties.name, keeping.clock.now()
    if not source.exists(blob.sha256):  # removed by a process that died before it could say so
        return False
    stat = source.stat(blob.sha256)
    with keeping.catalogue.read() as uow:
        holds = uow.references.holds(blob.sha256)
    if stat.hold or holds:
        raise BlobLockedError(f"a hold on {blob.sha256} stands; its copy in {name} stays")
    if stat.retain_until is not None and stat.retain_until > now.wall:
        raise BlobLockedError(f"{name} keeps {blob.sha256} until {to_text(stat.retain_until)}")
    return True


def remove_copy(keeping: KeepingParts, brake: Allowance, source: BlobStore, blob: BlobRow) -> None:
    """Remove one copy from a store and look for it in vain.

    Raises:
        BlobLockedError: A hold or a date stands. BrakePulledError, ClockWentBackError, ClockJumpedError: Nothing goes now.
        StoreError: It is still there, or the store does not answer.
    """
    if not require_removable(keeping, source, blob):
        return
    now = keeping.clock.now()
    with keeping.catalogue.begin() as uow:
        require_believed(uow, now)
        brake.allow(uow, objects=1, size_bytes=blob.size_bytes, now=now.wall)
    source.delete(blob.sha256, now=now.wall)
    if source.exists(blob.sha256):
        raise StoreError(f"{blob.sha256} is still in {source.properties.name} after its removal")
