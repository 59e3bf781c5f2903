"""Order of the scrub, counts of rounds, inventories and the brake, on both databases; questions are answered by an index."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from catalogue import Catalogue
from catalogue.brakes import BrakeRow
from catalogue.fixity import Looked
from catalogue.inventories import InventoryRow
from catalogue.schema import blob_copies, blob_holders, blobs
from evidence.digest import BLAKE3, SHA256, Digest
from evidence.errors import NotFoundError, StateConflictError
from evidence.model import Copy
from support.catalogue_rows import after, make_bureau, recording


def digest(number: int) -> Digest:
    return Digest(SHA256, hashlib.sha256(b"%d" % number).hexdigest())


def fill(catalogue: Catalogue, count: int, *, never: int = 10) -> None:
    """Blobs with a copy in each of two stores, looked at a minute apart; every tenth never."""
    known = [
        {"sha256": digest(n), "size_bytes": 1000 + n, "blake3": Digest(BLAKE3, f"{n:064x}")} for n in range(count)
    ]  # fmt: skip
    held = [{"sha256": digest(n), "holder": f"manifest:rec_{n}"} for n in range(count)]
    copies = [
        {
            "sha256": digest(n), "store": store, "domain": "disk:a", "key": "k", "outcome": "",
            "checked_at": None if n % never == 0 else after(minutes=n),
            "read_back_at": None if n % never == 0 else after(minutes=n),
        }
        for n in range(count)
        for store in ("one", "two")
    ]  # fmt: skip
    with catalogue.engine.begin() as connection:
        for table, rows in ((blobs, known), (blob_holders, held), (blob_copies, copies)):
            connection.execute(table.insert(), rows)


def look(catalogue: Catalogue, number: int, store: str, *, outcome: str = "", round_number: int = 1) -> bool:
    found = Looked(sha256=digest(number), store=store, size_bytes=1000 + number, outcome=outcome)
    with catalogue.begin() as uow:
        return uow.fixity.looked(found, at=after(days=2), number=round_number, started_at=after(days=1))


def test_copies_never_looked_at_come_first_then_the_oldest_and_others_not_at_all(catalogue: Catalogue) -> None:
    fill(catalogue, 30)
    with catalogue.read() as uow:
        due = uow.fixity.due("one", before=after(minutes=15), limit=100)
        few = uow.fixity.due("one", before=None, limit=5)
        age = uow.fixity.age("one")
    never = {digest(number) for number in (0, 10, 20)}
    assert {copy.sha256 for copy in due[:3]} == never
    assert [copy.sha256 for copy in due[3:]] == [digest(number) for number in range(1, 15) if number % 10]
    assert [copy.sha256 for copy in few[3:]] == [digest(1), digest(2)]
    assert (age.oldest_at, age.unlooked) == (after(minutes=1), True)
    assert (due[3].size_bytes, due[3].blake3) == (1001, Digest(BLAKE3, f"{1:064x}"))


def test_a_look_counts_once_in_its_round(catalogue: Catalogue) -> None:
    fill(catalogue, 10)
    with catalogue.begin() as uow:
        row = uow.fixity.begin(after(days=1), uow.fixity.count_all())
    assert (row.number, row.copies, row.size_bytes) == (1, 20, 2 * sum(1000 + n for n in range(10)))
    assert look(catalogue, 3, "one")
    assert look(catalogue, 3, "one")
    assert look(catalogue, 4, "two", outcome="copy-bad")
    assert not look(catalogue, 99, "one")
    with catalogue.read() as uow:
        now = uow.fixity.current()
        assert now is not None
        assert (now.good, now.bad, now.done_bytes) == (1, 1, 1003 + 1004)
        assert [(part.store, part.good, part.bad) for part in uow.fixity.parts(1)] == [("one", 1, 0), ("two", 0, 1)]
        assert [(one.store, one.sha256) for one in uow.fixity.bad_copies(limit=9)] == [("two", digest(4))]
        copies = {copy.store: copy for copy in uow.blobs.get(digest(4)).copies}
        assert copies["two"].read_back_at == after(minutes=4)  # when it last was good
    with catalogue.begin() as uow:
        assert uow.fixity.end(1, after(days=3)).ended_at == after(days=3)
    with catalogue.begin() as uow, pytest.raises(NotFoundError):
        uow.fixity.end(1, after(days=3))
    with catalogue.begin() as uow:
        assert uow.fixity.begin(after(days=4), uow.fixity.count_all()).number == 2


def test_whose_bytes_a_copy_is_is_told_with_it(catalogue: Catalogue) -> None:
    own, manifest = digest(1), digest(2)
    with catalogue.begin() as uow:
        row = recording(make_bureau(uow), sha256=own)
        uow.recordings.add(row)
        uow.blobs.add_holder(own, 5, None, f"recording:{row.id}")
        uow.blobs.add_holder(own, 5, None, "export:x")
        uow.blobs.add_holder(manifest, 6, None, f"manifest:{row.id}")
        uow.blobs.add_holder(digest(3), 7, None, "export:y")
        for sha256 in (own, manifest, digest(3)):
            uow.blobs.put_copy(sha256, Copy("one", "disk:a", "k", "", None))
    with catalogue.read() as uow:
        told = {copy.sha256: copy for copy in uow.fixity.due("one", before=None, limit=9)}
        mine = uow.fixity.of_recording(row.id)
    assert (told[own].part, told[own].recording, told[own].recording_sha256) == ("recording", row.id, own.hex)
    assert (told[manifest].part, told[manifest].recording_sha256) == ("manifest", own.hex)
    assert (told[digest(3)].part, told[digest(3)].recording) == ("object", "")
    assert {copy.sha256 for copy in mine} == {own, manifest}


def test_a_slice_asks_nothing_that_walks_through_all_copies(catalogue: Catalogue) -> None:
    fill(catalogue, 2000, never=500)
    seen: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        seen.append((statement, parameters))

    with catalogue.begin() as uow:
        uow.fixity.begin(after(days=1), uow.fixity.count_all())
    with catalogue.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    engines = {catalogue.engine, catalogue._engines.read}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    with catalogue.read() as uow:
        due = uow.fixity.due("one", before=after(minutes=500), limit=64)
        assert [age.store for age in uow.fixity.ages()] == ["one", "two"]
        uow.fixity.bad_copies(limit=10)
        uow.fixity.still_there(digest(5), "one")
        uow.inventories.expected_page("one", after=digest(7), limit=64)
    look(catalogue, 5, "one")
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert len(due) == 64
    asked = [(text, values) for text, values in seen if "blob_copies" in text]
    assert len(asked) >= 10
    explain = "EXPLAIN QUERY PLAN " if catalogue.engine_name == "sqlite" else "EXPLAIN "
    for text, values in asked:
        with catalogue.engine.begin() as connection:
            plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + text, values))
        scans = "SCAN blob_copies" if catalogue.engine_name == "sqlite" else "Seq Scan on blob_copies"
        first = text.startswith("SELECT blob_copies.store") and " > " not in text  # the first step in the index
        few = "ix_blob_copies_bad" in plan  # an index of the bad ones alone
        assert scans not in plan or few or (first and "USING COVERING INDEX" in plan), f"{text}\n{plan}"


def test_the_newest_count_of_a_store_and_the_fullest_of_all(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        assert uow.inventories.newest("one") is None
        for day, store, objects, size in ((1, "one", 900, 10), (2, "one", 5, 10), (1, "two", 7, 99)):
            uow.inventories.add(
                InventoryRow(store=store, at=after(days=day), objects=objects, size_bytes=size, digest="00")
            )
    with catalogue.read() as uow:
        newest = uow.inventories.newest("one")
        fullest = uow.inventories.fullest()
        history = [row.objects for row in uow.inventories.history("one", limit=5)]
    assert newest is not None
    assert (newest.objects, fullest.objects, fullest.size_bytes, history) == (5, 7, 99, [5, 900])
    with pytest.raises(StateConflictError), catalogue.begin() as uow:
        uow.inventories.add(InventoryRow(store="one", at=after(days=2), objects=1, size_bytes=1, digest="00"))


def test_the_brake_has_one_row_and_counts_by_the_hour(catalogue: Catalogue) -> None:
    with catalogue.begin() as uow:
        assert uow.brakes.look() == BrakeRow()
        assert uow.brakes.take() == BrakeRow()
        uow.brakes.put(BrakeRow(pulled=True, cause="person", agent="agt_1", detail="why", since=after(hours=1)))
        for minutes in (1, 30, 59, 61, 200):
            uow.brakes.count(after(minutes=minutes), objects=2, size_bytes=10)
    with catalogue.begin() as uow:
        assert uow.brakes.look().pulled
        assert uow.brakes.removed_since(after(minutes=0)).objects == 10
        assert uow.brakes.removed_since(after(minutes=70)).objects == 4  # the hour of the moment counts whole
        uow.brakes.begin_anew()
        assert (uow.brakes.removed_since(after(minutes=0)).objects, uow.brakes.all_since(after(minutes=0))) == (0, 10)
        uow.brakes.drop_counts(after(hours=2))
        assert uow.brakes.all_since(after(minutes=0) - timedelta(days=1)) == 2


@pytest.mark.parametrize("kept", [0, 3, 5, 9, 10])
def test_copies_and_bytes_are_counted_the_same_whatever_a_store_lacks(catalogue: Catalogue, kept: int) -> None:
    fill(catalogue, 10)
    with catalogue.engine.begin() as connection:
        for number in range(kept, 10):
            here = blob_copies.c
            connection.execute(blob_copies.delete().where(here.store == "two", here.sha256 == digest(number)))
    with catalogue.read() as uow:
        counted = {part.store: (part.copies, part.size_bytes) for part in uow.fixity.count_all()}
        figures, lacking = uow.store_states.figures("two"), uow.store_states.lacking("two", limit=99)
        size = uow.copy_locks.size_of("two")
    there, rest = sum(1000 + n for n in range(kept)), sum(1000 + n for n in range(kept, 10))
    assert counted == {"one": (10, there + rest)} | ({"two": (kept, there)} if kept else {})
    assert (figures.objects, figures.size_bytes, size) == (kept, there, there)
    assert (figures.behind_objects, figures.behind_bytes) == (10 - kept, rest)
    assert {one.sha256 for one in lacking} == {digest(number) for number in range(kept, 10)}
