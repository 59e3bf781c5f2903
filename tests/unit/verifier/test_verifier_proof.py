"""`proof`: one recording, its proof file and nothing else."""

from __future__ import annotations

import hashlib
import json

import pytest

from support.operator_log import OperatorLog, b64, disclosure, seed_key
from support.verifier_run import verify

MEDIA = b"moving pictures" * 1000
RECORDING = "rec_0198c0de000070008000000000000001"


def acquired(**changes):
    data = {
        "recording": RECORDING,
        "sha256": hashlib.sha256(MEDIA).hexdigest(),
        "size_bytes": len(MEDIA),
        "sm3": hashlib.new("sm3", MEDIA).hexdigest(),
    }
    return {**data, **changes}


@pytest.fixture
def media(tmp_path):
    path = tmp_path / "recording.mp4"
    path.write_bytes(MEDIA)
    return path


@pytest.fixture
def log():
    return OperatorLog().opened()


def check(log, tmp_path, media, *arguments, index=None):
    proof = tmp_path / "recording.tlog-proof"
    if not proof.exists():
        proof.write_bytes(log.proof(len(log.entries) - 1 if index is None else index))
    return verify("proof", proof, "--recording", media, "--vkey", log.vkey, *arguments)


@pytest.mark.parametrize("after", [0, 1, 5, 300])
@pytest.mark.parametrize("event", ["recording.acquired", "recording.stored"])
def test_r13_a_recording_and_its_proof_file_are_enough(log, tmp_path, media, event, after):
    log.add(event, acquired())
    log.fill(4 + after)
    outcome = check(log, tmp_path, media, index=3)
    assert (outcome.exit_code, outcome.codes) == (0, {"station-key-absent"})
    assert outcome.facts["recording"] == RECORDING
    assert outcome.facts["time"] == "2026-11-22T13:00:03.120Z"
    assert ("sm3" in outcome.facts) == (event == "recording.acquired")


def test_the_stations_signature_is_checked_when_its_key_is_given(log, tmp_path, media):
    log.add("recording.acquired", acquired())
    key = b64(log.station.public_key().public_bytes_raw())
    assert check(log, tmp_path, media, "--station-key", key).codes == set()
    other = b64(seed_key("other").public_key().public_bytes_raw())
    assert check(log, tmp_path, media, "--station-key", other).codes == {"station-key-invalid"}


def test_a_forged_station_signature_shows_when_the_key_is_given(log, tmp_path, media):
    envelope = json.loads(log.seal(log.predicate("recording.acquired", acquired())))
    envelope["signatures"][0]["sig"] = b64(bytes(64))
    log.append(json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode(), signer="x", seq=0)
    key = b64(log.station.public_key().public_bytes_raw())
    assert "entry-signature-bad" in check(log, tmp_path, media, "--station-key", key).codes


def test_one_changed_byte_of_the_recording_shows(log, tmp_path, media):
    log.add("recording.acquired", acquired())
    media.write_bytes(MEDIA[:-1] + b"?")
    outcome = check(log, tmp_path, media)
    assert outcome.exit_code == 1
    assert outcome.report["counts"]["tamper"] == 2  # SHA-256 and SM3


def test_a_longer_file_shows_its_size(log, tmp_path, media):
    log.add("recording.stored", acquired())
    media.write_bytes(MEDIA + b"\0")
    assert check(log, tmp_path, media).codes >= {"size-mismatch", "recording-mismatch"}


def test_an_entry_whose_sm3_disagrees_is_refused(log, tmp_path, media):
    log.add("recording.acquired", acquired(sm3="0" * 64))
    assert check(log, tmp_path, media).codes >= {"recording-mismatch"}


def test_an_entry_that_states_no_digest_proves_nothing_about_a_file(log, tmp_path, media):
    log.add("recording.discovered", {"recording": RECORDING})
    outcome = check(log, tmp_path, media)
    assert (outcome.exit_code, outcome.codes & {"no-digest"}) == (2, {"no-digest"})


