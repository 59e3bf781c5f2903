"""Known answers, checked at every start: a broken library must not seal evidence.

Source: RFC 8032 section 7.1; RFC 6962 (Certificate Transparency reference vectors); C2SP signed-note and tlog-tiles;
RFC 9901 section 4.2.2; DSSE v1.0.2 protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chain_of_custody.checkpoint import NoteVerifier
from chain_of_custody.disclosures import digest_of
from chain_of_custody.entry import PAYLOAD_TYPE, pae
from chain_of_custody.keys import SigningKey
from chain_of_custody.merkle import EMPTY_ROOT, leaf_hash, root_of
from chain_of_custody.tiles import GrowingTree, edge_of, path_of
from evidence import canonical
from evidence.errors import ConfigError, SignatureInvalidError

#: How many checks must have run; a list that lost one would otherwise pass in silence.
CHECKS: Final = 9

_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
_PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
_ROOT_OF_8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
_DISCLOSURE = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
_DISCLOSURE_DIGEST = "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


def _ed25519_signs() -> bool:
    key = SigningKey.from_seed(_SEED)
    return key.public_key.hex() == _PUBLIC and key.sign(b"\x72").hex() == _SIGNATURE


def _ed25519_refuses() -> bool:
    key = SigningKey.from_seed(_SEED).verifying_key()
    key.verify(bytes.fromhex(_SIGNATURE), b"\x72")
    try:
        key.verify(bytes.fromhex(_SIGNATURE), b"\x73")
    except SignatureInvalidError:
        return True
    return False


def _tree_of_eight() -> bool:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in _LEAVES]
    tree = GrowingTree()
    tree.append(leaves)
    return root_of(leaves).hex() == tree.root().hex() == _ROOT_OF_8


def _empty_tree() -> bool:
    return EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _verifier_key() -> bool:
    return NoteVerifier.parse(_VKEY).text() == _VKEY


def _tile_paths() -> bool:
    edge = [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    return path_of(0, 1234067) == "tile/0/x001/x234/067" and list(edge_of(70_000)) == edge


def _salted_digest() -> bool:
    return digest_of(_DISCLOSURE) == _DISCLOSURE_DIGEST


def _pre_authentication_encoding() -> bool:
    return pae(b"hello") == b"DSSEv1 28 application/vnd.in-toto+json 5 hello" and len(PAYLOAD_TYPE) == 28


def _canonical_json() -> bool:
    written = canonical.dumps({"\u20ac": [1, True, None], "b": "\n\u00e9", "a": {}})
    return written == '{"a":{},"b":"\\né","€":[1,true,null]}'.encode()


_ALL: dict[str, Callable[[], bool]] = {
    "Ed25519 signs": _ed25519_signs,
    "Ed25519 refuses": _ed25519_refuses,
    "tree of eight": _tree_of_eight,
    "empty tree": _empty_tree,
    "verifier key": _verifier_key,
    "tile paths": _tile_paths,
    "salted digest": _salted_digest,
    "DSSE encoding": _pre_authentication_encoding,
    "canonical JSON": _canonical_json,
}


def run() -> int:
    """Run every known-answer check.

    Returns:
        How many ran.

    Raises:
        ConfigError: One failed, or not all of them ran: this machine must not seal anything.
    """
    ran = 0
    for name, check in _ALL.items():
        if not check():
            raise ConfigError(f"self-test failed: {name}", todo="Reinstall Python and the cryptography package.")
        ran += 1
    if ran != CHECKS:
        raise ConfigError(f"{ran} self-tests ran instead of {CHECKS}")
    return ran
