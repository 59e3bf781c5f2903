"""Repair: found, told, made good, proved; where nothing is good nothing is touched."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from assurance.copies import KeepingParts
from assurance.repair import Mended, Repair, repair_blob
from catalogue.records import FindingRow, RecordingRow
from evidence.digest import SHA256, Digest
from evidence.errors import NotDurableError, NotFoundError
from storage.layout import blob_key
from support.assured_home import AssuredHome
from support.recorders import gb_name

NAME = f"DCIM/{gb_name(counter=1)}"
FOOTAGE = bytes(range(256)) * 40


def parts_of(home: AssuredHome) -> KeepingParts:
    return KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all
    )  # fmt: skip


def path_of(home: AssuredHome, store: str, sha256: Digest) -> Path:
    return home.root / "stores" / store / blob_key(sha256)


def rot(path: Path, *, at: int = 100) -> str:
    """Change one bit behind the store's back; the digest of what is there now."""
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def found(home: AssuredHome) -> list[FindingRow]:
    with home.catalogue.read() as uow:
        return uow.findings.open()


def one(home: AssuredHome) -> RecordingRow:
    (row,) = home.ingest({NAME: FOOTAGE})
    return row


def test_sound_copies_are_left_as_they_are(home: AssuredHome) -> None:
    row = one(home)
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.SOUND
    assert (found(home), home.entries("copy.made")) == ([], [])
    with pytest.raises(NotFoundError):
        repair_blob(parts_of(home), Digest(SHA256, "0" * 64))


@pytest.mark.parametrize("store", ["primary", "second"])
def test_a_rotten_copy_is_made_again_from_the_other_and_the_auditor_sees_both_digests(
    home: AssuredHome, store: str
) -> None:
    row = one(home)
    there = rot(path_of(home, store, row.sha256))
    done = repair_blob(parts_of(home), row.sha256)
    assert (done.outcome, done.repaired, done.failed) == (Mended.REPAIRED, [store], {})
    assert path_of(home, store, row.sha256).read_bytes() == FOOTAGE
    # What was there is kept, and the one finding that stays leads to it.
    (left,) = found(home)
    assert (left.kind, left.recording, left.store) == ("copy-repaired", row.id, store)
    for part in (there, row.sha256.hex, f"damaged/{row.sha256.hex}.0"):
        assert part in left.detail
    kept = home.root / "stores" / store / "damaged" / f"{row.sha256.hex}.0"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == there
    raised = [(entry["kind"], entry["store"]) for entry in home.entries("finding.raised")]
    assert raised == [("copy-bad", store), ("copy-repaired", store)]
    (closed,) = home.entries("finding.closed")
    assert (closed["kind"], closed["reason"], closed["store"]) == ("copy-bad", "repaired", store)
    (made,) = home.entries("copy.made")
    assert (made["recording"], made["reason"], made["blob_sha256"]) == (row.id, "repair", row.sha256.hex)
    assert [copy["store"] for copy in made["copies"]] == [store]
    bad = next(text for text in home.disclosed("finding.raised", row.id) if "should be" in text["detail"])["detail"]
    assert there in bad
    assert row.sha256.hex in bad
    assert home.verify().verdict == "good"
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.SOUND


def test_a_missing_copy_of_a_manifest_is_made_again(home: AssuredHome) -> None:
    row = one(home)
    manifest = Digest(SHA256, row.manifest_sha256)
    path_of(home, "second", manifest).unlink()
    assert repair_blob(parts_of(home), manifest).outcome is Mended.REPAIRED
    assert [(entry["kind"]) for entry in home.entries("finding.raised")] == ["copy-missing", "copy-repaired"]
    (made,) = home.entries("copy.made")
    assert (made["recording"], made["blob_sha256"]) == (row.id, manifest.hex)
    assert home.verify().verdict == "good"


def test_a_copy_that_is_a_folder_or_a_link_is_damage_that_is_repaired(home: AssuredHome) -> None:
    row = one(home)
    path = path_of(home, "second", row.sha256)
    path.unlink()
    path.symlink_to(path_of(home, "primary", row.sha256))
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.REPAIRED
    assert not path.is_symlink()
    assert path.read_bytes() == FOOTAGE
    assert home.verify().verdict == "good"


