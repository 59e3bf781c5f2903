"""What a signer's entries say of their order: nothing out of its turn, and times that grow as long as its clock does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogue import Catalogue
from chain_of_custody import EntryRecorder, parse_entry
from evidence.clock import TimeReading, to_text
from evidence.errors import SignerMismatchError
from evidence.events import AccessAllowed, DeviceRegistered, LogOpened
from support.custody import CustodyLog, TickingClock, fixed_key


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path}/app.db", migrate=True)
    yield made
    made.close()


def looked(at: TimeReading) -> AccessAllowed:
    return AccessAllowed(actor="agt", action="recording.view", via="web", at=to_text(at.wall))


def entered(database: Catalogue) -> list:
    with database.read() as uow:
        return [parse_entry(row.envelope) for row in uow.outbox.unsequenced(100)]


def test_an_entry_that_was_overtaken_keeps_the_events_time_and_is_signed_with_the_time_of_its_turn(
    database: Catalogue,
) -> None:
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="s", clock=clock)
    early, late = clock.now(), clock.now()
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(late), at=late)
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(early), at=early)
        recorder.record(uow.outbox, looked(late), at=late)
    entries = entered(database)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert [entry.data["at"] for entry in entries] == [to_text(one.wall) for one in (late, early, late)]


def test_a_clock_that_was_set_back_stays_visible(database: Catalogue) -> None:
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="s", clock=clock)
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(before := clock.now()), at=before)
    clock.unix_ms -= 86_400_000
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(after := clock.now()), at=after)
    first, second = entered(database)
    assert second.at < first.at


def test_the_time_of_a_registration_is_the_one_that_stands_in_the_ledger(database: Catalogue) -> None:
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="s", clock=clock)
    early, late = clock.now(), clock.now()
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(late), at=late)
        recorder.record(uow.outbox, DeviceRegistered(device="dev", driver="mtp", kind="recorder"), at=early)
    assert entered(database)[-1].at == early.wall


def test_a_key_that_no_entry_introduces_signs_nothing_in_a_log_that_was_opened(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path)
    sealer = log.sealer()
    sealer.open_log(log.recorder)
    sealer.close()
    stranger = EntryRecorder(fixed_key("stranger"), station="s")
    with pytest.raises(SignerMismatchError), log.transactions() as outbox:
        stranger.record(outbox, LogOpened(origin="x"), at=log.clock.now())
    with log.transactions() as outbox:
        log.recorder.record(outbox, stranger.key_added(), at=log.clock.now())
    with log.transactions() as outbox:  # introduced, it may
        stranger.record(outbox, looked(now := log.clock.now()), at=now)
        assert outbox.turns()[stranger.key_id].seq == 1


def test_a_turn_that_does_not_follow_from_the_newest_entry_is_no_turn(database: Catalogue) -> None:
    clock = TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="s")
    with database.begin() as uow:
        recorder.record(uow.outbox, looked(now := clock.now()), at=now)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE signers SET next_seq = 7")
    with pytest.raises(SignerMismatchError), database.begin() as uow:
        recorder.require_turn(uow.outbox)
    assert len(entered(database)) == 1
