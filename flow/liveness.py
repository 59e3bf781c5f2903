"""Who is alive among the workers of one PostgreSQL: told by session locks, not by clocks.

Every worker holds an advisory lock named after itself on a connection of its own. PostgreSQL drops it when the process or
its connection dies. Once a second each worker tries the locks of the others that own unfinished jobs; if it gets one, that
worker is dead and its jobs are handed on. A worker that loses its own lock may already have been replaced: it stops at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Callable

import psycopg
import sqlalchemy as sa

from evidence.errors import HomeLockedError, JobError

_log = logging.getLogger(__name__)
_NAMESPACE = 0x4C48  # "LH"
_WATCH_S = 1.0
_EXIT_LOST_LOCK = 70
_TRY = "select pg_try_advisory_lock(%s, %s)"


def _lock_number(executor_id: str) -> int:
    return zlib.crc32(executor_id.encode()) - 2**31


def _leave() -> None:
    _log.critical("the worker's lock was lost: another worker may have taken over; stopping")
    os._exit(_EXIT_LOST_LOCK)


class Liveness:
    """This worker's lock, and the watch over the others.

    Args:
        url: PostgreSQL of the jobs; a direct connection, not a transaction pooler.
        executor_id: This worker's name.
        recover: Hands the jobs of the named dead executors on.
        on_lost: Called when our own lock is gone; the default ends the process.
    """

    def __init__(
        self,
        url: sa.URL,
        *,
        executor_id: str,
        recover: Callable[[list[str]], int],
        on_lost: Callable[[], None] = _leave,
    ) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._executor = executor_id
        self._recover = recover
        self._on_lost = on_lost
        self._session: psycopg.Connection | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=10, keepalives_idle=5, keepalives_interval=2, keepalives_count=3
        )

    def claim(self) -> None:
        """Take this worker's lock.

        Raises:
            HomeLockedError: A live worker has this name.
            JobError: The database does not answer.
        """
        try:
            self._session = self._connect()
            row = self._session.execute(_TRY, (_NAMESPACE, _lock_number(self._executor))).fetchone()
        except psycopg.Error as error:
            raise JobError(f"the job database does not answer: {error}") from error
        if row is None or not row[0]:
            self.release()
            raise HomeLockedError(
                f"a live worker is already called {self._executor!r}", todo="Give each worker a name."
            )

    def watch(self) -> None:
        """Begin to look after the others, on a thread."""
        self._thread = threading.Thread(target=self._loop, name="liveness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; the lock stays until :meth:`release`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def release(self) -> None:
        """Give the lock back."""
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
            self._session = None

    def _loop(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            try:
                owners = self._owners()
            except psycopg.Error:
                if not self._stopping.is_set():
                    self._on_lost()
                return
            for owner in owners:
                self._take_over_if_dead(owner)

    def _owners(self) -> list[str]:
        if self._session is None:
            return []
        found = self._session.execute(
            "select distinct executor_id from dbos.workflow_status where status = 'PENDING' and executor_id <> %s",
            (self._executor,),
        )
        return [row[0] for row in found.fetchall() if row[0]]

    def _take_over_if_dead(self, owner: str) -> None:
        try:
            with self._connect() as attempt:  # closing the session gives the lock back
                row = attempt.execute(_TRY, (_NAMESPACE, _lock_number(owner))).fetchone()
                if row is not None and row[0]:
                    count = self._recover([owner])
                    _log.warning("worker %s is gone: %d jobs were taken over", owner, count)
        except (psycopg.Error, JobError) as error:
            _log.warning("could not look after worker %s: %s", owner, error)
