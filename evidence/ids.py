"""Typed identities: a short prefix, an underscore and a UUIDv7 in hexadecimal.

A recording's identity sorts by the time it was first seen. The prefix keeps an agent from being passed where a recording
is meant, in code (types), in URLs and in the log.

Source: RFC 9562 section 5.7 (UUIDv7).
"""

from __future__ import annotations

import os
import re
from typing import ClassVar, Self

from evidence.errors import InvalidInputError

_PATTERN = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")


class Id(str):
    """A validated identity. Subclasses fix the prefix."""

    __slots__ = ()
    prefix: ClassVar[str] = ""

    def __new__(cls, untrusted: str) -> Self:
        """Parse; raises InvalidInputError unless the text is exactly ``<prefix>_<32 hex digits of a UUIDv7>``."""
        head, _, tail = untrusted.partition("_")
        if head != cls.prefix or not _PATTERN.fullmatch(tail):
            raise InvalidInputError(f"not a {cls.prefix} identity: {untrusted[:64]!r}")
        return super().__new__(cls, untrusted)

    @classmethod
    def new(cls, unix_ms: int) -> Self:
        """Make a fresh identity for the given Unix time in milliseconds."""
        value = (unix_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10))
        value = value & ~(0xF << 76) | (7 << 76)
        value = value & ~(0x3 << 62) | (2 << 62)
        return cls(f"{cls.prefix}_{value:032x}")


class RecordingId(Id):
    """One recording (media file or side file) as first seen on one device."""

    prefix = "rec"


class OffloadId(Id):
    """One docking's transfer."""

    prefix = "off"


class DeviceId(Id):
    """One recorder or other source in the ledger."""

    prefix = "dev"


class AgentId(Id):
    """A person or a piece of software that acts."""

    prefix = "agt"


class UnitId(Id):
    """A department."""

    prefix = "unt"


class EntryId(Id):
    """One custody entry, before and after sequencing."""

    prefix = "ent"


class DerivativeId(Id):
    """A viewing copy, poster, sheet, clip."""

    prefix = "drv"


class FindingId(Id):
    """Something an auditor must look at."""

    prefix = "fnd"


class MatterId(Id):
    """A numbered thing that persons bring, judge and close: a hold, a case, a request, a ticket."""

    prefix = "mat"


class DocumentId(Id):
    """A document that was filed with a matter."""

    prefix = "doc"
