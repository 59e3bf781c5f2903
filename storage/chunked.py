"""The form in which an object is encrypted: a header and chunks that each prove themselves, their place and the end.

Pure: bytes in, bytes out, no files. What a chunk proves: the key, the header, its number, and whether it is the last one. So a
flipped bit, another order, a missing or foreign chunk, a cut-off end and a changed header are each refused.

A nonce is made of the header's prefix, the chunk's number and the mark of the last chunk. The same plaintext under the same
key and header is the same ciphertext; **other plaintext must never be encrypted under them**, which is the caller's duty
(:mod:`storage.sealing` and :mod:`storage.encrypted_partial` say how).

Source: docs/formats/store.md section "Encrypted objects"; NIST SP 800-38D; the STREAM construction (Hoang et al. 2015).
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from evidence.errors import DigestMismatchError, InvalidInputError, KeyUnavailableError

MAGIC = b"liuhen_sealed_1\n"
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
HEADER_BYTES = 64
KEY_BYTES = 32
#: The only chunk size that is written; readers take any of these, so that it may change without a new format.
_CHUNK_BYTES_MIN, _CHUNK_BYTES_MAX = 4 << 10, 16 << 20
_OBJECT_BYTES = 16
_PREFIX_BYTES = 7
_FORM = struct.Struct(f">16sI{_OBJECT_BYTES}s{_PREFIX_BYTES}s21s")
_NONCE = struct.Struct(f">{_PREFIX_BYTES}sIB")
_INDEX_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Header:
    """The first 64 bytes of an encrypted object.

    Attributes:
        chunk_bytes: Plain bytes of every chunk but the last, which has at most as many.
        object_id: 16 random bytes: no two objects have the same header.
        nonce_prefix: 7 random bytes, the beginning of every nonce.
    """

    chunk_bytes: int
    object_id: bytes
    nonce_prefix: bytes

    @classmethod
    def new(cls) -> Header:
        """A header for a new object."""
        return cls(CHUNK_BYTES, secrets.token_bytes(_OBJECT_BYTES), secrets.token_bytes(_PREFIX_BYTES))

    def to_bytes(self) -> bytes:
        """Its one byte form."""
        return _FORM.pack(MAGIC, self.chunk_bytes, self.object_id, self.nonce_prefix, bytes(21))

    @classmethod
    def parse(cls, untrusted: bytes) -> Header:
        """Read a header; DigestMismatchError for anything that :meth:`to_bytes` would not have written."""
        if len(untrusted) != HEADER_BYTES:
            raise DigestMismatchError("an encrypted object is cut off inside its header")
        magic, chunk_bytes, object_id, prefix, rest = _FORM.unpack(untrusted)
        if magic != MAGIC or any(rest):
            raise DigestMismatchError("not the header of an encrypted object")
        if not _CHUNK_BYTES_MIN <= chunk_bytes <= _CHUNK_BYTES_MAX or chunk_bytes & (chunk_bytes - 1):
            raise DigestMismatchError(f"an encrypted object with chunks of {chunk_bytes} bytes")
        return cls(chunk_bytes, object_id, prefix)

    # --- where things lie -------------------------------------------------------------------------------------------
    def chunks(self, plain_bytes: int) -> int:
        """Number of chunks of an object with that many plain bytes: at least one."""
        return max(1, -(-plain_bytes // self.chunk_bytes))

    def cipher_bytes(self, plain_bytes: int) -> int:
        """Length of the ciphertext. InvalidInputError for a size that the chunks' numbers cannot count."""
        count = self.chunks(plain_bytes)
        if plain_bytes < 0 or count > _INDEX_MAX:
            raise InvalidInputError(f"an object of {plain_bytes} bytes cannot be encrypted")
        return HEADER_BYTES + plain_bytes + count * TAG_BYTES

    def plain_bytes(self, cipher_bytes: int) -> int:
        """Length of the plaintext; DigestMismatchError for a length that no ciphertext has."""
        body = cipher_bytes - HEADER_BYTES
        full, rest = divmod(max(body, 0), self.chunk_bytes + TAG_BYTES)
        plain = full * self.chunk_bytes + (rest - TAG_BYTES if rest else 0)
        if plain < 0 or self.cipher_bytes(plain) != cipher_bytes:
            raise DigestMismatchError(f"no encrypted object has {cipher_bytes} bytes")
        return plain

    def chunk_at(self, index: int) -> int:
        """Offset of a chunk in the ciphertext."""
        return HEADER_BYTES + index * (self.chunk_bytes + TAG_BYTES)


class ChunkCipher:
    """Encrypts and decrypts single chunks of one object. Threads may share it.

    Args:
        key: The object's data key, 32 bytes.
        header: The object's header, which every chunk proves.
    """

    def __init__(self, key: bytes, header: Header) -> None:
        self.header = header
        self._aad = header.to_bytes()
        if len(key) != KEY_BYTES:
            raise KeyUnavailableError(f"a data key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)

    def _nonce(self, index: int, last: bool) -> bytes:  # noqa: FBT001 - a bit of the nonce
        if not 0 <= index <= _INDEX_MAX:
            raise InvalidInputError("an object has too many chunks to be encrypted")
        return _NONCE.pack(self.header.nonce_prefix, index, int(last))

    def seal(self, index: int, plain: bytes | memoryview, *, last: bool) -> bytes:
        """The chunk's ciphertext with its tag. Only ever for the same plaintext under one index (see the module)."""
        return self._cipher.encrypt(self._nonce(index, last), plain, self._aad)

    def open(self, index: int, untrusted: bytes | memoryview, *, last: bool) -> bytes:
        """The chunk's plaintext; DigestMismatchError when it is not that chunk of that object, unchanged."""
        try:
            return self._cipher.decrypt(self._nonce(index, last), untrusted, self._aad)
        except InvalidTag as error:
            raise _refused(index) from error

    def open_into(self, index: int, untrusted: bytes | memoryview, buffer: memoryview, *, last: bool) -> int:
        """As :meth:`open`, into a buffer that is long enough; returns how many bytes."""
        if len(untrusted) < TAG_BYTES:
            raise _refused(index)
        try:
            with buffer[: len(untrusted) - TAG_BYTES] as plain:
                return self._cipher.decrypt_into(self._nonce(index, last), untrusted, self._aad, plain)
        except InvalidTag as error:
            raise _refused(index) from error


def _refused(index: int) -> DigestMismatchError:
    return DigestMismatchError(
        f"chunk {index} of an encrypted object does not prove itself",
        todo="Repair the object from another copy; the damaged one is kept.",
    )
