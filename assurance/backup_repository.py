"""Backups at one target: begin one, put pieces, finish it with its manifest, list, read, examine, and let old ones go.

    liuhen-backup.json        marker: format, whose backups these are, how the key is wrapped (written first)
    pieces/ab/<64 hex>        packed and perhaps encrypted parts of files and of the database, shared between backups
    backups/<id>              one manifest each, packed and perhaps encrypted like a piece (written last)

Everything that is written is read back from its medium and compared before a manifest names it; a piece that stands there
already is read and compared as well, and written again when it was damaged. Crash at any point: a backup without its manifest is
none; its pieces are found again by the next one, or removed when old backups go.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from assurance.backup import FORMAT, PIECE_BYTES_MAX, BackupManifest, Piece, checked_id, parse_manifest
from assurance.backup_places import BackupPlace
from assurance.backup_seal import Seal
from evidence.errors import (
    BlobLockedError,
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    IntegrityError,
    KeyUnavailableError,
    ManifestInvalidError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
    UsageError,
)

MARKER: Final = "liuhen-backup.json"
PIECES: Final = "pieces"
BACKUPS: Final = "backups"
#: Beyond the bytes themselves: nonce, tag, one byte for how they are packed.
_AROUND_BYTES: Final = 64
_MARKER_BYTES_MAX: Final = 64 << 10
_MANIFEST_BYTES_MAX: Final = 1 << 30
_WRITE_AT_ONCE: Final = 64
_WRITE_BYTES_AT_ONCE: Final = 16 << 20
#: Told after each piece: how many bytes of source it stood for.
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetMarker:
    """What a target says of itself in clear: whose backups lie there, and how their key is wrapped (None: no encryption)."""

    id: str
    origin: str
    key: dict[str, Any] | None

    def encode(self) -> bytes:
        """Its bytes."""
        told = {"format": FORMAT, "id": self.id, "origin": self.origin, "key": self.key}
        return json.dumps(told, indent=2, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n"


def read_marker(place: BackupPlace) -> TargetMarker | None:
    """The marker of a target; None where there is none.

    Raises:
        ManifestInvalidError: It cannot be read as one. StoreUnavailableError: the target is not there.
    """
    try:
        data = place.read(MARKER, limit_bytes=_MARKER_BYTES_MAX)
    except NotFoundError:
        return None
    try:
        told = json.loads(data)
        if told["format"] != FORMAT:
            raise ManifestInvalidError(f"the backups in {place.text} are of another format")
        marker = TargetMarker(id=str(told["id"]), origin=str(told["origin"]), key=told["key"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestInvalidError(f"{MARKER} in {place.text} was changed") from error
    if marker.key is not None and not isinstance(marker.key, dict):
        raise ManifestInvalidError(f"{MARKER} in {place.text} was changed")
    return marker


def write_marker(place: BackupPlace, marker: TargetMarker) -> None:
    """Make a target of a place without backups; durable and read back on return.

    Raises:
        ConfigError: Something lies there already.
    """
    if any(True for folder in (PIECES, BACKUPS) for _ in place.paths(folder)):
        raise ConfigError(
            f"{place.text} holds backups, but not their {MARKER}", kept="Nothing was written there.",
            todo="Put that file back, or use another folder.",
        )  # fmt: skip
    place.write([(MARKER, marker.encode())])
    if read_marker(place) != marker:
        raise DigestMismatchError(f"{place.text} gives back other bytes than were written")


@dataclass(frozen=True, slots=True)
class Listed:
    """One backup of a target; ``manifest`` is None where it cannot be read, and ``trouble`` says why."""

    id: str
    manifest: BackupManifest | None
    trouble: str = ""


@dataclass(slots=True)
class Examined:
    """What an examination of one backup found: pieces that are missing, changed, or could not be read."""

    pieces: int = 0
    size_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything is there and matches."""
        return not (self.missing or self.damaged or self.unread)


@dataclass(slots=True)
class Pruned:
    """What went: backups, pieces nobody needs; ``locked`` could not go, ``kept_because`` says why pieces were left."""

    backups: list[str] = field(default_factory=list)
    pieces: int = 0
    locked: int = 0
    kept_because: str = ""


