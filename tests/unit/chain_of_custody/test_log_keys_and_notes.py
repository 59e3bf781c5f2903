"""Key files, verifier keys, signed notes, tiles: strict, and never more readable than they must be."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chain_of_custody import keys, tiles
from chain_of_custody.checkpoint import Checkpoint, NoteVerifier, check_key_name, open_checkpoint, sign, split_note
from chain_of_custody.keys import SigningKey, VerifyingKey
from chain_of_custody.publish import create_published_directory
from evidence.errors import (
    ConfigError,
    EntryInvalidError,
    KeyUnavailableError,
    LimitExceededError,
    SignatureInvalidError,
    StoreError,
)
from support.custody import ORIGIN, fixed_key

SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
CHECKPOINT = Checkpoint(ORIGIN, 70_000, bytes(range(32)))
VERIFIER = NoteVerifier.of(ORIGIN, fixed_key("log"))


# --- key files --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("passphrase", [None, "口令 pass".encode()])
def test_a_key_is_made_once_and_opened_again(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "keys/station.pem"
    made = keys.generate(path, passphrase=passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    opened = keys.load(path, passphrase=passphrase)
    assert opened.public_key == made.public_key
    assert len(made.key_id) == 16
    opened.verifying_key().verify(made.sign(b"x"), b"x")
    before = path.read_bytes()
    with pytest.raises(KeyUnavailableError, match="not overwritten"):
        keys.generate(path, passphrase=passphrase)
    assert path.read_bytes() == before


def test_a_passphrase_must_be_the_right_one(tmp_path: Path) -> None:
    keys.generate(tmp_path / "a", passphrase=b"right")
    keys.generate(tmp_path / "b")
    for name, passphrase in (("a", b"wrong"), ("a", None), ("b", b"not needed")):
        with pytest.raises(KeyUnavailableError):
            keys.load(tmp_path / name, passphrase=passphrase)
    with pytest.raises(KeyUnavailableError):
        keys.generate(tmp_path / "c", passphrase=b"")
    assert b"ENCRYPTED" in (tmp_path / "a").read_bytes()


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keys.generate(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeyUnavailableError, match="read by others"):
        keys.load(tmp_path / "key")


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    keys.generate(tmp_path / "good")
    (tmp_path / "link").symlink_to(tmp_path / "good")
    (tmp_path / "directory").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, data in (("rubbish", b"rubbish"), ("large", bytes(20_000)), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "other").write_bytes(other)
    (tmp_path / "other").chmod(0o600)
    for name in ("missing", "link", "directory", "pipe", "rubbish", "large", "empty", "other"):
        with pytest.raises(KeyUnavailableError):
            keys.load(tmp_path / name)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        keys.generate(tmp_path / "file" / "key")
    with pytest.raises(StoreError):
        create_published_directory(tmp_path / "file")
    with pytest.raises(StoreError):
        create_published_directory(tmp_path / "file" / "public")


def test_a_key_has_no_text_form_that_holds_it() -> None:
    key = fixed_key("station")
    assert repr(key) == f"SigningKey({key.key_id})"
    with pytest.raises(KeyUnavailableError):
        SigningKey.from_seed(b"short")
    with pytest.raises(EntryInvalidError):
        VerifyingKey(b"short")


def test_key_ids_are_the_documented_digest() -> None:
    event = fixed_key("station").key_added("station", actor="agt")
    raw = base64.b64decode(event.public_key)
    assert event.key_id == keys.key_id_of(raw) == VerifyingKey.from_base64(event.public_key).key_id


# --- notes ------------------------------------------------------------------------------------------------------------
def test_the_specifications_verifier_key_is_read_and_written() -> None:
    assert NoteVerifier.parse(SPEC_VKEY).text() == SPEC_VKEY
    assert NoteVerifier.parse(SPEC_VKEY + "\n").name == "example.com/foo"


@pytest.mark.parametrize(
    "text",
    ["", "a+b", SPEC_VKEY.replace("530d903a", "530d903b"), SPEC_VKEY.replace("+Aeky", "+Beky"), SPEC_VKEY[:-4],
     "a b" + SPEC_VKEY[15:], SPEC_VKEY.replace("530d903a", "530D903A"), "\u2003x" + SPEC_VKEY[15:],
     "x+00000000+" + base64.b64encode(b"\x04" + bytes(32)).decode()],
)  # fmt: skip
def test_other_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(EntryInvalidError):
        NoteVerifier.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\u202eb"])
def test_names_a_note_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        check_key_name(name)


def test_a_signed_checkpoint_opens() -> None:
    note = sign(CHECKPOINT, fixed_key("log"))
    assert open_checkpoint(note, VERIFIER) == CHECKPOINT
    assert note.decode().split("\n")[:3] == [ORIGIN, "70000", base64.b64encode(CHECKPOINT.root).decode()]


@pytest.mark.parametrize("name", ["wit+ness", "wit\u2003ness"])
def test_a_line_whose_name_no_note_can_carry_spoils_the_note_as_it_does_elsewhere(name: str) -> None:
    line = f"— {name} " + base64.b64encode(bytes(76)).decode() + "\n"
    with pytest.raises(EntryInvalidError, match="signature line"):
        open_checkpoint(sign(CHECKPOINT, fixed_key("log")) + line.encode(), VERIFIER)


def test_lines_of_unknown_witnesses_are_ignored_and_kept() -> None:
    note = sign(CHECKPOINT, fixed_key("log"))
    stranger = "— witness.example/w " + base64.b64encode(b"\x00" * 76).decode() + "\n"
    cosigned = note + stranger.encode()
    assert open_checkpoint(cosigned, VERIFIER) == CHECKPOINT
    assert [name for name, _ in split_note(cosigned)[1]] == [ORIGIN, "witness.example/w"]


def test_a_second_line_of_the_same_key_that_fails_spoils_the_note() -> None:
    note = sign(CHECKPOINT, fixed_key("log"))
    wrong = f"— {ORIGIN} {base64.b64encode(VERIFIER.key_hash + bytes(64)).decode()}\n".encode()
    with pytest.raises(SignatureInvalidError):
        open_checkpoint(note + wrong, VERIFIER)


def test_a_checkpoint_of_another_log_or_key_is_refused() -> None:
    with pytest.raises(SignatureInvalidError):
        open_checkpoint(sign(CHECKPOINT, fixed_key("other")), VERIFIER)
    with pytest.raises(EntryInvalidError, match="another log"):
        open_checkpoint(sign(Checkpoint("other.example/log", 1, bytes(32)), fixed_key("log")), VERIFIER)


@pytest.mark.parametrize(
    "text",
    ["", f"{ORIGIN}\n", f"{ORIGIN}\n007\n{'A' * 43}=\n", f"{ORIGIN}\n-1\n{'A' * 43}=\n", f"{ORIGIN}\n1\nAAAA\n",
     f"{ORIGIN}\n1\n{'A' * 43}=\nextension\n", f"\n1\n{'A' * 43}=\n", f"{ORIGIN}\n1\n{'A' * 42}B=\n",
     f"{ORIGIN}\n1\n{'A' * 43}=", f"{ORIGIN}\n٣\n{'A' * 43}=\n"],
)  # fmt: skip
def test_other_checkpoint_texts_are_refused(text: str) -> None:
    with pytest.raises(EntryInvalidError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    [b"", b"text\n\n", b"text\n\n\xe2\x80\x94 a\n", b"text\n\n- a AAAAAAAA\n", b"te\x01xt\n\n\xe2\x80\x94 a AAAAAAAA\n",
     "text\n\n— a AAAA\n".encode(), "text\n\n— a AAAAAAAA".encode(), "text\n\n— a AAAAAAAB=\n".encode(), b"\xff",
     b"text\n\n" + "— a AAAAAAAA\n".encode() * 65, bytes(2 << 20), "text\n\n— a  AAAAAAAA\n".encode()],
)  # fmt: skip
def test_what_is_no_note_is_refused(note: bytes) -> None:
    with pytest.raises(EntryInvalidError):
        split_note(note)


# --- tiles ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("args", "width", "path"),
    [
        ((0, 0), 256, "tile/0/000"),
        ((0, 273), 112, "tile/0/273.p/112"),
        ((0, 1000), 256, "tile/0/x001/000"),
        ((2, 1234067), 256, "tile/2/x001/x234/067"),
        (("entries", 1234067), 1, "tile/entries/x001/x234/067.p/1"),
    ],
)
def test_paths_are_those_of_tlog_tiles(args, width: int, path: str) -> None:
    assert tiles.path_of(*args, width=width) == path


def test_the_edge_of_a_log_is_the_specifications_example() -> None:
    assert list(tiles.edge_of(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tiles.edge_of(65_536)) == [(2, 0, 1)]
    assert list(tiles.edge_of(0)) == []


def test_bundles_come_back_whole_or_not_at_all() -> None:
    entries = [b"a", b"bc" * 300, bytes(65_535)]
    data = tiles.encode_bundle(entries)
    assert tiles.decode_bundle(data, width=3) == entries
    for spoiled, width in (
        (data[:-1], 3),
        (data, 2),
        (data, 4),
        (data + b"\x00", 3),
        (data + b"\x00\x00", 4),
        (b"", 1),
    ):
        with pytest.raises(EntryInvalidError):
            tiles.decode_bundle(spoiled, width=width)
    for wrong in (b"", bytes(65_536)):
        with pytest.raises(LimitExceededError):
            tiles.encode_bundle([wrong])


def test_tiles_of_another_width_are_no_edge() -> None:
    tree = tiles.GrowingTree()
    tree.append([bytes(32)] * 300)
    with pytest.raises(EntryInvalidError):
        tiles.GrowingTree.from_edge(301, tree.partials())
    with pytest.raises(EntryInvalidError):
        tiles.decode_tile(bytes(31), width=1)
