"""The bureau's list of what is to be recorded (音像记录事项清单): read, compared, and looked up. Pure.

Two levels: a class of enforcement with its matters, and for each the step and the item that is recorded, in which category it is
kept, for how long and where, and whether it *must* be recorded, is recorded *by circumstances*, or need not be (R3). Files of
bureaus come as CSV or XLSX (:mod:`documents.sheets`); the rows they cannot be read from are told with their numbers, and none is
guessed.

The period of keeping is the schedule's. A list that asks for more than its category is kept for is refused: nobody may believe
footage is kept two years when it is kept for six months. One that asks for less is told; the longer period counts.

Source: RULES R3, R11; docs/formats/record-list.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from documents.sheets import SheetRow, read_rows
from evidence.canonical import dumps
from evidence.errors import InvalidInputError
from retention.periods import MONTHS_MIN, RetentionClass, Term, parse_class
from retention.schedule import ClassRow

#: Most rows of one list.
ROWS_MAX: Final = 3000
_CELL_CHARS_MAX: Final = 300
#: Column of a file -> field.
TITLES: Final[Mapping[str, str]] = {
    "执法类别": "kind", "类别": "kind", "执法事项": "matter", "事项": "matter", "事项名称": "matter", "执法活动": "matter",
    "执法环节": "step", "环节": "step", "记录事项": "item", "记录内容": "item", "存储类别": "category", "保存类别": "category",
    "分类": "category", "存储位置": "place", "保存位置": "place", "存储期限": "keeps", "保存期限": "keeps", "保管期限": "keeps",
    "记录要求": "duty", "记录方式": "duty", "是否记录": "duty",
    "class": "kind", "matter": "matter", "step": "step", "item": "item", "category": "category", "place": "place",
    "keeps": "keeps", "duty": "duty",
}  # fmt: skip
#: Columns that may stand in a file and say nothing here.
IGNORED: Final = frozenset({"序号", "编号", "备注", "no", "remarks"})


class Duty(StrEnum):
    """Whether an activity is recorded (R3)."""

    MUST = "must"
    BY_CIRCUMSTANCES = "by-circumstances"
    NOT_NEEDED = "not-needed"


_DUTIES: Final[Mapping[str, Duty]] = {
    "": Duty.MUST, "全程录音录像": Duty.MUST, "全程记录": Duty.MUST, "全程": Duty.MUST, "必录": Duty.MUST, "必须": Duty.MUST,
    "应当": Duty.MUST, "是": Duty.MUST, "must": Duty.MUST,
    "视情": Duty.BY_CIRCUMSTANCES, "视情记录": Duty.BY_CIRCUMSTANCES, "根据情况": Duty.BY_CIRCUMSTANCES,
    "酌情": Duty.BY_CIRCUMSTANCES, "可以": Duty.BY_CIRCUMSTANCES, "by-circumstances": Duty.BY_CIRCUMSTANCES,
    "不录": Duty.NOT_NEEDED, "无需": Duty.NOT_NEEDED, "无需记录": Duty.NOT_NEEDED, "不需要": Duty.NOT_NEEDED,
    "否": Duty.NOT_NEEDED, "not-needed": Duty.NOT_NEEDED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ListItem:
    """One entry of the list.

    Attributes:
        code: Made of its names: the same entry has the same code in every version.
        kind: Class of enforcement (执法类别).
        matter: Matter of enforcement (执法事项).
        step: Step (执法环节).
        item: What is recorded (记录事项).
        duty: Whether it is recorded.
        category: Category of the schedule it is kept in; empty where the person chooses.
        keeps: Period the list states, as it is written in entries; empty where it states none.
        place: Where it is kept (存储位置), told only.
    """

    kind: str
    matter: str
    step: str = ""
    item: str = ""
    duty: Duty = Duty.MUST
    category: str = ""
    keeps: str = ""
    place: str = ""

    @property
    def code(self) -> str:
        """Twelve hexadecimal digits over its names."""
        return hashlib.sha256(dumps([self.kind, self.matter, self.step, self.item])).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Its names in one line."""
        return " / ".join(part for part in (self.kind, self.matter, self.step, self.item) if part)

    def to_row(self) -> dict[str, str]:
        """As it is entered; empty fields are left out."""
        told = {
            "kind": self.kind, "matter": self.matter, "step": self.step, "item": self.item, "duty": self.duty.value,
            "category": self.category, "keeps": self.keeps, "place": self.place,
        }  # fmt: skip
        return {name: text for name, text in told.items() if text}


