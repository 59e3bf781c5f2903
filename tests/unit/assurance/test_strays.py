"""Left-overs of crashed work go after a long time; whatever may be evidence stays."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest

from assurance.brake import Brake
from assurance.removal import RemovalParts, Remover
from assurance.strays import AFTER, StrayParts, Strays
from evidence.digest import Digest, sha256_of
from support.assured_home import AssuredHome
from support.recorders import gb_name


class Care:
    def __init__(self, home: AssuredHome) -> None:
        self.home = home
        brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
        remover = Remover(
            RemovalParts(
                catalogue=home.catalogue, recorder=home.recorder, stores=home.stores, clock=home.clock, brake=brake
            )
        )
        self.strays = Strays(
            StrayParts(catalogue=home.catalogue, stores=home.stores, clock=home.clock, remover=remover)
        )

    def left(self, data: bytes, *stores: str) -> Digest:
        sha256 = sha256_of(data)
        for name in stores:
            self.home.stores.named(name).put(io.BytesIO(data), sha256=sha256, size_bytes=len(data))
        return sha256

    def months(self, count: int) -> int:
        gone = 0
        for _ in range(count):
            self.home.clock.unix_ms += int(timedelta(days=30).total_seconds() * 1000)
            gone += self.strays.run()
        return gone

    def stands(self, sha256: Digest) -> list[str]:
        return [store.properties.name for store in self.home.stores if store.exists(sha256)]


MONTHS = AFTER.days // 30 + 2


@pytest.fixture
def care(home: AssuredHome) -> Care:
    home.ingest({f"DCIM/{gb_name(counter=1)}": b"no footage at all" * 9}, card="card")
    return Care(home)


def test_what_nobody_names_goes_after_a_long_time_and_not_before(care: Care) -> None:
    sha256 = care.left(b"half a poster", "primary", "second")
    assert care.strays.run() == 0
    assert care.months(2) == 0
    assert care.stands(sha256) == ["primary", "second"]
    assert care.months(MONTHS - 2) == 1
    assert care.stands(sha256) == []
    (entry,) = care.home.entries("bytes.released")
    assert (entry["holder"], entry["recording"], entry["removed"]) == ("orphan", "", True)
    assert care.home.verify().exit_code == 0
    assert [row.kind for row in care.home.verify().findings if row.kind == "orphan-blob"] == []


def test_what_is_kept_is_never_a_left_over(care: Care) -> None:
    assert care.months(MONTHS + 1) == 0
    report = care.home.verify()
    assert report.exit_code == 0
    assert report.copies == 4


def test_bytes_that_an_entry_names_stay_although_no_row_does(care: Care) -> None:
    """The catalogue lost a row: these are the very bytes that verify will ask for."""
    with care.home.catalogue.begin() as uow:
        (recording,) = uow.recordings.all_ids()
        sha256 = uow.recordings.get(recording).sha256
        uow.references.drop_blob(sha256)
        uow.recordings.update(recording, sha256=None)
    assert care.months(MONTHS + 1) == 0
    assert care.stands(sha256) == ["primary", "second"]


def test_nothing_goes_while_a_manifest_tells_of_entries_that_are_gone(care: Care, tmp_path: Path) -> None:
    from support.assured_home import make_home

    other = make_home(tmp_path / "other")
    other.ingest({f"DCIM/{gb_name(counter=2)}": b"footage of a log that was set back" * 9}, card="card")
    with other.catalogue.read() as uow:
        (identity,) = uow.recordings.all_ids()
        row = uow.recordings.get(identity)
    with other.stores.primary.open(Digest("sha256", row.manifest_sha256)) as stream:
        manifest = stream.read()
    other.close()
    care.left(manifest, "second")
    sha256 = care.left(b"bytes of that time", "primary")
    assert care.months(MONTHS + 1) == 0
    assert care.stands(sha256) == ["primary"]


def test_what_has_a_row_again_is_forgotten(care: Care) -> None:
    sha256 = care.left(b"a poster", "primary")
    care.months(3)
    with care.home.catalogue.begin() as uow:
        assert sha256 in uow.references.strays("primary")
        uow.blobs.add_holder(sha256, 8, None, "derivative:later")
    care.months(1)
    with care.home.catalogue.read() as uow:
        assert uow.references.strays("primary") == {}


def test_promise_9_what_was_first_seen_by_a_clock_that_stood_in_the_past_is_not_old(care: Care) -> None:
    sha256 = care.left(b"half a poster", "primary", "second")
    with care.home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(care.home.clock.now().wall)
    care.home.clock.unix_ms -= 400 * 86_400_000  # the machine started with an empty clock
    assert care.strays.run() == 0
    care.home.clock.unix_ms += 400 * 86_400_000
    assert care.months(1) == 0
    assert care.stands(sha256) == ["primary", "second"]
