"""Encrypted footage through what happens to a station: another building's bucket, a kill, a burnt home, a change of mind."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from app.encryption import key_parts
from app.home import Home
from app.key_backup import back_up, restore_epochs, restore_files, restore_master
from app.rebuilding import rebuild_home
from assurance.key_bundle import Passphrase, open_with_passphrase
from assurance.keys_state import keys_state
from evidence.errors import KeyUnavailableError
from ingest.viewing_copy import ensure_viewing_copy
from support import footage, seaweed, whole_home
from support.program import Program, until
from support.recorders import gb_name, make_gb_tree
from support.web_home import TALK, fill, web_home

pytestmark = pytest.mark.e2e

ENCRYPTED = '\n[storage.encryption]\nenabled = true\npassphrase_file = "keys/master.passphrase"\n'
#: Both stores of most homes here lie on one disk, which is said.
ONE_DISK = {"single_domain": True}
WORDS = "the sentence of whoever keeps the bundle"


def parts_of(*files: Path) -> list[bytes]:
    found = []
    for path in files:
        data = path.read_bytes()
        found += [data[start : start + 48] for start in range(64, len(data) - 48, max(1, len(data) // 50))]
    return [part for part in found if len(set(part)) > 20]


def holding(folders: Iterable[Path], parts: list[bytes]) -> Iterator[Path]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                if any(part in data for part in parts):
                    yield path


def settings_without_encryption(home: Home) -> None:
    text = home.config.read_text()
    home.config.write_text(text.replace("enabled = true", "enabled = false"))


def test_footage_in_a_bucket_plays_by_ranges_and_lies_there_as_ciphertext_only(tmp_path: Path) -> None:
    server = seaweed.shared()
    text = whole_home.config(
        stores=[whole_home.local("primary", "stores/primary"), whole_home.bucket(server, tmp_path / "secrets")]
    )
    with web_home(tmp_path / "home", config=text + ENCRYPTED) as web:
        officer = fill(web, tmp_path / "cards")
        avi = web.dock(tmp_path / "avi", {"DCIM/" + gb_name(counter=7, extension="avi"): footage.street_avi()})
        (street,) = web.take_in(avi, unit=None)
        ensure_viewing_copy(web.service.parts, street.id)
        whole_home.seal(web.house)
        talk, plain = web.recordings["talk"], footage.talking_mp4().read_bytes()
        visitor = web.visitor(officer)
        for first, last in ((0, 9), (1_000_000, 1_100_000), (len(plain) - 5, len(plain) - 1)):
            answer = visitor.get(f"/api/v1/recordings/{talk.id}/media", headers={"Range": f"bytes={first}-{last}"})
            assert (answer.status_code, answer.content) == (206, plain[first : last + 1])
        assert visitor.get(f"/api/v1/recordings/{talk.id}/media").content == plain
        with web.house.catalogue.read() as uow:
            kinds = {one.kind for one in uow.derivatives.of(street.id)}
            copies = {copy.store for copy in uow.blobs.get(talk.sha256).copies}
        assert {"poster", "viewing"} <= kinds
        assert copies == {"primary", "bucket"}
        report = whole_home.verify(web.house)
        assert report.verdict == "good", report.findings
        assert not list(web.house.scratch.iterdir())
        parts = parts_of(footage.talking_mp4(), footage.street_avi(), footage.photo_png())
        with web.house.stores.primary.open(next(iter(_viewing(web.house, street)))) as stream:
            made = stream.read()
        parts += [made[start : start + 48] for start in range(4096, len(made) - 48, len(made) // 20)]
        assert len(parts) > 60
        assert list(holding([tmp_path / "cards"], parts)) != []
        assert list(holding([tmp_path / "home", server.folder], parts)) == []


def _viewing(house, row):
    with house.catalogue.read() as uow:
        return [one.sha256 for one in uow.derivatives.of(row.id) if one.kind == "viewing"]


def test_a_killed_docking_leaves_ciphertext_and_goes_on(tmp_path: Path) -> None:
    program = Program(tmp_path / "home", second=Path(f"/dev/shm/liuhen-e2e-killed-{os.getpid()}"))
    try:
        program.init(settings=ENCRYPTED)
        block = os.urandom(1 << 20)
        card = make_gb_tree(
            tmp_path / "card", {f"DCIM/{gb_name(counter=n)}": bytes([n]) + block * 150 for n in range(2)}
        )
        reading = program.start("ingest", str(card), "--register")
        staging = program.home / "stores/primary/staging"
        until(lambda: any(path.stat().st_size > 4 << 20 for path in staging.glob("*.part")), pause_s=0.01)
        reading.send_signal(signal.SIGKILL)
        reading.communicate()
        parts = [block[start : start + 32] for start in range(0, 1 << 20, 1 << 16)]
        left = sorted(staging.glob("*.part"))
        assert left
        assert list(holding([program.home, program.second], parts)) == []
        done = program.json("ingest", card)
        assert done["outcome"] == "complete"
        assert {row["state"] for row in program.json("recordings", "list")} == {"stored"}
        assert list(holding([program.home, program.second], parts)) == []
        assert sorted(staging.glob("*.part")) == []
        program.verified()
    finally:
        program.close()


def test_a_burnt_home_comes_back_from_one_bundle_and_the_stores(tmp_path: Path) -> None:
    stores = [whole_home.local(name, tmp_path / name) for name in ("primary", "second")]
    home = whole_home.make(tmp_path / "home", whole_home.config(stores=stores, storage=ONE_DISK) + ENCRYPTED)
    card = make_gb_tree(tmp_path / "card", {f"DCIM/{TALK}": footage.talking_mp4()})
    _take_in(home, card)
    (tmp_path / "safe").mkdir()
    with whole_home.at_rest(home) as (house, _):
        before = whole_home.rows(house)
        made = back_up(
            house, whole_home.administrator(house), tmp_path / "safe", [Passphrase("one", WORDS)], told="safe"
        )
        house.seal_pending()
    shutil.rmtree(home.root)
    bundle = open_with_passphrase(made.path.read_bytes(), WORDS)
    new = Home(tmp_path / "another")
    assert set(restore_files(new, bundle).written) == {"station.key", "log.key", "disclosures.key", "config.toml"}
    settings = new.require()
    told = restore_master(new, settings, bundle, passphrase=lambda: "a new sentence altogether", replace=False, stamp=1)
    assert told.written == ["master.passphrase", "master"]
    assert restore_epochs(new, settings, bundle).kept == [f"epoch {name}" for name in _epochs(bundle)]
    assert restore_files(new, bundle).written == []  # again changes nothing
    done = rebuild_home(new, login="", password="", terminal="", check=False)
    assert (done.recordings, done.unread) == (1, [])
    with whole_home.at_rest(new) as (house, service):
        assert [row.sha256 for row in whole_home.rows(house)] == [row.sha256 for row in before]
        with house.stores.primary.open(before[0].sha256) as stream:
            assert stream.read() == footage.talking_mp4().read_bytes()
        service.parts.ready_scratch()
        state = keys_state(
            house.catalogue, key_parts(new, settings, house.catalogue, house.stores, house.encryption),
            clock=house.clock,
        )  # fmt: skip
        assert (state.backup_place, state.backup_due, state.plain) == ("safe", False, 0)
        house.sealer.start_up()
        whole_home.seal(house)
        assert whole_home.verify(house).verdict == "good"


def _epochs(bundle) -> list[str]:
    return [one.name for one in bundle.files if one.kind == "epoch"]


def _take_in(home: Home, card: Path):
    from devices.mass_storage.driver import MassStorageDriver

    with whole_home.at_rest(home) as (house, service):
        result = service.offload(MassStorageDriver.docked_at(card), whole_home.administrator(house), register=True)
        assert result.error is None
        for recording in result.acquired:
            service.secure(recording)
        whole_home.seal(house)
        house.archive.sync(house.catalogue)
        return result


def test_encryption_is_turned_on_later_and_off_again_and_everything_stays_readable(tmp_path: Path) -> None:
    home = whole_home.make(tmp_path / "home", whole_home.config(storage=ONE_DISK))
    talk, photo, voice = footage.talking_mp4(), footage.photo_png(), footage.voice_wav()
    first, second = gb_name(counter=1), gb_name(counter=2, extension="png")
    _take_in(home, make_gb_tree(tmp_path / "one", {f"DCIM/{first}": talk}))
    home.config.write_text(home.config.read_text() + ENCRYPTED)
    from app.encryption import make_master

    make_master(home, home.require().storage.encryption, passphrase="a sentence of some length")
    again = make_gb_tree(tmp_path / "two", {f"DCIM/{gb_name(counter=9)}": talk, f"DCIM/{second}": photo})
    _take_in(home, again)
    settings_without_encryption(home)
    _take_in(home, make_gb_tree(tmp_path / "three", {"DCIM/" + gb_name(counter=3, extension="wav"): voice}))
    with whole_home.at_rest(home) as (house, _):
        rows = {row.name: row for row in whole_home.rows(house)}
        assert sorted(row.state for row in rows.values()) == ["duplicate", "stored", "stored", "stored"]
        for row, path in ((rows[first], talk), (rows[second], photo)):
            for store in house.stores.all:
                with store.open(row.sha256) as stream:
                    assert stream.read() == path.read_bytes()
        kept = {
            name: [place.encrypted for place in house.reading.locate(_auditor(house), row.id)]
            for name, row in rows.items()
            if row.state == "stored"
        }
        assert sorted(kept.values()) == [[False, False], [False, False], [True, True]]
        assert whole_home.verify(house).verdict == "good"
        state = keys_state(
            house.catalogue,
            key_parts(home, house.settings, house.catalogue, house.stores, house.encryption), clock=house.clock,
        )  # fmt: skip
        assert not state.enabled
        assert state.plain > 0
        assert state.encrypted > 0


def _auditor(house):
    admin = whole_home.administrator(house)
    made = house.administration.create_agent(admin, name="审计", officer_code="").agent
    house.administration.grant_role(admin, agent=made.id, role="auditor", unit=None)
    return dataclasses.replace(admin, agent=made.id, name=made.name)


def test_a_destroyed_key_makes_every_copy_unreadable_and_is_told_as_what_it_is(tmp_path: Path) -> None:
    home = whole_home.make(tmp_path / "home", whole_home.config(storage=ONE_DISK) + ENCRYPTED)
    _take_in(home, make_gb_tree(tmp_path / "card", {f"DCIM/{TALK}": footage.voice_wav()}))
    with whole_home.at_rest(home) as (house, _):
        (row,) = whole_home.rows(house)
        record = house.encryption.ring.find(row.sha256)
        assert house.stores.destroy_key(row.sha256) == record.wrapped_sha256
        assert house.stores.destroy_key(row.sha256) == record.wrapped_sha256
        for store in house.stores.all:
            with pytest.raises(KeyUnavailableError):
                store.open(row.sha256)
        report = whole_home.verify(house)
        assert {(one.kind, one.store) for one in report.findings if one.kind == "key-missing"} == {
            ("key-missing", "primary"), ("key-missing", "second"),
        }  # fmt: skip


def test_lost_records_of_keys_are_told_as_lost_keys_and_not_as_lost_copies(tmp_path: Path) -> None:
    home = whole_home.make(tmp_path / "home", whole_home.config(storage=ONE_DISK) + ENCRYPTED)
    _take_in(home, make_gb_tree(tmp_path / "card", {f"DCIM/{TALK}": footage.voice_wav()}))
    with whole_home.at_rest(home) as (house, _):
        (row,) = whole_home.rows(house)
        for root in (store.root for store in house.stores.local):
            for path in (root / "keyring/objects").rglob(f"{row.sha256.hex}*"):
                path.unlink()
        import sqlalchemy as sa

        from catalogue.schema import blob_keys

        with house.catalogue.begin() as uow:
            uow.blob_keys._db.execute(sa.delete(blob_keys).where(blob_keys.c.sha256 == row.sha256))
    with whole_home.at_rest(home) as (house, _):
        found = [one for one in whole_home.verify(house).findings if one.recording == row.id]
        assert {one.kind for one in found} >= {"key-missing"}
        assert "copy-missing" not in {one.kind for one in found}
