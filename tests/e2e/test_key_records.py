"""Key records beside stores, changed and removed from outside: told by verify and status, mended by the regular look."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.care import KEYS_JOB, duties
from app.home import Home
from assurance.keys_state import damaged_places
from catalogue.backups import GOOD, HOME, KEYS, BackupRow
from devices.mass_storage.driver import MassStorageDriver
from support import footage, whole_home
from support.recorders import make_gb_tree
from support.web_home import TALK

pytestmark = pytest.mark.e2e

ENCRYPTED = '\n[storage.encryption]\nenabled = true\npassphrase_file = "keys/master.passphrase"\n'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = whole_home.make(tmp_path / "home", whole_home.config(storage={"single_domain": True}) + ENCRYPTED)
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{TALK}": footage.voice_wav()})
    with whole_home.at_rest(made) as (house, service):
        result = service.offload(MassStorageDriver.docked_at(card), whole_home.administrator(house), register=True)
        assert result.error is None
        for recording in result.acquired:
            service.secure(recording)
        whole_home.seal(house)
        house.archive.sync(house.catalogue)
    return made


def found(house, kind):
    return {(one.kind, one.recording, one.store) for one in whole_home.verify(house).findings if one.kind == kind}


def look_at_keys(house, service):
    (duty,) = [duty for duty in duties(house, service.parts) if duty.job == KEYS_JOB]
    duty.run()


def test_records_damaged_in_one_store_and_removed_in_another_are_told_and_mended(home: Home) -> None:
    with whole_home.at_rest(home) as (house, service):
        (row,) = whole_home.rows(house)
        files = [
            store.root / f"keyring/objects/{row.sha256.hex[:2]}/{row.sha256.hex}.json" for store in house.stores.local
        ]
        good = files[0].read_bytes()
        assert found(house, "key-missing") == set()
        files[0].unlink()
        files[1].write_bytes(good.replace(b'"mac":"', b'"mac":"A'))
        assert found(house, "key-missing") == {
            ("key-missing", row.id, "primary"), ("key-missing", row.id, "second"),
        }  # fmt: skip
        assert whole_home.verify(house).exit_code == 1
    told = whole_home.liuhen("keys", "status", "--home", home.root, expect=3)
    assert {one["store"] for one in told["records"]["findings"]} == {"primary", "second"}
    with whole_home.at_rest(home) as (house, service):
        look_at_keys(house, service)
        assert [path.read_bytes() for path in files] == [good, good]
        whole_home.seal(house)
        report = whole_home.verify(house)
        assert report.verdict == "good", report.findings
        with house.catalogue.read() as uow:
            assert [one for one in uow.findings.open() if one.kind == "key-missing"] == []
            assert damaged_places(uow) == {}
            entered = [one.event_type for one in uow.timeline(row.id)]
        assert entered[-2:] == ["finding.raised", "finding.closed"]


def test_a_record_that_cannot_be_mended_stays_an_open_finding_and_a_red_tile(home: Home) -> None:
    with whole_home.at_rest(home) as (house, service):
        (row,) = whole_home.rows(house)
        file = house.stores.local[1].root / f"keyring/objects/{row.sha256.hex[:2]}/{row.sha256.hex}.json"
        file.unlink()
        file.mkdir()
        look_at_keys(house, service)
        with house.catalogue.read() as uow:
            open_ = [(one.recording, one.store) for one in uow.findings.open() if one.kind == "key-missing"]
            assert list(damaged_places(uow)) == ["second"]
        assert open_ == [(row.id, "second")]
        assert found(house, "key-missing") == {("key-missing", row.id, "second")}


def test_the_key_of_a_month_beside_a_store_is_compared_too(home: Home) -> None:
    with whole_home.at_rest(home) as (house, _):
        (file,) = (house.stores.local[1].root / "keyring/epochs").rglob("*.json")
        good = file.read_bytes()
        for bad in (b"", good.replace(b'"wrapped":"', b'"wrapped":"AAAA', 1)):
            file.write_bytes(bad)
            assert found(house, "key-missing") == {("key-missing", "", "second")}
        file.unlink()
        assert found(house, "key-missing") == {("key-missing", "", "second")}
    with whole_home.at_rest(home) as (house, service):
        look_at_keys(house, service)
        assert file.read_bytes() == good
        assert whole_home.verify(house).verdict == "good"


def test_a_place_that_is_away_is_unknown_and_no_damage(home: Home) -> None:
    with whole_home.at_rest(home) as (house, _):
        root = house.stores.local[1].root
        root.rename(root.with_name("away"))
        report = whole_home.verify(house)
        assert report.exit_code == 30
        away = [one for one in report.findings if one.kind == "store-unavailable"]
        assert "second" in {one.store for one in away}
        assert not any("keys beside it" in one.detail for one in away)  # told with its copies already
        assert [one for one in report.findings if one.kind == "key-missing"] == []


@pytest.mark.parametrize("kind", [HOME, KEYS])
def test_a_backup_that_no_entry_tells_of_is_no_fact(home: Home, kind: str) -> None:
    with whole_home.at_rest(home) as (house, _):
        now = house.clock.now().wall
        with house.catalogue.begin() as uow:
            uow.backups.add(
                BackupRow(id="forged", kind=kind, place="/mnt", started_at=now, ended_at=now, outcome=GOOD)
            )  # fmt: skip
        report = whole_home.verify(house)
        assert [one.kind for one in report.findings] == ["catalogue-differs"]
        assert "forged" in report.findings[0].detail
