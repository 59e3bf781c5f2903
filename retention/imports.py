"""Categories of a schedule and days of a calendar from the files bureaus have: CSV or XLSX, headings in Chinese or English. Pure.

What cannot be read is refused with its row; nothing is guessed.

Source: RULES R10; docs/retention.md.
"""

from __future__ import annotations

from typing import Final

from documents.sheets import SheetRow, read_rows
from evidence.errors import InvalidInputError
from evidence.working_days import COLUMNS, read_years
from retention.schedule import class_rows

_CATEGORY: Final = {"code": "category", "代码": "category", "分类代码": "category", "category": "category"}
_TITLE: Final = {"title": "title", "分类": "title", "名称": "title", "分类名称": "title"}
_KEEPS: Final = {"keeps": "keeps", "期限": "keeps", "保存期限": "keeps", "存储期限": "keeps", "保管期限": "keeps"}
_AUTHORITY: Final = {"authority": "authority", "依据": "authority", "依据条款": "authority"}
_SCHEDULE: Final = {**_CATEGORY, **_TITLE, **_KEEPS, **_AUTHORITY}
_DAYS: Final = {"日期": "date", "类别": "kind", "名称": "name", "依据": "source", "文号": "source"} | {
    name: name for name in COLUMNS
}


def schedule_rows(data: bytes) -> list[dict[str, str]]:
    """Categories as the schedule's form takes them.

    Raises:
        InvalidInputError: A column or value is missing or not understood; the message names the row.
        LimitExceededError: The file is too large.
    """
    rows = [_named(row, _SCHEDULE) for row in read_rows(data, expected=tuple(_SCHEDULE))]
    for column in ("category", "keeps"):
        if rows and all(column not in row for row in rows):
            raise InvalidInputError(
                f"the file lacks the column {column}", kept="Nothing was imported.",
                todo="Columns: category, title, keeps, authority (代码, 名称, 保存期限, 依据).",
            )  # fmt: skip
    if not rows:
        raise InvalidInputError("the file has no rows", kept="Nothing was imported.")
    return [
        {"category": row.category, "title": row.title, "keeps": row.keeps.text(), "authority": row.authority}
        for row in class_rows(rows).values()
    ]


def calendar_rows(data: bytes) -> tuple[int, list[dict[str, str]]]:
    """The year of a notice and its days as the calendar's form takes them.

    Raises:
        InvalidInputError: It is no such table, or holds several notices; the message names the row.
        LimitExceededError: The file is too large.
    """
    rows = [_named(row, _DAYS) for row in read_rows(data, expected=tuple(_DAYS))]
    years = read_years([COLUMNS, *([row.get(name, "") for name in COLUMNS] for row in rows)])
    if len(years) != 1:
        raise InvalidInputError(
            f"the file holds the notices of {len(years)} years",
            kept="Nothing was imported.",
            todo="Bring in one at a time.",
        )
    return years[0].year, [{name: row.get(name, "") for name in COLUMNS} for row in rows]


def _named(row: SheetRow, names: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for title, value in row.values.items():
        name = names.get(title.strip().lower())
        if name is not None and value:
            found.setdefault(name, value)
    return found
