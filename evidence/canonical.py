"""Canonical JSON (RFC 8785) over the part of JSON that evidence needs: objects, arrays, strings, integers, booleans, null.

Floats are refused on both sides: their text form is where implementations differ. Parsing is strict: duplicate names,
floats, lone surrogates, integers beyond 2^53-1 or any byte that :func:`dumps` would not have written is an error, so a
document has exactly one byte form and its digest is well defined.

Source: RFC 8785; RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evidence.errors import EntryInvalidError

INTEGER_MAX = 2**53 - 1
_encode_string = json.encoder.encode_basestring  # RFC 8785 keeps non-ASCII characters as they are
_DEPTH_MAX = 32


def _utf16_key(name: str) -> bytes:
    return name.encode("utf-16-be")


def _write(value: object, out: list[str], depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise EntryInvalidError("JSON nested too deeply")
    if value is None:
        out.append("null")
    elif value is True:
        out.append("true")
    elif value is False:
        out.append("false")
    elif isinstance(value, str):
        out.append(_encode_string(str(value)))
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise EntryInvalidError(f"integer {value} is beyond 2^53-1")
        out.append(int.__repr__(value))
    elif isinstance(value, Mapping):
        _write_object(value, out, depth)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        out.append("[")
        for position, item in enumerate(value):
            if position:
                out.append(",")
            _write(item, out, depth + 1)
        out.append("]")
    else:
        raise EntryInvalidError(f"{type(value).__name__} has no canonical JSON form here")


def _write_object(value: Mapping[Any, object], out: list[str], depth: int) -> None:
    if not all(isinstance(name, str) for name in value):
        raise EntryInvalidError("member names must be strings")
    try:
        names = sorted(value, key=_utf16_key)
    except UnicodeEncodeError as error:
        raise EntryInvalidError("lone surrogate in a member name") from error
    out.append("{")
    for position, name in enumerate(names):
        if position:
            out.append(",")
        out.append(_encode_string(name) + ":")
        _write(value[name], out, depth + 1)
    out.append("}")


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) > INTEGER_MAX:
        raise EntryInvalidError(f"integer {text[:32]} is beyond 2^53-1")
    return value


def _refuse_float(text: str) -> float:
    raise EntryInvalidError(f"number {text[:32]!r} is not an integer")


_fast_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode
_fast_decode = json.JSONDecoder(parse_int=_integer, parse_float=_refuse_float, parse_constant=_refuse_float).decode


def _dumps_ascii(value: object) -> bytes | None:
    """The canonical bytes by way of the C encoder, when that is certain to give them; None when it is not.

    It is certain for plain dicts, lists, strings and integers (reading the text back gives the same value, so no key was
    turned into text), all in ASCII (code point order is then UTF-16 order) and with few enough brackets to be shallow.
    """
    try:
        text = _fast_encode(value)
        if not text.isascii() or text.count("{") + text.count("[") > _DEPTH_MAX or _fast_decode(text) != value:
            return None
    except (TypeError, ValueError, RecursionError):
        return None
    return text.encode("ascii")


def dumps(value: object) -> bytes:
    """Return the canonical UTF-8 bytes of ``value``.

    Raises:
        EntryInvalidError: The value holds a float, bytes, a lone surrogate, a too large integer or nests too deeply.
    """
    fast = _dumps_ascii(value)
    if fast is not None:
        return fast
    out: list[str] = []
    _write(value, out, 0)
    try:
        return "".join(out).encode("utf-8")
    except UnicodeEncodeError as error:
        raise EntryInvalidError("lone surrogate in a string") from error


def loads(untrusted: bytes) -> Any:
    """Parse bytes that must be exactly what :func:`dumps` writes.

    Raises:
        EntryInvalidError: Not JSON, not canonical, or outside the permitted part of JSON.
    """
    try:
        value = _fast_decode(untrusted.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise EntryInvalidError("not JSON") from error
    if dumps(value) != untrusted:  # duplicate names, white space, escapes, order: all show here
        raise EntryInvalidError("JSON is not in canonical form")
    return value
