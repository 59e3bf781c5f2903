"""Names on discs: what no reader can carry becomes safe, and never two alike."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from discs.names import disc_name, safe_name


@pytest.mark.parametrize(
    ("original", "safe"),
    [
        ("第01段.mp4", "第01段.mp4"),
        ("a<b>|c?.mp4", "a_b__c_.mp4"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("尾点. ", "尾点"),
        ("", "_"),
        ("..", "_"),
        (".hidden", "hidden"),
        ("\U0001f600.mp4", "_.mp4"),
        ("a\u202egpj.exe", "a_gpj.exe"),
        ("e\u0301.jpg", "é.jpg"),
        ("a\\x1fb.mp4", "a_x1fb.mp4"),
    ],
)
def test_a_name_that_no_disc_carries_is_made_safe(original, safe):
    assert safe_name(original) == safe


def test_a_long_name_keeps_its_suffix():
    name = safe_name("长" * 90 + ".mp4")
    assert name.endswith("长.mp4")
    assert len(name) <= 54


@given(st.text(max_size=300), st.integers(1, 99_999))
def test_every_name_fits_every_reader(text, number):
    name = disc_name(number, text)
    assert 1 <= len(name) <= 64
    assert len(name.encode("utf-8")) <= 200
    assert all(ord(character) <= 0xFFFF and character.isprintable() for character in name)
    assert not set(name) & set('*/:;?\\"<>|')
    assert name == name.strip(" .")
    assert safe_name(safe_name(text)) == safe_name(text) or len(text) > 40
