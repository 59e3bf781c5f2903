"""Checks a published log with metamorphic-log (PyPI, Rust): `check_metamorphic.py DIR VKEY [OLDER-CHECKPOINT ...]`.

It has no tile reader, so proofs are built by tlog-scales; every verdict is metamorphic-log's. Interop environment only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import metamorphic_log
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.tiles import leaf_hash


def main(directory: str, vkey: str, *older: str) -> None:
    note = (Path(directory) / "checkpoint").read_text(encoding="utf-8")
    size = metamorphic_log.checkpoint_verify(note, [vkey]).size
    reader = TilesReader(LocalBackend(Path(directory)))
    reader.set_size(size)
    for index in range(size):
        proof = reader.get_inclusion_proof(index, size).node_hashes
        metamorphic_log.checkpoint_verify_inclusion(note, [vkey], index, leaf_hash(reader.get_entry(index)), proof)
    for path in older:
        old_note = Path(path).read_text(encoding="utf-8")
        old_size = metamorphic_log.checkpoint_verify(old_note, [vkey]).size
        proof = reader.get_consistency_proof(old_size, size).node_hashes
        metamorphic_log.checkpoint_verify_consistency(old_note, note, [vkey], proof)
    print(f"accepted: {size} entries, {len(older)} older checkpoints")


if __name__ == "__main__":
    main(*sys.argv[1:])
