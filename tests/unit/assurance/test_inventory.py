"""The daily inventory on real stores: what lacks is found within a day, what is new or was removed on purpose is no alarm."""

from __future__ import annotations

import hashlib
import tempfile
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.brake import Brake, BrakeLimits
from assurance.copies import KeepingParts
from assurance.healing import Healing
from assurance.inventory import DropPolicy, Inventory, _Sorted
from catalogue.inventories import InventoryRow
from catalogue.records import RecordingRow
from evidence.digest import SHA256, Digest
from evidence.errors import StoreUnavailableError
from storage.layout import blob_key
from support.assured_home import AssuredHome
from support.recorders import gb_name


def brake_of(home: AssuredHome) -> Brake:
    return Brake(home.catalogue, recorder=home.recorder, clock=home.clock, limits=BrakeLimits(objects=1000))


def inventory(home: AssuredHome, **policy: float) -> Inventory:
    parts = KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=list(home.stores)
    )  # fmt: skip
    return Inventory(parts, brake=brake_of(home), policy=DropPolicy(**policy))  # type: ignore[arg-type]


def taken(home: AssuredHome, count: int = 3, card: str = "card", first: int = 1) -> list[RecordingRow]:
    return home.ingest({f"DCIM/{gb_name(counter=n)}": b"%d" % n * 500 for n in range(first, first + count)}, card=card)


def file_of(home: AssuredHome, store: str, digest: str) -> Path:
    return home.root / "stores" / store / blob_key(Digest(SHA256, digest))


def later(home: AssuredHome, **span: float) -> None:
    home.clock.unix_ms += int(timedelta(**span) / timedelta(milliseconds=1))


def open_findings(home: AssuredHome) -> set[tuple[str, str]]:
    with home.catalogue.read() as uow:
        return {(one.kind, one.store) for one in uow.findings.open()}


def test_every_store_is_counted_once_a_day_and_entered(home: AssuredHome) -> None:
    rows = taken(home)
    one = inventory(home)
    assert [(row.store, row.objects, row.missing, row.unknown, row.outcome) for row in one.tick()] == [
        ("primary", 6, 0, 0, "good"), ("second", 6, 0, 0, "good"),
    ]  # fmt: skip
    later(home, hours=23)
    assert one.tick() == []
    later(home, hours=2)
    assert len(one.tick()) == 2
    entries = home.entries("inventory.taken")
    digests = sorted(digest.hex for digest in home.stores.primary.list())
    assert entries[0]["digest"] == hashlib.sha256("".join(f"{one}\n" for one in digests).encode()).hexdigest()
    manifests = sum(file_of(home, "primary", row.manifest_sha256).stat().st_size for row in rows)
    assert int(entries[0]["size_bytes"]) == sum(row.size_bytes for row in rows) + manifests
    assert home.verify().verdict == "good"


def test_a_copy_that_is_gone_is_told_per_recording_and_led_to_the_repair(home: AssuredHome) -> None:
    rows = taken(home)
    file_of(home, "second", rows[1].sha256.hex).unlink()
    one = inventory(home)
    (_, row) = one.tick()
    assert (row.store, row.missing, row.outcome) == ("second", 1, "missing")
    with home.catalogue.read() as uow:
        (finding,) = uow.findings.open()
        assert (finding.kind, finding.store, finding.recording) == ("copy-missing", "second", rows[1].id)
        (bad,) = uow.fixity.bad_copies(limit=10)
    assert (bad.sha256, bad.store) == (rows[1].sha256, "second")
    from assurance.repair import repair_blob

    assert repair_blob(one._parts, bad.sha256).repaired == ["second"]
    home.seal()
    assert home.verify().verdict == "good"
    later(home, hours=25)
    assert [row.outcome for row in one.tick()] == ["good", "good"]


def test_what_nobody_refers_to_is_a_note(home: AssuredHome) -> None:
    taken(home, 1)
    import io

    stray = b"left by a crash"
    home.stores.primary.put(
        io.BytesIO(stray), sha256=Digest(SHA256, hashlib.sha256(stray).hexdigest()), size_bytes=len(stray)
    )
    assert [(row.unknown, row.outcome) for row in inventory(home).tick()] == [(1, "good"), (0, "good")]
    assert open_findings(home) == set()


def test_a_store_that_lost_more_than_the_bound_pulls_the_brake(home: AssuredHome) -> None:
    rows = taken(home, 4)
    one = inventory(home, objects=2)
    one.tick()
    for row in rows[:3]:
        file_of(home, "second", row.sha256.hex).unlink()
    later(home, hours=25)
    assert [row.outcome for row in one.tick()] == ["good", "drop"]
    assert {("inventory-drop", "second"), ("brake-pulled", ""), ("copy-missing", "second")} == open_findings(home)
    state = brake_of(home).state()
    assert (state.row.pulled, state.row.cause) == (True, "inventory-drop")
    assert [entry["reason"] for entry in home.entries("brake.changed")] == ["inventory-drop"]


