"""One changed bit in every kind of stored thing is found, named and gives exit code 1; a sound home gives 0."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from assurance import DisclosureArchive, Verdict
from assurance.disclosures import generate_key
from catalogue import Catalogue
from chain_of_custody.entry import parse
from evidence.digest import SHA256, Digest
from evidence.errors import IntegrityError
from storage.layout import blob_key, lock_folder
from support.assured_home import AssuredHome
from support.footage import talking_mp4
from support.recorders import gb_name

SEED = bytes(range(256)) * 40


def filled(home: AssuredHome):
    twin = os.urandom(4000)
    rows = home.ingest(
        {
            f"DCIM/{gb_name(counter=1)}": SEED,
            f"DCIM/{gb_name(counter=2)}": twin,
            f"DCIM/{gb_name(counter=3, mark='_IMP')}": twin,
            "DCIM/strange.bin": b"?",
        }
    )
    return rows[0]


def flip(path: Path, *, at: float = 0.5) -> None:
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)


def sql(home: AssuredHome, statement: str, *values: object) -> None:
    # Through the catalogue's own library: a second one in this process would drop its locks.
    with home.catalogue.engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        assert connection.exec_driver_sql(statement, values).rowcount > 0, statement


@contextlib.contextmanager
def without_foreign_keys(home: AssuredHome) -> Iterator[sa.Connection]:
    """What somebody with a tool of their own can do."""
    with home.catalogue.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        yield connection
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("BEGIN")


def kinds(report) -> set[str]:
    return {finding.kind for finding in report.findings}


def blob(home: AssuredHome, digest: str, store: str = "second") -> Path:
    return home.root / "stores" / store / blob_key(Digest(SHA256, digest))


def test_a_sound_home_is_good_with_true_counts(home: AssuredHome) -> None:
    filled(home)
    report = home.verify()
    assert (report.verdict, report.exit_code, report.findings) == (Verdict.GOOD, 0, ())
    with home.catalogue.read() as uow:
        assert report.entries == uow.outbox.head().size
    assert (report.recordings, report.copies) == (4, 12)
    assert set(report.to_json()) == {"verdict", "entries", "recordings", "copies", "findings", "notes"}


def test_a_described_home_with_derivatives_is_good_and_their_copies_are_read(home: AssuredHome) -> None:
    (row,) = home.ingest({f"DCIM/{gb_name()}": talking_mp4()}, describe=True)
    assert home.verify().verdict is Verdict.GOOD
    with home.catalogue.read() as uow:
        made = uow.derivatives.of(row.id)
    assert {one.kind for one in made} >= {"poster", "sheet"}
    flip(blob(home, made[0].sha256.hex))
    report = home.verify()
    assert [(one.kind, one.recording, one.store) for one in report.findings] == [("copy-damaged", row.id, "second")]


@pytest.mark.parametrize("store", ["primary", "second"])
def test_a_flipped_bit_in_a_copy_names_recording_and_store(home: AssuredHome, store: str) -> None:
    row = filled(home)
    flip(blob(home, row.sha256.hex, store))
    report = home.verify()
    assert (report.verdict, report.exit_code) == (Verdict.TAMPERED, 1)
    assert ("copy-damaged", row.id, store) in {(one.kind, one.recording, one.store) for one in report.findings}


def test_two_names_of_one_file_are_one_copy(home: AssuredHome) -> None:
    row = filled(home)
    first, second = blob(home, row.sha256.hex, "primary"), blob(home, row.sha256.hex)
    second.unlink()
    second.hardlink_to(first)
    report = home.verify()
    told = {(one.kind, one.recording, one.store) for one in report.findings}
    assert told == {
        ("copies-are-one-file", row.id, "second"), ("too-few-copies", row.id, ""),
        ("file-open", row.id, "primary"), ("file-open", row.id, "second"),
    }  # fmt: skip
    assert report.exit_code == 3


@pytest.mark.parametrize("what", ["mode", "link"])
def test_an_original_that_can_be_changed_from_elsewhere_is_told_as_a_note(
    home: AssuredHome, tmp_path: Path, what: str
) -> None:
    row = filled(home)
    path = blob(home, row.sha256.hex)
    if what == "mode":
        path.chmod(0o666)
    else:
        (tmp_path / "elsewhere").hardlink_to(path)
    report = home.verify()
    assert [(one.kind, one.recording, one.store) for one in report.findings] == [("file-open", row.id, "second")]
    assert report.exit_code == 0
    assert path.stat().st_mode & 0o777 == (0o666 if what == "mode" else 0o440)


def test_a_missing_copy_is_a_loss(home: AssuredHome) -> None:
    row = filled(home)
    blob(home, row.sha256.hex).unlink()
    report = home.verify()
    assert report.exit_code == 1
    assert "copy-missing" in kinds(report)


def test_a_flipped_bit_in_a_manifest_is_found(home: AssuredHome) -> None:
    row = filled(home)
    flip(blob(home, row.manifest_sha256, "primary"))
    report = home.verify()
    assert report.exit_code == 1
    assert {"copy-damaged", "manifest-invalid"} & kinds(report)


def test_a_flipped_bit_in_a_lock_record_is_found(home: AssuredHome) -> None:
    row = filled(home)
    home.stores.primary.set_hold(row.sha256, reference="case 7")
    assert home.verify().exit_code == 0
    flip(next(home.root.joinpath("stores/primary", *lock_folder(row.sha256)).iterdir()))
    report = home.verify()
    assert report.exit_code == 1
    assert "lock-record" in kinds(report)


@pytest.mark.parametrize("directory", [0, 1])
@pytest.mark.parametrize("pattern", ["checkpoint", "tile/entries/000.p/*", "tile/0/000.p/*"])
def test_a_flipped_bit_in_any_published_file_is_found(home: AssuredHome, directory: int, pattern: str) -> None:
    filled(home)
    newest = max(home.published[directory].glob(pattern), key=lambda path: int(path.name) if path.name.isdigit() else 0)
    flip(newest)
    report = home.verify()
    assert (report.verdict, report.exit_code) == (Verdict.TAMPERED, 1)
    assert f"log:{directory}" in {finding.store for finding in report.findings}


def test_a_published_log_that_vanished_is_a_loss(home: AssuredHome) -> None:
    filled(home)
    (home.published[1] / "checkpoint").unlink()
    assert home.verify().exit_code == 1


_ROWS: dict[str, Callable[[AssuredHome, str], None]] = {
    "an envelope": lambda home, _: sql(
        home, "UPDATE entries SET envelope = replace(envelope, 'payloadType', 'payloadtype') WHERE idx = 4"
    ),
    "an envelope's bytes": lambda home, _: sql(
        home,
        "UPDATE entries SET envelope = CAST(replace(envelope, 'payloadType', 'payloadtype') AS BLOB) WHERE idx = 4",
    ),
    "the head's note's bytes": lambda home, _: sql(
        home, "UPDATE log_head SET note = CAST(replace(note, 'log', 'lag') AS BLOB)"
    ),
    "a time that is none": lambda home, one: sql(
        home, "UPDATE recordings SET stored_at = 'yesterday' WHERE id = ?", one
    ),
    "a leaf digest": lambda home, _: sql(home, "UPDATE entries SET leaf_sha256 = zeroblob(32) WHERE idx = 4"),
    "an event type": lambda home, _: sql(home, "UPDATE entries SET event_type = 'log.opened' WHERE idx = 4"),
    "the head's root": lambda home, _: sql(home, "UPDATE log_head SET root = zeroblob(32)"),
    "the head's note": lambda home, _: sql(home, "UPDATE log_head SET note = replace(note, '—', '-')"),
    "a disclosed value": lambda home, _: sql(
        home, "UPDATE disclosures SET text = 'W10' WHERE digest = (SELECT min(digest) FROM disclosures)"
    ),
    "a recording's digest": lambda home, one: sql(
        home, "UPDATE recordings SET sha256 = (SELECT sha256 FROM recordings WHERE id <> ?1 LIMIT 1) WHERE id = ?1", one
    ),
    "a recording's size": lambda home, one: sql(home, "UPDATE recordings SET size_bytes = 7 WHERE id = ?", one),
    "a recording's state": lambda home, one: sql(home, "UPDATE recordings SET state = 'released' WHERE id = ?", one),
    "a recording's name": lambda home, one: sql(home, "UPDATE recordings SET name = 'x.mp4' WHERE id = ?", one),
    "a recording's officer": lambda home, one: sql(home, "UPDATE recordings SET officer_code='1' WHERE id = ?", one),
    "a quarantine flag": lambda home, _: sql(
        home, "UPDATE recordings SET quarantine_reason = '' WHERE quarantine_reason <> ''"
    ),
    "a twin's name": lambda home, _: sql(home, "UPDATE recording_names SET name = 'y.mp4'"),
    "the row of a copy": lambda home, _: sql(home, "DELETE FROM blob_copies WHERE store = 'second'"),
    "a granted role": lambda home, _: sql(
        home, "INSERT INTO role_grants (agent, role, unit) SELECT id, 'auditor', '' FROM agents WHERE login = 'admin'"
    ),
    "an agent's log-in": lambda home, _: sql(home, "UPDATE agents SET login = 'root' WHERE login = 'admin'"),
    "a recorder's serial": lambda home, _: sql(home, "UPDATE devices SET serial = 'other'"),
    "a recorder whose registration is hidden": lambda home, _: sql(
        home, "UPDATE devices SET serial = 'other', registered_at = NULL"
    ),
    "when a recorder was registered": lambda home, _: sql(home, "UPDATE devices SET registered_at = registered_at + 1"),
    "a recorder that nobody registered": lambda home, _: sql(
        home,
        "INSERT INTO devices (id, state, driver, kind, serial, serial_source, first_seen_at, last_seen_at)"
        " SELECT 'dev_' || substr(id, 5, 31) || 'f', state, driver, kind, 'x', serial_source, 1, 1 FROM devices",
    ),
    "a recorder's clock as it was found": lambda home, _: sql(home, "UPDATE offloads SET clock_offset_ms = 3600000"),
    "a docking": lambda home, _: sql(home, "UPDATE offloads SET state = 'failed'"),
    "who acted on a recording": lambda home, one: sql(home, "UPDATE entries SET actor = 'x' WHERE recording = ?", one),
    "when something was entered": lambda home, one: sql(
        home, "UPDATE entries SET at = at + 1 WHERE recording = ?", one
    ),
    "when a twin was seen": lambda home, _: sql(home, "UPDATE recording_names SET seen_at = seen_at + 1"),
    "a twin's mark": lambda home, _: sql(home, "UPDATE recording_names SET important = NOT important"),
    "the read-back digest of a blob": lambda home, _: sql(
        home, "UPDATE blobs SET blake3 = sha256 WHERE blake3 IS NOT NULL"
    ),
    "the size of a manifest": lambda home, _: sql(
        home,
        "UPDATE blobs SET size_bytes = size_bytes + 1 WHERE sha256 = (SELECT max(manifest_sha256) FROM recordings)",
    ),
    "what a recording is searched by": lambda home, one: sql(
        home, "UPDATE recording_texts SET text = 'zzz' WHERE recording = ?", one
    ),
    "that a recording is searched at all": lambda home, one: sql(
        home, "DELETE FROM recording_texts WHERE recording = ?", one
    ),
    "the words a recording is searched by": lambda home, one: sql(
        home,
        "DELETE FROM recording_fts WHERE rowid = (SELECT serial FROM recording_texts WHERE recording = ?)",
        one,
    ),
    "where a recording stands in lists": lambda home, one: sql(
        home, "UPDATE recordings SET sort_at = sort_at - 86400000 WHERE id = ?", one
    ),
    "who did something that is about no recording": lambda home, _: sql(
        home, "UPDATE entries SET actor = 'x' WHERE event_type = 'role.changed'"
    ),
    "when something was done that is about no recording": lambda home, _: sql(
        home, "UPDATE entries SET at = at + 1 WHERE event_type = 'role.changed'"
    ),
    "whose key signed an entry": lambda home, _: sql(home, "UPDATE entries SET key_id = 'x' WHERE idx = 7"),
    "the number of an entry": lambda home, _: sql(home, "UPDATE entries SET seq = 90001 WHERE idx = 7"),
    "which entry a value belongs to": lambda home, _: sql(
        home, "UPDATE disclosures SET entry = (SELECT id FROM entries WHERE idx = 0) WHERE name = 'mtime_raw'"
    ),
    "the failure domain of a copy": lambda home, _: sql(home, "UPDATE blob_copies SET domain = 'disk:far-away'"),
}


@pytest.mark.parametrize("what", sorted(_ROWS))
def test_r08_a_row_changed_behind_our_back_is_found(home: AssuredHome, what: str) -> None:
    row = filled(home)
    assert home.verify().exit_code == 0
    _ROWS[what](home, row.id)
    report = home.verify()
    assert (report.verdict, report.exit_code) == (Verdict.TAMPERED, 1), what


def test_whose_role_and_which_unit_was_changed_is_named(home: AssuredHome) -> None:
    unit = home.administration.create_unit(home.administrator, name="一科")
    admin = home.first.agent.id
    sql(home, "UPDATE units SET name = '二科' WHERE id = ?", unit.id)
    sql(home, "INSERT INTO role_grants (agent, role, unit) VALUES (?, 'auditor', ?)", admin, unit.id)
    told = {one.detail for one in home.verify().findings if one.kind == "catalogue-differs"}
    assert told == {
        f"units are not what the log says: {unit.id}",
        f"roles are not what the log says: auditor of {admin} for {unit.id}",
    }


def test_a_recording_dropped_from_the_catalogue_is_missed(home: AssuredHome) -> None:
    filled(home)
    with home.catalogue.read() as uow:
        (victim,) = [one for one in uow.recordings.all_ids() if uow.recordings.get(one).quarantine_reason]
    with without_foreign_keys(home) as database:
        database.exec_driver_sql("DELETE FROM recordings WHERE id = ?", (victim,))
    report = home.verify()
    assert ("recording-missing", victim) in {(one.kind, one.recording) for one in report.findings}


def test_an_entry_dropped_from_the_database_is_missed(home: AssuredHome) -> None:
    filled(home)
    with without_foreign_keys(home) as database:
        database.exec_driver_sql("DELETE FROM disclosures WHERE entry = (SELECT id FROM entries WHERE idx = 5)")
        database.exec_driver_sql("DELETE FROM entries WHERE idx = 5")
    report = home.verify()
    assert report.exit_code == 1
    assert "entry-missing" in kinds(report)


def test_a_value_that_was_lawfully_erased_is_no_finding_of_the_log(home: AssuredHome) -> None:
    filled(home)
    sql(home, "UPDATE disclosures SET text = NULL, erased_at = 1 WHERE name = 'mtime_raw'")
    assert not {"disclosure-differs", "entry-invalid"} & kinds(home.verify())


def test_a_database_that_was_rolled_back_is_found(home: AssuredHome) -> None:
    home.catalogue.backup(home.root / "old.db")
    filled(home)
    old = Catalogue.open(f"sqlite:///{home.root}/old.db")
    current, home.catalogue = home.catalogue, old
    report = home.verify()
    home.catalogue = current
    old.close()
    assert report.exit_code == 1
    assert "log-not-in-database" in kinds(report)


def test_log_and_database_that_were_set_back_together_are_told_by_the_manifests_in_the_stores(
    home: AssuredHome, tmp_path: Path
) -> None:
    filled(home)
    home.catalogue.backup(tmp_path / "old.db")
    for position, directory in enumerate(home.published):
        shutil.copytree(directory, tmp_path / f"old-{position}")
    (lost,) = home.ingest({f"DCIM/{gb_name(counter=9)}": b"late" * 1000}, card="later")
    for position, directory in enumerate(home.published):
        shutil.rmtree(directory)
        shutil.copytree(tmp_path / f"old-{position}", directory)
    current, home.catalogue = home.catalogue, Catalogue.open(f"sqlite:///{tmp_path}/old.db")
    report = home.verify()
    home.catalogue.close()
    home.catalogue = current
    told = {(one.recording, one.store) for one in report.findings if one.kind == "log-rolled-back"}
    assert told == {(lost.id, "primary"), (lost.id, "second")}
    assert report.exit_code == 1


def test_a_manifest_of_a_crash_whose_entries_are_in_the_log_is_only_left_over(home: AssuredHome) -> None:
    row = filled(home)
    with home.catalogue.engine.begin() as connection:
        for table in ("blob_copies", "blob_holders", "blobs"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE sha256 = ?", (row.manifest_sha256,))
    report = home.verify()
    assert "orphan-blob" in kinds(report)
    assert "log-rolled-back" not in kinds(report)


def test_a_store_that_is_not_there_is_unknown_and_never_good(home: AssuredHome) -> None:
    filled(home)
    (home.root / "stores/second/0=liuhen_store_1").rename(home.root / "marker")
    report = home.verify()
    assert (report.verdict, report.exit_code) == (Verdict.UNKNOWN, 30)
    assert "store-unavailable" in kinds(report)


def test_too_few_copies_give_exit_code_3(home: AssuredHome) -> None:
    filled(home)
    unmet = home.verify(copies=3)
    assert (unmet.verdict, unmet.exit_code) == (Verdict.POLICY_UNMET, 3)
    assert kinds(unmet) == {"too-few-copies"}


def test_stores_on_one_disk_are_told_as_a_note_of_the_set_up_and_never_silently(home: AssuredHome) -> None:
    filled(home)
    report = home.verify(domains=2)
    assert (report.verdict, report.exit_code) == (Verdict.GOOD, 0)
    assert kinds(report) == {"few-domains-here"}
    told = report.to_json()
    assert told["findings"] == []
    assert [note["kind"] for note in told["notes"]] == ["few-domains-here"]


def test_a_blob_nobody_refers_to_is_told_and_no_tamper(home: AssuredHome) -> None:
    import io

    from evidence.digest import sha256_of

    filled(home)
    home.stores.primary.put(io.BytesIO(b"stray"), sha256=sha256_of(b"stray"), size_bytes=5)
    report = home.verify()
    assert (kinds(report), report.exit_code) == ({"orphan-blob"}, 0)


def test_entries_that_wait_too_long_for_a_checkpoint_are_told(home: AssuredHome) -> None:
    filled(home)
    home.gate.offered(home.administrator)
    home.administration.create_unit(home.administrator, name="一科")
    assert home.verify().exit_code == 0
    home.clock.unix_ms += 10 * 60 * 1000
    assert kinds(home.verify()) == {"not-published"}


# --- the stores' copies of personal values ----------------------------------------------------------------------------
@pytest.fixture
def archive(home: AssuredHome, tmp_path: Path) -> DisclosureArchive:
    filled(home)
    roots = [home.root / "stores/primary", home.root / "stores/second"]
    made = DisclosureArchive(generate_key(tmp_path / "key"), roots, segment_entries=16)
    made.sync(home.catalogue)
    return made


def segments(home: AssuredHome, store: str = "second") -> list[Path]:
    return sorted((home.root / "stores" / store / "disclosures").iterdir())


def test_sound_copies_of_personal_values_are_good(home: AssuredHome, archive: DisclosureArchive) -> None:
    assert len(segments(home)) > 1
    assert home.verify(disclosures=archive).findings == ()


@pytest.mark.parametrize("what", ["first", "last"])
def test_a_flipped_bit_in_a_disclosure_segment_is_found(
    home: AssuredHome, archive: DisclosureArchive, what: str
) -> None:
    flip(segments(home)[0 if what == "first" else -1])
    report = home.verify(disclosures=archive)
    assert [(one.kind, one.store) for one in report.findings] == [("disclosure-differs", "second")]
    assert report.exit_code == 1
    with pytest.raises(IntegrityError):
        list(archive.read_all(home.root / "stores/second"))


def test_a_lost_disclosure_segment_is_found(home: AssuredHome, archive: DisclosureArchive) -> None:
    segments(home)[0].unlink()
    assert home.verify(disclosures=archive).exit_code == 1


def test_personal_values_that_a_segment_lacks_are_found_and_one_too_many_is_an_erasure_to_come(
    home: AssuredHome, archive: DisclosureArchive
) -> None:
    with home.catalogue.read() as uow:
        rows = uow.outbox.rows(0, uow.outbox.head().size)
        alive = uow.outbox.disclosures_of([digest for row in rows for digest in parse(row.envelope).sd])
    names = [one for one in alive.values() if one.name == "name"]
    with home.catalogue.engine.begin() as database:
        database.exec_driver_sql("UPDATE disclosures SET text = NULL, erased_at = 1 WHERE name = 'name'")
    assert "disclosure-differs" not in kinds(home.verify(disclosures=archive))
    archive.drop_erased(home.catalogue)
    with home.catalogue.engine.begin() as database:
        for one in names:
            database.exec_driver_sql("UPDATE disclosures SET text = ? WHERE digest = ?", (one.text, one.digest))
    assert {(one.kind, one.store) for one in home.verify(disclosures=archive).findings} == {
        ("disclosure-differs", "primary"), ("disclosure-differs", "second"),
    }  # fmt: skip


def test_personal_values_without_a_copy_for_too_long_are_told(home: AssuredHome, archive: DisclosureArchive) -> None:
    home.agent("新人", "officer")
    home.seal()
    assert home.verify(disclosures=archive).verdict is Verdict.GOOD
    home.clock.unix_ms += 10 * 60 * 1000
    report = home.verify(disclosures=archive)
    assert {(one.kind, one.store) for one in report.findings} == {
        ("not-published", "primary"),
        ("not-published", "second"),
    }
    assert report.exit_code == 3
    archive.sync(home.catalogue)
    assert home.verify(disclosures=archive).verdict is Verdict.GOOD


def test_a_store_whose_disk_is_away_leaves_its_personal_values_unknown(
    home: AssuredHome, archive: DisclosureArchive
) -> None:
    (home.root / "stores/second").rename(home.root / "away")
    report = home.verify(disclosures=archive)
    assert (report.verdict, kinds(report)) == (Verdict.UNKNOWN, {"store-unavailable", "too-few-copies"})
