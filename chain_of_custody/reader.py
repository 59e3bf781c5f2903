"""Reads a published log directory: checkpoint, entries, proofs. Files are untrusted until a proof or ``fsck`` says so.

Proofs made here lead to the checkpoint only if the tiles are right, and whoever receives one verifies it, so reading needs
no trust in the directory.

Source: C2SP tlog-tiles; docs/formats/log.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from chain_of_custody import merkle
from chain_of_custody.checkpoint import NOTE_BYTES_MAX, Checkpoint, NoteVerifier, open_checkpoint
from chain_of_custody.folder import LogFolder, place_of
from chain_of_custody.merkle import HASH_BYTES, leaf_hash
from chain_of_custody.tiles import (
    BUNDLE_BYTES_MAX,
    CHECKPOINT_NAME,
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    decode_bundle,
    decode_tile,
    partial_dir,
    path_of,
)
from evidence.errors import DigestMismatchError, EntryInvalidError, NotFoundError
from evidence.log_place import LogPlace

_TILES_CACHED: Final = 512


def width_at(index: int, *, size: int, level: int = 0) -> int:
    """How many hashes the tile ``index`` of ``level`` holds in a log of that size (0: it does not exist)."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


class LogReader:
    """A published directory, read lazily. Thread-safe; the checkpoint is read again at each call.

    Args:
        directory: The published directory: a folder, or another place that holds a copy.
        verifier: The log's verifier key.
    """

    def __init__(self, directory: Path | LogPlace, *, verifier: NoteVerifier) -> None:
        self.directory = directory
        self._place = place_of(directory)
        self.verifier = verifier
        self._tile = lru_cache(_TILES_CACHED)(self._read_tile)

    # --- files --------------------------------------------------------------------------------------------------------
    def note(self) -> bytes:
        """The published checkpoint as it is, cosignatures included.

        Raises:
            NotFoundError: Nothing was published here. StoreUnavailableError: the directory cannot be read.
        """
        return self.read_file(CHECKPOINT_NAME, limit_bytes=NOTE_BYTES_MAX)

    def checkpoint(self) -> Checkpoint:
        """The published checkpoint with its signature checked.

        Raises:
            EntryInvalidError: Not a checkpoint of this log. SignatureInvalidError: not signed by it.
            NotFoundError, StoreUnavailableError: it cannot be read.
        """
        return open_checkpoint(self.note(), self.verifier)

    def read_file(self, path: str, *, limit_bytes: int = BUNDLE_BYTES_MAX) -> bytes:
        """The bytes of one file below the directory.

        Raises:
            NotFoundError: It is not there. EntryInvalidError: larger than allowed.
            StoreUnavailableError: It cannot be read.
        """
        data = self._place.read(path, limit_bytes=limit_bytes)
        if len(data) > limit_bytes:
            raise EntryInvalidError(f"{path} is larger than it can be")
        return data

    def bundle(self, number: int, *, width: int) -> list[bytes]:
        """The first ``width`` entries of bundle ``number``; a full bundle stands in for a partial one that went.

        Raises:
            NotFoundError, EntryInvalidError, StoreUnavailableError: It is missing, malformed, or cannot be read.
        """
        try:
            return decode_bundle(self.read_file(path_of(ENTRIES, number, width=width)), width=width)
        except NotFoundError:
            if width == TILE_WIDTH:
                raise
            return decode_bundle(self.read_file(path_of(ENTRIES, number)), width=TILE_WIDTH)[:width]

    def tile(self, level: int, index: int, *, width: int) -> list[bytes]:
        """The first ``width`` hashes of a tile; like :meth:`bundle`."""
        return self._tile(level, index, width)

    def _read_tile(self, level: int, index: int, width: int) -> list[bytes]:
        try:
            data = self.read_file(path_of(level, index, width=width))
        except NotFoundError:
            if width == TILE_WIDTH:
                raise
            data = self.read_file(path_of(level, index))[: width * HASH_BYTES]
        return decode_tile(data, width=width)

    def older_partials(self, level: int | str, index: int, *, width: int) -> Iterator[tuple[int, bytes]]:
        """``(width, bytes)`` of each narrower version that still stands beside a tile or bundle.

        Of a bucket none is told: there all of them stay, and every write is a version of its own.

        Raises:
            EntryInvalidError, StoreUnavailableError: One is too large, or cannot be read.
        """
        if not isinstance(self._place, LogFolder):
            return
        for older in self._place.partial_widths(partial_dir(level, index)):
            if older < width:
                try:
                    data = self.read_file(path_of(level, index, width=older))
                except NotFoundError:  # swept since it was listed: the log has filled the tile
                    continue
                yield older, data

    # --- entries ------------------------------------------------------------------------------------------------------
    def entry(self, index: int) -> bytes:
        """The envelope at ``index``, when its hash is the one in the tile.

        Raises:
            NotFoundError: Not covered by the published checkpoint. DigestMismatchError: bundle and tile differ.
        """
        size = self.checkpoint().size
        if not 0 <= index < size:
            raise NotFoundError(f"entry {index} is not covered by the published checkpoint of {size}")
        number, offset = divmod(index, TILE_WIDTH)
        width = width_at(number, size=size)
        envelope = self.bundle(number, width=width)[offset]
        if leaf_hash(envelope) != self.tile(0, number, width=width)[offset]:
            raise DigestMismatchError(f"entry {index} and its hash tile differ", todo="Run `liuhen verify`.")
        return envelope

    def envelopes(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
        """``(index, envelope)`` of start <= index < end (the published size when None), streamed bundle by bundle."""
        size = self.checkpoint().size
        end = size if end is None else min(end, size)
        for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            first = number * TILE_WIDTH
            for index, envelope in enumerate(self.bundle(number, width=width_at(number, size=size)), first):
                if start <= index < end:
                    yield index, envelope

    # --- proofs -------------------------------------------------------------------------------------------------------
    def _node(self, size: int) -> merkle.NodeHash:
        # Tiles exist as wide as some checkpoint needed them: smaller trees are read from the published one's tiles.
        published = self.checkpoint().size
        if size > published:
            raise NotFoundError(f"a log of {size} is not published yet, only {published} entries are")

        def node(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, TILE_HEIGHT)
            first = index << height
            number, offset = divmod(first, TILE_WIDTH)
            hashes = self.tile(tile_level, number, width=width_at(number, size=published, level=tile_level))
            return merkle.root_of(hashes[offset : offset + (1 << height)])

        return node

    def inclusion_proof(self, index: int, *, size: int) -> list[bytes]:
        """Hashes that lead from entry ``index`` to the root of the log of ``size``.

        Raises:
            InvalidInputError: ``index`` is not below ``size``. NotFoundError: a tile is missing.
        """
        return merkle.inclusion_proof(index, size, self._node(size))

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Hashes that show that the log of ``new`` continues the log of ``old``.

        Raises:
            InvalidInputError: Not ``0 <= old <= new``. NotFoundError: a tile is missing.
        """
        return merkle.consistency_proof(old, new, self._node(new))

    def root_at(self, size: int) -> bytes:
        """Root of the log's first ``size`` entries, from the tiles."""
        return merkle.root_from_nodes(size, self._node(size))
