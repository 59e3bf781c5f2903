"""The sealed bundle of a home's keys: one text file that any one of several recipients can open.

A bundle holds files by name (keys, the master key, wrapped epoch keys, settings). It is encrypted once under a fresh key
(AES-256-GCM, the header bound in); that key is wrapped for every recipient: a passphrase (scrypt), an X25519 key or an RSA key.
So a bureau can give one bundle to two places, each of which opens it alone.

Pure: no file is read or written here. A wrong passphrase and a damaged bundle are told apart where that can be told: a passphrase
that unwraps nothing is ``KeyUnavailableError``; whatever does not fit after a key was unwrapped is ``DigestMismatchError``.

Source: docs/formats/key-bundle.md; RFC 7914 (scrypt), RFC 3394 (key wrap), RFC 5869 (HKDF), RFC 7748 (X25519), RFC 8017 (OAEP),
NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from assurance.recipients import OAEP, RSA_BITS_MIN, agreed, fingerprint_of, public_key
from evidence import canonical
from evidence.errors import DigestMismatchError, EntryInvalidError, InvalidInputError, KeyUnavailableError

FORMAT: Final = "liuhen_keys_1"
#: A passphrase that a machine could guess in the years a bundle lies about protects nothing.
PASSPHRASE_CHARS_MIN: Final = 12
BUNDLE_BYTES_MAX: Final = 32 << 20
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 16
_SCRYPT_N: Final = 1 << 17
_SCRYPT_R: Final = 8
_SCRYPT_N_MAX: Final = 1 << 20
_SCRYPT_R_MAX: Final = 16
#: A bundle says itself how much memory and time it takes to open it: not more than 1 GiB, and not for ever.
_SCRYPT_MEMORY_MAX: Final = 1 << 30
_RECIPIENTS_MAX: Final = 32
_HKDF_INFO: Final = b"liuhen_keys_1 x25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file of a bundle: ``kind`` says what it is for (``home``, ``settings``, ``master``, ``epoch``), ``name`` which."""

    kind: str
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle says in the open, and what it holds.

    Attributes:
        origin: Name of the home's log.
        vkey: Its verifier key text.
        station: Name of the station.
        made_at: UTC text with milliseconds; every key made before is in it.
        notes: What is not in it and where that is, for a person (a token that keeps its own key).
        files: The secret part.
    """

    origin: str
    vkey: str
    station: str
    made_at: str
    notes: tuple[str, ...]
    files: tuple[BundleFile, ...]


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Whoever knows a passphrase opens the bundle. ``label`` says in the open whose it is."""

    label: str
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse one that is too short (InvalidInputError)."""
        if len(self.text) < PASSPHRASE_CHARS_MIN:
            raise InvalidInputError(f"the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whoever has the private half opens the bundle: PEM of an X25519 or RSA key (``openssl pkey -pubout``)."""

    label: str
    pem: bytes

    def load(self) -> X25519PublicKey | RSAPublicKey:
        """The key; InvalidInputError when it is none that serves."""
        try:
            key = public_key(self.pem)
        except ValueError as error:
            raise InvalidInputError(f"{self.label} is no public key in PEM form") from error
        if key is None:
            raise InvalidInputError(
                f"{self.label} is neither an X25519 key nor an RSA key of {RSA_BITS_MIN} bits or more"
            )
        return key


