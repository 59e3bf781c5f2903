"""Keys beside stores: durable before anything is encrypted with them, the same everywhere, gone when they are destroyed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import shutil
from datetime import timedelta

import pytest

from evidence.digest import Digest, sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobNotFoundError,
    CatalogueUnavailableError,
    ConfigError,
    IntegrityError,
    InvalidInputError,
    KeyUnavailableError,
    StoreUnavailableError,
)
from storage import epoch_keys, key_places, key_records
from storage.encrypted import EncryptedStore
from storage.key_places import LocalKeyPlace
from storage.keyring import KeyRing
from storage.master_keys import MemoryMaster
from support.keys import MemoryIndex, key_ring
from support.stores import SUITE, ManualClock, local_store


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def stores(tmp_path, clock):
    return [local_store(tmp_path / name, name, clock=clock) for name in ("primary", "second")]


def settled(ring: KeyRing, name: bytes = b"object", at=("primary", "second")):
    return ring.settle(
        ring.draft(),
        sha256=sha256_of(name),
        cipher_sha256=sha256_of(name + b"!"),
        cipher_size_bytes=64 + 16 + len(name),
        at=at,
    )


def record_file(store, sha256: Digest):
    return store.root / "keyring" / key_records.record_path(sha256)


def away(store):
    """Take a store's disk away, and give a function that brings it back."""
    aside = store.root.with_name(f"{store.root.name}-away")
    store.root.rename(aside)
    return lambda: aside.rename(store.root)


# --- months -----------------------------------------------------------------------------------------------------------
def test_a_month_has_one_key_in_every_place_and_its_making_is_told_once(stores, clock):
    made = []
    ring = key_ring(stores, clock=clock, made=made)
    settled(ring)
    settled(ring, b"another")
    assert [(key.epoch, key.places) for key in made] == [("2026-03", ("primary", "second"))]
    assert ring.epochs() == made
    again = key_ring(stores, clock=clock, made=made)
    assert again.current_epoch() == "2026-03"
    assert len(made) == 1
    assert again.open_epoch("2026-03") == ring.open_epoch("2026-03")
    clock.advance(timedelta(days=31))
    assert again.current_epoch() == "2026-04"
    assert [key.epoch for key in made] == ["2026-03", "2026-04"]


def test_a_month_begun_while_a_place_is_away_never_meets_another_of_its_name(stores, clock):
    back = away(stores[1])
    ring = key_ring(stores, clock=clock)
    epoch = ring.current_epoch()
    assert epoch.startswith("2026-03-")
    back()
    away(stores[0])
    other = key_ring(stores, clock=clock)
    assert other.current_epoch() != epoch


def test_a_foreign_master_is_told_and_makes_no_keys(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    foreign = key_ring(stores, clock=clock, master=MemoryMaster(bytes(32), kind="file"), index=ring.index)
    with pytest.raises(KeyUnavailableError, match="wrapped by master"):
        foreign.draft()
    with pytest.raises(KeyUnavailableError):
        foreign.key_of(record)
    with pytest.raises(KeyUnavailableError):
        foreign.rebuild_index()
    with pytest.raises(KeyUnavailableError):
        key_ring(stores, clock=clock, master=foreign.master).find(record.sha256, everywhere=True)
    assert len(ring.epochs()) == 1


def test_a_damaged_month_in_one_place_is_read_from_another(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    path = stores[0].root / "keyring" / key_records.epoch_path("2026-03", ring.master.id)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"2026-03", b"2026-04"))
    assert key_ring(stores, clock=clock, index=ring.index).key_of(record) == ring.key_of(record)


