"""Lock records: what was ordered about a blob cannot be rewritten unnoticed."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import canonical
from evidence.digest import sha256_of
from evidence.errors import BlobLockedError, IntegrityError
from support.stores import START, ManualClock, local_store, unprotect_tree

DATA = b"evidence"
DIGEST = sha256_of(DATA)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path):
    store = local_store(tmp_path / "primary")
    store.put(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA), retain_until=START + DAY)
    store.set_hold(DIGEST, reference="case-1")
    store.extend_retention(DIGEST, START + 2 * DAY)
    store.release_hold(DIGEST, reference="case-1")
    return store


def folder(store):
    return store.root / "locks" / DIGEST.hex[:2] / DIGEST.hex


def records(store):
    return sorted(folder(store).iterdir())


def rewrite(path, data: bytes) -> None:
    path.chmod(0o640)
    path.write_bytes(data)


def test_every_order_is_one_record_that_names_the_one_before(store):
    paths = records(store)
    assert [path.name for path in paths] == [f"{number:06d}.json" for number in range(4)]
    parsed = [canonical.loads(path.read_bytes()) for path in paths]
    assert [record["kind"] for record in parsed] == ["retain", "hold", "retain", "release"]
    assert [record["prev"] for record in parsed] == [
        "",
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths[:-1]),
    ]


def test_orders_that_change_nothing_add_no_record(store):
    store.extend_retention(DIGEST, START)
    store.extend_retention(DIGEST, START + 2 * DAY)
    store.release_hold(DIGEST, reference="case-1")
    assert len(records(store)) == 4


def test_a_removal_is_noted_so_that_disposal_can_be_told_from_loss(store):
    store._clock.advance(3 * DAY)
    store.delete(DIGEST, now=START + 3 * DAY)
    assert canonical.loads(records(store)[-1].read_bytes())["kind"] == "delete"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"2026-03-03", b"2026-01-01"),
        lambda data: b"",
        lambda data: b"[]",
        lambda data: b"{}",
        lambda data: b"null",
        lambda data: data + b" ",
        lambda data: data * 200,
        lambda data: data.replace(b'"retain"', b'"forget"'),
        lambda data: data.replace(b'"retain"', b"[]"),
        lambda data: json.dumps({**json.loads(data), "until": 5}, separators=(",", ":"), sort_keys=True).encode(),
        lambda data: json.dumps({**json.loads(data), "until": "soon"}, separators=(",", ":"), sort_keys=True).encode(),
        lambda data: json.dumps({**json.loads(data), "more": "x"}, separators=(",", ":"), sort_keys=True).encode(),
        lambda data: data.replace(DIGEST.hex.encode(), b"0" * 64),
    ],
)
def test_a_changed_record_is_found_and_nothing_is_removed(store, change):
    path = records(store)[0]
    rewrite(path, change(path.read_bytes()))
    store._clock.advance(9 * DAY)
    for act in (
        lambda: store.stat(DIGEST),
        lambda: store.delete(DIGEST, now=START + 9 * DAY),
        lambda: store.set_hold(DIGEST, reference="case-2"),
    ):
        with pytest.raises(IntegrityError):
            act()
    assert store.exists(DIGEST)
    store.verify(DIGEST, DIGEST)  # the bytes themselves are sound and stay readable


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_missing_record_is_found(store, number):
    records(store)[number].unlink()
    with pytest.raises(IntegrityError):
        store.stat(DIGEST)


def test_two_records_that_changed_places_are_found(store):
    one, other = records(store)[0], records(store)[2]
    data = one.read_bytes()
    rewrite(one, other.read_bytes())
    rewrite(other, data)
    with pytest.raises(IntegrityError):
        store.stat(DIGEST)


def test_a_record_of_another_blob_is_found(store, tmp_path):
    other = sha256_of(b"other")
    store.put(io.BytesIO(b"other"), sha256=other, size_bytes=5, retain_until=START)
    strange = store.root / "locks" / other.hex[:2] / other.hex / "000000.json"
    rewrite(records(store)[0], strange.read_bytes())
    with pytest.raises(IntegrityError):
        store.stat(DIGEST)


def test_a_foreign_file_among_the_records_is_found(store):
    (folder(store) / "note.txt").write_text("x")
    with pytest.raises(IntegrityError):
        store.stat(DIGEST)


def test_another_process_that_was_faster_is_continued_not_overwritten(store, monkeypatch):
    locks = store._locks
    stale = locks.state(DIGEST)
    store.set_hold(DIGEST, reference="theirs")
    locks._add(DIGEST, stale, {"kind": "hold", "reference": "ours"})
    assert locks.state(DIGEST).holds == {"theirs", "ours"}


def test_the_store_waits_for_its_own_clock_when_the_callers_runs_ahead(store):
    with pytest.raises(BlobLockedError):
        store.delete(DIGEST, now=START + 99 * DAY)


@pytest.mark.root
def test_records_are_immutable_where_the_disk_can(tmp_path):
    store = local_store(tmp_path / "primary", protect="auto")
    store.put(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA), retain_until=START + DAY)
    try:
        with pytest.raises(PermissionError):
            records(store)[0].unlink()
    finally:
        unprotect_tree(tmp_path)


ORDERS = st.lists(
    st.one_of(
        st.tuples(st.just("retain"), st.integers(0, 20)),
        st.tuples(st.just("hold"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("release"), st.sampled_from(["a", "b", "c"])),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ORDERS)
def test_r10_latest_date_wins_and_any_hold_holds_whatever_the_order(tmp_path_factory, orders):
    clock = ManualClock()
    store = local_store(tmp_path_factory.mktemp("s") / "primary", clock=clock)
    store.put(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    latest, holds = None, set()
    for kind, value in orders:
        if kind == "retain":
            store.extend_retention(DIGEST, START + value * DAY)
            latest = value if latest is None else max(latest, value)
        elif kind == "hold":
            store.set_hold(DIGEST, reference=value)
            holds.add(value)
        else:
            store.release_hold(DIGEST, reference=value)
            holds.discard(value)
    stat = store.stat(DIGEST)
    assert stat.hold == bool(holds)
    assert stat.retain_until == (None if latest is None else START + latest * DAY)
    clock.advance(10 * DAY)
    if holds or (latest is not None and latest > 10):
        with pytest.raises(BlobLockedError):
            store.delete(DIGEST, now=clock.wall)
    else:
        store.delete(DIGEST, now=clock.wall)
    assert store.exists(DIGEST) == (bool(holds) or (latest or 0) > 10)
