"""Where hashes and entries of a log stand in its published directory, and their byte form. Pure.

A tile holds up to 256 hashes of one level of tiles; an entry bundle holds the entries under one tile of level 0. A partial
one carries its width in its name, so a name never changes its bytes.

Source: C2SP tlog-tiles; docs/formats/log.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chain_of_custody.merkle import HASH_BYTES, root_of
from evidence.errors import EntryInvalidError, LimitExceededError
from evidence.limits import ENTRY_BYTES_MAX

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
CHECKPOINT_NAME: Final = "checkpoint"
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)
ENTRIES: Final = "entries"


def _number(index: int) -> str:
    groups = []
    while True:
        index, low = divmod(index, 1000)
        groups.append(f"{low:03d}")
        if not index:
            break
    return "/".join([*(f"x{group}" for group in groups[:0:-1]), groups[0]])


def path_of(level: int | str, index: int, *, width: int = TILE_WIDTH) -> str:
    """Path of a tile (or, for level ``entries``, of a bundle) below the published directory."""
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{_number(index)}{partial}"


def partial_dir(level: int | str, index: int) -> str:
    """Directory of a tile's partial versions; it may go once the full tile is published."""
    return f"tile/{level}/{_number(index)}.p"


def files_at(size: int) -> Iterator[str]:
    """Every file that a published log of that size consists of, its checkpoint aside: bundles, and tiles of every level."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        full, rest = divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)
        for kind in (ENTRIES, level) if level == 0 else (level,):
            yield from (path_of(kind, index) for index in range(full))
            if rest:
                yield path_of(kind, full, width=rest)
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each behind its 16-bit length.

    Raises:
        LimitExceededError: An entry is empty or does not fit.
    """
    out = bytearray()
    for entry in entries:
        if not 0 < len(entry) <= ENTRY_BYTES_MAX:
            raise LimitExceededError(f"an entry of {len(entry)} bytes does not fit into a bundle")
        out += struct.pack(">H", len(entry)) + entry
    return bytes(out)


def decode_bundle(untrusted: bytes, *, width: int) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        EntryInvalidError: Truncated, with bytes left over, or not of exactly ``width`` entries.
    """
    entries: list[bytes] = []
    offset = 0
    while offset < len(untrusted):
        start = offset + 2
        length = int.from_bytes(untrusted[offset:start])
        offset = start + length
        if offset > len(untrusted) or length == 0:
            raise EntryInvalidError("entry bundle is truncated")
        entries.append(untrusted[start:offset])
        if len(entries) > width:
            break
    if len(entries) != width:
        raise EntryInvalidError(f"entry bundle does not hold {width} entries")
    return entries


def decode_tile(untrusted: bytes, *, width: int) -> list[bytes]:
    """The hashes of a tile.

    Raises:
        EntryInvalidError: Not of exactly ``width`` hashes.
    """
    if len(untrusted) != width * HASH_BYTES:
        raise EntryInvalidError(f"hash tile does not hold {width} hashes")
    return [untrusted[at : at + HASH_BYTES] for at in range(0, len(untrusted), HASH_BYTES)]


@dataclass(frozen=True, slots=True)
class Tile:
    """One hash tile: its place and its hashes."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Its path below the published directory."""
        return path_of(self.level, self.index, width=len(self.hashes))

    def encode(self) -> bytes:
        """Its bytes."""
        return b"".join(self.hashes)


def edge_of(size: int) -> Iterator[tuple[int, int, int]]:
    """``(level, index, width)`` of every partial tile of a log of that size, lowest level first."""
    level = 0
    while size:
        size, width = divmod(size, TILE_WIDTH)
        if width:
            yield level, size, width
        level += 1


class GrowingTree:
    """A tree that only grows: it remembers its right edge (fewer than 256 hashes per level) and hands out full tiles.

    Deterministic: the same leaves always give the same tiles, so writing them again after a crash changes nothing.
    """

    __slots__ = ("_levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []

    @classmethod
    def from_edge(cls, size: int, partials: Sequence[Tile]) -> GrowingTree:
        """The tree whose partial tiles are these; the caller compares :meth:`root` with a checkpoint.

        Raises:
            EntryInvalidError: They are not the edge of a tree of that size.
        """
        tree = cls()
        tree.size = size
        if [(t.level, t.index, len(t.hashes)) for t in partials] != list(edge_of(size)):
            raise EntryInvalidError("hash tiles are not the edge of that log")
        for tile in partials:
            while len(tree._levels) <= tile.level:
                tree._levels.append([])
            tree._levels[tile.level] = list(tile.hashes)
        return tree

    def copy(self) -> GrowingTree:
        """An independent tree in the same state."""
        twin = GrowingTree()
        twin.size = self.size
        twin._levels = [list(level) for level in self._levels]
        return twin

    def append(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Add leaf hashes; returns the tiles that became full, children before parents."""
        full: list[Tile] = []
        self._push(0, self.size // TILE_WIDTH, leaves, full)
        self.size += len(leaves)
        return full

    def _push(self, level: int, index: int, hashes: Sequence[bytes], full: list[Tile]) -> None:
        while len(self._levels) <= level:
            self._levels.append([])
        edge, parents, first = self._levels[level], [], index
        taken = 0
        while taken < len(hashes):
            part = hashes[taken : taken + TILE_WIDTH - len(edge)]
            taken += len(part)
            edge.extend(part)
            if len(edge) == TILE_WIDTH:
                full.append(Tile(level, index, tuple(edge)))
                parents.append(root_of(edge))
                edge.clear()
                index += 1
        if parents:
            self._push(level + 1, first // TILE_WIDTH, parents, full)

    def partials(self) -> list[Tile]:
        """The partial tiles of the current size, lowest level first."""
        return [Tile(level, index, tuple(self._levels[level][:width])) for level, index, width in edge_of(self.size)]

    def root(self) -> bytes:
        """Root of the current size.

        From level 0 upwards: what lies below a level joins its hashes as one smaller last subtree, which combines exactly
        like a full one because every split of RFC 6962 puts a whole power of two on the left.
        """
        below: list[bytes] = []
        for hashes in self._levels:
            row = [*hashes, *below]
            below = [root_of(row)] if row else []
        return below[0] if below else root_of([])