def test_where_both_copies_are_bad_nothing_is_touched_and_a_good_one_that_comes_back_heals_both(
    home: AssuredHome,
) -> None:
    row = one(home)
    digests = [rot(path_of(home, store, row.sha256), at=at) for at, store in enumerate(("primary", "second"))]
    before = {store: path_of(home, store, row.sha256).read_bytes() for store in ("primary", "second")}
    done = repair_blob(parts_of(home), row.sha256)
    assert (done.outcome, done.repaired) == (Mended.LOST, [])
    assert before == {store: path_of(home, store, row.sha256).read_bytes() for store in ("primary", "second")}
    kinds = {(one.kind, one.store) for one in found(home)}
    assert kinds == {("copy-bad", "primary"), ("copy-bad", "second"), ("all-copies-bad", "")}
    (lost,) = [one for one in found(home) if one.kind == "all-copies-bad"]
    assert all(text in lost.detail for text in [*digests, row.sha256.hex, "bad-copy.md"])
    assert home.verify().verdict == "tampered"
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.LOST  # asked again: still nothing, told once
    assert len(found(home)) == 3
    path_of(home, "second", row.sha256).write_bytes(FOOTAGE)  # from a backup, by a person
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.REPAIRED
    left = {(one.kind, one.store) for one in found(home)}
    assert left == {("copy-repaired", "primary"), ("copy-sound-again", "second")}
    assert home.verify().verdict == "good"


def test_a_finding_of_a_verification_is_closed_only_when_everything_there_is_good(home: AssuredHome) -> None:
    row = one(home)
    manifest = Digest(SHA256, row.manifest_sha256)
    rot(path_of(home, "second", row.sha256))
    rot(path_of(home, "second", manifest), at=3)
    parts = parts_of(home)
    assert parts.book.raise_all(home.verify().findings) > 0
    assert "copy-damaged" in {one.kind for one in found(home)}
    repair_blob(parts, row.sha256)
    assert {"copy-damaged", "copy-bad"} <= {one.kind for one in found(home)}  # the manifest is still bad there
    repair_blob(parts, manifest)
    left = {one.kind for one in found(home)}
    assert left.isdisjoint({"copy-damaged", "copy-bad"})
    assert "copy-repaired" in left
    (told,) = [one for one in found(home) if one.kind == "copy-repaired"]
    assert "manifest" in told.detail
    assert "before that: recording" in told.detail


def test_a_store_that_is_away_leaves_the_other_copy_and_everything_waits(home: AssuredHome) -> None:
    row = one(home)
    rot(path_of(home, "second", row.sha256))
    away = home.root / "stores/primary"
    away.rename(home.root / "away")
    done = repair_blob(parts_of(home), row.sha256)
    assert (done.outcome, [look.outcome for look in done.looks]) == (Mended.WAITING, ["absent", "bad"])
    assert [one.kind for one in found(home)] == ["copy-bad"]
    (home.root / "away").rename(away)
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.REPAIRED
    assert home.verify().verdict == "good"


def test_repairs_of_the_same_bytes_at_once_make_one_copy(home: AssuredHome) -> None:
    row = one(home)
    rot(path_of(home, "second", row.sha256))
    done: list[Repair] = []
    threads = [threading.Thread(target=lambda: done.append(repair_blob(parts_of(home), row.sha256))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one.outcome for one in done) == [Mended.REPAIRED, *[Mended.SOUND] * 3]
    assert len(home.entries("copy.made")) == 1
    assert [path.name for path in (home.root / "stores/second/damaged").iterdir()] == [f"{row.sha256.hex}.0"]
    assert home.verify().verdict == "good"


def test_a_failed_fsync_during_a_repair_is_fatal(home: AssuredHome, monkeypatch: pytest.MonkeyPatch) -> None:
    row = one(home)
    rot(path_of(home, "second", row.sha256))
    second = home.stores.named("second")

    def broken(*_args: object, **_kwargs: object) -> None:
        raise NotDurableError("injected")

    monkeypatch.setattr(second, "repair", broken)
    with pytest.raises(NotDurableError):
        repair_blob(parts_of(home), row.sha256)
    monkeypatch.undo()
    assert repair_blob(parts_of(home), row.sha256).outcome is Mended.REPAIRED  # after the restart
    assert home.verify().verdict == "good"


def test_promise_7_what_goes_lawfully_while_it_is_looked_at_is_told_as_no_loss(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = one(home)
    store = home.stores.primary
    real = store.verify

    def removed_meanwhile(*args: object, **kwargs: object) -> None:
        with home.catalogue.begin() as uow:
            uow.references.drop_blob(row.sha256)
        for name in home.stores.names:
            path_of(home, name, row.sha256).unlink(missing_ok=True)
        real(*args, **kwargs)

    monkeypatch.setattr(store, "verify", removed_meanwhile)
    with pytest.raises(NotFoundError):
        repair_blob(parts_of(home), row.sha256)
    with home.catalogue.read() as uow:
        assert uow.findings.open() == []
    assert not path_of(home, "primary", row.sha256).exists()
