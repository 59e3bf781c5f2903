"""Which viewing copy a recording needs, cheapest first. Pure.

The server decides from facts, never by trial: a browser that cannot decode H.265 plays its sound over a black picture and
reports no error at all.

=== ===========================================================================  ==========
 #   What the file is                                                             Plan
=== ===========================================================================  ==========
 0   MP4 or MOV, H.264 up to 4:2:0 8 bit, sound AAC, MP3, PCM or u-law, or none   ORIGINAL
 1   H.264 up to 4:2:0 8 bit in any other container, or with other sound          REMUX
 2   any other moving picture (H.265, MPEG-2, 4:2:2, 10 bit ...)                  TRANSCODE
 3   sound alone that browsers play (MP3, WAV/PCM, AAC in MP4, Ogg, FLAC)         ORIGINAL
 4   AAC outside MP4                                                              REMUX
 5   any other sound (AMR, ADPCM, WMA ...)                                        TRANSCODE
 6   pictures browsers show                                                       ORIGINAL
 7   text, positions, anything not understood                                     NONE
=== ===========================================================================  ==========

Source: docs/formats/media.md "Viewing ladder" (tested in Chromium 88, 109 and 156).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from media.facts import AudioFacts, MediaFacts, VideoFacts


class ViewingPlan(StrEnum):
    """How a recording is made watchable."""

    ORIGINAL = "original"
    REMUX = "remux"
    TRANSCODE = "transcode"
    NONE = "none"


_PICTURES: Final = {
    "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "bmp": "image/bmp",
}  # fmt: skip
_PIX_FMTS: Final = frozenset({"yuv420p", "yuvj420p", "nv12", "gray"})
_PROFILES: Final = frozenset({
    "Baseline", "Constrained Baseline", "Main", "Extended", "High", "Constrained High", "Progressive High", "",
})  # fmt: skip
_MP4_SOUND: Final = frozenset({"aac", "mp3", "pcm_s16le", "pcm_s16be", "pcm_u8", "pcm_mulaw"})
_SOUND_ALONE: Final = {
    "mp3": ({"mp3"}, "audio/mpeg"),
    "wav": ({"pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_mulaw", "pcm_alaw", "pcm_f32le"}, "audio/wav"),
    "mp4": ({"aac", "mp3"}, "audio/mp4"),
    "ogg": ({"vorbis", "opus", "flac"}, "audio/ogg"),
    "flac": ({"flac"}, "audio/flac"),
}


def browser_h264(video: VideoFacts) -> bool:
    """H.264 that every supported browser decodes: 8 bit, at most 4:2:0."""
    return video.codec == "h264" and video.pix_fmt in _PIX_FMTS and video.profile in _PROFILES


def _of_video(facts: MediaFacts, video: VideoFacts) -> ViewingPlan:
    if not browser_h264(video):
        return ViewingPlan.TRANSCODE
    sound_plays = facts.audio is None or facts.audio.codec in _MP4_SOUND
    in_mp4 = facts.content == "mp4" and video.codec_tag in {"avc1", "avc3", ""}
    return ViewingPlan.ORIGINAL if in_mp4 and sound_plays else ViewingPlan.REMUX


def _of_sound(facts: MediaFacts, audio: AudioFacts) -> ViewingPlan:
    codecs, _ = _SOUND_ALONE.get(facts.content, (set(), ""))
    if audio.codec in codecs:
        return ViewingPlan.ORIGINAL
    return ViewingPlan.REMUX if audio.codec == "aac" else ViewingPlan.TRANSCODE


def plan(facts: MediaFacts) -> ViewingPlan:
    """The cheapest step of the ladder that makes these facts watchable."""
    if facts.content in _PICTURES:
        return ViewingPlan.ORIGINAL if facts.video is not None else ViewingPlan.NONE
    if facts.video is not None:
        return _of_video(facts, facts.video)
    return _of_sound(facts, facts.audio) if facts.audio is not None else ViewingPlan.NONE


def viewing_media_type(facts: MediaFacts) -> str:
    """Media type under which the viewing copy (or the original, where it serves) is sent; empty for NONE."""
    chosen = plan(facts)
    if chosen is ViewingPlan.NONE:
        return ""
    if facts.content in _PICTURES:
        return _PICTURES[facts.content]
    if facts.video is not None:
        return "video/mp4"
    return _SOUND_ALONE[facts.content][1] if chosen is ViewingPlan.ORIGINAL else "audio/mp4"
