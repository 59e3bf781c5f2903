"""The restore drill: a home is lost, a backup and the stores give it back, with everything that came after the backup."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from app.home import Home
from app.web_services import health_parts_of
from app.wiring import House, build
from assurance.backup import new_id
from assurance.backup_places import FolderPlace
from assurance.backup_repository import BackupRepository
from assurance.backup_seal import Seal
from assurance.facts import evidence_facts
from assurance.health import health
from assurance.health_facts import Check
from catalogue import Catalogue
from catalogue.carrying import db_of
from catalogue.schema import blob_copies
from evidence.errors import AuthenticationError, EvidenceError
from evidence.events import AccessAllowed
from evidence.events_of_keeping import CopyRemoved
from evidence.model import Actor
from matters.turn import NewLink
from support import mounts, seaweed, whole_home
from support.program import Program, flip
from support.recorders import gb_name, make_gb_tree

pytestmark = pytest.mark.e2e


class Station:
    """A home whose stores lie beside it, as on disks of their own."""

    def __init__(self, root: Path, *, database: str = "", backup: str = "", env: dict[str, str] | None = None) -> None:
        self.root = root
        self.program = Program(root / "home")
        self.program.whole = False
        self.count = 0
        text = whole_home.config(
            stores=(whole_home.local("primary", root / "disk1"), whole_home.local("second", root / "disk2")),
            database=database,
        )
        config = root / "wanted.toml"
        config.write_text(f"{text}\n{backup}", "utf-8")
        self.program.json("init", "--config", config, env=env)
        self.target = root / "backups"
        self.target.mkdir()

    def dock(self, count: int = 1) -> list[dict[str, Any]]:
        """So many new recordings come in."""
        numbers = range(self.count + 1, self.count + count + 1)
        self.count += count
        media = {
            f"DCIM/{gb_name(counter=n, stamp=f'2026112209{n:02d}00')}": os.urandom(2000) + bytes([n]) for n in numbers
        }
        card = make_gb_tree(self.root / f"card{self.count}", media)
        return self.program.json("ingest", card, "--register")["recordings"]

    def backup(self, *options: str | Path) -> dict[str, Any]:
        return self.program.json("backup", self.target, *options)

    def lose(self) -> dict[str, Any]:
        """The home's disk dies; what it knew is told for comparison."""
        house = build(Home(self.program.home), Home(self.program.home).require())
        try:
            house.seal_pending()
            facts = evidence_facts(house.catalogue)
        finally:
            house.close()
        shutil.rmtree(self.program.home)
        return facts

    def facts(self) -> dict[str, Any]:
        house = build(Home(self.program.home), Home(self.program.home).require())
        try:
            return evidence_facts(house.catalogue)
        finally:
            house.close()

    def restore(self, *options: str | Path) -> dict[str, Any]:
        return self.program.json("restore", self.target, *options)

    def sound(self, recordings: int) -> None:
        """Verified by the program and by an outsider; takes in something new; its log goes on where it stood."""
        report = self.program.verified()
        assert report["recordings"] == recordings
        new = self.dock()
        assert (new[0]["state"], new[0]["sealed"]) == ("stored", True)
        assert self.program.verified()["recordings"] == recordings + 1
        vkey = self.program.json("log", "vkey")["vkey"]
        for log in (self.program.home / "log/public", self.root / "disk1/log/public", self.root / "disk2/log/public"):
            self.program.outsider("log", log, "--vkey", vkey)


@pytest.fixture
def station(tmp_path):
    made = Station(tmp_path)
    yield made
    made.program.close()


def tile(station: Station) -> Check:
    """What the system page says of backups."""
    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        (check,) = [one for one in health(health_parts_of(house, None)).checks if one.name == "backup"]
    finally:
        house.close()
    return check


def remove_a_copy(station: Station, recording: dict[str, Any]) -> None:
    """The second copy of a recording is given up on purpose, as a removal does it: from the disk, the catalogue and the log."""
    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        at = house.clock.now()
        copy = next(one for one in recording["copies"] if one["store"] == "second")
        with house.catalogue.begin() as uow:
            sha256 = uow.recordings.get(recording["id"]).sha256
        store = house.stores.named("second")
        path = station.root / "disk2" / copy["key"]
        with house.catalogue.begin() as uow:
            dropped = blob_copies.delete().where(blob_copies.c.sha256 == sha256, blob_copies.c.store == "second")
            assert db_of(uow).count(dropped) == 1
            house.recorder.record(
                uow.outbox,
                CopyRemoved(
                    recording=recording["id"], sha256=sha256.hex, blob_sha256=sha256.hex, store="second", key=copy["key"],
                    version=copy["version"], reason="test", at="2026-11-26T00:00:00.000Z",
                ),
                at=at,
            )  # fmt: skip
        assert store.exists(sha256)
        path.chmod(0o600)
        path.unlink()
        house.seal_pending()
    finally:
        house.close()


