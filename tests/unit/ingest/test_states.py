"""The table of states, exhaustively."""

from __future__ import annotations

from itertools import product

import pytest

from evidence.errors import StateConflictError
from evidence.events import RecordingInterrupted, RecordingReleased, RecordingStored
from evidence.model import RecordingState as S
from ingest import states

ALLOWED = {
    (S.DISCOVERED, S.ACQUIRING), (S.ACQUIRING, S.ACQUIRING), (S.INTERRUPTED, S.ACQUIRING),
    (S.DISCOVERED, S.INTERRUPTED), (S.ACQUIRING, S.INTERRUPTED), (S.INTERRUPTED, S.INTERRUPTED),
    (S.ACQUIRING, S.ACQUIRED), (S.ACQUIRED, S.INTERRUPTED), (S.ACQUIRED, S.DUPLICATE), (S.ACQUIRED, S.STORED),
    (S.STORED, S.RELEASED), (S.DUPLICATE, S.DUPLICATE),
}  # fmt: skip


@pytest.mark.parametrize(("start", "end"), list(product(S, S)))
def test_exactly_the_changes_of_the_table_exist(start: S, end: S) -> None:
    if (start, end) in ALLOWED:
        assert states.require(start, end).TYPE.startswith("recording.")
    else:
        with pytest.raises(StateConflictError):
            states.require(start, end)


def test_nothing_is_released_that_was_not_stored_or_is_not_another_name_of_something_stored() -> None:
    assert states.sources_of(S.RELEASED) == {S.STORED}
    assert states.require(S.STORED, S.RELEASED) is RecordingReleased


def test_bytes_that_were_stored_are_never_said_to_be_missing_again() -> None:
    assert not states.sources_of(S.INTERRUPTED) & states.HANDED_IN
    assert states.require(S.ACQUIRED, S.INTERRUPTED) is RecordingInterrupted


def test_only_bytes_that_were_read_to_the_end_are_stored() -> None:
    assert states.sources_of(S.STORED) == {S.ACQUIRED}
    assert states.require(S.ACQUIRED, S.STORED) is RecordingStored


def test_every_state_is_either_unread_or_held() -> None:
    assert set(S) == states.UNREAD | states.HELD
    assert not states.UNREAD & states.HELD


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        states.TRANSITIONS[(S.DISCOVERED, S.RELEASED)] = RecordingReleased  # type: ignore[index]
