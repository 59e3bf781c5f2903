"""What a recorder's file name says: officer, device, time, counter, marks. A table, not a parser per vendor.

The name is a hint, never proof: whatever it says is bound to a person later, with a confidence, and a person can correct it.
Names that no row knows are taken in like any other, with an empty pattern (a flag, not an error).

The table is documented, with the same examples, in docs/formats/file-names.md; a test keeps the two equal.

Source: public code and firmware of recorders (letters A to J are ours); docs/formats/file-names.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from evidence.clock import BUREAU_ZONE
from evidence.model import ParsedName, RecordingKind

_KINDS: Final = {
    RecordingKind.VIDEO: "mp4 avi wmv mov flv mkv 3gp 3g2 ts mts m2ts mpg mpeg m4v asf webm lrv h264 h265 dav",
    RecordingKind.AUDIO: "mp3 m4a wav aac amr ogg oga opus flac wma",
    RecordingKind.PHOTO: "jpg jpeg png bmp heic heif webp tif tiff thm",
    RecordingKind.TRACK: "gps gpx nmea kml",
    RecordingKind.TEXT: "txt log srt xml json csv vtt ini",
}
_KIND_OF: Final = {extension: kind for kind, names in _KINDS.items() for extension in names.split()}
_SIDE_FILES: Final = {RecordingKind.TEXT, RecordingKind.TRACK, RecordingKind.UNKNOWN}
_MEDIA: Final = {RecordingKind.VIDEO, RecordingKind.AUDIO, RecordingKind.UNKNOWN}

# The mark the officer set on the device: glued on by one firmware ("_0001IMP"), with an underscore by another ("_IMP").
_MARK: Final = re.compile(r"(?:_|(?<=[0-9]))(?:IMP|LOCK)$", re.IGNORECASE)
# Renamed when the recording stops.
_START: Final = re.compile(r"_start(?=_|[0-9]|$|IMP)", re.IGNORECASE)
_GPS: Final = re.compile(r"(?<![A-Za-z])_?GPS(?![A-Za-z])", re.IGNORECASE)
_IMPORTANT_FOLDERS: Final = {"important", "imp", "lock", "locked", "重点", "重点文件", "重要", "重要文件"}

_CODE: Final = r"[0-9A-Za-z-]{1,24}"
_OFFICER: Final = rf"(?P<officer>{_CODE})"
_DEVICE: Final = rf"(?P<device>{_CODE})"
_TYPE: Final = r"(?P<type>[0-9])"
_DATE: Final = r"(?P<date>[0-9]{8})"
_TIME: Final = r"(?P<time>[0-9]{6})"
_STAMP: Final = r"(?P<date>[0-9]{8})(?P<time>[0-9]{6})"
_COUNTER: Final = r"(?P<counter>[0-9]{3,9})"

_DCF_FOLDER: Final = re.compile(r"[0-9]{3}(?=.*[A-Za-z])[0-9A-Za-z_]{5}")
_FOLDER_CODE: Final = re.compile(r"(?=.*[0-9])[0-9A-Za-z-]{1,24}")
_FOLDER_DATE: Final = re.compile(r"[0-9]{8}")
_SESSION_FOLDER: Final = re.compile(
    rf"(?P<officer>{_CODE})_(?P<device>{_CODE})_(?P<date>[0-9]{{8}})_(?P<time>[0-9]{{6}})"
)

Fields = dict[str, str]
FolderRule = Callable[[list[str], Fields], Fields | None]


def _no_folders(_folders: list[str], fields: Fields) -> Fields | None:
    return fields


def _device_officer_date(folders: list[str], fields: Fields) -> Fields:
    """Pattern C: the identity stands only in ``<device>/<officer>/<date>/``; without those folders there is none."""
    if len(folders) < 3 or not _FOLDER_DATE.fullmatch(folders[-1]):
        return fields
    device, officer = folders[-3], folders[-2]
    for folder in (device, officer):
        if not _FOLDER_CODE.fullmatch(folder) or _DCF_FOLDER.fullmatch(folder):
            return fields
    return {**fields, "device": device, "officer": officer}


def _session_folder(folders: list[str], fields: Fields) -> Fields | None:
    """Pattern I: the folder carries officer and device; a name of this form elsewhere is not pattern I."""
    match = _SESSION_FOLDER.fullmatch(folders[-1]) if folders else None
    return None if match is None else {**fields, "officer": match["officer"], "device": match["device"]}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row of the table.

    Attributes:
        letter: Its name in screens, entries and documents.
        form: The form in words, as documented.
        stem: What the name without extension and marks must be, whole.
        folders: What the folders above add; None when they contradict the row.
        utc: The times in the name are UTC, not the recorder's local time.
    """

    letter: str
    form: str
    stem: re.Pattern[str]
    folders: FolderRule = _no_folders
    utc: bool = False


def _row(letter: str, form: str, stem: str, folders: FolderRule = _no_folders) -> Pattern:
    return Pattern(letter, form, re.compile(stem), folders, utc=letter == "I")


