"""QR codes as SVG, to be printed sharply at any size."""

from __future__ import annotations

import io

import segno

from evidence.errors import InvalidInputError

#: What a version 40 code holds at level M; a code a phone reads from paper is far smaller (about 110 bytes is version 6).
TEXT_BYTES_MAX = 1200


def qr_svg(text: str) -> bytes:
    """The code at error correction level M (15 % may be scratched), with its quiet zone. The same text gives the same bytes.

    Raises:
        InvalidInputError: Nothing, or more text than paper can carry in a readable code.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # half a character has no code
    if not 0 < len(text.encode("utf-8")) <= TEXT_BYTES_MAX:
        raise InvalidInputError(f"a QR code carries 1 to {TEXT_BYTES_MAX} bytes of text")
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", border=4, xmldecl=False, svgns=True, dark="#000", light="#fff"
    )
    return out.getvalue()
