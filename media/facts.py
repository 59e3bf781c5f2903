"""What is known of a media file, as validated values: whole numbers and short printable texts, nothing a file could smuggle in.

All of it goes into custody entries and the catalogue as JSON without floats. Where the recording was made is personal: it is
kept in fields of its own and never part of :meth:`MediaFacts.to_json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """The first moving-picture stream (or the picture itself of a photo). Rates are in thousandths of a frame per second.

    ``rotation`` is the clockwise turn in degrees a player applies; ``frames`` is what the header declares, 0 if nothing.
    """

    codec: str
    codec_tag: str = ""
    profile: str = ""
    pix_fmt: str = ""
    width: int = 0
    height: int = 0
    rotation: int = 0
    frame_rate_milli: int = 0
    nominal_rate_milli: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """The first sound stream."""

    codec: str
    codec_tag: str = ""
    channels: int = 0
    sample_rate_hz: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFacts:
    """A text or position side file. ``positions`` counts valid NMEA sentences or GPX points; the places are not kept."""

    encoding: str
    lines: int
    track_format: str = ""
    positions: int = 0
    bad_checksums: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFacts:
    """What the packets themselves say, counted one by one, of the first video stream (else the first sound stream).

    ``sound_last_ms`` is where the sound ends; counted only where the pictures end before the stated end.
    """

    packets: int = 0
    key_frames: int = 0
    first_ms: int = 0
    last_ms: int = 0
    longest_gap_ms: int = 0
    variable: bool = False
    sound_last_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """Everything measured of one file.

    Attributes:
        content: What the bytes are (media.sniff).
        container: ffprobe's name of the format, empty when it opened none.
        size_bytes: File size.
        duration_ms: Duration the container claims, None when it claims none.
        bit_rate: Bits per second over all streams.
        streams: Number of streams.
        index: MP4 only: where the index is: ``start``, ``end``, ``fragmented`` or ``missing``.
        creation_time: The container's own time stamp, as written by the recorder's clock (a hint, never a fact about time).
        timecode: Start timecode as written.
        hints: Small whole numbers from the key frames (media.hints): prompts for a person, never a judgement.
        location: ISO 6709 text, personal.
    """

    content: str
    container: str = ""
    size_bytes: int = 0
    duration_ms: int | None = None
    bit_rate: int = 0
    streams: int = 0
    index: str = ""
    creation_time: str = ""
    timecode: str = ""
    video: VideoFacts | None = None
    audio: AudioFacts | None = None
    text: TextFacts | None = None
    packets: PacketFacts | None = None
    hints: Mapping[str, int] = field(default_factory=dict)
    location: str = field(default="", repr=False)

    def to_json(self) -> dict[str, Any]:
        """JSON form for entries and the catalogue: no floats, no personal value, empty members left out."""
        plain = dataclasses.asdict(self)
        if plain.pop("location"):
            plain["has_location"] = True
        return {name: _compact(value) for name, value in plain.items() if value not in (None, "", {})}


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if inner not in (None, "")}
    return value
