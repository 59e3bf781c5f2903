"""One copy of the published log, in a folder or a bucket: tiles and bundles derived from the database, the checkpoint last.

Everything here can be made again from the sequenced rows. A directory that lags behind, for whatever reason, is brought up
by the very code of a normal cycle: load its right edge, add rows, write, compare the root with the signed head, and only
then publish the checkpoint. The root comparison also proves that what the directory had published is a prefix of the head.

Durability: when :meth:`PublishedDirectory.bring_to` returns, tiles, bundles and checkpoint of that head are on stable storage.

Source: C2SP tlog-tiles; docs/formats/log.md; docs/invariants.md 2, 4, 6.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Final

from chain_of_custody.checkpoint import NOTE_BYTES_MAX, Checkpoint, NoteVerifier, open_checkpoint
from chain_of_custody.folder import LogFolder, place_of
from chain_of_custody.merkle import leaf_hash
from chain_of_custody.tiles import (
    BUNDLE_BYTES_MAX,
    CHECKPOINT_NAME,
    ENTRIES,
    TILE_WIDTH,
    GrowingTree,
    Tile,
    decode_tile,
    edge_of,
    encode_bundle,
    partial_dir,
    path_of,
)
from evidence.errors import (
    CustodyError,
    DigestMismatchError,
    EntryInvalidError,
    LogRollbackError,
    NotFoundError,
    SplitViewError,
    StoreUnavailableError,
)
from evidence.log_place import LogPlace
from evidence.ports import LogHead, OutboxRow

#: Sequenced rows with start <= index < end.
FetchRows = Callable[[int, int], Sequence[OutboxRow]]
#: Rows handled at once: bounds memory while a directory catches up (16 full bundles).
ROWS_AT_ONCE: Final = 16 * TILE_WIDTH


def create_published_directory(directory: Path) -> None:
    """Make an empty published directory, durable on return.

    The sealer itself never makes one: a directory that is missing means a disk that is not mounted, and writing into its
    empty mount point would claim a copy that does not exist.
    """
    LogFolder(directory).create()


class PublishedDirectory:
    """A published directory that can be brought to a head.

    Args:
        directory: Where; a folder must exist (:func:`create_published_directory`).
        verifier: The log's verifier key.
    """

    def __init__(self, directory: Path | LogPlace, *, verifier: NoteVerifier) -> None:
        self.directory = directory
        self._place = place_of(directory)
        self._verifier = verifier
        self._note = b""
        self._tree: GrowingTree | None = None
        self._tail: list[bytes] = []

    @property
    def remote(self) -> bool:
        """Whether it lies on another machine, where every look is a request."""
        return self._place.remote

    def create(self) -> None:
        """Make the place, empty, when a log is opened."""
        self._place.create()

    def checkpoint(self) -> Checkpoint | None:
        """The published checkpoint with its signature checked; None when nothing was published yet.

        Raises:
            StoreUnavailableError: The directory is missing or cannot be read.
            EntryInvalidError: Not a checkpoint of this log.
            SignatureInvalidError: Not signed by this log.
        """
        note = self._read_note()
        return open_checkpoint(note, self._verifier) if note else None

    def check_not_ahead(self, head: LogHead) -> Checkpoint | None:
        """Return the published checkpoint unless it contradicts the database's head.

        Raises:
            LogRollbackError: It is larger than the head, or of its size with another root: the database was restored
                from a backup or belongs to another log. Nothing was written.
        """
        published = self.checkpoint()
        if published is not None:
            self.refuse_rollback(published, head)
        return published

    def refuse_rollback(self, published: Checkpoint, head: LogHead) -> None:
        """Return unless this checkpoint of the directory contradicts the head; LogRollbackError as :meth:`check_not_ahead`."""
        if published.size > head.size:
            raise LogRollbackError(
                f"{self.directory} has published {published.size} entries, the database knows {head.size}",
                kept="Nothing was written; the published log is intact.",
                todo="The database was restored from an older backup: run `liuhen rebuild` from the published log.",
            )
        if published.size == head.size and published.root != head.root:
            raise LogRollbackError(
                f"{self.directory} and the database disagree on the log of {head.size} entries",
                kept="Nothing was written.",
                todo="Compare both with a printed or witnessed checkpoint.",
            )

    def bring_to(self, head: LogHead, fetch: FetchRows) -> None:
        """Publish everything up to ``head``; does nothing when that is published already.

        Crash: before the checkpoint's rename readers see the old log and some files nobody refers to, which the next call
        writes again with the same bytes; after it they see the new one.

        Args:
            head: The database's head.
            fetch: Gives sequenced rows.

        Raises:
            StoreUnavailableError: The directory is missing or does not answer. StoreFullError: no space.
            LogRollbackError: The directory is ahead of ``head``.
            SplitViewError: Its tiles and the database are different logs. DigestMismatchError: a tile was altered.
            NotDurableError: Fatal.
        """
        if self._place.remote and self._tree is not None and self._note == head.note:
            return  # we wrote this very head; release and verification read it back, an idle second need not
        try:
            self._bring_to(head, fetch)
        except BaseException:
            self._tree = None  # what is on the disk is not known: read it again next time
            raise

    def tree_at(self, head: LogHead, fetch: FetchRows) -> GrowingTree:
        """A copy of the tree of ``head``, which :meth:`bring_to` has published.

        Raises:
            StoreUnavailableError: The directory is missing or does not answer. CustodyError: ``head`` is not published.
        """
        tree = self._load(self.check_not_ahead(head), fetch)
        if (tree.size, tree.root()) != (head.size, head.root):
            raise CustodyError(f"{self.directory} does not hold the head of {head.size} entries")
        return tree.copy()

    def _bring_to(self, head: LogHead, fetch: FetchRows) -> None:
        published = self.check_not_ahead(head)
        mounted = self._place.identity()
        tree = self._load(published, fetch)
        if published is not None and published.size == head.size == tree.size:
            return
        full: list[Tile] = []
        while tree.size < head.size:
            rows = checked_rows(fetch, tree.size, min(tree.size + ROWS_AT_ONCE, head.size))
            full += self._write_full(tree, rows)
        if tree.root() != head.root:
            raise SplitViewError(
                f"{self.directory} does not lead to the database's head of {head.size} entries",
                kept="The published checkpoint was left as it was.",
                todo="Run `liuhen verify`; keep the directory as it is.",
            )
        self._write_partials(tree)
        self._require_same_disk(mounted)  # a checkpoint must not stand where its tiles do not
        if published is None or published.size < head.size:
            self._place.publish(CHECKPOINT_NAME, head.note)
        self._require_same_disk(mounted)
        self._note = self._read_note()
        for tile in full:
            self._sweep(tile.level, tile.index)

    def _require_same_disk(self, mounted: Hashable) -> None:
        if self._place.identity() != mounted:  # unmounted meanwhile: what we wrote last may stand on another disk
            raise StoreUnavailableError(f"the disk of {self.directory} went away while it was written")

    def _read_note(self) -> bytes:
        self._place.identity()  # a place that is missing has not published nothing: it is not there
        try:
            note = self._place.read(CHECKPOINT_NAME, limit_bytes=NOTE_BYTES_MAX)
        except NotFoundError:
            return b""
        if not note:
            raise EntryInvalidError(f"the checkpoint in {self.directory} is empty")
        return note

    def _load(self, published: Checkpoint | None, fetch: FetchRows) -> GrowingTree:
        """The tree at the published checkpoint: from memory if the disk still says so, else from its edge, else anew."""
        if self._tree is not None and self._read_note() == self._note:
            return self._tree
        self._tree, self._tail, self._note = GrowingTree(), [], b""
        if published is None:
            return self._tree
        edge = self._load_edge(published)
        # An unreadable or wrong edge: start anew from the first row. Full tiles that differ are then reported, not mended.
        if edge is not None:
            self._tree = edge
            start = published.size - published.size % TILE_WIDTH
            rows = checked_rows(fetch, start, published.size)
            self._require_published(rows, edge, start)
            self._tail = [row.envelope for row in rows]
        self._sweep_after_crash(published.size)
        self._note = self._read_note()
        return self._tree

    def _require_published(self, rows: Sequence[OutboxRow], edge: GrowingTree, start: int) -> None:
        """The newest entries of the database are those that the signed checkpoint covers, so that signers go on after them."""
        newest = [leaf for tile in edge.partials() if tile.level == 0 for leaf in tile.hashes]
        if [row.leaf_sha256 for row in rows] != newest:
            raise DigestMismatchError(
                f"the database gives other entries from {start} on than {self.directory} has published",
                kept="Nothing was written.",
                todo="Run `liuhen verify`, then `liuhen rebuild`.",
            )

    def _load_edge(self, published: Checkpoint) -> GrowingTree | None:
        tiles = []
        for level, index, width in edge_of(published.size):
            try:
                data = self._place.read(path_of(level, index, width=width), limit_bytes=BUNDLE_BYTES_MAX)
                tiles.append(Tile(level, index, tuple(decode_tile(data, width=width))))
            except (NotFoundError, EntryInvalidError):
                return None
            except StoreUnavailableError:
                if self._place.remote:  # the server is away, its files are not: try again later
                    raise
                return None
        tree = GrowingTree.from_edge(published.size, tiles)
        return tree if tree.root() == published.root else None

    def _write_full(self, tree: GrowingTree, rows: Sequence[OutboxRow]) -> list[Tile]:
        first = tree.size // TILE_WIDTH
        full = tree.append([row.leaf_sha256 for row in rows])
        self._tail.extend(row.envelope for row in rows)
        files = [(tile.path, tile.encode()) for tile in full]
        for number in range(len(self._tail) // TILE_WIDTH):
            entries = self._tail[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
            files.append((path_of(ENTRIES, first + number), encode_bundle(entries)))
        del self._tail[: len(self._tail) // TILE_WIDTH * TILE_WIDTH]
        for path, data in files:
            self._refuse_other_bytes(path, data)
        self._place.publish_many(files)
        return full

    def _refuse_other_bytes(self, path: str, data: bytes) -> None:
        """A full tile never changes (promise 4): one that stands there from before a crash has the same bytes."""
        with contextlib.suppress(NotFoundError):
            if self._place.read(path, limit_bytes=BUNDLE_BYTES_MAX) != data:
                raise DigestMismatchError(
                    f"{path} in {self.directory} exists with other bytes; nothing was overwritten",
                    todo="Run `liuhen verify`; keep the directory as it is.",
                )

    def _write_partials(self, tree: GrowingTree) -> None:
        files = [(tile.path, tile.encode()) for tile in tree.partials()]
        if self._tail:
            path = path_of(ENTRIES, tree.size // TILE_WIDTH, width=len(self._tail))
            files.append((path, encode_bundle(self._tail)))
        self._place.publish_many(files)

    def _sweep(self, level: int, index: int) -> None:
        """Remove partial versions of a tile whose full one is published. Best effort: a left-over is only untidy."""
        for kind in (level, ENTRIES) if level == 0 else (level,):
            self._place.remove_partials(partial_dir(kind, index))

    def _sweep_after_crash(self, size: int) -> None:
        """Remove what a crash between two steps can leave: partial tiles beside full ones, and temporary files."""
        folders = {""}
        level, index = 0, size // TILE_WIDTH
        while True:  # the tile that was being filled at each level
            for kind in (level, ENTRIES) if level == 0 else (level,):
                folders |= {partial_dir(kind, index), path_of(kind, index).rpartition("/")[0]}
            if not index:
                break
            self._sweep(level, index - 1)
            level, index = level + 1, index // TILE_WIDTH
        self._place.remove_temporary(sorted(folders))


def checked_rows(fetch: FetchRows, start: int, end: int) -> Sequence[OutboxRow]:
    """The rows start <= index < end, when they are what the database promised: all of them, each with its own leaf.

    Raises:
        CustodyError: Rows are missing or out of order.
        DigestMismatchError: A row was altered in the database.
    """
    rows = fetch(start, end)
    if [row.index for row in rows] != list(range(start, end)):
        raise CustodyError(
            f"the database does not give all of the entries {start} to {end - 1}",
            kept="What was published before stays.",
            todo="Sequenced entries were removed from the database: run `liuhen verify`, then `liuhen rebuild`.",
        )
    for row in rows:
        if leaf_hash(row.envelope) != row.leaf_sha256:
            raise DigestMismatchError(f"entry {row.index} was altered in the database", todo="Run `liuhen verify`.")
    return rows
