"""Copies move between real stores with the program as a person runs it: local, bucket, another disk; also the first store."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.home import Home
from support import seaweed, whole_home
from support.footage import clips
from support.mounts import loop_ext4, tmpfs
from support.recorders import gb_name, make_gb_tree
from support.whole_home import at_work, bucket, config, liuhen, local

pytestmark = pytest.mark.e2e


def footage(root: Path, first: int, count: int) -> Path:
    clip = clips(root.with_name(f"{root.name}-clips"))
    media: dict[str, bytes | Path] = {f"DCIM/{gb_name(counter=n)}": next(clip) for n in range(first, first + count)}
    return make_gb_tree(root, media)


def reconfigure(home: Home, *stores: dict[str, object]) -> None:
    (home.root / "config.toml").write_text(config(stores=stores))
    liuhen("storage", "init", "--home", home.root)


def migrate(home: Home, *arguments: str, expect: int = 0):
    return liuhen("storage", "migrate", "--home", home.root, *arguments, expect=expect)


def test_a_local_store_moves_to_a_bucket_and_on_to_a_disk_of_its_own(tmp_path: Path) -> None:
    primary, second = local("primary", "stores/primary"), local("second", "stores/second")
    far = bucket(seaweed.shared(), tmp_path / "keys")
    home = whole_home.make(tmp_path / "home", config(stores=[primary, second]))
    liuhen("ingest", footage(tmp_path / "card", 1, 2), "--home", home.root, "--register")
    reconfigure(home, primary, second, far)

    begun = migrate(home, "--from", "second", "--to", "bucket")
    assert (begun["state"], begun["left"], begun["next"]) == ("copying", 0, "switch")
    assert migrate(home, "--finish", expect=50)["error"]["code"] == "state-conflict"
    assert migrate(home, "--switch")["next"] == "finish"
    liuhen(
        "ingest", footage(tmp_path / "another", 5, 1), "--home", home.root, "--register"
    )  # gets no copy in the old store
    held = migrate(
        home, "--finish", "--remove"
    )  # the first locks of its copies stand: told with their date, nothing goes
    assert held["state"] == "finishing"
    assert "until" in held["trouble"]
    assert migrate(home, "--finish")["next"] == "remove-from-config"  # so the bytes stay on the old disk
    assert migrate(home, "--status")["state"] == "ended"
    report = liuhen("verify", "--home", home.root)
    assert report["findings"] == []
    assert {"store-given-up"} <= {note["kind"] for note in report["notes"]}
    with tmpfs(tmp_path / "vault") as disk:  # a loop device would be found out to be this very disk
        vault = local("vault", disk / "store")
        reconfigure(home, primary, far, vault)
        migrate(home, "--from", "bucket", "--to", "vault")
        migrate(home, "--switch")
        assert migrate(home, "--finish")["state"] == "ended"
        reconfigure(home, primary, vault)
        assert liuhen("verify", "--home", home.root)["verdict"] == "good"


def test_the_first_store_moves_under_a_service_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    primary, second = local("primary", "stores/primary"), local("second", "stores/second")
    home = whole_home.make(tmp_path / "home", config(stores=[primary, second]))
    liuhen("ingest", footage(tmp_path / "card", 1, 3), "--home", home.root, "--register")
    with loop_ext4(tmp_path / "vault", tmp_path / "vault.img") as disk:
        vault = local("vault", disk / "store")
        reconfigure(home, primary, second, vault)
        command = [sys.executable, "-m", "app.cli.main", "storage", "migrate", "--home", str(home.root)]
        running = subprocess.Popen(
            [*command, "--from", "primary", "--to", "vault", "--json"], stdout=subprocess.DEVNULL
        )
        objects = disk / "store/objects/sha256"
        end = time.monotonic() + 60
        while running.poll() is None and time.monotonic() < end and not any(objects.rglob("*/*/*")):
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
        with at_work(home) as service:
            whole_home.until(lambda: migrate(home, "--status")["left"] == 0, timeout_s=150)
            assert migrate(home, "--status")["next"] == "change-first-store"
            assert migrate(home, "--switch", expect=50)["error"]["code"] == "state-conflict"
            assert service.trouble == []
        reconfigure(home, vault, second, primary)  # what the operator edits
        migrate(home, "--switch")
        assert migrate(home, "--finish")["state"] == "ended"
        wrong = config(stores=[primary, second, vault])
        (home.root / "config.toml").write_text(wrong)
        assert liuhen("storage", "migrate", "--home", home.root, "--status", expect=2)["error"]["code"] == "config"
        reconfigure(home, vault, second)
        liuhen("ingest", footage(tmp_path / "another", 7, 1), "--home", home.root, "--register")
        assert liuhen("verify", "--home", home.root)["verdict"] == "good"
    assert any((home.root / "stores/primary/objects").rglob("*/*/*/*"))
