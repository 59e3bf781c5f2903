"""Digests: typed values, a suite of algorithms, and several digests in one pass.

SHA-256 is the evidential digest, SM3 (GB/T 32905) stands beside it, BLAKE3 serves read-backs because it is an order of
magnitude faster. The kernel brings what the standard library has; the composition root adds BLAKE3 to the suite.

Source: FIPS 180-4; GB/T 32905-2016; docs/adr/0004-digests.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from evidence.errors import ConfigError, InvalidInputError

SHA256 = "sha256"
SM3 = "sm3"
BLAKE3 = "blake3"
_HEX = re.compile(r"[0-9a-f]{64}")


class Hasher(Protocol):
    """What hashlib and blake3 objects share."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object:
        """Feed bytes."""
        ...

    def hexdigest(self) -> str:
        """Lower-case hexadecimal digest of everything fed so far."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A validated digest value: algorithm name and 64 lower-case hexadecimal digits (all our algorithms have 256 bits)."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        """Refuse anything that is not a 256-bit digest in lower-case hexadecimal."""
        if not _HEX.fullmatch(self.hex):
            raise InvalidInputError(f"not a {self.algorithm} digest: {self.hex[:80]!r}")

    def __str__(self) -> str:
        """``sha256:<hex>``."""
        return f"{self.algorithm}:{self.hex}"


def sha256_of(data: bytes) -> Digest:
    """SHA-256 of bytes in memory."""
    return Digest(SHA256, hashlib.sha256(data).hexdigest())


class DigestSuite:
    """The algorithms this process can compute.

    Args:
        extra: Algorithm name -> factory, added to SHA-256 and SM3.

    Raises:
        ConfigError: The standard library's OpenSSL lacks SM3.
    """

    def __init__(self, extra: Mapping[str, Callable[[], Hasher]] | None = None) -> None:
        try:
            hashlib.new(SM3)
        except ValueError as error:
            raise ConfigError("this Python's OpenSSL has no SM3", todo="Use Debian's python3 (OpenSSL 3).") from error
        self._factories: dict[str, Callable[[], Hasher]] = {
            SHA256: hashlib.sha256,
            SM3: lambda: hashlib.new(SM3),
            **(extra or {}),
        }

    @property
    def read_back_algorithm(self) -> str:
        """The algorithm read-backs compare: BLAKE3 where the suite has it, else SHA-256."""
        return BLAKE3 if BLAKE3 in self._factories else SHA256

    @property
    def acquisition_algorithms(self) -> tuple[str, ...]:
        """What one acquisition pass computes."""
        return tuple(dict.fromkeys((SHA256, SM3, self.read_back_algorithm)))

    def new(self, algorithm: str) -> Hasher:
        """A fresh hasher; ConfigError for an algorithm the suite does not have."""
        try:
            return self._factories[algorithm]()
        except KeyError as error:
            raise ConfigError(f"no digest algorithm {algorithm!r}") from error

    def compute(self, algorithm: str, chunks: Iterable[bytes | memoryview]) -> Digest:
        """Digest of an iterable of byte chunks, on the calling thread."""
        hasher = self.new(algorithm)
        for chunk in chunks:
            hasher.update(chunk)
        return Digest(algorithm, hasher.hexdigest())
