"""Personal values kept apart from the log: salted digests in the leaf, the values in erasable texts.

A disclosure is ``base64url(JSON [salt, name, value])``; the leaf holds only ``base64url(SHA-256(that text))``. Erasing the
text leaves every signature, leaf and tree valid and the value unguessable (128 bits of salt).

What it does not do: store or erase disclosures (the catalogue does).

Source: RFC 9901 sections 4.2 and 9.3; docs/formats/custody-entry.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evidence import canonical
from evidence.errors import EntryInvalidError
from evidence.limits import ENTRY_BYTES_MAX
from evidence.ports import Disclosure

SD_ALGORITHM = "sha-256"
SALT_BYTES = 16
DIGEST_PATTERN = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_SALT_PATTERN = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def digest_of(text: str) -> str:
    """The digest that stands in the leaf for a disclosure text."""
    return _b64url(hashlib.sha256(text.encode("utf-8")).digest())


def disclose(name: str, value: object, *, salt: bytes) -> Disclosure:
    """Make one disclosure.

    Args:
        name: Field name of the event.
        value: JSON value without floats.
        salt: 16 fresh random bytes; a salt used twice would let two leaves be compared.

    Raises:
        EntryInvalidError: The value has no canonical JSON form, or the salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise EntryInvalidError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    text = _b64url(canonical.dumps([_b64url(salt), name, value]))
    return Disclosure(digest_of(text), name, text)


def disclose_all(values: Mapping[str, object], *, salt: Callable[[], bytes]) -> list[Disclosure]:
    """One disclosure for each value, sorted by digest, so that the order says nothing about the names."""
    return sorted((disclose(name, value, salt=salt()) for name, value in values.items()), key=lambda d: d.digest)


def open_text(untrusted: str) -> tuple[str, Any]:
    """Name and value of one disclosure text.

    Raises:
        EntryInvalidError: Not exactly what :func:`disclose` writes.
    """
    if len(untrusted) > 2 * ENTRY_BYTES_MAX:
        raise EntryInvalidError("disclosure too long")
    try:
        raw = base64.b64decode(untrusted + "=" * (-len(untrusted) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise EntryInvalidError("disclosure is not base64url") from error
    if _b64url(raw) != untrusted:
        raise EntryInvalidError("disclosure is not canonical base64url")
    match canonical.loads(raw):
        case [str(salt), str(name), value] if _SALT_PATTERN.fullmatch(salt):
            return name, value
    raise EntryInvalidError("disclosure is not [salt, name, value]")


def open_all(digests: Iterable[str], untrusted_texts: Iterable[str]) -> dict[str, Any]:
    """The values that the given texts disclose for a leaf; texts that are missing (erased) are simply absent.

    Args:
        digests: The leaf's ``_sd``.
        untrusted_texts: Disclosure texts that claim to belong to it.

    Raises:
        EntryInvalidError: A text that is no disclosure or whose digest is not in the leaf, or two texts for one name.
    """
    known = set(digests)
    values: dict[str, Any] = {}
    for text in untrusted_texts:
        name, value = open_text(text)
        if digest_of(text) not in known:
            raise EntryInvalidError("a disclosure does not belong to this entry")
        if name in values:
            raise EntryInvalidError(f"two disclosures of {name[:64]!r}")
        values[name] = value
    return values
