"""Names that every reader of discs shows alike, made from names of hostile media.

Joliet holds UCS-2 and forbids some signs, Windows forbids more and knows reserved words, Rock Ridge and ext4 end at 255 bytes;
xorriso itself leaves half of that alone. A name on a disc is therefore a running number, the same on every disc of the set,
and as much of the original name as all of them can carry. The exact original name stands in the manifest.

Source: docs/formats/disc.md "Names"; Joliet specification; measured with xorriso 1.5.4, 7z and libcdio.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_FORBIDDEN: Final = frozenset("*/:;?\\\"<>|=%#&^`'")
_RESERVED: Final = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"COM{n}" for n in range(10)), *(f"LPT{n}" for n in range(10))]
)
#: Joliet ends at 64 UCS-2 characters for strict readers; the number and its line take at most nine.
_CHARACTERS_MAX: Final = 54
_BYTES_MAX: Final = 180
_SUFFIX_MAX: Final = 12


def _carried(character: str) -> bool:
    if character in _FORBIDDEN or ord(character) > 0xFFFF:
        return False
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _cut(text: str, characters: int, bytes_max: int) -> str:
    text = text[:characters]
    while len(text.encode("utf-8")) > bytes_max:
        text = text[:-1]
    return text


def safe_name(untrusted: str) -> str:
    """A name that discs can carry: other signs become ``_``, long names are cut before their suffix, an empty one is ``_``."""
    text = unicodedata.normalize("NFC", untrusted)
    text = "".join(character if _carried(character) else "_" for character in text).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if not dot or not stem or not suffix.isascii() or not suffix.isalnum() or len(suffix) > _SUFFIX_MAX:
        stem, suffix = text, ""
    stem = stem.rstrip(" .") or "_"
    if stem.split(".")[0].strip().upper() in _RESERVED:
        stem = f"_{stem}"
    room = len(suffix) + 1 if suffix else 0
    stem = _cut(stem, _CHARACTERS_MAX - room, _BYTES_MAX - room).rstrip(" .") or "_"
    return f"{stem}.{suffix}" if suffix else stem


def disc_name(number: int, untrusted: str, *, digits: int = 4) -> str:
    """The name on the disc: running number and safe name. Two numbers never give the same name, in any letter case."""
    return f"{number:0{max(4, digits)}d}_{safe_name(untrusted)}"