#: Tried in this order; the first row that fits and holds a real date wins. H before F because ``DCAM`` would pass for a code;
#: A before B because both have four fields: exactly 7 digits then exactly 6 digits is device then officer (A), all other
#: widths are officer then device (B). A site whose officers have 7 digits and whose devices have 6 would be read as A.
PATTERNS: Final = (
    _row("H", "DCAM_<device>_<officer>_<date>_<time>", rf"DCAM_{_DEVICE}_{_OFFICER}_{_DATE}_{_TIME}"),
    _row(
        "A",
        "<device, 7 digits>_<officer, 6 digits>_<date time>_<counter>",
        rf"(?P<device>[0-9]{{7}})_(?P<officer>[0-9]{{6}})_{_STAMP}_{_COUNTER}",
    ),
    _row("B", "<officer>_<device>_<date time>_<counter>", rf"{_OFFICER}_{_DEVICE}_{_STAMP}_{_COUNTER}"),
    _row("C", "<device>/<officer>/<date>/<date time>_<counter>", rf"{_STAMP}_{_COUNTER}", _device_officer_date),
    _row("G", "<date>_<time>", rf"{_DATE}_{_TIME}"),
    _row(
        "I",
        "<officer>_<device>_<date>_<time>/<date>_<time>_<id>",
        rf"{_DATE}_{_TIME}_[0-9A-Za-z-]{{1,64}}",
        _session_folder,
    ),
    _row("D", "<officer>_<type>_<date>_<time>", rf"{_OFFICER}_{_TYPE}_{_DATE}_{_TIME}"),
    _row("E", "<case>_<officer>_<type>_<date>_<time>", rf"(?P<case>.{{1,120}})_{_OFFICER}_{_TYPE}_{_DATE}_{_TIME}"),
    _row(
        "F",
        "<device>_<officer>_<device number>_<date>_<time>",
        rf"{_DEVICE}_{_OFFICER}_(?P<device2>[0-9A-Za-z]{{2,12}})_{_DATE}_{_TIME}",
    ),
    # Digits alone behind the time are a counter: the name is of A or B, or of a maker we do not know, and its second field may
    # be the recorder.
    _row("J", "<anything>_<officer>_<date time>…", rf"{_CODE}_{_OFFICER}_{_STAMP}(?:_(?![0-9]{{3,}}$).{{1,60}})?"),
)


def kind_of(name: str) -> RecordingKind:
    """What the extension alone says; UNKNOWN when it says nothing."""
    return (
        _KIND_OF.get(name.rpartition(".")[2].lower(), RecordingKind.UNKNOWN) if "." in name else RecordingKind.UNKNOWN
    )


def _moment(fields: Fields, pattern: Pattern) -> datetime | None:
    try:
        moment = datetime.strptime(fields["date"] + fields["time"], "%Y%m%d%H%M%S")
        if pattern.utc:
            moment = moment.replace(tzinfo=UTC).astimezone(BUREAU_ZONE).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return moment


def _set(code: str) -> str:
    """A code of zeros is the factory's 'not set'; there is no officer 000000."""
    return code if code.strip("0-") else ""


def _match(stem: str, folders: list[str]) -> tuple[Pattern, Fields, datetime] | None:
    for pattern in PATTERNS:
        match = pattern.stem.fullmatch(stem)
        if match is None:
            continue
        fields = pattern.folders(folders, {key: value for key, value in match.groupdict().items() if value})
        moment = _moment(fields, pattern) if fields is not None else None
        if fields is not None and moment is not None:
            return pattern, fields, moment
    return None


def parse(path: str) -> ParsedName:
    """Read a path as the table knows it. Never raises; what is not known stays empty.

    Args:
        path: Path on the device in printable form (evidence.names), parts separated by ``/``.

    Returns:
        The fields the name holds. ``local_time`` is the recorder's wall clock without a zone (pattern I, which is UTC by
        its definition, is turned into the bureau's local time).
    """
    *folders, name = path.split("/")
    kind = kind_of(name)
    stem = name.rpartition(".")[0] if "." in name else name
    important = any(folder.lower() in _IMPORTANT_FOLDERS for folder in folders)
    being_written = _START.search(stem) is not None
    stem = _START.sub("", stem)
    if (unmarked := _MARK.sub("", stem)) != stem:
        important, stem = True, unmarked
    if kind in _SIDE_FILES and _GPS.search(stem) is not None:
        kind, stem = RecordingKind.TRACK, _GPS.sub("", stem).strip("_")
    found = _match(stem, folders)
    if found is None:
        return ParsedName("", kind, important=important, being_written=being_written)
    pattern, fields, moment = found
    if fields.get("type") == "2" and kind in _MEDIA:
        kind = RecordingKind.AUDIO  # the firmware's own type number is better than its container
    counter = fields.get("counter")
    return ParsedName(
        pattern=pattern.letter,
        kind=kind,
        officer_code=_set(fields.get("officer", "")),
        device_code=_set(fields.get("device", "")) or _set(fields.get("device2", "")),
        case_number=fields.get("case", ""),
        local_time=moment,
        counter=int(counter) if counter is not None else None,
        important=important,
        being_written=being_written,
    )
