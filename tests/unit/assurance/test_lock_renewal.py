"""Locks of copies are renewed before they lapse, as far as the law says and no further; what fails is told; on real stores."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from assurance import FindingBook, Level
from assurance.health_facts import HealthParts
from assurance.health_of_locks import locks
from assurance.renewal import NOT_RENEWED, RenewalParts, renew_locks
from assurance.report import Verdict
from assurance.verify import CopyPolicy
from catalogue.store_moves import FINISHING, StoreMoveRow
from evidence.clock import SystemClock, utc_from_ms
from evidence.digest import SHA256, Digest
from evidence.errors import BlobLockedError, StoreError, StoreUnavailableError
from evidence.lock_dates import LockPolicy, due_at
from storage.s3 import S3Store
from support import seaweed
from support.assured_home import AssuredHome
from support.home import Home
from support.recorders import gb_name, make_gb_tree
from support.stores import SUITE

NAME, MARKED = f"DCIM/{gb_name(counter=1)}", f"DCIM/{gb_name(counter=2, mark='_IMP')}"
POLICY = LockPolicy()
DAY = timedelta(days=1)


def parts(home: AssuredHome) -> RenewalParts:
    return RenewalParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=home.stores.all, policy=POLICY
    )


def renew(home: AssuredHome):
    book = FindingBook(home.catalogue, recorder=home.recorder, clock=home.clock)
    return renew_locks(parts(home), book=book)


def pass_days(home: AssuredHome, days: float) -> None:
    """Time goes by; the home sees it going by."""
    home.clock.unix_ms += int(timedelta(days=days) / timedelta(milliseconds=1))
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(now(home))


def now(home: AssuredHome):
    return utc_from_ms(home.clock.unix_ms)


def until(home: AssuredHome, sha256: Digest, store: str = "primary"):
    return home.stores.named(store).stat(sha256).retain_until


def told(home: AssuredHome):
    with home.catalogue.read() as uow:
        return {name: uow.copy_locks.summary(name, now(home)) for name in home.stores.names}


def tile(home: AssuredHome) -> dict[str, tuple[Level, str]]:
    looked = HealthParts(
        catalogue=home.catalogue, stores=home.stores.all, published=home.published, verifier=home.sealer.verifier,
        clock=home.clock, policy=CopyPolicy(copies=2, domains=1), locks=POLICY,
    )  # fmt: skip
    return {check.subject: (check.level, check.reason) for check in locks(looked)}


def test_r10_every_copy_is_locked_when_it_is_stored_and_the_renewal_learns_what_the_stores_keep(
    home: AssuredHome,
) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    manifest = Digest(SHA256, row.manifest_sha256)
    for store in ("primary", "second"):
        for sha256 in (row.sha256, manifest):
            assert abs(until(home, sha256, store) - (row.acquired_at + POLICY.cap)) < timedelta(minutes=1)
    assert (told(home)["second"].unlocked, told(home)["second"].unknown) == (0, 2)
    assert set(tile(home).values()) == {(Level.UNKNOWN, "locks-not-looked-at")}
    done = renew(home)
    assert {name: (one.renewed, one.failed, one.complete) for name, one in done.items()} == {
        "primary": (0, 0, True), "second": (0, 0, True),
    }  # fmt: skip
    assert (told(home)["second"].unlocked, told(home)["second"].unknown, told(home)["second"].due) == (0, 0, 0)
    assert home.entries("locks.renewed") == []
    assert set(tile(home).values()) == {(Level.OK, "locks-kept")}
    assert home.verify().verdict is Verdict.GOOD


def test_r10_a_lock_is_moved_when_half_of_it_is_over_up_to_the_lawful_date_and_not_beyond(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    renew(home)
    due, given = due_at(row.acquired_at), []
    for _ in range(40):
        pass_days(home, 6)
        renew(home)
        given.append(until(home, row.sha256))
        assert given[-1] <= due
        if now(home) < due:
            assert given[-1] > min(now(home) + 37 * DAY, due - timedelta(seconds=1))
            assert set(tile(home).values()) == {(Level.OK, "locks-kept")}
    assert given[-1] == due, "past its date it gets no further one"
    assert now(home) > due
    assert home.stores.primary.exists(row.sha256), "and stays"
    records = len(list((home.root / "stores/primary/locks").glob(f"*/{row.sha256.hex}/*.json")))
    assert records <= 5, "one record per renewal, and few renewals"
    assert {entry["store"] for entry in home.entries("locks.renewed")} == {"primary", "second"}
    assert set(tile(home).values()) == {(Level.OK, "locks-kept")}, "what is due is no lock that lapses unnoticed"
    assert home.verify().verdict is Verdict.GOOD


def test_r11_footage_with_the_device_mark_is_locked_for_as_long_as_somebody_renews(home: AssuredHome) -> None:
    (row,) = home.ingest({MARKED: b"marked" * 1000})
    assert row.important
    for _ in range(10):
        pass_days(home, 40)
        renew(home)
        assert until(home, row.sha256) > now(home) + 44 * DAY
    assert now(home) > due_at(row.acquired_at) + 200 * DAY


def test_a_mark_that_comes_later_is_heeded_within_a_week(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    for _ in range(18):
        pass_days(home, 6)
        renew(home)
    pass_days(home, 60)
    renew(home)
    assert until(home, row.sha256) == due_at(row.acquired_at)
    with home.catalogue.begin() as uow:
        uow.recordings.update(row.id, important=True)
        uow.copy_locks.look_again(row.sha256)
    renew(home)
    assert until(home, row.sha256) > due_at(row.acquired_at)


def test_p09_a_clock_that_jumped_renews_nothing_and_gives_new_footage_no_date(home: AssuredHome, monkeypatch) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(now(home))
    home.clock.unix_ms += int(9_000 * DAY / timedelta(milliseconds=1))
    unsynchronised = replace(home.clock.now(), source="unsynchronised")
    monkeypatch.setattr(home.clock, "now", lambda: unsynchronised)
    before = until(home, row.sha256)
    assert renew(home) == {}
    assert until(home, row.sha256) == before
    assert tile(home) == {"": (Level.UNKNOWN, "clock-not-believed")}
    (late,) = home.ingest({f"DCIM/{gb_name(counter=3)}": b"in 2051" * 1000}, card="card2")
    assert late.deadline_at is None
    assert until(home, late.sha256) is None
    assert until(home, late.sha256, "second") is None


def test_a_lock_that_cannot_be_moved_is_told_once_and_alarms_before_it_lapses(home: AssuredHome, monkeypatch) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    renew(home)

    def refuse(*_, **__):
        raise StoreError("the server refuses")

    monkeypatch.setattr(home.stores.named("second"), "extend_retention", refuse)
    pass_days(home, 60)
    assert (renew(home)["second"].failed, renew(home)["primary"].renewed) == (2, 0)
    pass_days(home, 1)
    renew(home)
    with home.catalogue.read() as uow:
        assert [(one.kind, one.store) for one in uow.findings.open()] == [(NOT_RENEWED, "second")]
    assert tile(home)["second"] == (Level.OK, "locks-kept"), "the finding is told; the lock still stands for a month"
    pass_days(home, 23)
    renew(home)
    assert tile(home) == {"primary": (Level.OK, "locks-kept"), "second": (Level.BAD, "lock-lapses")}
    assert until(home, row.sha256, "primary") > now(home) + 30 * DAY


def test_a_server_that_says_it_moved_a_lock_and_did_not_is_a_failure(home: AssuredHome, monkeypatch) -> None:
    home.ingest({NAME: b"footage" * 1000})
    renew(home)
    monkeypatch.setattr(home.stores.named("second"), "extend_retention", lambda *_, **__: None)
    pass_days(home, 60)
    assert renew(home)["second"].failed == 2
    with home.catalogue.read() as uow:
        (finding,) = uow.findings.open()
    assert "does not keep it" in finding.detail


def test_a_store_that_is_away_keeps_no_other_waiting_and_its_renewal_counts_as_stalled(
    home: AssuredHome, monkeypatch
) -> None:
    home.ingest({NAME: b"footage" * 1000})
    renew(home)

    def away(*_, **__):
        raise StoreUnavailableError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(home.stores.named("second"), "extend_retention", away)
        for days in (50, 4):
            pass_days(home, days)
            done = renew(home)
            assert (done["primary"].complete, done["second"].complete) == (True, False)
        assert tile(home) == {"primary": (Level.OK, "locks-kept"), "second": (Level.BAD, "renewal-stalled")}
    done = renew(home)
    assert (done["second"].renewed, done["second"].complete) == (2, True)
    assert tile(home)["second"] == (Level.OK, "locks-kept")


def test_a_renewal_that_was_killed_before_it_was_remembered_asks_for_nothing_again(
    home: AssuredHome, monkeypatch
) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    renew(home)
    pass_days(home, 60)
    with monkeypatch.context() as patch:
        from assurance import renewal

        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr(renewal, "_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            renew(home)
    moved = until(home, row.sha256)
    assert moved > now(home) + 80 * DAY
    renew(home)
    assert until(home, row.sha256) - moved < timedelta(minutes=1)
    assert told(home)["primary"].due == 0


def test_r13_a_bucket_keeps_what_the_renewal_ordered_and_no_other_copy_is_touched(tmp_path) -> None:
    """On a real server: a copy that came without a lock gets one, looked at afterwards; the server then refuses removal."""
    clock = SystemClock()
    with Home(tmp_path / "home", clock=clock) as whole:
        whole.offload(make_gb_tree(tmp_path / "card", {NAME: b"footage" * 1000}))
        (row,) = whole.rows()
        bucket = S3Store(seaweed.shared().settings(), name="bucket", suite=SUITE, clock=clock)
        bucket.ensure_bucket()
        data = b"footage" * 1000
        receipt = bucket.put(io.BytesIO(data), sha256=row.sha256, size_bytes=len(data))
        assert bucket.stat(row.sha256).retain_until is None
        with whole.catalogue.begin() as uow:
            uow.blobs.put_copy(row.sha256, whole.stores.copy(bucket, receipt, read_back_at=clock.now().wall))
        looked = RenewalParts(
            catalogue=whole.catalogue, recorder=whole.recorder, clock=clock, stores=[bucket], policy=POLICY
        )
        book = FindingBook(whole.catalogue, recorder=whole.recorder, clock=clock)
        assert renew_locks(looked, book=book)["bucket"].renewed == 1
        locked = bucket.stat(row.sha256).retain_until
        assert abs(locked - (clock.now().wall + POLICY.cap)) < timedelta(minutes=1)
        assert renew_locks(looked, book=book)["bucket"].renewed == 0
        with pytest.raises(BlobLockedError):
            bucket.delete(row.sha256, now=locked)
        bucket.close()


def test_locks_in_a_store_whose_bytes_are_to_go_are_renewed_no_more_and_are_no_alarm(home: AssuredHome) -> None:
    """Else footage with the device mark, whose locks have no end, would keep an old store from ever being given up."""
    (row,) = home.ingest({MARKED: b"footage" * 1000})
    first = until(home, row.sha256, "second")
    with home.catalogue.begin() as uow:
        uow.moves.add(
            StoreMoveRow(
                id="1", source="second", target="third", state=FINISHING, started_at=now(home), detail='{"remove":true}'
            )
        )
    for _ in range(40):
        pass_days(home, 30)
        assert set(renew(home)) == {"primary"}
    assert until(home, row.sha256, "primary") > now(home)
    assert until(home, row.sha256, "second") == first
    assert set(tile(home)) == {"primary"}


def test_one_object_that_a_server_does_not_answer_about_keeps_no_other_lock_from_being_moved(
    home: AssuredHome, monkeypatch
) -> None:
    rows = home.ingest({f"DCIM/{gb_name(counter=n)}": b"%d" % n * 1000 for n in range(1, 4)})
    renew(home)
    pass_days(home, 60)
    with home.catalogue.engine.begin() as connection:  # the first to be looked at, always
        connection.exec_driver_sql("UPDATE copy_locks SET look_at = 0 WHERE sha256 = ?", (rows[0].sha256.hex,))
    second = home.stores.named("second")
    real = second.extend_retention

    def extend(sha256, moment):
        if sha256 == rows[0].sha256:
            raise StoreUnavailableError("the server answers 500")
        real(sha256, moment)

    monkeypatch.setattr(second, "extend_retention", extend)
    done = renew(home)["second"]
    assert (done.renewed, done.failed) == (5, 1)
    with home.catalogue.read() as uow:
        assert [(one.kind, one.store) for one in uow.findings.open()] == [(NOT_RENEWED, "second")]


def test_p09_a_look_that_a_wrong_clock_put_off_for_years_is_made_now(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    renew(home)
    with home.catalogue.engine.begin() as connection:
        far = home.clock.unix_ms + int(9_000 * DAY / timedelta(milliseconds=1))
        connection.exec_driver_sql("UPDATE copy_locks SET look_at = ?", (far,))
    pass_days(home, 60)
    renew(home)
    assert until(home, row.sha256) > now(home) + 80 * DAY


def test_a_hold_keeps_ordinary_footage_locked_beyond_its_date(home: AssuredHome) -> None:
    (row,) = home.ingest({NAME: b"footage" * 1000})
    pass_days(home, 175)
    with home.catalogue.begin() as uow:
        uow.references.add_hold(row.sha256, "case-1", now(home))
    renew(home)
    assert until(home, row.sha256) > due_at(row.acquired_at) + 60 * DAY
