"""Read one recording from a recorder: once, with every digest in the same pass.

A stop of any kind keeps the bytes so far; the next docking compares the last of them with the recorder and goes on at that
byte. Which bytes are acquired is only said after all of them are durable.

Crash: killed while reading, the row says ``acquiring`` and the partial holds a prefix; the next docking (or the reconciler,
which closes the docking) takes it up at the last byte that was known to be durable, after comparing the bytes before it.
"""

from __future__ import annotations

from catalogue.records import RecordingRow
from evidence.clock import to_text
from evidence.digest import BLAKE3, SHA256, SM3, Digest
from evidence.errors import DeviceGoneError, EvidenceError, MediumError, SourceChangedError, StoreFullError
from evidence.events import RecordingAcquired, RecordingAcquiring, RecordingInterrupted
from evidence.ids import OffloadId
from evidence.model import Cap, RecordingState, SourceObject
from evidence.ports import DeviceSession, GrowingPartial
from evidence.transfer import ByteSource, transfer
from ingest.parts import Parts, quarantine, raise_finding
from ingest.progress import Progress
from ingest.states import sources_of

#: Compared before a resume: another file under the same name, size and time would show here.
_OVERLAP_BYTES = 64 << 10
_REASONS: dict[type[EvidenceError], str] = {
    DeviceGoneError: "unplugged",
    StoreFullError: "store-full",
    MediumError: "medium",
}


def reason_of(error: BaseException) -> str:
    """Stable code of why reading stopped."""
    if isinstance(error, EvidenceError):
        return _REASONS.get(type(error), error.code)
    return "stopped"


def acquire(
    parts: Parts,
    session: DeviceSession,
    row: RecordingRow,
    source: SourceObject,
    *,
    offload: OffloadId,
    progress: Progress,
) -> RecordingRow:
    """Bring one recording to the state ``acquired``.

    Args:
        parts: The parts of intake.
        session: The open recorder.
        row: The recording, unread or partly read.
        source: Its object in this session.
        offload: The docking that reads it.
        progress: Told of every chunk.

    Returns:
        The row after the last byte is durable and digested and the entry is committed.

    Raises:
        DeviceError: The recorder stopped; the row is ``interrupted``, its bytes are kept.
        StoreError: Our disk is full or failing; as above, except NotDurableError, which is fatal.
    """
    with parts.stores.primary.open_partial(
        row.id,
        keep_bytes=_trusted_bytes(session, row),
        floor_bytes=parts.settings.free_floor_bytes,
        secured=lambda count: _note_secured(parts, row, count),
    ) as partial:
        _say_acquiring(parts, row, partial.size_bytes, offload)
        try:
            partial.require_room(row.size_bytes - partial.size_bytes)
            digests = _read(parts, session, row, source, partial, progress=progress)
            partial.finish()
        except BaseException as error:
            if not (isinstance(error, EvidenceError) and error.fatal):
                say_interrupted(parts, row, at_byte=partial.secure(), reason=reason_of(error), offload=offload)
            raise
        return _say_acquired(parts, row, partial.size_bytes, digests, offload)


def _trusted_bytes(session: DeviceSession, row: RecordingRow) -> int:
    return min(row.bytes_acquired, row.size_bytes) if Cap.RESUME in session.caps else 0


def _read(
    parts: Parts,
    session: DeviceSession,
    row: RecordingRow,
    source: SourceObject,
    partial: GrowingPartial,
    *,
    progress: Progress,
) -> dict[str, Digest]:
    try:
        return _read_on(parts, session, source, partial, progress)
    except SourceChangedError as error:  # not the file whose beginning we have: begin again, the recorder has all of it
        if isinstance(error, _OtherBeginningError):
            with parts.catalogue.begin() as uow:
                raise_finding(parts, uow, "source-changed", recording=row.id, detail=row.name, at=parts.clock.now())
        partial.restart()
        return _read_on(parts, session, source, partial, progress)


def _read_on(
    parts: Parts, session: DeviceSession, source: SourceObject, partial: GrowingPartial, progress: Progress
) -> dict[str, Digest]:
    hashers = {name: parts.suite.new(name) for name in parts.suite.acquisition_algorithms}
    partial.feed(list(hashers.values()))
    begin = partial.size_bytes
    progress.resume(begin)
    overlap = min(begin, _OVERLAP_BYTES)
    limit = source.key.size_bytes
    if limit:  # an empty file has nothing to open; some recorders answer such a read with an error
        with session.open_read(source, offset=begin - overlap) as stream:
            _compare_overlap(stream, partial, overlap)
            transfer(
                _Bounded(stream, limit - begin),
                partial.write,
                list(hashers.values()),
                progress=lambda count: progress.move(begin + count),
            )
    return {name: Digest(name, hasher.hexdigest()) for name, hasher in hashers.items()}


