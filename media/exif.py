"""What a photo's camera wrote beside the picture: when, and where. The place is personal and kept apart from all facts.

ffprobe reads the tags in the sandbox; its answer is checked like everything it prints.

Source: CIPA DC-008 (Exif 2.32) sections 4.6.5 and 4.6.6; ISO 6709 annex H.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from media.probe import PROBE_TIMEOUT_S, text_of
from media.tools import FFPROBE, guard_arguments, run, source_argument

_TAGS: Final = "GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef,DateTimeOriginal"
_TAKEN: Final = re.compile(r"\d{4}:\d{2}:\d{2} \d{2}:\d{2}:\d{2}")


def _degrees(untrusted: Any, *, limit: int) -> Fraction | None:
    """Degrees of ``15:1, 50:1, 79944:10000`` (degrees, minutes, seconds as fractions)."""
    parts = text_of(untrusted, chars_max=120).split(",")
    if len(parts) != 3:
        return None
    try:
        values = [Fraction(int(a), int(b)) for a, b in (part.strip().split(":") for part in parts)]
    except (ValueError, ZeroDivisionError):
        return None
    degrees = values[0] + values[1] / 60 + values[2] / 3600
    return degrees if 0 <= degrees <= limit and min(values) >= 0 else None


def _signed(degrees: Fraction, reference: Any, *, negative: str, width: int) -> str:
    sign = "-" if text_of(reference)[:1].upper() == negative else "+"
    tenthousandths = round(degrees * 10_000)
    return f"{sign}{tenthousandths // 10_000:0{width}d}.{tenthousandths % 10_000:04d}"


def location_of(tags: dict[str, Any]) -> str:
    """ISO 6709 text of Exif position tags, empty when there is none that can be believed."""
    latitude = _degrees(tags.get("GPSLatitude"), limit=90)
    longitude = _degrees(tags.get("GPSLongitude"), limit=180)
    if latitude is None or longitude is None:
        return ""
    north = _signed(latitude, tags.get("GPSLatitudeRef"), negative="S", width=2)
    east = _signed(longitude, tags.get("GPSLongitudeRef"), negative="W", width=3)
    return f"{north}{east}/"


def read_exif(source: Path, *, content: str) -> tuple[str, str]:
    """When (``2020:08:27 23:16:12``, the camera's own clock) and where (ISO 6709) a photo was taken; empty when not told.

    Raises:
        MediaError: ffprobe is missing.
    """
    command = [
        FFPROBE, "-v", "error", *guard_arguments(content=content), "-show_entries", f"frame_tags={_TAGS}",
        "-read_intervals", "%+#1", "-of", "json", source_argument(source),
    ]  # fmt: skip
    try:
        answer = json.loads(run(command, timeout_s=PROBE_TIMEOUT_S).untrusted_stdout)
        tags = answer["frames"][0]["tags"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return "", ""
    if not isinstance(tags, dict):
        return "", ""
    taken = text_of(tags.get("DateTimeOriginal"), chars_max=19)
    return (taken if _TAKEN.fullmatch(taken) else ""), location_of(tags)
