"""The only place that knows the database libraries' exceptions.

Everything they raise leaves this room as one of our errors; the parameters of a statement never enter a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc as sx

from evidence.errors import (
    CatalogueError,
    CatalogueUnavailableError,
    EvidenceError,
    InvalidInputError,
    NotDurableError,
    StateConflictError,
    StoreFullError,
)

_BUSY = ("database is locked", "database table is locked", "database schema is locked")
_DAMAGED = ("malformed", "not a database")
#: SQLSTATE classes and codes of PostgreSQL that say "again later": connection, serialisation, shutdown, memory, lock.
_LATER = ("08", "40", "57P", "53", "55P03")
_FULL = "53100"


def _sqlstate(error: BaseException | None) -> str:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def translate(error: Exception) -> EvidenceError:
    """Our error for one of theirs."""
    original = error.orig if isinstance(error, sx.StatementError) else None
    for known in (error, original):
        if isinstance(known, EvidenceError):  # raised by one of our column types, wrapped by the library
            return known
    state = _sqlstate(original)
    # Only SQLite must be judged by its words. PostgreSQL's quote the values of a row, which may say anything.
    text = "" if state else str(original or error).lower()
    cause = type(original or error).__name__
    return (
        _medium(text, state)
        or _passing(error, text, state)
        or _content(error, cause)
        or CatalogueError(f"the database refused: {cause}")
    )


def _medium(text: str, state: str) -> EvidenceError | None:
    if ("full" in text and "disk" in text) or state == _FULL:
        return StoreFullError(
            "the database's disk is full", kept="The transaction was rolled back.", todo="Free space, then retry."
        )
    if "disk i/o error" in text or state.startswith("58"):
        return NotDurableError("the database could not write to its medium", todo="Stop; check the disk.")
    if any(word in text for word in _DAMAGED):
        return CatalogueError("the database file is damaged", todo="Restore a backup or run `liuhen rebuild`.")
    return None


def _passing(error: Exception, text: str, state: str) -> EvidenceError | None:
    if isinstance(error, sx.TimeoutError) or any(word in text for word in _BUSY) or state.startswith(_LATER):
        return CatalogueUnavailableError("the database is busy or restarting")
    if isinstance(error, sx.DBAPIError) and (error.connection_invalidated or _no_answer(error, state)):
        return CatalogueUnavailableError("the database does not answer")
    return None


def _no_answer(error: sx.DBAPIError, state: str) -> bool:
    # A driver's OperationalError without an SQLSTATE never reached the server; SQLite gives none for anything.
    return isinstance(error, sx.OperationalError) and not state and "sqlite" not in type(error.orig).__module__


def _content(error: Exception, cause: str) -> EvidenceError | None:
    if isinstance(error, sx.IntegrityError):
        return StateConflictError("the database already holds a contradicting row", kept="Nothing was changed.")
    if isinstance(error, sx.DataError) or (
        isinstance(error, sx.StatementError) and not isinstance(error, sx.DBAPIError)
    ):
        return InvalidInputError(f"a value does not fit its column ({cause})")
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Turn database exceptions of the block into ours; other exceptions pass."""
    try:
        yield
    except sx.SQLAlchemyError as error:
        raise translate(error) from error


@contextmanager
def translated_values() -> Iterator[None]:
    """As :func:`translated`, for one statement: also values that no driver can encode (lone surrogates, huge integers)."""
    try:
        yield
    except sx.SQLAlchemyError as error:
        raise translate(error) from error
    except (UnicodeError, OverflowError) as error:
        raise InvalidInputError("a value does not fit its column") from error
