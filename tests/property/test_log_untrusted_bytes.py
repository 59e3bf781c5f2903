"""Whatever bytes are read as entry, bundle, checkpoint, proof, key or disclosure: the end is a value or an error of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chain_of_custody import disclosures, entry, tiles
from chain_of_custody.checkpoint import Checkpoint, NoteVerifier, open_checkpoint, sign
from chain_of_custody.proof import ProofBundle
from chain_of_custody.recorder import EntryRecorder
from evidence import canonical
from evidence.clock import from_text, to_text
from evidence.errors import EvidenceError
from evidence.events import OfficerBound
from support.custody import ORIGIN, Counter, TickingClock, fixed_key
from support.memory_outbox import MemoryTransactions


def one_envelope() -> bytes:
    transactions, counter = MemoryTransactions(), Counter()
    recorder = EntryRecorder(fixed_key("station"), station="station-1", salt=counter.salt, new_id=counter.entry_id)
    event = OfficerBound(
        recording=counter.recording_id(1), sha256="ab" * 32, source="ledger", confidence="sure", at="", new="agt_1"
    )
    with transactions() as outbox:
        recorder.record(outbox, event, at=TickingClock().now())
        return outbox.unsequenced(1)[0].envelope


ENVELOPE = one_envelope()
VERIFIER = NoteVerifier.of(ORIGIN, fixed_key("log"))
NOTE = sign(Checkpoint(ORIGIN, 70_000, bytes(range(32))), fixed_key("log"))
PROOF = ProofBundle(5, (bytes(32), bytes(range(32))), NOTE, ENVELOPE).encode()


def ends_well(read, data) -> object:
    try:
        return read(data)
    except EvidenceError:
        return None


@given(st.binary(max_size=300))
@example(b"")
def test_any_bytes(data: bytes) -> None:
    ends_well(entry.parse, data)
    ends_well(canonical.loads, data)
    ends_well(lambda untrusted: tiles.decode_bundle(untrusted, width=2), data)
    ends_well(lambda untrusted: tiles.decode_tile(untrusted, width=2), data)
    ends_well(lambda untrusted: open_checkpoint(untrusted, VERIFIER), data)
    ends_well(ProofBundle.parse, data)


@given(st.text(max_size=120))
def test_any_text(text: str) -> None:
    ends_well(NoteVerifier.parse, text)
    ends_well(disclosures.open_text, text)
    ends_well(Checkpoint.parse, text)
    ends_well(from_text, text)


@given(st.data())
@settings(max_examples=300)
def test_one_changed_byte_of_an_entry_never_passes_for_the_same_entry(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(ENVELOPE) - 1))
    changed = bytearray(ENVELOPE)
    changed[position] ^= data.draw(st.integers(1, 255))
    key = fixed_key("station").verifying_key()

    def check(untrusted: bytes) -> bool:
        entry.parse(untrusted).verify_signature(key)
        return True

    assert check(ENVELOPE)
    assert ends_well(check, bytes(changed)) is None


@given(st.data())
@settings(max_examples=200)
def test_one_changed_byte_of_a_checkpoint_never_passes(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(NOTE) - 1))
    changed = bytearray(NOTE)
    changed[position] ^= data.draw(st.integers(1, 255))
    assert ends_well(lambda note: open_checkpoint(note, VERIFIER), bytes(changed)) is None


@given(st.data())
def test_one_changed_byte_of_a_proof_ends_well(data: st.DataObject) -> None:
    changed = bytearray(PROOF)
    changed[data.draw(st.integers(0, len(PROOF) - 1))] ^= data.draw(st.integers(1, 255))
    parsed = ends_well(ProofBundle.parse, bytes(changed))
    assert parsed is None or parsed.encode() == bytes(changed), "a proof has one spelling"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_reads_back_and_is_the_slow_writers_form(value: object) -> None:
    out: list[str] = []
    try:
        canonical._write(value, out, 0)
        slow = "".join(out).encode("utf-8")
    except (EvidenceError, UnicodeEncodeError):
        with pytest.raises(EvidenceError):
            canonical.dumps(value)
        return
    assert canonical.dumps(value) == slow
    assert canonical.loads(slow) == value
    assert json.loads(slow) == value


@pytest.mark.parametrize(
    "value",
    [1.0, {"a": 1.5}, [float("nan")], {1: "x"}, {None: 1}, b"x", 2**53, {"a": {2**53}}, "\ud800", {"\ud800": 1}],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(EvidenceError):
        canonical.dumps(value)


def test_nesting_is_bounded_on_both_sides() -> None:
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(EvidenceError):
        canonical.dumps(deep)
    with pytest.raises(EvidenceError):
        canonical.loads(b"[" * 40 + b"]" * 40)
    with pytest.raises(EvidenceError):
        canonical.loads(b"[" * 100_000)
    assert canonical.loads(b"[[[]],{}]") == [[[]], {}]


@given(st.datetimes(timezones=st.just(__import__("datetime").UTC)))
def test_times_have_one_text(moment) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert from_text(to_text(moment)) == moment


@pytest.mark.parametrize(
    "text",
    ["2026-11-22T13:05:41Z", "2026-11-22 13:05:41.120Z", "2026-11-22T13:05:41.120+00:00", "2026-11-22T13:05:41.1200Z",
     "0001-01-01T00:00:00.000+14:00", "2026-W47-7T13:05:41.120Z", "20261122T130541.120Z", "", "2026-11-22"],
)  # fmt: skip
def test_other_spellings_of_a_time_are_refused(text: str) -> None:
    with pytest.raises(EvidenceError):
        from_text(text)
