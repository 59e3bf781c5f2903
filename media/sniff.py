"""What a file is by its first bytes, whatever its name says. Pure reading of at most 64 KiB; opens no parser.

The answer decides which demuxer may look at the file at all, and whether a name lies.

Source: ISO/IEC 14496-12 section 4; ISO/IEC 13818-1; RFC 8794; RFC 3533; RFC 8216; file(1) magic for the rest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from evidence.errors import MediaError
from evidence.model import RecordingKind

HEAD_BYTES: Final = 65_536

_PREFIXES: Final = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"#!AMR", "amr"),
    (b"ID3", "mp3"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"#EXTM3U", "playlist"),
    (b"ffconcat version", "playlist"),
    (b"[playlist]", "playlist"),
    (b"PK\x03\x04", "archive"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"%PDF-", "document"),
    (b"\xd0\xcf\x11\xe0", "document"),
    (b"\x7fELF", "program"),
)
_RIFF: Final = {b"AVI ": "avi", b"WAVE": "wav", b"WEBP": "webp"}
_MP4_FIRST: Final = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx", b"moof"}
)
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif"})

AV_CONTENT: Final = frozenset({
    "mp4", "avi", "mpegts", "mpeg", "matroska", "asf", "ogg", "wav", "mp3", "aac", "amr", "flac",
})  # fmt: skip
PICTURE_CONTENT: Final = frozenset({"jpeg", "png", "bmp", "gif", "webp", "heif"})
#: Content that is certainly something other than footage.
FOREIGN_CONTENT: Final = frozenset({"playlist", "archive", "document", "program", "text"})


def read_head(source: Path) -> bytes:
    """The first bytes of a file; MediaError when it cannot be read."""
    try:
        with source.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError(f"cannot read {source.name}: {os.strerror(error.errno or 0)}") from error


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes at 188 (plain) or 192 (with a 4-byte time stamp in front) for at least five packets."""
    for step, start in ((188, 0), (192, 4), (204, 0)):
        positions = range(start, min(len(head), start + 5 * step), step)
        if len(positions) == 5 and all(head[position] == 0x47 for position in positions):
            return True
    return False


def _looks_like_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head:
        return False
    control = sum(1 for byte in head[:4096] if byte < 0x20 and byte not in b"\t\r\n\x0c\x1a\x1b")
    return control == 0 and _decodes(head)


def _decodes(head: bytes) -> bool:
    for encoding in ("utf-8", "gb18030"):
        for cut in range(4):  # the head may end inside a character
            try:
                head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            return True
    return False


def _mpeg_audio(head: bytes) -> str:
    """ADTS or MPEG audio frame header, confirmed by a second frame for ADTS."""
    if len(head) < 8 or head[0] != 0xFF:
        return ""
    if head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return "aac" if 7 < length < len(head) - 1 and head[length] == 0xFF else ""
    if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] & 0xF0 not in (0, 0xF0):
        return "mp3"
    return ""


def _by_prefix(head: bytes) -> str:
    for prefix, content in _PREFIXES:
        if head.startswith(prefix):
            return content
    return _RIFF.get(head[8:12], "") if head[:4] == b"RIFF" else ""


def _by_structure(head: bytes) -> str:
    if head[4:8] in _MP4_FIRST:
        return "heif" if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS else "mp4"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return "mpegts" if _is_transport_stream(head) else _mpeg_audio(head)


def sniff(head: bytes) -> str:
    """Name what the bytes are: a member of the three sets above, ``empty``, ``zeros`` or ``unknown``."""
    if not head:
        return "empty"
    if not head.strip(b"\0"):
        return "zeros"
    return _by_prefix(head) or _by_structure(head) or ("text" if _looks_like_text(head) else "unknown")


def kind_of(content: str) -> RecordingKind:
    """The kind a content suggests before it was probed (containers may hold sound only)."""
    if content in PICTURE_CONTENT:
        return RecordingKind.PHOTO
    if content in {"ogg", "wav", "mp3", "aac", "amr", "flac"}:
        return RecordingKind.AUDIO
    if content in AV_CONTENT:
        return RecordingKind.VIDEO
    return RecordingKind.TEXT if content == "text" else RecordingKind.UNKNOWN
