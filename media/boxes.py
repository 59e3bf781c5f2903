"""Walk the outermost structure of a container and compare what it promises with the bytes that are there.

Reads only headers (a few bytes per box), follows no pointer twice and always moves forward, so a hostile file costs at most
a bounded number of small reads. Decodes nothing.

Source: ISO/IEC 14496-12 section 4.2 (boxes); Microsoft RIFF and OpenDML 1.02 (AVI, WAV); RFC 8794 section 4, 6 (EBML);
Advanced Systems Format 1.20 section 3.2.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from evidence.errors import MediaError

#: A fragmented recording has two boxes per fragment; this is more than a day of one-second fragments.
BOXES_MAX: Final = 200_000
#: Chunks of an AVI that are looked at: nine hours of pictures and sound.
CHUNKS_MAX: Final = 2_000_000
#: Transport stream packet lengths and where the first sync byte stands: plain, with time stamps, with error correction.
TS_STEPS: Final = ((188, 0), (192, 4), (204, 0))
#: The object of an ASF header that states the file's size, and how far from the start it is looked for.
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_HEAD_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Box:
    """One outermost box: its type, where it starts and how many bytes it claims, header included."""

    kind: str
    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        """First byte after the box, as claimed."""
        return self.offset + self.size_bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """Outermost structure of a file.

    Attributes:
        boxes: In file order.
        claimed_end: Where the structure says the file ends; 0 when the container does not say.
        index: MP4: ``start``, ``end``, ``fragmented`` or ``missing``; empty for others.
        open_ended: The last box was never given a size (recording was cut off before it was closed).
        garbage_at: Offset at which the structure stops making sense, or -1.
        dropped_frames: AVI: pictures of no bytes, by which a recorder says that the one before stands a little longer.
    """

    boxes: tuple[Box, ...] = ()
    claimed_end: int = 0
    index: str = ""
    open_ended: bool = False
    garbage_at: int = -1
    dropped_frames: int = 0

    def of_kind(self, kind: str) -> tuple[Box, ...]:
        """All boxes of one type."""
        return tuple(box for box in self.boxes if box.kind == kind)


def _read_at(stream: BinaryIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return stream.read(length)


def _mp4_box(stream: BinaryIO, offset: int, size: int) -> tuple[Box, bool] | None:
    """The box at ``offset`` and whether it is open-ended; None when there is no sane header."""
    head = _read_at(stream, offset, 16)
    if len(head) < 8 or not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in head[4:8]):
        return None
    kind = head[4:8].decode("latin-1")
    claimed, smallest = int.from_bytes(head[:4]), 8
    if claimed == 0:
        return Box(kind, offset, size - offset), True
    if claimed == 1:
        if len(head) < 16:
            return None
        claimed, smallest = int.from_bytes(head[8:16]), 16
    if claimed < smallest or claimed >= 1 << 62:
        return None
    return Box(kind, offset, claimed), False


def _mp4_index(boxes: list[Box], size: int) -> str:
    """Where the sample index is, judged only by boxes that are completely there."""
    whole = [box for box in boxes if box.end <= size]
    if not any(box.kind == "moov" for box in whole):
        return "missing"
    if any(box.kind == "moof" for box in boxes):
        return "fragmented"
    order = [box.kind for box in boxes if box.kind in {"moov", "mdat"}]
    return "start" if order[0] == "moov" else "end"


def _walk_mp4(stream: BinaryIO, size: int) -> Layout:
    boxes: list[Box] = []
    offset, garbage_at, open_ended = 0, -1, False
    while offset < size and len(boxes) < BOXES_MAX:
        found = _mp4_box(stream, offset, size)
        if found is None:
            garbage_at = offset
            break
        box, open_ended = found
        boxes.append(box)
        offset = box.end
    return Layout(tuple(boxes), offset if garbage_at < 0 else 0, _mp4_index(boxes, size), open_ended, garbage_at)


def _walk_riff(stream: BinaryIO, size: int) -> Layout:
    """AVI and WAV: a chain of RIFF chunks (OpenDML splits long recordings into several)."""
    boxes: list[Box] = []
    offset, garbage_at, open_ended = 0, -1, False
    while offset + 8 <= size and len(boxes) < BOXES_MAX:
        head = _read_at(stream, offset, 12)
        claimed = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF":
            garbage_at = offset
            break
        # A recorder writes the size when it closes the file: 0 or all ones mean it never did.
        open_ended = claimed in (0, 0xFFFFFFFF)
        length = size - offset if open_ended else claimed + 8 + (claimed & 1)
        boxes.append(Box(head[8:12].decode("latin-1"), offset, length))
        offset += length
    claimed_end = boxes[-1].end - (boxes[-1].size_bytes & 1) if boxes else 0
    return Layout(tuple(boxes), claimed_end if boxes and not open_ended else 0, "", open_ended, garbage_at)


def _walk_avi(stream: BinaryIO, size: int) -> Layout:
    return replace(_walk_riff(stream, size), dropped_frames=_dropped_frames(stream, size))


def _dropped_frames(stream: BinaryIO, size: int) -> int:
    """Counted up to where the chain of chunks breaks; lists are entered by stepping over their heads only."""
    dropped = offset = 0
    for _ in range(CHUNKS_MAX):
        head = _read_at(stream, offset, 8)
        if len(head) < 8 or offset >= size or not head[:4].isascii() or b"\0" in head[:4]:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] in (b"RIFF", b"LIST"):
            offset += 12
            continue
        dropped += length == 0 and head[2:4] in (b"dc", b"db")
        offset += 8 + length + (length & 1)
    return dropped


def _ebml_length(data: bytes) -> tuple[int, int]:
    """Value and width in bytes of an EBML variable-length size; value -1 for 'unknown', width 0 for nonsense."""
    if not data or data[0] == 0:
        return 0, 0
    width = 9 - data[0].bit_length()
    if len(data) < width:
        return 0, 0
    value = int.from_bytes(data[:width]) & ((1 << 7 * width) - 1)
    return (-1 if value == (1 << 7 * width) - 1 else value), width


def _walk_matroska(stream: BinaryIO, size: int) -> Layout:
    head = _read_at(stream, 0, 32)
    length, width = _ebml_length(head[4:])
    if width == 0 or length < 0 or length > size:
        return Layout(garbage_at=4)
    start = 4 + width + length
    segment = _read_at(stream, start, 16)
    if segment[:4] != b"\x18\x53\x80\x67":
        return Layout(garbage_at=start)
    length, width = _ebml_length(segment[4:])
    if width == 0:
        return Layout(garbage_at=start + 4)
    if length < 0:
        return Layout((Box("Segment", start, size - start),), 0, "", open_ended=True)
    box = Box("Segment", start, 4 + width + length)
    return Layout((box,), box.end)


def _walk_transport_stream(stream: BinaryIO, size: int) -> Layout:
    """Whole packets only: a rest shorter than a packet means the writer was interrupted inside one."""
    head = _read_at(stream, 0, 2048)
    step = next((s for s, start in TS_STEPS if all(head[p : p + 1] == b"\x47" for p in range(start, 5 * s, s))), 188)
    return Layout(claimed_end=-(-size // step) * step)


def _walk_asf(stream: BinaryIO, size: int) -> Layout:  # noqa: ARG001 - the form of a walker
    """The header states the size of the finished file, unless it was written as a broadcast."""
    head = _read_at(stream, 0, ASF_HEAD_BYTES)
    at = head.find(_ASF_FILE_PROPERTIES)
    properties = head[at : at + 92]
    if at < 0 or len(properties) < 92 or properties[88] & 1:
        return Layout()
    claimed = int.from_bytes(properties[40:48], "little")
    return Layout(claimed_end=claimed if claimed < 1 << 62 else 0)


_WALKERS: Final = {
    "asf": _walk_asf,
    "mpegts": _walk_transport_stream,
    "mp4": _walk_mp4,
    "avi": _walk_avi,
    "wav": _walk_riff,
    "matroska": _walk_matroska,
}


def walk(source: Path, *, content: str) -> Layout:
    """Outermost structure of a file; an empty layout for containers that state no sizes.

    Raises:
        MediaError: The file cannot be read.
    """
    walker = _WALKERS.get(content)
    if walker is None:
        return Layout()
    try:
        with source.open("rb") as stream:
            return walker(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise MediaError(f"cannot read {source.name}: {os.strerror(error.errno or 0)}") from error
