"""Which bytes a browser gets for a recording: the original where browsers play it, else the latest viewing copy. Pure.

The examination decided which step of the ladder serves (``facts["viewing"]``, see :mod:`media.ladder`); nothing is decided anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from access.views import Watchable
from catalogue.records import DerivativeRow, RecordingRow
from evidence.digest import Digest
from evidence.model import RecordingState
from media.ladder import ViewingPlan

#: Kind of the derivative a browser plays in place of the original.
VIEWING: Final = "viewing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The blob to stream. ``kind`` is ``original`` or ``viewing``."""

    kind: str
    sha256: Digest
    size_bytes: int
    media_type: str


def chosen(row: RecordingRow, derivatives: Sequence[DerivativeRow]) -> Choice | None:
    """The bytes to stream, None when there are none (yet)."""
    if row.sha256 is None or row.stored_at is None or row.disposing_at is not None:
        return None
    copies = [derivative for derivative in derivatives if derivative.kind == VIEWING]
    if copies:
        last = max(copies, key=lambda derivative: derivative.made_at)
        return Choice(kind=VIEWING, sha256=last.sha256, size_bytes=last.size_bytes, media_type=last.media_type)
    media_type = row.facts.get("media_type")
    if row.facts.get("viewing") != ViewingPlan.ORIGINAL or not _is_played(media_type):
        return None
    return Choice(kind="original", sha256=row.sha256, size_bytes=row.size_bytes, media_type=str(media_type))


def watchable(row: RecordingRow, derivatives: Sequence[DerivativeRow]) -> Watchable:
    """What to tell about watching: never "yes" without bytes to send, never "nothing" before the file was examined."""
    choice = chosen(row, derivatives)
    if choice is not None:
        return Watchable.COPY if choice.kind == VIEWING else Watchable.ORIGINAL
    if row.disposing_at is not None:  # lawfully cleared, or being cleared
        return Watchable.NOTHING
    if row.state is RecordingState.DUPLICATE:  # never examined by itself
        return Watchable.ELSEWHERE
    if not row.described:
        return Watchable.NOT_YET
    wanted = row.facts.get("viewing")
    return Watchable.TO_MAKE if wanted in (ViewingPlan.REMUX, ViewingPlan.TRANSCODE) else Watchable.NOTHING


def _is_played(media_type: object) -> bool:
    """Sound, pictures and motion only: whatever stands in the catalogue, nothing is sent that a browser would run."""
    return (
        isinstance(media_type, str)
        and media_type.startswith(("video/", "audio/", "image/"))
        and media_type != "image/svg+xml"
    )
