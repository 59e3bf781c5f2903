"""The master key from its settings, a change of its passphrase at every crash point, and the place for plain files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import encryption
from app.encryption import (
    DeferredMaster,
    change_passphrase,
    make_master,
    make_scratch,
    new_passphrase,
    open_master,
    read_secret,
    scratch_below,
    sweep_scratch,
)
from app.home import Home
from app.settings import EncryptionSettings
from evidence.errors import (
    ConfigError,
    EvidenceError,
    KeyUnavailableError,
    MasterKeyUnavailableError,
    StoreError,
)
from storage import master_keys

OLD, NEW = "the old sentence of the key", "the new sentence of the key"
WANTED = EncryptionSettings(enabled=True, passphrase_file=Path("keys/words"))


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "_SCRYPT_N", 1 << 4)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home/keys").mkdir(parents=True)
    return Home(tmp_path / "home")


def test_a_master_key_is_made_once_and_opens_with_its_passphrase(home: Home) -> None:
    made = make_master(home, WANTED, passphrase=OLD)
    assert open_master(home, WANTED).id == made.id
    assert (home.root / "keys/words").read_text() == OLD + "\n"
    with pytest.raises(KeyUnavailableError):
        make_master(home, WANTED, passphrase=NEW)
    assert open_master(home, WANTED).id == made.id


@pytest.mark.parametrize("trouble", ["wrong", "gone", "empty", "readable", "no key file"])
def test_what_keeps_a_master_key_shut_is_an_error_that_says_so(home: Home, trouble: str) -> None:
    make_master(home, WANTED, passphrase=OLD)
    words = home.root / "keys/words"
    if trouble == "wrong":
        words.write_text(NEW)
    elif trouble == "gone":
        words.unlink()
    elif trouble == "empty":
        words.write_text("\n")
    elif trouble == "readable":
        words.chmod(0o644)
    else:
        (home.root / "keys/master.key").unlink()
    with pytest.raises(MasterKeyUnavailableError) as told:
        DeferredMaster(home, WANTED).wrap(bytes(32))
    assert told.value.diagnostics()


@pytest.mark.parametrize("step", range(1, 6))
def test_a_change_of_the_passphrase_that_is_cut_short_leaves_a_key_that_opens(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    made = make_master(home, WANTED, passphrase=OLD)
    calls = 0

    def cut(real):
        def counted(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == step:
                raise StoreError("the power is gone")
            return real(*arguments, **named)

        return counted

    with monkeypatch.context() as patch:
        for name in ("write_secret", "save", "publish"):
            patch.setattr(encryption, name, cut(getattr(encryption, name)))
        try:
            change_passphrase(home, WANTED, NEW)
        except StoreError:
            assert open_master(home, WANTED).id == made.id
    change_passphrase(home, WANTED, NEW)
    assert read_secret(home.root / "keys/words") == NEW.encode()
    assert open_master(home, WANTED).id == made.id
    assert sorted(path.name for path in (home.root / "keys").iterdir()) == ["master.key", "words"]


def test_a_bare_key_and_a_credential_have_no_passphrase_to_change(home: Home) -> None:
    for wanted in (EncryptionSettings(), EncryptionSettings(master="systemd")):
        with pytest.raises(ConfigError):
            change_passphrase(home, wanted, NEW)
    with pytest.raises(ConfigError):
        make_master(home, EncryptionSettings(master="systemd"), passphrase="")


def test_a_passphrase_is_never_written_into_an_empty_mount_point(home: Home, tmp_path: Path) -> None:
    wanted = EncryptionSettings(passphrase_file=tmp_path / "not-mounted/words")
    with pytest.raises(StoreError):
        make_master(home, wanted, passphrase=OLD)
    assert not (home.root / "keys/master.key").exists()


def test_made_passphrases_differ_and_are_long() -> None:
    made = {new_passphrase() for _ in range(20)}
    assert len(made) == 20
    assert {len(words) for words in made} == {47}


def test_plain_files_are_laid_only_where_no_disk_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as told:
        make_scratch(tmp_path / "liuhen-x")
    assert "no protected scratch" in told.value.what
    assert not (tmp_path / "liuhen-x").exists()
    folder = scratch_below(Path("/dev/shm"), Home(tmp_path))
    assert folder != scratch_below(Path("/dev/shm"), Home(tmp_path / "other"))
    make_scratch(folder)
    try:
        (folder / "describe-1").mkdir()
        (folder / "describe-1/frame.jpg").write_bytes(b"x")
        assert sweep_scratch(folder) == 1
        assert list(folder.iterdir()) == []
        folder.chmod(0o755)
        with pytest.raises(EvidenceError):
            make_scratch(folder)
    finally:
        os.rmdir(folder)  # noqa: PTH106
    assert sweep_scratch(folder) == 0


@pytest.mark.parametrize("step", range(1, 6))
def test_a_second_change_after_one_that_was_cut_short_may_be_cut_short_as_well(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    made = make_master(home, WANTED, passphrase=OLD)
    write, calls = encryption.write_secret, 0

    def cut_last(path: Path, words: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreError("the power is gone")
        write(path, words)

    with monkeypatch.context() as patch:
        patch.setattr(encryption, "write_secret", cut_last)
        with pytest.raises(StoreError):
            change_passphrase(home, WANTED, NEW)
    calls = 0

    def cut(real):
        def counted(*arguments, **named):
            nonlocal calls
            calls += 1
            if calls == step:
                raise StoreError("the power is gone")
            return real(*arguments, **named)

        return counted

    with monkeypatch.context() as patch:
        for name in ("write_secret", "save", "publish"):
            patch.setattr(encryption, name, cut(getattr(encryption, name)))
        with pytest.raises(StoreError):
            change_passphrase(home, WANTED, "a third sentence of the key")
    assert open_master(home, WANTED).id == made.id


def test_a_link_planted_in_the_place_of_the_scratch_costs_nothing(tmp_path: Path) -> None:
    """The name can be known to everybody who may write to /dev/shm."""
    (tmp_path / "footage/objects").mkdir(parents=True)
    (tmp_path / "footage/objects/one").write_bytes(b"x")
    planted = tmp_path / "liuhen-0123456789abcdef"
    planted.symlink_to(tmp_path / "footage")
    with pytest.raises(StoreError, match="not a folder of this account"):
        sweep_scratch(planted)
    assert (tmp_path / "footage/objects/one").read_bytes() == b"x"


def test_a_process_that_opened_the_master_key_leaves_no_core(home: Home) -> None:
    make_master(home, WANTED, passphrase=OLD)
    script = (
        "import resource, sys; from pathlib import Path; from app.encryption import DeferredMaster; from app.home import Home;"
        "from app.settings import EncryptionSettings as E; "
        "DeferredMaster(Home(Path(sys.argv[1])), E(enabled=True, passphrase_file=Path('keys/words'))).open();"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(home.root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0)"
