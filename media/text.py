"""Text and position side files: how they are written and how many positions they hold, never the positions themselves.

Source: NMEA 0183 (sentence and checksum); GPX 1.1; GB 18030.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from evidence.errors import MediaError
from media.facts import TextFacts

#: Side files are small; of a larger one only this much is looked at.
TEXT_BYTES_MAX: Final = 16 << 20
_NMEA: Final = re.compile(r"\$([A-Z]{2}[A-Z0-9]{3},[ -)+-~]{0,100})\*([0-9A-Fa-f]{2})")
_GPX_POINT: Final = re.compile(r"<(?:\w+:)?(?:trkpt|wpt|rtept)\b")
_ENCODINGS: Final = ("utf-8", "gb18030")


def _decoded(data: bytes) -> tuple[str, str]:
    """Encoding and text; an empty encoding when it is not text in any encoding recorders use."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
        try:
            return encoding, data[: len(data) // 2 * 2].decode(encoding)
        except UnicodeDecodeError:
            return "", ""
    if b"\0" in data:
        return "", ""
    if data.isascii():
        return "ascii", data.decode("ascii")
    for encoding in _ENCODINGS:
        for cut in range(4 if len(data) == TEXT_BYTES_MAX else 1):
            try:
                return encoding, data[: len(data) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
    return "", ""


def _checksum(body: str) -> int:
    value = 0
    for character in body:
        value ^= ord(character)
    return value


def _nmea(text: str) -> tuple[int, int]:
    """Sentences whose checksum holds, and those whose does not."""
    good = bad = 0
    for match in _NMEA.finditer(text):
        if _checksum(match[1]) == int(match[2], 16):
            good += 1
        else:
            bad += 1
    return good, bad


def read_text(source: Path) -> TextFacts | None:
    """Facts of a text file, None when its bytes are not text.

    Raises:
        MediaError: The file cannot be read.
    """
    try:
        with source.open("rb") as stream:
            data = stream.read(TEXT_BYTES_MAX)
    except OSError as error:
        raise MediaError(f"cannot read {source.name}: {os.strerror(error.errno or 0)}") from error
    encoding, text = _decoded(data)
    if not encoding:
        return None
    lines = text.count("\n") + (not text.endswith("\n"))
    good, bad = _nmea(text)
    if good or bad:
        return TextFacts(encoding=encoding, lines=lines, track_format="nmea", positions=good, bad_checksums=bad)
    if "<gpx" in text[:4096]:
        points = sum(1 for _ in _GPX_POINT.finditer(text))
        return TextFacts(encoding=encoding, lines=lines, track_format="gpx", positions=points)
    return TextFacts(encoding=encoding, lines=lines)
