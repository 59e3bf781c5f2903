"""Which bytes a browser gets for a recording: the original where browsers play it, else the latest viewing copy. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from access.views import Watchable
from catalogue.records import DerivativeRow, RecordingRow
from evidence.digest import Digest
from media.facts import AudioFacts, MediaFacts, VideoFacts
from media.ladder import ViewingPlan, plan, viewing_media_type

T = TypeVar("T", VideoFacts, AudioFacts)

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
    if row.sha256 is None or row.stored_at is None:
        return None
    copies = [derivative for derivative in derivatives if derivative.kind == VIEWING]
    if copies:
        last = max(copies, key=lambda derivative: derivative.made_at)
        return Choice(kind=VIEWING, sha256=last.sha256, size_bytes=last.size_bytes, media_type=last.media_type)
    facts = _facts(row.facts)
    if facts is None or plan(facts) is not ViewingPlan.ORIGINAL:
        return None
    return Choice(kind="original", sha256=row.sha256, size_bytes=row.size_bytes, media_type=viewing_media_type(facts))


def watchable(row: RecordingRow, derivatives: Sequence[DerivativeRow]) -> Watchable:
    """What to tell about watching: never "yes" without bytes to send, never "nothing" before the file was examined."""
    choice = chosen(row, derivatives)
    if choice is not None:
        return Watchable.COPY if choice.kind == VIEWING else Watchable.ORIGINAL
    if not row.described:
        return Watchable.NOT_YET
    facts = _facts(row.facts)
    return Watchable.NOTHING if facts is None or plan(facts) is ViewingPlan.NONE else Watchable.TO_MAKE


def _facts(untrusted: Mapping[str, Any]) -> MediaFacts | None:
    """What the ladder has to know, read back from the catalogue; None where the row holds no such facts."""
    if not isinstance(untrusted.get("content"), str):
        return None
    return MediaFacts(
        content=untrusted["content"],
        video=_part(VideoFacts, untrusted.get("video")),
        audio=_part(AudioFacts, untrusted.get("audio")),
    )


def _part(kind: type[T], untrusted: object) -> T | None:
    if not isinstance(untrusted, Mapping) or not isinstance(untrusted.get("codec"), str):
        return None
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in untrusted.items() if name in known})
