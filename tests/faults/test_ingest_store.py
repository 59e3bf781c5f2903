"""Storing goes wrong at each of its points, before and after the act; the next run always ends in the same good state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evidence.digest import Digest
from evidence.errors import (
    DigestMismatchError,
    IntegrityError,
    NotDurableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from evidence.ids import RecordingId
from evidence.model import RecordingState
from ingest import store as store_module
from ingest.store import ensure_stored
from support.home import Home
from support.recorders import gb_name, make_gb_tree

CLIP = b"0123456789abcdef" * 9_999


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path / "home") as home:
        yield home
        home.check()


def acquired(home: Home, root: Path, **media: bytes) -> list[RecordingId]:
    """Recordings that were read and not stored yet."""
    content = media or {gb_name(): CLIP}
    card = make_gb_tree(root, {f"DCIM/{name}": data for name, data in content.items()})
    return home.service.offload(home.dock(card), home.actor, register=True).acquired


POINTS = [
    ("primary", "adopt"), ("primary", "verify"), ("primary", "stat"),
    ("second", "exists"), ("second", "stat"), ("second", "put"), ("second", "verify"),
]  # fmt: skip


@pytest.mark.parametrize("applied", [False, True], ids=["not-applied", "applied-but-reported-failed"])
@pytest.mark.parametrize(("store", "method"), POINTS)
def test_every_commit_point_failed_or_failed_but_done_is_repeated_without_harm(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, method: str, applied: bool
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    target = home.stores.named(store)
    real: Callable[..., object] = getattr(target, method)

    def failing(*args: object, **kwargs: object) -> object:
        if applied:
            real(*args, **kwargs)
        raise StoreUnavailableError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(target, method, failing)
        with pytest.raises(StoreError):
            ensure_stored(home.parts, recording)
        assert home.row(recording).state is RecordingState.ACQUIRED
    assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    assert home.entries(recording).count("recording.stored") == 1
    home.settle()


@pytest.mark.parametrize("applied", [False, True])
def test_a_commit_that_failed_or_only_seemed_to_is_said_once(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    real = store_module._say_stored

    def failing(*args: object, **kwargs: object) -> object:
        if applied:
            real(*args, **kwargs)  # type: ignore[arg-type]
        raise StoreError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_say_stored", failing)
        with pytest.raises(StoreError):
            ensure_stored(home.parts, recording)
    assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    assert home.entries(recording).count("recording.stored") == 1
    home.settle()


def test_storing_twice_is_storing_once(home: Home, tmp_path: Path) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    assert ensure_stored(home.parts, recording) == ensure_stored(home.parts, recording)
    home.settle()


def test_a_second_store_that_is_away_keeps_the_recording_unsaid_and_our_copy_safe(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    marker = home.second.root / "0=liuhen_store_1"
    marker.rename(tmp_path / "unmounted")
    with pytest.raises(StoreUnavailableError):
        ensure_stored(home.parts, recording)
    assert home.row(recording).state is RecordingState.ACQUIRED
    (tmp_path / "unmounted").rename(marker)
    home.service._reconcile_job("")
    home.settle()
    assert home.row(recording).state is RecordingState.STORED


def test_a_full_second_store_is_told_apart_and_tried_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    with monkeypatch.context() as patch:
        patch.setattr(home.second, "_floor_bytes", 1 << 60)
        with pytest.raises(StoreFullError):
            ensure_stored(home.parts, recording)
    assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    home.settle()


def test_a_first_copy_that_does_not_read_back_is_read_from_the_recorder_again(home: Home, tmp_path: Path) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    with home.parts.partial(recording).open("r+b") as partial:  # a disk that lied about what it wrote
        partial.seek(1234)
        partial.write(b"!")
    row = ensure_stored(home.parts, recording)
    assert (row.state, row.interrupted_reason, row.bytes_acquired) == (
        RecordingState.INTERRUPTED,
        "read-back-failed",
        0,
    )
    assert home.findings() == ["read-back-failed"]
    assert list(home.primary.list()) == []
    assert list(home.second.list()) == []  # nothing was copied from bytes that are not the recorder's
    home.offload(tmp_path / "card")
    assert home.row(recording).state is RecordingState.STORED
    assert home.row(recording).sha256.hex == hashlib.sha256(CLIP).hexdigest()


@pytest.mark.parametrize("which", [0, 1], ids=["recording", "manifest"])
def test_a_further_copy_that_does_not_read_back_is_written_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    real, calls = home.second.put, []

    def lying(source: object, **facts: object) -> object:
        receipt = real(source, **facts)  # type: ignore[arg-type]
        if len(calls) == which:
            path = home.second.locate(receipt.sha256)
            path.chmod(0o640)
            path.write_bytes(bytes(path.stat().st_size))
        calls.append(receipt)
        return receipt

    with monkeypatch.context() as patch:
        patch.setattr(home.second, "put", lying)
        assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    assert (len(calls), home.findings()) == (2, ["read-back-failed"])
    for receipt in calls:
        home.second.verify(receipt.sha256, receipt.sha256)
    damaged = [file.name for file in (home.second.root / "damaged").iterdir()]
    assert damaged == [f"{calls[which].sha256.hex}.0"]  # what the disk made of it is kept for examination
    home.settle()


def test_a_further_copy_with_sectors_that_cannot_be_read_is_made_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    real, refusals = home.second.verify, [StoreError("cannot read a blob: Input/output error")]

    def verify(sha256: object, expected: object, **more: object) -> None:
        if refusals:
            raise refusals.pop()
        real(sha256, expected, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(home.second, "verify", verify)
        assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    assert home.findings() == ["read-back-failed"]
    home.settle()


def test_a_first_copy_that_vanished_is_read_from_the_recorder_again(home: Home, tmp_path: Path) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    home.parts.partial(recording).unlink()
    assert ensure_stored(home.parts, recording).interrupted_reason == "bytes-lost"
    home.offload(tmp_path / "card")
    assert home.row(recording).state is RecordingState.STORED


def test_damaged_bytes_that_nobody_holds_make_way(home: Home, tmp_path: Path) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    sha256 = home.row(recording).sha256
    damaged = home.primary.root / "objects/sha256" / sha256.hex[:2] / sha256.hex[2:4] / sha256.hex
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_bytes(b"x" * len(CLIP))
    assert ensure_stored(home.parts, recording).state is RecordingState.STORED
    home.settle()


def test_spare_bytes_are_not_dropped_while_the_kept_copy_is_bad(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        first = acquired(home, tmp_path / "a", **{gb_name(device="1111111"): CLIP})[0]
        ensure_stored(home.parts, first)
        bad = home.second.locate(home.row(first).sha256)
        bad.chmod(0o640)
        data = bytearray(bad.read_bytes())
        data[77] ^= 1
        bad.write_bytes(data)
        twin = acquired(home, tmp_path / "b", **{gb_name(device="2222222"): CLIP})[0]
        with pytest.raises(DigestMismatchError):
            ensure_stored(home.parts, twin)
        assert home.row(twin).state is RecordingState.ACQUIRED
        assert home.parts.partial(twin).read_bytes() == CLIP
        assert home.findings() == ["copy-bad"]
        data[77] ^= 1  # a person restored the copy
        bad.write_bytes(data)
        assert ensure_stored(home.parts, twin).state is RecordingState.DUPLICATE
        assert not home.parts.partial(twin).exists()


def test_a_crash_between_joining_and_dropping_leaves_nothing_lying_about(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {gb_name(): CLIP, gb_name(mark="_IMP"): CLIP}
    one, two = acquired(home, tmp_path / "card", **names)
    ensure_stored(home.parts, one)

    def killed(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(home.primary, "discard_partial", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure_stored(home.parts, two)
    assert home.row(two).state is RecordingState.DUPLICATE
    assert home.parts.partial(two).exists()
    ensure_stored(home.parts, two)
    assert not home.parts.partial(two).exists()
    home.settle()


def test_a_failed_fsync_is_fatal_and_says_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = acquired(home, tmp_path / "card")[0]

    def lost(*_args: object, **_kwargs: object) -> None:
        raise NotDurableError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(home.second, "put", lost)
        with pytest.raises(NotDurableError):
            ensure_stored(home.parts, recording)
    assert home.row(recording).state is RecordingState.ACQUIRED
    assert issubclass(DigestMismatchError, IntegrityError)
    home.settle()


def test_a_recording_that_cannot_be_described_is_stored_and_sealed_all_the_same(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evidence.errors import MediaError
    from ingest import describe as describe_module

    def broken(*_args: object, **_kwargs: object) -> None:
        raise MediaError("no ffmpeg")

    with monkeypatch.context() as patch:
        patch.setattr(describe_module, "describe", broken)
        recording = home.offload(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP})).acquired[0]
        row = home.row(recording)
        assert (row.state, row.sealed, row.described) == (RecordingState.STORED, True, False)
        assert list(home.jobs.failures()) == [f"describe:{recording}"]
    home.service._reconcile_job("")
    home.settle()
    assert home.row(recording).described
    assert home.jobs.failures() == {}


def test_another_name_of_the_first_copy_is_no_second_copy(home: Home, tmp_path: Path) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    row = home.row(recording)
    assert row.sha256 is not None
    home.primary.adopt(home.parts.partial(recording), sha256=row.sha256, size_bytes=row.size_bytes)
    _second_names_the_first(home, row.sha256)
    ensure_stored(home.parts, recording)
    assert home.row(recording).state is RecordingState.STORED
    assert home.primary.stat(row.sha256).bytes_at != home.second.stat(row.sha256).bytes_at
    home.settle()


def test_a_second_copy_that_cannot_become_a_file_of_its_own_does_not_count(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = acquired(home, tmp_path / "card")[0]
    row = home.row(recording)
    assert row.sha256 is not None
    home.primary.adopt(home.parts.partial(recording), sha256=row.sha256, size_bytes=row.size_bytes)
    _second_names_the_first(home, row.sha256)
    with monkeypatch.context() as patch:
        patch.setattr(home.second, "repair", lambda *_args, **_kwargs: None)
        with pytest.raises(StoreError, match="no copy of its own"):
            ensure_stored(home.parts, recording)
    assert home.row(recording).state is RecordingState.ACQUIRED
    home.settle()


def _second_names_the_first(home: Home, sha256: Digest) -> None:
    first = home.primary.locate(sha256)
    second = home.second.root / first.relative_to(home.primary.root)
    second.unlink(missing_ok=True)
    second.parent.mkdir(parents=True, exist_ok=True)
    second.hardlink_to(first)