def test_an_entry_whose_subject_is_another_digest_is_refused(log, tmp_path, media):
    subject = [{"name": f"recording:{RECORDING}", "digest": {"sha256": "0" * 64}}]
    predicate = log.predicate("recording.stored", acquired())
    log.append(log.seal(predicate, subject=subject), signer=predicate["signer"], seq=predicate["seq"])
    assert "subject-mismatch" in check(log, tmp_path, media).codes


def test_a_time_of_an_unsynchronised_clock_is_marked(log, tmp_path, media):
    log.add("recording.acquired", acquired(), time_source="unsynchronised")
    outcome = check(log, tmp_path, media)
    assert (outcome.exit_code, outcome.codes) == (0, {"station-key-absent", "clock-untrusted"})


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b"index 3", b"index 2", "inclusion-failed"),
        (b"index 3", b"index 03", "proof-malformed"),
        (b"index 3\n", b"index 3\n" + b64(bytes(32)).encode() + b"\n", "inclusion-failed"),
        (b"index 3\n", b"index 3\nAAAA\n", "proof-malformed"),
        (b"@v1", b"@v2", "proof-malformed"),
        (b"extra ", b"extra A", "proof-malformed"),
        (b"\n4\n", b"\n5\n", "note-signature-bad"),
        (b"\n\n", b"\n", "proof-malformed"),
    ],
)
def test_a_changed_proof_is_refused(log, tmp_path, media, before, after, code):
    log.add("recording.acquired", acquired())
    proof = log.proof(3)
    assert before in proof
    (tmp_path / "recording.tlog-proof").write_bytes(proof.replace(before, after, 1))
    outcome = check(log, tmp_path, media)
    assert (outcome.exit_code, outcome.codes) == (1, {code})


def test_a_proof_without_its_entry_cannot_decide(log, tmp_path, media):
    log.add("recording.acquired", acquired())
    lines = log.proof(3).split(b"\n")
    (tmp_path / "recording.tlog-proof").write_bytes(b"\n".join([lines[0], *lines[2:]]))
    assert check(log, tmp_path, media).codes == {"proof-without-entry"}


def test_a_proof_of_another_log_is_refused(log, tmp_path, media):
    log.add("recording.acquired", acquired())
    (tmp_path / "recording.tlog-proof").write_bytes(log.proof(3))
    assert check(OperatorLog(log_key=seed_key("other")), tmp_path, media).codes == {"note-unsigned"}


def test_a_missing_recording_cannot_be_decided(log, tmp_path, media):
    log.add("recording.acquired", acquired())
    assert check(log, tmp_path, tmp_path / "absent.mp4").exit_code == 2
    assert check(log, tmp_path, tmp_path).exit_code == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_disclosures_that_belong_to_the_entry_are_shown(log, tmp_path, media, as_json):
    text, digest = disclosure("name", "现场\u202e4pm.txt")
    log.add("recording.acquired", acquired(), _sd=[digest])
    granted = tmp_path / "disclosures"
    granted.write_text(json.dumps([{"digest": digest, "name": "name", "text": text}]) if as_json else text + "\n")
    outcome = check(log, tmp_path, media, "--disclosures", granted)
    assert outcome.facts["disclosed"] == ["name = 现场\u202e4pm.txt"]


def test_a_disclosure_made_up_afterwards_is_refused(log, tmp_path, media):
    _, digest = disclosure("name", "A")
    log.add("recording.acquired", acquired(), _sd=[digest])
    granted = tmp_path / "disclosures"
    granted.write_text(disclosure("name", "B")[0])
    outcome = check(log, tmp_path, media, "--disclosures", granted)
    assert (outcome.exit_code, outcome.codes & {"disclosure-foreign"}) == (1, {"disclosure-foreign"})


@pytest.mark.parametrize("content", ["[1]", "[", '[{"x":1}]', "[[]]", "\u00e9", "[" * 5000])
def test_misshapen_disclosures_are_refused(log, tmp_path, media, content):
    log.add("recording.acquired", acquired())
    granted = tmp_path / "disclosures"
    granted.write_text(content)
    assert "disclosure-malformed" in check(log, tmp_path, media, "--disclosures", granted).codes