class BackupRepository:
    """Backups at one target. One writer at a time (``place.held``).

    Args:
        place: The target.
        seal: Its key.
    """

    def __init__(self, place: BackupPlace, seal: Seal) -> None:
        self.place = place
        self._seal = seal

    # --- reading ------------------------------------------------------------------------------------------------------
    def ids(self) -> list[str]:
        """Names of the backups, in descending order; other files are ignored."""
        found = []
        for path in self.place.paths(BACKUPS):
            try:
                found.append(checked_id(path.removeprefix(f"{BACKUPS}/")))
            except UsageError:
                continue
        return sorted(found, reverse=True)

    def manifest(self, backup: str) -> BackupManifest:
        """One backup's manifest.

        Raises:
            NotFoundError: No such backup. DigestMismatchError, ManifestInvalidError: it was changed.
        """
        return parse_manifest(self._opened(checked_id(backup))[0])

    def manifest_sha256(self, backup: str) -> str:
        """SHA-256 (hex) of a manifest as it stands on the medium, as ``backup.made`` tells it; errors as :meth:`manifest`."""
        return hashlib.sha256(self._opened(checked_id(backup))[1]).hexdigest()

    def _opened(self, backup: str) -> tuple[bytes, bytes]:
        path = f"{BACKUPS}/{backup}"
        sealed = self.place.read(path, limit_bytes=_MANIFEST_BYTES_MAX)
        data = self._seal.open(sealed, bound=path, limit_bytes=_MANIFEST_BYTES_MAX)
        digest, body = data[:32], data[32:]
        # Without encryption nothing else would notice a changed manifest.
        if hashlib.sha256(body).digest() != digest:
            raise DigestMismatchError(f"the manifest of backup {backup} was changed")
        if parse_manifest(body).id != backup:
            raise ManifestInvalidError(f"the manifest of backup {backup} is another one's")
        return body, sealed

    def listed(self) -> list[Listed]:
        """Every backup, newest first, those with an unreadable manifest too.

        The newest is the one with the longest log: a log only grows, a clock may have been wrong.

        Raises:
            StoreUnavailableError: The target does not answer.
        """
        found: list[tuple[int, Listed]] = []
        size = 0
        for backup in reversed(self.ids()):
            try:
                one = Listed(backup, self.manifest(backup))
            except StoreUnavailableError:
                raise
            except EvidenceError as error:
                one = Listed(backup, None, error.what)
            size = one.manifest.log_size if one.manifest is not None else size
            found.append((size, one))
        return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    def read_piece(self, piece: Piece) -> bytes:
        """The bytes of a piece.

        Raises:
            NotFoundError: It is missing. DigestMismatchError: it was changed. StoreError: it cannot be read.
        """
        sealed = self.place.read(_path(piece.name), limit_bytes=PIECE_BYTES_MAX + _AROUND_BYTES)
        data = self._seal.open_piece(sealed, piece.name, limit_bytes=PIECE_BYTES_MAX)
        if len(data) != piece.size_bytes:
            raise DigestMismatchError(f"piece {piece.name} in the backup was changed")
        return data

    def read(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        """The bytes of pieces in order; IntegrityError when one is missing, else as :meth:`read_piece`."""
        for piece in pieces:
            try:
                yield self.read_piece(piece)
            except NotFoundError as error:
                raise IntegrityError(
                    f"piece {piece.name} is missing in {self.place.text}", todo="Restore the backup before this one."
                ) from error

    def examine(self, manifest: BackupManifest, told: Told = lambda _size: None) -> Examined:
        """Read every piece of a backup and compare it with its name.

        Raises:
            StoreUnavailableError: The target does not answer: nothing is known.
        """
        found, seen = Examined(), set[str]()
        for piece in manifest.pieces():
            if piece.name in seen:
                continue
            seen.add(piece.name)
            found.pieces += 1
            found.size_bytes += piece.size_bytes
            try:
                self.read_piece(piece)
            except NotFoundError:
                found.missing.append(piece.name)
            except IntegrityError:
                found.damaged.append(piece.name)
            except StoreUnavailableError:
                raise
            except EvidenceError as error:
                found.unread.append(f"{piece.name}: {error.what}")
            told(piece.size_bytes)
        return found

    # --- writing ------------------------------------------------------------------------------------------------------
    def writer(self) -> PieceWriter:
        """Begin a backup."""
        return PieceWriter(self.place, self._seal)

    def finish(self, manifest: BackupManifest) -> str:
        """Write the manifest, last of all, and read it back. Returns its SHA-256 (as it stands on the medium).

        Every piece must have been written by :meth:`writer`, whose ``close`` has returned.
        """
        path, body = f"{BACKUPS}/{manifest.id}", manifest.encode()
        self.place.write([(path, self._seal.close(hashlib.sha256(body).digest() + body, bound=path))])
        again, sealed = self._opened(manifest.id)
        if again != body:
            raise DigestMismatchError(f"{self.place.text} gives back another manifest than was written")
        return hashlib.sha256(sealed).hexdigest()

    def require_pieces(self, manifest: BackupManifest) -> None:
        """Return when every piece of a finished backup is still there: somebody else may have let pieces go meanwhile.

        Raises:
            IntegrityError: One is not; the backup does not count, and its manifest is removed if the medium lets it.
        """
        there = {path.rpartition("/")[2] for path in self.place.paths(PIECES)}
        if all(piece.name in there for piece in manifest.pieces()):
            return
        with contextlib.suppress(BlobLockedError):
            self.place.remove(f"{BACKUPS}/{manifest.id}")
        raise IntegrityError(
            f"pieces of the backup vanished from {self.place.text} while it was made", kept="Earlier backups stand.",
            todo="Give every home a folder, or prefix, of its own, and let nothing else remove files there.",
        )  # fmt: skip

    # --- letting go ---------------------------------------------------------------------------------------------------
    def prune(self, *, keep: int, good: str) -> Pruned:
        """Let all but the newest ``keep`` backups go, then the pieces that nobody needs any more.

        ``good``, the backup that was just read back, never goes. A backup whose manifest cannot be read does not count; while it
        is newer than the oldest that stays, no piece goes, because it may need it. What the medium refuses to remove stays
        whole.
        """
        done, found = Pruned(), self.listed()
        readable = [one for one in found if one.manifest is not None]
        stay = {one.id for one in readable[: max(1, keep)]} | {good}
        last = max(at for at, one in enumerate(found) if one.id in stay)
        needed, blind = set[str](), 0
        for at, one in enumerate(found):
            if one.id in stay or (one.manifest is None and at < last):
                blind += one.manifest is None
            else:
                try:
                    self.place.remove(f"{BACKUPS}/{one.id}")
                    done.backups.append(one.id)
                    continue
                except BlobLockedError:
                    done.locked += 1
                    blind += one.manifest is None
            if one.manifest is not None:
                needed |= {piece.name for piece in one.manifest.pieces()}
        if blind:
            done.kept_because = "a backup's manifest cannot be read: the pieces it may need were left"
            return done
        for path in list(self.place.paths(PIECES)):
            if path.rpartition("/")[2] not in needed:
                try:
                    self.place.remove(path)
                    done.pieces += 1
                except BlobLockedError:
                    done.locked += 1
        return done


def _path(name: str) -> str:
    return f"{PIECES}/{name[:2]}/{name}"


class PieceWriter:
    """Puts the pieces of one backup: those that stand already are read and compared, the others written and read back.

    Args:
        place: The target.
        seal: Its key.
    """

    def __init__(self, place: BackupPlace, seal: Seal) -> None:
        self._place = place
        self._seal = seal
        self._there = {path.rpartition("/")[2] for path in place.paths(PIECES)}
        self._done: set[str] = set()
        self._waiting: dict[str, bytes] = {}
        #: Bytes of source that were written anew, and how many pieces.
        self.written_bytes = 0
        self.written = 0

    def put(self, data: bytes) -> Piece:
        """Take one piece; it is durable and read back when :meth:`close` returns."""
        name = self._seal.name_of(data)
        piece = Piece(name, len(data))
        if name in self._done or name in self._waiting:
            return piece
        if name in self._there and self._matches(name, data):
            self._done.add(name)
            return piece
        self._waiting[name] = data
        self.written += 1
        self.written_bytes += len(data)
        large = sum(map(len, self._waiting.values())) >= _WRITE_BYTES_AT_ONCE
        if len(self._waiting) >= _WRITE_AT_ONCE or large:
            self.close()
        return piece

    def close(self) -> None:
        """Write what waits and read it back.

        Raises:
            StoreFullError: No room. StoreUnavailableError: the target went away.
            DigestMismatchError: The medium gives back other bytes than were written.
        """
        self._place.write([(_path(name), self._seal.close(data, bound=name)) for name, data in self._waiting.items()])
        for name, data in self._waiting.items():
            if not self._matches(name, data):
                raise DigestMismatchError(
                    f"{self._place.text} gives back other bytes than were written", kept="Earlier backups stand.",
                    todo="Use another disk for backups.",
                )  # fmt: skip
        self._done |= self._waiting.keys()
        self._waiting = {}

    def _matches(self, name: str, data: bytes) -> bool:
        """Whether the medium gives these bytes; a part of it that cannot be read is damage like any other."""
        try:
            sealed = self._place.read(_path(name), limit_bytes=PIECE_BYTES_MAX + _AROUND_BYTES)
            return self._seal.open_piece(sealed, name, limit_bytes=PIECE_BYTES_MAX) == data
        except StoreUnavailableError:
            raise
        except (NotFoundError, IntegrityError, StoreError):
            return False


def require_key(marker: TargetMarker, opened: bytes | None) -> Seal:
    """The seal of a target whose key was unwrapped; KeyUnavailableError when it is encrypted and no key was given."""
    if marker.key is not None and opened is None:
        raise KeyUnavailableError(
            "these backups are encrypted", todo="Give --passphrase-file FILE or --identity FILE."
        )  # fmt: skip
    return Seal(opened if marker.key is not None else None)
