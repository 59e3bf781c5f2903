"""A bucket behind a network and a server that go wrong: a clear error, nothing counted that is not there, and on by itself."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import app.wiring
from evidence.clock import SystemClock
from evidence.digest import sha256_of
from evidence.errors import (
    BlobConflictError,
    ConfigError,
    DigestMismatchError,
    EvidenceError,
    StoreClockError,
    StoreCredentialsError,
    StoreError,
    StoreFullError,
    StoreNotKeptError,
    StoreUnavailableError,
)
from evidence.model import RecordingState
from storage.s3 import S3Store
from support import seaweed, whole_home
from support.fault_proxy import (
    Act,
    Answer,
    Exchange,
    FaultProxy,
    black_hole,
    hang_up,
    lie,
    lose_the_answer,
    refuse,
    reset_request,
    reset_response,
    slow,
    truncate_response,
)
from support.footage import clips
from support.recorders import gb_name, make_gb_tree
from support.stores import SUITE

CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]
PART = 5 << 20
SMALL = os.urandom(300_000)
BIG = os.urandom(PART * 2 + 1000)
SIZES = pytest.mark.parametrize("data", [SMALL, BIG], ids=["one request", "in parts"])


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    server = urlsplit(seaweed.shared().http)
    proxy = FaultProxy((str(server.hostname), int(server.port or 0)))
    yield proxy
    proxy.close()


@pytest.fixture
def patience_s(request: pytest.FixtureRequest) -> float:
    """A silence is only waited for in vain where there is one: a busy machine is silent for seconds, too."""
    return 2.5 if "black" in request.node.name else 30.0


@pytest.fixture
def store(proxy: FaultProxy, patience_s: float) -> Iterator[S3Store]:
    settings = replace(seaweed.shared().settings(), endpoint=proxy.url, read_timeout_s=patience_s, attempts=2)
    store = S3Store(settings, name="bucket", suite=SUITE, clock=CLOCK)
    store.ensure_bucket()
    yield store
    store.close()


def put(store: S3Store, data: bytes):
    return store.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data))


def fails_with(error: type[EvidenceError], act: Callable[[], object]) -> EvidenceError:
    """The error is of this very type: a caller decides by it."""
    with pytest.raises(EvidenceError) as found:
        act()
    assert type(found.value) is error, repr(found.value)
    assert found.value.what
    return found.value


def is_sound(store: S3Store, data: bytes) -> bool:
    store.verify(sha256_of(data), sha256_of(data))
    return True


WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
READS = ("GetObject",)
REFUSALS = [
    pytest.param(refuse(503, "SlowDown"), StoreUnavailableError, id="503 storm"),
    pytest.param(refuse(503, ""), StoreUnavailableError, id="503 without a reason"),
    pytest.param(refuse(500, "InternalError"), StoreUnavailableError, id="500"),
    pytest.param(refuse(403, "RequestTimeTooSkewed"), StoreClockError, id="wrong clock"),
    pytest.param(refuse(400, "ExpiredToken"), StoreCredentialsError, id="expired token"),
    pytest.param(refuse(403, "InvalidAccessKeyId"), StoreCredentialsError, id="unknown key"),
    pytest.param(refuse(403, "SignatureDoesNotMatch"), StoreCredentialsError, id="wrong secret"),
    pytest.param(refuse(403, "AccessDenied"), StoreCredentialsError, id="rights taken away"),
    pytest.param(refuse(507, "InsufficientStorage"), StoreFullError, id="507"),
    pytest.param(refuse(507, ""), StoreFullError, id="507 without a reason"),
    pytest.param(refuse(400, "InvalidRequest"), StoreError, id="refused"),
    pytest.param(black_hole, StoreUnavailableError, id="black hole"),
    pytest.param(hang_up, StoreUnavailableError, id="reset"),
]
#: One of each kind, for what costs seconds.
KINDS = [
    each
    for each in REFUSALS
    if each.id in {"503 storm", "wrong clock", "expired token", "507", "refused", "black hole"}
]


@pytest.mark.parametrize(
    ("act", "error"), [*REFUSALS, pytest.param(reset_request(1000), StoreUnavailableError, id="mid-body")]
)
def test_a_write_that_goes_wrong_counts_for_nothing_and_succeeds_when_the_fault_is_gone(
    store: S3Store, proxy: FaultProxy, act: Act, error: type[EvidenceError]
) -> None:
    with proxy.fault(act, "PutObject"):
        fails_with(error, lambda: put(store, SMALL))
    assert not store.exists(sha256_of(SMALL))
    assert put(store, SMALL).created
    assert is_sound(store, SMALL)


@pytest.mark.parametrize(("act", "error"), KINDS)
def test_an_upload_in_parts_goes_on_where_the_fault_stopped_it(
    store: S3Store, proxy: FaultProxy, act: Act, error: type[EvidenceError]
) -> None:
    with proxy.fault(act, "CompleteMultipartUpload"):
        fails_with(error, lambda: put(store, BIG))
    assert not store.exists(sha256_of(BIG))
    before = proxy.count("UploadPart")
    assert put(store, BIG).created
    given_up = error is StoreError  # refused for good: as it is it can never be completed
    assert proxy.count("UploadPart") - before == (3 if given_up else 0)
    assert is_sound(store, BIG)


@pytest.mark.parametrize("act", [reset_request(100_000), black_hole, refuse(503, "SlowDown")])
def test_only_the_parts_that_did_not_arrive_are_sent_again(store: S3Store, proxy: FaultProxy, act: Act) -> None:
    def second_part(exchange: Exchange) -> None:
        (act if exchange.asked.query["partNumber"] == "2" else Exchange.pass_on)(exchange)

    with proxy.fault(second_part, "UploadPart"):
        fails_with(StoreUnavailableError, lambda: put(store, BIG))
    before = proxy.count("UploadPart")
    put(store, BIG)
    assert proxy.count("UploadPart") - before == 1
    assert is_sound(store, BIG)


@pytest.mark.parametrize(("act", "error"), KINDS)
def test_reading_that_goes_wrong_says_nothing_of_the_bytes(
    store: S3Store, proxy: FaultProxy, act: Act, error: type[EvidenceError]
) -> None:
    digest = sha256_of(SMALL)
    put(store, SMALL)
    with proxy.fault(act, "GetObject"):
        fails_with(error, lambda: store.verify(digest, digest))
    with proxy.fault(act, "HeadObject", "GetObject"):  # a refused HEAD has no reason: GET is asked for it
        fails_with(error, lambda: store.exists(digest))
    assert is_sound(store, SMALL)


@pytest.mark.parametrize("act", [truncate_response(100_000), reset_response(100_000)], ids=["truncated", "reset"])
def test_a_download_that_is_cut_off_is_never_taken_for_the_whole(store: S3Store, proxy: FaultProxy, act: Act) -> None:
    digest = sha256_of(SMALL)
    put(store, SMALL)
    with proxy.fault(act, "GetObject"):
        fails_with(StoreUnavailableError, lambda: store.verify(digest, digest))
        with store.open(digest) as stream:
            fails_with(StoreUnavailableError, stream.read)
    assert is_sound(store, SMALL)


def test_a_storm_that_passes_is_not_even_noticed(store: S3Store, proxy: FaultProxy) -> None:
    with proxy.fault(refuse(503, "SlowDown"), *WRITES, times=1) as storm:
        put(store, SMALL)
    assert storm.met == 1
    assert is_sound(store, SMALL)


def test_a_slow_server_is_waited_for(store: S3Store, proxy: FaultProxy) -> None:
    with proxy.fault(slow(200_000)):
        begin = time.monotonic()
        put(store, SMALL)
        assert time.monotonic() - begin > 1
        assert is_sound(store, SMALL)


@SIZES
def test_a_write_whose_answer_is_lost_is_found_done(store: S3Store, proxy: FaultProxy, data: bytes) -> None:
    with proxy.fault(lose_the_answer, "PutObject", "CompleteMultipartUpload", times=1):
        receipt = put(store, data)
    assert receipt.size_bytes == len(data)
    assert is_sound(store, data)
    assert len(store._versions.version_ids(sha256_of(data), markers=True)) == 1


@SIZES
def test_a_write_is_found_done_by_the_next_try_when_no_answer_ever_came(
    store: S3Store, proxy: FaultProxy, data: bytes
) -> None:
    with proxy.fault(lose_the_answer, "PutObject", "CompleteMultipartUpload"):
        fails_with(StoreUnavailableError, lambda: put(store, data))
    assert not put(store, data).created
    assert is_sound(store, data)


@SIZES
@pytest.mark.parametrize("version", ["", "0123456789abcdef0123456789abcdef"])
def test_a_server_that_answers_200_and_stores_nothing_is_found_out(
    store: S3Store, proxy: FaultProxy, data: bytes, version: str
) -> None:
    with proxy.fault(lie(version=version), "PutObject", "CompleteMultipartUpload"):
        fails_with(StoreNotKeptError, lambda: put(store, data))
    assert not store.exists(sha256_of(data))
    assert put(store, data).created
    assert is_sound(store, data)


def store_other_bytes(exchange: Exchange, **stated: str) -> None:
    """A server that checks nothing and writes one bit wrongly; ``stated`` is what it is made to say of it."""
    asked = exchange.asked
    data = bytearray(exchange.read())
    data[len(data) // 2] ^= 1
    bucket, _, key = asked.key.partition("/")
    server = seaweed.shared()
    direct = S3Store(server.settings(), name="direct", suite=SUITE, clock=CLOCK)
    answer = direct._client.put_object(Bucket=bucket, Key=key, Body=bytes(data), **stated)
    direct.close()
    exchange.answer(Answer(200, [("ETag", answer["ETag"]), ("x-amz-version-id", answer["VersionId"])]))


def store_other_bytes_and_say_so(exchange: Exchange) -> None:
    """The same on a server that keeps a checksum of what it wrote."""
    store_other_bytes(exchange, ChecksumAlgorithm="SHA256")


@pytest.mark.parametrize("says_so", [True, False])
def test_a_server_that_stores_other_bytes_is_found_out_and_repaired(
    store: S3Store, proxy: FaultProxy, says_so: bool
) -> None:
    digest = sha256_of(SMALL)
    with proxy.fault(store_other_bytes_and_say_so if says_so else store_other_bytes, "PutObject"):
        if says_so:
            fails_with(BlobConflictError, lambda: put(store, SMALL))
        else:
            put(store, SMALL)
    fails_with(DigestMismatchError, lambda: store.verify(digest, digest))  # whoever counts a copy reads it back first
    assert store.repair(io.BytesIO(SMALL), sha256=digest, size_bytes=len(SMALL)).created
    assert is_sound(store, SMALL)


def test_a_bucket_that_goes_away_is_unavailable_and_comes_back(store: S3Store, proxy: FaultProxy) -> None:
    put(store, SMALL)
    with proxy.fault(refuse(404, "NoSuchBucket")):
        fails_with(StoreUnavailableError, lambda: put(store, BIG))
        fails_with(StoreUnavailableError, lambda: list(store.list()))
    assert list(store.list()) == [sha256_of(SMALL)]


def test_renewed_keys_are_used_without_a_new_start(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.s3_client._KEYS_FOR_S", 0.0)
    good = seaweed.shared().settings()
    files = {"access": good.access, "secret": "expired"}

    def keys() -> tuple[str, str]:
        if not files:
            raise ConfigError("cannot read the key file")
        return files["access"], files["secret"]

    store = S3Store(replace(good, secret="expired", keys=keys), name="bucket", suite=SUITE, clock=CLOCK)
    fails_with(StoreCredentialsError, lambda: put(store, SMALL))
    files["secret"] = good.secret
    store.ensure_bucket()
    assert put(store, SMALL).created
    files.clear()  # while somebody replaces them
    assert is_sound(store, SMALL)
    store.close()


# --- through the whole of intake ----------------------------------------------------------------------------------------
@pytest.fixture
def card(tmp_path: Path) -> Path:
    clip = clips(tmp_path / "clips")
    root = make_gb_tree(tmp_path / "card", {f"DCIM/{gb_name(counter=1)}": next(clip)})
    (root / "sn.txt").write_text("7654321")
    return root


@pytest.fixture
def home(tmp_path: Path, card: Path, proxy: FaultProxy, patience_s: float, monkeypatch: pytest.MonkeyPatch):
    real = app.wiring.s3_settings
    monkeypatch.setattr(
        app.wiring, "s3_settings", lambda wanted: replace(real(wanted), read_timeout_s=patience_s, attempts=2)
    )
    bucket = whole_home.bucket(seaweed.shared(), tmp_path / "keys", endpoint=proxy.url)
    text = whole_home.config(
        stores=[whole_home.local("primary", "stores/primary"), bucket], docks={"folders": [str(card)]}
    )
    return whole_home.make(tmp_path / "home", text)


@pytest.mark.parametrize(
    ("act", "operations"),
    [
        pytest.param(reset_request(1000), WRITES, id="reset in mid-body"),
        pytest.param(reset_response(1000), READS, id="reset of the read-back"),
        pytest.param(truncate_response(1000), READS, id="truncated read-back"),
        pytest.param(black_hole, (), id="black hole"),
        pytest.param(lie(), ("PutObject", "CompleteMultipartUpload"), id="200 and nothing stored"),
        pytest.param(store_other_bytes, ("PutObject",), id="other bytes stored"),
        pytest.param(refuse(403, "ExpiredToken"), (), id="expired keys"),
        pytest.param(refuse(507, "InsufficientStorage"), WRITES, id="bucket full"),
    ],
)
def test_a_recording_waits_for_its_second_copy_and_is_stored_when_the_fault_is_gone(
    home, proxy: FaultProxy, act: Act, operations: tuple[str, ...]
) -> None:
    with whole_home.at_rest(home) as (house, service):
        with proxy.fault(act, *operations, key_part="/objects/"):
            result = service.offload(whole_home.only_docked(house), whole_home.administrator(house), register=True)
            assert len(result.acquired) == 1  # what a bucket does is no reason to leave footage on a recorder
            with pytest.raises((StoreError, DigestMismatchError)):
                service.secure(result.acquired[0])
            (row,) = whole_home.rows(house)
            assert row.state is RecordingState.ACQUIRED  # two copies are asked for; one is not said to be two
        service._reconcile_job("")
        service._jobs.drain()
        (row,) = whole_home.rows(house)
        assert row.state is RecordingState.STORED
        whole_home.seal(house)
        report = whole_home.verify(house)
        assert (report.verdict, report.recordings) == ("good", 1), report.findings


def test_a_seal_waits_for_the_bucket_and_goes_on_by_itself(home, proxy: FaultProxy) -> None:
    with whole_home.at_rest(home) as (house, service):
        result = service.offload(whole_home.only_docked(house), whole_home.administrator(house), register=True)
        service.secure(result.acquired[0])
        with proxy.fault(refuse(403, "RequestTimeTooSkewed"), key_part="/log/"):
            fails_with(StoreUnavailableError, house.sealer.seal_once)
            assert not any(row.sealed for row in whole_home.rows(house))
        whole_home.seal(house)
        assert all(row.sealed for row in whole_home.rows(house))
        assert whole_home.verify(house).verdict == "good"


def test_every_write_states_what_it_carries(store: S3Store, proxy: FaultProxy) -> None:
    """The proxy sees what is on the wire: no body goes without the checksums that a server can hold it to."""
    with proxy.fault(Exchange.pass_on):
        put(store, SMALL)
        put(store, BIG)
    writes = [asked for asked in proxy.seen if asked.operation in {"PutObject", "UploadPart"} and asked.length]
    assert len(writes) == 4
    for asked in writes:
        assert asked.header("x-amz-checksum-sha256")
        assert asked.header("content-md5")
        assert not asked.header("x-amz-trailer")
        assert asked.header("x-amz-content-sha256") == asked.header("x-amz-content-sha256").lower()
    (whole,) = [asked for asked in writes if asked.operation == "PutObject"]
    assert whole.header("x-amz-content-sha256") == hashlib.sha256(SMALL).hexdigest()
    assert secrets.compare_digest(whole.header("if-none-match"), "*")


# --- a process that is killed in the middle -----------------------------------------------------------------------------
_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from evidence.clock import SystemClock
from evidence.digest import sha256_of
from storage.s3 import S3Store
from storage.s3_client import S3Settings
from support.stores import SUITE
endpoint, bucket, prefix, access, secret, source, claims = sys.argv[1:]
settings = S3Settings(endpoint, bucket, access, secret, prefix=prefix, domain="test", first_retention_days=0, part_bytes=5 << 20)
store = S3Store(settings, name="bucket", suite=SUITE, clock=SystemClock(), claims=Path(claims))
data = Path(source).read_bytes()
with open(source, "rb") as stream:
    store.put(stream, sha256=sha256_of(data), size_bytes=len(data))
"""


