"""Programs we did not write accept the log that recorder and sealer write, and refuse it once anything was changed."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chain_of_custody.checkpoint import NoteVerifier
from chain_of_custody.fsck import verify_published
from chain_of_custody.proof import proof_for
from chain_of_custody.reader import LogReader
from support.outside import INTEROP_PYTHON, VERIFIER, run


# --- what can be done to a log ----------------------------------------------------------------------------------------
def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def swap_entries(directory: Path) -> None:
    bundle = directory / "tile/entries/000"
    content, entries = bundle.read_bytes(), []
    while content:
        length = 2 + int.from_bytes(content[:2])
        entries.append(content[:length])
        content = content[length:]
    entries[7], entries[8] = entries[8], entries[7]
    bundle.write_bytes(b"".join(entries))


def change_size(directory: Path) -> None:
    note = directory / "checkpoint"
    note.write_bytes(note.read_bytes().replace(b"\n600\n", b"\n599\n"))


def change_root(directory: Path) -> None:
    note = directory / "checkpoint"
    origin, size, root, rest = note.read_bytes().split(b"\n", 3)
    changed = bytearray(base64.b64decode(root))
    changed[0] ^= 1
    note.write_bytes(b"\n".join([origin, size, base64.b64encode(bytes(changed)), rest]))


TAMPERING = {
    "a bit in an entry of a full bundle": lambda d: flip(d / "tile/entries/001", 300),
    "a bit in the last bundle": lambda d: flip(d / "tile/entries/002.p/88", 300),
    "two entries changed places": swap_entries,
    "a bit in a full tile": lambda d: flip(d / "tile/0/000", 40),
    "a bit in the last tile": lambda d: flip(d / "tile/0/002.p/88", 40),
    "a bit in an upper tile": lambda d: flip(d / "tile/1/000.p/2", 40),
    "the checkpoint's size": change_size,
    "the checkpoint's root": change_root,
    "the checkpoint's signature": lambda d: flip(d / "checkpoint", len((d / "checkpoint").read_bytes()) - 20),
}
AT_THE_CHECKPOINT = [name for name in TAMPERING if name.startswith("the checkpoint")]


def other_key(vkey: str) -> str:
    """A good key of somebody else under the same name."""
    name = vkey.split("+", 1)[0]
    key = b"\x01" + bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    key_id = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(key).decode()}"


# --- whole logs -------------------------------------------------------------------------------------------------------
def test_r13_outsiders_accept_the_log_and_every_step_of_its_growth(check_log, real_log):
    done = check_log(real_log.directory, real_log.vkey, *real_log.older)
    assert done.returncode == 0, done.stdout + done.stderr


def test_outsiders_accept_the_replica(check_log, real_log):
    replica = real_log.custody.published[1]
    assert check_log(replica, real_log.vkey).returncode == 0


@pytest.mark.parametrize("what", TAMPERING)
def test_r13_outsiders_refuse_a_log_in_which_something_was_changed(check_log, real_log, tmp_path, what):
    directory = real_log.copy(tmp_path / "log")
    TAMPERING[what](directory)
    done = check_log(directory, real_log.vkey)
    assert done.returncode == 1, done.stdout + done.stderr


def test_outsiders_refuse_the_log_under_another_key(check_log, real_log):
    assert check_log(real_log.directory, other_key(real_log.vkey)).returncode == 1


def test_outsiders_refuse_a_checkpoint_from_before_that_was_changed(check_log, real_log, tmp_path):
    held = tmp_path / "held"
    held.write_bytes(real_log.older[3].read_bytes().replace(b"\n256\n", b"\n255\n"))
    assert check_log(real_log.directory, real_log.vkey, held).returncode == 1


def test_plain_python_comes_to_the_same_verdict(real_log):
    done = run(sys.executable, "-I", VERIFIER, "log", real_log.directory, "--vkey", real_log.vkey, "--pure")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("what", [None, *TAMPERING])
def test_our_two_implementations_agree(real_log, tmp_path, what):
    directory = real_log.copy(tmp_path / "log")
    if what:
        TAMPERING[what](directory)
    inside = verify_published(directory, real_log.vkey)
    outside = run(sys.executable, "-I", VERIFIER, "log", directory, "--vkey", real_log.vkey)
    assert inside.sound == (outside.returncode == 0) == (what is None)


# --- checkpoints with OpenSSL -----------------------------------------------------------------------------------------
def openssl_verify(note: bytes, vkey: str, work: Path) -> subprocess.CompletedProcess[str]:
    """The commands of docs/formats/verifier.md, with files in place of the shell's pipes."""
    if shutil.which("openssl") is None:
        pytest.fail("install openssl", pytrace=False)
    text, signature_line = note.decode().split("\n\n", 1)
    (work / "body").write_text(text + "\n", encoding="utf-8")
    (work / "sig").write_bytes(base64.b64decode(signature_line.split()[2])[4:])
    key = base64.b64decode(vkey.split("+", 2)[2])[1:]
    (work / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + key)
    return run(
        "openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", work / "key.der",
        "-rawin", "-in", work / "body", "-sigfile", work / "sig",
    )  # fmt: skip


