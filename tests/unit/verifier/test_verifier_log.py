"""`log`: what an honest log shows, and each way a dishonest operator could try, with the keys and without."""

from __future__ import annotations

import base64
import functools
import hashlib
import json

import pytest

from support.operator_log import OperatorLog, b64, canonical, flip, key_id, seed_key, sign_note, tree_root
from support.verifier_run import verify
from verifier import liuhen_verify

SIZES = [3, 4, 255, 256, 257, 300, 513]
NESTED = functools.reduce(lambda inner, _: [inner], range(33), [])


@pytest.fixture(scope="module")
def honest():
    return OperatorLog().opened().fill(600)


def published(log, tmp_path, name="log"):
    return log.publish(tmp_path / name)


def check(log, directory, *arguments):
    return verify("log", directory, "--vkey", log.vkey, *arguments)


def forged(log: OperatorLog, index: int, entry: bytes) -> OperatorLog:
    """The same log with one entry replaced before the operator signs."""
    entries = list(log.entries)
    entries[index] = entry
    return OperatorLog(entries=entries)


# --- sound logs -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", SIZES)
def test_r13_an_untouched_log_of_any_size_is_sound(size, tmp_path):
    log = OperatorLog().opened().fill(size)
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.report["findings"]) == (0, [])
    assert (outcome.facts["size"], outcome.facts["signatures"], outcome.facts["signers"]) == (size, size, 1)


def test_a_log_is_sound_with_plain_python_signatures(tmp_path):
    log = OperatorLog().opened().fill(20)
    assert check(log, published(log, tmp_path), "--pure").exit_code == 0


def test_the_key_may_come_from_a_file(honest, tmp_path):
    directory = published(honest, tmp_path)
    key_file = tmp_path / "log.vkey"
    key_file.write_text(honest.vkey + "\n")
    assert verify("log", directory, "--vkey", key_file).exit_code == 0


def test_full_tiles_may_stand_in_for_partial_ones_of_a_log_that_grew(honest, tmp_path):
    directory = published(honest, tmp_path)
    (directory / "checkpoint").write_bytes(honest.checkpoint(300))
    assert check(honest, directory).exit_code == 2  # 44 of 256: only the full tile 1 is there, level 1 has width 2
    (directory / "tile/1/000.p/1").write_bytes((directory / "tile/1/000.p/2").read_bytes()[:32])
    assert check(honest, directory).exit_code == 0


def test_older_partial_tiles_are_prefixes(honest, tmp_path):
    directory = published(honest, tmp_path)
    tile = directory / "tile/0/002.p/88"
    (tile.parent / "40").write_bytes(tile.read_bytes()[: 40 * 32])
    assert check(honest, directory).exit_code == 0
    flip(tile.parent / "40", 7)
    assert check(honest, directory).codes == {"partial-stale"}


def test_signatures_of_strangers_on_a_checkpoint_are_ignored(honest, tmp_path):
    directory = published(honest, tmp_path)
    stranger = sign_note(
        seed_key("witness"), "witness.example", honest.checkpoint().decode().rsplit("\n\n", 1)[0] + "\n"
    )
    with (directory / "checkpoint").open("ab") as note:
        note.write(stranger.rsplit(b"\n\n", 1)[1])
    assert check(honest, directory).exit_code == 0


@pytest.mark.parametrize(("mode", "least", "most"), [("sample", 400, 600), ("none", 0, 0)])
def test_leaving_signatures_out_is_never_reported_as_everything_checked(honest, tmp_path, mode, least, most):
    outcome = check(honest, published(honest, tmp_path), "--signatures", mode)
    assert (outcome.exit_code, outcome.codes) == (3, {"signatures-unchecked"})
    assert least <= outcome.facts["signatures"] <= most


def test_a_second_station_key_introduced_by_the_first_may_sign(tmp_path):
    log, second = OperatorLog().opened(), seed_key("second")
    log.add("key.added", log.key_data(second, "station"))
    log.add("finding.raised", {"kind": "test"}, key=second)
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.facts["signers"]) == (0, 2)


def test_a_clock_that_went_back_is_told_but_is_no_tampering(tmp_path):
    log = OperatorLog().opened()
    log.add("finding.raised", {"kind": "test"}, time="2026-11-22T12:00:00.000Z")
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (0, {"time-backwards"})


