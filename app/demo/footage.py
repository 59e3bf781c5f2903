"""Real camera files from Debian packages, laid out as a bureau's recorders would hold them.

The files come from ``forensics-samples-files`` (a phone, a webcam, a still camera) and ``opencv-doc`` (a fixed street
camera). They are copied onto the recorders, never into this project.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from evidence.clock import BUREAU_ZONE
from evidence.errors import ConfigError

_SAMPLES = Path("/usr/share/forensics-samples/original-files")
_OPENCV = Path("/usr/share/doc/opencv-doc/examples/data")

PHONE = _SAMPLES / "movie1/VID_20191220_170832.mp4"
TALK_MP4 = _SAMPLES / "movie2/movie-hello.mp4"
TALK_AVI = _SAMPLES / "movie2/movie-hello.avi"
TALK_MPEG = _SAMPLES / "movie2/movie-hello.mpeg"
STREET = _OPENCV / "vtest.avi"
PHOTO = _SAMPLES / "pic2/IMG_20200124_231153.jpg"
VOICE = _SAMPLES / "audio1/debian.wav"

OFFICER_CODE = "000123"
DEVICE_CODE = "8800001"
MTP_SERIAL = "BWC-2207-0042"


@dataclass(frozen=True, slots=True)
class Sources:
    """The three places that the demonstration docks."""

    mass_storage: Path
    mtp_storage: Path
    watch_folder: Path


def require_packages() -> None:
    """Raise ConfigError with the exact line to run when the sample files are not installed."""
    missing = [path for path in (PHONE, TALK_MP4, TALK_AVI, TALK_MPEG, STREET, PHOTO, VOICE) if not path.exists()]
    if missing:
        raise ConfigError(
            f"{len(missing)} sample recordings are not installed",
            todo="Run: apt-get install --no-install-recommends forensics-samples-files opencv-doc",
        )


def _track(start: datetime) -> bytes:
    """A GPS side file as recorders write it: one NMEA sentence a second, checksummed."""
    lines = []
    for second in range(8):
        moment = start + timedelta(seconds=second)
        north, east = f"2428.{6200 + second * 7:04d}", f"11805.{3100 + second * 5:04d}"
        body = f"GPRMC,{moment:%H%M%S}.00,A,{north},N,{east},E,1.2,84.4,{moment:%d%m%y},,,A"
        checksum = 0
        for character in body:
            checksum ^= ord(character)
        lines.append(f"${body}*{checksum:02X}\r\n")
    return "".join(lines).encode("ascii")


def _write(root: Path, files: Mapping[str, bytes], moment: datetime) -> None:
    for name, data in files.items():
        path = root / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (moment.timestamp(), moment.timestamp()))


def lay_out(root: Path, now: datetime) -> Sources:
    """Write the three sources below ``root``; what is there already stays, so that a second run docks the same recorders.

    Args:
        root: Folder for the recorders' contents.
        now: Aware time; the recordings are named for the hours before it.
    """
    require_packages()
    sources = Sources(root / "recorder-8800001", root / "recorder-mtp", root / "drop")
    if sources.mass_storage.exists():
        return sources
    local = now.astimezone(BUREAU_ZONE)
    first, second, third = (local - timedelta(hours=hours) for hours in (5, 3, 1))

    def gb(moment: datetime, counter: int, extension: str, mark: str = "") -> str:
        return f"{OFFICER_CODE}_{DEVICE_CODE}_{moment:%Y%m%d%H%M%S}_{counter:04d}{mark}.{extension}"

    talk = TALK_MP4.read_bytes()
    _write(
        sources.mass_storage,
        {
            f"DCIM/100MEDIA/{gb(first, 7, 'mp4')}": talk,
            # The officer pressed the mark: the recorder keeps the same bytes twice.
            f"DCIM/IMPORTANT/{gb(first, 7, 'mp4', 'IMP')}": talk,
            f"DCIM/100MEDIA/{gb(first, 7, 'txt', 'GPS')}": _track(first),
            f"DCIM/100MEDIA/{gb(second, 8, 'avi')}": STREET.read_bytes(),
            # The battery died: the file ends in the middle.
            f"DCIM/100MEDIA/{gb(second + timedelta(minutes=20), 9, 'avi')}": TALK_AVI.read_bytes()[: 1 << 20],
            # Still being written.
            f"DCIM/100MEDIA/{gb(third, 11, 'mp4', '_start')}": PHONE.read_bytes()[:200_000],
            "DCIM/100MEDIA/现场照片_二号门.jpg": PHOTO.read_bytes(),
            "DCIM/100MEDIA/巡查备份 最终版.mpeg": TALK_MPEG.read_bytes(),
        },
        second,
    )
    _write(
        sources.mtp_storage,
        {
            f"police/video/{third:%Y%m%d}/{OFFICER_CODE}_0_{third:%Y%m%d_%H%M%S}.mp4": PHONE.read_bytes(),
            f"police/sound/{third:%Y%m%d}/{OFFICER_CODE}_2_{third:%Y%m%d_%H%M%S}.wav": VOICE.read_bytes(),
        },
        third,
    )
    _write(sources.watch_folder, {f"{third:%Y%m%d_%H%M%S}.avi": TALK_AVI.read_bytes()}, third)
    return sources
