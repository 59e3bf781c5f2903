"""Is the footage of an activity whole? Spans that had to be recorded, what is there, what is missing, what explains it. Pure.

For each officer the spans of their recordings are laid over the span of the activity. A gap longer than :data:`GAP_S` is
missing
footage; an exception that was filed (R7) explains the part it covers, and is never counted as footage. Missing numbers in a
recorder's counter between the first and the last recording of the activity are told apart: something was recorded that
did not come
in (R8). A recording whose end is not known covers nothing beyond its start, and is told, because nobody knows.

Source: RULES R3, R7, R8, R25; docs/inspection.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

#: Shorter gaps are the pause between two files of one recorder.
GAP_S: Final = 60
#: More missing numbers than this are another recorder's counter or a reset, not so many lost files: the jump itself is told.
JUMP_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span of time; ``begins`` before ``ends``."""

    begins: datetime
    ends: datetime

    @property
    def seconds(self) -> int:
        """How long."""
        return int((self.ends - self.begins).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording of the activity, as far as this question needs it."""

    recording: str
    officer: str
    device: str
    begins: datetime | None
    ends: datetime | None
    counter: int | None = None
    media: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A filed exception of an officer."""

    number: str
    officer: str
    span: Span


class Verdict(StrEnum):
    """What comes of it."""

    WHOLE = "whole"
    EXPLAINED = "explained"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfOfficer:
    """One officer's part.

    Attributes:
        officer: Who.
        recordings: What is there.
        covered: What they cover of the activity, in seconds.
        missing: Spans nothing covers or explains.
        explained: Spans an exception explains, with its number.
        unknown: Recordings whose length or time nobody knows.
        counters: Missing numbers: recorder, first and last.
    """

    officer: str
    recordings: tuple[str, ...]
    covered: int
    missing: tuple[Span, ...]
    explained: tuple[tuple[str, Span], ...]
    unknown: tuple[str, ...]
    counters: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """The report of an activity; ``verdict`` is that of the worst part."""

    span: Span
    officers: tuple[OfOfficer, ...] = ()
    verdict: Verdict = field(default=Verdict.UNKNOWN)


def completeness(
    span: Span,
    officers: Sequence[str],
    recorded: Iterable[Recorded],
    explained: Iterable[Explained],
    *,
    gap_s: int = GAP_S,
) -> Completeness:
    """Whether every officer's part of an activity is there.

    Args:
        span: When the activity was.
        officers: Who had to record it.
        recorded: Their recordings that touch it.
        explained: Filed exceptions that touch it.
        gap_s: The longest pause between two files that is none, seconds.
    """
    ours, reasons = list(recorded), list(explained)
    parts = tuple(
        _of_officer(
            officer, span, [one for one in ours if one.officer == officer], [one for one in reasons if one.officer == officer],
            timedelta(seconds=gap_s),
        )
        for officer in officers
    )  # fmt: skip
    return Completeness(span=span, officers=parts, verdict=_verdict(parts))


def _verdict(parts: Sequence[OfOfficer]) -> Verdict:
    if not parts:
        return Verdict.UNKNOWN
    if any(part.missing or part.counters for part in parts):
        return Verdict.MISSING
    if any(part.unknown for part in parts):
        return Verdict.UNKNOWN
    return Verdict.EXPLAINED if any(part.explained for part in parts) else Verdict.WHOLE


def _of_officer(
    officer: str, span: Span, recorded: list[Recorded], explained: list[Explained], gap: timedelta
) -> OfOfficer:  # fmt: skip
    media = [one for one in recorded if one.media]
    known = [
        Span(begins=one.begins, ends=one.ends)
        for one in media if one.begins is not None and one.ends is not None and one.ends > one.begins
    ]  # fmt: skip
    gaps = [one for one in _without(span, known) if one.ends - one.begins > gap]
    told: list[tuple[str, Span]] = []
    for reason in explained:
        told += [(reason.number, part) for one in gaps if (part := _common(one, reason.span)) is not None]
    missing = [
        part
        for one in gaps
        for part in _without(one, [reason.span for reason in explained])
        if part.ends - part.begins > gap
    ]
    unknown = [one.recording for one in media if one.begins is None or one.ends is None]
    return OfOfficer(
        officer=officer, recordings=tuple(one.recording for one in recorded),
        covered=span.seconds - sum(one.seconds for one in _without(span, known)), missing=tuple(missing),
        explained=tuple(told), unknown=tuple(unknown), counters=tuple(_missing_counters(media)),
    )  # fmt: skip


def _without(span: Span, taken: Sequence[Span]) -> list[Span]:
    """What is left of a span."""
    left, at = [], span.begins
    for one in sorted(taken, key=lambda part: part.begins):
        if one.ends <= at or one.begins >= span.ends:
            continue
        if one.begins > at:
            left.append(Span(begins=at, ends=min(one.begins, span.ends)))
        at = max(at, one.ends)
    if at < span.ends:
        left.append(Span(begins=at, ends=span.ends))
    return left


def _common(one: Span, other: Span) -> Span | None:
    begins, ends = max(one.begins, other.begins), min(one.ends, other.ends)
    return Span(begins=begins, ends=ends) if begins < ends else None


def _missing_counters(recorded: Sequence[Recorded]) -> list[tuple[str, int, int]]:
    by_device: dict[str, set[int]] = {}
    for one in recorded:
        if one.counter is not None:
            by_device.setdefault(one.device, set()).add(one.counter)
    found = []
    for device, numbers in sorted(by_device.items()):
        ordered = sorted(numbers)
        for before, after in pairwise(ordered):
            if 1 < after - before <= JUMP_MAX:
                found.append((device, before + 1, after - 1))
    return found
