"""Transactions: all or nothing, durable, isolated, and their errors."""

from __future__ import annotations

import logging
import threading
import time

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as sx

from catalogue import Catalogue
from catalogue.faults import translate
from evidence.errors import (
    CatalogueError,
    CatalogueUnavailableError,
    EvidenceError,
    InvalidInputError,
    NotDurableError,
    Retry,
    StateConflictError,
    StoreFullError,
)
from support.catalogue_rows import T0, make_bureau, recording
from support.databases import PostgresServer


def test_an_exception_rolls_everything_back_and_passes_unchanged(catalogue: Catalogue) -> None:
    ran: list[str] = []
    with pytest.raises(ZeroDivisionError), catalogue.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        uow.settings.put("a", "b")
        uow.after_commit(lambda: ran.append("hook"))
        raise ZeroDivisionError
    with catalogue.read() as uow:
        assert uow.settings.get("a") is None
    assert ran == []


def test_hooks_run_after_the_commit_is_visible_to_others_in_their_order(catalogue: Catalogue) -> None:
    seen: list[str | None] = []

    def look() -> None:
        with catalogue.read() as uow:
            seen.append(uow.settings.get("a"))

    with catalogue.begin() as uow:
        uow.settings.put("a", "b")
        uow.after_commit(look)
        uow.after_commit(lambda: seen.append("second"))
    assert seen == ["b", "second"]


