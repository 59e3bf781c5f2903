"""Durable jobs on DBOS Transact: SQLite embedded, PostgreSQL for many workers.

One workflow function runs every job by name, so the engine's database never depends on our call graph. What DBOS leaves
open is closed here: the application version is pinned (a code change must not strand work), values are JSON (a pickled row
is code), SQLite is ours (one SQLite library in the process, WAL), every queue has a limit, every job a priority, and dead
workers are found by their peers (``flow.liveness``).

Crash: a killed process leaves its workflows pending; the same executor takes them up at ``start``, another one within
about a second on PostgreSQL. Jobs are idempotent, so a repeated run does no harm. The database may also simply be deleted.

Source: docs/adr/0007-durable-jobs.md.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_error

from evidence.clock import Clock, to_text, unix_ms
from evidence.errors import ConfigError, EvidenceError, JobError
from flow.liveness import Liveness
from flow.sqlite import flow_engine

_log = logging.getLogger(__name__)
_LIVE = ["PENDING", "ENQUEUED", "DELAYED"]
_POISONED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_FAILED = ["ERROR", _POISONED]
_ENDED = ["SUCCESS", "CANCELLED", *_FAILED]
_KEY_SEPARATOR = "#"
_ATTEMPTS_MAX = 5  # a job that kills its process five times is a poisoned file: a person must look
#: How much more seldom a queue is looked at whose jobs nobody waits for.
_UNHURRIED = 10
#: The newest failures that are looked at: a job that fails is asked for again each minute.
_FAILURES_MAX = 5_000
_KEYS_AT_ONCE = 100
_DELETE_BATCH = 500
#: Ended jobs are kept this long for the health page; the custody log is the lasting record.
_KEEP = timedelta(days=7)
_FORGET_EVERY = timedelta(days=1)


def _stop_process(error: EvidenceError) -> None:
    # After a failed fsync nothing on disk is known: no clean-up, no further write; recovery decides at the next start.
    _log.critical("fatal: %s: %s", error.code, error.diagnostics())
    os._exit(error.exit_code)


def _key_of(status: WorkflowStatus) -> str:
    return status.workflow_id.rpartition(_KEY_SEPARATOR)[0]


@contextlib.contextmanager
def _job_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (dbos_error.DBOSException, sa.exc.SQLAlchemyError, OSError) as error:
        raise JobError(f"the job engine could not {what}: {error}") from error


class DbosEngine:
    """``evidence.ports.JobEngine`` on DBOS. DBOS is one per process, therefore so is this.

    Args:
        database_url: ``sqlite:////absolute/flow.db`` or ``postgresql://...`` (tables in schema ``dbos``).
        clock: Tells when ended jobs are old enough to forget.
        app_version: Version of the job list, not of the program: change it only when queued arguments change their meaning;
            work queued under another version is cancelled at start and found again by the reconciler.
        executor_id: Name of this process that survives its restart (one docking PC, one name).
        name: Application name inside the engine's database.
        poll_s: How often queues are looked at, in seconds; the latency of an idle queue.
        on_fatal: Called with an error after which nothing on disk is known; the default ends the process at once.
    """

    def __init__(
        self,
        database_url: str,
        *,
        clock: Clock,
        app_version: str = "jobs-1",
        executor_id: str = "local",
        name: str = "liuhen",
        poll_s: float = 0.5,
        on_fatal: Callable[[EvidenceError], None] = _stop_process,
    ) -> None:
        self._url = sa.make_url(database_url)
        if self._url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise ConfigError(f"jobs cannot be kept in {self._url.get_backend_name()!r}")
        self._clock = clock
        self._version = app_version
        self._executor = executor_id
        self._name = name
        self._poll_s = poll_s
        self._on_fatal = on_fatal
        self._jobs: dict[str, Callable[[str], None]] = {}
        self._queues: dict[str, int] = {}
        self._unhurried: set[str] = set()
        self._engine: sa.Engine | None = None
        self._liveness: Liveness | None = None
        self._workflow: Any = None
        self._enqueue_lock = threading.Lock()
        self._runs = itertools.count()
        self._forgotten_at: datetime | None = None

    # --- declaration --------------------------------------------------------------------------------------------------
    def register(self, job: str, function: Callable[[str], None]) -> None:
        """Declare a job before :meth:`start`; ConfigError for a second function or a late call."""
        if self._workflow is not None or job in self._jobs:
            raise ConfigError(f"job {job!r} is declared twice or after the start")
        self._jobs[job] = function

    def declare_queue(self, queue: str, *, concurrency: int, unhurried: bool = False) -> None:
        """Declare a queue before :meth:`start`; at most ``concurrency`` of its jobs run in this process.

        Every look at a queue is a question to the database: an ``unhurried`` one, for jobs nobody waits for, costs a tenth.
        """
        if self._workflow is not None or concurrency < 1:
            raise ConfigError(f"queue {queue!r} is declared after the start or without room for one job")
        self._queues[queue] = concurrency
        if unhurried:
            self._unhurried.add(queue)

    # --- life ---------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Open the database, take up what this executor left unfinished, and begin to work.

        Raises:
            JobError: The database cannot be used.
            HomeLockedError: PostgreSQL: another live process has this executor's name.
        """
        if self._workflow is not None:
            raise ConfigError("the job engine was started before")
        if self._url.get_backend_name() == "postgresql":
            self._liveness = Liveness(self._url, executor_id=self._executor, recover=self._recover)
            self._liveness.claim()
        with _job_errors("start"):
            if self._url.get_backend_name() == "sqlite":
                self._engine = flow_engine(Path(self._url.database or ""))
            DBOS(config=self._config())
            self._workflow = DBOS.workflow(name="job", max_recovery_attempts=_ATTEMPTS_MAX)(self._runner())
            # A dock's queue names recorders that hang on one machine: nobody takes from a queue it did not declare.
            DBOS.listen_queues(list(self._queues))
            DBOS.launch()
            for queue, concurrency in self._queues.items():
                DBOS.register_queue(
                    queue,
                    worker_concurrency=concurrency,
                    polling_interval_sec=self._poll_s * (_UNHURRIED if queue in self._unhurried else 1),
                    on_conflict="always_update",
                )
        self._cancel_other_versions()
        self.forget_ended()
        if self._liveness is not None:
            self._liveness.watch()

    def stop(self, *, timeout_s: float) -> None:
        """Let running jobs end within ``timeout_s`` seconds; the rest goes on at the next start."""
        if self._workflow is None:
            return
        if self._liveness is not None:
            self._liveness.stop()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=max(0, round(timeout_s)))
        if self._liveness is not None:
            self._liveness.release()
        if self._engine is not None:
            self._engine.dispose()
        self._workflow = self._liveness = self._engine = None

    def _config(self) -> DBOSConfig:
        config = DBOSConfig(
            name=self._name,
            application_version=self._version,
            executor_id=self._executor,
            serializer=DBOSPortableJSONSerializer(),
            log_level="CRITICAL",  # a failed job is logged once, by us
            notification_listener_polling_interval_sec=self._poll_s,
            max_executor_threads=max(8, 2 * sum(self._queues.values())),
        )
        if self._engine is not None:
            config["system_database_engine"] = self._engine
        else:
            url = self._url.set(drivername="postgresql")
            config["system_database_url"] = url.render_as_string(hide_password=False)
        return config

    # --- work ---------------------------------------------------------------------------------------------------------
    def _runner(self) -> Callable[[str, str], None]:
        def job(job: str, argument: str) -> None:  # DBOS marks the function, so it cannot be a bound method
            self._run(job, argument)

        return job

    def _run(self, job: str, argument: str) -> None:
        function = self._jobs.get(job)
        if function is None:
            raise JobError(f"no job {job!r} in this version")
        try:
            # An empty context: DBOS would otherwise record whatever the job asks of the engine (listing, enqueueing) as
            # steps of this workflow and compare them when it is run again. Our jobs are whole and idempotent instead.
            contextvars.Context().run(function, argument)
        except EvidenceError as error:
            if error.fatal:
                self._on_fatal(error)
            _log.warning("job %s %s failed: %s: %s", job, argument, error.code, error.what)
            raise JobError(f"{error.code}: {error.diagnostics()}") from error
        except Exception:
            _log.exception("job %s %s broke", job, argument)
            raise

    def enqueue(self, job: str, argument: str, *, queue: str, key: str, priority: int) -> None:
        """Ask for one run; durable on return. Does nothing while ``key`` is waiting or running.

        Nor does it for a key whose job ended the process again and again: asking for it once more would end the next one.
        It stays among the failures until a person looks; after a week, or with the engine's database, it is forgotten.

        Args:
            job: A declared job.
            argument: Its one argument (an identity).
            queue: A declared queue.
            key: What the run is about; one live run per key and queue.
            priority: Lower runs first; never below 1 (0 would jump every deadline).

        Raises:
            JobError: Undeclared job or queue, not started, or the database failed.
        """
        if self._workflow is None or job not in self._jobs or queue not in self._queues or _KEY_SEPARATOR in key:
            raise JobError(f"job {job!r} on queue {queue!r} cannot be enqueued: not declared or not started")
        if any(_key_of(status) == key for status in self._list(status=_POISONED)):
            _log.error(
                "job %s %s ended this process again and again; it is not run until a person has looked", job, argument
            )
            return
        # DBOS keeps its options in thread-local context; the lock only keeps two equal keys from racing to one insert.
        with (
            _job_errors("take a job"),
            self._enqueue_lock,
            SetWorkflowID(f"{key}{_KEY_SEPARATOR}{self._next_run()}"),
            SetEnqueueOptions(
                deduplication_id=key,
                duplication_policy="return-existing",
                priority=min(max(1, priority), 2**31 - 1),
            ),
        ):
            DBOS.enqueue_workflow(queue, self._workflow, job, argument)
        self._forget_now_and_then()

    def _next_run(self) -> str:
        """Sorts by time within a key: the engine's own times are whole seconds on SQLite."""
        return f"{unix_ms(self._clock.now().wall):014d}.{next(self._runs):08d}.{uuid4().hex[:12]}"

    def live_keys(self) -> set[str]:
        """Keys that are waiting or running, in any process."""
        return {_key_of(status) for status in self._list(status=_LIVE)}

    def failures(self) -> dict[str, str]:
        """Keys whose latest run ended in an error, with its code and text, newest first."""
        failed: dict[str, WorkflowStatus] = {}
        for status in self._list(status=_FAILED, load_output=True, limit=_FAILURES_MAX, sort_desc=True):
            key = _key_of(status)
            if key not in failed or failed[key].workflow_id < status.workflow_id:
                failed[key] = status
        keys = list(failed)
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            prefixes = [f"{key}{_KEY_SEPARATOR}" for key in keys[start : start + _KEYS_AT_ONCE]]
            for other in self._list(status=[*_LIVE, "SUCCESS", "CANCELLED"], workflow_id_prefix=prefixes):
                key = _key_of(other)  # a prefix may match more than it says
                if key in failed and failed[key].workflow_id < other.workflow_id:
                    del failed[key]
        return {key: str(status.error or status.status) for key, status in failed.items()}

    def forget_ended(self) -> int:
        """Remove jobs that ended more than a week ago from the engine's database; return how many."""
        now = self._clock.now().wall
        self._forgotten_at = now
        before = to_text(now - _KEEP)
        forgotten = 0
        while batch := self._list(status=_ENDED, end_time=before, limit=_DELETE_BATCH):
            with _job_errors("forget old jobs"):
                DBOS.delete_workflows([status.workflow_id for status in batch])
            forgotten += len(batch)
        return forgotten

    def _forget_now_and_then(self) -> None:
        """A service runs for months: what ended is forgotten once a day, not only at the start."""
        if self._forgotten_at is None or abs(self._clock.now().wall - self._forgotten_at) < _FORGET_EVERY:
            return
        try:
            self.forget_ended()
        except JobError as error:  # untidy, no more; tomorrow is another day
            _log.warning("old jobs were not forgotten: %s", error.what)

    def _list(self, *, load_output: bool = False, **conditions: Any) -> list[WorkflowStatus]:
        if self._workflow is None:
            raise JobError("the job engine is not running")
        with _job_errors("list jobs"):
            return DBOS.list_workflows(load_input=False, load_output=load_output, **conditions)

    def _cancel_other_versions(self) -> None:
        for status in self._list(status=_LIVE):
            if status.app_version not in (None, self._version):
                with _job_errors("cancel a job of another version"):
                    DBOS.cancel_workflow(status.workflow_id)

    def _recover(self, executors: list[str]) -> int:
        # The only way to hand a dead executor's work on without losing queue, priority and attempts; pinned with the
        # library's version and covered by a test that kills a worker.
        with _job_errors("recover a dead worker's jobs"):
            return len(DBOS._recover_pending_workflows(executors))  # noqa: SLF001 - the library offers no other way
