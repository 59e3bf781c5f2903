"""What refuses a removal that nobody ordered, whichever way it comes: a duty, a command, a migration, a mistake (promise 5).

Asked in the transaction with the point of no return, after the bytes are locked. The bytes of a recording and its manifest go
only when its clearing was committed (``recording.disposing``), those of a document never. What can be made anew (a poster, a
viewing copy) and left-overs that no row names need no order.

Source: RULES R10, R13; docs/invariants.md 5; docs/disposal.md.
"""

from __future__ import annotations

from typing import Final

from catalogue import UnitOfWork
from evidence.digest import Digest
from evidence.errors import PolicyUnmetError
from evidence.ids import RecordingId

_ORDERED: Final = frozenset({"recording", "manifest"})
_FREE: Final = frozenset({"derivative", "orphan"})


def require_ordered(uow: UnitOfWork, sha256: Digest, holder: str) -> None:
    """Return when these bytes may go for this holder.

    Raises:
        PolicyUnmetError: Nobody ordered it; nothing was removed.
    """
    kind, _, identity = holder.partition(":")
    if kind in _FREE:
        return
    if kind not in _ORDERED:
        raise _refused(f"{holder} keeps {sha256} for good")
    recording = RecordingId(identity)
    if uow.rules.of(recording).disposing_at is None:
        raise _refused(f"nobody ordered that {recording} be cleared")
    if kind == "manifest":
        return
    for twin in uow.references.duplicates_of(recording):
        if uow.rules.of(twin).disposing_at is None:
            raise _refused(f"{twin} has its bytes from {recording}, and nobody ordered that it be cleared")


def _refused(what: str) -> PolicyUnmetError:
    return PolicyUnmetError(
        what, kept="Nothing was removed.", todo="Footage is cleared by an approved batch only (docs/disposal.md)."
    )
