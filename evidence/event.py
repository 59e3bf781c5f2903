"""The form of an event: which of its fields are public and which personal, and what a field's value may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

Json = Any


def personal(default: object = None) -> Any:
    """Declare a field whose value never enters a leaf in clear."""
    return field(default=default, metadata={"personal": True})


def later(default: Json) -> Any:
    """Declare a public field that its type gained after entries of it existed.

    It stands in a leaf only when it says something, so entries of before read as they did, and each entry has one spelling.
    """
    return field(default=default, metadata={"later": True})


def _is_text_object(value: Json) -> bool:
    return type(value) is dict and all(isinstance(text, str) for text in value.values())


#: What a field's JSON value must be, by the declared type.
_KINDS: dict[str, Callable[[Json], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "dict[str, Json]": lambda value: type(value) is dict,
    "dict[str, Json] | None": lambda value: value is None or type(value) is dict,
    "list[dict[str, str]]": lambda value: type(value) is list and all(map(_is_text_object, value)),
    "str | None": lambda value: value is None or isinstance(value, str),
    "list[str] | None": lambda value: (
        value is None or (type(value) is list and all(isinstance(item, str) for item in value))
    ),
}


class _FieldNames(NamedTuple):
    public: tuple[str, ...]
    personal: tuple[str, ...]
    kinds: dict[str, Callable[[Json], bool]]
    later: dict[str, Json]


_FIELD_NAMES: dict[type[Event], _FieldNames] = {}


def field_names(event_type: type[Event]) -> _FieldNames:
    """Looked up once per type: a busy log makes thousands of entries a second."""
    known = _FIELD_NAMES.get(event_type)
    if known is None:
        fields = dataclasses.fields(event_type)
        known = _FIELD_NAMES[event_type] = _FieldNames(
            tuple(f.name for f in fields if not f.metadata.get("personal")),
            tuple(f.name for f in fields if f.metadata.get("personal")),
            {f.name: _KINDS[str(f.type)] for f in fields},
            {f.name: f.default for f in fields if f.metadata.get("later")},
        )
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes:
        actor: Identity of the agent that acted, empty for the service itself.
        recording: Identity of the recording concerned, empty when none is.
        sha256: Digest of the recording concerned, once known: it becomes the entry's subject.
    """

    TYPE: ClassVar[str] = ""
    actor: str = ""
    recording: str = ""
    sha256: str = ""

    def public(self) -> dict[str, Json]:
        """Fields that stand in the leaf in clear."""
        names = field_names(type(self))
        values = {name: getattr(self, name) for name in names.public}
        return {name: value for name, value in values.items() if name not in names.later or value != names.later[name]}

    def personal_values(self) -> dict[str, Json]:
        """Fields that become disclosures (absent values are left out)."""
        values = {name: getattr(self, name) for name in field_names(type(self)).personal}
        return {name: value for name, value in values.items() if value is not None}
