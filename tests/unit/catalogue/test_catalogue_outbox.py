"""The custody log's queue: no gap and no fork in a signer's sequence, one head, nothing published twice."""

from __future__ import annotations

import base64
import hashlib
import json
import threading

import pytest

from catalogue import Catalogue, UnitOfWork
from evidence.errors import EntryInvalidError, InvalidInputError, StateConflictError
from evidence.events import RecordingAcquiring
from evidence.ids import EntryId, RecordingId
from evidence.ports import Disclosure, LogHead, SignerTurn
from support.catalogue_rows import T0, make_bureau, new_entry_id, recording


def put(
    uow: UnitOfWork,
    key: str = "key",
    *,
    recording_id: str = "",
    disclosures: tuple[Disclosure, ...] = (),
    envelope: bytes | None = None,
    turn: SignerTurn | None = None,
) -> EntryId:
    entry = new_entry_id()
    event = RecordingAcquiring(recording=recording_id, offload="", from_byte=0, at="")
    uow.outbox.add(
        entry=entry, event=event, envelope=entry.encode() if envelope is None else envelope, leaf_sha256=b"\0" * 32,
        key_id=key, turn=turn or uow.outbox.next_turn(key), disclosures=disclosures, at=T0,
    )  # fmt: skip
    return entry


def head(size: int) -> LogHead:
    return LogHead(size, bytes([size % 256]) * 32, b"note %d" % size, 0)


