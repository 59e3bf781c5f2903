"""The ffmpeg command lines of this room, compiled by ffmpeg-python, run by nobody here.

Outputs are named relative to the scratch directory the program runs in; the source is the only absolute path. A recipe shows
the same arguments with the source's path taken out, so that it says how, never where.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import ffmpeg

from media.tools import FFMPEG, guards, source_argument

#: Longest side of the small pictures from which sheet and hints are made, in pixels.
THUMB_SIDE: Final = 320
POSTER_SIDE: Final = 1280
VIEWING_HEIGHT: Final = 720
KEY_FRAME_EVERY_S: Final = 2
WAVEFORM_SIZE: Final = "1200x120"
_QUIET: Final = ["-nostdin", "-v", "error", "-y"]


def _input(source: Path, *, content: str, **options: Any) -> Any:
    return ffmpeg.input(source_argument(source), **guards(content=content), **options)


def _command(node: Any) -> list[str]:
    program, *arguments = node.compile(cmd=FFMPEG)
    return [str(program), *_QUIET, *(str(argument) for argument in arguments)]


def _within(picture: Any, side: int) -> Any:
    """Square pixels, longest side at most ``side``, never enlarged."""
    squared = picture.filter("scale", w="max(2,trunc(iw*sar/2)*2)", h="max(2,trunc(ih/2)*2)").filter("setsar", "1")
    return squared.filter(
        "scale", w=f"max(2,min({side},iw))", h=f"max(2,min({side},ih))",
        force_original_aspect_ratio="decrease", force_divisible_by="2",
    )  # fmt: skip


def key_frames(source: Path, *, content: str, step_ms: int, frames_max: int) -> list[str]:
    """Small JPEGs ``th_<milliseconds>.jpg`` of key frames at least ``step_ms`` apart; nothing else is decoded."""
    picture = _input(source, content=content, skip_frame="nokey")["v:0"]
    chosen = picture.filter("select", f"isnan(prev_selected_t)+gte(t-prev_selected_t,{step_ms / 1000:.3f})")
    small = _within(chosen, THUMB_SIDE).filter("settb", "1/1000")
    return _command(
        small.output(
            "th_%d.jpg", f="image2", frame_pts=1, enc_time_base="1:1000", vsync="passthrough",
            **{"frames:v": frames_max, "q:v": 3},
        )
    )  # fmt: skip


def poster(source: Path, *, content: str, at_ms: int, target: str) -> list[str]:
    """One JPEG of the picture at ``at_ms`` (the whole picture for photos)."""
    seek = {"ss": f"{at_ms / 1000:.3f}"} if at_ms > 0 else {}
    picture = _within(_input(source, content=content, **seek)["v:0"], POSTER_SIDE)
    return _command(picture.output(target, f="image2", update=1, **{"frames:v": 1, "q:v": 4, "c:v": "mjpeg"}))


def waveform(source: Path, *, content: str, target: str) -> list[str]:
    """A PNG drawing of the loudness over the whole recording."""
    sound = _input(source, content=content)["a:0"].filter("showwavespic", s=WAVEFORM_SIZE, colors="0x1f5f8b")
    return _command(sound.output(target, f="image2", update=1, **{"frames:v": 1, "c:v": "png"}))


def decode(source: Path, *, content: str) -> list[str]:
    """Decode everything, keep nothing: what the decoder complains about, and how many frames it gave, is the result."""
    streams = _input(source, content=content)
    node = ffmpeg.output(
        streams["v:0?"], streams["a:0?"], "-", f="null", vsync="passthrough", progress="pipe:1", stats_period="5"
    )
    return _command(node)


def _mp4_output(streams: list[Any], target: str, *, creation_time: str, **codecs: Any) -> list[str]:
    """MP4 with its index in front. Metadata is not inherited (it may say where); the recorder's time stamp is kept."""
    stamp = {"metadata": f"creation_time={creation_time}"} if creation_time else {}
    return _command(
        ffmpeg.output(
            *streams, target, f="mp4", movflags="+faststart", map_metadata="-1", map_chapters="-1",
            fflags="+bitexact", progress="pipe:1", stats_period="0.5", **stamp, **codecs,
        )
    )  # fmt: skip