def test_a_failing_hook_neither_undoes_nor_denies_the_commit(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def fail() -> None:
        raise RuntimeError("hint lost")

    with caplog.at_level(logging.ERROR), catalogue.begin() as uow:
        uow.settings.put("a", "b")
        uow.after_commit(fail)
        uow.after_commit(lambda: ran.append("next"))
    with catalogue.read() as uow:
        assert uow.settings.get("a") == "b"
    assert ran == ["next"]
    assert "hook" in caplog.text


def test_a_hook_may_write_in_a_transaction_of_its_own(catalogue: Catalogue) -> None:
    def write() -> None:
        with catalogue.begin() as uow:
            uow.settings.put("from", "hook")

    with catalogue.begin() as uow:
        uow.after_commit(write)
    with catalogue.read() as uow:
        assert uow.settings.get("from") == "hook"


def test_a_reading_transaction_cannot_change_anything(catalogue: Catalogue) -> None:
    with pytest.raises(EvidenceError), catalogue.read() as uow:
        uow.settings.put("a", "b")
    with catalogue.read() as uow:
        assert uow.settings.get("a") is None


def test_a_reading_transaction_sees_one_moment(catalogue: Catalogue) -> None:
    with catalogue.read() as reader:
        assert reader.settings.get("a") is None
        with catalogue.begin() as uow:
            uow.settings.put("a", "b")
        assert reader.settings.get("a") is None


def test_a_write_inside_of_a_write_is_refused_instead_of_waiting_for_itself(catalogue: Catalogue) -> None:
    started = time.monotonic()
    with catalogue.begin(), pytest.raises(CatalogueError, match="inside"), catalogue.begin():
        pass
    assert time.monotonic() - started < 5
    with catalogue.begin() as uow:
        uow.settings.put("the writer", "is free again")


def test_many_writers_take_their_turns(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        uow.settings.put("n", "0")

    def work(number: int) -> None:
        for step in range(10):
            with catalogue.begin() as uow:
                uow.settings.put(f"{number}.{step}", "x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalogue.read() as uow:
        assert all(uow.settings.get(f"{number}.{step}") for number in range(8) for step in range(10))


def test_writers_on_sqlite_are_served_in_the_order_in_which_they_came(sqlite_url: str) -> None:
    catalogue = Catalogue.open(sqlite_url, migrate=True)
    order: list[int] = []

    def write(number: int) -> None:
        with catalogue.begin():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    with catalogue.begin():
        for position, thread in enumerate(threads, 1):
            thread.start()
            while catalogue._writer.waiting < position:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(20))
    catalogue.close()


def test_a_writer_that_waits_too_long_leaves_the_queue_and_the_others_go_on(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = Catalogue.open(sqlite_url, migrate=True)
    monkeypatch.setattr(catalogue._writer, "_wait_s", 0.05)
    refused: list[EvidenceError] = []

    def write() -> None:
        try:
            with catalogue.begin():
                pass
        except EvidenceError as error:
            refused.append(error)

    with catalogue.begin():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert [type(error) for error in refused] == [CatalogueUnavailableError]
    write()
    assert len(refused) == 1
    catalogue.close()


def test_what_was_committed_survives_the_hard_end_of_the_server_and_the_next_act_finds_it_again() -> None:
    server = PostgresServer()
    try:
        opened = Catalogue.open(server.fresh_url(), migrate=True)
        with opened.begin() as uow:
            row = recording(make_bureau(uow))
            uow.recordings.add(row)
        with pytest.raises(CatalogueUnavailableError), opened.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
            uow.settings.put("lost", "with the server")
            server.restart_hard()
            uow.settings.get("lost")
        with opened.read() as uow:
            assert uow.recordings.get(row.id) == row
            assert uow.settings.get("lost") is None
        opened.close()
    finally:
        server.close()


def test_a_full_medium_rolls_the_transaction_back_and_says_so(sqlite_url: str) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with pytest.raises(StoreFullError), opened.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        uow.settings.put("before", "the end")
        uow._db.execute(sa.text("PRAGMA max_page_count = 1"))  # SQLite then grows no further
        uow.settings.put("large", "x" * 1_000_000)
    opened.close()
    again = Catalogue.open(sqlite_url)
    with again.begin() as uow:
        assert uow.settings.get("before") is None
        uow.settings.put("large", "x" * 1_000_000)
    again.close()


# --- errors ----------------------------------------------------------------------------------------------------------
class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("server words")
        self.sqlstate = sqlstate


def _wrapped(kind: type[sx.DBAPIError], cause: Exception) -> sx.DBAPIError:
    return kind("SELECT secret", {}, cause)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_wrapped(sx.OperationalError, Exception("database or disk is full")), StoreFullError),
        (_wrapped(sx.OperationalError, _ServerError("53100")), StoreFullError),
        (_wrapped(sx.OperationalError, Exception("disk I/O error")), NotDurableError),
        (_wrapped(sx.OperationalError, _ServerError("58030")), NotDurableError),
        (_wrapped(sx.OperationalError, Exception("database is locked")), CatalogueUnavailableError),
        (_wrapped(sx.OperationalError, _ServerError("40001")), CatalogueUnavailableError),
        (_wrapped(sx.OperationalError, _ServerError("53200")), CatalogueUnavailableError),
        (_wrapped(sx.OperationalError, _ServerError("57P01")), CatalogueUnavailableError),
        (sx.TimeoutError("no connection"), CatalogueUnavailableError),
        (_wrapped(sx.IntegrityError, _ServerError("23505")), StateConflictError),
        (_wrapped(sx.DataError, _ServerError("22003")), InvalidInputError),
        (_wrapped(sx.DatabaseError, Exception("database disk image is malformed")), CatalogueError),
        (_wrapped(sx.ProgrammingError, _ServerError("42P01")), CatalogueError),
        (sx.ArgumentError("wrong"), CatalogueError),
        (InvalidInputError("ours"), InvalidInputError),
    ],
)
def test_each_fault_of_the_database_has_one_error_of_ours(error: Exception, expected: type[EvidenceError]) -> None:
    ours = translate(error)
    assert type(ours) is expected
    assert "secret" not in ours.diagnostics()


def test_only_a_failing_medium_is_fatal_and_only_a_busy_database_is_tried_again() -> None:
    assert translate(_wrapped(sx.OperationalError, Exception("disk I/O error"))).fatal
    assert translate(_wrapped(sx.OperationalError, Exception("database is locked"))).retry is Retry.LATER


@pytest.mark.parametrize("words", ["disk full", "malformed", "database is locked", "disk I/O error"])
def test_words_in_a_value_that_the_server_quotes_decide_nothing(catalogue: Catalogue, words: str) -> None:
    """PostgreSQL tells the contradicting key in its message; a log-in of these words is no failing disk."""
    with pytest.raises(StateConflictError), catalogue.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        make_bureau(uow, officer_code=words)
        make_bureau(uow, officer_code=words)


def test_personal_values_do_not_enter_messages(catalogue: Catalogue) -> None:
    with pytest.raises(StateConflictError) as caught, catalogue.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        make_bureau(uow, officer_code="SECRET-1")
        make_bureau(uow, officer_code="SECRET-1")
    assert "SECRET" not in caught.value.diagnostics()
    assert T0.year == 2026
