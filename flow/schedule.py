"""The clock of the service: APScheduler ticks, every tick only enqueues a job under a key made from its period.

Nothing is done inside a tick, so a slow job never delays the next one, and two ticks of one period are one job. Ticks are
not stored: after a stop the next start runs the sweep at once, which is what a missed run would have done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from evidence.clock import Clock, unix_ms
from evidence.errors import EvidenceError
from evidence.ports import JobEngine

_log = logging.getLogger(__name__)


class Schedule:
    """Repeats jobs at intervals.

    Args:
        jobs: A started engine.
        clock: Names the period of a tick.
        queue: Declared queue on which the jobs run.
    """

    def __init__(self, jobs: JobEngine, *, clock: Clock, queue: str) -> None:
        self._jobs = jobs
        self._clock = clock
        self._queue = queue
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            # A run missed while the machine slept is run once on return, however late.
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
            timezone="UTC",
        )

    def every(self, interval: timedelta, job: str, *, argument: str = "", priority: int = 1) -> None:
        """Enqueue ``job`` at the start and then once per ``interval`` (at least a second)."""
        self._scheduler.add_job(
            self._tick(interval, job, argument, priority),
            IntervalTrigger(seconds=max(1, int(interval.total_seconds())), timezone="UTC"),
            id=f"{job}:{argument}",
        )

    def start(self) -> None:
        """Run every job once and then keep time."""
        for entry in self._scheduler.get_jobs():
            entry.func()
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking; jobs already enqueued are the engine's."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _tick(self, interval: timedelta, job: str, argument: str, priority: int) -> Callable[[], None]:
        def tick() -> None:
            period = unix_ms(self._clock.now().wall) // (interval // timedelta(milliseconds=1))
            try:
                self._jobs.enqueue(
                    job, argument, queue=self._queue, key=f"tick:{job}:{argument}:{period}", priority=priority
                )
            except EvidenceError as error:  # the next tick asks again
                _log.warning("tick of %s was lost: %s", job, error.diagnostics())

        return tick
