"""How often one address may try to log in: a sliding window per process, bounded in memory.

The lock-out of an account is the catalogue's business (``access.identity``); this keeps one address from trying many accounts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from evidence.clock import Clock
from evidence.errors import LimitExceededError

_WINDOW_NS = 60 * 1_000_000_000
_ADDRESSES_MAX = 10_000


class AttemptRate:
    """At most ``per_minute`` attempts of one address within a minute."""

    def __init__(self, clock: Clock, *, per_minute: int = 20) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._seen: OrderedDict[str, deque[int]] = OrderedDict()
        self._guard = threading.Lock()

    def note(self, address: str) -> None:
        """Count one attempt.

        Raises:
            LimitExceededError: Too many within the last minute.
        """
        now_ns = self._clock.now().monotonic_ns
        with self._guard:
            attempts = self._seen.setdefault(address, deque())
            self._seen.move_to_end(address)
            while attempts and now_ns - attempts[0] > _WINDOW_NS:
                attempts.popleft()
            if len(attempts) >= self._per_minute:
                raise LimitExceededError("too many attempts from this address", todo="Wait a minute.")
            attempts.append(now_ns)
            while len(self._seen) > _ADDRESSES_MAX:
                self._seen.popitem(last=False)
