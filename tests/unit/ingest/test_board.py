"""The dock wall's cards: what they say of a slot is true at that moment, or "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evidence.errors import AccessDeniedError, DeviceGoneError, MediumError
from evidence.ids import UnitId
from evidence.model import Action, ClearingMode, RecordingState, Visibility
from ingest.autodock import AutoDock
from ingest.board import DockBoard, DockCard
from support.faulty_card import FaultyCard
from support.home import Home
from support.recorders import gb_name, make_gb_tree

CLIP = b"bytes " * 300_000


class Wall:
    """A dock with one slot and the card that people see of it."""

    def __init__(self, home: Home, card: FaultyCard) -> None:
        self.home = home
        self.card = card
        self.auto = AutoDock(home.service, registry=home.registry, jobs=home.jobs, clock=home.clock)
        self.board = DockBoard(home.service, docked=self.auto.docked, authoriser=home.gate, hint=self.auto.hint)

    def turn(self, *, seal: bool = True, settle: bool = True, **later: float) -> DockCard:
        """Look once, do what is asked for, look at the card."""
        self.home.clock.advance(**later or {"seconds": 2})
        self.auto.step()
        if settle:
            self.home.jobs.drain()
        if seal:
            self.home.seal()
        return self.look()

    def look(self) -> DockCard:
        (card,) = self.board.cards(self.home.actor)
        return card


@pytest.fixture
def card(tmp_path: Path) -> FaultyCard:
    root = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": CLIP + bytes([n]) for n in (1, 2)})
    (root / "sn.txt").write_text("SN00017")
    return FaultyCard(root)


@pytest.fixture
def wall(tmp_path: Path, card: FaultyCard) -> Iterator[Wall]:
    with Home(tmp_path / "home", drivers=[card]) as home:
        home.service.register_device(card.docked, home.actor)
        yield Wall(home, card)


def said(card: DockCard) -> tuple[str, str]:
    return card.state, card.may_unplug


def test_everything_sealed_may_be_unplugged(wall: Wall) -> None:
    assert said(wall.turn(settle=False)) == ("seen", "unknown")
    assert said(wall.turn()) == ("sealed", "yes")
    assert (wall.look().sealed, wall.look().total) == (2, 2)


def test_what_is_not_sealed_may_not_be_unplugged(wall: Wall) -> None:
    wall.turn(seal=False)
    assert said(wall.look()) == ("securing", "no")
    wall.home.seal()
    assert said(wall.look()) == ("sealed", "yes")


def _redock(wall: Wall) -> None:
    left = wall.auto.docked()[0]
    wall.home.service.forget(left)


def test_docked_again_it_waits_for_what_an_earlier_docking_left_unsealed(wall: Wall) -> None:
    wall.turn(seal=False)
    _redock(wall)
    card = wall.turn(seal=False)
    assert (said(card), card.total) == (("securing", "no"), 0)
    wall.home.seal()
    assert said(wall.look()) == ("sealed", "yes")


def test_docked_again_it_waits_for_the_second_copy_of_what_an_earlier_docking_brought(wall: Wall) -> None:
    away = wall.home.second.root / "away"
    marker = wall.home.second.root / "0=liuhen_store_1"
    marker.rename(away)
    wall.turn()
    assert {row.state for row in wall.home.rows()} == {RecordingState.ACQUIRED}
    _redock(wall)
    assert said(wall.turn()) == ("securing", "no")
    away.rename(marker)
    wall.home.service._reconcile_job("")
    assert said(wall.turn()) == ("sealed", "yes")


def test_another_name_of_kept_bytes_is_not_sealed_before_its_entry_is(wall: Wall) -> None:
    wall.turn()
    path = wall.card.root / "DCIM" / gb_name(counter=1, mark="_IMP")
    path.write_bytes(CLIP + bytes([1]))
    _redock(wall)
    card = wall.turn(seal=False)
    assert (said(card), card.sealed, card.total) == (("securing", "no"), 0, 1)
    wall.home.seal()
    assert said(wall.look()) == ("sealed", "yes")


def test_a_file_that_is_still_being_written_leaves_it_open_whether_to_unplug(wall: Wall) -> None:
    (wall.card.root / "DCIM" / gb_name(counter=3, mark="_start")).write_bytes(CLIP)
    assert said(wall.turn()) == ("sealed", "unknown")


def test_r05_an_unknown_recorder_of_which_nothing_was_read_is_not_said_to_be_done(
    tmp_path: Path, card: FaultyCard
) -> None:
    with Home(tmp_path / "home", drivers=[card]) as home:
        assert said(Wall(home, card).turn()) == ("unregistered", "unknown")


def test_a_folder_that_cannot_be_read_is_trouble_and_never_everything_sealed(wall: Wall) -> None:
    wall.card.unreadable = {"DCIM"}
    card = wall.turn()
    assert said(card) == ("failed", "unknown")
    assert card.outcome is not None
    assert card.outcome.error == MediumError.code


def test_while_it_is_tried_again_it_is_said_to_be_read_and_not_to_have_failed(wall: Wall) -> None:
    wall.card.left, wall.card.error = 1_000, DeviceGoneError
    assert said(wall.turn()) == ("failed", "unknown")
    seen: list[DockCard] = []
    wall.card.left, wall.card.after_read = None, lambda _path: seen.append(wall.look())
    wall.turn(minutes=1)
    assert {said(card) for card in seen} == {("offloading", "no")}
    assert said(wall.look()) == ("sealed", "yes")


def test_a_docking_that_broke_is_shown_and_paused_and_not_tried_in_a_loop(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise IndexError

    monkeypatch.setattr(wall.home.service, "offload", broken)
    with pytest.raises(IndexError):
        wall.turn()
    for _ in range(5):
        assert said(wall.turn(seconds=2)) == ("failed", "unknown")
    with pytest.raises(IndexError):
        wall.turn(minutes=16)


@pytest.mark.parametrize("leaves", [True, False])
def test_what_a_job_found_out_about_a_recorder_that_left_is_not_told_of_the_next_one(
    wall: Wall, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    """Pulled after the last byte, before the docking's end: the next recorder in that slot has to be read."""
    offload: Callable[..., object] = wall.home.service.offload

    def and_then_pulled(*args: object, **more: object) -> object:
        result = offload(*args, **more)
        if leaves:
            wall.home.service.forget(wall.card.docked)
        return result

    monkeypatch.setattr(wall.home.service, "offload", and_then_pulled)
    wall.turn()
    assert (wall.home.service.outcome(wall.card.docked) is None) is leaves


