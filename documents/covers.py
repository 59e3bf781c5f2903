"""What sticks to things: the label of a disc, the wrap of its case, the cover of a dossier volume. PDF/A-3b with data, like all.

A label or wrap states the five fields of R12 (producing unit, producer, production time, name of the case or activity, its
number), which disc of how many and which copy it is, and the digest of the set's manifest as text and as QR code.

Source: RULES R12, R15; ISO/IEC 10149 (120 mm discs), the common DVD case wrap of 273 x 183 mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from documents.blocks import Attachment, Checkpoint
from documents.glyphs import FONT_FOLDER, showable
from documents.printing import DATA_NAME, attach, checkpoint_data, checkpoint_text
from documents.qr import qr_svg
from documents.typeset import typeset
from documents.values import Value, attached_json, local_time, text_of
from documents.words import Language, words

#: Files listed on the back of a wrap; the full list is on the disc.
WRAP_FILES_MAX: Final = 34


@dataclass(frozen=True, slots=True)
class DiscFace:
    """What label and wrap of one disc state.

    Attributes:
        unit: Producing unit.
        producer: Who produced it.
        produced_at: When.
        matter: Name of the case or activity.
        matter_number: Its number.
        set_number: Number of the disc set.
        disc: This disc, from 1.
        discs: Of how many.
        copy: Short, for example ``A`` or ``B 利用``.
        manifest_sha256: Digest of the set's manifest; the QR code holds it too, unless ``qr_text`` gives another text.
        medium: For example ``DVD-R 4.7 GB``.
        files: Number, name and size of each file, for the back of the wrap, under ``file_head``.
        note: Below that list: how to check the disc.
    """

    unit: str
    producer: str
    produced_at: datetime
    matter: str
    matter_number: str
    set_number: str
    disc: int
    discs: int
    copy: str
    manifest_sha256: str
    checkpoint: Checkpoint | None
    lang: Language = "zh-CN"
    qr_text: str = ""
    medium: str = ""
    files: Sequence[tuple[str, str, str]] = ()
    file_head: tuple[str, str, str] = ("", "", "")
    note: str = ""


def _minutes(moment: datetime) -> str:
    return f"{local_time(moment):%Y-%m-%d %H:%M}"


def _head(title: str, unit: str, number: str, lang: Language, checkpoint: Checkpoint | None) -> dict[str, Any]:
    return {
        "lang": lang, "words": words(lang), "title": showable(title), "unit": showable(unit), "number": showable(number),
        "mark": "", "checkpoint": checkpoint_text(checkpoint, lang),
    }  # fmt: skip


def _attached(data: Mapping[str, Any], lang: Language, files: dict[str, bytes]) -> list[dict[str, str]]:
    return attach(files, [Attachment(DATA_NAME, attached_json(data), "application/json", words(lang)["attached"])])


def _face(face: DiscFace, title: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    files = {"qr.svg": qr_svg(face.qr_text or face.manifest_sha256)}
    data = {
        "format": "liuhen-disc-label/1", "unit": face.unit, "producer": face.producer, "produced_at": face.produced_at,
        "matter": face.matter, "matter_number": face.matter_number, "set": face.set_number, "disc": face.disc,
        "discs": face.discs, "copy": face.copy, "manifest_sha256": face.manifest_sha256, "medium": face.medium,
        "checkpoint": checkpoint_data(face.checkpoint),
    }  # fmt: skip
    head = _head(title, face.unit, face.set_number, face.lang, face.checkpoint)
    head |= {
        "matter": showable(face.matter), "matter_number": showable(face.matter_number), "maker": showable(face.producer),
        "made": _minutes(face.produced_at), "disc": face.disc, "discs": face.discs, "copy": showable(face.copy),
        "digest": showable(face.manifest_sha256), "qr": "qr.svg", "attachments": _attached(data, face.lang, files),
    }  # fmt: skip
    return head, files


def disc_label(face: DiscFace, *, fonts: Path = FONT_FOLDER) -> bytes:
    """The round label (a page of 120 x 120 mm).

    Raises:
        As :func:`documents.print_document`.
    """
    head, files = _face(face, face.set_number)
    return typeset("label.typ", head, at=face.produced_at, files=files, fonts=fonts)


def disc_wrap(face: DiscFace, title: str, *, fonts: Path = FONT_FOLDER) -> bytes:
    """The wrap of a DVD case with the list of files on its back (A4 landscape, marks to cut along).

    Args:
        face: What it states; of ``files`` at most :data:`WRAP_FILES_MAX` are shown, then how many more there are.
        title: The heading of the front, for example 执法音像资料光盘.
        fonts: The folder of the fonts.

    Raises:
        As :func:`documents.print_document`.
    """
    head, files = _face(face, title)
    word = words(face.lang)
    shown = [list(map(showable, row)) for row in face.files[:WRAP_FILES_MAX]]
    if len(face.files) > WRAP_FILES_MAX:
        shown.append(["…", f"+ {len(face.files) - WRAP_FILES_MAX}", ""])
    rows = [
        (word["matter"], face.matter), (word["matter_number"], face.matter_number), (word["unit"], face.unit),
        (word["maker"], face.producer), (word["made"], _minutes(face.produced_at)), (word["disc"], face.set_number),
        (word["order"], f"{face.disc} / {face.discs}"), (word["copy"], face.copy), (word["medium"], face.medium),
        (word["files"], str(len(face.files)) if face.files else ""),
    ]  # fmt: skip
    head |= {
        "rows": [[label, showable(value)] for label, value in rows if value], "files": shown,
        "file_head": [showable(title) for title in face.file_head], "note": showable(face.note),
    }  # fmt: skip
    return typeset("sleeve.typ", head, at=face.produced_at, files=files, fonts=fonts)


@dataclass(frozen=True, slots=True)
class VolumeCover:
    """The cover of a dossier volume (卷宗封面).

    Attributes:
        title: Large, for example 行政处罚案卷.
        rows: Label and value of each line: name of the case, decision number, handlers, dates, result, period, pieces, pages.
        codes: The boxes at the top (fonds, catalogue and volume number when empty); an empty value leaves room to write.
        data: What is attached; the rows when empty.
    """

    title: str
    unit: str
    printed_at: datetime
    checkpoint: Checkpoint | None
    number: str = ""
    subtitle: str = ""
    lang: Language = "zh-CN"
    rows: Sequence[tuple[str, Value]] = ()
    codes: Sequence[tuple[str, str]] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


def volume_cover(cover: VolumeCover, *, fonts: Path = FONT_FOLDER) -> bytes:
    """The cover as a page of A4.

    Raises:
        As :func:`documents.print_document`.
    """
    word = words(cover.lang)
    codes = cover.codes or [(word["fonds"], ""), (word["catalogue"], ""), (word["volume"], "")]
    data = {
        "format": "liuhen-document/1", "title": cover.title, "number": cover.number, "unit": cover.unit, "lang": cover.lang,
        "printed_at": cover.printed_at, "checkpoint": checkpoint_data(cover.checkpoint),
        "data": dict(cover.data) or {"rows": [list(row) for row in cover.rows]},
    }  # fmt: skip
    files: dict[str, bytes] = {}
    head = _head(cover.title, cover.unit, cover.number, cover.lang, cover.checkpoint)
    head |= {
        "subtitle": showable(cover.subtitle), "codes": [[showable(label), showable(value)] for label, value in codes],
        "rows": [[showable(label), text_of(value, cover.lang)] for label, value in cover.rows],
        "attachments": _attached(data, cover.lang, files),
    }  # fmt: skip
    return typeset("cover.typ", head, at=cover.printed_at, files=files, fonts=fonts)
