"""The catalogue: opens transactions on SQLite or PostgreSQL.

A write transaction is durable when ``begin`` returns. If we crash before the commit, nothing of it was kept; an error out
of the commit itself leaves that open for PostgreSQL (the connection may be lost after the server committed), which is why
every step of the pipeline is written to be run again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from catalogue import migrate as migration
from catalogue.backup import backup_sqlite
from catalogue.db import Db
from catalogue.engine import Engines, connect
from catalogue.faults import translated
from catalogue.unit_of_work import UnitOfWork
from evidence.errors import CatalogueError, CatalogueUnavailableError, UsageError
from evidence.ports import Outbox, OutboxTransactions

_log = logging.getLogger(__name__)
_WRITER_WAIT_S = 30.0


class _Writer:
    """Queues this process's writers on SQLite, first come, first served.

    Waiting in the database would poll, and a plain lock goes to whoever asks at the right moment: under load either lets
    one thread wait for seconds while others commit hundreds of times.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[tuple[threading.Lock, int]] = deque()
        self._holder: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        me = threading.get_ident()
        if self._holder == me:
            raise CatalogueError("a write transaction inside of a write transaction would wait for itself")
        self._take(me)
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, me: int) -> None:
        ticket = (threading.Lock(), me)
        with self._guard:
            if self._holder is None:
                self._holder = me
                return
            ticket[0].acquire()
            self._waiting.append(ticket)
        try:
            if ticket[0].acquire(timeout=_WRITER_WAIT_S):
                return
        except BaseException:  # interrupted while waiting: nobody may hand the turn to a thread that left
            if not self._left(ticket):
                self._pass_on()
            raise
        if self._left(ticket):
            raise CatalogueUnavailableError("another write transaction lasts too long", kept="Nothing was changed.")

    def _left(self, ticket: tuple[threading.Lock, int]) -> bool:
        """Leave the queue; False when the turn was given to us meanwhile."""
        with self._guard:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                given, self._holder = self._waiting.popleft()
                given.release()
            else:
                self._holder = None


class Catalogue:
    """One database. Threads may share it; a transaction belongs to one thread."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer = _Writer()
        self.engine_name = engines.name
        self.library_version = engines.version

    @classmethod
    def open(cls, url: str, *, migrate: bool = False) -> Self:
        """Open ``sqlite:////abs/app.db`` or ``postgresql://...``.

        Args:
            url: Address of the database.
            migrate: Create the schema or bring it up to date first.

        Raises:
            ConfigError: An address we do not understand, a database that cannot keep our promises, or (without
                ``migrate``) a schema older or newer than this program.
            CatalogueUnavailableError: The database does not answer.
        """
        engines = connect(url)
        try:
            migration.prepare(engines, migrate=migrate)
        except BaseException:
            engines.dispose()
            raise
        return cls(engines)

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """One write transaction: durable on success, rolled back on any exception.

        Raises:
            CatalogueError: Another one is open in this thread, or a statement in it failed and was ignored.
            StoreFullError: The medium is full; nothing was changed.
            NotDurableError: The medium failed; the process must stop.
        """
        with self._turn():
            uow = self._write()
            with uow as work:
                yield work
            hooks = work.take_after_commit()
        for hook in hooks:
            _run(hook)

    @contextmanager
    def _write(self) -> Iterator[UnitOfWork]:
        with translated(), self._engines.write.begin() as connection:
            db = Db(connection)
            yield UnitOfWork(db)
            if db.broken:
                raise CatalogueError("a statement of this transaction failed", kept="Nothing of it was kept.")

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """One transaction that sees one moment and can change nothing."""
        with translated(), self._engines.read.connect() as connection:
            if self._engines.path is None:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin() as transaction:
                yield UnitOfWork(Db(connection))
                transaction.rollback()

    def outbox_transactions(self) -> OutboxTransactions:
        """Transactions for the sealer, apart from any business transaction."""
        return self._outbox

    @contextmanager
    def _outbox(self) -> Iterator[Outbox]:
        with self.begin() as uow:
            yield uow.outbox

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the SQLite database to ``target``, which must not exist. Durable on return.

        Raises:
            UsageError: The target exists, or this is PostgreSQL, whose own tools make backups.
        """
        if self._engines.path is None:
            raise UsageError("PostgreSQL is backed up with its own tools", todo="Use pg_dump or pg_basebackup.")
        with translated():
            backup_sqlite(self._engines.read, target)

    def close(self) -> None:
        """Close every connection."""
        self._engines.dispose()

    def _turn(self) -> AbstractContextManager[None]:
        return self._writer.turn() if self._engines.path is not None else _no_turn()

    @property
    def engine(self) -> sa.Engine:
        """For migrations' tests and the schema's comparison only."""
        return self._engines.write


@contextmanager
def _no_turn() -> Iterator[None]:
    yield


def _run(hook: Callable[[], None]) -> None:
    # The transaction is durable; an error of a hint must not make the caller believe otherwise.
    try:
        hook()
    except Exception:
        _log.exception("a hook after a commit failed")
