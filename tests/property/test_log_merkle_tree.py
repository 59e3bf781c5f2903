"""The tree against a second, naive implementation of RFC 6962, and its proofs against every way to spoil them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_of_custody import merkle
from chain_of_custody.tiles import GrowingTree, edge_of
from evidence.errors import InvalidInputError, ProofInvalidError

LEAVES = [merkle.leaf_hash(b"entry %d" % n) for n in range(700)]


def naive_root(leaves: list[bytes]) -> bytes:
    """The recursive definition, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def node(level: int, index: int) -> bytes:
    return naive_root(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", [*range(70), 255, 256, 257, 511, 512, 513, 700])
def test_roots_are_those_of_the_recursive_definition(size: int) -> None:
    expected = naive_root(LEAVES[:size])
    assert merkle.root_of(LEAVES[:size]) == expected
    assert merkle.root_from_nodes(size, node) == expected
    tree = GrowingTree()
    tree.append(LEAVES[:size])
    assert tree.root() == expected


def test_every_leaf_of_every_small_tree_is_proved() -> None:
    for size in range(1, 34):
        root = naive_root(LEAVES[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, node)
            merkle.verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=root)


def test_every_pair_of_small_trees_is_consistent() -> None:
    for new in range(34):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, new, node)
            merkle.verify_consistency(
                old=old, old_root=naive_root(LEAVES[:old]), new=new, new_root=naive_root(LEAVES[:new]), proof=proof
            )


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_spoiled_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    root = naive_root(LEAVES[:size])
    proof = merkle.inclusion_proof(index, size, node)
    spoiled = list(proof)
    match data.draw(st.sampled_from(["flip", "drop", "add", "swap leaf", "other index", "flip root"])):
        case "flip":
            at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
            value = int.from_bytes(proof[at]) ^ 1 << bit
            spoiled[at] = value.to_bytes(32)
        case "drop":
            spoiled.pop(data.draw(st.integers(0, len(proof) - 1)))
        case "add":
            spoiled.append(proof[-1])
        case "swap leaf":
            with pytest.raises(ProofInvalidError):
                merkle.verify_inclusion(leaf=LEAVES[699], index=index, size=size, proof=proof, root=root)
            return
        case "other index":
            other = (index + 1) % size
            with pytest.raises(ProofInvalidError):
                merkle.verify_inclusion(leaf=LEAVES[index], index=other, size=size, proof=proof, root=root)
            return
        case "flip root":
            root = bytes(32)
    with pytest.raises(ProofInvalidError):
        merkle.verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=spoiled, root=root)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_rewritten_past_has_no_consistency_proof(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 500))
    old = data.draw(st.integers(1, new - 1))
    changed = data.draw(st.integers(0, old - 1))
    proof = merkle.consistency_proof(old, new, node)
    past = list(LEAVES[:old])
    past[changed] = merkle.leaf_hash(b"rewritten")
    with pytest.raises(ProofInvalidError):
        merkle.verify_consistency(
            old=old, old_root=naive_root(past), new=new, new_root=naive_root(LEAVES[:new]), proof=proof
        )


@given(
    hashes=st.lists(st.binary(max_size=40), max_size=70), old=st.integers(-2, 70), new=st.integers(-2, 70),
    root=st.binary(max_size=33),
)  # fmt: skip
def test_any_bytes_as_proofs_end_in_our_error(hashes: list[bytes], old: int, new: int, root: bytes) -> None:
    with pytest.raises(ProofInvalidError):
        merkle.verify_inclusion(leaf=root, index=old, size=new, proof=hashes, root=b"no root has this length at all")
    with pytest.raises(ProofInvalidError):
        merkle.verify_consistency(old=old, old_root=root, new=new, new_root=b"nor has this", proof=hashes)


def test_proofs_outside_the_log_are_refused() -> None:
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(InvalidInputError):
            merkle.inclusion_proof(index, size, node)
    for old, new in ((-1, 3), (4, 3)):
        with pytest.raises(InvalidInputError):
            merkle.consistency_proof(old, new, node)


@given(steps=st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_tree_grown_in_steps_or_taken_up_at_its_edge_is_the_same_tree(steps: list[int]) -> None:
    tree, size, tiles = GrowingTree(), 0, {}
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(sum(steps))]
    for step in steps:
        tree = GrowingTree.from_edge(tree.size, tree.partials())
        for tile in tree.append(leaves[size : size + step]):
            assert tile.path not in tiles
            tiles[tile.path] = tile
        size += step
        assert tree.root() == merkle.root_of(leaves[:size])
        assert [(t.level, t.index, len(t.hashes)) for t in tree.partials()] == list(edge_of(size))
    whole = GrowingTree()
    assert {tile.path: tile for tile in whole.append(leaves)} == tiles
