"""Long-term footage gets a further copy in the cold store, read back and entered; nothing else goes there."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from app.settings import parse
from assurance.catch_up import CatchUp
from assurance.cold import lay_cold
from assurance.copies import KeepingParts
from assurance.report import Verdict
from assurance.verify import CopyPolicy, verify_home
from evidence.clock import SystemClock, utc_from_ms
from evidence.digest import SHA256, Digest, sha256_of
from evidence.errors import ConfigError, StoreFullError
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.stores import StoreSet
from support import seaweed
from support.assured_home import AssuredHome
from support.recorders import gb_name
from support.stores import SUITE, local_store

ORDINARY, MARKED = f"DCIM/{gb_name(counter=1)}", f"DCIM/{gb_name(counter=2, mark='_IMP')}"
AFTER = timedelta(days=30)


@pytest.fixture
def cold(home: AssuredHome) -> LocalStore:
    return local_store(home.root / "stores/cold", "cold", clock=home.clock)


def parts(home: AssuredHome, cold: LocalStore) -> KeepingParts:
    return KeepingParts(
        catalogue=home.catalogue, recorder=home.recorder, clock=home.clock, stores=[*home.stores.all, cold], cold="cold"
    )


def lay(home: AssuredHome, cold: LocalStore) -> int:
    return lay_cold(parts(home, cold), after=AFTER, hint=lambda _: None)


def pass_days(home: AssuredHome, days: int) -> None:
    home.clock.unix_ms += int(timedelta(days=days) / timedelta(milliseconds=1))
    with home.catalogue.begin() as uow:
        uow.clock_marks.raise_to(utc_from_ms(home.clock.unix_ms))


def test_r11_long_term_footage_gets_its_cold_copy_when_its_time_has_come_and_nothing_else_does(
    home: AssuredHome, cold: LocalStore
) -> None:
    ordinary, marked = sorted(home.ingest({ORDINARY: b"o" * 9000, MARKED: b"m" * 9000}), key=lambda row: row.important)
    assert (lay(home, cold), list(cold.list())) == (0, [])
    pass_days(home, 31)
    assert lay(home, cold) == 2
    assert set(cold.list()) == {marked.sha256, Digest(SHA256, marked.manifest_sha256)}
    assert lay(home, cold) == 0
    made = home.entries("copy.made")
    assert {(one["reason"], one["copies"][0]["store"], one["recording"]) for one in made} == {
        ("cold", "cold", marked.id)
    }
    for store in home.stores.all:
        assert {ordinary.sha256, marked.sha256} <= set(store.list()), "no other copy goes for it"
    assert CatchUp(parts(home, cold), hint=lambda _: None).run() == 0, "it is not to have everything"
    report = verify_home(
        home.catalogue, stores=[*home.stores.all, cold], published=home.published, vkey=home.vkey, clock=home.clock,
        disclosures=None, policy=CopyPolicy(copies=2, domains=1),
    )  # fmt: skip
    assert report.verdict is Verdict.GOOD


def test_a_cold_store_that_takes_nothing_is_asked_again_later_and_stops_nothing(
    home: AssuredHome, cold: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ingest({MARKED: b"m" * 9000})
    pass_days(home, 31)

    def full(*_, **__):
        raise StoreFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(cold, "put", full)
        assert lay(home, cold) == 0
    assert lay(home, cold) == 0, "it waits for its next try"
    pass_days(home, 1)
    assert lay(home, cold) == 2


def test_what_comes_in_goes_to_the_other_stores_and_the_cold_one_counts_for_no_policy(
    home: AssuredHome, cold: LocalStore
) -> None:
    stores = StoreSet(home.stores.primary, [*home.stores.others, cold])
    stores.lay_aside("cold")
    assert [store.properties.name for store in stores.taking] == ["primary", "second"]
    assert stores.cold == "cold"
    with pytest.raises(ConfigError):
        stores.lay_aside("primary")
    with pytest.raises(ConfigError):
        stores.lay_aside("nobody")


@pytest.mark.parametrize(
    "storage",
    [
        {"cold": "primary"},
        {"cold": "third"},
        {"cold": "second"},  # then one store takes what comes in, and two copies are asked for
        {"lock_days": 90, "lock_alarm_days": 45},
    ],
)
def test_settings_that_contradict_are_refused(storage: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse({"storage": storage})


def test_a_bucket_may_keep_what_it_gets_in_a_storage_class() -> None:
    """On a real server: the class goes with small objects and with those in parts, which read back all the same."""
    store = S3Store(
        seaweed.shared().settings(storage_class="GLACIER_IR", part_bytes=5 << 20), name="cold", suite=SUITE,
        clock=SystemClock(),
    )  # fmt: skip
    store.ensure_bucket()
    asked = []
    for operation in ("PutObject", "CreateMultipartUpload"):
        store._client.meta.events.register(
            f"before-call.s3.{operation}",
            lambda params, **_: asked.append(params["headers"].get("x-amz-storage-class")),
        )
    for data in (b"small", bytes(11 << 20)):
        digest = sha256_of(data)
        store.put(io.BytesIO(data), sha256=digest, size_bytes=len(data))
        store.verify(digest, digest)
    assert asked == ["GLACIER_IR", "GLACIER_IR"]
    store.close()


def test_a_cold_store_that_was_moved_away_from_gets_nothing_new(home: AssuredHome, cold: LocalStore) -> None:
    home.ingest({MARKED: b"m" * 9000})
    pass_days(home, 31)
    left = replace(parts(home, cold), old=lambda: {"cold"})
    assert lay_cold(left, after=AFTER, hint=lambda _: None) == 0
    assert list(cold.list()) == []
