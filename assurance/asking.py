"""Questions whose answer may take long (a bucket that is away), put by who may not wait: a page.

Each question runs in a thread of its own and is waited for a moment only; one that has no answer then is *unknown*, never
good. It goes on meanwhile, so one question is under way at most however often a page is asked for, and an answer that comes
late is given to the next who asks within half a minute.

Source: docs/invariants.md 7.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, Protocol, TypeVar

_Answer = TypeVar("_Answer")
#: How long one page waits for all of its questions together, and at least for each.
PATIENCE_S: Final = 1.0
_LEAST_S: Final = 0.2
#: An answer that nobody waited for is no older than this when it is given.
_KEPT_S: Final = 30.0


class NoAnswerYetError(Exception):
    """There was no answer in time: nothing is known."""


class Ask(Protocol):
    """Puts one question."""

    def __call__(self, key: Hashable, question: Callable[[], _Answer], /) -> _Answer:
        """Its answer, or what it raises. NoAnswerYetError when there is none in time."""
        ...


def ask_now(_key: Hashable, question: Callable[[], _Answer]) -> _Answer:
    """For who may wait: asks at once, for as long as it takes."""
    return question()


class Asker:
    """Keeps the questions of one service that are under way. Thread-safe."""

    def __init__(self) -> None:
        self._standing: dict[Hashable, _Question] = {}
        self._guard = threading.Lock()

    def turn(self, *, patience_s: float = PATIENCE_S) -> Ask:
        """For one page: its questions share ``patience_s`` from now on."""
        end_s = time.monotonic() + patience_s

        def ask(key: Hashable, question: Callable[[], _Answer]) -> _Answer:
            return self._ask(key, question, max(_LEAST_S, end_s - time.monotonic()))

        return ask

    def _ask(self, key: Hashable, question: Callable[[], _Answer], wait_s: float) -> _Answer:
        with self._guard:
            standing = self._standing.get(key)
            if standing is None or standing.is_old():
                standing = self._standing[key] = _Question(question)
        if not standing.ended.wait(wait_s):
            raise NoAnswerYetError
        with self._guard:
            if self._standing.get(key) is standing:
                del self._standing[key]
        if standing.error is not None:
            raise standing.error
        answer: _Answer = standing.answer
        return answer


class _Question:
    """One question, in its thread."""

    def __init__(self, question: Callable[[], object]) -> None:
        self.ended = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None
        self._ended_s = 0.0
        threading.Thread(target=self._run, args=(question,), name="question", daemon=True).start()

    def _run(self, question: Callable[[], object]) -> None:
        try:
            self.answer = question()
        except Exception as error:
            self.error = error
        self._ended_s = time.monotonic()
        self.ended.set()

    def is_old(self) -> bool:
        return self.ended.is_set() and time.monotonic() - self._ended_s > _KEPT_S
