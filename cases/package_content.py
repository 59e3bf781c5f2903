"""What a case package holds, and where: names, list and facts. Pure.

A package is a BagIt bag. Its payload lies under ``data/``: originals (``音像``), copies that any browser plays
(``查看副本``), clips (``片段``), documents (``文书``), treated copies (``技术处理``), proofs (``证明``), the report (``报告``)
and the list (``清单``). Names begin with a running number in the order of time and hold as much of the original name as every
disk and disc can carry; the exact name stands in the list.

Source: RULES R16, R19, R21, R27; docs/formats/package.md; RFC 8493.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, Final

from discs.names import disc_name
from evidence import canonical
from evidence.clock import to_text
from evidence.errors import InvalidInputError, PolicyUnmetError

SCHEMA: Final = "urn:liuhen:package:1"
LIST_PATH: Final = "data/清单/manifest.json"
REPORT_PATH: Final = "data/报告/保管链报告.pdf"
CHECKPOINT_PATH: Final = "data/证明/checkpoint"
VKEY_PATH: Final = "data/证明/vkey.txt"
README_PATH: Final = "请先读我.html"
VERIFY_PATH: Final = "核对.html"
VERIFY_LIST_PATH: Final = "核对清单.json"
VERIFIER_PATH: Final = "verifier/liuhen_verify.py"


class PackageForm(StrEnum):
    """For whom a package is: ``full`` with originals; ``publication`` with approved treated copies only (R21)."""

    FULL = "full"
    PUBLICATION = "publication"


class ItemKind(StrEnum):
    """What a file of a package is; the value names it in the list."""

    ORIGINAL = "original"
    VIEWING = "viewing"
    CLIP = "clip"
    DOCUMENT = "document"
    TREATED = "treated"


_FOLDERS: Final[Mapping[ItemKind, str]] = {
    ItemKind.ORIGINAL: "音像",
    ItemKind.VIEWING: "查看副本",
    ItemKind.CLIP: "片段",
    ItemKind.DOCUMENT: "文书",
    ItemKind.TREATED: "技术处理",
}
#: What may leave for publication.
PUBLISHABLE: Final = frozenset({ItemKind.TREATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to be packed.

    Attributes:
        kind: What it is.
        name: Its original name, printable.
        sha256: Digest in hexadecimal. size_bytes: Length. open: Opens the bytes.
        group: The recording (or matter) it belongs to: a viewing copy and clips bear their recording's number.
        at: Place in time.
        media_type: MIME type, for the player.
        proof: The recording's proof bundle.
        facts: Public texts for list and page (device, officers, start, end, sm3, in and out of a clip, note).
    """

    kind: ItemKind
    name: str
    sha256: str
    size_bytes: int
    open: Callable[[], BinaryIO]
    group: str
    at: datetime
    media_type: str = ""
    proof: bytes = b""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the custody report: what happened to a recording, when, by whom, at which place of the log."""

    group: str
    at: datetime
    event: str
    agent: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What stands at the head of everything.

    Attributes:
        number: Number of the package in its register.
        case_number: Of the case.
        title: Of the case.
        unit: Bureau and unit.
        producer: Who makes it.
        made_at: When it was ordered to be made: the time in all its files.
        form: For whom.
        purpose: As registered, like recipient and authority.
        approver: Who approved it.
    """

    number: str
    case_number: str
    title: str
    unit: str
    producer: str
    made_at: datetime
    form: PackageForm
    purpose: str = ""
    recipient: str = ""
    authority: str = ""
    approver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A whole package before it is written.

    Attributes:
        facts: Its head.
        items: Files in any order.
        lines: The custody report's lines.
        origin, size, root: The published checkpoint its proofs rest on. checkpoint: The note's bytes. vkey: The log's key.
        verifier: The stand-alone verifier.
        summary: Label and value pairs of the case for report and page (parties, place, cause, course, result).
    """

    facts: Facts
    items: Sequence[Item]
    origin: str
    size: int
    root: str
    checkpoint: bytes
    vkey: str
    verifier: bytes
    lines: Sequence[Line] = ()
    summary: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An item with its path in the bag, and the path of its proof."""

    item: Item
    number: int
    path: str
    proof_path: str = ""


def require_publishable(form: PackageForm, kinds: Sequence[ItemKind]) -> None:
    """R21: what is published was technically treated and approved; never an original, nor what shows the same untreated.

    Raises:
        PolicyUnmetError: Something else is in a package for publication, or nothing is.
    """
    if form is PackageForm.PUBLICATION and (not kinds or not PUBLISHABLE.issuperset(kinds)):
        raise PolicyUnmetError(
            "a package for publication holds approved treated copies only",
            kept="Nothing was written.",
            todo="Have treated copies made and approved, or make a package that is not for publication.",
        )


def placed(items: Sequence[Item]) -> list[Placed]:
    """Every item at its path, in the order of time; what belongs to one recording bears one number.

    Raises:
        InvalidInputError: Two originals of one recording.
    """
    ordered = sorted(items, key=lambda item: (item.at, item.group, item.kind, item.facts.get("in_ms", ""), item.name))
    numbers: dict[tuple[str, str], int] = {}
    for item in ordered:
        numbers.setdefault(_series(item), sum(1 for one in numbers if one[0] == _series(item)[0]) + 1)
    out: list[Placed] = []
    taken: dict[str, int] = {}
    for item in ordered:
        number = numbers[_series(item)]
        name = disc_name(number, item.name)
        folder = f"data/{_FOLDERS[item.kind]}"
        path = f"{folder}/{name}"
        again = taken[path.casefold()] = taken.get(path.casefold(), 0) + 1
        if again > 1:
            if item.kind in {ItemKind.ORIGINAL, ItemKind.VIEWING}:
                raise InvalidInputError(f"{item.group} is in the package twice")
            stem, dot, suffix = name.rpartition(".")
            path = f"{folder}/{stem or suffix}-{again}{dot if stem else ''}{suffix if stem else ''}"
        proof = f"data/证明/{number:04d}.tlog-proof" if item.proof else ""
        out.append(Placed(item=item, number=number, path=path, proof_path=proof))
    return out


def _series(item: Item) -> tuple[str, str]:
    """Documents are counted by themselves; all else bears the number of its recording."""
    return ("d", item.sha256 + item.name) if item.kind is ItemKind.DOCUMENT else ("r", item.group)


def list_bytes(content: Content, files: Sequence[Placed]) -> bytes:
    """``data/清单/manifest.json``: canonical JSON (RFC 8785), the same for the same content."""
    facts = content.facts
    return canonical.dumps({
        "package": SCHEMA,
        "number": facts.number, "case_number": facts.case_number, "title": facts.title, "unit": facts.unit,
        "producer": facts.producer, "made_at": to_text(facts.made_at), "form": facts.form.value, "purpose": facts.purpose,
        "recipient": facts.recipient, "authority": facts.authority, "approver": facts.approver,
        "checkpoint": {"origin": content.origin, "size": content.size, "root": content.root}, "vkey": content.vkey,
        "files": [_listed(one) for one in files],
    })  # fmt: skip


def _listed(one: Placed) -> dict[str, Any]:
    item = one.item
    return {
        "path": one.path, "kind": item.kind.value, "name": item.name, "sha256": item.sha256, "size_bytes": item.size_bytes,
        "belongs_to": item.group, "at": to_text(item.at), "media_type": item.media_type, "proof": one.proof_path,
        "facts": dict(item.facts),
    }  # fmt: skip
