"""What was typed in, checked against an act's fields. Pure: whether a person or a recording exists is looked up elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from evidence import ids
from evidence.clock import BUREAU_ZONE, from_text, to_text
from evidence.errors import InvalidInputError
from matters.form import Field, FieldKind

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_ROWS_MAX: Final = 500
_TRUE: Final = frozenset({"true", "on", "yes", "1"})
_FALSE: Final = frozenset({"false", "off", "no", "0", ""})
#: Why a field was refused: stable codes, translated by the interfaces.
MISSING: Final = "missing"
TOO_LONG: Final = "too-long"
NOT_THAT_KIND: Final = "not-that-kind"
NOT_A_CHOICE: Final = "not-a-choice"
OUT_OF_RANGE: Final = "out-of-range"
NOT_FOUND: Final = "not-found"


class FormError(InvalidInputError):
    """What was typed in cannot be entered.

    Attributes:
        fields: Name of a field -> stable code of what is wrong with it.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        told = ", ".join(f"{name} ({why})" for name, why in fields.items())
        super().__init__(
            f"not filled in rightly: {told}", kept="Nothing was entered.", todo="Correct it and try again."
        )
        self.fields = dict(fields)


class _WrongError(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def checked(fields: Sequence[Field], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check what was given for an act's fields.

    Args:
        fields: The act's fields.
        given: By name: texts as forms send them, or JSON values. An empty text is nothing.

    Returns:
        Public facts and personal words, both canonical JSON values; fields that were not given are left out.

    Raises:
        FormError: Unknown or missing fields, or values that are not of their kind; every one is told.
    """
    wrong = {name[:64]: NOT_THAT_KIND for name in given if name not in {one.name for one in fields}}
    facts: dict[str, Any] = {}
    words: dict[str, Any] = {}
    for field in fields:
        try:
            value = _value(field, given.get(field.name))
        except _WrongError as error:
            wrong[field.name] = error.why
            continue
        if value is None:
            if field.required:
                wrong[field.name] = MISSING
            continue
        (words if field.personal else facts)[field.name] = value
    if wrong:
        raise FormError(wrong)
    return facts, words


def _value(field: Field, given: Any) -> Any:
    if given is None or given in ("", []):
        return False if field.kind is FieldKind.FLAG and given == "" else None
    return _READERS[field.kind](field, given)


def _text(field: Field, given: Any) -> str | None:
    if not isinstance(given, str):
        raise _WrongError(NOT_THAT_KIND)
    text = given.replace("\r\n", "\n").strip()
    breaks = "\n\t" if field.kind is FieldKind.WORDS else ""
    if any(not (char.isprintable() or char in breaks) for char in text):
        raise _WrongError(NOT_THAT_KIND)
    if len(text) > field.chars_max:
        raise _WrongError(TOO_LONG)
    return text or None


def _number(field: Field, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise _WrongError(NOT_THAT_KIND)
    text = str(given).strip()
    if not re.fullmatch(r"-?[0-9]{1,15}", text):
        raise _WrongError(NOT_THAT_KIND)
    number = int(text)
    if number < field.least or (field.most and number > field.most):
        raise _WrongError(OUT_OF_RANGE)
    return number


def _flag(_field: Field, given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in _TRUE | _FALSE:
        return given.lower() in _TRUE
    raise _WrongError(NOT_THAT_KIND)


def _choice(field: Field, given: Any) -> str:
    if not isinstance(given, str) or given not in {one.code for one in field.choices}:
        raise _WrongError(NOT_A_CHOICE)
    return given


def _choices(field: Field, given: Any) -> list[str]:
    wanted = [given] if isinstance(given, str) else given
    if not isinstance(wanted, list):
        raise _WrongError(NOT_THAT_KIND)
    chosen = {_choice(field, one) for one in wanted}
    return [one.code for one in field.choices if one.code in chosen]


def _date(_field: Field, given: Any) -> str:
    try:
        day = date.fromisoformat(given)
    except (ValueError, TypeError) as error:
        raise _WrongError(NOT_THAT_KIND) from error
    if day.isoformat() != given:
        raise _WrongError(NOT_THAT_KIND)
    return str(given)


def _moment(_field: Field, given: Any) -> str:
    if not isinstance(given, str):
        raise _WrongError(NOT_THAT_KIND)
    try:
        return to_text(from_text(given))
    except InvalidInputError:
        pass
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:  # what a form sends: the bureau's time
            moment = moment.replace(tzinfo=BUREAU_ZONE)
        return to_text(moment)
    except (ValueError, OverflowError) as error:
        raise _WrongError(NOT_THAT_KIND) from error


def _identity(id_type: type[ids.Id]) -> Callable[[Field, Any], str]:
    def read(_field: Field, given: Any) -> str:
        try:
            return str(id_type(given))
        except (InvalidInputError, AttributeError) as error:
            raise _WrongError(NOT_THAT_KIND) from error

    return read


def _digest(_field: Field, given: Any) -> str:
    if not isinstance(given, str) or not _HEX.fullmatch(given.strip().lower()):
        raise _WrongError(NOT_THAT_KIND)
    return given.strip().lower()


def _table(field: Field, given: Any) -> list[dict[str, str]]:
    if not isinstance(given, list) or len(given) > (field.most or _ROWS_MAX):
        raise _WrongError(OUT_OF_RANGE if isinstance(given, list) else NOT_THAT_KIND)
    for row in given:
        if type(row) is not dict or not all(isinstance(k, str) and isinstance(v, str) for k, v in row.items()):
            raise _WrongError(NOT_THAT_KIND)
    return [dict(row) for row in given]


def _never(_field: Field, _given: Any) -> str:
    """What is computed is not typed in."""
    raise _WrongError(NOT_THAT_KIND)


_READERS: Final[dict[FieldKind, Callable[[Field, Any], Any]]] = {
    FieldKind.LINE: _text,
    FieldKind.WORDS: _text,
    FieldKind.NUMBER: _number,
    FieldKind.FLAG: _flag,
    FieldKind.CHOICE: _choice,
    FieldKind.CHOICES: _choices,
    FieldKind.DATE: _date,
    FieldKind.MOMENT: _moment,
    FieldKind.AGENT: _identity(ids.AgentId),
    FieldKind.UNIT: _identity(ids.UnitId),
    FieldKind.DEVICE: _identity(ids.DeviceId),
    FieldKind.RECORDING: _identity(ids.RecordingId),
    FieldKind.MATTER: _identity(ids.MatterId),
    FieldKind.DIGEST: _digest,
    FieldKind.TABLE: _table,
    FieldKind.CLOCK: _never,
}
