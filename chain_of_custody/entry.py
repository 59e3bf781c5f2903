"""Custody entries: an event becomes an in-toto Statement in a signed DSSE envelope, and back, strictly.

The format is final from the first entry ever written (schema 1): later work adds event types, and public
fields that stand in an entry only when they say something (``evidence.event.later``). Both the
envelope and the payload are canonical JSON, so an entry has exactly one byte form. SM3 never stands in ``subject``: other
people's verifiers refuse digests they do not know; it is an event field.

What it does not do: give sequence numbers or store anything (``recorder`` and the outbox do).

Source: DSSE v1.0.2; in-toto Statement v1; RFC 8785; docs/formats/custody-entry.md.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any, Final

from chain_of_custody.disclosures import DIGEST_PATTERN, SD_ALGORITHM
from chain_of_custody.keys import SigningKey, VerifyingKey, b64decode_strict
from evidence import canonical
from evidence.clock import TimeReading, from_text, to_text
from evidence.errors import EntryInvalidError, InvalidInputError, LimitExceededError
from evidence.event import field_names
from evidence.events import EVENT_TYPES, Event, parse_event
from evidence.ids import EntryId, RecordingId
from evidence.limits import ENTRY_BYTES_MAX
from evidence.ports import SignerTurn

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:liuhen:custody-event:1"
SCHEMA: Final = 1
#: SHA-256 of no bytes: the subject of a signer's very first entry when the event itself has no digest.
EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
TIME_SOURCES: Final = frozenset({"synchronised", "unsynchronised", "manual"})

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
#: An envelope is canonical JSON of one form only, so its text can be written and recognised as a whole.
_ENVELOPE_FORM: Final = (
    b'{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"%s","sig":"%s"}]}'
)
_ENVELOPE = re.compile(
    re.escape(_ENVELOPE_FORM).replace(b"%s", b"([A-Za-z0-9+/]+={0,2})", 1)
    .replace(b"%s", b"([0-9a-f]{16})", 1).replace(b"%s", b"([A-Za-z0-9+/]{86}==)", 1)
)  # fmt: skip
_STATEMENT_MEMBERS = {"_type", "subject", "predicateType", "predicate"}
_PREDICATE_MEMBERS = {
    "schema", "entry", "event", "time", "time_source", "time_uncertainty_ms", "station", "signer", "seq", "prev", "data",
    "_sd_alg", "_sd",
}  # fmt: skip
_FIELD_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry, parsed and checked against its schema; its signature is checked by :meth:`verify_signature`.

    Attributes:
        id: Identity of the entry.
        event_type: For example ``recording.stored``.
        at: Time of the station's clock, aware UTC.
        time_source: How far that clock could be trusted (``evidence.clock.TimeReading.source``).
        time_uncertainty_ms: Bound of its error in milliseconds, -1 when unknown.
        station: Name of the station.
        signer: Identity of the signing key.
        seq: Number of the entry among this signer's, from 0.
        prev: SHA-256 (hex) of this signer's previous envelope, empty for its first.
        subject_name: ``recording:<id>`` or ``entry:<id>``.
        subject_sha256: Digest of the recording, else of the previous envelope.
        data: The event's public fields.
        sd: Salted digests of its personal fields, sorted.
        payload: The signed bytes.
        signature: 64 bytes.
    """

    id: EntryId
    event_type: str
    at: datetime
    time_source: str
    time_uncertainty_ms: int
    station: str
    signer: str
    seq: int
    prev: str
    subject_name: str
    subject_sha256: str
    data: dict[str, Any]
    sd: tuple[str, ...]
    payload: bytes
    signature: bytes

    @property
    def recording(self) -> str:
        """Identity of the recording concerned, empty when none is."""
        return str(self.data["recording"])

    def event(self, disclosed: dict[str, Any] | None = None) -> Event:
        """The event, with whatever personal values are still disclosed."""
        return parse_event(self.event_type, self.data, disclosed or {})

    def verify_signature(self, key: VerifyingKey) -> None:
        """Return when ``key``'s signature verifies; EntryInvalidError when it is not the signer's, else SignatureInvalidError."""
        if key.key_id != self.signer:
            raise EntryInvalidError(f"key {key.key_id} is not the signer {self.signer}")
        key.verify(self.signature, pae(self.payload))


