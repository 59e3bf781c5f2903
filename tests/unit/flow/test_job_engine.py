"""The job engine: order, one run per key, failures, restarts, kills; the same contract inline and durable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.clock import SystemClock
from evidence.errors import ConfigError, HomeLockedError, JobError, NotDurableError, StoreFullError
from evidence.ports import JobEngine
from flow import DbosEngine, InlineEngine, Schedule
from support.home import RunningClock

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "tests/support/flow_worker.py"


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def settle(engine: JobEngine) -> None:
    if isinstance(engine, InlineEngine):
        engine.drain()
    else:
        wait_until(lambda: not engine.live_keys())


@pytest.fixture(params=["inline", "sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobEngine]:
    if request.param == "inline":
        engine: JobEngine = InlineEngine()
    else:
        url = f"sqlite:///{tmp_path}/flow.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
        engine = DbosEngine(url, clock=SystemClock(), poll_s=0.1)
    yield engine
    engine.stop(timeout_s=5)


def test_jobs_run_once_each_and_the_lowest_priority_number_first(engine: JobEngine) -> None:
    ran: list[str] = []
    gate = threading.Event()

    def job(argument: str) -> None:
        if argument == "first":
            gate.wait(10)
        ran.append(argument)

    engine.register("job", job)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    if isinstance(engine, InlineEngine):
        gate.set()
    engine.enqueue("job", "first", queue="queue", key="first", priority=1)
    if not isinstance(engine, InlineEngine):
        time.sleep(0.8)  # it is running and holds the only place
    for number in (5, 3, 9, 4):
        engine.enqueue("job", str(number), queue="queue", key=f"k{number}", priority=number)
        engine.enqueue("job", "again", queue="queue", key=f"k{number}", priority=1)
    assert engine.live_keys() == {"first", "k5", "k3", "k9", "k4"}
    gate.set()
    settle(engine)
    assert ran == ["first", "3", "4", "5", "9"]
    assert engine.live_keys() == set()


def test_a_key_can_be_asked_for_again_when_its_run_has_ended(engine: JobEngine) -> None:
    ran: list[str] = []
    engine.register("job", ran.append)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    for _ in range(2):
        engine.enqueue("job", "x", queue="queue", key="key", priority=1)
        settle(engine)
    assert ran == ["x", "x"]


def test_a_failure_is_told_until_the_key_succeeds(engine: JobEngine) -> None:
    fails = [True]

    def job(_argument: str) -> None:
        if fails[0]:
            raise StoreFullError("the disk is full", todo="Add a disk.")

    engine.register("job", job)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    engine.enqueue("job", "x", queue="queue", key="key", priority=1)
    settle(engine)
    assert list(engine.failures()) == ["key"]
    assert engine.failures()["key"].endswith("store-full: the disk is full. Add a disk.")
    fails[0] = False
    engine.enqueue("job", "x", queue="queue", key="key", priority=1)
    settle(engine)
    assert engine.failures() == {}


def test_a_failure_is_told_however_many_jobs_ran_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flow.engine._FAILURES_MAX", 3)
    engine = DbosEngine(f"sqlite:///{tmp_path}/flow.db", clock=SystemClock(), poll_s=0.05)

    def job(argument: str) -> None:
        if argument == "bad":
            raise StoreFullError("the disk is full")

    engine.register("job", job)
    engine.declare_queue("queue", concurrency=4)
    engine.start()
    engine.enqueue("job", "bad", queue="queue", key="a_key", priority=1)
    engine.enqueue("job", "bad", queue="queue", key="axkey", priority=1)
    settle(engine)
    for number in range(8):
        engine.enqueue("job", "good", queue="queue", key=f"k{number}", priority=1)
    settle(engine)
    assert set(engine.failures()) == {"a_key", "axkey"}
    engine.enqueue("job", "good", queue="queue", key="axkey", priority=1)
    settle(engine)
    assert set(engine.failures()) == {"a_key"}
    engine.stop(timeout_s=2)


def test_what_was_never_declared_is_refused(engine: JobEngine) -> None:
    engine.register("job", lambda _argument: None)
    engine.declare_queue("queue", concurrency=1)
    with pytest.raises(JobError):
        engine.enqueue("job", "x", queue="queue", key="before-start", priority=1)
    engine.start()
    for job, queue in (("other", "queue"), ("job", "other")):
        with pytest.raises(JobError):
            engine.enqueue(job, "x", queue=queue, key="key", priority=1)
    with pytest.raises(ConfigError):
        engine.register("job", lambda _argument: None)


def test_a_fatal_error_ends_the_process_and_not_only_the_job(tmp_path: Path) -> None:
    seen: list[str] = []
    engine = DbosEngine(
        f"sqlite:///{tmp_path}/flow.db", clock=SystemClock(), poll_s=0.1, on_fatal=lambda error: seen.append(error.code)
    )

    def job(_argument: str) -> None:
        raise NotDurableError("fsync failed")

    engine.register("job", job)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    engine.enqueue("job", "x", queue="queue", key="key", priority=1)
    settle(engine)
    engine.stop(timeout_s=2)
    assert seen == ["not-durable"]


def test_ended_jobs_are_forgotten_after_a_week(tmp_path: Path) -> None:
    clock = RunningClock(SystemClock().now().wall)
    engine = DbosEngine(f"sqlite:///{tmp_path}/flow.db", clock=clock, poll_s=0.1)
    engine.register("job", lambda _argument: None)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    engine.enqueue("job", "x", queue="queue", key="key", priority=1)
    settle(engine)
    assert engine.forget_ended() == 0
    clock.advance(days=8)
    assert engine.forget_ended() == 1
    engine.stop(timeout_s=2)


def test_a_service_that_runs_for_months_forgets_ended_jobs_without_a_restart(tmp_path: Path) -> None:
    clock = RunningClock(SystemClock().now().wall)
    engine = DbosEngine(f"sqlite:///{tmp_path}/flow.db", clock=clock, poll_s=0.1)
    engine.register("job", lambda _argument: None)
    engine.declare_queue("queue", concurrency=1)
    engine.start()
    for day in (0, 8):
        clock.advance(days=day)
        engine.enqueue("job", "x", queue="queue", key=f"day-{day}", priority=1)
        settle(engine)
    assert {status.workflow_id.partition("#")[0] for status in engine._list()} == {"day-8"}
    engine.stop(timeout_s=2)


def test_work_of_another_version_of_the_jobs_is_cancelled_for_the_reconciler_to_find(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/flow.db"

    def made(version: str) -> DbosEngine:
        engine = DbosEngine(url, clock=SystemClock(), app_version=version, poll_s=2)
        engine.register("job", lambda _argument: None)
        engine.declare_queue("queue", concurrency=1)
        engine.start()
        return engine

    old = made("jobs-1")
    time.sleep(0.2)
    old.enqueue("job", "x", queue="queue", key="key", priority=1)
    waiting = old.live_keys()
    old.stop(timeout_s=0)
    new = made("jobs-2")
    assert waiting in ({"key"}, set())
    assert new.live_keys() == set()
    new.stop(timeout_s=0)


def test_the_job_database_uses_the_one_sqlite_of_this_process(tmp_path: Path) -> None:
    import pysqlite3.dbapi2

    from flow.sqlite import flow_engine

    engine = flow_engine(tmp_path / "flow.db")
    with engine.connect() as connection:
        version = connection.exec_driver_sql("select sqlite_version()").scalar()
        mode = connection.exec_driver_sql("pragma journal_mode").scalar()
    engine.dispose()
    assert (version, mode) == (pysqlite3.dbapi2.sqlite_version, "wal")
    with pytest.raises(ConfigError):
        flow_engine(Path("relative.db"))


# --- kills ------------------------------------------------------------------------------------------------------------
def worker(url: str, executor: str, file: Path, *act: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(WORKER), url, executor, str(file), *act],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(file: Path) -> set[str]:
    return (
        {line.split()[1] for line in file.read_text().splitlines() if line.startswith("end")}
        if file.exists()
        else set()
    )


def reap(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def test_a_killed_process_goes_on_where_it_was(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/flow.db", tmp_path / "lines"
    first = worker(url, "dock-1", file, "enqueue", "8")
    wait_until(lambda: len(ended(file)) >= 2)
    os.kill(first.pid, signal.SIGKILL)
    reap(first)
    assert len(ended(file)) < 8
    second = worker(url, "dock-1", file, "until-empty")
    wait_until(lambda: len(ended(file)) == 8)
    reap(second)


def test_a_job_that_ends_its_process_again_and_again_waits_for_a_person(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/flow.db", tmp_path / "lines"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(WORKER), url, "dock-1", str(file), "poison"]
    ends = [subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False, timeout=60).returncode]
    while ends[-1] != 0 and len(ends) < 12:  # each start asks for it, as the reconciler does
        ends.append(subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode)
    assert ends == [9] * 6 + [0], "asked for once more, it is not run: this process lived"
    assert len(file.read_text().splitlines()) == 6
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_on_postgresql_another_worker_takes_a_dead_ones_jobs(tmp_path: Path, postgres_url: str) -> None:
    file = tmp_path / "lines"
    first = worker(postgres_url, "worker-1", file, "enqueue", "8")
    second = worker(postgres_url, "worker-2", file, "idle")
    wait_until(lambda: len(ended(file)) >= 2)
    os.kill(first.pid, signal.SIGKILL)
    reap(first)
    wait_until(lambda: len(ended(file)) == 8, timeout_s=30)
    reap(second)


def test_two_live_workers_cannot_have_one_name(tmp_path: Path, postgres_url: str) -> None:
    first = worker(postgres_url, "worker-1", tmp_path / "lines", "idle")
    engine = DbosEngine(postgres_url, clock=SystemClock(), executor_id="worker-1")
    with pytest.raises(HomeLockedError):
        engine.start()
    reap(first)


# --- the clock of the service -----------------------------------------------------------------------------------------
def test_a_schedule_asks_at_the_start_and_once_per_period() -> None:
    engine, ran = InlineEngine(), []
    engine.register("sweep", ran.append)
    engine.declare_queue("ticks", concurrency=1)
    engine.start()
    schedule = Schedule(engine)
    schedule.every(timedelta(seconds=1), "sweep", argument="all", queue="ticks")
    schedule.start()
    assert len(engine.live_keys()) == 1, "what was missed while we were down runs at once"
    engine.drain()
    wait_until(lambda: bool(engine.live_keys()), timeout_s=5)
    schedule.stop()
    engine.drain()
    assert len(ran) >= 2


def ticking() -> tuple[InlineEngine, Schedule]:
    engine = InlineEngine()
    engine.register("sweep", lambda _argument: None)
    engine.declare_queue("ticks", concurrency=1)
    engine.start()
    schedule = Schedule(engine)
    schedule.every(timedelta(hours=1), "sweep", queue="ticks")
    schedule.start()
    engine.drain()
    return engine, schedule


@pytest.mark.parametrize("years", [-60, 60])
def test_a_clock_that_jumped_by_decades_neither_stops_nor_floods_the_ticks(years: int) -> None:
    engine, schedule = ticking()
    scheduler = schedule._scheduler
    (job,) = scheduler.get_jobs()
    job.modify(next_run_time=SystemClock().now().wall + timedelta(days=365 * years))  # planned before the jump
    scheduler.wakeup()
    begin = time.monotonic()
    wait_until(lambda: engine.live_keys() == {"tick:sweep:"}, timeout_s=5)
    wait_until(lambda: job.next_run_time > SystemClock().now().wall, timeout_s=5)
    assert job.next_run_time < SystemClock().now().wall + timedelta(hours=2)
    assert time.monotonic() - begin < 5
    schedule.stop()


def test_ticks_of_a_slow_job_do_not_pile_up() -> None:
    engine, schedule = ticking()
    (job,) = schedule._scheduler.get_jobs()
    for _ in range(5):
        job.func()
    assert engine.drain() == 1
    schedule.stop()


def test_two_ticks_of_one_period_are_one_job() -> None:
    engine = InlineEngine()
    engine.register("sweep", lambda _argument: None)
    engine.declare_queue("ticks", concurrency=1)
    engine.start()
    for _ in range(2):
        schedule = Schedule(engine)
        schedule.every(timedelta(minutes=1), "sweep", queue="ticks")
        schedule.start()
        schedule.stop()
    assert len(engine.live_keys()) == 1


def test_a_job_may_ask_the_engine_what_is_live_and_enqueue_further_jobs(engine: JobEngine) -> None:
    seen: list[set[str]] = []
    ran: list[str] = []

    def parent(_argument: str) -> None:
        seen.append(engine.live_keys())
        engine.enqueue("child", "one", queue="queue", key="child:one", priority=2)

    engine.register("parent", parent)
    engine.register("child", ran.append)
    engine.declare_queue("queue", concurrency=2)
    engine.start()
    engine.enqueue("parent", "", queue="queue", key="parent", priority=1)
    settle(engine)
    assert "parent" in seen[0]
    assert ran == ["one"]
    assert engine.failures() == {}
