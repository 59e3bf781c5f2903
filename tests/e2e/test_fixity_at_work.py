"""Scrub, inventory and brake on real media: a disk that rots, a bucket that goes away, a killed process, people at work."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from assurance.fixity import STATE, Scrub
from storage.layout import blob_key
from support import seaweed, whole_home
from support.mounts import loop_ext4
from support.program import Program, flip, until
from support.recorders import Cable, gb_name, make_gb_tree

pytestmark = pytest.mark.e2e
ONE_DISK = {"domains": 1, "single_domain": True}


def card(root: Path, *, files: int = 2, size_bytes: int = 300_000) -> Path:
    make_gb_tree(
        root, {f"DCIM/{gb_name(counter=n, device='7654321')}": os.urandom(size_bytes) for n in range(1, files + 1)}
    )
    (root / "sn.txt").write_text("7654321")
    return root


def taken(house, service) -> None:
    result = service.offload(whole_home.only_docked(house), whole_home.administrator(house), register=True)
    assert result.error is None
    for recording in result.acquired:
        service.secure(recording)
    whole_home.seal(house)


def findings(house) -> set[tuple[str, str]]:
    with house.catalogue.read() as uow:
        return {(one.kind, one.store) for one in uow.findings.open()}


def test_a_bit_that_rots_on_a_disk_is_found_and_repaired_and_the_rotten_bytes_are_kept(tmp_path: Path) -> None:
    source = card(tmp_path / "card")
    image = tmp_path / "disk.img"
    with loop_ext4(tmp_path / "disk", image):
        text = whole_home.config(
            stores=[whole_home.local("primary", "stores/primary"), whole_home.local("second", tmp_path / "disk/store")],
            docks={"folders": [str(source)]}, storage=ONE_DISK,
        )  # fmt: skip
        home = whole_home.make(tmp_path / "home", text)
        with whole_home.at_rest(home) as (house, service):
            taken(house, service)
            row = whole_home.rows(house)[0]
            content = (tmp_path / "disk/store" / blob_key(row.sha256)).read_bytes()
            os.sync()
            rot(image, content[1000:1512])
            done = Scrub(house.keeping, house.fixity).run(actor=whole_home.administrator(house).agent)
            assert (done.bad, done.repaired, done.away) == ({"copy-damaged": 1}, 1, set())
            assert findings(house) == {("copy-repaired", "second")}
            (aside,) = (tmp_path / "disk/store/damaged").iterdir()
            assert sum(a != b for a, b in zip(aside.read_bytes(), content, strict=True)) == 1
            house.stores.named("second").verify(row.sha256, row.sha256)
            whole_home.seal(house)
            assert whole_home.verify(house).verdict == "good"


def rot(image: Path, part: bytes) -> None:
    """Flip one bit below the file system."""
    with image.open("r+b") as disk:
        at = disk.read().index(part)
        disk.seek(at)
        disk.write(bytes([part[0] ^ 4]))
        disk.flush()
        os.fsync(disk.fileno())


def test_in_an_encrypted_home_the_ciphertext_is_proved_and_the_lists_are_of_plain_digests(tmp_path: Path) -> None:
    source = card(tmp_path / "card")
    text = whole_home.config(docks={"folders": [str(source)]}, storage={**ONE_DISK, "encryption.enabled": True})
    home = whole_home.make(tmp_path / "home", text)
    with whole_home.at_rest(home) as (house, service):
        taken(house, service)
        assert [(row.objects, row.missing, row.unknown, row.outcome) for row in house.inventory.tick()] == [
            (4, 0, 0, "good"), (4, 0, 0, "good"),
        ]  # fmt: skip
        scrub = Scrub(house.keeping, house.fixity)
        assert (scrub.run().good, scrub.run(stores=["primary"]).bad) == (8, {})
        row = whole_home.rows(house)[0]
        with house.catalogue.read() as uow:
            key = uow.blobs.get(row.sha256).copies[1].key
        assert row.sha256.hex not in key
        flip(home.root / "stores/second" / key)
        done = scrub.run(stores=["second"])
        assert (done.bad, done.repaired) == ({"copy-damaged": 1}, 1)
        whole_home.seal(house)
        assert whole_home.verify(house).verdict == "good"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Cable, dict[str, object]]]:
    """The way to the other building, and the settings of the store there."""
    server = seaweed.shared()
    target = urlsplit(server.http)
    cable = Cable((str(target.hostname), int(target.port or 0)))
    yield cable, whole_home.bucket(server, tmp_path / "keys", endpoint=f"http://127.0.0.1:{cable.address[1]}")
    cable.close()


def test_a_bucket_that_is_away_is_told_and_looked_at_when_it_is_back(
    tmp_path: Path, far: tuple[Cable, dict[str, object]]
) -> None:
    cable, store = far
    source = card(tmp_path / "card")
    text = whole_home.config(
        stores=[whole_home.local("primary", "stores/primary"), store], docks={"folders": [str(source)]}
    )  # fmt: skip
    home = whole_home.make(tmp_path / "home", text)
    with whole_home.at_rest(home) as (house, service):
        taken(house, service)
        scrub = Scrub(house.keeping, house.fixity)
        cable.cut()
        away = scrub.run()
        assert (away.bad, away.away, away.good) == ({}, {"bucket"}, 4)
        assert [row.store for row in house.inventory.tick()] == ["primary"]
        assert findings(house) == set()
        cable.plug()
        back = scrub.run(stores=["bucket"])
        assert (back.good, back.bad, back.away, back.round_ended) == (4, {}, set(), True)
        assert [(row.store, row.objects, row.outcome) for row in house.inventory.tick()] == [("bucket", 4, "good")]
        whole_home.seal(house)
        assert whole_home.verify(house).verdict == "good"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "home")
    yield program
    program.close()


def checked(station: Program) -> int:
    with sqlite3.connect(f"file:{station.home}/app.db?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM entries WHERE event_type = 'fixity.checked'").fetchone()[0]


def test_a_run_that_is_killed_goes_on_where_it_stood(station: Program, tmp_path: Path) -> None:
    station.init(settings="[fixity]\nrate_mb_s = 1")
    station.run("ingest", card(tmp_path / "card", files=3, size_bytes=1_000_000), "--register")
    running = station.start("fixity", "run", "--json")
    until(lambda: checked(station) >= 2)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    before = checked(station)
    assert before < 12
    told = station.json("fixity", "status")
    assert (told["round"], told["copies"], told["looked_at"], told["good"]) == (1, 12, before, before)
    done = station.json("fixity", "run")
    assert (done["round"], done["good"], done["bad"]) == (1, 12, {})
    # By hand every copy is looked at, those that were looked at before the kill once more; each counts once in its round.
    told = station.json("fixity", "status")
    assert (told["looked_at"], told["ended_at"] is not None, told["bad_copies"]) == (12, True, [])
    station.verified()


def test_a_person_looks_at_one_recording_and_finds_and_mends_damage(station: Program, tmp_path: Path) -> None:
    station.init()
    report = station.json("ingest", card(tmp_path / "card"), "--register")
    one = report["recordings"][0]
    station.whole = False
    flip(station.home / "stores/second" / one["copies"][1]["key"])
    done = station.json("fixity", "run", "--recording", one["id"], status=1)
    assert (done["bad"], done["repaired"]) == ({"copy-damaged": 1}, 1)
    assert station.json("fixity", "run", "--store", "second", "--limit-mb", "1000")["bad"] == {}
    assert station.error("fixity", "run", "--store", "nowhere", status=2)["code"] == "not-found"
    told = station.run("fixity", "status").stdout
    assert "Round" in told
    assert "second" in told
    station.whole = True
    report = station.json("verify")
    assert (report["verdict"], report["findings"]) == ("good", [])


def test_one_person_stops_removals_and_another_lets_them_go_on(station: Program) -> None:
    station.init()
    station.whole = False
    assert station.json("brake", "status")["pulled"] is False
    # The first administrator has no right to stop removals; the auditor has, the audit administrator both.
    assert station.error("brake", "pull", "--reason", "why not", status=10)["code"] == "access-denied"
    passwords = {}
    for login, role in (("wang", "auditor"), ("li", "audit_administrator")):
        made = station.json("user", "create", login, "--login", login, "--role", role)
        fresh = f"long new sentence, number {len(passwords)}"
        station.run(
            "user", "passwd", login, env={"LIUHEN_PASSWORD": made["one_time_password"], "LIUHEN_NEW_PASSWORD": fresh}
        )
        passwords[login] = {"LIUHEN_PASSWORD": fresh}
    pulled = station.json("brake", "pull", "--reason", "strange", "--as", "wang", env=passwords["wang"])
    assert (pulled["pulled"], pulled["cause"], pulled["detail"]) == (True, "person", "strange")
    refused = station.error("brake", "release", "--reason", "ok", "--as", "wang", env=passwords["wang"], status=10)
    assert refused["code"] == "access-denied"
    released = station.json("brake", "release", "--reason", "looked", "--as", "li", env=passwords["li"])
    assert (released["pulled"], released["cause"], released["detail"]) == (False, "released", "looked")
    assert station.error("brake", "release", "--reason", "x", "--as", "li", env=passwords["li"], status=50)
    station.run("brake", "pull", "--reason", "again", "--as", "li", env=passwords["li"])
    own = station.error("brake", "release", "--reason", "mine", "--as", "li", env=passwords["li"], status=10)
    assert own["code"] == "access-denied"
    assert "again" in station.run("brake", "status").stdout
    doctor = {line["what"]: line for line in station.json("doctor", status=None)}
    assert any("brake" in what.lower() or "removals" in what.lower() for what in doctor)


def test_the_service_scrubs_and_counts_by_itself(tmp_path: Path) -> None:
    source = card(tmp_path / "card")
    text = whole_home.config(docks={"folders": [str(source)]}, storage=ONE_DISK)
    home = whole_home.make(tmp_path / "home", text)
    with whole_home.at_rest(home) as (house, service):
        taken(house, service)
        # A copy that was never looked at, and one that is gone: the first slice begins the round, the first inventory tells.
        row = whole_home.rows(house)[0]
        (home.root / "stores/second" / blob_key(row.sha256)).unlink()
    with whole_home.at_work(home) as run:
        house = run.house

        def done() -> bool:
            with house.catalogue.read() as uow:
                counted = [uow.inventories.newest(name) for name in ("primary", "second")]
                told = {(one.kind, one.store) for one in uow.findings.open()}
                return (
                    uow.fixity.current() is not None
                    and all(counted)
                    and uow.settings.get(STATE) is not None
                    and bool(told & {("copy-missing", "second"), ("copy-repaired", "second")})
                )

        whole_home.until(done, timeout_s=100)
    with whole_home.at_rest(home) as (house, _):
        house.healing.run()
        house.stores.named("second").verify(row.sha256, row.sha256)
        whole_home.seal(house)
        assert whole_home.verify(house).verdict == "good"
