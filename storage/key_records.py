"""The text of key files: records of data keys, tombstones, months' keys, and the key of an unfinished partial. Parsed strictly.

A record proves by its own data key that all of it belongs together (``mac``), a tombstone that whoever destroyed the key had it
(``proof``): so nobody who can only write to a store can give an object another's key, or have a key destroyed everywhere.

Source: docs/formats/store.md section "Encrypted objects"; RFC 8785; RFC 5869; RFC 2104.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from evidence import canonical
from evidence.clock import from_text, to_text
from evidence.data_keys import KeyRecord
from evidence.digest import SHA256, Digest
from evidence.errors import EntryInvalidError, EvidenceError, IntegrityError
from storage.chunked import HEADER_BYTES, Header
from storage.master_keys import WRAPPED_BYTES, unb64

EPOCH: Final = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])(?:-[0-9a-f]{8})?")
_MASTER: Final = re.compile(r"[0-9a-f]{16}")
_RECORD, _GONE, _EPOCH, _PARTIAL = "liuhen_key_1", "liuhen_gone_1", "liuhen_epoch_1", "liuhen_partial_key_1"
_RECORD_PURPOSE, _GONE_PURPOSE = b"liuhen key record 1", b"liuhen key destroyed 1"
_MAC_BYTES: Final = 32
#: Folder of damaged records, kept until their object's key is destroyed.
ASIDE: Final = "aside"
_MEMBERS: Final = {"format", "sha256", "cipher_sha256", "cipher_size_bytes", "epoch", "header", "made_at", "mac"}


# --- where they lie ---------------------------------------------------------------------------------------------------
def record_path(sha256: Digest) -> str:
    """Path of an object's record, inside of a place for keys."""
    return f"objects/{sha256.hex[:2]}/{sha256.hex}.json"


def aside_folder(sha256: Digest) -> str:
    """Folder of what stood in the place of an object's record and was damaged."""
    return f"{ASIDE}/{sha256.hex}"


def aside_path(sha256: Digest, damaged: bytes) -> str:
    """Path of damaged bytes that were set aside before the record was written anew."""
    return f"{aside_folder(sha256)}/{hashlib.sha256(damaged).hexdigest()[:16]}.json"


def gone_path(sha256: Digest, wrapped_sha256: str) -> str:
    """Path of the tombstone of one key of an object."""
    return f"gone/{sha256.hex[:2]}/{sha256.hex}.{wrapped_sha256[:16]}.json"


def epoch_path(epoch: str, master: str) -> str:
    """Path of a month's key as one master wrapped it."""
    return f"epochs/{epoch}/{master}.json"


# --- records ----------------------------------------------------------------------------------------------------------
def sealed(record: KeyRecord, key: bytes) -> KeyRecord:
    """The record with its proof by the data key."""
    hmac = _hmac(key, _RECORD_PURPOSE)
    hmac.update(canonical.dumps(_facts(record)))
    return replace(record, mac=hmac.finalize())


def require_belongs(record: KeyRecord, key: bytes) -> None:
    """Return when the data key proves the record; IntegrityError when the record was put together or changed."""
    hmac = _hmac(key, _RECORD_PURPOSE)
    hmac.update(canonical.dumps(_facts(record)))
    try:
        hmac.verify(record.mac)
    except InvalidSignature as error:
        raise IntegrityError(
            f"the key record of {record.sha256} does not belong to its key",
            kept="Nothing was read with it.",
            todo="Compare the key records of all stores.",
        ) from error


def _hmac(key: bytes, purpose: bytes) -> HMAC:
    return HMAC(HKDFExpand(algorithm=hashes.SHA256(), length=_MAC_BYTES, info=purpose).derive(key), hashes.SHA256())


def _facts(record: KeyRecord) -> dict[str, Any]:
    """What stands in the record and its tombstone alike; what ``mac`` is over."""
    return {
        "format": _RECORD,
        "sha256": record.sha256.hex,
        "cipher_sha256": record.cipher_sha256.hex,
        "cipher_size_bytes": record.cipher_size_bytes,
        "epoch": record.epoch,
        "header": b64(record.header),
        "made_at": to_text(record.made_at),
        "wrapped_sha256": record.wrapped_sha256,
    }


