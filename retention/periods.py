"""How long a class of footage is kept: so many months, as its case file, until it was reviewed, or without an end. Pure.

Footage is kept six calendar months at the least (R10); a bureau may keep longer, never shorter. Long-term preservation
(长期保存, R11) has no end by itself. What follows the case archive (同案卷) is dated by its case, and has no date while there
is none.

Source: RULES R10, R11, R15, R19; docs/retention.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from evidence.errors import InvalidInputError
from evidence.lock_dates import MONTHS

#: The shortest period the rules allow.
MONTHS_MIN: Final = MONTHS
#: A hundred years: a longer period is a mistake, or long-term preservation.
MONTHS_MAX: Final = 1200


class Term(StrEnum):
    """What ends a period of keeping."""

    MONTHS = "months"
    CASE_ARCHIVE = "case-archive"
    UNTIL_REVIEWED = "until-reviewed"
    LONG_TERM = "long-term"


_RANK: Final = {Term.MONTHS: 0, Term.CASE_ARCHIVE: 1, Term.UNTIL_REVIEWED: 2, Term.LONG_TERM: 3}


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """One class of the schedule.

    Attributes:
        term: What ends it.
        months: Calendar months, for ``Term.MONTHS`` alone.

    Raises:
        InvalidInputError: Fewer than six months, too many, or months where none belong.
    """

    term: Term
    months: int = 0

    def __post_init__(self) -> None:
        if self.term is Term.MONTHS:
            if self.months < MONTHS_MIN:
                raise InvalidInputError(
                    f"{self.months} months are shorter than the rules allow",
                    todo="Footage is kept six months at the least.",
                )
            if self.months > MONTHS_MAX:
                raise InvalidInputError(f"{self.months} months are no period", todo="Choose long-term preservation.")
        elif self.months:
            raise InvalidInputError(f"the class {self.term} has no months")

    @property
    def length(self) -> tuple[int, int]:
        """For comparison: the greater is kept longer, as far as that can be told without the recording's facts."""
        return _RANK[self.term], self.months

    def text(self) -> str:
        """The one written form: ``months:24``, ``long-term``; :func:`parse_class` reads it."""
        return f"{self.term}:{self.months}" if self.term is Term.MONTHS else self.term.value


def months(count: int) -> RetentionClass:
    """The class of so many calendar months."""
    return RetentionClass(Term.MONTHS, count)


LONG_TERM: Final = RetentionClass(Term.LONG_TERM)
FOLLOWS_CASE: Final = RetentionClass(Term.CASE_ARCHIVE)
UNTIL_REVIEWED: Final = RetentionClass(Term.UNTIL_REVIEWED)

_WORDS: Final = {
    "long-term": LONG_TERM,
    "permanent": LONG_TERM,
    "永久": LONG_TERM,
    "长期": LONG_TERM,
    "长期保存": LONG_TERM,
    "永久保存": LONG_TERM,
    "case-archive": FOLLOWS_CASE,
    "case archive": FOLLOWS_CASE,
    "同案卷": FOLLOWS_CASE,
    "同案卷保留期限": FOLLOWS_CASE,
    "同案卷保管期限": FOLLOWS_CASE,
    "随案卷": FOLLOWS_CASE,
    "until-reviewed": UNTIL_REVIEWED,
    "until reviewed": UNTIL_REVIEWED,
    "待鉴定": UNTIL_REVIEWED,
    "鉴定前": UNTIL_REVIEWED,
}
_NUMBERS: Final = {word: number for number, word in enumerate("一二三四五六七八九", start=1)} | {"两": 2}
_OWN: Final = re.compile(r"months:([0-9]{1,5})")
_COUNT: Final = re.compile(
    r"(?:不少于|不低于|至少|>=|≥)?\s*(?P<n>[0-9]{1,5}|[一二三四五六七八九十两]{1,3}|半)\s*(?P<u>个?月|months?|年|years?)(?:以上)?",
    re.IGNORECASE,
)


def parse_class(untrusted: str) -> RetentionClass:
    """Read a class as it is written in a schedule or in a bureau's list (6个月, 2年, 永久, 同案卷保留期限, ``months:24``).

    Raises:
        InvalidInputError: It is not understood, or shorter than six months.
    """
    text = untrusted.strip()
    if (known := _WORDS.get(text.lower())) is not None:
        return known
    if (own := _OWN.fullmatch(text)) is not None:
        return months(int(own[1]))
    if (found := _COUNT.fullmatch(text)) is not None:
        years = found["u"].lower().startswith(("年", "year"))
        if found["n"] == "半":
            if years:
                return months(6)
        else:
            count = int(found["n"]) if found["n"].isascii() else _number(found["n"])
            return months(count * 12 if years else count)
    raise InvalidInputError(
        f"{text!r} is no period of keeping",
        todo="Write 6个月, 2年, 永久, 同案卷 or 待鉴定 (months:6, long-term, case-archive).",
    )


def _number(word: str) -> int:
    tens, ten, ones = word.partition("十")
    try:
        return (_NUMBERS[tens] if tens else 1) * 10 + (_NUMBERS[ones] if ones else 0) if ten else _NUMBERS[word]
    except KeyError as error:
        raise InvalidInputError(f"{word!r} is no number") from error
