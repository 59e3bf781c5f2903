"""Every row of a catalogue as lines of JSON that either engine can take in again: the database's part of a backup.

The rows are those of one moment: on PostgreSQL one repeatable-read transaction, on SQLite a copy made in one step, so that no
reader of hours holds the write-ahead log. Left out is what a backup must not or need not hold (:data:`LEFT_OUT`).

Lines come in an order in which old rows stay in front (:data:`_ORDER`), so that a later dump repeats most of an earlier one.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pysqlite3.dbapi2 as sqlite_library
import sqlalchemy as sa

from catalogue.backup import backup_sqlite
from catalogue.engine import Engines, connect
from catalogue.faults import translated
from catalogue.migrate import current_revision, make_at
from catalogue.schema_base import metadata
from evidence.errors import CatalogueError, EntryInvalidError, StoreFullError

#: Not dumped: sessions are no one's but the browser's that holds them; data keys lie beside the stores, and an old backup that
#: held them would keep the key of footage that was disposed of; the others follow from what is dumped.
LEFT_OUT: Final = frozenset({"web_sessions", "blob_keys", "progress", "recording_texts", "rule_dates"})
#: Where the primary key is a digest, rows are ordered by something that grows with time instead.
_ORDER: Final = {
    "blobs": "(SELECT min(h.holder) FROM blob_holders h WHERE h.sha256 = blobs.sha256), sha256",
    "blob_copies": "(SELECT min(h.holder) FROM blob_holders h WHERE h.sha256 = blob_copies.sha256), sha256, store",
    "blob_holders": "holder, sha256",
    "disclosures": "entry, digest",
}
_ROWS_AT_ONCE: Final = 500
_SCRATCH: Final = "backup-"
_BYTES: Final = "bytes"
#: A client that copies for long is not idle; the server would end the transaction after ten minutes without a statement.
_PATIENCE: Final = "SET LOCAL idle_in_transaction_session_timeout = '6h'"


@dataclass(frozen=True, slots=True)
class Table:
    """One table's part of a dump: its name, its columns, and its rows as texts, integers, booleans, bytes and None."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Dump:
    """A database at one moment.

    Attributes:
        engine: ``sqlite`` or ``postgresql``.
        revision: Version of its schema.
        connection: The transaction that sees the moment.
    """

    engine: str
    revision: str
    connection: sa.Connection

    def tables(self) -> Iterator[Table]:
        """Every table, those that others refer to first. Each one's rows must be taken before the next is asked for."""
        for table in metadata.sorted_tables:
            if table.name not in LEFT_OUT:
                yield Table(table.name, tuple(column.name for column in table.columns), self._rows(table))

    def _rows(self, table: sa.Table) -> Iterator[Sequence[Any]]:
        order = _ORDER.get(table.name) or ", ".join(column.name for column in table.primary_key)
        # As the database holds them, not as this program reads them: a row that somebody made unreadable is saved, too.
        raw: list[sa.ColumnElement[Any]] = [sa.column(column.name) for column in table.columns]
        statement = sa.select(*raw).select_from(sa.table(table.name))
        flags = [isinstance(column.type, sa.Boolean) for column in table.columns]
        with translated():
            result = self.connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(
                statement.order_by(sa.text(order))
            )
            for rows in result.partitions(_ROWS_AT_ONCE):
                for row in rows:
                    yield [_plain(value, flag=flag) for value, flag in zip(row, flags, strict=True)]

    def head(self) -> tuple[int, bytes, bytes]:
        """Size, root and signed note of the log's head; CatalogueError before the log was opened."""
        with translated():
            row = self.connection.exec_driver_sql("SELECT size, root, note FROM log_head").first()
        if row is None:
            raise CatalogueError("the catalogue knows of no log", todo="Run `liuhen init`.")
        return int(row[0]), bytes(row[1]), bytes(row[2])


def _plain(value: Any, *, flag: bool) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return bool(value) if flag and value is not None else value


