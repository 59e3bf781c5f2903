"""Which characters the fonts of the documents can show, and where these fonts are.

A character without a glyph would be an empty box on paper, and PDF/A refuses it. Such a character (and every control or
direction character, which changes how a name looks but not what it is) is printed as its code, ``[U+202E]``: a reader sees
that something stands there, and which. The attached data keeps the exact text.

Source: the OpenType tables ``cmap`` (format 12) and TrueType collections; Debian's package fonts-noto-cjk.
"""

from __future__ import annotations

import functools
import re
import struct
import unicodedata
from pathlib import Path
from typing import Final

from evidence.errors import ConfigError

#: Where Debian's fonts-noto-cjk puts its collections.
FONT_FOLDER: Final = Path("/usr/share/fonts/opentype/noto")
_COLLECTIONS: Final = (
    "NotoSerifCJK-Regular.ttc",
    "NotoSerifCJK-Bold.ttc",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJK-Bold.ttc",
)
_SHOWN_AS_CODE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN: Final = re.compile(r"[\n -~\u00b7\u2014\u2018-\u201d\u2026\u3000-\u3011\u4e00-\u9fa5\uff01-\uff5e]*")


def font_folder(folder: Path = FONT_FOLDER) -> Path:
    """The folder with the four collections.

    Raises:
        ConfigError: One of them is missing: nothing can be printed.
    """
    missing = [name for name in _COLLECTIONS if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"the fonts for printed documents are missing: {', '.join(missing)}",
            kept="Nothing was printed; the data it would show is unchanged.",
            todo="Install the Debian package fonts-noto-cjk (apt-get install fonts-noto-cjk).",
        )
    return folder


def _ranges(data: bytes) -> list[tuple[int, int]]:
    """The character ranges of a collection's first face (all faces of one Noto CJK collection cover the same)."""
    face = struct.unpack_from(">I", data, 12)[0] if data[:4] == b"ttcf" else 0
    tables = struct.unpack_from(">H", data, face + 4)[0]
    for index in range(tables):
        tag, _, start, _ = struct.unpack_from(">4sIII", data, face + 12 + 16 * index)
        if tag == b"cmap":
            break
    else:
        return []
    for index in range(struct.unpack_from(">H", data, start + 2)[0]):
        offset = start + struct.unpack_from(">I", data, start + 8 + 8 * index)[0]
        if struct.unpack_from(">H", data, offset)[0] == 12:
            groups = struct.unpack_from(">I", data, offset + 12)[0]
            rows = struct.iter_unpack(">III", data[offset + 16 : offset + 16 + 12 * groups])
            return [(first, last) for first, last, glyph in rows if glyph or last > first]
    return []


@functools.cache
def coverage(folder: Path = FONT_FOLDER) -> frozenset[int]:
    """Every code point that all fonts of the documents show (about 44,000).

    Raises:
        ConfigError: The fonts are missing or are no fonts.
    """
    shown: set[int] | None = None
    for name in _COLLECTIONS:
        try:
            ranges = _ranges((font_folder(folder) / name).read_bytes())
        except (OSError, struct.error) as error:
            raise ConfigError(f"{name} cannot be read as a font", todo="Install fonts-noto-cjk again.") from error
        points = {point for first, last in ranges for point in range(first, last + 1)}
        shown = points if shown is None else shown & points
    return frozenset(shown or ())


def showable(untrusted: str, folder: Path = FONT_FOLDER) -> str:
    r"""The text with everything that cannot be shown as a glyph replaced by its code, line ends as ``\n``, spaces kept.

    A run of spaces, which typesetting would draw as one, becomes no-break spaces of the same number.
    """
    text = untrusted.replace("\r\n", "\n").replace("\t", "    ")
    if not _PLAIN.fullmatch(text):
        covered = coverage(folder)
        text = "".join(
            character
            if character == "\n"
            or (ord(character) in covered and unicodedata.category(character) not in _SHOWN_AS_CODE)
            else f"[U+{ord(character):04X}]"
            for character in text
        )
    return re.sub(r" {2,}", lambda run: "\u00a0" * len(run[0]), text)
