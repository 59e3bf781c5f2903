"""Ed25519 keys: made once, kept in files that only their owner reads, known by the digest of their public half.

Two roles never share a key: the station key signs entries (DSSE), the log key signs checkpoints (signed notes).

Durability: :func:`generate` returns when the key file and its directory entry are on stable storage; it never replaces a file.

Source: RFC 8032; RFC 5958 (PKCS #8); C2SP signed-note; docs/formats/checkpoint.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from evidence.durable import make_dirs, publish_new
from evidence.errors import BlobConflictError, EntryInvalidError, KeyUnavailableError, SignatureInvalidError
from evidence.events import KeyAdded

ALGORITHM: Final = "ed25519"
ROLE_STATION: Final = "station"
ROLE_LOG: Final = "log"
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_KEY_FILE_BYTES_MAX: Final = 16_384


def key_id_of(public_key: bytes) -> str:
    """Identity of a key: the first 16 hexadecimal digits of SHA-256 over its 32 raw public bytes."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class VerifyingKey:
    """The public half of a key."""

    __slots__ = ("_key", "key_id", "public_key")

    def __init__(self, public_key: bytes) -> None:
        """Take 32 raw bytes; EntryInvalidError when they are no Ed25519 public key."""
        try:
            self._key = Ed25519PublicKey.from_public_bytes(public_key)
        except ValueError as error:
            raise EntryInvalidError("not an Ed25519 public key") from error
        self.public_key = public_key
        self.key_id = key_id_of(public_key)

    @classmethod
    def from_base64(cls, untrusted: str) -> VerifyingKey:
        """Parse the ``public_key`` text of a ``key.added`` entry."""
        return cls(b64decode_strict(untrusted))

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return when the signature is this key's over the message; SignatureInvalidError otherwise."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise SignatureInvalidError(f"signature of key {self.key_id} does not verify") from error


class SigningKey:
    """A private key in memory. It has no text form, so that no log line can hold it."""

    __slots__ = ("_key", "key_id", "public_key")

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._key = private_key
        self.public_key = private_key.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    def __repr__(self) -> str:
        """Only the identity."""
        return f"SigningKey({self.key_id})"

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte RFC 8032 seed (hardware-less tests, golden files)."""
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(seed))
        except ValueError as error:
            raise KeyUnavailableError("an Ed25519 seed has 32 bytes") from error

    def sign(self, message: bytes) -> bytes:
        """Sign; 64 bytes, deterministic."""
        return self._key.sign(message)

    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self.public_key)

    def key_added(self, role: str, *, actor: str = "") -> KeyAdded:
        """The event that introduces this key in a log."""
        public_key = base64.b64encode(self.public_key).decode("ascii")
        return KeyAdded(actor=actor, key_id=self.key_id, role=role, algorithm=ALGORITHM, public_key=public_key)


def b64decode_strict(untrusted: str) -> bytes:
    """Decode base64 that has exactly one spelling.

    Raises:
        EntryInvalidError: White space, missing padding, stray bits or another alphabet.
    """
    try:
        raw = base64.b64decode(untrusted, validate=True)
    except (ValueError, binascii.Error) as error:
        raise EntryInvalidError("not base64") from error
    if base64.b64encode(raw).decode("ascii") != untrusted:
        raise EntryInvalidError("base64 is not in canonical form")
    return raw


def generate(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
    """Make a key and write it as PKCS #8 PEM, mode 0600, encrypted when a passphrase is given.

    Returns:
        The key, once its file is durable.

    Raises:
        KeyUnavailableError: The file exists (it was not touched) or the passphrase is empty.
        StoreError: The file cannot be written.
    """
    if passphrase is not None and not passphrase:
        raise KeyUnavailableError("an empty passphrase protects nothing")
    private_key = Ed25519PrivateKey.generate()
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase)
    pem = private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    try:
        make_dirs(path.parent, 0o700)
        publish_new(path, pem, mode=0o600)
    except BlobConflictError as error:
        raise KeyUnavailableError(
            f"{path.name} exists; it was not overwritten", todo="Use it, or move it away with its log."
        ) from error
    except OSError as error:
        raise KeyUnavailableError(f"cannot write {path.name}: {os.strerror(error.errno or 0)}") from error
    return SigningKey(private_key)


def _read_key_file(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise KeyUnavailableError(
            f"cannot open the key file {path.name}: {os.strerror(error.errno or 0)}", todo="Run `liuhen doctor`."
        ) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0):
            raise KeyUnavailableError(f"{path.name} is not a file of the service's own account")
        if status.st_mode & 0o077:
            raise KeyUnavailableError(
                f"{path.name} can be read by others (mode {status.st_mode & 0o777:o})", todo="Set its mode to 0600."
            )
        if status.st_size > _KEY_FILE_BYTES_MAX:
            raise KeyUnavailableError(f"{path.name} is too large for a key file")
        return os.read(fd, _KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise KeyUnavailableError(f"cannot read {path.name}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.close(fd)


def load(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
    """Open a key file.

    Raises:
        KeyUnavailableError: Missing, readable by others, damaged, of another kind, or the passphrase does not open it.
    """
    pem = _read_key_file(path)
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnavailableError(
            f"{path.name} does not open: damaged, or the passphrase is missing, wrong or not needed"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnavailableError(f"{path.name} is not an Ed25519 key")
    return SigningKey(key)
