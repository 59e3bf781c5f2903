"""The local store where disks fill up, processes die, clocks lie and somebody plants links."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.digest import sha256_of
from evidence.errors import (
    BlobConflictError,
    BlobLockedError,
    BlobNotFoundError,
    DigestMismatchError,
    IntegrityError,
    InvalidInputError,
    NotDurableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.ports import BlobStore, PartialStore
from storage import protection
from storage.local import LocalStore
from support.mounts import tmpfs
from support.stores import SUITE, ManualClock, local_store, unprotect_tree

DATA = b"what a camera saw"
DIGEST = sha256_of(DATA)


def put(store, data=DATA, **extra):
    return store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data), **extra)


def acquire(store, name="rec_1", data=DATA) -> Path:
    partial = store.partial_path(name)
    partial.write_bytes(data)
    return partial


def adopt(store, partial, data=DATA, **extra):
    return store.adopt(partial, sha256=sha256_of(data), size_bytes=len(data), **extra)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


@pytest.fixture
def store(tmp_path):
    return local_store(tmp_path / "primary")


@pytest.fixture
def hard_store(tmp_path):
    yield local_store(tmp_path / "primary", protect="auto")
    unprotect_tree(tmp_path)


def reopened(store, **changes):
    values = {"name": "primary", "suite": SUITE, "clock": ManualClock(), "free_floor_bytes": 0, "protect": "mode-only"}
    return LocalStore(store.root, **{**values, **changes})


# --- the place --------------------------------------------------------------------------------------------------------
def test_a_local_store_is_what_the_ports_ask_for(store):
    blobs: BlobStore = store
    partials: PartialStore = store
    assert blobs.properties.kind == "local"
    assert partials.partial_path("x").parent.is_dir()


def test_a_new_store_tells_how_to_read_it_without_us(store):
    assert (store.root / "0=liuhen_store_1").is_file()
    spec = (store.root / "spec.txt").read_text("ascii")
    assert "sha256sum" in spec


def test_making_a_store_again_changes_nothing(store):
    put(store)
    before = files(store.root)
    LocalStore.create(store.root, "primary")
    assert files(store.root) == before


def test_a_store_is_not_made_over_another_one(store):
    with pytest.raises(StoreError):
        LocalStore.create(store.root, "second")


def test_a_store_is_not_made_over_objects_whose_marker_is_gone(store):
    put(store)
    (store.root / "0=liuhen_store_1").unlink()
    with pytest.raises(StoreError, match="no marker"):
        LocalStore.create(store.root, "primary")


def test_a_folder_without_marker_is_an_unmounted_disk_and_never_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(StoreUnavailableError):
            LocalStore(root, name="primary", suite=SUITE, clock=ManualClock())
    assert files(tmp_path) == []
    assert not (tmp_path / "absent").exists()


def test_another_disk_in_the_same_place_is_not_this_store(store):
    with pytest.raises(StoreUnavailableError, match="is not store second"):
        reopened(store, name="second")


def test_a_disk_that_vanishes_while_we_run_is_reported_by_every_act_and_nothing_is_made(store, tmp_path):
    put(store)
    store.root.rename(tmp_path / "elsewhere")
    store.root.mkdir()
    acts = [
        lambda: store.exists(DIGEST),
        lambda: store.stat(DIGEST),
        lambda: store.open(DIGEST),
        lambda: store.verify(DIGEST, DIGEST),
        lambda: put(store, b"new"),
        lambda: store.delete(DIGEST, now=ManualClock().wall),
        lambda: store.set_hold(DIGEST, reference="case"),
        lambda: list(store.list()),
        lambda: store.partial_path("rec"),
        lambda: store.locate(DIGEST),
        store.free_bytes,
        store.partials,
    ]
    for act in acts:
        with pytest.raises(StoreUnavailableError):
            act()
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("marker", [b"", b"{", b'{"format":"liuhen_store_1"}', b"\xff" * 9000])
def test_a_marker_that_is_not_ours_is_no_store(store, marker):
    path = store.root / "0=liuhen_store_1"
    path.chmod(0o640)
    path.write_bytes(marker)
    with pytest.raises(StoreUnavailableError):
        store.exists(DIGEST)


def test_stored_files_cannot_be_written_by_mode_and_keep_their_bytes(store):
    put(store)
    path = store.locate(DIGEST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert path.read_bytes() == DATA
    assert store.stat(DIGEST).protection == "mode-only"


# --- full disks -------------------------------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 4 MiB."""
    with tmpfs(tmp_path / "disk", size="4m") as disk:
        yield disk


