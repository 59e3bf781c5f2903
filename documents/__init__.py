"""Printed things: PDF by typst, registers as CSV and XLSX, QR codes. Data in, bytes out; knows no rule and no database."""

from documents.blocks import (
    Attachment,
    Block,
    Checkpoint,
    Choices,
    Digest,
    Fields,
    Heading,
    Listing,
    PageBreak,
    Paragraph,
    Picture,
    Pictures,
    Printable,
    QrCode,
    Signature,
    Signatures,
    Table,
)
from documents.printing import print_document

__all__ = [
    "Attachment",
    "Block",
    "Checkpoint",
    "Choices",
    "Digest",
    "Fields",
    "Heading",
    "Listing",
    "PageBreak",
    "Paragraph",
    "Picture",
    "Pictures",
    "Printable",
    "QrCode",
    "Signature",
    "Signatures",
    "Table",
    "print_document",
]