# --- writing ----------------------------------------------------------------------------------------------------------
def seal(bundle: Bundle, recipients: Sequence[Passphrase | PublicKey]) -> bytes:
    """The bundle's bytes, to be opened by any one of the recipients.

    Raises:
        InvalidInputError: No recipient, or a public key that does not serve.
    """
    if not recipients:
        raise InvalidInputError("nobody could open this bundle", todo="Give a passphrase or a public key.")
    if len(recipients) > _RECIPIENTS_MAX:
        raise InvalidInputError(f"a bundle is for {_RECIPIENTS_MAX} recipients at most")
    content_key = secrets.token_bytes(_KEY_BYTES)
    header = {
        "format": FORMAT, "origin": bundle.origin, "vkey": bundle.vkey, "station": bundle.station,
        "made_at": bundle.made_at, "notes": list(bundle.notes), "nonce": _b64(nonce := secrets.token_bytes(_NONCE_BYTES)),
        "recipients": [_wrapped_for(one, content_key) for one in recipients],
    }  # fmt: skip
    body = canonical.dumps(
        {"files": [{"kind": one.kind, "name": one.name, "data": _b64(one.data)} for one in bundle.files]}
    )
    sealed = AESGCM(content_key).encrypt(nonce, body, canonical.dumps(header))
    return canonical.dumps({"header": header, "body": _b64(sealed)}) + b"\n"


def _wrapped_for(recipient: Passphrase | PublicKey, content_key: bytes) -> dict[str, Any]:
    if isinstance(recipient, Passphrase):
        salt = secrets.token_bytes(_SALT_BYTES)
        key = _stretched(recipient.text, salt, _SCRYPT_N, _SCRYPT_R)
        return {
            "kind": "passphrase", "label": recipient.label, "salt": _b64(salt), "n": _SCRYPT_N, "r": _SCRYPT_R,
            "wrapped": _b64(aes_key_wrap(key, content_key)),
        }  # fmt: skip
    public = recipient.load()
    fingerprint = fingerprint_of(public)
    if isinstance(public, RSAPublicKey):
        wrapped = public.encrypt(content_key, OAEP)
        return {"kind": "rsa", "label": recipient.label, "key_sha256": fingerprint, "wrapped": _b64(wrapped)}
    ephemeral = X25519PrivateKey.generate()
    ours = ephemeral.public_key().public_bytes_raw()
    key = agreed(ephemeral.exchange(public), once=ours, public=public.public_bytes_raw(), info=_HKDF_INFO)
    return {
        "kind": "x25519", "label": recipient.label, "key_sha256": fingerprint, "ephemeral": _b64(ours),
        "wrapped": _b64(aes_key_wrap(key, content_key)),
    }  # fmt: skip


# --- reading ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Recipient:
    """Who can open a bundle, as it says in the open."""

    kind: str
    label: str


def recipients_of(untrusted: bytes) -> list[Recipient]:
    """Who can open these bytes; EntryInvalidError when they are no bundle."""
    header, _ = _parsed(untrusted)
    return [Recipient(_text(one, "kind"), _text(one, "label")) for one in header["recipients"]]


def open_with_passphrase(untrusted: bytes, passphrase: str) -> Bundle:
    """Open a bundle.

    Raises:
        EntryInvalidError: No bundle. KeyUnavailableError: no recipient has this passphrase. DigestMismatchError: damaged.
    """
    header, body = _parsed(untrusted)
    for one in header["recipients"]:
        if one.get("kind") != "passphrase":
            continue
        n, r = _bounded(one, "n", _SCRYPT_N_MAX), _bounded(one, "r", _SCRYPT_R_MAX)
        if n < 2 or n & (n - 1) or 128 * n * r > _SCRYPT_MEMORY_MAX:
            raise EntryInvalidError("the bundle's scrypt parameters are no such parameters")
        try:
            content_key = aes_key_unwrap(_stretched(passphrase, _raw(one, "salt"), n, r), _raw(one, "wrapped"))
        except (InvalidUnwrap, ValueError):
            continue
        return _opened(header, body, content_key)
    raise KeyUnavailableError(
        "the passphrase opens nothing in this bundle", todo="It can be opened by: " + _who(header["recipients"])
    )