def file_a_case(station: Station, recording: str) -> None:
    """A case with footage, a document and a correction; a flag on the recording: matters and what the rules say of footage."""
    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        admin = whole_home.administrator(house)
        people = house.administration
        made = [people.create_agent(admin, name=name).agent.id for name in ("甲", "乙")]
        for agent in made:
            people.grant_role(admin, agent=agent, role="unit_leader")
        actor = Actor(made[0], "甲", "cli")
        given = {"title": "某案", "cause": "占用绿地", "procedure": "ordinary", "second_officer": made[1]}
        case = house.matters.open(actor, "case", given, links=[NewLink(role="footage", target=recording)])
        pdf = b"%PDF-1.7\n" + os.urandom(3000).hex().encode() + b"\n%%EOF\n"
        house.papers.file(actor, case.id, "decision", "决定书.pdf", io.BytesIO(pdf))
        house.matters.act(actor, case.id, "archive")
        house.seal_pending()
    finally:
        house.close()


def entries(station: Station, kind: str) -> list[dict[str, Any]]:
    from chain_of_custody.entry import parse

    catalogue = Catalogue.open(Home(station.program.home).database_url(Home(station.program.home).require()))
    with contextlib.closing(catalogue), catalogue.read() as uow:
        head = uow.outbox.head()
        assert head is not None
        rows = [*uow.outbox.rows(0, head.size), *uow.outbox.unsequenced(1000)]
    return [parse(row.envelope).data for row in rows if row.event_type == kind]


# --- the drill --------------------------------------------------------------------------------------------------------
def test_a_lost_home_comes_back_with_what_came_in_and_what_went_after_the_backup(station) -> None:
    before = station.dock(3)
    file_a_case(station, before[1]["id"])
    made = station.backup()
    assert made["log_size"] > 0
    assert {one["code"] for one in made["warnings"]} == {"same-domain", "not-encrypted"}
    after = station.dock(2)
    file_a_case(station, after[0]["id"])
    remove_a_copy(station, before[0])
    lost = station.lose()
    done = station.restore()
    assert done["recordings"] == 5
    assert done["replayed"] > 0
    assert (done["overtaken"], done["unread"], done["missing_names"], done["unsealed"]) == ([], [], 0, "")
    found = station.facts()
    assert {name: value for name, value in found.items() if name != "log"} == {
        name: value for name, value in lost.items() if name != "log"
    }
    kept = {row["id"] for row in station.program.json("recordings", "list")}
    assert kept == {row["id"] for row in (*before, *after)}
    copies = next(
        blob for blob in found["blobs"] if blob["sha256"].endswith(before[0]["sha256"].removeprefix("sha256:"))
    )
    assert [copy[0] for copy in copies["copies"]] == ["primary"]
    (entered,) = entries(station, "backup.restored")
    assert (entered["backup"], entered["replayed"]) == (made["id"], done["replayed"])
    assert not list(station.program.home.glob("restore*"))
    report = station.program.json("verify", status=3)  # one recording has too few copies, as it had before
    assert {one["kind"] for one in report["findings"]} <= {"too-few-copies", "too-few-domains"}


def test_the_restored_home_verifies_takes_in_and_serves(station) -> None:
    station.dock(2)
    station.backup()
    station.dock(1)
    station.lose()
    station.restore()
    station.sound(3)
    assert station.program.serve() > 0
    assert station.program.end() == 0
    station.program.verified()


def test_the_same_on_postgresql_into_another_database_and_into_a_file(tmp_path, postgres_url, postgres_server) -> None:
    station = Station(tmp_path, database=postgres_url)
    station.dock(2)
    made = station.backup()
    assert made["engine"] == "postgresql"
    station.dock(1)
    lost = station.lose()
    assert (
        station.program.error("restore", station.target, status=2)["code"] == "config"
    )  # the old database is not empty
    other = postgres_server.fresh_url()
    done = station.restore("--database", other)
    assert done["settings_changed"] == [f"database.url = {other}"]
    assert station.facts()["recordings"] == lost["recordings"]
    station.sound(3)
    station.backup()
    station.lose()
    station.restore("--database", "sqlite")
    assert (station.program.home / "app.db").exists()
    station.sound(4)
    station.program.close()


