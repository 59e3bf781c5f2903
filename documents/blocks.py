"""What a document is made of. Every printed matter is a :class:`Printable`: a head, blocks in order, a checkpoint.

No block takes markup: texts are data and are printed as they are, whatever characters they hold. Values may be texts,
numbers, aware times, days, yes/no or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from documents.values import Value
from documents.words import Language


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The published checkpoint of the custody log at printing: what the document's facts were read under.

    Attributes:
        origin: The log's name. size: Entries covered. root: Root digest, as the log writes it. time: When it was signed.
    """

    origin: str
    size: int
    root: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside the body."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text; line ends are kept.

    ``style``: ``body`` (first line set in, in Chinese), ``plain``, ``note`` (small), ``warning`` (framed).
    """

    text: str
    style: Literal["body", "plain", "note", "warning"] = "body"


@dataclass(frozen=True, slots=True)
class Fields:
    """A frame of label/value pairs. ``columns`` pairs stand side by side; a pair named in ``wide`` takes the whole line."""

    rows: Sequence[tuple[str, Value]]
    columns: Literal[1, 2] = 1
    wide: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head that is repeated on every page.

    Attributes:
        head: Column titles. rows: As many values each. widths: Relative width of each column (all alike when empty); 0 means
            as wide as its content. caption: A line above. numbered: Adds a leading column 1, 2, 3 (its title is ``numbered``).
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Value]]
    widths: Sequence[float] = ()
    caption: str = ""
    numbered: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Numbered items."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest or a key in monospace, broken only between groups, copied without spaces."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Boxes to be ticked by hand (or already ticked), for example objection / no objection / refusal.

    ``lines`` blank lines to write on stand below.
    """

    label: str
    options: Sequence[str]
    ticked: Sequence[str] = ()
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG or PNG with a caption, no higher than ``height_mm``."""

    data: bytes
    caption: str = ""
    height_mm: float = 70


@dataclass(frozen=True, slots=True)
class Pictures:
    """Stills side by side, ``columns`` in a row, captions below; breaks over pages between rows."""

    pictures: Sequence[Picture]
    columns: Literal[2, 3, 4] = 3


@dataclass(frozen=True, slots=True)
class Signature:
    """One line to sign.

    Attributes:
        role: Who signs (two officers, party, witness). name: Printed name, when known. detail: For example the identity number of
            an officer. signed_at: When it was signed in the system (then printed instead of an empty date).
    """

    role: str
    name: str = ""
    detail: str = ""
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Signatures:
    """Lines to sign with dates; never broken over two pages. ``columns`` lines stand side by side."""

    lines: Sequence[Signature]
    columns: Literal[1, 2] = 2
    title: str = ""


@dataclass(frozen=True, slots=True)
class QrCode:
    """A code with a text beside it."""

    text: str
    caption: str = ""
    size_mm: float = 28


@dataclass(frozen=True, slots=True)
class PageBreak:
    """What follows begins on a new page."""


Block = (
    Heading | Paragraph | Fields | Table | Listing | Digest | Choices | Picture | Pictures | Signatures | QrCode | PageBreak
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attachment:
    """A further file inside the PDF (a proof bundle, a signed certificate).

    Attributes:
        name: Its name in the PDF. data: Its bytes. mime_type: For example ``application/json``. description: For people.
    """

    name: str
    data: bytes
    mime_type: str = "application/octet-stream"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Printable:
    """Any matter, to be printed in the house style.

    Attributes:
        title: Large, centred. number: The document's number ("" when it has none). unit: Who issues it (bureau and unit).
        printed_at: When it is made (an aware time): the only time in the file, so that the same data gives the same bytes.
        checkpoint: Printed at the foot of every page; None prints that no checkpoint is published yet.
        blocks: The body. lang: Language of the document's own words. landscape: For registers.
        subtitle: A line under the title. mark: Large and pale across every page ("draft", "copy"), for what is not final.
        data: What is attached as ``data.json``; None attaches the blocks' own values. attachments: Further files.
    """

    title: str
    unit: str
    printed_at: datetime
    checkpoint: Checkpoint | None
    number: str = ""
    blocks: Sequence[Block] = ()
    lang: Language = "zh-CN"
    landscape: bool = False
    subtitle: str = ""
    mark: str = ""
    data: Mapping[str, Any] | None = None
    attachments: Sequence[Attachment] = field(default=())
