"""The words every room shares, as frozen values. No behaviour beyond what the value itself can answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from evidence.digest import Digest
from evidence.ids import AgentId, DeviceId, MatterId, RecordingId, UnitId


class RecordingState(StrEnum):
    """Where a recording stands; the transitions are the table in ``ingest.states``."""

    DISCOVERED = "discovered"
    ACQUIRING = "acquiring"
    INTERRUPTED = "interrupted"
    ACQUIRED = "acquired"
    DUPLICATE = "duplicate"
    STORED = "stored"
    RELEASED = "released"


class RecordingKind(StrEnum):
    """What a file is, judged by pattern and extension, corrected by the probe."""

    VIDEO = "video"
    AUDIO = "audio"
    PHOTO = "photo"
    TRACK = "track"
    TEXT = "text"
    UNKNOWN = "unknown"


class OffloadState(StrEnum):
    """Where one docking's transfer stands."""

    OPEN = "open"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    FAILED = "failed"


class DeviceState(StrEnum):
    """Where a recorder stands in the ledger."""

    PENDING = "pending"
    REGISTERED = "registered"
    RETIRED = "retired"


class ClearingMode(StrEnum):
    """When recorders are cleared after an offload; the default is never."""

    NEVER = "never"
    MANUAL = "manual"
    AUTOMATIC = "automatic"


class Verdict(StrEnum):
    """Judgement of a file's condition, from evidence rather than from exit codes (media.verdict)."""

    INTACT = "intact"
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    SALVAGEABLE = "salvageable"
    UNREADABLE = "unreadable"
    NOT_MEDIA = "not-media"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a program, identified, that acts through one of the interfaces.

    Attributes:
        agent: Who.
        name: How screens call them.
        via: ``web``, ``cli``, ``service``.
        address: Where from (an IP address or a terminal), empty when not known.
    """

    agent: AgentId
    name: str
    via: str
    address: str = ""


# --- devices ----------------------------------------------------------------------------------------------------------
class Cap(StrEnum):
    """What a device session can do; an absent capability is shown as 'not supported'."""

    LIST = "list"
    READ = "read"
    RESUME = "resume"
    DELETE = "delete"
    CLOCK_GET = "clock-get"
    CLOCK_SET = "clock-set"
    BATTERY = "battery"
    STORAGE = "storage"
    OWNER = "owner"
    EJECT = "eject"


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What a device says of itself. All texts are untrusted.

    ``serial`` is the ledger key together with ``vendor`` and ``model``; ``serial_source`` says where it was read
    (``usb``, ``device-info``, ``volume``, ``file``, ``path``). ``place`` is the stand-in for a folder of this computer that
    is no recorder's own medium, empty elsewhere: as long as it is the same folder, it is the same source to the ledger.
    ``hinted`` is the one device code that file names without weight tell, where ``serial`` had to be a stand-in.
    """

    driver: str
    kind: str
    serial: str
    serial_source: str
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    officer_code: str = ""
    unit_code: str = ""
    place: str = ""
    hinted: str = ""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """A recorder's clock against ours, read before anything is changed.

    Attributes:
        device_text: The reading exactly as the device gave it.
        offset_ms: Device minus host, milliseconds; positive means the recorder runs ahead.
        read_at: Host time of the reading (UTC).
        plausible: False for a clock in 1980 or 2099: shown, recorded, never used to correct times.
    """

    device_text: str
    offset_ms: int
    read_at: datetime
    plausible: bool


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """What could be read of a device's condition; None means the device does not tell."""

    battery_percent: int | None = None
    capacity_bytes: int | None = None
    free_bytes: int | None = None
    clock: ClockOffset | None = None


@dataclass(frozen=True, slots=True, order=True)
class SourceKey:
    """Identity of a file on a device, stable over dockings: handles and slots change, these do not.

    ``path`` and ``storage`` are printable forms (evidence.names); ``mtime_raw`` is the time stamp as the device wrote it.
    """

    storage: str
    path: str
    size_bytes: int
    mtime_raw: str


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One file on a device.

    Attributes:
        key: Its identity.
        name: Printable base name.
        locator: The driver's private handle (a byte path, an MTP handle); meaningless outside the session.
        read_only: The device's own protection attribute.
    """

    key: SourceKey
    name: str
    locator: object = field(compare=False)
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What a recorder's file name says (devices.file_names). Unknown names have an empty ``pattern``.

    Times are local to the recorder, without a zone: ``local_time`` is naive on purpose.
    """

    pattern: str
    kind: RecordingKind
    officer_code: str = ""
    device_code: str = ""
    case_number: str = ""
    local_time: datetime | None = None
    counter: int | None = None
    important: bool = False
    being_written: bool = False


# --- storage ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Copy:
    """One stored copy of some bytes.

    Attributes:
        store: Name of the store.
        domain: Failure domain the store lies in (evidence.durable.failure_domain).
        key: Key inside the store.
        version: Version identity where the store has versions, else empty.
        read_back_at: When the bytes were last read from the medium and matched; None before that.
    """

    store: str
    domain: str
    key: str
    version: str = ""
    read_back_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BlobStat:
    """What a store knows of one blob without reading it.

    ``retain_until`` and ``hold`` are the protection in force; ``protection`` is honest about its strength:
    ``immutable`` (kernel flag), ``mode-only`` (file mode), ``object-lock`` (S3), ``none``. ``bytes_at`` names the very
    bytes: where it is the same in two stores, both have one and the same file or object, which is one copy.
    """

    key: str
    size_bytes: int
    version: str
    protection: str
    retain_until: datetime | None
    hold: bool
    bytes_at: str


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """A blob is durable in one store.

    ``created`` is False when the same bytes were already there.
    """

    key: str
    version: str
    sha256: Digest
    size_bytes: int
    created: bool


