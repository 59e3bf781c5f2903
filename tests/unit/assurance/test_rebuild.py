"""A lost database comes back from log, disclosures and stores with every fact of evidence, and nothing else does."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from access import Administration, Gate
from assurance import CopyPolicy, DisclosureArchive, evidence_facts, rebuild, verify_home
from assurance.disclosures import generate_key, load_key
from catalogue import Catalogue
from chain_of_custody.disclosures import open_text
from devices.mass_storage.driver import MassStorageDriver
from evidence.errors import IntegrityError, KeyUnavailableError, StateConflictError, StoreUnavailableError
from support.assured_home import AssuredHome
from support.footage import talking_mp4
from support.recorders import gb_name, make_gb_tree


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path}/rebuilt.db", migrate=True)
    yield made
    made.close()


@pytest.fixture
def archive(home: AssuredHome, tmp_path: Path) -> DisclosureArchive:
    roots = [home.root / "stores/primary", home.root / "stores/second"]
    return DisclosureArchive(generate_key(tmp_path / "key"), roots, segment_entries=16)


def live_through_a_day(home: AssuredHome) -> None:
    """Every kind of fact: units, people, transfers, roles, a recorder, twins, quarantine, side file, derivatives."""
    unit = home.administration.create_unit(home.administrator, name="执法一科", code="01")
    other = home.administration.create_unit(home.administrator, name="一中队", parent=unit.id)
    officer = home.agent("执法人员甲", "officer", unit=unit.id, code="900123")
    home.administration.transfer(home.administrator, agent=officer.agent, unit=other.id)
    leaver = home.agent("离任", "auditor")
    home.administration.revoke_role(home.administrator, agent=leaver.agent, role="auditor")
    home.administration.deactivate(home.administrator, agent=leaver.agent)
    twin = os.urandom(4000)
    home.ingest(
        {
            f"DCIM/{gb_name(counter=1)}": talking_mp4(),
            f"DCIM/{gb_name(counter=2)}": twin,
            f"DCIM/{gb_name(counter=3, mark='_IMP')}": twin,
            f"DCIM/{gb_name(counter=4, extension='txt')}": b"$GPRMC",
            "DCIM/strange.bin": b"?",
            "DCIM/empty.mp4": b"",
        },
        describe=True,
    )
    late = make_gb_tree(home.root / "late", {f"DCIM/{gb_name(counter=9)}": b"z" * 5000})
    home.intake.offload(MassStorageDriver.docked_at(late), home.service, register=True)  # acquired, not yet stored
    home.seal()


def rebuilt(home: AssuredHome, into: Catalogue, archive: DisclosureArchive, *, directory: int = 1):
    root = home.root / "stores/second"
    return rebuild(
        into,
        published=home.published[directory],
        vkey=home.vkey,
        disclosures=archive.read_all(root),
        stores=home.stores,
    )


@pytest.mark.parametrize("directory", [0, 1])
def test_every_fact_of_evidence_is_as_it_was(
    home: AssuredHome, empty: Catalogue, archive: DisclosureArchive, directory: int
) -> None:
    live_through_a_day(home)
    archive.sync(home.catalogue)
    report = rebuilt(home, empty, archive, directory=directory)
    before, after = evidence_facts(home.catalogue), evidence_facts(empty)
    assert set(before) == set(after)
    for part, facts in before.items():
        assert after[part] == facts, part
        if part not in {"matters", "matter_numbers", "rules"}:  # tests/unit/assurance/test_rules_checks.py
            assert facts, part  # a comparison of nothing with nothing would prove nothing
    assert (report.erased, report.unread) == (0, [])


def test_a_rebuilt_catalogue_verifies_and_goes_on_sealing(
    home: AssuredHome, empty: Catalogue, archive: DisclosureArchive
) -> None:
    live_through_a_day(home)
    archive.sync(home.catalogue)
    rebuilt(home, empty, archive)
    report = verify_home(
        empty, stores=home.stores, published=home.published, vkey=home.vkey, clock=home.clock,
        policy=CopyPolicy(copies=2, domains=1),
    )  # fmt: skip
    assert (report.verdict, report.findings) == ("good", ())
    home.sealer.close()
    from chain_of_custody import Sealer
    from support.custody import ORIGIN, fixed_key

    gate = Gate(empty, recorder=home.recorder, clock=home.clock)
    administration = Administration(empty, gate=gate, recorder=home.recorder, clock=home.clock)
    password = administration.restore_access(login="admin")
    assert len(password) > 10
    with Sealer(
        empty.outbox_transactions(), log_key=fixed_key("log"), origin=ORIGIN, published=home.published, clock=home.clock
    ) as sealer:
        assert sealer.seal_once() == 1
    with pytest.raises(StateConflictError):
        administration.restore_access(login="admin")


def test_an_erased_value_stays_erased(home: AssuredHome, empty: Catalogue, archive: DisclosureArchive) -> None:
    live_through_a_day(home)
    archive.sync(home.catalogue)
    statement = "UPDATE disclosures SET text = NULL, erased_at = 1 WHERE name = 'mtime_raw'"
    with home.catalogue.engine.begin() as connection:
        count = connection.exec_driver_sql(statement).rowcount
    assert archive.drop_erased(home.catalogue) == 2 * count  # in both stores
    assert archive.drop_erased(home.catalogue) == 0
    report = rebuilt(home, empty, archive)
    assert report.erased == count
    with empty.read() as uow:
        assert {uow.recordings.get(one).source.mtime_raw for one in uow.recordings.all_ids()} == {""}


def test_an_unsound_log_is_not_built_from(home: AssuredHome, empty: Catalogue, archive: DisclosureArchive) -> None:
    live_through_a_day(home)
    archive.sync(home.catalogue)
    bundle = max(home.published[1].glob("tile/entries/000.p/*"), key=lambda path: int(path.name))
    bundle.chmod(0o640)
    data = bytearray(bundle.read_bytes())
    data[400] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(IntegrityError):
        rebuilt(home, empty, archive)
    with empty.read() as uow:
        assert uow.people.agents() == []
    rebuilt(home, empty, archive, directory=0)  # the other domain's copy serves


def test_only_an_empty_catalogue_is_filled(home: AssuredHome, archive: DisclosureArchive) -> None:
    home.seal()
    with pytest.raises(StateConflictError):
        rebuilt(home, home.catalogue, archive)


def test_without_disclosures_the_facts_come_back_without_personal_values(home: AssuredHome, empty: Catalogue) -> None:
    live_through_a_day(home)
    report = rebuild(empty, published=home.published[0], vkey=home.vkey, disclosures=[], stores=home.stores)
    assert report.erased > 0
    with empty.read() as uow:
        rows = [uow.recordings.get(one) for one in uow.recordings.all_ids()]
        assert {agent.name for agent in uow.people.agents()} == {""}
    assert {row.name for row in rows} == {""}
    assert all(row.sha256 is not None and row.deadline_at is not None for row in rows)


# --- the archive of disclosures ---------------------------------------------------------------------------------------
def test_each_root_catches_up_from_what_it_holds(home: AssuredHome, archive: DisclosureArchive) -> None:
    primary, second = home.root / "stores/primary", home.root / "stores/second"
    home.seal()
    archive.sync(home.catalogue)
    away = second.rename(home.root / "away")
    home.agent("甲", "officer")
    with pytest.raises(StoreUnavailableError):
        archive.sync(home.catalogue)
    away.rename(second)
    home.seal()
    archive.sync(home.catalogue)
    assert list(archive.read_all(primary)) == list(archive.read_all(second))
    assert archive.sync(home.catalogue) == 0


def test_a_writer_that_was_held_up_does_not_set_a_full_segment_back(
    home: AssuredHome, archive: DisclosureArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service replicates from a thread and from a job: one of them may have read the log's size long ago."""
    written, go_on = DisclosureArchive._write, threading.Event()
    held_up: list[str] = []

    def slow(self: DisclosureArchive, root: Path, segment: object) -> None:
        if threading.current_thread().name == "slow" and not held_up:
            held_up.append("yes")
            go_on.wait(1)
        written(self, root, segment)  # type: ignore[arg-type]

    home.seal()
    monkeypatch.setattr(DisclosureArchive, "_write", slow)
    first = threading.Thread(target=archive.sync, args=(home.catalogue,), name="slow")
    first.start()
    while not held_up:
        time.sleep(0.01)
    for number in range(40):
        home.administration.create_unit(home.administrator, name=f"{number} 科")
    home.seal()
    archive.sync(home.catalogue)
    go_on.set()
    first.join()
    archive.sync(home.catalogue)
    assert home.verify(disclosures=archive).findings == ()


