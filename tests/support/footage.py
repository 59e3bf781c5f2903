"""Real footage from Debian packages, and the ways in which recorders and cards ruin it.

The packages forensics-samples-files (CC-BY-SA-4.0) and opencv-doc are installed, never copied into this repository. A test
that needs a missing one fails: silently skipping would prove nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from evidence import sandbox

_FORENSICS = Path("/usr/share/forensics-samples/original-files")
_OPENCV = Path("/usr/share/doc/opencv-doc/examples/data")


def _sample(path: Path, package: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: apt-get install --no-install-recommends {package}")
    return path


def phone_mp4() -> Path:
    """A phone's own recording: H.264 1080p with variable rate, AAC, a GPS position; index at the start; 1.6 s."""
    return _sample(_FORENSICS / "movie1/VID_20191220_170832.mp4", "forensics-samples-files")


def talking_mp4() -> Path:
    """A person talking: H.264 720p and AAC in MP4, index at the start, 8.3 s."""
    return _sample(_FORENSICS / "movie2/movie-hello.mp4", "forensics-samples-files")


def talking_avi() -> Path:
    """The same person: H.264 576p and AAC in AVI, 8.4 s."""
    return _sample(_FORENSICS / "movie2/movie-hello.avi", "forensics-samples-files")


def talking_mpeg() -> Path:
    """The same person: MPEG-2 480p in a program stream."""
    return _sample(_FORENSICS / "movie2/movie-hello.mpeg", "forensics-samples-files")


def street_avi() -> Path:
    """A street under a fixed camera: MS-MPEG-4 768x576, 79.5 s, no sound."""
    return _sample(_OPENCV / "vtest.avi", "opencv-doc")


def voice_mp3() -> Path:
    """A voice, MP3, 5.4 s."""
    return _sample(_FORENSICS / "audio1/debian.mp3", "forensics-samples-files")


def voice_wav() -> Path:
    """The same voice, PCM in WAV."""
    return _sample(_FORENSICS / "audio1/debian.wav", "forensics-samples-files")


def photo_jpg() -> Path:
    """A phone's photo with EXIF and a GPS position, 4000x3000."""
    return _sample(_FORENSICS / "pic1/IMG_20200827_231612.jpg", "forensics-samples-files")


def photo_png() -> Path:
    """A picture in PNG."""
    return _sample(_FORENSICS / "pic1/debian.png", "forensics-samples-files")


def document_pdf() -> Path:
    """Not footage at all."""
    return _sample(_FORENSICS / "text1/a-text.pdf", "forensics-samples-files")


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg as a test's own tool."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    sandbox.run(command, limits=sandbox.SandboxLimits(timeout_s=120))


def rewrapped(source: Path, target: Path, *options: str) -> Path:
    """The same coded streams in the container the target's name asks for."""
    ffmpeg("-i", f"file:{source}", "-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy", *options, f"file:{target}")
    return target


def fragmented(source: Path, target: Path) -> Path:
    """A fragmented MP4, as recorders write that fear for their battery."""
    return rewrapped(source, target, "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4")


def encoded(source: Path, target: Path, *options: str) -> Path:
    """Two small seconds of a recording, coded anew with the given options."""
    ffmpeg("-i", f"file:{source}", "-t", "2", "-vf", "scale=320:-2", *options, f"file:{target}")
    return target


def hevc_mp4(source: Path, target: Path) -> Path:
    """H.265 in MP4: what most new recorders write."""
    return encoded(source, target, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none",
                   "-tag:v", "hvc1", "-c:a", "aac")  # fmt: skip


def painted(target: Path, picture: str, *, seconds: int, options: tuple[str, ...] = ()) -> Path:
    """A recording painted by one of ffmpeg's sources, with a key frame every second."""
    ffmpeg("-f", "lavfi", "-i", f"{picture}", "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast",
           "-pix_fmt", "yuv420p", "-g", "10", *options, f"file:{target}")  # fmt: skip
    return target


def synthetic(target: Path, *options: str, picture_s: int = 8, sound_s: int = 8) -> Path:
    """A test picture and a tone in whatever container and coding the target's name and the options ask for."""
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=320x240:r=25:d={picture_s}", "-f", "lavfi", "-i", f"sine=d={sound_s}",
           *options, f"file:{target}")  # fmt: skip
    return target


def tone(target: Path, *options: str) -> Path:
    """Six seconds of a tone."""
    ffmpeg("-f", "lavfi", "-i", "sine=d=6", *options, f"file:{target}")
    return target


def still(target: Path) -> Path:
    """A picture, moving where the format can."""
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:d=1", *([] if target.suffix == ".gif" else ["-frames:v", "1"]),
           f"file:{target}")  # fmt: skip
    return target


def trimmed_by_edit(source: Path, target: Path) -> Path:
    """Half of it left out by the edit lists, as players trim without touching the media."""
    data = bytearray(source.read_bytes())
    for kind, offset in ((b"mvhd", 20), (b"elst", 12)):
        at = data.find(kind)
        while at >= 0:
            (length,) = struct.unpack_from(">I", data, at + offset)
            struct.pack_into(">I", data, at + offset, length // 2)
            at = data.find(kind, at + 1)
    target.write_bytes(data)
    return target


def cut(source: Path, target: Path, *, share: float = 0.6) -> Path:
    """Only the first part of the bytes: power lost, card pulled."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def with_hole(source: Path, target: Path, *, at_share: float = 0.5, hole_bytes: int = 256 << 10) -> Path:
    """Some clusters came back as zeros."""
    data = bytearray(source.read_bytes())
    start = int(len(data) * at_share)
    data[start : start + hole_bytes] = bytes(min(hole_bytes, len(data) - start))
    target.write_bytes(data)
    return target


def with_zero_tail(source: Path, target: Path, *, from_share: float = 0.6) -> Path:
    """Space was reserved, then power was lost: full length, nothing but zeros from some point on."""
    data = source.read_bytes()
    start = int(len(data) * from_share)
    target.write_bytes(data[:start] + bytes(len(data) - start))
    return target


def never_closed_mp4(source: Path, target: Path) -> Path:
    """All the pictures, but the index was never written: the file ends with its media data."""
    data = source.read_bytes()
    offset = 0
    while offset + 8 <= len(data):
        size, kind = int.from_bytes(data[offset : offset + 4]), data[offset + 4 : offset + 8]
        if kind == b"mdat":
            head = data[: source.read_bytes().index(b"ftyp") - 4 + int.from_bytes(data[:4])]
            target.write_bytes(head + data[offset : offset + size])
            return target
        offset += size
    raise ValueError("no media data")


def playlist(target: Path, *, of: str = "http://127.0.0.1:9/segment.ts") -> Path:
    """An HLS playlist under a video's name: a naive player would fetch what it names."""
    target.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{of}\n#EXT-X-ENDLIST\n", "utf-8")
    return target


def concat_list(target: Path, *, of: Path) -> Path:
    """An ffmpeg concat script under a video's name: a naive player would read another file."""
    target.write_text(f"ffconcat version 1.0\nfile '{of}'\n", "utf-8")
    return target


def clips(folder: Path) -> Iterator[bytes]:
    """Ever different small recordings that can be watched: two painted seconds, and a free box of random bytes behind them."""
    folder.mkdir(parents=True)
    painting = painted(folder / "clip.mp4", "testsrc2=size=160x120:rate=10", seconds=2).read_bytes()
    while True:
        yield painting + struct.pack(">I4s", 16, b"free") + os.urandom(8)
