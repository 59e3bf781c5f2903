"""Transactions that wait for each other share one commit: none returns before it, each fails alone, all fail with it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from catalogue import Catalogue
from catalogue.unit_of_work import UnitOfWork
from evidence.errors import CatalogueError, CatalogueUnavailableError, NotDurableError, StoreFullError

Act = Callable[[UnitOfWork], None]


class Crowd:
    """Acts on threads of their own that all stand in the queue before the first of them may end its transaction."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.commits = 0
        self.done: list[int] = []
        self.errors: dict[int, BaseException] = {}
        sa.event.listen(catalogue.engine, "commit", self._count)

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1

    def _run(self, number: int, act: Act) -> None:
        try:
            with self.catalogue.begin() as uow:
                act(uow)
            self.done.append(number)
        except BaseException as error:
            self.errors[number] = error

    def act(self, *acts: Act) -> None:
        entered = threading.Event()
        queued = threading.Event()

        def first(uow: UnitOfWork) -> None:
            entered.set()
            assert queued.wait(30)
            acts[0](uow)

        threads = [threading.Thread(target=self._run, args=(0, first))]
        threads[0].start()
        assert entered.wait(30)
        for number, act in enumerate(acts[1:], 1):
            threads.append(threading.Thread(target=self._run, args=(number, act)))
            threads[-1].start()
            while self.catalogue._writer.waiting < number:
                time.sleep(0.001)
        queued.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def kept(self, *names: str) -> list[bool]:
        with self.catalogue.read() as uow:
            return [uow.settings.get(name) is not None for name in names]


