"""Events become entries and come back; what breaks the schema is never signed; personal values never stand in a leaf."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from chain_of_custody import disclosures, entry, selftest
from chain_of_custody.recorder import EntryRecorder
from evidence import canonical, events
from evidence.errors import ConfigError, EntryInvalidError, LimitExceededError, SignatureInvalidError
from evidence.events import AgentRecorded, FixityChecked, LoggedIn, OfficerBound, RecordingAcquired, RecordingDiscovered
from support.custody import Counter, CustodyLog, TickingClock, fixed_key
from support.memory_outbox import MemoryTransactions


@pytest.fixture
def log(tmp_path: Path) -> CustodyLog:
    return CustodyLog(tmp_path)


def enter(log: CustodyLog, *events) -> list[entry.Entry]:
    with log.transactions() as outbox:
        ids = [log.recorder.record(outbox, event, at=log.clock.now()) for event in events]
        rows = [outbox.row_of(identity) for identity in ids]
    return [entry.parse(row.envelope) for row in rows]


def acquired(recording: str, **more) -> RecordingAcquired:
    return RecordingAcquired(
        recording=recording, sha256="ab" * 32, offload="off", size_bytes=1, sm3="cd" * 32, blake3="ef" * 32, **more
    )


def test_an_event_comes_back_as_it_went_in(log: CustodyLog) -> None:
    event = OfficerBound(
        recording=log.counter.recording_id(1), sha256="ab" * 32, source="ledger", confidence="sure", at="", new="agt_x"
    )
    [parsed] = enter(log, event)
    texts = [d.text for d in log.transactions.state.disclosures.values()]
    assert parsed.event(disclosures.open_all(parsed.sd, texts)) == event
    assert parsed.event().new is None, "an erased value is simply absent"
    assert parsed.station == "station-1"
    assert parsed.time_source == "synchronised"
    assert parsed.recording == event.recording
    parsed.verify_signature(log.station_key.verifying_key())


def test_a_signers_entries_are_chained(log: CustodyLog) -> None:
    entries = enter(log, *(LoggedIn(via="web", at="") for _ in range(3)))
    rows = list(log.transactions.state.rows.values())
    assert [one.seq for one in entries] == [0, 1, 2]
    assert [one.prev for one in entries] == ["", *(hashlib.sha256(row.envelope).hexdigest() for row in rows[:2])]


def test_the_subject_is_the_recording_or_the_previous_entry(log: CustodyLog) -> None:
    recording = log.counter.recording_id(1)
    first, known, unknown = enter(
        log,
        LoggedIn(via="web", at=""),
        acquired(recording),
        RecordingDiscovered(recording=recording, offload="", device="", kind="", pattern="", size_bytes=1, at=""),
    )
    assert (first.subject_name, first.subject_sha256) == (f"entry:{first.id}", hashlib.sha256(b"").hexdigest())
    assert (known.subject_name, known.subject_sha256) == (f"recording:{recording}", "ab" * 32)
    assert (unknown.subject_name, unknown.subject_sha256) == (f"entry:{unknown.id}", unknown.prev)


def test_a_digest_without_a_recording_does_not_claim_to_be_one(log: CustodyLog) -> None:
    [checked] = enter(log, FixityChecked(sha256="12" * 32, store="primary", outcome="passed", at=""))
    assert (checked.subject_name, checked.subject_sha256) == (f"entry:{checked.id}", "12" * 32)


def test_sm3_stands_in_the_event_and_never_in_the_subject(log: CustodyLog) -> None:
    [parsed] = enter(log, acquired(log.counter.recording_id(1)))
    statement = json.loads(parsed.payload)
    assert list(statement["subject"][0]["digest"]) == ["sha256"]
    assert parsed.data["sm3"] == "cd" * 32


def test_the_envelope_is_canonical_json_of_dsse(log: CustodyLog) -> None:
    enter(log, LoggedIn(via="web", at=""))
    [row] = log.transactions.state.rows.values()
    envelope = canonical.loads(row.envelope)
    payload = base64.b64decode(envelope["payload"])
    assert canonical.loads(payload)["_type"] == "https://in-toto.io/Statement/v1"
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    [signature] = envelope["signatures"]
    log.station_key.verifying_key().verify(base64.b64decode(signature["sig"]), message)


def test_r13_personal_values_are_salted_and_sorted(log: CustodyLog) -> None:
    one, two = enter(
        log, *(AgentRecorded(agent="agt_1", kind="person", name="角色甲", officer_code="000001") for _ in range(2))
    )
    assert len(one.sd) == 2
    assert list(one.sd) == sorted(one.sd)
    assert not set(one.sd) & set(two.sd), "equal values have different digests"
    assert b"000001" not in one.payload
    assert "角色甲".encode() not in one.payload


def test_an_entry_too_large_for_a_bundle_is_refused_and_nothing_is_added(log: CustodyLog) -> None:
    with pytest.raises(LimitExceededError):
        enter(log, LoggedIn(via="x" * 60_000, at=""))
    assert log.transactions.state.rows == {}
    assert enter(log, LoggedIn(via="web", at=""))[0].seq == 0


@pytest.mark.parametrize(
    "event",
    [
        LoggedIn(via=3, at=""),  # type: ignore[arg-type]
        LoggedIn(via="web", at="", recording="not a recording"),
        LoggedIn(via="web", at="", sha256="AB" * 32),
        acquired("rec_1"),
        RecordingAcquired(offload="", size_bytes=1.5, sm3="", blake3=""),  # type: ignore[arg-type]
        RecordingAcquired(offload="", size_bytes=True, sm3="", blake3=""),
        RecordingAcquired(offload="", size_bytes=2**53, sm3="", blake3=""),
        LoggedIn(via="\ud800", at=""),
    ],
)
def test_an_event_that_would_not_parse_back_is_never_signed(log: CustodyLog, event) -> None:
    with pytest.raises(EntryInvalidError):
        enter(log, event)
    assert log.transactions.state.rows == {}


def test_another_keys_signature_is_refused(log: CustodyLog) -> None:
    [parsed] = enter(log, LoggedIn(via="web", at=""))
    with pytest.raises(EntryInvalidError):
        parsed.verify_signature(fixed_key("other").verifying_key())
    with pytest.raises(SignatureInvalidError):
        log.station_key.verifying_key().verify(bytes(64), b"")


def test_salts_and_identities_are_fresh_by_default() -> None:
    transactions, clock = MemoryTransactions(), TickingClock()
    recorder = EntryRecorder(fixed_key("station"), station="s")
    with transactions() as outbox:
        ids = {recorder.record(outbox, LoggedIn(via="web", at="", address="::1"), at=clock.now()) for _ in range(20)}
    assert len(ids) == 20
    assert len(transactions.state.disclosures) == 20
    assert recorder.key_id == recorder.key_added().key_id == fixed_key("station").key_id
    with pytest.raises(ConfigError):
        EntryRecorder(fixed_key("station"), station="")


def test_several_events_at_once_are_chained_like_single_ones(log: CustodyLog) -> None:
    with log.transactions() as outbox:
        ids = log.recorder.record_many(outbox, [LoggedIn(via="web", at="")] * 3, at=log.clock.now())
        assert log.recorder.record_many(outbox, [], at=log.clock.now()) == []
        last = log.recorder.record(outbox, LoggedIn(via="web", at=""), at=log.clock.now())
        entries = [entry.parse(outbox.row_of(identity).envelope) for identity in [*ids, last]]
    assert [one.seq for one in entries] == [0, 1, 2, 3]
    envelopes = [row.envelope for row in log.transactions.state.rows.values()]
    assert [one.prev for one in entries[1:]] == [hashlib.sha256(envelope).hexdigest() for envelope in envelopes[:3]]


# --- disclosures ------------------------------------------------------------------------------------------------------
def test_the_digest_is_the_rfc_9901_one() -> None:
    text = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert disclosures.digest_of(text) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


def test_a_disclosure_opens_to_its_name_and_value() -> None:
    made = disclosures.disclose("name", {"a": [1, "二"]}, salt=Counter().salt())
    assert disclosures.open_text(made.text) == ("name", {"a": [1, "二"]})
    assert disclosures.open_all([made.digest], [made.text]) == {"name": {"a": [1, "二"]}}
    assert disclosures.open_all([made.digest], []) == {}


def test_disclosures_that_do_not_belong_are_refused() -> None:
    counter = Counter()
    one, two = (disclosures.disclose("name", "x", salt=counter.salt()) for _ in range(2))
    with pytest.raises(EntryInvalidError, match="does not belong"):
        disclosures.open_all([one.digest], [two.text])
    with pytest.raises(EntryInvalidError, match="two disclosures"):
        disclosures.open_all([one.digest, two.digest], [one.text, two.text])
    with pytest.raises(EntryInvalidError):
        disclosures.open_all([one.digest], ["\ud800"])


@pytest.mark.parametrize("text", ["", "!", "WyJhIl0", "W10=", "e30", "x" * 200_000, "WyJhIiwiYiIsMV0"])
def test_what_is_no_disclosure_is_refused(text: str) -> None:
    with pytest.raises(EntryInvalidError):
        disclosures.open_text(text)


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(EntryInvalidError):
        disclosures.disclose("name", "x", salt=b"short")


# --- self-test --------------------------------------------------------------------------------------------------------
def test_the_self_test_passes_and_counts() -> None:
    assert selftest.run() == selftest.CHECKS


def test_the_self_test_notices_a_wrong_answer_and_a_lost_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(selftest._ALL, "tree of eight", lambda: False)
    with pytest.raises(ConfigError, match="tree of eight"):
        selftest.run()
    monkeypatch.delitem(selftest._ALL, "tree of eight")
    with pytest.raises(ConfigError, match="8 self-tests"):
        selftest.run()


# --- the documented format --------------------------------------------------------------------------------------------
_KIND_WORDS = {
    "str": "", "str | None": "", "int": "integer", "bool": "boolean", "dict[str, Json]": "object",
    "dict[str, Json] | None": "object",
    "list[dict[str, str]]": "list of objects of texts", "list[str] | None": "list of texts",
}  # fmt: skip


def test_the_page_of_the_format_lists_every_event_with_its_fields() -> None:
    page = (Path(__file__).parents[3] / "docs/formats/custody-entry.md").read_text("utf-8")
    told = {
        row[1]: (_documented(row[2]), _documented(row[3]))
        for row in re.finditer(r"^\| `([a-z-]+\.[a-z-]+)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    }
    common = {field.name for field in dataclasses.fields(events.Event)}
    for name, event in events.EVENT_TYPES.items():
        fields = [field for field in dataclasses.fields(event) if field.name not in common]
        public = {one.name: _KIND_WORDS[str(one.type)] for one in fields if not one.metadata.get("personal")}
        personal = {one.name: _KIND_WORDS[str(one.type)] for one in fields if one.metadata.get("personal")}
        assert told.pop(name) == (public, personal), name
    assert told == {}


def _documented(cell: str) -> dict[str, str]:
    return {one[1]: one[2] or "" for one in re.finditer(r"`([a-z_0-9]+)`(?: \(([a-z ]+)\))?", cell)}
