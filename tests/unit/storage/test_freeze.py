"""The freezing helper: freezes what is sound, never what is not, and says so."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evidence.digest import sha256_of
from evidence.errors import ConfigError, StoreUnavailableError
from storage import protection
from storage.freeze import freeze_store, main, store_roots
from support.stores import local_store, unprotect_tree

REPOSITORY = Path(__file__).parents[3]


def put(root: Path, data: bytes) -> Path:
    digest = hashlib.sha256(data).hexdigest()
    path = root / "objects/sha256" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o440)
    return path


def frozen(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return protection.is_immutable(fd)
    finally:
        os.close(fd)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    unprotect_tree(tmp_path)


@pytest.fixture
def stores(home):
    local_store(home / "stores/primary", "primary")
    local_store(home / "stores/second", "second")
    (home / "config.toml").write_text('[station]\nname = "s"\n')
    return home / "stores/primary", home / "stores/second"


@pytest.mark.root
def test_every_sound_object_of_every_store_is_frozen_once(home, stores, capsys):
    paths = [put(root, data) for root in stores for data in (b"one", b"two", b"")]
    assert main(["--home", str(home)]) == 0
    assert all(frozen(path) for path in paths)
    with pytest.raises(PermissionError):
        paths[0].write_bytes(b"x")
    assert main(["--home", str(home)]) == 0
    assert "0 frozen, 3 were, 0 wait" in capsys.readouterr().out


@pytest.mark.root
def test_an_altered_object_is_told_and_never_frozen(home, stores, capsys):
    good, bad = put(stores[0], b"good"), put(stores[0], b"bad")
    bad.chmod(0o640)
    bad.write_bytes(b"baD")
    assert main(["--home", str(home)]) == 1
    assert frozen(good)
    assert not frozen(bad)
    assert bad.name in capsys.readouterr().err


@pytest.mark.root
def test_what_is_no_plain_file_is_told_and_what_is_not_ours_is_left_alone(home, stores):
    target = put(stores[0], b"target")
    digest = hashlib.sha256(b"elsewhere").hexdigest()
    link = stores[0] / "objects/sha256" / digest[:2] / digest[2:4] / digest
    link.parent.mkdir(parents=True)
    link.symlink_to("/etc/hostname")
    fifo = link.with_name(digest[:-4] + "0000")
    os.mkfifo(fifo)
    foreign = target.with_name("notes.txt")
    foreign.write_text("x")
    done = freeze_store(stores[0])
    assert len(done.damaged) == 2
    assert done.frozen == 1
    assert not frozen(foreign)


@pytest.mark.root
def test_an_object_that_is_still_being_adopted_waits_for_the_next_run(home, stores):
    path = put(stores[0], b"adopted")
    partial = stores[0] / "staging/one.part"
    os.link(path, partial)
    assert freeze_store(stores[0]).waiting == 1
    assert not frozen(path)
    partial.unlink()
    assert freeze_store(stores[0]).frozen == 1


@pytest.mark.root
def test_a_store_that_is_away_keeps_no_other_from_being_frozen(home, stores, capsys):
    path = put(stores[1], b"one")
    shutil.rmtree(stores[0])
    assert main(["--home", str(home)]) == StoreUnavailableError.exit_code
    assert frozen(path)
    assert "no store is at" in capsys.readouterr().err


@pytest.mark.root
def test_a_file_system_that_cannot_freeze_is_told(home, capsys):
    memory = Path("/dev/shm") / f"liuhen-freeze-{os.getpid()}"
    try:
        local_store(memory, "second")
        put(memory, b"one")
        (home / "config.toml").write_text(
            f'[[storage.stores]]\nname = "second"\npath = "{memory}"\n[[storage.stores]]\nkind = "s3"\nname = "far"\n'
        )
        try:
            expected_frozen = main(["--home", str(home)]) == 0  # newer kernels know the flag on tmpfs
        finally:
            unprotect_tree(memory)
        assert expected_frozen or "cannot be frozen here" in capsys.readouterr().err
    finally:
        shutil.rmtree(memory)


@pytest.mark.root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv belongs to util-linux")
def test_the_capabilities_of_the_unit_suffice_for_an_identity_that_owns_nothing(home, stores):
    unit = (REPOSITORY / "systemd/liuhen-freeze.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("AmbientCapabilities="))
    names = line.removeprefix("AmbientCapabilities=").split()
    caps = ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in names)])
    path = put(stores[0], b"one")
    for each in (home, *home.rglob("*")):
        os.chown(each, 4242, 4242)
    command = [
        "setpriv", "--reuid", "4343", "--regid", "4242", "--clear-groups", "--inh-caps", caps, "--ambient-caps", caps,
        "--bounding-set", caps, sys.executable, "-m", "storage.freeze", "--home", str(home),
    ]  # fmt: skip
    for parent in home.parents[:3]:  # pytest makes its folders for the owner alone
        parent.chmod(parent.stat().st_mode | 0o055)
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert frozen(path)


@pytest.mark.parametrize(
    "text", ["[storage", "storage = 3", "[storage]\nstores = 5", "[storage]\nstores = [5]",
             '[[storage.stores]]\nname = "x"', "[[storage.stores]]\npath = 7"],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(home, text, capsys):
    (home / "config.toml").write_text(text)
    with pytest.raises(ConfigError):
        store_roots(home)
    assert main(["--home", str(home)]) == 2
    assert capsys.readouterr().err


def test_without_a_home_it_says_so(tmp_path, capsys):
    assert main(["--home", str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.root
def test_lock_records_are_frozen_as_far_as_each_follows_the_one_before_it(home, stores, capsys):
    root = stores[0]
    store = local_store(root, "primary")
    digest = sha256_of(b"one")
    store.put(io.BytesIO(b"one"), sha256=digest, size_bytes=3)
    for number in range(3):
        store.set_hold(digest, reference=f"case-{number}")
    records = sorted((root / "locks").rglob("*.json"))
    assert main(["--home", str(home)]) == 0
    assert "4 frozen" in capsys.readouterr().out
    assert all(frozen(path) for path in records)
    store.release_hold(digest, reference="case-1")  # a frozen chain goes on
    later = records[0].with_name("000003.json")
    later.chmod(0o640)
    later.write_bytes(later.read_bytes().replace(b"case-1", b"case-2"))
    (later.with_name("000004.json")).write_bytes(later.read_bytes())
    assert main(["--home", str(home)]) == 1
    assert str(records[0].parent.relative_to(root)) in capsys.readouterr().err
    assert not frozen(later.with_name("000004.json"))


@pytest.mark.root
@pytest.mark.parametrize("planted", ["link", "folder", "file"])
def test_what_stands_where_a_lock_record_should_be_is_told_and_not_frozen(home, stores, planted, capsys):
    folder = stores[0] / "locks/ab" / ("ab" * 32)
    folder.mkdir(parents=True)
    record = folder / "000000.json"
    match planted:
        case "link":
            record.symlink_to("/etc/hostname")
        case "folder":
            record.mkdir()
        case "file":
            folder.rmdir()
            folder.write_bytes(b"")
    assert main(["--home", str(home)]) == 1
    assert f"locks/ab/{'ab' * 32} is not what was written" in capsys.readouterr().err