def test_openssl_accepts_every_checkpoint(real_log, tmp_path):
    for path in real_log.older:
        assert openssl_verify(path.read_bytes(), real_log.vkey, tmp_path).returncode == 0


@pytest.mark.parametrize("what", AT_THE_CHECKPOINT)
def test_openssl_refuses_a_changed_checkpoint(real_log, tmp_path, what):
    directory = real_log.copy(tmp_path / "log")
    TAMPERING[what](directory)
    assert openssl_verify((directory / "checkpoint").read_bytes(), real_log.vkey, tmp_path).returncode == 1


def test_openssl_refuses_another_key(real_log, tmp_path):
    note = (real_log.directory / "checkpoint").read_bytes()
    assert openssl_verify(note, other_key(real_log.vkey), tmp_path).returncode == 1


# --- proof files ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="session")
def reader(real_log):
    return LogReader(real_log.directory, verifier=NoteVerifier.parse(real_log.vkey))


def ours(proof: Path, media: Path, vkey: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-I", VERIFIER, "proof", proof, "--recording", media, "--vkey", vkey, "--lang", "zh")


@pytest.mark.parametrize("which", ["acquired_index", "stored_index"])
def test_r13_a_proof_file_and_the_recording_convince_go_and_our_verifier(real_log, reader, go_program, tmp_path, which):
    proof = tmp_path / "recording.tlog-proof"
    proof.write_bytes(proof_for(reader, getattr(real_log, which)))
    assert run(go_program, "proof", proof, real_log.vkey).returncode == 0
    done = ours(proof, real_log.media, real_log.vkey)
    assert done.returncode == 0, done.stdout
    assert "相符" in done.stdout


def test_another_file_or_another_entry_does_not_pass(real_log, reader, go_program, tmp_path):
    proof, media = tmp_path / "recording.tlog-proof", tmp_path / "other.mp4"
    original = proof_for(reader, real_log.stored_index)
    proof.write_bytes(original)
    media.write_bytes(real_log.media.read_bytes()[:-1])
    assert ours(proof, media, real_log.vkey).returncode == 1
    index = f"index {real_log.stored_index}\n".encode()
    proof.write_bytes(original.replace(index, f"index {real_log.stored_index - 1}\n".encode()))
    assert run(go_program, "proof", proof, real_log.vkey).returncode == 1
    assert ours(proof, real_log.media, real_log.vkey).returncode == 1
    assert run(go_program, "proof", proof, other_key(real_log.vkey)).returncode == 1


@pytest.mark.parametrize("index", [0, 255, 256, 511, 512, 599])
def test_an_outside_tool_makes_the_very_proofs_we_make(real_log, reader, index):
    program = INTEROP_PYTHON.with_name("tlog-tiles")
    if not program.is_file():
        pytest.fail("make .venv-interop (requirements/interop.txt)", pytrace=False)
    done = run(INTEROP_PYTHON, program, "gen-proof", real_log.directory, index)
    lines = proof_for(reader, index).decode().split("\n")
    assert lines.pop(1).startswith("extra ")
    assert done.stdout == "\n".join(lines)