def test_rows_that_went_with_their_objects_are_a_drop_too(home: AssuredHome) -> None:
    rows = taken(home, 4)
    one = inventory(home, objects=2)
    one.tick()
    for row in rows[:3]:
        file_of(home, "second", row.sha256.hex).unlink()
        with home.catalogue.begin() as uow:
            uow.references.drop_copy(row.sha256, "second")
    later(home, hours=25)
    assert [(row.missing, row.outcome) for row in one.tick()] == [(0, "good"), (0, "drop")]


def test_what_was_removed_on_purpose_is_no_drop(home: AssuredHome) -> None:
    rows = taken(home, 4)
    one = inventory(home, objects=2)
    one.tick()
    brake = brake_of(home)
    for row in rows[:3]:
        file_of(home, "second", row.sha256.hex).unlink()
        with home.catalogue.begin() as uow:
            brake.allow(uow, objects=1, size_bytes=1, now=home.clock.now().wall)
            uow.references.drop_copy(row.sha256, "second")
    later(home, hours=25)
    assert [row.outcome for row in one.tick()] == ["good", "good"]
    assert open_findings(home) == set()


def test_what_comes_in_or_goes_lawfully_while_the_list_is_read_is_no_finding(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = taken(home, 2)
    second = home.stores.named("second")
    listed = list(second.list())

    def slow_list() -> Iterator[Digest]:
        yield from listed
        taken(home, 2, card="other", first=50)  # stored after the list was read
        with home.catalogue.begin() as uow:  # removed lawfully: the row goes first
            uow.references.drop_copy(rows[0].sha256, "second")
        file_of(home, "second", rows[0].sha256.hex).unlink()

    monkeypatch.setattr(second, "list", slow_list)
    row = inventory(home).take(second)
    assert (row.objects, row.missing, row.unknown, row.outcome) == (4, 0, 0, "good")
    assert open_findings(home) == set()


def test_a_store_that_is_away_or_breaks_off_its_list_gives_no_inventory(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(home, 2)
    second = home.stores.named("second")

    def broken() -> Iterator[Digest]:
        yield next(iter(home.stores.primary.list()))
        raise StoreUnavailableError("the disk went away")

    monkeypatch.setattr(second, "list", broken)
    one = inventory(home)
    assert [row.store for row in one.tick()] == ["primary"]
    assert open_findings(home) == set()
    monkeypatch.undo()
    assert [row.store for row in one.tick()] == ["second"]


def test_a_list_in_any_order_is_sorted_each_digest_once_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 300_000
    digests = (Digest(SHA256, hashlib.sha256(b"%d" % (n % (count - 5))).hexdigest()) for n in range(count))
    tracemalloc.start()
    with tempfile.TemporaryFile() as file:
        listed = _Sorted(file)
        listed.fill(digests)
        last, seen = "", 0
        for digest in listed:
            assert digest.hex > last
            last, seen = digest.hex, seen + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == count - 5
    assert peak < 16 << 20


def test_promise_7_of_many_missing_copies_all_are_led_to_the_repair_and_counted_again_soon(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty disk stands in the place of a store, under its name."""
    monkeypatch.setattr("assurance.inventory._TOLD_MAX", 2)
    monkeypatch.setattr("assurance.inventory._MARKED_AT_ONCE", 2)
    taken(home, 4)
    one = inventory(home)
    one.tick()
    for digest in list(home.stores.named("second").list()):
        file_of(home, "second", digest.hex).unlink()
    later(home, hours=25)
    assert [row.missing for row in one.tick()] == [0, 8]
    with home.catalogue.read() as uow:
        assert uow.store_states.bad_in("second") == 8
    later(home, hours=2)
    assert one.tick() == []  # the repair is not through yet
    assert len(Healing(one._parts).run()) == 8
    assert [(row.store, row.outcome) for row in one.tick()] == [("second", "good")]


def test_p09_a_count_that_a_wrong_clock_dated_ahead_is_no_newest_for_years(home: AssuredHome) -> None:
    taken(home)
    with home.catalogue.begin() as uow:
        far = home.clock.now().wall + timedelta(days=9_000)
        uow.inventories.add(InventoryRow(store="second", at=far, objects=6, size_bytes=1, digest="00", outcome="good"))
    one = inventory(home)
    assert [row.store for row in one.tick()] == ["primary", "second"]
    later(home, minutes=10)
    assert one.tick() == [], "it is not counted again every ten minutes until that date"
    with home.catalogue.read() as uow:
        newest = uow.inventories.newest("second")
    assert newest is not None
    assert newest.at < far


def test_p09_no_inventory_is_dated_by_a_clock_that_is_not_believed(home: AssuredHome) -> None:
    taken(home)
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(home.clock.now().wall + timedelta(days=2))
    assert inventory(home).tick() == []
    assert home.entries("inventory.taken") == []
