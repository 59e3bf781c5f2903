"""The protocols through which rooms meet. Each docstring is the contract; the inherited suites in tests/contract prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn, Protocol, Self

from evidence.clock import TimeReading
from evidence.digest import Digest, Hasher
from evidence.events import Event
from evidence.ids import EntryId
from evidence.model import (
    Action,
    Actor,
    BlobStat,
    Cap,
    ClockOffset,
    Decision,
    DeviceIdentity,
    DeviceStatus,
    ObjectScope,
    PutReceipt,
    ReleaseReceipt,
    SourceObject,
    StoreProperties,
    Visibility,
)  # fmt: skip
from evidence.transfer import ByteSource, Progress


# --- storage ----------------------------------------------------------------------------------------------------------
class BlobStore(Protocol):
    """Write-once bytes addressed by their SHA-256.

    - The same bytes may be put again: ``created=False``. Other bytes under one key are refused (BlobConflictError).
    - ``put`` and ``adopt`` return only when the blob is durable; they do not read it back: ``verify`` does.
    - ``open`` and ``verify`` raise BlobNotFoundError, never return short data silently.
    - ``delete`` is refused with BlobLockedError while a retention date or a hold stands.
    - Methods may be called from several threads.
    """

    @property
    def properties(self) -> StoreProperties:
        """What this store is; read once at start, honest about its protection."""
        ...

    def put(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Store the stream's bytes, checking digest and size while writing; DigestMismatchError leaves nothing behind."""
        ...

    def repair(
        self, source: BinaryIO, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Put good bytes in the place of a damaged, unreadable or missing copy; what was ordered about the blob stays in force.

        The damaged bytes are set aside, never destroyed. ``created`` is False when the copy was sound: nothing was changed.
        ``retain_until`` is the date of a blob that has none in force; as in ``put``.

        Raises:
            DigestMismatchError: The source is not the stated blob; nothing was changed.
        """
        ...

    def open(self, sha256: Digest, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """Open a range for reading."""
        ...

    def stat(self, sha256: Digest) -> BlobStat:
        """Size, version and protection."""
        ...

    def exists(self, sha256: Digest) -> bool:
        """Whether the blob is there, as durably as ``put`` leaves it (StoreUnavailableError when that cannot be told)."""
        ...

    def verify(self, sha256: Digest, expected: Digest, *, progress: Progress | None = None) -> None:
        """Read every byte back from the medium (never from a cache) and compare with ``expected`` (any algorithm).

        Raises:
            DigestMismatchError: Other bytes. BlobNotFoundError: none.
        """
        ...

    def extend_retention(self, sha256: Digest, until: datetime) -> None:
        """Move the earliest removal date later; an earlier date is ignored."""
        ...

    def set_hold(self, sha256: Digest, *, reference: str) -> None:
        """Add a named hold; holds are counted by reference."""
        ...

    def release_hold(self, sha256: Digest, *, reference: str) -> None:
        """Take one named hold away."""
        ...

    def delete(self, sha256: Digest, *, now: datetime) -> None:
        """Remove the blob and verify its absence."""
        ...

    def list(self) -> Iterator[Digest]:
        """Every blob."""
        ...


class GrowingPartial(Protocol):
    """The growing copy of a recording; a context manager. All counts are of the recording's own bytes, however they lie there."""

    @property
    def size_bytes(self) -> int:
        """How many bytes of the recording it holds."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file; what was written stays."""
        ...

    def feed(self, hashers: Sequence[Hasher]) -> None:
        """Digest what is already there, so that the new bytes can follow."""
        ...

    def tail(self, length: int) -> bytes:
        """The last ``length`` bytes."""
        ...

    def restart(self) -> None:
        """Cut everything off: the bytes are not those of the file that is there now."""
        ...

    def require_room(self, more_bytes: int) -> None:
        """Raise StoreFullError unless that many bytes fit above the floor."""
        ...

    def write(self, data: memoryview) -> None:
        """Append; made durable from time to time, of which ``secured`` is told."""
        ...

    def secure(self) -> int:
        """Make everything that can be made durable so; how many bytes are certain from now on. NotDurableError is fatal."""
        ...

    def finish(self) -> None:
        """The recording is whole: make all of it durable, so that it can be adopted. NotDurableError is fatal."""
        ...


class PartialStore(Protocol):
    """A store on whose file system recordings are acquired: a named partial grows there and is adopted by link.

    ``locate`` (also used by auditors) gives the path of what the store keeps of a blob: its bytes, or their ciphertext.
    """

    def partial_path(self, name: str) -> Path:
        """Path of the named partial file (its directory exists)."""
        ...

    def open_partial(
        self, name: str, *, keep_bytes: int, floor_bytes: int, secured: Callable[[int], None]
    ) -> GrowingPartial:
        """Open the named partial for writing.

        Args:
            name: A plain file name.
            keep_bytes: How much of what is there can be trusted; the rest is cut off (the partial may keep less).
            floor_bytes: Writing stops with StoreFullError before free space falls below this.
            secured: Called with the number of bytes that have become durable.
        """
        ...

    def partials(self) -> Sequence[Path]:
        """All partials, so that those nobody will resume can be found."""
        ...

    def discard_partial(self, partial: Path) -> None:
        """Remove a partial that will not be resumed; absent already is fine. Durable on return."""
        ...

    def adopt(
        self, partial: Path, *, sha256: Digest, size_bytes: int, retain_until: datetime | None = None
    ) -> PutReceipt:
        """Give an fsynced partial its place in the store: link, fsync directory, protect, remove the partial's name."""
        ...

    def locate(self, sha256: Digest) -> Path:
        """Path of what the store keeps of a blob."""
        ...

    def plain_file(self, sha256: Digest) -> AbstractContextManager[Path]:
        """A file with the blob's plain bytes, for programs that need one; it may be gone when the block ends.

        Raises:
            BlobNotFoundError: None. StoreError: there is no protected place to lay the plain bytes into.
        """
        ...


# --- custody log ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One signed entry that is durable, whether sequenced or not.

    What stands after ``index`` repeats the envelope for lists and locks; None where a store of entries keeps no such column.
    """

    entry: EntryId
    event_type: str
    recording: str
    envelope: bytes
    leaf_sha256: bytes
    index: int | None
    actor: str | None = None
    at: datetime | None = None
    signer: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class SignerTurn:
    """The next turn of a signing key.

    Attributes:
        seq: Number of its next entry.
        prev: SHA-256 (hex) of its previous envelope, empty for the first.
        since: Time of its previous entry, None for the first.
    """

    seq: int
    prev: str
    since: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A personal value outside the log: the text whose SHA-256 stands in the leaf."""

    digest: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class LogHead:
    """The database's head: tree size, root and the signed note over them; ``published_size`` trails it."""

    size: int
    root: bytes
    note: bytes
    published_size: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A signed entry on its way into the outbox.

    Attributes:
        entry: Its identity.
        event: What it reports.
        envelope: Its signed bytes.
        leaf_sha256: Its leaf hash (32 bytes).
        disclosures: Its personal values.
    """

    entry: EntryId
    event: Event
    envelope: bytes
    leaf_sha256: bytes
    disclosures: Sequence[Disclosure] = ()


class Outbox(Protocol):
    """The catalogue's side of the custody log, inside one database transaction."""

    def next_turn(self, key_id: str) -> SignerTurn:
        """Take the signer's row lock and tell the next turn; held until the transaction ends.

        SignerMismatchError when the turn does not follow from the signer's newest entry.
        """
        ...

    def turns(self) -> dict[str, SignerTurn]:
        """The next turn of every signer as it is remembered; takes no lock and judges nothing."""
        ...

    def add(
        self, *, entry: EntryId, event: Event, envelope: bytes, leaf_sha256: bytes, key_id: str, turn: SignerTurn,
        disclosures: Sequence[Disclosure], at: datetime,
    ) -> None:  # fmt: skip
        """Insert the entry and advance the signer."""
        ...

    def add_many(self, new: Sequence[NewEntry], *, key_id: str, turn: SignerTurn, at: datetime) -> None:
        """Insert entries that one signer chained in this order from ``turn`` on, and advance the signer once."""
        ...

    def unsequenced(self, limit: int) -> list[OutboxRow]:
        """Entries without an index, in an order in which every signer's ``seq`` grows."""
        ...

    def head(self) -> LogHead | None:
        """The current head; None before the log was opened."""
        ...

    def sequence(self, *, expected_size: int, entries: Sequence[EntryId], head: LogHead) -> None:
        """Compare-and-swap: give indices from ``expected_size`` on and store the new head, or raise StateConflictError."""
        ...

    def mark_published(self, size: int) -> None:
        """Record that the checkpoint of that size is published; never lowers."""
        ...

    def rows(self, start: int, end: int) -> list[OutboxRow]:
        """Sequenced entries with start <= index < end, in order."""
        ...

    def row_of(self, entry: EntryId) -> OutboxRow | None:
        """One entry."""
        ...

    def disclosures_of(self, digests: Sequence[str]) -> dict[str, Disclosure]:
        """The disclosures that still exist."""
        ...


class OutboxTransactions(Protocol):
    """Opens transactions for the sealer (which runs apart from any business transaction)."""

    def __call__(self) -> AbstractContextManager[Outbox]:
        """One transaction: committed on success, rolled back on error."""
        ...


class CustodyRecorder(Protocol):
    """Turns events into signed entries inside a business transaction."""

    def record(self, outbox: Outbox, event: Event, *, at: TimeReading) -> EntryId:
        """Sign the event and add it to the outbox; durable when the caller's transaction commits."""
        ...

    def record_many(self, outbox: Outbox, events: Sequence[Event], *, at: TimeReading) -> list[EntryId]:
        """As :meth:`record` for several events in their order; nothing of them was added when one cannot be."""
        ...


# --- devices ----------------------------------------------------------------------------------------------------------
class DeviceSession(Protocol):
    """An open, leased device. One thread at a time; close it in ``finally``. Reads change nothing on the device."""

    @property
    def caps(self) -> frozenset[Cap]:
        """What this session can do."""
        ...

    @property
    def identity(self) -> DeviceIdentity:
        """What the device says of itself."""
        ...

    def status(self, now: TimeReading) -> DeviceStatus:
        """Battery, space and clock offset, read before anything is changed."""
        ...

    def list_objects(self) -> Iterator[SourceObject]:
        """Every file, in a stable order; hostile names are escaped, never skipped."""
        ...

    def open_read(self, source: SourceObject, *, offset: int = 0) -> AbstractContextManager[ByteSource]:
        """Read from ``offset`` to the end as the object was listed; DeviceGoneError and its family on trouble."""
        ...

    def set_clock(self, now: TimeReading) -> ClockOffset:
        """Set the clock to the bureau's local time and return the offset found just before."""
        ...

    def delete(self, source: SourceObject, receipt: ReleaseReceipt) -> None:
        """Remove one file; refuses unless the receipt names this very object. Absent already counts as removed."""
        ...

    def eject(self) -> None:
        """Make it safe to unplug, where the device supports it."""
        ...

    def close(self) -> None:
        """End the session and give the device back."""
        ...


@dataclass(frozen=True, slots=True)
class DockedDevice:
    """Something that a driver can open: where it is (slot), which driver, and the driver's private address."""

    driver: str
    slot: str
    address: str


class DeviceDriver(Protocol):
    """Finds and opens devices of one kind."""

    name: str

    def scan(self) -> list[DockedDevice]:
        """What is docked now; the truth, hot-plug events are only hints."""
        ...

    def open(self, device: DockedDevice) -> DeviceSession:
        """Open one of them; DeviceBusyError, DeviceGoneError, DeviceUnsupportedError."""
        ...


# --- authorisation ----------------------------------------------------------------------------------------------------
class Authoriser(Protocol):
    """The one gate every act passes, whichever interface it came through (promise 10)."""

    def require(self, actor: Actor, action: Action, scope: ObjectScope | None = None, *, detail: str = "") -> Decision:
        """Tell how it is allowed; otherwise enter the denial in a transaction of its own and raise AccessDeniedError."""
        ...

    def allowed_each(
        self,
        actor: Actor,
        action: Action,
        scopes: Sequence[tuple[ObjectScope, str]],
        *,
        detail: str = "",
        use: bool = False,
    ) -> Sequence[Decision]:
        """Authorise an act on several recordings (each with its digest) and enter each, all or none, in one transaction.

        ``use``: footage is seen or leaves the house by it. Raises AccessDeniedError, entered, at the first refusal.
        """
        ...

    def decide(self, actor: Actor, action: Action, scope: ObjectScope | None = None) -> Decision:
        """What the answer would be; nothing is entered. For menus and buttons, never instead of :meth:`require`."""
        ...

    def decide_each(self, actor: Actor, action: Action, scopes: Sequence[ObjectScope]) -> list[Decision]:
        """Like :meth:`decide` for many objects."""
        ...

    def deny(
        self, actor: Actor, action: Action, *, reason: str, scope: ObjectScope | None = None, detail: str = ""
    ) -> NoReturn:
        """Enter a refusal that only a workflow can know (the asker may not approve), and raise AccessDeniedError."""
        ...

    def offered(self, actor: Actor) -> frozenset[Action]:
        """Acts the actor may do on at least something: what menus show."""
        ...

    def visibility(self, actor: Actor, action: Action) -> Visibility:
        """What list queries of this actor may return."""
        ...


# --- jobs -------------------------------------------------------------------------------------------------------------
class JobEngine(Protocol):
    """Runs named jobs durably. Jobs are idempotent ``ensure_x(argument)``: they may run again after a crash.

    The engine's own database may be deleted without loss: the reconciler enqueues whatever the catalogue says is unfinished.
    """

    def register(self, job: str, function: Callable[[str], None]) -> None:
        """Declare a job before ``start``."""
        ...

    def declare_queue(self, queue: str, *, concurrency: int, unhurried: bool = False) -> None:
        """Declare a queue before ``start``; an ``unhurried`` one is looked at every few seconds only."""
        ...

    def start(self) -> None:
        """Recover and begin to work."""
        ...

    def stop(self, *, timeout_s: float) -> None:
        """Finish what runs within the time, leave the rest to the next start."""
        ...

    def enqueue(self, job: str, argument: str, *, queue: str, key: str, priority: int) -> None:
        """Ask for one run. A second call with the same ``key`` while the first is unfinished does nothing.

        ``priority``: lower runs first; minutes since the epoch of the deadline fits.
        """
        ...

    def live_keys(self) -> set[str]:
        """Keys that are waiting or running."""
        ...

    def failures(self) -> dict[str, str]:
        """Keys of jobs that ended in an error, with its text (the health page shows them)."""
        ...
