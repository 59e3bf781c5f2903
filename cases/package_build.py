"""Writes a case package: lays out the content, prints the report, makes the pages, and streams it all into a bag.

Everything but the files themselves is made first and is the same for the same content, so a call that was cut off goes on where
it was (:func:`documents.bagit.write_bag`).

Source: RULES R19, R21, R27; docs/formats/package.md.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cases.package_content import (
    CHECKPOINT_PATH,
    LIST_PATH,
    README_PATH,
    REPORT_PATH,
    VERIFIER_PATH,
    VERIFY_LIST_PATH,
    VERIFY_PATH,
    VKEY_PATH,
    Content,
    Facts,
    ItemKind,
    Line,
    PackageForm,
    Placed,
    list_bytes,
    placed,
    require_publishable,
)
from cases.package_pages import checking_list, checking_page, readme
from documents import (
    Attachment,
    Block,
    Checkpoint,
    Digest,
    Fields,
    Heading,
    Paragraph,
    Printable,
    Signature,
    Signatures,
    Table,
    print_document,
)
from documents.bagit import Bag, BagFile, BagReceipt, Progress, write_bag
from evidence.clock import BUREAU_ZONE
from evidence.errors import InvalidInputError

#: Lines of one recording's custody in the report; the log has them all.
_LINES_MAX: Final = 200
#: Lines of all recordings together: some 300 pages. A case of thousands of recordings has fewer of each.
_REPORT_LINES_MAX: Final = 10_000
_LINES_MIN: Final = 3
_COMPARE: Final = (
    "计算文件的 SHA-256 值，与本清单比较。 Compute the SHA-256 of each file and compare it with the list above."
)
_KINDS: Final = {
    ItemKind.ORIGINAL: "原始文件",
    ItemKind.VIEWING: "查看副本",
    ItemKind.CLIP: "片段",
    ItemKind.DOCUMENT: "文书",
    ItemKind.TREATED: "技术处理副本",
}


@dataclass(frozen=True, slots=True)
class PackageReceipt:
    """What was written, and the digests that go into the register: of the bag's payload manifest and of the checking list."""

    bag: BagReceipt
    list_sha256: str