@pytest.mark.root
def test_a_full_disk_refuses_and_leaves_nothing_behind(small_disk):
    store = local_store(small_disk)
    put(store)
    before, free = files(store.root), os.statvfs(small_disk).f_bfree
    data = os.urandom(3 << 20)
    (small_disk / "other").write_bytes(bytes(2 << 20))  # somebody else takes the room after it was checked
    store.require_room = lambda size_bytes: None
    with pytest.raises(StoreFullError):
        put(store, data)
    (small_disk / "other").unlink()
    assert files(store.root) == before
    assert os.statvfs(small_disk).f_bfree == free
    assert not store.exists(sha256_of(data))
    del store.require_room
    assert put(store, data).created
    store.verify(sha256_of(data), sha256_of(data))


@pytest.mark.root
def test_a_lock_record_that_finds_no_room_is_an_error_and_the_old_orders_stand(small_disk):
    store = local_store(small_disk)
    put(store)
    store.set_hold(DIGEST, reference="case-1")
    filler = small_disk / "other"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(fd, 0, os.statvfs(small_disk).f_bavail * 4096)
    os.close(fd)
    with pytest.raises(StoreFullError):
        store.set_hold(DIGEST, reference="case-2")
    assert store.stat(DIGEST).hold
    filler.unlink()
    store.set_hold(DIGEST, reference="case-2")
    with pytest.raises(BlobLockedError):
        store.delete(DIGEST, now=ManualClock().wall)


def test_below_the_floor_nothing_new_is_taken_in_but_what_is_there_stays_readable(store):
    put(store)
    full = reopened(store, free_floor_bytes=1 << 60)
    assert full.free_bytes() == 0
    with pytest.raises(StoreFullError) as refused:
        put(full, b"new")
    assert "recorders keep" in refused.value.kept
    assert not full.exists(sha256_of(b"new"))
    assert not put(full).created  # already there: needs no room
    full.verify(DIGEST, DIGEST)


def test_a_recording_that_is_already_on_the_disk_is_adopted_below_the_floor(store):
    full = reopened(store, free_floor_bytes=1 << 60)
    assert adopt(full, acquire(full)).created


def test_a_failed_fsync_is_fatal_and_names_nothing(store, monkeypatch):
    def fail(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotDurableError) as error:
        put(store)
    monkeypatch.undo()
    assert error.value.fatal
    assert not store.exists(DIGEST)


# --- partials and adoption --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a\0b", "x" * 300, "a b"])
def test_a_partial_has_a_plain_name(store, name):
    with pytest.raises(InvalidInputError):
        store.partial_path(name)


def test_a_partial_keeps_its_suffix_and_is_listed_and_discarded(store):
    partial = acquire(store, "rec_1")
    assert partial.name == "rec_1.part"
    assert store.partial_path("rec_1.part") == partial
    assert store.partials() == [partial]
    store.discard_partial(partial)
    store.discard_partial(partial)
    assert store.partials() == []


def test_a_partial_of_another_folder_is_not_adopted(store, tmp_path):
    strange = tmp_path / "rec.part"
    strange.write_bytes(DATA)
    for partial in (
        strange,
        store.root / "staging" / ".." / "staging" / "rec.part",
        store.root / "staging" / "rec.tmp",
    ):
        with pytest.raises(InvalidInputError):
            adopt(store, partial)
        with pytest.raises(InvalidInputError):
            store.discard_partial(partial)
    assert strange.exists()


