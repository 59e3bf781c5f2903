"""What an uploaded document is, told by its content and never by its name.

A dossier takes PDF, scans (JPEG, PNG, TIFF), office files (DOC(X), XLS(X), PPT(X), WPS, OFD, ODF) and plain text. Everything else
is refused with what it looks like; nothing is opened further than its first bytes and, for containers, its list of names.

Source: RULES R13, R15; ISO 32000 7.5.2 (PDF), GB/T 33190 (OFD), [MS-CFB] (compound files), ECMA-376 part 2 (OOXML).
"""

from __future__ import annotations

import codecs
import io
import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final, cast

from documents.glyphs import showable
from evidence.errors import InvalidInputError, LimitExceededError

#: One treated copy of footage: hours of it in one file.
MEDIA_BYTES_MAX: Final = 16 << 30
#: One document of a dossier. A scanned volume of some hundred pages is below it; video belongs to the recorders' way in.
DOCUMENT_BYTES_MAX: Final = 512 << 20
_HEAD_BYTES: Final = 4096
_TAIL_BYTES: Final = 2048
#: Names looked at in a container: real office files have some hundred.
_MEMBERS_MAX: Final = 20_000
#: Bytes of that list: a crafted one of hundreds of megabytes would take gigabytes of memory.
_DIRECTORY_BYTES_MAX: Final = 4 << 20


class Kind(Enum):
    """What the bytes are. The value is the usual suffix."""

    PDF = "pdf"
    JPEG = "jpg"
    PNG = "png"
    TIFF = "tif"
    OFD = "ofd"
    DOC = "doc"
    XLS = "xls"
    PPT = "ppt"
    WPS = "wps"
    DOCX = "docx"
    XLSX = "xlsx"
    PPTX = "pptx"
    ODF = "odf"
    TEXT = "txt"
    GIF = "gif"
    BMP = "bmp"
    WEBP = "webp"
    HEIC = "heic"
    ZIP = "zip"
    RAR = "rar"
    SEVEN_ZIP = "7z"
    GZIP = "gz"
    MP4 = "mp4"
    AVI = "avi"
    WAV = "wav"
    MP3 = "mp3"
    PROGRAM = "exe"
    HTML = "html"
    COMPOUND = "ole"
    EMPTY = "empty"
    UNKNOWN = "bin"


#: Kinds a dossier keeps.
DOCUMENT_KINDS: Final = frozenset(
    {
        Kind.PDF, Kind.JPEG, Kind.PNG, Kind.TIFF, Kind.OFD, Kind.DOC, Kind.XLS, Kind.PPT, Kind.WPS, Kind.DOCX, Kind.XLSX,
        Kind.PPTX, Kind.ODF, Kind.TEXT,
    }
)  # fmt: skip
#: Kinds of a treated copy of footage (R21): what browsers play and show.
MEDIA_KINDS: Final = frozenset({Kind.MP4, Kind.WAV, Kind.MP3, Kind.JPEG, Kind.PNG})
#: Kinds that can be a scan of a signed paper.
SCAN_KINDS: Final = frozenset({Kind.PDF, Kind.JPEG, Kind.PNG, Kind.TIFF, Kind.OFD})