def test_months_are_wrapped_by_a_new_master_and_the_old_one_retires(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    new = MemoryMaster(bytes(32), kind="file")
    with pytest.raises(KeyUnavailableError):
        ring.retire(ring.master.id)
    assert [(key.epoch, key.master) for key in ring.rewrap(new)] == [("2026-03", new.id)]
    assert ring.rewrap(new)  # again is fine
    later = key_ring(stores, clock=clock, master=new, index=ring.index)
    assert later.key_of(record) == ring.key_of(record)
    assert later.retire(ring.master.id) == 1
    assert {key.master for key in later.epochs()} == {new.id}
    with pytest.raises(KeyUnavailableError):
        key_ring(stores, clock=clock).draft()


def test_months_of_a_backup_are_taken_in_and_another_key_of_the_name_is_refused(stores, clock, tmp_path):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    key = ring.open_epoch("2026-03")
    for store in stores:
        shutil.rmtree(store.root / "keyring" / "epochs")
    lost = key_ring(stores, clock=clock, index=ring.index)
    with pytest.raises(KeyUnavailableError):
        lost.key_of(record)
    lost.adopt_epoch("2026-03", key)
    lost.adopt_epoch("2026-03", key)
    assert lost.key_of(record) == ring.key_of(record)
    with pytest.raises(IntegrityError):
        lost.adopt_epoch("2026-03", os.urandom(32))
    with pytest.raises(IntegrityError):
        lost.adopt_epoch("../x", key)


def test_the_description_lies_beside_the_keys_and_fits(stores, clock):
    settled(key_ring(stores, clock=clock))
    for store in stores:
        assert (store.root / "keyring/spec.txt").read_text("ascii") == key_places.SPEC
    assert len(key_places.SPEC) < key_places.RECORD_BYTES_MAX


# --- records ----------------------------------------------------------------------------------------------------------
def test_a_record_is_in_the_places_asked_for_before_it_is_in_the_index(stores, clock):
    class Refusing(MemoryIndex):
        def add(self, record):
            assert record_file(stores[0], record.sha256).exists()
            raise CatalogueUnavailableError("no")

    ring = key_ring(stores, clock=clock, index=Refusing())
    with pytest.raises(CatalogueUnavailableError):
        settled(ring, at=("primary",))
    assert not record_file(stores[1], sha256_of(b"object")).exists()
    # The next one finds what stands in the place: one object, one key.
    later = key_ring(stores, clock=clock)
    found = later.find(sha256_of(b"object"), also=("primary",))
    assert found is not None
    assert settled(later) == found
    assert record_file(stores[1], found.sha256).read_bytes() == record_file(stores[0], found.sha256).read_bytes()
    assert record_file(stores[0], found.sha256).stat().st_mode & 0o777 == 0o600


def test_a_place_that_is_away_gets_no_object_without_its_key(stores, clock):
    ring = key_ring(stores, clock=clock)
    back = away(stores[1])
    with pytest.raises(StoreUnavailableError):
        settled(ring)
    settled(ring, at=("primary",))
    back()
    report = ring.sync("second")
    assert (report.copied, report.problems, report.whole) == (2, [], True)  # the month and the record
    assert record_file(stores[1], sha256_of(b"object")).exists()
    assert ring.sync("second").copied == 0


def test_contradicting_records_are_an_integrity_error_and_nothing_is_overwritten(stores, clock):
    one = key_ring(stores[:1], clock=clock)
    one.current_epoch()
    two = key_ring(stores[1:], clock=clock)
    settled(one, at=("primary",))
    clock.advance(timedelta(seconds=1))
    shutil.copytree(stores[0].root / "keyring/epochs", stores[1].root / "keyring/epochs")
    theirs = settled(two, at=("second",))
    texts = [record_file(store, theirs.sha256).read_bytes() for store in stores]
    assert texts[0] != texts[1]
    both = key_ring(stores, clock=clock)
    with pytest.raises(IntegrityError):
        both.find(theirs.sha256, everywhere=True)
    by_index = key_ring(stores, clock=clock, index=one.index)
    with pytest.raises(IntegrityError):
        by_index.ensure(one.find(theirs.sha256), at=("second",))
    report = key_ring(stores, clock=clock, index=one.index).sync("second")
    assert any("another key record" in problem for problem in report.problems)
    assert [record_file(store, theirs.sha256).read_bytes() for store in stores] == texts


@pytest.mark.parametrize(
    "member", ["sha256", "cipher_sha256", "cipher_size_bytes", "epoch", "header", "made_at", "wrapped", "mac"]
)
def test_a_record_that_was_changed_is_never_believed(stores, clock, member):
    ring = key_ring(stores, clock=clock)
    mine = settled(ring)
    clock.advance(timedelta(seconds=1))
    other = settled(ring, b"another object, longer")
    texts = {record: key_records.canonical.loads(key_records.record_text(record)) for record in (mine, other)}
    forged = texts[mine] | {member: texts[other][member]}
    if member == "epoch":
        forged[member] = "2026-04"
    if member == "made_at":
        forged[member] = "2020-01-01T00:00:00.000Z"
    path = record_file(stores[0], mine.sha256)
    path.write_bytes(key_records.canonical.dumps(forged))
    record_file(stores[1], mine.sha256).unlink()
    assert path.read_bytes() != key_records.record_text(mine)
    later = key_ring(stores, clock=clock)
    if member == "epoch":  # there is a key that does not open: that is told
        with pytest.raises(KeyUnavailableError):
            later.find(mine.sha256, everywhere=True)
    else:
        assert later.find(mine.sha256, everywhere=True) is None
    assert [record.sha256 for record in later.read_all()] == [other.sha256]


def test_the_index_is_made_again_from_the_places(stores, clock):
    ring = key_ring(stores, clock=clock)
    kept = [
        settled(ring, name, at=at)
        for name, at in ((b"a", ("primary",)), (b"b", ("second",)), (b"c", ("primary", "second")))
    ]
    gone = settled(ring, b"d")
    ring.destroy(gone.sha256)
    later = key_ring(stores, clock=clock)
    assert later.rebuild_index() == 4
    assert sorted(later.index.rows) == sorted(ring.index.rows)
    for record in kept:
        assert later.find(record.sha256) == record
    assert later.find(gone.sha256).destroyed
    assert later.find(gone.sha256).wrapped_sha256 == gone.wrapped_sha256


# --- the end of a key -------------------------------------------------------------------------------------------------
def test_a_destroyed_key_is_gone_everywhere_and_its_digest_stays(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    assert ring.destroy(record.sha256) == record.wrapped_sha256 == hashlib.sha256(record.wrapped).hexdigest()
    assert ring.destroy(record.sha256) == record.wrapped_sha256
    left = ring.find(record.sha256)
    assert (left.wrapped, left.destroyed_at, left.wrapped_sha256) == (None, clock.wall, record.wrapped_sha256)
    with pytest.raises(KeyUnavailableError):
        ring.key_of(left)
    for store in stores:
        assert not record_file(store, record.sha256).exists()
        for file in (store.root / "keyring").rglob("*.json"):
            assert key_records.b64(record.wrapped).encode() not in file.read_bytes()
    with pytest.raises(BlobNotFoundError):
        ring.destroy(sha256_of(b"never"))


def test_a_hard_linked_backup_of_a_key_is_overwritten_with_it(stores, clock, tmp_path):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    linked = tmp_path / "backup.json"
    os.link(record_file(stores[0], record.sha256), linked)
    ring.destroy(record.sha256)
    assert set(linked.read_bytes()) == {0}


def test_a_place_that_was_away_when_a_key_was_destroyed_loses_it_when_it_is_back(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    back = away(stores[1])
    with pytest.raises(StoreUnavailableError, match="destroyed, but not yet"):
        ring.destroy(record.sha256)
    assert ring.find(record.sha256).destroyed
    back()
    assert record_file(stores[1], record.sha256).exists()
    # A home that lost its index and sees the old record first does not believe it.
    fresh = key_ring(list(reversed(stores)), clock=clock)
    assert fresh.find(record.sha256, everywhere=True) is None
    report = ring.sync("second")
    assert (report.removed, report.problems) == (1, [])
    assert not record_file(stores[1], record.sha256).exists()
    assert ring.destroy(record.sha256) == record.wrapped_sha256


def test_a_record_brought_back_from_a_backup_is_not_taken_in_again(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    text = record_file(stores[0], record.sha256).read_bytes()
    ring.destroy(record.sha256)
    record_file(stores[0], record.sha256).write_bytes(text)
    assert key_ring(stores, clock=clock).find(record.sha256, everywhere=True) is None
    assert ring.find(record.sha256).destroyed
    report = ring.sync("primary")
    assert (report.removed, report.found) == (1, 0)
    assert not record_file(stores[0], record.sha256).exists()


def test_a_forged_tombstone_destroys_nothing(stores, clock):
    """Whoever can only write to a place cannot have a key destroyed everywhere."""
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    forged = key_records.gone_text(record.without_key(clock.wall), os.urandom(32))
    place = LocalKeyPlace(stores[1])
    place.write_new(key_records.gone_path(record.sha256, record.wrapped_sha256), forged)
    for name in ("primary", "second"):
        report = ring.sync(name)
        assert report.removed == 0
        assert any("does not prove" in problem for problem in report.problems)
    fresh = key_ring(stores, clock=clock)
    assert fresh.rebuild_index() == 1
    assert fresh.find(record.sha256) == record
    assert ring.key_of(record)


def test_an_object_that_comes_again_after_its_disposal_gets_a_new_key(stores, clock):
    ring = key_ring(stores, clock=clock)
    store = EncryptedStore(stores[0], ring, suite=SUITE, beside=("primary", "second"))
    data = b"the same footage, docked again"
    digest = sha256_of(data)
    store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    first = ring.find(digest)
    back = away(stores[1])
    with pytest.raises(StoreUnavailableError):
        ring.destroy(digest)
    back()
    store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
    second = ring.find(digest)
    assert (first.destroyed, second.destroyed) == (False, False)
    assert first.wrapped_sha256 != second.wrapped_sha256
    with store.open(digest) as stream:
        assert stream.read() == data
    assert ring.sync("second").problems == []
    assert key_records.parse_record(record_file(stores[1], digest).read_bytes()) == second
    ring.destroy(digest)
    assert not store.exists(digest)


# --- places -----------------------------------------------------------------------------------------------------------
def test_a_place_writes_once_lists_in_order_and_refuses_foreign_paths(stores):
    place = LocalKeyPlace(stores[0])
    assert place.read("objects/ab/x.json") is None
    assert list(place.paths("objects")) == []
    for name in ("b", "a"):
        place.write_new(f"objects/ab/{name}.json", name.encode())
    place.write_new("objects/aa/z.json", b"z")
    place.write_new("objects/ab/a.json", b"a")
    with pytest.raises(BlobConflictError):
        place.write_new("objects/ab/a.json", b"other")
    assert list(place.paths("objects")) == ["objects/aa/z.json", "objects/ab/a.json", "objects/ab/b.json"]
    place.remove("objects/ab/a.json")
    place.remove("objects/ab/a.json")
    assert place.read("objects/ab/a.json") is None
    for path in ("../x", "/etc/passwd", "a//b", "A", "objects/../x", "objects/ab/", ".hidden"):
        with pytest.raises(InvalidInputError):
            place.write_new(path, b"")
    assert list((stores[0].root / "staging").iterdir()) == []


def test_a_link_planted_among_the_keys_leads_nowhere(stores, tmp_path):
    place = LocalKeyPlace(stores[0])
    place.write_new("objects/ab/a.json", b"a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.json").write_bytes(b"theirs")
    shutil.rmtree(stores[0].root / "keyring/objects/ab")
    (stores[0].root / "keyring/objects/ab").symlink_to(outside)
    with pytest.raises(IntegrityError):
        place.read("objects/ab/a.json")
    with pytest.raises(IntegrityError):
        place.write_new("objects/ab/b.json", b"b")
    assert [path.name for path in outside.iterdir()] == ["a.json"]


def test_a_ring_needs_places_and_a_store_needs_its_own(stores, clock):
    with pytest.raises(ConfigError):
        key_ring([], clock=clock)
    with pytest.raises(ConfigError):
        key_ring([stores[0], stores[0]], clock=clock)
    with pytest.raises(ConfigError):
        EncryptedStore(stores[1], key_ring(stores[:1], clock=clock), suite=SUITE)


# --- what a hostile reader found --------------------------------------------------------------------------------------
def month_file(store, ring):
    return store.root / "keyring" / key_records.epoch_path(ring.current_epoch(), ring.master.id)


def test_a_disk_that_was_exchanged_for_an_empty_one_gets_the_month_with_the_next_record(stores, clock, monkeypatch):
    monkeypatch.setattr(epoch_keys, "_BELIEVED_S", 0.0)
    ring = key_ring(stores, clock=clock)
    settled(ring)
    shutil.rmtree(stores[1].root / "keyring")
    record = settled(ring, b"another")
    away(stores[0])
    assert key_ring(stores, clock=clock).find(record.sha256, everywhere=True) == record


@pytest.mark.parametrize("rot", [b"", b"\0" * 200, b"changed"])
def test_a_rotten_month_is_written_anew_before_a_record_rests_on_it(stores, clock, rot):
    ring = key_ring(stores, clock=clock)
    settled(ring)
    file = month_file(stores[1], ring)
    good = file.read_bytes()
    file.write_bytes(good.replace(b'"wrapped":"', b'"wrapped":"AAAA', 1)[:-4] if rot == b"changed" else rot)
    again = key_ring(stores, clock=clock, index=ring.index)
    settled(again, b"another")
    assert file.read_bytes() == good


def test_a_rotten_month_is_mended_when_a_place_is_brought_up_to_date(stores, clock):
    ring = key_ring(stores, clock=clock)
    settled(ring)
    file = month_file(stores[1], ring)
    good = file.read_bytes()
    file.write_bytes(b"rotten")
    report = key_ring(stores, clock=clock, index=ring.index).sync("second")
    assert report.problems == []
    assert file.read_bytes() == good


def test_no_record_rests_on_another_key_of_the_month(stores, clock):
    """Two processes that begin a month while one disk is full may leave two keys of one name."""
    ring = key_ring(stores[:1], clock=clock)
    other = key_ring(stores[1:], clock=clock)
    settled(ring, at=("primary",))
    settled(other, b"another", at=("second",))
    theirs = month_file(stores[1], other).read_bytes()
    both = key_ring(stores, clock=clock, index=ring.index)
    with pytest.raises(IntegrityError, match="another key of 2026-03"):
        settled(both, b"third")
    assert month_file(stores[1], other).read_bytes() == theirs
    assert not record_file(stores[1], sha256_of(b"third")).exists()
    assert any("another key of 2026-03" in problem for problem in both.sync("second").problems)


def test_a_key_that_another_process_destroyed_does_not_come_back(stores, clock):
    ring = key_ring(stores, clock=clock)
    other = key_ring(stores, clock=clock, index=ring.index)
    record = settled(ring)
    assert other.find(record.sha256) == record
    ring.destroy(record.sha256)
    for at in ("primary", "second"):
        with pytest.raises(KeyUnavailableError):
            other.ensure(record, at=[at])
    assert not any(record_file(store, record.sha256).exists() for store in stores)
    assert other.find(record.sha256).destroyed


def test_of_two_processes_that_make_a_key_for_one_object_the_later_gives_way(stores, clock):
    """One stores it first in one place, the other in another; neither had seen the other's record."""
    ring = key_ring(stores, clock=clock)
    other = key_ring(stores, clock=clock, index=ring.index)

    class LooksTooEarly:
        def __init__(self, index):
            self.index, self.early = index, True

        def find(self, sha256):
            early, self.early = self.early, False
            if early:
                self.first = settled(ring, at=["primary"])
                return None
            return self.index.find(sha256)

        def add(self, record):
            self.index.add(record)

    other._index = late = LooksTooEarly(ring.index)
    assert settled(other, at=["second"]) == late.first
    for store in stores:
        assert key_records.parse_record(record_file(store, late.first.sha256).read_bytes()) == late.first


# --- a damaged record beside one store --------------------------------------------------------------------------------
def changed_mac(good: bytes) -> bytes:
    start = good.index(b'"mac":"') + len(b'"mac":"')
    return good[:start] + (b"B" if good[start : start + 1] != b"B" else b"C") + good[start + 1 :]


@pytest.mark.parametrize("rot", [b"", b"\0" * 200, b"one member"])
def test_a_damaged_record_is_written_anew_and_the_damaged_bytes_are_kept_aside(stores, clock, rot):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    file = record_file(stores[1], record.sha256)
    good = file.read_bytes()
    bad = changed_mac(good) if rot == b"one member" else rot
    file.write_bytes(bad)
    report = key_ring(stores, clock=clock, index=ring.index).sync("second")
    assert (report.mended, report.damaged, report.problems) == ([record.sha256], [], [])
    assert file.read_bytes() == good
    assert [path.read_bytes() for path in (stores[1].root / "keyring/aside").rglob("*.json")] == [bad]
    again = ring.sync("second")
    assert (again.mended, again.problems) == ([], [])


def test_a_damaged_record_that_lies_aside_goes_with_its_key_also_where_the_place_was_away(stores, clock):
    ring = key_ring(stores, clock=clock)
    near, far = settled(ring), settled(ring, b"another")
    for record in (near, far):
        file = record_file(stores[1], record.sha256)
        file.write_bytes(changed_mac(file.read_bytes()))
    assert len(ring.sync("second").mended) == 2
    ring.destroy(near.sha256)
    back = away(stores[1])
    with pytest.raises(StoreUnavailableError):
        ring.destroy(far.sha256)
    back()
    assert {path.parent.name for path in (stores[1].root / "keyring/aside").rglob("*.json")} == {far.sha256.hex}
    ring.sync("second")
    assert list((stores[1].root / "keyring/aside").rglob("*.json")) == []


def test_a_record_of_another_key_is_told_and_never_overwritten(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring, at=("primary",))
    other = key_ring(stores[1:], clock=clock)
    settled(other, at=("second",))
    file = record_file(stores[1], record.sha256)
    standing = file.read_bytes()
    report = ring.sync("second")
    assert (report.mended, report.damaged) == ([], [record.sha256])
    assert len(report.problems) == 1
    assert file.read_bytes() == standing


def test_an_index_that_was_changed_overwrites_no_good_record(stores, clock):
    ring = key_ring(stores, clock=clock)
    record = settled(ring)
    file = record_file(stores[1], record.sha256)
    good = file.read_bytes()
    ring.index.rows[record.sha256] = dataclasses.replace(record, mac=bytes(32))
    report = key_ring(stores, clock=clock, index=ring.index).sync("second")
    assert (report.mended, report.damaged) == ([], [record.sha256])
    assert file.read_bytes() == good
