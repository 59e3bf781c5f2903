"""What sticks to discs states the five fields of R12, as text, data and code."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from documents import Checkpoint
from documents.covers import DiscFace, disc_label, disc_wrap
from evidence import sandbox

AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)
FACE = DiscFace(
    unit="示例局", producer="王五", produced_at=AT, matter="占道经营案", matter_number="城管罚〔2026〕12号",
    set_number="盘〔2026〕3号", disc=2, discs=9, copy="B 利用", manifest_sha256="ab" * 32,
    checkpoint=Checkpoint("liuhen.example/log", 7, "cd" * 32, AT),
)  # fmt: skip


def test_r12_label_and_wrap_state_the_five_fields_the_disc_and_the_digest(tmp_path):
    for name, pdf in (("label", disc_label(FACE)), ("wrap", disc_wrap(FACE, "光盘"))):
        file = tmp_path / f"{name}.pdf"
        file.write_bytes(pdf)
        text = sandbox.run(["pdftotext", str(file), "-"]).untrusted_stdout.decode()
        for field in (
            "示例局",
            "王五",
            "2026-11-27 09:55",
            "占道经营案",
            "城管罚〔2026〕12号",
            "盘〔2026〕3号",
            "B 利用",
            "2 / 9",
            "ab" * 32,
        ):
            assert field.replace(" ", "") in "".join(text.split()), (name, field)
        sandbox.run(["pdfdetach", "-save", "1", "-o", str(tmp_path / "data.json"), str(file)])
        data = json.loads((tmp_path / "data.json").read_text())
        assert (data["matter_number"], data["disc"], data["manifest_sha256"]) == ("城管罚〔2026〕12号", 2, "ab" * 32)


def test_a_very_long_name_stays_on_the_label(tmp_path):
    file = tmp_path / "label.pdf"
    file.write_bytes(disc_label(replace(FACE, matter="某" * 120, unit="局" * 60, matter_number="号" * 60)))
    assert "Pages:           1" in sandbox.run(["pdfinfo", str(file)]).untrusted_stdout.decode()
    assert sandbox.run(["pdftotext", str(file), "-"]).untrusted_stdout.decode().count("某") == 120