def record_text(record: KeyRecord) -> bytes:
    """A live record's one byte form."""
    if record.wrapped is None:
        raise IntegrityError(f"the key of {record.sha256} was destroyed")
    facts = _facts(record) | {"wrapped": b64(record.wrapped), "mac": b64(record.mac)}
    del facts["wrapped_sha256"]
    return canonical.dumps(facts)


def parse_record(untrusted: bytes) -> KeyRecord:
    """Read a live record; IntegrityError for anything :func:`record_text` would not have written."""
    with _strict("a key record"):
        fields = _fields(untrusted, _RECORD, _MEMBERS | {"wrapped"})
        wrapped = unb64(fields["wrapped"])
        if len(wrapped) != WRAPPED_BYTES:
            raise EntryInvalidError("a wrapped key of another length")
        return _record(fields, wrapped=wrapped, wrapped_sha256=hashlib.sha256(wrapped).hexdigest(), destroyed_at=None)


def _record(
    fields: dict[str, Any], *, wrapped: bytes | None, wrapped_sha256: str, destroyed_at: datetime | None
) -> KeyRecord:
    size_bytes, header, mac = fields["cipher_size_bytes"], unb64(fields["header"]), unb64(fields["mac"])
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or len(mac) != _MAC_BYTES:
        raise EntryInvalidError("a member of another form")
    if not isinstance(fields["epoch"], str) or not EPOCH.fullmatch(fields["epoch"]):
        raise EntryInvalidError("no epoch")
    Header.parse(header).plain_bytes(size_bytes)  # so that nobody downstream meets an impossible one
    return KeyRecord(
        sha256=Digest(SHA256, _text(fields["sha256"])),
        cipher_sha256=Digest(SHA256, _text(fields["cipher_sha256"])),
        cipher_size_bytes=size_bytes,
        epoch=fields["epoch"],
        header=header,
        wrapped=wrapped,
        wrapped_sha256=wrapped_sha256,
        mac=mac,
        made_at=_time(fields["made_at"]),
        destroyed_at=destroyed_at,
    )


# --- tombstones -------------------------------------------------------------------------------------------------------
def gone_text(record: KeyRecord, key: bytes) -> bytes:
    """The tombstone of a destroyed record, proved by the key that is being destroyed."""
    facts = _gone_facts(record)
    return canonical.dumps(facts | {"proof": b64(_proof(facts, key))})


def parse_gone(untrusted: bytes) -> KeyRecord:
    """Read a tombstone as the destroyed record it tells of; IntegrityError when it is malformed."""
    with _strict("a tombstone of a key"):
        fields = _fields(untrusted, _GONE, _MEMBERS | {"wrapped_sha256", "destroyed_at", "proof"})
        unb64(fields["proof"])
        wrapped_sha256 = Digest(SHA256, _text(fields["wrapped_sha256"])).hex
        return _record(fields, wrapped=None, wrapped_sha256=wrapped_sha256, destroyed_at=_time(fields["destroyed_at"]))


def gone_is_proved(untrusted: bytes, key: bytes) -> bool:
    """Whether a well-formed tombstone was written by somebody who had the data key."""
    fields = canonical.loads(untrusted)
    proof = unb64(fields.pop("proof"))
    hmac = _hmac(key, _GONE_PURPOSE)
    hmac.update(canonical.dumps(fields))
    try:
        hmac.verify(proof)
    except InvalidSignature:
        return False
    return True


def _gone_facts(record: KeyRecord) -> dict[str, Any]:
    if record.destroyed_at is None:
        raise IntegrityError(f"the key of {record.sha256} was not destroyed")
    return _facts(record) | {"format": _GONE, "destroyed_at": to_text(record.destroyed_at), "mac": b64(record.mac)}


def _proof(facts: dict[str, Any], key: bytes) -> bytes:
    hmac = _hmac(key, _GONE_PURPOSE)
    hmac.update(canonical.dumps(facts))
    return hmac.finalize()