# --- what a backup is -------------------------------------------------------------------------------------------------
def test_a_second_backup_writes_only_what_changed_and_each_is_whole(station) -> None:
    station.dock(3)
    first = station.backup()
    second = station.backup()
    assert second["written_bytes"] < second["size_bytes"]
    assert second["written_pieces"] < first["written_pieces"]
    for made in (first, second):
        told = station.program.json("backup", "verify", station.target, made["id"])
        assert (told["good"], told["missing"], told["damaged"]) == (True, [], [])
    listed = station.program.json("backup", "list", station.target)
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    (entry, _) = entries(station, "backup.made")
    assert "place" not in entry
    station.program.verified()


def test_old_backups_go_and_the_newer_ones_stay_whole(station) -> None:
    made = []
    for _ in range(4):
        station.dock(1)
        made.append(station.backup("--keep", "2")["id"])
    listed = station.program.json("backup", "list", station.target)
    assert [one["id"] for one in listed] == made[:1:-1]
    needed = {path.name for path in (station.target / "pieces").rglob("*") if path.is_file()}
    for backup in made[2:]:
        told = station.program.json("backup", "verify", station.target, backup)
        assert told["good"]
    assert len(needed) > 0
    station.lose()
    station.restore(made[2])
    station.sound(4)


def test_a_damaged_newest_backup_offers_the_one_before_and_restores_nothing(station) -> None:
    station.dock(2)
    first = station.backup()
    pieces = {path for path in (station.target / "pieces").rglob("*") if path.is_file()}
    station.dock(1)
    second = station.backup()
    new = sorted({path for path in (station.target / "pieces").rglob("*") if path.is_file()} - pieces)
    for path in new:
        flip(path)
    assert station.program.json("backup", "verify", station.target, status=1)["id"] == second["id"]
    station.lose()
    error = station.program.error("restore", station.target, status=1)
    assert error["code"] == "digest-mismatch"
    assert first["id"] in error["todo"]
    assert not Home(station.program.home).config.exists()
    station.restore(first["id"])
    station.sound(3)


def test_a_damaged_piece_is_written_again_by_the_next_backup(station) -> None:
    station.dock(2)
    station.backup()
    for path in (station.target / "pieces").rglob("*"):
        if path.is_file():
            flip(path)
    station.program.json("backup", "verify", station.target, status=1)
    station.backup()
    assert station.program.json("backup", "verify", station.target)["good"]


def test_a_damaged_manifest_is_told_and_the_one_before_offered(station) -> None:
    station.dock(1)
    first, second = station.backup(), station.backup()
    flip(station.target / "backups" / second["id"])
    listed = station.program.json("backup", "list", station.target)
    assert [bool(one["trouble"]) for one in listed] == [True, False]
    station.lose()
    assert first["id"] in station.program.error("restore", station.target, status=1)["todo"]


# --- encrypted --------------------------------------------------------------------------------------------------------
def secret(path: Path, text: str) -> Path:
    path.write_text(text + "\n", "utf-8")
    path.chmod(0o600)
    return path


def plain_in(folder: Path, *needles: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and any(one in path.read_bytes() for one in needles)]


def test_an_encrypted_backup_opens_with_its_passphrase_only(station) -> None:
    right, wrong = secret(station.root / "right", "正确的口令 1"), secret(station.root / "wrong", "another")
    station.dock(2)
    station.backup("--passphrase-file", right)
    assert not plain_in(station.target / "pieces", b"PRIVATE KEY", b"[station]", b'"table"')
    again = station.backup("--passphrase-file", right)
    assert again["written_bytes"] < again["size_bytes"]
    assert station.program.error("backup", station.target, status=2)["code"] == "config"  # not encrypted is another way
    assert (
        station.program.error("backup", station.target, "--passphrase-file", wrong, status=40)["code"]
        == "key-unavailable"
    )
    station.lose()
    for options in ((), ("--passphrase-file", wrong)):
        assert station.program.error("restore", station.target, *options, status=40)["code"] == "key-unavailable"
    station.restore("--passphrase-file", right)
    station.sound(2)


