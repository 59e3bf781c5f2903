"""A bundle of keys opens for each of its recipients alone, and for nobody else; whatever was changed in it is noticed."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from assurance import key_bundle
from assurance.key_bundle import Bundle, BundleFile, Passphrase, PublicKey
from evidence.errors import (
    DigestMismatchError,
    EntryInvalidError,
    EvidenceError,
    InvalidInputError,
    KeyUnavailableError,
)

WORDS = "correct horse battery staple"
SECRET = b"the station's own key"
BUNDLE = Bundle(
    origin="example.org/log", vkey="example.org/log+1a2b3c4d+AA==", station="一号站", made_at="2026-11-26T08:00:00.000Z",
    notes=("the master key lies in a token",),
    files=(BundleFile(kind="home", name="station.key", data=SECRET), BundleFile(kind="epoch", name="2026-11", data=b"")),
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_bundle, "_SCRYPT_N", 1 << 4)


def pems(private) -> tuple[bytes, bytes]:
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def test_each_recipient_opens_the_bundle_alone() -> None:
    curve_private, curve_public = pems(X25519PrivateKey.generate())
    rsa_private, rsa_public = pems(rsa.generate_private_key(65537, 3072))
    recipients = [
        Passphrase("bureau", WORDS), Passphrase("escrow", "另一处的人保管的这一句话很长"),
        PublicKey("archive.pem", curve_public), PublicKey("court.pem", rsa_public),
    ]  # fmt: skip
    sealed = key_bundle.seal(BUNDLE, recipients)
    assert SECRET not in sealed
    assert key_bundle.open_with_passphrase(sealed, WORDS) == BUNDLE
    assert key_bundle.open_with_passphrase(sealed, "另一处的人保管的这一句话很长") == BUNDLE
    assert key_bundle.open_with_key(sealed, curve_private) == BUNDLE
    assert key_bundle.open_with_key(sealed, rsa_private) == BUNDLE
    assert [one.label for one in key_bundle.recipients_of(sealed)] == ["bureau", "escrow", "archive.pem", "court.pem"]


def test_nobody_else_opens_it_and_is_told_who_can() -> None:
    sealed = key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)])
    with pytest.raises(KeyUnavailableError) as told:
        key_bundle.open_with_passphrase(sealed, WORDS + "r")
    assert "bureau" in told.value.todo
    stranger, _ = pems(X25519PrivateKey.generate())
    with pytest.raises(KeyUnavailableError):
        key_bundle.open_with_key(sealed, stranger)
    with pytest.raises(KeyUnavailableError):
        key_bundle.open_with_key(sealed, b"no pem")


def test_a_bundle_for_nobody_a_short_passphrase_and_an_unfit_key_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        key_bundle.seal(BUNDLE, [])
    with pytest.raises(InvalidInputError):
        Passphrase("bureau", "short")
    _, elliptic = pems(ec.generate_private_key(ec.SECP256R1()))
    for pem in (elliptic, b"-----BEGIN NOTHING-----"):
        with pytest.raises(InvalidInputError):
            key_bundle.seal(BUNDLE, [PublicKey("odd.pem", pem)])


@pytest.mark.parametrize("member", ["origin", "vkey", "made_at", "station"])
def test_what_the_bundle_says_in_the_open_is_bound_to_what_it_holds(member: str) -> None:
    found = json.loads(key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)]))
    found["header"][member] += "x"
    with pytest.raises(DigestMismatchError):
        key_bundle.open_with_passphrase(key_bundle.canonical.dumps(found), WORDS)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_changed_byte_ends_in_one_of_our_errors(data: st.DataObject) -> None:
    sealed = bytearray(key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)]))
    place = data.draw(st.integers(0, len(sealed) - 2))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EvidenceError):
        key_bundle.open_with_passphrase(bytes(sealed), WORDS)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_bundle(untrusted: bytes) -> None:
    with pytest.raises(EntryInvalidError):
        key_bundle.open_with_passphrase(untrusted, WORDS)


@pytest.mark.parametrize(("member", "value"), [("n", 1 << 30), ("n", 3), ("r", 0), ("n", "16"), ("salt", 5)])
def test_parameters_that_would_eat_the_machine_are_refused(member: str, value: object) -> None:
    found = json.loads(key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)]))
    found["header"]["recipients"][0][member] = value
    with pytest.raises(EntryInvalidError):
        key_bundle.open_with_passphrase(key_bundle.canonical.dumps(found), WORDS)


def test_a_bundle_does_not_say_how_long_and_with_how_much_memory_it_is_opened() -> None:
    found = json.loads(key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)]))
    (one,) = found["header"]["recipients"]
    for recipients in ([one | {"n": 1 << 20, "r": 16}], [one | {"salt": "AAAA"}] * 33):
        found["header"]["recipients"] = recipients
        with pytest.raises(EntryInvalidError):
            key_bundle.open_with_passphrase(key_bundle.canonical.dumps(found), WORDS)
    with pytest.raises(InvalidInputError):
        key_bundle.seal(BUNDLE, [Passphrase("bureau", WORDS)] * 33)
