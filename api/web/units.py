"""Quantities for people."""

from __future__ import annotations

import codecs
from datetime import datetime, timedelta

from babel.dates import format_datetime

from evidence.clock import BUREAU_ZONE


def size_text(size_bytes: int | None) -> str:
    """Bytes for people: three significant places in powers of 1000."""
    if size_bytes is None:
        return "—"
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} TB"


def local_time(moment: datetime | None, *, seconds: bool = True) -> str:
    """Bureau time with its zone; a dash where there is none."""
    if moment is None:
        return "—"
    pattern = "yyyy-MM-dd HH:mm:ss" if seconds else "yyyy-MM-dd HH:mm"
    return format_datetime(moment, pattern, tzinfo=BUREAU_ZONE, locale="en") + " +08:00"


def duration_text(milliseconds: int | None) -> str:
    """``h:mm:ss``; a dash where it is not known."""
    if milliseconds is None or milliseconds < 0:
        return "—"
    return str(timedelta(seconds=round(milliseconds / 1000)))


def as_text(data: bytes) -> str:
    """Bytes of a text file of any recorder as text: UTF-8, else GB 18030; nothing in it acts on the page that shows it."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data)  # the last character may be cut off
            break
        except UnicodeDecodeError:
            continue
    else:
        text = data.decode("utf-8", "replace")
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text.replace("\r\n", "\n"))


def signed_seconds(milliseconds: int) -> str:
    """A clock offset: ``+3.2 s``."""
    return f"{milliseconds / 1000:+.1f} s"
