"""Find stretches of zeros: what a card with lost clusters, or a recorder that lost power after reserving space, leaves behind.

Compressed pictures cannot contain them: H.264 and H.265 forbid more than two zero bytes in a row inside a picture. The scan
looks at whole aligned 4 KiB blocks (the smallest unit a card or file system loses) and reads the file once.

Source: ITU-T H.264 section 7.4.1 (emulation prevention).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from evidence.errors import MediaError

BLOCK_BYTES: Final = 4096
CHUNK_BYTES: Final = 4 << 20
#: More separate holes than this change nothing in the judgement.
HOLES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Hole:
    """Zeros from ``offset`` (inclusive) to ``end`` (exclusive), in bytes."""

    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class ZeroMap:
    """All holes of a file, in order; ``tail_bytes`` of them at its very end."""

    holes: tuple[Hole, ...] = ()
    tail_bytes: int = 0
    all_zero: bool = False


def _zero_blocks(chunk: bytes) -> list[bool]:
    whole = len(chunk) // BLOCK_BYTES * BLOCK_BYTES
    words = np.frombuffer(chunk, dtype=np.uint64, count=whole // 8).reshape(-1, BLOCK_BYTES // 8)
    flags: list[bool] = np.equal(words.max(axis=1, initial=0), 0).tolist()
    if whole < len(chunk):
        flags.append(not chunk[whole:].strip(b"\0"))
    return flags


def _extend(holes: list[Hole], start: int, end: int) -> None:
    if holes and holes[-1].end == start:
        holes[-1] = Hole(holes[-1].offset, end)
    elif len(holes) < HOLES_MAX:
        holes.append(Hole(start, end))


def find_holes(source: Path) -> ZeroMap:
    """Scan a file for holes.

    Raises:
        MediaError: The file cannot be read.
    """
    holes: list[Hole] = []
    tail: Hole | None = None
    position = 0
    try:
        with source.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while chunk := stream.read(CHUNK_BYTES):
                for number, zero in enumerate(_zero_blocks(chunk)):
                    start = position + number * BLOCK_BYTES
                    end = min(start + BLOCK_BYTES, position + len(chunk))
                    if not zero:
                        tail = None
                        continue
                    tail = Hole(tail.offset if tail else start, end)
                    _extend(holes, start, end)
                position += len(chunk)
    except OSError as error:
        raise MediaError(f"cannot read {source.name}: {os.strerror(error.errno or 0)}") from error
    tail_bytes = tail.end - tail.offset if tail else 0
    kept = tuple(hole for hole in holes if hole.end - hole.offset >= BLOCK_BYTES or hole.end == position)
    return ZeroMap(kept, tail_bytes if tail_bytes >= BLOCK_BYTES else 0, position > 0 and tail_bytes == position)
