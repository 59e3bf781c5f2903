"""What the sealer asks before it goes on: is the database's head ours, and is nothing published ahead of it?

Recovery itself is the normal cycle (``publish.PublishedDirectory.bring_to``); this module only decides whether it may run.

Source: docs/formats/log.md section "Start-up"; docs/invariants.md 6.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_of_custody.checkpoint import NoteVerifier, open_checkpoint
from chain_of_custody.publish import FetchRows, PublishedDirectory
from chain_of_custody.tiles import GrowingTree
from evidence.errors import EntryInvalidError, LogRollbackError, StoreUnavailableError
from evidence.ports import LogHead


def check_head(head: LogHead, verifier: NoteVerifier, *, seen_size: int) -> None:
    """Return when the head is signed by this log's key and not smaller than one already seen.

    Raises:
        SignatureInvalidError: Signed by another key: the wrong key file, or another log's database.
        EntryInvalidError: The note is malformed or says something else than the head's columns.
        LogRollbackError: The size fell while we ran.
    """
    checkpoint = open_checkpoint(head.note, verifier)
    if (checkpoint.size, checkpoint.root) != (head.size, head.root):
        raise EntryInvalidError("the database's head and its signed note differ", todo="Run `liuhen verify`.")
    if head.size < seen_size:
        raise LogRollbackError(f"the log's size fell from {seen_size} to {head.size}", kept="Nothing was written.")


def refuse_rollback(directories: Sequence[PublishedDirectory], head: LogHead) -> None:
    """Return when no directory is ahead of the head or contradicts it, whatever else is wrong with it.

    The first directory (the primary) must answer; a replica that does not is looked at again before it is written.

    Raises:
        LogRollbackError: One is. StoreUnavailableError: the primary does not answer.
        EntryInvalidError, SignatureInvalidError: a checkpoint is not this log's.
    """
    for position, directory in enumerate(directories):
        try:
            directory.check_not_ahead(head)
        except StoreUnavailableError:
            if position == 0:
                raise


def tree_at(head: LogHead, primary: PublishedDirectory, fetch: FetchRows) -> GrowingTree:
    """The tree of the head, from the primary directory's right edge, which is brought up first if it lags."""
    primary.bring_to(head, fetch)
    return primary.tree_at(head, fetch)