def test_adoption_gives_the_bytes_their_place_and_takes_the_partials_name(store):
    partial = acquire(store)
    inode = partial.stat().st_ino
    until = ManualClock().wall + timedelta(days=1)
    receipt = adopt(store, partial, retain_until=until)
    assert receipt.created
    assert not partial.exists()
    path = store.locate(DIGEST)
    assert (path.stat().st_ino, path.stat().st_nlink) == (inode, 1)
    assert store.stat(DIGEST).retain_until == until
    store.verify(DIGEST, DIGEST)


def test_adoption_of_bytes_that_are_there_already_is_no_new_blob(store):
    put(store)
    partial = acquire(store)
    assert not adopt(store, partial).created
    assert not partial.exists()


def test_adoption_never_replaces_other_bytes_and_keeps_the_partial(store):
    partial = acquire(store)
    place = store.root / "objects/sha256" / DIGEST.hex[:2] / DIGEST.hex[2:4]
    place.mkdir(parents=True)
    (place / DIGEST.hex).write_bytes(b"what a camera sAw")
    with pytest.raises(BlobConflictError):
        adopt(store, partial)
    assert partial.read_bytes() == DATA
    assert (place / DIGEST.hex).read_bytes() == b"what a camera sAw"


def test_a_partial_of_another_size_is_not_adopted_and_stays(store):
    partial = acquire(store, data=DATA[:-1])
    with pytest.raises(DigestMismatchError):
        adopt(store, partial)
    assert partial.exists()
    assert not store.exists(DIGEST)


def test_adoption_without_partial_and_blob_says_so(store):
    with pytest.raises(BlobNotFoundError):
        adopt(store, store.partial_path("rec_1"))