def test_an_empty_log_is_said_to_be_empty(tmp_path):
    log = OperatorLog()
    (tmp_path / "log").mkdir()
    outcome = check(log, published(log, tmp_path))
    assert outcome.exit_code == 3
    assert "log-empty" in outcome.codes


# --- changes by someone without the log key ---------------------------------------------------------------------------
def test_r13_one_flipped_bit_in_an_entry_names_the_entry(honest, tmp_path):
    directory = published(honest, tmp_path)
    bundle = directory / "tile/entries/001"
    flip(bundle, 2 + 100)
    outcome = check(honest, directory)
    assert outcome.exit_code == 1
    assert outcome.params("entry-altered")["index"] == "256"
    assert "tile-damaged" not in outcome.codes


@pytest.mark.parametrize(("tile", "index"), [("tile/0/000", "3"), ("tile/0/002.p/88", "515"), ("tile/1/000.p/2", "0")])
def test_a_flipped_bit_in_a_tile_names_the_tile(honest, tmp_path, tile, index):
    directory = published(honest, tmp_path)
    flip(directory / tile, 3 * 32 + 5 if "/0/" in tile else 5)
    outcome = check(honest, directory)
    assert (outcome.exit_code, outcome.codes) == (1, {"tile-damaged"})
    assert outcome.params("tile-damaged") == {"path": tile, "index": index}


def test_entry_and_tile_changed_alike_contradict_the_signed_root(honest, tmp_path):
    directory = published(forged(honest, 5, honest.entries[4]), tmp_path)
    (directory / "checkpoint").write_bytes(honest.checkpoint())
    outcome = check(honest, directory)
    assert outcome.exit_code == 1
    assert "root-mismatch" in outcome.codes


def test_another_size_in_the_checkpoint_breaks_its_signature(honest, tmp_path):
    directory = published(honest, tmp_path)
    note = directory / "checkpoint"
    note.write_bytes(note.read_bytes().replace(b"\n600\n", b"\n599\n"))
    assert check(honest, directory).codes == {"note-signature-bad"}