def test_an_altered_segment_in_one_store_does_not_keep_the_others_behind(
    home: AssuredHome, archive: DisclosureArchive
) -> None:
    home.seal()
    archive.sync(home.catalogue)
    last = max((home.root / "stores/primary/disclosures").iterdir())
    data = last.read_bytes()
    altered = data[:-1] + bytes([data[-1] ^ 1])
    last.write_bytes(altered)
    home.agent("甲", "officer")
    home.seal()
    with pytest.raises(IntegrityError):
        archive.sync(home.catalogue)
    assert last.read_bytes() == altered, "nothing is written over it"
    assert '"甲"' in {_value(one.text) for one in archive.read_all(home.root / "stores/second")}


def _value(text: str) -> str:
    return json.dumps(open_text(text)[1], ensure_ascii=False)


def test_nothing_personal_stands_in_a_segment_and_another_key_opens_none(
    home: AssuredHome, archive: DisclosureArchive, tmp_path: Path
) -> None:
    home.agent("执法人员甲", "officer", code="900123")
    home.seal()
    archive.sync(home.catalogue)
    root = home.root / "stores/primary"
    stored = b"".join(path.read_bytes() for path in (root / "disclosures").iterdir())
    assert "甲".encode() not in stored
    assert b"900123" not in stored
    with pytest.raises(IntegrityError):
        list(DisclosureArchive(generate_key(tmp_path / "other"), [root]).read_all(root))


def test_a_missing_or_swapped_segment_is_noticed(home: AssuredHome, archive: DisclosureArchive) -> None:
    for number in range(40):
        home.administration.create_unit(home.administrator, name=f"{number} 科")
    home.agent("甲", "officer")
    home.seal()
    archive.sync(home.catalogue)
    root = home.root / "stores/primary/disclosures"
    first, second = root / "000000.seg", root / "000001.seg"
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(IntegrityError):
        list(archive.read_all(root.parent))
    first.write_bytes(data)
    list(archive.read_all(root.parent))
    second.unlink()
    with pytest.raises(IntegrityError):
        list(archive.read_all(root.parent))


def test_a_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys/disclosures.key"
    key = generate_key(path)
    assert load_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyUnavailableError):
        generate_key(path)
    path.chmod(0o644)
    with pytest.raises(KeyUnavailableError):
        load_key(path)
    for wrong in (b"", b"zz", b"00" * 31, b"\xff"):
        path.write_bytes(wrong)
        path.chmod(0o600)
        with pytest.raises(KeyUnavailableError):
            load_key(path)
