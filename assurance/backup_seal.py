"""How the bytes of a backup stand on its medium: packed, and encrypted where the backup is. Pure: no I/O.

Without encryption a piece is named by its SHA-256. With it, by HMAC-SHA-256 under a key of the backup, so that nobody learns from
the names whether bytes they know are in it; its content is AES-256-GCM with a fresh random nonce and its name bound in.

One random key per target stands in the target's marker, wrapped: by a passphrase (scrypt), or for a recipient's public key
(X25519 or RSA). With a recipient the service cannot open what it wrote on another day from the target alone; its own copy of the
key lies in the home (``keys/backup-<id>.key``), and a restore needs the recipient's private key.

Source: RFC 7914; RFC 5869; NIST SP 800-38D; RFC 8017 (OAEP); docs/formats/backup.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import zlib
from typing import Any, Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from assurance.recipients import OAEP, RSA_BITS_MIN, agreed, fingerprint_of, public_key
from evidence.errors import DigestMismatchError, KeyUnavailableError, LimitExceededError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SCRYPT_N: Final = 1 << 17
_SCRYPT_N_MAX: Final = 1 << 20
_STORED, _PACKED = b"\x00", b"\x01"
_RECIPIENT: Final = b"liuhen backup 1 recipient"


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"liuhen backup 1 " + purpose).derive(key)


class Seal:
    """Turns bytes into what stands on the medium, and back.

    Args:
        key: The target's key; None for a backup that is not encrypted.
    """

    def __init__(self, key: bytes | None) -> None:
        self._naming = _derive(key, b"names") if key is not None else None
        self._cipher = AESGCM(_derive(key, b"content")) if key is not None else None

    @property
    def encrypted(self) -> bool:
        """Whether it encrypts."""
        return self._cipher is not None

    def name_of(self, data: bytes) -> str:
        """The name of a piece: 64 hexadecimal digits."""
        if self._naming is None:
            return hashlib.sha256(data).hexdigest()
        return hmac.new(self._naming, data, hashlib.sha256).hexdigest()

    def close(self, data: bytes, *, bound: str) -> bytes:
        """What stands on the medium; ``bound`` is its name there, so that it opens in no other's place."""
        packed = zlib.compress(data, 3)
        body = _PACKED + packed if len(packed) < len(data) else _STORED + data
        if self._cipher is None:
            return body
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, bound.encode("utf-8"))

    def open(self, untrusted: bytes, *, bound: str, limit_bytes: int) -> bytes:
        """The bytes again.

        Raises:
            DigestMismatchError: They were changed, exchanged or cut. LimitExceededError: more than ``limit_bytes``.
        """
        try:
            if self._cipher is not None:
                nonce, sealed = untrusted[:_NONCE_BYTES], untrusted[_NONCE_BYTES:]
                untrusted = self._cipher.decrypt(nonce, sealed, bound.encode("utf-8"))
            kind, body = untrusted[:1], untrusted[1:]
            data = body if kind == _STORED else _unpacked(body, limit_bytes) if kind == _PACKED else None
        except (InvalidTag, ValueError, zlib.error) as error:
            raise DigestMismatchError(f"{bound} in the backup was changed") from error
        if data is None:
            raise DigestMismatchError(f"{bound} in the backup was changed")
        if len(data) > limit_bytes:
            raise LimitExceededError(f"{bound} in the backup is larger than it can be")
        return data

    def open_piece(self, untrusted: bytes, name: str, *, limit_bytes: int) -> bytes:
        """The bytes of a piece, which must be those its name says; errors as :meth:`open`."""
        data = self.open(untrusted, bound=name, limit_bytes=limit_bytes)
        if not hmac.compare_digest(self.name_of(data), name):
            raise DigestMismatchError(f"piece {name} in the backup was changed")
        return data


def _unpacked(body: bytes, limit_bytes: int) -> bytes:
    machine = zlib.decompressobj()
    data = machine.decompress(body, limit_bytes + 1)
    if len(data) <= limit_bytes and (not machine.eof or machine.unused_data):
        raise ValueError("cut short, or with bytes left over")
    return data


# --- the key of a target ----------------------------------------------------------------------------------------------
def new_key() -> bytes:
    """A fresh key of a target."""
    return secrets.token_bytes(KEY_BYTES)


