"""The sealer: gives entries their place in the tree, signs the head, publishes it. One per log.

The commit protocol, in this order and no other:

1. In one database transaction: take unsequenced entries, compute the new root from the right edge, sign the note, give the
   indices and swap the head (compare-and-swap on its size). *Crash or error here:* either all of it committed or nothing
   did; the next cycle reads the head again and goes on from whichever it is.
2. Bring the primary directory, then each replica, to the head: bundles, tiles, and last the checkpoint. *Crash here:* the
   head is ahead of what is published; the next cycle brings the directories up with the same code.
3. Only when every published directory holds the checkpoint durably, mark it published. *Crash before it:* it is marked
   by the next cycle. Release of a recorder waits for this mark (promise 1).

The size never falls: a head smaller than one already seen, in the database or in any directory, stops the sealer.

What it does not do: sign entries (``recorder``), know tables (the outbox port does), repair anything (``fsck`` reports).

Source: C2SP tlog-tiles; docs/formats/log.md; docs/invariants.md 2, 6.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from chain_of_custody.checkpoint import Checkpoint, NoteVerifier, check_key_name, sign
from chain_of_custody.durable_files import as_store_errors
from chain_of_custody.keys import ROLE_LOG, SigningKey
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.publish import FetchRows, PublishedDirectory
from chain_of_custody.recorder import EntryRecorder
from chain_of_custody.recover import check_head, refuse_rollback, tree_at
from chain_of_custody.tiles import GrowingTree
from evidence.clock import Clock
from evidence.durable import exclusive_lock
from evidence.errors import (
    CatalogueError,
    ConfigError,
    CustodyError,
    DigestMismatchError,
    EvidenceError,
    HomeLockedError,
    IntegrityError,
    LogLockedError,
    LogStateUnknownError,
    StateConflictError,
    StoreError,
    StoreUnavailableError,
)
from evidence.events import LogOpened
from evidence.limits import SEAL_BATCH_MAX, SEAL_INTERVAL_S
from evidence.log_place import LogPlace
from evidence.ports import LogHead, Outbox, OutboxRow, OutboxTransactions

#: Entries sequenced in one transaction: 16 full tiles, so that a burst of thousands is covered within a second.
SEAL_AT_ONCE: Final = 16 * SEAL_BATCH_MAX
LOCK_NAME: Final = "sealer.lock"


class Sealer:
    """Sequences, signs and publishes the custody log. Use from one thread, between :meth:`start_up` and :meth:`close`.

    Args:
        transactions: Opens database transactions.
        log_key: Signs checkpoints; never the station's key.
        origin: Name of the log; it stands in every checkpoint.
        published: The primary published directory first, then the replicas: folders, or places such as a bucket.
        clock: The injected clock.
    """

    def __init__(
        self,
        transactions: OutboxTransactions,
        *,
        log_key: SigningKey,
        origin: str,
        published: Sequence[Path | LogPlace],
        clock: Clock,
    ) -> None:
        if not published:
            raise ConfigError("the log has no published directory")
        if len(set(published)) != len(published):
            raise ConfigError("a published directory is named twice")
        if not isinstance(published[0], Path):
            raise ConfigError("the primary published directory is a folder of this machine")
        self._lock_path = published[0].parent / LOCK_NAME
        self._transactions = transactions
        self._key = log_key
        self._origin = check_key_name(origin)
        self._clock = clock
        self.verifier = NoteVerifier.of(origin, log_key)
        self._directories = [PublishedDirectory(path, verifier=self.verifier) for path in published]
        self._lock = contextlib.ExitStack()
        self._locked = False
        self._tree: GrowingTree | None = None
        self._seen_size = 0

    # --- life ---------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        """Start up."""
        self.start_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_log(self, recorder: EntryRecorder) -> None:
        """Create the log: its first entries introduce the station's and the log's key; durable and published on return.

        An outsider who holds only the log's verifier key can therefore check every entry's signature. Calling it again on
        an opened log only starts up. The sealer is started on return.

        Raises:
            LogRollbackError: The database knows no log, but a directory holds one.
            CustodyError: Entries were recorded before the log was opened.
        """
        self._take_lock()
        with self._transactions() as outbox:
            if outbox.head() is None:
                self._open(outbox, recorder)
        # Crash: after the commit the log is opened; start_up publishes what is missing.
        self.start_up()

    def _open(self, outbox: Outbox, recorder: EntryRecorder) -> None:
        # Only here directories are made: in a log that exists, a missing one is a disk that is not mounted.
        for directory in self._directories:
            directory.create()
            directory.check_not_ahead(LogHead(0, GrowingTree().root(), b"", 0))
        if outbox.unsequenced(1):
            raise CustodyError("entries were recorded before the log was opened")
        if self._key.key_id == recorder.key_id:
            raise ConfigError("the log key and the station key must be different keys")
        at = self._clock.now()
        opening = (LogOpened(origin=self._origin), recorder.key_added(), self._key.key_added(ROLE_LOG))
        recorder.record_many(outbox, opening, at=at)
        rows = outbox.unsequenced(SEAL_BATCH_MAX)
        head = self._grow(GrowingTree(), rows)
        outbox.sequence(expected_size=0, entries=[row.entry for row in rows], head=head)

    def start_up(self) -> None:
        """Take the lock, refuse a rolled back database, bring every directory to the head.

        A replica that does not answer does not keep the service from starting: nothing is marked published until it does.

        Raises:
            LogLockedError: Another sealer holds the log.
            LogRollbackError: A published checkpoint is ahead of the database, or contradicts it. Fatal.
            CustodyError: The log was never opened.
            SignatureInvalidError: A published checkpoint is not ours. EntryInvalidError: it is no checkpoint.
            SplitViewError, DigestMismatchError: Published tiles and database differ.
            StoreError: The primary directory cannot be written.
        """
        self._take_lock()
        self._tree = None
        with self._transactions() as outbox:
            head = outbox.head()
        if head is None:
            raise CustodyError("the custody log was never opened", todo="Run `liuhen init`.")
        check_head(head, self.verifier, seen_size=self._seen_size)
        refuse_rollback(self._directories, head)
        self._seen_size = head.size
        self._tree = tree_at(head, self._directories[0], self._fetch)
        with contextlib.suppress(StoreUnavailableError):
            self._publish_and_mark(head, self._fetch)

    def require_not_behind(self, head: Callable[[], LogHead | None]) -> None:
        """Return unless a folder here has published more than the database knows, before anything is entered in that database.

        Takes no lock and writes nothing; a folder that does not answer, or holds no checkpoint of ours, is judged when sealing.

        Args:
            head: Tells the database's head; asked after the folders, so that a service that seals meanwhile is no rollback.

        Raises:
            LogRollbackError: The database was restored from a backup.
        """
        published = []
        for directory in self._directories:
            with contextlib.suppress(StoreError, IntegrityError):
                checkpoint = None if directory.remote else directory.checkpoint()
                if checkpoint is not None:
                    published.append((directory, checkpoint))
        known = head()
        if known is not None:
            for directory, checkpoint in published:
                directory.refuse_rollback(checkpoint, known)

    def close(self) -> None:
        """Give up the lock. Nothing is lost: what is not sealed yet waits in the database."""
        self._lock.close()
        self._locked = False

    def run(
        self,
        stop: threading.Event,
        wake: threading.Event,
        *,
        on_error: Callable[[EvidenceError], None] | None = None,
    ) -> None:
        """Seal until ``stop`` is set: at once when ``wake`` is set, and at least every second.

        Args:
            stop: Ends the loop after the current cycle.
            wake: Set by whoever committed entries.
            on_error: Told each error that the next cycle may overcome (a full or missing disk, a busy database).

        Raises:
            EvidenceError: A fatal one, one of integrity, or a lost lock: sealing must not go on.
        """
        while not stop.is_set():
            wake.wait(SEAL_INTERVAL_S)
            wake.clear()
            try:
                while self.seal_once() >= SEAL_AT_ONCE and not stop.is_set():
                    pass
            except (StoreError, CustodyError, CatalogueError) as error:
                if error.fatal or isinstance(error, LogLockedError):
                    raise
                if on_error is not None:
                    on_error(error)
                stop.wait(SEAL_INTERVAL_S)

    # --- one cycle ----------------------------------------------------------------------------------------------------
    def seal_once(self) -> int:
        """One cycle: sequence what waits (at most 4,096 entries), publish, mark published.

        Returns:
            How many entries were given an index. On return all entries sequenced so far are published everywhere.

        Raises:
            StoreUnavailableError: A replica is full or does not answer. The primary is published; nothing was marked.
            StoreError: The primary cannot be written. NotDurableError: fatal.
            LogLockedError: Another sealer moved the head. LogRollbackError: the size fell; fatal.
            SplitViewError, DigestMismatchError: Database and published files differ.
            CatalogueError: The database failed; the next cycle finds out whether the head moved.
        """
        tree = self._tree
        # Until this cycle's commit is known to have happened, memory is not to be trusted: after an error the tree is
        # taken from what the database and the primary directory say.
        self._tree = None
        with self._transactions() as outbox:
            head = self._current_head(outbox.head())
            if tree is not None and tree.size == head.size:
                rows = outbox.unsequenced(SEAL_AT_ONCE)
                if rows:
                    head = self._sequence(outbox, tree, rows)
            else:
                tree, rows = None, []
        # Crash from here on: the head is committed, the directories lag; start_up or the next cycle brings them up.
        self._seen_size = head.size
        self._tree = tree if tree is not None else tree_at(head, self._directories[0], self._fetch)
        self._publish_and_mark(head, self._fetch_with(rows, head.size))
        return len(rows)

    def _current_head(self, head: LogHead | None) -> LogHead:
        if head is None:
            raise LogStateUnknownError("the log's head is gone from the database")
        check_head(head, self.verifier, seen_size=self._seen_size)
        return head

    def _sequence(self, outbox: Outbox, tree: GrowingTree, rows: Sequence[OutboxRow]) -> LogHead:
        size = tree.size
        head = self._grow(tree, rows)
        try:
            outbox.sequence(expected_size=size, entries=[row.entry for row in rows], head=head)
        except StateConflictError as error:
            raise LogLockedError("another sealer moved the head", todo="Run one `liuhen serve` for a home.") from error
        return head

    def _grow(self, tree: GrowingTree, rows: Sequence[OutboxRow]) -> LogHead:
        for row in rows:
            if leaf_hash(row.envelope) != row.leaf_sha256:
                raise DigestMismatchError(f"{row.entry} was altered in the database", todo="Run `liuhen verify`.")
        published_size = tree.size
        tree.append([row.leaf_sha256 for row in rows])
        note = sign(Checkpoint(self._origin, tree.size, tree.root()), self._key)
        return LogHead(tree.size, tree.root(), note, published_size)

    def _publish_and_mark(self, head: LogHead, fetch: FetchRows) -> None:
        self._publish(head, fetch)
        if head.published_size < head.size:
            # Crash before this commit: published, but not counted; the next cycle counts it.
            with self._transactions() as outbox:
                outbox.mark_published(head.size)

    def _publish(self, head: LogHead, fetch: FetchRows) -> None:
        primary, *replicas = self._directories
        primary.bring_to(head, fetch)
        failed: StoreError | None = None
        for replica in replicas:  # each gets its chance: one bad disk must not keep the others behind
            try:
                replica.bring_to(head, fetch)
            except StoreError as error:
                if error.fatal:
                    raise
                failed = failed or error
        if failed is not None:
            raise StoreUnavailableError(
                f"a replica of the published log lags: {failed.what}",
                kept="The entries are durable and published on the primary; recorders keep their footage.",
                todo=failed.todo,
            ) from failed

    def _fetch(self, start: int, end: int) -> Sequence[OutboxRow]:
        with self._transactions() as outbox:
            return outbox.rows(start, end)

    def _fetch_with(self, fresh: Sequence[OutboxRow], size: int) -> FetchRows:
        """Rows of this cycle from memory, all others from the database."""
        first = size - len(fresh)
        numbered = [replace(row, index=at) for at, row in enumerate(fresh, first)]

        def fetch(start: int, end: int) -> Sequence[OutboxRow]:
            if start < first or not fresh:
                return self._fetch(start, end)
            return numbered[start - first : end - first]

        return fetch

    def _take_lock(self) -> None:
        """Hold the sealer's lock beside the primary directory until :meth:`close`; it dies with the process."""
        if self._locked:
            return
        try:
            with as_store_errors(self._lock_path):
                self._lock.enter_context(exclusive_lock(self._lock_path))
        except HomeLockedError as error:
            raise LogLockedError("another sealer holds this log", todo="Run one `liuhen serve` for a home.") from error
        self._locked = True
