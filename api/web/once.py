"""What a page tells once, after the form that led to it: kept for one session, taken by the next page, never in an address.

In memory only: a one-time password must not lie on a disk or in a browser's history. If the service is restarted in between it
is gone, and a new one is made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from evidence.clock import Clock

_KEPT: Final = timedelta(minutes=10)
_SESSIONS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was done (a key of the page's words) about somebody or something, and a secret where there is one."""

    message: str
    about: str = ""
    secret: str = ""


class Once:
    """Holds one message for each session. Thread-safe.

    Args:
        clock: Injected time: what nobody fetched within ten minutes is forgotten.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: OrderedDict[str, tuple[Told, datetime]] = OrderedDict()
        self._guard = threading.Lock()

    def put(self, session: str, told: Told) -> None:
        """Hold it for the session with this token; replaces what it had."""
        with self._guard:
            self._held[session] = (told, self._clock.now().wall + _KEPT)
            self._held.move_to_end(session)
            while len(self._held) > _SESSIONS_MAX:
                self._held.popitem(last=False)

    def take(self, session: str) -> Told | None:
        """What is held for the session, and no more after that."""
        with self._guard:
            told, until = self._held.pop(session, (None, self._clock.now().wall))
        return told if told is not None and self._clock.now().wall < until else None
