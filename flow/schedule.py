"""The clock of the service: APScheduler ticks, every tick only enqueues a job.

Nothing is done inside a tick, so a slow job never delays the next one, and a tick whose last job is still under way adds
none. Ticks are not stored: after a stop the next start runs the sweep at once, which is what a missed run would have done.

The machine's clock may jump by decades in either direction (a dead battery, then the network's time). A jump forwards is one
missed run, not millions; after a jump backwards nothing waits for the clock to come back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from evidence.errors import EvidenceError
from evidence.ports import JobEngine

_log = logging.getLogger(__name__)


# The library has no types, hence the two remarks for mypy.
class _FromNow(IntervalTrigger):  # type: ignore[misc]
    """The next run is one interval from now: the library would count every run that a jump of the clock skipped."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:  # noqa: ARG002 - the library's form
        after: datetime = now + self.interval
        return after


class _Steady(MemoryJobStore):  # type: ignore[misc]
    """A job further away than its interval was planned before the clock was set back: it is due now."""

    def get_due_jobs(self, now: datetime) -> list[Job]:
        for job in self.get_all_jobs():
            if job.next_run_time > now + job.trigger.interval:
                job.next_run_time = now
                self.update_job(job)
        due: list[Job] = super().get_due_jobs(now)
        return due


class Schedule:
    """Repeats jobs at intervals.

    Args:
        jobs: A started engine.
    """

    def __init__(self, jobs: JobEngine) -> None:
        self._jobs = jobs
        self._scheduler = BackgroundScheduler(
            jobstores={"default": _Steady()},
            executors={"default": ThreadPoolExecutor(1)},
            # A run missed while the machine slept is run once on return, however late.
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
            timezone="UTC",
        )

    def every(self, interval: timedelta, job: str, *, queue: str, argument: str = "", priority: int = 1) -> None:
        """Enqueue ``job`` on a declared queue at the start and then once per ``interval`` (at least a second)."""
        self._scheduler.add_job(
            self._tick(job, argument, priority, queue),
            _FromNow(seconds=max(1, int(interval.total_seconds())), timezone="UTC"),
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

    def _tick(self, job: str, argument: str, priority: int, queue: str) -> Callable[[], None]:
        def tick() -> None:
            # The key is the job's, not the period's: the next good run is what ends a failure on the health page.
            try:
                self._jobs.enqueue(job, argument, queue=queue, key=f"tick:{job}:{argument}", priority=priority)
            except EvidenceError as error:  # the next tick asks again
                _log.warning("tick of %s was lost: %s", job, error.diagnostics())

        return tick