def pae(payload: bytes) -> bytes:
    """DSSE pre-authentication encoding: what is actually signed."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode("ascii"), len(payload), payload)


def _subject(event: Event, entry: EntryId, prev: str) -> dict[str, Any]:
    # Only a digest that is the recording's own may stand beside the recording's name: an outside tool would compare it.
    named = bool(event.sha256 and event.recording)
    name = f"recording:{event.recording}" if named else f"entry:{entry}"
    return {"name": name, "digest": {"sha256": event.sha256 or prev or EMPTY_SHA256}}


def seal(
    event: Event, *, entry: EntryId, at: TimeReading, station: str, turn: SignerTurn, sd: list[str], key: SigningKey
) -> bytes:
    """Make the signed envelope of an event.

    Args:
        event: What happened.
        entry: Identity of the new entry.
        at: Reading of the injected clock.
        station: Name of this station.
        turn: Sequence number and previous digest of the signer.
        sd: Digests of the personal fields, sorted.
        key: The station's key.

    Returns:
        The envelope's bytes (<= 65,535): the leaf of the log.

    Raises:
        EntryInvalidError: The event breaks the schema (it would not parse back).
        LimitExceededError: The envelope is too large for a bundle.
    """
    predicate = {
        "schema": SCHEMA,
        "entry": str(entry),
        "event": event.TYPE,
        "time": to_text(at.wall),
        "time_source": at.source,
        "time_uncertainty_ms": at.uncertainty_ms,
        "station": station,
        "signer": key.key_id,
        "seq": turn.seq,
        "prev": turn.prev,
        "data": event.public(),
        "_sd_alg": SD_ALGORITHM,
        "_sd": sd,
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(event, entry, turn.prev)],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    # What we sign must be what we would accept: a leaf can never be mended afterwards.
    _check_statement(statement)
    payload = canonical.dumps(statement)
    envelope = _ENVELOPE_FORM % (
        base64.b64encode(payload),
        key.key_id.encode("ascii"),
        base64.b64encode(key.sign(pae(payload))),
    )
    if len(envelope) > ENTRY_BYTES_MAX:
        raise LimitExceededError(f"a {event.TYPE} entry of {len(envelope)} bytes is over {ENTRY_BYTES_MAX}")
    return envelope


def parse(untrusted: bytes) -> Entry:
    """Parse one envelope strictly: canonical JSON, exact members, known schema and event type.

    Raises:
        EntryInvalidError: Anything else. The signature is not checked here.
    """
    if len(untrusted) > ENTRY_BYTES_MAX:
        raise EntryInvalidError(f"an entry of {len(untrusted)} bytes is over {ENTRY_BYTES_MAX}")
    match = _ENVELOPE.fullmatch(untrusted)
    if match is None:
        raise EntryInvalidError("not a canonical DSSE envelope with one Ed25519 signature")
    key_id = match[2].decode("ascii")
    payload, signature = (b64decode_strict(match[group].decode("ascii")) for group in (1, 3))
    statement = canonical.loads(payload)
    at = _check_statement(statement)
    predicate, subject = statement["predicate"], statement["subject"][0]
    if predicate["signer"] != key_id:
        raise EntryInvalidError("keyid and signer differ")
    return Entry(
        id=EntryId(predicate["entry"]),
        event_type=predicate["event"],
        at=at,
        time_source=predicate["time_source"],
        time_uncertainty_ms=predicate["time_uncertainty_ms"],
        station=predicate["station"],
        signer=key_id,
        seq=predicate["seq"],
        prev=predicate["prev"],
        subject_name=subject["name"],
        subject_sha256=subject["digest"]["sha256"],
        data=predicate["data"],
        sd=tuple(predicate["_sd"]),
        payload=payload,
        signature=signature,
    )


# --- the schema -------------------------------------------------------------------------------------------------------
def _members(value: object, expected: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != expected:
        raise EntryInvalidError(f"{what} has missing or unknown members")
    return value


def _integer(value: object, least: int, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise EntryInvalidError(f"{what} is not an integer from {least} on")


def _text(value: object, pattern: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise EntryInvalidError(f"{what} is malformed")


def _check_statement(statement: object) -> datetime:
    outer = _members(statement, _STATEMENT_MEMBERS, "statement")
    if outer["_type"] != STATEMENT_TYPE or outer["predicateType"] != PREDICATE_TYPE:
        raise EntryInvalidError("not a custody statement")
    predicate = _members(outer["predicate"], _PREDICATE_MEMBERS, "predicate")
    if predicate["schema"] is True or predicate["schema"] != SCHEMA:
        raise EntryInvalidError("unknown schema of custody entry")
    at = _check_frame(predicate)
    _check_sd(predicate["_sd_alg"], predicate["_sd"])
    _check_data(predicate["event"], predicate["data"])
    _check_subject(outer["subject"], predicate)
    return at


def _check_frame(predicate: dict[str, Any]) -> datetime:
    _text(predicate["signer"], _KEY_ID, "signer")
    _integer(predicate["seq"], 0, "seq")
    _integer(predicate["time_uncertainty_ms"], -1, "time_uncertainty_ms")
    if predicate["seq"] == 0:
        if predicate["prev"] != "":
            raise EntryInvalidError("a signer's first entry has no predecessor")
    else:
        _text(predicate["prev"], _HEX_SHA256, "prev")
    if not isinstance(predicate["station"], str) or not predicate["station"]:
        raise EntryInvalidError("station is not a name")
    if not isinstance(predicate["time_source"], str) or predicate["time_source"] not in TIME_SOURCES:
        raise EntryInvalidError("unknown time source")
    if not isinstance(predicate["entry"], str) or not isinstance(predicate["time"], str):
        raise EntryInvalidError("entry and time are texts")
    try:
        EntryId(predicate["entry"])
        return from_text(predicate["time"])
    except InvalidInputError as error:
        raise EntryInvalidError(error.what) from error


def _check_sd(algorithm: object, digests: object) -> None:
    if algorithm != SD_ALGORITHM or not isinstance(digests, list):
        raise EntryInvalidError("unknown form of salted digests")
    for digest in digests:
        _text(digest, DIGEST_PATTERN, "salted digest")
    if any(a >= b for a, b in pairwise(digests)):
        raise EntryInvalidError("salted digests are not sorted or not unique")


@cache
def _public_fields(event_type: str) -> dict[str, str]:
    """Names and type texts of an event's public fields (annotations are texts: postponed evaluation)."""
    fields = dataclasses.fields(EVENT_TYPES[event_type])
    return {f.name: str(f.type) for f in fields if not f.metadata.get("personal")}


