"""One open transaction, as repositories use it: statements in, validated rows out, our errors only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from catalogue.faults import translated, translated_values
from evidence.errors import CatalogueError, EvidenceError

#: Values in one IN list: below every engine's bound on variables.
CHUNK = 500


class Db:
    """A connection inside a transaction.

    After a statement failed, PostgreSQL refuses the rest of its transaction and SQLite does not; here both refuse, so
    that no caller commits half of what it meant. A refused change of state is no failed statement.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._broken = False
        self.sqlite = connection.dialect.name == "sqlite"

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement; a list of parameter sets runs it once for each."""
        if self._broken:
            raise CatalogueError("an earlier statement of this transaction failed", kept="Nothing of it was kept.")
        try:
            with translated_values():
                return self._connection.execute(statement, parameters)
        except EvidenceError:
            self._broken = True
            raise

    @property
    def broken(self) -> bool:
        """Whether a statement failed, so that the transaction can only be rolled back."""
        return self._broken

    def all(self, statement: sa.Executable) -> list[Mapping[str, Any]]:
        """Every row, by column name."""
        result = self.execute(statement)
        with translated():
            return [dict(row) for row in result.mappings()]

    def one(self, statement: sa.Executable, parameters: Any = None) -> Mapping[str, Any] | None:
        """The first row, or None."""
        result = self.execute(statement, parameters)
        with translated():
            row = result.mappings().first()
            return None if row is None else dict(row)

    def scalar(self, statement: sa.Executable) -> Any:
        """The first column of the first row, or None."""
        result = self.execute(statement)
        with translated():
            return result.scalar()

    def count(self, statement: sa.UpdateBase) -> int:
        """Run a change and tell how many rows it touched."""
        # Without the option the number of an INSERT is thrown away on some drivers.
        return self.execute(statement.execution_options(preserve_rowcount=True)).rowcount

    def insert(self, table: sa.Table, values: Mapping[str, Any]) -> None:
        """Insert one row; StateConflictError when a key is taken."""
        self.execute(table.insert().values(**values))

    def insert_new(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert one row unless a key is taken; tells whether it was inserted."""
        make = sqlite_insert if self.sqlite else postgresql_insert
        return self.count(make(table).values(**values).on_conflict_do_nothing()) == 1

    def upsert(self, table: sa.Table, values: Mapping[str, Any]) -> None:
        """Insert one row, or replace the row with the same primary key."""
        make = sqlite_insert if self.sqlite else postgresql_insert
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        self.execute(make(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest))

    def upsert_all(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """As :meth:`upsert` for many rows of the same columns, in their order; other columns of a row that is there stay."""
        if not rows:
            return
        make = sqlite_insert if self.sqlite else postgresql_insert
        keys = [column.name for column in table.primary_key]
        statement = make(table)
        rest = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        self.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), [dict(row) for row in rows])


def chunks(values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Cut a long list into lists an IN clause can take."""
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == CHUNK:
            yield part
            part = []
    if part:
        yield part