def test_a_backup_for_a_recipient_opens_with_the_private_key_and_goes_on_after_a_restore(station) -> None:
    private = x25519.X25519PrivateKey.generate()
    public = station.root / "public.pem"
    public.write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    identity = secret(
        station.root / "private.pem",
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
    station.dock(1)
    station.backup("--recipient", public)
    station.backup("--recipient", public)
    station.lose()
    assert station.program.error("restore", station.target, status=40)["code"] == "key-unavailable"
    station.restore("--identity", identity)
    station.sound(1)
    station.backup("--recipient", public)


def test_the_same_from_an_encrypted_backup_in_a_bucket(station) -> None:
    server = seaweed.shared()
    bucket = whole_home.bucket(server, station.root / "s3")
    phrase = secret(station.root / "phrase", "a long passphrase")
    for name in ("access", "secret"):
        (station.root / "s3" / name).chmod(0o600)
    import boto3

    client = boto3.client(
        "s3", endpoint_url=server.http, aws_access_key_id=server.access, aws_secret_access_key=server.secret,
        region_name="us-east-1",
    )  # fmt: skip
    client.create_bucket(Bucket=bucket["bucket"])
    how = (
        "--endpoint", server.http, "--access-key-file", bucket["access_key_file"], "--secret-key-file",
        bucket["secret_key_file"], "--domain", "test:other", "--passphrase-file", phrase,
    )  # fmt: skip
    target = f"s3://{bucket['bucket']}/station"
    station.dock(2)
    first = station.program.json("backup", target, *how)
    assert [one["code"] for one in first["warnings"]] == []
    station.dock(1)
    second = station.program.json("backup", target, *how, "--keep", "1")
    assert second["removed"] == [first["id"]]
    assert station.program.json("backup", "verify", target, *how)["good"]
    station.lose()
    done = station.program.json("restore", target, *how)
    assert (done["backup"], done["recordings"]) == (second["id"], 3)
    station.sound(3)


def test_a_bucket_that_refuses_removal_keeps_old_backups_whole(station) -> None:
    server = seaweed.shared()
    bucket = whole_home.bucket(server, station.root / "s3")
    for name in ("access", "secret"):
        (station.root / "s3" / name).chmod(0o600)
    from dataclasses import replace

    from storage.s3_bucket import ensure_bucket
    from storage.s3_client import connect

    settings = replace(server.settings(), bucket=bucket["bucket"], prefix="", first_retention_days=1, mode="COMPLIANCE")
    ensure_bucket(connect(settings), settings)
    how = (
        "--endpoint", server.http, "--access-key-file", bucket["access_key_file"], "--secret-key-file",
        bucket["secret_key_file"], "--domain", "test:other",
    )  # fmt: skip
    target = f"s3://{bucket['bucket']}"
    first = station.program.json("backup", target, *how)
    second = station.program.json("backup", target, *how, "--keep", "1")
    assert (second["removed"], second["locked"] > 0) == ([], True)
    for made in (first, second):
        assert station.program.json("backup", "verify", target, made["id"], *how)["good"]


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_a_home_is_never_overwritten_nor_a_folder_that_holds_something(station) -> None:
    station.backup()
    config = (station.program.home / "config.toml").read_bytes()
    assert station.program.error("restore", station.target, status=2)["code"] == "config"
    assert (station.program.home / "config.toml").read_bytes() == config
    other = station.root / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    assert station.program.error("restore", station.target, "--home", other, status=2)["code"] == "config"
    assert [one.name for one in other.iterdir()] == ["letter.txt"]
    station.program.verified()


def test_a_store_that_is_not_there_stops_the_restore_until_it_is_or_is_given_up(station) -> None:
    station.dock(2)
    station.backup()
    station.dock(1)
    station.lose()
    (station.root / "disk2").rename(station.root / "away")
    error = station.program.error("restore", station.target, status=30)
    assert error["code"] == "store-unavailable"
    assert str(station.root / "disk2") in error["what"]
    (station.root / "away").rename(station.root / "disk2")
    station.restore()
    station.sound(3)
    station.backup()
    station.lose()
    shutil.rmtree(station.root / "disk2")
    done = station.restore("--without", "second")
    assert (done["without"], done["recordings"]) == (["second"], 4)


def test_a_home_with_its_stores_inside_comes_back_around_them(tmp_path) -> None:
    program = Program(tmp_path / "home")
    program.whole = False
    program.init()
    program.json("ingest", make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name()}": os.urandom(3000)}), "--register")
    target = tmp_path / "backups"
    target.mkdir()
    program.json("backup", target)
    for entry in program.home.iterdir():  # the disks of the stores are mounted in the new, empty folder
        if entry.name != "stores":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    assert program.json("restore", target)["recordings"] == 1
    program.verified()
    program.close()


def test_a_backup_is_made_while_a_store_is_away_and_none_of_a_database_that_was_set_back(station) -> None:
    station.dock(1)
    (station.root / "disk1").rename(station.root / "away")
    station.backup()
    (station.root / "away").rename(station.root / "disk1")
    saved = station.root / "saved.db"
    copy_database(station, saved)
    station.dock(1)
    for left in station.program.home.glob("app.db*"):
        left.unlink()
    shutil.copy(saved, station.program.home / "app.db")
    assert station.program.error("backup", station.target, status=40)["code"] == "log-rollback"


def test_a_target_that_is_not_mounted_is_never_begun_anew(station) -> None:
    station.backup()
    station.target.rename(station.root / "away")
    assert station.program.error("backup", station.target, status=30)["code"] == "store-unavailable"
    station.target.mkdir()
    assert station.program.error("backup", station.target, status=2)["code"] == "not-found"
    assert not list(station.target.glob("pieces"))
    station.backup("--begin")


def test_another_homes_target_is_refused(station, tmp_path) -> None:
    station.backup()
    other = Program(tmp_path / "second-home")
    other.whole = False
    other.init()
    assert other.error("backup", station.target, status=2)["code"] == "config"


def test_who_may_not_back_up_is_refused_and_the_refusal_is_entered(station) -> None:
    made = station.program.json("user", "create", "执法人员甲", "--login", "officer", "--role", "officer")
    env = {"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": "a much longer password 1"}
    station.program.run("user", "passwd", "officer", env=env)
    env = {"LIUHEN_PASSWORD": "a much longer password 1"}
    error = station.program.error("backup", station.target, "--as", "officer", status=10, env=env)
    assert error["code"] == "access-denied"
    assert not list(station.target.iterdir())
    assert [one["action"] for one in entries(station, "access.denied")] == ["backup.run"]


def test_a_log_that_contradicts_the_backup_is_refused_and_nothing_is_written(station) -> None:
    """The old home went on after a machine image was set back: two histories under one name."""
    station.dock(1)
    image = station.root / "image"
    shutil.copytree(station.program.home, image, symlinks=True)
    for disk in ("disk1", "disk2"):
        shutil.copytree(station.root / disk, station.root / f"{disk}.image", symlinks=True)
    station.dock(1)
    station.backup()
    shutil.rmtree(station.program.home)
    image.rename(station.program.home)
    for disk in ("disk1", "disk2"):
        shutil.rmtree(station.root / disk)
        (station.root / f"{disk}.image").rename(station.root / disk)
    station.dock(3)
    checkpoint = (station.root / "disk1/log/public/checkpoint").read_bytes()
    shutil.rmtree(station.program.home)
    assert station.program.error("restore", station.target, status=1)["code"] == "split-view"
    assert not (station.program.home / "keys").exists(), "keys stay in no folder that is not a home"
    assert (station.root / "disk1/log/public/checkpoint").read_bytes() == checkpoint
    assert not Home(station.program.home).config.exists()


# --- entries that only the backup holds -------------------------------------------------------------------------------
def test_entries_that_were_never_published_are_sealed_when_nothing_came_after_them(station) -> None:
    station.dock(1)
    size = station.program.json("log", "checkpoint")["size"]
    enter_unsealed(station, "waits in the backup")
    back_up_unsealed(station)
    shutil.rmtree(station.program.home)
    done = station.restore()
    assert done["sealed"] > 0
    assert done["entries"] > size
    assert any(one["action"] == "verify.run" for one in entries(station, "access.allowed"))
    station.sound(1)


def test_entries_of_the_backup_whose_place_was_taken_are_told(station) -> None:
    station.dock(1)
    saved = station.root / "saved.db"
    copy_database(station, saved)
    enter_unsealed(station, "will be overtaken")
    back_up_unsealed(station)
    for left in station.program.home.glob("app.db*"):
        left.unlink()
    shutil.copy(saved, station.program.home / "app.db")  # the machine went on from before
    station.dock(1)
    shutil.rmtree(station.program.home)
    done = station.restore()
    assert "access.allowed" in {one["type"] for one in done["overtaken"]}
    station.sound(2)


def copy_database(station: Station, target: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{station.program.home}/app.db")
    with contextlib.closing(catalogue):
        catalogue.backup(target)


def enter_unsealed(station: Station, detail: str) -> None:
    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        at = house.clock.now()
        with house.catalogue.begin() as uow:
            event = AccessAllowed(
                actor=house.service_actor().agent,
                action="verify.run",
                via="cli",
                at="2026-11-26T00:00:00.000Z",
                detail=detail,
            )
            house.recorder.record(uow.outbox, event, at=at)
    finally:
        house.close()


def back_up_unsealed(station: Station) -> None:
    """A backup of a home whose sealer stands still."""
    from app.backing_up import BackupWish, make_backup
    from app.backup_targets import Unlocking, place_of

    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        wish = BackupWish(to=str(station.target), unlocking=Unlocking(), keep=5)
        make_backup(house, wish, place=place_of(str(station.target), None), actor=house.service_actor())
    finally:
        house.close()


# --- crashes ----------------------------------------------------------------------------------------------------------
def killed(station: Station, arguments: list[str], after: Any) -> None:
    """Run a command in a process of its own and kill it as soon as something holds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments], env=station.program.environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 30
    while not after() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_backup_leaves_the_one_before_whole_and_the_next_goes_through(station) -> None:
    station.dock(3)
    first = station.backup()
    station.dock(1)
    have = len(list((station.target / "pieces").rglob("*")))
    killed(
        station, ["backup", str(station.target)], lambda: len(list((station.target / "pieces").rglob("*"))) > have
    )  # fmt: skip
    assert station.program.json("backup", "verify", station.target, first["id"])["good"]
    second = station.backup()
    assert station.program.json("backup", "verify", station.target, second["id"])["good"]
    assert not list(station.target.rglob("*.tmp"))
    station.program.verified()


@pytest.mark.parametrize("seen", ["keys/log.key", "restore.db", "app.db", "config.toml.unfinished"])
def test_a_killed_restore_is_no_home_and_the_next_one_goes_through(station, seen) -> None:
    station.dock(3)
    station.backup()
    station.dock(1)
    station.lose()
    killed(station, ["restore", str(station.target)], (station.program.home / seen).exists)
    if Home(station.program.home).config.exists():  # it was faster than the signal
        return
    assert station.program.error("recordings", "list", status=2)["code"] == "config"
    station.restore()
    station.sound(4)


def test_a_killed_restore_into_postgresql_begins_again_in_the_database_it_began_to_fill(
    tmp_path, postgres_url, postgres_server, monkeypatch
) -> None:
    station = Station(tmp_path, database=postgres_url)
    station.dock(2)
    station.backup()
    station.lose()
    other = postgres_server.fresh_url()
    monkeypatch.setattr("app.restoring.complete", lambda _home: (_ for _ in ()).throw(KeyboardInterrupt))
    assert station.program.run("restore", station.target, "--database", other, status=130)
    monkeypatch.undo()
    station.restore("--database", other)
    station.sound(2)
    station.program.close()


# --- full -----------------------------------------------------------------------------------------------------------
def test_a_full_target_ends_in_store_full_and_leaves_earlier_backups_and_the_home_whole(station) -> None:
    with mounts.tmpfs(station.root / "small", size="400k") as small:
        first = station.program.json("backup", small)
        assert [one["code"] for one in first["warnings"]] == ["not-encrypted"]
        station.dock(40)
        assert station.program.error("backup", small, status=30)["code"] == "store-full"
        assert station.program.json("backup", "verify", small, first["id"])["good"]
        assert [one["id"] for one in station.program.json("backup", "list", small)] == [first["id"]]
        told = tile(station)
        assert (told.reason, told.level, told.values["error"]) == ("backup-failed", "warn", "store-full")
    station.program.verified()


# --- encrypted footage ------------------------------------------------------------------------------------------------
def test_a_key_that_was_destroyed_after_the_backup_stays_destroyed(tmp_path) -> None:
    station = Station(
        tmp_path,
        backup='[storage.encryption]\nenabled = true\npassphrase_file = "keys/master.passphrase"\n',
        env={"LIUHEN_NEW_PASSPHRASE": "a sentence that only this test knows"},
    )
    phrase = secret(station.root / "phrase", "a long passphrase")
    kept, gone = station.dock(2)
    station.backup("--passphrase-file", phrase)
    later = station.dock(1)
    home = Home(station.program.home)
    house = build(home, home.require())
    with house.catalogue.read() as uow:
        sha256 = uow.recordings.get(gone["id"]).sha256
    assert house.encryption is not None
    house.encryption.ring.destroy(sha256)
    house.close()
    station.lose()
    done = station.restore("--passphrase-file", phrase)
    assert (done["recordings"], done["locked"]) == (3, "")
    house = build(home, home.require())
    try:
        for one in (kept, *later):
            with house.catalogue.read() as uow:
                found = uow.recordings.get(one["id"]).sha256
            assert house.stores.primary.stat(found).size_bytes == one["size_bytes"]
        with pytest.raises(EvidenceError), house.stores.primary.open(sha256) as stream:
            stream.read(1)
    finally:
        house.close()
    station.program.close()


# --- by itself --------------------------------------------------------------------------------------------------------
def test_the_service_makes_a_backup_by_itself_and_the_tile_says_so(tmp_path) -> None:
    station = Station(tmp_path, backup=f'[backup]\nto = "{tmp_path}/backups"\n')
    station.program.serve()
    catalogue = Catalogue.open(f"sqlite:///{station.program.home}/app.db")

    def made() -> bool:
        with catalogue.read() as uow:
            return uow.backups.newest("home") is not None

    whole_home.until(made, timeout_s=30)
    catalogue.close()
    assert station.program.end() == 0
    listed = station.program.json("backup", "list", station.target)
    assert len(listed) == 1
    assert (tile(station).reason, tile(station).level) == ("same-disk", "warn")
    station.program.verified()
    station.program.close()


def test_a_backup_must_be_the_one_that_the_log_tells_of(station: Station) -> None:
    """Who can write to an open target can write a backup, passwords included; the log in the stores they cannot write."""
    station.dock()
    made = station.backup()
    station.lose()
    repository = BackupRepository(FolderPlace(station.target), Seal(None))
    true = repository.manifest(made["id"])
    repository.finish(dataclasses.replace(true, station="another"))
    error = station.program.error("restore", station.target, made["id"], status=1)
    assert "tells of other bytes" in error["what"]
    assert not (station.program.home / "config.toml").exists()
    other = new_id(datetime(2026, 11, 26, tzinfo=UTC))
    repository.finish(dataclasses.replace(true, id=other))
    assert station.restore(other)["unproved"] == other
    shutil.rmtree(station.program.home)
    repository.finish(true)
    assert station.restore(made["id"])["unproved"] == ""
    station.sound(1)


def test_who_was_deactivated_since_the_backup_stays_so_and_a_role_taken_away_stays_away(station: Station) -> None:
    station.dock()
    made = {}
    with opened_house(station) as house:
        admin = whole_home.administrator(house)
        for name in ("gone", "lesser"):
            made[name] = house.administration.create_agent(admin, name=name, officer_code="", login=name)
            house.administration.grant_role(admin, agent=made[name].agent.id, role="auditor", unit=None)
        house.seal_pending()
    station.backup()
    with opened_house(station) as house:
        house.administration.deactivate(admin, agent=made["gone"].agent.id)
        house.administration.revoke_role(admin, agent=made["lesser"].agent.id, role="auditor", unit=None)
    facts = station.lose()
    station.restore()
    assert station.facts()["agents"] == facts["agents"]
    with opened_house(station) as house:
        with house.catalogue.read() as uow:
            assert not uow.people.agent(made["gone"].agent.id).active
            assert uow.people.agent(made["lesser"].agent.id).active
            assert uow.people.roles(made["lesser"].agent.id) == []
            assert uow.people.os_users() == {os.getuid(): admin.agent}
        with pytest.raises(AuthenticationError):
            house.identity.cli_actor(4711, login="gone", password=made["gone"].one_time_password)
        house.seal_pending()
    station.sound(1)


@contextlib.contextmanager
def opened_house(station: Station) -> Iterator[House]:
    home = Home(station.program.home)
    house = build(home, home.require())
    try:
        yield house
    finally:
        house.close()
