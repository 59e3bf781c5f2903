"""A small program that is killed at every step: offload one card, store and seal what it brought. Run again, it goes on.

Usage: crash_driver.py HOME CARD init|run|check|finish

``finish`` is run and check; ``check`` prints what must be true of a sound and complete home, as JSON, or fails.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evidence.clock import SystemClock
from evidence.model import RecordingState
from ingest.store import ensure_stored
from support.home import Home


def run(home: Home, card: Path) -> None:
    home.service.offload(home.dock(card), home.actor, register=True)
    with home.catalogue.read() as uow:
        waiting = uow.recordings.by_state({RecordingState.ACQUIRED})
    for row in waiting:
        ensure_stored(home.parts, row.id)
    for row in home.rows():  # what a crash left behind is tidied by the same step
        ensure_stored(home.parts, row.id)
    home.seal()


def check(home: Home, card: Path) -> None:
    home.check()
    files = {path.name: path.read_bytes() for path in card.rglob("*.mp4")}
    kept: dict[str, str] = {}
    for row in home.rows():
        assert row.state in (RecordingState.STORED, RecordingState.DUPLICATE), (row.name, row.state)
        original = home.row(row.duplicate_of) if row.duplicate_of else row
        assert original.sealed
        assert home.entries(row.id).count("recording.stored") == (row.duplicate_of is None)
        for store in home.stores.all:
            with store.open(row.sha256) as stream:
                assert stream.read() == files[row.name]
        kept[row.name] = row.state
    assert kept.keys() == files.keys(), "no file is lost and none is there twice"
    assert len(home.rows()) == len(files)
    assert home.primary.partials() == []
    with home.catalogue.read() as uow:
        assert uow.offloads.open() == []
        assert uow.outbox.unsequenced(1) == []
    assert home.findings() == []
    print(json.dumps(kept, sort_keys=True))


def main(root: str, card: str, act: str) -> None:
    with Home(Path(root), clock=SystemClock()) as home:
        if act in ("run", "finish"):
            run(home, Path(card))
        if act in ("check", "finish"):
            check(home, Path(card))


if __name__ == "__main__":
    main(*sys.argv[1:])