@contextlib.contextmanager
def dumping(engines: Engines, scratch: Path) -> Iterator[Dump]:
    """See the whole database at one moment for as long as the block lasts; others go on writing.

    Args:
        engines: The database.
        scratch: A folder that only this program reads, with room for a copy of an SQLite database; it is removed at the end. What
            a crash leaves there is removed by the next call.

    Raises:
        CatalogueError: No room for the copy, or it does not pass SQLite's own check.
    """
    if engines.path is None:
        with translated(), engines.read.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin() as transaction:
                connection.exec_driver_sql(_PATIENCE)
                yield Dump("postgresql", current_revision(connection), connection)
                transaction.rollback()
        return
    for left in scratch.glob(f"{_SCRATCH}*.db*"):
        left.unlink(missing_ok=True)
    copy = scratch / f"{_SCRATCH}{secrets.token_hex(8)}.db"
    try:
        with translated():
            backup_sqlite(engines.read, copy)
        seen = connect(f"sqlite:///{copy}")
        try:
            with translated(), seen.read.connect() as connection, connection.begin() as transaction:
                yield Dump("sqlite", current_revision(connection), connection)
                transaction.rollback()
        finally:
            seen.dispose()
    finally:
        for left in scratch.glob(f"{copy.name}*"):
            left.unlink(missing_ok=True)


# --- lines ------------------------------------------------------------------------------------------------------------
def table_line(table: Table) -> bytes:
    """The line before a table's rows."""
    return json.dumps({"table": table.name, "columns": table.columns}, separators=(",", ":")).encode("utf-8") + b"\n"


def row_line(row: Sequence[Any]) -> bytes:
    """The line of a row: a list in the order of the columns, bytes as ``{"bytes": base64}``."""
    told = [{_BYTES: base64.b64encode(value).decode("ascii")} if isinstance(value, bytes) else value for value in row]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _value(told: Any) -> Any:
    if isinstance(told, dict):
        try:
            return base64.b64decode(told[_BYTES], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise EntryInvalidError("a row of the dump holds what no column can") from error
    if told is None or isinstance(told, str | int):
        return told
    raise EntryInvalidError("a row of the dump holds what no column can")


# --- in ---------------------------------------------------------------------------------------------------------------
def take_in(path: Path, revision: str, lines: Iterable[bytes]) -> None:
    """Make the SQLite database ``path`` of a dump, with the schema the dump was made of.

    It serves to be read (migrate it by opening it); it has no search texts. Crash: throw the file away and begin again.

    Raises:
        ConfigError: The dump was made by a newer program.
        EntryInvalidError: The lines are no dump. CatalogueError: they do not fit the schema, or there is no room.
    """
    engines = connect(f"sqlite:///{path}")
    try:
        make_at(engines, revision)
        raw = engines.write.raw_connection()
        try:
            _fill(raw.driver_connection, lines)
        finally:
            raw.close()
    finally:
        engines.dispose()


def _fill(connection: Any, lines: Iterable[bytes]) -> None:
    """Rows refer to rows of their own table that may come later, so references are checked at the end."""
    with _driver_errors():
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("BEGIN IMMEDIATE")
        statement, width = "", 0
        batch: list[list[Any]] = []
        for line in lines:
            told = _parsed(line)
            if isinstance(told, dict):
                _insert(connection, statement, batch)
                statement, width = _statement(connection, told), len(told["columns"])
                continue
            if len(told) != width:
                raise EntryInvalidError("a row of the dump has another number of columns than its table")
            batch.append([_value(one) for one in told])
            if len(batch) >= _ROWS_AT_ONCE:
                _insert(connection, statement, batch)
        _insert(connection, statement, batch)
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise CatalogueError(f"a row of {broken[0]} in the backup refers to none", todo="Use another backup.")
        connection.execute("COMMIT")


@contextlib.contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite_library.Error, OverflowError) as error:
        if "full" in str(error):
            raise StoreFullError("no room for the database", todo="Free space, then begin again.") from error
        raise CatalogueError(f"the dump does not fit its schema: {error}", todo="Use another backup.") from error


def _parsed(line: bytes) -> Any:
    try:
        told = json.loads(line.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise EntryInvalidError("the backup's dump holds a line that is none") from error
    if not isinstance(told, dict | list):
        raise EntryInvalidError("the backup's dump holds a line that is none")
    return told


def _statement(connection: Any, told: dict[str, Any]) -> str:
    table, columns = told.get("table"), told.get("columns")
    known = {row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", [table])}
    if not known or not isinstance(columns, list) or not set(columns) <= known:
        raise EntryInvalidError("the backup's dump tells of a table or column that its schema does not have")
    named = ", ".join(f'"{column}"' for column in columns)
    return f'INSERT INTO "{table}" ({named}) VALUES ({", ".join("?" * len(columns))})'  # noqa: S608 - names of the schema


def _insert(connection: Any, statement: str, batch: list[list[Any]]) -> None:
    if batch:
        connection.executemany(statement, batch)
        batch.clear()
