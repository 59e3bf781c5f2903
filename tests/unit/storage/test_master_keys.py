"""Master keys: what a file, a credential and a token give, and what each refuses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from evidence import canonical
from evidence.errors import ConfigError, KeyUnavailableError
from storage import master_keys
from storage.master_keys import CredentialMaster, FileMaster, MemoryMaster
from storage.master_pkcs11 import Pkcs11Master

KEY = bytes(range(32))
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(master_keys, "_SCRYPT_N", 1 << 10)


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_file_gives_the_master_that_was_made(tmp_path, passphrase):
    path = tmp_path / "keys" / "master.json"
    made = FileMaster.create(path, passphrase=passphrase)
    again = FileMaster(path, passphrase=passphrase)
    assert again.id == made.id
    assert again.unwrap(made.wrap(KEY)) == KEY
    assert len(made.wrap(KEY)) == 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.export().hex() not in path.read_text("utf-8")
    assert made.export().hex() not in repr(made)


def test_a_passphrase_that_is_wrong_missing_empty_or_needless_is_refused(tmp_path):
    under, bare = tmp_path / "under.json", tmp_path / "bare.json"
    FileMaster.create(under, passphrase=b"right")
    FileMaster.create(bare)
    for path, passphrase in ((under, b"wrong"), (under, None), (bare, b"right")):
        with pytest.raises(KeyUnavailableError):
            FileMaster(path, passphrase=passphrase)
    with pytest.raises(KeyUnavailableError):
        FileMaster.create(tmp_path / "empty.json", passphrase=b"")
    assert not (tmp_path / "empty.json").exists()


def test_a_key_file_is_never_replaced(tmp_path):
    path = tmp_path / "master.json"
    FileMaster.create(path)
    before = path.read_bytes()
    with pytest.raises(KeyUnavailableError):
        FileMaster.create(path)
    assert path.read_bytes() == before


def test_a_file_that_others_can_read_a_link_and_a_missing_one_are_refused(tmp_path):
    path = tmp_path / "master.json"
    FileMaster.create(path)
    path.chmod(0o640)
    with pytest.raises(KeyUnavailableError, match="others can read"):
        FileMaster(path)
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    for other in (tmp_path / "link", tmp_path / "none", tmp_path):
        with pytest.raises(KeyUnavailableError):
            FileMaster(other)


def _changed(text: bytes, **changes) -> bytes:
    fields = canonical.loads(text) | changes
    return canonical.dumps({name: value for name, value in fields.items() if value is not None})


@pytest.mark.parametrize(
    "changes",
    [{"format": "liuhen_master_2"}, {"kdf": "argon"}, {"n": 3}, {"n": 1 << 40}, {"r": 0}, {"p": 10**6}, {"n": "1024"},
     {"salt": None}, {"salt": "!!"}, {"key": "AAAA"}, {"key": 5}, {"more": 1}],
)  # fmt: skip
def test_a_malformed_key_file_is_one_of_our_errors(tmp_path, changes):
    path = tmp_path / "master.json"
    FileMaster.create(path, passphrase=b"right")
    path.write_bytes(_changed(path.read_bytes(), **changes))
    with pytest.raises(KeyUnavailableError):
        FileMaster(path, passphrase=b"right")


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b"x" * 5000, b'{"format":"liuhen_master_1"}'])
def test_what_is_no_key_file_is_refused(tmp_path, text):
    path = tmp_path / "master.json"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(KeyUnavailableError):
        FileMaster(path)


def test_a_credential_is_raw_bytes_or_a_bare_file(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "raw").write_bytes(KEY)
    FileMaster.create(tmp_path / "file.json")
    raw, file = CredentialMaster("raw"), CredentialMaster("file.json")
    assert raw.id == MemoryMaster(KEY, kind="file").id
    assert (raw.kind, file.kind) == ("systemd", "systemd")
    (tmp_path / "short").write_bytes(KEY[:-1])
    for name in ("short", "none"):
        with pytest.raises(KeyUnavailableError):
            CredentialMaster(name)
    for name in ("../raw", "", "a/b"):
        with pytest.raises(ConfigError):
            CredentialMaster(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(KeyUnavailableError):
        CredentialMaster("raw")


def test_what_another_master_wrapped_or_was_changed_does_not_open():
    one, other = MemoryMaster(KEY, kind="file"), MemoryMaster(bytes(32), kind="file")
    assert one.id != other.id
    wrapped = one.wrap(KEY)
    for bad in (other.wrap(KEY), wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b""):
        with pytest.raises(KeyUnavailableError):
            one.unwrap(bad)
    for bad in (b"", b"x" * 31):
        with pytest.raises(KeyUnavailableError):
            one.wrap(bad)
        with pytest.raises(KeyUnavailableError):
            MemoryMaster(bad, kind="file")


# --- a token ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A software token; one for this process, for its module reads its settings once."""
    assert Path(SOFTHSM).exists(), "apt install softhsm2 (tools/system-packages.sh test)"
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", "utf-8"
    )
    os.environ["SOFTHSM2_CONF"] = str(config)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "bureau", "--so-pin", "87654321", "--pin", "1234"],
        check=True, capture_output=True,
    )  # fmt: skip
    return "bureau"


def test_a_token_wraps_and_never_gives_its_key(token):
    made = Pkcs11Master.create(SOFTHSM, token, "master", "1234")
    again = Pkcs11Master(SOFTHSM, token, "master", "1234")
    assert (again.id, again.kind, again.export()) == (made.id, "pkcs11", None)
    assert "1234" not in repr(made)
    wrapped = made.wrap(KEY)
    assert len(wrapped) == 40
    assert wrapped == again.wrap(KEY)
    assert again.unwrap(wrapped) == KEY
    other = Pkcs11Master.create(SOFTHSM, token, "other", "1234")
    assert other.id != made.id
    for bad in (other.wrap(KEY), wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"", wrapped[:-1]):
        with pytest.raises(KeyUnavailableError):
            made.unwrap(bad)
    with pytest.raises(KeyUnavailableError):
        made.wrap(b"short")
    with pytest.raises(KeyUnavailableError, match="already"):
        Pkcs11Master.create(SOFTHSM, token, "master", "1234")


def test_a_token_that_is_away_a_wrong_pin_and_a_missing_module_are_told(token):
    for arguments in ((token, "none", "1234"), (token, "master", "9999"), ("elsewhere", "master", "1234")):
        with pytest.raises(KeyUnavailableError):
            Pkcs11Master(SOFTHSM, *arguments)
    with pytest.raises(ConfigError):
        Pkcs11Master("/nonexistent/module.so", token, "master", "1234")
