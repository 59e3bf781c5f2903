"""Locks of copies, samples of room and what a cold store lacks, on both databases."""

from __future__ import annotations

from catalogue import Catalogue
from catalogue.copy_locks import CopyLockRow
from catalogue.rules import DateRow
from catalogue.space import SpaceSample
from evidence.digest import SHA256, Digest
from evidence.ids import RecordingId
from evidence.lock_dates import LockFacts
from evidence.model import Copy, RecordingState
from support.catalogue_rows import T0, after, make_bureau, recording


def digest(number: int) -> Digest:
    return Digest(SHA256, f"{number:064x}")


def hold(uow, number: int, holder: str, *stores: str, at=T0) -> Digest:
    uow.blobs.add_holder(digest(number), 100, None, holder)
    for store in stores:
        uow.blobs.put_copy(digest(number), Copy(store=store, domain="d", key="k", version="", read_back_at=at))
    return digest(number)


def row(number: int, store: str = "a", **fields) -> CopyLockRow:
    usual = {"until": None, "set_at": T0, "look_at": T0, "last": False}
    return CopyLockRow(sha256=digest(number), store=store, **{**usual, **fields})


def test_a_copy_that_becomes_known_is_due_at_once_and_is_due_again_when_it_is_put_anew(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        hold(uow, 1, f"recording:{RecordingId.new(1)}", "a", "b", at=after(hours=2))
        hold(uow, 2, f"recording:{RecordingId.new(2)}", "a", at=after(hours=1))
    with catalogue.begin() as uow:
        assert [one.sha256 for one in uow.copy_locks.due("a", after(hours=3), 10)] == [digest(2), digest(1)]
        assert [one.sha256 for one in uow.copy_locks.due("a", after(hours=3), 1)] == [digest(2)]
        assert uow.copy_locks.due("a", T0, 10) == []
        uow.copy_locks.note([row(1, until=after(days=90), set_at=after(hours=3), look_at=after(days=7))])
        assert [one.sha256 for one in uow.copy_locks.due("a", after(hours=3), 10)] == [digest(2)]
        uow.copy_locks.look_again(digest(1))
        assert [one.sha256 for one in uow.copy_locks.due("a", after(hours=3), 10)] == [digest(1), digest(2)]
        hold(uow, 1, f"recording:{RecordingId.new(1)}", "a", at=after(hours=4))
        (known,) = [one for one in uow.copy_locks.due("a", after(hours=5), 10) if one.sha256 == digest(1)]
        assert known.until is None, "another copy stands there now: what was known of the last one says nothing"


def test_the_summary_tells_unlocked_from_never_looked_at_and_leaves_last_dates_aside(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        for number in range(1, 6):
            hold(uow, number, f"recording:{RecordingId.new(number)}", "a")
        uow.copy_locks.note(
            [
                row(1, until=after(days=50), set_at=after(hours=1), look_at=after(days=5)),
                row(2, until=after(days=40), set_at=after(hours=1), look_at=after(days=5)),
                row(3, until=after(days=2), set_at=after(hours=1), look_at=after(days=5), last=True),
                row(4, until=None, set_at=after(hours=1), look_at=after(hours=2)),
            ]
        )
        uow.copy_locks.finish("a", after(hours=1))
        told = uow.copy_locks.summary("a", after(hours=3))
    assert (told.copies, told.unlocked, told.unknown, told.due) == (4, 1, 1, 2)
    assert (told.soonest, told.due_since, told.renewed_at) == (after(days=40), T0, after(hours=1))
    with catalogue.read() as uow:
        empty = uow.copy_locks.summary("nobody", T0)
    assert (empty.copies, empty.unknown, empty.soonest, empty.due_since) == (0, 0, None, None)


def test_for_whose_sake_bytes_are_kept_and_a_holder_that_is_not_there_keeps_them_without_an_end(
    catalogue: Catalogue,
) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        one = recording(bureau, acquired_at=after(hours=1), deadline_at=after(days=1), important=True)
        two = recording(bureau, acquired_at=after(hours=2), deadline_at=None, ended_at=T0, started_source="untrusted")
        for each in (one, two):
            uow.recordings.add(each)
        hold(uow, 1, f"recording:{one.id}", "a")
        hold(uow, 1, f"manifest:{two.id}", "a")
        hold(uow, 3, f"recording:{RecordingId.new(9)}", "a")
        facts = uow.copy_locks.facts_of([digest(1), digest(3), digest(4)])
    assert sorted(facts[digest(1)], key=lambda fact: fact.accession is None) == [
        LockFacts(accession=after(hours=1), long_term=True), LockFacts(accession=None),
    ]  # fmt: skip
    assert facts[digest(3)] == [LockFacts(accession=None)], "a recording that is not there"
    assert facts[digest(4)] == []


def test_rows_of_copies_that_went_are_forgotten(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        hold(uow, 1, f"recording:{RecordingId.new(1)}", "a")
        uow.copy_locks.note([row(1, look_at=after(hours=1))])
        assert uow.copy_locks.forget_gone("a", after(days=1)) == 0


def test_samples_of_room(catalogue: Catalogue) -> None:
    def sample(hours: int, free: int) -> SpaceSample:
        return SpaceSample(store="a", at=after(hours=hours), total_bytes=2**50, free_bytes=free)

    with catalogue.begin() as uow:
        for hours in (2, 1, 3):
            uow.space_samples.add(sample(hours, hours))
        uow.space_samples.add(sample(3, 30))
        assert uow.space_samples.newest("a") == sample(3, 30)
        assert [one.free_bytes for one in uow.space_samples.since("a", after(hours=2))] == [2, 30]
        assert uow.space_samples.newest("b") is None
        assert uow.space_samples.forget(after(hours=3)) == 2


def test_r11_what_a_cold_store_lacks(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        for number, important, state, days in (
            (1, True, RecordingState.STORED, 1), (3, False, RecordingState.STORED, 1), (5, True, RecordingState.RELEASED, 0),
            (7, True, RecordingState.STORED, 9),
        ):  # fmt: skip
            each = recording(
                bureau, sha256=digest(number), manifest_sha256=digest(number + 1).hex, state=state, important=important,
                stored_at=after(days=days),
            )  # fmt: skip
            uow.recordings.add(each)
            hold(uow, number, f"recording:{each.id}", "a")
            hold(uow, number + 1, f"manifest:{each.id}", "a")
        uow.blobs.put_copy(digest(1), Copy(store="cold", domain="c", key="k", version="", read_back_at=T0))
        lacking = uow.cold.lacking("cold", stored_before=after(days=2), limit=10)
        assert {one.sha256 for one in lacking} == {digest(2), digest(5), digest(6)}
        assert lacking[0].sha256 == digest(5), "oldest first"
        third = uow.recordings.kept_with(digest(3))[0]
        uow.rules.change(third.id, long_term=True)
        lacking = uow.cold.lacking("cold", stored_before=after(days=2), limit=10)
        assert {one.sha256 for one in lacking} == {digest(number) for number in (2, 3, 4, 5, 6)}, (
            "what a person marked, too"
        )


def test_r10_r11_what_was_decided_about_a_recording_is_what_its_locks_follow(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        bureau = make_bureau(uow)
        rows = [
            recording(bureau, acquired_at=T0, deadline_at=after(days=1), important=number == 4) for number in range(5)
        ]
        for number, each in enumerate(rows):
            uow.recordings.add(each)
            hold(uow, number, f"recording:{each.id}", "a")
        dated, permanent, undecided, stale, judged = rows
        uow.rules.put_date(DateRow(recording=dated.id, state="keep", due_at=after(days=700), computed_at=T0))
        uow.rules.put_date(DateRow(recording=permanent.id, state="permanent", computed_at=T0))
        uow.rules.mark_stale([undecided.id])
        uow.rules.put_date(DateRow(recording=stale.id, state="keep", due_at=after(days=300), stale=True))
        uow.rules.put_date(DateRow(recording=judged.id, state="keep", due_at=after(days=200)))
    with catalogue.read() as uow:
        facts = uow.copy_locks.facts_of([digest(number) for number in range(5)])
    assert [facts[digest(number)] for number in range(5)] == [
        [LockFacts(accession=T0, due_at=after(days=700))],
        [LockFacts(accession=T0, long_term=True)],
        [LockFacts(accession=T0)],
        [LockFacts(accession=T0, due_at=after(days=300))],
        [LockFacts(accession=T0, due_at=after(days=200))],
    ]