def test_a_link_in_the_place_of_a_partial_is_not_followed(store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    partial = store.partial_path("rec_1")
    partial.symlink_to(secret)
    with pytest.raises(StoreError):
        adopt(store, partial)
    assert not store.exists(DIGEST)


# --- crashes ----------------------------------------------------------------------------------------------------------
class CrashError(BaseException):
    """The process ends here: nobody catches it."""


@pytest.mark.crash
@pytest.mark.parametrize("protect", ["mode-only", "auto"])
@pytest.mark.parametrize(
    "step", ["os.fchmod", "storage.local.fsync_file", "storage.local.link_open", "storage.local.fsync_dir", "flag"]
)
@pytest.mark.parametrize("after", [False, True], ids=["before-the-step", "after-the-step"])
def test_an_adoption_that_crashed_anywhere_is_finished_by_the_next_one(tmp_path, monkeypatch, step, after, protect):
    store = local_store(tmp_path / "primary", protect=protect)
    partial = acquire(store)
    target = "storage.protection.make_immutable" if step == "flag" else step
    module, name = target.rsplit(".", 1)
    real = getattr(__import__(module, fromlist=[name]), name)

    def crash(*args, **extra):
        if after:
            real(*args, **extra)
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(target, crash)
        if step == "flag" and protect == "mode-only":
            adopt(store, partial)  # there is no such step
        else:
            with pytest.raises(CrashError):
                adopt(store, partial)
    again = reopened(store, protect=protect)
    adopt(again, partial)
    again.verify(DIGEST, DIGEST)
    assert not partial.exists()
    assert store.locate(DIGEST).stat().st_nlink == 1
    assert again.stat(DIGEST).protection == again.properties.protection
    assert list(again.list()) == [DIGEST]
    unprotect_tree(tmp_path)


@pytest.mark.crash
@pytest.mark.parametrize("nameless", [True, False], ids=["nameless", "named"])
@pytest.mark.parametrize("step", ["write_all", "fsync_file", "link_open"])
@pytest.mark.parametrize("after", [False, True], ids=["before-the-step", "after-the-step"])
def test_a_put_that_crashed_anywhere_leaves_the_whole_blob_or_nothing(tmp_path, monkeypatch, step, after, nameless):
    store = local_store(tmp_path / "primary")
    store._tree.nameless = nameless
    real = getattr(__import__("storage.local", fromlist=[step]), step)

    def crash(*args, **extra):
        if after:
            real(*args, **extra)
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(f"storage.local.{step}", crash)
        patch.setattr("storage.tree.Scratch.drop_name", lambda self: None)  # a dead process drops no names
        with pytest.raises(CrashError):
            put(store)
    again = reopened(store)
    assert again.exists(DIGEST) == (step == "link_open" and after)
    assert list((store.root / "staging").iterdir()) == []
    put(again)
    again.verify(DIGEST, DIGEST)
    assert store.locate(DIGEST).stat().st_nlink == 1


@pytest.mark.crash
@pytest.mark.parametrize("step", ["unlink", "flag"])
def test_a_removal_that_crashed_is_asked_for_again(hard_store, monkeypatch, step):
    put(hard_store)

    def crash(*args, **extra):
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr("storage.local.protection.make_mutable" if step == "flag" else "storage.local.os.unlink", crash)
        with pytest.raises(CrashError):
            hard_store.delete(DIGEST, now=ManualClock().wall)
    again = reopened(hard_store, protect="auto")
    again.verify(DIGEST, DIGEST)
    assert again.stat(DIGEST).protection == again.properties.protection
    again.delete(DIGEST, now=ManualClock().wall)
    assert not again.exists(DIGEST)


def test_the_start_sweeps_abandoned_temporaries_and_keeps_partials_and_live_writers(store):
    partial = acquire(store)
    staging = store.root / "staging"
    (staging / ".dead.tmp").write_bytes(b"x")
    (staging / ".probe.0.tmp").write_bytes(b"x")
    fd = os.open(staging / ".probe.0.tmp", os.O_RDONLY)
    protection.make_immutable(fd)  # a probe that died between set and clear
    os.close(fd)
    store._tree.nameless = False
    with store._tree.scratch() as live:
        reopened(store)
        assert live.temporary.exists()
        assert sorted(path.name for path in staging.iterdir()) == sorted([partial.name, live.temporary.name])


def test_a_missing_immutable_flag_is_set_again_by_verify_and_by_put(hard_store):
    if hard_store.properties.protection != "immutable":
        pytest.fail("this machine's temporary folder has no immutable flag")
    put(hard_store)
    for act in (lambda: hard_store.verify(DIGEST, DIGEST), lambda: put(hard_store)):
        unprotect_tree(hard_store.root)
        assert hard_store.stat(DIGEST).protection == "mode-only"
        act()
        assert hard_store.stat(DIGEST).protection == "immutable"


def test_without_the_capability_the_store_says_mode_only(tmp_path, monkeypatch):
    def refuse(fd, request, argument):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("storage.protection.fcntl.ioctl", refuse)
    store = local_store(tmp_path / "primary", protect="auto")
    put(store)
    assert store.properties.protection == "mode-only"
    assert store.stat(DIGEST).protection == "mode-only"


def test_a_flag_that_cannot_be_taken_off_stops_the_removal_and_keeps_the_blob(hard_store, monkeypatch):
    put(hard_store)
    monkeypatch.setattr("storage.local.protection.make_mutable", lambda fd: False)
    with pytest.raises(StoreError, match="cannot be taken off"):
        hard_store.delete(DIGEST, now=ManualClock().wall)
    hard_store.verify(DIGEST, DIGEST)


# --- hostile hands ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4])
def test_a_link_planted_on_the_way_to_a_blob_is_refused(store, tmp_path, depth):
    put(store)
    parts = ["objects", "sha256", DIGEST.hex[:2], DIGEST.hex[2:4], DIGEST.hex]
    place = store.root.joinpath(*parts[: depth + 1])
    outside = tmp_path / "outside"
    place.rename(outside)
    place.symlink_to(outside)
    for act in (
        lambda: store.open(DIGEST),
        lambda: store.verify(DIGEST, DIGEST),
        lambda: store.stat(DIGEST),
        lambda: store.locate(DIGEST),
    ):
        with pytest.raises(IntegrityError):
            act()
    with pytest.raises((IntegrityError, BlobConflictError)):
        put(store)
    assert outside.exists()


def test_a_link_planted_for_a_new_blob_is_refused(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.root / "objects/sha256" / DIGEST.hex[:2]).symlink_to(outside)
    with pytest.raises(IntegrityError):
        put(store)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_something_else_in_the_place_of_a_blob_is_damage(store, kind):
    place = store.root / "objects/sha256" / DIGEST.hex[:2] / DIGEST.hex[2:4]
    place.mkdir(parents=True)
    (place / DIGEST.hex).mkdir() if kind == "folder" else os.mkfifo(place / DIGEST.hex)
    with pytest.raises(IntegrityError):
        store.open(DIGEST)
    with pytest.raises(BlobConflictError):
        put(store)


def test_files_that_are_not_blobs_are_not_listed(store):
    put(store)
    for name in ("objects/sha256/readme", "objects/sha256/ab/x", f"objects/sha256/zz/{'0' * 64}"):
        path = store.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (store.root / "objects/sha256" / DIGEST.hex[:2] / DIGEST.hex[2:4] / ("0" * 64)).write_bytes(b"x")
    assert list(store.list()) == [DIGEST]


def test_a_list_that_loses_its_disk_half_way_ends_in_an_error(store, tmp_path):
    for number in range(5):
        put(store, b"%d" % number)
    listing = store.list()
    next(listing)
    store.root.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        list(listing)


def test_a_store_that_lost_its_objects_is_not_empty(store, tmp_path):
    (store.root / "objects").rename(tmp_path / "objects")
    with pytest.raises(StoreError):
        list(store.list())


def test_a_blob_cut_short_is_never_read_short(store):
    data = os.urandom(3 << 20)
    put(store, data)
    with store.open(sha256_of(data)) as stream:
        stream.read(10)
        path = store.locate(sha256_of(data))
        path.chmod(0o640)
        os.truncate(path, 2 << 20)
        with pytest.raises(StoreError):
            stream.read()


# --- repair -----------------------------------------------------------------------------------------------------------
def damage(store) -> Path:
    unprotect_tree(store.root)
    path = store.locate(DIGEST)
    path.chmod(0o640)
    path.write_bytes(b"what a camera sAw")
    return path


def test_a_damaged_blob_is_replaced_and_kept_for_examination_under_its_locks(hard_store):
    until = ManualClock().wall + timedelta(days=1)
    put(hard_store, retain_until=until)
    damage(hard_store)
    receipt = hard_store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    assert receipt.created
    hard_store.verify(DIGEST, DIGEST)
    assert [path.read_bytes() for path in (hard_store.root / "damaged").iterdir()] == [b"what a camera sAw"]
    assert hard_store.stat(DIGEST).retain_until == until
    assert hard_store.stat(DIGEST).protection == hard_store.properties.protection
    damage(hard_store)
    hard_store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    assert len(list((hard_store.root / "damaged").iterdir())) == 2


def test_r10_damaged_files_of_a_blob_go_with_it_and_those_of_others_stay(hard_store):
    """They show what it showed: who was told that it is gone must not find it under another name."""
    put(hard_store)
    (hard_store.root / "damaged" / f"{'0' * 64}.0").write_bytes(b"another blob's")
    for _ in range(2):
        damage(hard_store)
        hard_store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    assert len(list((hard_store.root / "damaged").iterdir())) == 3
    hard_store.set_hold(DIGEST, reference="hold-1")
    with pytest.raises(BlobLockedError):
        hard_store.delete(DIGEST, now=ManualClock().wall)
    assert len(list((hard_store.root / "damaged").iterdir())) == 3, "a hold keeps them, too"
    hard_store.release_hold(DIGEST, reference="hold-1")
    hard_store.delete(DIGEST, now=ManualClock().wall)
    assert [path.name for path in (hard_store.root / "damaged").iterdir()] == [f"{'0' * 64}.0"]


def test_a_sound_blob_is_not_repaired_and_a_missing_one_is_put_back(store):
    put(store)
    assert not store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created
    store.locate(DIGEST).unlink()
    assert store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created
    store.verify(DIGEST, DIGEST)
    assert list((store.root / "damaged").iterdir()) == []


def test_another_name_of_a_foreign_file_becomes_a_file_of_its_own(hard_store, tmp_path):
    put(hard_store)
    foreign = local_store(tmp_path / "other", name="other")
    put(foreign)
    unprotect_tree(hard_store.root)
    blob = hard_store.locate(DIGEST)
    blob.unlink()
    blob.hardlink_to(foreign.locate(DIGEST))
    assert hard_store.stat(DIGEST).bytes_at == foreign.stat(DIGEST).bytes_at
    assert hard_store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created
    assert hard_store.stat(DIGEST).bytes_at != foreign.stat(DIGEST).bytes_at
    assert foreign.locate(DIGEST).stat().st_nlink == 1  # nothing of it was kept aside either: it is sound
    hard_store.verify(DIGEST, DIGEST)
    assert not hard_store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created


def test_a_wrong_source_repairs_nothing(store):
    put(store)
    path = damage(store)
    with pytest.raises(DigestMismatchError):
        store.repair(io.BytesIO(b"what a camera saW"), sha256=DIGEST, size_bytes=len(DATA))
    assert path.read_bytes() == b"what a camera sAw"


def test_a_planted_link_is_repaired_into_a_file(store, tmp_path):
    put(store)
    path = store.locate(DIGEST)
    path.rename(tmp_path / "outside")
    path.symlink_to(tmp_path / "outside")
    assert store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created
    assert not path.is_symlink()
    store.verify(DIGEST, DIGEST)


# --- reading ----------------------------------------------------------------------------------------------------------
def test_a_range_can_be_sought_in(store):
    put(store)
    with store.open(DIGEST, offset=5, length=6) as stream:
        assert stream.seek(2) == 2
        assert stream.read(3) == DATA[7:10]
        assert stream.seek(-1, os.SEEK_END) == 5
        assert stream.read() == DATA[10:11]
        assert stream.seek(100) == 100
        assert stream.read() == b""
        assert stream.tell() == 100


# --- what a crashed or dying neighbour left ---------------------------------------------------------------------------
@pytest.fixture
def synced(monkeypatch):
    """Inodes that were forced to stable storage."""
    real, inodes = os.fsync, []

    def note(fd):
        inodes.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    return inodes


@pytest.mark.parametrize("act", ["put", "exists", "adopt"])
def test_a_name_that_a_killed_process_left_unsynced_is_durable_before_anybody_relies_on_it(store, synced, act):
    put(store)
    folder = store.locate(DIGEST).parent
    again = reopened(store)  # another process: it knows nothing of what the first one had synced
    synced.clear()
    if act == "put":
        assert not put(again).created
    elif act == "exists":
        assert again.exists(DIGEST)
    else:
        assert not adopt(again, store.partial_path("gone")).created
    for each in (folder, folder.parent, folder.parent.parent):
        assert each.stat().st_ino in synced


def test_a_hold_that_a_killed_process_left_unsynced_is_durable_when_it_is_ordered_again(store, synced):
    put(store, retain_until=ManualClock().wall)
    store.set_hold(DIGEST, reference="case")
    folder = store.root / "locks" / DIGEST.hex[:2] / DIGEST.hex
    again = reopened(store)
    for act in (
        lambda: again.set_hold(DIGEST, reference="case"),
        lambda: again.extend_retention(DIGEST, ManualClock().wall),
        lambda: again.release_hold(DIGEST, reference="unknown"),
    ):
        synced.clear()
        act()
        assert folder.stat().st_ino in synced


def test_a_blob_on_unreadable_sectors_is_repaired(store, monkeypatch):
    put(store)
    bad = store.locate(DIGEST).stat().st_ino
    real = os.pread

    def dying(fd, count, offset):
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", dying)
    assert store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA)).created
    store.verify(DIGEST, DIGEST)
    assert [path.stat().st_ino for path in (store.root / "damaged").iterdir()] == [bad]