def from_row(row: Mapping[str, Any]) -> ListItem:
    """Read :meth:`ListItem.to_row`.

    Raises:
        InvalidInputError: It is no such row.
    """
    try:
        return ListItem(**{**row, "duty": Duty(row["duty"])})
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError("a stored row of the list cannot be read", todo="Run liuhen verify.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something about one row of the file.

    Attributes:
        row: Its number in the file; 0 for none in particular.
        code: Stable: ``no-class``, ``no-matter``, ``too-long``, ``unknown-duty``, ``unknown-period``, ``unknown-category``,
            ``longer-than-category``, ``twice``, ``conflict``, or (told only) ``shorter-than-category``, ``overlap``.
        detail: The value, or the other row.
    """

    row: int
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadList:
    """A file that was read.

    Attributes:
        items: Rows that could be read, in their order.
        unreadable: What is wrong; while anything is, the list cannot be proposed.
        told: What a person is to know before.
    """

    items: tuple[ListItem, ...]
    unreadable: tuple[Trouble, ...]
    told: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a list changes: entries it brings, says otherwise (before, after), and leaves out."""

    new: tuple[ListItem, ...]
    changed: tuple[tuple[ListItem, ListItem], ...]
    dropped: tuple[ListItem, ...]


def read_list(data: bytes, categories: Mapping[str, ClassRow], *, sheet: str = "") -> ReadList:
    """Read a file.

    Args:
        data: CSV or XLSX, as it was uploaded.
        categories: Of the schedule in force; a row names one by code or title.
        sheet: Of a workbook.

    Raises:
        InvalidInputError, LimitExceededError: It is no such file, or too large.
    """
    rows = read_rows(data, expected=tuple(TITLES), sheet=sheet)
    if len(rows) > ROWS_MAX:
        raise InvalidInputError(f"{len(rows)} rows are too many", todo=f"At most {ROWS_MAX}.")
    return _Reader(categories).read(rows)


class _Reader:
    def __init__(self, categories: Mapping[str, ClassRow]) -> None:
        self._categories = categories
        self._by_title = {row.title: code for code, row in categories.items()}
        self._bad: list[Trouble] = []
        self._told: list[Trouble] = []

    def read(self, rows: Sequence[SheetRow]) -> ReadList:
        items: dict[str, tuple[int, ListItem]] = {}
        above = {"kind": "", "matter": ""}
        for row in rows:
            item = self._item(row, above)
            if item is None:
                continue
            if item.code in items:
                number, other = items[item.code]
                self._bad.append(
                    Trouble(row=row.number, code="twice" if other == item else "conflict", detail=str(number))
                )
                continue
            items[item.code] = (row.number, item)
        self._overlaps(items.values())
        return ReadList(
            items=tuple(item for _number, item in items.values()), unreadable=tuple(self._bad), told=tuple(self._told)
        )

    def _item(self, row: SheetRow, above: dict[str, str]) -> ListItem | None:
        values: dict[str, str] = {}
        for title, text in row.values.items():
            name = TITLES.get("".join(title.split()).lower() if title.isascii() else "".join(title.split()))
            if name is not None and text:
                values[name] = " ".join(text.split())
        # Merged cells of a workbook stand in the first row only: what is empty below is the same as above.
        if not values.get("kind"):
            values["kind"] = above["kind"]
        elif values["kind"] != above["kind"]:
            above.update(kind=values["kind"], matter="")
        if not values.get("matter"):
            values["matter"] = above["matter"]
        above["matter"] = values["matter"]
        before = len(self._bad)
        self._require(row.number, values)
        duty = _DUTIES.get(values.get("duty", "").lower())
        if duty is None:
            self._bad.append(Trouble(row=row.number, code="unknown-duty", detail=values["duty"]))
        keeps = self._period(row.number, values.get("keeps", ""))
        category = self._category(row.number, values.get("category", ""), keeps)
        if len(self._bad) > before or duty is None:
            return None
        return ListItem(
            kind=values["kind"], matter=values["matter"], step=values.get("step", ""), item=values.get("item", ""),
            duty=duty, category=category, keeps=keeps.text() if keeps is not None else "", place=values.get("place", ""),
        )  # fmt: skip

    def _require(self, number: int, values: Mapping[str, str]) -> None:
        for name, code in (("kind", "no-class"), ("matter", "no-matter")):
            if not values[name]:
                self._bad.append(Trouble(row=number, code=code))
        for text in values.values():
            if len(text) > _CELL_CHARS_MAX or not text.isprintable():
                self._bad.append(Trouble(row=number, code="too-long", detail=text[:40]))

    def _period(self, number: int, text: str) -> RetentionClass | None:
        if not text:
            return None
        try:
            return parse_class(text)
        except InvalidInputError:
            self._bad.append(Trouble(row=number, code="unknown-period", detail=text[:40]))
            return None

    def _category(self, number: int, text: str, keeps: RetentionClass | None) -> str:
        if not text:
            return ""
        code = text if text in self._categories else self._by_title.get(text, "")
        if not code:
            self._bad.append(Trouble(row=number, code="unknown-category", detail=text[:40]))
            return ""
        stands = self._categories[code].keeps
        if keeps is not None and keeps != stands:
            if _is_longer(keeps, stands):
                self._bad.append(Trouble(row=number, code="longer-than-category", detail=f"{code}: {stands.text()}"))
            else:
                self._told.append(Trouble(row=number, code="shorter-than-category", detail=f"{code}: {stands.text()}"))
        return code

    def _overlaps(self, items: Iterable[tuple[int, ListItem]]) -> None:
        """The same thing in two classes of enforcement with different categories: a person may choose either."""
        seen: dict[tuple[str, str, str], tuple[int, ListItem]] = {}
        for number, item in items:
            place = (item.matter, item.step, item.item)
            if place in seen and seen[place][1].category != item.category:
                self._told.append(Trouble(row=number, code="overlap", detail=str(seen[place][0])))
            seen.setdefault(place, (number, item))


def _is_longer(keeps: RetentionClass, stands: RetentionClass) -> bool:
    """Whether a list asks for more than its category gives. What follows a case is dated by the case: nobody can compare it."""
    if stands.term is Term.LONG_TERM:
        return False
    if Term.CASE_ARCHIVE in (keeps.term, stands.term):
        return keeps.term is not Term.MONTHS or keeps.months > MONTHS_MIN
    return keeps.length > stands.length


def compared(before: Sequence[ListItem], after: Sequence[ListItem]) -> Difference:
    """What a list changes in the one in force."""
    old, new = {one.code: one for one in before}, {one.code: one for one in after}
    return Difference(
        new=tuple(one for code, one in new.items() if code not in old),
        changed=tuple((old[code], one) for code, one in new.items() if code in old and old[code] != one),
        dropped=tuple(one for code, one in old.items() if code not in new),
    )