@pytest.fixture
def crowd(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    monkeypatch.setattr("catalogue.writer.GROUP_AGE_S", 60.0)  # a slow machine must not end the group early
    opened = Catalogue.open(sqlite_url, migrate=True)
    yield Crowd(opened)
    opened.close()


def put(name: str) -> Act:
    return lambda uow: uow.settings.put(name, "x")


def put_and_fail(name: str) -> Act:
    def act(uow: UnitOfWork) -> None:
        uow.settings.put(name, "x")
        raise ZeroDivisionError

    return act


def test_transactions_that_wait_share_one_commit(crowd: Crowd) -> None:
    names = [f"n{number}" for number in range(20)]
    crowd.act(*map(put, names))
    assert (crowd.errors, crowd.commits) == ({}, 1)
    assert all(crowd.kept(*names))


def test_a_transaction_alone_has_its_own_commit_and_no_savepoint(crowd: Crowd) -> None:
    statements: list[str] = []
    sa.event.listen(crowd.catalogue.engine, "savepoint", lambda *_: statements.append("savepoint"))
    for name in ("a", "b"):
        with crowd.catalogue.begin() as uow:
            uow.settings.put(name, "x")
    assert (crowd.commits, statements) == (2, [])


def test_nobody_returns_before_the_commit_they_share(crowd: Crowd) -> None:
    seen: list[tuple[int, int]] = []

    def late(uow: UnitOfWork) -> None:
        time.sleep(0.2)  # the two before have ended their blocks long ago
        seen.append((len(crowd.done), crowd.commits))
        uow.settings.put("late", "x")

    crowd.act(put("a"), put("b"), late)
    assert seen == [(0, 0)]
    assert sorted(crowd.done) == [0, 1, 2]
    assert crowd.commits == 1


def test_each_sees_what_those_before_it_did_and_others_see_nothing_yet(crowd: Crowd) -> None:
    seen: list[tuple[str | None, list[bool]]] = []

    def look(uow: UnitOfWork) -> None:
        seen.append((uow.settings.get("a"), crowd.kept("a")))

    crowd.act(put("a"), look)
    assert seen == [("x", [False])]


@pytest.mark.parametrize("failing", [0, 1, 2], ids=["first", "middle", "last"])
def test_one_that_fails_takes_back_only_its_own(crowd: Crowd, failing: int) -> None:
    acts = [put("n0"), put("n1"), put("n2")]
    acts[failing] = put_and_fail(f"n{failing}")
    crowd.act(*acts)
    assert {number: type(error) for number, error in crowd.errors.items()} == {failing: ZeroDivisionError}
    assert crowd.kept("n0", "n1", "n2") == [number != failing for number in range(3)]


def test_a_failed_statement_that_was_ignored_takes_back_only_its_own(crowd: Crowd) -> None:
    def ignore(uow: UnitOfWork) -> None:
        uow.settings.put("b", "x")
        with pytest.raises(CatalogueError):
            uow._db.execute(sa.text("SELECT * FROM no_such_table"))

    crowd.act(put("a"), ignore, put("c"))
    assert [type(error) for error in crowd.errors.values()] == [CatalogueError]
    assert crowd.kept("a", "b", "c") == [True, False, True]


def test_when_the_commit_fails_everybody_is_told_and_nothing_is_kept(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: sa.Connection) -> None:
        raise NotDurableError("the database could not write to its medium")

    sa.event.listen(crowd.catalogue.engine, "commit", fail)
    crowd.act(put("a"), put("b"), put("c"))
    sa.event.remove(crowd.catalogue.engine, "commit", fail)
    assert [type(error) for error in crowd.errors.values()] == [NotDurableError] * 3
    assert len({id(error) for error in crowd.errors.values()}) >= 2  # threads do not raise one object at the same time
    assert crowd.done == []
    assert crowd.kept("a", "b", "c") == [False] * 3
    with crowd.catalogue.begin() as uow:
        uow.settings.put("the writer", "is free again")


def test_a_disk_that_fills_up_in_one_of_them_ends_all_of_them_and_keeps_nothing(crowd: Crowd) -> None:
    def fill(uow: UnitOfWork) -> None:
        uow._db.execute(sa.text("PRAGMA max_page_count = 1"))  # SQLite then grows no further and rolls back by itself
        for number in range(10_000):
            uow.settings.put(f"much{number}", "x" * 4000)

    crowd.act(put("a"), fill, put("c"))
    assert {number: type(error) for number, error in crowd.errors.items()}[1] is StoreFullError
    assert crowd.kept("a") == [0 not in crowd.errors]  # told the truth, whatever SQLite decided
    assert crowd.kept("c") == [2 not in crowd.errors]


def test_a_database_that_rolled_back_by_itself_is_never_taken_for_committed(crowd: Crowd) -> None:
    def roll_back(uow: UnitOfWork) -> None:
        uow._db._connection.connection.dbapi_connection.rollback()

    crowd.act(put("a"), roll_back, put("c"))
    told = {number: crowd.errors.get(number) for number in range(3)}
    assert isinstance(told[0], CatalogueError)
    assert crowd.kept("a", "c") == [False, told[2] is None]


def test_a_group_that_is_old_enough_is_committed_although_others_wait(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalogue.writer.GROUP_AGE_S", 0.0)
    crowd.act(*(put(f"n{number}") for number in range(5)))
    assert (crowd.errors, crowd.commits) == ({}, 5)


def test_one_that_left_the_queue_is_handed_nothing(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = threading.Event(), threading.Event()

    def hold() -> None:
        with crowd.catalogue.begin() as uow:
            entered.set()
            assert go.wait(30)
            uow.settings.put("held", "x")

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(30)
    monkeypatch.setattr(crowd.catalogue._writer, "_wait_s", 0.05)
    with pytest.raises(CatalogueUnavailableError), crowd.catalogue.begin():
        pass
    go.set()
    holder.join(30)
    assert not holder.is_alive()
    assert crowd.kept("held") == [True]


def test_hooks_run_after_the_shared_commit_and_only_for_those_who_are_in_it(crowd: Crowd) -> None:
    ran: list[tuple[str, int]] = []

    def hooked(name: str, inner: Act) -> Act:
        def act(uow: UnitOfWork) -> None:
            uow.after_commit(lambda: ran.append((name, crowd.commits)))
            inner(uow)

        return act

    crowd.act(hooked("a", put("a")), hooked("b", put_and_fail("b")), hooked("c", put("c")))
    assert sorted(ran) == [("a", 1), ("c", 1)]


def test_a_crowd_with_failures_keeps_exactly_what_was_told_to_be_kept(sqlite_url: str) -> None:
    catalogue = Catalogue.open(sqlite_url, migrate=True)
    told: dict[str, bool] = {}

    def work(number: int) -> None:
        dice = random.Random(number)
        for step in range(25):
            name = f"{number}.{step}"
            try:
                with catalogue.begin() as uow:
                    uow.settings.put(name, "x")
                    if dice.random() < 0.3:
                        raise ZeroDivisionError
                told[name] = True
            except ZeroDivisionError:
                told[name] = False

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(told) == 16 * 25
    with catalogue.read() as uow:
        assert {name: uow.settings.get(name) is not None for name in told} == told
    catalogue.close()
