"""Values as they stand on paper and in attached data. Times are aware and are printed in the bureau's zone (Asia/Shanghai)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from documents.glyphs import showable
from documents.words import Language, words
from evidence.clock import BUREAU_ZONE, to_text
from evidence.errors import InvalidInputError

_LONE: Final = re.compile("[\ud800-\udfff]")
#: What a field or a cell may hold.
Value = str | int | float | Decimal | bool | datetime | date | Enum | None


def local_time(moment: datetime) -> datetime:
    """A moment on the bureau's wall clock.

    Raises:
        InvalidInputError: The moment does not say its zone.
    """
    if moment.tzinfo is None:
        raise InvalidInputError("a time without its zone cannot be printed", todo="Pass an aware time.")
    return moment.astimezone(BUREAU_ZONE)


def text_of(value: Value, lang: Language) -> str:  # noqa: PLR0911 - one form a type
    """The printed form: times as ``2026-11-27 09:55:03`` in Beijing time, days as ``2026-11-27``, nothing as an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return words(lang)["yes" if value else "no"]
    if isinstance(value, datetime):
        return f"{local_time(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return showable(str(value.value))
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return showable(str(value))


def _plain(value: object) -> object:
    """The attached form of what JSON has no word for."""
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray | str):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    raise TypeError(type(value).__name__)


def attached_json(data: Mapping[str, Any]) -> bytes:
    """The data as JSON that is the same for the same data: sorted names, UTF-8, times in UTC.

    Raises:
        InvalidInputError: Something in it has no JSON form (bytes, an object of ours, not-a-number).
    """
    try:
        text = json.dumps(data, default=_plain, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1)
        return _LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"the data to attach has no JSON form: {error}") from error
