"""Moves between the stores of a home as it is wired: also where its footage is encrypted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.home import Home
from app.moving import behind, migration_of
from app.setup import set_up
from catalogue.store_moves import ENDED
from evidence.ids import RecordingId
from storage.stores import inner_of
from support import whole_home
from support.recorders import gb_name, make_gb_tree
from support.whole_home import at_rest, config, local

ENCRYPTED = """
[storage.encryption]
enabled = true
passphrase_file = "keys/master.passphrase"
"""
FOOTAGE = b"footage that nobody may read on the disk" * 4_000


def text(*names: str, encrypted: bool) -> str:
    return config(stores=[local(name, f"stores/{name}") for name in names]) + (ENCRYPTED if encrypted else "")


def files(root: Path, name: str) -> dict[str, bytes]:
    folder = root / "stores" / name / "objects"
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_home_moves_to_a_new_store_and_reads_everything_from_it(tmp_path: Path, encrypted: bool) -> None:
    home = Home(tmp_path / "home")
    first = text("primary", "second", encrypted=encrypted)
    set_up(home, config=first, login="admin", os_uid=os.getuid(), passphrase="a sentence" if encrypted else "")
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=1)}": FOOTAGE})
    with at_rest(home) as (house, service):
        from devices.mass_storage.driver import MassStorageDriver

        (recording,) = service.offload(MassStorageDriver.docked_at(card), house.service_actor(), register=True).acquired
        service.secure(recording)
        assert [row.state.value for row in whole_home.rows(house)] == ["stored"]
        whole_home.seal(house)
    (home.root / "config.toml").write_text(text("primary", "second", "third", encrypted=encrypted))
    whole_home.liuhen("storage", "init", "--home", home.root)
    with at_rest(home) as (house, service):
        move = migration_of(house)
        move.begin("second", "third")
        assert move.work() == 0
        assert files(home.root, "third") == files(home.root, "second")  # one ciphertext for all copies
        assert any(data == FOOTAGE for data in files(home.root, "third").values()) is not encrypted
        whole_home.seal(house)
        house.archive.sync(house.catalogue)
        assert behind(house, "third") == ""
        move.switch()
        move.finish(remove=False)
        assert move.work() == 0
        assert move.status().move.state == ENDED
        whole_home.seal(house)
        house.archive.sync(house.catalogue)
    (home.root / "config.toml").write_text(text("third", "primary", encrypted=encrypted))
    with at_rest(home) as (house, service):
        with house.catalogue.read() as uow:
            row = uow.recordings.get(RecordingId(recording))
        assert inner_of(house.stores.primary).properties.name == "third"
        with house.stores.primary.open(row.sha256) as stream:
            assert stream.read() == FOOTAGE
        whole_home.seal(house)
        assert whole_home.verify(house).exit_code == 0