def test_turns_grow_by_one_and_carry_the_digest_of_the_envelope_before(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        assert uow.outbox.next_turn("key") == SignerTurn(0, "")
        first = put(uow)
        assert uow.outbox.next_turn("key") == SignerTurn(1, hashlib.sha256(first.encode()).hexdigest())
        assert uow.outbox.next_turn("other") == SignerTurn(0, "")


def test_a_turn_taken_before_another_entry_is_refused(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        turn = uow.outbox.next_turn("key")
        put(uow)
        with pytest.raises(StateConflictError):
            put(uow, turn=turn)
        with pytest.raises(StateConflictError):
            put(uow, turn=SignerTurn(1, "not the digest before"))


def test_a_rolled_back_act_leaves_no_entry_and_no_gap(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        put(uow)
    with pytest.raises(ZeroDivisionError), catalogue.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        put(uow)
        raise ZeroDivisionError
    with catalogue.begin() as uow:
        assert uow.outbox.next_turn("key").seq == 1
        assert len(uow.outbox.unsequenced(10)) == 1


def test_writers_with_one_key_make_one_unbroken_sequence(catalogue: Catalogue) -> None:
    def work() -> None:
        for _ in range(5):
            with catalogue.begin() as uow:
                put(uow)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalogue.begin() as uow:
        rows = uow.outbox.unsequenced(100)
        assert len(rows) == 20
        assert uow.outbox.next_turn("key") == SignerTurn(20, hashlib.sha256(rows[-1].envelope).hexdigest())


def test_an_entry_committed_late_is_not_overlooked(postgres_url: str) -> None:
    """Two keys, the earlier transaction commits last: a cursor would have gone past it."""
    opened = Catalogue.open(postgres_url, migrate=True)
    began, may_commit = threading.Event(), threading.Event()
    entries: list[EntryId] = []

    def slow() -> None:
        with opened.begin() as uow:
            entries.append(put(uow, "slow"))
            began.set()
            may_commit.wait(20)

    thread = threading.Thread(target=slow)
    thread.start()
    assert began.wait(20)
    with opened.begin() as uow:
        quick = put(uow, "quick")
    with opened.begin() as uow:
        assert [row.entry for row in uow.outbox.unsequenced(10)] == [quick]
        uow.outbox.sequence(expected_size=0, entries=[quick], head=head(1))
    may_commit.set()
    thread.join()
    with opened.begin() as uow:
        assert [row.entry for row in uow.outbox.unsequenced(10)] == entries
    opened.close()


def test_sequencing_gives_indices_and_moves_the_head_together(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        entries = [put(uow) for _ in range(5)]
        assert uow.outbox.head() is None
    with catalogue.begin() as uow:
        taken = [row.entry for row in uow.outbox.unsequenced(3)]
        assert taken == entries[:3]
        uow.outbox.sequence(expected_size=0, entries=taken, head=head(3))
    with catalogue.begin() as uow:
        uow.outbox.sequence(expected_size=3, entries=entries[3:], head=head(5))
        assert uow.outbox.unsequenced(9) == []
    with catalogue.read() as uow:
        assert uow.outbox.head() == head(5)
        assert [(row.entry, row.index) for row in uow.outbox.rows(1, 4)] == list(
            zip(entries[1:4], (1, 2, 3), strict=True)
        )
        found = uow.outbox.row_of(entries[4])
        assert found is not None
        assert (found.index, found.envelope, found.leaf_sha256) == (4, entries[4].encode(), b"\0" * 32)
        assert uow.outbox.row_of(new_entry_id()) is None


def test_the_head_is_swapped_only_from_where_the_sealer_saw_it(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        first, second = put(uow), put(uow)
        uow.outbox.sequence(expected_size=0, entries=[first], head=head(1))
    for expected, size in ((0, 1), (2, 3)):
        with pytest.raises(StateConflictError), catalogue.begin() as uow:
            uow.outbox.sequence(expected_size=expected, entries=[second], head=head(size))
    with catalogue.begin() as uow, pytest.raises(InvalidInputError):
        uow.outbox.sequence(expected_size=1, entries=[second], head=head(7))
    with catalogue.read() as uow:
        assert uow.outbox.head() == head(1)
        assert [row.entry for row in uow.outbox.unsequenced(9)] == [second]


def test_an_entry_has_one_index_for_ever_and_an_unknown_one_none(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        first = put(uow)
        uow.outbox.sequence(expected_size=0, entries=[first], head=head(1))
    for entry in (first, new_entry_id()):
        with pytest.raises(StateConflictError), catalogue.begin() as uow:
            uow.outbox.sequence(expected_size=1, entries=[entry], head=head(2))
    with catalogue.read() as uow:
        assert uow.outbox.head() == head(1)


def test_what_is_published_never_falls_and_never_runs_ahead(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        uow.outbox.sequence(expected_size=0, entries=[put(uow) for _ in range(4)], head=head(4))
        assert uow.outbox.head() == head(4)
        uow.outbox.mark_published(3)
        uow.outbox.mark_published(1)
        found = uow.outbox.head()
        assert found is not None
        assert found.published_size == 3
    with pytest.raises(StateConflictError), catalogue.begin() as uow:
        uow.outbox.mark_published(5)


def test_two_sealers_cannot_both_move_the_head(postgres_url: str) -> None:
    opened = Catalogue.open(postgres_url, migrate=True)
    with opened.begin() as uow:
        first, second = put(uow), put(uow)
        uow.outbox.sequence(expected_size=0, entries=[], head=head(0))
    barrier, outcomes = threading.Barrier(2), []

    def seal(entry: EntryId) -> None:
        barrier.wait()
        try:
            with opened.outbox_transactions()() as outbox:
                outbox.sequence(expected_size=0, entries=[entry], head=head(1))
            outcomes.append("won")
        except StateConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=seal, args=(entry,)) for entry in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost", "won"]
    opened.close()


# --- disclosures and the timeline -------------------------------------------------------------------------------------
def disclosure(name: str, value: object) -> Disclosure:
    raw = json.dumps(["salt", name, value], ensure_ascii=False).encode()
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return Disclosure(hashlib.sha256(text.encode()).hexdigest(), name, text)


def dsse(data: dict[str, object]) -> bytes:
    payload = base64.b64encode(json.dumps({"predicate": {"data": data}}).encode()).decode()
    return json.dumps({"payload": payload, "payloadType": "x", "signatures": []}).encode()


def test_the_timeline_is_in_log_order_and_shows_what_has_not_been_erased(catalogue: Catalogue) -> None:
    name, officer = disclosure("name", "a.mp4"), disclosure("officer", "甲")
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        waiting = put(uow, "b", recording_id=row.id, envelope=dsse({"from_byte": 7}))
        sealed = put(uow, "a", recording_id=row.id, envelope=dsse({"from_byte": 0}), disclosures=(name, officer))
        put(uow, "a", recording_id=RecordingId.new(5), envelope=dsse({}))
        uow.outbox.sequence(expected_size=0, entries=[sealed], head=head(1))
        assert uow.outbox.disclosures_of([name.digest, "unknown"]) == {name.digest: name}
    with catalogue.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE disclosures SET text = NULL, erased_at = 1 WHERE digest = '{officer.digest}'"
        )
    with catalogue.read() as uow:
        lines = uow.timeline(row.id)
        assert [(line.entry, line.index, line.public) for line in lines] == [
            (sealed, 0, {"from_byte": 0}),
            (waiting, None, {"from_byte": 7}),
        ]
        assert [line.disclosed for line in lines] == [{"name": "a.mp4"}, {}]
        assert lines[0].event_type == "recording.acquiring"
        assert uow.outbox.disclosures_of([officer.digest]) == {}


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"{}", b'{"payload": 3}', b'{"payload": "bm9wZQ=="}', b"\xff", b'{"payload": "W10="}']
)
def test_an_entry_that_cannot_be_read_is_reported_by_the_timeline(sqlite_url: str, broken: bytes) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with opened.begin() as uow:
        put(uow, recording_id=RecordingId.new(5), envelope=broken)
        with pytest.raises(EntryInvalidError):
            uow.timeline(opened_id(uow))
    opened.close()


@pytest.mark.parametrize("text", ["", "!", "bm9wZQ", "W10", "WzEsMiwzXQ", "\xe9"])
def test_a_disclosure_that_cannot_be_read_is_reported_by_the_timeline(sqlite_url: str, text: str) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with opened.begin() as uow:
        put(uow, recording_id=RecordingId.new(5), envelope=dsse({}), disclosures=(Disclosure("d", "n", text),))
        with pytest.raises(EntryInvalidError):
            uow.timeline(opened_id(uow))
    opened.close()


def opened_id(uow: UnitOfWork) -> RecordingId:
    return RecordingId(uow.outbox.unsequenced(1)[0].recording)
