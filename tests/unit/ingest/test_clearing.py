"""Clearing a recorder (promise 1): every reason why a file must stay, one by one, and the one case in which it goes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from assurance.brake import Brake
from assurance.removal import RemovalParts, Remover
from catalogue.records import RecordingRow
from catalogue.references import REMOVING, RemovalRow
from catalogue.store_moves import SWITCHED, StoreMoveRow
from evidence.errors import (
    AccessDeniedError,
    DigestMismatchError,
    MediumError,
    PolicyUnmetError,
    SourceChangedError,
    StateConflictError,
)
from evidence.limits import SOURCE_DEPTH_MAX
from evidence.model import Action, ClearingMode, RecordingState
from evidence.ports import DockedDevice
from ingest.release import ClearResult, Releaser
from ingest.settings import IngestSettings
from support.faulty_card import FaultyCard
from support.home import Home
from support.mounts import mounted_over, tmpfs
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.root
CLIP = b"evidence " * 50_000
SETTINGS = IngestSettings(station="station-1", clearing=ClearingMode.AUTOMATIC, free_floor_bytes=0)


@pytest.fixture
def second_disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "other-disk") as disk:
        yield disk


@pytest.fixture
def home(tmp_path: Path, second_disk: Path) -> Iterator[Home]:
    with Home(tmp_path / "home", second=second_disk / "store", settings=SETTINGS) as home:
        yield home


@pytest.fixture
def card(tmp_path: Path) -> Path:
    root = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in (1, 2)})
    (root / "sn.txt").write_text("SN00017")
    return root


def clear(home: Home, card: Path, mode: ClearingMode = ClearingMode.MANUAL) -> ClearResult:
    result = home.service.clear_recorder(home.dock(card), home.actor, mode=mode)
    home.seal()
    return result


def files(card: Path) -> list[str]:
    return sorted(str(path.relative_to(card)) for path in (card / "DCIM").rglob("*") if path.is_file())


def reasons(result: ClearResult) -> set[str]:
    return {error.code for error in result.kept.values()}


def test_a_sealed_recording_with_two_domains_leaves_its_recorder(home: Home, card: Path) -> None:
    home.offload(card)
    result = clear(home, card)
    assert (len(result.released), result.kept, files(card)) == (2, {}, [])
    assert {row.state for row in home.rows()} == {RecordingState.RELEASED}
    assert all(home.entries(row.id)[-1] == "recording.released" for row in home.rows())
    home.check()
    assert home.offload(card).recordings == []


def test_nothing_is_cleared_by_default(home: Home, card: Path) -> None:
    home.offload(card)
    object.__setattr__(home.parts, "settings", IngestSettings(station="station-1"))
    with pytest.raises(PolicyUnmetError, match="switched off"):
        clear(home, card)
    assert len(files(card)) == 2


def test_automatic_clearing_needs_the_automatic_setting(home: Home, card: Path) -> None:
    home.offload(card)
    object.__setattr__(home.parts, "settings", replace(SETTINGS, clearing=ClearingMode.MANUAL))
    with pytest.raises(PolicyUnmetError):
        clear(home, card, ClearingMode.AUTOMATIC)
    assert len(clear(home, card).released) == 2


def test_nobody_clears_without_the_right(home: Home, card: Path) -> None:
    home.offload(card)
    home.gate.forbidden = {Action.DEVICE_RELEASE}
    with pytest.raises(AccessDeniedError):
        clear(home, card)
    assert len(files(card)) == 2


def test_who_may_not_clear_is_told_so_also_where_nobody_may(home: Home, card: Path) -> None:
    home.offload(card)
    home.gate.forbidden = {Action.DEVICE_RELEASE}
    object.__setattr__(home.parts, "settings", replace(SETTINGS, clearing=ClearingMode.NEVER))
    with pytest.raises(AccessDeniedError):
        clear(home, card)


def test_two_stores_on_one_disk_are_one_failure_domain_and_clear_nothing(tmp_path: Path, card: Path) -> None:
    with Home(tmp_path / "home", settings=SETTINGS) as home:
        home.offload(card)
        result = clear(home, card)
        assert (result.released, reasons(result)) == ([], {"policy-unmet"})
        assert len(files(card)) == 2
        object.__setattr__(home.parts, "settings", replace(SETTINGS, domains_required=1, single_domain_allowed=True))
        assert len(clear(home, card).released) == 2


def test_r08_a_copy_that_cannot_be_read_back_now_is_no_copy_even_where_one_domain_is_allowed(
    home: Home, card: Path
) -> None:
    home.offload(card)
    allowed = replace(SETTINGS, copies=2, domains_required=1, single_domain_allowed=True)
    object.__setattr__(home.parts, "settings", allowed)
    _unmount_second(home)
    result = home.service.clear_recorder(home.dock(card), home.actor)
    assert (result.released, reasons(result)) == ([], {"policy-unmet"})
    assert len(files(card)) == 2


def test_two_names_of_one_file_are_one_copy_and_clear_nothing_even_where_one_domain_is_allowed(
    tmp_path: Path, card: Path
) -> None:
    allowed = replace(SETTINGS, domains_required=1, single_domain_allowed=True)
    with Home(tmp_path / "home", settings=allowed) as home:
        home.offload(card)
        for digest in list(home.second.list()):
            second = home.second.locate(digest)
            second.unlink()
            second.hardlink_to(home.primary.locate(digest))
        result = clear(home, card)
        assert (result.released, reasons(result)) == ([], {"policy-unmet"})
        assert len(files(card)) == 2


def test_what_is_not_sealed_yet_stays(home: Home, card: Path) -> None:
    home.service.offload(home.dock(card), home.actor, register=True)
    home.jobs.drain()
    result = clear(home, card)
    assert (result.released, reasons(result)) == ([], {"policy-unmet"})


def test_another_name_of_sealed_bytes_stays_until_its_own_entry_is_sealed(home: Home, card: Path) -> None:
    """The mark its name carries would else be lost with the catalogue, and the recorder could not tell it again."""
    home.offload(card)
    twin = card / "DCIM" / gb_name(counter=1, mark="_IMP")
    twin.write_bytes(CLIP + bytes([1]))
    home.service.offload(home.dock(card), home.actor, register=True)
    home.jobs.drain()
    result = home.service.clear_recorder(home.dock(card), home.actor)
    assert (len(result.released), reasons(result)) == (2, {"policy-unmet"})
    assert files(card) == [f"DCIM/{twin.name}"]
    home.seal()
    assert len(clear(home, card).released) == 1


def test_what_is_not_stored_yet_is_not_even_looked_at(home: Home, card: Path) -> None:
    home.service.offload(home.dock(card), home.actor, register=True)
    home.seal()
    assert clear(home, card) == ClearResult(left=[(f"DCIM/{gb_name(counter=n)}", "not-stored") for n in (1, 2)])
    assert len(files(card)) == 2


def flip(path: Path) -> None:
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _flip_copy(home: Home) -> None:
    for row in home.rows():
        flip(home.second.locate(row.sha256))


def _flip_manifest(home: Home) -> None:
    with home.catalogue.read() as uow:
        for blob in uow.blobs.all():
            if any(holder.startswith("manifest:") for holder in blob.holders):
                flip(home.primary.locate(blob.sha256))


def _lose_published_log(home: Home) -> None:
    (home.published[1] / "checkpoint").unlink()


def _damage_published_log(home: Home) -> None:
    for path in (home.published[1] / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.chmod(0o640)
            path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


def _unmount_second(home: Home) -> None:
    (home.second.root / "0=liuhen_store_1").rename(home.second.root / "away")


@pytest.mark.parametrize(
    "harm", [_flip_copy, _flip_manifest, _lose_published_log, _damage_published_log, _unmount_second]
)
def test_whatever_is_wrong_with_copies_manifest_or_log_keeps_the_footage_on_the_recorder(
    home: Home, card: Path, harm: Callable[[Home], None]
) -> None:
    home.offload(card)
    harm(home)
    result = home.service.clear_recorder(home.dock(card), home.actor)
    assert (result.released, len(result.kept)) == ([], 2)
    assert len(files(card)) == 2
    assert {row.state for row in home.rows()} == {RecordingState.STORED}


def test_a_source_that_is_no_longer_what_was_sealed_is_left_and_entered(home: Home, card: Path) -> None:
    home.offload(card)
    path = card / "DCIM" / gb_name(counter=1)
    stamp = path.stat().st_mtime_ns
    path.write_bytes(bytes(len(CLIP) + 1))
    os.utime(path, ns=(stamp, stamp))
    result = clear(home, card)
    assert [type(error) for error in result.kept.values()] == [SourceChangedError]
    assert files(card) == [f"DCIM/{gb_name(counter=1)}"]
    assert home.findings() == ["source-changed"]
    assert home.entries(next(iter(result.kept)))[-2:] == ["recording.release-refused", "finding.raised"]


def test_a_file_that_grew_after_it_was_sealed_is_another_file_and_is_not_touched(home: Home, card: Path) -> None:
    home.offload(card)
    path = card / "DCIM" / gb_name(counter=1)
    path.write_bytes(path.read_bytes() + b"more")
    clear(home, card)
    assert files(card) == [f"DCIM/{gb_name(counter=1)}"]
    assert path.read_bytes().endswith(b"more")


def test_a_file_that_is_already_gone_counts_as_released_and_says_so(home: Home, card: Path) -> None:
    home.offload(card)
    (card / "DCIM" / gb_name(counter=1)).unlink()
    assert len(clear(home, card).released) == 2
    assert {row.state for row in home.rows()} == {RecordingState.RELEASED}


def test_what_lies_in_a_folder_that_cannot_be_read_is_not_said_to_be_gone(tmp_path: Path, second_disk: Path) -> None:
    card = FaultyCard(make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": CLIP}))
    with Home(tmp_path / "home", second=second_disk / "store", settings=SETTINGS, drivers=[card]) as home:
        home.offload(card.docked)
        card.unreadable = {"DCIM"}
        result = home.service.clear_recorder(card.docked, home.actor)
        assert (result.released, reasons(result)) == ([], {"policy-unmet"})
        assert {row.state for row in home.rows()} == {RecordingState.STORED}
        card.unreadable = set()
        assert len(home.service.clear_recorder(card.docked, home.actor).released) == 1
        assert files(card.root) == []


def test_r08_files_below_our_limits_make_the_docking_incomplete_and_clear_nothing(home: Home, card: Path) -> None:
    deep = card.joinpath(*["d"] * SOURCE_DEPTH_MAX)
    deep.mkdir(parents=True)
    (deep / gb_name(counter=9)).write_bytes(CLIP)
    result = home.offload(card)
    assert (result.outcome, len(result.acquired)) == ("interrupted", 2)
    assert isinstance(result.error, MediumError)
    cleared = clear(home, card)
    assert (cleared.released, reasons(cleared), len(files(card))) == ([], {"policy-unmet"}, 2)


def test_another_name_of_kept_bytes_that_comes_back_after_clearing_is_read_again(home: Home, tmp_path: Path) -> None:
    """A card that was pulled right after the removal may have the file again: it must not stay there unseen for ever."""
    card = make_gb_tree(tmp_path / "twins", {f"DCIM/{gb_name()}": CLIP, f"DCIM/{gb_name(mark='_IMP')}": CLIP})
    home.offload(card)
    twin = next(row for row in home.rows() if row.state is RecordingState.DUPLICATE)
    path = card / twin.source.path
    stamp = path.stat().st_mtime_ns
    clear(home, card)
    path.write_bytes(CLIP)
    os.utime(path, ns=(stamp, stamp))
    assert len(home.offload(card).acquired) == 1
    assert len(clear(home, card).released) == 1
    assert files(card) == []


def test_a_kill_between_removal_and_commit_is_finished_by_the_next_clearing(
    home: Home, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.offload(card)

    def killed(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(home.service._releaser, "_say_released", killed)
        with pytest.raises(KeyboardInterrupt):
            clear(home, card)
    assert len(files(card)) == 1
    assert len(clear(home, card).released) == 2
    assert {row.state for row in home.rows()} == {RecordingState.RELEASED}
    home.check()


def test_another_name_of_kept_bytes_is_cleared_too_and_stays_a_duplicate(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "twins", {f"DCIM/{gb_name()}": CLIP, f"DCIM/{gb_name(mark='_IMP')}": CLIP})
    home.offload(card)
    assert len(clear(home, card).released) == 2
    assert files(card) == []
    assert sorted(row.state for row in home.rows()) == [RecordingState.DUPLICATE, RecordingState.RELEASED]
    assert all(row.released_at for row in home.rows())
    assert clear(home, card) == ClearResult()
    home.check()


def test_what_a_person_must_look_at_is_not_cleared_by_itself(home: Home, tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "odd", {"DCIM/unknown name.mp4": CLIP})
    home.offload(card)
    assert clear(home, card, ClearingMode.AUTOMATIC).released == []
    assert len(clear(home, card, ClearingMode.MANUAL).released) == 1


def test_only_the_recordings_asked_for_are_cleared(home: Home, card: Path) -> None:
    one = home.offload(card).acquired[0]
    result = home.service.clear_recorder(home.dock(card), home.actor, recordings=[one])
    assert result.released == [one]
    assert len(files(card)) == 1


def test_the_same_file_on_a_cleared_card_again_is_read_again_and_joined(home: Home, card: Path) -> None:
    home.offload(card)
    clear(home, card)
    path = card / "DCIM" / gb_name(counter=1)
    path.write_bytes(CLIP + bytes([1]))
    os.utime(path, (1_790_000_000, 1_790_000_000))
    result = home.offload(card)
    assert [home.row(one).state for one in result.acquired] == [RecordingState.DUPLICATE]
    assert isinstance(home.dock(card), DockedDevice)
    assert DigestMismatchError.exit_code == 1


def test_promise_1_a_store_that_another_process_moved_away_from_a_moment_ago_counts_no_more(
    home: Home, card: Path
) -> None:
    home.offload(card)
    switch_away(home, "second")
    assert home.stores.old == frozenset()  # nobody has told this process
    result = clear(home, card)
    assert (result.released, reasons(result)) == ([], {"policy-unmet"})
    assert len(files(card)) == 2


def test_promise_1_a_store_that_is_moved_away_from_while_copies_are_checked_counts_no_more(
    home: Home, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.offload(card)
    real, moved = Releaser._require_same_bytes, []

    def meanwhile(*args: object, **kwargs: object) -> None:
        if not moved:
            moved.append(1)
            switch_away(home, "second")
        real(*args, **kwargs)

    monkeypatch.setattr(Releaser, "_require_same_bytes", meanwhile)
    result = clear(home, card)
    assert (result.released, reasons(result)) == ([], {"policy-unmet"})
    assert len(files(card)) == 2


def test_promise_1_nobody_removes_the_bytes_while_their_recorder_is_cleared(
    home: Home, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.offload(card)
    home.clock.advance(days=800)  # no first lock stands in the way
    with home.catalogue.begin() as uow:
        uow.clock_marks.set_to(home.clock.now().wall)
    brake = Brake(home.catalogue, recorder=home.recorder, clock=home.clock)
    remover = Remover(
        RemovalParts(
            catalogue=home.catalogue,
            recorder=home.recorder,
            stores=home.stores,
            clock=home.clock,
            brake=brake,
            guards=(),
        )
    )
    real, refused = Releaser._require_same_bytes, []

    def meanwhile(self: Releaser, session: object, row: RecordingRow, *args: object, **kwargs: object) -> None:
        with pytest.raises(StateConflictError, match="brought in"):
            remover.release(row.sha256, f"recording:{row.id}", reason="cleared")
        refused.append(row.id)
        real(self, session, row, *args, **kwargs)

    monkeypatch.setattr(Releaser, "_require_same_bytes", meanwhile)
    assert len(clear(home, card).released) == len(refused) == 2
    for row in home.rows():
        assert [store.exists(row.sha256) for store in home.stores] == [True, True]


def test_promise_1_bytes_that_are_being_removed_keep_their_file_on_the_recorder(home: Home, card: Path) -> None:
    home.offload(card)
    with home.catalogue.begin() as uow:
        for row in home.rows():
            going = RemovalRow(
                sha256=row.sha256, holder=f"recording:{row.id}", reason="cleared", state=REMOVING, copies=[],
                size_bytes=row.size_bytes, begun_at=home.clock.now().wall,
            )  # fmt: skip
            uow.references.put_removal(going)
    result = clear(home, card)
    assert (result.released, len(result.kept)) == ([], 2)
    assert len(files(card)) == 2


def test_promise_1_another_disk_in_the_place_of_a_store_is_looked_at_anew(
    home: Home, card: Path, tmp_path: Path
) -> None:
    """The second disk was exchanged, unseen by anybody, for a folder of the first one that carries the same marker."""
    home.offload(card)
    clone = tmp_path / "clone"
    subprocess.run(["cp", "-a", str(home.second.root), str(clone)], check=True)
    with mounted_over(home.second.root, clone):
        result = clear(home, card)
        assert (result.released, reasons(result)) == ([], {"policy-unmet"})
        assert home.second.properties.domain == home.primary.properties.domain
    assert len(files(card)) == 2
    assert len(clear(home, card).released) == 2


def test_promise_7_a_bad_copy_that_is_met_while_clearing_is_told(home: Home, card: Path) -> None:
    home.offload(card)
    _flip_copy(home)
    result = clear(home, card)
    assert "copy-bad" in home.findings()
    assert len(files(card)) + len(result.released) == 2
    with home.catalogue.read() as uow:
        assert len(uow.store_states.bad_copies()) >= 1


def switch_away(home: Home, store: str) -> None:
    """As `liuhen storage migrate --switch` of another process writes it down."""
    now = home.clock.now().wall
    with home.catalogue.begin() as uow:
        uow.moves.add(
            StoreMoveRow(
                id="1", source=store, target="third", state=SWITCHED, started_at=now, switched_at=now, detail="{}"
            )
        )
