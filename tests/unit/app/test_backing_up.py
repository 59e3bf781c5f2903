"""What a backup must not carry out of a home, and whose backups it must not let go."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import key_backup
from app.backing_up import BackupWish, Made, make_backup
from app.backup_targets import Unlocking
from app.home import Home
from app.key_backup import back_up
from app.wiring import House
from assurance.backup_places import FolderPlace
from assurance.key_bundle import Bundle, Passphrase, open_with_passphrase
from assurance.keys_state import note_key_made
from evidence.errors import ConfigError
from storage import master_keys
from support import whole_home

ENCRYPTED = '\n[storage.encryption]\nenabled = true\npassphrase_file = "keys/master.passphrase"\n'
WORDS = "a sentence of some length"


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "_SCRYPT_N", 1 << 4)


def encrypted_home(root: Path) -> Home:
    return whole_home.make(root, whole_home.config(storage={"single_domain": True}) + ENCRYPTED)


def backed_up(house: House, target: Path, unlocking: Unlocking | None = None, **more) -> Made:
    target.mkdir(exist_ok=True)
    wish = BackupWish(to=str(target), unlocking=unlocking or Unlocking(), keep=1, **more)
    return make_backup(house, wish, place=FolderPlace(target), actor=whole_home.administrator(house))


def names(made: Made) -> set[str]:
    return {Path(file.path).name for file in made.manifest.files if file.path.startswith("keys/")}


def test_no_master_key_of_any_time_and_no_passphrase_goes_into_an_open_backup(tmp_path: Path) -> None:
    home = encrypted_home(tmp_path / "home")
    keys = home.root / "keys"
    master_keys.save(keys / "master.key.restored", bytes(32))
    master_keys.save(keys / "from-the-safe", bytes(32), passphrase=WORDS.encode())
    secrets = ("master.key.before-17", "master.key.next", "master.passphrase.next", "master.passphrase.before-17")
    for name in secrets:
        (keys / name).write_text(WORDS)
    own = {"station.key", "log.key", "disclosures.key"}
    with whole_home.at_rest(home) as (house, _):
        made = backed_up(house, tmp_path / "open")
        assert names(made) == own
        assert sum("this backup is not encrypted" in told for told in made.manifest.left_out) >= len(secrets) + 2
        assert names(backed_up(house, tmp_path / "bare", with_bare_keys=True)) > own
        (tmp_path / "words").write_text(WORDS)
        (tmp_path / "words").chmod(0o600)
        closed = backed_up(
            house, tmp_path / "closed", Unlocking(encrypt="passphrase", passphrase_file=tmp_path / "words")
        )
        assert {"master.key", "master.passphrase", *secrets} <= names(closed)


def test_two_homes_whose_logs_have_one_name_do_not_share_a_target(tmp_path: Path) -> None:
    ours, theirs = (whole_home.make(tmp_path / name, whole_home.config()) for name in ("one", "two"))
    with whole_home.at_rest(ours) as (house, _):
        kept = backed_up(house, tmp_path / "target").manifest.id
    with whole_home.at_rest(theirs) as (house, _), pytest.raises(ConfigError, match="another home's"):
        backed_up(house, tmp_path / "target")
    assert {path.name for path in (tmp_path / "target/backups").iterdir()} == {kept}


def test_a_bundle_says_which_month_it_lacks_and_the_month_stays_in_no_backup(tmp_path: Path) -> None:
    home = encrypted_home(tmp_path / "home")
    (tmp_path / "safe").mkdir()
    with whole_home.at_rest(home) as (house, _):
        assert house.encryption is not None
        month = house.encryption.ring.current_epoch()
        with house.catalogue.begin() as uow:
            note_key_made(uow, "epoch:2020-01-0123abcd:0123456789abcdef", house.clock.now().wall)
        made = back_up(
            house, whole_home.administrator(house), tmp_path / "safe", [Passphrase("one", WORDS)], told="safe"
        )
        assert any("2020-01-0123abcd" in note for note in made.notes)
        bundle = open_with_passphrase(made.path.read_bytes(), WORDS)
        assert [one.name for one in bundle.files if one.kind == "epoch"] == [month]
        assert any("2020-01-0123abcd" in note for note in bundle.notes)
        with house.catalogue.read() as uow:
            assert uow.settings.get("keys.backed-up") == f'["{month}"]'


def test_every_passphrase_of_a_bundle_was_tried_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = whole_home.make(tmp_path / "home", whole_home.config())
    (tmp_path / "safe").mkdir()
    tried = []

    def opened(data: bytes, text: str) -> Bundle:
        tried.append(text)
        return open_with_passphrase(data, text)

    monkeypatch.setattr(key_backup, "open_with_passphrase", opened)
    with whole_home.at_rest(home) as (house, _):
        both = [Passphrase("first", WORDS), Passphrase("escrow", WORDS + " of somebody else")]
        assert back_up(house, whole_home.administrator(house), tmp_path / "safe", both, told="safe").opened
    assert tried == [one.text for one in both]
