"""What a restore of keys never does: take away the only key, or the only passphrase, that opens what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.encryption import make_master, open_master
from app.home import Home
from app.key_backup import restore_master
from app.settings import EncryptionSettings, parse_text
from assurance.key_bundle import Bundle, BundleFile
from evidence.errors import KeyUnavailableError
from storage import master_keys
from storage.master_keys import FileMaster, MemoryMaster
from support import whole_home

ENCRYPTED = '\n[storage.encryption]\nenabled = true\npassphrase_file = "keys/words"\n'
SETTINGS = parse_text(whole_home.config() + ENCRYPTED)
WANTED = EncryptionSettings(enabled=True, passphrase_file=Path("keys/words"))
OLD, NEW = "the old sentence of the key", "the new sentence of the key"


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "_SCRYPT_N", 1 << 4)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home/keys").mkdir(parents=True)
    return Home(tmp_path / "home")


def bundle_of(key: bytes) -> Bundle:
    held = BundleFile(kind="master", name=MemoryMaster(key, kind="file").id, data=key)
    return Bundle(origin="o", vkey="v", station="s", made_at="", notes=(), files=(held,))


def restored(home: Home, bundle: Bundle):
    return restore_master(home, SETTINGS, bundle, passphrase=lambda: NEW, replace=True, stamp=7)


def test_a_master_key_that_opens_is_never_moved_aside_for_another(home: Home) -> None:
    made = make_master(home, WANTED, passphrase=OLD)
    before = {path.name: path.read_bytes() for path in (home.root / "keys").iterdir()}
    with pytest.raises(KeyUnavailableError, match="is another master key"):
        restored(home, bundle_of(bytes(32)))
    assert {path.name: path.read_bytes() for path in (home.root / "keys").iterdir()} == before
    assert open_master(home, WANTED).id == made.id


def test_the_passphrase_of_what_is_moved_aside_is_moved_aside_with_it(home: Home) -> None:
    make_master(home, WANTED, passphrase=OLD)
    key = home.root / "keys/master.key"
    whole = key.read_bytes()
    key.write_bytes(whole[:-9] + b"AAAA" + whole[-5:])
    done = restored(home, bundle_of(bytes(32)))
    assert sorted(done.aside) == ["master.key.before-7", "words.before-7"]
    assert (home.root / "keys/words.before-7").read_text() == OLD + "\n"
    assert (home.root / "keys/words.before-7").stat().st_mode & 0o777 == 0o600
    assert open_master(home, WANTED).export() == bytes(32)


def test_a_key_whose_change_of_passphrase_was_cut_short_counts_as_there(home: Home) -> None:
    made = make_master(home, WANTED, passphrase=OLD)
    secret = made.export()
    assert secret is not None
    key = home.root / "keys/master.key"
    key.unlink()
    master_keys.save(key, secret, passphrase=NEW.encode())
    (home.root / "keys/words.next").write_text(NEW)
    (home.root / "keys/words.next").chmod(0o600)
    assert restored(home, bundle_of(secret)).kept == ["master"]
    assert FileMaster(key, passphrase=NEW.encode()).id == made.id
