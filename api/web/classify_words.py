"""Words about classification, flags and holds that pages and commands share."""

from __future__ import annotations

from typing import Any, Final

from api.web.i18n import translate
from api.web.marks import BAD, GOOD, UNKNOWN, WARN, Mark
from api.web.retention_words import keeping_text
from catalogue.records import RecordingRow, TimelineRow
from catalogue.rules import RulesRow
from evidence.events import RecordingClassified, RecordingFlagged
from retention import flags
from retention.classification import Choices, is_unclassified
from retention.periods import LONG_TERM
from retention.record_list import Duty

UNCLASSIFIED: Final = Mark(WARN, "question", "Unclassified")
KEPT_EVERYWHERE: Final = Mark(GOOD, "check", "Every store keeps it")
KEPT_SOMEWHERE: Final = Mark(WARN, "clock", "Not every store keeps it yet")
KEPT_NOWHERE: Final = Mark(BAD, "warn", "No store keeps it yet: only the catalogue does")
OVER: Final = Mark(UNKNOWN, "check", "Released")
#: Why a recording of a list stays as it is.
LEFT: Final = {
    "duplicate": "a duplicate: classify the recording that keeps its bytes",
    "going": "lawfully cleared, or being cleared",
    "same": "is classified so already",
    "changed": "was classified by somebody meanwhile",
}
DUTIES: Final = {
    Duty.MUST.value: "must be recorded",
    Duty.BY_CIRCUMSTANCES.value: "recorded by circumstances",
    Duty.NOT_NEEDED.value: "need not be recorded",
}
#: What is wrong with a row of a list, and what a person is to know.
TROUBLES: Final = {
    "no-class": "names no class of enforcement",
    "no-matter": "names no matter of enforcement",
    "too-long": "a cell is too long or holds control characters",
    "unknown-duty": "what is said about recording is not understood",
    "unknown-period": "is no period of keeping, or a shorter one than the rules allow",
    "unknown-category": "the schedule in force has no such category",
    "longer-than-category": "asks for more than its category is kept for",
    "shorter-than-category": "asks for less than its category is kept for: the longer period counts",
    "twice": "stands twice; the other row",
    "conflict": "contradicts another row",
    "overlap": "the same thing stands in another category too; the other row",
}
FLAG_WORDS: Final = {one.code: one.word for one in flags.FLAGS}
GROUND_WORDS: Final = {
    **{one.code: one.word for some in flags.GROUNDS.values() for one in some}, "class": "its category is long-term",
    "lifted": "lifted by approval",
}  # fmt: skip


def said(row: RecordingRow, rules: RulesRow, choices: Choices | None, language: str) -> str:
    """One line: what a recording is, in the words of the schedule; "Unclassified" while nobody has said."""
    if is_unclassified(row, rules):
        return translate("Unclassified", language)
    titles = {one.category: one.title for one in choices.categories} if choices is not None else {}
    return titles.get(rules.category, rules.category)


def history(timeline: list[TimelineRow], choices: Choices, language: str) -> list[dict[str, Any]]:
    """Judgements and flags of a recording, the latest first."""
    titles = {one.category: one.title for one in choices.categories}
    items = {one.code: one.title for one in choices.items}
    lines = []
    for entry in reversed(timeline):
        told, ground = "", ""
        if entry.event_type == RecordingClassified.TYPE:
            code = str(entry.public.get("category", ""))
            told = titles.get(code, code) or translate("Judgement taken back", language)
            ground = items.get(str(entry.public.get("item", "")), "")
        elif entry.event_type == RecordingFlagged.TYPE:
            flag, code = str(entry.public.get("flag", "")), str(entry.public.get("ground", ""))
            told = translate(FLAG_WORDS.get(flag, flag), language)
            ground = translate(GROUND_WORDS.get(code, code), language)
        else:
            continue
        lines.append({
            "at": entry.at, "actor": entry.actor, "told": told, "ground": ground,
            "words": str(entry.disclosed.get("words") or ""), "lifted": entry.public.get("standing") is False,
        })  # fmt: skip
    return lines


def category_options(choices: Choices, language: str) -> list[tuple[str, str]]:
    """Code and words of every category that can be chosen."""
    return [(one.category, f"{one.title} · {keeping_text(one.keeps.text(), language)}") for one in choices.categories]


def for_good(choices: Choices) -> set[str]:
    """Codes of the categories that make footage long-term for good: whoever chooses one is told before."""
    return {one.category for one in choices.categories if one.keeps == LONG_TERM}


def item_options(choices: Choices) -> list[tuple[str, str]]:
    """Code and words of every entry of the list that is or may be recorded."""
    return [(one.code, one.title) for one in choices.items if one.duty is not Duty.NOT_NEEDED]