# --- months' keys -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFile:
    """A month's key as one master wrapped it."""

    epoch: str
    master: str
    wrapped: bytes
    made_at: datetime

    @property
    def wrapped_sha256(self) -> str:
        """Digest of the wrapped key, as the custody log names it."""
        return hashlib.sha256(self.wrapped).hexdigest()

    def text(self) -> bytes:
        """Its one byte form."""
        return canonical.dumps({
            "format": _EPOCH, "epoch": self.epoch, "master": self.master, "wrapped": b64(self.wrapped),
            "made_at": to_text(self.made_at),
        })  # fmt: skip

    @classmethod
    def parse(cls, untrusted: bytes, path: str) -> EpochFile:
        """Read one that lies at ``path``; IntegrityError when it is malformed or lies in another's place."""
        with _strict("a month's key"):
            fields = _fields(untrusted, _EPOCH, {"format", "epoch", "master", "wrapped", "made_at"})
            epoch, master, wrapped = _text(fields["epoch"]), _text(fields["master"]), unb64(fields["wrapped"])
            if not EPOCH.fullmatch(epoch) or not _MASTER.fullmatch(master) or len(wrapped) != WRAPPED_BYTES:
                raise EntryInvalidError("a member of another form")
            if path != epoch_path(epoch, master):
                raise EntryInvalidError("it lies in the place of another")
            return cls(epoch=epoch, master=master, wrapped=wrapped, made_at=_time(fields["made_at"]))


# --- the key of a partial ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class PartialKey:
    """The wrapped key of a partial; once the partial is finished, also what its ciphertext is.

    ``cipher_sha256`` is None until then.
    """

    epoch: str
    header: bytes
    wrapped: bytes
    cipher_sha256: Digest | None = None
    cipher_size_bytes: int = 0

    def text(self) -> bytes:
        """Its one byte form."""
        return canonical.dumps({
            "format": _PARTIAL, "epoch": self.epoch, "header": b64(self.header), "wrapped": b64(self.wrapped),
            "cipher_sha256": self.cipher_sha256.hex if self.cipher_sha256 else "",
            "cipher_size_bytes": self.cipher_size_bytes,
        })  # fmt: skip

    @classmethod
    def parse(cls, untrusted: bytes) -> PartialKey:
        """Read one; IntegrityError when it is malformed."""
        with _strict("the key of a partial"):
            fields = _fields(
                untrusted, _PARTIAL, {"format", "epoch", "header", "wrapped", "cipher_sha256", "cipher_size_bytes"}
            )
            epoch, header, wrapped = _text(fields["epoch"]), unb64(fields["header"]), unb64(fields["wrapped"])
            if not EPOCH.fullmatch(epoch) or len(header) != HEADER_BYTES or len(wrapped) != WRAPPED_BYTES:
                raise EntryInvalidError("a member of another form")
            size_bytes, cipher = fields["cipher_size_bytes"], _text(fields["cipher_sha256"])
            if not isinstance(size_bytes, int) or isinstance(size_bytes, bool):
                raise EntryInvalidError("a member of another form")
            Header.parse(header)
            return cls(
                epoch=epoch, header=header, wrapped=wrapped, cipher_size_bytes=size_bytes,
                cipher_sha256=Digest(SHA256, cipher) if cipher else None,
            )  # fmt: skip


# --- parsing ----------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _strict(what: str) -> Iterator[None]:
    """Turn every way of being malformed into one IntegrityError."""
    try:
        yield
    except EvidenceError as error:
        raise IntegrityError(f"not {what}: {error.what}", kept="Nothing was read with it.") from error


def _fields(untrusted: bytes, form: str, names: set[str]) -> dict[str, Any]:
    fields = canonical.loads(untrusted)
    if not isinstance(fields, dict) or fields.get("format") != form or set(fields) != names:
        raise EntryInvalidError("another format")
    return fields


def _text(untrusted: object) -> str:
    if not isinstance(untrusted, str):
        raise EntryInvalidError("a member that is no text")
    return untrusted


def _time(untrusted: object) -> datetime:
    return from_text(_text(untrusted))


def b64(data: bytes) -> str:
    """Base64 in its one spelling."""
    return base64.b64encode(data).decode("ascii")
