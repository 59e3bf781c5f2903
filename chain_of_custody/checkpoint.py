"""Checkpoints: signed notes over origin, tree size and root. Strict in both directions.

Signature lines of unknown keys (witnesses) are kept and ignored; a line of a known key that fails makes the whole note
worthless.

Source: C2SP signed-note v1.0.0 (Ed25519, type 0x01), tlog-checkpoint v1.0.0; docs/formats/checkpoint.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from chain_of_custody.keys import PUBLIC_KEY_BYTES, SigningKey, VerifyingKey, b64decode_strict
from chain_of_custody.merkle import HASH_BYTES
from evidence.errors import ConfigError, EntryInvalidError, SignatureInvalidError

#: Signature type of a plain Ed25519 signature over the note text.
TYPE_ED25519: Final = b"\x01"
NOTE_BYTES_MAX: Final = 1 << 20
SIGNATURES_MAX: Final = 64
_KEY_HASH_BYTES: Final = 4
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


def check_key_name(name: str) -> str:
    """Return the name when a note key may carry it.

    Raises:
        ConfigError: Empty, or with a space, a plus sign or a control character.
    """
    if not name or "+" in name or any(c.isspace() or unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in name):
        raise ConfigError(f"{name[:64]!r} cannot name a log: no spaces, no plus signs, no control characters")
    return name


def _key_hash(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8") + b"\n" + TYPE_ED25519 + public_key).digest()[:_KEY_HASH_BYTES]


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """Name and Ed25519 key of a note signer: what a ``vkey`` text says."""

    name: str
    key: VerifyingKey

    @classmethod
    def of(cls, name: str, key: SigningKey) -> NoteVerifier:
        """The verifier of our own key under that name."""
        return cls(check_key_name(name), key.verifying_key())

    @classmethod
    def parse(cls, untrusted: str) -> NoteVerifier:
        """Parse ``<name>+<key hash>+<base64(type || key)>``.

        Raises:
            EntryInvalidError: Malformed, another signature type, or the key hash does not belong to the key.
        """
        match = _VKEY.fullmatch(untrusted.strip("\n"))
        if match is None:
            raise EntryInvalidError("not a verifier key")
        try:
            name = check_key_name(match[1])
        except ConfigError as error:
            raise EntryInvalidError(error.what) from error
        typed = b64decode_strict(match[3])
        if typed[:1] != TYPE_ED25519 or len(typed) != 1 + PUBLIC_KEY_BYTES:
            raise EntryInvalidError("verifier key is not of type Ed25519 (0x01)")
        key = VerifyingKey(typed[1:])
        if _key_hash(name, key.public_key).hex() != match[2]:
            raise EntryInvalidError("key hash and key of the verifier key differ")
        return cls(name, key)

    @property
    def key_hash(self) -> bytes:
        """Four bytes that mark this key's signature lines."""
        return _key_hash(self.name, self.key.public_key)

    def text(self) -> str:
        """The ``vkey`` text."""
        typed = base64.b64encode(TYPE_ED25519 + self.key.public_key).decode("ascii")
        return f"{self.name}+{self.key_hash.hex()}+{typed}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log signs: its origin, its size and its root. No extension lines."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed text, final newline included."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    @classmethod
    def parse(cls, untrusted_text: str) -> Checkpoint:
        """Parse the text of a note.

        Raises:
            EntryInvalidError: Not exactly three lines of the right form.
        """
        lines = untrusted_text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise EntryInvalidError("a checkpoint has three lines")
        if not _SIZE.fullmatch(lines[1]):
            raise EntryInvalidError("tree size is malformed")
        root = b64decode_strict(lines[2])
        if len(root) != HASH_BYTES:
            raise EntryInvalidError("root is not a SHA-256 hash")
        return cls(lines[0], int(lines[1]), root)


def sign(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The signed note of a checkpoint; the key's name is the origin."""
    name = check_key_name(checkpoint.origin)
    text = checkpoint.text()
    signature = _key_hash(name, key.public_key) + key.sign(text.encode("utf-8"))
    return f"{text}\n— {name} {base64.b64encode(signature).decode('ascii')}\n".encode()


def split_note(untrusted: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Text (with its final newline) and signature lines ``(name, key hash || signature)`` of a note.

    Raises:
        EntryInvalidError: Not a signed note.
    """
    if len(untrusted) > NOTE_BYTES_MAX:
        raise EntryInvalidError("note is too long")
    try:
        note = untrusted.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EntryInvalidError("note is not UTF-8") from error
    if any(c < " " and c != "\n" for c in note):
        raise EntryInvalidError("note has control characters")
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise EntryInvalidError("note has no signature block")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise EntryInvalidError("note has too many signatures")
    signatures = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise EntryInvalidError("signature line is malformed")
        raw = b64decode_strict(match[2])
        if len(raw) <= _KEY_HASH_BYTES:
            raise EntryInvalidError("signature is too short")
        signatures.append((match[1], raw))
    return text + "\n", signatures


def open_checkpoint(untrusted: bytes, verifier: NoteVerifier) -> Checkpoint:
    """Parse a published checkpoint and check the log's signature on it.

    Args:
        untrusted: The whole note.
        verifier: The log's key; its name must be the checkpoint's origin.

    Raises:
        EntryInvalidError: Malformed, or another log's.
        SignatureInvalidError: The log's signature is missing or does not verify.
    """
    text, signatures = split_note(untrusted)
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != verifier.name:
        raise EntryInvalidError(f"checkpoint of another log: {checkpoint.origin[:120]!r}")
    signed = False
    for name, raw in signatures:
        if (name, raw[:_KEY_HASH_BYTES]) == (verifier.name, verifier.key_hash):
            verifier.key.verify(raw[_KEY_HASH_BYTES:], text.encode("utf-8"))
            signed = True
    if not signed:
        raise SignatureInvalidError(f"checkpoint is not signed by {verifier.name}")
    return checkpoint
