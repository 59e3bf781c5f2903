"""An engine without threads or database: jobs run one after the other when asked to.

For foreground commands, which do their own work, and for crash tests, where every system call must come in one order.
It keeps nothing over a restart; the reconciler finds what was unfinished.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable

from evidence.errors import ConfigError, EvidenceError, JobError

_log = logging.getLogger(__name__)


class InlineEngine:
    """Runs jobs in the calling thread, lowest priority number first.

    Args:
        immediate: Run each job inside ``enqueue`` once started; otherwise they wait for :meth:`drain`.
    """

    def __init__(self, *, immediate: bool = False) -> None:
        self._immediate = immediate
        self._jobs: dict[str, Callable[[str], None]] = {}
        self._queues: set[str] = set()
        self._waiting: list[tuple[int, int, str, str, str]] = []
        self._order = itertools.count()
        self._live: set[str] = set()
        self._failures: dict[str, str] = {}
        self._started = False

    def register(self, job: str, function: Callable[[str], None]) -> None:
        """Declare a job; a second function under one name is a ConfigError."""
        if job in self._jobs:
            raise ConfigError(f"job {job!r} is declared twice")
        self._jobs[job] = function

    def declare_queue(self, queue: str, *, concurrency: int, unhurried: bool = False) -> None:
        """Declare a queue; everything runs one at a time here and at once, whatever the others say."""
        del unhurried
        if concurrency < 1:
            raise ConfigError(f"queue {queue!r} needs a concurrency of at least 1")
        self._queues.add(queue)

    def start(self) -> None:
        """Begin to accept work."""
        self._started = True

    def stop(self, *, timeout_s: float) -> None:  # noqa: ARG002 - the port's signature; nothing runs between calls
        """Forget what waits; the reconciler finds it again."""
        self._started = False
        self._waiting.clear()
        self._live.clear()

    def enqueue(self, job: str, argument: str, *, queue: str, key: str, priority: int) -> None:
        """Ask for one run; does nothing while ``key`` is waiting or running.

        Raises:
            JobError: Not started, or the job or queue was never declared.
        """
        if not self._started or job not in self._jobs or queue not in self._queues:
            raise JobError(f"job {job!r} on queue {queue!r} cannot be enqueued: not declared or not started")
        if key in self._live:
            return
        self._live.add(key)
        heapq.heappush(self._waiting, (priority, next(self._order), key, job, argument))
        if self._immediate:
            self.drain()

    def drain(self) -> int:
        """Run everything that waits, including what jobs enqueue meanwhile; return how many ran.

        A job's error is kept for :meth:`failures`; a fatal one is raised, because the state on disk is then unknown.
        """
        ran = 0
        while self._waiting:
            _, _, key, job, argument = heapq.heappop(self._waiting)
            ran += 1
            try:
                self._jobs[job](argument)
                self._failures.pop(key, None)
            except EvidenceError as error:
                if error.fatal:
                    raise
                _log.warning("job %s failed: %s: %s", key, error.code, error.what)
                self._failures[key] = f"{error.code}: {error.diagnostics()}"
            finally:
                self._live.discard(key)
        return ran

    def live_keys(self) -> set[str]:
        """Keys that are waiting or running."""
        return set(self._live)

    def failures(self) -> dict[str, str]:
        """Keys whose latest run ended in an error, with its code and text."""
        return dict(self._failures)
