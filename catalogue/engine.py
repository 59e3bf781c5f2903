"""Engines: how this process talks to SQLite or PostgreSQL, and what it refuses to run on.

SQLite: write-ahead log with synchronous=FULL (a commit is on the medium when it returns), foreign keys, one SQLite library
in the process. Libraries before 3.51.3 can corrupt a write-ahead log when it is reset, so they are refused.
PostgreSQL: ``fsync`` and ``synchronous_commit`` must be on and the encoding UTF-8.

Source: sqlite.org/wal.html section "The WAL-Reset Bug"; sqlite.org/pragma.html; PostgreSQL manual, "Reliability".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite_library
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from catalogue.faults import translated
from evidence.errors import ConfigError

SQLITE_MINIMUM = (3, 51, 3)
BUSY_TIMEOUT_MS = 30_000
_POSTGRES_SESSION = (
    "-c synchronous_commit=on -c lock_timeout=30s -c timezone=UTC -c idle_in_transaction_session_timeout=10min"
)


@dataclass(frozen=True, slots=True)
class Engines:
    """One database: the engine that writes and the one that can only read (the same on PostgreSQL)."""

    name: str
    version: str
    write: sa.Engine
    read: sa.Engine
    path: Path | None

    def dispose(self) -> None:
        """Close every connection."""
        self.write.dispose()
        self.read.dispose()


def connect(url: str) -> Engines:
    """Make the engines for ``sqlite:////abs/app.db`` or ``postgresql://...``; opens one connection to check it.

    Raises:
        ConfigError: Another scheme, a relative SQLite path, or a database that cannot keep our promises.
        CatalogueUnavailableError: It does not answer.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError("the database address cannot be read") from error
    if parsed.drivername == "sqlite":
        return _sqlite(Path(parsed.database or ""))
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise ConfigError(f"no such database engine: {parsed.drivername}", todo="Use sqlite:////path or postgresql://...")


def _sqlite(path: Path) -> Engines:
    if sqlite_library.sqlite_version_info < SQLITE_MINIMUM:
        raise ConfigError(
            f"SQLite {sqlite_library.sqlite_version} can corrupt a write-ahead log",
            todo="Install pysqlite3 with SQLite 3.51.3 or later.",
        )
    if not path.is_absolute():
        raise ConfigError("the SQLite file needs an absolute path", todo="Write sqlite:////absolute/path.")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no directory {path.parent}")
    write = _sqlite_engine(path, begin="BEGIN IMMEDIATE", pool_size=2)
    read = _sqlite_engine(path, begin="BEGIN", pool_size=8)
    return Engines("sqlite", sqlite_library.sqlite_version, write, read, path)


def _sqlite_engine(path: Path, *, begin: str, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        module=sqlite_library,
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
        pool_size=pool_size,
        max_overflow=64,
        hide_parameters=True,
    )
    read_only = begin == "BEGIN"

    def prepare(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:  # noqa: ARG001 - SQLAlchemy's form
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", start)
    return engine


def _postgresql(url: sa.URL) -> Engines:
    engine = sa.create_engine(
        url,
        connect_args={"options": _POSTGRES_SESSION, "connect_timeout": 10, "application_name": "liuhen"},
        pool_size=8,
        max_overflow=64,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    try:
        with translated(), engine.connect() as connection:
            facts = {name: _show(connection, name) for name in ("fsync", "server_encoding", "server_version")}
    except BaseException:
        engine.dispose()
        raise
    if facts["fsync"] != "on" or facts["server_encoding"] != "UTF8":
        engine.dispose()
        raise ConfigError(
            "this PostgreSQL server cannot keep evidence",
            todo="It needs fsync=on and a database with the encoding UTF8.",
        )
    return Engines("postgresql", str(facts["server_version"]), engine, engine, None)


def _show(connection: sa.Connection, name: str) -> Any:
    return connection.exec_driver_sql(f"SHOW {name}").scalar_one()