def remux(
    source: Path, *, content: str, target: str, video: bool, audio: bool, copy_audio: bool, creation_time: str
) -> list[str]:
    """The same coded pictures in an MP4; sound is copied or, where MP4 cannot carry it for browsers, coded as AAC."""
    streams = _input(source, content=content, fflags="+genpts")
    codecs: dict[str, Any] = {"c:v": "copy"} if video else {}
    if audio:
        codecs |= {"c:a": "copy"} if copy_audio else {"c:a": "aac", "b:a": "64k"}
    chosen = [streams[name] for name, wanted in (("v:0", video), ("a:0", audio)) if wanted]
    return _mp4_output(chosen, target, creation_time=creation_time, **codecs)


def transcode(
    source: Path, *, content: str, target: str, video: bool, audio: bool, frame_rate_milli: int, creation_time: str
) -> list[str]:
    """H.264 720p (short side) and AAC mono: plays everywhere, about 10 MB a minute at worst, a key frame every 2 seconds."""
    streams = _input(source, content=content, fflags="+genpts", err_detect="ignore_err")
    codecs: dict[str, Any] = {}
    chosen = []
    if video:
        short = str(VIEWING_HEIGHT)
        picture = (
            streams["v:0"].filter("scale", w="max(2,trunc(iw*sar/2)*2)", h="max(2,trunc(ih/2)*2)").filter("setsar", "1")
        )
        chosen.append(
            picture.filter("scale", w=f"if(gt(iw,ih),-2,min({short},iw))", h=f"if(gt(iw,ih),min({short},ih),-2)")
        )
        rate = frame_rate_milli if 1000 <= frame_rate_milli <= 120_000 else 30_000
        codecs |= {
            "c:v": "libx264", "preset": "veryfast", "crf": 26, "maxrate": "2M", "bufsize": "4M", "pix_fmt": "yuv420p",
            "g": round(rate * KEY_FRAME_EVERY_S / 1000), "force_key_frames": f"expr:gte(t,n_forced*{KEY_FRAME_EVERY_S})",
        }  # fmt: skip
    if audio:
        chosen.append(streams["a:0"])
        codecs |= {"c:a": "aac", "b:a": "64k", "ac": 1}
    return _mp4_output(chosen, target, creation_time=creation_time, **codecs)


def clip(
    source: Path, *, content: str, target: str, begin_ms: int, length_ms: int, video: bool, audio: bool
) -> list[str]:
    """A span of a recording, exact to the picture, in the full size of the original, in a form that plays everywhere."""
    streams = _input(
        source, content=content, ss=f"{begin_ms / 1000:.3f}", t=f"{length_ms / 1000:.3f}", fflags="+genpts",
        err_detect="ignore_err",
    )  # fmt: skip
    codecs: dict[str, Any] = {}
    chosen = []
    if video:
        squared = streams["v:0"].filter("scale", w="max(2,trunc(iw*sar/2)*2)", h="max(2,trunc(ih/2)*2)")
        chosen.append(squared.filter("setsar", "1"))
        codecs |= {"c:v": "libx264", "preset": "veryfast", "crf": 18, "pix_fmt": "yuv420p", "g": 60}
    if audio:
        chosen.append(streams["a:0"])
        codecs |= {"c:a": "aac", "b:a": "128k"}
    return _mp4_output(chosen, target, creation_time="", **codecs)


def coded_hash(source: Path, *, content: str, video: bool, audio: bool, aac: bool) -> list[str]:
    """SHA-256 over coded H.264 slices and coded sound, the same whatever container carries them.

    Annex B start codes, length prefixes, access unit delimiters and repeated parameter sets belong to the container's way of
    packing; they are normalised or left out. The slices are the pictures.
    """
    streams = _input(source, content=content)
    options: dict[str, Any] = {}
    if video:
        options["bsf:v"] = "h264_mp4toannexb,filter_units=pass_types=1-5"
    if audio and aac:
        options["bsf:a"] = "aac_adtstoasc"
    chosen = [streams[name] for name, wanted in (("v:0", video), ("a:0", audio)) if wanted]
    return _command(ffmpeg.output(*chosen, "-", c="copy", f="streamhash", hash="sha256", **options))


def first_pictures_hash(source: Path, *, content: str, frames: int) -> list[str]:
    """SHA-256 over the first decoded pictures: proves that the parameter sets came along."""
    streams = _input(source, content=content)
    return _command(
        ffmpeg.output(
            streams["v:0"], "-", vsync="passthrough", pix_fmt="yuv420p", f="hash", hash="sha256", **{"frames:v": frames}
        )
    )


def shown(command: list[str], source: Path) -> list[str]:
    """Arguments for a recipe: the source's path replaced by a placeholder."""
    return ["file:{source}" if argument == source_argument(source) else argument for argument in command[1:]]
