"""Who can write to an open target must not say which files a restore, often run as root, writes where."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.home import Home
from app.restored_files import begin, remove_unfinished, require_restorable, write_files
from assurance.backup import BackedUpFile, BackupManifest, new_id
from assurance.backup_places import FolderPlace
from assurance.backup_repository import BackupRepository
from assurance.backup_seal import Seal
from evidence.errors import ConfigError, ManifestInvalidError
from storage import master_keys
from support import whole_home

AT = datetime(2026, 11, 26, 22, 45, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_keys, "_SCRYPT_N", 1 << 4)


class Target:
    def __init__(self, root: Path) -> None:
        (root / "target").mkdir()
        self.repository = BackupRepository(FolderPlace(root / "target"), Seal(None))
        self.home = Home(root / "home")

    def restore(self, data: bytes, path: str, outside: str = "") -> list[str]:
        writer = self.repository.writer()
        pieces = (writer.put(data),)
        writer.close()
        file = BackedUpFile(
            path=path, mode=0o600, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), pieces=pieces,
            outside=outside,
        )  # fmt: skip
        manifest = BackupManifest(
            id=new_id(AT), made_at=AT, station="s", origin="o", vkey="v", program="0", engine="sqlite", revision="0002",
            rows={}, log_size=0, log_root="", dump=(), dump_sha256="", files=(file,), stores=(),
        )  # fmt: skip
        self.repository.finish(manifest)
        return write_files(self.home, self.repository, self.repository.manifest(manifest.id))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def key_file(folder: Path) -> bytes:
    master_keys.save(folder / "made.key", bytes(32), passphrase=b"a sentence of some length")
    return (folder / "made.key").read_bytes()


def test_a_master_key_goes_back_to_its_place_outside_of_the_home(target: Target, tmp_path: Path) -> None:
    data = key_file(tmp_path)
    place = tmp_path / "usb/master.key"
    assert target.restore(data, "keys/master.key", str(place)) == [str(place)]
    assert place.read_bytes() == data
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"* * * * * root id\n", b"ssh-ed25519 AAAA thief\n", b"{}", b""])
def test_nothing_but_a_master_key_is_written_outside_of_the_home(target: Target, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ManifestInvalidError):
        target.restore(data, "keys/master.key", str(tmp_path / "cron.d/job"))
    assert not (tmp_path / "cron.d").exists()


@pytest.mark.parametrize("outside", ["relative/master.key", "/tmp/../etc/master.key", "/x/./y"])
def test_a_place_outside_is_a_plain_absolute_path(target: Target, tmp_path: Path, outside: str) -> None:
    with pytest.raises(ManifestInvalidError):
        target.restore(key_file(tmp_path), "keys/master.key", outside)


@pytest.mark.parametrize(
    "path", ["app.db", "stores/primary/objects/x", "log/x", "service/jobs.db", "config.toml.unfinished"]
)
def test_in_the_home_only_keys_and_the_log_are_written(target: Target, path: str) -> None:
    with pytest.raises(ManifestInvalidError):
        target.restore(b"x", path)
    assert not (target.home.root / path).exists()


def test_keys_are_written_for_their_owner_alone(target: Target) -> None:
    target.restore(b"secret", "keys/station.key")
    assert (target.home.root / "keys/station.key").stat().st_mode & 0o777 == 0o600


def test_a_home_that_works_is_never_taken_for_an_unfinished_restore(tmp_path: Path) -> None:
    """A restore died after its last file and before it removed its marker; one day ``config.toml`` is mislaid."""
    home = whole_home.make(tmp_path / "home", whole_home.config())
    begin(home, new_id(AT))
    with whole_home.at_work(home):
        pass
    settings = home.require()
    home.config.unlink()
    with pytest.raises(ConfigError, match="not empty"):
        require_restorable(home, settings)
    remove_unfinished(home)
    assert home.station_key.exists()
    assert (home.root / "app.db").exists()
