"""How texts and queries are cut into words, and that whatever is contained is found."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogue.words import QUERY_CHARS_MAX, normal_form, terms_of, tokens_of
from evidence.errors import InvalidInputError


def test_chinese_is_cut_into_single_characters_and_pairs() -> None:
    assert tokens_of("执法记录") == {"执", "法", "记", "录", "执法", "法记", "记录"}
    assert terms_of("执法记录")[0].tokens == {"执法", "法记", "记录"}
    assert terms_of("鱻")[0].tokens == {"鱻"}


def test_codes_are_cut_into_triples_and_their_beginning_is_kept() -> None:
    assert tokens_of("a0012") == {"a00", "001", "012", "a", "a0"}
    assert tokens_of("7号") == {"7", "号"}
    assert terms_of("12")[0].exact


def test_full_width_and_capital_letters_are_the_same_letters() -> None:
    assert normal_form("ＡＢｃ１") == "abc1"


def test_terms_are_cut_at_any_white_space_and_count_once() -> None:
    assert [term.text for term in terms_of(" 事故\t事故　A1 ")] == ["事故", "a1"]
    assert terms_of("   ") == []


@pytest.mark.parametrize("query", ["x" * (QUERY_CHARS_MAX + 1), "\0", "\ud800"])
def test_an_impossible_query_is_refused(query: str) -> None:
    with pytest.raises(InvalidInputError):
        terms_of(query)


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_any_part_of_a_text_asks_only_for_tokens_of_that_text(before: str, text: str, start: int, size: int) -> None:
    """Never a miss: the index may give too much (the text is compared as well) but never too little.

    Runs of one or two ASCII letters or digits are left out: they are found at the beginning of a run only.
    """
    whole = normal_form(before + text)
    part = whole[start : start + size]
    with contextlib.suppress(InvalidInputError):
        for term in terms_of(part):
            if term.text in whole and not (term.exact and term.text.isascii() and len(term.text) < 3):
                assert term.tokens <= tokens_of(whole)


@given(st.text(max_size=100))
def test_tokens_hold_nothing_that_could_end_a_quotation_or_part_a_token(text: str) -> None:
    for token in tokens_of(normal_form(text)):
        assert '"' not in token
        assert not any(character.isspace() for character in token)
