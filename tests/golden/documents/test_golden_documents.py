"""Printed documents against what was looked at and found good: their text as laid out, and nothing beyond the paper's edge.

After a wanted change of a template: ``LIUHEN_WRITE_GOLDEN=1 pytest tests/golden/documents``, look at the pages as images
(``pdftoppm -png``), then commit the new texts.
"""

# ruff: noqa: E501 - rows of facts side by side
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from documents import (
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Listing,
    PageBreak,
    Paragraph,
    Printable,
    QrCode,
    Signature,
    Signatures,
    Table,
    print_document,
)
from documents.covers import DiscFace, VolumeCover, disc_label, disc_wrap, volume_cover
from documents.registers import Column, Register, to_pdf
from evidence import sandbox

HERE = Path(__file__).parent
AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)
DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
POINT = Checkpoint(
    "liuhen.example/log", 123456, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a08", AT
)


def fixation(lang):
    zh = lang == "zh-CN"

    def t(chinese, english):
        return chinese if zh else english

    rows = [[f"20260831T0930{n:02}_第01段.mp4", AT, 1_234_567_890 + n, DIGEST] for n in range(24)]
    return print_document(
        Printable(
            title=t("音视频资料固定说明", "Record of fixation of audio-visual evidence"), lang=lang, printed_at=AT, checkpoint=POINT,
            unit=t("示例市城市管理局 · 执法一大队", "Example City Management Bureau, Team 1"), mark="" if zh else "DRAFT",
            number=t("固字〔2026〕0007号", "FIX-2026-0007"), subtitle=t("副本", "Copy"),
            blocks=[
                Fields(
                    [
                        (t("案由", "Cause"), t("占道经营", "Street trading")), (t("案号", "Case"), "2026-12"),
                        (t("立案日期", "Opened"), date(2026, 8, 31)), (t("录制开始", "Start"), AT),
                        (t("经过", "Course"), t("执法人员表明身份。\n当事人拒绝配合。", "Identified themselves.\nThe party refused.")),
                    ],
                    columns=2, wide=[t("经过", "Course")],
                ),
                Heading(t("一、电子数据清单", "1. Files")),
                Table(
                    [t("文件名", "File"), t("录制起止", "Recorded"), t("字节", "Bytes"), "SHA-256"], rows, [3, 2, 0, 3],
                    numbered=t("序号", "No."), caption=t("共 24 个文件", "24 files"),
                ),
                Digest(t("清单校验值", "Manifest digest"), DIGEST),
                Paragraph(t("以上文件入库后未经改动。", "The files are unchanged since accession.")),
                Paragraph(t("须由两名执法人员签名。", "Needs two officers."), style="warning"),
                Listing([t("甲", "a"), t("乙", "b")]),
                Choices(t("当事人意见", "Party"), [t("无异议", "no objection"), t("拒签", "refused")], lines=1),
                Signatures(
                    [
                        Signature(t("执法人员", "Officer"), t("王五", "Wang Wu"), "3502-0001"), Signature(t("执法人员", "Officer"), signed_at=AT),
                        Signature(t("当事人", "Party")), Signature(t("见证人", "Witness")),
                    ]
                ),
                PageBreak(),
                QrCode("https://liuhen.example/d/7", t("扫码核对", "Scan to check")),
            ],
        )
    )  # fmt: skip


def register():
    columns = [Column("申请人", 8), Column("事由", 20), Column("批准时间", 12), Column("校验值", 20), Column("份数", 4)]
    rows = [["王五", "复议答复所需，调取现场录像", AT, DIGEST, n] for n in range(45)]
    return to_pdf(
        Register(
            title="调用登记簿", unit="示例市城市管理局", printed_at=AT, checkpoint=POINT, columns=columns, rows=rows, numbered="序号",
            subtitle="2026 年 11 月", signatures=Signatures([Signature("登记人"), Signature("复核人")]),
        )
    )  # fmt: skip


def face(lang):
    if lang == "en":
        return DiscFace(
            unit="Example City Management Bureau", producer="Wang Wu", produced_at=AT, matter="Street trading without permit",
            matter_number="2026-12", set_number="DISC-2026-0003", disc=1, discs=1, copy="B", manifest_sha256=DIGEST, checkpoint=None,
            lang="en",
        )  # fmt: skip
    return DiscFace(
        unit="示例市城市管理行政执法局执法一大队", producer="王五", produced_at=AT, matter="示例市某某餐饮管理有限公司擅自占用城市道路经营案" * 2,
        matter_number="城管罚〔2026〕12号", set_number="盘字〔2026〕0003号", disc=1, discs=9, copy="A 封存", manifest_sha256=DIGEST,
        checkpoint=POINT, medium="DVD-R 4.7 GB", file_head=("序号", "文件", "大小"), note="核对：打开盘内 verify.html",
        files=[(str(n), f"音像/{n:03}_20260831T093000_第01段.mp4", "1.2 GB") for n in range(1, 60)],
    )  # fmt: skip


def cover():
    rows = [
        ("案件名称", "某某公司擅自占用城市道路经营案"),
        ("立案日期", date(2026, 8, 31)),
        ("保管期限", "30年"),
        ("卷内", "共 12 件 45 页"),
    ]
    return volume_cover(
        VolumeCover(
            title="行政处罚案卷", unit="示例市城市管理局", printed_at=AT, checkpoint=POINT, number="20260012", rows=rows
        )
    )


DOCUMENTS = {
    "fixation_zh": lambda: fixation("zh-CN"),
    "fixation_en": lambda: fixation("en"),
    "register_zh": register,
    "disc_label_zh": lambda: disc_label(face("zh-CN")),
    "disc_label_en": lambda: disc_label(face("en")),
    "disc_wrap_zh": lambda: disc_wrap(face("zh-CN"), "执法音像资料光盘"),
    "disc_wrap_en": lambda: disc_wrap(face("en"), "Disc of enforcement footage"),
    "volume_cover_zh": cover,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_reads_as_it_was_looked_at(name, tmp_path):
    file, golden = tmp_path / f"{name}.pdf", HERE / f"{name}.txt"
    file.write_bytes(DOCUMENTS[name]())
    text = sandbox.run(["pdftotext", "-raw", "-enc", "UTF-8", str(file), "-"]).untrusted_stdout.decode()
    if os.environ.get("LIUHEN_WRITE_GOLDEN"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
    boxes = sandbox.run(["pdftotext", "-bbox", str(file), "-"]).untrusted_stdout.decode()
    width = height = 0.0
    for line in boxes.splitlines():
        if match := re.search(r'<page width="([\d.]+)" height="([\d.]+)"', line):
            width, height = float(match[1]), float(match[2])
        elif match := re.search(r'xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)"', line):
            left, top, right, bottom = map(float, match.groups())
            assert left >= 8, line
            assert top >= 8, line
            assert right <= width - 8, line
            assert bottom <= height - 8, line
