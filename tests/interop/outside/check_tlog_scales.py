"""Checks a published log with tlog-scales (PyPI): `check_tlog_scales.py DIR VKEY [OLDER-CHECKPOINT ...]`.

Every entry's inclusion, the root, and consistency with the older checkpoints; runs in the interop environment only.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import Checkpoint


def main(directory: str, vkey_text: str, *older: str) -> None:
    vkey = Vkey.from_string(vkey_text)
    reader = TilesReader(LocalBackend(Path(directory)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(vkey)
    if reader.calculate_root_hash() != checkpoint.root_hash:
        raise SystemExit("refused: the tiles lead to another root")
    for index in range(checkpoint.size):
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(leaf_hash(reader.get_entry(index)), checkpoint.root_hash)
    for path in older:
        old = Checkpoint.from_text(Path(path).read_text(encoding="utf-8"))
        old.verify(vkey)
        reader.get_consistency_proof(old.size, checkpoint.size).check(old.root_hash, checkpoint.root_hash)
    print(f"accepted: {checkpoint.size} entries, {len(older)} older checkpoints")


if __name__ == "__main__":
    main(*sys.argv[1:])
