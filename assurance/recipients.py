"""Public keys that a bundle of keys, or the key of backups, is sealed for: which serve, who they are, how a secret is agreed on.

Pure. The two forms that use it differ in their labels (``info``) and in how they wrap; those stay theirs.

Source: RFC 7748 (X25519), RFC 8017 (OAEP), RFC 5869 (HKDF); docs/formats/key-bundle.md, backup.md.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RSA_BITS_MIN: Final = 3072
OAEP: Final = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
_KEY_BYTES: Final = 32


def public_key(untrusted_pem: bytes) -> X25519PublicKey | RSAPublicKey | None:
    """The key in a PEM (``openssl pkey -pubout``); None when it is none, or one that does not serve.

    Raises:
        ValueError: No public key in PEM form.
    """
    try:
        key = serialization.load_pem_public_key(untrusted_pem)
    except UnsupportedAlgorithm as error:
        raise ValueError("an unknown kind of key") from error
    if isinstance(key, X25519PublicKey) or (isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MIN):
        return key
    return None


def fingerprint_of(public: X25519PublicKey | RSAPublicKey) -> str:
    """SHA-256 over the key's SubjectPublicKeyInfo, hexadecimal."""
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def agreed(shared: bytes, *, once: bytes, public: bytes, info: bytes) -> bytes:
    """The wrapping key from an X25519 exchange.

    Args:
        shared: What the exchange gave.
        once: The sender's public key, made for this time only.
        public: The recipient's.
        info: What it is for.
    """
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=once + public, info=info).derive(shared)
