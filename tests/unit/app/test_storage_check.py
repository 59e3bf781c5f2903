"""`liuhen storage check` and `init`, and the probe of a bucket that comes back while the service runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.web import storage_words
from app import care
from app.wiring import build
from evidence.clock import SystemClock
from storage.s3 import S3Store
from storage.s3_bucket import TOLD
from support import seaweed, whole_home
from support.fault_proxy import Act, FaultProxy, black_hole, other_time, refuse
from support.stores import SUITE, ManualClock

ROOT = Path(__file__).parents[3]


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    server = urlsplit(seaweed.shared().http)
    proxy = FaultProxy((str(server.hostname), int(server.port or 0)))
    yield proxy
    proxy.close()


@pytest.fixture
def home(tmp_path: Path, proxy: FaultProxy):
    bucket = whole_home.bucket(seaweed.shared(), tmp_path / "keys", endpoint=proxy.url)
    text = whole_home.config(stores=[whole_home.local("primary", "stores/primary"), bucket])
    return whole_home.make(tmp_path / "home", text)


@pytest.fixture
def store(proxy: FaultProxy, request: pytest.FixtureRequest) -> Iterator[S3Store]:
    patience_s = 1.0 if "does_not_answer" in request.node.name else 30.0
    settings = seaweed.shared().settings(bucket=f"check-{seaweed.secrets.token_hex(6)}", first_retention_days=1)
    settings = replace(settings, endpoint=proxy.url, read_timeout_s=patience_s, attempts=1)
    store = S3Store(settings, name="bucket", suite=SUITE, clock=SystemClock())
    yield store
    store.close()


def levels(store: S3Store) -> dict[str, str]:
    return {check.name: check.level for check in store.check()}


def by_store(told: list[dict]) -> dict[str, dict]:
    return {row["store"]: row for row in told}


def test_every_check_has_a_word_and_what_can_be_mended_has_advice() -> None:
    sources = [ROOT / "storage/s3_check.py", ROOT / "app/cli/storage_check.py"]
    names = {name for path in sources for name in re.findall(r'StoreCheck\("([a-z0-9-]+)"', path.read_text())}
    tried = set(
        re.findall(
            r'"([a-z0-9-]+)"(?:\]|:) (?:= )?_?\(?(?:refused|stated|_refused|_has_lock|client|kept|_as)',
            (ROOT / "storage/s3_bucket.py").read_text(),
        )
    )
    assert len(tried) >= 10
    assert names | tried | TOLD <= set(storage_words.CHECKS)
    assert names | TOLD <= set(storage_words.ADVICE)


def test_a_sound_home_is_told_item_by_item(home) -> None:
    assert {row["protection"] for row in whole_home.liuhen("storage", "init", "--home", home.root)} >= {"object-lock"}
    told = by_store(whole_home.liuhen("storage", "check", "--home", home.root))
    assert {name: row["verdict"] for name, row in told.items()} == {"primary": "good", "bucket": "good"}
    found = {check["name"]: check for check in told["bucket"]["checks"]}
    assert found["tls"]["level"] == "note"
    assert abs(found["clock"]["values"]["ahead_s"]) <= 2
    assert found["multipart-is-locked"]["level"] == found["retention-refuses-removal"]["level"] == "good"
    assert found["default-retention"]["values"] == {
        "mode": "GOVERNANCE", "days": 1, "wanted_mode": "GOVERNANCE", "wanted_days": 1,
    }  # fmt: skip
    # The keys of this test may do everything; a bureau's should not.
    assert found["bypass-is-refused"]["level"] == "note"


@pytest.mark.parametrize(
    ("act", "name", "level", "status"),
    [
        (refuse(403, "InvalidAccessKeyId"), "credentials", "bad", 3),
        (refuse(400, "ExpiredToken"), "credentials", "bad", 3),
        (refuse(403, "RequestTimeTooSkewed"), "clock", "bad", 3),
        (other_time(timedelta(minutes=-20)), "clock", "bad", 3),
        (refuse(404, "NoSuchBucket"), "bucket", "bad", 3),
        (refuse(501, "NotImplemented"), "answers", "unknown", 30),
    ],
)
def test_what_is_wrong_is_told_by_name(home, proxy: FaultProxy, act: Act, name: str, level: str, status: int) -> None:
    whole_home.liuhen("storage", "init", "--home", home.root)
    with proxy.fault(act):
        told = by_store(whole_home.liuhen("storage", "check", "--home", home.root, expect=status))
    found = {check["name"]: check["level"] for check in told["bucket"]["checks"]}
    assert found[name] == level
    assert told["primary"]["verdict"] == "good"


def test_a_server_that_does_not_answer_is_not_called_wrong(store: S3Store, proxy: FaultProxy) -> None:
    with proxy.fault(black_hole):
        assert levels(store) == {"tls": "note", "answers": "unknown"}


def test_buckets_short_of_what_the_settings_ask_are_told(store: S3Store) -> None:
    assert levels(store) == {"tls": "note", "answers": "good", "bucket": "bad"}
    name = store._settings.bucket
    store._client.create_bucket(Bucket=name)
    found = levels(store)
    assert (found["versions"], found["bucket-lock"], found["default-retention"]) == ("bad", "bad", "bad")
    assert store.properties.protection == "none"
    store.ensure_bucket()
    assert "bad" not in levels(store).values()
    assert store.properties.protection == "object-lock"
    strict = S3Store(
        replace(store._settings, mode="COMPLIANCE", first_retention_days=30), name="s", suite=SUITE, clock=SystemClock()
    )
    assert levels(strict)["default-retention"] == "bad"
    short = S3Store(replace(store._settings, first_retention_days=0), name="s", suite=SUITE, clock=SystemClock())
    assert levels(short)["default-retention"] == "note"
    strict.close()
    short.close()


def test_a_bucket_that_was_away_at_the_start_is_proved_when_it_comes_back(home, proxy: FaultProxy) -> None:
    house = build(home, home.require())
    try:
        (bucket,) = [store for store in house.stores.raw if isinstance(store, S3Store)]
        with proxy.fault(refuse(404, "NoSuchBucket")):
            house.probe_stores()
        assert bucket.properties.protection == "none"
        (duty,) = [duty for duty in care.duties(house, house.parts()) if duty.job == care.PROBE_JOB]
        duty.run()
        assert bucket.properties.protection == "object-lock"
        before = len(proxy.seen)
        duty.run()  # a fresh proof is believed
        assert len(proxy.seen) == before
        with proxy.fault(refuse(503, "SlowDown")):
            house.probe_stores()
        assert bucket.properties.protection == "object-lock"  # not to be reached is not disproved
        assert bucket.probe_is_due()
    finally:
        house.close()


def test_a_proof_is_a_day_old_at_most_and_a_missing_one_an_hour(proxy: FaultProxy) -> None:
    clock = ManualClock(SystemClock().now().wall)
    settings = seaweed.shared().settings(bucket=f"check-{seaweed.secrets.token_hex(6)}")
    store = S3Store(settings, name="bucket", suite=SUITE, clock=clock)
    store._client.create_bucket(Bucket=settings.bucket)
    assert store.probe_is_due()
    assert not store.probe().protected
    assert not store.probe_is_due()
    clock.advance(timedelta(hours=1))
    assert store.probe_is_due()
    store.ensure_bucket()
    clock.wall = SystemClock().now().wall
    assert store.probe().protected
    clock.advance(timedelta(hours=23))
    assert not store.probe_is_due()
    clock.advance(timedelta(hours=1))
    assert store.probe_is_due()
    store.close()
