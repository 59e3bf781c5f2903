"""What a backup is: its name, its manifest, and how a stream is cut into pieces that later backups share. Pure: no I/O.

A backup is complete by its manifest: a list of pieces, each named by a digest of its bytes. Pieces are shared between backups, so
that a second one of an unchanged home writes nothing but a manifest. Where a stream is cut depends on its lines alone, so a row
that is added in the middle changes one piece and not all behind it.

Source: docs/formats/backup.md.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from evidence import canonical
from evidence.clock import from_text, to_text
from evidence.errors import EvidenceError, InvalidInputError, ManifestInvalidError

FORMAT: Final = "liuhen_backup_1"
#: A piece is at least so large (unless its table or file ends), at most so large, and 1 MiB on average.
PIECE_BYTES_MIN: Final = 256 << 10
PIECE_BYTES_MAX: Final = 4 << 20
_CUT_MASK: Final = 0x3FF
_ID = re.compile(r"[0-9]{8}T[0-9]{9}Z-[0-9a-f]{8}")
_NAME = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[^\x00/][^\x00]{0,1000}")


def new_id(at: datetime) -> str:
    """A name for a backup that is begun now; names sort by time. ``20261126T224500123Z-1f2e3d4c``."""
    return f"{''.join(sign for sign in to_text(at) if sign not in '-:.')}-{secrets.token_hex(4)}"


def checked_id(untrusted: str) -> str:
    """A backup's name; InvalidInputError for anything else."""
    if not _ID.fullmatch(untrusted):
        raise InvalidInputError(f"not the name of a backup: {untrusted[:64]!r}")
    return untrusted


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file or of the database: its name in the backup, and how many bytes it stands for."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpFile:
    """One file: where it belongs below the home, its digest, its pieces in order.

    ``outside`` is the absolute path of a file that did not lie in the home (the master key).
    """

    path: str
    mode: int
    size_bytes: int
    sha256: str
    pieces: tuple[Piece, ...]
    outside: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreNote:
    """A store whose disk or bucket a restore will want to see: its name, its kind and where it was."""

    name: str
    kind: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """Everything that one backup holds.

    Attributes:
        id: Its name.
        made_at: When the database was looked at.
        station: Name of the station.
        origin: Name of the custody log.
        vkey: The log's verifier key text: whose log this is.
        program: Version of the program.
        engine: Where the rows came from, ``sqlite`` or ``postgresql``.
        revision: Version of the schema.
        rows: How many rows each table had.
        log_size: Size of the log that the rows know.
        log_root: Its root (hexadecimal).
        dump: The rows, as lines (``catalogue.dump``).
        dump_sha256: Digest of all lines.
        files: Settings, keys, the published log.
        stores: Where the footage lies; it is not in the backup.
        left_out: What else is not, in words.
    """

    id: str
    made_at: datetime
    station: str
    origin: str
    vkey: str
    program: str
    engine: str
    revision: str
    rows: dict[str, int]
    log_size: int
    log_root: str
    dump: tuple[Piece, ...]
    dump_sha256: str
    files: tuple[BackedUpFile, ...]
    stores: tuple[StoreNote, ...]
    left_out: tuple[str, ...] = ()

    def pieces(self) -> Iterator[Piece]:
        """Every piece that this backup needs."""
        yield from self.dump
        for file in self.files:
            yield from file.pieces

    @property
    def size_bytes(self) -> int:
        """Bytes of everything that it holds."""
        return sum(piece.size_bytes for piece in self.pieces())

    def encode(self) -> bytes:
        """Its one byte form."""
        told = {"format": FORMAT, **dataclasses.asdict(self), "made_at": to_text(self.made_at)}
        return canonical.dumps(told)


def parse_manifest(untrusted: bytes) -> BackupManifest:
    """Read a manifest.

    Raises:
        ManifestInvalidError: It is none, or names a path that would lie outside of the home.
    """
    try:
        told = canonical.loads(untrusted)
        if told.pop("format") != FORMAT:
            raise ManifestInvalidError("not a backup of this format", todo="Use the program's version that made it.")
        manifest = BackupManifest(
            **{
                **told,
                "id": checked_id(told["id"]),
                "made_at": from_text(told["made_at"]),
                "dump": _pieces(told["dump"]),
                "files": tuple(_file(one) for one in told["files"]),
                "stores": tuple(StoreNote(**one) for one in told["stores"]),
                "left_out": tuple(told["left_out"]),
            }
        )
    except ManifestInvalidError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, EvidenceError) as error:
        raise ManifestInvalidError("a backup's manifest cannot be read", todo="Use another backup.") from error
    return manifest


def _pieces(told: Any) -> tuple[Piece, ...]:
    pieces = tuple(Piece(one["name"], one["size_bytes"]) for one in told)
    for piece in pieces:
        if not _NAME.fullmatch(piece.name) or not 0 <= piece.size_bytes <= PIECE_BYTES_MAX:
            raise ManifestInvalidError("a backup's manifest names a piece that cannot be")
    return pieces


def _file(told: dict[str, Any]) -> BackedUpFile:
    if not _PATH.fullmatch(told["path"]) or not 0 <= told["mode"] <= 0o777:
        raise ManifestInvalidError("a backup's manifest names a path outside of the home")
    return BackedUpFile(**{**told, "pieces": _pieces(told["pieces"])})


def cut_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Cut lines into pieces; a line that begins a table begins a piece."""
    piece = bytearray()
    for line in lines:
        if piece and (line.startswith(b"{") or len(piece) + len(line) > PIECE_BYTES_MAX):
            yield bytes(piece)
            piece.clear()
        if len(line) > PIECE_BYTES_MAX:  # no row of ours: cut it like a file
            yield from cut_file(line)
            continue
        piece += line
        if len(piece) >= PIECE_BYTES_MIN and zlib.crc32(line) & _CUT_MASK == 0:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def cut_file(data: bytes) -> Iterator[bytes]:
    """Cut a file into pieces of the largest size; nothing for an empty one."""
    for start in range(0, len(data), PIECE_BYTES_MAX):
        yield data[start : start + PIECE_BYTES_MAX]


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines again, each with its end."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest
