"""The verifier's own Ed25519 agrees with RFC 8032 and with OpenSSL, also about what to refuse."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.liuhen_verify import choose_verify, verify_pure

# RFC 8032 section 7.1, tests 1 to 3: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
BOTH = [choose_verify(pure=True), choose_verify(pure=False)]


@pytest.mark.parametrize("verify", BOTH)
@pytest.mark.parametrize(("public_key", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_verify(verify, public_key, message, signature):
    assert verify(bytes.fromhex(public_key), bytes.fromhex(signature), bytes.fromhex(message))


@pytest.mark.parametrize("verify", BOTH)
@pytest.mark.parametrize("position", [0, 31, 32, 63])
def test_a_flipped_bit_anywhere_in_a_signature_is_refused(verify, position):
    public_key, message, signature = (bytes.fromhex(text) for text in VECTORS[2])
    flipped = bytearray(signature)
    flipped[position] ^= 1
    assert not verify(public_key, bytes(flipped), message)


@pytest.mark.parametrize("verify", BOTH)
def test_a_scalar_beyond_the_group_order_is_refused(verify):
    public_key, message, signature = (bytes.fromhex(text) for text in VECTORS[1])
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify(public_key, signature[:32] + scalar.to_bytes(32, "little"), message)


@pytest.mark.parametrize("verify", BOTH)
@pytest.mark.parametrize("public_key", [b"", b"\xff" * 32, (2**255 - 19).to_bytes(32, "little"), b"\x02" + b"\0" * 31])
def test_bytes_that_are_no_point_are_refused(verify, public_key):
    assert not verify(public_key, bytes(64), b"")


@settings(max_examples=40, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), position=st.integers(0, 511))
def test_plain_python_and_openssl_give_the_same_verdicts(seed, message, position):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify_pure(public_key, signature, message)
    flipped = bytearray(signature)
    flipped[position // 8] ^= 1 << position % 8
    assert [verify(public_key, bytes(flipped), message) for verify in BOTH] == [False, False]
    assert not verify_pure(public_key, signature, message + b"!")
