"""What verify says of stores: old ones count for nothing, what was left there is told once, what is none of ours is noted."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from assurance.brake import Brake
from assurance.copies import KeepingParts
from assurance.migration import Migration, MoveParts
from assurance.verify import CopyPolicy
from evidence.digest import sha256_of
from storage.stores import StoreSet
from support.assured_home import AssuredHome
from support.recorders import gb_name
from support.stores import local_store


@pytest.fixture
def kept(home: AssuredHome) -> AssuredHome:
    home.ingest({f"DCIM/{gb_name(counter=n)}": b"no footage %d" % n * 99 for n in (1, 2)}, card="card")
    return home


def moved(home: AssuredHome, root: Path) -> Migration:
    third = local_store(root / "third", "third", clock=home.clock)
    home.stores = StoreSet(home.stores.primary, [home.stores.named("second"), third])
    keeping = KeepingParts(catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all)
    brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    move = Migration(
        MoveParts(keeping=keeping, stores=home.stores, policy=CopyPolicy(copies=2, domains=1), brake=brake)
    )
    move.begin("second", "third")
    assert move.work() == 0
    move.switch()
    return move


def kinds(home: AssuredHome) -> list[str]:
    home.seal()
    return sorted({finding.kind for finding in home.verify(copies=2, domains=1).findings})


def test_copies_in_an_old_store_count_for_nothing_and_are_still_read(kept: AssuredHome, tmp_path: Path) -> None:
    moved(kept, tmp_path)
    assert kinds(kept) == []
    report = kept.verify(copies=3, domains=1)
    assert report.copies == 12
    assert {finding.kind for finding in report.findings} == {"too-few-copies"}
    damaged = next((tmp_path / "home/stores/second/objects").rglob("*/*/*/*"))
    damaged.chmod(0o640)
    damaged.write_bytes(b"other bytes")
    assert "copy-damaged" in kinds(kept)


def test_what_was_left_in_a_store_that_was_given_up_is_told_once(kept: AssuredHome, tmp_path: Path) -> None:
    move = moved(kept, tmp_path)
    move.finish(remove=False)
    assert move.work() == 0
    assert kinds(kept) == ["store-given-up"]


def test_files_that_are_none_of_ours_are_noted_by_name_and_not_all_of_them(kept: AssuredHome, tmp_path: Path) -> None:
    objects = tmp_path / "home/stores/primary/objects/sha256"
    (objects / "holiday.jpg").write_bytes(b"x")
    folder = next(objects.glob("??/??"))
    for number in range(30):
        (folder / f"copy {number}").write_bytes(b"x")
    report = kept.verify(copies=2, domains=1)
    assert report.exit_code == 0
    told = [finding.detail for finding in report.findings if finding.kind == "foreign-file"]
    assert len(told) == 21
    assert told[-1] == "and more than 20 others"


def test_bytes_that_go_while_they_are_read_are_no_loss(kept: AssuredHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal between the reading of the rows and that of the bytes."""
    data = b"a poster that goes"
    sha256 = sha256_of(data)
    copies = []
    for store in kept.stores:
        receipt = store.put(io.BytesIO(data), sha256=sha256, size_bytes=len(data))
        copies.append(kept.stores.copy(store, receipt, read_back_at=kept.clock.now().wall))
    with kept.catalogue.begin() as uow:
        uow.blobs.add_holder(sha256, len(data), None, "derivative:it")
        for copy in copies:
            uow.blobs.put_copy(sha256, copy)
    second = kept.stores.named("second")
    real = second.verify

    def going(wanted, expected, **more) -> None:
        if wanted == sha256:
            with kept.catalogue.begin() as uow:
                uow.references.drop_blob(sha256)
            for store in kept.stores:
                if store.exists(sha256):
                    store.delete(sha256, now=kept.clock.now().wall)
        real(wanted, expected, **more)

    monkeypatch.setattr(second, "verify", going)
    assert kinds(kept) == []