class _Bounded:
    """Not more than was listed, whatever the device says: an endless file must not fill our disk.

    The end is asked for, not assumed: there a driver finds out that the file changed while it was read.
    """

    def __init__(self, stream: ByteSource, left: int) -> None:
        self._stream = stream
        self._left = left

    def readinto(self, buffer: memoryview, /) -> int:
        if self._left == 0:
            with buffer[:1] as part:
                if self._stream.readinto(part):
                    raise SourceChangedError("the file on the recorder is longer than it was listed")
            return 0
        with buffer[: min(len(buffer), self._left)] as part:
            count = self._stream.readinto(part)
        self._left -= count
        return count


class _OtherBeginningError(SourceChangedError):
    """Same name, size and time stamp as before, other bytes: an auditor must hear of it (R8)."""


def _compare_overlap(stream: ByteSource, partial: GrowingPartial, overlap: int) -> None:
    ours = partial.tail(overlap)
    theirs = bytearray(overlap)
    position = 0
    with memoryview(theirs) as view:
        while position < overlap:
            with view[position:] as part:
                count = stream.readinto(part)
            if count == 0:
                break
            position += count
    if bytes(theirs) != ours or position < overlap:
        raise _OtherBeginningError("the file on the recorder is not the one whose beginning was read before")


# --- what is said in the catalogue and the log, always together -------------------------------------------------------
def _note_secured(parts: Parts, row: RecordingRow, count: int) -> None:
    with parts.catalogue.begin() as uow:
        uow.recordings.update(row.id, bytes_acquired=count)


def _say_acquiring(parts: Parts, row: RecordingRow, from_byte: int, offload: OffloadId) -> None:
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        uow.recordings.change_state(
            row.id,
            expect=sources_of(RecordingState.ACQUIRING),
            to=RecordingState.ACQUIRING,
            offload=offload,
            bytes_acquired=from_byte,
        )  # why the last reading stopped stays on the row, as in the log: verification folds the same entries
        event = RecordingAcquiring(recording=row.id, offload=offload, from_byte=from_byte, at=to_text(at.wall))
        parts.enter(uow, event, at=at)


def say_interrupted(parts: Parts, row: RecordingRow, *, at_byte: int, reason: str, offload: OffloadId) -> RecordingRow:
    """Commit that reading stopped (or that our bytes cannot be used), with its entry.

    Args:
        parts: The parts of intake.
        row: The recording.
        at_byte: How many bytes are certain; the next docking goes on there.
        reason: Stable code.
        offload: The docking concerned.
    """
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        event = RecordingInterrupted(
            recording=row.id, offload=offload, at_byte=at_byte, reason=reason, at=to_text(at.wall)
        )
        parts.enter(uow, event, at=at)
        return uow.recordings.change_state(
            row.id,
            expect=sources_of(RecordingState.INTERRUPTED),
            to=RecordingState.INTERRUPTED,
            offload=offload,
            bytes_acquired=at_byte,
            interrupted_reason=reason,
        )


def _doubts(row: RecordingRow) -> list[tuple[str, str]]:
    """Why a person must look at a recording that was acquired; the gravest first."""
    doubts = []
    if row.size_bytes != row.source.size_bytes:
        doubts.append(("size-differs", f"listed {row.source.size_bytes} bytes, read {row.size_bytes}"))
    if row.size_bytes == 0:
        doubts.append(("empty", ""))
    if not row.pattern and row.attached_to is None:
        doubts.append(("unknown-name", row.name))
    return doubts


def _say_acquired(
    parts: Parts, row: RecordingRow, size_bytes: int, digests: dict[str, Digest], offload: OffloadId
) -> RecordingRow:
    at = parts.clock.now()
    with parts.catalogue.begin() as uow:
        acquired = uow.recordings.change_state(
            row.id,
            expect=sources_of(RecordingState.ACQUIRED),
            to=RecordingState.ACQUIRED,
            size_bytes=size_bytes,
            bytes_acquired=size_bytes,
            sha256=digests[SHA256],
            sm3=digests[SM3],
            blake3=digests.get(BLAKE3),
            deadline_at=row.deadline_at,
            acquired_at=at.wall,
        )
        event = RecordingAcquired(
            recording=row.id,
            sha256=digests[SHA256].hex,
            offload=offload,
            size_bytes=size_bytes,
            sm3=digests[SM3].hex,
            blake3=digests[BLAKE3].hex if BLAKE3 in digests else "",
            started_at=to_text(row.started_at) if row.started_at else "",
            started_source=row.started_source,
            deadline_at=to_text(row.deadline_at) if row.deadline_at else "",
            at=to_text(at.wall),
        )
        parts.enter(uow, event, at=at)
        for reason, detail in _doubts(acquired):
            acquired = quarantine(parts, uow, acquired, reason, detail=detail, at=at)
    return acquired
