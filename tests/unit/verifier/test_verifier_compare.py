"""`compare`: two checkpoints of one log are one history, or they are not."""

from __future__ import annotations

import pytest

from support.operator_log import OperatorLog, b64, flip, sign_note
from support.verifier_run import verify

SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 600]


@pytest.fixture(scope="module")
def log():
    return OperatorLog().opened().fill(600)


@pytest.fixture(scope="module")
def tiles(log, tmp_path_factory):
    return log.publish(tmp_path_factory.mktemp("compare") / "log")


def compare(log, tmp_path, tiles, first, second):
    for name, note in (("first", first), ("second", second)):
        (tmp_path / name).write_bytes(note)
    return verify("compare", tmp_path / "first", tmp_path / "second", "--tiles", tiles, "--vkey", log.vkey)


@pytest.mark.parametrize("size", SIZES)
def test_every_earlier_checkpoint_of_a_log_is_part_of_the_latest(log, tiles, tmp_path, size):
    outcome = compare(log, tmp_path, tiles, log.checkpoint(), log.checkpoint(size))
    assert (outcome.exit_code, outcome.facts["older"]) == (0, size)


def test_consistency_holds_between_all_pairs_of_small_sizes(log, tmp_path):
    for new in range(1, 20):
        part = OperatorLog(entries=log.entries[:new]).publish(tmp_path / str(new))
        for old in range(new + 1):
            assert compare(log, tmp_path, part, log.checkpoint(old), log.checkpoint(new)).exit_code == 0


def test_one_size_with_two_roots_is_a_split_view(log, tiles, tmp_path):
    other = sign_note(log.log_key, log.origin, f"{log.origin}\n600\n{b64(bytes(32))}\n")
    assert compare(log, tmp_path, tiles, log.checkpoint(), other).codes == {"split-view"}


@pytest.mark.parametrize("size", SIZES[:-1])
def test_r13_a_rewritten_history_is_told_from_bad_tiles(log, tiles, tmp_path, size):
    other = sign_note(log.log_key, log.origin, f"{log.origin}\n{size}\n{b64(bytes(32))}\n")
    assert compare(log, tmp_path, tiles, other, log.checkpoint()).codes == {"rewritten"}


def test_tiles_of_another_log_are_named_as_such(log, tmp_path):
    tiles = log.publish(tmp_path / "damaged")
    flip(tiles / "tile/0/002.p/88", 0)
    assert compare(log, tmp_path, tiles, log.checkpoint(300), log.checkpoint()).codes == {"tiles-foreign"}


def test_missing_tiles_cannot_decide(log, tmp_path):
    outcome = compare(log, tmp_path, tmp_path, log.checkpoint(300), log.checkpoint())
    assert (outcome.exit_code, outcome.codes) == (2, {"file-missing"})


def test_an_empty_log_has_only_one_root(log, tiles, tmp_path):
    other = sign_note(log.log_key, log.origin, f"{log.origin}\n0\n{b64(bytes(32))}\n")
    assert compare(log, tmp_path, tiles, other, log.checkpoint()).codes == {"rewritten"}
