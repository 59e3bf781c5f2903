"""SQLite's one writer, shared: transactions take turns in the order they came, and those that wait share one commit.

A commit costs a sync of the medium whatever is in it. When 64 docks enter something at once, 64 syncs would stand in a row;
here a transaction whose successor waits already hands over its open database transaction instead of ending it, and
whoever finds nobody waiting (or the group old enough) commits for all. Nobody returns before that commit is durable.

Each but the first works behind a savepoint, so that one who fails takes back its own changes and nobody else's. If the
commit fails, or the database gave up the whole group, every member is told so and nothing of it was kept.

Crash: before the commit nothing of the group was kept and nobody had been told otherwise; after it all of it is.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from catalogue.db import Db
from catalogue.faults import translated
from evidence.errors import CatalogueError, CatalogueUnavailableError, EvidenceError

_log = logging.getLogger(__name__)
WAIT_S: Final = 30.0
#: A group older than this is committed although others wait: the first of it has waited long enough.
GROUP_AGE_S: Final = 0.025


class _Group:
    """One database transaction and how many finished transactions of ours are in it; used by one thread at a time."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.members = 0
        self.lost: EvidenceError | None = None
        self.ended = threading.Event()
        self._transaction = connection.begin()
        self._began_s = time.monotonic()

    @property
    def may_grow(self) -> bool:
        """Whether another transaction may join what is there."""
        return self.members > 0 and self.lost is None and time.monotonic() - self._began_s < GROUP_AGE_S

    def protect_the_others(self) -> None:
        """Begin a member: what those before it did is kept whatever it does."""
        if self.members:
            self._require_standing()
            self.connection.exec_driver_sql("SAVEPOINT member")

    def keep(self) -> None:
        """End a member well."""
        if self.members:
            self.connection.exec_driver_sql("RELEASE member")
        self.members += 1

    def take_back(self, error: BaseException) -> None:
        """Undo what this member did. Where that cannot be done alone, the whole group is given up."""
        if self.members == 0:
            return  # nobody else is in it: it is rolled back as it ends
        try:
            self.connection.exec_driver_sql("ROLLBACK TO member")
            self.connection.exec_driver_sql("RELEASE member")
        except Exception:
            # A full disk makes SQLite roll back everything by itself: those before us lost their changes, too.
            _log.warning("a transaction that shares a commit could not be taken back alone")
            self.lost = error if isinstance(error, EvidenceError) else _given_up()

    def end(self) -> None:
        """Commit what the members did and tell them."""
        try:
            if self.members and self.lost is None:
                self._commit()
        except EvidenceError as error:
            self.lost = error
        except BaseException:  # interrupted in the commit: it may have happened or not, as after a crash
            self.lost = _given_up()
            raise
        finally:
            self._close()
            self.ended.set()

    def _commit(self) -> None:
        self._require_standing()
        with translated():
            self._transaction.commit()

    def _require_standing(self) -> None:
        # A database that has rolled back by itself would take a savepoint for a transaction and our COMMIT for none.
        if not self.connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # open until we close it
            raise _given_up()

    def _close(self) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            if self.lost is not None:
                self.connection.invalidate()  # whatever state a failed commit left: closing the database ends it
            self.connection.close()  # rolls back what was not committed


@dataclass(slots=True)
class _Ticket:
    thread: int
    called: threading.Lock = field(default_factory=threading.Lock)
    group: _Group | None = None


class _Turns:
    """A queue, first come, first served; with the turn an open group may be handed over.

    Waiting in the database would poll, and a plain lock goes to whoever asks at the right moment: under load either lets
    one thread wait for seconds while others commit hundreds of times.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Ticket] = deque()
        self._holder: int | None = None

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def mine(self) -> bool:
        """Whether the turn is this thread's."""
        return self._holder == threading.get_ident()

    def wait(self) -> _Ticket:
        """Stand in the queue; the ticket must be given to :meth:`called`."""
        ticket = _Ticket(threading.get_ident())
        with self._guard:
            if self._holder is None:
                self._holder = ticket.thread
            else:
                ticket.called.acquire()
                self._waiting.append(ticket)
        return ticket

    def called(self, ticket: _Ticket, *, timeout_s: float) -> bool:
        """Wait for the turn; False when it did not come in time and this thread has left the queue."""
        return ticket.called.acquire(timeout=timeout_s) or not self.left(ticket)

    def left(self, ticket: _Ticket) -> bool:
        """Leave the queue; False when the turn was given to us meanwhile."""
        with self._guard:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

    def hand_over(self, group: _Group) -> bool:
        """Give the turn with the open group to whoever waits longest; False when nobody does and the turn stays here."""
        with self._guard:
            if not self._waiting:
                return False
            self._next(group)
            return True

    def pass_on(self) -> None:
        """End the turn."""
        with self._guard:
            if self._waiting:
                self._next(None)
            else:
                self._holder = None

    def _next(self, group: _Group | None) -> None:
        ticket = self._waiting.popleft()
        ticket.group = group
        self._holder = ticket.thread
        ticket.called.release()


class SharedWriter:
    """Write transactions on one SQLite database.

    Args:
        engine: Its ``begin`` must take the write lock at once (BEGIN IMMEDIATE).
        wait_s: Seconds that a transaction waits for its turn.
    """

    def __init__(self, engine: sa.Engine, *, wait_s: float = WAIT_S) -> None:
        self._engine = engine
        self._wait_s = wait_s
        self._turns = _Turns()

    @property
    def waiting(self) -> int:
        """Transactions that wait for their turn."""
        return self._turns.waiting

    @contextmanager
    def transaction(self) -> Iterator[Db]:
        """One write transaction: durable when the block has ended well, taken back on any exception.

        Raises:
            CatalogueError: Another one is open in this thread, or a statement in it failed and was ignored.
            CatalogueUnavailableError: The turn did not come in time. Nothing was changed.
            EvidenceError: The commit failed (also one that others shared); nothing was kept.
        """
        with translated():
            group = self._enter()
            try:
                group.protect_the_others()
                db = Db(group.connection)
                yield db
                if db.broken:
                    raise CatalogueError("a statement of this transaction failed", kept="Nothing of it was kept.")
                group.keep()
            except BaseException as error:
                group.take_back(error)
                self._leave(group)
                raise
            self._leave(group)
            group.ended.wait()
            if group.lost is not None:
                raise copy.copy(group.lost)

    def _enter(self) -> _Group:
        """Wait for the turn; the group that came with it, or a new one."""
        if self._turns.mine():
            raise CatalogueError("a write transaction inside of a write transaction would wait for itself")
        ticket = self._turns.wait()
        try:
            if not self._turns.called(ticket, timeout_s=self._wait_s):
                raise CatalogueUnavailableError("another write transaction lasts too long", kept="Nothing was changed.")
        except CatalogueUnavailableError:
            raise
        except BaseException:  # interrupted while waiting: nobody may hand the turn to a thread that left
            if not self._turns.left(ticket):
                self._end_turn(ticket.group)
            raise
        return ticket.group or self._begin()

    def _begin(self) -> _Group:
        try:
            connection = self._engine.connect()
            try:
                return _Group(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._turns.pass_on()
            raise

    def _leave(self, group: _Group) -> None:
        """End this member's turn: hand the group on, or end it."""
        if not (group.may_grow and self._turns.hand_over(group)):
            self._end_turn(group)

    def _end_turn(self, group: _Group | None) -> None:
        try:
            if group is not None:
                group.end()
        finally:
            self._turns.pass_on()


def _given_up() -> CatalogueError:
    return CatalogueError("the database gave up the transaction", kept="Nothing of it was kept.", todo="Try again.")
