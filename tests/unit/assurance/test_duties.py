"""Sweep, findings, verify-now and health: true, once, and only for those who may."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from access import DeniedError
from assurance import (
    Auditor,
    AuditorParts,
    CopyPolicy,
    Finding,
    FindingBook,
    HealthParts,
    Level,
    health,
    sweep_deadlines,
)
from assurance.asking import Asker
from devices.mass_storage.driver import MassStorageDriver
from evidence.clock import utc_from_ms
from evidence.digest import SHA256, Digest
from evidence.errors import (
    InvalidInputError,
    NotFoundError,
    StateConflictError,
    StoreClockError,
    StoreCredentialsError,
    StoreUnavailableError,
)
from evidence.ids import RecordingId
from evidence.model import BlobStat
from evidence.ports import BlobStore
from storage.layout import blob_key
from storage.local import LocalStore
from support.assured_home import AssuredHome
from support.mounts import tmpfs
from support.recorders import gb_name, make_gb_tree
from support.stores import SUITE

NAME = f"DCIM/{gb_name(counter=1)}"


@pytest.fixture
def auditor(home: AssuredHome) -> Auditor:
    return Auditor(
        AuditorParts(
            catalogue=home.catalogue, authoriser=home.gate, recorder=home.recorder, clock=home.clock,
            stores=list(home.stores), published=home.published, vkey=home.vkey, policy=CopyPolicy(copies=2, domains=1),
        )
    )  # fmt: skip


def book(home: AssuredHome) -> FindingBook:
    return FindingBook(home.catalogue, recorder=home.recorder, clock=home.clock)


def sweep(home: AssuredHome) -> int:
    return sweep_deadlines(home.catalogue, book=book(home), clock=home.clock)


def listed_only(home: AssuredHome) -> RecordingId:
    """A recording that is known, but whose bytes did not come in."""
    root = make_gb_tree(home.root / "card", {NAME: b"x" * 1000})
    docked = MassStorageDriver.docked_at(root)
    result = home.intake.offload(docked, home.service, register=True)
    return result.acquired[0]  # acquired, not stored


# --- R4 ---------------------------------------------------------------------------------------------------------------
def test_r04_footage_not_handed_in_after_24_hours_is_a_finding_once(home: AssuredHome) -> None:
    recording = listed_only(home)
    assert sweep(home) == 0
    home.clock.unix_ms += int(timedelta(hours=25) / timedelta(milliseconds=1))
    assert [sweep(home), sweep(home)] == [1, 0]
    with home.catalogue.read() as uow:
        (finding,) = uow.findings.open()
    assert (finding.kind, finding.recording) == ("late", recording)
    assert [entry["kind"] for entry in home.entries("finding.raised")] == ["late"]


def test_r04_late_stays_late_when_it_arrives_and_a_closed_finding_is_not_raised_again(home: AssuredHome) -> None:
    recording = listed_only(home)
    home.clock.unix_ms += int(timedelta(hours=25) / timedelta(milliseconds=1))
    assert sweep(home) == 1
    home.intake.secure(recording)
    with home.catalogue.begin() as uow:
        (finding,) = uow.findings.open()
        uow.findings.close(finding.id, home.clock.now().wall)
    assert sweep(home) == 0
    shown = home.reading.show(home.agent("legal", "legal_reviewer"), recording)
    assert shown.hand_in == "late"


def test_r04_footage_that_came_in_late_between_two_sweeps_is_told_too(home: AssuredHome) -> None:
    recording = listed_only(home)
    home.clock.unix_ms += int(timedelta(hours=25) / timedelta(milliseconds=1))
    home.intake.secure(recording)
    assert [sweep(home), sweep(home)] == [1, 0]


def test_r04_a_timeline_that_cannot_be_read_keeps_no_other_recording_from_being_told_of(home: AssuredHome) -> None:
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2)}": b"y" * 1000})
    change(home, "UPDATE entries SET envelope = x'00' WHERE recording = ?", rows[0].id)
    change(home, "UPDATE recordings SET stored_at = deadline_at + 1")
    assert [sweep(home), sweep(home)] == [2, 0]


def test_r04_a_clock_that_went_back_makes_nothing_late(home: AssuredHome) -> None:
    listed_only(home)
    home.clock.unix_ms += int(timedelta(hours=25) / timedelta(milliseconds=1))
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(utc_from_ms(home.clock.unix_ms) + timedelta(days=3))
    assert sweep(home) == 0


def test_r04_old_footage_that_comes_in_behind_many_late_ones_is_told_too(
    home: AssuredHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assurance.sweep.PAGE_ROWS_MAX", 2)
    stamps = [f"2026112220{minute:02d}00" for minute in range(4)]
    home.clock.unix_ms += int(timedelta(days=9) / timedelta(milliseconds=1))
    home.ingest({f"DCIM/{gb_name(stamp=stamp, counter=n)}": bytes([n]) * 900 for n, stamp in enumerate(stamps)})
    held_back = {f"DCIM/{gb_name(stamp='20261101080000', counter=50)}": b"old"}
    assert sweep(home) == 4
    (row,) = home.ingest(held_back, card="forgotten")
    assert row.started_at is not None
    assert [sweep(home), sweep(home)] == [1, 0]
    with home.catalogue.read() as uow:
        assert row.id in {one.recording for one in uow.findings.open() if one.kind == "late"}


# --- verify now -------------------------------------------------------------------------------------------------------
def test_verify_now_reads_every_copy_and_enters_each_result(home: AssuredHome, auditor: Auditor) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    person = home.agent("审计", "auditor")
    checks = auditor.verify_one(person, row.id)
    assert [(one.store, one.part, one.outcome) for one in checks] == [
        ("primary", "recording", "good"), ("second", "recording", "good"),
        ("primary", "manifest", "good"), ("second", "manifest", "good"),
    ]  # fmt: skip
    entries = [entry for entry in home.entries("fixity.checked") if entry["actor"] == person.agent]
    assert (entries[0]["store"], entries[0]["outcome"]) == ("primary", "recording-good")
    assert len(entries) == 4
    assert home.verify().verdict == "good"


def test_verify_now_finds_a_bad_copy_and_leaves_a_finding(home: AssuredHome, auditor: Auditor) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    path = home.root / "stores/second" / blob_key(Digest(SHA256, row.sha256.hex))
    path.chmod(0o640)
    path.write_bytes(b"y" * 1000)
    person = home.agent("审计", "auditor")
    outcomes = {(one.store, one.part): one.outcome for one in auditor.verify_one(person, row.id)}
    assert outcomes[("second", "recording")] == "copy-damaged"
    assert outcomes[("primary", "recording")] == "good"
    assert [(one.kind, one.store) for one in auditor.findings(person)] == [("copy-damaged", "second")]


def test_verify_now_needs_something_stored_and_the_right(home: AssuredHome, auditor: Auditor) -> None:
    recording = listed_only(home)
    with pytest.raises(StateConflictError):
        auditor.verify_one(home.agent("审计", "auditor"), recording)
    with pytest.raises(DeniedError):
        auditor.verify_one(home.agent("安全", "security_administrator"), recording)
    with pytest.raises(NotFoundError):
        auditor.verify_one(home.agent("审计2", "auditor"), RecordingId.new(1))


def change(home: AssuredHome, statement: str, *values: object) -> None:
    with home.catalogue.engine.begin() as connection:
        assert connection.exec_driver_sql(statement, values).rowcount > 0, statement


def test_verify_now_reads_the_copies_that_the_log_states_though_their_rows_are_gone(
    home: AssuredHome, auditor: Auditor
) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    change(home, "DELETE FROM blob_copies WHERE store = 'second'")
    checks = auditor.verify_one(home.agent("审计", "auditor"), row.id)
    assert {(one.store, one.part, one.outcome) for one in checks} == {
        ("primary", "recording", "good"), ("primary", "manifest", "good"),
        ("second", "recording", "good"), ("second", "recording", "blob-unrecorded"),
        ("second", "manifest", "good"), ("second", "manifest", "blob-unrecorded"),
    }  # fmt: skip


def test_verify_now_of_bytes_that_were_swapped_in_the_catalogue_is_not_good(
    home: AssuredHome, auditor: Auditor
) -> None:
    row, other = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2)}": b"y" * 1000})
    change(home, "UPDATE recordings SET sha256 = ? WHERE id = ?", other.sha256.hex, row.id)
    person = home.agent("审计", "auditor")
    outcomes = {one.outcome for one in auditor.verify_one(person, row.id)}
    assert "catalogue-differs" in outcomes
    assert ("catalogue-differs", row.id) in {(one.kind, one.recording) for one in auditor.findings(person)}


def test_verify_of_a_duplicate_reads_the_bytes_that_are_kept(home: AssuredHome, auditor: Auditor) -> None:
    rows = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2)}": b"x" * 1000})
    duplicate = next(row for row in rows if row.state == "duplicate")
    assert {one.outcome for one in auditor.verify_one(home.agent("审计", "auditor"), duplicate.id)} == {"good"}


# --- verify all, findings ---------------------------------------------------------------------------------------------
def test_a_whole_verification_is_entered_and_raises_each_finding_once(home: AssuredHome, auditor: Auditor) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    (home.root / "stores/second" / blob_key(row.sha256)).unlink()
    person = home.agent("审计", "auditor")
    assert auditor.verify(person).exit_code == 1
    assert auditor.verify(person).exit_code == 1
    assert [one.kind for one in auditor.findings(person)].count("copy-missing") == 1
    assert len([one for one in home.entries("access.allowed") if one["action"] == "verify.run"]) == 2
    with pytest.raises(DeniedError):
        auditor.verify(home.agent("officer", "officer"))


def test_findings_are_seen_inside_ones_own_unit_only(home: AssuredHome, auditor: Auditor) -> None:
    mine = home.administration.create_unit(home.administrator, name="一科")
    other = home.administration.create_unit(home.administrator, name="二科")
    home.agent("甲", "officer", code="900123", home_unit=mine.id)
    home.clock.unix_ms += 24 * 3_600_000  # a member of the unit before the recording was made
    (row,) = home.ingest({f"DCIM/{gb_name(stamp='20261123203000')}": b"x" * 1000})
    book(home).raise_one("late", recording=row.id)
    book(home).raise_one("log-invalid", store="log:0")
    assert len(auditor.findings(home.agent("everywhere", "auditor"))) == 2
    assert [one.recording for one in auditor.findings(home.agent("one", "auditor", unit=mine.id))] == [row.id]
    assert auditor.findings(home.agent("two", "auditor", unit=other.id)) == []


def test_a_finding_about_a_recording_that_is_gone_is_told_to_those_who_see_everything(
    home: AssuredHome, auditor: Auditor
) -> None:
    mine = home.administration.create_unit(home.administrator, name="一科")
    book(home).raise_one("recording-missing", recording=RecordingId.new(1))
    assert [one.kind for one in auditor.findings(home.agent("everywhere", "auditor"))] == ["recording-missing"]
    assert auditor.findings(home.agent("one", "auditor", unit=mine.id)) == []


def test_thousands_of_notes_do_not_keep_a_loss_from_being_raised(home: AssuredHome) -> None:
    notes = [Finding(kind="orphan-blob", store="primary", detail=str(number)) for number in range(1500)]
    assert book(home).raise_all([*notes, Finding(kind="copy-missing", store="second")]) == 1


def test_a_verification_that_a_damaged_database_cannot_enter_is_reported_and_never_good(
    home: AssuredHome, auditor: Auditor
) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    person = home.agent("审计", "auditor")
    home.seal()
    change(home, "UPDATE signers SET next_seq = 0")
    report = auditor.verify(person)
    assert (report.verdict, {one.kind for one in report.findings}) == ("tampered", {"not-examined", "signer-differs"})
    (home.root / "stores/second" / blob_key(row.sha256)).unlink()
    assert auditor.verify(person).exit_code == 1


def test_closing_a_finding_is_entered_with_its_reason(home: AssuredHome, auditor: Auditor) -> None:
    book(home).raise_one("late")
    person = home.agent("审计", "auditor")
    (finding,) = auditor.findings(person)
    auditor.close_finding(person, finding.id, reason="已核实")
    assert auditor.findings(person) == []
    assert [one["action"] for one in home.entries("access.allowed")][-1] == "finding.close"
    assert [(one["kind"], one["reason"]) for one in home.entries("finding.closed")] == [("late", "looked-at")]
    with pytest.raises(NotFoundError):
        auditor.close_finding(person, finding.id, reason="again")


def test_a_finding_is_not_closed_without_a_reason(home: AssuredHome, auditor: Auditor) -> None:
    book(home).raise_one("late")
    person = home.agent("审计", "auditor")
    (finding,) = auditor.findings(person)
    with pytest.raises(InvalidInputError):
        auditor.close_finding(person, finding.id, reason="  ")
    assert auditor.findings(person) == [finding]


def test_findings_about_a_state_close_when_a_whole_verification_no_longer_sees_it(
    home: AssuredHome, auditor: Auditor
) -> None:
    (row,) = home.ingest({NAME: b"x" * 1000})
    home.seal()
    person = home.agent("审计", "auditor")
    away = home.root / "stores/second"
    away.rename(home.root / "away")
    kinds = {one.kind for one in auditor.verify(person).findings}
    assert {"store-unavailable", "too-few-copies"} <= kinds
    book(home).raise_one("copy-bad", recording=row.id, store="second")
    (home.root / "away").rename(away)
    auditor.verify(person)
    left = {one.kind for one in auditor.findings(person)}
    assert left.isdisjoint({"store-unavailable", "too-few-copies"})
    assert "copy-bad" in left, "damage is closed by its repair or by a person"


# --- health -----------------------------------------------------------------------------------------------------------
def look(home: AssuredHome, **changed):
    parts = {
        "catalogue": home.catalogue, "stores": list(home.stores), "published": home.published,
        "verifier": home.sealer.verifier, "clock": home.clock, "policy": CopyPolicy(copies=2, domains=1),
        "floor_bytes": 1 << 20,
    }  # fmt: skip
    found = health(HealthParts(**(parts | changed)))
    return found, {(one.name, one.subject): one for one in found.checks}


def test_a_store_in_memory_is_bad_whatever_domain_it_calls_its_own(home: AssuredHome, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "memory") as memory:
        LocalStore.create(memory / "store", "second")
        second = LocalStore(memory / "store", name="second", suite=SUITE, clock=home.clock, free_floor_bytes=0)
        _, checks = look(home, stores=[next(iter(home.stores)), second])
    assert (checks[("store", "second")].level, checks[("store", "second")].reason) == (Level.BAD, "lies-in-memory")


def test_health_tells_what_is_and_a_single_failure_domain_is_a_warning(home: AssuredHome) -> None:
    home.seal()
    found, checks = look(home)
    assert checks[("domains", "")].reason == "single-failure-domain"
    assert checks[("domains", "")].level is Level.WARN
    assert look(home, policy=CopyPolicy(copies=2, domains=2))[1][("domains", "")].level is Level.BAD
    assert checks[("store", "primary")].reason == "weak-protection"
    assert (checks[("log", "")].level, checks[("log-directory", "log:1")].level) == (Level.OK, Level.OK)
    assert checks[("database", "")].values["engine"] == "sqlite"
    assert checks[("clock", "")].reason == "synchronised"
    assert checks[("jobs", "")].level is Level.UNKNOWN
    assert found.level is Level.UNKNOWN  # what could not be looked at is never called good


class Frozen:
    """A store without privileges whose objects another unit freezes."""

    def __init__(self, inner: BlobStore, frozen: Callable[[Digest], bool]) -> None:
        self._inner, self._frozen = inner, frozen

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def stat(self, sha256: Digest) -> BlobStat:
        found = self._inner.stat(sha256)
        return replace(found, protection="immutable") if self._frozen(sha256) else found


def test_health_judges_protection_by_the_objects_themselves(home: AssuredHome) -> None:
    first, second = home.ingest({NAME: b"x" * 1000, f"DCIM/{gb_name(counter=2)}": b"y" * 1000})

    def protection(frozen: Callable[[Digest], bool]) -> tuple[str, str]:
        check = look(home, stores=[Frozen(home.stores.primary, frozen)])[1][("store", "primary")]
        return check.reason, check.values["protection"]

    assert protection(lambda _: True) == ("weak-protection", "mode-only"), "nothing is old enough to be judged"
    home.clock.unix_ms += int(timedelta(hours=1) / timedelta(milliseconds=1))
    assert protection(lambda _: True) == ("protected", "immutable")
    assert protection(lambda sha256: sha256 != second.sha256) == ("weak-protection", "mode-only")
    assert first.sha256 != second.sha256


def test_health_sees_a_full_disk_a_lost_store_and_a_lagging_log(home: AssuredHome) -> None:
    home.seal()
    assert look(home, floor_bytes=1 << 60)[1][("room", "primary")].reason == "floor-reached"
    home.administration.create_unit(home.administrator, name="一科")
    home.clock.unix_ms += 60_000
    assert look(home)[1][("log", "")].level is Level.WARN
    home.clock.unix_ms += 3_600_000
    assert look(home)[1][("log", "")].level is Level.BAD
    (home.root / "stores/second/0=liuhen_store_1").rename(home.root / "marker")
    (home.published[1] / "checkpoint").unlink()
    _, checks = look(home)
    assert checks[("store", "second")].reason == "unavailable"
    assert checks[("log-directory", "log:1")].level is Level.BAD


def test_a_program_that_only_this_process_would_find_is_not_called_installed(
    home: AssuredHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffplay-of-mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sys.modules["assurance.health"], "PROGRAMS", ("ffmpeg", program.name))
    checks = look(home)[1]
    assert checks[("program", "ffmpeg")].level is Level.OK
    assert checks[("program", program.name)].level is Level.BAD


def test_the_system_page_is_for_those_who_may(home: AssuredHome, auditor: Auditor) -> None:
    parts = HealthParts(
        catalogue=home.catalogue, stores=list(home.stores), published=home.published, verifier=home.sealer.verifier,
        clock=home.clock, policy=CopyPolicy(),
    )  # fmt: skip
    assert auditor.health(home.administrator, parts).checks
    with pytest.raises(DeniedError):
        auditor.health(home.agent("officer", "officer"), parts)


class Away:
    """A bucket that says so, or nothing at all."""

    def __init__(self, inner: BlobStore, act: Callable[[], None]) -> None:
        self._inner, self._act = inner, act

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    @property
    def properties(self):
        return replace(self._inner.properties, kind="s3", name="bucket")

    def list(self):
        self._act()
        return iter(())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreUnavailableError("no answer"), "unavailable"),
        (StoreCredentialsError("expired"), "store-credentials"),
        (StoreClockError("apart"), "store-clock"),
    ],
)
def test_a_bucket_that_refuses_us_is_told_by_its_reason(home: AssuredHome, error: Exception, reason: str) -> None:
    def refuse() -> None:
        raise error

    check = look(home, stores=[home.stores.primary, Away(home.stores.primary, refuse)])[1][("store", "bucket")]
    assert (check.level, check.reason) == (Level.BAD, reason)


def test_a_page_does_not_wait_for_a_bucket_that_says_nothing_and_calls_it_unknown(home: AssuredHome) -> None:
    home.seal()
    go_on, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        go_on.wait(30)

    asker, stores = Asker(), [home.stores.primary, Away(home.stores.primary, hang)]
    began = time.monotonic()
    checks = [look(home, stores=stores, ask=asker.turn(patience_s=0.3))[1] for _ in range(2)]
    assert time.monotonic() - began < 5
    assert {(one[("store", "bucket")].level, one[("store", "bucket")].reason) for one in checks} == {
        (Level.UNKNOWN, "no-answer-yet")
    }
    assert checks[0][("store", "primary")].reason == "weak-protection", "the others are told all the same"
    assert asked == [1], "one question is under way at most, however often the page is asked for"
    go_on.set()
    assert look(home, stores=stores, ask=asker.turn(patience_s=5))[1][("store", "bucket")].level is not Level.UNKNOWN
    assert asked == [1], "the answer that came late was used"
