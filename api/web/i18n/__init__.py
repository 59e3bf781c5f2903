"""Words on the pages: English message identities, Chinese from ``zh_CN.po``, read once at start.

Chinese is the default. A test keeps the catalogue complete: every message of templates and code has a translation, and the
glossary's words are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

LANGUAGES = ("zh-CN", "en")
DEFAULT_LANGUAGE = "zh-CN"
PO_FILE = Path(__file__).with_name("zh_CN.po")


@cache
def chinese() -> Mapping[str, str]:
    """English message -> Chinese text."""
    with PO_FILE.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="zh_CN") if m.id and m.string}


def translate(message: str, language: str, **values: object) -> str:
    """The message in that language with ``{name}`` fields filled in; an unknown message stays English.

    A list among the values is one of messages: they are told in that language, one after the other.
    """
    text = chinese().get(message, message) if language == "zh-CN" else message
    between = "、" if language == "zh-CN" else ", "
    told = {
        name: between.join(translate(str(one), language) for one in value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return text.format(**told) if values else text


def choose_language(*candidates: str | None) -> str:
    """The first candidate that is one of ours, else Chinese."""
    for candidate in candidates:
        if candidate in LANGUAGES:
            return candidate
    return DEFAULT_LANGUAGE
