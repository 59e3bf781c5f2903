"""Content of a case package made of a real, sealed home: what the service gathers, put together by hand."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from pathlib import Path

from cases.package_content import Content, Facts, Item, ItemKind, Line, PackageForm
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from support.repository import ROOT

AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)


def facts(form: PackageForm = PackageForm.FULL, **changes) -> Facts:
    given = {
        "number": "DB2026-0001", "case_number": "城管罚〔2026〕12号", "title": "某公司<擅自>占用城市道路案", "unit": "示例局",
        "producer": "王五", "made_at": AT, "form": form,
        "purpose": "行政诉讼举证", "recipient": "示例区人民法院", "approver": "赵六",
    }  # fmt: skip
    return Facts(**{**given, **changes})


def originals(home, rows) -> list[Item]:
    reader = LogReader(home.published[0], verifier=home.sealer.verifier)
    return [
        Item(
            kind=ItemKind.ORIGINAL, name=row.name, sha256=row.sha256.hex, size_bytes=row.size_bytes, group=row.id,
            open=lambda row=row: home.stores.primary.open(row.sha256), at=row.started_at or AT, media_type="video/mp4",
            proof=proof_for(reader, row.stored_index), facts={"sm3": row.sm3.hex, "note": "经过<b>"},
        )
        for row in rows
    ]  # fmt: skip


def document(name: str = "询问笔录.pdf", content: bytes = b"%PDF-1.4 %%EOF") -> Item:
    import hashlib

    return Item(
        kind=ItemKind.DOCUMENT, name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content),
        open=lambda: io.BytesIO(content), group="mat_1", at=AT, media_type="application/pdf",
    )  # fmt: skip


def package(home, items, form: PackageForm = PackageForm.FULL, **changes) -> Content:
    reader = LogReader(home.published[0], verifier=home.sealer.verifier)
    point = reader.checkpoint()
    lines = [
        Line(group=item.group, at=AT, event="入库", agent="采集服务", index=3) for item in items if item.kind is ItemKind.ORIGINAL
    ]  # fmt: skip
    return Content(
        facts=facts(form, **changes), items=items, origin=point.origin, size=point.size,
        root=base64.b64encode(point.root).decode(),
        checkpoint=reader.note(), vkey=home.vkey, verifier=Path(ROOT / "verifier/liuhen_verify.py").read_bytes(), lines=lines,
        summary=[("当事人", "某公司"), ("经过", "执法人员到场后表明身份，全程录音录像，当事人配合检查。")],
    )  # fmt: skip
