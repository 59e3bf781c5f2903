"""Names from hostile media, made printable without losing a bit.

A recorder's file name may hold invalid UTF-8, control characters, direction overrides or path separators. Evidence keeps
the exact name; a screen must not be fooled by it. :func:`printable` is injective: two different byte names never look alike
in the catalogue, and :func:`original_bytes` gives the bytes back.
"""

from __future__ import annotations

import re
import unicodedata

from evidence.errors import InvalidInputError

_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")


def _is_safe(character: str) -> bool:
    return character == " " or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def printable(untrusted: bytes) -> str:
    r"""Text form of a byte name: safe characters as they are, ``\`` doubled, every other byte as ``\xNN``.

    Format characters (direction overrides, zero-width joiners) and unusual spaces are escaped: they change how a name
    looks, not what it is.
    """
    out: list[str] = []
    for character in untrusted.decode("utf-8", "surrogateescape"):
        if character == "\\":
            out.append("\\\\")
        elif "\udc80" <= character <= "\udcff":
            out.append(f"\\x{ord(character) - 0xDC00:02x}")
        elif _is_safe(character):
            out.append(character)
        else:
            out.extend(f"\\x{byte:02x}" for byte in character.encode("utf-8"))
    return "".join(out)


def original_bytes(text: str) -> bytes:
    """Undo :func:`printable`.

    Raises:
        InvalidInputError: The text is not something :func:`printable` writes.
    """
    out = bytearray()
    position = 0
    while position < len(text):
        if text[position] == "\\":
            match = _ESCAPE.match(text, position)
            if match is None:
                raise InvalidInputError(f"not a printable name: {text[:80]!r}")
            out += bytes([int(match[1], 16)]) if match[1] else b"\\"
            position = match.end()
        else:
            out += text[position].encode("utf-8")
            position += 1
    if printable(bytes(out)) != text:
        raise InvalidInputError(f"not a printable name: {text[:80]!r}")
    return bytes(out)