def open_with_key(untrusted: bytes, private_pem: bytes, passphrase: bytes | None = None) -> Bundle:
    """Open a bundle with a private key file (PEM, with its passphrase where it has one).

    Raises:
        EntryInvalidError: No bundle. KeyUnavailableError: the key does not open, or is none of the recipients'.
        DigestMismatchError: The bundle is damaged.
    """
    header, body = _parsed(untrusted)
    try:
        private = serialization.load_pem_private_key(private_pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnavailableError(
            "the private key does not open: damaged, or its passphrase is missing or wrong"
        ) from error
    if not isinstance(private, X25519PrivateKey | RSAPrivateKey):
        raise KeyUnavailableError("the private key is neither X25519 nor RSA")
    wanted = fingerprint_of(private.public_key())
    for one in header["recipients"]:
        if one.get("key_sha256") != wanted:
            continue
        try:
            if isinstance(private, RSAPrivateKey):
                content_key = private.decrypt(_raw(one, "wrapped"), OAEP)
            else:
                theirs = _raw(one, "ephemeral")
                shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
                key = agreed(shared, once=theirs, public=private.public_key().public_bytes_raw(), info=_HKDF_INFO)
                content_key = aes_key_unwrap(key, _raw(one, "wrapped"))
        except (InvalidUnwrap, ValueError) as error:
            raise DigestMismatchError("the bundle's key for this recipient is damaged") from error
        return _opened(header, body, content_key)
    raise KeyUnavailableError(
        "this private key is none of the bundle's recipients'",
        todo="It can be opened by: " + _who(header["recipients"]),
    )


def _opened(header: dict[str, Any], body: bytes, content_key: bytes) -> Bundle:
    try:
        plain = AESGCM(content_key).decrypt(_raw(header, "nonce"), body, canonical.dumps(header))
    except (InvalidTag, ValueError) as error:
        raise DigestMismatchError("the bundle was changed or is damaged", todo="Take another copy of it.") from error
    listed = canonical.loads(plain)
    if not isinstance(listed, dict) or not isinstance(listed.get("files"), list):
        raise EntryInvalidError("the bundle holds no list of files")
    files = tuple(
        BundleFile(kind=_text(one, "kind"), name=_text(one, "name"), data=_raw(one, "data")) for one in listed["files"]
    )
    notes = header.get("notes")
    return Bundle(
        origin=_text(header, "origin"), vkey=_text(header, "vkey"), station=_text(header, "station"),
        made_at=_text(header, "made_at"), notes=tuple(str(one) for one in notes) if isinstance(notes, list) else (),
        files=files,
    )  # fmt: skip


def _parsed(untrusted: bytes) -> tuple[dict[str, Any], bytes]:
    if len(untrusted) > BUNDLE_BYTES_MAX:
        raise EntryInvalidError("too large for a bundle of keys")
    found = canonical.loads(untrusted.rstrip(b"\n"))
    header = found.get("header") if isinstance(found, dict) else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise EntryInvalidError("not a bundle of keys")
    recipients = header.get("recipients")
    if (
        not isinstance(recipients, list)
        or len(recipients) > _RECIPIENTS_MAX
        or not all(isinstance(one, dict) for one in recipients)
    ):
        raise EntryInvalidError("the bundle names no recipients")
    return header, _raw(found, "body")


def _stretched(passphrase: str, salt: bytes, n: int, r: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=n, r=r, p=1).derive(passphrase.encode("utf-8", "surrogatepass"))


def _who(recipients: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one.get('kind')} {str(one.get('label'))[:64]!r}" for one in recipients) or "nobody"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _raw(found: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(found, name), validate=True)
    except (ValueError, binascii.Error) as error:
        raise EntryInvalidError(f"{name} of the bundle is not base64") from error


def _text(found: object, name: str) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise EntryInvalidError(f"{name} of the bundle is no text")
    return value


def _bounded(found: Mapping[str, Any], name: str, most: int) -> int:
    value = found.get(name)
    if not isinstance(value, int) or not 0 < value <= most:
        raise EntryInvalidError(f"{name} of the bundle is out of bounds")
    return value