def test_r09_who_sees_a_part_of_the_bureau_sees_no_recorder_of_the_rest(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder issued to nobody belongs to its unit, not to everybody without an officer of their own."""
    wall.turn()
    monkeypatch.setattr(wall.home.gate, "visibility", lambda *_asked: Visibility(units=frozenset({UnitId.new(7)})))
    assert wall.board.cards(wall.home.actor) == []


def test_a_folder_that_is_read_by_hand_has_a_card_with_its_progress_and_then_its_end(
    wall: Wall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_gb_tree(tmp_path / "by-hand", {f"DCIM/{gb_name(counter=9)}": CLIP + b"9"})
    docked = wall.home.dock(folder)
    seen: list[DockCard] = []
    monkeypatch.setattr("ingest.progress._INTERVAL_NS", 0)
    wall.home.service.offload(
        docked, wall.home.actor, register=True, on_progress=lambda _row: seen.append(card_of(wall, docked.slot))
    )
    assert {card.state for card in seen} == {"offloading"}
    assert all(card.progress for card in seen)
    assert said(card_of(wall, docked.slot)) == ("securing", "no")
    wall.home.settle()
    assert said(card_of(wall, docked.slot)) == ("sealed", "yes")
    wall.home.clock.advance(minutes=11)
    assert docked.slot not in [card.docked.slot for card in wall.board.cards(wall.home.actor)]


def test_a_recorder_is_cleared_at_the_dock_on_request_and_each_file_that_stays_says_why(
    wall: Wall, card: FaultyCard
) -> None:
    wall.turn()
    settings = replace(wall.home.settings, clearing=ClearingMode.MANUAL, domains_required=1, single_domain_allowed=True)
    object.__setattr__(wall.home.parts, "settings", settings)
    make_gb_tree(card.root, {f"DCIM/{gb_name(counter=7)}": CLIP})
    result = wall.board.clear(wall.home.actor, card.docked.slot)
    assert (len(result.released), result.kept) == (2, {})
    assert result.left == [(f"DCIM/{gb_name(counter=7)}", "not-read")]
    wall.home.gate.forbidden = {Action.DEVICE_RELEASE}
    with pytest.raises(AccessDeniedError):
        wall.board.clear(wall.home.actor, card.docked.slot)


def card_of(wall: Wall, slot: str) -> DockCard:
    return next(card for card in wall.board.cards(wall.home.actor) if card.docked.slot == slot)