def test_a_disk_that_is_not_there_any_more_is_not_repaired_around(store, monkeypatch):
    put(store)

    def gone(fd, count, offset):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(StoreUnavailableError):
        store.repair(io.BytesIO(DATA), sha256=DIGEST, size_bytes=len(DATA))
    assert list((store.root / "damaged").iterdir()) == []


def test_a_removal_that_the_flag_forbids_is_not_noted_as_done(hard_store, monkeypatch):
    put(hard_store)
    monkeypatch.setattr("storage.local.protection.make_mutable", lambda fd: False)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be taken off"):
            hard_store.delete(DIGEST, now=ManualClock().wall)
    assert not list((hard_store.root / "locks").rglob("*.json"))


@pytest.mark.root
def test_a_disk_that_became_read_only_can_still_be_read_and_verified(small_disk):
    store = local_store(small_disk)
    put(store)
    (small_disk / "staging" / ".dead.tmp").write_bytes(b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    again = reopened(store, protect="auto")
    assert again.properties.protection == "mode-only"
    again.verify(DIGEST, DIGEST)
    assert again.exists(DIGEST)
    assert list(again.list()) == [DIGEST]
    with again.open(DIGEST) as stream:
        assert stream.read() == DATA
    with pytest.raises(StoreError, match="Read-only"):
        put(again, b"new")


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_something_strange_with_a_temporary_name_keeps_no_store_from_opening(store, tmp_path, kind):
    strange = store.root / "staging" / ".strange.tmp"
    if kind == "link":
        strange.symlink_to(tmp_path)
    elif kind == "folder":
        strange.mkdir()
    else:
        os.mkfifo(strange)
    put(reopened(store))
    assert os.path.lexists(strange)


def test_a_failed_fsync_of_the_flag_is_fatal_and_never_taken_for_a_disk_without_flags(hard_store, monkeypatch):
    put(hard_store)
    unprotect_tree(hard_store.root)

    def fail(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotDurableError):
        hard_store.verify(DIGEST, DIGEST)


def test_a_removal_that_could_not_be_noted_leaves_the_blob_protected(hard_store, monkeypatch):
    put(hard_store)

    def full(self, sha256):
        raise StoreFullError("no space left on the store")

    monkeypatch.setattr("storage.local.LockRecords.removal", full)
    with pytest.raises(StoreFullError):
        hard_store.delete(DIGEST, now=ManualClock().wall)
    assert hard_store.stat(DIGEST).protection == hard_store.properties.protection
    hard_store.verify(DIGEST, DIGEST)


def test_what_is_remembered_of_folders_is_bounded_and_nothing_is_forgotten_on_the_medium(store, synced, monkeypatch):
    monkeypatch.setattr("storage.tree._REMEMBERED_MAX", 3)
    for number in range(5):
        put(store, b"%d" % number, retain_until=ManualClock().wall)
    assert len(store._tree._durable) == 3
    synced.clear()
    store.set_hold(sha256_of(b"4"), reference="case")
    assert (store.root / "locks" / sha256_of(b"4").hex[:2]).stat().st_ino in synced
