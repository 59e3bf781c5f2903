"""Whoever watches a docking cannot stop it."""

from __future__ import annotations

from pathlib import Path

from catalogue.records import ProgressRow
from support.home import Home
from support.recorders import gb_name, make_gb_tree


def test_an_onlooker_whose_terminal_was_closed_does_not_end_the_docking(tmp_path: Path) -> None:
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": bytes([n]) * 9000 for n in range(1, 4)})
    calls = []

    def gone(row: ProgressRow) -> None:
        calls.append(row)
        raise BrokenPipeError

    with Home(tmp_path / "home") as home:
        result = home.service.offload(home.dock(card), home.actor, register=True, on_progress=gone)
        home.settle()
        assert (result.outcome, len(result.acquired)) == ("complete", 3)
        assert all(home.row(recording).sealed for recording in result.acquired)
        home.check()
    assert len(calls) == 1
