"""What a person reads on a Chinese page is Chinese: refusals, facts that no form declares, and words that mean two things."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.matters.names import Names
from api.matters.showing import COLUMNS, ENGINE_FACTS, FACT_VALUES, Shower
from api.web import clearing_pages, clearing_words
from api.web.i18n import translate
from app.matter_forms import all_forms
from assurance.presence import Answer
from matters.form import Form

ROOT = Path(__file__).parents[3]
ROOMS = [path for room in ("matters", "cases", "retention") for path in sorted((ROOT / room).glob("*.py"))]
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    for path in ROOMS:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == name:
                yield path, call


def test_no_refusal_is_put_together_in_english() -> None:
    """A sentence with its values in it is found in no translation: the values are fields of the message."""
    wrong = [
        f"{path.name}:{call.lineno}"
        for path, call in _calls("refuse")
        for part in (*call.args[:1], *(one.value for one in call.keywords if one.arg == "todo"))
        if isinstance(part, ast.JoinedStr)
    ]
    assert wrong == []


def _form(kind: str) -> Form:
    found: Form = next(form for form in all_forms() if form.kind == kind)
    return found


def _facts_of_links() -> set[str]:
    return {
        str(key.value)
        for path in ROOMS
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "NewLink"
        for one in call.keywords
        if one.arg == "facts" and isinstance(one.value, ast.Dict)
        for key in one.value.keys
        if isinstance(key, ast.Constant)
    }


def test_what_no_form_declares_has_a_word_all_the_same() -> None:
    declared = {name for form in all_forms() for name in form.fields()}
    assert sorted(_facts_of_links() - declared - set(ENGINE_FACTS)) == []
    for name in ("described", "within", "principal", "entered_at", "schedule", "due", "size"):
        assert name in declared | set(ENGINE_FACTS)
    for word in (*ENGINE_FACTS.values(), *FACT_VALUES.values(), *COLUMNS.values()):
        assert word == "SHA-256" or _CHINESE.search(translate(word, "zh-CN")), word


@pytest.mark.parametrize(
    ("kind", "state", "word"),
    [
        ("device-issue", "held", "已配发"),
        ("device-issue", "returned", "已归还"),
        ("shift", "returned", "已归还"),
        ("loan", "returned", "已归还"),
        ("exception", "returned", "已退回"),
        ("hold", "standing", "暂停清除中"),
    ],
)
def test_one_english_word_for_two_things_is_two_words_in_chinese(kind: str, state: str, word: str) -> None:
    assert translate(_form(kind).state(state).word, "zh-CN") == word


def test_what_is_kept_is_told_to_be_in_store_and_not_on_hold() -> None:
    assert translate(clearing_words.ANSWERS[Answer.HELD].word, "zh-CN") == "在库"


def test_a_recorder_that_works_is_in_good_order_and_no_sound() -> None:
    choices = _form("shift").fields()["condition"].choices
    assert next(translate(one.word, "zh-CN") for one in choices) == "完好"


def test_the_periods_of_a_schedule_are_read_as_people_write_them() -> None:
    shower = Shower(Names(agents={}, units={}, devices={}, recordings={}, matters={}, forms={}), "zh-CN")
    rows = [{"category": "a", "keeps": one} for one in ("months:24", "long-term", "case-archive", "until-reviewed")]
    shown = shower.shown(_form("schedule"), "rows", rows)
    assert [row[2] for row in shown.rows] == ["24 个月", "长期保存", "同案卷", "待鉴定"]


def test_why_a_batch_waits_is_told_in_our_time() -> None:
    assert clearing_pages._when("2026-12-04T16:00:00.000Z") == "2026-12-05 00:00 +08:00"
    assert clearing_pages._when("QCTZ2026-0001") == "QCTZ2026-0001"
