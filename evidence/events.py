"""What can be entered in the custody log: one class per event type.

A field is either public (stands in the leaf in clear) or personal (only a salted digest stands in the leaf; the value is a
disclosure, kept apart and erasable). Personal fields are marked with :func:`personal`. Identities are random and say
nothing by themselves, so they are public. All values are JSON without floats; times are texts of ``evidence.clock.to_text``.

To add an event type: add a class here, a golden entry in tests/golden, and, if it states a fact about evidence, a case in
``assurance.rebuild``. Types and fields are only ever added, a public field as
:func:`later` (docs/formats/custody-entry.md).

Source: RFC 9901 (selective disclosure); RULES R13.
"""

from __future__ import annotations

from dataclasses import dataclass

from evidence.errors import EntryInvalidError
from evidence.event import Event, Json, field_names, later, personal
from evidence.events_of_keeping import (
    BackupMade,
    BackupRestored,
    BrakeChanged,
    BytesReleased,
    CopyMade,
    CopyRemoved,
    EpochKeyMade,
    FixityRound,
    InventoryTaken,
    KeysBackedUp,
    LocksRenewed,
    StoreMoved,
)
from evidence.events_of_rules import (
    DeviceRetired,
    DocumentFiled,
    MatterActed,
    RecordingArchived,
    RecordingClassified,
    RecordingDisposed,
    RecordingDisposing,
    RecordingFlagged,
)

__all__ = [
    "EVENT_TYPES",
    "BackupMade",
    "BackupRestored",
    "BrakeChanged",
    "BytesReleased",
    "CopyMade",
    "CopyRemoved",
    "DeviceRetired",
    "DocumentFiled",
    "EpochKeyMade",
    "Event",
    "FixityRound",
    "InventoryTaken",
    "KeysBackedUp",
    "LocksRenewed",
    "MatterActed",
    "RecordingArchived",
    "RecordingClassified",
    "RecordingDisposed",
    "RecordingDisposing",
    "RecordingFlagged",
    "StoreMoved",
    "parse_event",
    "personal",
]


# --- the log itself, people, devices ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class LogOpened(Event):
    """The log was created."""

    TYPE = "log.opened"
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAdded(Event):
    """A key may sign from now on. ``public_key`` is base64 of the raw key."""

    TYPE = "key.added"
    key_id: str
    role: str
    algorithm: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsApplied(Event):
    """A process works from now on with these settings; entered when they are not those entered last.

    ``settings`` holds what promises rest on, by the keys of docs/settings.md: no path, no address, no secret.
    """

    TYPE = "settings.applied"
    at: str
    settings: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecorded(Event):
    """A department exists from ``valid_from`` (to ``valid_to``)."""

    TYPE = "unit.recorded"
    unit: str
    parent: str = ""
    code: str = ""
    valid_from: str = ""
    valid_to: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecorded(Event):
    """A person or program as known from ``valid_from`` on.

    A later entry of the same agent replaces these facts: another unit is a transfer and ends the post before,
    ``active`` false ends the right to act.
    """

    TYPE = "agent.recorded"
    agent: str
    kind: str
    unit: str = ""
    valid_from: str = ""
    active: bool = True
    name: str | None = personal()
    officer_code: str | None = personal()
    login: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(Event):
    """A role was granted to (or taken from) an agent, for one unit and those below it, or everywhere."""

    TYPE = "role.changed"
    agent: str
    role: str
    unit: str = ""
    granted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistered(Event):
    """A person entered a recorder in the ledger."""

    TYPE = "device.registered"
    device: str
    driver: str
    kind: str
    vendor: str = ""
    model: str = ""
    serial_source: str = ""
    unit: str = ""
    serial: str | None = personal()
    label: str | None = personal()
    officer: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRefused(Event):
    """An unknown device was docked and nothing was read from it."""

    TYPE = "device.refused"
    driver: str
    reason: str
    serial: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSet(Event):
    """A recorder's clock was set; the offset before is in the offload's entry and repeated here."""

    TYPE = "device.clock-set"
    device: str
    offload: str
    offset_before_ms: int


# --- one docking ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadStarted(Event):
    """A docked recorder was identified and read for its condition, before anything was changed. -1 means not told."""

    TYPE = "offload.started"
    offload: str
    device: str
    driver: str
    station: str
    at: str
    battery_percent: int = -1
    capacity_bytes: int = -1
    free_bytes: int = -1
    clock_known: bool = False
    clock_plausible: bool = False
    clock_offset_ms: int = 0
    clock_device_text: str = ""
    source: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadEnded(Event):
    """A docking's transfer came to an end or was interrupted."""

    TYPE = "offload.ended"
    offload: str
    device: str
    at: str
    outcome: str
    recordings: int
    waiting: int
    quarantined: int
    duplicates: int