@pytest.mark.crash
@pytest.mark.parametrize("parts_first", [1, 3, 5])
def test_a_process_killed_in_an_upload_leaves_parts_that_the_next_one_uses(
    store: S3Store, proxy: FaultProxy, tmp_path: Path, parts_first: int
) -> None:
    data = os.urandom(PART * 4 + 1000)  # five parts; the fifth kill is before the completion
    source, claims = tmp_path / "source", tmp_path / "run" / "claims"
    source.write_bytes(data)
    settings = store._settings

    def stall(exchange: Exchange) -> None:
        late = (
            exchange.asked.operation == "CompleteMultipartUpload"
            or int(exchange.asked.query["partNumber"]) > parts_first
        )
        (black_hole if late else Exchange.pass_on)(exchange)

    def parts() -> int:
        uploads = store._client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get(
            "Uploads", []
        )
        which = [{"Bucket": settings.bucket, "Key": each["Key"], "UploadId": each["UploadId"]} for each in uploads]
        return sum(len(store._client.list_parts(**each).get("Parts", [])) for each in which)

    with proxy.fault(stall, "UploadPart", "CompleteMultipartUpload"):
        where = (proxy.url, settings.bucket, settings.prefix, settings.access, settings.secret)
        command = [sys.executable, "-c", _WRITER, *where, str(source), str(claims)]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}) as writer:
            whole_home.until(lambda: parts() == parts_first)
            writer.kill()
    after = S3Store(settings, name="bucket", suite=SUITE, clock=CLOCK, claims=claims)
    before = proxy.count("UploadPart")
    assert after.put(io.BytesIO(data), sha256=sha256_of(data), size_bytes=len(data)).created
    assert proxy.count("UploadPart") - before == 5 - parts_first
    assert is_sound(after, data)
    assert parts() == 0
    after.close()