@dataclass(frozen=True, slots=True)
class StoreProperties:
    """What a store is and what it can honestly promise."""

    name: str
    kind: str
    domain: str
    location: str
    protection: str
    versions: bool


# --- release ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ReleaseReceipt:
    """Proof a driver demands before it removes one file from a recorder (promise 1).

    Only ``ingest.release`` builds it, after every condition was checked again.
    """

    recording: RecordingId
    device: DeviceId
    source: SourceKey
    sha256: Digest
    entry_index: int
    checkpoint_size: int
    domains: tuple[str, ...]


# --- people -----------------------------------------------------------------------------------------------------------
class Action(StrEnum):
    """Everything a person can ask for; the role table in ``people.roles`` says who may.

    Viewing, copying and exporting are separate rights (R18).
    """

    RECORDING_LIST = "recording.list"
    RECORDING_SHOW = "recording.show"
    RECORDING_VIEW = "recording.view"
    RECORDING_VERIFY = "recording.verify"
    RECORDING_BIND = "recording.bind"
    OFFLOAD_RUN = "offload.run"
    OFFLOAD_LIST = "offload.list"
    DEVICE_LIST = "device.list"
    DEVICE_REGISTER = "device.register"
    DEVICE_CHANGE = "device.change"
    DEVICE_RELEASE = "device.release"
    VERIFY_RUN = "verify.run"
    REBUILD_RUN = "rebuild.run"
    LOG_READ = "log.read"
    FINDING_LIST = "finding.list"
    SYSTEM_HEALTH = "system.health"
    PEOPLE_LIST = "people.list"
    PEOPLE_MANAGE = "people.manage"
    SETTING_CHANGE = "setting.change"
    FIXITY_RUN = "fixity.run"
    STORAGE_MIGRATE = "storage.migrate"
    BACKUP_RUN = "backup.run"
    KEYS_MANAGE = "keys.manage"
    BRAKE_PULL = "brake.pull"
    BRAKE_RELEASE = "brake.release"
    RECORDING_CLASSIFY = "recording.classify"
    RECORDING_FLAG = "recording.flag"
    FLAG_LIFT = "flag.lift"
    RECORDING_COPY = "recording.copy"
    RECORDING_EXPORT = "recording.export"
    SCHEDULE_SEE = "schedule.see"
    SCHEDULE_PROPOSE = "schedule.propose"
    SCHEDULE_APPROVE = "schedule.approve"
    HOLD_SEE = "hold.see"
    HOLD_PLACE = "hold.place"
    HOLD_RELEASE = "hold.release"
    DISPOSAL_SEE = "disposal.see"
    DISPOSAL_PROPOSE = "disposal.propose"
    DISPOSAL_APPROVE = "disposal.approve"
    DISPOSAL_STOP = "disposal.stop"
    CASE_SEE = "case.see"
    CASE_EDIT = "case.edit"
    CASE_CLOSE = "case.close"
    CASE_EXPORT = "case.export"
    ACCESS_ASK = "access.ask"
    ACCESS_APPROVE = "access.approve"
    REGISTER_SEE = "register.see"
    REGISTER_ENTER = "register.enter"
    EXCEPTION_FILE = "exception.file"
    EXCEPTION_REVIEW = "exception.review"
    DAMAGE_REPORT = "damage.report"
    DAMAGE_HANDLE = "damage.handle"
    DEVICE_ISSUE = "device.issue"
    DEVICE_CARRY = "device.carry"
    SAMPLING_RUN = "sampling.run"
    SAMPLING_ANSWER = "sampling.answer"
    PROCEDURE_SEE = "procedure.see"
    PROCEDURE_HANDLE = "procedure.handle"
    PROCEDURE_DECIDE = "procedure.decide"
    DISC_SEE = "disc.see"
    DISC_MAKE = "disc.make"
    DISC_LEND = "disc.lend"
    STATISTICS_SEE = "statistics.see"
    CALENDAR_MANAGE = "calendar.manage"
    ABSENCE_ASK = "absence.ask"


@dataclass(frozen=True, slots=True)
class ObjectScope:
    """What an act touches, as far as a policy needs to know: its unit, its officer, whether it is archived.

    Empty fields mean 'nothing of that kind is involved'.
    """

    unit: UnitId | None = None
    officer: AgentId | None = None
    recording: RecordingId | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which rows an agent's list queries may return.

    ``everything`` wins; otherwise rows of one of ``units`` or recorded by ``officer``.
    """

    everything: bool = False
    units: frozenset[UnitId] = frozenset()
    officer: AgentId | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy's answer; ``reason`` is a stable code that the interfaces translate.

    ``grant`` is the grant for use it rests on (R17), ``on_behalf_of`` the person whom the actor stands in for.
    """

    allowed: bool
    reason: str
    grant: MatterId | None = None
    on_behalf_of: AgentId | None = None
