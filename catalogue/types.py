"""Column types that keep the kernel's values exact on both engines.

A time is an integer of Unix milliseconds, so SQLite and PostgreSQL give back the same instant. Identities, digests and
states are text in the table and validated values outside of it: a row that somebody edited into nonsense ends in
CatalogueError, never in a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from evidence import canonical
from evidence.clock import unix_ms, utc_from_ms
from evidence.digest import Digest
from evidence.errors import CatalogueError, EvidenceError, InvalidInputError
from evidence.ids import Id

#: A growing integer key: SQLite grows only columns declared INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Search tokens: an array with an index on PostgreSQL; SQLite keeps them in its full-text table and leaves this empty.
TOKENS = ARRAY(sa.Text()).with_variant(sa.Text(), "sqlite")


def unreadable(what: str, error: Exception) -> CatalogueError:
    """The error for a stored value that this program would never have written."""
    return CatalogueError(f"a row holds an unreadable {what}: {error}", todo="Run `liuhen verify`.")


class UtcMs(sa.TypeDecorator[datetime]):
    """Aware UTC as integer milliseconds; parts of a millisecond are cut off."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        """Refuse times without a zone: they would be another instant on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidInputError(f"a time without a zone: {value!r}")
        return unix_ms(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Aware UTC."""
        if value is None:
            return None
        try:
            return utc_from_ms(value)
        except (TypeError, OverflowError) as error:
            raise unreadable("time", error) from error


class _ValidatedText(sa.TypeDecorator[Any]):
    """Text outside of which stands a validated value; subclasses say how to read it."""

    impl = sa.Text
    cache_ok = True

    def read(self, text: str) -> Any:
        """Parse the stored text."""
        raise InvalidInputError(text)

    def process_bind_param(self, value: Any | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """The value is a ``str`` already (identities, states)."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        """The validated value."""
        if value is None:
            return None
        try:
            return self.read(value)
        except (TypeError, ValueError, EvidenceError) as error:
            raise unreadable(type(self).__name__, error) from error


class IdText(_ValidatedText):
    """A typed identity."""

    cache_ok = True

    def __init__(self, id_type: type[Id]) -> None:
        super().__init__()
        self.id_type = id_type

    def read(self, text: str) -> Id:
        """Parse; the prefix must fit."""
        return self.id_type(text)


class EnumText(_ValidatedText):
    """A member of a closed set of words."""

    cache_ok = True

    def __init__(self, enum_type: Callable[[str], StrEnum]) -> None:
        super().__init__()
        self.enum_type = enum_type

    def read(self, text: str) -> StrEnum:
        """Parse; unknown words are refused."""
        return self.enum_type(text)


class DigestText(_ValidatedText):
    """A digest of one fixed algorithm, as hexadecimal."""

    cache_ok = True

    def __init__(self, algorithm: str) -> None:
        super().__init__()
        self.algorithm = algorithm

    def read(self, text: str) -> Digest:
        """Parse."""
        return Digest(self.algorithm, text)

    def process_bind_param(self, value: Digest | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Refuse another algorithm's digest: it has the same form and another meaning."""
        if value is None:
            return None
        if value.algorithm != self.algorithm:
            raise InvalidInputError(f"{value} where a {self.algorithm} digest belongs")
        return value.hex


class CanonicalJson(_ValidatedText):
    """JSON without floats, in its one byte form, so that equal values are equal texts on both engines."""

    cache_ok = True

    def read(self, text: str) -> Any:
        """Parse strictly."""
        return canonical.loads(text.encode())

    def process_bind_param(self, value: Any | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Canonical text; EntryInvalidError for values that have none."""
        return None if value is None else canonical.dumps(value).decode()
