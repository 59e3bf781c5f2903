"""The Merkle tree of RFC 6962: roots, proofs, and their verification. Pure: no files, no keys.

Verification uses the iterative algorithms of RFC 9162, not the recursive ones that make the proofs, so that one mistake
cannot hide in both. A proof for one size may verify for another: the size must come from a signed checkpoint only.

Source: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from evidence.errors import InvalidInputError, ProofInvalidError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
#: 63 levels hold more entries than can ever be written; longer proofs are refused unread.
PROOF_HASHES_MAX: Final = 63

#: Hash of the perfect subtree number ``index`` of ``2**level`` leaves.
NodeHash = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Tree hash over leaf (or perfect subtree) hashes.

    Joining neighbours level by level and carrying an odd last one up gives the same tree as the recursive definition.
    """
    if not hashes:
        return EMPTY_ROOT
    row = list(hashes)
    sha256 = hashlib.sha256
    while len(row) > 1:
        pairs = [sha256(b"\x01" + a + b).digest() for a, b in zip(row[::2], row[1::2], strict=False)]
        if len(row) % 2:
            pairs.append(row[-1])
        row = pairs
    return row[0]


def peaks_of(start: int, end: int) -> list[tuple[int, int]]:
    """Perfect subtrees ``(level, index)`` that cover leaves start..end-1 from left to right; ``start`` must align."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        peaks.append((level, start >> level))
        start += 1 << level
    return peaks


def _range_hash(start: int, end: int, node: NodeHash) -> bytes:
    hashes = [node(level, index) for level, index in peaks_of(start, end)]
    result = hashes.pop()
    while hashes:
        result = node_hash(hashes.pop(), result)
    return result


def root_from_nodes(size: int, node: NodeHash) -> bytes:
    """Root of a tree of ``size`` leaves from the hashes of its perfect subtrees."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: NodeHash) -> list[bytes]:
    """Hashes from the leaf's sibling up to the root's child.

    Raises:
        InvalidInputError: ``index`` is not below ``size``.
    """
    if not 0 <= index < size:
        raise InvalidInputError(f"no entry {index} in a log of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, node))
            end = middle
        else:
            proof.append(_range_hash(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: NodeHash) -> list[bytes]:
    """Hashes that show that the first ``old`` entries of a log of ``new`` are the log of ``old``.

    Raises:
        InvalidInputError: Not ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise InvalidInputError(f"no consistency proof from {old} to {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, node))
            end = middle
        else:
            proof.append(_range_hash(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(_range_hash(start, end, node))
    return proof[::-1]


def _check_hashes(proof: Sequence[bytes]) -> None:
    if len(proof) > PROOF_HASHES_MAX or any(len(one) != HASH_BYTES for one in proof):
        raise ProofInvalidError("proof is too long or holds something else than SHA-256 hashes")


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return when ``leaf`` (a leaf hash) is number ``index`` of the tree with that size and root.

    Args:
        leaf: Leaf hash.
        index: Position.
        size: Tree size, from a signed checkpoint.
        proof: Hashes, leaf's sibling first.
        root: Root, from the same checkpoint.

    Raises:
        ProofInvalidError: It is not, or the proof is malformed.

    Source: RFC 9162 section 2.1.3.2.
    """
    _check_hashes(proof)
    if not 0 <= index < size:
        raise ProofInvalidError(f"index {index} is outside a log of {size}")
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalidError("inclusion proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or result != root:
        raise ProofInvalidError("inclusion proof does not lead to the checkpoint's root")


def verify_consistency(*, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return when the log of ``new`` entries begins with the log of ``old`` entries.

    Raises:
        ProofInvalidError: It does not, or the proof is malformed.

    Source: RFC 9162 section 2.1.4.2.
    """
    _check_hashes(proof)
    if not 0 <= old <= new:
        raise ProofInvalidError(f"a log of {new} cannot continue a log of {old}")
    if old in (0, new):
        if proof or old_root != (EMPTY_ROOT if old == 0 else new_root):
            raise ProofInvalidError("the two checkpoints contradict each other")
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofInvalidError("consistency proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalidError("consistency proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or first != old_root or second != new_root:
        raise ProofInvalidError("consistency proof does not join the two checkpoints")
