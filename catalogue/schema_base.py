"""What every table of the catalogue is declared with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Text

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: The empty text as it stands in the condition of an index: a bound value would keep SQLite from using the index.
NOTHING = sa.literal_column("''", Text)
#: The type of entries of refused acts, as a text inside of an index.
REFUSED = sa.literal_column("'access.denied'", Text)


def text(name: str) -> Column[str]:
    """A text, empty by default."""
    return Column(name, Text, nullable=False, server_default="")


def flag(name: str) -> Column[bool]:
    """Yes or no, no by default."""
    return Column(name, Boolean, nullable=False, server_default=sa.false())


def count(name: str) -> Column[int]:
    """A number, 0 by default."""
    return Column(name, BigInteger, nullable=False, server_default="0")
