"""The SQLite engine for the job database: the same library as the catalogue's, write-ahead logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pysqlite3.dbapi2
import sqlalchemy as sa

from evidence.durable import make_dirs
from evidence.errors import ConfigError

#: SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log that is reset under load.
_VERSION_MIN = (3, 51, 3)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"  # two workers must not both read before either writes
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "PRAGMA synchronous=NORMAL"
    )  # a power cut may lose the last jobs: the reconciler finds them again


def flow_engine(path: Path) -> sa.Engine:
    """An engine on ``path``, created if absent.

    Raises:
        ConfigError: Not an absolute path, or a SQLite library with the write-ahead-log reset fault.
    """
    if not path.is_absolute():
        raise ConfigError("the job database needs an absolute path")
    if pysqlite3.dbapi2.sqlite_version_info < _VERSION_MIN:
        raise ConfigError(
            f"SQLite {pysqlite3.dbapi2.sqlite_version} is too old", todo="Install pysqlite3 0.6.1 or newer."
        )
    make_dirs(path.parent)
    engine = sa.create_engine(f"sqlite:///{path}", module=pysqlite3.dbapi2)
    sa.event.listen(engine, "connect", _prepare)
    return engine
