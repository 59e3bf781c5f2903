"""Whatever bytes it is given, the verifier ends in a verdict: no traceback, no hang, and never "sound" for changed bytes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.operator_log import OperatorLog, canonical, disclosure, sign_note
from support.verifier_run import verify
from verifier import liuhen_verify

LOG = OperatorLog().opened().fill(259)
RECORDING = "rec_0198c0de000070008000000000000001"
LOG.add("recording.stored", {"recording": RECORDING, "sha256": liuhen_verify.EMPTY_SHA256, "size_bytes": 0})
PROOF = LOG.proof(259)
FILES = [
    "checkpoint",
    "tile/0/000",
    "tile/0/001.p/4",
    "tile/1/000.p/1",
    "tile/entries/000",
    "tile/entries/001.p/4",
]
QUICK = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    LOG.publish(root / "log")
    (root / "empty.mp4").touch()
    return root


mutation = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 1 << 20), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 1 << 20), st.just(0)),
    st.tuples(st.just("insert"), st.integers(0, 1 << 20), st.integers(0, 255)),
    st.tuples(st.just("double"), st.integers(0, 1 << 20), st.just(0)),
)


def mutate(content: bytes, change: tuple[str, int, int]) -> bytes:
    kind, position, value = change
    position %= len(content)
    match kind:
        case "flip":
            return content[:position] + bytes([content[position] ^ value]) + content[position + 1 :]
        case "cut":
            return content[:position]
        case "insert":
            return content[:position] + bytes([value]) + content[position:]
        case _:
            return content + content[position:]


@QUICK
@given(name=st.sampled_from(FILES), change=mutation)
def test_no_changed_byte_in_any_file_of_a_log_passes(workplace, name, change):
    with tempfile.TemporaryDirectory(dir=workplace) as scratch:
        directory = Path(shutil.copytree(workplace / "log", Path(scratch) / "log"))
        content = mutate((directory / name).read_bytes(), change)
        (directory / name).write_bytes(content)
        outcome = verify("log", directory, "--vkey", LOG.vkey)
        if content == (workplace / "log" / name).read_bytes():
            assert outcome.exit_code == 0
        else:
            assert outcome.exit_code == 1, outcome.report


@QUICK
@given(change=mutation)
def test_no_changed_byte_in_a_proof_passes(workplace, change):
    changed = mutate(PROOF, change)
    (workplace / "proof").write_bytes(changed)
    outcome = verify("proof", workplace / "proof", "--recording", workplace / "empty.mp4", "--vkey", LOG.vkey)
    assert outcome.exit_code == (0 if changed == PROOF else outcome.exit_code)
    assert changed == PROOF or outcome.exit_code in {1, 2}


@QUICK
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_in_every_place_end_in_a_verdict(workplace, content):
    for name in ("any", "log-key"):
        (workplace / name).write_bytes(content)
    anything, media = workplace / "any", workplace / "empty.mp4"
    (workplace / "proof").write_bytes(PROOF)
    with tempfile.TemporaryDirectory(dir=workplace) as scratch:
        (Path(scratch) / "checkpoint").write_bytes(content)
        assert verify("log", scratch, "--vkey", LOG.vkey).exit_code in {1, 2}
    assert verify("log", workplace / "log", "--vkey", workplace / "log-key").exit_code == 2
    assert verify("log", workplace / "log", "--vkey", LOG.vkey, "--since", anything).exit_code in {1, 2}
    assert verify("proof", anything, "--recording", media, "--vkey", LOG.vkey).exit_code in {1, 2}
    proof = ("proof", workplace / "proof", "--recording", media, "--vkey", LOG.vkey)
    assert verify(*proof, "--disclosures", anything).exit_code in {0, 1}  # white space alone discloses nothing
    assert verify(*proof, "--station-key", anything).exit_code == 2
    tiles = ("--tiles", workplace / "log", "--vkey", LOG.vkey)
    assert verify("compare", anything, anything, *tiles).exit_code in {1, 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
places = st.sampled_from(
    [
        *(("predicate", name) for name in LOG.predicate("x", {})),
        *(("data", name) for name in ("recording", "sha256", "origin", "key_id", "role", "public_key")),
        *(("statement", name) for name in ("_type", "subject", "predicateType", "predicate", "more")),
        *(("envelope", name) for name in ("payload", "payloadType", "signatures", "more")),
    ]
)


@settings(max_examples=150, deadline=None)
@given(place=places, value=json_values, event=st.sampled_from(["key.added", "finding.raised", "log.opened"]))
def test_any_json_in_any_member_of_an_entry_ends_in_a_verdict(workplace, place, value, event):
    where, name = place
    log = OperatorLog().opened()
    predicate = log.predicate(event, {"key_id": "", "role": "station", "public_key": ""})
    if where == "data":
        predicate["data"][name] = value
    payload = json.loads(base64.b64decode(json.loads(log.seal(predicate))["payload"]))
    if where == "predicate":
        payload["predicate"][name] = value
    elif where == "statement":
        payload[name] = value
    envelope = json.loads(log.envelope(canonical(payload)))
    if where == "envelope":
        envelope[name] = value
    log.append(canonical(envelope), signer="anyone", seq=0)
    with tempfile.TemporaryDirectory(dir=workplace) as scratch:
        outcome = verify("log", log.publish(Path(scratch) / "log"), "--vkey", log.vkey)
    assert outcome.exit_code in {0, 1, 2}


NOT_ENTRIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"a":' * 12_000,
    b"1e999",
    b"9" * 60_000,
    b'"\\ud800"',
    b'{"a":1,"a":2}',
    b' {"payload":"","payloadType":"","signatures":[]}',
]


@pytest.mark.parametrize("number", range(len(NOT_ENTRIES)))
def test_entries_that_are_no_entries_are_named(tmp_path, number):
    log = OperatorLog().opened()
    log.append(NOT_ENTRIES[number], signer="anyone", seq=0)
    outcome = verify("log", log.publish(tmp_path / "log"), "--vkey", log.vkey)
    assert (outcome.exit_code, outcome.codes) == (1, {"entry-malformed"})


def _noncanonical(kind: str, envelope: bytes) -> bytes:
    parsed = json.loads(envelope)
    match kind:
        case "white space":
            return envelope.replace(b":", b": ", 1)
        case "member order":
            return json.dumps(dict(reversed(parsed.items())), separators=(",", ":")).encode()
        case "escape":
            return envelope.replace(b"payloadType", b"payload\\u0054ype", 1)
        case "unknown member":
            return canonical({**parsed, "zzz": 1})
        case "base64 without padding bits":
            sig = parsed["signatures"][0]["sig"]
            parsed["signatures"][0]["sig"] = sig[:-3] + chr(ord(sig[-3]) + 1) + sig[-2:]
            return canonical(parsed)
        case _:
            parsed["signatures"] *= 2
            return canonical(parsed)


@pytest.mark.parametrize(
    "kind",
    ["white space", "member order", "escape", "unknown member", "base64 without padding bits", "two signatures"],
)
def test_a_second_spelling_of_a_valid_entry_is_refused(tmp_path, kind):
    log = OperatorLog().opened()
    predicate = log.predicate("finding.raised", {"kind": "test"})
    log.append(_noncanonical(kind, log.seal(predicate)), signer="anyone", seq=0)
    outcome = verify("log", log.publish(tmp_path / "log"), "--vkey", log.vkey)
    assert (outcome.exit_code, outcome.codes) == (1, {"entry-malformed"})


@pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000", "tile/0/000"])
def test_a_pipe_in_place_of_a_file_does_not_hang(workplace, tmp_path, name):
    directory = Path(shutil.copytree(workplace / "log", tmp_path / "log"))
    (directory / name).unlink()
    os.mkfifo(directory / name)
    outcome = verify("log", directory, "--vkey", LOG.vkey)
    assert (outcome.exit_code, outcome.codes - {"signer-unknown"}) == (2, {"file-unreadable"})


def test_a_device_or_an_endless_file_is_not_read(workplace, tmp_path):
    directory = Path(shutil.copytree(workplace / "log", tmp_path / "log"))
    (directory / "checkpoint").unlink()
    (directory / "checkpoint").symlink_to("/dev/zero")
    assert verify("log", directory, "--vkey", LOG.vkey).codes == {"file-unreadable"}
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    (directory / "checkpoint").unlink()
    (directory / "checkpoint").symlink_to(tmp_path / "huge")
    assert verify("log", directory, "--vkey", LOG.vkey).codes == {"file-too-large"}


@pytest.mark.parametrize("argument", ["", "+", "a+b", "a+0+0", "a+00000000+", "\0", "x" * 5000, "\udcff+00000000+AAAA"])
def test_any_key_argument_is_answered(workplace, argument):
    assert verify("log", workplace / "log", f"--vkey={argument}").codes == {"vkey-invalid"}


@pytest.mark.parametrize("path", ["", "\0", "x" * 5000, "absent"])
def test_any_path_argument_is_answered(workplace, path):
    assert verify("log", path, "--vkey", LOG.vkey).exit_code == 2
    assert verify("proof", f"{path}x", f"--recording={path}", "--vkey", LOG.vkey).exit_code == 2


def test_nothing_untrusted_reaches_the_terminal_unescaped(workplace, capsys):
    text, digest = disclosure("name", "\x1b[2J\u202eevil\nline\x00")
    log = OperatorLog().opened()
    data = {"recording": RECORDING, "sha256": liuhen_verify.EMPTY_SHA256, "size_bytes": 0}
    log.add("recording.stored", data, _sd=[digest], station="\x1b]0;title\x07", time_source="\x9b31m")
    (workplace / "p").write_bytes(log.proof(3))
    (workplace / "d").write_text(text)
    arguments = ["proof", str(workplace / "p"), "--recording", str(workplace / "empty.mp4"), "--vkey", log.vkey]
    for lang in ("zh", "en"):
        liuhen_verify.main([*arguments, "--disclosures", str(workplace / "d"), "--lang", lang])
        shown = capsys.readouterr().out
        assert "evil" in shown
        assert all(character.isprintable() or character == "\n" for character in shown)


def test_a_flood_of_findings_is_counted_but_not_printed(workplace, tmp_path, capsys):
    log = OperatorLog()
    log.add("log.opened", {"origin": log.origin})
    log.entries += [b"junk"] * 3000
    assert liuhen_verify.main(["log", str(log.publish(tmp_path / "log")), "--vkey", log.vkey, "--lang", "en"]) == 1
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 60
    assert "and 2961 more" in shown


def test_two_signatures_of_our_key_must_both_hold(workplace, tmp_path):
    directory = Path(shutil.copytree(workplace / "log", tmp_path / "log"))
    wrong = sign_note(LOG.log_key, LOG.origin, "another text\n").rsplit(b"\n\n", 1)[1]
    with (directory / "checkpoint").open("ab") as note:
        note.write(wrong)
    assert verify("log", directory, "--vkey", LOG.vkey).codes == {"note-signature-bad"}