def wrap_by_passphrase(key: bytes, passphrase: bytes, *, cost: int = _SCRYPT_N) -> dict[str, Any]:
    """The key as it stands in the marker, to be opened by a passphrase; KeyUnavailableError for an empty one."""
    if not passphrase:
        raise KeyUnavailableError("an empty passphrase protects nothing")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(_NONCE_BYTES)
    made = Scrypt(salt=salt, length=KEY_BYTES, n=cost, r=8, p=1).derive(passphrase)
    return {
        "kind": "passphrase", "salt": _text(salt), "cost": cost, "nonce": _text(nonce),
        "wrapped": _text(AESGCM(made).encrypt(nonce, key, b"liuhen backup 1 key")),
    }  # fmt: skip


def wrap_for_recipient(key: bytes, pem: bytes) -> dict[str, Any]:
    """The key as it stands in the marker, to be opened by the private half of a public key (X25519, or RSA of 3072 bits).

    Raises:
        KeyUnavailableError: The PEM holds no such public key.
    """
    try:
        public = public_key(pem)
    except ValueError as error:
        raise KeyUnavailableError(
            "the recipient's file holds no public key in PEM", todo="Use `openssl pkey -pubout`."
        ) from error
    if public is None:
        raise KeyUnavailableError(f"the recipient's key is neither X25519 nor RSA of at least {RSA_BITS_MIN} bits")
    if isinstance(public, rsa.RSAPublicKey):
        return {"kind": "rsa", "recipient": recipient_id(pem), "wrapped": _text(public.encrypt(key, OAEP))}
    once = x25519.X25519PrivateKey.generate()
    ours = once.public_key().public_bytes_raw()
    nonce = secrets.token_bytes(_NONCE_BYTES)
    shared = agreed(once.exchange(public), once=ours, public=public.public_bytes_raw(), info=_RECIPIENT)
    return {
        "kind": "x25519", "recipient": recipient_id(pem), "once": _text(ours), "nonce": _text(nonce),
        "wrapped": _text(AESGCM(shared).encrypt(nonce, key, b"liuhen backup 1 key")),
    }  # fmt: skip


def recipient_id(pem: bytes) -> str:
    """Which public key: the first 16 hexadecimal digits of SHA-256 over its DER form.

    Raises:
        ValueError: No public key that serves.
    """
    public = public_key(pem)
    if public is None:
        raise ValueError("a public key that does not serve")
    return fingerprint_of(public)[:16]


def unwrap_by_passphrase(told: dict[str, Any], passphrase: bytes) -> bytes:
    """The key of a target that a passphrase protects; KeyUnavailableError when it is not this passphrase's."""
    wrong = KeyUnavailableError(
        "this passphrase does not open the backup",
        kept="Nothing was changed.",
        todo="Use the passphrase it was made with.",
    )
    if told.get("kind") != "passphrase":
        raise KeyUnavailableError("this backup opens with a private key", todo="Use --identity FILE.")
    try:
        cost = told["cost"]
        if not isinstance(cost, int) or not 2 <= cost <= _SCRYPT_N_MAX:
            raise wrong
        made = Scrypt(salt=_bytes(told["salt"]), length=KEY_BYTES, n=cost, r=8, p=1).derive(passphrase)
        return AESGCM(made).decrypt(_bytes(told["nonce"]), _bytes(told["wrapped"]), b"liuhen backup 1 key")
    except (InvalidTag, KeyError, TypeError, ValueError) as error:
        raise wrong from error


def unwrap_by_identity(told: dict[str, Any], pem: bytes, *, passphrase: bytes | None = None) -> bytes:
    """The key of a target made for a recipient; KeyUnavailableError when it is not this private key's.

    Args:
        told: What stands in the marker.
        pem: The private key in PEM.
        passphrase: Of the PEM, where it has one.
    """
    wrong = KeyUnavailableError(
        "this private key does not open the backup", kept="Nothing was changed.",
        todo="Use the private half of the recipient's key that the backup was made for.",
    )  # fmt: skip
    if told.get("kind") not in {"rsa", "x25519"}:
        raise KeyUnavailableError("this backup opens with a passphrase", todo="Use --passphrase-file FILE.")
    try:
        private = serialization.load_pem_private_key(pem, passphrase)
        if isinstance(private, rsa.RSAPrivateKey) and told["kind"] == "rsa":
            return private.decrypt(_bytes(told["wrapped"]), OAEP)
        if not isinstance(private, x25519.X25519PrivateKey) or told["kind"] != "x25519":
            raise wrong
        once = _bytes(told["once"])
        secret = private.exchange(x25519.X25519PublicKey.from_public_bytes(once))
        shared = agreed(secret, once=once, public=private.public_key().public_bytes_raw(), info=_RECIPIENT)
        return AESGCM(shared).decrypt(_bytes(told["nonce"]), _bytes(told["wrapped"]), b"liuhen backup 1 key")
    except (InvalidTag, KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise wrong from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