def test_another_key_is_not_ours(honest, tmp_path):
    other = OperatorLog(log_key=seed_key("other"))
    outcome = check(other, published(honest, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (1, {"note-unsigned"})


@pytest.mark.parametrize(
    ("path", "code", "exit_code"),
    [
        ("checkpoint", "file-missing", 2),
        ("tile/entries/001", "file-missing", 2),
        ("tile/0/001", "file-missing", 2),
        ("tile/1/000.p/2", "file-missing", 2),
    ],
)
def test_a_missing_file_leaves_the_question_open(honest, tmp_path, path, code, exit_code):
    directory = published(honest, tmp_path)
    (directory / path).unlink()
    outcome = check(honest, directory)
    assert (outcome.exit_code, outcome.codes) == (exit_code, {code})


@pytest.mark.parametrize(
    ("path", "code"),
    [("tile/0/001", "tile-length"), ("tile/entries/001", "bundle-damaged"), ("checkpoint", "note-malformed")],
)
def test_a_truncated_file_is_a_contradiction(honest, tmp_path, path, code):
    directory = published(honest, tmp_path)
    (directory / path).write_bytes((directory / path).read_bytes()[:-1])
    outcome = check(honest, directory)
    assert outcome.exit_code == 1
    assert code in outcome.codes


# --- changes by the operator, who holds the log key -------------------------------------------------------------------
def test_r13_an_entry_dropped_before_it_was_sequenced_shows_as_a_gap(tmp_path):
    log = OperatorLog().opened().fill(20)
    del log.entries[10]
    outcome = check(log, published(log, tmp_path))
    assert outcome.exit_code == 1
    assert outcome.params("sequence-gap") == {"index": "10", "signer": key_id(log.station), "got": "11", "want": "10"}


def test_reordered_entries_show(tmp_path):
    log = OperatorLog().opened().fill(20)
    log.entries[10], log.entries[11] = log.entries[11], log.entries[10]
    assert "sequence-gap" in check(log, published(log, tmp_path)).codes


def test_an_entry_rewritten_with_the_station_key_breaks_the_chain_after_it(tmp_path):
    log = OperatorLog().opened().fill(6)
    statement = json.loads(base64.b64decode(json.loads(log.entries[4])["payload"]))
    statement["predicate"]["data"]["kind"] = "other"
    outcome = check(log, published(forged(log, 4, log.envelope(canonical(statement))), tmp_path))
    assert (outcome.exit_code, outcome.codes) == (1, {"previous-mismatch"})


def test_an_entry_signed_by_an_unknown_key_is_refused(tmp_path):
    log = OperatorLog().opened()
    log.add("finding.raised", {"kind": "test"}, key=seed_key("stranger"))
    assert check(log, published(log, tmp_path)).codes == {"entry-unsigned"}


def test_a_key_cannot_introduce_itself_later(tmp_path):
    log, stranger = OperatorLog().opened(), seed_key("stranger")
    log.add("key.added", log.key_data(stranger, "station"), key=stranger)
    log.add("finding.raised", {"kind": "test"}, key=stranger)
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (1, {"entry-unsigned"})


def test_the_log_key_cannot_sign_entries(tmp_path):
    log = OperatorLog().opened()
    log.add("finding.raised", {"kind": "test"}, key=log.log_key)
    assert "entry-unsigned" in check(log, published(log, tmp_path)).codes


def test_a_wrong_station_signature_is_refused(tmp_path):
    log = OperatorLog().opened().fill(6)
    envelope = json.loads(log.entries[5])
    envelope["signatures"][0]["sig"] = b64(bytes(64))
    outcome = check(log, published(forged(log, 5, canonical(envelope)), tmp_path))
    assert (outcome.exit_code, outcome.params("entry-signature-bad")) == (1, {"index": "5"})


def test_a_log_that_does_not_open_with_its_own_origin_is_refused(tmp_path):
    log = OperatorLog()
    log.add("log.opened", {"origin": "elsewhere.example/log"})
    log.add("key.added", log.key_data(log.station, "station"))
    assert "opening-wrong" in check(log, published(log, tmp_path)).codes


def test_a_key_entry_whose_identity_is_not_the_keys_digest_is_refused(tmp_path):
    log = OperatorLog().opened()
    log.add("key.added", {**log.key_data(seed_key("x"), "station"), "key_id": "0" * 16})
    assert check(log, published(log, tmp_path)).codes == {"key-invalid"}


def test_a_log_without_its_own_key_entry_says_so(tmp_path):
    log = OperatorLog()
    log.add("log.opened", {"origin": log.origin})
    log.add("key.added", log.key_data(log.station, "station"))
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (0, {"log-key-unlisted"})


def test_a_log_that_never_introduces_its_signer_is_refused(tmp_path):
    log = OperatorLog()
    log.add("log.opened", {"origin": log.origin})
    log.fill(40)
    outcome = check(log, published(log, tmp_path))
    assert outcome.exit_code == 1
    assert outcome.report["counts"]["tamper"] == 40


def test_a_newer_schema_is_undecided_not_tampering(tmp_path):
    log = OperatorLog().opened()
    log.add("finding.raised", {"kind": "test"}, schema=2)
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (2, {"schema-unknown"})


# --- a checkpoint held from before ------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 599, 600])
def test_a_log_that_only_grew_agrees_with_an_older_checkpoint(honest, tmp_path, size):
    held = tmp_path / "held"
    held.write_bytes(honest.checkpoint(size))
    assert check(honest, published(honest, tmp_path), "--since", held).exit_code == 0


def test_a_rewritten_history_contradicts_an_older_checkpoint(honest, tmp_path):
    held = tmp_path / "held"
    held.write_bytes(honest.checkpoint(400))
    other = OperatorLog().opened()
    other.add("finding.raised", {"kind": "other history"})
    outcome = check(honest, published(other.fill(600), tmp_path), "--since", held)
    assert (outcome.exit_code, outcome.codes) == (1, {"rewritten"})


def test_a_shorter_log_than_the_checkpoint_held_was_rolled_back(honest, tmp_path):
    held = tmp_path / "held"
    held.write_bytes(honest.checkpoint())
    shorter = OperatorLog(entries=honest.entries[:300])
    outcome = check(honest, published(shorter, tmp_path), "--since", held)
    assert (outcome.exit_code, outcome.codes) == (1, {"rolled-back"})


def test_another_root_at_the_size_held_is_a_split_view_even_where_files_are_missing(honest, tmp_path):
    held = tmp_path / "held"
    held.write_bytes(_note(honest, f"{honest.origin}\n600\n{b64(bytes(32))}\n"))
    directory = published(honest, tmp_path)
    outcome = check(honest, directory, "--since", held)
    assert (outcome.exit_code, outcome.codes) == (1, {"split-view"})
    for path in ("tile/entries/000", "tile/0/000"):
        (directory / path).unlink()
    outcome = check(honest, directory, "--since", held)
    assert (outcome.exit_code, outcome.codes & {"split-view"}) == (1, {"split-view"})


def test_an_older_partial_tile_that_is_swept_meanwhile_leaves_no_doubt(honest, tmp_path, monkeypatch):
    """The service may fill a tile, and remove its partial versions, while somebody reads the directory."""
    directory = published(honest, tmp_path)
    (directory / "tile/0/002.p/40").write_bytes((directory / "tile/0/002.p/88").read_bytes()[: 40 * 32])
    read_file = liuhen_verify.read_file

    def swept(path, *, limit):
        if path.name == "40":
            path.unlink()
        return read_file(path, limit=limit)

    monkeypatch.setattr(liuhen_verify, "read_file", swept)
    assert check(honest, directory).exit_code == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": "ent_1"},
        {"entry": "rec_0198c0de000070008000000000000001"},
        {"seq": -1},
        {"prev": ""},
        {"seq": 0},
        {"station": ""},
        {"time": "2026-02-30T13:00:00.000Z"},
        {"time": "2026-11-22T13:00:60.000Z"},
        {"time_uncertainty_ms": -2},
        {"time_uncertainty_ms": 2**53},
        {"_sd": ["A" * 42 + "B"]},
        {"data": {"recording": "", "sha256": ""}},
        {"data": {"actor": "", "recording": [], "sha256": ""}},
        {"data": {"actor": "", "recording": "rec_1", "sha256": ""}},
        {"data": {"actor": "", "recording": "", "sha256": "", "more": NESTED}},
    ],
)
def test_an_entry_that_breaks_its_documented_form_is_refused(tmp_path, changes):
    log = OperatorLog().opened()
    predicate = {**log.predicate("finding.raised", {"kind": "test"}), **changes}
    log.append(log.seal(predicate), signer=predicate["signer"], seq=predicate["seq"])
    outcome = check(log, published(log, tmp_path))
    assert (outcome.exit_code, outcome.codes) == (1, {"entry-malformed"})


