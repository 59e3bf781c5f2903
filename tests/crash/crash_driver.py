"""A small program that is killed at every step: offload one card, store and seal what it brought. Run again, it goes on.

Usage: main(HOME, CARD, init|run|check|finish, ATTEMPT) in a process of its own (see ``support.zygote``).

``finish`` looks whether what the death left is sound, then is run and check; ``check`` prints what must be true of a sound
and complete home, as JSON, or fails. ATTEMPT fixes the clock and what is random, so that an attempt repeated from the same
home makes the same system calls, and no two attempts make the same identities.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from assurance.report import Verdict
from evidence.model import RecordingState
from evidence.transfer import transfer
from ingest.store import ensure_stored
from storage import partial
from support.home import NOON, Home, RunningClock

STEP_BYTES = 64 << 10
ROOMY = os.statvfs_result((4096, 4096, 1 << 24, 1 << 23, 1 << 23, 1 << 20, 1 << 20, 1 << 20, 0, 255))


def run(home: Home, card: Path) -> None:
    # The address is entered too; a relative one is the same wherever a test keeps its files.
    docked = replace(home.dock(card), slot="dock", address=os.path.relpath(card))
    home.service.offload(docked, home.actor, register=True)
    with home.catalogue.read() as uow:
        waiting = uow.recordings.by_state({RecordingState.ACQUIRED})
    for row in waiting:
        ensure_stored(home.parts, row.id)
    for row in home.rows():  # what a crash left behind is tidied by the same step
        ensure_stored(home.parts, row.id)
    home.seal()


def look(home: Home) -> None:
    """At no moment may anything stand anywhere that a later look would call tampering or loss."""
    verified = home.verify()
    assert verified.verdict is Verdict.GOOD, verified.findings


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


def finish(home: Home, card: Path) -> None:
    look(home)
    run(home, card)
    check(home, card)


ACTS: dict[str, Callable[[Home, Path], None]] = {
    "init": lambda _home, _card: None, "run": run, "check": check, "finish": finish,
}  # fmt: skip


def main(root: str, card: str, act: str, attempt: str) -> None:
    os.chdir(Path(card).parent)
    # Small steps, so that even a small recording is secured on the way and goes on in its middle.
    transfer.__kwdefaults__["buffer_bytes"] = partial.SECURE_EVERY_BYTES = STEP_BYTES
    # Every identity, salt and temporary name comes from here (``secrets`` asks the second name).
    os.urandom = random._urandom = random.Random(int(attempt)).randbytes
    os.statvfs = os.fstatvfs = lambda _disk: ROOMY  # free space is entered in the log, and other programs change it
    with Home(Path(root), clock=RunningClock(NOON + timedelta(seconds=10 * int(attempt)))) as home:
        ACTS[act](home, Path(card))
