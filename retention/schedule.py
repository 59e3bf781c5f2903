"""The schedule of keeping: which category is kept for how long, on whose authority, since when. Pure.

A version is never changed; a new one takes its place from a date on. Footage that was classified under an earlier version keeps
the date that version gave, when the new one would be earlier: both are computed, and the later one counts
(:meth:`Schedules.since`). Only an approved re-schedule batch that names a recording frees it from earlier versions.

Which versions have come into force is a fact handed in, and not read off the clock: a clock that went back cannot take a longer
period away again.

Source: RULES R10; docs/retention.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from evidence.canonical import dumps
from evidence.clock import from_text, to_text
from evidence.digest import Digest, sha256_of
from evidence.errors import InvalidInputError
from retention.periods import MONTHS_MAX, MONTHS_MIN, RetentionClass, parse_class

#: Shortest notice before anything is cleared (R10).
NOTICE_DAYS_MIN: Final = 7
#: Longest number of days: ten years.
DAYS_MAX: Final = 3660
_ROWS_MAX: Final = 2000
_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DisposalMode(StrEnum):
    """Who clears what is due."""

    REVIEW = "review"
    AUTOMATIC = "automatic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """How long one category is kept.

    Attributes:
        category: Its code.
        title: What screens call it.
        keeps: The class.
        authority: The provision it rests on; empty: that of the whole schedule.
    """

    category: str
    title: str
    keeps: RetentionClass
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One version.

    Attributes:
        version: Counts up from 1; the shipped default is 0.
        number: Number of the matter that brought it; ``default`` for the shipped one.
        authority: The document it rests on.
        in_force_from: Since when it is in force: the date it states, and never before it was approved.
        rows: By category.
        ordinary_months: For footage of no category.
        litigation_months: How long a closed case may still be contested.
        cool_off_days: How long footage stays after its last hold was released.
        notice_days: Between approval and clearing.
        mode: Who clears.

    Raises:
        InvalidInputError: A value is outside what the rules allow.
    """

    version: int
    number: str
    authority: str
    in_force_from: datetime
    rows: Mapping[str, ClassRow] = field(default_factory=dict)
    ordinary_months: int = MONTHS_MIN
    litigation_months: int = 6
    cool_off_days: int = 30
    notice_days: int = 30
    mode: DisposalMode = DisposalMode.REVIEW

    def __post_init__(self) -> None:
        if not self.authority.strip():
            raise InvalidInputError("the schedule names no authority", todo="Name the document it rests on.")
        bounds = (
            ("ordinary_months", self.ordinary_months, MONTHS_MIN, MONTHS_MAX),
            ("litigation_months", self.litigation_months, 0, MONTHS_MAX),
            ("cool_off_days", self.cool_off_days, 0, DAYS_MAX),
            ("notice_days", self.notice_days, NOTICE_DAYS_MIN, DAYS_MAX),
        )
        for name, value, least, most in bounds:
            if not least <= value <= most:
                raise InvalidInputError(f"{name} is {value}", todo=f"Choose between {least} and {most}.")
        if self.in_force_from.tzinfo is None:
            raise InvalidInputError("the schedule's date has no time zone")
        for category, row in self.rows.items():
            if not category or category != row.category:
                raise InvalidInputError(f"the row of {row.category!r} stands under {category!r}")

    def terms(self) -> dict[str, Any]:
        """What it says, as canonical JSON values; without version, number and date, which the matter gives it."""
        return {
            "authority": self.authority,
            "rows": [
                {"category": row.category, "title": row.title, "keeps": row.keeps.text(), "authority": row.authority}
                for _, row in sorted(self.rows.items())
            ],
            "ordinary_months": self.ordinary_months,
            "litigation_months": self.litigation_months,
            "cool_off_days": self.cool_off_days,
            "notice_days": self.notice_days,
            "mode": self.mode.value,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for a row of the catalogue; :func:`schedule_from_json` reads it."""
        return {
            **self.terms(),
            "version": self.version,
            "number": self.number,
            "in_force_from": to_text(self.in_force_from),
        }

    def digest(self) -> Digest:
        """SHA-256 over what it says."""
        return sha256_of(dumps(self.terms()))


def class_rows(untrusted: Sequence[Mapping[str, Any]]) -> dict[str, ClassRow]:
    """Rows as they are typed, imported or stored.

    Raises:
        InvalidInputError: A row lacks its category or period, a category stands twice, or there are too many.
    """
    if len(untrusted) > _ROWS_MAX:
        raise InvalidInputError(f"{len(untrusted)} rows are too many", todo=f"At most {_ROWS_MAX}.")
    rows: dict[str, ClassRow] = {}
    for number, one in enumerate(untrusted, start=1):
        category = str(one.get("category") or "").strip()
        if not category:
            raise InvalidInputError(f"row {number} names no category")
        if category in rows:
            raise InvalidInputError(f"row {number}: the category {category} stands twice")
        try:
            keeps = parse_class(str(one.get("keeps") or ""))
        except InvalidInputError as error:
            raise InvalidInputError(f"row {number} ({category}): {error.what}", todo=error.todo) from error
        title = str(one.get("title") or "").strip() or category
        rows[category] = ClassRow(
            category=category, title=title, keeps=keeps, authority=str(one.get("authority") or "").strip()
        )
    return rows


def schedule_from_json(untrusted: Mapping[str, Any]) -> Schedule:
    """Read :meth:`Schedule.to_json`.

    Raises:
        InvalidInputError: It is not of that form.
    """
    try:
        return Schedule(
            version=int(untrusted["version"]),
            number=str(untrusted["number"]),
            authority=str(untrusted["authority"]),
            in_force_from=from_text(untrusted["in_force_from"]),
            rows=class_rows(untrusted["rows"]),
            ordinary_months=int(untrusted["ordinary_months"]),
            litigation_months=int(untrusted["litigation_months"]),
            cool_off_days=int(untrusted["cool_off_days"]),
            notice_days=int(untrusted["notice_days"]),
            mode=DisposalMode(untrusted["mode"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError("a stored schedule cannot be read", todo="Run liuhen verify and rebuild.") from error


#: In force in every home until a bureau brings its own: six months, persons clear (R10).
DEFAULT: Final = Schedule(
    version=0, number="default", authority="R10: six months (shipped default)", in_force_from=_ALWAYS
)


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every version that has come into force, oldest first; the shipped default stands at the head.

    Raises:
        InvalidInputError: The versions do not count up.
    """

    versions: tuple[Schedule, ...] = (DEFAULT,)

    def __post_init__(self) -> None:
        if not self.versions:
            raise InvalidInputError("no schedule is in force")
        numbers = [one.version for one in self.versions]
        if numbers != sorted(set(numbers)):
            raise InvalidInputError("the versions of the schedule do not count up")

    @property
    def current(self) -> Schedule:
        """The one in force."""
        return self.versions[-1]

    def with_version(self, version: Schedule) -> Schedules:
        """The same after one more came into force."""
        return Schedules((*self.versions, version))

    def since(self, moment: datetime | None, *, not_before: int = 0) -> tuple[Schedule, ...]:
        """The versions that something judged at that moment is bound to: those in force then or later.

        Args:
            moment: When it was classified, released, ...; None: since ever.
            not_before: A re-schedule batch freed it from versions before this one.

        Returns:
            Oldest first; the current one is always among them.
        """
        bound = [
            one
            for one, follower in zip(self.versions, self.versions[1:], strict=False)
            if one.version >= not_before and (moment is None or follower.in_force_from > moment)
        ]
        return (*bound, self.current)