# --- checkpoints as such ----------------------------------------------------------------------------------------------
def _note(log, text):
    return sign_note(log.log_key, log.origin, text)


@pytest.mark.parametrize(
    "text",
    [
        "liuhen.example/log\n600\n",
        "liuhen.example/log\n0600\n{root}\n",
        "liuhen.example/log\n-1\n{root}\n",
        "liuhen.example/log\n600\n{root}=\n",
        "liuhen.example/log\n600\nAAAA\n",
        "liuhen.example/log\n600\n{root}\nextension\n",
        "liuhen.example/log\n" + "9" * 30 + "\n{root}\n",
    ],
)
def test_signed_but_misshapen_checkpoints_are_refused(honest, tmp_path, text):
    directory = published(honest, tmp_path)
    root = b64(tree_root(honest.hashes()))
    (directory / "checkpoint").write_bytes(_note(honest, text.format(root=root)))
    assert check(honest, directory).codes == {"note-malformed"}


def test_a_checkpoint_of_another_origin_is_refused(honest, tmp_path):
    directory = published(honest, tmp_path)
    (directory / "checkpoint").write_bytes(_note(honest, f"other.example\n0\n{b64(hashlib.sha256().digest())}\n"))
    assert check(honest, directory).codes == {"origin-mismatch"}


def test_a_checkpoint_of_an_absurd_size_ends_soon(honest, tmp_path):
    directory = published(honest, tmp_path)
    (directory / "checkpoint").write_bytes(_note(honest, f"{honest.origin}\n{10**17}\n{b64(bytes(32))}\n"))
    outcome = check(honest, directory)
    assert "too-many-missing" in outcome.codes
