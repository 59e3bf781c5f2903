"""Pictures by which a person finds a moment: a sheet of key frames with its index, a poster, a waveform.

One pass over the key frames (nothing else is decoded) gives small numbered pictures; they are tiled here with OpenCV, because
a tiling output inside ffmpeg would hold back all progress until the end. OpenCV only ever reads pictures that this room's own
sandboxed ffmpeg wrote, never the file itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from evidence import canonical
from evidence.errors import MediaError
from media import graphs, hints
from media.facts import MediaFacts
from media.tools import ToolRun, run

#: OpenCV works on the calling thread only: the jobs of this house are parallel already.
cv2.setNumThreads(1)

FRAMES_MAX: Final = 600
STEP_MS_MIN: Final = 1_000
TILE_WIDTH: Final = 160
TILE_HEIGHT: Final = 90
COLUMNS: Final = 10
TILES_MAX: Final = 100
TILE_STEP_MS_MIN: Final = 2_000
_JPEG_QUALITY: Final = 70


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Small pictures of key frames on disk, in time order, with their moments in milliseconds from the start."""

    frames: tuple[tuple[int, Path], ...]
    outcome: ToolRun


def sample(source: Path, facts: MediaFacts, *, duration_ms: int, scratch: Path) -> KeyFrames:
    """Run the key-frame pass into ``scratch``.

    Raises:
        MediaError: ffmpeg is missing or the disk is full; a file that cannot be decoded gives no frames instead.
    """
    step_ms = max(STEP_MS_MIN, duration_ms // FRAMES_MAX)
    command = graphs.key_frames(source, content=facts.content, step_ms=step_ms, frames_max=FRAMES_MAX)
    outcome = run(command, timeout_s=120 + duration_ms / 2000 + facts.size_bytes / 2e6, cwd=scratch)
    found = []
    for path in scratch.glob("th_*.jpg"):
        number = path.stem[3:]
        if number.isdigit() and path.stat().st_size > 0:
            found.append((int(number), path))
    return KeyFrames(tuple(sorted(found)), outcome)


def _read(path: Path) -> hints.Picture | None:
    picture: hints.Picture | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return picture


def measure_all(frames: KeyFrames) -> list[hints.FrameMeasure]:
    """Figures of every sampled key frame; pictures cut short by a crash of the decoder are left out."""
    out: list[hints.FrameMeasure] = []
    before = None
    for at_ms, path in frames.frames:
        picture = _read(path)
        if picture is None:
            continue
        current = hints.grey(picture)
        out.append(hints.measure(current, before, at_ms=at_ms))
        before = current
    return out


def _tile(picture: hints.Picture) -> hints.Picture:
    """Fit into one tile on black, aspect kept."""
    height, width = picture.shape[:2]
    scale = min(TILE_WIDTH / width, TILE_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    tile = np.zeros((TILE_HEIGHT, TILE_WIDTH, 3), np.uint8)
    top, left = (TILE_HEIGHT - size[1]) // 2, (TILE_WIDTH - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _chosen(frames: KeyFrames, duration_ms: int) -> list[tuple[int, hints.Picture]]:
    step_ms = max(TILE_STEP_MS_MIN, duration_ms // TILES_MAX)
    out: list[tuple[int, hints.Picture]] = []
    due_ms = 0
    for at_ms, path in frames.frames:
        if at_ms < due_ms or len(out) == TILES_MAX:
            continue
        picture = _read(path)
        if picture is not None:
            out.append((at_ms, _tile(picture)))
            due_ms = at_ms + step_ms
    return out


def write_jpeg(target: Path, picture: hints.Picture) -> None:
    """Write a JPEG; MediaError when it cannot be encoded or written."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise MediaError("a picture could not be encoded")
    _write(target, data.tobytes())


def _write(target: Path, data: bytes) -> None:
    try:
        target.write_bytes(data)
    except OSError as error:
        raise MediaError(f"cannot write {target.name}: {error.strerror}", kept="The original is stored.") from error


def tile_sheet(frames: KeyFrames, *, duration_ms: int, picture: Path, index: Path) -> dict[str, Any] | None:
    """Write sheet and index; None when there is no frame to show.

    Returns:
        The index: tile size, columns and the moment of every tile in milliseconds.
    """
    tiles = _chosen(frames, duration_ms)
    if not tiles:
        return None
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * TILE_HEIGHT, columns * TILE_WIDTH, 3), np.uint8)
    for number, (_, tile) in enumerate(tiles):
        top, left = number // columns * TILE_HEIGHT, number % columns * TILE_WIDTH
        sheet[top : top + TILE_HEIGHT, left : left + TILE_WIDTH] = tile
    write_jpeg(picture, sheet)
    described = {
        "tile_width": TILE_WIDTH, "tile_height": TILE_HEIGHT, "columns": columns,
        "duration_ms": duration_ms, "times_ms": [at_ms for at_ms, _ in tiles],
    }  # fmt: skip
    _write(index, canonical.dumps(described))
    return described


def _stamp(moment_ms: int) -> str:
    seconds, rest = divmod(moment_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def webvtt(index: dict[str, Any], *, image_url: str) -> str:
    """The index as a WebVTT thumbnail track whose cues point into the sheet at ``image_url``."""
    times: Sequence[int] = index["times_ms"]
    width, height, columns = index["tile_width"], index["tile_height"], index["columns"]
    cues = ["WEBVTT", ""]
    for number, begin in enumerate(times):
        end = times[number + 1] if number + 1 < len(times) else max(index["duration_ms"], begin + 1)
        x, y = number % columns * width, number // columns * height
        cues += [f"{_stamp(begin)} --> {_stamp(end)}", f"{image_url}#xywh={x},{y},{width},{height}", ""]
    return "\n".join(cues)


def poster_moment(measures: Sequence[hints.FrameMeasure]) -> int:
    """Moment of the first key frame that shows something; the first one when all are black, 0 when there is none."""
    seen = [frame.at_ms for frame in measures if not frame.black]
    return seen[0] if seen else (measures[0].at_ms if measures else 0)