def _check_data(event_type: object, data: object) -> None:
    if not isinstance(event_type, str) or event_type not in EVENT_TYPES:
        raise EntryInvalidError(f"unknown event type {str(event_type)[:64]!r}")
    fields = _public_fields(event_type)
    later = field_names(EVENT_TYPES[event_type]).later
    # What a type gained later stands there only when it says something: entries of before read as they did.
    absent = later.keys() - data.keys() if isinstance(data, dict) else set()
    for name, value in _members(data, set(fields) - absent, event_type).items():
        if name in later and value == later[name]:
            raise EntryInvalidError(f"{event_type}.{name} says nothing")
        expected = _FIELD_TYPES.get(fields[name])
        if expected is None:
            container = dict if fields[name].startswith("dict") else list
            if not isinstance(value, container):
                raise EntryInvalidError(f"{event_type}.{name} has a wrong type")
        elif type(value) is not expected and not (expected is str and isinstance(value, str)):
            raise EntryInvalidError(f"{event_type}.{name} has a wrong type")


def _check_subject(untrusted_subject: object, predicate: dict[str, Any]) -> None:
    match untrusted_subject:
        case [{"name": str(name), "digest": {"sha256": str(sha256)} as digests} as only] if len(digests) == 1:
            _members(only, {"name", "digest"}, "subject")
        case _:
            raise EntryInvalidError("subject is not one name with one SHA-256")
    _text(sha256, _HEX_SHA256, "subject digest")
    data = predicate["data"]
    if data["recording"]:
        try:
            RecordingId(data["recording"])
        except InvalidInputError as error:
            raise EntryInvalidError(error.what) from error
    named = bool(data["sha256"] and data["recording"])
    if name != (f"recording:{data['recording']}" if named else f"entry:{predicate['entry']}"):
        raise EntryInvalidError("subject names something else than the event")
    if sha256 != (data["sha256"] or predicate["prev"] or EMPTY_SHA256):
        raise EntryInvalidError("subject digest is neither the recording's nor the previous entry's")