MIME_TYPES: Final[dict[Kind, str]] = {
    Kind.PDF: "application/pdf",
    Kind.JPEG: "image/jpeg",
    Kind.PNG: "image/png",
    Kind.TIFF: "image/tiff",
    Kind.OFD: "application/ofd",
    Kind.DOC: "application/msword",
    Kind.XLS: "application/vnd.ms-excel",
    Kind.PPT: "application/vnd.ms-powerpoint",
    Kind.WPS: "application/vnd.ms-works",
    Kind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Kind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Kind.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    Kind.ODF: "application/vnd.oasis.opendocument",
    Kind.TEXT: "text/plain",
    Kind.MP4: "video/mp4",
    Kind.WAV: "audio/wav",
    Kind.MP3: "audio/mpeg",
}
_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.COMPOUND),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"Rar!\x1a\x07", Kind.RAR),
    (b"7z\xbc\xaf\x27\x1c", Kind.SEVEN_ZIP),
    (b"\x1f\x8b", Kind.GZIP),
    (b"MZ", Kind.PROGRAM),
    (b"\x7fELF", Kind.PROGRAM),
    (b"#!", Kind.PROGRAM),
    (b"BM", Kind.BMP),
    (b"ID3", Kind.MP3),
    (b"\xff\xfb", Kind.MP3),
)
_RIFF: Final = {b"WEBP": Kind.WEBP, b"AVI ": Kind.AVI, b"WAVE": Kind.WAV}
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif"})
_COMPOUND_STREAMS: Final = (  # names of streams in a compound file's directory, UTF-16
    ("WordDocument", Kind.DOC),
    ("Workbook", Kind.XLS),
    ("Book", Kind.XLS),
    ("PowerPoint Document", Kind.PPT),
    ("WpsDocument", Kind.WPS),
    ("ET Document", Kind.WPS),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a document turned out to be: kind, length in bytes, MIME type to serve it under."""

    kind: Kind
    size_bytes: int
    mime_type: str


def _is_text(head: bytes, *, whole: bool) -> bool:
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    for encoding in ("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "gb18030"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
        except UnicodeDecodeError:
            continue
        return not any(ord(character) < 32 and character not in "\t\n\r\f\x1a" for character in text)
    return False


def kind_of(head: bytes, *, whole: bool = False) -> Kind:  # noqa: PLR0911 - one answer a kind
    """The kind told by the first bytes alone; containers come out as ``ZIP`` or ``COMPOUND``. ``whole``: these are all bytes."""
    if not head:
        return Kind.EMPTY
    if b"%PDF-" in head[:1024]:
        return Kind.PDF
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], Kind.UNKNOWN)
    if head[4:8] == b"ftyp":
        return Kind.HEIC if head[8:12] in _HEIF_BRANDS else Kind.MP4
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<svg", b"<script")):
        return Kind.HTML
    return Kind.TEXT if _is_text(head, whole=whole) else Kind.UNKNOWN


class _Bounded(io.RawIOBase):
    """A file of which nothing large is read at once: the reader of ZIP files takes a whole list of names into memory."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size > _DIRECTORY_BYTES_MAX:
            raise zipfile.BadZipFile("the list of names is too long for a document")
        return self._file.read(size if size >= 0 else _DIRECTORY_BYTES_MAX)


def _in_zip(file: BinaryIO) -> Kind:
    try:
        with zipfile.ZipFile(cast("BinaryIO", _Bounded(file))) as container:
            names = {info.filename for info in container.infolist()[:_MEMBERS_MAX]}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, OverflowError):
        return Kind.UNKNOWN
    if "OFD.xml" in names:
        return Kind.OFD
    if "[Content_Types].xml" in names:
        for folder, kind in (("word/", Kind.DOCX), ("xl/", Kind.XLSX), ("ppt/", Kind.PPTX)):
            if any(name.startswith(folder) for name in names):
                return kind
    if {"mimetype", "META-INF/manifest.xml"} <= names:
        return Kind.ODF
    return Kind.ZIP


def _in_compound(file: BinaryIO) -> Kind:
    file.seek(0)
    content = file.read(8 << 20)
    for stream, kind in _COMPOUND_STREAMS:
        if stream.encode("utf-16-le") + b"\x00\x00" in content:
            return kind
    return Kind.COMPOUND


def _looks(kind: Kind) -> str:
    return {
        Kind.EMPTY: "it is empty",
        Kind.UNKNOWN: "its content is of no known kind",
        Kind.PROGRAM: "it is a program",
        Kind.HTML: "it is a web page",
        Kind.ZIP: "it is a ZIP archive",
        Kind.COMPOUND: "it is a compound file without a document",
    }.get(kind, f"by its content it is {kind.name.replace('_', ' ')}")


def examine(
    path: Path, *, claimed_name: str = "", allowed: frozenset[Kind] = DOCUMENT_KINDS, bytes_max: int = 0
) -> Found:  # fmt: skip
    """Say what a document is, or refuse it.

    Args:
        path: The uploaded bytes.
        claimed_name: The name it came with; only used in the message.
        allowed: What the field takes (:data:`SCAN_KINDS` for a signed scan).
        bytes_max: Largest; :data:`DOCUMENT_BYTES_MAX` by default.

    Raises:
        InvalidInputError: It is not of an allowed kind, or it is cut short (a PDF without its end); says what it looks like.
        LimitExceededError: Larger than ``bytes_max``.
    """
    name = showable(claimed_name)[:120] or "the file"
    bytes_max = bytes_max or DOCUMENT_BYTES_MAX
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size > bytes_max:
                raise LimitExceededError(
                    f"{name} has {size} bytes; a document has at most {bytes_max}", kept="Nothing was filed.",
                    todo="Split the scan, or bring footage in as footage.",
                )  # fmt: skip
            kind = _kind(file, size)
            cut = kind is Kind.PDF and not _ends(file, size)
    except OSError as error:
        raise InvalidInputError(f"{name} cannot be read: {error.strerror}", kept="Nothing was filed.") from error
    if cut:
        raise InvalidInputError(
            f"{name} begins as a PDF and does not end as one: it is cut short", kept="Nothing was filed.",
            todo="Save or scan it again and file the whole document.",
        )  # fmt: skip
    if kind not in allowed:
        wanted = ", ".join(sorted(each.name for each in allowed))
        raise InvalidInputError(
            f"{name} cannot be filed here: {_looks(kind)}",
            kept="Nothing was filed.",
            todo=f"Bring it as one of {wanted}.",
        )
    return Found(kind, size, MIME_TYPES[kind])


def _kind(file: BinaryIO, size: int) -> Kind:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    kind = kind_of(head, whole=size <= _HEAD_BYTES)
    if kind is Kind.ZIP:
        return _in_zip(file)
    return _in_compound(file) if kind is Kind.COMPOUND else kind


def _ends(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - _TAIL_BYTES))
    return b"%%EOF" in file.read()
