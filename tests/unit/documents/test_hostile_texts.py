"""Whatever people and recorders write: it is printed, in every kind of block, and nothing but our error ever comes out."""

import random
from datetime import UTC, datetime

import pytest

from documents import (
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Listing,
    Paragraph,
    Printable,
    QrCode,
    Signature,
    Signatures,
    Table,
    print_document,
)
from documents.covers import VolumeCover, volume_cover

AT = datetime(2026, 11, 27, 1, 55, 3, tzinfo=UTC)
POOLS = [
    "abc xyz_*#$@<>[]{}\\`~\"'/=-+&^%|;:,.!?", "\n\n\t \u00a0\u3000", "中文字符测试龘𠮷㐂", "אבגدعخسلام", "\u0300\u0301\u0302e",
    "\u200b\u200d\u2060\ufeff\u202e\u2066", "\U0001f600\U0001f468\u200d\U0001f469", "ᠮᠣᠩᠭᠣᠯབོད", "\x00\x01\x07\x1b\x7f\x85",
    "\ud800\udfff", "𝒳𝔘ﬁﷺ", "０１２ＡＢ（）「」《》——……",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_any_text_is_printed_in_every_kind_of_block(seed):
    chance = random.Random(seed)

    def text(longest=60):
        return "".join(chance.choice(chance.choice(POOLS)) for _ in range(chance.randint(1, longest)))

    def value():
        return chance.choice([text(), text(300), None, 3, -1.5, True, AT, AT.date(), "x" * 300, "a" * 64, "0" * 128])

    columns = chance.randint(1, 6)
    blocks = [
        Heading(text()), *(Paragraph(text(300), style=style) for style in ("body", "plain", "note", "warning")),
        Fields([(text(), value()) for _ in range(7)], columns=chance.choice([1, 2])),
        Table([text() for _ in range(columns)], [[value() for _ in range(columns)] for _ in range(5)], numbered=text()),
        Listing([text() for _ in range(3)]), Digest(text(), text()), Choices(text(), [text(), text()], lines=1),
        Signatures([Signature(text(), text(), text(), AT), Signature(text())], title=text()), QrCode(text(), text()),
    ]  # fmt: skip
    document = Printable(
        title=text(), unit=text(), number=text(), subtitle=text(), mark=text(8), printed_at=AT, blocks=blocks,
        checkpoint=Checkpoint(text(), 7, text(), AT), lang=chance.choice(["zh-CN", "en"]), landscape=bool(seed % 2),
    )  # fmt: skip
    assert print_document(document).startswith(b"%PDF-")
    cover = VolumeCover(title=text(), unit=text(), printed_at=AT, checkpoint=None, rows=[(text(), value())])
    assert volume_cover(cover).startswith(b"%PDF-")