def report(content: Content, files: Sequence[Placed]) -> bytes:
    """``data/报告/保管链报告.pdf``: files with digests, what happened to each recording, how to check.

    In Chinese, with an English summary of the check.

    Raises:
        ConfigError: The fonts are not installed. LimitExceededError: More files than a report prints.
    """
    facts = content.facts
    originals = [one for one in files if one.item.kind is ItemKind.ORIGINAL]
    blocks: list[Block] = [
        Fields(
            [
                ("案件名称", facts.title),
                *(pair for pair in _head(facts) if pair[1]),
                *content.summary,
            ],
            columns=2, wide=["案件名称", *(label for label, value in content.summary if len(value) > 16)],
        ),
        Heading("一、文件清单"),
        Table(
            ["包内文件", "类别", "字节", "SHA-256"],
            [[one.path.removeprefix("data/"), _KINDS[one.item.kind], one.item.size_bytes, one.item.sha256] for one in files],
            [4, 1.4, 0, 3.6], numbered="序号",
        ),
    ]  # fmt: skip
    if originals:
        blocks.append(Heading("二、保管链记录"))
    by_group: dict[str, list[Line]] = {}
    for line in content.lines:
        by_group.setdefault(line.group, []).append(line)
    most = min(_LINES_MAX, max(_LINES_MIN, _REPORT_LINES_MAX // max(1, len(originals))))
    for one in originals:
        lines = by_group.get(one.item.group, [])
        rows = [[line.index, line.at, line.event, line.agent] for line in lines[:most]]
        title = f"{one.number:04d} {one.item.name}"
        blocks.append(Table(["日志序号", "时间", "事项", "人员"], rows, [0, 1.6, 3, 2], caption=title))
        if len(lines) > most:
            blocks.append(
                Paragraph(f"另有 {len(lines) - most} 条，见本文件所附 data.json 及保管链日志。", style="note")
            )
    blocks.append(Heading("三、核对方法" if originals else "二、核对方法"))
    blocks += _how_to_check(content) if originals else [Paragraph(_COMPARE, style="plain")]
    if facts.form is PackageForm.FULL:
        signers = [Signature("制作人", facts.producer), Signature("接收人", facts.recipient)]
        blocks.append(Signatures(signers, title="交接签名"))
    listed = list_bytes(content, files)
    return print_document(
        Printable(
            title="保管链报告", unit=facts.unit, number=facts.number, printed_at=facts.made_at,
            checkpoint=Checkpoint(content.origin, content.size, content.root), blocks=blocks, data=_report_data(content, files),
            attachments=[Attachment("manifest.json", listed, "application/json", "data/清单/manifest.json")],
        )
    )  # fmt: skip


def _how_to_check(content: Content) -> list[Block]:
    return [
        Paragraph(
            "每份原始文件的 SHA-256 值在入库时计算，写入只增不改的保管链日志；日志由检查点签名固定。核对时："
            "（一）计算文件的 SHA-256 值，与本报告比较；（二）用包内 verifier/liuhen_verify.py 和 data/证明 内的证明文件，"
            "以本包以外渠道取得的公钥（vkey），证明该值在入库时已写入日志且此后未变。"
        ),
        Paragraph(
            "Each original's SHA-256 was computed at accession and entered into an append-only log whose checkpoints are "
            "signed. Compare the digests, then run the verifier in this package with the log's key taken from outside of it.",
            style="plain",
        ),
        Digest("vkey", content.vkey),
    ]


def _head(facts: Facts) -> list[tuple[str, str]]:
    return [
        ("案号", facts.case_number), ("包号", facts.number), ("用途", facts.purpose), ("接收人", facts.recipient),
        ("依据", facts.authority), ("制作人", facts.producer), ("批准人", facts.approver),
    ]  # fmt: skip


def _report_data(content: Content, files: Sequence[Placed]) -> dict[str, object]:
    return {
        "package": content.facts.number, "case_number": content.facts.case_number,
        "files": [{"path": one.path, "sha256": one.item.sha256, "size_bytes": one.item.size_bytes} for one in files],
        "custody": [
            {"recording": line.group, "at": line.at, "event": line.event, "agent": line.agent, "index": line.index}
            for line in content.lines
        ],
    }  # fmt: skip


def _file(path: str, data: bytes) -> BagFile:
    return BagFile(path, len(data), lambda: io.BytesIO(data), hashlib.sha256(data).hexdigest())


def _opener(one: Placed) -> BagFile:
    return BagFile(one.path, one.item.size_bytes, one.item.open, one.item.sha256)


def bag_of(content: Content) -> tuple[Bag, str]:
    """The bag to be written, and the digest of its checking list. Raises as :func:`write_package`."""
    if not content.items:
        raise InvalidInputError(
            "a package without any file is none", todo="Link recordings or documents to the case first."
        )
    require_publishable(content.facts.form, [item.kind for item in content.items])
    files = placed(content.items)
    made = {
        LIST_PATH: list_bytes(content, files),
        REPORT_PATH: report(content, files),
        CHECKPOINT_PATH: content.checkpoint,
    }
    made[VKEY_PATH] = f"{content.vkey}\n".encode()
    made |= {one.proof_path: one.item.proof for one in files if one.proof_path and one.item.kind is ItemKind.ORIGINAL}
    if content.facts.form is PackageForm.FULL:
        made[VERIFIER_PATH] = content.verifier
    checked = [(one.path, one.item.sha256, one.item.size_bytes, one.item.name) for one in files]
    checked += [(path, hashlib.sha256(data).hexdigest(), len(data), "") for path, data in made.items()]
    listed = checking_list(content, checked)
    made |= {README_PATH: readme(content, files), VERIFY_LIST_PATH: listed, VERIFY_PATH: checking_page(listed)}
    facts = content.facts
    info = [
        ("Source-Organization", facts.unit), ("External-Identifier", facts.number), ("External-Description", facts.title),
        ("Bagging-Date", f"{facts.made_at.astimezone(BUREAU_ZONE):%Y-%m-%d}"),
        ("Bag-Group-Identifier", facts.case_number or facts.number), ("Bag-Count", "1 of 1"),
        ("Internal-Sender-Identifier", facts.case_number), ("Bag-Software-Agent", "Liuhen"),
    ]  # fmt: skip
    bag_files = [*(_opener(one) for one in files), *(_file(path, data) for path, data in made.items())]
    return Bag(bag_files, [(label, value) for label, value in info if value]), hashlib.sha256(listed).hexdigest()


def write_package(target: Path, content: Content, *, progress: Progress | None = None) -> PackageReceipt:
    """Write a package to a new folder; whole, read back and durable on return.

    Raises:
        PolicyUnmetError: It is for publication and holds anything but approved treated copies (R21).
        InvalidInputError: It holds nothing. ConfigError: The fonts are not installed.
        DigestMismatchError, StoreFullError, BlobConflictError, StoreError: As :func:`documents.bagit.write_bag`.
    """
    bag, list_sha256 = bag_of(content)
    return PackageReceipt(write_bag(target, bag, progress=progress), list_sha256)
