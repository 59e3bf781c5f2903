"""The catalogue: opens transactions on SQLite or PostgreSQL.

A write transaction is durable when ``begin`` returns. If we crash before the commit, nothing of it was kept; an error out
of the commit itself leaves that open for PostgreSQL (the connection may be lost after the server committed), which is why
every step of the pipeline is written to be run again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from catalogue import migrate as migration
from catalogue.backup import backup_sqlite
from catalogue.db import Db
from catalogue.dump import Dump, dumping
from catalogue.engine import Engines, connect
from catalogue.faults import translated
from catalogue.unit_of_work import UnitOfWork
from catalogue.writer import SharedWriter
from evidence.errors import CatalogueError, UsageError
from evidence.ports import Outbox, OutboxTransactions

_log = logging.getLogger(__name__)


class Catalogue:
    """One database. Threads may share it; a transaction belongs to one thread."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer = None if engines.path is None else SharedWriter(engines.write)
        self._mine = threading.local()
        self.engine_name = engines.name
        self.library_version = engines.version

    @classmethod
    def open(cls, url: str, *, migrate: bool = False, create: bool | None = None) -> Self:
        """Open ``sqlite:////abs/app.db`` or ``postgresql://...``.

        Args:
            url: Address of the database.
            migrate: Bring the schema up to date first.
            create: Make it where there is none; by default as ``migrate`` says.

        Raises:
            ConfigError: An address we do not understand, a database that cannot keep our promises, or (without
                ``migrate``) a schema older or newer than this program.
            CatalogueLostError: Without ``create``: no catalogue is there.
            CatalogueUnavailableError: The database does not answer.
        """
        engines = connect(url)
        try:
            migration.prepare(engines, migrate=migrate, create=migrate if create is None else create)
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
        with self._write() as db:
            work = UnitOfWork(db)
            yield work
        for hook in work.take_after_commit():
            _run(hook)

    def _write(self) -> AbstractContextManager[Db]:
        return self._alone() if self._writer is None else self._writer.transaction()

    @contextmanager
    def _alone(self) -> Iterator[Db]:
        if getattr(self._mine, "open", False):
            raise CatalogueError("a write transaction inside of a write transaction would wait for itself")
        self._mine.open = True
        try:
            with translated(), self._engines.write.begin() as connection:
                db = Db(connection)
                yield db
                if db.broken:
                    raise CatalogueError("a statement of this transaction failed", kept="Nothing of it was kept.")
        finally:
            self._mine.open = False

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

    def dumping(self, scratch: Path) -> AbstractContextManager[Dump]:
        """See all rows at one moment while others write, on either engine; :func:`catalogue.dump.dumping`."""
        return dumping(self._engines, scratch)

    def close(self) -> None:
        """Close every connection."""
        self._engines.dispose()

    @property
    def engine(self) -> sa.Engine:
        """For migrations' tests and the schema's comparison only."""
        return self._engines.write


def _run(hook: Callable[[], None]) -> None:
    # The transaction is durable; an error of a hint must not make the caller believe otherwise.
    try:
        hook()
    except Exception:
        _log.exception("a hook after a commit failed")
