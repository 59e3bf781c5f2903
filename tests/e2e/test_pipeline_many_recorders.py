"""Eight MTP recorders docked at once, small files only: the docks read, store, describe and seal them all by themselves."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from evidence.clock import BUREAU_ZONE, SystemClock
from support import whole_home
from support.recorders import docked_mtp_recorders, gb_name, make_gb_tree

pytestmark = pytest.mark.e2e
RECORDERS, FILES = 8, 4


def an_hour_ago() -> str:
    """As recorders write it in file names: footage that is handed in well within its 24 hours."""
    return (SystemClock().now().wall.astimezone(BUREAU_ZONE) - timedelta(hours=1)).strftime("%Y%m%d%H%M%S")


def test_eight_recorders_docked_at_once_end_sealed_and_good(tmp_path: Path) -> None:
    serials = [f"765432{number}" for number in range(RECORDERS)]
    content, stamp = {}, an_hour_ago()
    for serial in serials:
        names = [
            gb_name(counter=counter, device=serial, stamp=stamp, extension="txt") for counter in range(1, FILES + 1)
        ]
        content[serial] = {f"DCIM/{name}": os.urandom(12).hex().encode("ascii") for name in names}
    # One file that two recorders both hold: one recording is kept, the other refers to it.
    shared = f"DCIM/{gb_name(counter=9, stamp=stamp, extension='txt')}"
    content[serials[0]][shared] = content[serials[1]][shared] = b"the same bytes on two recorders"
    cards = {serial: make_gb_tree(tmp_path / serial, files) for serial, files in content.items()}
    expected = {name.removeprefix("DCIM/") for files in content.values() for name in files}
    with docked_mtp_recorders(cards) as (recorders, _):
        addresses = [f"127.0.0.1:{recorder.address[1]}" for recorder in recorders]
        home = whole_home.make(tmp_path / "home", whole_home.config(docks={"usb_over_ip": addresses}))
        with whole_home.at_work(home, docks=True) as run:
            house = run.house
            admin = whole_home.administrator(house)
            whole_home.until(lambda: len(run.autodock.docked()) == RECORDERS)
            assert whole_home.rows(house) == [], "an unknown recorder is not read"
            for docked in run.autodock.docked():
                whole_home.patiently(lambda docked=docked: run.offloads.register_device(docked, admin))
            whole_home.until(whole_home.all_done(house, RECORDERS * FILES + 2), timeout_s=90)
            found = whole_home.rows(house)
            assert {row.name for row in found} == expected
            assert set(Counter(row.device for row in found).values()) == {FILES, FILES + 1}
            assert sum(row.duplicate_of is not None for row in found) == 1
            with house.catalogue.read() as uow:
                assert {offload.state for offload in uow.offloads.recent(limit=100)} == {"complete"}
                assert not [finding for finding in uow.findings.open() if finding.kind != "device-not-registered"]
            whole_home.until(lambda: not run.engine.live_keys())
    report = whole_home.liuhen("verify", "--home", home.root)
    assert (report["verdict"], report["findings"]) == ("good", [])
    assert report["recordings"] == RECORDERS * FILES + 2
