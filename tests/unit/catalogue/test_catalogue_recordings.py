"""Recordings as rows: exact round trips, guarded changes of state, and the questions the pipeline asks."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from catalogue import Catalogue
from catalogue.records import RecordingFilter
from evidence.digest import Digest
from evidence.errors import (
    CatalogueError,
    EvidenceError,
    InvalidInputError,
    NotFoundError,
    StateConflictError,
)
from evidence.events import RecordingStored
from evidence.ids import DeviceId, OffloadId, RecordingId
from evidence.model import RecordingKind, RecordingState, SourceKey, Verdict, Visibility
from evidence.ports import LogHead
from support.catalogue_rows import T0, add_recording, after, make_bureau, name_of, new_entry_id, recording

ALL = Visibility(everything=True)
SHA = Digest("sha256", "ab" * 32)


def test_a_recording_comes_back_exactly_as_it_was_written(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        parent = recording(bureau, name="parent.mp4")
        uow.recordings.add(parent)
        row = recording(
            bureau,
            state=RecordingState.STORED,
            kind=RecordingKind.AUDIO,
            name="\\x00 录音 \U0001f4f7.wav",
            size_bytes=1 << 40,
            important=True,
            counter=17,
            attached_to=parent.id,
            case_number="厦园执〔2026〕7号",
            officer=bureau.officer,
            officer_code="A0012345",
            unit=bureau.unit,
            sha256=SHA,
            sm3=Digest("sm3", "cd" * 32),
            blake3=Digest("blake3", "ef" * 32),
            started_at=after(milliseconds=1),
            duration_ms=61_001,
            deadline_at=after(hours=24),
            duplicate_of=parent.id,
            verdict=Verdict.TRUNCATED,
            described=True,
            facts={"codecs": ["h264", "aac"], "文": {"n": -1, "null": None}},
        )
        uow.recordings.add(row)
    with catalogue.read() as uow:
        assert uow.recordings.get(row.id) == row
        assert uow.recordings.attached(parent.id) == [row]
        assert list(uow.recordings.all_ids()) == sorted([parent.id, row.id])


def test_a_change_of_state_happens_only_from_the_states_it_names(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
    with catalogue.begin() as uow:
        moved = uow.recordings.change_state(
            row.id, expect={RecordingState.DISCOVERED}, to=RecordingState.ACQUIRING, bytes_acquired=5
        )
        assert (moved.state, moved.bytes_acquired) == (RecordingState.ACQUIRING, 5)
    with catalogue.begin() as uow:
        with pytest.raises(StateConflictError):
            uow.recordings.change_state(
                row.id, expect={RecordingState.DISCOVERED}, to=RecordingState.STORED, bytes_acquired=9
            )
        uow.settings.put("the refusal", "leaves the transaction usable")
    with catalogue.read() as uow:
        assert uow.recordings.get(row.id).bytes_acquired == 5
        assert uow.settings.get("the refusal") is not None
    with catalogue.begin() as uow, pytest.raises(NotFoundError):
        uow.recordings.change_state(RecordingId.new(1), expect=set(RecordingState), to=RecordingState.STORED)


@pytest.mark.parametrize(
    "columns",
    [{}, {"state": RecordingState.RELEASED}, {"sealed": True}, {"stored_index": 3}, {"id": "x"}, {"colour": "red"}],
)
def test_state_seal_and_identity_cannot_be_written_as_columns(catalogue: Catalogue, columns: dict[str, object]) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        with pytest.raises(InvalidInputError):
            uow.recordings.update(row.id, **columns)


def test_workers_racing_for_one_step_never_both_win(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
    barrier, outcomes = threading.Barrier(6), []

    def work() -> None:
        barrier.wait()
        try:
            with catalogue.begin() as uow:
                uow.recordings.change_state(row.id, expect={RecordingState.DISCOVERED}, to=RecordingState.ACQUIRING)
            outcomes.append("won")
        except StateConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 5 + ["won"]


def test_a_locked_row_is_the_row(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        assert uow.recordings.lock(row.id) == row


def test_sealed_is_read_from_the_log_and_only_once_the_checkpoint_is_published(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        entry = new_entry_id()
        event = RecordingStored(
            recording=row.id, size_bytes=1, manifest_sha256="", copies=[], manifest_copies=[], at=""
        )
        turn = uow.outbox.next_turn("key")
        uow.outbox.add(
            entry=entry,
            event=event,
            envelope=b"{}",
            leaf_sha256=b"l" * 32,
            key_id="key",
            turn=turn,
            disclosures=[],
            at=T0,
        )
        uow.recordings.update(row.id, stored_entry=entry)

    def seen() -> tuple[int | None, bool]:
        with catalogue.read() as uow:
            found = uow.recordings.get(row.id)
            return found.stored_index, found.sealed

    assert seen() == (None, False)
    with catalogue.begin() as uow:
        uow.outbox.sequence(expected_size=0, entries=[entry], head=LogHead(1, b"r" * 32, b"note", 1))
    assert seen() == (0, False), "a head that claims to be published is not believed"
    with catalogue.begin() as uow:
        uow.outbox.mark_published(1)
    assert seen() == (0, True)


def test_a_pointer_to_an_entry_that_does_not_exist_is_never_sealed(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow), stored_entry=new_entry_id())
        uow.recordings.add(row)
        assert not uow.recordings.get(row.id).sealed


def test_the_same_file_on_the_same_recorder_is_found_until_it_is_released(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        first = recording(bureau, state=RecordingState.RELEASED)
        uow.recordings.add(first)
        assert uow.recordings.find_by_source(bureau.device, first.source) is None
        second = recording(bureau, discovered_at=after(days=1))
        uow.recordings.add(second)
        assert uow.recordings.find_by_source(bureau.device, second.source) == second
        other = SourceKey(second.source.storage, second.source.path, 1001, second.source.mtime_raw)
        assert uow.recordings.find_by_source(bureau.device, other) is None
        assert uow.recordings.find_by_source(DeviceId.new(1), second.source) is None


def test_bytes_are_found_where_they_are_kept_oldest_first_and_not_in_duplicates(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = [
            recording(bureau, state=state, sha256=SHA, discovered_at=after(hours=-hour))
            for hour, state in enumerate(RecordingState)
        ]
        for row in rows:
            uow.recordings.add(row)
        kept = uow.recordings.kept_with(SHA)
        assert [row.state for row in kept] == [RecordingState.RELEASED, RecordingState.STORED, RecordingState.ACQUIRED]
        assert uow.recordings.kept_with(Digest("sha256", "00" * 32)) == []


def test_r04_what_is_overdue_and_not_stored_is_found_most_overdue_first(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        late = recording(bureau, deadline_at=after(hours=2), state=RecordingState.INTERRUPTED)
        later = recording(bureau, deadline_at=after(hours=1), state=RecordingState.ACQUIRED)
        for row in (
            late,
            later,
            recording(bureau, deadline_at=after(hours=3)),
            recording(bureau, deadline_at=after(hours=1), state=RecordingState.STORED),
            recording(bureau),
        ):
            uow.recordings.add(row)
        assert uow.recordings.due(after(hours=2)) == [later, late]


def test_work_comes_earliest_deadline_first_and_what_has_no_deadline_last(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        none, second, first = (recording(bureau, deadline_at=at) for at in (None, after(hours=2), after(hours=1)))
        for row in (none, second, first):
            uow.recordings.add(row)
        assert uow.recordings.by_state({RecordingState.DISCOVERED}) == [first, second, none]
        assert uow.recordings.by_state({RecordingState.DISCOVERED}, limit=1) == [first]


def test_the_reconciler_finds_what_is_acquired_or_kept_but_not_described(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = {
            (state, described): recording(bureau, state=state, described=described)
            for state in RecordingState
            for described in (False, True)
        }
        for row in rows.values():
            uow.recordings.add(row)
        found = {(row.state, row.described) for row in uow.recordings.unfinished()}
    acquired, stored, released = RecordingState.ACQUIRED, RecordingState.STORED, RecordingState.RELEASED
    assert found == {(acquired, False), (acquired, True), (stored, False), (released, False)}


def test_a_name_is_kept_once_for_each_docking(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
        for _ in range(2):
            uow.recordings.add_name(name_of(row, "a.mp4"))
            uow.recordings.add_name(name_of(row, "a_IMP.mp4", important=True))
        assert uow.recordings.names(row.id) == [name_of(row, "a.mp4"), name_of(row, "a_IMP.mp4", important=True)]


def test_a_day_is_by_the_start_of_the_recording_else_by_its_discovery(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        started = recording(bureau, officer=bureau.officer, started_at=after(days=-1))
        found = recording(bureau, officer=bureau.officer)
        for row in (started, found, recording(bureau)):
            uow.recordings.add(row)
        assert uow.recordings.day(bureau.officer, T0, after(days=1)) == [found]
        uow.recordings.update(found.id, started_at=after(days=-2))
        assert uow.recordings.day(bureau.officer, after(days=-2), T0) == [uow.recordings.get(found.id), started]
        uow.recordings.update(found.id, started_at=None)
        assert uow.recordings.day(bureau.officer, T0, after(days=1)) == [found]


def test_recordings_of_a_docking_and_of_a_recorder(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = [recording(bureau), recording(bureau, state=RecordingState.STORED)]
        for row in rows:
            uow.recordings.add(row)
        assert {row.id for row in uow.recordings.of_offload(bureau.offload)} == {row.id for row in rows}
        assert uow.recordings.of_offload(OffloadId.new(1)) == []
        assert {row.id for row in uow.recordings.of_device(bureau.device)} == {row.id for row in rows}
        assert uow.recordings.of_device(bureau.device, states={RecordingState.STORED}) == [rows[1]]
        assert uow.recordings.counts_by_state(ALL) == {RecordingState.DISCOVERED: 1, RecordingState.STORED: 1}
        assert uow.recordings.counts_by_state(Visibility()) == {}


def test_every_identity_is_listed_also_beyond_one_chunk(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalogue.recordings.CHUNK", 3)
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = [recording(bureau) for _ in range(7)]
        for row in rows:
            uow.recordings.add(row)
    with catalogue.read() as uow:
        assert list(uow.recordings.all_ids()) == sorted(row.id for row in rows)


# --- what the database refuses ---------------------------------------------------------------------------------------
def test_a_recording_of_an_unknown_recorder_is_refused_and_nothing_of_the_transaction_is_kept(
    catalogue: Catalogue,
) -> None:
    with pytest.raises(CatalogueError), catalogue.begin() as uow:  # noqa: PT012 - the end of the transaction may raise
        bureau = make_bureau(uow)
        with pytest.raises(StateConflictError):
            uow.recordings.add(recording(bureau, device=DeviceId.new(1)))
        # Whoever swallows the refusal must not get half of the transaction committed.
    with catalogue.read() as uow:
        assert uow.devices.all() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "lone \ud800 surrogate"},
        {"size_bytes": 1 << 70},
        {"started_at": datetime(2026, 1, 1)},
        {"sha256": Digest("sm3", "ab" * 32)},
        {"facts": {"float": 0.5}},
    ],
)
def test_a_value_no_column_can_hold_ends_in_our_error(catalogue: Catalogue, fields: dict[str, object]) -> None:
    with pytest.raises(EvidenceError) as caught, catalogue.begin() as uow:
        uow.recordings.add(recording(make_bureau(uow), **fields))
    assert caught.value.code in {"invalid-input", "entry-invalid"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "'vanished'"),
        ("officer", "'not an identity'"),
        ("sha256", "'zz'"),
        ("facts", "'{not json'"),
        ("discovered_at", "9223372036854775807"),
    ],
)
def test_a_row_that_somebody_edited_into_nonsense_is_reported(sqlite_url: str, column: str, value: str) -> None:
    opened = Catalogue.open(sqlite_url, migrate=True)
    with opened.begin() as uow:
        row = recording(make_bureau(uow))
        uow.recordings.add(row)
    with opened.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql(f"UPDATE recordings SET {column} = {value}")
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.exec_driver_sql("BEGIN")
    with opened.read() as uow, pytest.raises(CatalogueError, match="unreadable"):
        uow.recordings.get(row.id)
    opened.close()


def test_a_long_list_does_not_care_about_the_bound_on_variables(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    add_recording(catalogue, bureau)
    with catalogue.read() as uow:
        assert uow.outbox.disclosures_of([f"digest{number}" for number in range(70_000)]) == {}


def test_r04_a_duplicate_is_not_found_as_late(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        kept = recording(bureau, state=RecordingState.STORED, deadline_at=after(hours=3), stored_at=after(hours=1))
        again = recording(bureau, state=RecordingState.DUPLICATE, deadline_at=after(hours=1), duplicate_of=kept.id)
        late = recording(bureau, state=RecordingState.INTERRUPTED, deadline_at=after(hours=1))
        for row in (kept, again, late):
            uow.recordings.add(row)
    with catalogue.read() as uow:
        found = {
            late: {row.id for row in uow.recordings.search(RecordingFilter(late=late), ALL, now=after(hours=9)).rows}
            for late in (True, False)
        }
    assert found == {True: {late.id}, False: {kept.id, again.id}}


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        ("UPDATE recordings SET sort_at = sort_at + 1", "sort_at"),
        ("UPDATE recording_texts SET text = 'zzz'", "search text"),
    ],
)
def test_what_a_recording_is_found_by_is_compared_with_its_own_facts(
    catalogue: Catalogue, tamper: str, told: str
) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
    row = add_recording(catalogue, bureau)
    with catalogue.read() as uow:
        assert uow.search_index.differing(row.id) == []
    with catalogue.engine.begin() as connection:
        connection.exec_driver_sql(tamper)
    with catalogue.read() as uow:
        assert uow.search_index.differing(row.id) == [told]