# --- a recording's way ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDiscovered(Event):
    """Observation: a device lists a file. No bytes have been read."""

    TYPE = "recording.discovered"
    offload: str
    device: str
    kind: str
    pattern: str
    size_bytes: int
    at: str
    important: bool = False
    attached_to: str = ""
    counter: int = -1
    started_at: str = ""
    started_source: str = ""
    deadline_at: str = ""
    officer_source: str = ""
    officer_confidence: str = ""
    name: str | None = personal()
    path: str | None = personal()
    storage: str | None = personal()
    mtime_raw: str | None = personal()
    officer: str | None = personal()
    officer_code: str | None = personal()
    case_number: str | None = personal()
    unit: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingAcquiring(Event):
    """Reading began or was taken up again at ``from_byte``."""

    TYPE = "recording.acquiring"
    offload: str
    from_byte: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingInterrupted(Event):
    """Reading stopped early; the bytes so far are kept and the next docking goes on there."""

    TYPE = "recording.interrupted"
    offload: str
    at_byte: int
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingAcquired(Event):
    """Every byte was read once and digested in the same pass (observation: no storage is stated yet)."""

    TYPE = "recording.acquired"
    offload: str
    size_bytes: int
    sm3: str
    blake3: str
    started_at: str = ""
    started_source: str = ""
    deadline_at: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDuplicate(Event):
    """The bytes are those of a recording already kept; this one's names were added to that one."""

    TYPE = "recording.duplicate"
    of: str
    at: str
    important: bool = False
    name: str | None = personal()
    path: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStored(Event):
    """Every copy named here was read back from its medium and matched.

    ``copies`` and ``manifest_copies`` hold objects with the fields
    ``store``, ``domain``, ``key``, ``version``, ``read_back_at``.
    """

    TYPE = "recording.stored"
    size_bytes: int
    manifest_sha256: str
    copies: list[dict[str, str]]
    manifest_copies: list[dict[str, str]]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuarantined(Event):
    """Flag: sealed and kept like any other, but a person must look."""

    TYPE = "recording.quarantined"
    reason: str
    at: str
    detail: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDescribed(Event):
    """What probe and key-frame pass found; hints, never a change of the original. ``facts`` is plain JSON."""

    TYPE = "recording.described"
    verdict: str
    kind: str
    duration_ms: int = -1
    facts: dict[str, Json]
    at: str
    evidence_notes: list[str] | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivativeMade(Event):
    """A viewing copy, poster or sheet; ``derivative_sha256`` is its own digest, the parent is the subject."""

    TYPE = "derivative.made"
    derivative: str
    kind: str
    media_type: str
    derivative_sha256: str
    size_bytes: int
    recipe: dict[str, Json]
    copies: list[dict[str, str]]
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReleased(Event):
    """The file was removed from the recorder after the source was re-read and matched; or found already absent."""

    TYPE = "recording.released"
    offload: str
    device: str
    mode: str
    already_absent: bool
    entry_index: int
    checkpoint_size: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRefused(Event):
    """The source was not what had been sealed, so nothing was removed."""

    TYPE = "recording.release-refused"
    offload: str
    device: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerBound(Event):
    """Who made the recording, as an added fact: ``old`` -> ``new`` with its source and confidence (R14)."""

    TYPE = "recording.officer-bound"
    source: str
    confidence: str
    at: str
    old: str | None = personal()
    new: str | None = personal()
    reason: str | None = personal()


# --- access and assurance ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAllowed(Event):
    """An agent saw, played, copied or checked something.

    ``matter`` is the grant it was done under (R17), empty where none was needed; ``use`` numbers the uses of a grant from 1
    without gaps, 0 for looks that are none (a page, a poster). ``on_behalf_of`` is whom the actor stood in for.
    """

    TYPE = "access.allowed"
    action: str
    via: str
    at: str
    matter: str = later("")
    use: int = later(0)
    on_behalf_of: str = later("")
    address: str | None = personal()
    detail: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDenied(Event):
    """An agent was refused; committed in its own transaction (promise 7)."""

    TYPE = "access.denied"
    action: str
    via: str
    reason: str
    at: str
    address: str | None = personal()
    detail: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn(Event):
    """A person proved who they are."""

    TYPE = "agent.logged-in"
    via: str
    at: str
    address: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailed(Event):
    """Somebody did not."""

    TYPE = "agent.login-failed"
    via: str
    reason: str
    at: str
    login: str | None = personal()
    address: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityChecked(Event):
    """One copy was read from its medium and compared; entered also when it passes.

    ``blob_sha256`` names the bytes where they are not the recording's own (a manifest, a derivative); ``round`` is the number of
    the round that looked, 0 outside of one.
    """

    TYPE = "fixity.checked"
    store: str
    outcome: str
    at: str
    blob_sha256: str = ""
    round: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRaised(Event):
    """Something an auditor must look at."""

    TYPE = "finding.raised"
    finding: str
    kind: str
    store: str = ""
    at: str
    detail: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingClosed(Event):
    """A finding needs no attention any more; ``reason`` says why (``repaired``, ``caught-up``, ``looked-at`` ...)."""

    TYPE = "finding.closed"
    finding: str
    kind: str
    reason: str
    store: str = ""
    at: str


def _all_event_types() -> dict[str, type[Event]]:
    return {cls.TYPE: cls for cls in Event.__subclasses__()}


EVENT_TYPES: dict[str, type[Event]] = _all_event_types()


def parse_event(event_type: str, public: dict[str, Json], disclosed: dict[str, Json]) -> Event:
    """Rebuild an event from a leaf and whatever disclosures are still there (erased ones are None).

    Raises:
        EntryInvalidError: Unknown type, unknown or missing fields, or a value that is not of its field's kind.
    """
    cls = EVENT_TYPES.get(event_type)
    if cls is None:
        raise EntryInvalidError(f"unknown event type {event_type[:64]!r}")
    names = field_names(cls)
    wrong = [name for name in public if name not in names.public] + [n for n in disclosed if n not in names.personal]
    if wrong:
        raise EntryInvalidError(f"{event_type} has unknown fields {wrong}")
    for values in (public, disclosed):
        for name, value in values.items():
            if not names.kinds[name](value):
                raise EntryInvalidError(f"{event_type} has a field {name} of the wrong kind")
    try:
        return cls(**public, **disclosed)
    except TypeError as error:
        raise EntryInvalidError(f"{event_type} lacks fields: {error}") from error
