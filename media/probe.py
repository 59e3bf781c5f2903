"""Ask ffprobe what a file contains and believe nothing it prints until it is checked.

ffprobe's answer is derived from hostile bytes: every number is bounded, every text cut to printable characters, streams
beyond a small number are not looked at. Exit codes are not evidence; an answer without a stream is 'nothing found'.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from media.facts import AudioFacts, MediaFacts, VideoFacts
from media.tools import FFPROBE, ToolRun, guard_arguments, require_readable, run, source_argument

PROBE_TIMEOUT_S: Final = 60.0
#: A recorder writes two to four streams; a file with more than this many is an attack and the rest is ignored.
STREAMS_MAX: Final = 64
#: Longest duration believed: 31 days.
DURATION_MS_MAX: Final = 31 * 86_400_000
_INTEGER_MAX: Final = 2**53 - 1
_TEXT_CHARS_MAX: Final = 64
_RATE = re.compile(r"\d{1,18}(/\d{1,18})?")
_LOCATION = re.compile(r"[+-]\d{1,3}(\.\d{1,8})?[+-]\d{1,4}(\.\d{1,8})?([+-]\d{1,6}(\.\d{1,4})?)?/?")


def text_of(untrusted: Any, *, chars_max: int = _TEXT_CHARS_MAX) -> str:
    """Printable text of bounded length, or an empty one."""
    if not isinstance(untrusted, str):
        return ""
    return "".join(c for c in untrusted if c.isprintable())[:chars_max]


def whole(untrusted: Any, *, maximum: int = _INTEGER_MAX) -> int:
    """A whole number between 0 and ``maximum``, or 0."""
    if isinstance(untrusted, bool) or not isinstance(untrusted, int | str):
        return 0
    try:
        value = int(str(untrusted)[:32])
    except ValueError:
        return 0
    return value if 0 <= value <= maximum else 0


def milliseconds(untrusted: Any) -> int | None:
    """Milliseconds of a text of seconds, None when absent or not believable."""
    try:
        value = Decimal(str(untrusted)[:32]) * 1000
        return int(value) if value.is_finite() and 0 <= value <= DURATION_MS_MAX else None
    except (InvalidOperation, ValueError):
        return None


def milli_rate(untrusted: Any) -> int:
    """Thousandths of a frame per second of ``30000/1001``; 0 when absent or above 1000 frames per second."""
    text = str(untrusted)[:40]
    try:
        rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    except ZeroDivisionError:
        return 0
    return round(rate * 1000) if 0 < rate <= 1000 else 0


def _rotation(stream: dict[str, Any]) -> int:
    for side in _dicts(stream.get("side_data_list")):
        if isinstance(side.get("rotation"), int):
            return int(-side["rotation"]) % 360
    return whole(_tags(stream).get("rotate"), maximum=359)


def _dicts(untrusted: Any) -> list[dict[str, Any]]:
    found = untrusted if isinstance(untrusted, list) else []
    return [item for item in found[:STREAMS_MAX] if isinstance(item, dict)]


def _tags(part: dict[str, Any]) -> dict[str, Any]:
    tags = part.get("tags")
    return {str(name).lower(): value for name, value in tags.items()} if isinstance(tags, dict) else {}


def _video(stream: dict[str, Any]) -> VideoFacts:
    return VideoFacts(
        codec=text_of(stream.get("codec_name")) or "unknown",
        codec_tag=_codec_tag(stream),
        profile=text_of(stream.get("profile")),
        pix_fmt=text_of(stream.get("pix_fmt")),
        width=whole(stream.get("width"), maximum=65_535),
        height=whole(stream.get("height"), maximum=65_535),
        rotation=_rotation(stream),
        frame_rate_milli=milli_rate(stream.get("avg_frame_rate")),
        nominal_rate_milli=milli_rate(stream.get("r_frame_rate")),
        frames=whole(stream.get("nb_frames")),
    )


def _audio(stream: dict[str, Any]) -> AudioFacts:
    return AudioFacts(
        codec=text_of(stream.get("codec_name")) or "unknown",
        codec_tag=_codec_tag(stream),
        channels=whole(stream.get("channels"), maximum=256),
        sample_rate_hz=whole(stream.get("sample_rate"), maximum=10_000_000),
    )


def _codec_tag(stream: dict[str, Any]) -> str:
    """The container's own name of the codec; containers without one show as zeros."""
    tag = text_of(stream.get("codec_tag_string"), chars_max=16)
    return "" if tag.startswith("[0]") else tag


def _is_cover(stream: dict[str, Any]) -> bool:
    disposition = stream.get("disposition")
    return isinstance(disposition, dict) and disposition.get("attached_pic") == 1


def _location(tags: dict[str, Any]) -> str:
    for name in ("location", "location-eng", "com.apple.quicktime.location.iso6709"):
        value = text_of(tags.get(name), chars_max=48)
        if _LOCATION.fullmatch(value):
            return value
    return ""


def facts_from(untrusted: bytes, *, content: str, size_bytes: int) -> MediaFacts:
    """Validate ffprobe's JSON; whatever cannot be believed is left out. Never raises on any bytes."""
    try:
        answer = json.loads(untrusted)
    except (ValueError, RecursionError):
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    head = answer.get("format")
    head = head if isinstance(head, dict) else {}
    streams = _dicts(answer.get("streams"))
    moving = [s for s in streams if s.get("codec_type") == "video" and not _is_cover(s)]
    sounding = [s for s in streams if s.get("codec_type") == "audio"]
    tags = _tags(head)
    timecodes = [_tags(stream).get("timecode") for stream in streams]
    return MediaFacts(
        content=content,
        container=text_of(head.get("format_name")),
        size_bytes=size_bytes,
        duration_ms=milliseconds(head.get("duration")),
        bit_rate=whole(head.get("bit_rate")),
        streams=len(streams),
        creation_time=text_of(tags.get("creation_time"), chars_max=40),
        timecode=text_of(next((t for t in timecodes if t), tags.get("timecode")), chars_max=16),
        video=_video(moving[0]) if moving else None,
        audio=_audio(sounding[0]) if sounding else None,
        location=_location(tags),
    )


def probe(source: Path, *, content: str) -> tuple[MediaFacts, ToolRun]:
    """Facts of a file and how the probe went.

    Args:
        source: Any file.
        content: What its bytes are (media.sniff); decides which demuxers may look at it.

    Raises:
        MediaError: ffprobe is missing or the file cannot be read at all.
    """
    size_bytes = require_readable(source)
    command = [
        FFPROBE, "-v", "error", *guard_arguments(content=content),
        "-show_format", "-show_streams", "-of", "json", source_argument(source),
    ]  # fmt: skip
    outcome = run(command, timeout_s=PROBE_TIMEOUT_S)
    return facts_from(outcome.untrusted_stdout, content=content, size_bytes=size_bytes), outcome
