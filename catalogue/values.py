"""Checks what a caller wants to change against the fields of a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from evidence.errors import InvalidInputError


def changes(row_type: type, columns: Mapping[str, Any], *, forbidden: Collection[str]) -> dict[str, Any]:
    """The columns as they stand, provided that each is a field of the row that may change.

    Raises:
        InvalidInputError: Unknown, unchangeable or no columns at all.
    """
    known = {field.name for field in dataclasses.fields(row_type)} - set(forbidden)
    wrong = sorted(set(columns) - known)
    if wrong or not columns:
        raise InvalidInputError(f"{row_type.__name__} cannot change {wrong or 'nothing'}")
    return dict(columns)


def fields_of(row: Any) -> dict[str, Any]:
    """A row's fields by name, not copied and not taken apart (``dataclasses.asdict`` would do both)."""
    return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
